"""Steps fitted again without each site, and at each alone, through the real gates."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from client.cohorts import load_cohort
from client.site import load_site
from client.tables import Source, make_table
from common.analyses.runner import run as run_on
from common.errors import ConfigError, Refused
from common.study import read_study
from common.sums import Sums
from common.table import Table
from server.run import Run
from server.simulate import simulate
from tests.attacks.coordinator import SITES, VICTIM, coordinator
from tests.runs import SIZES, make_run

HEAD = """
name: by_site
cohort:
  columns:
    y: {type: category, levels: ["n", p]}
    a: {type: number}
    b: {type: number}
"""
STUDY = (
    HEAD
    + """
by_site: {sites: [east, north, south, west], left_out: [level, model], apart: [model]}
steps:
  level: {kind: standardise, of: [a, b]}
  model: {kind: logistic, outcome: "y", models: {m: [level.a, level.b]}}
  out: {kind: roc, outcome: "y", scores: [model.left_out.probability], bootstrap: 0,
    over: [development, each]}
  across: {kind: roc, outcome: "y", scores: ["model@at_*.probability"], bootstrap: 0, over: [each]}
"""
)
DEVELOPING = ("east", "north", "south", "west")
N = {"north": 120, "east": 80, "south": 100, "west": 90, "abroad": 60}


def _write(folder: Path, name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(seed, 1 + seed, size=(N[name], 2))
    y = (x[:, 0] + rng.normal(size=len(x)) * 2 > seed).astype(int)
    lines = ["case_id,patient_id,split,y,a,b"]
    for i, (a, b) in enumerate(x):
        lines.append(f"{name}{i:03d},{name}{i:03d},train,{'np'[y[i]]},{a:.6f},{b:.6f}")
    (folder / "cohort.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("by_site")
    run = make_run(folder, study=STUDY)
    for seed, name in enumerate(SIZES):
        _write(folder / "cohorts" / name, name, seed)
    simulate(run, engine="threads")
    return run


def _answers(run: Run) -> dict[str, dict[str, dict[str, object]]]:
    ended = json.loads((run.folder / "answers.json").read_text())
    assert not ended["failed"]
    found: dict[str, dict[str, dict[str, object]]] = ended["answers"]
    return found


def _table(run: Run, site: str, *names: str) -> Table:
    home = load_site(run.folder / "sites" / site / "site.yaml")
    cases = load_cohort(home, run.study).cases
    return make_table(Source(home, run.study, run.id), cases, names, alone=False)


@pytest.mark.parametrize("site", DEVELOPING)
def test_a_fit_without_a_site_is_that_of_the_other_sites_rows(ended: Run, site: str) -> None:
    level, model = (ended.study.steps[name] for name in ("level", "model"))
    raw = [_table(ended, other, "y", "a", "b") for other in DEVELOPING if other != site]
    levelled = run_on(level, raw)
    scaled = [
        Table(
            {
                "y": t.columns["y"],
                **{f"level.{c}": v for c, v in level.columns_from(t, levelled).items()},
            },
            ended.study.contract(),
            t.patients,
        )
        for t in raw
    ]
    expected = run_on(model, scaled).values["models"]["m"]["terms"]["level.a"]  # type: ignore[index,call-overload]
    found = _answers(ended)[f"model@without_{site}"]["development"]["models"]["m"]["terms"]  # type: ignore[index]
    term = found[f"level@without_{site}.a"]
    assert term["estimate"] == pytest.approx(expected["estimate"], rel=1e-9)  # type: ignore[index,call-overload]
    assert term["se"] == pytest.approx(expected["se"], rel=1e-9)  # type: ignore[index,call-overload]


def test_each_case_is_predicted_by_the_fit_without_its_site(ended: Run) -> None:
    name = "model.left_out.probability"
    mine = _table(ended, "north", name, "model@without_north.probability").columns
    assert (mine[name] == mine["model@without_north.probability"]).all()
    assert np.isnan(_table(ended, "abroad", name).columns[name]).all()
    out = _answers(ended)["out"]
    assert out["development"]["n"] == sum(N[s] for s in DEVELOPING)
    assert not out["site.abroad"]["n"]  # it was in no fit, so none is without it


def test_every_fit_is_judged_at_every_site(ended: Run) -> None:
    across = _answers(ended)["across"]
    scores = [f"model@at_{s}.probability" for s in DEVELOPING]
    assert set(across) == {f"site.{s}" for s in SIZES}
    for of in across.values():
        assert list(of["scores"]) == scores  # type: ignore[call-overload]
    at_north = _answers(ended)["model@at_north"]
    assert set(at_north) == {"apply", "site.north"}
    assert at_north["site.north"]["n"] == N["north"]


def test_refits_by_site_cost_no_round(ended: Run) -> None:
    lines = (ended.folder / "journal.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    rounds = [e for e in events if e["event"] == "round"]
    asked = [[p.partition("/")[0] for p in e["problems"]] for e in rounds]
    first = next(i for i, names in enumerate(asked) if "model" in names)
    assert {f"model@without_{s}" for s in DEVELOPING} <= set(asked[first])


# -- what it would tell of one site ----------------------------------------------------

LEFT_OUT = """
  sums: {kind: standardise, of: [marker, days]}
