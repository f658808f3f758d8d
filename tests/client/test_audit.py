"""The audit log shows whether a line was changed, dropped, put in or cut off."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from client import audit


@pytest.fixture
def path(tmp_path: Path) -> Path:
    log = tmp_path / "audit.jsonl"
    for i in range(5):
        audit.record(log, event="release", round=i)
    return log


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines(keepends=True)


def test_an_untouched_log_holds(path: Path) -> None:
    assert [e["round"] for e in audit.entries(path)] == [0, 1, 2, 3, 4]


def test_a_changed_line_is_found(path: Path) -> None:
    path.write_text(path.read_text().replace('"round": 2', '"round": 7'))
    with pytest.raises(audit.AuditBroken, match="line 3 was changed"):
        audit.entries(path)


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda lines: [lines[0].replace('"round": 0', '"round": 7'), *lines[1:]], "was changed"),
        (lambda lines: lines[:1] + lines[2:], "removed or put in"),
        (lambda lines: lines[:4], "cut off at the end"),
        (lambda lines: ["nothing of ours\n", *lines[1:]], "not readable"),
    ],
)
def test_a_check_without_reading_the_lines_finds_it_too(
    path: Path, harm: Callable[[list[str]], list[str]], words: str
) -> None:
    audit.check(path)
    path.write_text("".join(harm(_lines(path))))
    with pytest.raises(audit.AuditBroken, match=words):
        audit.check(path)


def test_a_changed_line_with_a_new_hash_is_found_by_the_next(path: Path) -> None:
    lines = _lines(path)
    entry = json.loads(lines[2])
    del entry["sha256"]
    entry["round"] = 7
    body = json.dumps(entry, sort_keys=True)
    lines[2] = f'{body[:-1]}, "sha256": "{audit._digest(body)}"}}\n'
    path.write_text("".join(lines))
    with pytest.raises(audit.AuditBroken, match="before line 4"):
        audit.entries(path)


@pytest.mark.parametrize("gone", [0, 1, 3])
def test_a_removed_line_is_found(path: Path, gone: int) -> None:
    lines = _lines(path)
    path.write_text("".join(lines[:gone] + lines[gone + 1 :]))
    with pytest.raises(audit.AuditBroken, match="removed or put in"):
        audit.entries(path)


def test_an_inserted_line_is_found(path: Path) -> None:
    lines = _lines(path)
    path.write_text("".join([*lines[:2], lines[1], *lines[2:]]))
    with pytest.raises(audit.AuditBroken, match="removed or put in"):
        audit.entries(path)


@pytest.mark.parametrize("n", [1, 3, 5])
def test_lines_removed_at_the_end_are_found_and_nothing_is_added(path: Path, n: int) -> None:
    path.write_text("".join(_lines(path)[:-n]))
    with pytest.raises(audit.AuditBroken, match="cut off at the end"):
        audit.entries(path)
    with pytest.raises(audit.AuditBroken, match="cut off at the end"):
        audit.record(path, event="release", round=9)
    assert len(_lines(path)) == 5 - n


def test_a_last_line_cut_short_is_found(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(audit.AuditBroken, match="cut off at the end"):
        audit.entries(path)


def test_other_lines_of_the_same_length_are_found(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    for i in range(5):
        audit.record(other, event="release", round=9 - i)
    path.write_bytes(other.read_bytes())
    with pytest.raises(audit.AuditBroken, match="line 5 is not the one"):
        audit.entries(path)
    with pytest.raises(audit.AuditBroken, match="line 5 is not the one"):
        audit.record(path, event="release", round=9)


@pytest.mark.parametrize("how", ["gone", "unreadable"])
def test_a_log_without_its_head_is_found(path: Path, how: str) -> None:
    head = audit.head_path(path)
    head.unlink() if how == "gone" else head.write_text("5 lines\n")
    for look in (lambda: audit.entries(path), lambda: audit.record(path, event="release")):
        with pytest.raises(audit.AuditBroken):
            look()


def test_a_crash_at_any_byte_is_no_tampering(path: Path) -> None:
    """Nothing is written but the line, from its first byte on, and then the head."""
    before, head = path.read_bytes(), audit.head_path(path).read_bytes()
    audit.record(path, event="release", round=5)
    line = path.read_bytes()[len(before) :]
    for written in (0, 1, len(line) // 2, len(line) - 1, len(line)):
        path.write_bytes(before + line[:written])
        audit.head_path(path).write_bytes(head)
        whole = [0, 1, 2, 3, 4] + [5] * (written == len(line))
        assert [e["round"] for e in audit.entries(path)] == whole
        audit.record(path, event="release", round=6)
        assert [e["round"] for e in audit.entries(path)] == [*whole, 6]


@pytest.mark.parametrize("head", [None, b""])
def test_a_crash_before_the_first_line_is_no_tampering(tmp_path: Path, head: bytes | None) -> None:
    log = tmp_path / "audit.jsonl"
    log.write_bytes(b'{"half a li')
    if head is not None:
        audit.head_path(log).write_bytes(head)
    assert audit.entries(log) == []
    audit.record(log, event="release", round=0)
    assert [e["round"] for e in audit.entries(log)] == [0]


def test_a_real_kill_at_any_moment_leaves_a_log_that_holds(tmp_path: Path) -> None:
    log = tmp_path / "audit.jsonl"
    writes = (
        "import sys; from pathlib import Path; from client import audit\n"
        "i = 0\n"
        "while True: audit.record(Path(sys.argv[1]), event='release', i=i); i += 1\n"
    )
    n = 0
    for _ in range(4):
        writer = subprocess.Popen([sys.executable, "-c", writes, str(log)])
        end = time.monotonic() + 20
        while time.monotonic() < end and (not log.exists() or log.stat().st_size < 400 * (n + 9)):
            time.sleep(0.001)
        writer.kill()
        writer.wait()
        entries = audit.entries(log)
        assert len(entries) > n
        n = len(entries)
