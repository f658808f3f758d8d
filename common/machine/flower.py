"""How Flower's programs are called, by coordinator and site alike; they call nobody else."""

import os
import sysconfig
from collections.abc import Sequence
from pathlib import Path

HOST = "127.0.0.1"

QUIET_FLOWER = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""The environment in which Flower calls nobody and installs nothing."""

_NOT_OURS = ("CONSORTIUM_", "FLWR_", "PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE")


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of a process: Flower keeps its files in `folder`, calls nobody.

    What the caller's shell says about Flower or Python's paths does not count. A proxy it
    names is used for everything but this machine itself.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_OURS)}
    direct = ",".join(filter(None, [kept.get("NO_PROXY") or kept.get("no_proxy"), HOST]))
    return {
        **kept,
        **QUIET_FLOWER,
        "FLWR_HOME": str(flower_home(folder)),
        "NO_PROXY": direct,
        "no_proxy": direct,
        "PATH": os.pathsep.join([sysconfig.get_path("scripts"), kept.get("PATH", os.defpath)]),
        "PYTHONUNBUFFERED": "1",
    }


def flower_home(folder: Path) -> Path:
    """Return where Flower keeps its own files for the owner of a folder."""
    return folder / "flower"


def program(name: str) -> str:
    """Return the path of a program of this Python's environment."""
    return str(Path(sysconfig.get_path("scripts")) / name)


def setting(key: str, value: str) -> str:
    """Return `key="value"` as Flower's options take it.

    Raises:
        ValueError: the value holds a character that Flower's own parser cannot take.
    """
    if '"' in value or "\\" in value or not value.isprintable():
        raise ValueError(f"{key}: expected a path without quotes and backslashes, got {value!r}")
    return f'{key}="{value}"'


def superexec(
    address: str, secret: Path, trust: Sequence[str], command: Sequence[str] | None = None
) -> list[str]:
    """Return the command of a SuperExec, which starts a process for each piece of work.

    Args:
        address: of the SuperLink or SuperNode that hands out work.
        secret: file with the secret by which it knows this SuperExec.
        trust: the options that say whose certificate to trust.
        command: what to start instead of Flower's own program, with the same options.
    """
    return [
        *(command or [program("flower-superexec")]),
        *("--runtime-api-address", address),
        *("--superexec-auth-secret-file", str(secret)),
        *("--parent-pid", str(os.getpid())),
        *trust,
    ]
