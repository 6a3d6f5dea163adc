"""What orders that rest cost and reserve, and what legs of brackets take: worked out by hand.

Unless a case says otherwise: 10,000 USDT, a quote of bid 99 and ask 100, entries of 1,000 USDT in lots of 0.001.
"""

from decimal import Decimal
from typing import Any

import pytest
from vantixs_risk.domain.equity import Mark
from vantixs_risk.domain.evaluation import Decision, evaluate
from vantixs_risk.domain.inputs import Inputs, Stop
from vantixs_risk.domain.rules import Sizing

from tests.support.cases import BTC, ENTRY, EXIT, LEG, NOW, PERP, D, change, exit_of, failed, held, leg_of

WIDE = change(ENTRY, quote=Mark(D(99), D(100), NOW), may_short=True)
STOP_95 = {"sizing": Sizing("RISK_PERCENT", D(1)), "stop": Stop("PRICE", D(95))}
STOP_120 = {"sizing": Sizing("RISK_PERCENT", D(1)), "stop": Stop("PRICE", D(120))}


def limit(price: str, **more: Any) -> dict[str, Any]:
    return {"order_type": "LIMIT", "limit_price": D(price), **more}


def stop(price: str, **more: Any) -> dict[str, Any]:
    return {"order_type": "STOP", "stop_price": D(price), **more}


def stop_limit(trigger: str, price: str, **more: Any) -> dict[str, Any]:
    return {"order_type": "STOP_LIMIT", "stop_price": D(trigger), "limit_price": D(price), **more}


def trailing(**more: Any) -> dict[str, Any]:
    return {"order_type": "TRAILING_STOP", **more}


def decide(inputs: Inputs, **changes: Any) -> Decision:
    return evaluate(change(inputs, **changes))


@pytest.mark.parametrize(
    ("buy", "terms", "price", "quantity"),
    [
        # A buy at a limit costs the limit, below the market and above it.
        (True, limit("80"), "80", "12.5"),
        (True, limit("125"), "125", "8"),
        # A trigger above the market costs the trigger; one that was passed costs the ask.
        (True, stop("125"), "125", "8"),
        (True, stop("80"), "100", "10"),
        (True, stop_limit("110", "125"), "125", "8"),
        (True, stop_limit("110", "80"), "80", "12.5"),
        (True, trailing(stop_price=D(125)), "125", "8"),
        (True, trailing(stop_price=D(80)), "100", "10"),
        # 25 % above the ask; 25 above the activation price of 80 is 105.
        (True, trailing(trail_percent=D(25)), "125", "8"),
        (True, trailing(trail_percent=D(25), trail_amount=D(10)), "125", "8"),
        (True, trailing(trail_percent=D(10), trail_amount=D(25)), "125", "8"),
        (True, trailing(trail_amount=D(25), activation_price=D(80)), "105", "9.523"),
        # A sell brings its limit or more: the bid, where that is higher.
        (False, limit("125"), "125", "8"),
        (False, limit("80"), "99", "10.101"),
        (False, stop("80"), "80", "12.5"),
        (False, stop("125"), "125", "8"),
        (False, stop_limit("90", "80"), "90", "11.111"),
        (False, stop_limit("80", "90"), "90", "11.111"),
        (False, trailing(stop_price=D(80)), "99", "10.101"),
        # From 200 on, 75 below the best price.
        (False, trailing(trail_amount=D(75), activation_price=D(200)), "125", "8"),
    ],
)
def test_an_entry_that_rests_is_sized_and_reckoned_at_its_own_price(
    buy: bool, terms: dict[str, Any], price: str, quantity: str
) -> None:
    decision = decide(WIDE, buy=buy, **terms)
    assert decision.approved, [c for c in decision.checks if not c.passed]
    assert (decision.metrics.price, decision.quantity) == (D(price), D(quantity))
    assert decision.notional == D(price) * D(quantity) <= 1000
    assert decision.steps["price"] == price
    (terms_checked,) = [c for c in decision.checks if c.reason == "ORDER_TERMS_INVALID"]
    assert terms_checked.inputs["order_type"] == terms["order_type"]
    for reason in ("ORDER_NOTIONAL_BELOW_MINIMUM", "INSUFFICIENT_FUNDS"):
        (check,) = [c for c in decision.checks if c.reason == reason]
        assert (check.inputs["price"], check.inputs["quote_price"]) == (price, "100" if buy else "99")


