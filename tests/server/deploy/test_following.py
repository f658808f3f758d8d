"""A run is followed to its end, and a failure is told in the run's own words."""

import json
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from server.deploy import localhost
from server.deploy.flower import Link
from server.deploy.kits import Deployment
from server.deploy.processes import Processes
from server.run import Run


class _Flower:
    """Says what it is told to say, one word a question."""

    def __init__(self, *statuses: str) -> None:
        self.statuses = list(statuses)
        self.asked = 0

    def status(self, number: int) -> str:
        self.asked += 1
        return self.statuses.pop(0)

    def log(self, number: int) -> str:
        return "RuntimeError: expected 3 developing sites"


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    monkeypatch.setattr(localhost, "_POLL_S", 0.01)
    monkeypatch.setattr(localhost, "_ENDING_S", 0.01)
    (tmp_path / "logs").mkdir()
    (tmp_path / "run").mkdir()
    return Deployment(tmp_path, Run(tmp_path / "run"), Link(tmp_path, 1), ())


def _write(deployment: Deployment, events: Iterable[str]) -> None:
    lines = [json.dumps({"event": event}) + "\n" for event in events]
    (deployment.run.folder / "journal.jsonl").write_text("".join(lines))


def _follow(deployment: Deployment, flower: _Flower, limit_s: float = 20) -> list[str]:
    told: list[str] = []
    localhost._follow(
        deployment,
        flower,  # type: ignore[arg-type]
        Processes(deployment.logs),
        7,
        time.monotonic() + limit_s,
        lambda event: told.append(str(event["event"])),
    )
    return told


def test_every_event_is_told_until_flower_says_it_is_done(deployment: Deployment) -> None:
    _write(deployment, ["round", "exchanged", "end"])
    told = _follow(deployment, _Flower("running", "finished:completed"))
    assert told == ["round", "exchanged", "end"]
    assert (deployment.logs / "coordinator-run.log").exists()


def test_a_run_that_failed_says_why(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(localhost, "_SILENCE_S", 0.05)
    with pytest.raises(RuntimeError, match=r"finished:failed:\n.*expected 3 developing sites"):
        _follow(deployment, _Flower("running", "finished:failed"))


def test_while_the_journal_speaks_flower_is_not_asked(deployment: Deployment) -> None:
    _write(deployment, ["round"])
    flower = _Flower()
    with pytest.raises(TimeoutError, match="took too long"):
        _follow(deployment, flower, limit_s=0.3)
    assert flower.asked == 0
