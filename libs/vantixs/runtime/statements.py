"""Statements on the hot path: compiled once per database, then sent straight to the driver.

SQLAlchemy Core spends about 200 microseconds a statement on building, cache keys and result objects; a decision of risk
has twenty of them. A `Statement` is built once, at module level, and costs what the driver costs. It is still Core that
writes the SQL and knows the types, so that the same statement runs on SQLite and PostgreSQL.
"""

import json
import re
from collections import namedtuple
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from vantixs.runtime.many_rows import MakeMany, distinct_parts, hexadecimal, make_many_rows
from vantixs.runtime.pipeline import begin_sending, gather, wait_for

Make = Callable[[Any], sa.sql.expression.ClauseElement]


class Statement:
    """A statement with named parameters (`sa.bindparam`), run with a connection in a unit of work.

    Args:
        make: builds it; is given the `insert` of the dialect, for ON CONFLICT.
        many: builds, for PostgreSQL, one that does the same for many rows at once; it is given them as a table whose columns
            are the parameters. The INSERTs of this module need none.
        key: the parameter that differs between the rows of one statement. A query gives it back as a column.
    """

    def __init__(self, make: Make, *, many: MakeMany | None = None, key: str = "") -> None:
        self._make = make
        self._many = many
        self._key = key
        self._ready: dict[str, _Compiled] = {}

    def rows(self, connection: sa.Connection, **values: Any) -> list[Any]:
        """Runs a query; its rows are named tuples with the columns' types applied."""
        return self.ask(connection, **values)()

    def ask(self, connection: sa.Connection, **values: Any) -> Callable[[], list[Any]]:
        """Sends a query; what is returned gives its rows. In a pipeline more can be sent before they are waited for."""
        compiled = self._compiled(connection)
        return gather(compiled.rows, values) or compiled.rows.send(connection, values)

    def first(self, connection: sa.Connection, **values: Any) -> Any:
        """The first row, or None."""
        found = self.rows(connection, **values)
        return found[0] if found else None

    def run(self, connection: sa.Connection, **values: Any) -> int:
        """Runs a change; returns how many rows it touched. Who has no use for that calls `send`."""
        return self.count(connection, **values)()

    def count(self, connection: sa.Connection, **values: Any) -> Callable[[], int]:
        """Sends a change; what is returned gives how many rows it touched, as `ask` does for a query."""
        compiled = self._compiled(connection)
        return gather(compiled.count, values) or compiled.count.send(connection, values)

    def send(self, connection: sa.Connection, **values: Any) -> None:
        """Runs a change; in a pipeline without waiting for it. What is wrong with it is raised by then or later."""
        compiled = self._compiled(connection)
        if gather(compiled.change, values) is None:
            compiled.execute(connection, values)

    def run_all(self, connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Runs a change with each of the rows; an INSERT in as few statements as the database takes them in."""
        if rows:
            self._compiled(connection).execute_all(connection, rows)

    def _compiled(self, connection: sa.Connection) -> "_Compiled":
        name = connection.dialect.name
        found = self._ready.get(name)
        if found is None:
            insert = postgresql.insert if name == "postgresql" else sqlite.insert
            found = self._ready[name] = _Compiled(self._make(insert), connection.dialect, self._many, self._key)
        return found


def _has_result(_: Any) -> None:
    """SQLite's cursors have theirs."""


# SQLite takes 32,766 parameters in a statement unless it was built to take more.
MOST_ROWS = 256
_VALUES = re.compile(r"VALUES (\([?, ]+\))")


class _Compiled:
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
        self.wait_for: Callable[[Any], None] = wait_for if dialect.name == "postgresql" else _has_result
        self._row: Any = namedtuple("Row", [c.name for c in columns]) if columns else None
        self.many = make_many_rows(statement, compiled, dialect, many, key) if dialect.name == "postgresql" else None
        self.rows, self.count, self.change = _Found(self), _Count(self), _Change(self)

    def execute(self, connection: sa.Connection, values: Mapping[str, Any]) -> Any:
        """Sends it; the driver's errors come through as they are."""
        begin_sending()
        cursor = connection.connection.cursor()
        cursor.execute(self._sql, self._parameters(values))
        return cursor

    def execute_many(self, connection: sa.Connection, rows: Sequence[Mapping[str, Any]], tail: str = "") -> Any:
        """Sends it once for all of the rows, which differ in the key."""
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
        """Sends a change for several rows, as one statement where there is one for many.

        SQLite's driver gives the GIL away for each statement, and has to get it back from the busy thread that took it: so
        there many rows are one statement, where it is an INSERT.
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
            # Powers of two, so that there are few texts, and the driver has them all prepared.
            count = min(1 << len(parameters).bit_length() - 1, MOST_ROWS)
            if count == 1:
                cursor.execute(self._sql, parameters[0])
            else:
                cursor.execute(self._of_rows(count), [v for row in parameters[:count] for v in row])
            parameters = parameters[count:]
        if self._order is not None:  # In a pipeline the cursor still gets its result.
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
        # By place and not by name: a row of many columns takes a third of the time.
        picked = self._pick({**self._constants, **values} if self._constants else values)
        return tuple(_at_places(self._encode_at, picked))

    def row(self, values: Any) -> Any:
        """A driver's row with the columns' types applied."""
        return self._row(*_at_places(self._decode_at, values))


def _at_places(processes: Sequence[tuple[int, Callable[[Any], Any]]], values: Sequence[Any]) -> list[Any]:
    done = list(values)
    for at, process in processes:
        done[at] = process(done[at])
    return done


class _Change:
    """The statement, sent for what it changes."""

    def __init__(self, compiled: _Compiled) -> None:
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
    """The statement, sent for how many rows it touches: of many INSERTs in one, which keys came back."""

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
    """The statement, sent for its rows."""

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
    """The answer that several units wait for, fetched by the first of them that has it."""

    def __init__(self, wait: Callable[[], None], fetch: Callable[[], Any]) -> None:
        self._wait = wait
        self._fetch = fetch
        self._result: Any = None

    def __call__(self) -> Any:
        if self._result is None:
            self._wait()  # Others run meanwhile, and one of them may have fetched it.
            if self._result is None:
                self._result = self._fetch()
        return self._result


def _nothing() -> None:
    """A change has no answer."""


def update_rows(table: sa.Table, key: str, *names: str) -> Statement:
    """Sets the named columns in the row with that key."""

    def make(_: Any) -> sa.sql.expression.ClauseElement:
        changed = sa.update(table).values(_bound(table, names))
        return changed.where(table.c[key] == sa.bindparam(f"{key}_is", type_=table.c[key].type))

    def many(rows: sa.FromClause) -> sa.sql.expression.ClauseElement:
        changed = {n: rows.c[n] for n in names}
        return sa.update(table).where(table.c[key] == rows.c[f"{key}_is"]).values(changed)

    return Statement(make, many=many, key=f"{key}_is")


def insert_row(table: sa.Table) -> Statement:
    """Inserts a row of all columns that are not made by the database."""
    names = _given(table)
    return Statement(lambda insert: insert(table).values(_bound(table, names)))


def insert_ignoring(table: sa.Table) -> Statement:
    """Inserts a row of all columns that are not made by the database, unless a key of it is there; `run` gives 1 or 0."""
    names = _given(table)
    return Statement(lambda insert: insert(table).values(_bound(table, names)).on_conflict_do_nothing())


def insert_or_replace(table: sa.Table, *kept: str) -> Statement:
    """Inserts a row, or overwrites the one with its primary key, but for the columns `kept`."""
    names, keys = _given(table), [c.name for c in table.primary_key]

    def make(insert: Any) -> sa.sql.expression.ClauseElement:
        statement = insert(table).values(_bound(table, names))
        changed = {n: statement.excluded[n] for n in names if n not in (*keys, *kept)}
        return statement.on_conflict_do_update(index_elements=keys, set_=changed)  # type: ignore[no-any-return]

    return Statement(make)


def where(table: sa.Table, *names: str) -> Any:
    """The condition that the named columns have the parameters of the same name."""
    return sa.and_(*(table.c[name] == sa.bindparam(name, type_=table.c[name].type) for name in names))


def _bound(table: sa.Table, names: Sequence[str]) -> dict[str, Any]:
    return {n: sa.bindparam(n, type_=table.c[n].type) for n in names}


def _given(table: sa.Table) -> list[str]:
    return [c.name for c in table.columns if c is not table.autoincrement_column]


def insert_ignore(table: sa.Table, connection: sa.Connection, values: Mapping[str, Any]) -> bool:
    """Inserts the row unless its key is there already; returns whether it was inserted."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = insert(table).values(**values).on_conflict_do_nothing()
    # Without the option psycopg's row count of an INSERT is gone (-1) by the time it is read.
    return connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount == 1


def upsert(table: sa.Table, connection: sa.Connection, values: Mapping[str, Any]) -> None:
    """Inserts the row, or overwrites the one with its primary key."""
    keys = [c.name for c in table.primary_key]
    others = {k: v for k, v in values.items() if k not in keys}
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    connection.execute(insert(table).values(**values).on_conflict_do_update(index_elements=keys, set_=others))
