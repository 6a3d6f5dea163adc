"""How much of each limit an account uses before any new order. Pure."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from typing import NamedTuple

from vantixs_risk.domain.equity import value
from vantixs_risk.domain.exact import BOOKS, ZERO, divide_down
from vantixs_risk.domain.inputs import Books
from vantixs_risk.domain.rules import Rules


class Headroom(NamedTuple):
    """A limit that is set: how much of it is used, in which unit, and the reason given once it is used up."""

    name: str
    limit: Decimal
    used: Decimal
    unit: str
    reason: str


def _no_positions(books: Books) -> frozenset[str]:
    """Instruments with a position of less than a lot and no open entry, which do not count as positions."""
    return books.dust - {r.instrument for r in books.reservations if r.entry}


def headroom(rules: Rules, books: Books, now: datetime) -> list[Headroom]:
    """Every limit that is set, and cash."""
    with localcontext(BOOKS):
        return [*_sizes(rules, books), *_results(rules, books, now)]


def _sizes(rules: Rules, books: Books) -> Iterator[Headroom]:
    limits, currency = rules.limits, rules.currency
    valuation = value(books.cash, books.holdings.values(), rules.leverage)
    entries = [r for r in books.reservations if r.entry]
    exposure = valuation.gross_exposure + sum((r.notional_left for r in entries), ZERO)
    taken = valuation.margin + sum((r.reserved_funds_left for r in entries), ZERO)
    yield Headroom("cash", max(books.cash, ZERO), max(taken, ZERO), currency, "INSUFFICIENT_FUNDS")
    instruments = sorted({*books.holdings, *(r.instrument for r in entries)})
    if limits.max_position_notional is not None:
        for name in instruments:
            held = books.holdings[name].notional if name in books.holdings else ZERO
            used = held + sum((r.notional_left for r in entries if r.instrument == name), ZERO)
            reason = "POSITION_NOTIONAL_ABOVE_MAXIMUM"
            yield Headroom(f"max_position_notional {name}", limits.max_position_notional, used, currency, reason)
    if limits.max_gross_exposure is not None:
        yield Headroom(
            "max_gross_exposure", limits.max_gross_exposure, exposure, currency, "GROSS_EXPOSURE_ABOVE_MAXIMUM"
        )
    if limits.max_open_positions is not None:
        most, count = Decimal(limits.max_open_positions), Decimal(len(set(instruments) - _no_positions(books)))
        yield Headroom("max_open_positions", most, count, "positions", "OPEN_POSITIONS_ABOVE_MAXIMUM")
    if limits.max_leverage is not None:
        used = divide_down(exposure, valuation.equity) if valuation.equity > 0 else ZERO
        if valuation.equity <= 0:
            used = limits.max_leverage
        yield Headroom("max_leverage", limits.max_leverage, used, "x", "LEVERAGE_ABOVE_MAXIMUM")


def _results(rules: Rules, books: Books, now: datetime) -> Iterator[Headroom]:
    limits, history, activity = rules.limits, books.equity_history, books.activity
    equity = value(books.cash, books.holdings.values(), rules.leverage).equity
    if limits.max_daily_loss is not None:
        used = max(history.daily_loss(equity), ZERO)
        yield Headroom("max_daily_loss", limits.max_daily_loss, used, rules.currency, "DAILY_LOSS_LIMIT_REACHED")
    if limits.max_drawdown_percent is not None:
        used = divide_down(history.drawdown(equity) * 100, history.peak) if history.peak > 0 else ZERO
        yield Headroom("max_drawdown_percent", limits.max_drawdown_percent, used, "%", "DRAWDOWN_LIMIT_REACHED")
    if limits.max_orders_per_minute is not None:
        most, count = Decimal(limits.max_orders_per_minute), Decimal(activity.orders_last_minute(now))
        yield Headroom("max_orders_per_minute", most, count, "orders", "ORDER_RATE_EXCEEDED")
    if limits.loss_cooldown_s is not None:
        left = timedelta(0)
        if activity.last_loss is not None:
            left = max(activity.last_loss + timedelta(seconds=limits.loss_cooldown_s) - now, left)
        seconds = Decimal(left // timedelta(seconds=1))
        yield Headroom("loss_cooldown_s", Decimal(limits.loss_cooldown_s), seconds, "s", "LOSS_COOLDOWN_ACTIVE")
