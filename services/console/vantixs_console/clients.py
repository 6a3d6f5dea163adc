"""The console's clients of the services: the client library, and a stub for each service with the library's policy."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from vantixs.api.audit.v1 import audit_pb2_grpc
from vantixs.api.ingress.v1 import ingress_pb2_grpc
from vantixs.api.risk.v1 import risk_pb2_grpc
from vantixs.api.router.v1 import router_pb2_grpc
from vantixs.client import AsyncClient, Policy
from vantixs.client.contracts import SERVICES
from vantixs.client.places import http_of, read_endpoints
from vantixs.client.waiting import WaitingTransport
from vantixs.runtime.grpc_replicas import Address, addresses_of
from vantixs.runtime.lifecycle import Lifecycle
from vantixs.runtime.settings import ServiceSettings, SettingsError

from vantixs_console.settings import ConsoleSettings

__all__ = ["Clients", "grpc_addresses", "ingress_url", "open_clients", "read_endpoints", "read_pages"]
PAGE = 1000
# Whoever waits for a command is told soon that a service is away.
_POLICY = Policy(attempts=4)


@dataclass(frozen=True, slots=True)
class Clients:
    """One stub a service, whose calls raise AioRpcError, and the client, whose calls raise ClientError; `close` when done."""

    ingress: "ingress_pb2_grpc.WebhookServiceAsyncStub"
    risk: "risk_pb2_grpc.RiskServiceAsyncStub"
    router: "router_pb2_grpc.RouterServiceAsyncStub"
    audit: "audit_pb2_grpc.AuditServiceAsyncStub"
    client: AsyncClient
    transport: WaitingTransport

    def find_again(self, life: Lifecycle) -> None:
        """Has replicas that come and go be noticed, for as long as the service lives."""
        for found in self.transport.replicas.values():
            life.spawn(found.run(life.stopping), name=f"{found.service}-replicas")

    async def close(self) -> None:
        """Closes every channel."""
        await self.client.close()


def ingress_url(settings: ConsoleSettings) -> str:
    """HTTP address of ingress by settings, or by the home's endpoints.json; empty where nothing says it."""
    return http_of(settings, settings.ingress_url)()


def grpc_addresses(settings: ServiceSettings) -> dict[str, list[Address]]:
    """Where every service's replicas answer gRPC, by settings or as they run in the home.

    Raises:
        SettingsError: nothing says where the services are.
    """
    addresses = {name: addresses_of(settings, name) for name in SERVICES}
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
    token = settings.operator_token or settings.auditor_token or settings.viewer_token
    transport = WaitingTransport(settings, token=token, operator=operator)
    await asyncio.gather(*(transport.look(name) for name in SERVICES))
    client = AsyncClient(transport, policy=_POLICY, http=http_of(settings), home=settings.home)
    ingress, risk, router, audit = (client.stub(name) for name in ("ingress", "risk", "router", "audit"))
    return Clients(ingress, risk, router, audit, client, transport)
