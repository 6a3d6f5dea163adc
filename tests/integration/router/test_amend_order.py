"""An order that rests gets other terms: cancelled, then placed anew; never both, whatever fails between."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import timestamp_pb2
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.testing.venue import NoFence
from vantixs_router.lanes.outcome import Outcome
from vantixs_router.venues.port import Unknown

from tests.support.router_rig import EXECUTED, FAILED, REJECTED, Stopped, now, router_on
from tests.support.working_rig import PERPETUAL, Rig

LIMIT: dict[str, Any] = {"order_type": common_pb2.ORDER_TYPE_LIMIT, "limit_price": "95"}


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with router_on(f"sqlite:///{tmp_path / 'router.db'}", tmp_path) as made:
        yield Rig(made)


async def order(rig: Rig, signal_id: str) -> order_pb2.Order:
    (row,) = [row for row in await rig.router.orders(signal_id) if not row.order.entry_order_id]
    return row.order


async def test_amended_order_is_cancelled_and_its_rest_placed_with_the_new_terms(rig: Rig) -> None:
    await rig.send("BUY", **LIMIT, tag="trend")
    end = await rig.send("AMEND", order_id="s1.1", limit_price="96")
    assert (end.status, end.reason, end.detail) == (EXECUTED, "ORDER_WORKING", "limit buy of 0.5 at 96 rests")
    assert await rig.orders("s1") == ["buy limit 0.5 @ 95 CANCELED"]
    assert await rig.orders("s2") == ["buy limit 0.5 @ 96 ACCEPTED"]
    old, new = await order(rig, "s1"), await order(rig, "s2")
    assert (old.reason, old.replaced_by_order_id) == ("ORDER_AMENDED", "s2.1")
    assert (new.replaces_order_id, new.webhook_id, new.tag) == ("s1.1", old.webhook_id, "trend")
    await rig.price("95.5")
    assert await rig.position() == D("0.5")
    await rig.check()


async def test_only_what_is_left_is_placed(rig: Rig) -> None:
    await rig.send("BUY", **LIMIT)
    rig.quotes.bid_size = rig.quotes.ask_size = "0.2"
    await rig.price("94")
    filled = D((await order(rig, "s1")).filled_quantity)
    assert 0 < filled < D("0.5")
    rig.quotes.bid_size = rig.quotes.ask_size = ""
    rig.quotes.bid = rig.quotes.ask = "100"
    await rig.send("AMEND", order_id="s1.1", quantity="0.4", limit_price="93")
    assert await rig.orders("s2") == [f"buy limit {D('0.4') - filled} @ 93 ACCEPTED"]
    await rig.price("92")
    assert await rig.position() == D("0.4")
    await rig.check()


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"limit_price": "95"}, "ORDER_TERMS_INVALID"),
        ({"stop_price": "95"}, "ORDER_TERMS_INVALID"),
        ({"trail_percent": "5"}, "ORDER_TERMS_INVALID"),
        ({"limit_price": "89"}, "PROTECTION_INVALID"),
        ({"quantity": "0.0000001"}, "ORDER_TERMS_INVALID"),
        ({}, "ORDER_TERMS_INVALID"),
    ],
)
async def test_terms_that_cannot_be_leave_the_order_as_it_is(rig: Rig, terms: dict[str, str], reason: str) -> None:
    await rig.send("BUY", **LIMIT, stop="90")
    end = await rig.send("AMEND", order_id="s1.1", **terms)
    assert (end.status, end.reason) == (REJECTED, reason)
    assert await rig.orders("s1") == ["buy limit 0.5 @ 95 ACCEPTED"]
    assert not (await order(rig, "s1")).replaced_by_order_id


async def test_what_has_ended_or_protects_a_position_or_is_not_there_is_not_amended(rig: Rig) -> None:
    await rig.send("BUY", stop="90")
    for named, reason in (
        ("s1.1", "ORDER_HAS_ENDED"), ("s1.1-1", "ORDER_IS_BRACKET_LEG"), ("s9.1", "ORDER_NOT_FOUND"),
    ):  # fmt: skip
        end = await rig.send("AMEND", order_id=named, stop_price="91")
        assert (end.status, end.reason) == (REJECTED, reason)
    assert await rig.working_ones("s1") == ["sell stop 0.5 @ 90"]


async def test_protection_goes_with_the_order_that_takes_the_place(rig: Rig) -> None:
    await rig.send("BUY", **LIMIT, stop="90", targets=["110"])
    await rig.send("AMEND", order_id="s1.1", limit_price="97")
    await rig.price("96.9")
    assert await rig.orders("s1") == ["buy limit 0.5 @ 95 CANCELED"]
    assert await rig.working_ones("s2") == ["sell limit 0.5 @ 110", "sell stop 0.5 @ 90"]
    legs = [row.order for row in await rig.router.orders("s2") if row.order.entry_order_id]
    assert {leg.entry_order_id for leg in legs} == {"s2.1"}
    await rig.price("89")
    assert await rig.position() == 0
    await rig.check()


async def test_what_was_filled_before_keeps_its_protection_and_the_rest_gets_its_own(rig: Rig) -> None:
    await rig.send("BUY", **LIMIT, stop="90")
    rig.quotes.bid_size = rig.quotes.ask_size = "0.2"
    await rig.price("94")
    filled = D((await order(rig, "s1")).filled_quantity)
    rig.quotes.bid_size = rig.quotes.ask_size = ""
    await rig.send("AMEND", order_id="s1.1", limit_price="94.5")
    await rig.price("94.4")
    assert await rig.position() == D("0.5")
    assert await rig.working_ones("s1") == [f"sell stop {filled} @ 90"]
    assert await rig.working_ones("s2") == [f"sell stop {D('0.5') - filled} @ 90"]
    await rig.price("89")
    assert await rig.position() == 0
    await rig.check()


async def test_an_exit_stays_an_exit(rig: Rig) -> None:
    await rig.send("BUY")
    await rig.send("CLOSE", order_type=common_pb2.ORDER_TYPE_LIMIT, limit_price="110", reduce_only=True)
    await rig.send("AMEND", order_id="s2.1", limit_price="105")
    new = await order(rig, "s3")
    assert (new.effect, new.reduce_only, new.quantity) == (order_pb2.ORDER_EFFECT_EXIT, True, "0.5")
    await rig.price("106")
    assert await rig.position() == 0
    await rig.check()


async def test_order_filled_meanwhile_is_told_and_not_replaced(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    await rig.send("BUY", **LIMIT)
    cancel = rig.venue.cancel

    async def too_late(order: Any, fence: Any) -> Any:
        rig.venue.see("a", PERPETUAL, rig.quotes.current(type("Named", (), {"name": PERPETUAL})), D(0))
        return await cancel(order, fence)

    monkeypatch.setattr(rig.venue, "cancel", too_late)
    rig.quotes.bid = rig.quotes.ask = "94"
    end = await rig.send("AMEND", order_id="s1.1", limit_price="96")
    assert (end.status, end.reason) == (FAILED, "ORDER_HAS_ENDED")
    assert "filled meanwhile" in end.detail
    assert await rig.router.orders("s2") == []
    assert await rig.position() == D("0.5")
    await rig.check()


async def test_entry_whose_replacement_is_refused_stays_cancelled_with_the_reason(rig: Rig) -> None:
    await rig.send("BUY", **LIMIT)
    end = await rig.send("AMEND", order_id="s1.1", quantity="1000000")
    assert (end.status, end.stage) == (FAILED, "risk")
    assert end.reason
    assert "cancelled, not replaced" in end.detail
    assert await rig.orders("s1") == ["buy limit 0.5 @ 95 CANCELED"]
    await rig.check()


async def test_nothing_is_placed_before_the_cancel_is_confirmed(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A venue that does not answer the cancel: the amendment waits, and goes on once the venue says what became of it."""
    await rig.send("BUY", **LIMIT)
    cancel, query = rig.venue.cancel, rig.venue.query

    async def no_answer(*_: Any) -> Unknown:
        return Unknown("no answer")

    monkeypatch.setattr(rig.venue, "cancel", no_answer)
    monkeypatch.setattr(rig.venue, "query", no_answer)
    rig.signals._settings = replace(rig.settings, park_after_s=0)
    delivery = rig.signal("AMEND", order_id="s1.1", limit_price="96")
    assert await rig.signals.handle(delivery, NoFence()) is Outcome.PARKED
    assert await rig.router.orders("s2") == []
    monkeypatch.setattr(rig.venue, "cancel", cancel)
    monkeypatch.setattr(rig.venue, "query", query)
    assert await rig.signals.handle(delivery, NoFence()) is Outcome.DONE
    assert await rig.orders("s1") == ["buy limit 0.5 @ 95 CANCELED"]
    assert await rig.orders("s2") == ["buy limit 0.5 @ 96 ACCEPTED"]


