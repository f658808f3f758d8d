"""A step that the report cannot show takes nothing else off the page, and is named."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.errors import ConfigError
from server.cli import WITH_LOSSES, main
from server.report import write
from server.report.blocks import Section
from server.report.kinds import describe
from server.report.record import Record
from server.report.view import StepView
from tests.server.report.folders import answers, journal, page_of, write_run


def broken(view: StepView) -> None:
    raise RuntimeError(f"no page for {view.name}")


def test_a_step_that_cannot_be_shown_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = write_run(tmp_path / "run", journal(answers()))
    whole = page_of(run)
    monkeypatch.setattr(describe, "blocks", broken)
    page = page_of(run)
    assert "Step table_1 cannot be shown here" in page
    assert "Step accuracy cannot be shown here" in page
    assert whole.count("<section id=") == page.count("<section id=")
    assert page.count("<svg") >= 1  # the training's
    assert "RuntimeError: no page for table_1" in caplog.text


def test_a_section_that_cannot_be_made_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rounds(record: Record) -> Iterator[Section]:
        raise ZeroDivisionError(record.run.id)

    monkeypatch.setattr(write, "_SECTIONS", (("Rounds", rounds), *write._SECTIONS[:2]))
    page = page_of(write_run(tmp_path / "run", journal(answers())))
    assert "Section &#34;Rounds&#34; cannot be shown here" in page
    assert '<section id="rounds"' in page
    assert '<section id="study"' in page


def test_the_command_says_what_is_left_out_and_ends_with_a_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "run", journal(answers()))
    monkeypatch.setattr("server.report.sections.steps.blocks_of", broken)
    monkeypatch.setattr(sys, "argv", ["consortium", "report", str(run.folder)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == WITH_LOSSES
    said = capsys.readouterr()
    assert said.out.strip() == str(run.folder / "report.html")
    assert "left out of the report, by a mistake of its own: step table_1, step" in said.err


def test_a_study_that_cannot_be_read_is_no_mistake_of_the_report(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", journal(answers()), study="name: [1]")
    with pytest.raises(ConfigError):
        page_of(run)
