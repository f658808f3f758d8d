"""Nothing about a case leaves with an error, and every refusal is reached."""

import errno
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import yaml

from client import app as client_app
from client import audit, gate
from client.gate import answer, safely
from client.masking import join
from client.site import Site, load_site
from client.steps import Work, find_work
from common.analyses.analysis import Ask
from common.codec import replies_packet
from common.deployment import APPROVED
from common.errors import Reason, Refused
from common.messages import Hello, Posed, Replies, Round
from common.wire import to_records
from server.report.words import reason_in_words
from server.run import Run
from tests.runs import make_run

SECRETS = ("patient007", "/secret/path", "scan_of_mr_miller")
TEXT = "patient007 in /secret/path/scan_of_mr_miller.nii.gz"
SITES = ("east", "north", "south", "west")


def _sites(run: Run) -> dict[str, Site]:
    return {name: load_site(run.folder / "sites" / name / "site.yaml") for name in SITES}


def _round(
    run: Run, sites: dict[str, Site], *, group: tuple[str, ...] = SITES, step: str = "table1"
) -> Round:
    hello = Hello(run.id, "s1", run.study_hash)
    members = {name: join(site, hello) for name, site in sites.items()}
    ask = next(run.study.bound["table1"].solve(run.study.contract(), alone=len(group) == 1))
    return Round(hello, 1, 1, members, (Posed(f"{step}/part", step, group, ask),))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return make_run(tmp_path)


def _reply(run: Run, change: Callable[[Round], Round] = lambda m: m, **how: object) -> Replies:
    sites = _sites(run)
    return answer(sites["east"], change(_round(run, sites, **how)))  # type: ignore[arg-type]


def _reason(replies: Replies) -> Reason | None:
    return replies.replies[0].reason


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError(TEXT), Reason.INTERNAL),
        (KeyError(TEXT), Reason.INTERNAL),
        (FileNotFoundError(errno.ENOENT, TEXT, TEXT), Reason.INTERNAL),
        (OSError(errno.ENOSPC, TEXT), Reason.DISK_FULL),
        (MemoryError(TEXT), Reason.OUT_OF_MEMORY),
        (RuntimeError(f"CUDA out of memory {TEXT}"), Reason.OUT_OF_MEMORY),
        (Refused(Reason.COHORT_INVALID, TEXT), Reason.COHORT_INVALID),
        (RecursionError(TEXT), Reason.INTERNAL),
        (UnicodeDecodeError("utf-8", TEXT.encode(), 0, 1, TEXT), Reason.INTERNAL),
        (AssertionError(TEXT), Reason.INTERNAL),
        (StopIteration(TEXT), Reason.INTERNAL),
        (ExceptionGroup(TEXT, [ValueError(TEXT)]), Reason.INTERNAL),
    ],
)
def test_nothing_about_a_case_leaves_with_an_error(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: Reason
) -> None:
    def fail(*_: object) -> Work:
        raise error

    monkeypatch.setattr(gate, "find_work", fail)
    replies = _reply(run)
    assert _reason(replies) is reason
    sent = _bytes(replies)
    assert not [secret for secret in SECRETS if secret.encode() in sent]
    lines = audit.entries(_sites(run)["east"].workspace / "audit.jsonl")
    assert lines[-1]["event"] == "refusal"  # the detail stays here


def test_nothing_leaves_with_an_error_before_the_asks_are_read() -> None:
    def fail() -> object:
        raise ValueError(TEXT)

    packet = safely(fail)  # type: ignore[arg-type]
    assert packet.head == {"failed": "internal"}


def _bytes(replies: Replies) -> bytes:
    records = to_records(replies_packet(replies))
    arrays = b"".join(a.data for r in records.array_records.values() for a in r.values())
    return json.dumps([str(records.config_records)]).encode() + arrays


@pytest.mark.parametrize(
    ("policy", "how", "reason"),
    [
        ({"smallest_cohort": 200}, {}, Reason.COHORT_TOO_SMALL),
        ({"columns": ["age", "sex"]}, {}, Reason.COLUMN_NOT_ALLOWED),
        ({"fewest_sites": 5}, {}, Reason.TOO_FEW_SITES),
        ({}, {"group": ("east", "north")}, Reason.TOO_FEW_SITES),
        ({"per_site": False}, {"group": ("east",)}, Reason.PER_SITE_NOT_ALLOWED),
        ({}, {"group": ("north", "south", "west")}, Reason.ROSTER_MISMATCH),
        ({}, {"group": ("east", "east", "north", "south")}, Reason.ROSTER_MISMATCH),
        ({}, {"step": "nowhere"}, Reason.UNKNOWN_STEP),
    ],
)
def test_the_policy_refuses(
    tmp_path: Path, policy: dict[str, object], how: dict[str, object], reason: Reason
) -> None:
    assert _reason(_reply(make_run(tmp_path, policy=policy), **how)) is reason


def test_a_study_that_was_not_approved_is_refused(run: Run) -> None:
    def other(message: Round) -> Round:
        return replace(message, hello=replace(message.hello, study="0" * 64))

    assert _reason(_reply(run, other)) is Reason.STUDY_NOT_APPROVED


