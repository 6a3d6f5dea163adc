"""A statement as one dialect's driver takes it: its text, how its parameters are encoded and its rows decoded.

`statements.py` has what units of work use. Here is how a statement is sent: for its rows, for how many rows it touched, or
for neither; alone, or on PostgreSQL once for the rows of many units.
"""

import json
import re
from collections import namedtuple
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from vantixs.runtime.many_rows import MakeMany, distinct_parts, hexadecimal, make_many_rows
from vantixs.runtime.pipeline import begin_sending, wait_for

# SQLite allows 32,766 parameters in a statement unless it was built to allow more.
MOST_ROWS = 256
_VALUES = re.compile(r"VALUES (\([?, ]+\))")


class CompiledStatement:
    """One statement in one dialect.

    Args:
        statement: what SQLAlchemy Core built.
        dialect: of the database that it is sent to.
        many: builds the statement that does the same for many rows, for PostgreSQL.
        key: the parameter that differs between the rows of one statement.
    """

    def __init__(
        self, statement: sa.sql.expression.ClauseElement, dialect: sa.Dialect, many: MakeMany | None, key: str
    ) -> None:
        compiled = statement.compile(dialect=dialect)
        assert isinstance(compiled, sa.sql.compiler.SQLCompiler)  # noqa: S101 - queries and changes, no DDL
        self._sql = str(compiled)
        self._order = compiled.positiontup if compiled.positional else None
        self._constants = {k: v for k, v in compiled.params.items() if v is not None}
        binds = {name: bind.type for bind, name in compiled.bind_names.items()}
        # SQLite's driver takes bytes as they are; SQLAlchemy's views of them cost more.
        given = {n: t for n, t in binds.items() if dialect.name != "sqlite" or not isinstance(t, sa.LargeBinary)}
        self._encode = {n: p for n, t in given.items() if (p := t.dialect_impl(dialect).bind_processor(dialect))}
        order = self._order or ()
        self._pick: Any = itemgetter(*order) if len(order) > 1 else lambda values: [values[n] for n in order]
        self._encode_at = [(at, self._encode[n]) for at, n in enumerate(order) if n in self._encode]
        columns = list(getattr(statement, "selected_columns", ()))
        decode = [c.type.dialect_impl(dialect).result_processor(dialect, None) for c in columns]
        self._decode_at = [(at, process) for at, process in enumerate(decode) if process]
        self._insert = isinstance(statement, sa.Insert)
        self._of_count: dict[int, str] = {}
        self.wait_for: Callable[[Any], None] = wait_for if dialect.name == "postgresql" else _do_not_wait
        self._row: Any = namedtuple("Row", [c.name for c in columns]) if columns else None
        self.many = make_many_rows(statement, compiled, dialect, many, key) if dialect.name == "postgresql" else None
        self.rows, self.count, self.change = _Found(self), _Count(self), _Change(self)

    def execute(self, connection: sa.Connection, values: Mapping[str, Any]) -> Any:
        """Sends the statement once. The driver's errors are raised unchanged."""
        begin_sending()
        cursor = connection.connection.cursor()
        cursor.execute(self._sql, self._parameters(values))
        return cursor

    def execute_many(self, connection: sa.Connection, rows: Sequence[Mapping[str, Any]], tail: str = "") -> Any:
        """Sends the statement once for all rows. No two of them have the same key."""
        assert self.many is not None  # noqa: S101 - only of statements that have a key
        encode = {name: process for name, process in self._encode.items() if name not in self.many.binary}
        encoded = []
        for row in rows:
            values = {**self._constants, **row}
            for name, process in encode.items():
                values[name] = process(values[name])
            encoded.append(values)
        begin_sending()
        cursor = connection.connection.cursor()
        cursor.execute(self.many.sql + tail, (json.dumps(encoded, default=hexadecimal, ensure_ascii=False),))
        return cursor

    def execute_all(self, connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Sends a change for several rows: on PostgreSQL as one statement where the statement has a form for many rows.

        On SQLite an INSERT of many rows is one statement too. The driver releases the GIL for each statement, and has to
        wait for the busy thread that took it.
        """
        if len(rows) > 1 and self.many is not None:
            for distinct in distinct_parts(rows, self.many.key_of):
                self.execute_many(connection, distinct)
            return
        begin_sending()
        cursor = connection.connection.cursor()
        parameters = [self._parameters(row) for row in rows]
        if len(rows) > 1 and (self._order is None or not self._insert):
            cursor.executemany(self._sql, parameters)
            parameters = []
        while parameters:
            # Powers of two keep the number of different SQL texts small, so that the driver has each of them prepared.
            count = min(1 << len(parameters).bit_length() - 1, MOST_ROWS)
            if count == 1:
                cursor.execute(self._sql, parameters[0])
            else:
                cursor.execute(self._of_rows(count), [v for row in parameters[:count] for v in row])
            parameters = parameters[count:]
        if self._order is not None:  # SQLite. In a pipeline of PostgreSQL the cursor must stay open for its result.
            cursor.close()

    def _of_rows(self, count: int) -> str:
        if count not in self._of_count:
            self._of_count[count] = _VALUES.sub(lambda found: "VALUES " + ", ".join([found[1]] * count), self._sql)
        return self._of_count[count]

    def _parameters(self, values: Mapping[str, Any]) -> Any:
        if self._order is None:
            merged = {**self._constants, **values}
            for name, encode in self._encode.items():
                merged[name] = encode(merged[name])
            return merged
        # Encoded by position and not by name: a row of many columns takes a third of the time.
        picked = self._pick({**self._constants, **values} if self._constants else values)
        return tuple(_at_places(self._encode_at, picked))

    def row(self, values: Any) -> Any:
        """A driver's row with the columns' types applied."""
        return self._row(*_at_places(self._decode_at, values))


def _do_not_wait(_: Any) -> None:
    """A cursor of SQLite has its result as soon as its statement was sent."""


def _at_places(processes: Sequence[tuple[int, Callable[[Any], Any]]], values: Sequence[Any]) -> list[Any]:
    done = list(values)
    for at, process in processes:
        done[at] = process(done[at])
    return done


class _Change:
    """Sends a change whose result nobody asks for."""

    def __init__(self, compiled: CompiledStatement) -> None:
        self._compiled = compiled

    def send(self, connection: sa.Connection, values: Mapping[str, Any]) -> Callable[[], Any]:
        self._compiled.execute(connection, values)
        return _nothing

    def key_of(self, values: Mapping[str, Any]) -> Hashable:
        many = self._compiled.many
        return None if many is None else many.key_of(values)

    def send_many(self, connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> list[Callable[[], Any]]:
        self._compiled.execute_many(connection, rows)
        return [_nothing] * len(rows)


class _Count(_Change):
    """Sends a change, and says how many rows it touched.

    One statement for many rows returns the keys of the rows that it touched, so that each row is counted for itself.
    """

    def send(self, connection: sa.Connection, values: Mapping[str, Any]) -> Callable[[], int]:
        cursor = self._compiled.execute(connection, values)

        def count() -> int:
            try:
                self._compiled.wait_for(cursor)
                return int(cursor.rowcount)
            finally:
                cursor.close()

        return count

    def key_of(self, values: Mapping[str, Any]) -> Hashable:
        many = self._compiled.many
        return None if many is None or not many.alone else many.key_of(values)

    def send_many(self, connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> list[Callable[[], int]]:
        many = self._compiled.many
        assert many is not None  # noqa: S101 - only of statements that have a key
        key = many.alone
        cursor = self._compiled.execute_many(connection, rows, f' RETURNING "{key}"')
        touched = _Shared(lambda: self._compiled.wait_for(cursor), lambda: {found for (found,) in cursor.fetchall()})
        return [partial(lambda value: int(value in touched()), row[key]) for row in rows]


class _Found(_Change):
    """Sends a query, and gives its rows."""

    def send(self, connection: sa.Connection, values: Mapping[str, Any]) -> Callable[[], list[Any]]:
        cursor = self._compiled.execute(connection, values)
        return lambda: self._fetch(cursor)

    def send_many(self, connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> list[Callable[[], list[Any]]]:
        many = self._compiled.many
        assert many is not None  # noqa: S101 - only of statements that have a key
        key = many.alone
        cursor = self._compiled.execute_many(connection, rows)
        found = _Shared(lambda: self._compiled.wait_for(cursor), lambda: self._by_key(cursor, key))
        return [partial(lambda value: found().get(value, []), row[key]) for row in rows]

    def _by_key(self, cursor: Any, key: str) -> dict[Any, list[Any]]:
        by_key: dict[Any, list[Any]] = {}
        for row in self._fetch(cursor):
            by_key.setdefault(getattr(row, key), []).append(row)
        return by_key

    def _fetch(self, cursor: Any) -> list[Any]:
        try:
            self._compiled.wait_for(cursor)
            return [self._compiled.row(row) for row in cursor.fetchall()]
        finally:
            cursor.close()


class _Shared:
    """The result that several units wait for. The first unit whose wait ends fetches it for all."""

    def __init__(self, wait: Callable[[], None], fetch: Callable[[], Any]) -> None:
        self._wait = wait
        self._fetch = fetch
        self._result: Any = None

    def __call__(self) -> Any:
        if self._result is None:
            self._wait()  # Other units run during the wait, and one of them may have fetched the result.
            if self._result is None:
                self._result = self._fetch()
        return self._result


def _nothing() -> None:
    """The result of a change that nobody counts."""
