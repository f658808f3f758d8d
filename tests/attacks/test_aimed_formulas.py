"""A formula must not point at one patient: of its sums that patient's number is nearly all."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from client import disclosure
from client.cases import Case
from client.disclosure import selections_in_words
from client.powers import highest_power
from common.analyses import ANALYSES
from common.analyses.analysis import APPLY, Ask
from common.errors import Refused
from common.sites import PolicySettings
from common.study import read_study
from tests.attacks.coordinator import COLUMNS, Coordinator, cohorts, coordinator

# Who knows that a patient's marker is about 37.1 learns the age.
NEXT_TO = """
  made:
    kind: derive
    make:
      off: {op: sum, of: {marker: 1}, offset: -37.1}
      near: {op: product, of: {off: -4}}
      age: {op: product, of: {near: 1, age: 1}}
  sums: {kind: moments, of: [made.near, made.age]}
"""


# The padding, whose sum is had from another column, would hide that one is nearly all.
PADDED = """
  made:
    kind: derive
    make:
      off: {op: sum, of: {marker: 1}, offset: -37.1}
      near: {op: product, of: {off: -4}}
      padded: {op: sum, of: {near: 1, days: 1000}}
      age: {op: product, of: {near: 1, age: 1}}
      aged: {op: sum, of: {age: 1, days: 1000}}
  sums: {kind: moments, of: [made.padded, made.aged, days]}
