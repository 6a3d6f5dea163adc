"""Orders that rest, on the paper venue with a real database and a real risk: prices are given, time is now."""

from dataclasses import replace
from datetime import UTC, timedelta
from decimal import Decimal as D
from typing import Any

import pytest
from vantixs.api.common.v1 import common_pb2
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.ids import lane_of
from vantixs.model.instruments import CATALOGUE
from vantixs.testing.venue import NoFence
from vantixs_router.lanes.outcome import Outcome
from vantixs_router.working.rules import end_of_trading_day

from tests.support.router_rig import EXECUTED, REJECTED, now
from tests.support.working_rig import KEY, LIMIT, PERPETUAL, Rig

STOP, IOC = common_pb2.ORDER_TYPE_STOP, common_pb2.TIME_IN_FORCE_IOC


async def test_limit_rests_until_it_is_traded_through_and_is_filled_at_its_price(rig: Rig) -> None:
    end = await rig.send("BUY", **LIMIT)
    assert (end.status, end.reason) == (EXECUTED, "ORDER_WORKING")
    assert end.detail == "limit buy of 0.5 at 95 rests"
    assert await rig.router.kinds("s1") == [
        "order_evaluated", "order_submitted", "order_updated ACCEPTED", "signal_completed",
    ]  # fmt: skip
    await rig.price("95")  # Touched is not traded through.
    assert await rig.orders() == ["buy limit 0.5 @ 95 ACCEPTED"]
    books = await rig.router.books()
    assert [order.order_id for order in books.open_orders] == ["s1.1"]
    await rig.price("94.9", "94.9")
    assert await rig.orders() == ["buy limit 0.5 @ 95 FILLED"]
    assert await rig.position() == D("0.5")
    (fill,) = [e.fill_recorded for e in await rig.router.journal("s1") if e.HasField("fill_recorded")]
    assert (fill.fill.price, fill.fill.liquidity, fill.position.quantity) == ("95", "maker", "0.5")
    await rig.check()


async def test_what_rests_is_there_after_a_restart_and_holds_up_nothing(rig_on_each: Rig) -> None:
    rig = rig_on_each
    await rig.send("BUY", **LIMIT, webhook_on_new_signal=webhook_pb2.ON_NEW_SIGNAL_KEEP)
    assert (await rig.send("BUY", size="0.1", webhook_on_new_signal=webhook_pb2.ON_NEW_SIGNAL_KEEP)).status == EXECUTED
    rig.restart()
    await rig.load()
    assert await rig.working_ones() == ["buy limit 0.5 @ 95"]
    await rig.price("94")
    assert await rig.position() == D("0.6")
    await rig.check()


async def test_new_signal_of_the_webhook_cancels_its_entries_that_rest(rig: Rig) -> None:
    await rig.send("BUY", **LIMIT)
    await rig.send("BUY", size="0.1")
    (row,) = await rig.router.orders("s1")
    assert (row.order.state, row.order.reason) == (common_pb2.ORDER_STATE_CANCELED, "REPLACED_BY_NEW_SIGNAL")
    assert await rig.position() == D("0.1")
    await rig.check()


async def test_new_signal_of_another_webhook_leaves_them_unless_it_is_to_cancel_all(rig: Rig) -> None:
    await rig.send("BUY", **LIMIT)
    await rig.send("BUY", size="0.1", webhook_webhook_id="other")
    assert await rig.working_ones() == ["buy limit 0.5 @ 95"]
    everyone = webhook_pb2.ON_NEW_SIGNAL_CANCEL_ALL_ENTRIES
    await rig.send("BUY", size="0.1", webhook_webhook_id="other", webhook_on_new_signal=everyone)
    assert await rig.working_ones() == []
    await rig.check()


async def test_cancel_names_a_tag_an_order_or_nothing(rig_on_each: Rig) -> None:
    rig = rig_on_each
    keep = webhook_pb2.ON_NEW_SIGNAL_KEEP
    for tag in ("x", "y", "z"):
        await rig.send("BUY", **LIMIT, tag=tag, webhook_on_new_signal=keep)
    end = await rig.send("CANCEL", tag="y")
    assert (end.status, end.detail) == (EXECUTED, "limit buy of 0.5 at 95: canceled")
    assert [len(await rig.working_ones(f"s{n}")) for n in (1, 2, 3)] == [1, 0, 1]
    await rig.send("CANCEL", order_id="s3.1")
    assert [len(await rig.working_ones(f"s{n}")) for n in (1, 2, 3)] == [1, 0, 0]
    await rig.send("CANCEL")
    end = await rig.send("CANCEL")
    assert (end.status, end.reason) == (REJECTED, "NOTHING_TO_CANCEL")
    await rig.check()


