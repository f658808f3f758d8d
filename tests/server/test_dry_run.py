"""A dry run works on any contract, keeps to the policy, and reports nothing of a patient."""

import json
from pathlib import Path

import yaml

from client.check import check
from client.ingest.made_up import make_up
from common.study import read_study
from server.dry_run import report, shortened, try_on_own, try_on_phantoms
from tests.runs import STUDY, write_cohort

CONTRACT = """
name: any
cohort:
  images: {ct: {modality: CT}, pet: {modality: PT}}
  masks:
    tumour: {on: ct, labels: {core: 3, rim: 7}}
    tumour@fellow: {on: ct, labels: {core: 3, rim: 7}, required: false}
  columns:
    grade: {type: category, levels: [low, mid, high]}
    n_nodes: {type: integer, range: [0, 40]}
    dose: {type: number}
steps: {flow: {kind: check_cohort}}
"""


def test_made_up_cases_fit_the_contract(tmp_path: Path) -> None:
    contract = read_study(CONTRACT, "study.yaml").cohort
    checked = check(contract, make_up(contract, tmp_path / "one", 6, "one"))
    assert [str(p) for p in (*checked.findings, *checked.problems)] == []
    assert len(checked.cases) == 6


def test_a_study_is_tried_on_made_up_patients_and_on_ones_own(tmp_path: Path) -> None:
    write_cohort(tmp_path / "data", 20, 1)
    site = {"name": "north", "cohort": str(tmp_path / "data"), "policy": {"per_site": True}}
    (tmp_path / "site.yaml").write_text(yaml.safe_dump(site))
    tries = {
        "phantoms": try_on_phantoms(STUDY, tmp_path / "a", lambda _: None),
        "own": try_on_own(STUDY, tmp_path / "site.yaml", tmp_path / "b", lambda _: None),
    }
    steps = read_study(STUDY, "study.yaml").bound
    assert set(tries["phantoms"].answered) | set(tries["phantoms"].failed) == set(steps)
    assert "table1" in tries["own"].answered
    said = report(STUDY, "north", tries)
    assert str(tmp_path) not in said
    assert set(json.loads(said)["tries"]["own"]) == {
        *("answered", "failed", "seconds", "longest_work_s"),
    }


def test_training_is_cut_short_and_pools_nothing() -> None:
    text = (Path(__file__).resolve().parents[2] / "studies" / "phantom.yaml").read_text()
    short = read_study(shortened(text), "study.yaml").steps["segment"]
    assert (short.rounds, short.local.steps, short.baselines) == (2, 2, ("local", "ensemble"))
