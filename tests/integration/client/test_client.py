"""The client against real gRPC servers that go away, come back and end a watch: with an event loop and without."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from vantixs.api.audit.v1 import audit_pb2, audit_pb2_grpc
from vantixs.api.router.v1 import router_pb2, router_pb2_grpc
from vantixs.client import AsyncClient, Client, DeadlineExceeded, InvalidRequest, NotPermitted, ServiceUnavailable
from vantixs.runtime.errors import invalid, unavailable
from vantixs.runtime.grpc_server import Server
from vantixs.runtime.health import Health
from vantixs.runtime.lifecycle import StartupError
from vantixs.runtime.settings import ServiceSettings
from vantixs.testing.certificates import Authority
from vantixs_audit.recorder import Begin, Watchers
from vantixs_audit.server import NAME as AUDIT
from vantixs_audit.server import ROLES as AUDIT_ROLES
from vantixs_router.server import NAME as ROUTER
from vantixs_router.server import ROLES as ROUTER_ROLES

SETTINGS = ServiceSettings(viewer_token="v", operator_token="o", service_token="s")


class Router(router_pb2_grpc.RouterServiceServicer):
    """Closes positions, after `failures` attempts that it did not answer."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.closed: list[str] = []

    async def ClosePosition(self, request: Any, context: Any) -> Any:
        self.closed.append(request.request_id)
        if request.instrument == "?":
            raise invalid("instrument", "expected one there is")
        if request.instrument == "slow":
            await asyncio.sleep(60)
        if len(self.closed) <= self.failures:
            raise unavailable("STORAGE_UNAVAILABLE", "not now")
        return router_pb2.ClosePositionResponse(signal_id="s")


class Audit(audit_pb2_grpc.AuditServiceServicer):
    """Watches as audit does them, and a history of what was told."""

    def __init__(self, history: list[audit_pb2.SignalSummary]) -> None:
        self.watchers = Watchers(10)
        self.history = history
        self.begun = asyncio.Event()  # What is told from then on is a change: a watch begins where history ends.

    async def WatchSignals(self, request: Any, context: Any) -> Any:
        async def begin() -> Begin:
            await context.send_initial_metadata(())
            after = request.after_sequence or self.history[-1].sequence
            self.begun.set()
            return Begin([s for s in self.history if s.sequence > after], self.history[-1].sequence)

        async for change in self.watchers.watch(begin, heartbeat_s=request.heartbeat_s):
            yield audit_pb2.WatchSignalsResponse(signal=change.signal, sequence=change.sequence)

    def tell(self, signal_id: str, sequence: int) -> None:
        signal = audit_pb2.SignalSummary(signal_id=signal_id, sequence=sequence)
        self.history.append(signal)
        self.watchers.tell([signal], sequence)


@contextlib.asynccontextmanager
async def serving(
    servicer: Any, listen: str = "127.0.0.1:0", settings: ServiceSettings = SETTINGS
) -> AsyncIterator[str]:
    server = Server(replace(settings, grpc_listen=listen), Health(), roles=AUDIT_ROLES | ROUTER_ROLES)
    if isinstance(servicer, Router):
        server.add(router_pb2_grpc.add_RouterServiceServicer_to_server, servicer, ROUTER)
    else:
        server.add(audit_pb2_grpc.add_AuditServiceServicer_to_server, servicer, AUDIT)
    address = await _start(server)
    try:
        yield address
    finally:
        await server.stop(0)


async def _start(server: Server) -> str:
    async with asyncio.timeout(20):
        while True:
            try:
                return await server.start()
            except StartupError:  # The port is still the one before's.
                await asyncio.sleep(0.05)


async def ask(kind: str, address: str, work: Any, **options: Any) -> Any:
    """Does the work with a client of either kind; `work` gives what is to be called."""
    if kind == "async":
        async with AsyncClient.connect({"router": address}, **({"token": "o"} | options)) as client:
            return await work(client)

    def run() -> Any:
        with Client.connect({"router": address}, **({"token": "o"} | options)) as client:
            return work(client)

    return await asyncio.to_thread(run)


BOTH = pytest.mark.parametrize("kind", ["async", "blocking"])


@BOTH
async def test_same_call_is_made_again_until_it_is_answered(kind: str) -> None:
    router = Router(failures=2)
    async with serving(router) as address:
        assert await ask(kind, address, lambda c: c.positions.close("paper", "BTC/USDT", "news")) == "s"
    assert len(router.closed) == 3
    assert len(set(router.closed)) == 1


