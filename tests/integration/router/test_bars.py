"""Closed bars, by a real broker: the owner of lane 0 builds them, the others hear them and ask for those from before."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from vantixs.api.common.v1 import common_pb2
from vantixs.api.router.v1 import router_pb2, router_pb2_grpc
from vantixs.model.ids import bar_subject
from vantixs.model.instruments import CATALOGUE
from vantixs.runtime.errors import from_rpc_error
from vantixs.runtime.grpc_client import open_channel
from vantixs.runtime.grpc_server import Server
from vantixs.runtime.health import Health
from vantixs.runtime.journal import Journal
from vantixs.runtime.lifecycle import StartupError
from vantixs.testing.journal import connected
from vantixs.testing.nats import NatsServer
from vantixs_router.bars.build import BuildBars
from vantixs_router.bars.kept import KeptBars, read_timeframes
from vantixs_router.market_server import MarketData, MarketServicer
from vantixs_router.quotes import QuoteSources
from vantixs_router.server import NAME, ROLES
from vantixs_router.settings import RouterSettings

from tests.support.until import until

BTC = "BTC/USDT"
MINUTE = timedelta(minutes=1)


class Clock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Replica:
    """What one router knows of quotes and bars."""

    journal: Journal
    sources: QuoteSources
    kept: KeptBars
    building: BuildBars
    clock: Clock
    owned: set[int] = field(default_factory=set)

    async def push(self, bid: str, ask: str, instrument: str = BTC) -> None:
        await self.sources.quotes.push(common_pb2.Quote(instrument=instrument, bid=bid, ask=ask))

    def bars(self, instrument: str = BTC, timeframe: str = "1m") -> list[router_pb2.Bar]:
        return self.kept.recent(instrument, timeframe)

    async def built(self, number: int) -> list[router_pb2.Bar]:
        await until(lambda: len(self.bars()) == number)
        return self.bars()

    async def begun(self) -> None:
        await until(lambda: self.building._builder is not None)

    async def passes(self, length: timedelta) -> None:
        """Time passes in steps in which the builder looks."""
        ends = self.clock.now + length
        while self.clock.now < ends:
            self.clock.now = min(self.clock.now + timedelta(seconds=2), ends)
            self.looks()

    def looks(self) -> None:
        self.building._closed = self.building.look()


@asynccontextmanager
async def replica(nats: NatsServer, clock: Clock, *owned: int, **settings: Any) -> AsyncIterator[Replica]:
    chosen = replace(RouterSettings(), bar_timeframes="1m,5m", **settings)
    async with connected(nats) as (journal, life):
        sources = QuoteSources(journal, chosen, clock)
        kept = KeptBars(journal, read_timeframes(chosen), chosen.bars_kept, clock)
        lanes = set(owned)
        building = BuildBars(sources.quotes, kept, journal, lambda: lanes, clock, grace_us=2_000_000)
        tasks = sources.start(life)
        await asyncio.wait_for(sources.known(), 10)
        tasks.append(life.spawn(kept.run(life.stopping), name="bars"))
        tasks.append(life.spawn(building.run(life.stopping), name="build-bars"))
        # One of quotes, of bars, of the inbox and of what is asked for.
        await until(lambda: len(journal.client._subs) >= 4 and sources._table.loaded.is_set())
        await journal.client.flush(5)
        yield Replica(journal, sources, kept, building, clock, lanes)
        life.stopping.set()
        await life.finish(*tasks)


async def test_owner_builds_pushed_and_simulated_bars_and_the_other_replica_has_them_too(nats: NatsServer) -> None:
    clock = Clock()
    async with replica(nats, clock, 0) as one, replica(nats, clock) as two:
        await one.begun()
        await one.push("70", "70")
        await one.passes(MINUTE)
        for bid, ask in (("100", "102"), ("110", "111"), ("90", "90")):
            await two.push(bid, ask)
            await until(lambda bid=bid: one.sources.quotes.current(CATALOGUE[BTC]).bid == bid)
        await one.passes(MINUTE + timedelta(seconds=3))
        bars = await one.built(2)
        await until(lambda: len(two.bars()) == 2)
        assert two.bars() == bars
        newest, before = bars
        assert (newest.open, newest.high, newest.low, newest.close) == ("101", "110.5", "90", "90")
        assert (newest.quote_count, newest.source, newest.complete) == (3, "pushed", True)
        assert newest.start_time.ToDatetime(UTC) == datetime(2026, 1, 1, 12, 1, tzinfo=UTC)
        assert newest.end_time.ToDatetime(UTC) == datetime(2026, 1, 1, 12, 2, tzinfo=UTC)
        # The first one began as the builder did: what came before it is not known.
        assert (before.source, before.close, before.complete) == ("pushed", "70", False)
        newest = two.bars("ETH/USDT")[0]
        assert (newest.source, newest.complete) == ("simulated", True)
        # Nothing was pushed any more: no bar.
        await one.passes(MINUTE)
        await until(lambda: len(two.bars("ETH/USDT")) == 3)
        assert len(two.bars()) == 2


async def test_new_owner_in_mid_interval_says_that_its_bar_is_partial_and_has_what_was_built_before(
    nats: NatsServer,
) -> None:
    clock = Clock()
    async with replica(nats, clock, 0) as one:
        await one.begun()
        await one.passes(3 * MINUTE + timedelta(seconds=30))
        before = await one.built(3)
        # It starts later, asks, and is told.
        async with replica(nats, clock) as two:
            await until(lambda: two.bars() == before)
            one.owned.clear()
            await until(lambda: one.building._builder is None)
            two.owned.add(0)
            await two.begun()
            await two.passes(MINUTE + MINUTE)
            found = await two.built(5)
            assert [bar.complete for bar in found[:2]] == [True, False]
            await until(lambda: one.bars() == found)


async def test_bars_are_partial_while_nats_was_away_and_are_told_when_it_is_back(nats: NatsServer) -> None:
    clock = Clock()
    async with replica(nats, clock, 0) as one, replica(nats, clock) as two:
        await one.begun()
        await one.passes(MINUTE + timedelta(seconds=10))
        await until(lambda: len(two.bars()) == 1)
        nats.kill()
        await until(lambda: not one.journal.client.is_connected and not two.journal.client.is_connected)
        await one.passes(MINUTE)
        assert len(await one.built(2)) == 2
        assert not one.bars()[0].complete
        nats.start()
        await until(lambda: two.bars() == one.bars())


async def test_builder_that_was_held_up_says_so(nats: NatsServer) -> None:
    clock = Clock()
    async with replica(nats, clock, 0) as one:
        await one.begun()
        await one.passes(MINUTE + timedelta(seconds=30))
        clock.now += timedelta(seconds=10)
        one.looks()
        await one.passes(MINUTE + MINUTE)
        assert [bar.complete for bar in await one.built(3)] == [True, False, False]


async def test_of_two_bars_of_one_interval_the_complete_one_is_kept_and_no_more_than_so_many(nats: NatsServer) -> None:
    clock = Clock()
    async with replica(nats, clock, bars_kept=3) as one, replica(nats, clock, bars_kept=3) as two:
        last = clock.now - MINUTE
        partial, whole = bar_at(last, complete=False, quote_count=9), bar_at(last, quote_count=5)
        more = bar_at(last, quote_count=6)
        for found in (more, partial, whole):
            await publish(one, found)
        for found in (whole, partial, more):
            await publish(two, found)
        await until(lambda: one.bars() == two.bars() == [more])
        for number in range(1, 5):
            await publish(one, bar_at(last - number * MINUTE))
        # Those that are older than all that are kept are not taken in place of them.
        times = [last, last - MINUTE, last - 2 * MINUTE]
        await until(lambda: [bar.start_time.ToDatetime(UTC) for bar in two.bars()] == times)


async def test_what_cannot_be_a_bar_is_not_taken(nats: NatsServer) -> None:
    clock = Clock()
    async with replica(nats, clock) as one:
        last = clock.now - MINUTE
        for bad in (
            bar_at(last + MINUTE),
            bar_at(last - timedelta(seconds=1)),
            bar_at(last, low="3"),
            bar_at(last, low="0"),
            bar_at(last, high="x"),
            bar_at(last, quote_count=0),
            bar_at(last, instrument="BTC/FOO"),
            bar_at(last, timeframe="7m"),
        ):
            await publish(one, bad)
        await one.journal.client.publish(bar_subject("btc-usdt", "1m"), b"\xff")
        await publish(one, bar_at(last - MINUTE))
        await one.built(1)
        assert sum(map(len, one.kept._bars.values())) == 1


async def test_listing_by_grpc_is_paged_bounded_and_for_viewers(nats: NatsServer) -> None:
    clock = Clock()
    async with replica(nats, clock) as one, served(one, "v") as stub:
        for number in range(7):
            one.kept.take(bar_at(clock.now - number * MINUTE))
        request = router_pb2.ListBarsRequest(instrument=BTC, timeframe="1m", page_size=3)
        found: list[router_pb2.Bar] = []
        for size in (3, 3, 1):
            page = await stub.ListBars(request, timeout=5)
            assert len(page.bars) == size
            found += page.bars
            request.page_token = page.next_page_token
        assert request.page_token == ""
        assert found == one.bars()
        for changed, code, says in (
            ({"timeframe": "2h"}, grpc.StatusCode.INVALID_ARGUMENT, "expected one of 1m, 5m, was '2h'"),
            ({"instrument": "BTC/FOO"}, grpc.StatusCode.NOT_FOUND, "does not exist"),
            ({"page_token": "bm9vbg=="}, grpc.StatusCode.INVALID_ARGUMENT, "page_token"),
            ({"page_size": -1}, grpc.StatusCode.INVALID_ARGUMENT, "page_size"),
        ):
            asked = {"instrument": BTC, "timeframe": "1m"} | changed
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await stub.ListBars(router_pb2.ListBarsRequest(**asked), timeout=5)
            error = from_rpc_error(raised.value)
            assert error.code == code
            assert says in error.detail


async def test_current_quote_is_of_the_source_that_is_in_force_with_its_age(nats: NatsServer, tmp_path: Path) -> None:
    clock = Clock()
    path = tmp_path / "ticks.csv"
    path.write_text("time,instrument,bid,ask,bid_size,ask_size\n1767268800,ETH/USDT,10,11,2,3\n")
    start = {"quote_file": str(path), "quote_file_start": "2026-01-01T12:00:05Z"}
    async with replica(nats, clock, **start) as one, served(one, "v") as stub:

        async def get(instrument: str) -> router_pb2.CurrentQuote:
            return (await stub.GetQuote(router_pb2.GetQuoteRequest(instrument=instrument), timeout=5)).current

        assert (await get(BTC)).quote.source == "simulated"
        waiting = await get("ETH/USDT")
        assert (waiting.quote.source, waiting.quote.bid, waiting.HasField("age_ms")) == ("file", "", False)
        await one.push("100", "101")
        clock.now += timedelta(seconds=7.5)
        pushed, of_file = await get(BTC), await get("ETH/USDT")
        assert (pushed.quote.source, pushed.quote.bid, pushed.age_ms) == ("pushed", "100", 7500)
        assert (of_file.quote.bid_size, of_file.quote.ask_size, of_file.age_ms) == ("2", "3", 2500)
        listed = await stub.ListQuotes(router_pb2.ListQuotesRequest(page_size=2), timeout=5)
        names = [found.quote.instrument for found in listed.quotes]
        request = router_pb2.ListQuotesRequest(page_token=listed.next_page_token)
        rest = await stub.ListQuotes(request, timeout=5)
        names += [found.quote.instrument for found in rest.quotes]
        assert names == sorted(one_of.name for one_of in CATALOGUE.values())
        assert of_file in [*listed.quotes, *rest.quotes]
        with pytest.raises(grpc.aio.AioRpcError, match="does not exist"):
            await get("BTC/FOO")


def test_timeframes_that_cannot_be_are_said_at_the_start() -> None:
    with pytest.raises(StartupError, match="setting bar_timeframes: expected timeframes that divide a day"):
        read_timeframes(replace(RouterSettings(), bar_timeframes="1m,7h"))


def bar_at(start: datetime, **fields: Any) -> router_pb2.Bar:
    given = {"instrument": BTC, "timeframe": "1m", "low": "1", "complete": True, "quote_count": 1} | fields
    made = router_pb2.Bar(**({"open": "2", "high": "2", "close": "2", "source": "pushed"} | given))
    made.start_time.FromDatetime(start)
    made.end_time.FromDatetime(start + MINUTE)
    return made


async def publish(at: Replica, bar: router_pb2.Bar) -> None:
    await at.journal.client.publish(bar_subject("btc-usdt", "1m"), bar.SerializeToString())


@asynccontextmanager
async def served(one: Replica, token: str) -> AsyncIterator[Any]:
    settings = replace(RouterSettings(), viewer_token="v", operator_token="o", service_token="s")
    server = Server(settings, Health(), roles=ROLES)
    none: Any = None
    servicer = MarketServicer(MarketData(one.sources.quotes, one.kept, none))  # type: ignore[abstract]
    server.add(router_pb2_grpc.add_RouterServiceServicer_to_server, servicer, NAME)
    channel = open_channel(await server.start(), token=token)
    yield router_pb2_grpc.RouterServiceStub(channel)
    await channel.close()
    await server.stop(0)
