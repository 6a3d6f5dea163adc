"""Replicas of a service as clients see them: real servers that come, go and stop answering."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import grpc
import pytest
from vantixs.api.risk.v1 import risk_pb2, risk_pb2_grpc
from vantixs.runtime import grpc_replicas
from vantixs.runtime.errors import unavailable
from vantixs.runtime.grpc_replicas import Replica, Replicas
from vantixs.runtime.grpc_server import Server
from vantixs.runtime.health import Health
from vantixs.runtime.settings import ServiceSettings
from vantixs_risk.server import NAME, ROLES

from tests.support.until import until

SETTINGS = ServiceSettings(viewer_token="v", operator_token="o", service_token="s")
GET = f"/{NAME}/GetAccount"


class Named(risk_pb2_grpc.RiskServiceServicer):
    """Answers with its own name, and cannot create accounts now."""

    created = 0

    def __init__(self, name: str) -> None:
        self._name = name

    async def GetAccount(self, request: Any, context: Any) -> Any:
        return risk_pb2.GetAccountResponse(fees=self._name)

    async def CreateAccount(self, request: Any, context: Any) -> Any:
        Named.created += 1
        raise unavailable("STORAGE_UNAVAILABLE", "not now")


@contextlib.asynccontextmanager
async def serving(named: "str | Named", listen: str = "127.0.0.1:0") -> AsyncIterator[str]:
    server = Server(replace(SETTINGS, grpc_listen=listen), Health(), roles=ROLES)
    servicer = Named(named) if isinstance(named, str) else named
    server.add(risk_pb2_grpc.add_RiskServiceServicer_to_server, servicer, NAME)
    yield await server.start()
    await server.stop(0)


@contextlib.asynccontextmanager
async def seen_at(*addresses: str, idempotent: tuple[str, ...] = (GET,)) -> AsyncIterator[Replicas]:
    settings = replace(SETTINGS, risk_addresses=",".join(addresses))
    replicas = Replicas("risk", settings, token="o", idempotent=idempotent)
    await replicas.look()
    yield replicas
    await replicas.close()


async def answered_by(replicas: Replicas, calls: int) -> list[str]:
    stub = risk_pb2_grpc.RiskServiceStub(replicas.channel)
    request = risk_pb2.GetAccountRequest(account_id="a")
    return [(await stub.GetAccount(request, timeout=10)).fees for _ in range(calls)]


async def test_calls_go_to_all_in_turn_and_to_the_others_while_one_is_away() -> None:
    async with serving("first") as first, serving("third") as third:
        async with serving("second") as second, seen_at(first, second, third) as replicas:
            assert sorted(await answered_by(replicas, 6)) == ["first"] * 2 + ["second"] * 2 + ["third"] * 2
        # `second` has ended.
        async with seen_at(first, second, third) as replicas:
            assert set(await answered_by(replicas, 9)) == {"first", "third"}


async def test_one_that_comes_back_is_asked_again() -> None:
    async with serving("first") as first:
        async with serving("second") as second:
            pass
        async with seen_at(first, second) as replicas:
            assert set(await answered_by(replicas, 4)) == {"first"}
            async with serving("second", second):
                async with asyncio.timeout(20):
                    while "second" not in await answered_by(replicas, 2):
                        pass


async def test_what_may_have_been_done_is_not_asked_again() -> None:
    async with serving("first") as first, serving("second") as second, seen_at(first, second) as replicas:
        before = Named.created
        stub = risk_pb2_grpc.RiskServiceStub(replicas.channel)
        with pytest.raises(grpc.aio.AioRpcError, match="not now"):
            await stub.CreateAccount(risk_pb2.CreateAccountRequest(), timeout=10)
        assert Named.created - before == 1


async def test_where_none_is_known_it_says_so() -> None:
    replicas = Replicas("risk", SETTINGS, token="s", idempotent=(GET,))
    with pytest.raises(grpc.aio.AioRpcError, match="no process of risk is known to run"):
        await answered_by(replicas, 1)


async def test_each_account_has_a_replica_of_its_own_and_one_that_goes_moves_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Replica, "usable", True)  # Nobody listens there.
    async with seen_at(*(f"127.0.0.1:{port}" for port in (1, 2, 3, 4))) as replicas:
        before = {n: replicas.ranked(f"account {n}")[0].address for n in range(400)}
        counts = [list(before.values()).count(f"127.0.0.1:{port}") for port in (1, 2, 3, 4)]
        assert all(60 <= count <= 140 for count in counts)
        gone = replicas._all.pop("127.0.0.1:2")
        after = {n: replicas.ranked(f"account {n}")[0].address for n in range(400)}
        assert {n for n in before if before[n] != after[n]} == {n for n in before if before[n] == gone.address}
        await gone.channel.close()


async def test_host_names_are_looked_up_again_and_every_address_has_a_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    known = ["127.0.0.2", "127.0.0.3"]

    def look_up(host: str, port: int, **_: Any) -> list[Any]:
        assert host == "risk"
        return [(2, 1, 6, "", (address, port)) for address in known]

    monkeypatch.setattr(grpc_replicas.socket, "getaddrinfo", look_up)
    async with seen_at("risk:7000") as replicas:
        assert sorted(r.address for r in replicas.ranked("")) == ["127.0.0.2:7000", "127.0.0.3:7000"]
        stays = next(r for r in replicas.ranked("") if r.address == "127.0.0.3:7000")
        known[:] = ["127.0.0.3", "127.0.0.4"]
        await replicas.look()
        assert sorted(r.address for r in replicas.ranked("")) == ["127.0.0.3:7000", "127.0.0.4:7000"]
        assert stays in replicas.ranked("")


class Slow(Named):
    """Answers once it is let go."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.asked, self.let_go = asyncio.Event(), asyncio.Event()

    async def GetAccount(self, request: Any, context: Any) -> Any:
        self.asked.set()
        await self.let_go.wait()
        return await super().GetAccount(request, context)


