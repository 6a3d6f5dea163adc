"""A stranger on the gRPC port: what he may call, and what is left for those who have a token."""

import asyncio
import contextlib
import gc
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from vantixs.api.audit.v1 import audit_pb2_grpc
from vantixs.api.common.v1 import common_pb2
from vantixs.api.ingress.v1 import ingress_pb2_grpc
from vantixs.api.risk.v1 import risk_pb2, risk_pb2_grpc
from vantixs.api.router.v1 import router_pb2_grpc
from vantixs.runtime import freed_memory, grpc_admission
from vantixs.runtime.grpc_admission import CHECK, REFLECT, WATCH, Role, Turns
from vantixs.runtime.grpc_client import open_channel
from vantixs.runtime.grpc_server import MESSAGE_BYTES, Server
from vantixs.runtime.health import Health
from vantixs.runtime.settings import ServiceSettings
from vantixs_audit.server import ROLES as AUDIT
from vantixs_ingress.webhooks.service import ROLES as INGRESS
from vantixs_risk.server import ROLES as RISK
from vantixs_router.server import ROLES as ROUTER

from tests.support import grpc_attacker
from tests.support.risk_processes import RiskProcesses

MEMORY_MB = 200
DEADLINE_S = 10
TOKENS = {"": None, "wrong": None, "v": Role.VIEWER, "o": Role.OPERATOR, "s": Role.SERVICE}
SERVICES: list[tuple[str, dict[str, Role], Any, Any]] = [
    ("vantixs.api.audit.v1.AuditService", AUDIT, audit_pb2_grpc.add_AuditServiceServicer_to_server, audit_pb2_grpc.AuditServiceServicer),
    ("vantixs.api.ingress.v1.WebhookService", INGRESS, ingress_pb2_grpc.add_WebhookServiceServicer_to_server, ingress_pb2_grpc.WebhookServiceServicer),
    ("vantixs.api.risk.v1.RiskService", RISK, risk_pb2_grpc.add_RiskServiceServicer_to_server, risk_pb2_grpc.RiskServiceServicer),
    ("vantixs.api.router.v1.RouterService", ROUTER, router_pb2_grpc.add_RouterServiceServicer_to_server, router_pb2_grpc.RouterServiceServicer),
]  # fmt: skip


async def serve(name: str, roles: dict[str, Role], add: Any, servicer: Any) -> tuple[Server, str]:
    """A service whose methods are not built: whoever is admitted is told so."""
    settings = ServiceSettings(viewer_token="v", operator_token="o", service_token="s", home=Path("/nonexistent"))
    server = Server(settings, Health(), roles=roles)
    server.add(add, servicer(), name)
    return server, await server.start()


async def code_of(address: str, method: str, token: str, data: bytes | None = b"") -> str:
    """The code a call ends with; with no data, its headers are all that is sent."""
    metadata = [("authorization", f"Bearer {token}")] if token else []
    async with grpc.aio.insecure_channel(address) as bare:
        # A request goes out whole with its headers, as every client of one message sends it. Written to an open stream that
        # the server has refused meanwhile, it would end the call at the client as INTERNAL.
        call = (
            bare.stream_stream(method)(metadata=metadata, timeout=DEADLINE_S)
            if data is None
            else bare.unary_stream(method)(data, metadata=metadata, timeout=DEADLINE_S)
        )
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            await call.read()
        return str((await call.code()).name)


@pytest.mark.parametrize("service", SERVICES, ids=[name for name, *_ in SERVICES])
async def test_every_method_with_every_token(service: Any) -> None:
    server, address = await serve(*service)
    try:
        for method, least in service[1].items():
            for token, role in TOKENS.items():
                expected = (
                    "UNAUTHENTICATED" if role is None else "PERMISSION_DENIED" if role < least else "UNIMPLEMENTED"
                )
                assert await code_of(address, method, token) == expected, (method, token)
                if expected != "UNIMPLEMENTED":
                    assert await code_of(address, method, token, None) == expected, "refused before a message came"
        for method in (REFLECT, "/no.such.Service/Method"):
            assert await code_of(address, method, "") == "UNAUTHENTICATED"
        assert await code_of(address, "/no.such.Service/Method", "v") == "UNIMPLEMENTED"
    finally:
        await server.stop(0)


async def test_health_is_told_to_all_and_watched_with_a_token() -> None:
    server, address = await serve(*SERVICES[0])
    try:
        async with grpc.aio.insecure_channel(address) as bare:
            stub = health_pb2_grpc.HealthStub(bare)
            answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=DEADLINE_S)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.Watch(health_pb2.HealthCheckRequest(), timeout=DEADLINE_S).read()
            assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
            watch = stub.Watch(health_pb2.HealthCheckRequest(), metadata=[("authorization", "Bearer v")], timeout=9)
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
            watch.cancel()
        assert await code_of(address, CHECK, "", b"\xff noise") == "INVALID_ARGUMENT"
        assert await code_of(address, CHECK, "", None) == "RESOURCE_EXHAUSTED", "one second, then it is ended"
        assert await code_of(address, CHECK, "", bytes(MESSAGE_BYTES + 1)) == "RESOURCE_EXHAUSTED"
    finally:
        await server.stop(0)


