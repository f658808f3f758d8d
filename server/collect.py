"""Flower as a post office: push, pull one reply at a time, never wait for ever.

Here Flower's node ids and error codes end; the rest of the server knows sites and reasons.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import httpx
from flwr.app import Message
from flwr.serverapp import Grid

from common.codec import Malformed, hello_packet, read_joined
from common.errors import Reason
from common.messages import Hello, Joined, Packet
from common.privacy.identity import verified
from common.wire import HELLO, ROUND, from_records, release, to_records

_FIRST_POLL_S = 0.001
_SLOWEST_POLL_S = 0.5  # each pull is a write in SuperLink's database
_FIRST_GREETING_S = 60.0
_SERVER_FAILED = 500
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
        self, hello: Hello, keys: Mapping[str, str], wait_s: float, on_join: Callable[[str], None]
    ) -> dict[str, Joined]:
        """Greet every node until all sites of the roster have joined or `wait_s` is over.

        Who does not reply is greeted again, with twice the time: a busy machine may need
        more than a minute to begin. Who replies amiss is not.

        Args:
            hello: the session to open.
            keys: public identity key of each site of the roster.
            wait_s: longest wait in seconds.
            on_join: told the name of each site that joins.

        Returns:
            The session keys of the sites that joined, each signed by its site.
        """
        joined: dict[str, Joined] = {}
        refused: set[int] = set()
        deadline = time.monotonic() + wait_s
        patience_s = _FIRST_GREETING_S
        while len(joined) < len(keys) and time.monotonic() < deadline:
            fresh = set(self.grid.get_node_ids()) - set(self.nodes.values()) - refused
            packets, silent = dict.fromkeys(fresh, hello_packet(hello)), set[int]()
            for node, reply in self._exchange(packets, HELLO, min(patience_s, wait_s)):
                if reply is Reason.NO_REPLY:
                    silent.add(node)
                    continue
                member = _member(reply, hello, keys)
                if member is None:
                    refused.add(node)
                    continue
                joined[member.site], self.nodes[member.site] = member, node
                on_join(member.site)
            if silent:
                patience_s *= 2
            if not fresh:
                time.sleep(_SLOWEST_POLL_S)
        return joined

    def exchange(
        self, packets: Mapping[str, Packet], deadline_s: float
    ) -> Iterator[tuple[str, Packet | Reason]]:
        """Send each site its packet; yield each reply as it comes, then drop it.

        A site that gives none within `deadline_s` yields a reason. Messages live no longer
        than that, so that a site that was away does not work on what nobody waits for.
        """
        sites = {self.nodes[site]: site for site in packets}
        by_node = {self.nodes[site]: packet for site, packet in packets.items()}
        for node, reply in self._exchange(by_node, ROUND, deadline_s):
            yield sites[node], reply
            del reply  # before the next one comes

    def _exchange(
        self, packets: Mapping[int, Packet], kind: str, deadline_s: float
    ) -> Iterator[tuple[int, Packet | Reason]]:
        messages = [
            Message(to_records(packet), dst_node_id=node, message_type=kind, ttl=deadline_s)
            for node, packet in packets.items()
        ]
        waiting = dict(zip(self.grid.push_messages(messages), packets, strict=True))
        del messages
        yield from self._pull(waiting, time.monotonic() + deadline_s)

    def _pull(
        self, waiting: dict[str, int], deadline: float
    ) -> Iterator[tuple[int, Packet | Reason]]:
        pause = _FIRST_POLL_S
        while waiting and time.monotonic() < deadline:
            arrived = False
            for message_id in list(waiting):
                for reply in self._pulled(message_id):
                    arrived = True
                    yield waiting.pop(message_id), _content(reply)
                    if reply.has_content():
                        release(reply.content)
                    del reply
            slowest = getattr(self.grid, "slowest_poll_s", _SLOWEST_POLL_S)
            pause = _FIRST_POLL_S if arrived else min(pause * 1.5, slowest)
            if waiting:
                time.sleep(pause)
        for node in waiting.values():
            yield node, Reason.NO_REPLY

    def _pulled(self, message_id: str) -> Iterable[Message]:
        """Return the reply if it is there; where the server is too busy, there is none yet."""
        try:
            return self.grid.pull_messages([message_id])
        except httpx.HTTPStatusError as error:
            if error.response.status_code < _SERVER_FAILED:
                raise
            log.warning("the server could not be asked for replies: %s", error)
            return ()


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
