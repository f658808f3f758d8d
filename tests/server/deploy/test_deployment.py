"""A whole consortium in processes on this machine: same bits as a simulation, nothing left
behind, no packet beyond it, and a stop that really stops.

Coordinator and sites are the very commands that hospitals run. They are alone in a network
of their own where the machine lets a test make one.
"""

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from client.ingest.phantoms import write
from client.joining.place import find_place
from client.working import work_under_way
from common.machine.processes import Processes
from common.phantoms.spec import load_spec
from server.deploy.bundle import ROOT
from server.deploy.compare import differences
from server.deploy.conduct import new_run
from server.deploy.home import find_home
from server.deploy.localhost import lay_out_localhost, start
from server.deploy.measure import torch_by_message
from server.deploy.proxy import nginx
from server.journal import read_events
from server.run import Run
from server.simulate import prepare, simulate
from tests.netns import alone, packets_out
from tests.ps import command_lines

SITES = ("east", "north", "south", "west")
FEWEST = 10
_LOAD = 8  # how much longer than alone a loaded machine may take

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
ENDLESS = STUDY.replace("epochs: 1", "epochs: 20000").replace("rounds: 2", "rounds: 1")

pytestmark = [
    pytest.mark.slow,
    # Flower's own use of pathspec, not ours.
    pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning"),
]


@dataclass(frozen=True)
class Deployed:
    """A deployment that has run to its end.

    Attributes:
        folder: of the whole.
        sites: the roster's file.
        output: what the command printed.
        run: the run.
        is_alone: whether it had a network of its own.
    """

    folder: Path
    sites: Path
    output: str
    run: Run
    is_alone: bool


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    _need_nginx()
    folder = tmp_path_factory.mktemp("small")
    sites = _phantoms(folder)
    (folder / "study.yaml").write_text(STUDY)
    command = [
        *(sys.executable, "-m", "server.deploy", str(folder / "study.yaml"), "--no-compare"),
        *("--measure", "--sites", str(sites), "--folder", str(folder / "all"), "--limit", "1200"),
    ]
    try:
        command, is_alone = alone(folder, command), True
    except pytest.skip.Exception:
        is_alone = False  # the tests that need it skip; the others do not
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=1500, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    run = Run(next((folder / "all" / "coordinator" / "runs").glob("small-*")))
    return Deployed(folder, sites, done.stdout, run, is_alone)


def _need_nginx() -> None:
    try:
        nginx()
    except FileNotFoundError as error:
        pytest.skip(str(error))


def _phantoms(folder: Path) -> Path:
    spec = {
        "seed": 7,
        "anatomy": {"kind": "organ_lesion", "sequences": ["t1"], "size_mm": [32, 40, 32]},
        "sites": {name: {"n_patients": FEWEST} for name in SITES},
    }
    write(load_spec(yaml.safe_dump(spec), "phantoms.yaml"), folder / "cohorts")
    sites = {name: {"simulate": {"cohort": f"cohorts/{name}", "device": "cpu"}} for name in SITES}
    path = folder / "sites.yaml"
    path.write_text(yaml.safe_dump({"sites": sites, "deadline_s": 600, "wait_s": 300}))
    return path


def _exchanged(deployed: Deployed) -> list[dict[str, Any]]:
    events = read_events(deployed.run.folder / "journal.jsonl")
    return [event for event in events if event["event"] == "exchanged"]


def test_weights_and_answers_have_the_bits_of_a_simulation(
    deployed: Deployed, tmp_path: Path
) -> None:
    simulated = prepare(deployed.folder / "study.yaml", deployed.sites, tmp_path)
    simulate(simulated, engine="threads")
    assert differences(deployed.run, simulated) == []
    assert not deployed.run.losses()


def test_no_packet_leaves_but_to_the_coordinator(deployed: Deployed, tmp_path: Path) -> None:
    caller = "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 9))"
    subprocess.run(alone(tmp_path, [sys.executable, "-c", caller]), check=True)
    assert packets_out(tmp_path) > 0  # what leaves is counted
    assert deployed.is_alone
    assert packets_out(deployed.folder) == 0


def test_no_process_is_left(deployed: Deployed) -> None:
    assert [line for line in command_lines() if str(deployed.folder) in line] == []


def test_only_what_trains_imports_torch(
    deployed: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    *training, statistics = [max(event["work_s"].values()) for event in _exchanged(deployed)]
    assert len(training) == 3
    assert statistics < min(training)
    for name in SITES:
        log = deployed.folder / "all" / "sites" / name / "logs" / "supernode-app.log"
        assert torch_by_message(log) == [False, True, True, True, False]
    told = [
        line for line in deployed.output.splitlines() if "idle round" in line or "torch" in line
    ]
    assert f"{5 * len(SITES)} messages answered, {3 * len(SITES)} by" in told[-1]
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(told) + "\n")


def test_a_stopped_run_stops_the_sites_training_within_seconds(tmp_path: Path) -> None:
    _need_nginx()
    here = lay_out_localhost(ENDLESS, _phantoms(tmp_path), tmp_path / "all")
    places = [find_place(folder) for folder in here.sites.values()]
    with Processes(here.logs) as processes:
        start(here, processes)
        run = new_run(find_home(here.home.folder), ENDLESS)
        run.begin()
        processes.wait_for(
            lambda: all(work_under_way(p.site.workspace) for p in places), "all train", 60 * _LOAD
        )
        time.sleep(5)  # into the training itself
        begin = time.monotonic()
        assert run.stop()
        processes.wait_for(
            lambda: not any(work_under_way(p.site.workspace) for p in places), "none trains", 60
        )
        took = time.monotonic() - begin
        assert run.status() == "finished:stopped"
        assert took < 5 * _LOAD
        assert all("stopping the work" in _said(here.logs, name) for name in SITES)
        assert not any("killed" in _said(here.logs, name) for name in SITES)
    assert not [line for line in command_lines() if str(tmp_path) in line]
    for place in places:
        assert place.standing.state()["state"] == "left"


def _said(logs: Path, name: str) -> str:
    return (logs / f"{name}.log").read_text()