"""


def _less_padding(attacker: Coordinator) -> float:
    attacker.total("made", Ask(APPLY))
    near, age, days = attacker.total("sums")["sum"].ravel()[:3]
    return float((age - 1000 * days) / (near - 1000 * days))


def _age(attacker: Coordinator) -> float:
    attacker.total("made", Ask(APPLY))
    near, age = attacker.total("sums")["sum"].ravel()[:2]
    return float(age / near)


ATTACKS = [(NEXT_TO, _age), (PADDED, _less_padding)]


@pytest.mark.parametrize(("steps", "attack"), ATTACKS)
def test_without_the_rule_a_power_points_at_a_patient(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    steps: str,
    attack: Callable[[Coordinator], float],
) -> None:
    monkeypatch.setattr(disclosure, "few_dominate", lambda *_: "")
    age = int(str(cohorts()["east"][-1]["age"]))
    assert attack(coordinator(tmp_path, steps)) == pytest.approx(age, abs=0.01)


@pytest.mark.parametrize(("steps", "attack"), ATTACKS)
def test_a_power_that_points_at_a_patient_is_refused(
    tmp_path: Path, steps: str, attack: Callable[[Coordinator], float]
) -> None:
    with pytest.raises(Refused, match="selection_too_small"):
        attack(coordinator(tmp_path, steps))


NEAR = "off: {op: sum, of: {marker: 1}, offset: -10.05}, n: {op: product, of: {off: -4}}"


# Two of thirty have the flag: all others are nearly 0, and the two of different ages.
FLAGGED = "t: {op: sum, of: {flag: 1}, offset: 1.0e-9}, n: {op: product, of: {t: 1, age: 1}}"


@pytest.mark.parametrize(
    ("make", "step", "refused"),
    [
        (NEAR, "{kind: describe, of: [made.n]}", True),
        (NEAR, "{kind: describe, of: [made.off]}", False),
        (NEAR, "{kind: correlate, of: [made.n, age], method: pearson}", True),
        (NEAR, "{kind: correlate, of: [made.n, age], method: spearman}", False),
        (NEAR, "{kind: describe, of: [made.n], cases: {where: {sex: [f]}}}", True),  # two
        (NEAR, "{kind: naive_bayes, outcome: sex, of: [made.n]}", True),
        (FLAGGED, "{kind: describe, of: [made.n]}", True),
        (FLAGGED, "{kind: describe, of: [made.t]}", False),
        (NEAR, "{kind: describe, of: [made.n], cases: {where: {sex: [m]}}}", True),
        (NEAR, "{kind: compare_groups, of: [made.n], by: sex, test: welch}", True),
        (NEAR + ", l: {op: log, of: [n]}", "{kind: describe, of: [made.l]}", False),
        ("n: {op: product, of: {marker: 2}}", "{kind: describe, of: [made.n]}", False),
        ("n: {op: product, of: {age: 1, marker: -1}}", "{kind: describe, of: [made.n]}", False),
        ("n: {op: product, of: {age: 1, marker: -1}}", "{kind: moments, of: [made.n]}", True),
        ("n: {op: product, of: {days: 2, age: 1}}", "{kind: describe, of: [made.n]}", True),
        # An outlier in the table is that with and without a formula.
        ("n: {op: product, of: {days: 2}}", "{kind: describe, of: [made.n]}", False),
        ("n: {op: sum, of: {days: 0.001}}", "{kind: logistic, outcome: sex, of: [made.n]}", False),
    ],
)
def test_formulas_of_which_one_is_nearly_all(make: str, step: str, refused: bool) -> None:
    """Of 30 patients markers are 1 to 30, by turns of women and men; one has very many days."""
    step = step.replace("of: [made.n]}", "models: {m: [made.n]}}") if "logistic" in step else step
    text = f"{COLUMNS}  made: {{kind: derive, make: {{{make}}}}}\n  s: {step}\n"
    study = read_study(text, "study.yaml")
    ages = np.random.default_rng(1).permutation(30)
    values = [
        {"age": 40.0 + ages[i], "marker": 1.0 + i, "sex": float(i % 2), "days": 9.0 + i}
        for i in range(30)
    ]
    for i, value in enumerate(values):
        value |= {"flag": float(i in (4, 9)), "days": 1e6 if i == 20 else value["days"]}
    cases = [Case(f"c{i}", f"p{i}", "", "", {}, {}, of) for i, of in enumerate(values)]
    said = [*selections_in_words(study, cases, PolicySettings(), 3)]
    assert ["for the most part" in text for text in said] == [True] * refused


def _cases(values: list[dict[str, float]]) -> list[Case]:
    return [Case(f"c{i}", f"p{i}", "", "", {}, {}, of) for i, of in enumerate(values)]


def _said(steps: str, values: list[dict[str, float]]) -> list[str]:
    study = read_study(f"{COLUMNS}{steps}", "study.yaml")
    return [
        text
        for text in selections_in_words(study, _cases(values), PolicySettings(), 3)
        if "for the most part" in text
    ]


def test_a_flag_of_one_is_no_outlier_that_a_formula_may_follow() -> None:
    values = [{"flag": float(i == 4), "age": 40.0 + i} for i in range(30)]
    steps = f"  made: {{kind: derive, make: {{{FLAGGED}}}}}\n"
    assert _said(steps + "  s: {kind: describe, of: [made.n]}\n", values)


def test_the_cases_by_which_two_steps_differ_are_looked_at() -> None:
    """Seven have many days, six women and a man: everybody and women are not few."""
    values = [
        {
            "sex": float(i % 2),
            "age": 40.0 + i,
            "days": 300.0 + i if i in {0, 2, 4, 6, 8, 10, 3} else 1,
        }
        for i in range(30)
    ]
    steps = """
  made: {kind: derive, make: {n: {op: product, of: {days: 1, age: 1}}}}
  everybody: {kind: describe, of: [made.n]}
"""
    assert not _said(steps, values)
    women = "  women: {kind: describe, of: [made.n], cases: {where: {sex: [f]}}}\n"
    (said,) = _said(steps + women, values)
    assert said.startswith("will refuse women")


COUNTING = {
    *("agreement_of_categories", "boosting", "cross_tabulate", "cutoff_scan", "decision_curve"),
    *("derive", "forest", "histogram", "kaplan_meier", "missingness", "operating_point", "roc"),
    *("site_shapes", "site_distances"),
}


@pytest.mark.parametrize("kind", [k.model_fields["kind"].default for k in ANALYSES])
def test_every_kind_sums_values_or_only_counts(kind: str) -> None:
    assert (highest_power(SimpleNamespace(kind=kind)) == 0) == (kind in COUNTING)
