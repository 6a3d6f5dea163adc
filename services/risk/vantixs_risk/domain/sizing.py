"""Sizes an order step by step. Pure.

The method of the sizing gives a quantity in base units. The order's own maximum and the signal's own quantity can only make
it smaller. It is rounded down to the lot. Where the quantity is not known the order is denied with the reason.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from vantixs_risk.domain.exact import HUNDRED, ZERO, divide_down, multiple_down, show
from vantixs_risk.domain.inputs import Inputs
from vantixs_risk.domain.metrics import RiskMetrics
from vantixs_risk.domain.rules import ONE, Sizing

PERCENT = Decimal("0.01")
UNAVAILABLE = "SIZING_UNAVAILABLE"
STOP_MISSING, STOP_INVALID = "STOP_LOSS_MISSING", "STOP_LOSS_INVALID"
QUANTITY_MISSING, NO_EDGE = "SIGNAL_QUANTITY_MISSING", "KELLY_EDGE_NOT_POSITIVE"
FAILURES = (UNAVAILABLE, STOP_MISSING, STOP_INVALID, QUANTITY_MISSING, NO_EDGE)


class Sized(NamedTuple):
    """The result of a sizing.

    Attributes:
        quantity: base units, a multiple of the lot; None where it is not known; then `reason` and `detail` say why.
        steps: name and value of each step, in order.
    """

    quantity: Decimal | None
    steps: dict[str, str]
    reason: str = ""
    detail: str = ""


class _Unknown(Exception):
    """The quantity is not known."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


@dataclass(slots=True)
class _Work:
    """A sizing under way."""

    inputs: Inputs
    metrics: RiskMetrics
    sizing: Sizing
    price: Decimal
    risk_price: Decimal
    steps: dict[str, str] = field(default_factory=dict)

    def step(self, name: str, amount: Decimal) -> Decimal:
        """Records a step."""
        self.steps[name] = show(amount)
        return amount

    def value(self) -> Decimal:
        """The sizing's value, above 0."""
        if self.sizing.value is None or self.sizing.value <= 0:
            raise _Unknown(UNAVAILABLE, f"{self.sizing.method} needs a value above 0")
        return self.step("value", self.sizing.value)

    def held(self) -> Decimal:
        """The position's size, of which shares are taken. An exit with a maximum acts on no more than that (ADR 41)."""
        held, most = abs(self.metrics.own.position.quantity), self.inputs.order.order_quantity
        if self.inputs.order.entry or most is None or most >= held:
            return held
        return self.step("acts_on", most)

    def equity(self) -> Decimal:
        """The account's equity, at least 0."""
        return max(self.step("equity", self.metrics.valuation.equity), ZERO)


def size(inputs: Inputs, metrics: RiskMetrics) -> Sized:
    """The quantity of the order."""
    order = inputs.order
    sizing = order.sizing or inputs.rules.sizing or Sizing("none")
    price, risk_price = metrics.exit_price, metrics.exit_price
    if order.entry:
        price, risk_price = metrics.price, metrics.risk_price
    work = _Work(inputs, metrics, sizing, price, risk_price)
    if order.leg:
        return _leg(work)
    try:
        quantity = _entry(work) if order.entry else work.step("closable", metrics.closable)
        if order.order_quantity is not None and order.order_quantity < quantity:
            quantity = work.step("narrowed_by_order", order.order_quantity)
        wanted = _narrowing(work)
        if wanted is not None and wanted < quantity:
            quantity = work.step("narrowed_by_signal", wanted)
    except _Unknown as unknown:
        return Sized(None, work.steps, unknown.reason, unknown.detail)
    work.step("lot_size", order.lot_size)
    return Sized(work.step("quantity", multiple_down(quantity, order.lot_size)), work.steps)


def _leg(work: _Work) -> Sized:
    """The quantity of a leg: as its bracket says, and at most the position.

    A leg for more than the position is made smaller and not denied, as the position would be without a stop until the
    bracket is updated.
    """
    order, metrics = work.inputs.order, work.metrics
    quantity = work.step("order_quantity", order.order_quantity or ZERO)
    closes = (metrics.own.position.quantity > 0) != order.buy
    if closes and quantity > metrics.closable:
        work.step("closable", metrics.closable)
        work.step("lot_size", order.lot_size)
        quantity = multiple_down(metrics.closable, order.lot_size)
    return Sized(work.step("quantity", quantity), work.steps)


def _narrowing(work: _Work) -> Decimal | None:
    """The signal's own quantity in base units, or None where it has none.

    An exit is never denied for it. Where it is not known, or is 0 because the account has no equity left, everything that
    can be closed is closed, and the steps say so (ADR 0010).
    """
    if work.inputs.order.signal_quantity is None:
        return None
    if work.inputs.order.entry:
        return _signal_units(work)
    try:
        units = _signal_units(work)
    except _Unknown as unknown:
        work.steps["signal_quantity_left_out"] = unknown.detail
        return None
    if units <= 0:
        work.steps["signal_quantity_left_out"] = "it comes to 0"
        return None
    return units


def _entry(work: _Work) -> Decimal:
    method = _METHODS.get(work.sizing.method)
    if method is None:
        raise _Unknown(UNAVAILABLE, f"expected one of {', '.join(_METHODS)}, was {work.sizing.method}")
    work.steps["method"] = work.sizing.method
    if not work.price:
        raise _Unknown(UNAVAILABLE, "there is no price to size at")
    work.step("price", work.price)
    if work.inputs.order.order_type != "MARKET":
        work.steps["order_type"] = work.inputs.order.order_type
    return work.step("sized", method(work))


def _fixed_quantity(work: _Work) -> Decimal:
    return work.value()


