"""The rules on one ask: which cases, how many coefficients, which counts in clear."""

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from client.cases import Case
from client.cohorts import select
from client.disclosure import check_cohort, check_saturation, check_selection, check_sums
from common.analyses.analysis import Ask
from common.errors import Reason, Refused
from common.messages import Posed
from common.sites import PolicySettings
from common.study import Study, read_study
from common.sums import Field, cells, count, fine_grid, real, weight

GROUP = ("a", "b", "c")
LEVELS = {"sex": ["f", "m"], "stage": ["I", "II", "III"]}
POLICY = PolicySettings()


def _study(*wheres: dict[str, list[str]], **more: object) -> Study:
    columns = {name: {"type": "category", "levels": levels} for name, levels in LEVELS.items()}
    columns |= {f"x{i}": {"type": "number"} for i in range(30)}
    steps = {
        f"s{i}": {"kind": "describe", "of": ["x0"], "cases": {"where": where}, **more}
        for i, where in enumerate(wheres)
    }
    text = yaml.safe_dump({"name": "rules", "cohort": {"columns": columns}, "steps": steps})
    return read_study(text, "study.yaml")


def _cases(*rows: tuple[int, int]) -> list[Case]:
    return [
        Case(f"c{i}", f"p{i}", "", "", {}, {}, {"sex": float(sex), "stage": float(stage)})
        for i, (sex, stage) in enumerate(rows)
    ]


def _refusal(study: Study, cases: list[Case], step: str, policy: PolicySettings = POLICY) -> object:
    try:
        check_selection(policy, study, cases=cases, posed=Posed(step, step, GROUP, Ask("x")))
    except Refused as refused:
        return refused.reason
    return None


def test_a_stratum_of_nobody_is_answered_and_of_one_to_four_is_not() -> None:
    study = _study({"stage": ["III"]})
    for n in range(7):
        cases = _cases(*[(0, 2)] * n, *[(0, 0)] * 20)
        small = Reason.SELECTION_TOO_SMALL if 1 <= n < 5 else None
        assert _refusal(study, cases, "s0") is small


def test_patients_count_not_their_cases() -> None:
    study, cases = _study({"stage": ["III"]}), _cases(*[(0, 2)] * 8, *[(0, 0)] * 20)
    twins = [
        *(Case(c.case_id, f"p{i // 2}", "", "", {}, {}, c.values) for i, c in enumerate(cases))
    ]
    assert _refusal(study, cases, "s0") is None
    assert _refusal(study, twins, "s0") is Reason.SELECTION_TOO_SMALL


_where = st.fixed_dictionaries(
    {},
    optional={
        name: st.lists(st.sampled_from(levels), min_size=1, unique=True)
        for name, levels in LEVELS.items()
    },
)
_rows = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 2)), min_size=10, max_size=40)


@settings(max_examples=40, deadline=None)
@given(st.lists(_where, min_size=1, max_size=4), _rows, st.lists(st.integers(-2, 2), min_size=4))
def test_no_combination_of_answered_selections_depends_on_one_to_four_patients(
    wheres: list[dict[str, list[str]]], rows: list[tuple[int, int]], weights: list[int]
) -> None:
    study, cases = _study(*wheres), _cases(*rows)
    answered = [step for step in study.bound if _refusal(study, cases, step) is None]
    total = np.zeros(len(cases))
    for step, w in zip(answered, weights, strict=False):
        chosen = {c.case_id for c in select(study, cases, study.bound[step].cases)}
        total += w * np.array([c.case_id in chosen for c in cases])
    n = np.count_nonzero(total)
    assert n == 0 or n >= POLICY.smallest_cell


_X = [f"x{i}" for i in range(30)]
_TIMES = {"time": "x29", "event": "sex"}


@pytest.mark.parametrize(
    ("kind", "settings", "coefficients"),
    [
        ("logistic", {"outcome": "sex", "models": {"m": [*_X[:9], "stage"]}}, 12),
        ("cox", {**_TIMES, "models": {"small": ["x0"], "large": _X[:11]}}, 12),
        ("univariable_logistic", {"outcome": "sex", "of": _X, "adjust": ["stage"]}, 4),
        ("describe", {"of": _X}, 0),
    ],
)
def test_coefficients_are_those_of_the_largest_model(
    kind: str, settings: dict[str, object], coefficients: int
) -> None:
    columns = {name: {"type": "category", "levels": levels} for name, levels in LEVELS.items()}
    columns |= {x: {"type": "number"} for x in _X}
    fit = {"fit": {"kind": kind, **settings}}
    text = yaml.safe_dump({"name": "fits", "cohort": {"columns": columns}, "steps": fit})
    study, posed = read_study(text, "study.yaml"), Posed("fit", "fit", GROUP, Ask("x"))
    enough = -(-coefficients * 100 // (33 * len(GROUP)))  # a site's share of q / 0.33
    for n in range(1, 20):
        try:
            check_saturation(POLICY, study, cases=_cases(*[(0, 0)] * n), posed=posed)
            refused = False
        except Refused as error:
            refused = error.reason is Reason.MODEL_SATURATED
        assert refused is (n < enough)


@pytest.mark.parametrize(
    ("n", "reason"), [(0, Reason.NO_CASES), (9, Reason.COHORT_TOO_SMALL), (10, None)]
)
def test_a_cohort_below_ten_answers_nothing(n: int, reason: Reason | None) -> None:
    if reason is None:
        check_cohort(POLICY, n)
        return
    with pytest.raises(Refused) as refused:
        check_cohort(POLICY, n)
    assert refused.value.reason is reason


@pytest.mark.parametrize(
    ("field", "value", "n", "reason"),
    [
        (real(), 1.5, 4, Reason.CELL_TOO_SMALL),
        (real(), 1.5, 5, None),
        (cells(2, behind="n"), [0, 7], 7, None),
        (cells(2, behind="n"), [4, 7], 11, Reason.CELL_TOO_SMALL),
        (fine_grid(2), [0, 7], 7, Reason.ONLY_TOGETHER),
        (weight(2), [0.5, 0.5], 7, Reason.NETWORK_NOT_SHARED),
    ],
)
def test_what_leaves_in_clear_keeps_its_declaration(
    field: Field, value: object, n: int, reason: Reason | None
) -> None:
    sums, schema = {"x": np.array(value), "n": np.array(n)}, {"x": field, "n": count()}
    check_sums(POLICY, sums, schema, alone=False)
    if reason is None:
        check_sums(POLICY, sums, schema, alone=True)
        return
    with pytest.raises(Refused) as refused:
        check_sums(POLICY, sums, schema, alone=True)
    assert refused.value.reason is reason
