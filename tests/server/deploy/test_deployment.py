"""A real deployment on this machine: the same bits as a simulation, and nothing left behind."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from client.ingest.phantoms import write
from common.phantoms.spec import load_spec
from server.deploy.bundle import ROOT
from server.deploy.compare import differences
from server.deploy.kits import Deployment, lay_out
from server.deploy.localhost import deploy
from server.journal import read_events
from server.simulate import prepare, simulate
from tests.ps import command_lines
from tests.runs import STUDY as TABLES
from tests.runs import write_cohort

SITES = ("east", "north", "south")
FEWEST = 10

# Training takes three rounds, the comparison four: the last asks for statistics alone.
STUDY = """
name: small
cohort:
  images: {t1: {modality: MR}}
  masks: {organ: {on: t1, labels: {front: 1, back: 2}, required: false}}
  columns:
    marker: {type: number, range: [0, 1000]}
    malignant: {type: category, levels: ["no", "yes"]}
steps:
  segment:
    kind: train
    rounds: 2
    validate_every: 2
    averaging: 0.5
    local: {epochs: 1, batch: 4, learning_rate: 0.004}
    task:
      kind: segmentation
      images: [t1]
      mask: organ
      recipe: {spacing_mm: [2.0, 2.0, 2.0], size: [16, 24, 16]}
      network: {kind: residual_unet, channels: [4, 8]}
  marker: {kind: compare_groups, of: [marker], by: malignant, test: mann_whitney}
"""


def _phantoms(folder: Path) -> Path:
    spec = {
        "seed": 7,
        "anatomy": {"kind": "organ_lesion", "sequences": ["t1"], "size_mm": [32, 40, 32]},
        "sites": {name: {"n_patients": FEWEST} for name in SITES},
    }
    write(load_spec(yaml.safe_dump(spec), "phantoms.yaml"), folder / "cohorts")
    return _roster(folder)


def _roster(folder: Path) -> Path:
    sites = {name: {"simulate": {"cohort": f"cohorts/{name}", "device": "cpu"}} for name in SITES}
    path = folder / "sites.yaml"
    path.write_text(yaml.safe_dump({"sites": sites, "deadline_s": 600, "wait_s": 300}))
    return path


def _left_behind(deployment: Deployment) -> list[str]:
    """Return the command lines of processes that belong to a deployment."""
    ports = [deployment.link.port, *(node.port for node in deployment.nodes)]
    marks = [str(deployment.folder), *(f"127.0.0.1:{port}" for port in ports)]
    return [line for line in command_lines() if any(mark in line for mark in marks)]


def _torch_by_message(log: Path) -> list[bool]:
    """Tell for every message that a site answered whether that process imported torch."""
    processes = log.read_text().split("Start `flwr-clientapp` process")[1:]
    return [re.search(r"\| +torch$", text, re.MULTILINE) is not None for text in processes]


@pytest.mark.slow
def test_a_deployment_has_the_same_bits_as_a_simulation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sites = _phantoms(tmp_path)
    deployment = lay_out(STUDY, sites, tmp_path / "deployment")
    deploy(deployment, limit_s=1200, environment={"PYTHONPROFILEIMPORTTIME": "1"})
    assert _left_behind(deployment) == []

    study = tmp_path / "study.yaml"
    study.write_text(STUDY)
    simulated = prepare(study, sites, tmp_path / "simulation")
    simulate(simulated, engine="threads")
    assert differences(deployment.run, simulated) == []

    events = read_events(deployment.run.folder / "journal.jsonl")
    rounds = [event for event in events if event["event"] == "exchanged"]
    assert not deployment.run.losses()
    assert [_is_idle(event) for event in rounds] == [False, False, False, True]
    for node in deployment.nodes:
        greeting_then_rounds = _torch_by_message(deployment.logs / f"{node.name}-app.log")
        assert greeting_then_rounds == [False, True, True, True, False]
    with capsys.disabled():
        sys.stdout.write(
            f"\nan idle round takes {rounds[-1]['seconds']:.1f} s; no process that answered "
            "statistics imported torch, every one that trained did\n"
        )


def _is_idle(event: dict[str, dict[str, float]]) -> bool:
    return max(event["work_s"].values()) < 0.5


@pytest.mark.slow
def test_a_stopped_deployment_leaves_no_process(tmp_path: Path) -> None:
    for seed, name in enumerate(SITES):
        write_cohort(tmp_path / "cohorts" / name, FEWEST, seed)
    sites = _roster(tmp_path)
    (tmp_path / "study.yaml").write_text(TABLES)
    folder = tmp_path / "deployment"
    command = [
        *(sys.executable, "-m", "server.deploy", str(tmp_path / "study.yaml")),
        *("--sites", str(sites), "--folder", str(folder), "--limit", "600"),
    ]
    output = tmp_path / "output.txt"
    with output.open("wb") as file:
        popen = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + 400
        while "joined: " not in output.read_text():
            assert popen.poll() is None, output.read_text()
            assert time.monotonic() < end
            time.sleep(0.1)
        os.kill(popen.pid, signal.SIGTERM)
        assert popen.wait(timeout=120) == 130, output.read_text()
    finally:
        popen.kill()
        popen.wait()
    assert not [line for line in command_lines() if str(folder) in line]
    assert "every process is stopped" in output.read_text()
