"""What a filter of signals can ask for: its fields, what kind of value each has, and how a value is read."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import NamedTuple

Value = str | int | Decimal | datetime


class Kind(Enum):
    """What the values of a field are."""

    TEXT = "a text"
    WORDS = "a text, or words of it with `:`"
    NAME = "a name"
    TIME = "a time, for example 2026-11-27T09:00:00Z or 2026-11-27"
    DURATION = "a duration, for example 1.5s"
    NUMBER = "a number, for example 12.5"


class Field(NamedTuple):
    """A field of filters: the column of a signal's row, its kind, and its names where it has only these."""

    column: str
    kind: Kind
    names: tuple[str, ...] = ()


STATUSES = ("ACCEPTED", "EXECUTED", "REJECTED", "FAILED", "REPLAYED")
ACTIONS = (
    "BUY", "SELL", "CLOSE", "CANCEL", "OPEN_LONG", "OPEN_SHORT", "CLOSE_LONG", "CLOSE_SHORT", "REVERSE", "ADD", "REDUCE",
)  # fmt: skip
FIELDS = {
    # A replayed signal is REPLAYED, and stays found under what it was before.
    "status": Field("status", Kind.NAME, STATUSES),
    "original_status": Field("original_status", Kind.NAME, STATUSES[:-1]),
    "action": Field("action", Kind.NAME, ACTIONS),
    "side": Field("side", Kind.NAME, ("BUY", "SELL")),
    "mode": Field("mode", Kind.NAME, ("PAPER", "LIVE")),
    "signal": Field("signal_id", Kind.TEXT),
    "reason": Field("reason", Kind.TEXT),
    "stage": Field("stage", Kind.TEXT),
    "webhook": Field("webhook_id", Kind.TEXT),
    "account": Field("account_id", Kind.TEXT),
    "instrument": Field("instrument", Kind.TEXT),
    "symbol": Field("symbol", Kind.TEXT),
    "strategy": Field("strategy_id", Kind.TEXT),
    "source_address": Field("source_address", Kind.TEXT),
    "duplicate_of": Field("first_signal_id", Kind.TEXT),
    "replay_of": Field("replay_of", Kind.TEXT),
    "replay_root": Field("replay_root", Kind.TEXT),
    "replay": Field("replay_id", Kind.TEXT),
    "comment": Field("comment", Kind.WORDS),
    "tag": Field("tag", Kind.WORDS),
    "receive_time": Field("receive_time", Kind.TIME),
    "emit_time": Field("emit_time", Kind.TIME),
    "end_time": Field("end_time", Kind.TIME),
    "latency": Field("latency_us", Kind.DURATION),
    "slippage_bps": Field("slippage_bps", Kind.NUMBER),
    "duplicates": Field("duplicates", Kind.NUMBER),
}
FIELDS |= {f"{name}_id": FIELDS[name] for name in ("signal", "webhook", "account", "strategy", "replay")}

_DURATION = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,9})?s", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,9})?", re.ASCII)


def read_value(field: Field, text: str) -> Value | None:
    """The value of a text; None where it is none of the field's kind. A duration is whole microseconds."""
    return _READERS[field.kind](field, text)


def _read_name(field: Field, text: str) -> str | None:
    return text.upper() if not text or text.upper() in field.names else None


def _read_time(_: Field, text: str) -> datetime | None:
    if len(text) < len("2026-11-27") or not text.isascii():
        return None
    try:
        found = datetime.fromisoformat(text.upper())
        # A time without a zone is UTC; one close to the ends of the calendar has no UTC.
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _read_duration(_: Field, text: str) -> int | None:
    return int(Decimal(text[:-1]) * 1_000_000) if _DURATION.fullmatch(text) else None


def _read_number(_: Field, text: str) -> Decimal | None:
    try:
        return Decimal(text) if _NUMBER.fullmatch(text) else None
    except InvalidOperation:
        return None


_READERS: dict[Kind, Callable[[Field, str], Value | None]] = {
    Kind.TEXT: lambda _, text: text,
    Kind.WORDS: lambda _, text: text,
    Kind.NAME: _read_name,
    Kind.TIME: _read_time,
    Kind.DURATION: _read_duration,
    Kind.NUMBER: _read_number,
}
