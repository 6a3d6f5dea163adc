"""The services as the console calls them: where they are, with which token."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import MethodOptions
from vantixs.api.audit.v1 import audit_pb2, audit_pb2_grpc
from vantixs.api.ingress.v1 import ingress_pb2, ingress_pb2_grpc
from vantixs.api.risk.v1 import risk_pb2, risk_pb2_grpc
from vantixs.api.router.v1 import router_pb2, router_pb2_grpc
from vantixs.runtime.grpc_replicas import Address, Replicas, addresses_of
from vantixs.runtime.lifecycle import Lifecycle
from vantixs.runtime.settings import ServiceSettings, SettingsError

from vantixs_console.settings import ConsoleSettings

TIMEOUT_S = 10.0
PAGE = 1000
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
    replicas: Mapping[str, Replicas]

    def find_again(self, life: Lifecycle) -> None:
        """Has replicas that come and go be noticed, for as long as the service lives."""
        for found in self.replicas.values():
            life.spawn(found.run(life.stopping), name=f"{found.service}-replicas")

    async def close(self) -> None:
        """Closes every channel."""
        for found in self.replicas.values():
            await found.close()


def read_endpoints(home: Path) -> dict[str, object]:
    """run/endpoints.json, empty where nothing runs."""
    path = home / "run" / "endpoints.json"
    return dict(json.loads(path.read_text())) if path.is_file() else {}


def ingress_url(settings: ConsoleSettings) -> str:
    """HTTP address of ingress by settings, or by the home's endpoints.json; empty where nothing says it."""
    return settings.ingress_url or str(read_endpoints(settings.home).get("http") or "")


def grpc_addresses(settings: ServiceSettings) -> dict[str, list[Address]]:
    """Where every service's replicas answer gRPC, by settings or as they run in the home.

    Raises:
        SettingsError: nothing says where the services are.
    """
    addresses = {name: addresses_of(settings, name) for name in _CALLED}
    # One that is being started again is not a reason to look elsewhere.
    if not any(addresses.values()):
        raise SettingsError(
            f"no service runs in {settings.home}: start it with `vantixs up`, or name its home with --home"
        )
    return addresses


async def read_pages(call: Callable[..., Awaitable[Any]], request: Any, field: str, timeout_s: float) -> list[Any]:
    """Every item of a listing: `request` is asked page by page, `field` names the items of a response."""
    asked, items = type(request)(), []
    asked.CopyFrom(request)
    asked.page_size = PAGE
    while True:
        response = await call(asked, timeout=timeout_s)
        items += getattr(response, field)
        asked.page_token = response.next_page_token
        if not asked.page_token:
            return items


async def open_clients(settings: ServiceSettings, *, operator: str = "") -> Clients:
    """Connects to the services by settings, or as they run in the home."""
    token = settings.operator_token or settings.viewer_token
    replicas = {name: Replicas(name, settings, token=token, operator=operator, idempotent=_READS) for name in _CALLED}
    await asyncio.gather(*(found.look() for found in replicas.values()))
    return Clients(
        ingress_pb2_grpc.WebhookServiceStub(replicas["ingress"].channel),
        risk_pb2_grpc.RiskServiceStub(replicas["risk"].channel),
        router_pb2_grpc.RouterServiceStub(replicas["router"].channel),
        audit_pb2_grpc.AuditServiceStub(replicas["audit"].channel),
        replicas,
    )
