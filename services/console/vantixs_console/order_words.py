"""Orders as people read them: what they are for, at which prices, and how they stand."""

from collections.abc import Iterable

from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.journal.v1 import journal_pb2

# A role's name where it has one of its own; any other order is an entry or an exit by its effect.
_LEGS = {
    order_pb2.BRACKET_LEG_STOP_LOSS: "stop",
    order_pb2.BRACKET_LEG_TAKE_PROFIT: "target",
    order_pb2.BRACKET_LEG_CLOSE: "close",
}
# Headings of the cells that `order_cells` gives.
ORDER_COLUMNS = ("order", "for", "what", "state", "filled", "why")


def side_of(order: order_pb2.Order) -> str:
    """ "BUY" or "SELL"."""
    return common_pb2.Side.Name(order.side).removeprefix("SIDE_")


def state_of(order: order_pb2.Order) -> str:
    """For example "PARTIALLY_FILLED"."""
    return common_pb2.OrderState.Name(order.state).removeprefix("ORDER_STATE_")


def type_of(order: order_pb2.Order) -> str:
    """For example "stop limit"."""
    return common_pb2.OrderType.Name(order.order_type).removeprefix("ORDER_TYPE_").lower().replace("_", " ")


def time_in_force_of(order: order_pb2.Order) -> str:
    """For example "GTC", or "GTD until 2026-11-28T10:00:00Z"; empty where none was given."""
    if not order.time_in_force:
        return ""
    name = common_pb2.TimeInForce.Name(order.time_in_force).removeprefix("TIME_IN_FORCE_")
    return f"{name} until {order.expire_time.ToJsonString()}" if order.HasField("expire_time") else name


def role_of(order: order_pb2.Order) -> str:
    """What the order is for: "entry", "exit", and in a bracket "stop", "target 2" or "close"."""
    if order.leg:
        return f"{_LEGS.get(order.leg, 'leg')} {order.target or ''}".rstrip()
    return "exit" if order.effect == order_pb2.ORDER_EFFECT_EXIT else "entry"


def link_of(order: order_pb2.Order) -> str:
    """The role, with the entry that a leg belongs to: "target 2 of s01jd....1"."""
    return role_of(order) + (f" of {order.entry_order_id}" if order.entry_order_id else "")


def prices_of(order: order_pb2.Order) -> str:
    """At which prices it works, for example "from 59000 on, at 58990"; "at market" for one that names none."""
    trail = f"{order.trail_percent}%" if order.trail_percent else order.trail_amount
    parts = (
        f"from {order.stop_price} on" if order.stop_price else "",
        f"at {order.limit_price}" if order.limit_price else "",
        f"{trail} behind the best price" if trail else "",
        f"once {order.activation_price} is seen" if order.activation_price else "",
    )
    return ", ".join(filter(None, parts)) or "at market"


def filled_of(order: order_pb2.Order) -> str:
    """What is filled, for example "0.2 at 60000"; empty for nothing."""
    if not order.average_price:
        return ""
    return f"{order.filled_quantity} at {order.average_price}"


def describe_order(order: order_pb2.Order, *, linked: bool = True) -> str:
    """What was sent: "BUY 0.5 BTC/USDT at 60000 (limit, GTC)"; of a leg also what it is for, where `linked`."""
    plain = order.order_type in (common_pb2.ORDER_TYPE_UNSPECIFIED, common_pb2.ORDER_TYPE_MARKET)
    terms = [] if plain else [type_of(order)]
    terms += [time_in_force_of(order)] if terms else []
    terms += ["post-only"] if order.post_only else []
    terms += [link_of(order)] if linked and order.entry_order_id else []
    text = f"{side_of(order)} {order.quantity} {order.instrument} {prices_of(order)}"
    return text + (f" ({', '.join(filter(None, terms))})" if terms else "")


def order_cells(order: order_pb2.Order) -> tuple[str, ...]:
    """An order of a signal as a row of a table; `ORDER_COLUMNS` are its headings."""
    what = describe_order(order, linked=False)
    return order.order_id, link_of(order), what, state_of(order), filled_of(order), order.reason


def latest_orders(entries: Iterable[journal_pb2.JournalEntry]) -> list[order_pb2.Order]:
    """Every order of a signal as the newest entry tells it, in the order in which they were made.

    An entry or exit that risk denied was never an order; a leg that it denied is one that its bracket misses.
    """
    found: dict[str, order_pb2.Order] = {}
    for entry in entries:
        kind = entry.WhichOneof("event")
        if kind == "order_updated":
            found[entry.order_updated.order.order_id] = entry.order_updated.order
        elif kind == "order_submitted":
            found.setdefault(entry.order_submitted.order.order_id, entry.order_submitted.order)
        elif kind == "order_evaluated" and entry.order_evaluated.order.state == common_pb2.ORDER_STATE_REJECTED:
            found.setdefault(entry.order_evaluated.order.order_id, entry.order_evaluated.order)
    return list(found.values())
