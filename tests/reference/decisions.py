"""What a decision has to be, worked out again from its inputs and the definitions, in fractions.

Inputs are read by the names of their fields; no function and no property of the product is called. The definitions are
those of docs/glossary.md and of the comments in `protos/vantixs/api/risk/v1/risk.proto`; of the sizing methods:

- RISK_PERCENT: what loses that percent of equity between the price and the stop = equity x percent / distance.
  Source: Van K. Tharp, "Trade Your Way to Financial Freedom", position sizing, percent risk model.
- KELLY: share of equity = W - (1 - W) / R. Source: Kelly, "A New Interpretation of Information Rate" (1956); Thorp, "The
  Kelly Criterion in Blackjack, Sports Betting, and the Stock Market" (2006), section 2.

Quotients are cut after 18 decimals where they make an order, and raised to 18 decimals where they hold money. Of what is a
decision of this product and no definition, the ADRs are the source: what holds an exit (0010), times (0011), marks (0012).
"""

from fractions import Fraction
from typing import Any, NamedTuple

from tests.reference.books import cut, raised

ZERO = Fraction(0)
HUNDRED_PERCENT = Fraction(100)
# What an order's message can name before the point, the account's own maximum aside.
MOST_QUANTITY = Fraction(10**20 - 1)
# Approved entries that are remembered: with more of them in the window nobody can tell a repeat.
MOST_REMEMBERED = 500
# Orders are counted by whole seconds, this one and 60 before it: so never over less than a minute (ADR 0011).
RATE_S = 60
WORTH_MATTERS = ("max_gross_exposure", "max_leverage", "max_daily_loss", "max_drawdown_percent")


class Unsized(Exception):
    """A quantity that cannot be told, with its reason."""


class Worth(NamedTuple):
    """An account at its marks, the order's own instrument at the order's quote."""

    equity: Fraction
    exposure: Fraction
    margin: Fraction


def is_sane(quote: Any) -> bool:
    return quote is not None and 0 < quote.bid <= quote.ask


def order_price(order: Any) -> Fraction:
    """What the order would pay; 0 where that is not known."""
    if not is_sane(order.quote):
        return ZERO
    return Fraction(order.quote.ask if order.buy else order.quote.bid)


def is_resting_entry(order: Any) -> bool:
    """Whether the order's own prices say what it costs."""
    return bool(order.entry and order.order_type in NEEDED and not lacks_terms(order))


# The fields of which an order of a type needs all; of a trailing stop it is any.
NEEDED = {
    "LIMIT": ["limit_price"],
    "STOP": ["stop_price"],
    "STOP_LIMIT": ["limit_price", "stop_price"],
    "TRAILING_STOP": [],
}
TYPES = {"MARKET", *NEEDED}


def lacks_terms(order: Any) -> bool:
    """Whether a price is missing that its type needs, or a trailing stop would be at nothing."""
    if any(getattr(order, name) is None for name in NEEDED.get(order.order_type, [])):
        return True
    if order.order_type != "TRAILING_STOP":
        return False
    if order.stop_price is None and order.trail_percent is None and order.trail_amount is None:
        return True
    return order_price(order) > 0 and trigger(order) <= 0


def trigger(order: Any) -> Fraction:
    """Where an order that has a trigger is triggered."""
    if order.order_type != "TRAILING_STOP" or order.stop_price is not None:
        return Fraction(order.stop_price)
    best = Fraction(order.activation_price or order_price(order))
    away = max(raised(best * Fraction(order.trail_percent or 0) / 100), Fraction(order.trail_amount or 0))
    return best + away if order.buy else best - away


def price_range(order: Any) -> tuple[Fraction, Fraction]:
    """The lowest and the highest price an entry is reckoned with: wherever the market goes, these are what it may get.

    A market order gets the quote. A limit is never passed; a trigger is where the market is when the order begins to work.
    """
    market = order_price(order)
    if not market or not is_resting_entry(order):
        return market, market
    limit = Fraction(order.limit_price) if order.order_type in ("LIMIT", "STOP_LIMIT") else None
    if order.buy:
        worst = limit if limit is not None else max(market, trigger(order))
        return worst, worst
    if order.order_type == "LIMIT":
        return Fraction(order.limit_price), max(market, Fraction(order.limit_price))
    at = trigger(order)
    if limit is not None:
        return limit, max(limit, at)
    return min(market, at), at if order.order_type == "STOP" else max(market, at)


def entry_price(order: Any) -> Fraction:
    """What amounts of an entry are reckoned at."""
    return price_range(order)[1]