def test_an_approval_withdrawn_during_a_run_holds_from_the_next_ask_on(run: Run) -> None:
    """Its `approved.yaml` is looked at before each answer, and the coordinator says why."""
    sites, file = _sites(run), run.folder / "sites" / "east" / "site.yaml"
    data = yaml.safe_load(file.read_text())
    data["policy"]["approved_studies"] = []
    file.write_text(yaml.safe_dump(data))
    approved = file.parent / APPROVED
    approved.write_text(yaml.safe_dump({"studies": [run.study_hash]}))
    context = cast("Any", SimpleNamespace(node_config={"site": str(file)}))
    message = _round(run, sites)
    assert _reason(answer(client_app._site(context), message)) is None
    approved.write_text("studies: []\n")
    reason = _reason(answer(client_app._site(context), message))
    assert reason is Reason.STUDY_NOT_APPROVED
    assert reason_in_words(reason) == "the hospital has not approved this version of the study"


def test_an_approved_study_whose_copy_was_changed_is_refused(run: Run) -> None:
    copy = _sites(run)["east"].workspace / "studies" / f"{run.study_hash}.yaml"
    copy.write_text(copy.read_text() + "\n# another\n")
    assert _reason(_reply(run)) is Reason.STUDY_NOT_APPROVED


def test_a_session_key_that_its_site_did_not_sign_is_refused(run: Run) -> None:
    def swapped(message: Round) -> Round:
        north, south = message.members["north"], message.members["south"]
        forged = replace(north, session_key=south.session_key)
        return replace(message, members={**message.members, "north": forged})

    assert _reason(_reply(run, swapped)) is Reason.ROSTER_MISMATCH


def test_a_site_nobody_knows_is_refused(run: Run) -> None:
    def stranger(message: Round) -> Round:
        odd = replace(message.members["north"], site="stranger")
        return replace(message, members={**message.members, "stranger": odd})

    assert _reason(_reply(run, stranger)) is Reason.ROSTER_MISMATCH


def test_counts_on_a_fine_grid_do_not_leave_in_clear(run: Run) -> None:
    edges = {"edges.age": np.linspace(17.5, 100.5, 257)[None, :].repeat(3, axis=0)}

    def fine(message: Round) -> Round:
        ask = Ask("search", {"alone": False}, edges)
        return replace(message, asks=(replace(message.asks[0], ask=ask),))

    assert _reason(_reply(run, fine)) is None
    assert _reason(_reply(run, fine, group=("east",))) is Reason.ONLY_TOGETHER


def test_a_small_cell_does_not_leave_in_clear(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def small(*arguments: object) -> Work:
        work = find_work(*arguments)  # type: ignore[arg-type]
        sums = dict(work.summarise())
        sums["levels.sex"] = np.array([16, 3])
        return replace(work, summarise=lambda: sums)

    monkeypatch.setattr(gate, "find_work", small)
    assert _reason(_reply(run, group=("east",))) is Reason.CELL_TOO_SMALL


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda s: {**s, "extra": np.array(1)}, Reason.WRONG_SHAPE),
        (lambda s: {n: a for n, a in s.items() if n != "sum"}, Reason.WRONG_SHAPE),
        (lambda s: {**s, "sum": np.zeros((2, 2))}, Reason.WRONG_SHAPE),
        (lambda s: {**s, "sum": np.full_like(s["sum"], np.nan)}, Reason.NOT_FINITE),
        (lambda s: {**s, "sum": np.full_like(s["sum"], np.inf)}, Reason.NOT_FINITE),
        (lambda s: {**s, "sum": np.full_like(s["sum"], 1e300)}, Reason.OUT_OF_BOUND),
        (lambda s: {**s, "sum": np.array(["patient007"] * 2)}, Reason.WRONG_SHAPE),
        (lambda s: {**s, "n": np.array(1.5)}, Reason.WRONG_SHAPE),
    ],
)
def test_only_what_the_schema_declares_leaves(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[dict[str, np.ndarray]], object],
    reason: Reason,
) -> None:
    def spoiled(*arguments: object) -> Work:
        work = find_work(*arguments)  # type: ignore[arg-type]
        return replace(work, summarise=lambda: spoil(dict(work.summarise())))  # type: ignore[arg-type]

    monkeypatch.setattr(gate, "find_work", spoiled)
    assert _reason(_reply(run)) is reason


def test_nothing_is_sent_that_could_not_be_written_to_the_audit(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(audit, "record", full)
    replies = _reply(run)
    assert _reason(replies) is Reason.DISK_FULL
    assert replies.replies[0].words is None


def test_the_same_ask_is_answered_again_without_working_again(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    sites = _sites(run)
    message = _round(run, sites)
    first = answer(sites["east"], message)

    def counted(*arguments: object) -> Work:
        def never() -> object:
            raise AssertionError("worked again")

        return replace(find_work(*arguments), summarise=never)  # type: ignore[arg-type]

    monkeypatch.setattr(gate, "find_work", counted)
    fewer = ("east", "north", "south")
    again = replace(message, attempt=2, asks=(replace(message.asks[0], group=fewer),))
    second = answer(sites["east"], again)
    assert second.replies[0].reason is None
    assert (second.replies[0].words != first.replies[0].words).any()  # other masks


def test_a_release_is_in_the_audit_before_it_is_sent(run: Run) -> None:
    _reply(run)
    (line,) = audit.entries(_sites(run)["east"].workspace / "audit.jsonl")
    assert line["event"] == "release"
    assert line["masked"] is True
    assert line["sites"] == list(SITES)


def test_a_line_changed_anywhere_in_the_log_keeps_everything_in(run: Run) -> None:
    for _ in range(3):
        _reply(run)
    log = _sites(run)["east"].workspace / "audit.jsonl"
    first, *rest = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(first.replace(b'"masked": true', b'"masked": null') + b"".join(rest))
    audit._KNOWN.clear()  # as in a new process, which answers every message
    assert _reason(_reply(run)) is Reason.AUDIT_BROKEN
    assert log.read_bytes().count(b'"event": "release"') == 3
