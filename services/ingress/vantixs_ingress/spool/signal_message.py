"""The canonical signal of a payload, and what is wrong with it, as messages."""

from collections.abc import Callable, Iterable
from typing import Any

from vantixs.api.common.v1 import common_pb2, signal_pb2
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.model.decimals import format_decimal
from vantixs.runtime.timestamps import timestamp

from vantixs_ingress.domain.payload.reading import FieldError, Reading
from vantixs_ingress.domain.payload.redaction import redact_inside
from vantixs_ingress.domain.signal.ladders import levels_of

_ENUMS: dict[str, tuple[Any, str]] = {
    "action": (common_pb2.Action, "ACTION_"),
    "target_position": (common_pb2.PositionSide, "POSITION_SIDE_"),
    "previous_position": (common_pb2.PositionSide, "POSITION_SIDE_"),
    "quantity_type": (common_pb2.QuantityType, "QUANTITY_TYPE_"),
    "order_type": (common_pb2.OrderType, "ORDER_TYPE_"),
    "time_in_force": (common_pb2.TimeInForce, "TIME_IN_FORCE_"),
}
_TEXTS = ("symbol", "instrument", "idempotency_key", "comment", "tag", "sender_reference")
_NUMBERS = (
    "quantity", "price", "limit_price", "stop_price", "leverage", "target_quantity", "previous_quantity", "trail_percent",
    "trail_amount", "activation_price",
)  # fmt: skip
_TIMES = ("emit_time", "bar_time", "order_expire_time")
_LEVELS = tuple(
    (level, kind, f"{level}_{kind}")
    for level in ("stop_loss", "trailing_stop", "trailing_activation", "break_even_at")
    for kind in ("price", "percent", "amount")
)
# The conversion of each value of a signal to its field.
_FIELDS: dict[str, Callable[[Any], Any]] = {
    **{
        name: {key.removeprefix(prefix): number for key, number in enum.items()}.__getitem__
        for name, (enum, prefix) in _ENUMS.items()
    },
    **dict.fromkeys(_TEXTS, str),
    # Deduplication uses the key as sent; what is recorded and shown of it is redacted.
    **dict.fromkeys(("idempotency_key", "sender_reference"), redact_inside),
    **dict.fromkeys(_NUMBERS, format_decimal),
    **dict.fromkeys(_TIMES, timestamp),
    **dict.fromkeys(("post_only", "reduce_only"), bool),
    "break_even_after_target": int,
}


def signal_message(reading: Reading, signal_id: str) -> signal_pb2.Signal:
    """The canonical signal as a message."""
    values = reading.values
    fields = {name: _FIELDS[name](value) for name, value in values.items() if name in _FIELDS}
    if reading.expire_time:
        fields["expire_time"] = timestamp(reading.expire_time)
    signal = signal_pb2.Signal(signal_id=signal_id, extras=reading.extras, **fields)
    for level, kind, name in _LEVELS:
        if name in values:
            setattr(getattr(signal, level), kind, format_decimal(values[name]))
    for _, target in levels_of(values):
        added = signal.take_profits.add(share="" if target.share is None else format_decimal(target.share))
        setattr(added.level, target.kind, format_decimal(target.value))
    return signal


def field_errors(errors: Iterable[FieldError] | Reading) -> list[webhook_pb2.FieldError]:
    """Errors or warnings as messages; of a reading, its errors."""
    rows = errors.errors if isinstance(errors, Reading) else errors
    return [webhook_pb2.FieldError(field=e.field, reason=e.reason, detail=e.detail) for e in rows]
