"""Who was put aside by the check of a cohort is written once a run, also without images."""

import logging
from pathlib import Path

import pytest

from client import quarantine
from client.quarantine import COHORT_CHECK, FILE, Aside, write_asides, write_cohort_asides

SAID = "row 1: age: 300 is out of range"
CHECKED = [Aside(f"c{i}", COHORT_CHECK, "value", SAID) for i in (1, 2)]


class _Lines(logging.Handler):
    """What a logger is told, whatever handlers other tests have left above it."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def test_the_file_and_the_log_name_them_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = _Lines()
    monkeypatch.setattr(quarantine.log, "handlers", [heard])
    write_cohort_asides(tmp_path, CHECKED)
    write_asides(tmp_path, CHECKED, "radiomics", [Aside("c3", "radiomics", "failed", "empty")])
    write_cohort_asides(tmp_path, CHECKED)
    text = (tmp_path / FILE).read_text(encoding="utf-8")
    assert text.splitlines()[1] == f"c1,{COHORT_CHECK},value,{SAID}"
    assert len(text.splitlines()) == 4
    assert [line.split(":")[0] for line in heard.lines] == ["c1", "c2"]
    assert all(SAID in line for line in heard.lines)
