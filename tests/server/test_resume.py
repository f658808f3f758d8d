"""Killed at any moment, a run goes on and ends with the same bits."""

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from server.cli import STOPPED, main
from server.journal import Journal, read_events
from server.lock import UnderWay, held
from server.run import Run
from server.simulate import simulate
from server.workers import _no_interrupts
from tests.runs import make_run
from tests.training import training_run


def _results(run: Run) -> tuple[dict[str, object], dict[str, str]]:
    """Return the answers, and the sha256 of every answer's arrays by problem."""
    answers = json.loads((run.folder / "answers.json").read_text())
    events = read_events(run.folder / "journal.jsonl")
    arrays = {e["problem"]: e["sha256"] for e in events if e["event"] == "answer" and "sha256" in e}
    return answers, arrays


def test_a_finished_run_asks_nobody_again(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    simulate(run, engine="threads")
    before = _results(run)
    rounds = [e for e in read_events(run.folder / "journal.jsonl") if e["event"] == "round"]
    simulate(run, engine="threads")
    assert _results(run) == before
    again = [e for e in read_events(run.folder / "journal.jsonl") if e["event"] == "round"]
    assert len(again) == len(rounds)


def test_a_journal_cut_anywhere_leads_to_the_same_answers(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    simulate(run, engine="threads")
    expected = _results(run)
    journal = run.folder / "journal.jsonl"
    data = journal.read_bytes()
    for cut in sorted(Random(0).sample(range(len(data)), 6)):
        journal.write_bytes(data[:cut])
        simulate(run, engine="threads")
        assert _results(run) == expected


def test_a_total_that_was_changed_on_disk_is_noticed(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    simulate(run, engine="threads")
    journal = run.folder / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    kept = [i for i, line in enumerate(lines) if '"event": "total"' in line]
    journal.write_text("".join(lines[: kept[1]]))
    total = run.folder / json.loads(lines[kept[0]])["file"]
    total.write_bytes(total.read_bytes()[:-1] + b"x")
    with pytest.raises(ValueError, match="it was changed"):
        Journal(run.folder).total(
            json.loads(lines[kept[0]])["problem"], 0, _AnyAsk(json.loads(lines[kept[0]])["ask"])
        )


class _AnyAsk:
    def __init__(self, digest: str) -> None:
        self._digest = digest

    def digest(self) -> str:
        return self._digest


# What the coordinator does is the same with every engine, and threads start sooner.
MOMENTS = {
    "training": "processes",  # a site computes; no site of the round has been heard
    "release": "processes",  # a site has noted in its audit log what it does not send then
    "checkpoint": "threads",  # half of the new weights are on the coordinator's disk
    "between rounds": "threads",  # all sites were heard, nothing is kept of it
    "predict": "threads",
    "statistics": "threads",
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[object, object]:
    """Return the results of a run with two worker processes that nobody disturbed."""
    run = training_run(tmp_path_factory.mktemp("whole"))
    simulate(run, engine="processes", workers=2)
    return _results(run)


@pytest.mark.slow
def test_killed_at_moments_of_every_kind_the_run_ends_with_the_same_bits(
    tmp_path: Path, undisturbed: tuple[object, object]
) -> None:
    run = training_run(tmp_path / "killed")
    journal = run.folder / "journal.jsonl"
    for moment, engine in MOMENTS.items():
        process = _drive(run, engine, moment=moment)
        assert process.wait(timeout=900) == -signal.SIGKILL, moment
        killed = json.loads((run.folder / "killed.json").read_text())
        assert killed["moment"] == moment
        _assert_interrupted(moment, killed, journal)
    simulate(run, engine="processes", workers=2)
    assert _results(run) == undisturbed


def _assert_interrupted(moment: str, killed: dict[str, Any], journal: Path) -> None:
    """Check, on what lies on the disk, that the kill came in the middle of something."""
    last = json.loads(journal.read_bytes().splitlines()[-1])
    if moment == "between rounds":
        assert last["event"] == "exchanged"
    elif moment == "checkpoint":
        assert (journal.parent / "checkpoints" / killed["file"]).exists()
        assert killed["file"].endswith(".tmp")
        assert last["event"] in ("exchanged", "checkpoint")
    else:
        assert last["event"] == "round"
        assert killed["problem"] in last["problems"]
        assert moment not in ("training", "predict") or killed["finished"] is False


@pytest.mark.slow
@pytest.mark.parametrize(("engine", "workers"), [("threads", 3), ("ray", 2)])
def test_any_number_of_workers_and_any_engine_give_the_same_bits(
    tmp_path: Path, undisturbed: tuple[object, object], engine: str, workers: int
) -> None:
    run = training_run(tmp_path)
    assert _drive(run, engine, workers).wait(timeout=900) == 0
    assert _results(run) == undisturbed


def _drive(
    run: Run, engine: str = "processes", workers: int = 2, moment: str = ""
) -> "subprocess.Popen[bytes]":
    """Drive a run in a process group of its own, to its end or to a moment."""
    root = Path(__file__).resolve().parents[2]
    words = [str(run.folder), engine, str(workers), *([moment] if moment else [])]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.killed_app", *words],
        cwd=root,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_leaves_a_run_that_can_be_resumed(tmp_path: Path, how: signal.Signals) -> None:
    run = training_run(tmp_path)
    # As in a terminal: what is started in a shell's background ignores Ctrl-C, and so do we then.
    listening = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    program = listening + "from server.cli import main; main()"
    resume = [sys.executable, "-c", program, "resume", str(run.folder)]
    root = Path(__file__).resolve().parents[2]
    process = subprocess.Popen(
        [*resume, "--json"], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if '"exchanged"' in line:
            break
    process.send_signal(how)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"go on with: consortium resume {run.folder}" in said
    assert (run.folder / "report.html").exists()
    done = subprocess.run([*resume, "--json"], cwd=root, capture_output=True, check=False)
    assert done.returncode == 0
    assert read_events(run.folder / "journal.jsonl")[-1]["event"] == "end"


def test_a_run_under_way_is_not_driven_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path)
    code = f"import pathlib, server.lock as l\nwith l.held(pathlib.Path({str(run.folder)!r})):"
    words = [sys.executable, "-c", f"{code} print('held', flush=True); input()"]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        words, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(UnderWay):
            simulate(run, engine="threads")
        monkeypatch.setattr(sys, "argv", ["consortium", "resume", str(run.folder), "--json"])
        with pytest.raises(SystemExit) as left:
            main()
        other.kill()
    said = capsys.readouterr().err
    assert left.value.code == STOPPED
    assert f"{run.folder}: this run is under way in process {other.pid} on " in said
    assert not (run.folder / "journal.jsonl").exists()
    with held(run.folder):  # the kernel lets go of what a killed process held
        pass


def test_a_worker_is_deaf_to_ctrl_c_from_its_start_on() -> None:
    with _no_interrupts():
        status = subprocess.check_output(["/bin/cat", "/proc/self/status"], text=True)
    blocked = next(line for line in status.splitlines() if line.startswith("SigBlk"))
    assert int(blocked.split()[1], 16) & 1 << (signal.SIGINT - 1)
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_a_worker_at_work_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    sleeper = tmp_path / "sleeper.py"
    sleeper.write_text(
        "import os, pathlib, time\n"
        "from flwr.clientapp import ClientApp\n"
        "app = ClientApp()\n"
        "@app.query()\n"
        "def sleep(message, context):\n"
        f"    pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid()))\n"
        "    time.sleep(120)\n"
    )
    code = (
        "from flwr.app import Message, RecordDict\n"
        "from flwr.supercore.task_identity import TaskIdentity as me\n"
        "from server.workers import ProcessWorker\n"
        "me.run_id = me.task_id = me.node_id = 1\n"
        "ask = Message(RecordDict(), dst_node_id=1, message_type='query')\n"
        "ProcessWorker('sleeper:app', {}).run(ask, 0, 100)\n"
    )
    root = Path(__file__).resolve().parents[2]
    path = f"{tmp_path}:{root}"
    parent = subprocess.Popen(
        [sys.executable, "-c", code], cwd=root, env={**os.environ, "PYTHONPATH": path}
    )
    _wait_for((tmp_path / "pid").exists)
    parent.kill()
    parent.wait()
    worker = Path("/proc") / (tmp_path / "pid").read_text()
    _wait_for(lambda: not worker.exists())


def _wait_for(what: Callable[[], bool], most_s: float = 60) -> None:
    end = time.monotonic() + most_s
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_worker_does_not_import_the_command_line() -> None:
    code = "import sys, server.command; sys.exit('server.cli' in sys.modules)"
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["scripts"]["consortium"] == "server.command:main"