@pytest.mark.parametrize(
    ("terms", "hold"),
    [
        # 1,000, with 10 bps of fee; the 50 bps for a price that moves only where it can.
        (limit("80"), "1001"),
        (limit("125"), "1001"),
        (stop("125"), "1006"),
        (stop_limit("110", "125"), "1006"),
        (trailing(stop_price=D(125)), "1006"),
        ({"order_type": "MARKET"}, "1006"),
        # 8 at 125 on a perpetual at 5 times, and a short of 8 on spot at the same: 200 of margin.
        (limit("125", market=PERP, max_leverage=D(5)), "201"),
        (stop("125", market=PERP, max_leverage=D(5)), "206"),
        (limit("125", buy=False, max_leverage=D(5)), "206"),
    ],
)
def test_an_entry_that_rests_holds_what_it_may_cost(terms: dict[str, Any], hold: str) -> None:
    decision = decide(WIDE, fee_bps=D(10), price_buffer_bps=D(50), **terms)
    assert (decision.approved, decision.notional, decision.reserved_funds) == (True, 1000, D(hold))


@pytest.mark.parametrize(
    ("changes", "quantity"),
    [
        # 1 % of 10,000 is 100 at risk.
        (limit("97", **STOP_95), "50"),
        (limit("105", **STOP_95), "10"),
        (stop("115", **STOP_95), "5"),
        # The trigger was passed: it would buy at the ask of 100, and not at 97.
        (stop("97", **STOP_95), "20"),
        (stop_limit("101", "105", **STOP_95), "10"),
        (limit("110", buy=False, **STOP_120), "10"),
        # It may be filled at 80 and not only at the bid of 99.
        (limit("80", buy=False, **STOP_120), "2.5"),
        (stop("80", buy=False, **STOP_120), "2.5"),
        (stop_limit("90", "80", buy=False, **STOP_120), "2.5"),
        (limit("80", sizing=Sizing("RISK_PERCENT", D(1)), stop=Stop("PERCENT", D(5))), "25"),
        (limit("80", sizing=Sizing("EQUITY_PERCENT", D(20))), "25"),
        (limit("80", sizing=Sizing("FIXED_QUANTITY", D(3))), "3"),
        (limit("80", signal_quantity=D(400), signal_quantity_type="NOTIONAL"), "5"),
    ],
)
def test_sizing_of_an_entry_that_rests_uses_its_own_price(changes: dict[str, Any], quantity: str) -> None:
    decision = decide(WIDE, **changes)
    assert (failed(change(WIDE, **changes)), decision.quantity) == ([], D(quantity))


def test_a_stop_loss_on_the_wrong_side_of_the_limit_is_refused_though_the_quote_is_on_the_right_one() -> None:
    assert failed(change(WIDE, **limit("95", **STOP_95))) == ["STOP_LOSS_INVALID"]


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        # The order of 8 at 125 beside the 2 held, at the quote of 100: 1,200.
        ({"max_position_notional": (D("1199.9"), D(1200))}, "POSITION_NOTIONAL_ABOVE_MAXIMUM"),
        # The mark of a long is its bid: 2 x 99 + 1,000.
        ({"max_gross_exposure": (D("1197.9"), D(1198))}, "GROSS_EXPOSURE_ABOVE_MAXIMUM"),
        ({"max_order_notional": (D("999.9"), D(1000))}, "ORDER_NOTIONAL_ABOVE_MAXIMUM"),
        # 1,198 over 10,198.
        ({"max_leverage": (D("0.11747"), D("0.11748"))}, "LEVERAGE_ABOVE_MAXIMUM"),
    ],
)
def test_limits_hold_at_the_price_of_the_order(limits: dict[str, Any], reason: str) -> None:
    ((name, (below, at)),) = limits.items()
    inputs = change(WIDE, holdings={"BTC/USDT": held(BTC, "2", "200", "99")}, **stop("125"))
    assert failed(change(inputs, **{name: below})) == [reason]
    decision = evaluate(change(inputs, **{name: at}))
    assert decision.approved
    (check,) = [c for c in decision.checks if c.reason == reason]
    assert (check.inputs["price"], check.inputs["quote_price"]) == ("125", "100")


def test_the_signals_price_is_held_against_the_quote_and_not_against_a_far_limit() -> None:
    inputs = change(WIDE, max_price_deviation_bps=10, **limit("50"))
    assert failed(change(inputs, signal_price=D(100))) == []
    assert failed(change(inputs, signal_price=D(50))) == ["PRICE_DEVIATION_EXCEEDED"]


