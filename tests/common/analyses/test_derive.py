"""Derived columns: the arithmetic of a study, case by case."""

import numpy as np
import pytest

from common.analyses.analysis import Answer
from common.analyses.derive import Derive
from common.analyses.runner import Cost, run
from common.errors import ConfigError
from common.study import read_study
from tests.common.analyses.tables import clinical

MAKE = {
    "index": {"op": "product", "of": {"raw": 1, "age": -2}, "factor": 10, "range": (-1e4, 1e4)},
    "gap": {"op": "sum", "of": {"age": 1, "marker": -2}, "offset": 5},
    "log2": {"op": "log", "of": ["marker"], "base": 2},
    "low": {"op": "below", "of": ["index"], "cut": {"f": 70, "m": 90}, "by": "sex"},
    "old": {"op": "below", "of": ["age"], "cut": 60},
}


def derived(**changes):
    return Derive(make={**MAKE, **changes})


def test_columns_are_what_the_formulas_say() -> None:
    table = clinical(200, seed=3)
    made = derived().columns_from(table, Answer({}))
    t = table.columns
    np.testing.assert_allclose(made["index"], 10 * t["raw"] / t["age"] ** 2)
    np.testing.assert_allclose(made["gap"], 5 + t["age"] - 2 * t["marker"])
    np.testing.assert_allclose(made["log2"], np.log2(t["marker"]))
    cut = np.where(t["sex"] == 0, 70, 90)
    known = ~np.isnan(t["age"])
    np.testing.assert_array_equal(made["low"][known], (made["index"] < cut)[known])
    np.testing.assert_array_equal(made["old"][known], (t["age"] < 60)[known])
    assert np.isnan(made["low"][~known]).all()
    assert np.isnan(made["old"][~known]).all()


def test_what_is_not_finite_or_out_of_range_is_missing() -> None:
    table = clinical(50, seed=1)
    table.columns["marker"][:3] = 0.0
    made = derived(index={"op": "product", "of": {"marker": -1}, "range": (0, 0.5)})
    found = made.columns_from(table, Answer({}))
    expected = np.full(50, np.nan)
    inverse = 1 / table.columns["marker"][3:]
    expected[3:] = np.where(inverse <= 0.5, inverse, np.nan)
    np.testing.assert_array_equal(found["index"], expected)
    assert np.isnan(found["log2"][:3]).all()


def test_it_reads_what_it_does_not_make_and_asks_nobody() -> None:
    step, cost = derived(), Cost()
    assert step.columns() == ("raw", "age", "marker", "sex")
    assert step.produces()["low"].levels == ("no", "yes")
    assert run(step, [clinical(20, seed=1)], cost=cost).values["columns"] == [*MAKE]
    assert cost.rounds == 0


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ({"op": "sum", "of": {"sex": 1}}, "got categories"),
        ({"op": "below", "of": ["age"], "cut": {"x": 1}, "by": "sex"}, "unknown levels"),
    ],
)
def test_arithmetic_on_categories_and_unknown_levels_is_refused(formula, words) -> None:
    with pytest.raises(ValueError, match=words):
        run(Derive(make={"new": formula}), [clinical(20, seed=1)])


def test_a_cut_by_level_needs_its_category() -> None:
    with pytest.raises(ValueError, match="expected one number as cut"):
        Derive(make={"new": {"op": "below", "of": ["age"], "cut": {"f": 1}}})


_COHORT = """
name: cb
cohort:
  columns:
    age: {type: integer, range: [18, 100]}
    x: {type: number, range: [-10, 10]}
steps:
  cb: {kind: combat, of: [x], folds: 2}
  z: {kind: standardise, of: [x, cb.x]}
  plain: {kind: derive, make: {twice: {op: sum, of: {x: 2}}}}
"""


@pytest.mark.parametrize(
    "of", ["{x: 1, cb.x: -1}", "{plain.twice: 0.5, cb.x: -1}", "{z.x: 1, z.cb.x: -1}",
           "{cb.x: 1, cb.fold0.x: -1}"]
)  # fmt: skip
def test_a_column_beside_its_harmonised_self_would_tell_the_site(of: str) -> None:
    text = f"{_COHORT}  less: {{kind: derive, make: {{d: {{op: sum, of: {of}}}}}}}\n"
    with pytest.raises(ConfigError, match="what ComBat took off is the same for a whole site"):
        read_study(text, "cb.yaml")


@pytest.mark.parametrize("of", ["{age: 1, cb.x: -1}", "{x: 1, plain.twice: -1}", "{z.cb.x: 1}"])
def test_other_formulas_of_harmonised_columns_are_made(of: str) -> None:
    read_study(f"{_COHORT}  d: {{kind: derive, make: {{d: {{op: sum, of: {of}}}}}}}\n", "cb.yaml")
