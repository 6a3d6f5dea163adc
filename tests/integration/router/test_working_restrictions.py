"""Orders that rest while trading is restricted, and beside exits at the market."""

from decimal import Decimal as D
from typing import Any

import pytest
import sqlalchemy as sa
from vantixs.api.common.v1 import common_pb2
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.model.ids import lane_of
from vantixs.runtime.errors import unavailable
from vantixs.testing.venue import NoFence
from vantixs_router import store as router_store
from vantixs_router.tables import ORDERS
from vantixs_router.working.restrictions import WatchRestrictions
from vantixs_router.working.store import read_kept

from tests.support.router_rig import EXECUTED, REJECTED
from tests.support.working_rig import KEY, LIMIT, PERPETUAL, Rig

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
