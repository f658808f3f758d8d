"""Pairwise masks: uniform noise that cancels when all sites of a group are added.

Sites i < j share a key (X25519, then HKDF-SHA256 over the run, the session and both
public keys). For each binding - run, study, session, round, attempt, group, problem,
ask - they draw one ChaCha20 stream; i adds it, j subtracts it, modulo 2**64 or 2**128.
Anyone who lacks one of the keys sees uniform words. After Bonawitz et al., CCS 2017,
without secret shares: with a handful of hospitals a lost reply means asking again.

Threat model: an honest-but-curious coordinator and up to S - 2 colluding sites.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from common.privacy.encoding import Words, add_wide, layout, subtract_wide
from common.sums import Schema

_KEY_BYTES = 32
_PIECE = 1 << 15  # words: the pads of a group and a piece of the sums stay in the cache
_ZEROS = memoryview(bytes(8 * _PIECE))


def public_bytes(private: X25519PrivateKey) -> bytes:
    """Return the 32 raw bytes of the public half of a session key."""
    raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
    return private.public_key().public_bytes(*raw)


def pair_key(private: X25519PrivateKey, peer: bytes, context: bytes) -> bytes:
    """Return the 256-bit key two sites share for one session.

    Args:
        private: this site's session key.
        peer: the other site's public key, 32 raw bytes.
        context: what the key is for; both sites must say the same.
    """
    shared = private.exchange(X25519PublicKey.from_public_bytes(peer))
    ends = b"".join(sorted((public_bytes(private), peer)))
    kdf = HKDF(hashes.SHA256(), _KEY_BYTES, salt=None, info=b"consortium pair" + context + ends)
    return kdf.derive(shared)


def mask(
    words: Words,
    schema: Schema,
    *,
    site: str,
    group: Sequence[str],
    keys: Mapping[str, bytes],
    binding: bytes,
) -> None:
    """Mask one site's words in place; over the whole group the masks cancel.

    Args:
        words: the encoded sums, changed in place.
        schema: their declaration.
        site: whose words they are.
        group: every site of the sum, `site` among them, without repetition.
        keys: pair key by the other site's name.
        binding: digest of everything this sum belongs to; never used twice for
            different words.
    """
    pads = [(site < peer, Pad(keys[peer], binding)) for peer in group if peer != site]
    shape = layout(schema)
    for start in range(0, shape.narrow, _PIECE):
        piece = words[start : min(start + _PIECE, shape.narrow)]
        for first, pad in pads:
            change = np.add if first else np.subtract
            change(piece, pad.draw(piece.size), out=piece)
    if shape.wide:
        for first, pad in pads:
            (add_wide if first else subtract_wide)(words[shape.narrow :], pad.draw(2 * shape.wide))


class Pad:
    """A stream of uniform words that only holders of a pair key can draw, from its beginning.

    It is drawn in pieces into one buffer: a network's worth of words at once would cost
    more in fresh memory than in arithmetic.
    """

    def __init__(self, key: bytes, binding: bytes) -> None:
        info = b"consortium mask" + binding
        once = HKDFExpand(hashes.SHA256(), _KEY_BYTES, info=info).derive(key)
        self._cipher = Cipher(algorithms.ChaCha20(once, bytes(16)), mode=None).encryptor()
        self._buffer = np.empty(0, "<u8")

    def draw(self, n_words: int) -> Words:
        """Return the next words; they are overwritten by the next draw."""
        if self._buffer.size < n_words:
            self._buffer = np.empty(n_words, "<u8")
        stream = self._buffer[:n_words]
        out = stream.view(np.uint8).data
        for start in range(0, len(out), len(_ZEROS)):
            piece = out[start : start + len(_ZEROS)]
            self._cipher.update_into(_ZEROS[: len(piece)], piece)
        return stream


def keystream(key: bytes, binding: bytes, n_words: int) -> Words:
    """Return the first `n_words` uniform 64-bit words of a pad."""
    return Pad(key, binding).draw(n_words)
