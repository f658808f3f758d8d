"""The processes that keep a site connected: Flower's SuperNode and SuperExec.

A SuperNode is a site's letterbox: it calls the coordinator, nobody calls it. The SuperExec
starts the process that answers a message. Both listen on this machine only.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from client.joining.place import SITE_FILE, Place
from common.machine.flower import HOST, environment, program, setting, superexec
from common.machine.processes import Plan, free_ports

_POLL = {"FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.25"}  # seconds; Flower's own choice is 1
_FORKING = ("-P", "-m", "client.joining.worker")
NODE, WORKER = "supernode", "supernode-app"


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
