"""What a site remembers of a study: numbers let out (R5), groups, turns."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from client.audit import AuditBroken, entries
from client.ledger import Ledger, Release, release_of
from client.steps import Work
from common.analyses.analysis import Ask
from common.analyses.correlate import Correlate
from common.analyses.logistic import Logistic
from common.analyses.roc import Roc
from common.cohort import Column
from common.errors import Refused
from common.messages import Hello, Posed, Round
from common.sites import PolicySettings
from common.step import Step
from server.simulate import simulate
from tests.attacks.coordinator import coordinator
from tests.runs import make_run

GROUP = ("a", "b", "c", "d")
ROUND = Round(Hello("run", "s", "0" * 64), 1, 1, {})
POLICY = PolicySettings()


def _posed(ask: Ask | None = None, group: tuple[str, ...] = GROUP, step: str = "one") -> Posed:
    return Posed(f"{step}/development", step, group, ask or Ask("x"))


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.jsonl", ())


def _after(ledger: Ledger, *releases: Release, group: tuple[str, ...] = GROUP) -> Ledger:
    for release in releases:
        ledger.note(ROUND, _posed(Ask(release.what), group, release.step), release)
    return replace(ledger, entries=tuple(entries(ledger.path)))


def _spent(ledger: Ledger, release: Release, n: int, group: tuple[str, ...] = GROUP) -> float:
    return ledger.check(POLICY, replace(ROUND, number=2), _posed(Ask("new"), group), release, n)


def test_numbers_of_a_study_add_up_over_its_patients(ledger: Ledger) -> None:
    after = _after(ledger, Release("w1", "one", 120, 50), Release("w2", "two", 80, 50))
    assert _spent(after, Release("w3", "three", 200, 50), n=10) == 400 / 40


def test_the_same_ask_counts_once_in_any_run(ledger: Ledger) -> None:
    again = Release("w1", "one", 120, 50)
    after = _after(ledger, again)
    assert _spent(after, again, n=10) == 120 / 40


def test_a_step_counts_for_no_more_than_there_is_to_know(ledger: Ledger) -> None:
    after = _after(ledger, *(Release(f"w{i}", "one", 10_000, 12) for i in range(9)))
    assert _spent(after, Release("w", "one", 10_000, 12), n=10) == 12


def test_sums_in_clear_are_counted_apart_and_for_one_site(ledger: Ledger) -> None:
    after = _after(ledger, Release("w1", "one", 4000, 500))
    assert _spent(after, Release("w2", "two", 100, 500), n=10, group=("a",)) == 10
    assert _spent(after, Release("w2", "two", 100, 500), n=10) == 102.5


def test_counts_alone_are_never_too_many(ledger: Ledger) -> None:
    after = _after(ledger, Release("w1", "one", 10**9, 5000))
    _spent(after, Release("w2", "two", 0, 3), n=10)
    with pytest.raises(Refused, match="too_many_numbers"):
        _spent(after, Release("w2", "two", 1, 3), n=10)


def _wide(p: int) -> dict[str, Column]:
    columns = {f"f{i}": Column(type="number", range=(0, 1)) for i in range(p)}
    return {**columns, "y": Column(type="category", levels=("no", "yes"))}


def _release(step: Step, message: Round, posed: Posed, work: Work) -> Release:
    return release_of(step, message, posed, work, len(step.columns()))


def _gram(p: int, method: str = "pearson") -> Release:
    step = Correlate(of=tuple(f"f{i}" for i in range(p)), method=method)  # type: ignore[arg-type]
    ask = Ask("products", {}, {"centre": np.zeros((1, p)), "scale": np.ones(p)})
    work = Work(step.schema(ask, _wide(p)), dict, "data")
    return _release(step, ROUND, _posed(ask), work)


@pytest.mark.parametrize("method", ["pearson", "spearman"])
@pytest.mark.parametrize("n", [151, 88, 57, 32])
def test_a_gram_of_1975_columns_on_328_patients_needs_a_higher_setting(
    ledger: Ledger, method: str, n: int
) -> None:
    release = _gram(1975, method)
    with pytest.raises(Refused, match="too_many_numbers"):
        _spent(ledger, release, n)
    wide = PolicySettings(most_numbers_per_patient=2000)
    ledger.check(wide, ROUND, _posed(), release, n)


@pytest.mark.parametrize("n", [151, 88, 57, 32, 10])
def test_a_gram_of_filtered_columns_passes(ledger: Ledger, n: int) -> None:
    assert _spent(ledger, _gram(108), n) < 150


def test_a_score_histogram_is_no_number_of_its_kind() -> None:
    columns = {**_wide(1), "y": Column(type="category", levels=("no", "yes"))}
    step, ask = Roc(outcome="y", scores=("f0",)), Ask("counts", {"alone": False})
    work = Work(step.schema(ask, columns), dict, "data")
    assert _release(step, ROUND, _posed(ask), work).numbers == 0


def test_a_column_a_step_has_made_is_another_in_another_run() -> None:
    step, ask = Logistic(outcome="y", models={"m": ("scores.dice",)}), Ask("scale")
    work = Work({}, dict, "data")
    other = replace(ROUND, hello=replace(ROUND.hello, run="other"))
    assert _release(step, ROUND, _posed(ask), work) != _release(step, other, _posed(ask), work)
    plain = Logistic(outcome="y", models={"m": ("f0",)})
    assert _release(plain, ROUND, _posed(ask), work) == _release(plain, other, _posed(ask), work)


def test_through_the_gate_a_study_ends_where_the_numbers_do(tmp_path: Path) -> None:
    steps = "  table1: {kind: describe, of: [age, marker]}\n"
    attacker = coordinator(tmp_path, steps, most_numbers_per_patient=0.22)
    attacker.total("table1")  # 8 numbers: sums and magnitudes, each on two scales
    arrays = [{"means": np.array([m, m]), "unit": np.ones(2)} for m in (1.0, 2.0)]
    spread = [Ask("spread", {"alone": False}, of) for of in arrays]
    attacker.total("table1", spread[0])  # 4 more, of 14 patients times 4 sites
    with pytest.raises(Refused, match="too_many_numbers: east"):
        attacker.total("table1", spread[1])
    attacker.name = "run-2"
    assert attacker.total("table1", spread[0])["n"] == 88  # the same numbers again


def test_a_ledger_that_was_changed_stops_everything(tmp_path: Path) -> None:
    attacker = coordinator(tmp_path, "  table1: {kind: describe, of: [age, marker]}\n")
    attacker.total("table1")
    path = attacker.site("east").workspace / "ledger" / f"{attacker.run.study_hash}.jsonl"
    path.write_text(path.read_text().replace('"numbers": 8', '"numbers": 0'))
    with pytest.raises(AuditBroken):
        Ledger.open(attacker.site("east"), attacker.run.study_hash)
    with pytest.raises(Refused, match="audit_broken: east"):
        attacker.total("table1")


def test_the_audit_says_which_cohort_was_frozen_and_what_was_spent(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    simulate(run, engine="threads")
    workspace = next((tmp_path / "runs" / ".sites").glob("east-*"))
    lines = [e for e in entries(workspace / "audit.jsonl") if e["event"] == "release"]
    frozen = workspace / "ledger" / f"{run.study_hash}.cohorts"
    assert {e["cohort"] for e in lines} == {path.stem for path in frozen.glob("*.json")}
    assert max(e["spent"] for e in lines if e["masked"]) > 0
    assert json.loads(next(frozen.glob("*.json")).read_bytes())
