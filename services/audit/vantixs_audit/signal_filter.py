"""What a filter means: as an SQL condition, and for one signal, given as a row or as a message.

List, watch, export, statistics and replay all use this module.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from typing import Any

import sqlalchemy as sa
from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.common.v1 import common_pb2
from vantixs.runtime.errors import invalid
from vantixs.runtime.timestamps import moment_of

from vantixs_audit.domain.filter_expression import ANY, All, Comparison, Expression, FilterError, Not, Some, read_filter
from vantixs_audit.domain.filter_fields import FIELDS, Kind
from vantixs_audit.tables import PARTLY_INDEXED, REPEATED, REPLAYED, SIGNAL_WORDS, SIGNALS
from vantixs_audit.views import words_of

_SAME = {"webhook_id": "webhook", "account_id": "account", "instrument": "instrument", "reason": "reason"}


def expression_of(filter_: audit_pb2.SignalFilter) -> Expression:
    """The whole filter as one expression.

    Raises:
        ServiceError: INVALID_ARGUMENT if its expression is wrong; says where, what was expected and what was found.
    """
    found: list[Expression] = []
    if filter_.status:
        if filter_.status not in common_pb2.SignalStatus.values():
            raise invalid("filter.status", f"expected a status, was {filter_.status}")
        name = common_pb2.SignalStatus.Name(filter_.status).removeprefix("SIGNAL_STATUS_")
        found.append(Comparison("status", "=", name))
    found += [Comparison(field, "=", value) for name, field in _SAME.items() if (value := getattr(filter_, name))]
    for name, operator in (("since", ">="), ("until", "<")):
        if filter_.HasField(name):
            found.append(Comparison("receive_time", operator, moment_of(getattr(filter_, name), f"filter.{name}")))
    try:
        asked = read_filter(filter_.expression)
    except FilterError as error:
        raise invalid("filter.expression", str(error)) from None
    items = (*found, *(asked.items if isinstance(asked, All) else (asked,)))
    return items[0] if len(items) == 1 else All(items)


def condition_of(filter_: audit_pb2.SignalFilter) -> "sa.ColumnElement[bool]":
    """The condition on rows of `SIGNALS`; an empty filter matches all rows. Raises as `expression_of`."""
    return condition(expression_of(filter_))


def condition(expression: Expression, *, by_index: bool = True, but: str = "") -> "sa.ColumnElement[bool]":
    """An expression as a condition on rows of `SIGNALS`, which is never NULL. Without `by_index` it can use no index.

    All rows are known to have the word `but` (as in `SIGNAL_WORDS`), so that part of the condition is left out.
    """
    match expression:
        case All(items):
            return sa.and_(sa.true(), *(condition(item, by_index=by_index, but=but) for item in items))
        case Some(items):
            return sa.or_(sa.false(), *(condition(item, by_index=by_index) for item in items))
        case Not(Comparison(name, "=", value)) if is_rewritten(expression):
            # "Not one of these names" is written as "one of the other names", which an index can find.
            column: sa.ColumnElement[Any] = SIGNALS.c[_OTHERS[name]]
            column = column if by_index else column + sa.literal("", sa.Text)
            return column.in_([other for other in ("", *FIELDS[name].names) if other != value])
        case Not(item):
            return sa.not_(condition(item, by_index=by_index))
    return _compare(expression, by_index=by_index, but=but)


def is_rewritten(expression: Expression) -> bool:
    """Whether it is "not this name" of a field that has few names, which `condition` writes as "one of the other names"."""
    match expression:
        case Not(Comparison(name, "=", value)):
            return name in _OTHERS and value != "REPLAYED"
    return False


def _compare(asked: Comparison, *, by_index: bool, but: str) -> "sa.ColumnElement[bool]":
    name, value = asked.field.column, asked.value
    if name == "status" and value == "REPLAYED" and by_index:
        return REPLAYED
    if name == "status" and value not in ("REPLAYED", ANY):
        name = "outcome"  # A replayed signal is found as REPLAYED and as its original status.
    column: sa.ColumnElement[Any] = SIGNALS.c[name]
    if asked.field.kind in (Kind.TEXT, Kind.WORDS, Kind.NAME):
        column = column if by_index else column + sa.literal("", sa.Text)
        if asked.operator == ":" and value == ANY:
            return column != ""
        if asked.operator == ":" and asked.field.kind is Kind.WORDS:
            words = [f"{name}:{word}" for word in words_of(str(value))]
            return sa.and_(sa.true(), *(has_word(word) for word in words if word != but)) if words else sa.false()
        if name in PARTLY_INDEXED and value:
            return sa.and_(column == value, column != "")
        implied = _implied(name, str(value)) if by_index else []
        return sa.and_(column == value, *implied)
    column = sa.type_coerce(column, sa.BigInteger)
    column = column if by_index else column + sa.literal(0, sa.BigInteger)
    if asked.operator == ":" and value == ANY:
        return column.is_not(None)
    compared = sa.and_(column.is_not(None), _compare_number(column, asked.operator, _as_stored(name, value)))
    repeated = by_index and name == "duplicates" and not _OPERATORS[asked.operator](0, value)
    return sa.and_(REPEATED, compared) if repeated else compared


def _implied(name: str, value: str) -> "list[sa.ColumnElement[bool]]":
    """What else holds of a signal whose column of no index has that value, and is found by an index."""
    if name == "replay_id" and value:
        return [REPLAYED]
    return [has_word(f"{name}:{word}") for word in words_of(value)] if name == "comment" else []


def has_word(word: str) -> "sa.ColumnElement[bool]":
    """Whether a signal's comment or tag has the word, given as in `SIGNAL_WORDS`."""
    columns = SIGNAL_WORDS.c
    same = (columns.word == word, columns.receive_time == SIGNALS.c.receive_time, columns.number == SIGNALS.c.number)
    # The offset keeps PostgreSQL from reading all signals that have the word.
    return sa.select(SIGNAL_WORDS.c.number).where(*same).offset(0).correlate(SIGNALS).exists()


