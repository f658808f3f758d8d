"""What a check foresees is what the sites refuse, no less and no more."""

from pathlib import Path
from typing import Any

import pytest

from common.outlook import foreseen_refusals, refusals_in_lines
from common.settings import parse
from common.sites import Roster
from common.study import read_study
from server.journal import read_events
from server.simulate import simulate
from tests.runs import STUDY, make_run
from tests.training import STUDY as TRAINING

SITES = ("north", "south", "west", "abroad", "far")


def _foreseen(study: str, policy: str, external: tuple[str, ...] = ("abroad",)) -> list[str]:
    lines = [
        f"  {name}: {{role: {'external' if name in external else 'develop'}, "
        f"simulate: {{cohort: x, policy: {{{policy}}}}}}}\n"
        for name in SITES
    ]
    roster = parse(Roster, "sites:\n" + "".join(lines), "sites.yaml")
    return [f"{s} {t}" for s, t in foreseen_refusals(read_study(study, "study.yaml"), roster)]


def test_policies_that_open_everything_refuse_nothing() -> None:
    assert _foreseen(STUDY, "per_site: true") == []


def test_noisy_histograms_beyond_the_limit_are_foreseen() -> None:
    study = """
name: shapes
cohort: {columns: {age: {type: number}, size: {type: number}}}
steps:
  spread: {kind: moments, of: [age, size]}
  shapes: {kind: site_shapes, of: [age, size], scale: spread, epsilon: 2}
"""
    assert not any("epsilon" in said for said in _foreseen(study, "per_site: true"))
    said = _foreseen(study, "per_site: true, most_shapes_epsilon: 3")
    assert any(
        "budget_spent: epsilon 4 over all columns, and its policy allows 3" in s for s in said
    )


def test_numbers_of_one_site_and_of_a_lone_external_site_are_foreseen() -> None:
    said = _foreseen(STUDY, "per_site: false")
    each = [t for t in said if "over: each: per_site_not_allowed" in t]
    assert sorted(t.split()[0] for t in each) == sorted(SITES)
    assert [t.split()[0] for t in said if "over: external: per_site" in t] == ["abroad"]
    assert len(said) == 6


def test_sums_of_too_few_sites_are_foreseen() -> None:
    said = _foreseen(STUDY, "per_site: true", external=("abroad", "far"))
    assert [t.split()[0] for t in said] == ["abroad", "far"]
    assert all("over: external: too_few_sites: a sum of 2 sites" in t for t in said)


def test_columns_that_stay_closed_are_foreseen() -> None:
    said = _foreseen(STUDY, 'per_site: true, columns: ["ag*", sex]')
    assert {t.split()[1] for t in said} == {"steps.table1:", "steps.women:"}
    assert all('column_not_allowed: its policy does not open "marker"' in t for t in said)


@pytest.mark.parametrize(
    ("policy", "word", "n"),
    [
        ("per_site: true, share_network: true", "baselines", 0),
        ("per_site: true", "network_not_shared", 4),
        ("share_network: true", "baselines: ensemble, local: per_site_not_allowed", 4),
    ],
)
def test_baselines_of_sites_alone_are_foreseen(policy: str, word: str, n: int) -> None:
    assert len([t for t in _foreseen(TRAINING, policy) if word in t]) == n


REASONS = ("per_site_not_allowed", "own_sums_follow", "too_few_sites", "column_not_allowed")


def test_what_is_foreseen_is_what_is_refused(tmp_path: Path) -> None:
    policies: dict[str, dict[str, Any]] = {
        "east": {"per_site": False},
        "south": {"fewest_sites": 5},
        "west": {"columns": ["age", "sex"]},
        "abroad": {"per_site": False},
    }
    run = make_run(tmp_path, policies=policies)
    simulate(run, engine="threads")
    lost = {
        (e["site"], e["problem"].split("/")[0], e["reason"])
        for e in read_events(run.folder / "journal.jsonl")
        if e["event"] == "lost"
    }
    foreseen = {
        (site, text.split()[0].removeprefix("steps.").rstrip(":"), reason)
        for site, text in foreseen_refusals(run.study, run.roster)
        for reason in (
            "per_site_not_allowed",
            "own_sums_follow",
            "too_few_sites",
            "column_not_allowed",
        )
        if f"{reason}:" in text
    }
    assert lost == foreseen


def test_a_closed_column_is_one_line_with_its_steps() -> None:
    steps = "".join(f"  s{i}: {{kind: moments, of: [age, marker]}}\n" for i in range(20))
    study = read_study(f"{STUDY.partition('  table1:')[0]}{steps}", "study.yaml")
    policy = "simulate: {cohort: x, policy: {per_site: true, columns: [age]}}"
    text = "".join(f"  {name}: {{{policy}}}\n" for name in SITES)
    (line,) = refusals_in_lines(study, parse(Roster, f"sites:\n{text}", "sites.yaml"))
    assert line.startswith(f"{', '.join(sorted(SITES))}: warning: will refuse steps s0, s1, ")
    assert line.endswith('and 14 more: column_not_allowed: its policy does not open "marker"')


def test_kinds_that_no_site_answers_alone_are_foreseen() -> None:
    study = """
name: together
cohort:
  columns:
    age: {type: integer, range: [18, 100]}
    days: {type: integer, range: [0, 400]}
    dead: {type: category, levels: ["0", "1"]}
steps:
  hazard:
    kind: piecewise_exponential
    time: days
    event: dead
    models: {a: [age]}
    over: [development, each]
  trees: {kind: forest, outcome: dead, of: [age], over: [external]}
  ages: {kind: moments, of: [age], over: [development, each]}
"""
    said = _foreseen(study, "per_site: true")
    each = "steps.hazard: over: each: only_together: no site answers this kind of step alone"
    assert [t for t in said if "hazard" in t] == [
        f"{site} {each} (piecewise_exponential)" for site in sorted(SITES)
    ]
    assert [t.partition(":")[0] for t in said if "trees" in t] == ["abroad steps.trees"]
    assert len(said) == 6