async def test_one_role_cannot_use_up_the_calls_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grpc_admission, "CALLS_AT_ONCE", {Role.VIEWER: 3, Role.OPERATOR: 1, Role.SERVICE: 1})
    server, address = await serve(*SERVICES[2])
    try:
        async with grpc.aio.insecure_channel(address) as bare:
            watches = [
                health_pb2_grpc.HealthStub(bare).Watch(
                    health_pb2.HealthCheckRequest(), metadata=[("authorization", "Bearer v")], timeout=60
                )
                for _ in range(3)
            ]
            for watch in watches:
                await watch.read()
            assert await code_of(address, WATCH, "v") == "RESOURCE_EXHAUSTED"
            assert await code_of(address, "/vantixs.api.risk.v1.RiskService/SetTradingState", "o") == "UNIMPLEMENTED"
            watches[0].cancel()
            deadline = time.monotonic() + 10
            while await code_of(address, "/vantixs.api.risk.v1.RiskService/GetAccount", "v") != "UNIMPLEMENTED":
                assert time.monotonic() < deadline, "a call that ended still counts"
    finally:
        await server.stop(0)


async def test_new_connection_to_a_busy_service_is_waited_for() -> None:
    """Whoever floods the machine slows accepting and greeting down: the operator's first try succeeds all the same."""
    server, address = await serve(*SERVICES[2])
    host, _, port = address.rpartition(":")
    relays: list[asyncio.Task[Any]] = []

    async def close(sink: asyncio.StreamWriter) -> None:
        sink.close()
        with contextlib.suppress(OSError):
            await sink.wait_closed()

    async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                sink.write(data)
        await close(sink)

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task, "called in one"
        relays.append(task)
        await asyncio.sleep(0.5)
        try:
            inner, outer = await asyncio.open_connection(host, int(port))
        except OSError:  # The client tried once more, and the service has ended meanwhile.
            await close(writer)
            return
        await asyncio.gather(copy(reader, outer), copy(inner, writer))

    slow = await asyncio.start_server(relay, "127.0.0.1", 0)
    channel = open_channel(f"127.0.0.1:{slow.sockets[0].getsockname()[1]}", token="o")
    try:
        with pytest.raises(grpc.aio.AioRpcError) as answered:
            await risk_pb2_grpc.RiskServiceStub(channel).SetTradingState(
                risk_pb2.SetTradingStateRequest(), timeout=DEADLINE_S
            )
        assert answered.value.code() == grpc.StatusCode.UNIMPLEMENTED, answered.value.details()
    finally:
        await channel.close()
        # First, so that whatever was accepted by then has a relay when the server has stopped.
        slow.close()
        await server.stop(0)
        await slow.wait_closed()
        # A connection that outlives its loop is complained about in whichever test the garbage is collected in.
        await asyncio.wait(relays)


