"""Marks are refreshed by one of several routers, through risk's service on SQLite and PostgreSQL."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import grpc
import pytest
from vantixs.api.common.v1 import common_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.model.instruments import CATALOGUE, Instrument
from vantixs.runtime.grpc_client import open_channel
from vantixs.testing.replicas import replicas_on
from vantixs_risk.marks import ACCOUNTS_AT_ONCE
from vantixs_router.lanes.share import fair_share
from vantixs_router.refresh_marks import LANE, RefreshMarks
from vantixs_router.risk_client import RiskClient

from tests.support.risk_fixture import account_of, fill
from tests.support.risk_server import Risk, calls, entry, evaluate, risk, settle
from tests.support.until import until

__all__ = ["risk"]  # The fixture.
BTC = "BTC/USDT"


class QuotesOf:
    """Quotes that a test sets; `asked` counts by instrument."""

    def __init__(self, price: str) -> None:
        self.price = price
        self.asked: dict[str, int] = {}

    def current(self, instrument: Instrument) -> common_pb2.Quote:
        self.asked[instrument.name] = self.asked.get(instrument.name, 0) + 1
        quote = common_pb2.Quote(instrument=instrument.name, source="test", bid=self.price, ask=self.price)
        quote.quote_time.FromDatetime(datetime.now(UTC))
        return quote


async def hold(risk: Risk, *accounts: str) -> None:
    """Buys 1 BTC for each account, at 100."""
    for account in accounts:
        results = await evaluate(risk, entry(f"o-{account}", account_id=account))
        assert results[0].HasField("decision")
        one = fill(f"x-{account}", buy=True, quantity="1", price="100")
        await settle(risk, risk_pb2.SettleOrderRequest(order_id=f"o-{account}", fills=[one], final=True))


async def equity(risk: Risk, account: str) -> Decimal:
    shown = await risk.viewer.GetAccount(risk_pb2.GetAccountRequest(account_id=account), timeout=10)
    return Decimal(shown.equity)


def refreshing(risk: Risk, quotes: Any, *owned: int, every_s: float = 0.02) -> RefreshMarks:
    return RefreshMarks(RiskClient(replicas_on(risk.channel), 10), quotes, lambda: owned, every_s)


async def test_every_account_that_holds_something_is_valued_however_many_there_are(risk: Risk) -> None:
    names = [f"m{n}" for n in range(ACCOUNTS_AT_ONCE + 6)]
    for name in names:
        request = risk_pb2.CreateAccountRequest(request_id=name, account=account_of(name))
        await risk.operator.CreateAccount(request, timeout=10)
    await hold(risk, *names)
    quotes = QuotesOf("110")
    marks = refreshing(risk, quotes, LANE)
    await marks.refresh()
    assert quotes.asked == {}, "what is held is not known yet"
    await marks.refresh()
    assert quotes.asked == {BTC: 1}
    assert {await equity(risk, name) for name in names} == {Decimal(10010)}
    assert await equity(risk, "a") == 10000


async def test_one_of_three_routers_refreshes_and_another_goes_on_with_its_lanes(risk: Risk) -> None:
    await hold(risk, "a")
    quotes = [QuotesOf(price) for price in ("110", "120", "130")]
    shares: list[set[int]] = [set(), set(), set()]
    number = 0
    for replica in range(3):
        for _ in range(fair_share(32, "abc", "abc"[replica])):
            shares[replica].add(number)
            number += 1
    stopping = asyncio.Event()
    routers = [
        RefreshMarks(RiskClient(replicas_on(risk.channel), 10), q, lambda share=share: share, 0.02)  # type: ignore[arg-type, misc]
        for q, share in zip(quotes, shares, strict=True)
    ]
    tasks = [asyncio.create_task(router.run(stopping)) for router in routers]
    async with asyncio.timeout(20):
        while await equity(risk, "a") != 10010:
            await asyncio.sleep(0.01)
    assert [q.asked == {} for q in quotes] == [False, True, True]
    # The first one's lanes go to the second.
    shares[1] |= shares[0]
    shares[0].clear()
    async with asyncio.timeout(20):
        while await equity(risk, "a") != 10020:
            await asyncio.sleep(0.01)
    before = dict(quotes[0].asked)
    asked = quotes[1].asked[BTC]
    await until(lambda: quotes[1].asked[BTC] > asked + 2)
    assert (quotes[0].asked, quotes[2].asked) == (before, {})
    stopping.set()
    await asyncio.gather(*tasks)


async def test_without_positions_nothing_is_quoted_nor_written(risk: Risk) -> None:
    quotes, before = QuotesOf("1"), calls("RefreshMarks")
    stopping = asyncio.Event()
    task = asyncio.create_task(refreshing(risk, quotes, LANE).run(stopping))
    await until(lambda: calls("RefreshMarks") >= before + 3)
    stopping.set()
    await task
    assert quotes.asked == {}


async def test_interval_of_0_never_asks(risk: Risk) -> None:
    before = calls("RefreshMarks")
    await refreshing(risk, QuotesOf("1"), LANE, every_s=0).run(asyncio.Event())
    assert calls("RefreshMarks") == before


async def test_risk_that_does_not_answer_is_asked_again(capsys: pytest.CaptureFixture[str]) -> None:
    channel = open_channel("127.0.0.1:1", token="s")
    stopping = asyncio.Event()
    marks = RefreshMarks(RiskClient(replicas_on(channel), 1), QuotesOf("1"), lambda: (LANE,), 0.02)  # type: ignore[arg-type]
    rounds = 0
    refresh = marks.refresh

    async def counted() -> None:
        nonlocal rounds
        rounds += 1
        await refresh()

    marks.refresh = counted  # type: ignore[method-assign]
    task = asyncio.create_task(marks.run(stopping))
    await until(lambda: rounds >= 2)
    stopping.set()
    await task
    await channel.close()
    assert capsys.readouterr().out.count("marks.not_refreshed") <= 1


async def test_only_a_service_may_refresh_and_100_quotes_are_the_most(risk: Risk) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await risk.viewer.RefreshMarks(risk_pb2.RefreshMarksRequest(), timeout=10)
    assert raised.value.code() is grpc.StatusCode.PERMISSION_DENIED
    quotes = [QuotesOf("1").current(CATALOGUE[BTC])] * 101
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await risk.stub.RefreshMarks(risk_pb2.RefreshMarksRequest(marks=quotes), timeout=10)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
