"""Orders that rest and legs of brackets as units of work on SQLite: what they hold, what fills make of it, what is left."""

from decimal import Decimal
from typing import Any

import pytest
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.runtime.errors import ServiceError
from vantixs_risk import store
from vantixs_risk.evaluation import check_request, preview_order

from tests.support.risk_fixture import Process, RiskFixture, ask, check_books, fill
from tests.support.risk_trader import ACTIVE, APPROVED, CHANGED, DENIED, HALTED, REDUCING, Trader, open_trader, update


def leg_of(trader: Trader, leg: str, quantity: str, kind: str, **more: Any) -> order_pb2.RiskDecision:
    """Asks for a leg of a long in BTC/USDT that assumes nothing."""
    values = {"buy": False, "entry": False, "position": "", "leg": leg, "order_quantity": quantity, "kind": kind}
    return trader.decide(**values | more)


def protected(risk: RiskFixture, **limits: Any) -> Trader:
    """10 BTC at 100, a stop of 10 at 90 (o2), targets of 6 at 110 (o3) and of 4 at 120 (o4)."""
    trader = open_trader(risk, **limits)
    assert trader.trade("100") == "10"
    stop = leg_of(trader, "STOP_LOSS", "10", "STOP", stop_price="90")
    first = leg_of(trader, "TAKE_PROFIT", "6", "LIMIT", limit_price="110")
    second = leg_of(trader, "TAKE_PROFIT", "4", "LIMIT", limit_price="120")
    assert [(d.verdict, d.quantity) for d in (stop, first, second)] == [(APPROVED, q) for q in ("10", "6", "4")]
    return trader


def test_a_resting_buy_holds_its_limit_until_it_is_filled_or_gone_and_then_nothing(risk: RiskFixture) -> None:
    """1,000 USDT at a limit of 97 is 10.309 BTC = 999.973, with 10 bps of fee 1000.972973."""
    trader = open_trader(risk, max_position_notional="5000")
    assert trader.decide(kind="LIMIT", limit_price="97").quantity == "10.309"
    shown = risk.account("a")
    assert (shown.open_orders[0].hold, shown.free_funds) == ("1000.972973", "8999.027027")
    used = {h.name: h.used for h in shown.headroom}
    assert used["max_position_notional BTC/USDT"] == "999.973"
    # 3 at 96.5 with a rebate of 0.02, below the limit: 289.48 are paid, and 7.309 of 10.309 parts are still held.
    trader.settle("o1", fill("x1", buy=True, quantity="3", price="96.5", fee="-0.02"), final=False)
    part = check_books(risk)
    # 1000.972973 x 7.309 / 10.309 = 709.681973.
    assert (part.open_orders[0].hold, part.open_orders[0].filled_quantity) == ("709.681973", "3")
    assert part.free_funds == "9000.838027"  # 10,000 - 289.48 - 709.681973
    trader.settle("o1", fill("x2", buy=True, quantity="0.001", price="97", fee="0.0000097"), final=False)
    trader.settle("o1", final=True)
    done = check_books(risk)
    assert (list(done.open_orders), done.free_funds, done.fees) == ([], "9710.4229903", "-0.0199903")
    assert {h.name: h.used for h in done.headroom}["cash"] == "0"
    assert risk.rows(store.ORDERS)[0].filled == Decimal("3.001")


def test_a_stop_entry_counts_in_limits_while_it_waits(risk: RiskFixture) -> None:
    trader = open_trader(risk, max_gross_exposure="2000", max_open_positions=1)
    assert trader.decide(kind="STOP", stop_price="125").quantity == "8"
    assert trader.failed(notional="1000.1") == ["GROSS_EXPOSURE_ABOVE_MAXIMUM"]
    assert trader.failed(instrument="ETH/USDT") == ["OPEN_POSITIONS_ABOVE_MAXIMUM"]
    trader.settle("o1", final=True)
    assert trader.decide(notional="2000").verdict == APPROVED


