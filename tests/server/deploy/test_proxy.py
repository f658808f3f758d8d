"""What passes the coordinator's door, through a real nginx: the sites' API and nothing else."""

import http.client
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from common.machine.processes import Processes, free_ports
from server.deploy.certificates import new_authority
from server.deploy.flower import Link
from server.deploy.proxy import Proxy, nginx


class _Upstream(BaseHTTPRequestHandler):
    """Says which path and which signature it was called with."""

    def do_POST(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        size = int(self.headers.get("content-length") or 0)
        self.rfile.read(size)
        said = f"{self.path} {self.headers.get('flwr-signature', '')} {size}".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    try:
        nginx()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("coordinator")
    authority = new_authority("a test", days=1)
    pair = authority.issue(["localhost", "127.0.0.1"], days=1)
    (folder / "ca.pem").write_bytes(authority.pem())
    (folder / "server.pem").write_bytes(pair.public)
    (folder / "server.key").write_bytes(pair.private)
    upstream = ThreadingHTTPServer(("127.0.0.1", 0), _Upstream)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    upstream.socket = context.wrap_socket(upstream.socket, server_side=True)
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    proxy = Proxy(Link(folder, upstream.server_port), "127.0.0.1", free_ports(1)[0])
    with Processes(folder / "logs") as processes:
        processes.start(proxy.plan())
        processes.wait_for(proxy.is_up, "nginx", 20)
        yield proxy
    upstream.shutdown()
    upstream.server_close()


def _call(door: Proxy, method: str, path: str, body: bytes = b"") -> tuple[int, str]:
    trust = ssl.create_default_context(cafile=str(door.link.folder / "ca.pem"))
    line = http.client.HTTPSConnection("127.0.0.1", door.port, context=trust, timeout=20)
    try:
        line.request(method, path, body=body, headers={"flwr-signature": "mine"})
        answer = line.getresponse()
        return answer.status, answer.read().decode()
    finally:
        line.close()


def test_a_sites_call_passes_with_its_signature_and_six_megabytes(door: Proxy) -> None:
    status, said = _call(door, "POST", "/v1/fleet/push-object", b"x" * 6_000_000)
    assert (status, said) == (200, "/v1/fleet/push-object mine 6000000")


def test_health_passes(door: Proxy) -> None:
    assert _call(door, "GET", "/health")[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        *("/v1/control/start-run", "/v1/control/register-node", "/v1/runtime/claim-task"),
        *("/", "/docs", "/openapi.json", "/health/", "/v1/fleet", "/v1/fleetx/y"),
        *("/v1/fleet/../control/start-run", "/v1/fleet/%2e%2e/control/start-run"),
        *("/v1/fleet/..%2fcontrol/start-run", "//v1//control/start-run"),
        *("/V1/fleet/pull-messages", "/v1/fleet/%2e%2e%2fruntime/claim-task"),
    ],
)
def test_nothing_else_passes(door: Proxy, path: str) -> None:
    status, said = _call(door, "POST", path)
    assert status in {301, 400, 403, 404}  # 301: to the same path with a slash
    assert "mine" not in said


def test_the_sites_api_is_called_by_post_only(door: Proxy) -> None:
    assert _call(door, "GET", "/v1/fleet/pull-messages")[0] == 403


def test_who_does_not_trust_the_authority_gets_nowhere(door: Proxy) -> None:
    line = http.client.HTTPSConnection("127.0.0.1", door.port, timeout=20)
    with pytest.raises(ssl.SSLCertVerificationError):
        line.request("GET", "/health")
    line.close()
