"""The one thing a site asks the coordinator besides Flower's own questions: is a run still on?

It goes through the same door as everything else, signed with the connection's key.
"""

import json
from dataclasses import dataclass

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from client.joining.place import Place

_RUN_IS_OVER = "FLEET_RUN_STATUS_NOT_ALLOWED"


@dataclass(frozen=True)
class Fleet:
    """The coordinator as this site may call it.

    Attributes:
        place: the site.
        node: the number that Flower gave it.
    """

    place: Place
    node: int

    def is_over(self, run: int) -> bool:
        """Tell whether a run has ended or was stopped; no when nobody answers.

        Raises:
            httpx.HTTPError: no answer, or another one.
        """
        from flwr.proto.node_pb2 import Node
        from flwr.proto.run_pb2 import GetRunRequest
        from flwr.supercore.interceptors import RuntimeVersionHttpInterceptor
        from flwr.supernode.fleet_http_client import FleetHttpClient
        from flwr.supernode.node_auth_http_interceptor import NodeAuthHttpInterceptor

        key = load_ssh_private_key(self.place.connection_key.read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{self.place.connection_key}: expected an ECDSA key")
        with FleetHttpClient.from_server_address(
            self.place.kit.coordinator,
            insecure=False,
            root_certificates=self.place.authority.read_bytes(),
            interceptors=[
                RuntimeVersionHttpInterceptor(component_name="consortium"),
                NodeAuthHttpInterceptor(key, key.public_key()),
            ],
        ) as client:
            try:
                client.GetRun(GetRunRequest(node=Node(node_id=self.node), run_id=run))
            except httpx.HTTPStatusError as error:
                if _code(error) == _over_code():
                    return True
                raise
        return False


def _code(error: httpx.HTTPStatusError) -> int | None:
    try:
        return int(json.loads(error.response.text)["code"])
    except (ValueError, KeyError, TypeError):
        return None


def _over_code() -> int:
    from flwr.supercore.error import ApiErrorCode

    return int(getattr(ApiErrorCode, _RUN_IS_OVER))
