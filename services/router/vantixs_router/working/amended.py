"""The order that takes another one's place, with the terms that an operator asks for: pure."""

from datetime import UTC, datetime
from decimal import Decimal, localcontext

from vantixs.api.common.v1 import common_pb2, order_pb2, signal_pb2
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.decimals import EXACT, ZERO, format_decimal, parse_decimal

from vantixs_router.working.rules import LIMITS, STOPS

_TRAILING = (common_pb2.ORDER_TYPE_TRAILING_STOP,)
_TYPES_OF = {"limit_price": LIMITS, "stop_price": STOPS, "trail_percent": _TRAILING, "trail_amount": _TRAILING}
_INSTEAD_OF = {"trail_percent": "trail_amount", "trail_amount": "trail_percent"}


class TermsRefused(ValueError):
    """Terms that the order cannot have. `field` is which of them, the text what was expected."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(f"{field}: {text}")
        self.field, self.text = field, text


def change_terms(order: order_pb2.Order, asked: signal_pb2.Signal, now: datetime, lot_size: Decimal) -> order_pb2.Order:
    """The order with what is asked for in place of its own terms; `quantity` counts what is filled of it.

    Raises:
        TermsRefused: nothing would change, or its type has no such term, or it could not be, or a quantity leaves less than a
            lot to place.
    """
    changed = order_pb2.Order()
    changed.CopyFrom(order)
    for field, types in _TYPES_OF.items():
        value = getattr(asked, field)
        if not value:
            continue
        if order.order_type not in types:
            name = common_pb2.OrderType.Name(order.order_type).removeprefix("ORDER_TYPE_")
            raise TermsRefused(field, f"a {name} order has none")
        setattr(changed, field, value)
        if other := _INSTEAD_OF.get(field):
            if getattr(asked, other):
                raise TermsRefused(field, f"expected either it or {other}, was both")
            changed.ClearField(other)
    if asked.HasField("order_expire_time"):
        if (expires := asked.order_expire_time.ToDatetime(UTC)) <= now:
            raise TermsRefused("expire_time", f"expected later than {now.isoformat()}, was {expires.isoformat()}")
        changed.time_in_force = common_pb2.TIME_IN_FORCE_GTD
        changed.expire_time.CopyFrom(asked.order_expire_time)
    if asked.quantity:
        filled = parse_decimal(order.filled_quantity or "0")
        with localcontext(EXACT):
            left = parse_decimal(asked.quantity) - filled
        if left <= 0:
            raise TermsRefused("quantity", f"expected above the {format_decimal(filled)} filled, was {asked.quantity}")
        if left < lot_size:
            text = f"expected to leave at least a lot of {format_decimal(lot_size)}, left {format_decimal(left)}"
            raise TermsRefused("quantity", text)
        changed.quantity = asked.quantity
    if changed == order:
        raise TermsRefused("order", "expected a term that it does not have already, was none")
    return changed


def left_of(changed: order_pb2.Order, filled: order_pb2.Order) -> Decimal:
    """What is to be placed of the order, whose old one is `filled` so far; 0 where nothing is left."""
    with localcontext(EXACT):
        return max(parse_decimal(changed.quantity) - parse_decimal(filled.filled_quantity or "0"), ZERO)


def as_signal(changed: order_pb2.Order, quantity: Decimal, signal_id: str) -> journal_pb2.SignalAccepted:
    """What a signal and its webhook would have said for exactly this order: its size is what is asked for, not sized anew."""
    accepted = journal_pb2.SignalAccepted()
    signal, webhook = accepted.signal, accepted.webhook
    signal.signal_id, signal.instrument, signal.symbol = signal_id, changed.instrument, changed.instrument
    signal.quantity, signal.quantity_type = format_decimal(quantity), common_pb2.QUANTITY_TYPE_UNITS
    signal.order_type, signal.time_in_force = changed.order_type, changed.time_in_force
    for name in ("limit_price", "stop_price", "trail_percent", "trail_amount", "activation_price", "tag"):
        setattr(signal, name, getattr(changed, name))
    signal.post_only, signal.reduce_only = changed.post_only, changed.reduce_only
    if changed.HasField("expire_time"):
        signal.order_expire_time.CopyFrom(changed.expire_time)
    webhook.webhook_id, webhook.account_id, webhook.mode = changed.webhook_id, changed.account_id, changed.mode
    if changed.owned:
        webhook.position_owner = webhook_pb2.POSITION_OWNER_WEBHOOK
    webhook.triggered_timeout_s = changed.triggered_timeout_s
    webhook.sizing.method = common_pb2.SIZING_METHOD_SIGNAL_QUANTITY
    return accepted
