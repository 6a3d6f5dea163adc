"""A page of signals: by any filter, in any order, stable while more are recorded.

A page goes on after the last signal of the one before, by its place in the order. How the database finds the page depends
on the filter: if few signals match one of its conditions, only those are read and sorted. Otherwise a value of an indexed
column gives the signals in the order of lists, and so does a word. Other filters are looked up first: what only few
signals match is sorted; what many match is found soon by going along the order.
"""

import hashlib
import json
from typing import Any, NamedTuple

import sqlalchemy as sa
from vantixs.api.audit.v1 import audit_pb2
from vantixs.runtime.errors import invalid
from vantixs.runtime.paging import LARGEST, decode_token, encode_token, not_a_token, page_size

from vantixs_audit.domain.filter_expression import ANY, All, Comparison, Expression
from vantixs_audit.domain.filter_fields import Kind
from vantixs_audit.signal_filter import condition, expression_of, is_rewritten
from vantixs_audit.tables import SIGNAL_WORDS, SIGNALS
from vantixs_audit.views import words_of

FEW, WINDOW = 3_000, 5_000
MOST_LOOKED_UP = 10  # Conditions of a filter of which it is found out whether few signals match them.
_ORDERS = {
    "receive_time": "receive_time",
    "emit_time": "emit_time",
    "latency": "latency_us",
    "slippage_bps": "slippage_bps",
}
_NOT_INDEXED = ("signal", "replay", "comment")
_RANGED = ("emit_time", "end_time", "latency_us", "slippage_bps")  # Columns with an index, and a range of values.
_Rows = list[Any]


class Order(NamedTuple):
    """An order of lists: by a column, and where that is the same by time of receipt and number."""

    column: str
    descending: bool

    @property
    def keys(self) -> "list[sa.ColumnElement[Any]]":
        """What it goes by, as whole numbers."""
        names = dict.fromkeys((self.column, "receive_time", "number"))
        return [sa.type_coerce(SIGNALS.c[name], sa.BigInteger) for name in names]


def read_order(text: str) -> Order:
    """An order as in AIP-132, for example `latency desc`; `receive_time desc` where none is given.

    Raises:
        ServiceError: INVALID_ARGUMENT for another one.
    """
    name, _, direction = (text.strip() or "receive_time desc").partition(" ")
    if name not in _ORDERS or direction.strip() not in ("", "asc", "desc"):
        expected = f"expected one of {', '.join(_ORDERS)}, with ` desc` or without"
        raise invalid("order_by", f"{expected}, was {text[:40]!r}")
    return Order(_ORDERS[name], direction.strip() == "desc")


class Place(NamedTuple):
    """After which signal a page begins: its keys in the order; the first is None among those that have no such value."""

    keys: tuple[int | None, ...]


def list_signals(connection: sa.Connection, request: audit_pb2.ListSignalsRequest) -> tuple[_Rows, str]:
    """The rows of a page, and the token of the next one.

    Raises:
        ServiceError: INVALID_ARGUMENT where filter or order are none, or the token is of another filter or order.
    """
    order, expression, size = read_order(request.order_by), expression_of(request.filter), page_size(request)
    asked = hashlib.sha256(request.filter.SerializeToString(deterministic=True) + repr(order).encode()).hexdigest()[:16]
    place = _read_place(request.page_token, asked, order)
    rows: _Rows = []
    if place is None or place.keys[0] is not None:
        rows = _find(connection, expression, order, place, size + 1, empty=False)
    if len(rows) <= size and order.column != "receive_time":
        place = place if place and place.keys[0] is None else None
        rows += _find(connection, expression, order, place, size + 1 - len(rows), empty=True)
    token = ""
    if len(rows) > size:
        token = encode_token(json.dumps([asked, *(rows[size - 1][f"key{n}"] for n in range(len(order.keys)))]))
    return [_Row(row) for row in rows[:size]], token


class _Row:
    """A mapping's values as attributes."""

    def __init__(self, values: Any) -> None:
        self.__dict__.update(values)


def _read_place(token: str, asked: str, order: Order) -> Place | None:
    if not token:
        return None
    try:
        found, *keys = json.loads(decode_token(token))
    except (ValueError, TypeError, RecursionError):
        raise not_a_token() from None
    if found != asked:
        raise invalid("page_token", "expected a token of the same filter and order, was one of another")
    if len(keys) != len(order.keys):
        raise not_a_token()
    without = keys[0] is None and order.column != "receive_time"
    if not all(_is_key(key) for key in (keys[1:] if without else keys)):
        raise not_a_token()
    return Place(tuple(keys))


def _is_key(key: object) -> bool:
    """Whether a column of whole numbers may hold it. JSON's true and false are whole numbers to Python."""
    return type(key) is int and -LARGEST - 1 <= key <= LARGEST


def _find(
    connection: sa.Connection, expression: Expression, order: Order, place: Place | None, most: int, *, empty: bool
) -> _Rows:
    """Rows after a place; with `empty` those that have no value to be ordered by."""
    conditions = expression.items if isinstance(expression, All) else (expression,)
    listed = order.column == "receive_time"
    query = sa.select(SIGNALS, *(key.label(f"key{n}") for n, key in enumerate(order.keys)))
    if len(conditions) > 1 and (few := _few(connection, conditions)) is not None:
        query = query.where(SIGNALS.c.number.in_(few), condition(expression, by_index=False))
    elif listed and any(_gives_order(item) for item in conditions):
        query = query.where(condition(expression))
    elif listed and (word := _longest_word(conditions)):
        return _by_word(connection, query, word, expression, order, place, most)
    elif all(isinstance(item, Comparison) and item.field.column == order.column for item in conditions):
        query = query.where(condition(expression))
    else:
        found = sa.select(SIGNALS.c.number).where(condition(expression)).limit(FEW + 1)
        if connection.execute(sa.select(sa.func.count()).select_from(found.subquery())).scalar_one() <= FEW:
            query = query.where(SIGNALS.c.number.in_(found))
        else:
            return _find_many(connection, query, expression, order, place, most, empty=empty)
    keys, there = _keys_of(order, empty=empty)
    return _in_order(connection, query.where(there), keys, order, place, most)


