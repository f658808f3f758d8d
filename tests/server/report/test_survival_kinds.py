"""Survival as the page shows it: numbers at risk, hidden groups, and what is said of tests."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.analyses.kaplan_meier import KaplanMeier
from common.analyses.runner import run
from tests.server.report.test_kinds import patients, shown


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


def test_kaplan_meier_has_numbers_at_risk_and_pairs(folder: Path) -> None:
    step = KaplanMeier(time="days", event="died", group="arm", at=(0, 200, 400))
    found = shown(folder, step)
    svg = found.figures[0].svg
    assert "At risk" in svg
    assert "Arm: c" in svg
    assert "Log-rank: chi-square" in found.text
    assert "Arm: a against b" in found.text
    assert "by Arm; groups are compared by the log-rank test" in found.sentence


def test_kaplan_meier_without_groups_compares_none(folder: Path) -> None:
    found = shown(folder, KaplanMeier(time="days", event="died", by="arm"))
    assert found.sentence.startswith("Kaplan-Meier curves of Death over ")
    assert "for each Arm." in found.sentence
    assert "compared" not in found.sentence
    assert "og-rank" not in found.text + found.figures[0].svg


def test_kaplan_meier_hides_a_small_group(folder: Path) -> None:
    step = KaplanMeier(time="days", event="died", group="arm")
    values: Any = run(step, [patients(300)]).values
    groups = values["strata"]["all"]["groups"]
    groups |= {"b": {"n": 99, "events": None}, "c": {"n": None, "note": "fewer than 5 patients"}}
    test = {"chi2": None, "df": 2, "p": None, "p_below": 0.05}
    values["strata"]["all"]["log_rank"] = test
    values["strata"]["all"]["log_rank_by_site"] = {**test, "p_below": None}
    found = shown(folder, step, {"development": values})
    shown_as = ("Arm: b | 99 | hidden |", "Arm: c | hidden |", "Hidden: fewer than five in a")
    tests = ("Log-rank: df 2, p < 0.05.", "Stratified by site: df 2, p 0.05 or more.")
    assert all(words in found.text for words in (*shown_as, *tests))
    assert "log-rank p &lt; 0.05" in found.figures[0].svg


def test_few_deaths_of_a_group_leave_no_digits_of_a_log_rank_p(folder: Path) -> None:
    table = patients(300)
    few = table.columns["arm"] == 1
    table.columns["died"][few] = (np.arange(few.sum()) < 3).astype(float)
    step = KaplanMeier(time="days", event="died", group="arm")
    answer: Any = dict(run(step, [table]).values)
    for test in [answer["strata"]["all"][key] for key in ("log_rank", "log_rank_by_site")]:
        assert test["p"] is None
        assert "p_below" in test
    text = shown(folder, step, {"development": answer}).text
    said = [words for words in text.split(" | ") if words.startswith(("Log-rank:", "Strat"))]
    assert len(said) == 2
    assert all(words.endswith(("p < 0.001.", "p < 0.05.", "p 0.05 or more.")) for words in said)
