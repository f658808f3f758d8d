"""Columns are known before any image is read: PyRadiomics' names, the image before."""

import numpy as np
import pytest
import SimpleITK
import yaml
from radiomics.featureextractor import RadiomicsFeatureExtractor

from common.cohort import Cohort
from common.holdings import of_cohort
from common.radiomics.agreement import disagreement, marks_of
from common.radiomics.columns import feature_names
from common.radiomics.extract import Extract
from common.radiomics.presets import PRESETS
from common.radiomics.profile import read_profile

pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")

FILES = [
    "imageType: {Original: {}}\nfeatureClass: {firstorder: , glcm: , shape: }\n",
    "imageType: {LoG: {sigma: [1, 2.0]}, Wavelet: {}}\nfeatureClass: {glcm: [Contrast], shape: }\n",
    "imageType: {Wavelet: {level: 2}, Gradient: {}, Square: {}}\nfeatureClass: {ngtdm: }\n",
    "imageType: {Wavelet: {}}\nfeatureClass: {gldm: }\nsetting: {force2D: true}\n",
]


@pytest.mark.parametrize("text", FILES)
def test_names_are_those_that_pyradiomics_gives(text: str) -> None:
    rng = np.random.default_rng(0)
    image = SimpleITK.GetImageFromArray(rng.normal(0, 100, (16, 16, 16)).astype(np.float32))
    inside = np.zeros((16, 16, 16), np.uint8)
    inside[4:11, 4:11, 4:11] = 1
    extractor = RadiomicsFeatureExtractor(yaml.safe_load(text))
    found = extractor.execute(image, SimpleITK.GetImageFromArray(inside))
    known = {name for name in found if not name.startswith("diagnostics")}
    assert set(feature_names(read_profile(text))) == known


@pytest.mark.parametrize(("preset", "n"), [("mr", 1130), ("ct", 1130), ("adc", 107)])
def test_presets_are_profiles_with_as_many_features_as_documented(preset: str, n: int) -> None:
    assert len(feature_names(read_profile(PRESETS[preset]))) == n


COHORT = Cohort.model_validate(
    {
        "images": {"t2": {"modality": "MR"}, "adc": {"modality": "MR"}, "ct": {"modality": "CT"}},
        "masks": {
            "tumour": {"on": "t2", "labels": {"core": 1, "rim": 2}},
            "tumour@b": {"on": "t2", "labels": {"core": 1, "rim": 2}},
            "bone": {"on": "ct", "labels": {"bone": 1}},
        },
    }
)
ONE = {"featureClass": {"firstorder": ["Mean"]}}


def columns(**settings: object) -> set[str]:
    step = Extract.model_validate({"profile": ONE, **settings})
    made = step.makes(of_cohort(COHORT), {}).columns
    return {name.removesuffix("original_firstorder_Mean") for name in made}


def test_masks_and_labels_stand_in_front_only_where_there_are_several() -> None:
    assert columns(of=["t2"], masks=["tumour"], labels=["core"]) == {"t2_"}
    assert columns(of=["t2"], masks=["tumour"], merge=True) == {"t2_"}
    assert columns(of=["t2"], masks=["tumour"]) == {"core.t2_", "rim.t2_"}
    both = columns(of=["t2"], masks=["tumour", "tumour@b"], merge=True)
    assert both == {"tumour.t2_", "tumour@b.t2_"}


def test_an_image_takes_its_own_masks_or_all() -> None:
    found = columns(of=["t2", "ct", "adc"], masks=["tumour", "bone"], merge=True)
    assert found == {"t2_", "ct_", "tumour.adc_", "bone.adc_"}


@pytest.mark.parametrize(
    ("label", "labels", "said"),
    [(2, (), 1), (2, ("core",), 1), (3, (), 1), (2, ("rim",), 0), (1, (), 0), (1, ("rim",), 0)],
)
def test_a_profile_for_another_label_is_a_mistake(
    label: int, labels: tuple[str, ...], said: int
) -> None:
    profile = {**ONE, "setting": {"label": label}}
    step = Extract.model_validate(
        {"profile": profile, "of": ["t2"], "masks": ["tumour"], "labels": labels}
    )
    found = list(step.problems(of_cohort(COHORT), {}))
    assert len(found) == said
    assert all(f"setting.label is {label}" in text for text in found)


def test_grey_features_without_an_image_are_refused() -> None:
    with pytest.raises(ValueError, match="need an image"):
        columns(masks=["bone"])


def test_sums_of_marks_tell_whether_all_are_the_same_and_nothing_else() -> None:
    def total(*texts: str) -> dict[str, np.ndarray]:
        marks = [marks_of([text]) for text in texts]
        return {key: np.sum([m[key] for m in marks], axis=0) for key in marks[0]}

    assert disagreement(total("a", "a", "a")) == ""
    assert "some of the 3 sites" in disagreement(total("a", "a", "b"))
    assert disagreement(total("a")) == ""
