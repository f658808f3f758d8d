"""Flower as a post office: push, pull one reply at a time, never wait for ever.

Here Flower's node ids and error codes end; the rest of the server knows sites and reasons.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import httpx
from flwr.app import Message
from flwr.serverapp import Grid

from common.codec import Malformed, hello_packet, read_joined
from common.errors import Reason
from common.messages import Hello, Joined, Packet
from common.privacy.identity import verified
from common.wire import HELLO, ROUND, from_records, release, to_records

_POLL_S = 0.2
_SLOWEST_POLL_S = 0.5  # each look is a request, and a write in SuperLink's database
_FIRST_GREETING_S, _TELL_S = 60.0, 15.0
_SERVER_FAILED = 500
_TRIES, _NEXT_TRY_S = 3, 5.0  # of a site cut off for a moment, as when the proxy is started again
_ASK_AGAIN = (Reason.NO_REPLY, Reason.UNREACHABLE, Reason.CRASHED)
_UNREACHABLE = {3, 4, 5}  # Flower's codes for a message or reply lost, a node gone
_CRASHED = {1, 2, 8}

log = logging.getLogger(__name__)


@dataclass
class Post:
    """Sites reached through a Flower grid.

    Attributes:
        grid: Flower's.
        nodes: node id by site, known once they have joined.
    """

    grid: Grid
    nodes: dict[str, int] = field(default_factory=dict)

    def join(
        self,
        hello: Hello,
        keys: Mapping[str, str],
        wait_s: float,
        tell: Callable[[str, str], None],
        skip: Collection[str] = (),
    ) -> dict[str, Joined]:
        """Greet every node until all sites have joined or refused, or `wait_s` is over.

        A site refuses where it does not run this code or know this study; nothing that
        comes later changes that in this run, so nobody waits for it. Who does not reply is
        greeted again, with twice the time: a busy machine may need more than a minute to begin.

        Args:
            hello: the session to open.
            keys: public identity key of each site of the roster.
            wait_s: longest wait in seconds.
            skip: sites that are not greeted, where they are connected.
            tell: told "joined" or a reason, and the site; "waiting", and for whom.

        Returns:
            The session keys of the sites that joined, each signed by its site.
        """
        joined: dict[str, Joined] = {}
        refused: dict[int, str] = {}
        deadline, told = time.monotonic() + wait_s, time.monotonic()
        patience_s = _FIRST_GREETING_S
        while (awaited := set(keys) - set(joined) - set(refused.values())) and (
            time.monotonic() < deadline
        ):
            fresh = set(self.grid.get_node_ids()) - set(self.nodes.values()) - set(refused)
            fresh -= self._of_others(fresh, skip)
            packets, silent = dict.fromkeys(fresh, hello_packet(hello)), False
            for node, reply in self._exchange(packets, HELLO, min(patience_s, wait_s)):
                member = _member(reply, hello, keys)
                if member is not None:
                    joined[member.site], self.nodes[member.site] = member, node
                    tell("joined", member.site)
                elif reply not in _ASK_AGAIN:
                    refused[node] = self._name(node)
                    tell(_why(reply), refused[node])
                silent = silent or reply is Reason.NO_REPLY
            if silent:
                patience_s *= 2
            if not fresh:
                time.sleep(_SLOWEST_POLL_S)
            still = sorted(awaited - set(joined) - set(refused.values()))
            if still and time.monotonic() > told + _TELL_S:
                told = time.monotonic()
                tell("waiting", ", ".join(still))
        return joined

    def _of_others(self, nodes: set[int], skip: Collection[str]) -> set[int]:
        """Return the nodes that are registered for sites which are not greeted."""
        return {node for node in nodes if self._name(node) in skip} if skip else set()

    def _name(self, node: int) -> str:
        """Return the name under which a node is registered; that is what its key stands for."""
        names = {info.node_id: str(info.name) for info in self.grid.get_nodes()}
        return names.get(node, "")

    def exchange(
        self, packets: Mapping[str, Packet], deadline_s: float
    ) -> Iterator[tuple[str, Packet | Reason]]:
        """Send each site its packet; yield each reply as it comes, then drop it.

        A site that gives none within `deadline_s` yields a reason. Messages live no longer
        than that, so that a site that was away does not work on what nobody waits for. One
        that cannot be reached is sent the same again: if it has answered, it gives what it
        has kept.
        """
        sites = {self.nodes[site]: site for site in packets}
        by_node = {self.nodes[site]: packet for site, packet in packets.items()}
        for node, reply in self._exchange(by_node, ROUND, deadline_s):
            yield sites[node], reply
            del reply  # before the next one comes

    def _exchange(
        self, packets: Mapping[int, Packet], kind: str, deadline_s: float
    ) -> Iterator[tuple[int, Packet | Reason]]:
        deadline, tries, away = time.monotonic() + deadline_s, _TRIES, packets
        while away:
            messages = _messages(away, kind, deadline - time.monotonic())
            waiting = dict(zip(self.grid.push_messages(messages), away, strict=True))
            tries, lost = tries - 1, []
            for node, reply in self._pull(waiting, deadline):
                if kind == ROUND and tries and reply is Reason.UNREACHABLE:
                    lost.append(node)
                else:
                    yield node, reply
                del reply  # before the next one comes
            for message in messages:
                release(message.content)
            if lost:
                time.sleep(min(_NEXT_TRY_S, max(deadline - time.monotonic(), 0)))
            away = {node: packets[node] for node in lost}

    def _pull(
        self, waiting: dict[str, int], deadline: float
    ) -> Iterator[tuple[int, Packet | Reason]]:
        order = deque(waiting)
        pause, misses = self._first_poll_s, 0
        while waiting and time.monotonic() < deadline:
            message_id, arrived = order[0], False
            for reply in self._pulled(message_id):
                arrived = True
                try:
                    yield waiting.pop(message_id), _content(reply)
                finally:
                    if reply.has_content():
                        release(reply.content)
                del reply
            if arrived:
                order.popleft()
                pause, misses = self._first_poll_s, 0
                continue
            order.rotate(-1)
            misses += 1
            if misses >= self._looks(len(order)):
                time.sleep(pause)
                pause, misses = min(pause * 1.5, self._slowest_poll_s), 0
        for node in waiting.values():
            yield node, Reason.NO_REPLY

    @property
    def _first_poll_s(self) -> float:
        return float(getattr(self.grid, "first_poll_s", _POLL_S))

    @property
    def _slowest_poll_s(self) -> float:
        return float(getattr(self.grid, "slowest_poll_s", _SLOWEST_POLL_S))

    def _looks(self, n_waiting: int) -> int:
        """Return for how many replies to look before a pause: for one, where looking is dear.

        Every reply is to be had, so nothing is lost by looking for them in turn.
        """
        return n_waiting if hasattr(self.grid, "first_poll_s") else 1

    def _pulled(self, message_id: str) -> Iterable[Message]:
        """Return the reply if it is there; where the server is too busy, there is none yet."""
        pull: Callable[[list[str]], Iterable[Message]]
        pull = getattr(self.grid, "pull_streamed", self.grid.pull_messages)
        try:
            return pull([message_id])
        except httpx.HTTPStatusError as error:
            if error.response.status_code < _SERVER_FAILED:
                raise
            log.warning("the server could not be asked for replies: %s", error)
            return ()


def _messages(packets: Mapping[int, Packet], kind: str, ttl_s: float) -> list[Message]:
    """Return the packets as messages to nodes."""
    ttl_s = max(ttl_s, 1.0)
    return [
        Message(to_records(packet), dst_node_id=node, message_type=kind, ttl=ttl_s)
        for node, packet in packets.items()
    ]


def _content(reply: Message) -> Packet | Reason:
    if reply.has_error():
        code = reply.error.code
        if code in _CRASHED:
            return Reason.CRASHED
        return Reason.UNREACHABLE if code in _UNREACHABLE else Reason.STUDY_NOT_APPROVED
    try:
        packet = from_records(reply.content)
        failed = packet.head.get("failed")
        return Reason(failed) if failed is not None else packet
    except (Malformed, ValueError):
        return Reason.MALFORMED_REPLY


def _why(reply: Packet | Reason) -> str:
    """Return why an answer to a greeting lets nobody in."""
    return str(reply if isinstance(reply, Reason) else Reason.ROSTER_MISMATCH)


def _member(reply: Packet | Reason, hello: Hello, keys: Mapping[str, str]) -> Joined | None:
    """Return who has joined, if it is a site of the roster that signed its session key."""
    if isinstance(reply, Reason):
        return None
    try:
        joined = read_joined(reply)
        signature = bytes.fromhex(joined.signature)
    except ValueError:
        return None
    key = keys.get(joined.site)
    if key is None or not verified(key, signature, joined.signed(hello)):
        return None
    return joined
