"""A run is followed to its end, and a failure is told in the run's own words."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from server.deploy import conduct
from server.deploy.conduct import DeployedRun
from server.deploy.home import DeploymentSettings, Home
from server.deploy.kits import lay_out
from server.run import Run

ROSTER = "sites: {east: {}, north: {}, south: {}}\n"


class _Flower:
    """Says what it is told to say, one word a question."""

    def __init__(self, *statuses: str) -> None:
        self.statuses = list(statuses)
        self.asked = 0

    def __call__(self, link: object) -> "_Flower":
        return self

    def status(self, number: int) -> str:
        assert number == 7
        self.asked += 1
        return self.statuses.pop(0)

    def log(self, number: int) -> str:
        return "RuntimeError: expected 3 developing sites"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeployedRun:
    monkeypatch.setattr(conduct, "_POLL_S", 0.01)
    monkeypatch.setattr(conduct, "_ENDING_S", 0.01)
    settings = DeploymentSettings(name="small", host="127.0.0.1")
    home: Home = lay_out(tmp_path, settings, ROSTER, "sites.yaml")
    folder = home.runs / "one"
    folder.mkdir(parents=True)
    (folder / "deployed.json").write_text(json.dumps({"begun": [{"number": "7"}]}))
    return DeployedRun(Run(folder), home)


def _write(run: DeployedRun, events: Iterable[str]) -> None:
    lines = [json.dumps({"event": event}) + "\n" for event in events]
    (run.run.folder / "journal.jsonl").write_text("".join(lines))


@pytest.fixture
def follow(
    run: DeployedRun, monkeypatch: pytest.MonkeyPatch
) -> Callable[[_Flower, float], list[str]]:
    def followed(flower: _Flower, limit_s: float) -> list[str]:
        monkeypatch.setattr(conduct, "Control", flower)
        told: list[str] = []
        run.follow(lambda event: told.append(str(event["event"])), limit_s=limit_s)
        return told

    return followed


Follow = Callable[[_Flower, float], list[str]]


def test_every_event_is_told_until_flower_says_it_is_done(run: DeployedRun, follow: Follow) -> None:
    _write(run, ["round", "exchanged", "end"])
    assert follow(_Flower("running", "finished:completed"), 20) == ["round", "exchanged", "end"]
    assert (run.home.logs / "run-7.log").exists()


def test_a_run_that_failed_says_why(follow: Follow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conduct, "_SILENCE_S", 0.05)
    with pytest.raises(RuntimeError, match=r"finished:failed:\n.*expected 3 developing sites"):
        follow(_Flower("running", "finished:failed"), 20)


def test_while_the_journal_speaks_flower_is_not_asked(run: DeployedRun, follow: Follow) -> None:
    _write(run, ["round"])
    flower = _Flower()
    with pytest.raises(TimeoutError, match="took too long"):
        follow(flower, 0.3)
    assert flower.asked == 0
