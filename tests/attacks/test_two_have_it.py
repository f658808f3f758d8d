"""Every kind of step, over a column that two patients of all have: it tells nothing of them.

Whoever those few are, what their values are and how many: the answer is word for word the
same. The kinds are taken from the registry, so that a new one has to be here.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from common.analyses import ANALYSES, runner
from common.analyses.moments import Moments
from common.analyses.runner import run
from common.cohort import Column
from common.step import Step
from common.table import Table

YES = Column(type="category", levels=("no", "yes"))
UNIT = Column(type="number", range=(0, 1))
CONTRACT = {
    "few": UNIT,
    "few2": UNIT,
    "few_yes": YES,
    "few_yes2": YES,
    "few_days": Column(type="integer", range=(0, 400)),
    "age": UNIT,
    "score": UNIT,
    "y": YES,
    "sex": YES,
    "days": Column(type="integer", range=(0, 400)),
    "died": YES,
}
SURVIVAL = {"time": "days", "event": "died"}
FEW_TIME = {"time": "few_days", "event": "died"}
FEW_EVENT = {"time": "days", "event": "few_yes"}
FITTED = [
    {"outcome": "y", "of": ["few", "age"], "folds": 0},
    {"outcome": "few_yes", "of": ["age", "score"], "folds": 0},
]
SCORED = [{"outcome": "y", "scores": ["few"]}, {"outcome": "few_yes", "scores": ["score"]}]
MODELLED: list[dict[str, Any]] = [
    {**SURVIVAL, "models": {"m": ["few", "age"]}},
    {**FEW_TIME, "models": {"m": ["age"]}},
    {**FEW_EVENT, "models": {"m": ["age"]}},
]
SETTINGS: Mapping[str, list[dict[str, Any]]] = {
    "describe": [
        {"of": ["few", "few_yes", "age"]},
        {"of": ["few", "few_yes", "age"], "by": "sex"},
        {"of": ["age", "y"], "by": "few_yes"},
    ],
    "missingness": [{"of": ["few", "age"]}, {"of": ["few"], "by": "sex"}],
    "moments": [{"of": ["few", "few_days", "age"]}],
    "histogram": [{"of": ["few", "age"], "by": "sex"}, {"of": ["age"], "by": "few_yes"}],
    "compare_groups": [
        *({"of": ["few", "age"], "by": "sex", "test": t} for t in ("welch", "mann_whitney")),
        *({"of": ["age", "few"], "by": "few_yes", "test": t} for t in ("anova", "levene")),
        {"of": ["age"], "by": "few_yes", "test": "kruskal_wallis"},
    ],
    "cross_tabulate": [
        {"of": ["few_yes", "y"], "by": "sex"},
        {"of": ["y"], "by": "few_yes", "test": "fisher"},
    ],
    "agreement_of_categories": [{"pairs": [["few_yes", "y"], ["few_yes", "few_yes2"]]}],
    "compare_paired": [{"pairs": [["few", "age"], ["few", "few2"], ["age", "score"]]}],
    "icc": [{"raters": [["few", "age"], ["few2", "score"]], "forms": ["ICC1", "ICC2", "ICC3"]}],
    "correlate": [
        *({"of": ["few", "age"], "method": m, "at_most": 0.9} for m in ("pearson", "spearman")),
        {"of": ["few", "age", "score"], "cluster_at": 0.5},
    ],
    "derive": [{"make": {"d": {"op": "sum", "of": {"few": 1, "age": 1}}}}],
    "standardise": [{"of": ["few", "age"]}, {"of": ["few", "age"], "folds": 3}],
    "combat": [{"of": ["few", "age"]}, {"of": ["age"], "covariates": ["few"]}],
    "univariable_logistic": [
        {"outcome": "y", "of": ["few", "age"]},
        {"outcome": "y", "of": ["age"], "adjust": ["few"]},
        {"outcome": "few_yes", "of": ["age"]},
    ],
    "logistic": [
        {"outcome": "y", "models": {"m": ["few", "age"]}},
        {"outcome": "y", "models": {"m": ["age", "few_yes"]}, "ridge": 1.0},
        {"outcome": "few_yes", "models": {"m": ["age"]}},
    ],
    "lasso": [
        *({**one, "folds": 3} for one in FITTED),
        {"outcome": "few", "of": ["age", "score"], "family": "linear", "folds": 3},
    ],
    "forest": [{**one, "trees": 3} for one in FITTED],
    "boosting": [{**one, "steps": 2, "parallel": 2} for one in FITTED],
    "svm": FITTED,
    "naive_bayes": FITTED,
    "prototypes": FITTED,
    "cluster": [{"of": ["few", "age"]}, {"of": ["age", "score"], "against": "few_yes"}],
    "roc": SCORED,
    "operating_point": SCORED,
    "calibration": SCORED,
    "decision_curve": SCORED,
    "reclassification": [
        {"outcome": "y", "old": "score", "new": ["few"], "categories": [0.5]},
        {"outcome": "few_yes", "old": "score", "new": ["age"], "categories": [0.5]},
    ],
    "kaplan_meier": [
        FEW_TIME,
        FEW_EVENT,
        {**SURVIVAL, "group": "few_yes", "at": [100]},
        {**SURVIVAL, "group": "few", "cut": 0.5},
        {**SURVIVAL, "group": "sex", "by": "few_yes"},
    ],
    "cutoff_scan": [
        {**SURVIVAL, "marker": "few", "cutoffs": [0.3, 0.6]},
        {**FEW_TIME, "marker": "age", "cutoffs": [0.3, 0.6]},
        {**SURVIVAL, "marker": "age", "cutoffs": [0.3, 0.6], "by": "few_yes"},
    ],
    "cox": [*MODELLED, {**SURVIVAL, "models": {"m": ["age"]}, "strata": ["few_yes"]}],
    "concordance": [{**one, "scores": ["few"]} for one in (SURVIVAL, FEW_TIME, FEW_EVENT)],
    "piecewise_exponential": MODELLED,
    "meta": [
        {"effect": "mean", "of": "few"},
        {"effect": "proportion", "outcome": "few_yes"},
        {"effect": "mean_difference", "of": "few", "outcome": "y"},
    ],
    "site_shapes": [],  # of one site at a time, counts with noise
    "site_distances": [],  # of what `site_shapes` has found
}
CASES = [
    pytest.param(kind, settings, id=f"{kind}-{i}")
    for kind, of in SETTINGS.items()
    for i, settings in enumerate(of)
]


def sites(few: Mapping[int, float]) -> list[Table]:
    """Return four sites of 96 patients, few of whom have the columns named so."""
    rng = np.random.default_rng(3)
    columns = {name: np.full(96, np.nan) for name in CONTRACT}
    for name in ("age", "score"):
        columns[name] = np.round(rng.random(96), 3)
    for k, name in enumerate(("y", "sex", "died")):
        columns[name] = np.arange(96.0) // 2**k % 2
    columns["days"] = rng.integers(1, 400, 96).astype(np.float64)
    for patient, value in few.items():
        columns["few"][patient], columns["few2"][patient] = value, value / 3
        columns["few_yes"][patient] = columns["few_yes2"][patient] = float(value > 0.5)
        columns["few_days"][patient] = round(value * 400)
    table = Table(columns, CONTRACT, np.array([f"p{i}" for i in range(96)]))
    return [table.rows(np.arange(96) % 4 == site) for site in range(4)]


def answer_of(step: Step, few: Mapping[int, float]) -> tuple[str, list[list[float]]]:
    """Return what is printed, and the arrays that go with it."""
    found = run(step, sites(few))  # type: ignore[arg-type]
    arrays = [np.asarray(array, np.float64).ravel().tolist() for array in found.arrays.values()]
    return json.dumps(found.values, indent=1), arrays


TWO = {5: 0.372, 42: 0.914}
OTHERS = (
    {5: 0.613, 42: 0.129},  # other values
    {6: 0.372, 47: 0.914},  # other patients: of another class, sex and outcome
    {5: 0.372, 42: 0.914, 43: 0.205, 76: 0.871},  # four of them
    {5: 0.372},  # one
)


def test_every_kind_is_here() -> None:
    kinds = {kind.model_fields["kind"].default for kind in ANALYSES}
    assert kinds == SETTINGS.keys()


@pytest.mark.parametrize(("kind", "settings"), CASES)
def test_few_are_not_told_of(kind: str, settings: dict[str, Any]) -> None:
    known = {one.model_fields["kind"].default: one for one in ANALYSES}
    step = known[kind].model_validate({"kind": kind, **settings})
    printed, arrays = answer_of(step, TWO)
    for other in OTHERS:
        again, moved = answer_of(step, other)
        assert again == printed
        np.testing.assert_equal(moved, arrays)


def test_without_the_rule_a_mean_of_two_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "without_few", lambda answer: answer)
    printed, _ = answer_of(Moments(of=("few",)), TWO)
    assert json.loads(printed)["columns"]["few"]["mean"] == pytest.approx((0.372 + 0.914) / 2)
