"""A whole radiomics study, of the form of design 5, in at most 60 rounds."""

import re
from pathlib import Path

import pytest

from scripts import whole_study


def test_a_whole_study_needs_at_most_sixty_rounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fewer trees and features than the script has: no round is for their number."""
    few = re.sub(r"trees: \d+", "trees: 10", whole_study.STUDY.read_text())
    (tmp_path / "template.yaml").write_text(few)
    monkeypatch.setattr(whole_study, "STUDY", tmp_path / "template.yaml")
    monkeypatch.setattr("sys.argv", ["whole_study.py", str(tmp_path), "--features", "30"])
    assert whole_study.main() == 0, capsys.readouterr().out
