"""A run is followed to its end, and a failure is told in the run's own words."""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from server.deploy import conduct, up
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
        return (
            "\x1b[92mINFO \x1b[0m: begins\nTraceback (most recent call last):\n"
            "RuntimeError: expected 3 developing sites\n\x1b[91mERROR\x1b[0m: ended\n"
        )

    def under_way(self) -> set[int]:
        return {7}

    def stop(self, number: int) -> bool:
        return self.statuses.append(f"stopped {number}") is None


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
    assert "\x1b" not in (run.home.logs / "run-7.log").read_text()


def test_a_log_is_read_without_colours(run: DeployedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conduct, "Control", _Flower())
    assert run.log().startswith("INFO : begins\n")
    assert "\x1b" not in run.log()


def test_a_run_that_failed_says_why(follow: Follow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conduct, "_SILENCE_S", 0.05)
    said = (
        r"on an error: RuntimeError: expected 3 developing sites\nall it said: consortium log one"
    )
    with pytest.raises(RuntimeError, match=said):
        follow(_Flower("running", "finished:failed"), 20)


def test_a_run_that_was_stopped_says_so_in_a_line(
    follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conduct, "_SILENCE_S", 0.05)
    with pytest.raises(RuntimeError, match="stopped by the coordinator; nothing is lost") as stop:
        follow(_Flower("finished:stopped"), 20)
    assert "\n" not in str(stop.value)


def test_who_watches_is_told_that_the_coordinator_does_not_answer(
    run: DeployedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    flower, told = _Flower("running", "finished:completed"), []
    answers, silent = flower.status, [True, True, False, False]

    def status(number: int) -> str:
        if silent.pop(0):
            raise RuntimeError("no answer")
        return answers(number)

    monkeypatch.setattr(flower, "status", status)
    monkeypatch.setattr(conduct, "_SILENCE_S", 0.02)
    monkeypatch.setattr(conduct, "Control", flower)
    run.follow(lambda event: told.append(str(event["event"])), limit_s=20)
    assert told == ["away", "back"]


def test_a_run_under_way_ends_with_the_coordinator_and_says_how_to_go_on(
    run: DeployedRun, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    flower, told = _Flower(), []
    monkeypatch.setattr(conduct, "Control", flower)
    monkeypatch.setattr(up, "_HEARD_S", 0.0)
    monkeypatch.setattr(flower, "status", lambda _: "running")
    upkeep = up.Upkeep(run.home, told.append)
    with _interrupted(monkeypatch), pytest.raises(KeyboardInterrupt):
        upkeep.run()
    assert flower.statuses == ["stopped 7"]
    words = f"then: consortium resume {run.run.folder}"
    assert any("nothing is lost" in line and line.endswith(words) for line in told)
    assert words in run.home.standing.state()["words"]
    with pytest.raises(RuntimeError, match="taken down, and the run with it; nothing is lost"):
        follow(_Flower(), 20)


@contextmanager
def _interrupted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have the upkeep start nothing, and be interrupted at its first look."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(up, "nginx", lambda: None)
    monkeypatch.setattr(up.Upkeep, "_start", lambda *_: None)
    monkeypatch.setattr(up.Upkeep, "_mend", interrupt)
    yield


def test_while_the_journal_speaks_flower_is_not_asked(run: DeployedRun, follow: Follow) -> None:
    _write(run, ["round"])
    flower = _Flower()
    with pytest.raises(TimeoutError, match="took too long"):
        follow(flower, 0.3)
    assert flower.asked == 0
