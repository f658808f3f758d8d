"""The coordinator's SuperLink: its post office, in Flower 1.41's own language.

With `process` isolation and a shared secret nobody but the deployment's own SuperExec is
handed work. It listens on this machine only: sites reach it through `proxy.py`.
"""

import ssl
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from common.machine.flower import HOST, environment, program, superexec
from common.machine.processes import Plan

_HEALTH_S = 2.0


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

    @property
    def database(self) -> Path:
        """Its database: runs, messages on their way, registered keys."""
        return self.folder / "superlink.db"

    def plan(self) -> Plan:
        """Return the SuperLink's process: TLS, registered keys, SQLite, no installation."""
        command = [
            program("flower-superlink"),
            *("--host", HOST, "--port", str(self.port)),
            *("--ssl-ca-certfile", str(self.folder / "ca.pem")),
            *("--ssl-certfile", str(self.folder / "server.pem")),
            *("--ssl-keyfile", str(self.folder / "server.key")),
            *("--database", str(self.database)),
            *("--isolation", "process"),
            *("--superexec-auth-secret-file", str(self.folder / "secret")),
            "--enable-supernode-auth",
            "--disable-runtime-dependency-installation",
        ]
        return Plan("superlink", command, self.folder, environment(self.folder))

    def worker_plan(self) -> Plan:
        """Return the process that starts the ServerApp of each run."""
        trust = ["--root-certificates", str(self.folder / "ca.pem")]
        command = superexec(self.address, self.folder / "secret", trust)
        return Plan("superlink-app", command, self.folder, environment(self.folder))

    def is_up(self) -> bool:
        """Tell whether it answers, with a certificate of this deployment."""
        return answers(self.address, self.folder / "ca.pem")


def answers(address: str, trusted: Path) -> bool:
    """Tell whether a coordinator says it is well, with a certificate signed by `trusted`."""
    trust = ssl.create_default_context(cafile=str(trusted))
    handlers = (urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust))
    try:
        url = f"https://{address}/health"
        with urllib.request.build_opener(*handlers).open(url, timeout=_HEALTH_S) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
