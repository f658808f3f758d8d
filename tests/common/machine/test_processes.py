"""Processes are watched and stopped: these, all of them, and none besides."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.machine import processes as module
from common.machine.processes import Ended, Plan, Processes, free_ports, stopped_by_signals
from tests.ps import gone, lives

WITH_A_CHILD = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
"""
SLEEPY = "print('ready', flush=True); import time; time.sleep(60)"


def _plan(folder: Path, program: str, name: str = "one") -> Plan:
    return Plan(name, [sys.executable, "-c", program], folder, dict(os.environ))


def _said(log: Path) -> str:
    end = time.monotonic() + 20
    while not log.exists() or not log.read_text().endswith("\n"):
        assert time.monotonic() < end, "it said nothing"
        time.sleep(0.02)
    return log.read_text()


@pytest.fixture
def bystander() -> "Iterator[subprocess.Popen[bytes]]":
    with subprocess.Popen([sys.executable, "-c", SLEEPY], stdout=subprocess.DEVNULL) as popen:
        yield popen
        popen.kill()


def test_a_process_and_its_child_are_stopped_and_nobody_else(
    tmp_path: Path, bystander: "subprocess.Popen[bytes]"
) -> None:
    with Processes(tmp_path / "logs") as started:
        started.start(_plan(tmp_path, WITH_A_CHILD))
        child = int(_said(tmp_path / "logs" / "one.log"))
        assert lives(child)
    assert gone(child)
    assert bystander.poll() is None


def test_they_are_stopped_when_something_goes_wrong(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        _start_and_fail(tmp_path)
    assert gone(int(_said(tmp_path / "logs" / "one.log")))


def _start_and_fail(folder: Path) -> None:
    with Processes(folder / "logs") as started:
        started.start(_plan(folder, WITH_A_CHILD))
        assert lives(int(_said(folder / "logs" / "one.log")))
        raise KeyboardInterrupt


def test_the_child_of_a_process_that_died_does_not_outlive_it(tmp_path: Path) -> None:
    orphan = WITH_A_CHILD.replace("time.sleep(60)\n", "sys.exit(3)\n")
    with Processes(tmp_path / "logs") as started:
        started.start(_plan(tmp_path, orphan))
        child = int(_said(tmp_path / "logs" / "one.log"))
        with pytest.raises(Ended, match=r"one ended with 3"):
            started.wait_for(lambda: False, "nothing", 20)
        assert gone(child)


def test_one_that_does_not_listen_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_GRACE_S", 0.3)
    begin = time.monotonic()
    with Processes(tmp_path / "logs") as started:
        started.start(_plan(tmp_path, STUBBORN))
        _said(tmp_path / "logs" / "one.log")
    assert time.monotonic() - begin < 20


def test_what_a_process_said_last_is_in_the_message(tmp_path: Path) -> None:
    with Processes(tmp_path / "logs") as started:
        started.start(_plan(tmp_path, "raise SystemExit('no such port')"))
        with pytest.raises(Ended, match="no such port"):
            started.wait_for(lambda: False, "nothing", 20)


def test_no_wait_is_for_ever(tmp_path: Path) -> None:
    with (
        Processes(tmp_path / "logs") as started,
        pytest.raises(TimeoutError, match=r"the moon falls: not within 0.2 s"),
    ):
        started.wait_for(lambda: False, "the moon falls", 0.2)


def test_a_signal_to_stop_is_like_ctrl_c() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        _stop_myself()
    assert signal.getsignal(signal.SIGTERM) == before


def _stop_myself() -> None:
    with stopped_by_signals():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)


def test_ports_are_free_and_no_two_alike() -> None:
    assert len(set(free_ports(20))) == 20
