"""One wrong key hides nothing: form, a model's own rules and unknown names come together."""

import re
from collections.abc import Mapping

import pytest

from client.site import SiteSettings
from common.errors import ConfigError
from common.outlook import foreseen_refusals
from common.settings import decoded, parse
from common.sites import Roster
from common.study import read_study

STUDY = """\
name: many mistakes
cohort:
  images: {t1: {modality: MR}}
  masks: {organ: {on: t2, labels: {organ: 1}}}
  columns:
    age: {type: integer, range: [18, 100]}
    sex: {type: category, levels: [f], titel: Sex}
    marker: {type: number, range: [5, 1]}
steps:
  table1: {kind: describe, of: [agee, sex], ovr: [all]}
  again: {kind: descripe, of: [age]}
  women: {kind: describe, of: [marker, heigth], cases: {where: {sex: [w]}}}
  net:
    kind: train
    rounds: 3
    validate_every: often
    task: {kind: segmentation, images: [t3], mask: organ, recipe: {size: [16, 16, 16]}}
  scores: {kind: predict, network: nett}
  after: {kind: describe, of: ["scores.dice_organ", "again.x", "tabel1.y"]}
"""


def mistakes(text: str) -> Mapping[str, str]:
    """Return what is said of each path."""
    with pytest.raises(ConfigError) as refused:
        read_study(text, "s.yaml")
    findings = refused.value.findings
    assert [f.line for f in findings] == sorted(f.line or 0 for f in findings)
    said: dict[str, str] = {}
    for finding in findings:
        said[finding.path] = f"{said.get(finding.path, '')} {finding.message}"
    return said


def test_form_rules_and_names_of_a_study_come_together() -> None:
    said = mistakes(STUDY)
    assert "expected a name" in said["name"]
    assert 'unknown image "t2"' in said["cohort.masks.organ.on"]
    assert "unknown key" in said["cohort.columns.sex.titel"]
    assert "lowest < highest" in said["cohort.columns.marker"]
    assert 'did you mean "over"' in said["steps.table1.ovr"]
    assert 'unknown column "agee" (did you mean "age"?)' in said["steps.table1"]
    assert 'did you mean "describe"' in said["steps.again"]
    assert 'unknown column "heigth"' in said["steps.women"]
    assert "whole number" in said["steps.net.validate_every"]
    assert 'unknown image "t3"' in said["steps.net.task.images.0"]
    assert 'needs a step "nett"' in said["steps.scores"]
    assert 'unknown column "tabel1.y"' in said["steps.after"]


def test_what_names_something_wrong_is_not_unknown() -> None:
    said = " ".join(mistakes(STUDY).values())
    for doubtful in (
        'column "marker"',
        'column "again.x"',
        'column "scores.dice_organ"',
        '"organ"',
        'column "sex"',
    ):
        assert doubtful not in said


def test_each_mistake_is_told_once() -> None:
    with pytest.raises(ConfigError) as refused:
        read_study(STUDY, "s.yaml")
    told = [str(f) for f in refused.value.findings]
    assert len(told) == len(set(told)) == 13


def test_a_study_without_a_cohort_still_has_its_steps_checked() -> None:
    said = mistakes("name: x\nsteps:\n  a: {kind: describe, of: [age], ovr: 1}\n  b: {kind: nix}\n")
    assert said["cohort"] == " missing, but required"
    assert {"steps.a.ovr", "steps.b"} < said.keys()
    assert "steps.a" not in said


def test_form_and_rules_of_a_roster_come_together() -> None:
    key = "ab" * 32
    text = (
        "sites:\n"
        f"  north: {{rol: develop, key: {key}}}\n"
        f"  south: {{role: external, key: {key}}}\n"
        "  pooled: {}\n"
        "quorum: 7\n"
        "patience: soon\n"
    )
    with pytest.raises(ConfigError) as refused:
        parse(Roster, text, "sites.yaml")
    assert [str(f).partition(";")[0] for f in refused.value.findings] == [
        "sites.yaml:2: sites.north.rol: unknown key",
        'sites.yaml:3: sites.south.key: the key of "north" too',
        "sites.yaml:4: sites.pooled: the name of the pooled baseline",
        "sites.yaml:5: quorum: expected at most the 2 developing sites, got 7",
        "sites.yaml:6: patience: expected a whole number, got 'soon'",
    ]


