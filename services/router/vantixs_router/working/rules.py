"""Which orders rest, and what of a row says so: pure."""

from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext

from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.model.decimals import EXACT, ZERO, format_decimal, parse_decimal
from vantixs.model.instruments import Instrument

from vantixs_router.store import OrderRow
from vantixs_router.venues.port import Capabilities

_AT_ONCE = (common_pb2.TIME_IN_FORCE_IOC, common_pb2.TIME_IN_FORCE_FOK)
_WORKS = (common_pb2.ORDER_STATE_ACCEPTED, common_pb2.ORDER_STATE_PARTIALLY_FILLED)
LIMITS = (common_pb2.ORDER_TYPE_LIMIT, common_pb2.ORDER_TYPE_STOP_LIMIT)
AMENDED = "ORDER_AMENDED"
STOPS = (common_pb2.ORDER_TYPE_STOP, common_pb2.ORDER_TYPE_STOP_LIMIT)


def may_rest(order: order_pb2.Order) -> bool:
    """Whether the order waits for the market to come to it."""
    return order.order_type != common_pb2.ORDER_TYPE_MARKET and order.time_in_force not in _AT_ONCE


def is_working(row: OrderRow) -> bool:
    """Whether the order rests at the venue, as far as is known: it holds up no other signal."""
    return may_rest(row.order) and row.order.state in _WORKS


def is_kept(order: order_pb2.Order) -> bool:
    """Whether the order is looked after here, and not by its signal: a leg of a bracket, or one that rests and was answered.

    What has ended since is booked here too, and one whose cancel was not answered is asked for here.
    """
    return bool(order.entry_order_id) or (may_rest(order) and bool(order.venue_order_id))


def is_resting_entry(row: OrderRow) -> bool:
    """Whether it is an entry that rests."""
    return is_working(row) and row.order.effect == order_pb2.ORDER_EFFECT_ENTRY


def end_of_trading_day(now: datetime) -> datetime:
    """Until when an order of the day works: every instrument trades without a break, and its day ends at 00:00 UTC (ADR 42)."""
    day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day + timedelta(days=1)


def exitable_of(position: Decimal, order: order_pb2.Order) -> Decimal:
    """What an exit may take of a signed position: 0 where it is flat, or on the order's own side."""
    return max(position if order.side == common_pb2.SIDE_SELL else -position, ZERO)


def adds_to(position: Decimal, row: OrderRow) -> bool:
    """Whether an entry added to a position of its side; `position` is what is held after its fills, in signed base units."""
    with localcontext(EXACT):
        held = position if row.order.side == common_pb2.SIDE_BUY else -position
        return held > sum((parse_decimal(fill.quantity) for fill in row.fills), ZERO)


def is_resting_exit(row: OrderRow) -> bool:
    """Whether it is an exit of a signal that rests; a leg of a bracket is none."""
    return is_working(row) and row.order.effect == order_pb2.ORDER_EFFECT_EXIT and not row.order.entry_order_id


def is_resting_order(row: OrderRow) -> bool:
    """Whether it is an order of a signal that rests, entry or exit."""
    return is_resting_entry(row) or is_resting_exit(row)


def remaining_of(order: order_pb2.Order) -> Decimal:
    """What of the order is not filled, in base units."""
    with localcontext(EXACT):
        return parse_decimal(order.quantity) - parse_decimal(order.filled_quantity or "0")


def round_prices(order: order_pb2.Order, instrument: Instrument) -> None:
    """Puts the order's prices on the tick: a limit never worse than was asked for, a trigger never earlier."""
    buy, tick = order.side == common_pb2.SIDE_BUY, instrument.tick_size
    if order.limit_price:
        order.limit_price = _on_tick(order.limit_price, tick, ROUND_FLOOR if buy else ROUND_CEILING)
    if order.stop_price:
        order.stop_price = _on_tick(order.stop_price, tick, ROUND_CEILING if buy else ROUND_FLOOR)
    if order.activation_price:
        order.activation_price = _on_tick(order.activation_price, tick, ROUND_CEILING)


def problem_of(order: order_pb2.Order, capabilities: Capabilities) -> tuple[str, str]:
    """Reason and sentence why the venue cannot be sent the order; nothing where it can."""
    type_ = order.order_type
    name = common_pb2.OrderType.Name(type_).removeprefix("ORDER_TYPE_")
    times = capabilities.order_types.get(type_)
    if times is None:
        takes = ", ".join(common_pb2.OrderType.Name(t).removeprefix("ORDER_TYPE_") for t in capabilities.order_types)
        return "ORDER_TYPE_UNSUPPORTED", f"order type is {name}, the venue takes {takes}"
    if order.time_in_force not in times:
        asked = common_pb2.TimeInForce.Name(order.time_in_force).removeprefix("TIME_IN_FORCE_")
        takes = ", ".join(common_pb2.TimeInForce.Name(t).removeprefix("TIME_IN_FORCE_") for t in times)
        return "ORDER_TYPE_UNSUPPORTED", f"time in force is {asked}, the venue takes {takes} of {name} orders"
    for wanted, able in (("post_only", capabilities.post_only), ("reduce_only", capabilities.reduce_only)):
        if getattr(order, wanted) and not able:
            return "ORDER_TYPE_UNSUPPORTED", f"the venue takes no {wanted} orders"
    for field, types in (("limit_price", LIMITS), ("stop_price", STOPS)):
        if type_ in types and not getattr(order, field):
            return "ORDER_TERMS_INVALID", f"expected a {field} of a {name} order, was none"
    if type_ == common_pb2.ORDER_TYPE_TRAILING_STOP and bool(order.trail_percent) == bool(order.trail_amount):
        return "ORDER_TERMS_INVALID", "expected either trail_percent or trail_amount of a TRAILING_STOP order"
    return "", ""


def expected_price(order: order_pb2.Order, quote: common_pb2.Quote) -> Decimal | None:
    """What an entry will be filled at, as far as can be said before: its limit or trigger, else the far side of the quote."""
    far = quote.ask if order.side == common_pb2.SIDE_BUY else quote.bid
    text = order.limit_price or order.stop_price or far
    return parse_decimal(text) if text else None


def describe_order(order: order_pb2.Order) -> str:
    """What rests, for people: "limit buy of 0.1 at 60000"."""
    kind = common_pb2.OrderType.Name(order.order_type).removeprefix("ORDER_TYPE_").lower().replace("_", " ")
    side = common_pb2.Side.Name(order.side).removeprefix("SIDE_").lower()
    prices = [
        text
        for text in (
            f"at {order.limit_price}" if order.limit_price else "",
            f"from {order.stop_price} on" if order.stop_price else "",
            f"{order.trail_percent}% behind the best price" if order.trail_percent else "",
            f"{order.trail_amount} behind the best price" if order.trail_amount else "",
        )
        if text
    ]
    until = f" until {order.expire_time.ToJsonString()}" if order.HasField("expire_time") else ""
    filled = f", {order.filled_quantity} filled" if order.filled_quantity else ""
    return f"{kind} {side} of {order.quantity} {' '.join(prices)}{until}{filled}"


def _on_tick(text: str, tick: Decimal, rounding: str) -> str:
    with localcontext(EXACT):
        return format_decimal((parse_decimal(text) / tick).to_integral_value(rounding) * tick)
