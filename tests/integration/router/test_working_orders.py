"""Orders that rest and brackets, on the paper venue with a real database and a real risk: prices are given, time is now."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, timedelta
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from vantixs.api.common.v1 import common_pb2
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.ids import lane_of
from vantixs.model.instruments import CATALOGUE
from vantixs.runtime.errors import not_found, unavailable
from vantixs.testing.venue import NoFence
from vantixs_router import store as router_store
from vantixs_router.lanes.outcome import Outcome
from vantixs_router.risk_client import RiskFailed
from vantixs_router.tables import ORDERS
from vantixs_router.working.restrictions import WatchRestrictions
from vantixs_router.working.rules import end_of_trading_day
from vantixs_router.working.store import read_kept

from tests.support.router_rig import EXECUTED, REJECTED, Stopped, now, router_on
from tests.support.working_rig import KEY, PERPETUAL, Rig


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with router_on(f"sqlite:///{tmp_path / 'router.db'}", tmp_path) as made:
        yield Rig(made)


@pytest.fixture
async def rig_on_each(database_url: str, tmp_path: Path) -> AsyncIterator[Rig]:
    """On both databases, for what the statements are many of: a whole ladder, a restart, a crash after each step."""
    async with router_on(database_url, tmp_path) as made:
        yield Rig(made)


STOP, IOC = common_pb2.ORDER_TYPE_STOP, common_pb2.TIME_IN_FORCE_IOC
LIMIT: dict[str, Any] = {"order_type": common_pb2.ORDER_TYPE_LIMIT, "limit_price": "95"}


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


async def test_stop_is_placed_with_the_entry_and_closes_the_position(rig: Rig) -> None:
    end = await rig.send("BUY", stop="90")
    assert (end.status, end.reason, end.detail) == (EXECUTED, "", "bought 0.5 at 100")
    assert await rig.working_ones() == ["sell stop 0.5 @ 90"]
    (evaluated,) = [e.order_evaluated for e in await rig.router.journal("s1") if e.event_id == "s1.1:evaluated"]
    assert "stop at 90 for all that is held" in evaluated.intent
    await rig.price("90.1")
    assert await rig.position() == D("0.5")
    await rig.price("89")
    assert await rig.position() == 0
    assert (await rig.orders())[-1] == "sell stop 0.5 @ 90 FILLED"
    await rig.check()


@pytest.mark.parametrize("count", [1, 2, 3, 6])
async def test_ladder_runs_to_its_end_and_the_stop_follows_what_is_left(rig: Rig, count: int) -> None:
    targets = [str(110 + 10 * n) for n in range(count)]
    await rig.send("BUY", size="0.6", stop="90", targets=targets)
    for done, target in enumerate(targets, 1):
        assert len(await rig.working_ones()) == count - done + 2
        await rig.price(str(D(target) + 1))
        left = D("0.6") * (count - done) / count
        assert await rig.position() == left
        stops = [order for order in await rig.working_ones() if " stop " in order]
        assert stops == ([f"sell stop {left.normalize():f} @ 90"] if left else [])
    assert await rig.working_ones() == []
    await rig.check()


async def test_shares_are_as_said_and_a_runner_is_left_to_the_stop(rig_on_each: Rig) -> None:
    rig = rig_on_each
    await rig.send("BUY", size="1", stop="90", targets=["110 50", "120 30"])
    assert await rig.working_ones() == ["sell limit 0.3 @ 120", "sell limit 0.5 @ 110", "sell stop 1 @ 90"]
    await rig.price("121")
    assert await rig.position() == D("0.2")
    await rig.price("89")
    assert await rig.position() == 0
    await rig.check()


async def test_exit_signal_takes_stop_and_targets_with_it(rig: Rig) -> None:
    await rig.send("BUY", size="1", stop="90", targets=["110", "120"])
    end = await rig.send("REDUCE", quantity="0.4")
    assert end.status == EXECUTED
    assert await rig.position() == D("0.6")
    assert [o for o in await rig.working_ones() if "stop" in o] == ["sell stop 0.6 @ 90"]
    targets = [D(o.split()[2]) for o in await rig.working_ones() if "limit" in o]
    assert sum(targets) <= D("0.6")
    await rig.send("CLOSE")
    assert await rig.position() == 0
    assert await rig.working_ones() == []
    await rig.price("80")
    await rig.price("130")
    assert await rig.position() == 0
    await rig.check()


async def test_reversal_leaves_no_leg_of_the_old_side(rig: Rig) -> None:
    await rig.send("BUY", stop="90", targets=["110"])
    await rig.send("REVERSE", stop="115", targets=["85"])
    assert await rig.position() == D("-0.5")
    assert await rig.working_ones() == []
    assert await rig.working_ones("s2") == ["buy limit 0.5 @ 85", "buy stop 0.5 @ 115"]
    await rig.price("84")
    assert await rig.position() == 0
    await rig.check()


async def test_limit_entry_is_protected_from_its_first_fill_on(rig: Rig) -> None:
    await rig.send("BUY", **LIMIT, stop="90", targets=["110"])
    assert await rig.working_ones() == ["buy limit 0.5 @ 95"]
    await rig.price("94")
    assert await rig.working_ones() == ["sell limit 0.5 @ 110", "sell stop 0.5 @ 90"]
    await rig.price("111")
    assert await rig.position() == 0
    await rig.check()


async def test_entry_whose_target_is_reached_first_is_cancelled(rig: Rig) -> None:
    await rig.send("BUY", **LIMIT, stop="90", targets=["110"])
    await rig.price("111")
    (row,) = await rig.router.orders("s1")
    assert (row.order.state, row.order.reason) == (common_pb2.ORDER_STATE_CANCELED, "TARGET_REACHED_BEFORE_ENTRY")
    await rig.check()


async def test_stop_goes_to_break_even_after_a_target(rig: Rig) -> None:
    await rig.send("BUY", stop="90", targets=["110 50", "120 50"], break_even_after_target=1)
    await rig.price("111")
    assert [o for o in await rig.working_ones() if "stop" in o] == ["sell stop 0.25 @ 100"]
    told = [e.bracket_changed.reason for e in await rig.router.journal("s1") if e.HasField("bracket_changed")]
    assert "STOP_MOVED" in told
    await rig.price("99.9")
    assert await rig.position() == 0
    await rig.check()


async def test_stop_trails_the_best_price_and_a_restart_keeps_it(rig: Rig) -> None:
    await rig.send("BUY", trail="5")
    assert await rig.working_ones() == ["sell stop 0.5 @ 95"]
    await rig.price("108")
    assert await rig.working_ones() == ["sell stop 0.5 @ 103"]
    rig.restart()
    await rig.load()
    await rig.price("104")
    assert await rig.working_ones() == ["sell stop 0.5 @ 103"]
    await rig.price("102")
    assert await rig.position() == 0
    await rig.check()


async def test_two_entries_have_a_bracket_each(rig: Rig) -> None:
    keep = webhook_pb2.ON_NEW_SIGNAL_KEEP
    await rig.send("BUY", stop="90", webhook_on_new_signal=keep)
    await rig.send("ADD", stop="95", webhook_on_new_signal=keep)
    assert await rig.working_ones("s1") == ["sell stop 0.5 @ 90"]
    assert await rig.working_ones("s2") == ["sell stop 0.5 @ 95"]
    await rig.price("94")
    assert await rig.position() == D("0.5")
    assert await rig.working_ones("s1") == ["sell stop 0.5 @ 90"]
    await rig.price("89")
    assert await rig.position() == 0
    await rig.check()


async def test_protection_is_there_after_a_crash_at_any_step(rig_on_each: Rig) -> None:
    """The process is killed after each commit and each word of risk, of an entry with stop and targets and its first target."""
    rig = rig_on_each
    router = rig.router
    for number in range(1, 60):
        delivery = rig.signal("BUY", size="0.6", stop="90", targets=["110 50", "120 50"])
        signal_id = f"s{router.sequence}"
        killed = False
        router.steps.count, router.steps.last = 0, number
        try:
            await rig.signals.handle(delivery, NoFence())
            await rig.price("111")
        except Stopped:
            killed = True
        rig.restart()
        await rig.load()
        assert await rig.signals.handle(delivery, NoFence()) is Outcome.DONE
        await rig.price("111")
        assert await rig.position() == D("0.3"), number
        working = await rig.working_ones(signal_id)
        assert working == ["sell limit 0.3 @ 120", "sell stop 0.3 @ 90"], (number, await rig.orders(signal_id))
        await rig.price("89")
        assert await rig.position() == 0, number
        await rig.check()
        await rig.price("100")
        if not killed:
            assert number > 15
            return
    raise AssertionError("more steps than are thought of")


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


HALTED, REDUCING = common_pb2.TRADING_STATE_HALTED, common_pb2.TRADING_STATE_REDUCING


@pytest.mark.parametrize(
    ("scope", "state"),
    [("global", HALTED), ("account:a", REDUCING), ("webhook:w", HALTED), (f"instrument:{PERPETUAL}", REDUCING)],
)
async def test_restricted_trading_cancels_entries_that_rest_and_leaves_what_protects(
    rig: Rig, scope: str, state: Any
) -> None:
    keep = webhook_pb2.ON_NEW_SIGNAL_KEEP
    await rig.send("BUY", stop="90", targets=["120"], webhook_webhook_id="other", webhook_on_new_signal=keep)
    await rig.send("BUY", **LIMIT, webhook_webhook_id="w", webhook_on_new_signal=keep)
    await rig.restrict(scope, state)
    (entry,) = await rig.router.orders("s2")
    reason = f"TRADING_{common_pb2.TradingState.Name(state).removeprefix('TRADING_STATE_')}"
    assert (entry.order.state, entry.order.reason) == (common_pb2.ORDER_STATE_CANCELED, reason)
    told = [e.order_updated.order for e in await rig.router.journal("s2") if e.HasField("order_updated")]
    assert told[-1].reason == reason
    assert await rig.working_ones() == ["sell limit 0.5 @ 120", "sell stop 0.5 @ 90"]
    await rig.price("94")  # The entry's limit: nothing is bought any more.
    assert await rig.position() == D("0.5")
    await rig.price("89")
    await rig.check()


async def test_entry_of_another_scope_goes_on_resting_where_trading_is_restricted(rig: Rig) -> None:
    await rig.send("BUY", **LIMIT)
    for scope in ("account:b", "instrument:ETH/USDT", "webhook:unknown"):
        rig.working.restrict({scope: "HALTED"})
        await rig.working.look(KEY, NoFence())
    assert await rig.working_ones() == ["buy limit 0.5 @ 95"]


async def test_entry_that_comes_to_rest_after_the_halt_is_cancelled_too(rig: Rig) -> None:
    """It was approved before the halt, and answered by the venue after it."""
    submit: Any = rig.venue.submit

    async def halted_meanwhile(*given: Any) -> Any:
        answer = await submit(*given)
        await rig.restrict("global", HALTED)
        return answer

    rig.venue.submit = halted_meanwhile  # type: ignore[method-assign]
    await rig.send("BUY", **LIMIT)
    assert await rig.orders() == ["buy limit 0.5 @ 95 CANCELED"]
    await rig.check()


async def test_entry_after_a_resume_rests_also_where_the_router_has_not_heard_of_it_yet(rig: Rig) -> None:
    rig.working.restrict({"global": "HALTED"})  # As it was heard before: risk has resumed since.
    await rig.send("BUY", **LIMIT)
    assert await rig.orders() == ["buy limit 0.5 @ 95 ACCEPTED"]


async def test_halt_that_was_heard_cancels_also_where_risk_does_not_answer(rig: Rig) -> None:
    await rig.send("BUY", **LIMIT)

    async def away() -> Any:
        raise unavailable("RISK_UNAVAILABLE", "away")

    rig.router.risk_client.restricted = away  # type: ignore[method-assign]
    rig.working.restrict({"global": "HALTED"})
    await rig.working.look(KEY, NoFence())
    assert await rig.orders() == ["buy limit 0.5 @ 95 CANCELED"]


async def test_what_is_restricted_stays_known_while_risk_does_not_answer(rig: Rig) -> None:
    told: list[Any] = []

    class Away:
        def __init__(self) -> None:
            self.answers: Any = {"global": "HALTED"}

        async def restricted(self) -> Any:
            if self.answers is None:
                raise unavailable("RISK_UNAVAILABLE", "away")
            return self.answers

    risk: Any = Away()
    watch = WatchRestrictions(risk, told.append)
    await watch.look()
    risk.answers = None
    await watch.look()
    risk.answers = {}
    await watch.look()
    assert told == [{"global": "HALTED"}, {}]


STOP_EXIT: dict[str, Any] = {"order_type": common_pb2.ORDER_TYPE_STOP, "stop_price": "90"}
UNITS, PERCENT = common_pb2.QUANTITY_TYPE_UNITS, common_pb2.QUANTITY_TYPE_POSITION_PERCENT
UNSAID = common_pb2.QUANTITY_TYPE_UNSPECIFIED


@pytest.mark.parametrize(
    ("resting", "asked", "kind", "left", "stays"),
    [
        ("0.3", "0.2", UNITS, "0.3", True),
        ("0.3", "0.3", UNSAID, "0.2", False),
        ("0.3", "0.3", UNITS, "0.2", False),
        ("0.5", "20", PERCENT, "0.4", False),
        ("0.3", "40", PERCENT, "0.3", True),
    ],
)
async def test_exit_at_the_market_cancels_exits_that_rest_only_where_they_leave_it_no_room(
    rig: Rig, resting: str, asked: str, kind: Any, left: str, stays: bool
) -> None:
    await rig.send("BUY")
    await rig.send("REDUCE", quantity=resting, quantity_type=UNITS, **STOP_EXIT)
    end = await rig.send("REDUCE", quantity=asked, quantity_type=kind)
    assert end.status == EXECUTED, end
    assert await rig.position() == D(left)
    assert await rig.working_ones("s2") == ([f"sell stop {resting} @ 90"] if stays else [])


async def test_cancel_that_names_an_exit_takes_it_back_and_one_that_names_nothing_does_not(rig: Rig) -> None:
    await rig.send("BUY")
    await rig.send("REDUCE", quantity="0.3", tag="x", **STOP_EXIT)
    assert (await rig.send("CANCEL")).reason == "NOTHING_TO_CANCEL"
    assert (await rig.send("CANCEL", tag="x")).status == EXECUTED
    await rig.send("REDUCE", quantity="0.3", **STOP_EXIT)
    assert (await rig.send("CANCEL", order_id="s5.1")).status == EXECUTED
    assert await rig.working_ones("s2") == await rig.working_ones("s5") == []


async def test_close_that_leaves_less_than_a_lot_ends_the_position_as_dust(rig_on_each: Rig) -> None:
    spot = "BTC/USDT"
    fees = {"paper_fee_bps": D(10), "paper_buy_fee_asset": "base"}
    rig = Rig(rig_on_each.router, instrument=spot, **fees)
    pace: dict[str, Any] = {"webhook_max_adds": 1}
    # 10 basis points of 0.50155 are 0.00050155, and a lot is 0.00001: 0.00000845 cannot be sold.
    assert (await rig.send("BUY", size="0.50155", **pace)).reason == ""
    assert await rig.position() == D("0.50104845")
    end = await rig.send("CLOSE")
    assert (end.status, end.reason) == (EXECUTED, "POSITION_DUST")
    assert end.detail == ("sold 0.50104 at 100; 0.00000845 BTC stays in the books, it is less than the lot of 0.00001")
    assert await rig.position() == D("0.00000845")
    again = await rig.send("CLOSE")
    assert (again.status, again.reason) == (REJECTED, "POSITION_DUST")
    assert again.detail == (
        "there is nothing to close: 0.00000845 BTC stays in the books, it is less than the lot of 0.00001"
    )
    for expected in ("", "", "MAX_ADDS_REACHED"):  # The first opens.
        assert (await rig.send("BUY", size="0.1", **pace)).reason == expected
    (evaluated,) = [e.order_evaluated for e in await rig.router.journal("s4") if e.HasField("order_evaluated")]
    assert evaluated.intent == "open a long"
    # What was left is closed with it: 0.2 less 0.0002 in fees, and 0.00000845.
    end = await rig.send("CLOSE")
    assert end.detail.startswith("sold 0.1998 at 100; 0.00000845 BTC stays")


async def test_short_is_opened_from_a_long_that_is_dust(rig: Rig) -> None:
    spot = Rig(rig.router, instrument="BTC/USDT", paper_fee_bps=D(10), paper_buy_fee_asset="base")
    await spot.send("BUY", size="0.50155")
    await spot.send("CLOSE")
    end = await spot.send("SELL", size="0.5", webhook_sell_opens_short=True)
    assert end.detail == "sold 0.5 at 100"
    assert await spot.position() == D("-0.49999155")


async def test_open_orders_of_a_key_are_read_by_its_instrument(rig_on_each: Rig) -> None:
    """Also one that a router wrote which did not know the column; nothing of the account's other instruments."""
    rig = rig_on_each
    keep = webhook_pb2.ON_NEW_SIGNAL_KEEP
    for _ in range(2):
        await rig.send("BUY", **LIMIT, webhook_on_new_signal=keep)
    lane = lane_of("a", PERPETUAL)

    def others(connection: sa.Connection) -> None:
        connection.execute(sa.update(ORDERS).where(ORDERS.c.order_id == "s2.1").values(instrument=""))
        stored = connection.execute(sa.select(ORDERS).where(ORDERS.c.order_id == "s1.1")).mappings().one()
        values = {**stored, "instrument": "ETH/USDT:USDT", "order_id": "x.1", "client_order_id": "x", "number": 99}
        values["data"] = b"\xff: no order, and not read"
        connection.execute(sa.insert(ORDERS).values(values))

    await rig.router.database.write(others)
    kept = await rig.router.database.read(lambda c: read_kept(c, lane, "a", PERPETUAL))
    assert [row.order.order_id for row in kept.orders] == ["s1.1", "s2.1"]
    unsettled = await rig.router.database.read(lambda c: router_store.read_unsettled(c, lane, "a", PERPETUAL))
    assert {row.order.order_id for row in unsettled} == {"s1.1", "s2.1"}
