"""Whether one server is healthy, for containers, which ask every few seconds: nothing slow is imported for it."""

import sys
import urllib.error
import urllib.request

from vantixs.runtime.settings import SettingsError, load

from vantixs_console.plain_text import complain
from vantixs_console.settings import ConsoleSettings

TIMEOUT_S = 3.0


def probe(address: str) -> int:
    """0 where the server at `host:port` (gRPC, with TLS where it is set) or at an HTTP URL says that it is healthy, else 1.

    Raises:
        SettingsError: a setting cannot be used.
    """
    return _probe_http(address) if address.startswith(("http://", "https://")) else _probe_grpc(address)


def run_probe(arguments: list[str]) -> int:
    """`vantixs health ADDRESS`, answered before the other commands are imported."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: vantixs health HOST:PORT|URL", file=sys.stderr)
        return 0 if arguments[:1] in (["--help"], ["-h"]) else 2
    try:
        return probe(arguments[0])
    except SettingsError as error:
        complain(str(error))
        return 2


def _probe_http(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310 - only http(s) comes here
            return 0 if answer.status < 300 else 1
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return 1


def _probe_grpc(address: str) -> int:
    import grpc  # noqa: PLC0415 - an HTTP probe needs none of it
    from grpc_health.v1 import health_pb2, health_pb2_grpc  # noqa: PLC0415
    from vantixs.runtime.tls import grpc_tls  # noqa: PLC0415 - as above

    tls = grpc_tls(load("console", ConsoleSettings))
    with grpc.secure_channel(address, tls.channel_credentials()) if tls else grpc.insecure_channel(address) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)
        except grpc.RpcError as error:
            if tls:
                complain(f"{address}: {error.details()}")
            return 1
    return 0 if answer.status == health_pb2.HealthCheckResponse.SERVING else 1
