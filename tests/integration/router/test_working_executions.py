"""What is filled of orders that rest: adds that are limited, parts, exits that rest, and fills that risk could not book."""

from dataclasses import replace
from decimal import Decimal as D
from typing import Any

import pytest
from vantixs.api.common.v1 import common_pb2
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.runtime.errors import not_found, unavailable
from vantixs.testing.venue import NoFence
from vantixs_router import store as router_store
from vantixs_router.lanes.outcome import Outcome
from vantixs_router.risk_client import RiskFailed

from tests.support.router_rig import EXECUTED, REJECTED, Stopped
from tests.support.working_rig import KEY, LIMIT, PERPETUAL, Rig


async def test_signal_that_was_sent_before_one_that_was_handled_does_not_open(rig: Rig) -> None:
    async def send(action: str, seconds: int) -> journal_pb2.SignalCompleted:
        delivery = rig.signal(action)
        batch = journal_pb2.JournalBatch.FromString(delivery.data)
        batch.entries[0].signal_accepted.signal.emit_time.seconds = 1_790_000_000 + seconds
        assert await rig.signals.handle(replace(delivery, data=batch.SerializeToString()), NoFence()) is Outcome.DONE
        return await rig.router.end(f"s{rig.router.sequence}")

    assert (await send("BUY", 10)).status == EXECUTED
    assert (await send("CLOSE", 20)).status == EXECUTED
    late = await send("BUY", 15)
    assert (late.status, late.reason) == (REJECTED, "SIGNAL_SUPERSEDED")
    assert late.detail == "it was sent 5 s before a signal of the webhook that was handled already"
    assert (await send("BUY", 20)).status == EXECUTED
    rig.restart()
    assert (await send("ADD", 19)).reason == "SIGNAL_SUPERSEDED"
    assert (await send("CLOSE", 1)).status == EXECUTED  # An exit is let out.


async def test_adds_are_limited_by_number_and_time(rig_on_each: Rig) -> None:
    rig = rig_on_each
    pace: dict[str, Any] = {"webhook_max_adds": 2}
    for expected in ("", "", "", "MAX_ADDS_REACHED"):
        assert (await rig.send("BUY", size="0.1", **pace)).reason == expected
    await rig.send("CLOSE", **pace)
    assert (await rig.send("BUY", size="0.1", **pace)).reason == ""
    spaced = await rig.send("BUY", size="0.1", webhook_add_spacing_s=60)
    assert spaced.reason == "ADD_SPACING_ACTIVE"
    assert await rig.position() == D("0.1")


async def test_entries_that_rested_count_when_they_are_filled(rig_on_each: Rig) -> None:
    rig = rig_on_each
    kept = {"webhook_on_new_signal": webhook_pb2.ON_NEW_SIGNAL_KEEP, "webhook_max_adds": 2}
    for price in ("95", "90", "80"):  # None of them adds to anything when it is sent.
        assert (await rig.send("BUY", size="0.1", **kept, **LIMIT | {"limit_price": price})).reason == "ORDER_WORKING"
    await rig.price("94.9")
    await rig.price("89.9")
    rig.restart()
    await rig.load()
    assert (await rig.send("BUY", size="0.1", **kept, **LIMIT | {"limit_price": "70"})).reason == "ORDER_WORKING"
    await rig.price("79.9")
    refused = await rig.send("BUY", size="0.1", **kept)
    assert refused.reason == "MAX_ADDS_REACHED", "the first opened, the second and the third added"
    assert refused.detail == "the position was added to 2 times, the webhook allows 2"
    spaced = await rig.send("BUY", size="0.1", webhook_add_spacing_s=60)
    assert spaced.reason == "ADD_SPACING_ACTIVE"
    await rig.send("CLOSE", **kept)
    await rig.send("BUY", size="0.1", **kept, **LIMIT | {"limit_price": "70"})
    await rig.price("69.9")
    assert (await rig.send("BUY", size="0.1", **kept)).reason == "", "a new position counts anew"


