"""A feeder's quotes all arrive, over calls that end by themselves, are ended by the router, and fail."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import grpc
import pytest
from vantixs.api.common.v1 import common_pb2
from vantixs.api.router.v1 import router_pb2, router_pb2_grpc
from vantixs.runtime.errors import ServiceError, unavailable
from vantixs.runtime.grpc_client import open_channel
from vantixs.runtime.grpc_replicas import Replicas
from vantixs.runtime.grpc_server import Server
from vantixs.runtime.health import Health
from vantixs.testing.nats import NatsServer
from vantixs_console.feed import QuoteFeed, read_lines, read_quote_line
from vantixs_router.market_server import MarketData, MarketServicer
from vantixs_router.quote_sources.pushed import PushedQuotes
from vantixs_router.server import NAME, ROLES
from vantixs_router.settings import RouterSettings

from tests.support.quote_replicas import replica
from tests.support.until import until

BTC = "BTC/USDT"
SETTINGS = replace(RouterSettings(), viewer_token="v", operator_token="o", service_token="s")


def quote(number: int) -> common_pb2.Quote:
    return read_quote_line(json.dumps({"instrument": BTC, "bid": str(number), "ask": str(number)}))


@dataclass
class Feeding:
    """A feed that runs, and the failures it recovered from."""

    feed: QuoteFeed
    queue: "asyncio.Queue[list[common_pb2.Quote] | None]"
    errors: list[str] = field(default_factory=list)

    async def put(self, *numbers: int) -> None:
        for number in numbers:
            await self.queue.put([quote(number)])


def feeding(publish: Any, stream_s: float) -> Feeding:
    async def recover(error: ServiceError) -> None:
        made.errors.append(error.reason)
        await asyncio.sleep(0.01)

    queue: asyncio.Queue[list[common_pb2.Quote] | None] = asyncio.Queue()
    made = Feeding(QuoteFeed(publish, queue, recover, stream_s=stream_s), queue)
    return made


@asynccontextmanager
async def served(pushed: Any, token: str = "o", address: str = "127.0.0.1:0") -> AsyncIterator[tuple[Any, str]]:
    none: Any = None
    server = Server(replace(SETTINGS, grpc_listen=address), Health(), roles=ROLES)
    servicer = MarketServicer(MarketData(pushed, none, none))  # type: ignore[abstract]
    server.add(router_pb2_grpc.add_RouterServiceServicer_to_server, servicer, NAME)
    found = await server.start()
    channel = open_channel(found, token=token)
    yield router_pb2_grpc.RouterServiceStub(channel), found
    await channel.close()
    await server.stop(0)


@pytest.mark.parametrize(("router_s", "feeder_s"), [(25.0, 0.2), (0.2, 20.0)], ids=["by-feeder", "by-router"])
async def test_calls_that_end_lose_nothing(nats: NatsServer, router_s: float, feeder_s: float) -> None:
    async with replica(nats) as one, served(one.sources.quotes) as (stub, _):
        one.sources._pushed.stream_s = router_s
        calls: list[Any] = []

        def publish(*arguments: Any, **options: Any) -> Any:
            calls.append(stub.PublishQuotes(*arguments, **options))
            return calls[-1]

        made = feeding(publish, feeder_s)
        running = asyncio.ensure_future(made.feed.run())
        number = 0
        while len(calls) < 5 and not running.done():
            number += 1
            await made.put(number)
            await asyncio.sleep(0.002)
        await made.queue.put(None)
        fed = await asyncio.wait_for(running, 20)
        assert [q.bid for q in one.told] == [str(n) for n in range(1, number + 1)]
        if router_s > feeder_s:
            assert (fed.taken, fed.refused, made.errors) == (number, 0, [])
        else:
            # grpc.aio tells no counts where a call is ended while it writes: then all of it is sent again.
            assert set(made.errors) <= {"INTERNAL"}


async def test_call_that_is_canceled_does_not_cost_the_router_its_connection_to_nats(nats: NatsServer) -> None:
    async with replica(nats) as one, served(one.sources.quotes) as (stub, _):
        generation = one.journal.generation
        for number in range(1, 100):
            call = stub.PublishQuotes(None, timeout=20)
            await call.write(router_pb2.PublishQuotesRequest(quotes=[quote(number)]))
            await call.done_writing()
            # The router has taken it and waits for the broker.
            await until(lambda number=number: one.bid() == f"pushed {number}")
            call.cancel()
        await one.journal.client.flush(5)
        assert one.journal.generation == generation


async def test_no_call_is_open_while_no_quote_comes(nats: NatsServer) -> None:
    async with replica(nats) as one, served(one.sources.quotes) as (stub, _):
        calls: list[Any] = []

        def publish(*arguments: Any, **options: Any) -> Any:
            calls.append(stub.PublishQuotes(*arguments, **options))
            return calls[-1]

        made = feeding(publish, 0.1)
        running = asyncio.ensure_future(made.feed.run())
        await made.put(1)
        await until(lambda: made.feed.fed.taken == 1)
        assert len(calls) == 1
        assert calls[0].done()
        await made.queue.put(None)
        assert (await running).taken == 1


async def test_quotes_of_a_router_that_goes_away_are_sent_again_to_the_next(nats: NatsServer) -> None:
    async with replica(nats) as one:
        async with served(one.sources.quotes) as (_, address):
            channel = open_channel(address, token="o")
            made = feeding(router_pb2_grpc.RouterServiceStub(channel).PublishQuotes, 20.0)
            running = asyncio.ensure_future(made.feed.run())
            await made.put(1, 2)
            await until(lambda: one.bid() == "pushed 2")
        # The call was cut without a word about what was taken.
        await made.put(3)
        await until(lambda: bool(made.errors))
        async with served(one.sources.quotes, address=address):
            await made.put(4)
            await made.queue.put(None)
            fed = await asyncio.wait_for(running, 20)
        await channel.close()
        # What was taken before is not taken again: 1 is older than what is held, 2 is the same.
        assert [q.bid for q in one.told] == ["1", "2", "3", "4"]
        assert (fed.taken, fed.refused) == (3, 1)


class Failing:
    """Takes so many quotes and then says that NATS is away, so many times."""

    def __init__(self, quotes: Any, pushed: PushedQuotes, times: int) -> None:
        self._quotes = quotes
        self._pushed = pushed
        self._times = times

    async def publish(self, requests: AsyncIterator[router_pb2.PublishQuotesRequest]) -> Any:
        if not self._times:
            return await self._quotes.publish(requests)
        self._times -= 1
        first = (await anext(requests)).quotes
        for found in first:
            await self._pushed.push(found)
        failure = unavailable("JOURNAL_UNAVAILABLE", "NATS does not take quotes")
        failure.metadata = {"taken": str(len(first)), "refused": "0"}
        raise failure


async def test_only_what_was_not_taken_is_sent_again(nats: NatsServer) -> None:
    async with replica(nats) as one:
        failing = Failing(one.sources.quotes, one.sources._pushed, times=3)
        async with served(failing) as (stub, _):
            calls: list[Any] = []

            def publish(*arguments: Any, **options: Any) -> Any:
                calls.append(stub.PublishQuotes(*arguments, **options))
                return calls[-1]

            made = feeding(publish, 20.0)
            running = asyncio.ensure_future(made.feed.run())
            for number in range(1, 9):
                await made.put(number)
                # Nothing is written while a call fails: grpc.aio would lose what it says.
                await until(lambda number=number: len(calls) > 3 or (len(calls) == number and calls[-1].done()))
            await made.queue.put(None)
            fed = await asyncio.wait_for(running, 20)
        assert (fed.taken, fed.refused) == (8, 0)
        assert made.errors == ["JOURNAL_UNAVAILABLE"] * 3
        assert [q.bid for q in one.told] == [str(n) for n in range(1, 9)]


async def test_bad_quotes_are_counted_and_a_token_that_may_not_ends_it(nats: NatsServer) -> None:
    async with replica(nats) as one:
        async with served(one.sources.quotes) as (stub, _):
            made = feeding(stub.PublishQuotes, 20.0)
            await made.put(1, 0, 2)
            await made.queue.put(None)
            fed = await made.feed.run()
            assert (fed.taken, fed.refused) == (2, 1)
            assert "expected 0 < bid <= ask" in fed.detail
        async with served(one.sources.quotes, "v") as (stub, _):
            made = feeding(stub.PublishQuotes, 20.0)
            await made.put(1)
            await made.queue.put(None)
            with pytest.raises(ServiceError, match="expected role OPERATOR") as raised:
                await made.feed.run()
            assert raised.value.code == grpc.StatusCode.PERMISSION_DENIED


async def test_stream_through_replicas_is_a_stream(nats: NatsServer) -> None:
    """The console's stubs are made with `Replicas`, which made such a call one with a single request."""
    async with replica(nats) as one, served(one.sources.quotes) as (_, address):
        replicas = Replicas("router", replace(SETTINGS, router_addresses=address), token="o")
        await replicas.look()
        made = feeding(router_pb2_grpc.RouterServiceStub(replicas.channel).PublishQuotes, 20.0)
        await made.put(1, 2)
        await made.queue.put(None)
        assert (await made.feed.run()).taken == 2
        await replicas.close()


def test_lines_that_are_no_quotes_are_said_and_the_others_go_on() -> None:
    lines = ['{"instrument": "BTC/USDT", "bid": "1", "ask": "2", "quote_time": "2026-01-01T00:00:00Z"}\n', "\n"]
    lines += ["{bid: 1}\n", '{"price": "1"}\n', '{"instrument": "ETH/USDT", "bid": "3", "ask": "4"}\n']
    found: list[Any] = []
    said: list[str] = []
    read_lines(lines, found.append, said.append)
    assert [item[0].bid if item else None for item in found] == ["1", "3", None]
    assert found[0][0].quote_time.ToJsonString() == "2026-01-01T00:00:00Z"
    assert found[1][0].HasField("quote_time"), "what is sent again has the time that it had"
    assert [text.split(":")[0] for text in said] == ["line 3", "line 4"]
