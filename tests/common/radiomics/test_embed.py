"""A parameter file goes into a study as it is, and its hash is then the study's."""

import pytest

from common.errors import ConfigError
from common.radiomics.embed import embed
from common.radiomics.profile import read_profile
from common.study import read_study, study_hash

STUDY = """
name: s
cohort:
  images: {t2: {modality: MR}}
  masks: {tumour: {on: t2, labels: {t: 1}}}
steps:
  flow: {kind: check_cohort}
  # what is extracted
  radiomics:
    kind: extract
    of: [t2]
    masks: [tumour]
"""
PARAMETERS = """# from another study
imageType:
  Original: {}
  LoG: {sigma: [1.0, 3]}   # mm
featureClass:
  firstorder: [Mean]
setting:
  binWidth: 5
"""


def put(study: str, parameters: str, step: str = "radiomics") -> str:
    return embed(study, step, parameters, file="s.yaml", parameter_file="Params.yaml")


def test_what_stands_in_the_study_means_what_the_file_means() -> None:
    text = put(STUDY, PARAMETERS)
    step = read_study(text, "s.yaml").bound["radiomics"]
    assert step.read()["t2"].fingerprint() == read_profile(PARAMETERS).fingerprint()
    assert "# from another study" in text
    assert "# what is extracted" in text
    assert set(read_study(text, "s.yaml").contract()) == {
        "radiomics.t2_original_firstorder_Mean",
        "radiomics.t2_log-sigma-1-0-mm-3D_firstorder_Mean",
        "radiomics.t2_log-sigma-3-mm-3D_firstorder_Mean",
    }
    assert study_hash(text) != study_hash(put(STUDY, PARAMETERS.replace("5", "6")))


@pytest.mark.parametrize(
    ("step", "study", "parameters", "said"),
    [
        ("radiomix", STUDY, PARAMETERS, "known: flow, radiomics"),
        ("flow", STUDY, PARAMETERS, "a setting a line"),
        (
            "radiomics",
            STUDY + "    profile: mr\n",
            PARAMETERS,
            "s.yaml:13: .*take line 13 out, and",
        ),
        (
            "radiomics",
            STUDY + "    profile:\n      setting:\n        binWidth: 5\n\n    merge: true\n",
            PARAMETERS,
            "s.yaml:13: .*take lines 13 to 15 out, and embed again",
        ),
        (
            "r",
            STUDY + "  r: {kind: extract, of: [t2], masks: [tumour], profile: ct}\n",
            PARAMETERS,
            "take `profile` out of this line",
        ),
        ("radiomics", STUDY, PARAMETERS.replace("binWidth", "binWith"), "binWidth"),
    ],
)
def test_mistakes_are_said_and_nothing_is_changed(
    step: str, study: str, parameters: str, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        put(study, parameters, step)
