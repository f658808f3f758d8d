from dataclasses import replace
from math import nan
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from client.cases import Case
from client.check_drawn import undrawn
from client.check_training import doubts
from common.drawing import fold_of
from common.errors import ConfigError
from common.study import Study, read_study

TEXT = """
name: told
cohort:
  images: {t1: {modality: MR}}
  masks: {ball: {on: t1, labels: {core: 1}, required: false}}
  columns:
    bad: {type: category, levels: ["no", "yes"]}
    age: {type: integer}
    size: {type: number}
steps:
  network:
    kind: train
    rounds: 1
    folds: 3
    task:
      kind: classification
      outcome: bad
      images: [t1]
      mask: {name: ball}
      clinical: [age]
      recipe: {size: [8, 8, 8]}
  image: {kind: predict, network: network}
"""


def study(**changes: str) -> Study:
    text = TEXT
    for old, new in changes.items():
        text = text.replace({"part": "    folds: 3"}.get(old, old), new)
    return read_study(text, "study.yaml")


def cases(*bad: float, mask: bool = True) -> tuple[Case, ...]:
    path = Path("x.nii.gz")
    return tuple(
        Case(
            case_id=f"c{i}",
            patient_id=f"p{i}",
            split="train",
            session="",
            images={"t1": path},
            masks={"ball": path if mask else None},
            values={"bad": value, "age": 50.0},
        )
        for i, value in enumerate(bad)
    )


def test_nothing_is_wrong_where_every_fold_has_both_classes() -> None:
    both = cases(*[0.0, 1.0] * 20)
    assert doubts(study(), {"north": both, "south": both}, all_here=True) == []


def test_a_class_missing_everywhere_stops_and_at_one_site_warns() -> None:
    (one, *_) = doubts(
        study(), {"a": cases(*[0.0, 1.0] * 20), "b": cases(*[0.0] * 9)}, all_here=True
    )
    assert (one.site, one.stops) == ("b", False)
    assert one.text.startswith('steps.network: no training case in which "bad" is yes')
    found = doubts(study(), {"a": cases(*[0.0] * 9), "b": cases(*[0.0, nan] * 9)}, all_here=True)
    assert [d.text for d in found if d.stops] == [
        'steps.network: no training case at any site in which "bad" is yes: nothing to tell apart'
    ]
    assert not any(d.stops for d in doubts(study(), {"a": cases(*[0.0] * 9)}, all_here=False))


def test_a_fold_of_one_class_is_told_before_training() -> None:
    of = [fold_of("told", f"p{i}", 3) for i in range(30)]
    events = [float(k == 0) for k in of]  # every event lies in the first fold
    stops = [d.text for d in doubts(study(), {"a": cases(*events)}, all_here=True) if d.stops]
    assert stops == [
        'steps.network: without fold 1 no training case in which "bad" is yes; take fewer folds'
    ]
    warned = [d.text for d in doubts(study(), {"a": cases(*events)}, all_here=True) if not d.stops]
    (line,) = [text for text in warned if "fold" in text]
    assert line.startswith(
        'steps.network: folds 2 and 3 of 3 leave out nobody in whom "bad" is yes; '
    )


def test_a_site_without_masks_is_told_and_all_of_them_stop() -> None:
    bare, whole = cases(*[0.0, 1.0] * 9, mask=False), cases(*[0.0, 1.0] * 20)
    (one,) = doubts(study(), {"a": bare, "b": whole}, all_here=True)
    assert (one.site, one.stops) == ("a", False)
    assert one.text == "steps.network: no training case has all that it needs (t1, ball, bad)"
    assert any(d.stops for d in doubts(study(), {"a": bare, "b": bare}, all_here=True))
    assert any(d.stops for d in doubts(study(), {"a": bare}, all_here=True))


DRAWS = """
    task:
      kind: segmentation
      images: [t1]
      mask: ball
      consistency: {}
      recipe: {size: [8, 8, 8]}
      network: {channels: [2, 2]}
"""


def _draws() -> Study:
    return read_study(TEXT.partition("\n    folds:")[0] + DRAWS, "study.yaml")