@pytest.mark.parametrize("kill_after", range(1, 16))
async def test_killed_at_any_step_there_is_one_order_in_the_end(rig: Rig, kill_after: int) -> None:
    await rig.send("BUY", **LIMIT, stop="90")
    delivery = rig.signal("AMEND", order_id="s1.1", limit_price="96")
    steps = rig.router.steps
    steps.count, steps.last = 0, kill_after
    try:
        await rig.signals.handle(delivery, NoFence())
    except Stopped:
        rig.restart()
        await rig.load()
        live = [o for s in ("s1", "s2") for o in await rig.orders(s) if o.endswith("ACCEPTED")]
        assert len(live) <= 1
        assert await rig.signals.handle(delivery, NoFence()) is Outcome.DONE
    steps.last = 10**9
    assert await rig.orders("s1") == ["buy limit 0.5 @ 95 CANCELED"]
    assert await rig.orders("s2") == ["buy limit 0.5 @ 96 ACCEPTED"]
    assert await rig.venue.open_orders("a", PERPETUAL) == [(await order(rig, "s2")).client_order_id]
    await rig.price("95.5")
    assert await rig.position() == D("0.5")
    await rig.price("89")
    await rig.check()


async def test_halt_while_the_cancel_is_in_doubt_places_nothing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    await rig.send("BUY", **LIMIT)
    cancel, query = rig.venue.cancel, rig.venue.query

    async def no_answer(*_: Any) -> Unknown:
        return Unknown("no answer")

    monkeypatch.setattr(rig.venue, "cancel", no_answer)
    monkeypatch.setattr(rig.venue, "query", no_answer)
    rig.signals._settings = replace(rig.settings, park_after_s=0)
    delivery = rig.signal("AMEND", order_id="s1.1", limit_price="96")
    assert await rig.signals.handle(delivery, NoFence()) is Outcome.PARKED
    await rig.restrict("account:a", common_pb2.TRADING_STATE_HALTED)
    monkeypatch.setattr(rig.venue, "cancel", cancel)
    monkeypatch.setattr(rig.venue, "query", query)
    assert await rig.signals.handle(delivery, NoFence()) is Outcome.DONE
    assert (await order(rig, "s1")).reason == "TRADING_HALTED"
    assert await rig.router.orders("s2") == []
    await rig.check()


async def test_expiry_alone_makes_the_order_good_till_then(rig: Rig) -> None:
    await rig.send("BUY", **LIMIT)
    until = timestamp_pb2.Timestamp()
    until.FromDatetime(now() + timedelta(hours=1))
    end = await rig.send("AMEND", order_id="s1.1", order_expire_time=until)
    assert end.status == EXECUTED
    new = await order(rig, "s2")
    assert (new.time_in_force, new.expire_time) == (common_pb2.TIME_IN_FORCE_GTD, until)