def _few(connection: sa.Connection, conditions: "tuple[Expression, ...]") -> "sa.Select[Any] | None":
    """The numbers of the signals that match the first condition that at most `FEW` signals match; None if there is none.

    The database does not know how many signals have a value, and would go along a frequent value to find a rare one.
    """
    for item in conditions[:MOST_LOOKED_UP]:
        found = _numbers_of(item)
        if found is None:
            continue
        counted = sa.select(sa.func.count()).select_from(found.limit(FEW + 1).subquery())
        if connection.execute(counted).scalar_one() <= FEW:
            return found
    return None


def _numbers_of(item: Expression) -> "sa.Select[Any] | None":
    """The numbers of the signals that match a condition, if an index has them one after the other; else None."""
    if word := _longest_word((item,)):
        return sa.select(SIGNAL_WORDS.c.number).where(SIGNAL_WORDS.c.word == word)
    ranged = isinstance(item, Comparison) and item.field.column in _RANGED and item.value != ANY
    if ranged or _gives_order(item) or is_rewritten(item):
        return sa.select(SIGNALS.c.number).where(condition(item))
    return None


def _find_many(
    connection: sa.Connection,
    query: "sa.Select[Any]",
    expression: Expression,
    order: Order,
    place: Place | None,
    most: int,
    *,
    empty: bool,
) -> _Rows:
    """Along the next 5,000 signals; what has too few matches there has few in all, or only further on, and is sorted."""
    keys, there = _keys_of(order, empty=empty)
    walk = sa.select(*keys).where(there, _after(keys, order, place)).order_by(*_directed(keys, order))
    last = connection.execute(walk.offset(WINDOW).limit(1)).first()
    near = query.where(there, condition(expression, by_index=False))
    if last is not None:
        near = near.where(sa.not_(_after(keys, order, Place(tuple(last)))))
    rows = _in_order(connection, near, keys, order, place, most)
    if last is None or len(rows) == most:
        return rows
    unindexed = [key + sa.literal(0, sa.BigInteger) for key in keys]
    found = sa.select(SIGNALS.c.number).where(there, condition(expression), _after(unindexed, order, place))
    found = found.order_by(*_directed(unindexed, order)).limit(most)
    return _in_order(connection, query.where(SIGNALS.c.number.in_(found)), keys, order, None, most)


def _keys_of(order: Order, *, empty: bool) -> "tuple[list[Any], sa.ColumnElement[bool]]":
    """By what rows are ordered that have a value of the order's column, or have none; and the condition that they do."""
    keys = order.keys
    if order.column == "receive_time":
        return keys, sa.true()
    return (keys[1:], keys[0].is_(None)) if empty else (keys, keys[0].is_not(None))


def _after(keys: "list[Any]", order: Order, place: Place | None) -> "sa.ColumnElement[bool]":
    if place is None:
        return sa.true()
    given = sa.tuple_(*(sa.literal(key, sa.BigInteger) for key in place.keys[-len(keys) :]))
    return sa.tuple_(*keys) < given if order.descending else sa.tuple_(*keys) > given


def _directed(keys: "list[Any]", order: Order) -> "list[Any]":
    return [key.desc() if order.descending else key for key in keys]


def _in_order(
    connection: sa.Connection, query: "sa.Select[Any]", keys: "list[Any]", order: Order, place: Place | None, most: int
) -> _Rows:
    query = query.where(_after(keys, order, place)).order_by(*_directed(keys, order)).limit(most)
    return list(connection.execute(query).mappings())


def _by_word(
    connection: sa.Connection,
    query: "sa.Select[Any]",
    word: str,
    expression: Expression,
    order: Order,
    place: Place | None,
    most: int,
) -> _Rows:
    """Along the signals that have the word, which are in the order of lists."""
    joined = query.join_from(SIGNAL_WORDS, SIGNALS, SIGNALS.c.number == SIGNAL_WORDS.c.number)
    keys = [sa.type_coerce(SIGNAL_WORDS.c.receive_time, sa.BigInteger), SIGNAL_WORDS.c.number]
    joined = joined.where(SIGNAL_WORDS.c.word == word, condition(expression, by_index=False, but=word))
    return _in_order(connection, joined, keys, order, place, most)


def _gives_order(item: Expression) -> bool:
    """Whether an index has the signals that match in the order of lists."""
    if not isinstance(item, Comparison) or item.name.removesuffix("_id") in _NOT_INDEXED or item.value == ANY:
        return False
    if item.field.kind is Kind.WORDS:
        return item.operator == "=" and item.value != ""
    partly = item.field.kind is Kind.TEXT and item.value == ""
    return item.field.kind in (Kind.TEXT, Kind.NAME) and not partly


def _longest_word(conditions: "tuple[Expression, ...]") -> str:
    """The word to go along: the longest, which probably is in the fewest signals."""
    words = [
        (len(word), f"{item.field.column}:{word}")
        for item in conditions
        if isinstance(item, Comparison)
        and item.field.kind is Kind.WORDS
        and item.operator in ":="
        and item.value != ANY
        for word in words_of(str(item.value))
    ]
    return max(words)[1] if words else ""