def test_a_site_file_names_all_its_mistakes() -> None:
    text = "nam: north\ncohort: 5\npolicy: {smallest_cel: 5, fewest_sites: 1}\n"
    with pytest.raises(ConfigError) as refused:
        parse(SiteSettings, text, "site.yaml")
    paths = [f.path for f in refused.value.findings]
    assert sorted(paths)[-4:] == ["nam", "name", "policy.fewest_sites", "policy.smallest_cel"]
    assert any(path.startswith("cohort") for path in paths)


def test_a_key_that_stands_twice_hides_no_other_mistake() -> None:
    text = STUDY.replace("name: many mistakes", "name: twice\nname: many mistakes")
    said = mistakes(text)
    assert said.pop("") == ' the key "name" stands here twice'
    assert said == mistakes(STUDY)


def test_only_keys_of_the_place_are_suggested() -> None:
    said = mistakes(STUDY.replace("name: many", "at: 1\nquantiles: []\nname: many"))
    assert said["at"] == said["quantiles"] == " unknown key"
    said = mistakes(STUDY.replace("size: [16", "spacing: [1, 1, 1], size: [16"))
    assert said["steps.net.task.recipe.spacing"] == ' unknown key; did you mean "spacing_mm"?'


def test_a_column_with_a_mistake_is_still_suggested() -> None:
    said = mistakes(
        "name: s\n"
        "cohort: {columns: {sex: {type: category, levels: [f]}}}\n"
        "steps: {table1: {kind: describe, of: [sexx]}}\n"
    )
    assert said["steps.table1"] == ' unknown column "sexx" (did you mean "sex"?)'


def test_what_is_no_mapping_is_shown_in_short() -> None:
    said = mistakes("case,site\n" * 1000)[""]
    assert "expected keys and values, got 'case,site case,site" in said
    assert len(said) < 120


def test_a_recipe_of_two_axes_is_told_how_a_task_becomes_one_of_two() -> None:
    said = mistakes(STUDY.replace("size: [16, 16, 16]", "size: [16, 16]"))
    tip = "expected (z, y, x) in 3D, got [16, 16]; `dimensions: 2` makes it a 2D task"
    assert any(tip in text for text in said.values())


def test_a_seed_fits_64_bits_and_a_file_that_is_not_utf_8_is_named() -> None:
    roster = "sites: {a: {}, b: {}, c: {}}\nseed: "
    assert parse(Roster, f"{roster}{2**63 - 1}", "sites.yaml").seed == 2**63 - 1
    with pytest.raises(ConfigError, match="seed: expected at most"):
        parse(Roster, f"{roster}123456789012345678901234567890", "sites.yaml")
    with pytest.raises(ConfigError, match=r"^s\.yaml:2: not UTF-8"):
        decoded("name: x\ntitle: Köln".encode("latin-1"), "s.yaml")


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("kind: roc, outcome: stage, scores: [age]", 'column "age": expected a number with a'),
        ("kind: operating_point, outcome: stage, scores: [age]", 'column "age": expected a num'),
        ("kind: calibration, outcome: stage, scores: [age]", 'column "age": expected a number'),
        ("kind: histogram, of: [age]", '"age": expected a declared range, or edges'),
        ("kind: kaplan_meier, time: age, event: stage", 'time "age": expected whole days'),
        ("kind: decision_curve, outcome: three, scores: [p]", "say which of its levels is"),
        ("kind: logistic, outcome: three, models: {a: [age]}", "say which of its levels is"),
        ("kind: describe, of: [age]", ""),
        ("kind: roc, outcome: stage, scores: [p]", ""),
    ],
)
def test_a_column_that_an_analysis_cannot_use_is_told_before_it_runs(step: str, said: str) -> None:
    text = (
        "name: s\n"
        "cohort:\n"
        "  columns:\n"
        "    stage: {type: category, levels: [a, b]}\n"
        "    three: {type: category, levels: [a, b, c]}\n"
        "    age: {type: number}\n"
        "    p: {type: number, range: [0, 1]}\n"
        f"steps:\n  one: {{{step}}}\n"
    )
    if not said:
        assert read_study(text, "s.yaml").bound
        return
    assert said in mistakes(text)["steps.one"]


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("{kind: icc, raters: [[age]]}", "raters: expected at least 2 items, got [['age']]"),
        ("{kind: icc, raters: age}", "raters: expected a list, got 'age'"),
        ("{kind: moments, of: [5]}", 'expected text, got 5; in quotes it is text: "5"'),
        ("{kind: moments, of: [true]}", 'expected text, got true; in quotes it is text: "true"'),
        ("{kind: moments, of: null}", "of: expected a list, got nothing"),
        ("{kind: moments, of: []}", "of: expected at least 1 item, got []"),
        ("{kind: histogram, of: [age], bins: 1.5}", "bins: expected a whole number, got 1.5"),
        ("{kind: histogram, of: [age], bins: 1}", "bins: expected 2 or more, got 1"),
        ("{kind: describe, of: [age], quantiles: [2]}", "expected less than 1, got 2"),
        ("{kind: compare_groups, of: [age], by: sex, exact_ranks: 5}", "expected true or false"),
        ("{kind: derive, make: {a: {of: [age]}}}", 'make.a: missing "op"'),
        ("{kind: derive, make: {a: {op: logg, of: [age]}}}", 'unknown op "logg"; did you mean "lo'),
        ("{kind: derive, make: []}", "make: expected keys and values, got []"),
    ],
)
def test_wrong_values_are_told_in_plain_words(step: str, said: str) -> None:
    text = (
        "name: s\ncohort: {columns: {age: {type: integer, range: [0, 99]}, "
        f"sex: {{type: category, levels: [f, m]}}}}}}\nsteps:\n  a: {step}\n"
    )
    with pytest.raises(ConfigError) as error:
        read_study(text, "study.yaml")
    assert said in str(error.value)
    assert not re.search(r"(?i)should|valid|after validation|tuple|dictionary", str(error.value))


