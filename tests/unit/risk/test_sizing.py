"""How large an order becomes: each method by hand, exact, rounded down, and only ever made smaller by a signal."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vantixs_risk.domain.equity import Mark
from vantixs_risk.domain.evaluation import evaluate
from vantixs_risk.domain.inputs import Inputs, Stop
from vantixs_risk.domain.rules import Sizing

from tests.support.cases import BTC, ENTRY, EXIT, NOW, D, change, exit_of, held

KELLY = Sizing("KELLY", D("0.5"), win_rate=D("0.6"), payoff=D(2), maximum_equity_percent=D(50))


def sized(inputs: Inputs, **changes: Any) -> Decimal:
    decision = evaluate(change(inputs, **changes))
    assert decision.approved, [c for c in decision.checks if not c.passed]
    return decision.quantity


def priced(bid: str, ask: str) -> Mark:
    return Mark(D(bid), D(ask), NOW)


@pytest.mark.parametrize(
    ("changes", "quantity"),
    [
        ({"sizing": Sizing("FIXED_QUANTITY", D("1.2345"))}, "1.234"),
        ({"sizing": Sizing("FIXED_NOTIONAL", D(1000))}, "10"),
        ({"sizing": Sizing("FIXED_NOTIONAL", D("999.999999"))}, "9.999"),
        ({"sizing": Sizing("FIXED_NOTIONAL", D(1000)), "quote": priced("90", "300")}, "3.333"),
        ({"sizing": Sizing("FIXED_NOTIONAL", D(1000)), "quote": priced("300", "400"), "buy": False, "may_short": True}, "3.333"),
        ({"sizing": Sizing("EQUITY_PERCENT", D(25))}, "25"),
        ({"sizing": Sizing("EQUITY_PERCENT", D(100)), "quote": priced("3", "3")}, "3333.333"),
        # 1 % of 10,000 is 100 at risk; 5 a unit between 100 and 95 make 20 units.
        ({"sizing": Sizing("RISK_PERCENT", D(1)), "stop": Stop("PRICE", D(95))}, "20"),
        ({"sizing": Sizing("RISK_PERCENT", D(1)), "stop": Stop("AMOUNT", D(3))}, "33.333"),
        ({"sizing": Sizing("RISK_PERCENT", D(1)), "stop": Stop("PERCENT", D(4))}, "25"),
        ({"sizing": Sizing("RISK_PERCENT", D(1)), "stop": Stop("PRICE", D(105)), "buy": False, "may_short": True}, "20"),
        # W - (1 - W) / R = 0.6 - 0.4 / 2 = 0.4 of equity, half of that is 2,000, below the ceiling of 5,000.
        ({"sizing": KELLY}, "20"),
        ({"sizing": replace(KELLY, maximum_equity_percent=D(10))}, "10"),
        ({"sizing": replace(KELLY, payoff=D(1))}, "10"),
        ({"sizing": Sizing("SIGNAL_QUANTITY"), "signal_quantity": D("2.5")}, "2.5"),
        ({"sizing": Sizing("SIGNAL_QUANTITY", D(2)), "signal_quantity": D("2.5")}, "2"),
        ({"sizing": Sizing("SIGNAL_QUANTITY", D(3)), "signal_quantity": D("2.5")}, "2.5"),
        ({"sizing": Sizing("SIGNAL_QUANTITY", D(9)), "signal_quantity": D(250), "signal_quantity_type": "NOTIONAL"}, "2.5"),
    ],
)  # fmt: skip
def test_method_gives_the_quantity_computed_by_hand(changes: dict[str, Any], quantity: str) -> None:
    assert sized(ENTRY, **changes) == D(quantity)


@pytest.mark.parametrize(
    ("kind", "amount", "entry", "leaving"),
    [
        ("UNITS", "2", "2", "2"),
        ("UNITS", "99", "10", "10"),
        ("UNSPECIFIED", "2", "2", "2"),
        ("NOTIONAL", "250", "2.5", "2.5"),
        ("NOTIONAL", "999999", "10", "10"),
        ("EQUITY_PERCENT", "5", "5", "5.5"),
        ("EQUITY_PERCENT", "50", "10", "10"),
        ("RISK_PERCENT", "0.5", "5", "5.5"),
        ("RISK_PERCENT", "5", "10", "10"),
    ],
)
def test_signal_makes_an_entry_and_an_exit_smaller_and_never_larger(
    kind: str, amount: str, entry: str, leaving: str
) -> None:
    """The exit's account also holds 10 worth 1,000, so its equity is 11,000."""
    changes = {"signal_quantity": D(amount), "signal_quantity_type": kind, "stop": Stop("PRICE", D(90))}
    assert sized(ENTRY, **changes) == D(entry)
    assert sized(EXIT, **changes) == D(leaving)


