"""A pattern that names nothing is answered with the nearest that name something."""

import pytest

from common.errors import ConfigError
from common.patterns import nearest_patterns
from common.study import read_study

STUDY = """\
name: s
cohort:
  images: {t2: {modality: MR}, adc: {modality: MR}}
  masks: {tumour: {on: t2, labels: {tumour: 1}}}
  columns: {age: {type: number}}
steps:
  radiomics: {kind: extract, of: [t2, adc], masks: [tumour], profile: mr_thick}
  table: {kind: describe, of: ["PATTERN"]}
"""
COLUMNS = tuple(read_study(STUDY.replace("PATTERN", "age"), "s").contract())


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("radiomics.t3_*_glcm*", 'nearest: "radiomics.t2_*_glcm*" (24)'),
        ("radiomcs.t2_*_glcm*", '"radiomics.t2_*_glcm*" (24)'),
        ("radiomics.*_GLCM_*", '"radiomics.*_glcm_*" (48)'),
        ("radiomics.t2_*_glxm*", '"radiomics.t2_*_glcm*" (24)'),
        ("radiomics.t2_wavelet-LLH_*", 'nearest: "radiomics.t2_*" (107)'),
        ("xyz*", "names begin with age, radiomics"),
    ],
)
def test_nearest_patterns_are_told_with_how_many_columns_they_name(pattern: str, said: str) -> None:
    assert said in nearest_patterns(pattern, COLUMNS)


def test_a_study_says_so_and_lists_no_thousand_names() -> None:
    with pytest.raises(ConfigError) as caught:
        read_study(STUDY.replace("PATTERN", "radiomics.t3_*_glcm*"), "s.yaml")
    assert str(caught.value).startswith(
        's.yaml:8: steps.table: no column fits "radiomics.t3_*_glcm*" (nearest: "radiomics.t2_'
    )
    assert len(str(caught.value)) < 200


MODELS = """\
name: s
cohort:
  columns:
    age: {type: number}
    tx0: {type: number}
    tx1: {type: number}
    tx_days: {type: integer, range: [0, 900]}
    tx_died: {type: integer, range: [0, 1]}
steps:
  logit: {kind: logistic, outcome: tx_died, models: {m: [age, "tx*"]}}
  cox: {kind: cox, time: tx_days, event: tx_died, models: {m: ["tx*", age], n: [tx0]}}
  pieces: {kind: piecewise_exponential, time: tx_days, event: tx_died, models: {m: ["tx*"]}}
  each: {kind: univariable_logistic, outcome: tx_died, of: [age, "tx0*", tx1], adjust: ["tx*s"]}
  none: {kind: cox, time: tx_days, event: tx_died, models: {m: ["ty*"]}}
"""


def test_patterns_name_columns_of_models_too_but_never_the_outcome() -> None:
    steps = read_study(MODELS.replace('["ty*"]', "[age]"), "s.yaml").bound
    models = {name: getattr(step, "models", None) for name, step in steps.items()}
    assert models["logit"] == {"m": ("age", "tx0", "tx1", "tx_days")}
    assert models["cox"] == {"m": ("tx0", "tx1", "age"), "n": ("tx0",)}
    assert models["pieces"] == {"m": ("tx0", "tx1")}
    assert steps["each"].columns() == ("tx_died", "tx_days", "age", "tx0", "tx1")


def test_a_pattern_of_a_model_that_names_nothing_is_said_with_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        read_study(MODELS, "s.yaml")
    assert 'steps.none: no column fits "ty*"' in str(caught.value)