def test_an_entry_that_rests_needs_a_quote_as_any_other() -> None:
    assert failed(change(WIDE, quote=None, **limit("80"))) == ["PRICE_STALE", "SIZING_UNAVAILABLE"]


@pytest.mark.parametrize(
    ("terms", "detail"),
    [
        ({"order_type": "LIMIT"}, "order.limit_price: expected above 0 for LIMIT, was empty"),
        ({"order_type": "STOP"}, "order.stop_price: expected above 0 for STOP, was empty"),
        (
            {"order_type": "TRAILING_STOP"},
            "order.stop_price or order.trail_percent or order.trail_amount: expected above 0 for TRAILING_STOP, was empty",
        ),
        (
            trailing(trail_percent=D(100), buy=False),
            "order.trail_percent or order.trail_amount: expected a stop above 0, was 0",
        ),
    ],
)
def test_terms_that_lack_something_name_the_field_and_what_was_expected(terms: dict[str, Any], detail: str) -> None:
    (check,) = [c for c in decide(WIDE, **terms).checks if not c.passed]
    assert (check.reason, check.detail) == ("ORDER_TERMS_INVALID", detail)


def test_stop_and_targets_are_for_the_same_quantity_and_leave_it_to_exits() -> None:
    """10 are held. Stop of 10, targets of 6 and 4; an exit of a signal may still close all, and counts for the next one."""
    legs = (leg_of("10"), leg_of("6"), leg_of("4"))
    assert decide(LEG, reservations=legs[:1], order_quantity=D(6)).quantity == 6
    assert decide(LEG, reservations=legs).quantity == 10
    leaving = decide(EXIT, reservations=legs)
    assert (leaving.approved, leaving.quantity, leaving.metrics.own_exits_quantity) == (True, 10, 0)
    assert decide(EXIT, reservations=(*legs, exit_of("7"))).quantity == 3
    # The other way round a leg does not wait for an exit: the position is held until that is filled.
    assert decide(LEG, reservations=(exit_of("10"),)).quantity == 10


@pytest.mark.parametrize(
    ("changes", "quantity"),
    [
        ({"order_quantity": D("9.9995")}, "9.9995"),  # As the bracket says, though it is no multiple of the lot.
        ({"order_quantity": D(11)}, "10"),
        ({"order_quantity": D(11), "holdings": {"BTC/USDT": held(BTC, "9.9995", "1", "1")}}, "9.999"),
        ({"holdings": {"BTC/USDT": held(BTC, "-10", "-1", "1")}, "buy": True, "order_quantity": D(12)}, "10"),
        # What sizes entries and exits says nothing.
        ({"signal_quantity": D(1), "signal_quantity_type": "UNITS"}, "10"),
    ],
)
def test_a_leg_is_as_large_as_its_bracket_says_and_no_larger_than_the_position(
    changes: dict[str, Any], quantity: str
) -> None:
    decision = decide(LEG, **changes)
    assert (decision.approved, decision.quantity) == (True, D(quantity))
    assert ("closable" in decision.steps) == (decision.quantity < D(decision.steps["order_quantity"]))


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        # 0.5 are held. The notional of 50 is below the venue's minimum of 100: an exit is approved all the same.
        ({"minimum_notional": D(100), "min_order_notional": D(100)}, []),
        # A lot is more than what is held.
        ({"lot_size": D(1)}, ["ORDER_QUANTITY_BELOW_MINIMUM"]),
        # Of 0.5 two lots of 0.2 can go; 0.1 stays.
        ({"lot_size": D("0.2")}, []),
    ],
)
def test_what_an_exit_of_dust_is_answered(changes: dict[str, Any], reasons: list[str]) -> None:
    inputs = change(EXIT, holdings={"BTC/USDT": held(BTC, "0.5", "50", "100")}, **changes)
    assert failed(inputs) == reasons
    lot = Decimal(str(changes.get("lot_size", "0.001")))
    assert evaluate(inputs).quantity == D("0.5") // lot * lot


def test_an_exit_that_rests_is_reckoned_at_the_quote() -> None:
    decision = decide(EXIT, signal_quantity=D(500), signal_quantity_type="NOTIONAL", **limit("125"))
    assert (decision.approved, decision.quantity, decision.notional, decision.reserved_funds) == (True, 5, 500, 0)
