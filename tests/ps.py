"""Which processes run on this machine, for tests that start some."""

import shutil
import subprocess

import pytest


def command_lines() -> list[str]:
    """Return the command line of every process."""
    return _ps("-A", "-o", "args=").splitlines()


def lives(pid: int) -> bool:
    """Tell whether a process works on; one that nobody has buried yet does not."""
    state = _ps("-o", "stat=", "-p", str(pid)).strip()
    return bool(state) and not state.startswith("Z")


def _ps(*arguments: str) -> str:
    program = shutil.which("ps")
    if program is None:
        pytest.skip("no `ps` here to look for processes with")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    return done.stdout
