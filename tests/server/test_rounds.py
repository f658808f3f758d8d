"""Rounds are the cost: what is ready shares a message; the journal tells what was asked."""

from pathlib import Path

from client.audit import entries
from common.analyses.runner import run as run_here
from server.journal import read_events
from server.simulate import simulate
from tests.runs import SIZES, make_run

TWO = """
name: tables
cohort:
  columns:
    age: {type: integer, range: [18, 100]}
    marker: {type: number, range: [0, 50]}
    sex: {type: category, levels: [f, m]}
steps:
  one: {kind: describe, of: [age, marker]}
  two: {kind: describe, of: [marker], cases: {where: {sex: [f]}}}
  three: {kind: moments, of: [age, marker]}
  four: {kind: missingness, of: [age, sex]}
"""


def test_steps_that_are_ready_share_their_rounds(tmp_path: Path) -> None:
    run = make_run(tmp_path, study=TWO)
    simulate(run, engine="threads")
    rounds = [e for e in read_events(run.folder / "journal.jsonl") if e["event"] == "round"]
    assert len(rounds) == 3
    assert len(rounds[0]["problems"]) == 4
    assert not run.losses()


def test_a_site_gets_one_message_a_round(tmp_path: Path) -> None:
    run = make_run(tmp_path, study=TWO)
    simulate(run, engine="threads")
    log = next((tmp_path / "runs" / ".sites").glob("east-*")) / "audit.jsonl"
    asked = {(e["round"], e["attempt"]) for e in entries(log)}
    assert asked == {(1, 1), (2, 1), (3, 1)}


def test_the_answer_over_the_network_is_that_of_the_runner_in_memory(tmp_path: Path) -> None:
    import json

    from client.cohorts import load_cohort
    from client.site import load_site
    from client.tables import Source, make_table

    run = make_run(tmp_path, study=TWO)
    simulate(run, engine="threads")
    tables = []
    for name in SIZES:
        if name != "abroad":
            site = load_site(run.folder / "sites" / name / "site.yaml")
            cases = load_cohort(site, run.study).cases
            source = Source(site, run.study, run.id)
            tables.append(make_table(source, cases, [*run.study.cohort.columns], alone=False))
    answers = json.loads((run.folder / "answers.json").read_text())["answers"]
    for step in ("one", "three", "four"):
        here = run_here(run.study.bound[step], tables).values
        assert answers[step]["development"] == json.loads(json.dumps(here))
