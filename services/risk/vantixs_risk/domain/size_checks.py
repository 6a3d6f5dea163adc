"""Checks of the order's size, and of what the account would have after it. Pure."""

from collections.abc import Mapping
from decimal import Decimal

from vantixs_risk.domain.check import NO_INPUTS, CheckContext, CheckResult, at_least, at_most, sum_at_most
from vantixs_risk.domain.eligibility_checks import closes_something
from vantixs_risk.domain.exact import ZERO, divide_down, show

# Decimals in messages have at most 20 digits before the point.
MOST_QUANTITY = Decimal(10**20 - 1)


def quantity_least(c: CheckContext) -> CheckResult:
    """The quantity is at least the lot and the account's minimum."""
    least = max(c.inputs.rules.limits.min_order_quantity or ZERO, c.inputs.order.lot_size)
    return at_least("quantity", c.quantity, least)


def quantity_one_lot(c: CheckContext) -> CheckResult | None:
    """The quantity of an exit is at least one lot. No other minimum denies an exit."""
    return at_least("quantity", c.quantity, c.inputs.order.lot_size) if closes_something(c) else None


def quantity_most(c: CheckContext) -> CheckResult | None:
    """The quantity is at most the account's maximum, and fits into a message."""
    limit = c.inputs.rules.limits.max_order_quantity
    if limit is None and c.quantity <= MOST_QUANTITY:
        return None
    return at_most("quantity", c.quantity, limit or MOST_QUANTITY)


def notional_least(c: CheckContext) -> CheckResult:
    """The notional is at least the instrument's and the account's minimum."""
    least = max(c.inputs.rules.limits.min_order_notional or ZERO, c.inputs.order.minimum_notional)
    return at_least("notional", c.notional, least, _prices(c))


def notional_most(c: CheckContext) -> CheckResult | None:
    """The notional is at most the account's maximum."""
    return at_most("notional", c.notional, c.inputs.rules.limits.max_order_notional, _prices(c))


def position_notional_most(c: CheckContext) -> CheckResult | None:
    """The position at the quote, its open entries and this order together are within the limit."""
    held = abs(c.metrics.own.position.quantity) * c.metrics.quote_price
    parts = {"position_notional": held, "open_entries": c.metrics.own_entries_notional, "order_notional": c.notional}
    return sum_at_most("position", parts, c.inputs.rules.limits.max_position_notional, _prices(c))


def exposure_most(c: CheckContext) -> CheckResult | None:
    """All positions, all open entries and this order together are within the limit."""
    parts = {
        "positions_notional": c.metrics.valuation.gross_exposure,
        "open_entries": c.metrics.entries_notional,
        "order_notional": c.notional,
    }
    return sum_at_most("gross exposure", parts, c.inputs.rules.limits.max_gross_exposure, _prices(c))


def open_positions_most(c: CheckContext) -> CheckResult | None:
    """The number of instruments with a position or an open entry is within the limit. Adding to one of them is no new one."""
    limit, instrument = c.inputs.rules.limits.max_open_positions, c.inputs.order.market.instrument
    if limit is None:
        return None
    known = instrument in c.metrics.open_instruments
    count = len(c.metrics.open_instruments) + (not known)
    passed = known or count <= limit
    detail = "" if passed else f"with this one {count} positions, the most is {limit}"
    return CheckResult(passed, detail, {"open_positions": str(count)}, str(limit))


def leverage_most(c: CheckContext) -> CheckResult | None:
    """Gross exposure, open entries and this order, divided by equity, are within the limit."""
    limit, equity = c.inputs.rules.limits.max_leverage, c.metrics.valuation.equity
    if limit is None:
        return None
    after = c.metrics.valuation.gross_exposure + c.metrics.entries_notional + c.notional
    within = equity > 0 and after <= limit * equity
    shown = show(divide_down(after, equity)) if equity > 0 else "unbounded"
    inputs = {"exposure_after": show(after), "equity": show(equity), "leverage": shown, **_prices(c)}
    detail = "" if within else f"leverage would be {shown}, the most is {show(limit)}"
    return CheckResult(within, detail, inputs, show(limit))


def funds_enough(c: CheckContext) -> CheckResult:
    """The funds that the order would reserve are free."""
    free, metrics = c.metrics.free_funds, c.metrics
    inputs = {
        "hold": show(c.reserved_funds),
        "cash": show(c.inputs.books.cash),
        "margin": show(metrics.valuation.margin),
        "open_entries_hold": show(metrics.reserved_funds),
        **_prices(c),
    }
    enough, limit = c.reserved_funds <= free, show(free)
    detail = "" if enough else f"needs {show(c.reserved_funds)} with fee and buffer, free are {limit}"
    return CheckResult(enough, detail, inputs, limit)


def _prices(c: CheckContext) -> Mapping[str, str]:
    """Both prices of an order that has a price of its own: that of its amounts, and the quote's."""
    if c.inputs.order.order_type == "MARKET":
        return NO_INPUTS
    return {"price": show(c.metrics.price), "quote_price": show(c.metrics.quote_price)}
