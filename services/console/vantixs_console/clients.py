"""The services as the console calls them: where they are, with which token."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import grpc
from google.protobuf.descriptor_pb2 import MethodOptions
from vantixs.api.audit.v1 import audit_pb2, audit_pb2_grpc
from vantixs.api.ingress.v1 import ingress_pb2, ingress_pb2_grpc
from vantixs.api.risk.v1 import risk_pb2, risk_pb2_grpc
from vantixs.api.router.v1 import router_pb2, router_pb2_grpc
from vantixs.runtime.addresses import local_socket
from vantixs.runtime.grpc_client import open_channel
from vantixs.runtime.settings import ServiceSettings, SettingsError
from vantixs.runtime.tls import grpc_tls

from vantixs_console.settings import ConsoleSettings

TIMEOUT_S = 10.0
_CALLED = ("ingress", "risk", "router", "audit")
# What the contracts mark as free of side effects is tried again while a service restarts.
_READS = tuple(
    f"/{service.full_name}/{method.name}"
    for module in (ingress_pb2, risk_pb2, router_pb2, audit_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
    if method.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS
)


@dataclass(frozen=True, slots=True)
class Clients:
    """One stub a service; `close` when done."""

    ingress: "ingress_pb2_grpc.WebhookServiceAsyncStub"
    risk: "risk_pb2_grpc.RiskServiceAsyncStub"
    router: "router_pb2_grpc.RouterServiceAsyncStub"
    audit: "audit_pb2_grpc.AuditServiceAsyncStub"
    channels: dict[str, grpc.aio.Channel]

    async def close(self) -> None:
        """Closes every channel."""
        for channel in self.channels.values():
            await channel.close()


def read_endpoints(home: Path) -> dict[str, object]:
    """run/endpoints.json, empty where nothing runs."""
    path = home / "run" / "endpoints.json"
    return dict(json.loads(path.read_text())) if path.is_file() else {}


def ingress_url(settings: ConsoleSettings) -> str:
    """HTTP address of ingress by settings, or by the home's endpoints.json; empty where nothing says it."""
    return settings.ingress_url or str(read_endpoints(settings.home).get("http") or "")


def grpc_addresses(settings: ServiceSettings) -> dict[str, str]:
    """gRPC addresses of every service, separated by commas, by settings or by the home's endpoints.json.

    Raises:
        SettingsError: nothing says where the services are.
    """
    found = read_endpoints(settings.home).get("grpc", {})
    known = found if isinstance(found, dict) else {}
    addresses = {name: str(getattr(settings, f"{name}_addresses") or known.get(name, "")) for name in _CALLED}
    if not all(addresses.values()):
        raise SettingsError(
            f"no service runs in {settings.home}: start it with `vantixs up`, or name its home with --home"
        )
    return addresses


def _local(settings: ServiceSettings, service: str, addresses: str) -> str:
    """The service's socket in this home where it has one and is alone: strangers cannot use up its connections."""
    path = local_socket(settings.home.absolute() / "run", service, "0")
    alone = not getattr(settings, f"{service}_addresses") and "," not in addresses
    return f"unix:{path}" if alone and path.is_socket() and os.access(path, os.W_OK) else addresses


def open_clients(settings: ServiceSettings, *, operator: str = "") -> Clients:
    """Connects to the services by settings, or by the home's endpoints.json.

    Raises:
        SettingsError: nothing says where the services are, or TLS cannot be used as it is set.
    """
    token = settings.operator_token or settings.viewer_token
    tls = grpc_tls(settings)
    channels: dict[str, grpc.aio.Channel] = {
        name: open_channel(
            _local(settings, name, addresses), token=token, operator=operator, idempotent=_READS, tls=tls
        )
        for name, addresses in grpc_addresses(settings).items()
    }
    return Clients(
        ingress_pb2_grpc.WebhookServiceStub(channels["ingress"]),
        risk_pb2_grpc.RiskServiceStub(channels["risk"]),
        router_pb2_grpc.RouterServiceStub(channels["router"]),
        audit_pb2_grpc.AuditServiceStub(channels["audit"]),
        channels,
    )
