"""An entry and an exit that pass every check, for tests to change one thing of."""

from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from vantixs_risk.domain.equity import EquityHistory, Holding, Mark
from vantixs_risk.domain.evaluation import evaluate
from vantixs_risk.domain.inputs import Books, Inputs, OrderRequest
from vantixs_risk.domain.ledger import Market, Position
from vantixs_risk.domain.reservations import Reservation
from vantixs_risk.domain.rules import Limits, Rules, Sizing

D = Decimal
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)  # a Tuesday
BTC, ETH, PERP = Market.of("BTC/USDT"), Market.of("ETH/USDT"), Market.of("BTC/USDT:USDT")
QUOTE = Mark(D(100), D(100), NOW)
EQUITY = EquityHistory(date(2026, 11, 24), D(10_000), D(10_000))
RULES = Rules("paper", "PAPER", "USDT", sizing=Sizing("FIXED_NOTIONAL", D(1000)))
ENTRY = Inputs(
    order=OrderRequest(BTC, D("0.001"), buy=True, entry=True, minimum_notional=D(5), quote=QUOTE),
    rules=RULES,
    books=Books(D(10_000), EQUITY, {}),
    now=NOW,
    trading_states={},
    max_price_age_ms=5000,
    max_mark_age_s=300,
)
LONG = Holding(BTC, Position(D(10), D(900)), QUOTE)
EXIT = ENTRY._replace(
    order=ENTRY.order._replace(buy=False, entry=False), books=Books(D(10_000), EQUITY, {"BTC/USDT": LONG})
)
# The stop loss of all of it, decided without a quote.
LEG = EXIT._replace(
    order=EXIT.order._replace(
        order_type="STOP", stop_price=D(90), order_quantity=D(10), leg="STOP_LOSS", sizing=None, quote=None
    )
)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def change(inputs: Inputs, **changes: Any) -> Inputs:
    """The inputs with fields changed, wherever in them a field of that name is."""
    for name, value in changes.items():
        if name in Limits.__dataclass_fields__:
            limits = replace(inputs.rules.limits, **{name: value})
            inputs = inputs._replace(rules=replace(inputs.rules, limits=limits))
        elif name in OrderRequest._fields and name != "sizing":
            inputs = inputs._replace(order=inputs.order._replace(**{name: value}))
        elif name in Books._fields:
            inputs = inputs._replace(books=inputs.books._replace(**{name: value}))
        elif name in {field.name for field in fields(Rules)}:
            inputs = inputs._replace(rules=replace(inputs.rules, **{name: value}))
        else:
            inputs = inputs._replace(**{name: value})
    return inputs


def entry_of(instrument: Market, notional: int, quantity: int = 1, hold: int | None = None) -> Reservation:
    """An open entry."""
    return Reservation(
        instrument.instrument, True, True, D(quantity), D(notional), D(notional if hold is None else hold)
    )


def exit_of(quantity: str) -> Reservation:
    """An open exit of BTC/USDT."""
    return Reservation("BTC/USDT", False, False, D(quantity), D(0), D(0))


def leg_of(quantity: str) -> Reservation:
    """An open leg of BTC/USDT."""
    return Reservation("BTC/USDT", False, False, D(quantity), D(0), D(0), leg=True)


def held(market: Market, quantity: str, cost: str, price: str, age_s: float = 0) -> Holding:
    """A position with a mark of a price and an age."""
    return Holding(market, Position(D(quantity), D(cost)), Mark(D(price), D(price), NOW - seconds(age_s)))


def failed(inputs: Inputs) -> list[str]:
    """The reasons of the checks that fail."""
    return [check.reason for check in evaluate(inputs).checks if not check.passed]
