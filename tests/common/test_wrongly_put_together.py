"""An imaging study that is wrongly put together is told so by its file, before anything runs."""

import pytest

from common.errors import ConfigError
from common.study import read_study

STUDY = """\
name: wrong
cohort:
  images: {t1: {modality: MR}, t2: {modality: MR}}
  masks: {organ: {on: t1, labels: {front: 1, back: 2}}}
  columns:
    sick: {type: category, levels: ["no", "yes"]}
    age: {type: integer, range: [0, 99]}
steps:
  one: {kind: measure, mask: organ, slice: {label: front, images: [t1], masks: [organ]}}
  same: {kind: measure, mask: organ, slice: {label: front, images: [t1], masks: [organ]}}
  other: {kind: measure, mask: organ, slice: {label: back, images: [t1], masks: [organ]}}
  draws:
    kind: train
    rounds: 2
    task:
      kind: segmentation
      images: [t1, t2]
      mask: organ
      recipe: {size: [8, 8, 8]}
      network: {channels: [2, 2]}
  outlines:
    kind: train
    rounds: 2
    task:
      kind: segmentation
      images: [one.t1]
      mask: same.organ
      dimensions: 2
      recipe: {size: [8, 8]}
      network: {channels: [2, 2]}
  tells:
    kind: train
    rounds: 2
    folds: 2
    task: {kind: classification, outcome: sick, images: [t1], recipe: {size: [8, 8, 8]}}
  sharpens:
    kind: train
    rounds: 2
    task:
      kind: super_resolution
      image: t1
      losses: {adversarial: 0.1}
      discriminator: {begin: 1}
  drawn: {kind: predict, network: draws}
  outlined: {kind: predict, network: outlines}
  told: {kind: predict, network: tells, combine: vote}
  sharp: {kind: predict, network: sharpens}
  agree: {kind: compare_masks, pairs: {a: [drawn.organ, organ]}}
  features: {kind: extract, of: [one.t1], masks: [one.organ], profile: mr_thick}
  deep: {kind: deep_features, of: [t1], masks: [organ], features: 4}
  quality: {kind: image_quality, of: [t1], masks: [organ]}
  table: {kind: describe, of: [age, drawn.dice_front, told.logit]}
"""


def told(*changes: tuple[str, str]) -> list[str]:
    """Return what is told of the study with changes, a line each."""
    text = STUDY
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    try:
        read_study(text, "s.yaml")
    except ConfigError as error:
        return [str(finding) for finding in error.findings]
    return []


def test_the_study_itself_is_well_put_together() -> None:
    assert told() == []


A_MASK = '"organ" is a mask, expected an image (known: t1, t2)'
NOT_ALIKE = (
    '"other.organ" is the axial slice in the middle of organ (back), and "one.t1" is the axial '
    "slice in the middle of organ (front): expected both of the same slices"
)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        # the sort of a name, in every kind of step
        ("images: [t1, t2]", "images: [t1, organ]", f"17: steps.draws.task.images.1: {A_MASK}"),
        ("sick, images: [t1]", "sick, images: [organ]", f"steps.tells.task.images.0: {A_MASK}"),
        ("image: t1", "image: organ", f"41: steps.sharpens.task.image: {A_MASK}"),
        ("image: t1", "image: t1\n      apply_to: organ", f"sharpens.task.apply_to: {A_MASK}"),
        ("front, images: [t1]", "front, images: [organ]", f"9: steps.one.slice.images.0: {A_MASK}"),
        ("of: [one.t1]", "of: [organ]", f"steps.features.of.0: {A_MASK}"),
        ("features, of: [t1]", "features, of: [organ]", f"steps.deep.of.0: {A_MASK}"),
        ("quality, of: [t1]", "quality, of: [organ]", f"steps.quality.of.0: {A_MASK}"),
        ("mask: organ, slice", "mask: t1, slice", '9: steps.one.mask: "t1" is an image, expected'),
        ("[drawn.organ, organ]", "[t1, organ]", 'agree.pairs.a.0: "t1" is an image, expected a'),
        ("[drawn.organ, organ]", "[age, organ]", 'agree.pairs.a.0: "age" is a column, expected a'),
        ("masks: [one.organ]", "masks: [one.t1]", 'features.masks.0: "one.t1" is an image, exp'),
        ("outcome: sick", "outcome: t1", 'steps.tells: "t1" is an image, expected a column'),
        ("organ: {on: t1,", "organ: {on: organ,", f"4: cohort.masks.organ.on: {A_MASK}"),
        ("masks: [one.organ]", "masks: [drawn]", '"drawn" is a step, expected a mask; its masks: '),
        ("masks: [one.organ]", "masks: [draws.organ]", 'makes no mask) (did you mean "one.organ" '),
        # the same slices
        ("mask: same.organ", "mask: other.organ", f"27: steps.outlines.task.mask: {NOT_ALIKE}"),
        ("mask: same.organ", "mask: organ", '"organ" is a volume, and "one.t1" is the axial'),
        ("sick, images: [t1]", "sick, images: [t1, one.t1]", 'task.images.1: "one.t1" is the ax'),
        ("[drawn.organ, organ]", "[drawn.organ, one.organ]", 'pairs.a: "drawn.organ" is a volume'),
        ("image: t1", "image: one.t1", "middle of organ (front), expected a volume"),
        ("masks: [one.organ]", "masks: [other.organ]", f"features.masks.0: {NOT_ALIKE}"),
        ("masks: [one.organ]", "masks: [organ]", 'features.masks.0: "organ" is a volume, and "one'),
        ("of: [one.t1]", "of: [t1]", 'masks.0: "one.organ" is the axial slice in the middle of or'),
        # what can do nothing
        (", profile: mr_thick", "", 'features.profile: LoG needs 4 slices at least, and "one.t1" '),
        ("images: [t1, t2]", "images: [t1, t1]", '17: steps.draws.task.images.1: the image "t1" '),
        ("[drawn.organ, organ]", "[organ, organ]", 'agree.pairs.a.1: the mask "organ" stands here'),
        ("quality, of: [t1]", "quality, of: [t1, t1]", 'steps.quality.of.1: the image "t1" stands'),
        ("network: draws", "network: draws, combine: vote", "drawn.combine: vote: "),
        ("network: sharpens", "network: sharpens, combine: vote", "sharp.combine: images cannot"),
        ("discriminator: {begin: 1}", "finer: [2, 2, 2]", "adversarial: 0.1: needs a discri"),
        ("adversarial: 0.1", "adversarial: 0", "discriminator: nothing learns from it"),
        ("begin: 1", "begin: 2", "43: steps.sharpens.task.discriminator.begin: round 2 never com"),
        # what a name may have meant
        ("drawn.dice_front", "drawn.dice_frnt", '(did you mean "drawn.dice_front"?)'),
        ("drawn.dice_front", "drwn.dice_front", '(did you mean "drawn.dice_front"?)'),
        ("drawn.dice_front", "told.dice_front", "(known: told.probability_no, told.probability_ye"),
        ("drawn.dice_front", "dice_front", '(did you mean "drawn.dice_front"'),
        ("[drawn.organ, organ]", "[told.organ, organ]", '(step "told" makes no mask)'),
        ("network: outlines}", "network: one}", '"one" trains no network (known: draws, outlines'),
        ("mask: organ, slice", "mask: organ, label: back, slice", "it belongs below `slice`"),
        ("a: [drawn.organ, organ]", "a: [drawn.organ]", "expected one more item here: the second"),
        ("      network: {channels: [2, 2]}", "      folds: 3", "belongs beside `task`, not in it"),
        ("mask: same.organ", "mask: drawn.organ", 'by step "drawn", which comes later'),
    ],
)  # fmt: skip
def test_one_mistake_is_one_line_with_its_place(old: str, new: str, says: str) -> None:
    (line, *more) = told((old, new))
    assert says in line
    assert not [one for one in more if "not judged yet" not in one]