def _fixed_notional(work: _Work) -> Decimal:
    return divide_down(work.value(), work.price)


def _equity_percent(work: _Work) -> Decimal:
    return _units_of_equity(work, work.value())


def _risk_percent(work: _Work) -> Decimal:
    return _units_at_risk(work, work.value())


def _kelly(work: _Work) -> Decimal:
    """Fraction x Kelly x equity, at most the ceiling.

    Kelly's share of equity is W - (1 - W) / R for a win rate W and a payoff R (average win / average loss), here
    multiplied by R throughout so that there is one division. Source: Kelly 1956; Thorp 2006, section 2.
    """
    sizing, fraction = work.sizing, work.value()
    if sizing.win_rate is None or sizing.payoff is None or sizing.maximum_equity_percent is None:
        raise _Unknown(UNAVAILABLE, "KELLY needs win_rate_ratio, payoff_ratio and maximum_equity_percent")
    if not (0 < sizing.win_rate < 1 and sizing.payoff > 0 and fraction <= 1):
        raise _Unknown(UNAVAILABLE, "KELLY needs 0 < win_rate_ratio < 1, payoff_ratio > 0 and a fraction of at most 1")
    win_rate, payoff = work.step("win_rate_ratio", sizing.win_rate), work.step("payoff_ratio", sizing.payoff)
    edge = win_rate * payoff - (ONE - win_rate)
    work.step("kelly_ratio", divide_down(edge, payoff))
    if edge <= 0:
        shown = show(divide_down(edge, payoff))
        raise _Unknown(NO_EDGE, f"Kelly's share is {shown} of equity, so there is nothing to bet")
    equity = work.equity()
    amount = work.step("kelly_notional", divide_down(equity * fraction * edge, payoff))
    ceiling = work.step("ceiling_notional", divide_down(equity * sizing.maximum_equity_percent, HUNDRED))
    return divide_down(min(amount, ceiling), work.price)


def _signal_quantity(work: _Work) -> Decimal:
    if work.inputs.order.signal_quantity is None:
        raise _Unknown(QUANTITY_MISSING, "the sizing is the signal's own quantity, and the signal sent none")
    wanted = work.step("asked_by_signal", _signal_units(work))
    return wanted if work.sizing.value is None else min(wanted, work.step("maximum", work.sizing.value))


def _signal_units(work: _Work) -> Decimal:
    """The signal's own quantity in base units."""
    order, price = work.inputs.order, work.price
    quantity = order.signal_quantity or ZERO
    match order.signal_quantity_type:
        case "UNITS" | "UNSPECIFIED":
            return quantity if order.entry else _share_of_position(work, quantity)
        case "POSITION_PERCENT":
            return divide_down(work.held() * quantity, HUNDRED)
        case _ if not price:
            raise _Unknown(UNAVAILABLE, f"there is no price to turn {order.signal_quantity_type} into units")
        case "NOTIONAL":
            return divide_down(quantity, price)
        case "EQUITY_PERCENT":
            return _units_of_equity(work, quantity)
        case "RISK_PERCENT":
            return _units_at_risk(work, quantity)
    raise _Unknown(UNAVAILABLE, f"the signal's quantity counts {order.signal_quantity_type}, which is not known")


def _share_of_position(work: _Work, quantity: Decimal) -> Decimal:
    """The share of our position that the sender takes of theirs, where a sizing of our own made ours another size.

    For example 1 of the sender's 3 is a third of ours. Where the size is the signal's own, without a maximum, it is the
    quantity as sent.
    """
    before = work.inputs.order.signal_previous_quantity
    same_size = work.sizing.method == "SIGNAL_QUANTITY" and work.sizing.value is None
    if same_size or before is None or before <= 0:
        return quantity
    work.step("sender_closes", quantity)
    work.step("of_senders_position", before)
    return divide_down(work.held() * min(quantity, before), before)


def _units_of_equity(work: _Work, percent: Decimal) -> Decimal:
    return divide_down(work.equity() * percent, HUNDRED * work.price)


def _units_at_risk(work: _Work, percent: Decimal) -> Decimal:
    """The quantity that loses that percent of equity between the price and the stop."""
    distance = work.step("stop_distance", _stop_distance(work))
    return divide_down(work.equity() * percent, HUNDRED * distance)


def _stop_distance(work: _Work) -> Decimal:
    stop, price = work.inputs.order.stop, work.price
    if stop is None:
        raise _Unknown(STOP_MISSING, "RISK_PERCENT needs a stop loss, and the signal sent none")
    work.step(f"stop_{stop.kind.lower()}", stop.value)
    # An exit buys to leave a short: its stop lies where that of the entry did.
    long = work.inputs.order.buy == work.inputs.order.entry
    distance = stop.value
    if stop.kind == "PERCENT":
        distance = price * stop.value * PERCENT
    elif stop.kind == "PRICE":
        if work.risk_price != price:
            price = work.step("risk_price", work.risk_price)
        distance = price - stop.value if long else stop.value - price
    side = "below" if long else "above"
    if distance <= 0 or stop.value <= 0:
        detail = f"the stop of {show(stop.value)} is not {side} the price of {show(price)}"
        raise _Unknown(STOP_INVALID, detail)
    if long and distance >= price:
        raise _Unknown(STOP_INVALID, f"the stop is {show(distance)} below {show(price)}")
    return distance


_METHODS: dict[str, Callable[[_Work], Decimal]] = {
    "FIXED_QUANTITY": _fixed_quantity,
    "FIXED_NOTIONAL": _fixed_notional,
    "EQUITY_PERCENT": _equity_percent,
    "RISK_PERCENT": _risk_percent,
    "KELLY": _kelly,
    "SIGNAL_QUANTITY": _signal_quantity,
}
