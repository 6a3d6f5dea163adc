"""What an account is worth, what an order costs and how large it is, in fractions; see `tests.reference.decisions`.

Of the sizing methods:

- RISK_PERCENT: what loses that percent of equity between the price and the stop = equity x percent / distance.
  Source: Van K. Tharp, "Trade Your Way to Financial Freedom", position sizing, percent risk model.
- KELLY: share of equity = W - (1 - W) / R. Source: Kelly, "A New Interpretation of Information Rate" (1956); Thorp, "The
  Kelly Criterion in Blackjack, Sports Betting, and the Stock Market" (2006), section 2.

Quotients are cut after 18 decimals where they make an order, and raised to 18 decimals where they hold money.
"""

from fractions import Fraction
from typing import Any, NamedTuple

from tests.reference.books import cut, raised

ZERO = Fraction(0)


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
