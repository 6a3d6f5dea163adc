"""Quotes that are pushed reach every replica by a real broker: streamed, kept, ordered by their time, cleared."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import grpc
import pytest
from vantixs.api.common.v1 import common_pb2
from vantixs.api.router.v1 import router_pb2, router_pb2_grpc
from vantixs.runtime.errors import ServiceError, from_rpc_error
from vantixs.runtime.grpc_client import open_channel
from vantixs.runtime.grpc_server import OPTIONS, Server
from vantixs.runtime.health import Health
from vantixs.testing.nats import NatsServer
from vantixs_router.market_server import MarketData, MarketServicer
from vantixs_router.quote_sources.pushed import STREAM_S
from vantixs_router.server import NAME, ROLES
from vantixs_router.settings import RouterSettings

from tests.support.quote_replicas import BTC, ETH, Replica, now, quote, replica
from tests.support.until import until


async def test_streamed_quote_reaches_both_replicas_and_their_listeners(nats: NatsServer) -> None:
    async with replica(nats) as one, replica(nats) as two:
        done = await one.publish([quote("100", bid_size="2.5"), quote("9", instrument=ETH)], [quote("101")])
        assert (done.taken, done.refused, done.detail) == (3, 0, "")
        await until(lambda: two.bid() == "pushed 101" and two.bid(ETH) == "pushed 9")
        assert one.bid() == "pushed 101"
        for found in (one, two):
            assert [(q.bid, q.bid_size) for q in found.told if q.instrument == BTC] == [("100", "2.5"), ("101", "")]
        assert one.held() == two.held()
        assert [q.quote.instrument for q in two.sources.quotes.pushed()] == [BTC, ETH]


async def test_restart_begins_with_the_last_quote_that_was_kept(nats: NatsServer) -> None:
    async with replica(nats) as one:
        await one.publish([quote(str(price)) for price in range(100, 200)])
        last = one.held()
        await until(lambda: "btc-usdt" in one.kept())
    async with replica(nats) as again:
        assert again.held() == last
        assert (last.bid, last.source) == ("199", "pushed")
        # A hundred quotes were one write, or two where the second began between them.
        assert again.kept()["btc-usdt"].revision <= 2


async def test_quotes_that_follow_each_other_are_kept_in_their_order_though_their_time_is_the_same(
    nats: NatsServer,
) -> None:
    async with replica(nats) as one, replica(nats) as two:
        at = now()
        await one.publish([quote(str(price), at=at) for price in (100, 102, 101)])
        await until(lambda: two.bid() == "pushed 101")
        assert one.bid() == "pushed 101"
        # The same one again is no new one: a call that is made again changes nothing.
        assert await one.push("101", at=at) == one.held()
        await one.sources._pushed.keep()
        await until(lambda: "btc-usdt" in two.kept())
        assert [q.bid for q in two.told] == ["100", "102", "101"]


async def test_older_quote_is_refused_and_one_of_the_future(nats: NatsServer) -> None:
    async with replica(nats) as one:
        await one.push("100", at=now())
        for at, detail in (
            (now() - timedelta(seconds=1), "expected not before .*, the quote that is held, was "),
            (now() + timedelta(seconds=5), "expected at most 2 s after "),
            (datetime(1970, 1, 1, tzinfo=UTC), "expected at most 2 s after "),
        ):
            with pytest.raises(ServiceError, match=f"quote_time: {detail}"):
                await one.push("90", at=at)
        await one.push("101", at=now() + timedelta(seconds=1))
        # A time that is not given is after the one that is held, even where that is ahead.
        await one.push("102")
        assert one.bid() == "pushed 102"


async def test_a_clock_that_is_set_back_does_not_hold_quotes_back(nats: NatsServer) -> None:
    async with replica(nats) as one, replica(nats) as two:
        one.clock.ahead = timedelta(hours=1)
        await one.push("100")
        one.clock.ahead = timedelta()
        await one.push("101")
        await until(lambda: two.bid() == "pushed 101")


@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        ({"bid": "0", "ask": "1"}, "expected 0 < bid <= ask, was bid 0, ask 1"),
        ({"bid": "2", "ask": "1"}, "expected 0 < bid <= ask"),
        ({"bid": "1e5", "ask": "1"}, "expected digits"),
        ({"bid": "", "ask": ""}, "expected digits"),
        ({"bid": "1", "ask": "1", "bid_size": "0"}, "expected bid_size above 0 or empty, was 0"),
        ({"bid": "1", "ask": "1", "ask_size": "-1"}, "expected ask_size above 0"),
        ({"bid": "1", "ask": "1", "ask_size": "NaN"}, "expected digits"),
        ({"bid": "1", "ask": "1", "instrument": "BTC/FOO"}, "does not exist"),
    ],
)
async def test_bad_quote_is_counted_and_the_stream_goes_on(
    nats: NatsServer, fields: dict[str, str], detail: str
) -> None:
    bad = common_pb2.Quote(**{"instrument": BTC} | fields)
    async with replica(nats) as one:
        with pytest.raises(ServiceError, match=detail):
            await one.sources.quotes.push(bad)
        done = await one.publish([quote("100"), bad, quote("101")], [bad], [quote("102")])
        assert (done.taken, done.refused) == (3, 2)
        assert detail in done.detail
        assert one.bid() == "pushed 102"


async def test_clearing_wins_over_older_quotes_and_a_later_one_is_pushed_again(nats: NatsServer) -> None:
    async with replica(nats) as one, replica(nats) as two:
        before = now()
        await one.publish([quote("100")])
        await until(lambda: two.bid() == "pushed 100")
        cleared = await two.clear()
        assert cleared is not None
        assert cleared.bid == "100"
        await until(lambda: one.bid() == "simulated")
        assert await two.clear() is None
        # What was on its way, or is sent late, is from before; so is what the first replica had not kept yet.
        await one.sources._pushed.keep()
        done = await one.publish([quote("99", at=before)])
        assert (done.taken, done.refused) == (0, 1)
        assert "when quotes were cleared" in done.detail
        late = quote("98", at=before)
        late.source = "pushed"
        await one.journal.client.publish("vantixs.quotes.v1.btc-usdt", late.SerializeToString())
        await one.journal.client.publish("vantixs.quotes.v1.eth-usdt", quote("8", instrument=ETH).SerializeToString())
        await until(lambda: two.bid(ETH) == " 8")
        assert (one.bid(), two.bid()) == ("simulated", "simulated")
    async with replica(nats) as again:
        assert again.bid() == "simulated"
        assert BTC not in [q.quote.instrument for q in again.sources.quotes.pushed()]
        await again.publish([quote("101")])
        assert again.bid() == "pushed 101"


async def test_a_key_that_an_earlier_version_deleted_is_cleared(nats: NatsServer) -> None:
    async with replica(nats) as one, replica(nats) as two:
        await one.push("100")
        await until(lambda: two.bid() == "pushed 100")
        await (await one.journal.js.key_value("vantixs-quotes")).delete("btc-usdt")
        await until(lambda: one.bid() == two.bid() == "simulated")
        await two.push("101")
        await until(lambda: one.bid() == "pushed 101")


async def test_replicas_that_push_at_the_same_time_hold_the_same_quote(nats: NatsServer) -> None:
    async with replica(nats) as one, replica(nats) as two:

        async def push(at: Replica, first: int) -> None:
            for price in range(first, first + 40, 2):
                await at.push(str(price))

        await asyncio.gather(push(one, 100), push(two, 101))
        await until(lambda: one.held() == two.held())
        kept = one.kept()["btc-usdt"].value
        assert kept == one.held()
        assert kept.bid in ("138", "139")


async def test_while_nats_is_away_a_stream_ends_and_says_what_was_taken(nats: NatsServer) -> None:
    async with replica(nats) as one, served(one) as stub:
        away = asyncio.Event()

        async def requests() -> AsyncIterator[router_pb2.PublishQuotesRequest]:
            yield router_pb2.PublishQuotesRequest(quotes=[quote("100"), quote("0"), quote("101")])
            await until(lambda: one.bid() == "pushed 101")
            nats.kill()
            await until(lambda: not one.journal.client.is_connected)
            away.set()
            yield router_pb2.PublishQuotesRequest(quotes=[quote("102")])

        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.PublishQuotes(requests(), timeout=20)
        error = from_rpc_error(raised.value)
        assert away.is_set()
        assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "JOURNAL_UNAVAILABLE")
        assert error.metadata == {"taken": "2", "refused": "1"}
        assert "taken before: 2, refused: 1" in error.detail
        assert one.bid() == "pushed 101"
        nats.start()
        # nats-py subscribes again by itself.
        await until(lambda: one.journal.client.is_connected)
        answer = await stub.PublishQuotes(requests_of([quote("103")]), timeout=20)
        assert answer.taken == 1
        assert one.bid() == "pushed 103"


async def test_stream_by_grpc_is_for_operators_needs_a_deadline_and_takes_so_many_quotes_a_request(
    nats: NatsServer,
) -> None:
    async with replica(nats) as one, served(one) as stub:
        answer = await stub.PublishQuotes(requests_of([quote("100")], [quote("101"), quote("0")]), timeout=20)
        assert (answer.taken, answer.refused) == (2, 1)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.PublishQuotes(requests_of([quote("100")], [quote("100")] * 1001), timeout=20)
        error = from_rpc_error(raised.value)
        assert (error.code, error.metadata["taken"]) == (grpc.StatusCode.INVALID_ARGUMENT, "1")
        assert "expected at most 1000, was 1001" in error.detail
        with pytest.raises(ValueError, match="timeout"):
            await stub.PublishQuotes(requests_of([quote("100")]))
    async with replica(nats) as one, served(one, token="v") as stub:
        with pytest.raises(grpc.aio.AioRpcError, match="expected role OPERATOR"):
            await stub.PublishQuotes(requests_of([quote("100")]), timeout=20)


async def test_stream_ends_with_a_status_before_its_connection_is_cut_and_says_what_was_taken(nats: NatsServer) -> None:
    async with replica(nats) as one, served(one) as stub:
        one.sources._pushed.stream_s = 0.3
        ended = asyncio.Event()

        async def requests() -> AsyncIterator[router_pb2.PublishQuotesRequest]:
            yield router_pb2.PublishQuotesRequest(quotes=[quote("100"), quote("0"), quote("101")])
            await ended.wait()

        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.PublishQuotes(requests(), timeout=20)
        ended.set()
        error = from_rpc_error(raised.value)
        assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "STREAM_ENDED")
        assert error.metadata == {"taken": "2", "refused": "1"}
        assert one.bid() == "pushed 101"

        # One that never waits is ended as well.
        async def many() -> AsyncIterator[router_pb2.PublishQuotesRequest]:
            while True:
                yield router_pb2.PublishQuotesRequest(quotes=[quote("102")])

        with pytest.raises(grpc.aio.AioRpcError, match="for as long as one may be"):
            await stub.PublishQuotes(many(), timeout=20)
    grace_ms = dict(OPTIONS)["grpc.max_connection_age_grace_ms"]
    assert grace_ms > STREAM_S * 1000, "a call that began just before its connection grew old is over by then"


async def test_stream_without_a_deadline_or_with_what_is_no_message_is_refused(nats: NatsServer) -> None:
    metadata = [("authorization", "Bearer o")]
    good = router_pb2.PublishQuotesRequest(quotes=[quote("100")]).SerializeToString()
    async with replica(nats) as one, served_at(one) as address, grpc.aio.insecure_channel(address) as bare:
        call = bare.stream_unary(f"/{NAME}/PublishQuotes")
        for data, timeout, reason, taken in (
            ([good], None, "DEADLINE_REQUIRED", None),
            ([good, b"no message"], 20, "FIELD_INVALID", "1"),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await call(iter(data), metadata=metadata, timeout=timeout)
            error = from_rpc_error(raised.value)
            assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason)
            assert error.metadata.get("taken") == taken


def requests_of(*parts: list[common_pb2.Quote]) -> Iterator[router_pb2.PublishQuotesRequest]:
    return iter([router_pb2.PublishQuotesRequest(quotes=quotes) for quotes in parts])


@asynccontextmanager
async def served_at(one: Replica) -> AsyncIterator[str]:
    """The router's service with quotes and nothing else, by real gRPC; its address."""
    settings = replace(RouterSettings(), viewer_token="v", operator_token="o", service_token="s")
    server = Server(settings, Health(), roles=ROLES)
    none: Any = None
    servicer = MarketServicer(MarketData(one.sources.quotes, none, none))  # type: ignore[abstract]
    server.add(router_pb2_grpc.add_RouterServiceServicer_to_server, servicer, NAME)
    yield await server.start()
    await server.stop(0)


