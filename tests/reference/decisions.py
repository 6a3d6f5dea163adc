"""What a decision has to be, worked out again from its inputs and the definitions, in fractions.

Inputs are read by the names of their fields; no function and no property of the product is called. The definitions are
those of docs/glossary.md and of the comments in `protos/vantixs/api/risk/v1/risk.proto`; `sizes.py` has those of quantities.
Of what is a decision of this product and no definition, the ADRs are the source: what holds an exit (0010), times (0011),
marks (0012).
"""

from fractions import Fraction
from typing import Any

from tests.reference.books import cut
from tests.reference.sizes import (
    TYPES,
    ZERO,
    closable,
    entry_price,
    hold_of,
    is_sane,
    lacks_terms,
    left,
    order_price,
    own,
    worth,
)

HUNDRED_PERCENT = Fraction(100)
# What an order's message can name before the point, the account's own maximum aside.
MOST_QUANTITY = Fraction(10**20 - 1)
# Approved entries that are remembered: with more of them in the window nobody can tell a repeat.
MOST_REMEMBERED = 500
# Orders are counted by whole seconds, this one and 60 before it: so never over less than a minute (ADR 0011).
RATE_S = 60
WORTH_MATTERS = ("max_gross_exposure", "max_leverage", "max_daily_loss", "max_drawdown_percent")