def test_a_price_that_is_missing_is_a_denial_that_names_it(risk: RiskFixture) -> None:
    trader = open_trader(risk)
    decision = trader.decide(kind="STOP_LIMIT", limit_price="97")
    (check,) = [c for c in decision.checks if not c.passed]
    assert check.reason == "ORDER_TERMS_INVALID"
    assert check.detail == "order.stop_price: expected above 0 for STOP_LIMIT, was empty"


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("order.limit_price", {"kind": "LIMIT", "limit_price": "0"}),
        ("order.limit_price", {"kind": "LIMIT", "limit_price": "-1"}),
        ("order.stop_price", {"kind": "STOP", "stop_price": "high"}),
        ("order.trail_percent", {"kind": "TRAILING_STOP", "trail_percent": "0"}),
        ("order.trail_amount", {"kind": "TRAILING_STOP", "trail_amount": "NaN"}),
        ("order.activation_price", {"kind": "TRAILING_STOP", "activation_price": "0"}),
        ("order.quantity", {"leg": "STOP_LOSS", "entry": False, "buy": False}),
        ("order.effect", {"leg": "STOP_LOSS", "order_quantity": "1"}),
    ],
)
def test_a_price_or_a_leg_that_does_not_fit_names_the_field(risk: RiskFixture, field: str, changes: Any) -> None:
    trader = open_trader(risk)
    with pytest.raises(ServiceError) as raised:
        trader.decide(**changes)
    assert raised.value.violations[0].field == field
    assert risk.rows(store.ORDERS) == []


def test_a_leg_that_nobody_knows_is_refused(risk: RiskFixture) -> None:
    request = ask("o", "BTC/USDT", buy=False, entry=False, position="0", price="1", now=risk.now, order_quantity="1")
    request.order.leg = 9  # type: ignore[assignment]
    with pytest.raises(ServiceError, match="expected one of STOP_LOSS, TAKE_PROFIT, CLOSE, was 9"):
        check_request(request, risk.now)


def test_legs_count_nowhere_and_an_exit_closes_all_beside_them(risk: RiskFixture) -> None:
    trader = protected(risk, max_gross_exposure="1000", max_position_notional="1000", max_open_positions=1)
    for process in (trader.process, Process(risk)):
        trader.process = process
        shown = risk.account("a")
        assert [(o.order_id, o.hold, o.quantity) for o in shown.open_orders] == [
            ("o2", "0", "10"), ("o3", "0", "6"), ("o4", "0", "4"),
        ]  # fmt: skip
        assert {h.name: h.used for h in shown.headroom} == {
            "cash": "0", "max_position_notional BTC/USDT": "1000", "max_gross_exposure": "1000", "max_open_positions": "1",
        }  # fmt: skip
        assert shown.free_funds == "9000"
    # By a process that has read the orders from the database.
    assert trader.decide(buy=False, entry=False, position="10").quantity == "10"
    assert [row.leg for row in risk.rows(store.ORDERS)] == ["", "STOP_LOSS", "TAKE_PROFIT", "TAKE_PROFIT", ""]


def test_a_target_fills_and_the_stop_is_made_smaller_until_nothing_is_reserved(risk: RiskFixture) -> None:
    trader = protected(risk)
    # The first target, with a rebate; the stop of 10 goes, one of 4 comes, and fills.
    target = trader.settle("o3", fill("t1", buy=False, quantity="6", price="110", fee="-0.066"))
    assert (target.position.quantity, list(target.flags)) == ("4", [])
    trader.settle("o2", final=True)
    assert leg_of(trader, "STOP_LOSS", "4", "STOP", stop_price="100").quantity == "4"
    # The second target was filled by 1 before it was cancelled.
    trader.settle("o4", fill("t2", buy=False, quantity="1", price="120"), final=True)
    assert leg_of(trader, "STOP_LOSS", "4", "STOP", stop_price="100").quantity == "3"
    trader.settle("o5", final=True)
    stop = trader.settle("o6", fill("s1", buy=False, quantity="3", price="99", fee="0.297"))
    assert (stop.position.quantity, list(stop.flags)) == ("0", [])
    shown = check_books(risk)
    # 6 x 10 + 1 x 20 - 3 x 1 = 77.
    assert (shown.realized_profit, shown.fees, list(shown.open_orders)) == ("77", "0.231", [])
    assert shown.free_funds == "10076.769"


