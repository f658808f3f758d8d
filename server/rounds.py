"""One round: asks out, masked sums in, added as they come, asked again of the rest.

A masked total can only be read when every site of its group has replied. Where one does
not, the same ask goes to the rest as a new attempt with new masks; they answer from
their kept sums without working again.
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from common.buffers import fresh
from common.codec import Malformed, pack, read_replies, round_packet
from common.errors import Reason
from common.messages import Blob, Hello, Joined, Packet, Posed, Replies, Reply, Round, signed_words
from common.privacy.encoding import Words, add_piece, beyond, decode, layout
from common.privacy.identity import verified
from common.stream import Stream, pieces
from common.sums import Array, Schema, Sums
from server.collect import Post


@dataclass(frozen=True)
class Wanted:
    """A sum to be had: of which ask, over which sites.

    Attributes:
        posed: the ask, its problem and its group.
        schema: what each site sends.
        fewest: with fewer sites than this there is no sum.
    """

    posed: Posed
    schema: Schema
    fewest: int


@dataclass(frozen=True)
class Outcome:
    """How a wanted sum ended.

    Attributes:
        total: the sums over `sites`, or None where too few were left.
        sites: whose sums they are.
        lost: sites that gave none, and why.
    """

    total: Sums | None
    sites: tuple[str, ...]
    lost: Mapping[str, Reason]


@dataclass
class Cost:
    """What a round cost.

    Attributes:
        seconds: from the first ask to the last sum.
        bytes_up: of arrays, from all sites together.
        bytes_down: of arrays, to all sites together.
        work_s: by site the seconds it spent on its own cases.
    """

    seconds: float = 0.0
    bytes_up: int = 0
    bytes_down: int = 0
    work_s: dict[str, float] = field(default_factory=dict)


@dataclass
class _Tally:
    """A running sum of one attempt."""

    wanted: Wanted
    group: tuple[str, ...]
    words: Words | None = None
    arrived: set[str] = field(default_factory=set)
    lost: dict[str, Reason] = field(default_factory=dict)

    def add(self, words: Words | Stream) -> bytes:
        """Add one site's words to the running sum as they come; return their sha256.

        Raises:
            EOFError: they broke off; the sum is spoilt.
        """
        if self.words is None:
            self.words = fresh(words.nbytes).view(np.uint64)
        shape, sha, at = layout(self.wanted.schema), hashlib.sha256(), 0
        for piece in pieces(words):
            sha.update(piece.data)
            add_piece(self.words, at, piece, shape)
            at += piece.size
        return sha.digest()

    def posed(self) -> Posed:
        """Return the ask for the sites of this attempt."""
        old = self.wanted.posed
        return Posed(old.problem, old.step, self.group, old.ask)


@dataclass(frozen=True)
class Exchange:
    """Asks rounds of the sites that joined a session.

    Attributes:
        post: carries the messages.
        hello: the session.
        members: session keys of the sites that joined.
        keys: public identity keys of all sites.
        deadline_s: longest wait for the replies of one attempt.
        refused: sites that did not let the session in, and why.
    """

    post: Post
    hello: Hello
    members: Mapping[str, Joined]
    keys: Mapping[str, str]
    deadline_s: float
    refused: Mapping[str, Reason] = field(default_factory=dict)

    def ask(self, number: int, wanted: Sequence[Wanted]) -> tuple[dict[str, Outcome], Cost]:
        """Return the outcome of every wanted sum, by problem, and what the round cost."""
        begin, cost = time.monotonic(), Cost()
        blobs = {w.posed.problem: pack(w.posed.ask.arrays) for w in wanted}
        open_ = [self._first_try(w) for w in wanted]
        outcomes: dict[str, Outcome] = {}
        attempt = 0
        while open_:
            attempt += 1
            tried = [tally for tally in open_ if len(tally.group) >= tally.wanted.fewest]
            self._attempt(number, attempt, tried, blobs, cost)
            ended, open_ = _sorted_out(open_)
            outcomes |= ended
        cost.seconds = time.monotonic() - begin
        return outcomes, cost

    def _first_try(self, wanted: Wanted) -> _Tally:
        everyone = wanted.posed.group
        group = tuple(site for site in everyone if site in self.members)
        absent = {s: self.refused.get(s, Reason.UNREACHABLE) for s in everyone if s not in group}
        return _Tally(wanted, group, lost=absent)

    def _attempt(
        self,
        number: int,
        attempt: int,
        tallies: Sequence[_Tally],
        blobs: Mapping[str, Blob],
        cost: Cost,
    ) -> None:
        messages = self._messages(number, attempt, tallies)
        packets = {site: round_packet(message, blobs) for site, message in messages.items()}
        cost.bytes_down += sum(len(b.data) for p in packets.values() for b in p.blobs)
        for site, reply in self.post.exchange(packets, self.deadline_s):
            if isinstance(reply, Packet):
                cost.bytes_up += sum(len(b.data) for b in reply.blobs)
                cost.work_s[site] = cost.work_s.get(site, 0.0) + _work_s(reply)
            mine = {t.wanted.posed.problem: t for t in tallies if site in t.group}
            self._take(site, reply, messages[site], mine)
            del reply  # before the next one comes

    def _messages(self, number: int, attempt: int, tallies: Sequence[_Tally]) -> dict[str, Round]:
        sites = sorted({site for tally in tallies for site in tally.group})
        messages = {}
        for site in sites:
            posed = tuple(t.posed() for t in tallies if site in t.group)
            names = {name for p in posed for name in p.group}
            members = {name: self.members[name] for name in sorted(names)}
            messages[site] = Round(self.hello, number, attempt, members, posed)
        return messages

    def _take(
        self, site: str, reply: Packet | Reason, message: Round, mine: Mapping[str, _Tally]
    ) -> None:
        """Add what a site sent to the running sums; what it did not send is lost.

        It is added while its signature is still open. A site whose signature does not hold is
        lost, and a sum that lacks a site of its group is never read: it is asked for again.
        """
        replies = _read(site, reply)
        if isinstance(replies, Reason):
            for tally in mine.values():
                tally.lost[site] = replies
            return
        posed = {p.problem: p for p in message.asks}
        for one in replies.replies:
            asked = mine.get(one.problem)
            if asked is not None and site not in asked.arrived | asked.lost.keys():
                self._take_one(site, one, message.binding(posed[one.problem]), asked)
        for tally in mine.values():
            if site not in tally.arrived:
                tally.lost.setdefault(site, Reason.MALFORMED_REPLY)

    def _take_one(self, site: str, reply: Reply, binding: bytes, tally: _Tally) -> None:
        words = reply.words
        if words is None:
            tally.lost[site] = reply.reason or Reason.MALFORMED_REPLY
        elif words.nbytes != 8 * layout(tally.wanted.schema).n_words:
            tally.lost[site] = Reason.WRONG_SHAPE
        else:
            try:
                signed = signed_words(site, binding, tally.add(words))
            except EOFError:
                tally.lost[site] = Reason.CRASHED
                return
            if self._signed(reply.signature, site, signed):
                tally.arrived.add(site)
            else:
                tally.lost[site] = Reason.BAD_SIGNATURE

    def _signed(self, signature: str, site: str, message: bytes) -> bool:
        try:
            return verified(self.keys[site], bytes.fromhex(signature), message)
        except ValueError:
            return False


def _next_try(tally: _Tally) -> _Tally:
    group = tuple(s for s in tally.group if s not in tally.lost)
    return _Tally(tally.wanted, group, lost=dict(tally.lost))


def _sorted_out(tallies: Sequence[_Tally]) -> tuple[dict[str, Outcome], list[_Tally]]:
    """Return the outcomes of what has ended, and what is asked again of fewer sites."""
    ended, again = {}, []
    for tally in tallies:
        problem, wanted = tally.wanted.posed.problem, tally.wanted
        if tally.words is not None and tally.arrived == set(tally.group):  # every one signed
            total = _read_total(problem, tally.words, wanted, tally.group)
            ended[problem] = Outcome(total, tally.group, tally.lost)
            continue
        smaller = _next_try(tally)
        if len(smaller.group) >= wanted.fewest:
            again.append(smaller)
        else:
            ended[problem] = Outcome(None, smaller.group, smaller.lost)
    return ended, again


def _read_total(
    problem: str, words: Words, wanted: Wanted, group: tuple[str, ...]
) -> dict[str, Array]:
    """Return the sums of a group.

    Raises:
        RuntimeError: they are no sums of what sites may send: one masked with another key
            than the rest believe. A new session, as resuming opens, has new keys.
    """
    total = decode(words, wanted.schema)
    if name := beyond(total, wanted.schema, len(group)):
        raise RuntimeError(
            f"{problem}: {name} is larger than {', '.join(group)} can make it: their masks do not "
            "belong together, and nothing of it was used"
        )
    return total


def _work_s(packet: Packet) -> float:
    value = packet.head.get("work_s", 0.0)
    return float(value) if isinstance(value, int | float) else 0.0


def _read(site: str, reply: Packet | Reason) -> Replies | Reason:
    if isinstance(reply, Reason):
        return reply
    try:
        replies = read_replies(reply)
    except Malformed:
        return Reason.MALFORMED_REPLY
    return replies if replies.site == site else Reason.MALFORMED_REPLY
