"""What every gRPC server here promises: tokens, roles, deadlines, errors with reasons, health."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from psycopg import DataError
from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.ingress.v1 import ingress_pb2
from vantixs.api.risk.v1 import risk_pb2, risk_pb2_grpc
from vantixs.api.router.v1 import router_pb2
from vantixs.runtime import grpc_server
from vantixs.runtime.errors import from_rpc_error, invalid
from vantixs.runtime.grpc_client import open_channel
from vantixs.runtime.grpc_server import Server, caller
from vantixs.runtime.health import Health
from vantixs.runtime.lifecycle import StartupError
from vantixs.runtime.settings import ServiceSettings
from vantixs_audit.server import ROLES as AUDIT_ROLES
from vantixs_ingress.webhooks.service import ROLES as INGRESS_ROLES
from vantixs_risk.server import NAME, ROLES
from vantixs_router.server import ROLES as ROUTER_ROLES

SETTINGS = ServiceSettings(viewer_token="v", operator_token="o", service_token="s")


class Fake(risk_pb2_grpc.RiskServiceServicer):
    calls = 0

    def __init__(self) -> None:
        self.begun, self.released = asyncio.Event(), asyncio.Event()

    async def GetAccount(self, request: Any, context: Any) -> Any:
        Fake.calls += 1
        if request.account_id == "peer":
            return risk_pb2.GetAccountResponse(fees=context.peer())
        if request.account_id == "waits":
            self.begun.set()
            await self.released.wait()
        if request.account_id == "bad":
            raise invalid("account_id", "expected good, was bad")
        if request.account_id == "fault":
            raise ZeroDivisionError
        if request.account_id == "a\x00":
            raise DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
        return risk_pb2.GetAccountResponse(fees=caller().actor)


@pytest.fixture
async def address() -> AsyncIterator[str]:
    health = Health()
    health.set("database", True)
    server = Server(SETTINGS, health, roles=ROLES)
    server.add(risk_pb2_grpc.add_RiskServiceServicer_to_server, Fake(), NAME)
    yield await server.start()
    await server.stop(0)


async def refusal(address: str, call: Any, token: str = "v") -> tuple[str, str]:
    channel = open_channel(address, token=token)
    try:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call(risk_pb2_grpc.RiskServiceStub(channel))
    finally:
        await channel.close()
    error = from_rpc_error(raised.value)
    return error.code.name, error.reason


def get(account_id: str) -> Any:
    return lambda stub: stub.GetAccount(risk_pb2.GetAccountRequest(account_id=account_id), timeout=5)


async def test_a_text_that_postgresql_does_not_take_is_refused(address: str) -> None:
    assert await refusal(address, get("a\x00")) == ("INVALID_ARGUMENT", "FIELD_INVALID")


async def test_errors_carry_code_and_reason(address: str) -> None:
    assert await refusal(address, get("bad")) == ("INVALID_ARGUMENT", "FIELD_INVALID")
    assert await refusal(address, get("fault")) == ("INTERNAL", "INTERNAL")
    assert await refusal(address, get("x"), token="wrong") == ("UNAUTHENTICATED", "TOKEN_INVALID")
    halt = lambda stub: stub.SetTradingState(risk_pb2.SetTradingStateRequest(), timeout=5)  # noqa: E731
    assert await refusal(address, halt) == ("PERMISSION_DENIED", "ROLE_INSUFFICIENT")
    assert await refusal(address, halt, token="o") == ("UNIMPLEMENTED", "NOT_IMPLEMENTED")


async def test_call_without_deadline_is_refused_on_both_sides(address: str) -> None:
    channel = open_channel(address, token="v")
    with pytest.raises(ValueError, match="timeout"):
        await risk_pb2_grpc.RiskServiceStub(channel).GetAccount(risk_pb2.GetAccountRequest())
    await channel.close()
    assert await raw(address, "GetAccount", token="v") == ("INVALID_ARGUMENT", "DEADLINE_REQUIRED")


async def test_call_outlives_its_connections_age(monkeypatch: pytest.MonkeyPatch) -> None:
    """With all ages of connections a thousandth: others get new connections, and the call in progress goes on."""
    ages = [(name, age // 1000 if "connection_age" in name else age) for name, age in grpc_server.OPTIONS]
    monkeypatch.setattr(grpc_server, "OPTIONS", ages)
    server, fake = Server(SETTINGS, Health(), roles=ROLES), Fake()
    server.add(risk_pb2_grpc.add_RiskServiceServicer_to_server, fake, NAME)
    channel = open_channel(await server.start(), token="v")
    stub = risk_pb2_grpc.RiskServiceStub(channel)  # type: ignore[no-untyped-call]  # Generated.
    try:
        waiting = asyncio.ensure_future(get("waits")(stub))
        await fake.begun.wait()
        peers: set[str] = set()
        while len(peers) < 4:
            peers.add((await get("peer")(stub)).fees)
        fake.released.set()
        assert (await waiting).fees == "viewer:unnamed"
    finally:
        await channel.close()
        await server.stop(0)


async def raw(address: str, method: str, data: bytes = b"", *, token: str = "", timeout: float | None = None) -> Any:
    """Calls without our client, which sets a deadline and a token: code and reason of the refusal."""
    metadata = [("authorization", f"Bearer {token}")] if token else []
    async with grpc.aio.insecure_channel(address) as bare:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await bare.unary_unary(f"/{NAME}/{method}")(data, metadata=metadata, timeout=timeout)
    error = from_rpc_error(raised.value)
    return error.code.name, error.reason


@pytest.mark.parametrize("timeout", [None, 5])
@pytest.mark.parametrize("data", [b"", b"no message"])
@pytest.mark.parametrize("method", ["GetAccount", "SetTradingState"])
async def test_who_calls_comes_before_all_else_that_is_wrong(
    address: str, method: str, data: bytes, timeout: float | None
) -> None:
    for token in ("", "wrong"):
        refused = await raw(address, method, data, token=token, timeout=timeout)
        assert refused == ("UNAUTHENTICATED", "TOKEN_INVALID")
    assert (await raw(address, "SetTradingState", data, token="v", timeout=timeout))[0] == "PERMISSION_DENIED"


async def test_request_that_is_no_message_is_the_callers_fault(address: str) -> None:
    refused = await raw(address, "GetAccount", b"no message", token="v", timeout=5)
    assert refused == ("INVALID_ARGUMENT", "FIELD_INVALID")


async def test_operator_is_named_and_health_needs_no_token(address: str) -> None:
    channel = open_channel(address, token="o", operator="alice")
    response = await risk_pb2_grpc.RiskServiceStub(channel).GetAccount(risk_pb2.GetAccountRequest(), timeout=5)
    await channel.close()
    assert response.fees == "operator:alice"
    async with grpc.aio.insecure_channel(address) as bare:
        for name in ("", NAME, "dependency.database"):
            answer = await health_pb2_grpc.HealthStub(bare).Check(
                health_pb2.HealthCheckRequest(service=name), timeout=5
            )
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_busy_port_and_missing_tokens_are_startup_errors(address: str) -> None:
    with pytest.raises(StartupError, match="cannot listen"):
        await Server(replace(SETTINGS, grpc_listen=address), Health(), roles=ROLES).start()
    with pytest.raises(StartupError, match="token"):
        await Server(ServiceSettings(), Health(), roles=ROLES).start()


def test_every_rpc_of_every_contract_has_a_role() -> None:
    contracts = {risk_pb2: ROLES, ingress_pb2: INGRESS_ROLES, router_pb2: ROUTER_ROLES, audit_pb2: AUDIT_ROLES}
    for module, roles in contracts.items():
        for service in module.DESCRIPTOR.services_by_name.values():
            assert {f"/{service.full_name}/{m.name}" for m in service.methods} == set(roles)
