"""What an order with its own prices may be filled at. Pure."""

from decimal import Decimal
from typing import NamedTuple

from vantixs_risk.domain.exact import HUNDRED, ZERO, divide_up, show
from vantixs_risk.domain.inputs import OrderRequest

# The prices that an order of each type needs: one of the names in each group. Which types a venue accepts is in the
# router's table of capabilities.
NEEDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "MARKET": (),
    "LIMIT": (("limit_price",),),
    "STOP": (("stop_price",),),
    "STOP_LIMIT": (("stop_price",), ("limit_price",)),
    "TRAILING_STOP": (("stop_price", "trail_percent", "trail_amount"),),
}


class FillPrices(NamedTuple):
    """The highest and the lowest price that an order may be filled at, as far as it is known; 0 without a quote."""

    highest: Decimal
    lowest: Decimal


def given_prices(order: OrderRequest) -> dict[str, Decimal]:
    """Those of the order's prices that were sent, by field."""
    prices = {
        "limit_price": order.limit_price,
        "stop_price": order.stop_price,
        "trail_percent": order.trail_percent,
        "trail_amount": order.trail_amount,
        "activation_price": order.activation_price,
    }
    return {name: price for name, price in prices.items() if price is not None}


def lack_of_terms(order: OrderRequest, quote_price: Decimal) -> str:
    """What the order lacks for its type, as a sentence; empty for nothing."""
    given = given_prices(order)
    for names in NEEDS.get(order.order_type, ()):
        if not any(name in given for name in names):
            fields = " or ".join(f"order.{name}" for name in names)
            return f"{fields}: expected above 0 for {order.order_type}, was empty"
    if order.order_type == "TRAILING_STOP" and quote_price:
        stop = _trailing_stop(order, quote_price)
        if stop <= 0:
            return f"order.trail_percent or order.trail_amount: expected a stop above 0, was {show(stop)}"
    return ""


def fill_prices(order: OrderRequest, quote_price: Decimal) -> FillPrices:
    """What the order may be filled at, where the market is at `quote_price`: the ask for a buy, the bid for a sell.

    A buy costs at most its limit; one that waits for a trigger above the market costs the trigger, or the ask where that is
    higher already. A sell brings its limit or more. A sell at a trigger brings what the trigger says, or less.

    For example a buy of STOP 110 with an ask of 100 costs 110; a sell of LIMIT 90 with a bid of 100 brings 90 to 100. An
    order that lacks what its type needs counts as a market order: it is denied.
    """
    kind, limit, stop = order.order_type, order.limit_price or ZERO, order.stop_price or ZERO
    if not quote_price or kind == "MARKET" or kind not in NEEDS or lack_of_terms(order, quote_price):
        return FillPrices(quote_price, quote_price)
    if kind == "TRAILING_STOP":
        stop = _trailing_stop(order, quote_price)
    if order.buy:
        price = limit if kind in ("LIMIT", "STOP_LIMIT") else max(quote_price, stop)
        return FillPrices(price, price)
    match kind:
        case "LIMIT":
            return FillPrices(max(quote_price, limit), limit)
        case "STOP_LIMIT":
            # Between trigger and limit: what is above the trigger does not trigger it.
            return FillPrices(max(stop, limit), limit)
        case "STOP":
            return FillPrices(stop, min(quote_price, stop))
        case _:
            return FillPrices(max(quote_price, stop), min(quote_price, stop))


def _trailing_stop(order: OrderRequest, quote_price: Decimal) -> Decimal:
    """Where the stop is now: as sent, else at its distance from the price from which it follows.

    The stop of a buy only ever falls from there. That of a sell rises, as far as the market does.
    """
    if order.stop_price is not None:
        return order.stop_price
    best = order.activation_price or quote_price
    distance = order.trail_amount or ZERO
    if order.trail_percent is not None:
        distance = max(distance, divide_up(best * order.trail_percent, HUNDRED))
    return best + distance if order.buy else best - distance