def test_one_site_that_keeps_its_numbers_is_one() -> None:
    study = read_study(
        "name: s\ncohort: {columns: {age: {type: integer, range: [0, 99]}}}\n"
        "steps:\n  a: {kind: moments, of: [age], over: [all, each]}\n",
        "study.yaml",
    )
    sites = "".join(
        f"  {name}: {{simulate: {{cohort: x, policy: {{per_site: {word}}}}}}}\n"
        for name, word in (("a", "true"), ("b", "true"), ("c", "false"))
    )
    roster = parse(Roster, f"sites:\n{sites}", "sites.yaml")
    assert any(
        "own_sums_follow: c keeps its own numbers" in t for _, t in foreseen_refusals(study, roster)
    )


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (
            "{kind: segmentation, images: [t1], mask: organ, network: {channels: [2, 2]}, "
            "recipe: {spacing_mm: [0, 1, 1], size: [8, 8, 8]}}",
            ["task.recipe.spacing_mm.0: expected more than 0, got 0"],
        ),
        (
            "{kind: super_resolution, image: t1, finer: [3, 1, 1]}",
            ["task.finer.0: expected 1 or 2, got 3"],
        ),
        (
            "{kind: classification, outcome: sick, images: [t1], recipe: {size: [8, 8, 8]}, "
            "loss: {weights: [0, 1]}}",
            ["task.loss.weights.0: expected more than 0, got 0"],
        ),
    ],
)
def test_a_list_with_a_wrong_item_is_neither_too_short_nor_no_list(
    task: str, said: list[str]
) -> None:
    text = (
        "name: s\ncohort: {images: {t1: {modality: MR}}, masks: {organ: {on: t1, labels: {a: 1}}}, "
        'columns: {sick: {type: category, levels: ["no", "yes"]}}}\n'
        f"steps:\n  net: {{kind: train, rounds: 2, task: {task}}}\n"
    )
    with pytest.raises(ConfigError) as error:
        read_study(text, "s.yaml")
    assert [line.partition("steps.net.")[2] for line in str(error.value).splitlines()] == said


@pytest.mark.parametrize("text", ["name: s\nsteps:\n\tone: {}\n", "name: s\nsteps:\n \tone: {}\n"])
def test_a_tab_is_called_a_tab(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_study(text, "s.yaml")
    said = "s.yaml:3: not readable as YAML: the line begins with a tab; indent by spaces"
    assert str(caught.value) == said
