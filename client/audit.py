"""A site's log of everything it let out or refused: one hash-chained line each.

A line is flushed to the disk before the reply is sent; each holds the sha256 of the one
before it, so that none can be changed, dropped or put in without it being seen.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_START = "0" * 64


class AuditBroken(Exception):
    """The chain does not hold; the message says at which line."""


def record(path: Path, **entry: object) -> None:
    """Append one line and flush it to the disk.

    Args:
        path: the site's audit.jsonl.
        entry: what happened; plain values.

    Raises:
        OSError: it could not be written: then nothing may be sent.
    """
    with _locked(path) as file:
        entry = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            **entry,
            "previous": _last_hash(file),
        }
        line = json.dumps(entry, sort_keys=True)
        file.write(f'{line[:-1]}, "sha256": "{_digest(line)}"}}\n'.encode())
        file.flush()
        os.fsync(file.fileno())


def entries(path: Path) -> list[dict[str, Any]]:
    """Return all lines, checked.

    Raises:
        AuditBroken: a line was changed, removed or inserted.
    """
    data = path.read_bytes() if path.exists() else b""
    known = _KNOWN.get(path, _Known(0, hashlib.sha256().digest(), _START, ()))
    if hashlib.sha256(data[: known.size]).digest() != known.sha256 or len(data) < known.size:
        known = _Known(0, b"", _START, ())
    previous, checked = known.last, list(known.entries)
    lines = data[known.size :].split(b"\n")
    if lines[-1]:
        raise AuditBroken(f"line {len(checked) + len(lines)} is cut off")
    for number, line in enumerate(lines[:-1], start=len(checked) + 1):
        entry = _parse(line, number)
        claimed = entry.pop("sha256", None)
        if claimed != _digest(json.dumps(entry, sort_keys=True)):
            raise AuditBroken(f"line {number} was changed")
        if entry.get("previous") != previous:
            raise AuditBroken(f"before line {number} lines were removed or put in")
        previous = str(claimed)
        checked.append(entry)
    while len(_KNOWN) >= _MOST_KNOWN:
        del _KNOWN[next(iter(_KNOWN))]
    _KNOWN[path] = _Known(len(data), hashlib.sha256(data).digest(), previous, tuple(checked))
    return checked


@dataclass(frozen=True)
class _Known:
    """Lines that this process has checked: the first `size` bytes, by their hash."""

    size: int
    sha256: bytes
    last: str
    entries: tuple[dict[str, Any], ...]


_KNOWN: dict[Path, _Known] = {}
_MOST_KNOWN = 16


def _parse(line: bytes, number: int) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        raise AuditBroken(f"line {number} is not readable") from None
    if not isinstance(entry, dict):
        raise AuditBroken(f"line {number} is not an entry")
    return entry


def _digest(line: str) -> str:
    return hashlib.sha256(line.encode()).hexdigest()


@contextmanager
def _locked(path: Path) -> Iterator[Any]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _last_hash(file: Any) -> str:
    """Return the hash of the last whole line; a line cut off by a crash is ended first."""
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        return _START
    file.seek(max(0, size - 65536))
    tail = file.read()
    if not tail.endswith(b"\n"):
        whole = tail.rfind(b"\n") + 1
        file.truncate(size - len(tail) + whole)
        tail = tail[:whole]
    last = tail.rstrip(b"\n").rpartition(b"\n")[2]
    return str(json.loads(last)["sha256"]) if last else _START
