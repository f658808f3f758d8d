"""What the coordinator tells its own SuperLink: who may connect, which run begins or stops.

Everything here is Flower 1.41's Control API, which asks nobody for a password: it is
reachable on this machine alone. Signed bundles are written straight into SuperLink's
database, since Flower fills signatures in for apps of its own hub only.
"""

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from common.machine.flower import HOST
from server.deploy.flower import Link

FINISHED, COMPLETED, STOPPED = "finished", "finished:completed", "finished:stopped"
_NOBODY = "<id:none>"  # the only account there is without accounts
_FEDERATION = "@none/default"
_BUSY_S = 30.0

# What `store_app` of SuperLink's state does, without its migrations beside a running server.
_PUT_BUNDLE = """
INSERT INTO fab (fab_hash, content, verifications) VALUES (?, ?, ?)
ON CONFLICT (fab_hash) DO UPDATE SET verifications = excluded.verifications
"""
_PUT_APP = """
INSERT INTO federation_app
  (federation_id, app_id, fab_hash, app_type, is_hub_app, added_by, added_at, updated_at)
VALUES (?, ?, ?, ?, 0, ?, ?, ?)
ON CONFLICT (federation_id, app_id) DO UPDATE SET fab_hash = excluded.fab_hash
"""


class NoAnswer(RuntimeError):
    """The coordinator's SuperLink is not up, or refuses; the message says which."""


@dataclass(frozen=True)
class Seen:
    """A registered site as SuperLink sees it.

    Attributes:
        name: the site's.
        status: online, offline, registered (never seen), unregistered.
        online_until: seconds since 1970 until which it counts as online.
    """

    name: str
    status: str
    online_until: float


@dataclass(frozen=True)
class Signed:
    """A bundle and the hospitals' signatures over it, in Flower's form.

    Attributes:
        content: the bundle.
        sha256: of it, in hex.
        verifications: JSON of each signature, by the name of its key.
    """

    content: bytes
    sha256: str
    verifications: Mapping[str, str]


