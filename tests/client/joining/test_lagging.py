"""A SuperNode whose replies are one message behind is found, and only such a one."""

import os
import sys
from pathlib import Path

import pytest

from client.joining.connection import NODE
from client.joining.keep import _gave_up, _why
from client.joining.lagging import lags_behind
from common.machine.processes import Plan, Processes

# As Flower 1.41.0 wrote it at a site when `deploy down` came in the middle of a round.
INFO = "\x1b[92mINFO \x1b[0m:      "
LOST = "\x1b[93mWARNING \x1b[0m:   Connection attempt failed, retrying in 13.85 seconds\n"
OVER = "is not in `RUNNING` status. Ignoring"


def _said(what: str, run: int, end: str) -> str:
    first = f"{INFO}\n{INFO}[RUN {run}]\n"
    return first + f"{INFO}{what}: query.round message (ID: ad61{run})\n{INFO}{end}\n"


def _received(run: int) -> str:
    return _said("Receiving", run, "Received successfully")


def _sent(run: int) -> str:
    return _said("Sending", run, "Sent successfully")


CUT = _said("Receiving", 15, f"Run ID 15 {OVER} message ad6115.")
STOPPED = _said("Sending", 15, f"Run ID 15 {OVER} reply message de1e15.")


@pytest.mark.parametrize(
    ("said", "lags"),
    [
        (_received(15) + _sent(15), False),
        (_received(15) + CUT, True),
        (CUT + LOST * 20, True),
        (_received(43) + STOPPED, True),  # the hello of run 43 gets a reply to run 15
        (_received(15) + STOPPED, False),  # run 15 was stopped under the work on it
        (_received(15) + STOPPED + _received(43) + _sent(43), False),
        (STOPPED, False),
        (f"{INFO}Run transitioned to a non-`RUNNING` status. Ignoring the message.\n", False),
    ],
)
def test_replies_that_are_a_message_behind_are_seen(said: str, lags: bool) -> None:
    assert lags_behind(said) == lags


def test_a_connection_that_is_a_message_behind_is_made_anew_and_once(tmp_path: Path) -> None:
    script = tmp_path / "node.py"
    words = (_received(15) + CUT).encode()
    script.write_text(
        "import pathlib, sys, time\n"
        f"if not pathlib.Path({str(tmp_path / 'cut')!r}).exists():\n"
        f"    sys.stdout.buffer.write({words!r})\n"
        f"    pathlib.Path({str(tmp_path / 'cut')!r}).touch()\n"
        "print('joined', flush=True)\n"
        "time.sleep(60)\n"
    )
    plan = Plan(NODE, [sys.executable, str(script)], tmp_path, dict(os.environ))
    with Processes(tmp_path) as processes:
        processes.start(plan)
        processes.wait_for(lambda: _gave_up(processes) is not None, "it is found", 30)
        gone = _gave_up(processes)
    assert gone is not None
    said, wait = _why(gone, was_joined=True)
    assert "ended while a message of it was coming in" in said
    assert wait == 1
    with Processes(tmp_path) as processes:  # the log still holds the old words
        processes.start(plan)
        processes.wait_for(lambda: "joined" in processes.said(NODE), "it is joined", 30)
        assert _gave_up(processes) is None
