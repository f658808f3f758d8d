"""A site's log of everything it let out or refused: one hash-chained line each.

A line is flushed to the disk before the reply is sent; each holds the sha256 of the one
before it, so that none can be changed, dropped or put in without it being seen. How long
the log is and how it ends stands in a second file beside it, the head: lines cut off at
the end leave a chain that holds, but a head that names more.

The head is written after the line. So a crash between the two leaves a log that goes on
beyond its head, never one that ends before it: the first is an accident and is taken
up, the second is not. Whoever may write both files can cut both; that shows only
against a line that somebody noted elsewhere (`consortium site audit` prints the last).
"""

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_START = "0" * 64
_HEAD = re.compile(rb"(\d{12}) (\d{16}) ([0-9a-f]{64})\n")
_HEAD_BYTES = 12 + 1 + 16 + 1 + 64 + 1
_SEAL = re.compile(rb', "sha256": "([0-9a-f]{64})"\}')
_SEAL_BYTES = len(', "sha256": ""}') + 64


class AuditBroken(Exception):
    """The chain does not hold, or ends too early; the message says where."""


@dataclass(frozen=True)
class Head:
    """How a log ends.

    Attributes:
        n: lines.
        size: bytes of these lines.
        sha256: of the last one.
    """

    n: int = 0
    size: int = 0
    sha256: str = _START


def record(path: Path, **entry: object) -> None:
    """Append one line and flush it to the disk.

    Args:
        path: the site's audit.jsonl.
        entry: what happened; plain values.

    Raises:
        AuditBroken: the log is not as its head says: then nothing may be sent.
        OSError: it could not be written: then nothing may be sent.
    """
    with _locked(path) as file:
        end = _end(path, file)
        entry = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            **entry,
            "previous": end.sha256,
        }
        body = json.dumps(entry, sort_keys=True)
        line = f'{body[:-1]}, "sha256": "{_digest(body)}"}}\n'.encode()
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
        _write_head(path, Head(end.n + 1, end.size + len(line), _digest(body)))


def check(path: Path) -> None:
    """Check a log and keep none of its lines: a hospital's grows for years.

    Raises:
        AuditBroken: lines were changed, removed or put in, at the end too.
    """
    head = read_head(path)  # first: a line written meanwhile makes the log longer, not shorter
    data = path.read_bytes() if path.exists() else b""
    previous, number = _START, 0
    for number, line in enumerate(_whole(data).splitlines(), start=1):
        _, previous = _unsealed(line, number, previous)
    _agrees(head, data, number)


def entries(path: Path) -> list[dict[str, Any]]:
    """Return all lines, checked.

    A line that a crash cut short while it was written is left out: nothing was sent for it.

    Raises:
        AuditBroken: lines were changed, removed or put in, at the end too.
    """
    head = read_head(path)  # first, as in `check`
    data = path.read_bytes() if path.exists() else b""
    whole = _whole(data)
    known = _known_of(path, whole)
    previous, checked = known.last, list(known.entries)
    for number, line in enumerate(whole[known.size :].splitlines(), start=len(checked) + 1):
        entry, previous = _checked(line, number, previous)
        checked.append(entry)
    _agrees(head, data, len(checked))
    while len(_KNOWN) >= _MOST_KNOWN:
        del _KNOWN[next(iter(_KNOWN))]
    _KNOWN[path] = _Known(len(whole), hashlib.sha256(whole).digest(), previous, tuple(checked))
    return checked


@dataclass(frozen=True)
class _Known:
    """Lines that this process has checked: the first `size` bytes, by their hash."""

    size: int = 0
    sha256: bytes = b""
    last: str = _START
    entries: tuple[dict[str, Any], ...] = ()


_KNOWN: dict[Path, _Known] = {}
_MOST_KNOWN = 16


def _known_of(path: Path, data: bytes) -> _Known:
    """Return what was checked of a log, as far as it still begins so."""
    known = _KNOWN.get(path, _Known())
    same = hashlib.sha256(data[: known.size]).digest() == known.sha256
    return known if same and len(data) >= known.size else _Known()