def leverage_of(inputs: Any) -> Fraction:
    """What margin is divided by: the account's own leverage, else the most it may have, else 1."""
    return max(Fraction(inputs.rules.margin_leverage or inputs.rules.limits.max_leverage or 1), Fraction(1))


def own(inputs: Any) -> Fraction:
    """Signed quantity held of the order's instrument."""
    held = inputs.books.holdings.get(inputs.order.market.instrument)
    return Fraction(held.position.quantity) if held else ZERO


def mark_of(inputs: Any, name: str) -> Any:
    """The mark that values a position: the order's own quote where it is one."""
    mine = name == inputs.order.market.instrument and is_sane(inputs.order.quote)
    return inputs.order.quote if mine else inputs.books.holdings[name].mark


def worth(inputs: Any) -> Worth:
    """Equity, exposure and margin."""
    equity, exposure, margin = Fraction(inputs.books.cash), ZERO, ZERO
    for name, held in inputs.books.holdings.items():
        quantity, cost, mark = Fraction(held.position.quantity), Fraction(held.position.cost), mark_of(inputs, name)
        value = cost
        if mark is not None:
            value = quantity * Fraction(mark.bid if quantity > 0 else mark.ask)
        exposure += abs(value)
        if held.market.perpetual:
            equity += value - cost
            margin += raised(abs(value) / leverage_of(inputs)) + max(cost - value, ZERO)
        else:
            equity += value
            margin += raised(abs(value) / leverage_of(inputs)) + abs(value) if quantity < 0 else ZERO
    return Worth(equity, exposure, margin)


def left(reservation: Any, whole: Any) -> Fraction:
    """The part of what an order holds that belongs to what may still fill."""
    quantity, filled = Fraction(reservation.quantity), Fraction(reservation.filled)
    return Fraction(whole) if not filled else raised(Fraction(whole) * max(quantity - filled, ZERO) / quantity)


def closable(inputs: Any) -> Fraction:
    """What no open exit takes out already."""
    taken = [
        max(Fraction(r.quantity) - Fraction(r.filled), ZERO)
        for r in inputs.books.reservations
        if not r.entry and not r.leg and not inputs.order.leg and r.instrument == inputs.order.market.instrument
    ]
    return max(abs(own(inputs)) - sum(taken, ZERO), ZERO)


def quantity_of(inputs: Any) -> Fraction:
    """The quantity of the order, a multiple of the lot.

    An exit is never held by the signal's own size: where that cannot be told or comes to nothing, it is left out (ADR 0010).

    Raises:
        Unsized: with the reason; of an entry alone.
    """
    order = inputs.order
    if order.leg:
        most, wanted = closable(inputs), Fraction(order.order_quantity)
        # On the wrong side there is nothing that could make it smaller: it is denied.
        leads_out = (own(inputs) > 0) != order.buy
        return most // Fraction(order.lot_size) * Fraction(order.lot_size) if leads_out and wanted > most else wanted
    quantity = _entry(inputs) if order.entry else closable(inputs)
    if order.order_quantity is not None:
        quantity = min(quantity, Fraction(order.order_quantity))
    if order.signal_quantity is not None:
        quantity = min(quantity, _signal(inputs) if order.entry else _signal_of_exit(inputs, quantity))
    lot = Fraction(order.lot_size)
    return quantity // lot * lot


def _price(inputs: Any) -> Fraction:
    price = entry_price(inputs.order)
    if price or inputs.order.entry:
        return price
    held = inputs.books.holdings.get(inputs.order.market.instrument)
    if held is None:
        return ZERO
    if held.mark is None:
        return cut(Fraction(held.position.cost) / Fraction(held.position.quantity))
    return Fraction(held.mark.bid if held.position.quantity > 0 else held.mark.ask)