async def test_order_with_a_time_ends_by_itself(rig: Rig) -> None:
    delivery = rig.signal("BUY", **LIMIT, time_in_force=common_pb2.TIME_IN_FORCE_GTD)
    batch = journal_pb2.JournalBatch.FromString(delivery.data)
    batch.entries[0].signal_accepted.signal.order_expire_time.FromDatetime(now() + timedelta(hours=1))
    assert await rig.signals.handle(replace(delivery, data=batch.SerializeToString()), NoFence()) is Outcome.DONE
    assert await rig.working_ones() == ["buy limit 0.5 @ 95"]
    rig.venue._clock = lambda: now() + timedelta(hours=2)
    rig.working.sees(KEY, common_pb2.Quote(), busy=False)
    await rig.working.look(KEY, NoFence())
    assert await rig.orders() == ["buy limit 0.5 @ 95 EXPIRED"]
    await rig.check()


@pytest.mark.parametrize("activation", ["", "103"])
async def test_trailing_stop_goes_on_from_where_it_was_when_the_process_was_killed(
    rig_on_each: Rig, activation: str
) -> None:
    """What it gained is written by looks that it asks for itself: nothing else happens to the order."""
    rig = rig_on_each
    await rig.send("BUY")
    trail: dict[str, Any] = {"order_type": common_pb2.ORDER_TYPE_TRAILING_STOP, "trail_amount": "5"}
    await rig.send("CLOSE", **trail, activation_price=activation)
    asked: list[str] = []
    rig.working._enqueue = lambda _, key: not asked.append(key)
    looks = 0
    for tenths in range(1000, 1101):
        rig.quotes.bid = rig.quotes.ask = f"{D(tenths) / 10}"
        rig.working.sees(KEY, rig.quotes.current(CATALOGUE[PERPETUAL]), busy=False)
        if asked:
            asked.clear()
            looks += 1
            await rig.working.look(KEY, NoFence())
    assert looks <= 21, "not each of 100 ticks is written, but each half a dollar"
    rig.quotes.bid = rig.quotes.ask = "110.4"
    rig.working.sees(KEY, rig.quotes.current(CATALOGUE[PERPETUAL]), busy=False)
    rig.restart()  # Killed: the last 0.4 are less than a tenth of the distance, and lost.
    await rig.load()
    await rig.price("105.1")
    assert await rig.position() == D("0.5")
    await rig.price("104.9")
    assert await rig.position() == 0
    (row,) = await rig.router.orders("s2")
    assert row.order.average_price == "104.9"
    await rig.check()


async def test_order_of_the_day_ends_at_midnight_utc(rig: Rig) -> None:
    before = now()
    end = await rig.send("BUY", **LIMIT, time_in_force=common_pb2.TIME_IN_FORCE_DAY)
    (row,) = await rig.router.orders("s1")
    until = row.order.expire_time.ToDatetime(UTC)
    assert until in (end_of_trading_day(before), end_of_trading_day(now()))
    assert row.order.time_in_force == common_pb2.TIME_IN_FORCE_GTD
    assert end.detail == f"limit buy of 0.5 at 95 until {row.order.expire_time.ToJsonString()} rests"
    rig.venue._clock = lambda: until - timedelta(milliseconds=1)
    rig.working.sees(KEY, common_pb2.Quote(), busy=False)
    await rig.working.look(KEY, NoFence())
    assert len(await rig.working_ones()) == 1
    rig.venue._clock = lambda: until
    rig.working.sees(KEY, common_pb2.Quote(), busy=False)
    await rig.working.look(KEY, NoFence())
    assert await rig.orders() == ["buy limit 0.5 @ 95 EXPIRED"]
    await rig.check()


async def test_market_order_of_the_day_is_filled_at_once(rig: Rig) -> None:
    end = await rig.send("BUY", time_in_force=common_pb2.TIME_IN_FORCE_DAY)
    assert (end.status, await rig.position()) == (EXECUTED, D("0.5"))


