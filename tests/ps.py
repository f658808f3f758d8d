"""Which processes run on this machine, for tests that start some."""

import shutil
import subprocess
import time

import pytest


def command_lines() -> list[str]:
    """Return the command line of every process."""
    return _ps("-A", "-o", "args=").splitlines()


def lives(pid: int) -> bool:
    """Tell whether a process works on; one that nobody has buried yet does not."""
    state = _ps("-o", "stat=", "-p", str(pid)).strip()
    return bool(state) and not state.startswith("Z")


def gone(pid: int, within_s: float = 10.0) -> bool:
    """Tell whether a process that was told to end does so in time."""
    end = time.monotonic() + within_s
    while lives(pid) and time.monotonic() < end:
        time.sleep(0.05)
    return not lives(pid)


def _ps(*arguments: str) -> str:
    program = shutil.which("ps")
    if program is None:
        pytest.skip("no `ps` here to look for processes with")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    return done.stdout