async def test_entry_that_is_filled_in_parts_counts_once(rig: Rig) -> None:
    pace: dict[str, Any] = {"webhook_max_adds": 1, "webhook_on_new_signal": webhook_pb2.ON_NEW_SIGNAL_KEEP}
    await rig.send("BUY", size="0.1", **pace)
    await rig.send("BUY", size="0.3", **pace, **LIMIT)
    rig.quotes.ask_size = rig.quotes.bid_size = "0.1"
    await rig.price("94.8")
    rig.router.steps.settle_errors = [unavailable("UNAVAILABLE", "risk is down")]
    with pytest.raises(RiskFailed):
        await rig.price("94.7")
    await rig.working.look(KEY, NoFence())
    assert await rig.position() == D("0.3")
    await rig.price("94.6")
    assert await rig.position() == D("0.4")
    row = await rig.router.database.read(lambda c: router_store.read_sender(c, f"w|{KEY}"))
    assert row.adds == 1


async def test_what_an_order_filled_before_it_rested_is_told_also_beside_another_that_rests(rig: Rig) -> None:
    await rig.send(
        "BUY", size="0.1", webhook_on_new_signal=webhook_pb2.ON_NEW_SIGNAL_KEEP, **LIMIT | {"limit_price": "80"}
    )
    rig.quotes.ask_size = rig.quotes.bid_size = "0.1"
    await rig.send(
        "BUY", size="0.3", webhook_on_new_signal=webhook_pb2.ON_NEW_SIGNAL_KEEP, **LIMIT | {"limit_price": "100"}
    )
    assert await rig.position() == D("0.1")
    told = [e.fill_recorded.fill.quantity for e in await rig.router.journal("s2") if e.HasField("fill_recorded")]
    assert told == ["0.1"]


async def test_fill_that_risk_could_not_book_at_first_is_booked_and_told_with_the_next_look(rig: Rig) -> None:
    await rig.send("BUY", size="0.3", **LIMIT)
    rig.quotes.ask_size = rig.quotes.bid_size = "0.1"
    rig.router.steps.settle_errors = [unavailable("UNAVAILABLE", "risk is down")]
    with pytest.raises(RiskFailed):
        await rig.price("94.8")
    assert await rig.position() == 0
    await rig.working.look(KEY, NoFence())
    assert await rig.position() == D("0.1")
    assert len([e for e in await rig.router.journal("s1") if e.HasField("fill_recorded")]) == 1


async def test_position_of_the_sender_is_compared_and_told(rig: Rig) -> None:
    long, flat = common_pb2.POSITION_SIDE_LONG, common_pb2.POSITION_SIDE_FLAT
    refuse = webhook_pb2.POSITION_POLICY_REFUSE
    end = await rig.send("BUY", previous_position=long, target_position=long, webhook_position_policy=refuse)
    assert (end.status, end.reason) == (REJECTED, "POSITION_OUT_OF_SYNC")
    assert end.detail == "out of sync: the sender was long, the account is flat"
    await rig.send("BUY", previous_position=flat, target_position=long, webhook_position_policy=refuse)
    (evaluated,) = [e.order_evaluated for e in await rig.router.journal("s2") if e.event_id == "s2.1:evaluated"]
    assert evaluated.intent == "open a long; in sync with the sender"


async def test_answers_that_paper_loses_are_asked_for_and_nothing_is_placed_twice(rig: Rig) -> None:
    rig.settings = replace(rig.settings, paper_fault_instrument=PERPETUAL, paper_fault_kind="lost")
    rig.restart()
    await rig.send("BUY", stop="90", targets=["110"])
    assert await rig.position() == D("0.5")
    for _ in range(3):
        await rig.working.look(KEY, NoFence())
    assert await rig.working_ones() == ["sell limit 0.5 @ 110", "sell stop 0.5 @ 90"]
    assert len(await rig.orders()) == 3
    await rig.price("111")
    await rig.check()


