"""A whole consortium in containers on one machine: each its own address, data read-only.

    python -m server.deploy.containers [STUDY] [--sites SITES] [--folder NEW]

The network has no way out. Runs a study, stops and removes every container, simulates the
same study and compares every bit. Needs podman, runc and the images of
`scripts/build_images.sh`; exit codes as those of `python -m server.deploy`.
"""

import importlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from common.machine.processes import stopped_by_signals
from server.deploy.__main__ import in_words, report_equality, say, summarise, without_pooled
from server.deploy.conduct import DeployedRun
from server.deploy.follow import Follower
from server.deploy.home import DeploymentSettings
from server.deploy.localhost import Localhost, Stage, lay_out_localhost
from server.ending import no_results
from server.run import Run

_USER = 49999
_PORT, _LINK_PORT = 8443, 8000
_VERSION = "0.1.0"
_WAIT_S, _LOOK_S = 900.0, 2.0  # a loaded machine needs minutes to start five containers
# What works with and without a Docker engine, systemd or cgroups of version 2 alone.
_PODMAN = ("--runtime", "runc", "--cgroup-manager", "cgroupfs", "--storage-driver=vfs")
_LIMITS = ("--ulimit=nofile=4096:4096", "--ulimit=nproc=4096:4096")
_HARDENED = ("--read-only", "--tmpfs=/tmp", "--cap-drop=all", "--security-opt=no-new-privileges")
UNEQUAL, WITH_LOSSES = 5, 3


@dataclass
class Containers:
    """Containers on a network of their own; all are removed in the end.

    Attributes:
        mark: begins the name of each, and is the network's.
    """

    mark: str = field(default_factory=lambda: f"consortium-{secrets.token_hex(3)}")
    names: list[str] = field(default_factory=list)

    def open_network(self) -> None:
        """Make a network that leads nowhere else."""
        _podman("network", "create", "--internal", self.mark)

    def start(self, name: str, image: str, mounts: dict[Path, str], *command: str) -> None:
        """Start a container that others call by `name`.

        Args:
            name: its name on the network.
            image: without place and version.
            mounts: where each folder goes, with ":ro" behind it where it is only read.
            command: what it runs.
        """
        volumes = [f"--volume={source}:{target}" for source, target in mounts.items()]
        self.names.append(name)
        _podman(
            *("run", "-d", "--name", self.full(name), "--hostname", name.replace("_", "-")),
            *("--network", self.mark, "--network-alias", name),
            *(*_LIMITS, *_HARDENED, *volumes),
            *(f"localhost/consortium-{image}:{_VERSION}", *command),
        )

    def full(self, name: str) -> str:
        """Return a container's full name."""
        return f"{self.mark}-{name}"

    def address(self, name: str) -> str:
        """Return a container's address on the network."""
        form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        return _podman("inspect", "--format", form, self.full(name)).strip()

    def inside(self, name: str, *command: str) -> "subprocess.CompletedProcess[str]":
        """Run a command in a container and return how it went."""
        return _run("exec", self.full(name), *command)

    def check(self) -> None:
        """Check that all still run.

        Raises:
            RuntimeError: one has ended; with its last words.
        """
        for name in self.names:
            if _run("inspect", "--format", "{{.State.Status}}", self.full(name)).stdout.strip() in (
                "exited",
                "stopped",
            ):
                said = _run("logs", "--tail", "20", self.full(name))
                raise RuntimeError(f"container {name} has ended:\n{said.stdout}{said.stderr}")

    def remove(self, logs: Path) -> None:
        """Keep what each has said, stop and remove them all, and the network."""
        logs.mkdir(parents=True, exist_ok=True)
        _run("stop", "--time", "30", *map(self.full, reversed(self.names)))  # all at once
        for name in reversed(self.names):
            said = _run("logs", self.full(name))
            (logs / f"{name}.log").write_text(said.stdout + said.stderr, encoding="utf-8")
            _run("rm", "--force", self.full(name))
        _run("network", "rm", "--force", self.mark)


def command(
    study: Annotated[Path, typer.Argument(help="the study file")] = Path("studies/phantom.yaml"),
    sites: Annotated[Path, typer.Option("--sites", help="the roster")] = Path("sites.example.yaml"),
    folder: Annotated[Path | None, typer.Option("--folder", help="a new one")] = None,
    limit: Annotated[float, typer.Option("--limit", min=1, help="in seconds")] = 4 * 3600,
) -> None:
    """Run a study in containers on this machine, and compare it with its simulation."""
    with stopped_by_signals(), in_words():
        _need_podman()
        importlib.import_module("client.cli").make_phantoms_for(sites)
        text = without_pooled(study.read_text(encoding="utf-8"), str(study))
        name = f"containers-{time.strftime('%Y%m%d-%H%M%S')}"
        here = _laid_out(text, sites, folder or Path("runs") / "deployments" / name)
        sys.stdout.write(f"deployment: {here.folder}\n")
        with _standing(here, sites) as containers:
            run = _conducted(here, containers, limit)
        summarise(here.folder / "logs", run)
        equal = report_equality(run, sites, here.folder / "simulation")
    if not equal:
        raise typer.Exit(UNEQUAL)
    if run.losses() or no_results(run):
        raise typer.Exit(WITH_LOSSES)


