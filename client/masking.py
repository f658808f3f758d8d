"""A site's session: a fresh key for each, signed; masks drawn with it; replies signed.

The key lives in the workspace because in a deployment a process lasts for one message.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from client.files import write_once
from client.site import Site
from common.errors import Reason, Refused
from common.messages import PROTOCOL, Hello, Joined, Posed, Reply, Round, signed_words
from common.privacy.encoding import Words
from common.privacy.identity import verified
from common.privacy.masks import mask, pair_key, public_bytes
from common.sums import Schema

_SAFE = re.compile(r"[A-Za-z0-9_.-]{1,80}")


def join(site: Site, hello: Hello) -> Joined:
    """Open a session: make its key, keep the private half, sign the public one.

    Greeted again it says the same: a coordinator greets a busy site twice, two processes may
    answer, and what others mask against is the key of whichever reply came first.
    """
    private = X25519PrivateKey.generate()
    no_password = serialization.NoEncryption()
    raw = serialization.Encoding.Raw, serialization.PrivateFormat.Raw
    path = site.room("sessions") / f"{_file_name(hello)}.key"
    write_once(path, private.private_bytes(*raw, no_password), mode=0o600)
    private = _session_key(site, hello)
    key, per_site = public_bytes(private).hex(), site.policy.per_site
    unsigned = Joined(site.name, key, "", per_site=per_site)
    signature = site.identity().sign(unsigned.signed(hello)).hex()
    return replace(unsigned, signature=signature)


def check_members(site: Site, message: Round) -> None:
    """Check that every session key of a round is signed by the site it is said to be of.

    Raises:
        Refused: ROSTER_MISMATCH.
    """
    for name, member in message.members.items():
        identity = site.settings.partners.get(name)
        if identity is None or member.site != name or member.protocol != PROTOCOL:
            raise Refused(Reason.ROSTER_MISMATCH, f'"{name}" is no partner of this site')
        if not _verified(identity, member.signature, member.signed(message.hello)):
            raise Refused(
                Reason.ROSTER_MISMATCH, f'the session key of "{name}" is not signed by it'
            )


@lru_cache(maxsize=4096)
def _verified(identity: str, signature: str, signed: bytes) -> bool:
    """Verify a signature once for all asks of a session."""
    return verified(identity, bytes.fromhex(signature), signed)


def seal(site: Site, message: Round, posed: Posed, words: Words, schema: Schema) -> Reply:
    """Mask `words` in place, sign them, and return the reply."""
    binding = message.binding(posed)
    keys = _pair_keys(site, message, posed.group)
    mask(words, schema, site=site.name, group=posed.group, keys=keys, binding=binding)
    digest = hashlib.sha256(words.data).digest()
    signature = site.identity().sign(signed_words(site.name, binding, digest)).hex()
    return Reply(posed.problem, words, signature)


def _pair_keys(site: Site, message: Round, group: tuple[str, ...]) -> Mapping[str, bytes]:
    peers = [name for name in group if name != site.name]
    if not peers:
        return {}
    private = _session_key(site, message.hello)
    if message.members[site.name].session_key != public_bytes(private).hex():
        raise Refused(Reason.ROSTER_MISMATCH, "the session key said to be this site's is another")
    context = json.dumps([message.hello.run, message.hello.session]).encode()
    members = message.members
    return {p: pair_key(private, bytes.fromhex(members[p].session_key), context) for p in peers}


def _session_key(site: Site, hello: Hello) -> X25519PrivateKey:
    path = site.room("sessions") / f"{_file_name(hello)}.key"
    if not path.exists():
        raise Refused(Reason.ROSTER_MISMATCH, "this site did not join the session")
    return X25519PrivateKey.from_private_bytes(path.read_bytes())


def _file_name(hello: Hello) -> str:
    name = f"{hello.run}.{hello.session}"
    if not _SAFE.fullmatch(name):
        raise Refused(Reason.MALFORMED_ASK, "run or session is no plain name")
    return name