async def test_paper_that_refuses_orders_ends_the_signal_with_the_venues_reason(rig: Rig) -> None:
    await rig.send("BUY")
    rig.settings = replace(rig.settings, paper_fault_instrument=PERPETUAL, paper_fault_kind="rejected")
    rig.restart()
    assert (await rig.send("BUY", stop="90")).reason == "VENUE_REJECTED"


KEEP: dict[str, Any] = {"webhook_on_new_signal": webhook_pb2.ON_NEW_SIGNAL_KEEP}


async def test_exit_that_rests_ends_with_the_position(rig: Rig) -> None:
    """It sold a position that the stop had closed, and opened one on the other side."""
    await rig.send("BUY", stop="90")
    await rig.send("CLOSE", order_type=common_pb2.ORDER_TYPE_LIMIT, limit_price="110", **KEEP)
    await rig.price("89")
    (row,) = await rig.router.orders("s2")
    assert (row.order.state, row.order.reason) == (common_pb2.ORDER_STATE_CANCELED, "POSITION_REDUCED")
    await rig.price("111")
    assert await rig.position() == 0
    await rig.check()


async def test_two_exits_that_one_gap_triggers_close_the_position_once(rig: Rig) -> None:
    await rig.send("BUY", stop="90")
    await rig.send("CLOSE", order_type=common_pb2.ORDER_TYPE_STOP, stop_price="92", **KEEP)
    await rig.price("85")
    assert await rig.position() == 0
    await rig.check()


async def test_two_exits_in_quotes_that_came_while_the_key_was_busy_close_it_once(rig: Rig) -> None:
    """Between the two nothing was booked."""
    await rig.send("BUY", stop="90")
    await rig.send("CLOSE", order_type=common_pb2.ORDER_TYPE_LIMIT, limit_price="110", **KEEP)
    named = type("Named", (), {"name": PERPETUAL})
    for price in ("89", "111"):
        rig.quotes.bid = rig.quotes.ask = price
        rig.working.sees(KEY, rig.quotes.current(named), busy=True)
    await rig.working.look(KEY, NoFence())
    assert await rig.position() == 0
    await rig.check()


async def test_close_that_was_killed_and_a_stop_that_fills_before_it_goes_on_close_once(rig: Rig) -> None:
    router = rig.router
    for number in range(1, 30):
        await rig.send("BUY", stop="90", **KEEP)
        delivery = rig.signal("CLOSE")
        killed = False
        router.steps.count, router.steps.last = 0, number
        try:
            await rig.signals.handle(delivery, NoFence())
        except Stopped:
            killed = True
        rig.restart()
        await rig.load()
        await rig.price("89")
        assert await rig.signals.handle(delivery, NoFence()) is Outcome.DONE
        assert await rig.position() == 0, number
        await rig.check()
        await rig.price("100")
        if not killed:
            assert number > 3
            return
    raise AssertionError("more steps than are thought of")


async def test_positions_that_are_forgotten_are_asked_for_and_keep_their_stops(rig: Rig) -> None:
    """A replica that has heard of 10,000 positions forgets them all; flat was taken for what is held."""
    await rig.send("BUY", stop="90", break_even_after_target=1, targets=["120", "130"])
    rig.router.risk_client._positions.clear()
    await rig.price("101")
    await rig.working.look(KEY, NoFence())
    assert await rig.working_ones() == ["sell limit 0.25 @ 120", "sell limit 0.25 @ 130", "sell stop 0.5 @ 90"]
    await rig.price("89")
    await rig.check()


async def test_first_order_that_rests_is_not_in_doubt(rig: Rig) -> None:
    """The book was read once the order was in it, and then was given it a second time."""
    await rig.send("BUY", **LIMIT)
    assert "order_updated IN_DOUBT" not in await rig.router.kinds("s1")


