"""Noise on statistics: its size, shared between sites, counted with what trainings spend."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from client import audit
from client.budget import loss_of, spendings
from common.analyses.analysis import Ask
from common.errors import ConfigError, Refused
from common.study import read_study
from tests.attacks.coordinator import COLUMNS, SITES, Coordinator, coordinator
from tests.runs import make_run

STEP = {"kind": "histogram", "of": ["age", "marker"], "bins": 4}
NOISE = {"epsilon": 1.0, "delta": 1e-5}


def _asking(folder: Path, n_steps: int = 1, noise: object = NOISE, **policy: object) -> Coordinator:
    steps = {f"bars{i}": {**STEP, "noise": noise} for i in range(n_steps)}
    text = "".join(f"  {name}: {json.dumps(step)}\n" for name, step in steps.items())
    return coordinator(folder, text, **policy)


def _exact(folder: Path) -> dict[str, np.ndarray]:
    return dict(coordinator(folder, f"  bars0: {json.dumps(STEP)}\n").total("bars0"))


def test_the_total_is_the_exact_one_with_noise_of_every_site(tmp_path: Path) -> None:
    asking = _asking(tmp_path / "noisy", 40, most_epsilon=100)
    exact, step = _exact(tmp_path / "exact"), asking.run.study.bound["bars0"]
    found = []
    for i in range(40):  # each step is another ask, and so has other noise
        total = asking.total(f"bars{i}")
        assert total["sites"] == len(SITES)
        found += [total["n"] - exact["n"], *(total["bins.0"] - exact["bins.0"]).ravel()]
        found += [*(total["bins.1"] - exact["bins.1"]).ravel()]
    sd = step.noise.sd_of_total(step.sensitivity(), len(SITES))
    assert np.std(found) == pytest.approx(sd, rel=4 / (2 * len(found)) ** 0.5)
    assert abs(np.mean(found)) < 4 * sd / len(found) ** 0.5
    assert step.sensitivity() == pytest.approx(3**0.5)  # a count of each column, and n


def test_asking_again_gives_the_same_noise_and_costs_once(tmp_path: Path) -> None:
    asking = _asking(tmp_path)
    first = asking.total("bars0")
    asking.name = "run-2"
    again = asking.total("bars0")
    assert all(np.array_equal(first[name], again[name]) for name in first)
    log = audit.entries(asking.site("east").workspace / "audit.jsonl")
    assert [e["event"] for e in log] == ["release", "release"]
    assert loss_of(spendings(log).values(), 1e-5) == pytest.approx(1.0, rel=1e-6)
    assert log[-1]["privacy"]["epsilon"] == 1.0


def test_a_site_refuses_when_its_budget_is_spent(tmp_path: Path) -> None:
    asking = _asking(tmp_path, 3, most_epsilon=1.5)
    asking.total("bars0")
    asking.total("bars1")  # together less than the sum: about 1.43
    with pytest.raises(Refused, match="budget_spent"):
        asking.total("bars2")


def test_a_site_alone_lets_nothing_out(tmp_path: Path) -> None:
    asking = _asking(tmp_path, per_site=True)
    ask = next(asking.run.study.bound["bars0"].solve(asking.run.study.contract()))
    with pytest.raises(Refused, match="only_together"):
        asking.total("bars0", ask, group=("east",))


def test_a_patient_with_many_cases_counts_once(tmp_path: Path) -> None:
    asking = _asking(tmp_path)
    step, contract = asking.run.study.bound["bars0"], asking.run.study.contract()
    from common.table import Table

    n = 9
    values = {"age": np.full(n, 50.0), "marker": np.arange(n, dtype=np.float64)}
    table = Table(values, contract, np.array(["p"] * (n - 1) + ["q"]))
    sums = step.summarise(table, next(step.solve(contract)))
    assert sums["n"] == 2
    assert sums["bins.0"].sum() == sums["bins.1"].sum() == 2


def test_the_answer_states_epsilon_delta_and_the_size_of_the_noise(tmp_path: Path) -> None:
    from server.simulate import simulate

    study = COLUMNS.replace("attack", "noisy") + f"  bars: {json.dumps({**STEP, 'noise': NOISE})}\n"
    columns = yaml.safe_load(study)["cohort"]["columns"]
    for gone in ("code", "flag", "days"):
        columns.pop(gone)
    text = yaml.safe_dump({**yaml.safe_load(study), "cohort": {"columns": columns}})
    run = make_run(tmp_path, study=text)
    simulate(run, engine="threads")
    answer = json.loads((run.folder / "answers.json").read_text())["answers"]["bars"]
    said = answer["development"]["noise"]
    step = run.study.bound["bars"]
    assert (said["epsilon"], said["delta"], said["n_sites"]) == (1.0, 1e-5, 4)
    assert said["sd"] == pytest.approx(step.noise.sd_of_total(3**0.5, 4))
    assert abs(answer["development"]["n"] - 121) < 6 * said["sd"]


def test_an_answer_for_each_site_and_a_large_epsilon_are_mistakes() -> None:
    for change, words in (
        ({"over": ["each"]}, "no answer for each alone"),
        ({"noise": {"epsilon": 5}}, "at most 4"),
    ):
        step = {**STEP, "noise": NOISE, **change}
        with pytest.raises(ConfigError, match=words):
            read_study(COLUMNS + f"  bars: {json.dumps(step)}\n", "study.yaml")


def test_histograms_of_a_site_alone_have_an_account_of_their_own(tmp_path: Path) -> None:
    steps = """\
  spread: {kind: moments, of: [age, marker]}
  shapes: {kind: site_shapes, of: [age, marker], scale: spread, epsilon: 2}
"""
    asking = coordinator(tmp_path, steps, per_site=True, most_shapes_epsilon=6)
    ask = Ask("shapes", {}, {"edges": np.tile(np.linspace(0, 100, 9), (2, 1))})
    asking.total("shapes", ask, group=("east",))
    log = audit.entries(asking.site("east").workspace / "audit.jsonl")
    assert log[-1]["shapes"] == {"epsilon": 4.0, "total": 4.0}
    asking.name = "run-2"
    with pytest.raises(Refused, match="budget_spent"):
        asking.total("shapes", ask, group=("east",))
