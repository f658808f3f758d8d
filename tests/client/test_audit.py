"""The audit log shows whether a line was changed, dropped, put in or cut off."""

import json
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


def test_a_line_cut_off_by_a_crash_is_ended_and_the_chain_goes_on(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:-20])
    with pytest.raises(audit.AuditBroken, match="cut off"):
        audit.entries(path)
    audit.record(path, event="release", round=9)
    assert [e["round"] for e in audit.entries(path)] == [0, 1, 2, 3, 9]