async def test_orders_keep_their_places_over_a_restart_and_one_quote_reaches_them_all(rig: Rig) -> None:
    """All were stored as the first of the book: two that were reached at one price could not be put in order."""
    for _ in range(3):
        await rig.send("BUY", order_type=common_pb2.ORDER_TYPE_STOP, stop_price="105", **KEEP)
    rig.restart()
    await rig.load()
    await rig.price("106")
    assert await rig.position() == D("1.5")
    await rig.check()


async def test_market_close_closes_what_an_exit_that_rests_was_for(rig: Rig) -> None:
    await rig.send("BUY")
    await rig.send("CLOSE", order_type=common_pb2.ORDER_TYPE_LIMIT, limit_price="110", **KEEP)
    end = await rig.send("CLOSE", **KEEP)
    assert await rig.position() == 0, end
    await rig.price("100")
    await rig.check()


async def test_part_that_is_filled_at_once_is_told_with_the_position(rig: Rig) -> None:
    rig.quotes.ask_size = "0.2"
    end = await rig.send("BUY", order_type=common_pb2.ORDER_TYPE_LIMIT, limit_price="100")
    assert (end.reason, end.detail) == ("ORDER_WORKING", "limit buy of 0.5 at 100, 0.2 filled rests")
    (told,) = [e.fill_recorded for e in await rig.router.journal("s1") if e.HasField("fill_recorded")]
    assert (told.fill.quantity, told.position.quantity) == ("0.2", "0.2")
    await rig.price("99")
    assert await rig.position() == D("0.4")  # What a quote shows is what can be had of it.
    rig.quotes.ask_size = ""
    await rig.price("98")
    await rig.check()


async def test_part_of_an_exit_that_is_filled_at_once_beside_what_rests_is_told(rig: Rig) -> None:
    await rig.send("BUY", targets=["120"])
    rig.quotes.bid_size = "0.001"
    await rig.send("REDUCE", quantity="0.1", order_type=common_pb2.ORDER_TYPE_STOP, stop_price="100")
    assert await rig.orders("s2") == ["sell stop 0.1 @ 100 PARTIALLY_FILLED"]
    (told,) = [e.fill_recorded for e in await rig.router.journal("s2") if e.HasField("fill_recorded")]
    assert (told.fill.quantity, told.position.quantity) == ("0.001", "0.499")
    rig.quotes.bid_size = ""
    await rig.price("99")
    assert await rig.position() == D("0.4")


async def test_fill_that_risk_will_never_book_holds_up_its_key_alone_and_nothing_is_sold_twice(rig: Rig) -> None:
    await rig.send("BUY", stop="90")
    rig.router.steps.settle_errors = [not_found("order", "s1.1-1")]
    await rig.price("89")
    assert rig.working.refused(KEY).startswith(f"risk does not book what an order of {KEY} filled")
    assert await rig.signals.handle(rig.signal("CLOSE"), NoFence()) is Outcome.PARKED
    await rig.working.look(KEY, NoFence())
    assert not rig.working.refused(KEY)
    assert await rig.position() == 0
    assert (await rig.orders())[-1] == "sell stop 0.5 @ 90 FILLED"


async def test_size_by_risk_is_reckoned_from_a_trailing_stop(rig: Rig) -> None:
    delivery = rig.signal("BUY", trail="5")
    batch = journal_pb2.JournalBatch.FromString(delivery.data)
    sizing = batch.entries[0].signal_accepted.webhook.sizing
    sizing.method, sizing.value = common_pb2.SIZING_METHOD_RISK_PERCENT, "0.001"
    assert await rig.signals.handle(replace(delivery, data=batch.SerializeToString()), NoFence()) is Outcome.DONE
    # 1 USDT of 100,000 over a distance of 5.
    assert await rig.position() == D("0.2")