async def test_stop_entry_and_trailing_stop_order(rig: Rig) -> None:
    await rig.send("BUY", order_type=common_pb2.ORDER_TYPE_STOP, stop_price="105")
    await rig.price("104")
    assert await rig.position() == 0
    await rig.price("106")  # A gap: it fills at the worse price.
    (row,) = await rig.router.orders("s1")
    assert (row.order.state, row.order.average_price) == (common_pb2.ORDER_STATE_FILLED, "106")
    trail: dict[str, Any] = {"order_type": common_pb2.ORDER_TYPE_TRAILING_STOP, "trail_amount": "5"}
    await rig.send("CLOSE", **trail)
    for price in ("106", "110", "106", "105"):
        await rig.price(price)
    (row,) = await rig.router.orders("s2")
    assert (row.order.state, row.order.average_price) == (common_pb2.ORDER_STATE_FILLED, "105")
    assert await rig.position() == 0
    await rig.check()


@pytest.mark.parametrize(
    ("fields", "reason", "words"),
    [
        ({"order_type": common_pb2.ORDER_TYPE_LIMIT}, "ORDER_TERMS_INVALID", "expected a limit_price"),
        ({"stop": "101"}, "PROTECTION_INVALID", "stop_loss: expected a price below the entry at 100, was 101"),
        ({"stop": "90", "targets": ["99"]}, "PROTECTION_INVALID", r"take_profits[0]: expected a price above the entry"),
        (
            {"order_type": STOP, "stop_price": "105", "time_in_force": IOC},
            "ORDER_TYPE_UNSUPPORTED",
            "time in force is IOC",
        ),
        ({"reduce_only": True}, "REDUCE_ONLY_ENTRY", "would open"),
    ],
)
async def test_what_cannot_be_sent_is_refused_with_the_field(rig: Rig, fields: Any, reason: str, words: str) -> None:
    end = await rig.send("BUY", **fields)
    assert (end.status, end.reason) == (REJECTED, reason)
    assert words in end.detail
    await rig.check()


async def test_post_only_that_would_take_is_refused_by_the_venue(rig: Rig) -> None:
    end = await rig.send("BUY", order_type=common_pb2.ORDER_TYPE_LIMIT, limit_price="101", post_only=True)
    assert end.reason == "POST_ONLY_WOULD_TAKE"
    await rig.check()


@pytest.mark.parametrize(
    ("size", "after", "sold"),
    [
        ("0.2012345679012345679", "", "0.20123"),
        ("0.20" + "1" * 38, "", "0.20111"),
        # What we hold is not what the sender holds: the same part of it is sold.
        ("0.2012345679012345679", "0.2", "0.25076"),
        ("0.20" + "1" * 38, "0.2", "0.25069"),
    ],
)
async def test_exit_of_more_decimals_than_are_used_is_executed_while_exits_rest(
    rig: Rig, size: str, after: str, sold: str
) -> None:
    await rig.send("BUY")
    await rig.send("CLOSE", order_type=common_pb2.ORDER_TYPE_LIMIT, limit_price="110", quantity="0.4")
    assert await rig.working_ones("s2") == ["sell limit 0.4 @ 110"]
    end = await rig.send("CLOSE", quantity=size, target_quantity=after)
    assert (end.status, end.reason) == (EXECUTED, "")
    assert await rig.orders("s3") == [f"sell market {sold} @ market FILLED"]
    (row,) = await rig.router.orders("s2")
    assert (row.order.state, row.order.reason) == (common_pb2.ORDER_STATE_CANCELED, "REPLACED_BY_NEW_SIGNAL")
    await rig.check()


async def test_position_known_from_before_another_replica_had_the_lane_is_forgotten(rig: Rig) -> None:
    """An exit that the other replica stored and did not send is limited by the position: it is asked for anew."""
    await rig.send("BUY", size="0.1", stop="90")
    assert rig.router.risk_client.known(rig.account, rig.instrument) == D("0.1")
    lane = lane_of(rig.account, rig.instrument)
    rig.working.lose(lane)
    await rig.working.load(lane)
    assert rig.router.risk_client.known(rig.account, rig.instrument) is None
    await rig.load()
    await rig.price("89")
    assert await rig.position() == 0
    await rig.check()
