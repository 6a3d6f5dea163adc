"""Between messages and the values of the domain."""

from decimal import Decimal
from typing import Any

from vantixs.api.common.v1 import common_pb2, signal_pb2
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.model.decimals import format_decimal, parse_decimal

from vantixs_ingress.domain.intake import Reading, Rules

_ENUMS: dict[str, tuple[Any, str]] = {
    "action": (common_pb2.Action, "ACTION_"),
    "target_position": (common_pb2.PositionSide, "POSITION_SIDE_"),
    "previous_position": (common_pb2.PositionSide, "POSITION_SIDE_"),
    "quantity_type": (common_pb2.QuantityType, "QUANTITY_TYPE_"),
    "order_type": (common_pb2.OrderType, "ORDER_TYPE_"),
    "time_in_force": (common_pb2.TimeInForce, "TIME_IN_FORCE_"),
}
_TEXTS = ("symbol", "instrument", "idempotency_key", "comment", "tag")
_NUMBERS = ("quantity", "price", "limit_price", "stop_price", "leverage")


def rules_of(webhook: webhook_pb2.Webhook) -> Rules:
    """What the webhook allows, as values."""
    return Rules(
        mode=common_pb2.Mode.Name(webhook.mode).removeprefix("MODE_"),
        account_id=webhook.account_id,
        instruments=frozenset(webhook.instruments) or None,
        actions=frozenset(common_pb2.Action.Name(a).removeprefix("ACTION_") for a in webhook.actions) or None,
        maximum_leverage=parse_decimal(webhook.maximum_leverage or "1"),
        entry_expires_after_s=webhook.entry_expires_after_s,
        exit_expires_after_s=webhook.exit_expires_after_s,
        time_is_emit_time=webhook.time_is_emit_time,
    )


def signal_message(reading: Reading, signal_id: str) -> signal_pb2.Signal:
    """The canonical signal."""
    values = reading.values
    signal = signal_pb2.Signal(signal_id=signal_id, extras=reading.extras)
    for name, (enum, prefix) in _ENUMS.items():
        if name in values:
            setattr(signal, name, enum.Value(prefix + values[name]))
    for name in _TEXTS:
        if name in values:
            setattr(signal, name, values[name])
    for name in _NUMBERS:
        if name in values:
            setattr(signal, name, format_decimal(values[name]))
    for level in ("stop_loss", "take_profit"):
        for kind in ("price", "percent", "amount"):
            value: Decimal | None = values.get(f"{level}_{kind}")
            if value is not None:
                setattr(getattr(signal, level), kind, format_decimal(value))
    if "emit_time" in values:
        signal.emit_time.FromDatetime(values["emit_time"])
    if reading.expire_time:
        signal.expire_time.FromDatetime(reading.expire_time)
    return signal


def field_errors(reading: Reading) -> list[webhook_pb2.FieldError]:
    """The errors of a reading."""
    return [webhook_pb2.FieldError(field=e.field[:200], reason=e.reason, detail=e.detail) for e in reading.errors]
