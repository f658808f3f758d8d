"""One wrong key hides nothing: form, a model's own rules and unknown names come together."""

from collections.abc import Mapping

import pytest

from client.site import SiteSettings
from common.errors import ConfigError
from common.settings import parse
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
    assert "integer" in said["steps.net.validate_every"]
    assert 'unknown image or mask "t3"' in said["steps.net"]
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
    assert len(told) == len(set(told)) == 12


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
        "sites.yaml:6: patience: input should be a valid integer, unable to parse string as an "
        "integer, got 'soon'",
    ]


def test_a_site_file_names_all_its_mistakes() -> None:
    text = "nam: north\ncohort: 5\npolicy: {smallest_cel: 5, fewest_sites: 1}\n"
    with pytest.raises(ConfigError) as refused:
        parse(SiteSettings, text, "site.yaml")
    paths = [f.path for f in refused.value.findings]
    assert sorted(paths)[-4:] == ["nam", "name", "policy.fewest_sites", "policy.smallest_cel"]
    assert any(path.startswith("cohort") for path in paths)