@pytest.mark.parametrize(
    ("changes", "quantity"),
    [
        # A sizing of our own: 1 of the sender's 3 is a third of our 10, rounded down to the lot.
        ({"signal_quantity": D(1), "signal_previous_quantity": D(3)}, "3.333"),
        ({"signal_quantity": D(2), "signal_previous_quantity": D(4)}, "5"),
        ({"signal_quantity": D(5), "signal_previous_quantity": D(3)}, "10"),
        ({"signal_quantity": D(1), "signal_previous_quantity": D(3), "sizing": Sizing("SIGNAL_QUANTITY", D(9))}, "3.333"),
        # The size is the signal's own: as sent.
        ({"signal_quantity": D(1), "signal_previous_quantity": D(3), "sizing": Sizing("SIGNAL_QUANTITY")}, "1"),
        ({"signal_quantity": D(1)}, "1"),
        ({"signal_quantity": D(1), "signal_previous_quantity": D(0)}, "1"),
        ({"signal_quantity": D(50), "signal_quantity_type": "POSITION_PERCENT", "signal_previous_quantity": D(3)}, "5"),
    ],
)  # fmt: skip
def test_exit_takes_the_share_that_the_sender_takes(changes: dict[str, Any], quantity: str) -> None:
    assert sized(EXIT, **changes) == D(quantity)


def test_percent_of_the_position_narrows_an_exit_and_an_addition() -> None:
    half = {"signal_quantity": D(50), "signal_quantity_type": "POSITION_PERCENT"}
    assert sized(EXIT, **half) == 5
    assert sized(EXIT, entry=True, buy=True, **half) == 5
    assert sized(EXIT, **{**half, "signal_quantity": D(100)}) == 10


def test_order_that_names_its_most_is_not_larger() -> None:
    assert sized(ENTRY, order_quantity=D("3.0009")) == 3
    assert sized(ENTRY, order_quantity=D(11)) == 10
    assert sized(EXIT, order_quantity=D(4)) == 4
    assert sized(EXIT, order_quantity=D(4), signal_quantity=D(3)) == 3


def test_parts_of_the_position_are_of_the_most_that_an_exit_names() -> None:
    half = {"signal_quantity": D(50), "signal_quantity_type": "POSITION_PERCENT", "order_quantity": D(4)}
    assert sized(EXIT, **half) == 2
    assert sized(EXIT, **{**half, "order_quantity": D(40)}) == 5
    assert sized(EXIT, signal_quantity=D(1), signal_previous_quantity=D(2), order_quantity=D(4)) == 2
    # Of an addition it is not: there the most is of the order alone.
    assert sized(EXIT, entry=True, buy=True, **half) == 4


def test_exit_is_capped_to_what_is_held_and_not_already_on_its_way_out() -> None:
    assert sized(EXIT, signal_quantity=D(50), reservations=(exit_of("4"),)) == 6
    assert sized(EXIT, signal_quantity=D(5), reservations=(exit_of("4"),)) == 5


def test_exit_without_a_price_is_told_from_the_last_one_known() -> None:
    notional = {"signal_quantity": D(250), "signal_quantity_type": "NOTIONAL", "mode": "LIVE", "quote": None}
    live = change(EXIT, rules=replace(EXIT.rules, mode="LIVE", credential_id="c"))
    assert sized(live, **notional) == D("2.5")
    assert sized(live, **notional, holdings={"BTC/USDT": held(BTC, "10", "900", "50")}) == 5


def test_stop_of_a_short_that_is_left_lies_above() -> None:
    short = {"holdings": {"BTC/USDT": held(BTC, "-10", "-1000", "100")}, "buy": True}
    risk = {"signal_quantity": D(1), "signal_quantity_type": "RISK_PERCENT", "stop": Stop("PRICE", D(110))}
    # Equity is cash of 10,000 less the 1,000 that are owed.
    assert sized(EXIT, **short, **risk) == 9