async def test_refused_calls_leave_nothing_behind() -> None:
    """One error raised for every call kept what each of them was called with in its traceback."""
    server, address = await serve(*SERVICES[2])
    try:
        async with grpc.aio.insecure_channel(address) as bare:
            call = bare.unary_unary("/vantixs.api.risk.v1.RiskService/ListAccounts")

            async def refused(count: int) -> int:
                for _ in range(count // 50):
                    answers = await asyncio.gather(
                        *(call(b"", timeout=DEADLINE_S) for _ in range(50)), return_exceptions=True
                    )
                    codes = {answer.code() for answer in answers if isinstance(answer, grpc.aio.AioRpcError)}
                    assert codes == {grpc.StatusCode.UNAUTHENTICATED}
                    del answers
                gc.collect()
                return sys.getallocatedblocks()

            before = await refused(100)
            assert await refused(500) < before + 2000, "four objects a call"
    finally:
        await server.stop(0)


async def test_cancelled_call_is_not_answered() -> None:
    """grpcio never frees the answer to a call that its client has cancelled."""
    turns, answered = Turns(), []

    async def call(number: int) -> None:
        await turns.wait()
        answered.append(number)

    count = grpc_admission.TURNS_AT_A_TIME + 3
    calls = [asyncio.ensure_future(call(number)) for number in range(count)]
    calls[0].cancel()
    await asyncio.wait(calls)
    rest = list(range(1, count))
    paced = rest[grpc_admission.TURNS_AT_A_TIME :]
    assert answered == rest[: grpc_admission.TURNS_AT_A_TIME] + paced[::-1], "the last that came is the next"


async def test_freed_memory_goes_back_to_the_system() -> None:
    giving = asyncio.ensure_future(freed_memory.give_back(0.01))
    await asyncio.sleep(0)  # It looks how large the process is now.
    try:
        kept = [bytes(4000) for _ in range(40_000)]
        full = freed_memory.resident_bytes()
        kept = kept[::100]  # What stays is spread over all of it, so the end of the heap is in use.
        deadline = time.monotonic() + DEADLINE_S
        while freed_memory.resident_bytes() > full - (80 << 20):
            assert time.monotonic() < deadline, "memory that is free stays with the process"
            await asyncio.sleep(0.01)
    finally:
        giving.cancel()


class Attacked:
    """A risk process, and who calls it with a token while it is attacked."""

    def __init__(self, home: Path) -> None:
        self.processes = RiskProcesses(home, f"sqlite:///{home.parent / 'risk.db'}", 1, forked=False)
        self.home, self.address = home, self.processes.addresses[0]
        self.pid = self.processes._processes[0].pid
        self.start_mb = self.megabytes()

    def token(self, role: str) -> str:
        return (self.home / "secrets" / f"{role}-token").read_text().strip()

    def megabytes(self) -> float:
        text = Path(f"/proc/{self.pid}/status").read_text()
        return int(text.partition("VmRSS:")[2].split()[0]) / 1024

    @staticmethod
    async def retried(call: Any, request: Any) -> None:
        """Calls until it succeeds: gRPC drops calls at random from a queue of over 1,000, those of a token too."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            try:
                await call(request, timeout=deadline - time.monotonic())
                return
            except grpc.aio.AioRpcError as error:
                if error.code() not in (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE):
                    raise
                assert time.monotonic() < deadline

    async def attack(self, kind: str, seconds: float) -> None:
        before, peak, times, halts = self.megabytes(), 0.0, [], []
        attacker = subprocess.Popen(
            [sys.executable, grpc_attacker.__file__, self.address, kind, *RISK],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        local = f"unix:{self.home}/run/risk-0.sock"
        viewer = open_channel(self.address, token=self.token("viewer"))
        operator = open_channel(self.address, token=self.token("operator"))
        try:
            assert attacker.stdout
            assert attacker.stdout.readline() == b"attacking\n"
            end, states = time.monotonic() + seconds, [common_pb2.TRADING_STATE_HALTED, common_pb2.TRADING_STATE_ACTIVE]
            while time.monotonic() < end or len(times) < len(states):
                started = time.monotonic()
                await self.retried(risk_pb2_grpc.RiskServiceStub(viewer).ListAccounts, risk_pb2.ListAccountsRequest())
                times.append(time.monotonic() - started)
                state = states[len(times) % 2]
                request = risk_pb2.SetTradingStateRequest(state=state, comment="attack")
                await self.retried(risk_pb2_grpc.RiskServiceStub(operator).SetTradingState, request)
                # As `vantixs halt` calls: a new connection to the home's socket, and the first try succeeds.
                started = time.monotonic()
                fresh = open_channel(local, token=self.token("operator"))
                answer = await risk_pb2_grpc.RiskServiceStub(fresh).SetTradingState(request, timeout=DEADLINE_S)
                assert answer.state.state == state
                halts.append(time.monotonic() - started)
                await fresh.close()
                peak = max(peak, self.megabytes())
        finally:
            await viewer.close()
            await operator.close()
            attacker.kill()  # At the end of its input it would end as soon as it reads that: after a second of large messages.
            attacker.communicate()
        port, home = (sorted(taken)[int(len(taken) * 0.99)] * 1000 for taken in (times, halts))
        worst = f"slowest {max(times) * 1000:.0f} ms"
        said = f"p99 {port:.0f} ms by the port ({worst}), {home:.0f} ms for a halt by the home's socket"
        print(f"{kind}: {len(times)} rounds, {said}, memory {before:.0f} to {peak:.0f} MB")
        assert peak < MEMORY_MB


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    running = Attacked(tmp_path_factory.mktemp("g") / "home")
    yield running
    running.processes.stop()


@pytest.mark.parametrize("kind", grpc_attacker.KINDS)
async def test_authorised_calls_and_halt_work_while_a_stranger_attacks(attacked: Attacked, kind: str) -> None:
    await attacked.attack(kind, 0.5)  # At least a halt and its end. A minute each is in `make test-fault`.


@pytest.mark.long
@pytest.mark.parametrize("kind", grpc_attacker.KINDS)
async def test_attack_of_a_minute(attacked: Attacked, kind: str) -> None:
    await attacked.attack(kind, 60.0)


@pytest.mark.long
async def test_memory_of_an_attack_comes_back(attacked: Attacked) -> None:
    deadline = time.monotonic() + 3 * freed_memory.EVERY_S
    # What was in use when memory was given back last, 45 MB in a flood, and what it may grow by until the next time.
    while (kept := attacked.megabytes()) > attacked.start_mb + 80:
        assert time.monotonic() < deadline, f"{kept:.0f} MB, at first {attacked.start_mb:.0f} MB"
        await asyncio.sleep(1)
    print(f"memory at first {attacked.start_mb:.0f} MB, in the end {kept:.0f} MB")