by_site: {sites: [east, north, south, west], left_out: [sums]}
"""
PLAIN = """
  sums: {kind: standardise, of: [marker, days]}
  again: {kind: standardise, of: [marker, days]}
"""


def _own(whole: Sums, rest: Sums) -> dict[str, np.ndarray]:
    return {name: whole[name] - rest[name] for name in whole}


def test_a_site_s_own_sums_follow_from_the_fits_with_and_without_it(tmp_path: Path) -> None:
    """So they do, and every site's policy must say so."""
    attacker = coordinator(tmp_path, LEFT_OUT, per_site=True)
    whole = attacker.total("sums")
    rest = attacker.total("sums@without_east", group=[s for s in SITES if s != "east"])
    rows = attacker.site("east")
    cohort = load_cohort(rows, attacker.run.study).cases
    told = _own(whole, rest)
    assert int(told["n"]) == len(cohort)
    mean = sum(case.values["marker"] for case in cohort)
    assert any(np.isclose(value, mean, rtol=1e-9).any() for value in told.values())
    assert VICTIM  # one of those the sum is of


def test_a_site_that_keeps_its_sums_takes_no_part_in_fits_without_single_sites(
    tmp_path: Path,
) -> None:
    attacker = coordinator(tmp_path, LEFT_OUT, per_site=False)
    with pytest.raises(Refused, match="per_site_not_allowed"):
        attacker.total("sums")
    with pytest.raises(Refused, match="per_site_not_allowed"):
        attacker.total("sums@without_east", group=[s for s in SITES if s != "east"])


def test_a_refit_is_asked_of_no_other_sites_than_its_own(tmp_path: Path) -> None:
    attacker = coordinator(tmp_path, LEFT_OUT, per_site=True)
    for group in (SITES, ("north", "south", "east")):
        with pytest.raises(Refused, match="roster_mismatch"):
            attacker.total("sums@without_east", group=group)


CELLS = """
  model: {{kind: logistic, outcome: flag, models: {{m: [age]}}}}
{by_site}
"""
BY = "by_site: {sites: [east, north, south, west], left_out: [model]}"


def test_cells_of_a_site_are_checked_as_if_it_sent_them_alone(tmp_path: Path) -> None:
    """East has one patient with a flag: in a masked total fine, but not less the others."""
    hidden = coordinator(tmp_path / "a", CELLS.format(by_site=""), per_site=True)
    hidden.total("model")
    told = coordinator(tmp_path / "b", CELLS.format(by_site=BY), per_site=True)
    with pytest.raises(Refused, match="cell_too_small"):
        told.total("model")


def test_what_leaves_only_masked_cannot_leave_out_a_site() -> None:
    text = STUDY.replace("kind: logistic", "kind: boosting").replace(
        "models: {m: [level.a, level.b]}", "of: [level.a, level.b]"
    )
    with pytest.raises(ConfigError, match="only leave in a masked sum"):
        read_study(text, "study.yaml")


@pytest.mark.parametrize(
    ("by_site", "said"),
    [
        ("{sites: [a, b], left_out: [none]}", 'unknown step "none"'),
        ("{sites: [a, b], left_out: [out]}", "not of the developing sites"),
        ("{sites: [a, a], left_out: [model]}", "distinct"),
        ("{sites: [a, b]}", "got none"),
    ],
)
def test_what_cannot_be_fitted_by_site_is_said_beforehand(by_site: str, said: str) -> None:
    text = re.sub(r"(?m)^by_site: .*$", f"by_site: {by_site}", STUDY)
    with pytest.raises(ConfigError, match=said):
        read_study(text, "study.yaml")
