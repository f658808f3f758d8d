"""Bad input: a reason the coordinator understands, the details in the site's log only."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.site import load_site
from common.analyses.analysis import Answer
from common.analyses.cox import Cox
from common.analyses.forest import Forest
from common.analyses.kaplan_meier import KaplanMeier
from common.analyses.lasso import Lasso
from common.analyses.logistic import Logistic
from common.analyses.naive_bayes import NaiveBayes
from common.analyses.roc import Roc
from common.analyses.runner import run
from common.analyses.svm import Svm
from common.cohort import Column
from common.errors import ConfigError
from common.study import read_study
from common.table import Table
from server.run import Run
from server.simulate import simulate
from tests.attacks.coordinator import COLUMNS, cohorts, coordinator

STEPS = "  table1: {kind: describe, of: [age, sex]}\n"


def _spoilt(folder: Path, column: str, value: object, steps: str = STEPS, **policy: Any) -> Run:
    """Run a study where one site's cases have a bad value of one column."""
    patients = cohorts()
    for row in patients["east"]:
        row[column] = value
    run_ = coordinator(folder, steps, patients, **policy).run
    simulate(run_, engine="threads")
    return run_


def _lost(run_: Run) -> dict[str, str]:
    lines = (run_.folder / "journal.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    return {e["site"]: e["reason"] for e in events if e["event"] == "lost"}


def _audit(run_: Run, site: str) -> str:
    home = load_site(run_.folder / "sites" / site / "site.yaml")
    return (home.workspace / "audit.jsonl").read_text()


@pytest.mark.parametrize(("column", "value"), [("age", "sixty"), ("sex", "unknown"), ("days", -37)])
def test_values_that_do_not_fit_lose_the_site_and_stay_there(
    tmp_path: Path, column: str, value: object
) -> None:
    ended = _spoilt(tmp_path, column, value)
    assert _lost(ended) == {"east": "cohort_invalid"}
    journal = (ended.folder / "journal.jsonl").read_text()
    assert f'"{value}"' not in journal
    assert "cohort_invalid" in _audit(ended, "east")


def test_more_coefficients_than_the_policy_allows_are_refused_in_a_word(tmp_path: Path) -> None:
    steps = "  m: {kind: logistic, outcome: sex, models: {m: [age, marker, days, code]}}\n"
    ended = _spoilt(tmp_path, "age", 60, steps, most_coefficients_per_patient=0.05)
    failed = json.loads((ended.folder / "answers.json").read_text())["failed"]
    assert "model_saturated" in failed["m"]["development"]


def test_names_that_nothing_stands_behind_are_told_before_anything_runs() -> None:
    text = COLUMNS + (
        "  a: {kind: logistic, outcome: sex, models: {m: [agge]}}\n"
        "  b: {kind: describe, of: [marker], cases: {where: {sex: [x]}}}\n"
    )
    with pytest.raises(ConfigError) as caught:
        read_study(text, "study.yaml")
    assert 'did you mean "age"' in str(caught.value)
    assert 'unknown level "x"' in str(caught.value)


def test_a_selection_by_a_made_column_is_told_before_anything_runs() -> None:
    text = COLUMNS + (
        "  d: {kind: derive, make: {old: {op: below, of: [age], cut: 50}}}\n"
        "  b: {kind: describe, of: [marker], cases: {where: {d.old: ['yes']}}}\n"
    )
    with pytest.raises(ConfigError, match="selects by categories of the cohort"):
        read_study(text, "study.yaml")


CONTRACT = {
    "y": Column(type="category", levels=("n", "p")),
    "score": Column(type="number", range=(0, 1)),
    "x": Column(type="number"),
    "z": Column(type="number"),
    "days": Column(type="integer", range=(0, 400)),
}
FITS = [
    Logistic(outcome="y", models={"m": ("x", "z")}),
    Lasso(outcome="y", of=("x", "z"), folds=3),
    Forest(outcome="y", of=("x", "z"), trees=3, depth=2),
    NaiveBayes(outcome="y", of=("x", "z")),
    Svm(outcome="y", of=("x", "z"), folds=0),
    Roc(outcome="y", scores=("score",), bootstrap=0),
    Cox(time="days", event="y", models={"m": ("x",)}),
    KaplanMeier(time="days", event="y"),
]


def _tables(*classes: float | None) -> list[Table]:
    """Return sites of 40 cases whose outcome is of one class, or of both."""
    found = []
    for seed, one in enumerate(classes):
        rng = np.random.default_rng(seed)
        x, n = rng.normal(size=(40, 2)), 40
        y = (x[:, 0] + rng.normal(size=n) > 0) * 1.0 if one is None else np.full(n, one)
        columns = {"y": y, "score": rng.random(n), "x": x[:, 0], "z": x[:, 1]}
        columns["days"] = rng.integers(1, 400, n).astype(float)
        found.append(Table(columns, CONTRACT, np.array([f"{seed}-{i}" for i in range(n)])))
    return found


@pytest.mark.parametrize("step", FITS, ids=lambda s: s.kind)
def test_an_outcome_constant_everywhere_is_said_in_words(step: Any) -> None:
    answer: Answer = run(step, _tables(0.0, 0.0, 0.0))
    text = json.dumps(answer.values, allow_nan=False)
    if step.kind != "kaplan_meier":  # a curve without events is a curve
        assert any(words in text for words in ("one class", "no event", "fewer than"))


@pytest.mark.parametrize("step", FITS, ids=lambda s: s.kind)
def test_an_outcome_constant_at_one_site_is_no_trouble(step: Any) -> None:
    """The site of one class counts; the answer is that of the pooled rows."""
    answer = run(step, _tables(None, None, 0.0))
    assert answer.values["n"] == 120
    json.dumps(answer.values, allow_nan=False)