def test_a_step_no_site_answers_alone_is_refused_by_that_reason(tmp_path: Path) -> None:
    study = """
name: together
cohort: {columns: {age: {type: integer, range: [18, 100]}, marker: {type: number, range: [0, 50]}}}
steps:
  groups: {kind: cluster, of: [age, marker], over: [each]}
"""
    run = make_run(tmp_path, study=study)
    simulate(run, engine="threads")
    events = read_events(run.folder / "journal.jsonl")
    assert {e["reason"] for e in events if e["event"] == "lost"} == {"only_together"}
    foreseen = {site for site, _ in foreseen_refusals(run.study, run.roster)}
    assert foreseen == {e["site"] for e in events if e["event"] == "lost"}


def test_a_total_that_would_tell_of_an_external_site_is_foreseen_and_refused(
    tmp_path: Path,
) -> None:
    study = """
name: beside
cohort: {columns: {age: {type: integer, range: [18, 100]}, marker: {type: number, range: [0, 50]}}}
steps:
  inside: {kind: moments, of: [age]}
  others: {kind: moments, of: [marker], over: [all]}
  everywhere: {kind: moments, of: [age, marker], over: [all]}
"""
    run = make_run(tmp_path, study=study, policies={"abroad": {"per_site": False}})
    simulate(run, engine="threads")
    events = read_events(run.folder / "journal.jsonl")
    lost = {(e["site"], e["problem"], e["reason"]) for e in events if e["event"] == "lost"}
    inner = ("east", "north", "south", "west")
    assert lost == {(site, "everywhere/all", "differencing") for site in inner}
    foreseen = list(foreseen_refusals(run.study, run.roster))
    assert [site for site, _ in foreseen] == list(inner)
    said = "steps.everywhere: over: all: differencing: less that of inside (over: development)"
    assert all(text.startswith(said) for _, text in foreseen)


def test_totals_that_are_put_together_of_parts_are_foreseen_and_refused(tmp_path: Path) -> None:
    study = """
name: parts
cohort: {columns: {age: {type: integer, range: [18, 100]}, sex: {type: category, levels: [f, m]}}}
steps:
  women: {kind: moments, of: [age], cases: {where: {sex: [f]}}}
  men: {kind: moments, of: [age], cases: {where: {sex: [m]}}}
  everywhere: {kind: moments, of: [age], over: [all]}
  men_everywhere: {kind: moments, of: [age], over: [all], cases: {where: {sex: [m]}}}
"""
    run = make_run(tmp_path, study=study, policies={"abroad": {"per_site": False}})
    for folder in (tmp_path / "cohorts").iterdir():
        rows = "".join(f"c{i},p{i},{40 + i},{'fm'[i % 2]}\n" for i in range(12))
        (folder / "cohort.csv").write_text(f"case_id,patient_id,age,sex\n{rows}")
    simulate(run, engine="threads")
    events = read_events(run.folder / "journal.jsonl")
    lost = {(e["site"], e["problem"], e["reason"]) for e in events if e["event"] == "lost"}
    inner, both = ("east", "north", "south", "west"), ("everywhere/all", "men_everywhere/all")
    assert lost == {(site, name, "differencing") for site in inner for name in both}
    said = {f"{site} {text}" for site, text in foreseen_refusals(run.study, run.roster)}
    told = "it would tell the own sums of abroad"
    assert said == {
        f"{site} steps.{name}: over: all: differencing: {less} {told}"
        for site in inner
        for name, less in (
            ("everywhere", "with those of women, men"),
            ("men_everywhere", "less that of men (over: development)"),
        )
    }


def test_cells_over_more_sites_are_foreseen_and_refused_though_all_show_their_own(
    tmp_path: Path,
) -> None:
    study = """
name: cells
cohort:
  columns:
    age: {type: integer, range: [18, 100]}
    marker: {type: number, range: [0, 50]}
    sex: {type: category, levels: [f, m]}
steps:
  table: {kind: describe, of: [age, sex], over: [development, all]}
  gaps: {kind: missingness, of: [marker], over: [development, all]}
  shape: {kind: moments, of: [marker], over: [development, all]}
  ranks: {kind: compare_groups, of: [age], by: sex, test: mann_whitney, over: [development, all]}
  once: {kind: cross_tabulate, of: [sex], by: sex, over: [all]}
  again: {kind: cross_tabulate, of: [sex], by: sex}
"""
    run = make_run(tmp_path, study=study)
    simulate(run, engine="threads")
    events = read_events(run.folder / "journal.jsonl")
    lost = {(e["site"], e["problem"], e["reason"]) for e in events if e["event"] == "lost"}
    foreseen = dict[tuple[str, str, str], str]()
    for site, text in foreseen_refusals(run.study, run.roster):
        step, _, word, reason = (part.strip() for part in text.split(":")[:4])
        foreseen[site, f"{step.removeprefix('steps.')}/{word}", reason.strip()] = text
    assert {*foreseen} == lost
    assert {problem for _, problem, _ in lost} == {
        "table/all",
        "gaps/all",
        "ranks/all",
        "again/development",
    }
    said = next(text for text in foreseen.values() if text.startswith("steps.table"))
    assert "less the same over `development` its counts would be those of abroad" in said
    assert "or for `external` in place of `all`, which takes 3 external sites" in said