@asynccontextmanager
async def served(one: Replica, token: str = "o") -> AsyncIterator[Any]:
    async with served_at(one) as address:
        channel = open_channel(address, token=token)
        yield router_pb2_grpc.RouterServiceStub(channel)
        await channel.close()


FILE = "time,instrument,bid,ask\n" + "".join(
    f"{1_767_225_600_000 + number * 100},{BTC},{1000 + number},{1001 + number}\n" for number in range(50)
)


async def test_file_is_replayed_at_the_same_place_by_all_replicas_and_goes_on_after_a_restart(
    nats: NatsServer, tmp_path: Path
) -> None:
    path = tmp_path / "ticks.csv"
    path.write_text(FILE)
    settings = {"quote_file": str(path)}
    async with replica(nats, **settings) as one, replica(nats, **settings) as two:
        start = one.kept()["file-start"]
        await until(lambda: len(one.told) >= 20 and len(two.told) >= 20)
        # Told one after another and with the spacing of the file, by its own clock.
        assert [q.bid for q in one.told[:20]] == [str(1000 + n) for n in range(20)]
        times = [q.quote_time.ToMicroseconds() - start.value.quote_time.ToMicroseconds() for q in one.told[:20]]
        assert times == [n * 100_000 for n in range(20)]
        shared = {q.bid: q for q in two.told}
        assert all(q == shared[q.bid] for q in one.told if q.bid in shared)
        assert one.held().source == "file"
        assert one.bid(ETH) == "simulated"
        # What is pushed holds until it is cleared.
        await one.push("5")
        await until(lambda: two.bid() == "pushed 5")
        await one.clear()
        await until(lambda: two.held().source == one.held().source == "file")
    async with replica(nats, **settings) as again:
        assert again.kept()["file-start"] == start
        assert int(again.held().bid) >= 1019
        await until(lambda: again.bid() == "file 1049")
        # It does not begin again by itself: the last quote grows old.
        again.clock.ahead = timedelta(seconds=10)
        assert again.bid() == "file 1049"


