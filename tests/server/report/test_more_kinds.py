"""More kinds of answer as the page shows them, each computed by the analysis itself."""

from pathlib import Path
from typing import Any

import pytest

from common.analyses.compare_groups import CompareGroups
from common.analyses.histogram import Histogram
from common.analyses.roc import Roc
from common.analyses.runner import run
from tests.server.report.test_kinds import patients, roc_step, shown


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


def test_many_scores_leave_their_areas_to_the_table(folder: Path) -> None:
    values: Any = dict(run(roc_step(), [patients(300)]).values)
    names = ("old", "new", "age", "reader_a", "reader_b")
    values["scores"] = dict.fromkeys(names, values["scores"]["new"])
    step = Roc(outcome="response", scores=names, bootstrap=0)
    (figure,) = shown(folder, step, {"development": values}).figures
    assert ">AUC 0." not in figure.svg
    assert "AUC 0." in shown(folder, roc_step()).figures[0].svg
    assert "stands in the table below" in figure.caption


def test_a_difference_stands_with_its_interval_and_effect(folder: Path) -> None:
    step = CompareGroups(of=("age",), by="response", test="t")
    found: Any = run(step, [patients(300)]).values["columns"]["age"]  # type: ignore[index,call-overload]
    text = shown(folder, step).text
    ends = f"({found['ci_low']:.2f} to {found['ci_high']:.2f})"
    assert f"{found['estimate']:.2f} {ends}" in text
    assert f"{found['hedges_g']:.3f}" in text
    assert "group yes less group no" in text
    ranks = shown(folder, CompareGroups(of=("age",), by="response", test="mann_whitney"))
    assert "AUC: the chance that a case of group yes" in ranks.text


def test_a_histogram_has_bars_and_says_its_noise(folder: Path) -> None:
    step = Histogram(of=("age",), by="response", bins=8)
    found = shown(folder, step)
    assert [figure.name for figure in found.figures] == ["step-bars-development"]
    assert "Response: yes" in found.text
    bars = {"n": 40, "edges": [0.0, 1.0, 2.0], "counts": {"all": [22, -3]}}
    noisy = {"n": 40, "noise": {"sd": 4.0}, "columns": {"old": bars}}
    (figure,) = shown(folder, Histogram(of=("old",), edges=(0, 1, 2)), {"all": noisy}).figures
    assert "8.00) of the random noise" in figure.caption
