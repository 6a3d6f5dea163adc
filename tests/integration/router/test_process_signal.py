"""Signals against real databases, a real risk service and a venue that misbehaves: one order a leg, and books that equal the fills."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal as D
from typing import Any

import pytest
import sqlalchemy as sa
from vantixs.api.common.v1 import common_pb2
from vantixs.runtime.journal_reader import Delivery
from vantixs.testing.venue import Fault, NoFence, ScriptedVenue
from vantixs_router import store, tables
from vantixs_router.lanes.outcome import Outcome
from vantixs_router.venues import port
from vantixs_router.venues.paper.venue import PaperVenue

from tests.support.router_rig import (
    EXECUTED,
    FAILED,
    FOR_GOOD,
    LIVE,
    SETTINGS,
    FixedQuotes,
    Router,
    SteppedDatabase,
    Stopped,
    now,
)

BTC, PERPETUAL = "BTC/USDT", "BTC/USDT:USDT"


async def crash_at_every_step(router: Router, prepare: Callable[[str], Any], deliver: Callable[[str], Delivery]) -> int:
    """Kills the process after each step of a signal, starts another, and checks; returns how many steps there are."""
    for number in range(100):
        account = f"a{number}"
        await router.account(account)
        await prepare(account)
        router.venue.on_call = router.steps.step
        delivery = deliver(account)
        process = router.process()
        router.steps.last = number
        try:
            killed = None
            await process.handle(delivery, NoFence())
        except Stopped:
            killed = True
        router.steps.last = 10**9
        assert await router.handle(delivery) is Outcome.DONE
        signal_id = f"s{router.sequence}"
        assert all(count == 1 for count in Counter(router.venue.arrivals).values())
        await router.check_books(account)
        end = await router.end(signal_id)
        rows = await router.orders(signal_id)
        arrived = [row for row in rows if row.order.client_order_id in router.venue.held]
        if len(arrived) == len(rows):
            assert end.status == EXECUTED, (number, end)
        else:
            assert router.venue.capabilities.idempotent_submits is False
            assert (end.status, end.reason) in (
                (FAILED, "ORDER_ABSENT_AT_VENUE"), (EXECUTED, "ORDER_ABSENT_AT_VENUE"),
            )  # fmt: skip
        fills = [
            e.fill_recorded.fill.execution_id for e in await router.journal(signal_id) if e.HasField("fill_recorded")
        ]
        assert sorted(fills) == sorted(f.execution_id for row in rows for f in row.fills)
        assert len(fills) == len(arrived)
        if not killed:
            return number
    raise AssertionError("more steps than are thought of")


@pytest.mark.parametrize("capabilities", [LIVE, FOR_GOOD], ids=["asked for", "sent again"])
async def test_entry_killed_after_any_step_ends_with_one_order(router: Router, capabilities: Any) -> None:
    router.venue = ScriptedVenue(port, capabilities)

    async def nothing(account: str) -> None:
        """Flat."""

    assert await crash_at_every_step(router, nothing, lambda account: router.signal("BUY", account)) >= 5


@pytest.mark.parametrize("capabilities", [LIVE, FOR_GOOD], ids=["asked for", "sent again"])
async def test_reversal_killed_after_any_step_ends_with_one_order_a_leg(router: Router, capabilities: Any) -> None:
    router.venue = ScriptedVenue(port, capabilities)

    async def long(account: str) -> None:
        assert await router.handle(router.signal("BUY", account)) is Outcome.DONE

    steps = await crash_at_every_step(router, long, lambda account: router.signal("REVERSE", account))
    assert steps >= 9
    assert await router.position(f"a{steps}") == D("-0.5")


async def test_entry_on_paper_killed_after_any_step_ends_with_one_order(router: Router) -> None:
    stepped: Any = SteppedDatabase(router.database, router.steps)
    quotes: Any = FixedQuotes()
    venue = PaperVenue(stepped, quotes, SETTINGS, now)
    for number in range(20):
        account = f"p{number}"
        await router.account(account)
        delivery = router.signal("BUY", account)
        router.steps.last = number
        killed = False
        try:
            await router.process(venue).handle(delivery, NoFence())
        except Stopped:
            killed = True
        router.steps.last = 10**9
        assert await router.process(venue).handle(delivery, NoFence()) is Outcome.DONE
        (row,) = await router.orders(f"s{router.sequence}")
        assert row.order.state == common_pb2.ORDER_STATE_FILLED
        assert await router.position(account) == D(row.order.filled_quantity) == D("0.5")
        assert (await router.end(f"s{router.sequence}")).status == EXECUTED
        if not killed:
            break
    assert number >= 4


async def test_answer_that_is_lost_is_asked_for_and_told(router: Router) -> None:
    router.venue.submit_faults = [Fault.LOST]
    router.venue.query_faults = [Fault.DROPPED]
    assert await router.handle(router.signal("BUY")) is Outcome.DONE
    assert router.venue.calls == [("submit", router.venue.arrivals[0]), *[("query", router.venue.arrivals[0])] * 2]
    assert await router.kinds("s1") == [
        "order_evaluated", "order_submitted", "order_updated IN_DOUBT", "fill_recorded", "order_updated FILLED",
        "signal_completed",
    ]  # fmt: skip
    assert (await router.end("s1")).status == EXECUTED
    await router.check_books()


@pytest.mark.parametrize("fault", [Fault.HANGS, Fault.NONSENSE, Fault.RAISES])
async def test_whatever_a_venue_does_instead_of_answering_is_an_unknown_outcome(router: Router, fault: Fault) -> None:
    router.venue.submit_faults = [fault]
    assert await router.handle(router.signal("BUY")) is Outcome.DONE
    assert len(router.venue.arrivals) == 1
    assert "order_updated IN_DOUBT" in await router.kinds("s1")
    await router.check_books()


async def test_order_that_never_arrived_is_called_absent_and_not_sent_again(router: Router) -> None:
    router.venue.submit_faults = [Fault.DROPPED]
    assert await router.handle(router.signal("BUY")) is Outcome.DONE
    assert [call for call, _ in router.venue.calls].count("submit") == 1
    end = await router.end("s1")
    assert (end.status, end.stage, end.reason) == (FAILED, "venue", "ORDER_ABSENT_AT_VENUE")
    assert (await router.kinds("s1"))[-2:] == ["order_updated REJECTED", "signal_completed"]
    assert await router.position() == 0
    await router.check_books()


async def test_order_that_a_lost_database_may_have_known_is_asked_for(router: Router) -> None:
    delivery = router.signal("BUY")
    assert await router.handle(delivery) is Outcome.DONE

    def lose(connection: sa.Connection) -> None:
        for table in (tables.SIGNALS, tables.ORDERS, tables.FILLS, tables.OUTBOX):
            connection.execute(sa.delete(table))

    await router.database.write(lose)
    router.lost_until_ms = int(now().timestamp() * 1000) + 1000
    assert await router.handle(delivery) is Outcome.DONE
    assert [call for call, _ in router.venue.calls] == ["submit", "query"]
    assert (await router.end("s1")).status == EXECUTED
    await router.check_books()


async def test_order_that_never_arrived_is_sent_again_where_the_venue_takes_an_id_once_for_good(router: Router) -> None:
    router.venue = ScriptedVenue(port, FOR_GOOD)
    router.venue.submit_faults = [Fault.DROPPED, Fault.LOST]
    assert await router.handle(router.signal("BUY")) is Outcome.DONE
    assert [call for call, _ in router.venue.calls] == ["submit"] * 3
    assert len(router.venue.arrivals) == 1
    assert (await router.end("s1")).status == EXECUTED
    await router.check_books()


async def test_rejection_of_what_was_sent_before_says_nothing_of_the_first(router: Router) -> None:
    router.venue = ScriptedVenue(port, FOR_GOOD)
    router.venue.submit_faults = [Fault.LOST, Fault.REJECTED]
    assert await router.handle(router.signal("BUY")) is Outcome.DONE
    assert (await router.end("s1")).status == EXECUTED
    await router.check_books()


async def test_venue_that_lags_behind_is_not_believed_at_once(router: Router) -> None:
    router.venue.submit_faults = [Fault.LOST]
    router.venue.query_faults = [Fault.UNSEEN]
    assert await router.handle(router.signal("BUY")) is Outcome.DONE
    assert (await router.end("s1")).status == EXECUTED
    await router.check_books()


async def test_rejection_of_the_venue_is_told_in_its_words(router: Router) -> None:
    router.venue.submit_faults = [Fault.REJECTED]
    assert await router.handle(router.signal("BUY")) is Outcome.DONE
    end = await router.end("s1")
    assert (end.status, end.reason) == (FAILED, "VENUE_REJECTED")
    assert "insufficient balance" in end.detail
    await router.check_books()


async def test_part_of_an_order_is_booked_and_its_rest_is_not_waited_for(router: Router) -> None:
    router.venue.fill_ratios = [D("0.4")]
    assert await router.handle(router.signal("BUY")) is Outcome.DONE
    end = await router.end("s1")
    assert (end.status, end.reason) == (EXECUTED, "ORDER_PARTIALLY_FILLED")
    assert end.detail == "bought 0.2 of 0.5 at 100"
    (row,) = await router.orders("s1")
    assert (row.order.state, row.order.filled_quantity) == (common_pb2.ORDER_STATE_CANCELED, "0.2")
    assert await router.position() == D("0.2")
    await router.check_books()


async def test_order_without_a_fill_fails_its_signal(router: Router) -> None:
    router.venue.fill_ratios = [D(0)]
    assert await router.handle(router.signal("BUY")) is Outcome.DONE
    end = await router.end("s1")
    assert (end.status, end.reason) == (FAILED, "ORDER_NOT_FILLED")
    await router.check_books()


async def test_new_leg_is_not_opened_beside_a_position_that_was_closed_in_part(router: Router) -> None:
    await router.handle(router.signal("BUY"))
    router.venue.fill_ratios = [D("0.5")]
    assert await router.handle(router.signal("REVERSE")) is Outcome.DONE
    end = await router.end("s2")
    assert (end.status, end.reason) == (EXECUTED, "ORDER_PARTIALLY_FILLED")
    assert "not opened: the close was filled in part" in end.detail
    assert len(router.venue.arrivals) == 2
    assert await router.position() == D("0.25")
    await router.check_books()


async def test_reversal_that_was_closed_and_expired_before_risk_answered_is_executed(router: Router) -> None:
    await router.handle(router.signal("BUY"))
    delivery = router.signal("REVERSE", expires_in_s=600)
    router.steps.unanswered = ".2"
    assert await router.handle(delivery) is Outcome.DONE
    end = await router.end("s2")
    assert (end.status, end.reason) == (EXECUTED, "RISK_UNAVAILABLE")
    assert end.detail.startswith("closed; not opened: risk did not answer")
    assert await router.position() == 0
    assert await router.database.read(store.read_releases) == ["s2.2"]


async def test_order_that_works_is_booked_as_it_fills(router: Router) -> None:
    router.settings = replace(SETTINGS, park_after_s=0.0)
    router.venue.rests = True
    router.venue.fill_ratios = [D("0.4")]
    delivery = router.signal("BUY")
    assert await router.handle(delivery) is Outcome.PARKED
    (row,) = await router.orders("s1")
    assert row.order.state == common_pb2.ORDER_STATE_PARTIALLY_FILLED
    assert await router.position() == D("0.2")
    router.venue.finish(row.order.client_order_id, D(1), common_pb2.ORDER_STATE_FILLED)
    assert await router.handle(delivery) is Outcome.DONE
    (row,) = await router.orders("s1")
    assert (row.order.state, row.order.filled_quantity, len(row.fills)) == (common_pb2.ORDER_STATE_FILLED, "0.5", 2)
    await router.check_books()
