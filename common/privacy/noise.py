"""Random numbers that only one site can draw: for noise that must not be guessed.

Everything else random follows from seeds the coordinator knows. Noise that protects
patients must not, or the coordinator would subtract it. It is drawn from a ChaCha20
stream under a key made of the site's identity and of the very ask: the same ask over the
same cases gets the same noise again, so that a repeated question tells nothing new.
"""

import numpy as np
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from common.table import Floats

_KEY_BYTES = 32


def noise_key(identity: Ed25519PrivateKey, context: bytes) -> bytes:
    """Return a key that only the holder of an identity can make, for one purpose."""
    raw = serialization.Encoding.Raw, serialization.PrivateFormat.Raw
    secret = identity.private_bytes(*raw, serialization.NoEncryption())
    kdf = HKDF(hashes.SHA256(), _KEY_BYTES, salt=None, info=b"consortium noise" + context)
    return kdf.derive(secret)


class Noise:
    """A stream of random numbers under a key."""

    def __init__(self, key: bytes) -> None:
        self._stream = Cipher(algorithms.ChaCha20(key, bytes(16)), mode=None).encryptor()

    def uniform(self, n: int) -> Floats:
        """Return n numbers, evenly between 0 and 1, neither of them reached."""
        words = np.empty(n, "<u8")
        self._stream.update_into(bytes(words.nbytes), words.view(np.uint8).data)
        middle: Floats = ((words >> 11).astype(np.float64) + 0.5) * 2.0**-53
        return middle

    def normal(self, n: int) -> Floats:
        """Return n standard normal numbers, by the inverse of their distribution."""
        from scipy.special import ndtri

        drawn: Floats = ndtri(self.uniform(n))
        return drawn
