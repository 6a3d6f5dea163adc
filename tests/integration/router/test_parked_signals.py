"""Signals that wait: for an order in doubt, for an earlier one, for risk. They are parked, keep their order, and go on later."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D
from typing import Any
from unittest.mock import Mock

import grpc
import pytest
from vantixs.api.common.v1 import common_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.ids import accepted_subject, lane_of
from vantixs.runtime.errors import ServiceError, not_found, unavailable
from vantixs.runtime.journal_reader import Delivery
from vantixs.testing.venue import Fault, NoFence
from vantixs_router import parked_signals, store
from vantixs_router.lanes.outcome import Outcome

from tests.support.router_rig import (
    EXECUTED,
    REJECTED,
    SETTINGS,
    Router,
    Stopped,
    now,
    parked,
)

BTC, PERPETUAL = "BTC/USDT", "BTC/USDT:USDT"


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
