"""Killed at any moment, a run goes on and ends with the same bits."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

from server.journal import Journal, read_events
from server.run import Run
from server.simulate import simulate
from tests.runs import make_run
from tests.training import training_run

DRIVE = """
import sys
from pathlib import Path
from server.run import Run
from server.simulate import simulate
if __name__ == "__main__":
    simulate(Run(Path(sys.argv[1])), engine=sys.argv[2], workers=int(sys.argv[3]))
"""


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


@pytest.mark.slow
def test_killed_at_five_random_moments_the_run_ends_with_the_same_bits(tmp_path: Path) -> None:
    whole = training_run(tmp_path / "whole")
    simulate(whole, engine="processes", workers=2)
    run = training_run(tmp_path / "killed")
    luck = Random(5)
    for _ in range(5):
        _drive_and_kill(run, after=luck.uniform(1.5, 9.0))
    simulate(run, engine="processes", workers=2)
    assert _results(run) == _results(whole)


@pytest.mark.slow
@pytest.mark.parametrize(("engine", "workers"), [("threads", 3), ("ray", 2)])
def test_any_number_of_workers_and_any_engine_give_the_same_bits(
    tmp_path: Path, engine: str, workers: int
) -> None:
    results = []
    for name, how, n in (("one", "processes", 1), ("other", engine, workers)):
        run = training_run(tmp_path / name)
        assert _drive(run, how, n).wait(timeout=240) == 0
        results.append(_results(run))
    assert results[0] == results[1]


def _drive(run: Run, engine: str = "processes", workers: int = 2) -> "subprocess.Popen[bytes]":
    """Drive a run in a process group of its own."""
    root = Path(__file__).resolve().parents[2]
    return subprocess.Popen(
        [sys.executable, "-c", DRIVE, str(run.folder), engine, str(workers)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _drive_and_kill(run: Run, *, after: float) -> None:
    process = _drive(run)
    end = time.monotonic() + after
    while process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.slow
def test_ctrl_c_leaves_a_run_that_can_be_resumed(tmp_path: Path) -> None:
    run = training_run(tmp_path)
    resume = [
        sys.executable,
        "-c",
        "from server.cli import main; main()",
        "resume",
        str(run.folder),
    ]
    root = Path(__file__).resolve().parents[2]
    process = subprocess.Popen(
        [*resume, "--json"], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if '"exchanged"' in line:
            break
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"go on with: consortium resume {run.folder}" in said
    assert (run.folder / "report.html").exists()
    done = subprocess.run([*resume, "--json"], cwd=root, capture_output=True, check=False)
    assert done.returncode == 0
    assert read_events(run.folder / "journal.jsonl")[-1]["event"] == "end"
