"""What every venue keeps to, the real one and the one for tests alike."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest
import vantixs_router
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.model.decimals import parse_decimal
from vantixs.model.ids import client_order_id
from vantixs.model.instruments import CATALOGUE
from vantixs.runtime.database import Database
from vantixs.testing.venue import NoFence, ScriptedVenue
from vantixs_router.orders.answers import find_fault
from vantixs_router.settings import RouterSettings
from vantixs_router.venues import port
from vantixs_router.venues.paper.venue import PaperVenue

INSTRUMENT = CATALOGUE["BTC/USDT"]
ONCE_FOR_GOOD = port.Capabilities(
    order_types={common_pb2.ORDER_TYPE_MARKET: (common_pb2.TIME_IN_FORCE_IOC,)}, fee_bps=D(10), idempotent_submits=True
)


class FixedQuotes:
    """A quote of now."""

    price = "100"

    def current(self, instrument: Any) -> common_pb2.Quote:
        quote = common_pb2.Quote(instrument=instrument.name, source="pushed", bid=self.price, ask=self.price)
        quote.quote_time.GetCurrentTime()
        return quote


@pytest.fixture(params=["paper", "scripted", "scripted, ids free again"])
async def venue(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any]:
    if request.param != "paper":
        yield ScriptedVenue(port, replace(ONCE_FOR_GOOD, idempotent_submits=request.param == "scripted"))
        return
    settings = replace(RouterSettings(), database_url=f"sqlite:///{tmp_path / 'router.db'}")
    database = await Database.open(settings, "router", Path(vantixs_router.__file__).parent / "migrations")
    quotes: Any = FixedQuotes()
    yield PaperVenue(database, quotes, settings, lambda: datetime.now(UTC))
    await database.close()


def submission(number: int = 1, *, side: Any = common_pb2.SIDE_BUY) -> port.Submission:
    order_id = f"s{number}.1"
    order = order_pb2.Order(
        order_id=order_id, signal_id=f"s{number}", account_id="a", instrument=INSTRUMENT.name,
        client_order_id=client_order_id(order_id), side=side, quantity="0.5",
        order_type=common_pb2.ORDER_TYPE_MARKET, time_in_force=common_pb2.TIME_IN_FORCE_IOC,
    )  # fmt: skip
    return port.Submission(order, INSTRUMENT)


@pytest.mark.parametrize("side", [common_pb2.SIDE_BUY, common_pb2.SIDE_SELL])
async def test_market_order_is_filled_as_a_whole_and_its_answer_can_be_relied_on(venue: Any, side: Any) -> None:
    sent = submission(side=side)
    answer = await venue.submit(sent, NoFence())
    assert find_fault(sent.order, answer) == ""
    assert answer.ended == common_pb2.ORDER_STATE_FILLED
    assert sum(parse_decimal(fill.quantity) for fill in answer.fills) == D("0.5")
    assert answer.venue_order_id
    assert all(fill.execution_id and fill.fee_asset and fill.execute_time.seconds for fill in answer.fills)


async def test_query_and_cancel_say_what_the_submit_said(venue: Any) -> None:
    sent = submission()
    answer = await venue.submit(sent, NoFence())
    assert await venue.query(sent.order, NoFence()) == answer
    assert await venue.cancel(sent.order, NoFence()) == answer
    assert await venue.open_orders("a", INSTRUMENT.name) == []


async def test_order_that_was_never_sent_is_not_found(venue: Any) -> None:
    await venue.submit(submission(1), NoFence())
    assert await venue.query(submission(2).order, NoFence()) == port.NotFound()
    assert await venue.cancel(submission(2).order, NoFence()) == port.NotFound()


async def test_venue_that_says_so_places_an_order_once_however_often_it_is_sent(venue: Any) -> None:
    first = await venue.submit(submission(), NoFence())
    FixedQuotes.price = "200"
    again = await venue.submit(submission(), NoFence())
    FixedQuotes.price = "100"
    if venue.capabilities.idempotent_submits:
        assert again == first
    else:
        assert len(venue.arrivals) == 2


async def test_capabilities_name_what_is_sent(venue: Any) -> None:
    capabilities = venue.capabilities
    assert capabilities.time_in_force(common_pb2.ORDER_TYPE_MARKET) == common_pb2.TIME_IN_FORCE_IOC
    assert capabilities.time_in_force(common_pb2.ORDER_TYPE_UNSPECIFIED) == common_pb2.TIME_IN_FORCE_UNSPECIFIED
    assert capabilities.fee_bps == D(10)


def fill(**changes: Any) -> order_pb2.Fill:
    values = {
        "execution_id": "e1", "order_id": "s1.1", "side": common_pb2.SIDE_BUY, "quantity": "0.5", "price": "100", "fee": "0",
    }  # fmt: skip
    return order_pb2.Fill(**(values | changes))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "expected an answer, was NoneType"),
        ({"id": "1"}, "expected an answer, was dict"),
        (port.Executed("1", (fill(quantity="-1"),), None), "above 0"),
        (port.Executed("1", (fill(price="0"),), None), "above 0"),
        (port.Executed("1", (fill(execution_id=""),), None), "above 0"),
        (port.Executed("1", (fill(price="NaN"),), None), "unreadable"),
        (port.Executed("1", (fill(fee="1E-3"),), None), "unreadable"),
        (port.Executed("1", (fill(side=common_pb2.SIDE_SELL),), None), "expected a fill of s1.1"),
        (port.Executed("1", (fill(order_id="s2.1"),), None), "expected a fill of s1.1"),
        (port.Executed("1", (fill(quantity="0.4"),), common_pb2.ORDER_STATE_FILLED), "do not add up"),
        (port.Executed("1", (), common_pb2.ORDER_STATE_REJECTED), "expected an order that works or has ended"),
    ],
)
def test_answer_that_cannot_be_so_is_not_relied_on(answer: Any, said: str) -> None:
    assert said in find_fault(submission().order, answer)


@pytest.mark.parametrize(
    "answer",
    [
        port.Accepted("1"), port.Rejected("VENUE_REJECTED", ""), port.NotFound(), port.Unknown(""),
        port.Executed("1", (fill(),), common_pb2.ORDER_STATE_FILLED),
        port.Executed("1", (fill(quantity="0.1"),), common_pb2.ORDER_STATE_EXPIRED),
        port.Executed("1", (fill(quantity="0.7"),), common_pb2.ORDER_STATE_FILLED),
    ],
)  # fmt: skip
def test_answer_that_may_be_so_counts(answer: Any) -> None:
    assert find_fault(submission().order, answer) == ""


async def test_paper_venue_that_is_slow_has_the_order_all_the_same(tmp_path: Path) -> None:
    settings = replace(
        RouterSettings(),
        database_url=f"sqlite:///{tmp_path / 'router.db'}",
        paper_fault_instrument=INSTRUMENT.name,
        paper_fault_delay_s=60.0,
    )
    database = await Database.open(settings, "router", Path(vantixs_router.__file__).parent / "migrations")
    quotes: Any = FixedQuotes()
    slow = PaperVenue(database, quotes, settings, lambda: datetime.now(UTC))
    sent = submission()
    waiting = asyncio.create_task(slow.submit(sent, NoFence()))
    async with asyncio.timeout(10):
        while isinstance(answer := await slow.query(sent.order, NoFence()), port.NotFound):
            await asyncio.sleep(0.01)
        assert not waiting.done()
        # Who gave up waiting and sends it again is answered at once, and it is the same order.
        assert await slow.submit(sent, NoFence()) == answer
    waiting.cancel()
    await database.close()
