"""Signals under any mixture of faults, of owners that lost their lane, and the reservations that they leave."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D
from typing import Any

import pytest
import sqlalchemy as sa
from vantixs.api.common.v1 import common_pb2
from vantixs.model.ids import lane_of
from vantixs.runtime.errors import unavailable
from vantixs.runtime.journal_reader import Delivery
from vantixs.testing.replicas import replicas_on
from vantixs.testing.venue import Fault, NoFence, ScriptedVenue
from vantixs_router import store, tables
from vantixs_router.fence import LeaseLost
from vantixs_router.lanes.outcome import Outcome
from vantixs_router.orders.release_reservations import OpenReservations, ReleaseReservations
from vantixs_router.risk_client import RiskClient
from vantixs_router.venues import port
from vantixs_router.venues.paper.venue import PaperVenue

from tests.support.router_rig import (
    EXECUTED,
    FOR_GOOD,
    LIVE,
    SETTINGS,
    FixedQuotes,
    Router,
    Stopped,
    now,
    parked,
)

BTC, PERPETUAL = "BTC/USDT", "BTC/USDT:USDT"


ACTIONS = ("BUY", "BUY", "SELL", "CLOSE", "REVERSE", "OPEN_SHORT", "OPEN_LONG", "OPEN_LONG", "REDUCE")
ARRIVES = (None, None, None, Fault.LOST, Fault.DROPPED, Fault.NONSENSE, Fault.RAISES, Fault.REJECTED)
ANSWERS = (None, None, Fault.DROPPED, Fault.UNSEEN)


async def resume(router: Router, chance: random.Random) -> None:
    """Handles parked signals again as a lane does: of each key the first, and the next once that one has ended."""
    keys: set[str] = set()
    for waits in await parked(router):
        if waits.key not in keys and await killed_and_again(router, waits.delivery(), chance) is Outcome.PARKED:
            keys.add(waits.key)


async def killed_and_again(router: Router, delivery: Delivery, chance: random.Random) -> Outcome:
    """Handles a delivery; where the process is killed by then, another process does."""
    router.running = router.running or router.process()
    router.steps.count, router.steps.last = 0, chance.choice((10**9, 10**9, chance.randint(0, 9)))
    try:
        return await router.running.handle(delivery, NoFence())
    except Stopped:
        router.steps.last = 10**9
        router.running = router.process()
        return await router.running.handle(delivery, NoFence())
    finally:
        router.steps.last = 10**9


@pytest.mark.parametrize("capabilities", [LIVE, FOR_GOOD], ids=["asked for", "sent again"])
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_books_equal_the_venue_after_any_mixture_of_faults_and_kills(
    router: Router, seed: int, capabilities: Any
) -> None:
    chance = random.Random(seed)
    router.settings = replace(SETTINGS, park_after_s=0.0)
    router.venue = venue = ScriptedVenue(port, replace(capabilities, lookup_horizon_s=0.0))
    venue.on_call = router.steps.step
    for _ in range(40):
        venue.submit_faults = [chance.choice(ARRIVES), chance.choice(ARRIVES)]
        venue.query_faults = [chance.choice(ANSWERS) for _ in range(3)]
        venue.fill_ratios = [D(chance.choice(("1", "1", "1", "0.4", "0"))) for _ in range(2)]
        await killed_and_again(router, router.signal(chance.choice(ACTIONS)), chance)
        if chance.random() < 0.4:
            await resume(router, chance)
    venue.submit_faults, venue.query_faults = [], []
    process = router.process()
    while waiting := await parked(router):
        await process.handle(waiting[0].delivery(), NoFence())
    ends = [(await router.end(f"s{number + 1}")).reason for number in range(router.sequence)]
    assert len(ends) == 40
    assert all(count == 1 for count in Counter(venue.arrivals).values())
    assert len(venue.arrivals) > 5
    # Killed after it had asked risk, a signal may find nothing to do: what it had reserved is swept.
    risk = RiskClient(replicas_on(router.channel), 5.0)
    later = lambda: now() + timedelta(minutes=5)  # noqa: E731
    await ReleaseReservations(router.database, risk, OpenReservations(router.channel), later).release_unused()
    await router.check_books()


class Lease:
    """A lease that is lost after some checks, or is about to end."""

    def __init__(self, checks: int = 10**9, remaining_s: float = 60.0) -> None:
        self.checks, self.left = checks, remaining_s

    lane = 0

    def hold(self, connection: sa.Connection) -> Callable[[], None]:
        self.checks -= 1
        return self.fail if self.checks < 0 else lambda: None

    def fail(self) -> None:
        raise LeaseLost

    def remaining_s(self) -> float:
        return self.left


async def test_owner_that_lost_its_lane_commits_nothing_and_the_next_one_goes_on(router: Router) -> None:
    for checks in range(20):
        account = f"a{checks}"
        await router.account(account)
        delivery = router.signal("BUY", account)
        router.venue.submit_faults = [Fault.LOST]
        lease = Lease(checks)
        try:
            await router.handle(delivery, lease)
        except LeaseLost:
            lost = True
        else:
            lost = False
        router.venue.submit_faults.clear()
        assert await router.handle(delivery) is Outcome.DONE
        assert len(await router.orders(f"s{router.sequence}")) == 1
        assert all(count == 1 for count in Counter(router.venue.arrivals).values())
        await router.check_books(account)
        if not lost:
            break
    assert checks == 4  # The order, its doubt, its answer and the end of its signal.


async def test_owner_that_froze_before_its_call_and_wakes_up_late_makes_no_second_order(router: Router) -> None:
    delivery, lease = router.signal("BUY"), Lease()
    frozen, thaw = asyncio.Event(), asyncio.Event()
    submit = router.venue.submit

    async def frozen_submit(*arguments: Any) -> Any:
        frozen.set()
        await thaw.wait()
        return await submit(*arguments)

    router.venue.submit = frozen_submit
    router.venue.capabilities = replace(LIVE, call_timeout_s=60)
    owner = asyncio.create_task(router.handle(delivery, lease))
    await asyncio.wait_for(frozen.wait(), 20)
    lease.checks = 0
    assert await router.handle(delivery) is Outcome.DONE
    assert (await router.end("s1")).reason == "ORDER_ABSENT_AT_VENUE"
    thaw.set()
    with pytest.raises(LeaseLost):
        await owner
    assert len(router.venue.arrivals) == 1
    (row,) = await router.orders("s1")
    assert (row.order.state, row.fills) == (common_pb2.ORDER_STATE_REJECTED, [])


async def test_order_is_neither_stored_nor_sent_where_the_lease_may_end_before_the_answer(router: Router) -> None:
    for answers_late in (False, True):
        delivery, lease = router.signal("BUY"), Lease(remaining_s=60 if answers_late else 0.4)
        calls, process = len(router.venue.calls), router.process()
        evaluate = router.risk_client.evaluate

        async def late(request: Any, lease: Lease = lease, evaluate: Any = evaluate) -> Any:
            lease.left = 0.4
            return await evaluate(request)

        router.risk_client.evaluate = late  # type: ignore[method-assign]
        with pytest.raises(LeaseLost):
            await process.handle(delivery, lease)
        # It is not stored either: what is found stored is never sent.
        assert await router.orders(f"s{router.sequence}") == []
        assert len(router.venue.calls) == calls
        assert await router.handle(delivery) is Outcome.DONE
        assert (await router.end(f"s{router.sequence}")).status == EXECUTED
    await router.check_books()


async def test_order_that_is_stored_by_another_process_meanwhile_is_asked_for_and_not_sent(router: Router) -> None:
    delivery, process = router.signal("BUY"), router.process()
    evaluate = router.risk_client.evaluate

    def killed_once_it_arrived(call: str) -> None:
        if call == "arrived":
            raise Stopped

    async def overtaken(request: Any) -> Any:
        router.venue.on_call = killed_once_it_arrived
        with pytest.raises(Stopped):
            await router.handle(delivery)
        router.venue.on_call = lambda call: None
        return await evaluate(request)

    router.risk_client.evaluate = overtaken  # type: ignore[method-assign]
    assert await process.handle(delivery, NoFence()) is Outcome.DONE
    assert [call for call, _ in router.venue.calls] == ["submit", "query"]
    assert (await router.end("s1")).status == EXECUTED
    await router.check_books()


async def test_owner_that_lost_its_lane_does_not_go_on_asking_risk(router: Router) -> None:
    lease, asked = Lease(), 0
    process = router.process()

    async def unanswered(order: Any, fills: Any, *, final: bool) -> Any:
        nonlocal asked
        asked += 1
        lease.left = 0.0
        raise unavailable("UNAVAILABLE", "risk is down")

    router.risk_client.settle = unanswered  # type: ignore[method-assign]
    async with asyncio.timeout(10):
        with pytest.raises(LeaseLost, match="next owner"):
            await process.handle(router.signal("BUY"), lease)
    assert asked == 1


async def test_call_is_shorter_than_what_is_left_of_the_lease(router: Router) -> None:
    router.venue.submit_faults = [Fault.HANGS]
    router.venue.capabilities = replace(LIVE, call_timeout_s=60)
    assert await router.handle(router.signal("BUY"), Lease(remaining_s=0.6)) is Outcome.DONE
    assert "order_updated IN_DOUBT" in await router.kinds("s1")


async def test_paper_order_is_not_filled_for_an_owner_that_lost_its_lane(router: Router) -> None:
    quotes: Any = FixedQuotes()
    venue = PaperVenue(router.database, quotes, SETTINGS, now)
    with pytest.raises(LeaseLost):
        await router.process(venue).handle(router.signal("BUY"), Lease(1))
    filled = await router.database.read(lambda c: c.execute(sa.select(tables.PAPER_ORDERS)).all())
    assert filled == []


async def test_orders_and_messages_know_their_lane(router: Router) -> None:
    await router.handle(router.signal("BUY"))
    orders, messages = await router.database.read(
        lambda c: (
            c.execute(sa.select(tables.ORDERS.c.lane)).scalars().all(),
            c.execute(sa.select(tables.OUTBOX.c.lane)).scalars().all(),
        )
    )
    assert orders == messages == [lane_of("a", PERPETUAL)]


async def test_reservation_that_no_order_uses_is_released_once_its_signal_has_ended(router: Router) -> None:
    delivery = router.signal("BUY", instrument=BTC)
    with pytest.raises(LeaseLost):
        await router.handle(delivery, Lease(0))  # It had asked risk, and could not store the order.
    assert len((await router.books()).open_orders) == 1
    clock = lambda: now() + timedelta(minutes=5)  # noqa: E731
    risk = RiskClient(replicas_on(router.channel), 5.0)
    release = ReleaseReservations(router.database, risk, OpenReservations(router.channel), clock)
    # Whoever goes on with the signal counts on it.
    assert await release.release_unused() == 0

    def finish(connection: sa.Connection) -> None:
        store.claim_signal(connection, "s1", delivery.stream_sequence, "")()
        store.finish_signal(connection, "s1", delivery.stream_sequence, "")()

    await router.database.write(finish)
    assert await release.release_unused() == 1
    assert not (await router.books()).open_orders


async def test_order_that_was_given_up_is_released(router: Router) -> None:
    await router.database.write(lambda c: store.add_release(c, "gone.1"))
    risk = RiskClient(replicas_on(router.channel), 5.0)
    await ReleaseReservations(router.database, risk, OpenReservations(router.channel), now).release_given_up()
    assert await router.database.read(store.read_releases) == []


async def test_one_slow_instrument_holds_up_nobody_else(router: Router) -> None:
    router.venue.delay_s[BTC] = 0.3
    process = router.process()
    ended: list[str] = []

    async def run(delivery: Delivery, name: str) -> None:
        assert await process.handle(delivery, NoFence()) is Outcome.DONE
        ended.append(name)

    slow, quick = router.signal("BUY", instrument=BTC), router.signal("BUY")
    await asyncio.gather(run(slow, "slow"), run(quick, "quick"))
    assert ended == ["quick", "slow"]
