"""How a deployed run stands is said in words, and how to go on with one that may."""

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from server.deploy.commands import _standing
from server.deploy.conduct import DeployedRun
from server.deploy.control import _why
from server.deploy.home import Home
from server.ending import gaps_in_words, unanswered
from server.run import Run

FAR = {"segment": {"development": "too few sites: no_reply, unreachable"}}
BY_RULE = {"age": {"development": "too few sites: cohort_too_small"}}
ALONE = {"age": {"site.north": "too few sites: per_site_not_allowed"}}


def _ended(folder: Path, *failed: object) -> Run:
    events = [{"event": "session"}, *({"event": "end", "failed": f} for f in failed)]
    text = "".join(json.dumps(event) + "\n" for event in events)
    (folder / "journal.jsonl").write_text(text, encoding="utf-8")
    return Run(folder)


@pytest.fixture
def standing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, object], str]:
    def said(status: str, failed: object) -> str:
        monkeypatch.setattr(DeployedRun, "status", lambda _: status)
        monkeypatch.setattr(DeployedRun, "numbers", lambda _: [7])
        return _standing(DeployedRun(_ended(tmp_path, failed), Home(tmp_path)))

    return said


Said = Callable[[str, object], str]


def test_a_run_whose_training_gave_no_answer_is_not_simply_ended(standing: Said) -> None:
    assert standing("finished:completed", {}) == "ended"
    said = standing("finished:completed", {**FAR, **BY_RULE})
    assert said.startswith("ended, no answer to age/development (")
    assert "segment/development (no reply within the deadline; the site could not" in said
    assert "go on with: consortium resume" in said


def test_what_goes_on_is_told_how(standing: Said, tmp_path: Path) -> None:
    go_on = f"go on with: consortium resume {tmp_path}"
    assert standing("finished:stopped", {}) == f"stopped; {go_on}"
    assert standing("finished:failed", {}).startswith("ended on an error (see: consortium log ")
    assert standing("finished:failed", {}).endswith(go_on)
    assert standing("running", {}) == "running"
    (tmp_path / "ended.json").write_text('{"number": "7"}', encoding="utf-8")
    assert "as the coordinator was taken down" in standing("finished:stopped", {})


def test_nobody_is_told_to_go_on_with_what_stays_refused(tmp_path: Path) -> None:
    assert "resume" not in gaps_in_words(_ended(tmp_path, BY_RULE))
    assert "resume" not in gaps_in_words(_ended(tmp_path, {"fit": {"all": "no variance"}}))
    assert gaps_in_words(_ended(tmp_path, ALONE)) == ""


def test_only_the_last_end_counts(tmp_path: Path) -> None:
    assert set(unanswered(_ended(tmp_path, FAR))) == {"segment/development"}
    assert not unanswered(_ended(tmp_path, FAR, {}))
    assert not unanswered(_ended(tmp_path))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (httpx.ConnectError("[Errno 111] Connection refused"), "nobody listens there"),
        (httpx.ReadTimeout(""), "it took too long"),
        (httpx.RemoteProtocolError("Server disconnected"), "the connection broke (Server dis"),
    ],
)
def test_why_the_coordinator_gave_no_answer_is_said_in_words(
    error: httpx.HTTPError, words: str
) -> None:
    assert _why(error).startswith(words)