def read_head(path: Path) -> Head | None:
    """Return what the head of a log says, or None where nothing was logged yet.

    Raises:
        AuditBroken: there is a head, but not a readable one.
    """
    try:
        data = head_path(path).read_bytes()
    except FileNotFoundError:
        return None
    if not data:  # a crash came between making it and writing it
        return None
    found = _HEAD.fullmatch(data)
    if found is None:
        raise AuditBroken(f"{head_path(path).name} is not readable")
    return Head(int(found[1]), int(found[2]), found[3].decode())


def head_path(path: Path) -> Path:
    """Return the file with the head of a log."""
    return path.with_name(f"{path.name}.head")


def _agrees(head: Head | None, data: bytes, n_lines: int) -> None:
    """Check a log whose chain holds against its head."""
    if head is None:
        if n_lines:
            raise AuditBroken(_headless(n_lines))
        return
    if n_lines < head.n:
        detail = f"{n_lines} lines, but {head.n} were written: lines were cut off at the end"
        raise AuditBroken(detail)
    if not _ends_with(data[: head.size], head) or data[: head.size].count(b"\n") != head.n:
        raise AuditBroken(f"line {head.n} is not the one that was written")


def _end(path: Path, file: Any) -> Head:
    """Return how the log really ends; what a crash left behind is put right.

    Lines beyond the head must go on from it. A line that was cut short is taken away.
    """
    size = file.seek(0, os.SEEK_END)
    head = read_head(path)
    if head is None:
        file.seek(0)
        if n_lines := file.read().count(b"\n"):
            raise AuditBroken(_headless(n_lines))
        head = Head()
        _write_head(path, head)  # before the first line: a log with lines always has one
    if size < head.size:
        raise AuditBroken(f"the log ends before its line {head.n}: lines were cut off at the end")
    before = min(head.size, 256)
    file.seek(head.size - before)
    tail = file.read(before + size)
    if head.n and not _ends_with(tail[:before], head):
        raise AuditBroken(f"line {head.n} is not the one that was written")
    beyond, end = tail[before:], head
    whole = _whole(beyond)
    if len(whole) < len(beyond):
        file.truncate(head.size + len(whole))
    for line in whole.splitlines():
        _, sha256 = _checked(line, end.n + 1, end.sha256)
        end = Head(end.n + 1, end.size + len(line) + 1, sha256)
    return end


def _headless(n_lines: int) -> str:
    return f"{n_lines} lines, but the file that says how the log ends is gone"


def _ends_with(data: bytes, head: Head) -> bool:
    return data.endswith(f'"sha256": "{head.sha256}"}}\n'.encode())


def _whole(data: bytes) -> bytes:
    """Return the lines that were written to their end."""
    return data[: data.rfind(b"\n") + 1]


def _checked(line: bytes, number: int, previous: str) -> tuple[dict[str, Any], str]:
    """Return one line's entry and its hash."""
    body, sha256 = _unsealed(line, number, previous)
    try:
        entry = json.loads(body)
    except ValueError:
        raise AuditBroken(f"line {number} is not readable") from None
    if not isinstance(entry, dict) or entry.get("previous") != previous:
        raise AuditBroken(f"line {number} is not an entry")
    return entry, sha256


def _unsealed(line: bytes, number: int, previous: str) -> tuple[bytes, str]:
    """Return the text that a line's hash is of, and the hash; reads no more of it than that."""
    seal = _SEAL.fullmatch(line[-_SEAL_BYTES:])
    if seal is None:
        raise AuditBroken(f"line {number} is not readable")
    body, claimed = line[:-_SEAL_BYTES] + b"}", seal[1].decode()
    if claimed != hashlib.sha256(body).hexdigest():
        raise AuditBroken(f"line {number} was changed")
    if f'"previous": "{previous}"'.encode() not in body:
        raise AuditBroken(f"before line {number} lines were removed or put in")
    return body, claimed


def _digest(line: str) -> str:
    return hashlib.sha256(line.encode()).hexdigest()


def _write_head(path: Path, head: Head) -> None:
    """Write the head in place, in one write of less than a sector.

    Only a new one is waited for: after a power failure an older head is no contradiction.
    """
    target = head_path(path)
    new = not target.exists()
    data = f"{head.n:012d} {head.size:016d} {head.sha256}\n".encode()
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        if os.pwrite(descriptor, data, 0) != _HEAD_BYTES:
            raise OSError(f"{target} could not be written whole")
        if new:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _locked(path: Path) -> Iterator[Any]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file
