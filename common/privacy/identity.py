"""A site's identity: an Ed25519 key that signs its session keys and its replies."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_RAW = serialization.Encoding.Raw


def new_identity() -> Ed25519PrivateKey:
    """Return a fresh identity."""
    return Ed25519PrivateKey.generate()


def private_text(identity: Ed25519PrivateKey) -> str:
    """Return an identity as 64 hex digits, to be kept by the site alone."""
    no_password = serialization.NoEncryption()
    return identity.private_bytes(_RAW, serialization.PrivateFormat.Raw, no_password).hex()


def read_identity(text: str) -> Ed25519PrivateKey:
    """Return the identity written by `private_text`."""
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(text.strip()))


def public_text(identity: Ed25519PrivateKey) -> str:
    """Return the public half as 64 hex digits: what stands in a roster."""
    public = identity.public_key()
    return public.public_bytes(_RAW, serialization.PublicFormat.Raw).hex()


def verified(public: str, signature: bytes, message: bytes) -> bool:
    """Tell whether `signature` over `message` was made by the holder of `public`."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