def _entry(inputs: Any) -> Fraction:
    sizing, price = inputs.order.sizing or inputs.rules.sizing, entry_price(inputs.order)
    if sizing is None or not price:
        raise Unsized("SIZING_UNAVAILABLE")
    if sizing.method == "SIGNAL_QUANTITY":
        if inputs.order.signal_quantity is None:
            raise Unsized("SIGNAL_QUANTITY_MISSING")
        asked = _signal(inputs)
        return asked if sizing.value is None else min(asked, Fraction(sizing.value))
    if sizing.value is None or sizing.value <= 0:
        raise Unsized("SIZING_UNAVAILABLE")
    value, equity = Fraction(sizing.value), max(worth(inputs).equity, ZERO)
    match sizing.method:
        case "FIXED_QUANTITY":
            return value
        case "FIXED_NOTIONAL":
            return cut(value / price)
        case "EQUITY_PERCENT":
            return cut(equity * value / 100 / price)
        case "RISK_PERCENT":
            return cut(equity * value / 100 / _distance(inputs, price))
    if sizing.win_rate is None or sizing.payoff is None or sizing.maximum_equity_percent is None:
        raise Unsized("SIZING_UNAVAILABLE")
    wins, payoff = Fraction(sizing.win_rate), Fraction(sizing.payoff)
    # More than all of Kelly, a certain win or loss, a payoff of nothing: no bet that the formula is for.
    if value > 1 or not 0 < wins < 1 or payoff <= 0:
        raise Unsized("SIZING_UNAVAILABLE")
    share = wins - (1 - wins) / payoff
    if share <= 0:
        raise Unsized("KELLY_EDGE_NOT_POSITIVE")
    most = cut(equity * Fraction(sizing.maximum_equity_percent) / 100)
    return cut(min(cut(equity * value * share), most) / price)


def leaves_signal_out(inputs: Any) -> bool:
    """Whether an exit's own size cannot be told, or comes to nothing."""
    try:
        return inputs.order.signal_quantity is not None and not _signal(inputs)
    except Unsized:
        return True


def _signal_of_exit(inputs: Any, otherwise: Fraction) -> Fraction:
    return otherwise if leaves_signal_out(inputs) else _signal(inputs)


def _signal(inputs: Any) -> Fraction:
    quantity, price = Fraction(inputs.order.signal_quantity), _price(inputs)
    match inputs.order.signal_quantity_type:
        case "UNITS":
            return _senders_share(inputs, quantity)
        case "POSITION_PERCENT":
            return cut(_acts_on(inputs) * quantity / 100)
    if not price:
        raise Unsized("SIZING_UNAVAILABLE")
    match inputs.order.signal_quantity_type:
        case "NOTIONAL":
            return cut(quantity / price)
        case "EQUITY_PERCENT":
            return cut(max(worth(inputs).equity, ZERO) * quantity / 100 / price)
    return cut(max(worth(inputs).equity, ZERO) * quantity / 100 / _distance(inputs, price))


def _senders_share(inputs: Any, quantity: Fraction) -> Fraction:
    """An exit closes the part of ours that the sender closes of theirs, where our own sizing made it another size."""
    order, before = inputs.order, inputs.order.signal_previous_quantity
    sizing = order.sizing or inputs.rules.sizing
    as_sent = sizing is not None and sizing.method == "SIGNAL_QUANTITY" and sizing.value is None
    if order.entry or as_sent or not before:
        return quantity
    return cut(_acts_on(inputs) * min(quantity / Fraction(before), Fraction(1)))


def _acts_on(inputs: Any) -> Fraction:
    """What parts of the position are of: of an exit that names its most, that is of no more (ADR 0041)."""
    held, most = abs(own(inputs)), inputs.order.order_quantity
    return held if inputs.order.entry or most is None else min(held, Fraction(most))


def _distance(inputs: Any, price: Fraction) -> Fraction:
    """From the price to the stop, which lies below a long and above a short."""
    stop = inputs.order.stop
    if stop is None:
        raise Unsized("STOP_LOSS_MISSING")
    value, long = Fraction(stop.value), inputs.order.buy == inputs.order.entry
    if inputs.order.entry and stop.kind == "PRICE":
        # The longest way to the stop.
        price = max(price_range(inputs.order)) if long else min(price_range(inputs.order))
    level = {
        "PRICE": value,
        "PERCENT": price * (1 - value / 100 if long else 1 + value / 100),
        "AMOUNT": price - value if long else price + value,
    }[stop.kind]
    distance = price - level if long else level - price
    if distance <= 0 or value <= 0 or (long and level <= 0):
        raise Unsized("STOP_LOSS_INVALID")
    return distance


def hold_of(inputs: Any, notional: Fraction) -> Fraction:
    """What an entry takes from free cash."""
    order = inputs.order
    # Nobody buys above their limit, so no part is kept for that.
    moves = 0 if order.buy and order.order_type == "LIMIT" else Fraction(inputs.price_buffer_bps)
    cost = raised(notional * (Fraction(order.fee_bps) + moves) / 10_000)
    if order.buy and not order.market.perpetual:
        return cost + notional
    return cost + raised(notional / leverage_of(inputs))


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
