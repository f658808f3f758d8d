"""A chain of steps through the real gates: choices, refits, columns for every case."""

import json
from pathlib import Path

import numpy as np
import pytest

from client.site import load_site
from common.analyses.analysis import Ask
from common.drawing import outer_fold
from common.errors import Refused
from server.run import Run
from server.simulate import simulate
from tests.attacks.coordinator import coordinator
from tests.runs import SIZES, make_run

P = 8
STUDY = """
name: chain
cohort:
  columns:
    y: {{type: category, levels: ["n", p]}}
{columns}
nested: {{folds: 2, steps: [level, apart, score]}}
steps:
  level: {{kind: standardise, of: ["f*"], cases: {{split: [train]}}}}
  apart: {{kind: correlate, of: ["level.*"], at_most: 0.8, method: pearson}}
  score: {{kind: naive_bayes, outcome: "y", of: ["@apart.kept"]}}
  tested: {{kind: roc, outcome: "y", scores: [score.held_out.probability], bootstrap: 0}}
  outside: {{kind: roc, outcome: "y", scores: [score.probability], over: [external], bootstrap: 0}}
"""


def _study() -> str:
    return STUDY.format(columns="\n".join(f"    f{j}: {{type: number}}" for j in range(P)))


def _write(folder: Path, name: str, n: int, seed: int) -> None:
    """Write rows in which f1 says what f0 says, and y depends on f0."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, P))
    x[:, 1] = x[:, 0] + 0.1 * x[:, 1]
    y = (x[:, 0] + rng.normal(size=n) > 0).astype(int)
    lines = ["case_id,patient_id,split,y," + ",".join(f"f{j}" for j in range(P))]
    for i in range(n):
        split = "validation" if i % 4 == 0 else "train"
        values = ",".join(f"{v:.5f}" for v in x[i])
        lines.append(f"{name}{i:03d},{name}{i:03d},{split},{'np'[y[i]]},{values}")
    (folder / "cohort.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("chain")
    run = make_run(folder, study=_study())
    for seed, (name, n) in enumerate(SIZES.items()):
        _write(folder / "cohorts" / name, name, n, seed)
    simulate(run, engine="threads")
    return run


def _answers(run: Run) -> dict[str, dict[str, dict[str, object]]]:
    ended = json.loads((run.folder / "answers.json").read_text())
    assert not ended["failed"]
    found: dict[str, dict[str, dict[str, object]]] = ended["answers"]
    return found


def _columns(run: Run, site: str, step: str) -> dict[str, dict[str, float]]:
    home = load_site(run.folder / "sites" / site / "site.yaml")
    path = home.room("runs", run.id, "columns") / f"{step}.npz"
    with np.load(path) as kept:
        cases, values = kept["cases"].tolist(), kept["values"]
        return {
            name: dict(zip(cases, values[j], strict=True))
            for j, name in enumerate(kept["names"].tolist())
        }


def test_a_later_step_reads_what_an_earlier_one_kept(ended: Run) -> None:
    answers = _answers(ended)
    kept = answers["apart"]["development"]["kept"]
    assert "level.f0" in kept  # type: ignore[operator]
    assert "level.f1" not in kept  # type: ignore[operator]
    assert answers["outside"]["external"]["n"] == SIZES["abroad"]


def test_a_model_of_one_split_makes_columns_for_every_case(ended: Run) -> None:
    made = _columns(ended, "north", "level")
    assert len(made["f0"]) == SIZES["north"]
    assert not np.isnan(list(made["f0"].values())).any()


def test_a_refit_tells_nothing_of_the_fold_it_leaves_out(ended: Run) -> None:
    """Refits have other answers than the fit of all; each case has its own refit's."""
    answers = _answers(ended)
    sizes = [answers[f"score@{k}"]["development"]["n"] for k in (0, 1)]
    developing = {k: n for k, n in SIZES.items() if k != "abroad"}
    patients = [f"{name}{i:03d}" for name, n in developing.items() for i in range(n)]
    folds = [outer_fold("chain", p, 2) for p in patients]
    assert sizes == [sum(f != k for f in folds) for k in (0, 1)]
    assert answers["tested"]["development"]["n"] == len(patients)


def test_the_held_out_column_is_put_together_from_the_refits(ended: Run) -> None:
    from client.cohorts import load_cohort
    from client.tables import Source, make_table

    site = load_site(ended.folder / "sites" / "north" / "site.yaml")
    study = ended.study
    cases = load_cohort(site, study).cases
    name = "score.held_out.probability"
    table = make_table(Source(site, study, ended.id), cases, [name], alone=False)
    refits = [_columns(ended, "north", f"score@{k}")["probability"] for k in (0, 1)]
    for case, value in zip(cases, table.columns[name], strict=True):
        assert value == refits[outer_fold("chain", case.patient_id, 2)][case.case_id]


STEPS = """
  apart: {kind: correlate, of: [age, marker, days], at_most: 0.9, method: pearson}
  sums: {kind: moments, of: ["@apart.kept"]}
"""


def _ask(*columns: str) -> Ask:
    return Ask("totals", chosen={"apart.kept": columns})


def test_a_site_takes_only_columns_that_the_step_could_have_chosen(tmp_path: Path) -> None:
    attacker = coordinator(tmp_path, STEPS)
    with pytest.raises(Refused, match="malformed_ask"):
        attacker.total("sums", _ask("flag"))


def test_a_step_reads_one_choice_in_a_run(tmp_path: Path) -> None:
    """Without it sums could be asked of every subset of what the study has approved."""
    attacker = coordinator(tmp_path, STEPS)
    attacker.total("sums", _ask("age", "marker"))
    attacker.total("sums", _ask("age", "marker"), number=1, attempt=2)  # the same again
    with pytest.raises(Refused, match="differencing"):
        attacker.total("sums", _ask("marker"))