async def test_call_in_progress_ends_with_its_answer_however_often_others_look_meanwhile() -> None:
    slow = Slow("goes")
    async with serving(slow) as goes, serving("stays") as stays, seen_at(goes) as replicas:
        call = asyncio.create_task(answered_by(replicas, 1))
        await asyncio.wait_for(slow.asked.wait(), 20)
        (replica,) = replicas.ranked("")
        replicas._settings = replace(SETTINGS, risk_addresses=stays)
        for _ in range(3):  # As calls do that are repeated.
            await replicas.look()
        assert [r.address for r in replicas.ranked("")] == [stays]
        slow.let_go.set()
        assert await call == ["goes"]
        # Calls that are queued for it, as the router's batches, are still made.
        later = risk_pb2_grpc.RiskServiceStub(replica.channel)
        assert (await later.GetAccount(risk_pb2.GetAccountRequest(account_id="a"), timeout=10)).fees == "goes"


async def test_channel_of_a_replica_that_is_gone_is_closed_after_its_last_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grpc_replicas, "KEPT_S", 0.0)
    slow = Slow("goes")
    async with serving(slow) as goes, serving("stays") as stays, seen_at(goes) as replicas:
        call = asyncio.create_task(answered_by(replicas, 1))
        await asyncio.wait_for(slow.asked.wait(), 20)
        (replica,) = replicas.ranked("")
        closing, close = asyncio.Event(), replica.channel.close

        async def closed(grace: float | None = None) -> None:
            closing.set()
            await close(grace)

        monkeypatch.setattr(replica.channel, "close", closed)
        replicas._settings = replace(SETTINGS, risk_addresses=stays)
        await replicas.look()
        await asyncio.wait_for(closing.wait(), 20)
        slow.let_go.set()
        assert await call == ["goes"]
        await until(lambda: not replicas._closing)
        assert replica.channel.get_state() is grpc.ChannelConnectivity.SHUTDOWN


async def test_replica_that_is_listed_again_keeps_its_channel() -> None:
    async with serving("comes back") as address, seen_at(address) as replicas:
        before = replicas.ranked("")
        for listed in ("127.0.0.1:1", address):
            replicas._settings = replace(SETTINGS, risk_addresses=listed)
            await replicas.look()
        assert replicas.ranked("") == before
        assert await answered_by(replicas, 1) == ["comes back"]