def test_stop_and_target_that_both_fill_are_booked_and_flagged(risk: RiskFixture) -> None:
    trader = protected(risk)
    assert not trader.settle("o2", fill("s1", buy=False, quantity="10", price="90")).flags
    both = trader.settle("o3", fill("t1", buy=False, quantity="6", price="110"))
    assert [(f.name, f.value) for f in both.flags] == [("t1", "EXITS_EXCEED_POSITION")]
    assert both.position.quantity == "-6"
    more = trader.settle("o4", fill("t2", buy=False, quantity="5", price="120"))
    assert [f.value for f in more.flags] == ["FILL_EXCEEDS_ORDER"]
    assert check_books(risk).positions[0].quantity == "-11"
    # Told again it is the same fill, and nothing is wrong with that.
    assert not trader.settle("o3", fill("t1", buy=False, quantity="6", price="110")).flags
    flagged = [e.fill_flagged.reason for e in trader.journal() if e.HasField("fill_flagged")]
    assert flagged == ["EXITS_EXCEED_POSITION", "FILL_EXCEEDS_ORDER"]


@pytest.mark.parametrize("state", [HALTED, REDUCING])
def test_legs_are_recorded_whatever_is_halted_and_without_a_quote(risk: RiskFixture, state: Any) -> None:
    trader = open_trader(
        risk, max_orders_per_minute=2, loss_cooldown_s=600, duplicate_order_window_s=600, max_drawdown_percent="1"
    )
    trader.trade("100")
    trader.decide(position="10", notional="500")
    trader.process.set_state("global", state)
    leg_of(trader, "STOP_LOSS", "10", "STOP", stop_price="90")
    request = ask(
        "n1", "BTC/USDT", buy=False, entry=False, position="", price="1", now=risk.now, kind="TRAILING_STOP",
        leg="STOP_LOSS", order_quantity="10", trail_percent="5",
    )  # fmt: skip
    request.ClearField("quote")
    found = trader.process.evaluate(request)
    assert (found.verdict, found.quantity, found.reduce_only) == (APPROVED, "10", True)
    # Asked again it is the same answer, whatever became of the position.
    trader.settle("n1", fill("s1", buy=False, quantity="10", price="90"))
    assert Process(risk).evaluate(request) == found
    assert leg_of(trader, "CLOSE", "10", "MARKET").verdict == DENIED
    trader.process.set_state("global", ACTIVE)


def test_legs_are_no_orders_of_the_rate(risk: RiskFixture) -> None:
    trader = protected(risk, max_orders_per_minute=2)
    assert trader.decide(position="10").verdict == APPROVED
    assert trader.failed(position="10") == ["ORDER_RATE_EXCEEDED"]


def test_a_leg_is_never_answered_that_the_position_changed(risk: RiskFixture) -> None:
    trader = protected(risk)
    assert trader.decide(buy=False, entry=False, position="9").verdict == CHANGED
    found = leg_of(trader, "STOP_LOSS", "12", "STOP", stop_price="90", position="9")
    assert (found.verdict, found.quantity, found.position_quantity) == (APPROVED, "10", "10")
    request = trader.last
    request.order.order_id = "preview"
    checked, settings = check_request(request, risk.now), trader.process.context.settings
    content = risk.read(lambda c: preview_order(c, checked, settings))
    assert order_pb2.RiskDecision.FromString(content).quantity == "10"


def test_a_leg_that_the_venue_refuses_counts_as_a_failure(risk: RiskFixture) -> None:
    trader = Trader(risk)
    update(trader, breakers=risk_pb2.Breakers(max_failures_in_a_row=1))
    trader.trade("100")
    leg_of(trader, "STOP_LOSS", "10", "STOP", stop_price="90")
    trader.settle("o2", state=common_pb2.ORDER_STATE_REJECTED)
    assert trader.states() == {"account:a": ("REDUCING", "breaker:failures")}
    assert leg_of(trader, "CLOSE", "10", "MARKET").verdict == APPROVED