@dataclass(frozen=True)
class Control:
    """The Control API of one SuperLink.

    Attributes:
        link: that SuperLink.
    """

    link: Link

    def register(self, name: str, public_key: str) -> bool:
        """Let the holder of a connection key, in OpenSSH's form, connect as a site.

        A site that has made new keys takes the place of its old connection.

        Returns:
            Whether it was not registered before.

        Raises:
            RuntimeError: it could not be registered.
        """
        from flwr.proto.control_pb2 import ListNodesRequest, RegisterNodeRequest

        key = _pem(public_key)
        with self._client() as client:
            nodes = client.ListNodes(ListNodesRequest()).nodes_info
            mine = [n for n in nodes if n.name == name and n.status != "unregistered"]
            if any(bytes(n.public_key).strip() == key.strip() for n in mine):
                return False
        if mine:
            self.unregister(name)
        with self._client() as client:
            client.RegisterNode(RegisterNodeRequest(public_key=key, name=name))
        return True

    def sites(self) -> list[Seen]:
        """Return every registered site, by name."""
        from flwr.proto.control_pb2 import ListNodesRequest

        with self._client() as client:
            nodes = client.ListNodes(ListNodesRequest()).nodes_info
        seen = [Seen(str(n.name), str(n.status), float(n.online_until)) for n in nodes]
        return sorted(seen, key=lambda one: one.name)

    def unregister(self, name: str) -> bool:
        """Let a site connect no longer; return whether it was registered."""
        from flwr.proto.control_pb2 import ListNodesRequest, UnregisterNodeRequest

        with self._client() as client:
            nodes = client.ListNodes(ListNodesRequest()).nodes_info
            mine = [n for n in nodes if n.name == name and n.status != "unregistered"]
            for node in mine:
                client.UnregisterNode(UnregisterNodeRequest(node_id=node.node_id))
        return bool(mine)

    def begin(self, bundle: Signed, run: Path) -> int:
        """Start a run and return Flower's number for it.

        Args:
            bundle: the code, sent to every site.
            run: the run's folder, where the ServerApp keeps its journal.

        Raises:
            RuntimeError: the run could not be started.
        """
        from flwr.common.serde import fab_to_proto, user_config_to_proto
        from flwr.proto.control_pb2 import StartRunRequest
        from flwr.supercore.fab import Fab

        app = self._store(bundle)
        request = StartRunRequest(
            fab=fab_to_proto(Fab(bundle.sha256, b"", {})),
            override_config=user_config_to_proto({"run": str(run)}),
            app_spec=app,
        )
        with self._client() as client:
            answer = client.StartRun(request)
        if not answer.HasField("run_id"):
            raise RuntimeError("SuperLink did not start the run; see its log")
        return int(answer.run_id)

    def status(self, number: int) -> str:
        """Return Flower's word for how a run stands: "running", "finished:completed", ..."""
        from flwr.proto.control_pb2 import ListRunsRequest

        with self._client() as client:
            runs = client.ListRuns(ListRunsRequest(run_id=number)).run_dict
        status = runs[number].status
        return ":".join(filter(None, [str(status.status), str(status.sub_status)]))

    def under_way(self) -> set[int]:
        """Return Flower's numbers of all runs that have not finished."""
        from flwr.proto.control_pb2 import ListRunsRequest

        with self._client() as client:
            runs = client.ListRuns(ListRunsRequest()).run_dict
        return {int(n) for n, run in runs.items() if str(run.status.status) != FINISHED}

    def stop(self, number: int) -> bool:
        """Stop a run; return whether it was under way."""
        from flwr.proto.control_pb2 import StopRunRequest

        if self.status(number).startswith(FINISHED):
            return False
        with self._client() as client:
            return bool(client.StopRun(StopRunRequest(run_id=number)).success)

    def log(self, number: int) -> str:
        """Return what the ServerApp of a run has said."""
        from flwr.proto.control_pb2 import StreamLogsRequest

        with self._client() as client:
            stream = client.StreamLogs(StreamLogsRequest(run_id=number, after_timestamp=0.0))
            try:
                return str(next(stream).log_output)
            except StopIteration:
                return ""
            finally:
                stream.close()

    def _store(self, bundle: Signed) -> str:
        """Put a bundle with its signatures into the database; return its name there."""
        from flwr.common.config import get_fab_config, get_metadata_from_config
        from flwr.supercore.constant import TaskType

        name, _ = get_metadata_from_config(get_fab_config(bundle.content))
        now = datetime.now(UTC).isoformat(sep=" ")
        signatures = json.dumps(dict(bundle.verifications))
        app = (_FEDERATION, f"@{name}", bundle.sha256, TaskType.SERVER_APP, _NOBODY, now, now)
        with closing(sqlite3.connect(self.link.database, timeout=_BUSY_S)) as database, database:
            database.execute(_PUT_BUNDLE, (bundle.sha256, bundle.content, signatures))
            database.execute(_PUT_APP, app)
        return f"@{name}"

    @contextmanager
    def _client(self) -> Iterator[Any]:
        from flwr.supercore.control.control_http_client import ControlHttpClient
        from flwr.supercore.interceptors import RuntimeVersionHttpInterceptor

        with _directly():
            client = ControlHttpClient.from_server_address(
                server_address=self.link.address,
                insecure=False,
                root_certificates=(self.link.folder / "ca.pem").read_bytes(),
                interceptors=[RuntimeVersionHttpInterceptor(component_name="consortium")],
            )
        try:
            yield client
        except httpx.HTTPStatusError as error:
            said = error.response.text.strip()[:500]
            raise NoAnswer(f"SuperLink refused: {said or error}") from None
        except httpx.HTTPError as error:
            why = _why(error)
            raise NoAnswer(
                f"no answer from the coordinator's SuperLink on {self.link.address}: {why}; "
                "is `consortium deploy up` running?"
            ) from None
        finally:
            client.close()


@contextmanager
def _directly() -> Iterator[None]:
    """Let a client made inside call this machine without the proxy a shell may name."""
    names = ("NO_PROXY", "no_proxy")
    before = {name: os.environ.get(name) for name in names}
    for name in names:
        os.environ[name] = ",".join(filter(None, [before[name], HOST]))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)


def _why(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.ConnectError):
        refused = "refused" in str(error)
        return "nobody listens there" if refused else f"it cannot be connected to ({error})"
    if isinstance(error, httpx.TimeoutException):
        return "it took too long"
    return f"the connection broke ({str(error) or type(error).__name__})"


def _pem(public_key: str) -> bytes:
    from flwr.supercore.primitives.asymmetric import public_key_to_bytes

    key: Any = load_ssh_public_key(public_key.encode())
    return public_key_to_bytes(key)
