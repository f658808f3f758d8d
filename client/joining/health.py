"""Is this site's connection well? Asks the SuperNode's gRPC health check; for containers.

python -m client.joining.health SITE      exit code 0: well
"""

import sys
from pathlib import Path

from client.joining.place import find_place
from common.errors import ConfigError

_WAIT_S = 5.0


def serves(address: str, wait_s: float = _WAIT_S) -> bool:
    """Tell whether a gRPC health check at an address says it serves."""
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            answer = stub.Check(health_pb2.HealthCheckRequest(service=""), timeout=wait_s)
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def is_well(folder: Path) -> tuple[bool, str]:
    """Return whether a site is joined and its SuperNode well, and what it says."""
    place = find_place(folder)
    state = place.standing.state()
    if not place.standing.lives():
        return False, "not joined: nothing of this site runs"
    words = str(state.get("words", ""))
    if state.get("state") != "joined":
        return False, words
    well = serves(str(state.get("health", "")))
    return well, words if well else f"{words}, but its SuperNode does not answer"


if __name__ == "__main__":
    try:
        well, words = is_well(Path(sys.argv[1]))
    except ConfigError as error:
        well, words = False, str(error)
    sys.stdout.write(f"{words}\n")
    sys.exit(0 if well else 1)