def used_of(inputs: Any) -> dict[str, Fraction]:
    """How much of each limit that is set is used before any new order, by the limit's name; without a quote."""
    rules, books = inputs.rules, inputs.books
    limits, valued = rules.limits, worth(inputs)
    entries = [r for r in books.reservations if r.entry]
    exposure = valued.exposure + sum((left(r, r.notional) for r in entries), ZERO)
    names = {*books.holdings, *(r.instrument for r in entries)}
    used = {"cash": max(valued.margin + sum((left(r, r.reserved_funds) for r in entries), ZERO), ZERO)}
    if limits.max_position_notional is not None:
        for name in names:
            alone = books._replace(holdings={n: h for n, h in books.holdings.items() if n == name})
            held = worth(inputs._replace(books=alone)).exposure
            mine = sum((left(r, r.notional) for r in entries if r.instrument == name), ZERO)
            used[f"max_position_notional {name}"] = held + mine
    peak, last = Fraction(books.equity_history.peak), books.activity.last_loss
    cooling = 0 if last is None else max((limits.loss_cooldown_s or 0) * 1_000_000 - micros(inputs.now - last), 0)
    figures = {
        "max_gross_exposure": exposure,
        "max_open_positions": Fraction(len(names)),
        # Without equity there is no leverage left.
        "max_leverage": cut(exposure / valued.equity) if valued.equity > 0 else Fraction(limits.max_leverage or 0),
        "max_daily_loss": max(Fraction(books.equity_history.day_equity) - valued.equity, ZERO),
        "max_drawdown_percent": cut(max(peak - valued.equity, ZERO) / peak * 100) if peak > 0 else ZERO,
        "max_orders_per_minute": Fraction(_orders_lately(inputs)),
        "loss_cooldown_s": Fraction(cooling // 1_000_000),
    }
    return used | {name: used for name, used in figures.items() if getattr(limits, name) is not None}


def denials_of_entry(inputs: Any, quantity: Fraction | None) -> set[str]:
    """Every reason that stands against an entry; without a quantity those that do not need it."""
    return {
        *_who_and_when(inputs),
        *_prices(inputs),
        *_results(inputs),
        *_positions(inputs),
        *(_amounts(inputs, quantity) if quantity is not None else ()),
    }


def denials_of_exit(inputs: Any, quantity: Fraction | None) -> set[str]:
    """Every reason that stands against an exit: only what makes the exit itself wrong."""
    order, rules = inputs.order, inputs.rules
    leads_out = closable(inputs) > 0 and (own(inputs) < 0) == order.buy
    return _reasons(
        {
            "TRADING_HALTED": "HALTED" in inputs.trading_states.values(),
            "LIVE_NOT_READY": order.mode != rules.mode,
            "CREDENTIAL_MISSING": rules.mode == "LIVE" and not rules.credential_id,
            "ORDER_TYPE_UNSUPPORTED": order.order_type not in TYPES,
            "ORDER_TERMS_INVALID": lacks_terms(order),
            # The paper venue fills at the quote, however old it is; a real one has prices of its own.
            "PRICE_STALE": order.mode == "PAPER" and not is_sane(order.quote),
            "NOTHING_TO_CLOSE": not leads_out,
            "ORDER_QUANTITY_BELOW_MINIMUM": leads_out and quantity is not None and quantity < Fraction(order.lot_size),
        }
    )


def denials_of_leg(inputs: Any, quantity: Fraction) -> set[str]:
    """Every reason that stands against a leg of a bracket: it cannot be sent, or there is nothing that it could protect."""
    other = ("TRADING_HALTED", "PRICE_STALE")
    return denials_of_exit(inputs, quantity) - set(other)


def _reasons(verdicts: dict[str, bool]) -> set[str]:
    return {reason for reason, wrong in verdicts.items() if wrong}


def _who_and_when(inputs: Any) -> set[str]:
    order, rules, states = inputs.order, inputs.rules, inputs.trading_states.values()
    live = rules.mode == "LIVE"
    spot_short = live and not order.market.perpetual
    return _reasons(
        {
            "TRADING_HALTED": "HALTED" in states,
            "TRADING_REDUCING": "REDUCING" in states,
            "ACCOUNT_DISABLED": not rules.enabled,
            "LIVE_NOT_READY": order.mode != rules.mode or (live and not rules.live_enabled),
            "CREDENTIAL_MISSING": live and not rules.credential_id,
            "STRATEGY_NOT_ALLOWED": bool(rules.strategies) and order.strategy_id not in rules.strategies,
            "SYMBOL_NOT_ALLOWED": bool(rules.instruments) and order.market.instrument not in rules.instruments,
            "CURRENCY_MISMATCH": order.market.quote != rules.currency,
            "ORDER_TYPE_UNSUPPORTED": order.order_type not in TYPES,
            "ORDER_TERMS_INVALID": lacks_terms(order),
            "SHORT_NOT_ALLOWED": not order.buy and (spot_short or not rules.may_short),
        }
    )


def _prices(inputs: Any) -> set[str]:
    order, limits, now, price = inputs.order, inputs.rules.limits, inputs.now, order_price(inputs.order)
    oldest = limits.max_price_age_ms or inputs.max_price_age_ms
    stale = not is_sane(order.quote) or abs(micros(now - order.quote.time)) > oldest * 1000
    # What comes from the future is as wrong as what is old.
    others = [held for name, held in inputs.books.holdings.items() if name != order.market.instrument]
    old = [h for h in others if h.mark is None or abs(micros(now - h.mark.time)) > 1_000_000 * _mark_age_s(inputs)]
    apart = abs(Fraction(order.signal_price) - price) if order.signal_price is not None and price else ZERO
    bps = limits.max_price_deviation_bps
    return _reasons(
        {
            "PRICE_STALE": stale,
            "MARK_STALE": bool(old) and _worth_matters(inputs),
            "PRICE_DEVIATION_EXCEEDED": bps is not None and price > 0 and apart / (price or 1) > Fraction(bps, 10_000),
        }
    )


def micros(difference: Any) -> int:
    """A time difference in microseconds, exactly."""
    return (difference.days * 86_400 + difference.seconds) * 1_000_000 + int(difference.microseconds)


def _mark_age_s(inputs: Any) -> int:
    return int(inputs.rules.limits.max_mark_age_s or inputs.max_mark_age_s)


def _worth_matters(inputs: Any) -> bool:
    sizing = inputs.order.sizing or inputs.rules.sizing
    methods = {sizing.method if sizing else "", inputs.order.signal_quantity_type}
    return (
        any(getattr(inputs.rules.limits, name) is not None for name in WORTH_MATTERS)
        or bool(methods & {"EQUITY_PERCENT", "RISK_PERCENT", "KELLY"})
        or any(h.market.perpetual or h.position.quantity < 0 for h in inputs.books.holdings.values())
    )


def _results(inputs: Any) -> set[str]:
    limits, history, activity, now = inputs.rules.limits, inputs.books.equity_history, inputs.books.activity, inputs.now
    equity, peak = worth(inputs).equity, Fraction(history.peak)
    loss, last, lately = Fraction(history.day_equity) - equity, activity.last_loss, _orders_lately(inputs)
    cooling = limits.loss_cooldown_s is not None and last is not None
    fall = limits.max_drawdown_percent
    return _reasons(
        {
            "DAILY_LOSS_LIMIT_REACHED": limits.max_daily_loss is not None and loss >= Fraction(limits.max_daily_loss),
            "DRAWDOWN_LIMIT_REACHED": fall is not None
            # From nothing there is no fall; that such an account has no funds is another check's.
            and peak > 0
            and max(peak - equity, ZERO) / peak >= Fraction(fall) / HUNDRED_PERCENT,
            "LOSS_COOLDOWN_ACTIVE": cooling and micros(now - last) < limits.loss_cooldown_s * 1_000_000,
            "ORDER_RATE_EXCEEDED": limits.max_orders_per_minute is not None and lately >= limits.max_orders_per_minute,
        }
    )


def _orders_lately(inputs: Any) -> int:
    """Orders of this second and the 60 before it."""
    now = inputs.now
    second = (
        micros(now - now.replace(year=1970, month=1, day=1, hour=0, minute=0, second=0, microsecond=0)) // 1_000_000
    )
    return int(sum(count for at, count in inputs.books.activity.seconds if second - at <= RATE_S))


def _positions(inputs: Any) -> set[str]:
    limit, mine = inputs.rules.limits.max_open_positions, inputs.order.market.instrument
    names = set(inputs.books.holdings) | {r.instrument for r in inputs.books.reservations if r.entry}
    return (
        {"OPEN_POSITIONS_ABOVE_MAXIMUM"} if limit is not None and mine not in names and len(names) >= limit else set()
    )


def _amounts(inputs: Any, quantity: Fraction) -> set[str]:
    order, limits, books, price = inputs.order, inputs.rules.limits, inputs.books, order_price(inputs.order)
    notional, valued = quantity * entry_price(order), worth(inputs)
    entries = [r for r in books.reservations if r.entry]
    open_all = sum((left(r, r.notional) for r in entries), ZERO)
    mine = sum((left(r, r.notional) for r in entries if r.instrument == order.market.instrument), ZERO)
    held_back = sum((left(r, r.reserved_funds) for r in entries), ZERO)
    exposure = valued.exposure + open_all + notional
    leverage = limits.max_leverage
    return _reasons(
        {
            "DUPLICATE_ORDER": _repeated(inputs, quantity),
            "ORDER_QUANTITY_BELOW_MINIMUM": quantity
            < max(Fraction(limits.min_order_quantity or 0), Fraction(order.lot_size)),
            "ORDER_QUANTITY_ABOVE_MAXIMUM": _above(quantity, limits.max_order_quantity or MOST_QUANTITY),
            "ORDER_NOTIONAL_BELOW_MINIMUM": notional < max(limits.min_order_notional or 0, order.minimum_notional),
            "ORDER_NOTIONAL_ABOVE_MAXIMUM": _above(notional, limits.max_order_notional),
            "POSITION_NOTIONAL_ABOVE_MAXIMUM": _above(
                abs(own(inputs)) * price + mine + notional, limits.max_position_notional
            ),
            "GROSS_EXPOSURE_ABOVE_MAXIMUM": _above(exposure, limits.max_gross_exposure),
            "LEVERAGE_ABOVE_MAXIMUM": leverage is not None
            and (valued.equity <= 0 or exposure / valued.equity > Fraction(leverage)),
            "INSUFFICIENT_FUNDS": hold_of(inputs, notional) > Fraction(books.cash) - valued.margin - held_back,
        }
    )


def _above(amount: Fraction, limit: Any) -> bool:
    return limit is not None and amount > Fraction(limit)


_PRICES = ("limit_price", "stop_price", "trail_percent", "trail_amount", "activation_price")


def _repeated(inputs: Any, quantity: Fraction) -> bool:
    """Whether the same order was approved within the window, or that cannot be told any more."""
    window, order = inputs.rules.limits.duplicate_order_window_s, inputs.order
    if window is None or order.replaces:
        return False
    within = [e for e in inputs.books.activity.approved if micros(inputs.now - e.time) < window * 1_000_000]
    for entry in within:
        side, amount, instrument, *terms = entry.key.split(" ")
        same = (side == "buy") == order.buy and Fraction(amount) == quantity and instrument == order.market.instrument
        if same and not terms and order.order_type == "MARKET":
            return True
        if same and terms and terms[0] == order.order_type:
            prices = {name: Fraction(price) for name, price in zip(terms[1::2], terms[2::2], strict=True)}
            if all(prices.get(name) == getattr(order, name) for name in _PRICES):
                return True
    return len(within) >= MOST_REMEMBERED