@BOTH
async def test_replica_that_is_away_is_passed_over(kind: str) -> None:
    router = Router()
    async with serving(Router()) as away:
        pass
    async with serving(router) as address:
        work = lambda c: c.positions.close("paper", "BTC/USDT", "news")  # noqa: E731
        assert await ask(kind, f"{away},{address}", work) == "s"
    assert len(router.closed) == 1


@BOTH
async def test_errors_of_real_services_are_typed(kind: str) -> None:
    async with serving(Router()) as address:
        with pytest.raises(InvalidRequest) as caught:
            await ask(kind, address, lambda c: c.positions.close("paper", "?", "news"))
        assert (caught.value.field, caught.value.service) == ("instrument", "router")
        with pytest.raises(NotPermitted):
            await ask(kind, address, lambda c: c.positions.close("paper", "BTC/USDT", "news"), token="v")
        with pytest.raises(NotPermitted):
            await ask(kind, address, lambda c: c.positions.close("paper", "BTC/USDT", "news"), token="wrong")


@BOTH
async def test_late_answer_is_not_waited_for(kind: str) -> None:
    router = Router()
    request = router_pb2.ClosePositionRequest(account_id="paper", instrument="slow")
    async with serving(router) as address:
        with pytest.raises(DeadlineExceeded) as caught:
            await ask(kind, address, lambda c: c.call(request, timeout_s=0.2))
    assert [caught.value.request_id] == router.closed


@BOTH
async def test_service_without_an_address_is_not_looked_for_elsewhere(kind: str) -> None:
    with pytest.raises(ServiceUnavailable, match="no process of audit is known to run"):
        await ask(kind, "127.0.0.1:1", lambda c: c.call(audit_pb2.GetReplayRequest(), timeout_s=0.2))
    with pytest.raises(ValueError, match="addresses: expected ingress, risk, router, audit, was 'auditor'"):
        Client.connect({"auditor": "127.0.0.1:1"}, token="o")


@BOTH
async def test_tls_and_certificates_of_clients(kind: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path, "one")
    own = authority.issue("router", "127.0.0.1")
    files = {"grpc_tls_ca": str(authority.file), "grpc_tls_client_ca": str(authority.file)}
    settings = replace(SETTINGS, grpc_tls_certificate=str(own.certificate), grpc_tls_key=str(own.key), **files)
    work = lambda c: c.call(  # noqa: E731
        router_pb2.ClosePositionRequest(request_id="r", account_id="a", instrument="b", reason="c"), timeout_s=5.0
    )
    async with serving(Router(), settings=settings) as address:
        response = await ask(
            kind, address, work, tls_ca=authority.file, tls_certificate=own.certificate, tls_key=own.key
        )
        assert response.signal_id == "s"
        with pytest.raises(ServiceUnavailable):
            await ask(kind, address, work, tls_ca=authority.file)


async def test_watch_goes_on_with_a_service_that_was_started_again() -> None:
    history = [audit_pb2.SignalSummary(signal_id="old", sequence=1)]
    audit = Audit(history)
    async with contextlib.AsyncExitStack() as stack:
        async with serving(audit) as address:
            client = await stack.enter_async_context(AsyncClient.connect({"audit": address}, token="v"))
            watch = await stack.enter_async_context(contextlib.aclosing(client.signals.watch()))
            told = asyncio.create_task(anext(watch))
            async with asyncio.timeout(20):
                await audit.begun.wait()
            audit.tell("a", 2)
            assert (await told).signal_id == "a"
            told = asyncio.create_task(anext(watch))
        history.append(audit_pb2.SignalSummary(signal_id="b", sequence=3))
        again = Audit(history)
        async with serving(again, address), asyncio.timeout(30):
            assert (await told).signal_id == "b"
            again.tell("c", 4)
            assert (await anext(watch)).signal_id == "c"


async def test_stub_of_the_client_goes_by_its_policy() -> None:
    router = Router(failures=1)
    async with serving(router) as address, AsyncClient.connect({"router": address}, token="o") as client:
        request = router_pb2.ClosePositionRequest(request_id="r", account_id="a", instrument="b", reason="c")
        assert (await client.stub("router").ClosePosition(request, timeout=10)).signal_id == "s"
        request.instrument = "?"
        with pytest.raises(grpc.aio.AioRpcError):
            await client.stub("router").ClosePosition(request, timeout=10)
    assert router.closed == ["r"] * 3
