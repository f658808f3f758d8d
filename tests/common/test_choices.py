"""Columns that a step chooses and later ones read; chains fitted again without a fold."""

import numpy as np
import pytest

from common.analyses.analysis import Answer
from common.choices import NotAChoice, chosen_in
from common.drawing import outer_fold
from common.errors import ConfigError
from common.step import Cases
from common.study import read_study

HEAD = """
name: chain
cohort:
  columns:
    a1: {type: number}
    a2: {type: number}
    b1: {type: number}
    b2: {type: number}
    y: {type: category, levels: [n, p]}
"""
STEPS = """
steps:
  same: {kind: icc, raters: [["a*"], ["b*"]], select: 0.75}
  level: {kind: standardise, of: ["@same.selected"]}
  apart: {kind: correlate, of: ["level.*"], at_most: 0.9}
  model: {kind: logistic, outcome: y, models: {m: ["@apart.kept"]}}
"""
NESTED = "nested: {folds: 3, steps: [same, level, apart, model]}"
TESTED = "  tested: {kind: roc, outcome: y, scores: [model.held_out.probability]}\n"


def test_a_reference_stands_for_all_candidates_until_it_is_chosen() -> None:
    study = read_study(HEAD + STEPS, "s")
    assert study.bound["model"].models == {"m": ("level.a1", "level.a2")}
    assert study.candidates() == {
        "same.selected": ("a1", "a2"),
        "apart.kept": ("level.a1", "level.a2"),
    }


def test_a_choice_narrows_every_step_after_it() -> None:
    study = read_study(HEAD + STEPS, "s")
    narrow = study.narrowed({"same.selected": ("a2",)})
    assert narrow.bound["level"].of == ("a2",)
    assert narrow.bound["apart"].of == ("level.a2",)
    assert narrow.bound["model"].columns() == ("y", "level.a2")
    assert "level.a1" in study.contract()
    assert "level.a1" not in narrow.contract()


@pytest.mark.parametrize("names", [("b1",), ("a1", "y"), ()])
def test_other_names_than_the_candidates_are_refused(names: tuple[str, ...]) -> None:
    study = read_study(HEAD + STEPS, "s")
    with pytest.raises(NotAChoice):
        study.narrowed({"same.selected": names})


def test_an_answer_is_read_in_the_order_of_the_candidates() -> None:
    step = read_study(HEAD + STEPS, "s").bound["same"]
    answer = Answer({"selected": ["a2", "a1", "b9"]})
    assert chosen_in("same", step, answer) == {"same.selected": ("a1", "a2")}


def test_an_unknown_list_is_a_mistake_with_the_nearest_known() -> None:
    with pytest.raises(ConfigError, match=r'"@same.chosen" \(known: same.selected'):
        read_study(HEAD + STEPS.replace("@same.selected", "@same.chosen"), "s")


def test_a_refit_reads_refits_only_and_leaves_a_fold_out() -> None:
    study = read_study(HEAD + NESTED + STEPS + TESTED, "s")
    refit = study.written["apart@1"]
    assert refit.of == ("level@1.*",)
    assert refit.cases == Cases(outside=(1, 3))
    assert study.written["model@1"].models == {"m": ("@apart@1.kept",)}
    assert study.bound["model@1"].models == {"m": ("level@1.a1", "level@1.a2")}
    narrow = study.narrowed({"same@1.selected": ("a2",)})
    assert narrow.bound["model@1"].models == {"m": ("level@1.a2",)}
    assert narrow.bound["model"].models == {"m": ("level.a1", "level.a2")}


def test_what_cannot_be_fitted_again_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match="nothing that can be fitted again"):
        read_study(
            HEAD + "nested: {steps: [flow, none]}" + STEPS + "  flow: {kind: check_cohort}\n",
            "s",
        )


def test_outer_folds_are_drawn_apart_from_inner_ones() -> None:
    from common.table import Table

    patients = np.array([f"p{i}" for i in range(2000)])
    inner = Table({}, {}, patients, fold_key="chain").folds(5)
    outer = np.array([outer_fold("chain", p, 5) for p in patients])
    table = np.histogram2d(inner, outer, bins=5)[0]
    assert table.min() > 40  # 80 expected; were they one draw, 20 cells were empty
