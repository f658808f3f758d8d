import numpy as np
import pytest

from common.cohort import Column, Image
from common.errors import ConfigError
from common.holdings import Holdings
from common.study import read_study
from common.tasks.classification import Classification, levels_of, probability_name

KNOWN = Holdings(
    columns={
        "bad": Column(type="category", levels=("no", "yes", "Stage IV")),
        "grade": Column(type="integer", range=(1, 5)),
        "age": Column(type="integer", range=(20, 100)),
        "sex": Column(type="category", levels=("f", "m")),
    },
    images={"t1": Image(modality="MR")},
)
TASK = {"outcome": "bad", "images": ["t1"], "recipe": {"size": [8, 8, 8]}}
PRIVATE = """
name: told
cohort:
  images: {t1: {modality: MR}}
  columns:
    bad: {type: category, levels: ["no", "yes"]}
    age: {type: integer, range: [20, 100]}
steps:
  network:
    kind: train
    rounds: 1
    privacy: {epsilon: 8, delta: 0.00001}
    task:
      kind: classification
      outcome: bad
      images: [t1]
      clinical: [age]
      standardise: range
      calibrate: false
      recipe: {size: [8, 8, 8]}
"""


def task(**changes) -> Classification:
    return Classification.model_validate(TASK | changes)


def test_every_level_has_a_column_and_two_classes_have_a_logit() -> None:
    made = task().made(KNOWN).columns
    assert {n for n in made if n.startswith("probability")} == {
        "probability_no",
        "probability_yes",
        "probability_stage_iv",
    }
    assert "logit" not in made
    assert "logit" in task(outcome="sex").made(KNOWN).columns
    assert probability_name("I-II") == "probability_i_ii"


def test_whole_numbers_with_a_range_are_classes() -> None:
    assert levels_of(KNOWN.columns["grade"]) == ("1", "2", "3", "4", "5")
    assert levels_of(KNOWN.columns["age"]) == ()
    assert levels_of(Column(type="number", range=(0, 1))) == ()


def test_declared_ranges_scale_columns_without_a_sum() -> None:
    told = task(clinical=["age", "sex"], standardise="range", loss={"weights": [1, 2, 3]})
    assert not told.needs_sums
    buffers = told.declared(KNOWN)
    np.testing.assert_array_equal(buffers["clinical.centre"], [60, 0])
    np.testing.assert_array_equal(buffers["clinical.scale"], [40, 1])
    np.testing.assert_array_equal(buffers["class_weights"], [1, 2, 3])
    assert task(clinical=["age"]).needs_sums
    assert task(loss={"weights": "balanced"}).needs_sums


def test_with_privacy_no_sum_of_patients_goes_out_without_noise() -> None:
    read_study(PRIVATE, "study.yaml")
    for old, new, says in (
        ("standardise: range", "standardise: moments", "moments of columns are sums without noise"),
        ("standardise: range", "standardise: range\n      loss: {weights: balanced}", "balanced"),
        ("      calibrate: false\n", "", "set calibrate: false"),
    ):
        with pytest.raises(ConfigError, match=says):
            read_study(PRIVATE.replace(old, new), "study.yaml")
