"""Flower's programs and how they are called: everything here is Flower 1.41's own language.

A SuperLink is the coordinator's post office, a SuperNode a site's letterbox, a SuperExec
starts the process that answers a message. With `process` isolation and a shared secret
nobody but the deployment's own SuperExec is handed work.
"""

import json
import os
import ssl
import subprocess
import sysconfig
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from server.deploy.processes import Plan
from server.quiet import QUIET_FLOWER

_CONNECTION = "coordinator"
_POLL = {"FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.25"}  # seconds; Flower's own choice is 1
_COMMAND_S = 120.0
_HEALTH_S = 2.0
FINISHED, COMPLETED = "finished", "finished:completed"
_NOT_OURS = ("CONSORTIUM_", "FLWR_", "PYTHONPATH", "PYTHONHOME")
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Link:
    """The coordinator's SuperLink.

    Attributes:
        folder: holds `ca.pem`, `server.pem`, `server.key`, `secret`, its database.
        port: its port on 127.0.0.1.
    """

    folder: Path
    port: int

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"{HOST}:{self.port}"

    def plan(self) -> Plan:
        """Return the SuperLink's process: TLS, registered keys, SQLite, no installation."""
        command = [
            program("flower-superlink"),
            *("--host", HOST, "--port", str(self.port)),
            *("--ssl-ca-certfile", str(self.folder / "ca.pem")),
            *("--ssl-certfile", str(self.folder / "server.pem")),
            *("--ssl-keyfile", str(self.folder / "server.key")),
            *("--database", str(self.folder / "superlink.db")),
            *("--isolation", "process"),
            *("--superexec-auth-secret-file", str(self.folder / "secret")),
            "--enable-supernode-auth",
            "--disable-runtime-dependency-installation",
        ]
        return Plan("coordinator", command, self.folder, environment(self.folder))

    def worker_plan(self) -> Plan:
        """Return the process that starts the ServerApp of each run."""
        trust = ["--root-certificates", str(self.folder / "ca.pem")]
        command = _superexec(self.address, self.folder / "secret", trust)
        return Plan("coordinator-app", command, self.folder, environment(self.folder))

    def is_up(self) -> bool:
        """Tell whether it answers, with a certificate of this deployment."""
        trust = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        handlers = (urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust))
        try:
            url = f"https://{self.address}/health"
            with urllib.request.build_opener(*handlers).open(url, timeout=_HEALTH_S) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@dataclass(frozen=True)
class Node:
    """A site's SuperNode.

    Attributes:
        name: the site's.
        folder: holds `ca.pem`, `connection.key`, `secret` and `site.yaml`.
        port: for its own SuperExec, on 127.0.0.1.
    """

    name: str
    folder: Path
    port: int

    def plans(self, link: str, more: Mapping[str, str]) -> tuple[Plan, Plan]:
        """Return the SuperNode's process and the one that starts a ClientApp a message.

        Args:
            link: the coordinator's address.
            more: added to the environment.
        """
        settings = setting("site", str(self.folder / "site.yaml"))
        secret = self.folder / "secret"
        command = [
            program("flower-supernode"),
            *("--superlink", link),
            *("--root-certificates", str(self.folder / "ca.pem")),
            *("--auth-supernode-private-key", str(self.folder / "connection.key")),
            *("--node-config", settings),
            *("--host", HOST, "--port", str(self.port)),
            *("--isolation", "process"),
            *("--superexec-auth-secret-file", str(secret)),
        ]
        # A site is asked often for work; the coordinator's database has enough to do.
        around = {**environment(self.folder), **_POLL, **more}
        worker = _superexec(f"{HOST}:{self.port}", secret, ["--insecure"])
        return (
            Plan(self.name, command, self.folder, around),
            Plan(f"{self.name}-app", worker, self.folder, around),
        )


@dataclass(frozen=True)
class Control:
    """Flower's command line, bound to one SuperLink.

    Attributes:
        link: that SuperLink.
    """

    link: Link

    def connect(self) -> None:
        """Write where the SuperLink is and whom to trust."""
        connection = {
            "address": self.link.address,
            "root-certificates": str(self.link.folder / "ca.pem"),
        }
        lines = [f"{key} = {json.dumps(value)}" for key, value in connection.items()]
        text = "\n".join(
            ["[superlink]", f'default = "{_CONNECTION}"', f"[superlink.{_CONNECTION}]", *lines, ""]
        )
        home = flower_home(self.link.folder)
        home.mkdir(parents=True, exist_ok=True)
        (home / "config.toml").write_text(text, encoding="utf-8")

    def register(self, name: str, public_key: Path) -> None:
        """Let the holder of a key connect as a site.

        Raises:
            RuntimeError: it could not be registered.
        """
        self._call("supernode", "register", str(public_key), _CONNECTION, "--name", name)

    def begin(self, bundle: Path, run: Path) -> int:
        """Start a run and return Flower's number for it.

        Args:
            bundle: folder of the app; it is packed and sent to every site.
            run: the run's folder, where the ServerApp keeps its journal.

        Raises:
            RuntimeError: the run could not be started.
        """
        answer = self._call("run", str(bundle), _CONNECTION, "-c", setting("run", str(run)))
        return int(answer["run-id"])

    def status(self, number: int) -> str:
        """Return Flower's word for how a run stands: "running", "finished:completed", ..."""
        answer = self._call("list", _CONNECTION, "--run-id", str(number))
        return str(answer["runs"][0]["status"])

    def log(self, number: int) -> str:
        """Return what the ServerApp of a run has said."""
        done = self._flwr("log", str(number), _CONNECTION, "--show")
        return done.stdout + done.stderr

    def _call(self, *arguments: str) -> dict[str, Any]:
        done = self._flwr(*arguments, "--format", "json")
        answer = _last_json(done.stdout)
        if done.returncode != 0 or not answer.get("success"):
            said = answer.get("error-message") or (done.stdout + done.stderr).strip()[-2000:]
            raise RuntimeError(f"flwr {' '.join(arguments[:2])}: {said}")
        return answer

    def _flwr(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        try:
            return subprocess.run(  # noqa: S603  (the program is Flower's)
                [program("flwr"), *arguments],
                cwd=self.link.folder,
                env=environment(self.link.folder),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_COMMAND_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            words = " ".join(arguments[:2])
            raise TimeoutError(f"flwr {words}: no answer within {_COMMAND_S:g} s") from None


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of a process: Flower keeps its files in `folder`, calls nobody.

    What the caller's shell says about Flower, Python's paths or a proxy does not count:
    every connection of a deployment on one machine stays on it.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_OURS)}
    return {
        **kept,
        **QUIET_FLOWER,
        "FLWR_HOME": str(flower_home(folder)),
        "NO_PROXY": HOST,
        "no_proxy": HOST,
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


def _superexec(address: str, secret: Path, trust: Sequence[str]) -> list[str]:
    return [
        program("flower-superexec"),
        *("--runtime-api-address", address),
        *("--superexec-auth-secret-file", str(secret)),
        *("--parent-pid", str(os.getpid())),
        *trust,
    ]


def _last_json(text: str) -> dict[str, Any]:
    """Return the JSON object among the lines that Flower's command line prints."""
    begin = text.find("{")
    try:
        found = json.loads(text[begin:]) if begin >= 0 else {}
    except json.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}
