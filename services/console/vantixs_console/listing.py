"""Configuration for people: every field of a webhook and of an account, and the meaning of a field that is not set.

The fields come from the contracts, so a new field is listed without a change here.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from rich.table import Table
from vantixs.api.common.v1 import common_pb2
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.api.risk.v1 import risk_pb2

from vantixs_console.terminal import make_table

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Row = tuple[str, str]
NOT_LIMITED = "no limit"
# The meaning of a field that is not set, if "none" does not say it.
_WEBHOOK_UNSET = {
    "mode": "paper",
    "routing_mode": "direct",
    "sizing": "the account's",
    "instruments": "all",
    "actions": "all",
    "maximum_leverage": "1",
    "dedupe_window_s": "off",
    "entry_expires_after_s": "never",
    "exit_expires_after_s": "never",
    "rate_limit_per_minute": NOT_LIMITED,
    "source_networks": "any",
    "minimum_proof": "token",
    "signature_tolerance_s": "300",
    "mapping": "the built-in names",
    "on_new_signal": "cancel_own_entries",
    "position_policy": "ignore",
    "position_owner": "account",
    "max_adds": NOT_LIMITED,
    "stop_move": "it stays",
    "stop_move_after_target": "1",
    "protection_base": "average_entry",
    "unprotected_limit_s": "10",
    "triggered_timeout_s": "never",
}
_ACCOUNT_UNSET = {
    "instruments": "all",
    "strategies": "all",
    "trading_windows": "always",
    "day_start": "00:00",
    "day_time_zone": "UTC",
    "leverage": "max_leverage, or 1",
}
_BREAKERS_UNSET = {
    "daily_loss_state": "reducing",
    "drawdown_state": "reducing",
    "max_failures_in_a_row": "no breaker",
    "failures_state": "reducing",
    "max_repeated_orders": "no breaker",
    "repeated_orders_window_s": "no breaker",
    "repeated_orders_state": "reducing",
}
_LIMITS_UNSET = {
    "loss_cooldown_s": "no cooldown",
    "duplicate_order_window_s": "not refused",
    "max_price_age_ms": "the service's setting",
    "max_mark_age_s": "the service's setting",
}


def webhook_rows(webhook: webhook_pb2.Webhook) -> list[Row]:
    """A webhook's fields, except its id, tokens and secrets, which have a table of their own."""
    return list(_rows(webhook, _WEBHOOK_UNSET, skip=("webhook_id", "tokens", "signing_secrets")))


def credential_table(webhook: webhook_pb2.Webhook) -> Table:
    """A webhook's tokens and signing secrets: since when and until when they are valid, and what each may send."""
    table = make_table("credential", "made", "ends", "may send")
    for token in webhook.tokens:
        table.add_row(f"token {token.token_id}", time_text(token.create_time), _end(token), _scope(token))
    for secret in webhook.signing_secrets:
        table.add_row(
            f"secret {secret.secret_id}", time_text(secret.create_time), _end(secret), "what the webhook takes"
        )
    return table


def account_rows(account: risk_pb2.Account) -> list[tuple[str, list[Row]]]:
    """An account's rules in four parts, each with its heading. The opening balance is in the account's books."""
    apart = ("account_id", "mode", "currency", "enabled", "revision", "balance", "sizing", "limits", "breakers")
    limits = dict.fromkeys((field.name for field in risk_pb2.Limits.DESCRIPTOR.fields), NOT_LIMITED) | _LIMITS_UNSET
    return [
        ("rules", list(_rows(account, _ACCOUNT_UNSET, skip=apart))),
        ("sizing", list(_rows(account.sizing, {}))),
        ("limits", list(_rows(account.limits, limits))),
        ("breakers", list(_rows(account.breakers, _BREAKERS_UNSET))),
    ]


def time_text(time: Timestamp) -> str:
    """A time to the second, for example "2026-11-26 14:02:32Z"."""
    return time.ToJsonString().replace("T", " ")[:19] + "Z"


def sizing_text(sizing: common_pb2.Sizing) -> str:
    """A sizing in one line, for example "fixed_notional 100"."""
    if not sizing.method:
        return _WEBHOOK_UNSET["sizing"]
    more = (f"{name} {text}" for name, text in _rows(sizing, {}, skip=("method", "value")) if text != "none")
    return ", ".join((f"{enum_text(sizing.DESCRIPTOR.fields_by_name['method'], sizing.method)} {sizing.value}", *more))


def window_text(window: risk_pb2.TradingWindow) -> str:
    """A trading window as its flag takes it, for example "mon,tue 09:30-16:00 America/New_York"."""
    days = ",".join(DAYS[day - 1] for day in window.days)
    return f"{days} {window.start}-{window.end} {window.time_zone}".strip()


def enum_text(field: Any, number: int) -> str:
    """An enum value as its flag takes it, for example "fixed_notional"."""
    enum: Any = field.enum_type
    known = enum.values_by_number.get(number)
    return known.name.removeprefix(enum.values[0].name.removesuffix("UNSPECIFIED")).lower() if known else str(number)


def _rows(message: Message, unset: Mapping[str, str], *, skip: Collection[str] = ()) -> Iterator[Row]:
    for field in message.DESCRIPTOR.fields:
        if field.name in skip:
            continue
        if field.name == "mapping":
            yield from _mapping_rows(message.mapping)  # type: ignore[attr-defined]
            continue
        text = _text(field, getattr(message, field.name), message)
        yield field.name, text or unset.get(field.name, "none")


def _text(field: Any, value: Any, message: Message) -> str:
    """A field's value, empty where it is not set."""
    if field.is_repeated:
        separator = "; " if field.message_type else ", "
        return separator.join(_one(field, item) for item in value)
    if field.message_type and not message.HasField(field.name):
        return ""
    return _one(field, value)


def _one(field: Any, value: Any) -> str:
    if isinstance(value, Timestamp):
        return time_text(value)
    if isinstance(value, risk_pb2.TradingWindow):
        return window_text(value)
    if isinstance(value, common_pb2.Sizing):
        return sizing_text(value)
    if field.enum_type:
        return enum_text(field, value) if value else ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value or "")


def _mapping_rows(mapping: webhook_pb2.PayloadMapping) -> Iterator[Row]:
    if not mapping.fields and not mapping.values:
        yield "mapping", _WEBHOOK_UNSET["mapping"]
    for name, expression in sorted(mapping.fields.items()):
        yield f"mapping.fields.{name}", expression
    for name, text in sorted(mapping.values.items()):
        yield f"mapping.values.{name}", text


def _end(credential: Any) -> str:
    if credential.HasField("revoke_time"):
        return f"revoked {time_text(credential.revoke_time)}"
    return time_text(credential.expire_time) if credential.HasField("expire_time") else "never"


def _scope(token: webhook_pb2.WebhookToken) -> str:
    parts = [text for text, holds in (("exits only", token.exits_only), ("paper only", token.paper_only)) if holds]
    for name in ("actions", "instruments"):
        if listed := _text(token.DESCRIPTOR.fields_by_name[name], getattr(token, name), token):
            parts.append(f"{name} {listed}")
    return "; ".join(parts) or "what the webhook takes"