def _as_stored(name: str, value: Any) -> Decimal:
    """A value as its column stores it; it may lie between two stored values."""
    if isinstance(value, datetime):
        return Decimal((value - _EPOCH) // timedelta(microseconds=1))
    return Decimal(value) * (100 if name == "slippage_bps" else 1)


def _compare_number(column: "sa.ColumnElement[Any]", operator: str, value: Decimal) -> "sa.ColumnElement[bool]":
    """Compares whole numbers, so that PostgreSQL can use an index of whole numbers."""
    below = int(value.to_integral_value(ROUND_FLOOR))
    if below != value:
        if operator in "=:":
            return sa.false()
        return column <= below if operator[0] == "<" else column > below
    return _OPERATORS[operator](column, sa.literal(below, sa.BigInteger))  # type: ignore[no-any-return]


_OTHERS = {"status": "outcome", "action": "action", "side": "side", "mode": "mode"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OPERATORS: dict[str, Any] = {
    "=": lambda a, b: a == b,
    ":": lambda a, b: a == b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def holds(expression: Expression, row: Mapping[str, Any]) -> bool:
    """Whether an expression is true for a row's columns; agrees with `condition`."""
    match expression:
        case All(items):
            return all(holds(item, row) for item in items)
        case Some(items):
            return any(holds(item, row) for item in items)
        case Not(item):
            return not holds(item, row)
    name, kind, value = expression.field.column, expression.field.kind, expression.value
    found = row[name]
    if expression.operator == ":" and value == ANY:
        return found not in ("", None)
    if expression.operator == ":" and kind is Kind.WORDS:
        asked = set(words_of(str(value)))
        return bool(asked) and asked <= set(words_of(found))
    if name == "status":
        return bool(value == (found if value == "REPLAYED" else row["outcome"]))
    if found is None:
        return False
    return bool(_OPERATORS[expression.operator](found, value))


def matches(filter_: audit_pb2.SignalFilter, signal: audit_pb2.SignalSummary) -> bool:
    """Whether a filter matches a signal, given as a message; agrees with `condition_of`. Raises as `expression_of`."""
    return holds(expression_of(filter_), row_of_message(signal))


def row_of_message(signal: audit_pb2.SignalSummary) -> dict[str, Any]:
    """The columns that filters use, from a signal's message."""
    latency = signal.latency.ToTimedelta() // timedelta(microseconds=1) if signal.HasField("latency") else None
    return {
        **{name: getattr(signal, name) for name in _TEXTS},
        "status": _short(common_pb2.SignalStatus, signal.status, "SIGNAL_STATUS_"),
        "outcome": _short(common_pb2.SignalStatus, signal.outcome, "SIGNAL_STATUS_"),
        "original_status": _short(common_pb2.SignalStatus, signal.original_status, "SIGNAL_STATUS_"),
        "action": _short(common_pb2.Action, signal.action, "ACTION_"),
        "mode": _short(common_pb2.Mode, signal.mode, "MODE_"),
        "side": _short(common_pb2.Side, signal.side, "SIDE_"),
        "duplicates": signal.duplicate_count,
        "receive_time": _moment(signal, "receive_time"),
        "emit_time": _moment(signal, "emit_time"),
        "end_time": _moment(signal, "end_time"),
        "latency_us": latency,
        "slippage_bps": Decimal(signal.slippage_bps) if signal.slippage_bps else None,
    }


_TEXTS = (
    "signal_id", "reason", "stage", "webhook_id", "account_id", "instrument", "symbol", "strategy_id", "source_address",
    "first_signal_id", "replay_of", "replay_root", "replay_id", "comment", "tag",
)  # fmt: skip


def _short(enum: Any, number: int, prefix: str) -> str:
    return str(enum.Name(number)).removeprefix(prefix) if number else ""


def _moment(signal: Any, name: str) -> datetime | None:
    found: datetime | None = getattr(signal, name).ToDatetime(tzinfo=UTC) if signal.HasField(name) else None
    return found
