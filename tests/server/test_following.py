"""What follows from an earlier step's refusal says so, and nobody is told to go on in vain."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from client import steps
from client.check_all import check_simulated
from client.site import Site
from client.tables import keep_columns
from server.ending import gaps_in_words
from server.journal import read_events
from server.report.words import failure_in_words, loss_in_words
from server.run import Run
from server.simulate import simulate
from tests.runs import make_run

STUDY = """
name: tables
cohort:
  columns:
    age: {type: integer, range: [18, 100]}
    marker: {type: number, range: [0, 50]}
steps:
  made: {kind: derive, make: {low: {op: sum, of: {marker: 1}, range: [0, 40]}}}
  scaled: {kind: standardise, of: [made.low]}
  first: {kind: moments, of: [made.low], over: [each]}
  second: {kind: moments, of: [scaled.made.low], over: [each]}
"""


def _markers(run: Run, value: float) -> None:
    """Give one patient of south a marker, out of the formula's range or in it."""
    path = run.folder.parents[1] / "cohorts" / "south" / "cohort.csv"
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    for i, row in enumerate(rows):
        row["marker"] = str(value if i == 0 else min(float(row["marker"]), 30))
    with path.open("w", encoding="utf-8", newline="") as file:
        sheet = csv.DictWriter(file, rows[0].keys())
        sheet.writeheader()
        sheet.writerows(rows)


def _failed(run: Run) -> dict[str, dict[str, str]]:
    text = (run.folder / "answers.json").read_text(encoding="utf-8")
    failed: dict[str, dict[str, str]] = json.loads(text)["failed"]
    return failed


def test_a_refused_formula_is_named_where_its_column_is_read(tmp_path: Path) -> None:
    run = make_run(tmp_path, study=STUDY)
    _markers(run, 45)
    told = [p.text for p in check_simulated(tmp_path / "study.yaml", tmp_path / "sites.yaml", None)]
    (formula,) = [text for text in told if "will refuse `derive`" in text]
    assert "made.low leaves out 1 patient whose numbers are there" in formula
    simulate(run, engine="threads")
    why = "too few sites: selection_too_small of made"
    assert _failed(run) == {"first": {"site.south": why}, "second": {"site.south": why}}
    events = [e for e in read_events(run.folder / "journal.jsonl") if e["event"] == "lost"]
    follow = [e for e in events if e["reason"] == "not_made"]
    assert {e["problem"].split("/")[0] for e in follow} >= {"first", "second"}
    for event in follow:
        assert event["follows"] == {"step": "made", "reason": "selection_too_small"}
        assert loss_in_words(event).startswith("follows from made, where the site gave nothing")
    said = gaps_in_words(run)
    assert failure_in_words(why) in said
    assert "resume" not in said
    assert said.endswith("and run it anew")


def test_columns_that_a_failing_site_did_not_make_are_made_on_going_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(site: Site, *rest: Any) -> None:
        if site.name == "south":
            raise OSError("no such disk")
        keep_columns(site, *rest)

    run = make_run(tmp_path, study=STUDY)
    with monkeypatch.context() as patch:
        patch.setattr(steps, "keep_columns", broken)
        simulate(run, engine="threads")
    assert _failed(run)["first"] == {"site.south": "too few sites: internal of made"}
    assert "once enough sites can answer, go on with: consortium resume" in gaps_in_words(run)
    simulate(run, engine="threads")
    assert _failed(run) == {}
    assert gaps_in_words(run) == ""
