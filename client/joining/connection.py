"""The processes that keep a site connected: Flower's SuperNode and SuperExec.

A SuperNode is a site's letterbox: it calls the coordinator, nobody calls it. The SuperExec
starts the process that answers a message. Both listen on this machine only.
"""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec

from client.joining.place import SITE_FILE, Place, read_private_key
from common.errors import ConfigError, Finding, why_not_opened
from common.machine.flower import HOST, environment, program, setting, superexec
from common.machine.processes import Plan, free_ports

_POLL = {"FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.25"}  # seconds; Flower's own choice is 1
_FORKING = ("-P", "-m", "client.joining.worker")
NODE, WORKER = "supernode", "supernode-app"


def check_files(place: Place) -> None:
    """Check what a connection is made with, so that nobody tries for ever without it.

    Raises:
        ConfigError: with every file that is missing, not to be read, or not what it should be.
    """
    findings = list(_mistakes(place))
    if findings:
        raise ConfigError(findings)


def _mistakes(place: Place) -> Iterator[Finding]:
    again = "it was made by `consortium site init`; take it from your backup"
    try:
        key = read_private_key(place.connection_key)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            yield Finding(str(place.connection_key), None, "", f"expected an ECDSA key; {again}")
    except ConfigError as error:
        for one in error.findings:
            yield Finding(one.file, None, "", f"{one.message}; {again}")
    for path in (place.secret, place.authority, place.trusted):
        try:
            if not path.read_bytes():
                yield Finding(str(path), None, "", f"is empty; {again}")
        except OSError as error:
            yield Finding(str(path), None, "", f"{why_not_opened(error)}; {again}")


def _two_ports() -> tuple[int, int]:
    one, other = free_ports(2)
    return one, other


@dataclass(frozen=True)
class Connection:
    """The processes of one site's connection.

    Attributes:
        place: the site.
        more: added to the environment of its processes.
        ports: of its own SuperExec's door, and of the health check; on 127.0.0.1.
    """

    place: Place
    more: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[int, int] = field(default_factory=_two_ports)

    @property
    def health(self) -> str:
        """Where the SuperNode answers a gRPC health check."""
        return f"{HOST}:{self.ports[1]}"

    def plans(self) -> tuple[Plan, Plan]:
        """Return the SuperNode's process and the one that starts what answers a message."""
        place = self.place
        settings = setting("site", str(place.folder / SITE_FILE))
        command = [
            program("flower-supernode"),
            *("--superlink", place.kit.coordinator),
            *("--root-certificates", str(place.authority)),
            *("--auth-supernode-private-key", str(place.connection_key)),
            *("--trusted-entities", str(place.trusted)),
            *("--node-config", settings),
            *("--host", HOST, "--port", str(self.ports[0])),
            *("--health-server-address", self.health),
            *("--isolation", "process"),
            *("--superexec-auth-secret-file", str(place.secret)),
        ]
        around = {**environment(place.folder), **_POLL, **self.more}
        address = f"{HOST}:{self.ports[0]}"
        worker = superexec(address, place.secret, ["--insecure"], [sys.executable, *_FORKING])
        return (
            Plan(NODE, command, place.folder, around),
            Plan(WORKER, worker, place.folder, around),
        )