async def test_first_start_after_the_end_of_the_file_begins_it_again_for_all(nats: NatsServer, tmp_path: Path) -> None:
    path = tmp_path / "ticks.csv"
    path.write_text("time,instrument,bid,ask\n1767225600,BTC/USDT,1,1\n1767225601,BTC/USDT,2,2\n")
    settings = {"quote_file": str(path), "quote_file_speed": D(20)}
    async with replica(nats, **settings) as one:
        await until(lambda: one.bid() == "file 2")
        before = one.kept()["file-start"].revision
        # It ended 50 ms after its start.
        async with replica(nats, **settings) as two:
            await until(lambda: one.kept()["file-start"].revision > before)
            await until(lambda: one.bid() == two.bid() == "file 2")
            assert one.held() == two.held()
            await until(lambda: len(one.told) >= 4)
            assert [q.bid for q in one.told] == ["1", "2", "1", "2"]


async def test_a_start_that_is_set_is_not_stored_and_no_quote_is_there_before_it(
    nats: NatsServer, tmp_path: Path
) -> None:
    path = tmp_path / "ticks.csv"
    path.write_text(FILE)
    start = now() + timedelta(minutes=1)
    async with replica(nats, quote_file=str(path), quote_file_start=start.isoformat()) as one:
        assert one.bid() == "file "
        one.clock.ahead = timedelta(minutes=1, seconds=30)
        assert one.bid() == "file 1049"
        await until(lambda: bool(one.told) and one.told[-1].bid == "1049")
        assert "file-start" not in one.kept()
