"""What a study may say of super-resolution, and what is told before anything runs."""

import pytest
from pydantic import ValidationError

from common.errors import ConfigError
from common.study import read_study
from common.tasks.super_resolution import SuperResolution

STUDY = """
name: sharper
cohort:
  images: {t1: {modality: MR}, thick: {modality: MR, required: false}, ct: {modality: CT}}
steps:
  finer:
    kind: train
    rounds: 1
    task: {kind: super_resolution, image: t1, also: [bspline]}
  sr: {kind: predict, network: finer}
  quality: {kind: describe, of: ["sr.*"]}
"""


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"finer": [1, 1, 1]}, "a 2 for one axis"),
        ({"finer": [3, 1, 1]}, "1 or 2"),
        ({"patch": [9, 8, 8]}, "multiples of finer"),
        ({"tile": 17}, "multiples of finer"),
        ({"patch": [8, 8, 8], "discriminator": {"channels": [4, 4, 4, 4]}}, "16 or more"),
        ({"orientation": "RAX"}, "one letter each"),
        ({"apply_to": "t1"}, "high resolution itself"),
        ({"losses": {"pixel": 0}}, "greater than 0"),
    ],
)
def test_what_cannot_be_is_refused_in_words(changes, words) -> None:
    with pytest.raises(ValidationError, match=words):
        SuperResolution.model_validate({"image": "t1", **changes})


def test_several_mistakes_are_told_at_once() -> None:
    with pytest.raises(ValidationError, match=r"multiples.*multiples"):
        SuperResolution.model_validate({"image": "t1", "patch": [9, 8, 8], "tile": 17})


def test_a_prediction_makes_images_and_scores_that_later_steps_can_name() -> None:
    study = read_study(STUDY, "study.yaml")
    assert {"sr.fine", "sr.bspline"} <= set(study.holdings.images)
    assert "sr.psnr_db" in study.bound["quality"].of
    assert "sr.ssim_linear" in study.bound["quality"].of


def test_an_image_that_is_not_there_is_a_mistake_of_the_study() -> None:
    with pytest.raises(ConfigError, match='unknown image "t2"'):
        read_study(STUDY.replace("image: t1", "image: t2"), "study.yaml")


def test_two_modalities_do_not_go_together() -> None:
    with pytest.raises(ConfigError, match="same modality"):
        read_study(STUDY.replace("image: t1,", "image: t1, apply_to: ct,"), "study.yaml")
    read_study(STUDY.replace("image: t1,", "image: t1, apply_to: thick,"), "study.yaml")


def test_privacy_that_would_not_hold_is_refused() -> None:
    private = STUDY.replace("    rounds: 1\n", "    rounds: 1\n    privacy: {epsilon: 8}\n")
    with pytest.raises(ConfigError, match="several losses"):
        read_study(private, "study.yaml")