def _need_podman() -> None:
    missing = [tool for tool in ("podman", "runc") if shutil.which(tool) is None]
    if missing:
        raise RuntimeError(
            f"no {', '.join(missing)} here. Debian and Ubuntu: "
            "apt-get install buildah podman runc netavark aardvark-dns debootstrap"
        )
    if os.geteuid() != 0:
        raise RuntimeError("containers with addresses of their own need root: call with sudo")
    for image in ("site", "coordinator"):
        if _run("image", "exists", f"localhost/consortium-{image}:{_VERSION}").returncode != 0:
            raise RuntimeError(f"no image of the {image} here; scripts/build_images.sh makes it")


def _laid_out(study: str, sites: Path, folder: Path) -> Localhost:
    where = DeploymentSettings(
        name="containers", host="coordinator", port=_PORT, link_port=_LINK_PORT
    )
    here = lay_out_localhost(study, sites, folder, stage=Stage(where, cohort="/data"))
    for path in (here.home.folder, *here.sites.values()):
        for one in (path, *path.rglob("*")):
            os.chown(one, _USER, _USER)
    return here


@contextmanager
def _standing(here: Localhost, sites: Path) -> Iterator[Containers]:
    """Start every container, show what they can and cannot do; remove them in the end."""
    containers = Containers()
    roster = here.home.roster
    try:
        containers.open_network()
        mounts = {here.home.folder: "/deployment"}
        containers.start("coordinator", "coordinator", mounts, "deploy", "up", "/deployment")
        up = here.home.folder / "up.json"
        _wait(partial(_says, up, "up"), "the coordinator is up", containers.check)
        for name, folder in here.sites.items():
            simulated = roster.sites[name].simulate
            cohort = (sites.parent / (simulated.cohort if simulated else "")).resolve()
            data = {folder: "/site", cohort: "/data:ro"}
            containers.start(name, "site", data, "site", "join", "/site")
        for name, folder in here.sites.items():
            file = folder / "join.json"
            _wait(partial(_says, file, "joined"), f"{name} joins", containers.check)
        _show(containers, here)
        yield containers
    finally:
        containers.remove(here.folder / "logs")


def _show(containers: Containers, here: Localhost) -> None:
    """Print each container's address, and that it can do no more than it should."""
    sys.stdout.write(f"coordinator {containers.address('coordinator')}:{_PORT}\n")
    for name in here.sites:
        well = containers.inside(name, "python", "-m", "client.joining.health", "/site")
        writes = containers.inside(name, "touch", "/data/trace").returncode == 0
        reaches = containers.inside(name, "python", "-c", _CALL_OUT).returncode == 0
        controls = containers.inside(name, "python", "-c", _CALL_CONTROL).stdout.strip()
        sys.stdout.write(
            f"{name} {containers.address(name)}: gRPC health {well.stdout.strip()}; "
            f"data {'WRITABLE' if writes else 'read-only'}; "
            f"{'REACHES' if reaches else 'cannot reach'} an address outside; "
            f"coordinator's Control API answers it {controls}\n"
        )
    sys.stdout.flush()


_CALL_OUT = "import socket; socket.create_connection(('192.0.2.1', 443), 3)"
_CALL_CONTROL = (
    "import httpx, ssl; t = ssl.create_default_context(cafile='/site/ca.pem'); "
    f"print(httpx.post('https://coordinator:{_PORT}/v1/control/list-runs', verify=t).status_code)"
)


def _conducted(here: Localhost, containers: Containers, limit_s: float) -> Run:
    """Have the coordinator run the study; tell how it goes; return the run."""
    study = f"/deployment/offers/{here.offered.folder.name}/study.yaml"
    begun = containers.inside(
        "coordinator", "consortium", "run", study, "-d", "/deployment", "--detach"
    )
    if begun.returncode != 0:
        raise RuntimeError(f"the run could not be started: {begun.stderr.strip()[-2000:]}")
    found = DeployedRun(Run(next(here.home.runs.glob("*-*"))), here.home)
    journal, end, done = Follower(found.run.folder / "journal.jsonl"), time.monotonic(), False
    while not done:
        for event in journal.news():
            say(event)
            done = done or event["event"] == "end"
        if time.monotonic() > end + limit_s:
            raise TimeoutError(f"the run took too long; logs: {here.folder / 'logs'}")
        containers.check()
        time.sleep(_LOOK_S)
    _wait(lambda: (found.run.folder / "answers.json").exists(), "the answers are written")
    return found.run


def _state(path: Path) -> str:
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["state"])
    except (OSError, ValueError, KeyError):
        return ""


def _says(path: Path, state: str) -> bool:
    return _state(path) == state


def _wait(
    condition: Callable[[], bool], what: str, check: Callable[[], None] = lambda: None
) -> None:
    end = time.monotonic() + _WAIT_S
    while not condition():
        check()
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {_WAIT_S:g} s")
        time.sleep(_LOOK_S)


def _run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    program = shutil.which("podman") or "podman"
    whole = [program, *_PODMAN, *arguments]
    return subprocess.run(whole, capture_output=True, text=True, check=False)  # noqa: S603


def _podman(*arguments: str) -> str:
    done = _run(*arguments)
    if done.returncode != 0:
        raise RuntimeError(f"podman {' '.join(arguments[:2])}: {done.stderr.strip()[-1000:]}")
    return done.stdout


if __name__ == "__main__":
    typer.run(command)
