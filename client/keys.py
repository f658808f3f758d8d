"""A hospital's own identity key: made at the hospital, and never twice."""

import os
from pathlib import Path

from common.privacy.identity import new_identity, private_text, public_text, read_identity


def make_identity(path: Path) -> str:
    """Write a new private key that only its owner may read; return its public half.

    Raises:
        FileExistsError: there is one; a site that replaced its key would be a stranger
            to its partners.
        OSError: it could not be written; nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    identity = new_identity()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(private_text(identity).encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return public_text(identity)


def public_half(path: Path) -> str:
    """Return the public half of the key in a file, 64 hex digits.

    Raises:
        ValueError: the file holds no key.
    """
    return public_text(read_identity(path.read_text(encoding="ascii")))
