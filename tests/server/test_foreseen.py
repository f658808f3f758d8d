"""What `check` foresees of the cases of all sites is what the run comes to."""

import json
from pathlib import Path

from client.check_all import check_simulated
from server.journal import read_events
from server.run import Run
from server.simulate import simulate
from tests.runs import make_run

COLUMNS = """
name: tables
cohort:
  columns:
    age: {type: integer, range: [18, 100]}
    marker: {type: number, range: [0, 50]}
    sex: {type: category, levels: [f, m]}
    grade: {type: integer, range: [0, 1]}
"""
MODELS = f"""{COLUMNS}
steps:
  wide:
    kind: logistic
    outcome: sex
    models: {{m: [age, marker]}}
    cases: {{split: [validation]}}
    over: [development, all]
  narrow: {{kind: logistic, outcome: sex, models: {{m: [age, marker]}}}}
"""
OUTCOMES = f"""{COLUMNS}
steps:
  model:
    kind: logistic
    outcome: grade
    models: {{m: [age, marker]}}
    over: [development, external]
  curve: {{kind: roc, outcome: grade, scores: [marker]}}
  other: {{kind: roc, outcome: sex, scores: [marker]}}
"""


def warnings_of(folder: Path) -> list[tuple[str, str]]:
    found = check_simulated(folder / "study.yaml", folder / "sites.yaml", None)
    return [(one.site, one.text) for one in found if one.is_warning]


def grade(run: Run, value: int) -> None:
    """Give all patients of all sites a grade."""
    for path in sorted((run.folder.parents[1] / "cohorts").glob("*/cohort.csv")):
        head, *rows = path.read_text(encoding="utf-8").splitlines()
        lines = [f"{head},grade", *(f"{row},{value}" for row in rows)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_too_many_coefficients_are_foreseen_at_the_sites_that_refuse_them(tmp_path: Path) -> None:
    strict = {"most_coefficients_per_patient": 0.1}
    run = make_run(tmp_path, study=MODELS, policies={"east": strict, "abroad": strict})
    grade(run, 1)
    said = [(s, t) for s, t in warnings_of(tmp_path) if "model_saturated" in t]
    text = "will refuse wide (model_saturated): over `development`: 3 coefficients, 20 patients"
    assert ("east", f"{text} if all sites are like this one") in said
    simulate(run, engine="threads")
    events = read_events(run.folder / "journal.jsonl")
    lost = {(e["site"], e["problem"]) for e in events if e.get("reason") == "model_saturated"}
    assert {one for one in lost if not one[1].endswith("/apply")} == {
        (s, f"wide/{t.partition('`')[2].partition('`')[0]}") for s, t in said
    }


def test_an_outcome_of_one_class_at_all_sites_is_foreseen(tmp_path: Path) -> None:
    run = make_run(tmp_path, study=OUTCOMES)
    grade(run, 0)
    said = [t for s, t in warnings_of(tmp_path) if s == "all sites"]
    assert said == [
        'steps model, curve: over `development` no case of 121 has "grade" 1, so there will be '
        "no result",
        'steps.model: over `external` no case of 24 has "grade" 1, so there will be no result',
    ]
    simulate(run, engine="threads")
    answers = json.loads((run.folder / "answers.json").read_text(encoding="utf-8"))["answers"]
    notes = {name: of["development"].get("note", "") for name, of in answers.items()}
    assert "one class" in notes["model"] + str(answers["model"])
    assert "one class" in notes["curve"]
    assert "one class" not in notes["other"]


def test_an_outcome_of_two_classes_is_not_spoken_of(tmp_path: Path) -> None:
    run = make_run(tmp_path, study=OUTCOMES)
    grade(run, 1)
    path = tmp_path / "cohorts" / "north" / "cohort.csv"
    path.write_text(path.read_text(encoding="utf-8").replace(",1\n", ",0\n", 20), encoding="utf-8")
    said = [t for s, t in warnings_of(tmp_path) if "grade" in t]
    assert said == [
        'steps.model: over `external` every case of 24 has "grade" 1, so there will be no result'
    ]
