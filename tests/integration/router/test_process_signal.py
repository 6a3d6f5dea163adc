"""Signals against real databases, a real risk service and a venue that misbehaves: one order a leg, and books that equal the fills."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import grpc
import pytest
import sqlalchemy as sa
from vantixs.api.common.v1 import common_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.ids import accepted_subject, lane_of
from vantixs.runtime.errors import ServiceError, not_found, unavailable
from vantixs.runtime.journal_reader import Delivery
from vantixs.testing.replicas import replicas_on
from vantixs.testing.venue import Fault, NoFence, ScriptedVenue
from vantixs_router import parked_signals, store, tables
from vantixs_router.fence import LeaseLost
from vantixs_router.lanes.outcome import Outcome
from vantixs_router.orders.release_reservations import OpenReservations, ReleaseReservations
from vantixs_router.risk_client import RiskClient
from vantixs_router.venues import port
from vantixs_router.venues.paper.venue import PaperVenue

from tests.support.router_rig import (
    EXECUTED,
    FAILED,
    FOR_GOOD,
    LIVE,
    REJECTED,
    SETTINGS,
    FixedQuotes,
    Router,
    SteppedDatabase,
    Stopped,
    now,
    parked,
    router_on,
)

BTC, PERPETUAL = "BTC/USDT", "BTC/USDT:USDT"


@pytest.fixture
async def router(database_url: str, tmp_path: Path) -> AsyncIterator[Router]:
    async with router_on(database_url, tmp_path) as made:
        yield made


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


async def test_signal_that_waits_too_long_is_parked_and_goes_on_later(router: Router) -> None:
    router.settings = replace(SETTINGS, park_after_s=0.0)
    router.venue.submit_faults = [Fault.LOST]
    delivery = router.signal("BUY")
    assert await router.handle(delivery) is Outcome.PARKED
    (waits,) = await parked(router)
    assert (waits.signal_id, waits.key, waits.stream_sequence) == ("s1", f"a|{PERPETUAL}", 1)
    assert waits.lane == lane_of("a", PERPETUAL)
    assert not await parked(router, (waits.lane + 1,))
    assert await router.handle(waits.delivery()) is Outcome.DONE
    assert not await parked(router)
    assert (await router.end("s1")).status == EXECUTED
    await router.check_books()


async def test_entry_waits_behind_an_order_in_doubt_and_an_exit_asks_first(router: Router) -> None:
    router.settings = replace(SETTINGS, park_after_s=0.0)
    await router.handle(router.signal("BUY"))
    router.venue.submit_faults = [Fault.LOST]
    router.venue.query_faults = [Fault.DROPPED]
    doubtful, entry, other = router.signal("BUY"), router.signal("BUY"), router.signal("BUY", instrument=BTC)
    assert await router.handle(doubtful) is Outcome.PARKED
    assert await router.handle(entry) is Outcome.PARKED
    assert len(router.venue.arrivals) == 2
    assert await router.handle(other) is Outcome.DONE
    # The venue answers again: the exit learns of the fill in doubt, and closes that as well.
    exit_signal = router.signal("CLOSE")
    assert await router.handle(exit_signal) is Outcome.DONE
    assert await router.position() == 0
    assert (await router.end("s5")).detail == "sold 1 at 100"
    first, second = await parked(router)
    assert (first.signal_id, second.signal_id, second.superseded) == ("s2", "s3", True)
    assert await router.handle(first.delivery()) is Outcome.DONE
    assert await router.handle(second.delivery()) is Outcome.DONE
    assert (await router.end("s2")).status == EXECUTED
    assert ((await router.end("s3")).status, (await router.end("s3")).reason) == (REJECTED, "SIGNAL_SUPERSEDED")
    assert await router.position() == 0
    await router.check_books()


async def test_exit_beside_an_entry_in_doubt_closes_what_is_held_and_a_second_exit_waits(router: Router) -> None:
    router.settings = replace(SETTINGS, park_after_s=0.0)
    await router.handle(router.signal("BUY"))
    router.venue.submit_faults = [Fault.LOST, Fault.LOST]
    router.venue.query_faults = [Fault.DROPPED] * 10
    assert await router.handle(router.signal("BUY")) is Outcome.PARKED
    closing, again = router.signal("CLOSE"), router.signal("CLOSE")
    assert await router.handle(closing) is Outcome.PARKED
    sold = [h for h in router.venue.held.values() if h.order.side == common_pb2.SIDE_SELL]
    assert [h.order.quantity for h in sold] == ["0.5"]
    assert await router.handle(again) is Outcome.PARKED
    assert len(router.venue.arrivals) == 3
    router.venue.query_faults.clear()
    for waits in await parked(router):
        assert await router.handle(waits.delivery()) is Outcome.DONE
    # The second exit closes what the entry in doubt had bought.
    assert await router.position() == 0
    await router.check_books()


async def test_entries_behind_one_that_waits_keep_their_order_and_an_exit_of_nothing_ends_them(router: Router) -> None:
    router.settings = replace(SETTINGS, park_after_s=0.0)
    router.venue.submit_faults = [Fault.DROPPED]
    router.venue.query_faults = [Fault.DROPPED]
    for delivery in [router.signal("BUY"), router.signal("BUY")]:
        assert await router.handle(delivery) is Outcome.PARKED
    first, second = await parked(router)
    # The venue answers, and the order of the first is absent: nothing is in doubt, and still the third is not next.
    process = router.process()
    while await process.handle(first.delivery(), NoFence()) is Outcome.PARKED:
        await asyncio.sleep(0)  # The horizon is short.
    assert (await router.end("s1")).reason == "ORDER_ABSENT_AT_VENUE"
    assert await router.handle(router.signal("BUY")) is Outcome.PARKED
    assert [waits.why for waits in await parked(router)][1] == f"1 earlier signals of a|{PERPETUAL} wait"
    assert await router.handle(router.signal("CLOSE")) is Outcome.DONE
    assert (await router.end("s4")).reason == "NOTHING_TO_CLOSE"
    for waits in await parked(router):
        assert await router.handle(waits.delivery()) is Outcome.DONE
    assert {(await router.end(name)).reason for name in ("s2", "s3")} == {"SIGNAL_SUPERSEDED"}
    assert second.signal_id == "s2"
    assert router.venue.arrivals == []
    await router.check_books()


@pytest.mark.parametrize(
    "error", [unavailable("UNAVAILABLE", "risk restarts"), Stopped()], ids=["risk fails", "killed"]
)
async def test_exit_that_heard_of_a_fill_in_doubt_closes_it_although_it_was_not_booked_at_once(
    router: Router, error: BaseException
) -> None:
    router.settings = replace(SETTINGS, park_after_s=0.0)
    router.venue.submit_faults = [Fault.LOST]
    assert await router.handle(router.signal("BUY")) is Outcome.PARKED
    router.settings = SETTINGS
    router.steps.settle_errors = [error]
    delivery = router.signal("CLOSE")
    try:
        outcome = await router.handle(delivery)
    except Stopped:
        outcome = await router.handle(delivery)
    assert outcome is Outcome.DONE
    assert ((await router.end("s2")).status, (await router.end("s2")).detail) == (EXECUTED, "sold 0.5 at 100")
    (waits,) = await parked(router)
    assert await router.handle(waits.delivery()) is Outcome.DONE
    assert await router.position() == 0
    await router.check_books()


async def test_exit_waits_as_long_as_an_earlier_exit_works_at_the_venue(router: Router) -> None:
    await router.handle(router.signal("BUY"))
    router.settings = replace(SETTINGS, park_after_s=0.0)
    router.venue.rests = True
    router.venue.fill_ratios = [D("0.4")]
    router.venue.submit_faults = [Fault.LOST]
    works, again = router.signal("CLOSE"), router.signal("CLOSE")
    assert await router.handle(works) is Outcome.PARKED
    for _ in range(3):
        assert await router.handle(again) is Outcome.PARKED
    assert len(router.venue.arrivals) == 2
    assert await router.position() == D("0.3")
    router.venue.finish(router.venue.arrivals[1], D(1), common_pb2.ORDER_STATE_FILLED)
    assert await router.handle(again) is Outcome.DONE
    assert (await router.end("s3")).reason == "NOTHING_TO_CLOSE"
    assert await router.handle(works) is Outcome.DONE
    assert len(router.venue.arrivals) == 2
    await router.check_books()


async def test_repeat_in_another_lane_does_not_end_the_signal_of_the_first(router: Router) -> None:
    first, repeat = router.signal("BUY"), router.signal("BUY", instrument=BTC, expires_in_s=600)
    batch = journal_pb2.JournalBatch.FromString(repeat.data)
    batch.entries[0].signal_accepted.signal.signal_id = "s1"
    repeat = replace(repeat, data=batch.SerializeToString())
    other, read_together = router.process(), router.database.read_together
    recalled, go_on = asyncio.Event(), asyncio.Event()

    async def slow_read(query: Any) -> Any:
        result = await read_together(query)
        router.steps.later = timedelta(hours=1)  # The repeat has expired by the time it goes on.
        recalled.set()
        await go_on.wait()
        return result

    other._database.read_together = slow_read  # type: ignore[method-assign]
    late = asyncio.create_task(other.handle(repeat, NoFence()))
    await asyncio.wait_for(recalled.wait(), 20)
    router.steps.later = timedelta()
    router.venue.on_call = Mock(side_effect=Stopped)
    with pytest.raises(Stopped):
        await router.handle(first)
    router.venue.on_call = lambda call: None
    router.steps.later = timedelta(hours=1)
    go_on.set()
    with pytest.raises(LookupError, match="another delivery's"):
        await late
    assert await router.handle(repeat) is Outcome.DONE  # As the lane tries again.
    assert await router.database.read(store.read_releases) == []
    router.steps.later = timedelta()
    assert await router.handle(first) is Outcome.DONE
    assert (await router.end("s1")).reason == "ORDER_ABSENT_AT_VENUE"
    await router.check_books()


@pytest.mark.parametrize(
    "error", [not_found("order", "s1.1"), unavailable("INTERNAL", "cannot book")], ids=lambda error: error.reason
)
async def test_order_that_risk_does_not_book_is_parked_and_never_given_up(router: Router, error: ServiceError) -> None:
    router.settings = replace(SETTINGS, park_after_s=0.0)
    router.steps.settle_errors = [error] * 1000
    delivery = router.signal("BUY", expires_in_s=600)
    async with asyncio.timeout(10):
        assert await router.handle(delivery) is Outcome.PARKED
        assert await router.handle(delivery) is Outcome.PARKED
    (waits,) = await parked(router)
    assert waits.why == error.detail
    router.steps.settle_errors.clear()
    assert await router.handle(waits.delivery()) is Outcome.DONE
    await router.check_books()


async def test_signal_without_an_expiry_is_parked_where_risk_does_not_answer(router: Router) -> None:
    router.settings = replace(SETTINGS, park_after_s=0.0)
    router.steps.unanswered = ".1"
    async with asyncio.timeout(10):
        assert await router.handle(router.signal("BUY", expires_in_s=600)) is Outcome.DONE
        assert (await router.end("s1")).reason == "RISK_UNAVAILABLE"
        assert await router.handle(router.signal("BUY")) is Outcome.PARKED
    router.steps.unanswered = ""
    (waits,) = await parked(router)
    assert await router.handle(waits.delivery()) is Outcome.DONE
    assert (await router.end("s2")).status == EXECUTED
    await router.check_books()


async def park(router: Router, signal_id: str, delivery: Delivery) -> None:
    row = parked_signals.Parked(
        signal_id=signal_id, lane=lane_of("a", PERPETUAL), key=f"a|{PERPETUAL}",
        stream_sequence=delivery.stream_sequence, subject=delivery.subject, data=delivery.data,
        deliver_time=delivery.time, why="", since=now(),
    )  # fmt: skip
    await router.database.write(lambda c: parked_signals.park(c, row))


async def test_what_is_parked_and_has_ended_or_is_a_repeat_or_unreadable_is_parked_no_more(router: Router) -> None:
    ended, other = router.signal("BUY"), router.signal("CLOSE")
    assert await router.handle(ended) is Outcome.DONE
    repeat, unreadable = replace(ended, stream_sequence=77), replace(other, data=b"?", stream_sequence=78)
    for signal_id, delivery in (("s1", ended), ("s1", repeat), ("s9", unreadable)):
        await park(router, signal_id, delivery)
        await park(router, "s2", other)
        assert await router.handle(delivery) is Outcome.DONE
        (waits,) = await parked(router)
        assert waits.signal_id == "s2"


@pytest.mark.parametrize(
    "error",
    [
        unavailable("STORAGE_OUTCOME_UNKNOWN", "the connection was lost during the commit"),
        ServiceError(grpc.StatusCode.FAILED_PRECONDITION, "STORE_NOT_ACCEPTED", "the store changed"),
    ],
    ids=lambda error: error.reason,
)
async def test_signal_whose_order_may_be_stored_is_not_given_up_when_it_expires(
    router: Router, error: ServiceError
) -> None:
    router.steps.write_errors = {1: error}
    async with asyncio.timeout(20):
        assert await router.handle(router.signal("BUY", expires_in_s=600)) is Outcome.DONE
    # It was stored and never sent, as far as this venue can tell.
    assert (await router.end("s1")).reason == "ORDER_ABSENT_AT_VENUE"
    (row,) = await router.orders("s1")
    assert row.order.state == common_pb2.ORDER_STATE_REJECTED
    await router.check_books()


async def test_exit_is_not_given_up_for_an_earlier_order_that_risk_does_not_know(router: Router) -> None:
    await router.handle(router.signal("BUY"))
    router.settings = replace(SETTINGS, park_after_s=0.0)
    router.steps.settle_errors = [not_found("order", "s2.1")] * 4
    doubtful, entry, closing = router.signal("BUY"), router.signal("BUY"), router.signal("CLOSE")
    for delivery in (doubtful, entry):
        assert await router.handle(delivery) is Outcome.PARKED
    router.steps.settle_errors = [not_found("order", "s2.1")]
    assert await router.handle(closing) is Outcome.DONE
    assert (await router.end("s4")).detail == "sold 0.5 at 100"
    router.steps.settle_errors.clear()
    for delivery in (doubtful, entry):
        assert await router.handle(delivery) is Outcome.DONE
    assert (await router.end("s3")).reason == "SIGNAL_SUPERSEDED"
    await router.check_books()


async def test_what_is_parked_keeps_its_place_when_the_journal_counts_anew(router: Router) -> None:
    router.settings = replace(SETTINGS, park_after_s=0.0)
    router.venue.submit_faults = [Fault.LOST]
    router.venue.query_faults = [Fault.DROPPED]
    router.sequence = 100
    assert await router.handle(router.signal("BUY")) is Outcome.PARKED
    assert await router.handle(router.signal("BUY")) is Outcome.PARKED
    router.sequence = 0
    entry, closing = router.signal("BUY"), router.signal("CLOSE")
    first, _ = await parked(router)
    assert await router.handle(first.delivery()) is Outcome.DONE
    assert await router.handle(entry) is Outcome.PARKED
    assert [waits.signal_id for waits in await parked(router)] == ["s102", "s1"]
    assert await router.handle(closing) is Outcome.DONE
    for waits in await parked(router):
        assert await router.handle(waits.delivery()) is Outcome.DONE
    assert {(await router.end(name)).reason for name in ("s102", "s1")} == {"SIGNAL_SUPERSEDED"}
    assert await router.position() == 0
    await router.check_books()


@pytest.mark.parametrize("waits", [False, True], ids=["killed", "parked"])
async def test_signal_that_is_not_done_goes_on_when_the_journal_counts_anew(router: Router, waits: bool) -> None:
    router.settings = replace(SETTINGS, park_after_s=0.0)
    router.venue.submit_faults = [Fault.LOST]
    router.venue.on_call = lambda call: None if waits else Mock(side_effect=Stopped)()
    delivery = replace(router.signal("BUY"), stream_sequence=100)
    try:
        assert await router.handle(delivery) is Outcome.PARKED
    except Stopped:
        assert not waits
    router.venue.on_call = lambda call: None
    again, repeat = replace(delivery, stream_sequence=1, time=now()), replace(delivery, stream_sequence=2, time=now())
    # In the same stream it is a repeat, and so is one that is about another instrument.
    assert await router.handle(repeat) is Outcome.DONE
    router.journal_epoch = 1
    batch = journal_pb2.JournalBatch.FromString(repeat.data)
    batch.entries[0].signal_accepted.signal.instrument = BTC
    elsewhere = replace(repeat, data=batch.SerializeToString(), subject=accepted_subject(lane_of("a", BTC)))
    assert await router.handle(elsewhere) is Outcome.DONE
    assert (await router.orders("s1"))[0].order.state not in (
        common_pb2.ORDER_STATE_FILLED, common_pb2.ORDER_STATE_REJECTED,
    )  # fmt: skip
    assert [row.stream_sequence for row in await parked(router)] == [100] * waits
    router.venue.query_faults = [Fault.DROPPED]
    assert await router.handle(again) is Outcome.PARKED
    assert [row.stream_sequence for row in await parked(router)] == [1]
    assert await router.handle(delivery) is Outcome.DONE  # As it was read from the stream before: a repeat by now.
    (row,) = await parked(router)
    process = router.process()
    while await process.handle(row.delivery(), NoFence()) is Outcome.PARKED:
        await asyncio.sleep(0)  # The horizon is short.
    assert (await router.end("s1")).reason == ("" if waits else "ORDER_ABSENT_AT_VENUE")
    assert await parked(router) == []
    router.journal_epoch = 2
    assert await router.handle(repeat) is Outcome.DONE
    assert len(router.venue.arrivals) == int(waits)
    await router.check_books()


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