AGAIN = """drawn: {kind: predict, network: draws}
  cut: {kind: measure, mask: drawn.organ, slice: {images: [t1], masks: [organ]}}
  sure: {kind: pseudo_label, network: draws}
  again:
    kind: train
    rounds: 2
    task:
      kind: segmentation
      images: [cut.t1]
      mask: cut.organ
      dimensions: 2
      recipe: {size: [8, 8]}
      network: {channels: [2, 2]}
  once_more:
    kind: train
    rounds: 2
    task:
      kind: segmentation
      images: [t1]
      mask: sure.organ
      recipe: {size: [8, 8, 8]}
      network: {channels: [2, 2]}
"""


def test_what_is_made_for_no_training_case_cannot_be_learnt_from() -> None:
    whole = "cases: {split: [train, validation, test]}"
    drawn = "drawn: {kind: predict, network: draws}\n"
    (line,) = told((drawn, AGAIN))
    assert line.startswith(
        's.yaml:52: steps.again.task.images.0: no training case would have it: step "drawn" '
        f"looks at cases of split validation and test only; give that step `{whole}`"
    )
    assert line.endswith("also at steps.again.task.mask (line 53)")
    sound = AGAIN.replace("network: draws}", f"network: draws, {whole}}}", 1)
    assert told((drawn, sound)) == []
    unsure = "pseudo_label, network: draws"
    (line,) = told((drawn, sound.replace(unsure, f"{unsure}, cases: {{split: [test]}}")))
    assert 'steps.once_more.task.mask: no training case would have it: step "sure"' in line


def test_what_only_follows_from_a_mistake_is_one_line() -> None:
    lines = told(
        ("image: t1", "image: organ"),
        ("table: {", 'sharper: {kind: describe, of: ["sharp.*"]}\n  table: {'),
    )
    assert [line.partition(": ")[2].partition(":")[0] for line in lines] == [
        "steps.sharpens.task.image",
        "steps.sharper",
    ]
    assert "not judged yet: a name that this step reads of steps with a mistake" in lines[1]


def test_a_mistake_of_a_step_that_is_fitted_again_is_told_once() -> None:
    nested = (
        "table: {",
        'model: {kind: logistic, outcome: sick, models: {a: ["AGE"]}}\n  table: {',
    )
    again = ("steps:", "nested: {folds: 2, steps: [model]}\nsteps:")
    assert told(again, (nested[0], nested[1].replace("AGE", "age"))) == []
    (line,) = told(again, (nested[0], nested[1].replace("AGE", "told.logits")))
    assert 'unknown column "told.logits" (did you mean "told.logit"?)' in line
    assert "also at" not in line


def test_a_list_is_no_single_column() -> None:
    chosen = (
        "table: {",
        "kept: {kind: univariable_logistic, outcome: sick, of: [age]}\n  table: {",
    )
    (line,) = told(
        chosen, ("kind: describe, of: [age,", 'kind: roc, outcome: "@kept.selected", scores: [age,')
    )
    assert '"@kept.selected" is a list of columns, expected one column' in line