def test_a_mean_teacher_without_a_single_mask_stops() -> None:
    bare = cases(0.0, 1.0, mask=False)
    (one,) = doubts(_draws(), {"a": bare, "b": bare}, all_here=True)
    assert one.stops
    assert one.text.startswith(
        'steps.network: no training case at any site has the mask "ball": with consistency'
    )
    assert doubts(_draws(), {"a": bare}, all_here=False) == []
    assert doubts(_draws(), {"a": bare, "b": cases(0.0)}, all_here=True) == []


def test_a_clinical_column_without_a_value_stops() -> None:
    bare = tuple(replace(c, values={**c.values, "age": nan}) for c in cases(*[0.0, 1.0] * 20))
    (one,) = doubts(study(), {"a": bare, "b": bare}, all_here=True)
    assert one.stops
    assert 'no training case at any site has a value of "age": nothing can be learnt' in one.text
    both = {"a": bare, "b": cases(*[0.0, 1.0] * 20)}
    assert doubts(study(), both, all_here=True) == []


@pytest.mark.parametrize(
    ("north", "south", "says", "stops"),
    [
        (0, 0, "has a voxel that is labelled: nothing to learn", True),
        (1, 0, 'marks "rim": the network cannot learn to draw it', False),
        (1, 2, "", False),
    ],
)
def test_labels_that_nobody_drew_are_told(
    tmp_path: Path, north: int, south: int, says: str, stops: bool
) -> None:
    held = {}
    for site, value in (("north", north), ("south", south)):
        path = tmp_path / f"{site}.nii.gz"
        voxels = np.zeros((4, 4, 4), np.uint8)
        voxels[1:3] = value
        nib.save(nib.Nifti1Image(voxels, np.eye(4)), path)  # type: ignore[no-untyped-call, attr-defined]
        held[site] = [replace(c, masks={"ball": path}) for c in cases(0.0)]
    text = TEXT.replace("{core: 1}", "{core: 1, rim: 2}")
    wanted = read_study(text.partition("\n    folds:")[0] + DRAWS, "study.yaml")
    found = [(d.text, d.stops) for d in undrawn(wanted, held, {})]
    expected = f'steps.network: in no training case at any site "ball" {says}'
    assert found == ([(expected, stops)] if says else [])


def test_a_part_the_network_does_not_have_is_told_with_its_line() -> None:
    with pytest.raises(ConfigError) as raised:
        study(part="    stay_local: [norm, decoder]\n    fine_tune: {only: [haed]}")
    first, second = (str(finding) for finding in raised.value.findings)
    assert first.startswith("study.yaml:14: steps.network.stay_local.1: the network has no ")
    assert '"decoder": expected norm, head or a pattern (' in first
    assert second.startswith("study.yaml:15: steps.network.fine_tune.only.0: ")
    assert 'did you mean "head"?' in second
    with pytest.raises(ConfigError, match="keeps every weight, and nothing is learnt together"):
        study(part='    stay_local: ["*"]')


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("outcome: bad", "outcome: bed", 'unknown column "bed" (did you mean "bad"?)'),
        (
            "outcome: bad",
            "outcome: size",
            'outcome "size": expected a category, or an integer with',
        ),
        (
            "images: [t1]",
            "images: [image.t1]",
            'by step "image", which comes later',
        ),
        ("clinical: [age]", "clinical: [bad]", 'clinical: "bad" is the outcome'),
        ("clinical: [age]", "clinical: [ages]", 'unknown column "ages"'),
        ("name: ball", "name: bell", 'unknown mask "bell"'),
        ("size: [8, 8, 8]", "size: [8, 8]", "recipe.size: expected (z, y, x) in 3D, got [8, 8]"),
        (
            "size: [8, 8, 8]",
            "size: [8, 8, 8], patch: [8, 8, 8]",
            "a classifier sees a whole window",
        ),
        ("clinical: [age]", "loss: {weights: [1, 2, 3]}", "expected one for each of the 2 classes"),
        ("clinical: [age]", "clinical: [age]\n      standardise: range", '"age" has no range'),
        ("folds: 3", "folds: 1", "expected 0, or 2 and more, got 1"),
        (
            "folds: 3",
            "stay_local: [norm]\n    baselines: [ensemble]",
            "ensemble sends whole networks of sites, of which stay_local keeps norm",
        ),
    ],
)
def test_a_study_that_is_wrongly_put_together_says_so(old: str, new: str, says: str) -> None:
    with pytest.raises(ConfigError) as raised:
        study(**{old: new})
    assert says in str(raised.value)
