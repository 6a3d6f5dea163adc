"""Funding of paper perpetuals, from the router's turn to risk's books, on both databases: time is now, fills are older."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.ids import LANES, lane_of
from vantixs.runtime.errors import ServiceError, unavailable
from vantixs.testing.venue import NoFence
from vantixs_risk import store as risk_store
from vantixs_router.book_funding import BookFunding

from tests.support.router_rig import Router, now, router_on
from tests.support.working_rig import KEY, PERPETUAL, Rig

INTERVAL_S = 28_800


@pytest.fixture
async def rig(database_url: str, tmp_path: Path) -> AsyncIterator[Rig]:
    async with router_on(database_url, tmp_path) as made:
        yield Rig(made)


class Lanes:
    """Lanes of a replica, and what was put into their queues."""

    def __init__(self, *numbers: int) -> None:
        self.numbers, self.enqueued = numbers, list[tuple[int, str]]()

    def owned(self) -> tuple[int, ...]:
        return self.numbers

    def enqueue(self, number: int, key: str) -> bool:
        self.enqueued.append((number, key))
        return True


def funding_of(rig: Rig, rate: str = "0.0001") -> BookFunding:
    """A process that has just started."""
    settings = replace(rig.settings, paper_funding_rate_ratio=D(rate))
    quotes: Any = rig.quotes
    return BookFunding(rig.router.risk_client, quotes, settings, now)


async def make_older(router: Router, hours: int) -> None:
    """Fills were executed so many hours before the last funding time."""
    time = datetime.fromtimestamp(now().timestamp() // INTERVAL_S * INTERVAL_S, UTC) - timedelta(hours=hours)
    await router.risk_database.write(lambda c: c.execute(sa.update(risk_store.FILLS).values(execute_time=time)))


async def told(router: Router) -> list[Any]:
    rows = await router.risk_database.read(
        lambda c: c.execute(sa.select(risk_store.OUTBOX).order_by(risk_store.OUTBOX.c.position)).all()
    )
    entries = [e for row in rows for e in journal_pb2.JournalBatch.FromString(row.payload).entries]
    return [e.funding_booked.funding for e in entries if e.HasField("funding_booked")]


async def carry(rig: Rig, funding: BookFunding) -> list[tuple[int, str]]:
    """One look at what is due, and the turns of its keys."""
    lanes = Lanes(*range(LANES))
    await funding.look(lanes)
    for _, key in lanes.enqueued:
        await funding.after(rig.working.look)(key, NoFence())
    return lanes.enqueued


async def test_position_pays_what_it_missed_once(rig: Rig) -> None:
    await rig.send("BUY")
    await make_older(rig.router, hours=9)
    rig.quotes.bid, rig.quotes.ask = "199", "201"
    funding = funding_of(rig)
    assert await carry(rig, funding) == [(lane_of("a", PERPETUAL), KEY)]
    assert await carry(rig, funding) == []
    assert await carry(rig, funding_of(rig)) == [], "after a restart nothing is due"
    booked = await told(rig.router)
    assert [(f.amount, f.mark_price, f.position_quantity) for f in booked] == [("-0.01", "200", "0.5")] * 2
    assert booked[1].funding_time.seconds - booked[0].funding_time.seconds == INTERVAL_S
    books = await rig.router.books()
    assert (books.funding, books.balances[0].total) == ("-0.02", "99999.98")


async def test_fill_of_before_that_was_not_booked_is_booked_first(rig: Rig) -> None:
    await rig.send("BUY")
    await make_older(rig.router, hours=1)
    funding = funding_of(rig)
    order: list[str] = []

    async def look(key: str, fence: Any) -> None:
        order.append(f"look {len(await told(rig.router))}")

    lanes = Lanes(lane_of("a", PERPETUAL))
    await funding.look(lanes)
    await funding.after(look)(KEY, NoFence())
    assert order == ["look 0"]
    assert len(await told(rig.router)) == 1


async def test_lane_of_another_replica_is_left_alone(rig: Rig) -> None:
    await rig.send("BUY")
    await make_older(rig.router, hours=1)
    funding, lanes = funding_of(rig), Lanes(lane_of("a", PERPETUAL) ^ 1)
    await funding.look(lanes)
    assert lanes.enqueued == []
    lanes.numbers = (lane_of("a", PERPETUAL),)
    await funding.look(lanes)
    assert lanes.enqueued == [(lane_of("a", PERPETUAL), KEY)], "a lane that is taken over is looked at"


async def test_kill_between_booking_and_its_answer_books_once_and_tells_once(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.send("BUY")
    await make_older(rig.router, hours=1)
    risk = rig.router.risk_client
    book, answers = risk.book_funding, 0

    async def lose_the_answer(*arguments: Any) -> Any:
        nonlocal answers
        answers += 1
        await book(*arguments)
        raise unavailable("UNAVAILABLE", "the answer was lost")

    monkeypatch.setattr(risk, "book_funding", lose_the_answer)
    assert await carry(rig, funding_of(rig)) == [(lane_of("a", PERPETUAL), KEY)]
    monkeypatch.undo()
    assert answers == 1
    assert await carry(rig, funding_of(rig)) == []
    assert len(await told(rig.router)) == 1
    assert (await rig.router.books()).funding == "-0.005"


async def test_risk_that_is_away_and_a_price_that_is_missing_hold_up_nothing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.send("BUY")
    await make_older(rig.router, hours=1)
    funding = funding_of(rig)

    async def away(*_: Any) -> Any:
        raise unavailable("UNAVAILABLE", "risk is down")

    monkeypatch.setattr(rig.router.risk_client, "book_funding", away)
    assert len(await carry(rig, funding)) == 1
    monkeypatch.undo()
    rig.quotes.bid = rig.quotes.ask = ""
    assert len(await carry(rig, funding)) == 1, "without a price it stays due"
    assert await told(rig.router) == []
    rig.quotes.bid = rig.quotes.ask = "100"
    assert len(await carry(rig, funding)) == 1
    assert len(await told(rig.router)) == 1
    monkeypatch.setattr(rig.router.risk_client, "funding_due", away)
    with pytest.raises(ServiceError):
        await funding_of(rig).look(Lanes(0))


async def test_times_at_a_rate_of_0_are_passed_over(rig: Rig) -> None:
    await rig.send("SELL", webhook_sell_opens_short=True)
    await make_older(rig.router, hours=9)
    assert len(await carry(rig, funding_of(rig, "0"))) == 1
    assert await carry(rig, funding_of(rig)) == []
    assert await told(rig.router) == []