@pytest.mark.parametrize(
    "changes",
    [
        {"signal_quantity_type": "RISK_PERCENT"},
        {"signal_quantity_type": "RISK_PERCENT", "stop": Stop("PRICE", D(110))},
        {"signal_quantity_type": "BOXES"},
        {"signal_quantity_type": "EQUITY_PERCENT", "cash": D(-99_999)},
    ],
)
def test_size_that_cannot_be_told_keeps_nobody_in(changes: dict[str, Any]) -> None:
    decision = evaluate(change(EXIT, signal_quantity=D(1), **changes))
    assert (decision.approved, decision.quantity) == (True, 10)
    assert decision.steps["signal_quantity_left_out"]


def test_quantity_no_message_can_name_is_refused() -> None:
    tiny = Mark(D("1e-18"), D("1e-18"), NOW)
    decision = evaluate(change(ENTRY, quote=tiny, sizing=Sizing("FIXED_NOTIONAL", D(1000))))
    assert [c.reason for c in decision.checks if not c.passed] == ["ORDER_QUANTITY_ABOVE_MAXIMUM"]
    most = {"quote": tiny, "cash": D(10**9), "lot_size": D(1), "minimum_notional": D(0)}
    for quantity, reasons in ((10**20 - 1, []), (10**20, ["ORDER_QUANTITY_ABOVE_MAXIMUM"])):
        decision = evaluate(change(ENTRY, sizing=Sizing("FIXED_QUANTITY", D(quantity)), **most))
        assert [c.reason for c in decision.checks if not c.passed] == reasons
        assert [c.reason for c in decision.checks if c.reason == "ORDER_QUANTITY_ABOVE_MAXIMUM"] == reasons


def test_webhook_sizing_goes_before_the_account_s() -> None:
    inputs = ENTRY._replace(order=ENTRY.order._replace(sizing=Sizing("FIXED_QUANTITY", D(3))))
    assert evaluate(inputs).quantity == 3


def test_equity_below_nothing_sizes_nothing() -> None:
    owing = {"cash": D(-5), "sizing": Sizing("EQUITY_PERCENT", D(50)), "minimum_notional": D(0)}
    decision = evaluate(change(ENTRY, **owing))
    assert decision.quantity == 0
    assert not decision.approved


def test_steps_say_how_the_quantity_came_out() -> None:
    decision = evaluate(change(ENTRY, sizing=Sizing("EQUITY_PERCENT", D(25)), signal_quantity=D("7.77777")))
    assert decision.steps == {
        "method": "EQUITY_PERCENT",
        "price": "100",
        "value": "25",
        "equity": "10000",
        "sized": "25",
        "narrowed_by_signal": "7.77777",
        "lot_size": "0.001",
        "quantity": "7.777",
    }
    kelly = evaluate(change(ENTRY, sizing=KELLY)).steps
    assert (kelly["kelly_ratio"], kelly["kelly_notional"], kelly["ceiling_notional"]) == ("0.4", "2000", "5000")


def test_hold_has_fee_and_buffer_on_top_and_margin_below() -> None:
    extra = {"fee_bps": D(10), "price_buffer_bps": D(50)}
    assert evaluate(change(ENTRY, **extra)).reserved_funds == D(1006)
    perpetual = change(
        ENTRY, market=replace(BTC, instrument="BTC/USDT:USDT", perpetual=True), max_leverage=D(4), **extra
    )
    assert evaluate(perpetual).reserved_funds == D(256)
    assert evaluate(change(ENTRY, buy=False, may_short=True, max_leverage=D(4), **extra)).reserved_funds == D(256)
    assert evaluate(change(EXIT, **extra)).reserved_funds == 0


AMOUNT = st.decimals(min_value="0.000000000000000001", max_value="99999999999999999999", places=18, allow_nan=False)


@given(AMOUNT, AMOUNT, AMOUNT, AMOUNT)
def test_any_amounts_give_an_exact_multiple_of_the_lot_that_is_not_above_what_was_asked(
    value: Decimal, price: Decimal, lot: Decimal, asked: Decimal
) -> None:
    changes = {"sizing": Sizing("FIXED_NOTIONAL", value), "quote": Mark(price, price, NOW), "lot_size": lot}
    decision = evaluate(change(ENTRY, cash=D("1e40"), signal_quantity=asked, **changes))
    # A product or quotient of decimals of this size is rounded.
    quantity = Fraction(decision.quantity)
    assert (quantity / Fraction(lot)).denominator == 1
    assert quantity <= asked
    assert quantity * Fraction(price) <= Fraction(value)
