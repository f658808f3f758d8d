"""What the coordinator and a site say to each other: plain values and arrays.

Hello   -> Joined     who are you; a fresh session key, signed
Round   -> Replies    asks of one round; masked sums or reasons, signed
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.analyses.analysis import Ask
from common.errors import Reason
from common.privacy.encoding import Words
from common.stream import Stream

PROTOCOL = 3


@dataclass(frozen=True)
class Hello:
    """The coordinator opens a session.

    Attributes:
        run: identifier of the run; survives a restart of the coordinator.
        session: fresh for every start of the coordinator: no key serves twice.
        study: sha256 of the study file.
    """

    run: str
    session: str
    study: str


@dataclass(frozen=True)
class Joined:
    """A site's session key, X25519, raw hex, and a word to its partners, signed by its identity.

    Attributes:
        per_site: whether its policy lets its own sums out: who keeps them needs others
            beside it who do.
    """

    site: str
    session_key: str
    signature: str
    protocol: int = PROTOCOL
    per_site: bool = False

    def signed(self, hello: Hello) -> bytes:
        """Return what the signature is over."""
        words = ["joined", hello.run, hello.session, hello.study, self.site, self.session_key]
        return json.dumps([*words, self.protocol, self.per_site]).encode()


@dataclass(frozen=True)
class Posed:
    """One ask of one problem in a round.

    Attributes:
        problem: the step and the part of it, such as "segment/development".
        step: name of the study's step.
        group: the sites whose sums are added, in order.
        ask: the question.
    """

    problem: str
    step: str
    group: tuple[str, ...]
    ask: Ask


@dataclass(frozen=True)
class Round:
    """All asks of one round for one site.

    Attributes:
        hello: the session it belongs to.
        number: of the round, from 1, over the whole run.
        attempt: from 1; asked again of the rest where a site gave no reply.
        members: by site the session key and its signature, of every site in a group.
        asks: one for each problem this site takes part in.
    """

    hello: Hello
    number: int
    attempt: int
    members: Mapping[str, Joined]
    asks: tuple[Posed, ...] = ()

    def binding(self, posed: Posed) -> bytes:
        """Return the digest of everything one masked sum belongs to."""
        keys = [self.members[name].session_key for name in posed.group]
        parts = [
            [PROTOCOL, self.hello.run, self.hello.session, self.hello.study],
            [self.number, self.attempt, posed.problem, posed.step, posed.group, keys],
            posed.ask.digest(),
        ]
        return hashlib.sha256(json.dumps(parts).encode()).digest()


@dataclass(frozen=True)
class Reply:
    """A site's answer to one ask: masked words with a signature, or a bare reason."""

    problem: str
    words: Words | Stream | None = None
    signature: str = ""
    reason: Reason | None = None


@dataclass(frozen=True)
class Replies:
    """A site's answers to one round.

    Attributes:
        work_s: seconds it spent on its own cases, as against sealing and sending.
    """

    site: str
    replies: tuple[Reply, ...] = ()
    work_s: float = 0.0


def signed_words(site: str, binding: bytes, digest: bytes) -> bytes:
    """Return what a reply's signature is over; the digest is the sha256 of its words."""
    return b"consortium reply" + site.encode() + b"\0" + binding + digest


@dataclass(frozen=True)
class Packet:
    """A message in the form of the wire: a JSON head and blobs of raw array bytes."""

    head: Mapping[str, Any]
    blobs: Sequence["Blob"] = field(default_factory=tuple)


@dataclass(frozen=True)
class Blob:
    """Arrays end to end; `layout` gives name, dtype and shape of each.

    The data are any buffer of bytes, read only: they may be the arrays' own memory. Those of
    a reply may be still on their way.
    """

    layout: tuple[tuple[str, str, tuple[int, ...]], ...]
    data: bytes | memoryview | NDArray[np.uint8] | Stream
