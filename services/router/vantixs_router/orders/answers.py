"""What a venue's answer makes of a stored order."""

from datetime import datetime
from typing import Any, cast

from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.model.decimals import format_decimal, parse_decimal
from vantixs.runtime.timestamps import set_time

from vantixs_router.domain.fills import Fill, leaves_quantity
from vantixs_router.domain.order import ENDED, Event, OrderStatus, State
from vantixs_router.store import OrderRow
from vantixs_router.venues.port import Accepted, Answer, Executed, NotFound, Rejected, Unknown

NOT_FILLED, PARTIALLY_FILLED = "ORDER_NOT_FILLED", "ORDER_PARTIALLY_FILLED"
ABSENT = "ORDER_ABSENT_AT_VENUE"
_ENDINGS = {common_pb2.ORDER_STATE_CANCELED: Event.CANCEL, common_pb2.ORDER_STATE_EXPIRED: Event.EXPIRE}
_PREFIX = "ORDER_STATE_"


def state_of(order: order_pb2.Order) -> State:
    """The state as a value of the domain."""
    return State(common_pb2.OrderState.Name(order.state).removeprefix(_PREFIX))


def has_ended(order: order_pb2.Order) -> bool:
    """Whether nothing of the order works any more."""
    return state_of(order) in ENDED


def status_of(row: OrderRow) -> OrderStatus:
    """How a stored order stands."""
    fills = tuple(_fill(fill) for fill in row.fills)
    return OrderStatus(parse_decimal(row.order.quantity), state_of(row.order), fills, row.order.reason)


def apply_answer(row: OrderRow, answer: Answer, now: datetime) -> OrderRow:
    """The order once the answer is heard; the same row where it says nothing new."""
    before = status_of(row)
    after = _hear(before, answer)
    venue_order_id = row.order.venue_order_id
    if isinstance(answer, Accepted | Executed):
        venue_order_id = venue_order_id or answer.venue_order_id
    if after == before and venue_order_id == row.order.venue_order_id:
        return row
    order = order_pb2.Order()
    order.CopyFrom(row.order)
    order.state = cast("common_pb2.OrderState", common_pb2.OrderState.Value(_PREFIX + _shown(after)))
    order.reason, order.venue_order_id = after.reason, venue_order_id
    known = {fill.execution_id for fill in row.fills}
    new = [fill for fill in (answer.fills if isinstance(answer, Executed) else ()) if fill.execution_id not in known]
    if after.average_price is not None:
        order.filled_quantity, order.average_price = format_decimal(after.filled), format_decimal(after.average_price)
    if new:
        order.update_time.CopyFrom(max((fill.execute_time for fill in new), key=lambda time: time.ToNanoseconds()))
    else:
        set_time(order.update_time, now)
    by_id = {fill.execution_id: fill for fill in reversed([*row.fills, *new])}
    return row._replace(order=order, fills=[by_id[fill.execution_id] for fill in after.fills])


def find_fault(order: order_pb2.Order, answer: Any) -> str:
    """What makes an answer one that cannot be relied on; empty for nothing."""
    if not isinstance(answer, Answer):
        return f"expected an answer, was {type(answer).__name__}"
    if not isinstance(answer, Executed):
        return ""
    try:
        fills = [_fill(fill) for fill in answer.fills]
        fees = [parse_decimal(fill.fee) for fill in answer.fills if fill.fee]
    except ValueError as error:
        return f"a fill of {order.order_id} is unreadable: {error}"
    del fees
    for fill, message in zip(fills, answer.fills, strict=True):
        if not (fill.execution_id and fill.quantity > 0 and fill.price > 0):
            return f"expected a fill with an id, quantity and price above 0, was {fill}"
        if message.order_id != order.order_id or message.side != order.side:
            return f"expected a fill of {order.order_id}, was one of {message.order_id!r}, side {message.side}"
    if answer.ended not in (None, common_pb2.ORDER_STATE_FILLED, *_ENDINGS):
        return f"expected an order that works or has ended, was state {answer.ended}"
    if answer.ended == common_pb2.ORDER_STATE_FILLED and leaves_quantity(parse_decimal(order.quantity), fills):
        return f"called filled, and its fills do not add up to {order.quantity}"
    return ""


def _hear(status: OrderStatus, answer: Answer) -> OrderStatus:
    match answer:
        case Accepted():
            return status.after(Event.ACCEPT)
        case Executed():
            status = status.with_fills(tuple(_fill(fill) for fill in answer.fills))
            if answer.ended is None:
                return status.after(Event.ACCEPT)
            reason = answer.reason or (PARTIALLY_FILLED if status.fills else NOT_FILLED)
            return status.after(_ENDINGS[answer.ended], reason) if answer.ended in _ENDINGS else status
        case Rejected():
            return status.after(Event.REJECT, answer.reason)
        case NotFound():
            return status.after(Event.MISS, ABSENT)
        case Unknown():
            return status.after(Event.LOSE)


def _shown(status: OrderStatus) -> State:
    """A cancel in flight has no state of its own in the contract: the order works until the venue says otherwise."""
    if status.state is State.PENDING_CANCEL:
        return State.PARTIALLY_FILLED if status.fills else State.ACCEPTED
    return status.state


def _fill(fill: order_pb2.Fill) -> Fill:
    return Fill(fill.execution_id, parse_decimal(fill.quantity), parse_decimal(fill.price))
