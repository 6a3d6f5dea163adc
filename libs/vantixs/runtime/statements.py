"""Statements on the hot path: compiled once per database, then sent straight to the driver.

SQLAlchemy Core spends about 200 microseconds a statement on building, cache keys and result objects; a decision of risk
has twenty of them. A `Statement` is built once, at module level, and costs what the driver costs. It is still Core that
writes the SQL and knows the types, so that the same statement runs on SQLite and PostgreSQL.
"""

import json
import re
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles

from vantixs.runtime.pipeline import wait_for

Make = Callable[[Any], sa.sql.expression.ClauseElement]


class Statement:
    """A statement with named parameters (`sa.bindparam`), run with a connection in a unit of work.

    Args:
        make: builds it; is given the `insert` of the dialect, for ON CONFLICT.
    """

    def __init__(self, make: Make) -> None:
        self._make = make
        self._ready: dict[str, _Compiled] = {}

    def rows(self, connection: sa.Connection, **values: Any) -> list[Any]:
        """Runs a query; its rows are named tuples with the columns' types applied."""
        return self.ask(connection, **values)()

    def ask(self, connection: sa.Connection, **values: Any) -> Callable[[], list[Any]]:
        """Sends a query; what is returned gives its rows. In a pipeline more can be sent before they are waited for."""
        compiled = self._compiled(connection)
        cursor = compiled.execute(connection, values)

        def rows() -> list[Any]:
            try:
                compiled.wait_for(cursor)
                return [compiled.row(row) for row in cursor.fetchall()]
            finally:
                cursor.close()

        return rows

    def first(self, connection: sa.Connection, **values: Any) -> Any:
        """The first row, or None."""
        found = self.rows(connection, **values)
        return found[0] if found else None

    def run(self, connection: sa.Connection, **values: Any) -> int:
        """Runs a change; returns how many rows it touched. Who has no use for that calls `send`."""
        compiled = self._compiled(connection)
        cursor = compiled.execute(connection, values)
        try:
            compiled.wait_for(cursor)
            return int(cursor.rowcount)
        finally:
            cursor.close()

    def send(self, connection: sa.Connection, **values: Any) -> None:
        """Runs a change; in a pipeline without waiting for it. What is wrong with it is raised by then or later."""
        self._compiled(connection).execute(connection, values)

    def run_all(self, connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Runs a change with each of the rows; an INSERT in as few statements as the database takes them in."""
        if rows:
            self._compiled(connection).execute_all(connection, rows)

    def _compiled(self, connection: sa.Connection) -> "_Compiled":
        name = connection.dialect.name
        found = self._ready.get(name)
        if found is None:
            insert = postgresql.insert if name == "postgresql" else sqlite.insert
            found = self._ready[name] = _Compiled(self._make(insert), connection.dialect)
        return found


def _has_result(_: Any) -> None:
    """SQLite's cursors have theirs."""


# SQLite takes 32,766 parameters in a statement unless it was built to take more.
MOST_ROWS = 256
_VALUES = re.compile(r"VALUES (\([?, ]+\))")


class _Compiled:
    def __init__(self, statement: sa.sql.expression.ClauseElement, dialect: sa.Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        assert isinstance(compiled, sa.sql.compiler.SQLCompiler)  # noqa: S101 - queries and changes, no DDL
        self._sql = str(compiled)
        self._order = compiled.positiontup if compiled.positional else None
        self._constants = {k: v for k, v in compiled.params.items() if v is not None}
        binds = {name: bind.type for bind, name in compiled.bind_names.items()}
        self._encode = {n: p for n, t in binds.items() if (p := t.dialect_impl(dialect).bind_processor(dialect))}
        columns = list(getattr(statement, "selected_columns", ()))
        self._decode = [c.type.dialect_impl(dialect).result_processor(dialect, None) for c in columns]
        self._insert = isinstance(statement, sa.Insert)
        self._many: dict[int, str] = {}
        self.wait_for: Callable[[Any], None] = wait_for if dialect.name == "postgresql" else _has_result
        self._row: Any = namedtuple("Row", [c.name for c in columns]) if columns else None

    def execute(self, connection: sa.Connection, values: Mapping[str, Any]) -> Any:
        """Sends it; the driver's errors come through as they are."""
        cursor = connection.connection.cursor()
        cursor.execute(self._sql, self._parameters(values))
        return cursor

    def execute_all(self, connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Sends a change for several rows.

        psycopg sends them in one round trip. SQLite's driver gives the GIL away for each, and has to get it back from the
        busy thread that took it: so there many rows are one statement, where it is an INSERT.
        """
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
        if count not in self._many:
            self._many[count] = _VALUES.sub(lambda found: "VALUES " + ", ".join([found[1]] * count), self._sql)
        return self._many[count]

    def _parameters(self, values: Mapping[str, Any]) -> Any:
        merged = {**self._constants, **values}
        for name, encode in self._encode.items():
            merged[name] = encode(merged[name])
        return tuple([merged[n] for n in self._order]) if self._order is not None else merged

    def row(self, values: Any) -> Any:
        """A driver's row with the columns' types applied."""
        return self._row(*(decode(v) if decode else v for decode, v in zip(self._decode, values, strict=True)))


def insert_row(table: sa.Table) -> Statement:
    """Inserts a row of all columns that are not made by the database."""
    names = _given(table)
    return Statement(lambda insert: insert(table).values({n: sa.bindparam(n, type_=table.c[n].type) for n in names}))


def insert_ignoring(table: sa.Table) -> Statement:
    """Inserts a row of all columns that are not made by the database, unless a key of it is there; `run` gives 1 or 0."""
    names = _given(table)
    return Statement(
        lambda insert: (
            insert(table).values({n: sa.bindparam(n, type_=table.c[n].type) for n in names}).on_conflict_do_nothing()
        )
    )


def insert_or_replace(table: sa.Table) -> Statement:
    """Inserts a row, or overwrites the one with its primary key."""
    names, keys = _given(table), [c.name for c in table.primary_key]

    def make(insert: Any) -> sa.sql.expression.ClauseElement:
        statement = insert(table).values({n: sa.bindparam(n, type_=table.c[n].type) for n in names})
        changed = {n: statement.excluded[n] for n in names if n not in keys}
        return statement.on_conflict_do_update(index_elements=keys, set_=changed)  # type: ignore[no-any-return]

    return Statement(make)


def where(table: sa.Table, *names: str) -> Any:
    """The condition that the named columns have the parameters of the same name."""
    return sa.and_(*(table.c[name] == sa.bindparam(name, type_=table.c[name].type) for name in names))


class Among(sa.ColumnElement[Any]):
    """The condition that a text column has one of the texts in a parameter, a list of any length.

    It looks up each by the column's index, however large the table.
    """

    # A Boolean would be written with `= 1` behind it on SQLite, which then reads the whole table.
    type = sa.types.NULLTYPE

    def __init__(self, column: sa.ColumnElement[str], name: str) -> None:
        self.column = column
        self.texts = sa.bindparam(name, type_=_Texts)


class AmongRows(sa.ColumnElement[Any]):
    """As `Among` for a key of several text columns; the parameter is a list of tuples."""

    type = sa.types.NULLTYPE

    def __init__(self, columns: Sequence[sa.ColumnElement[str]], name: str) -> None:
        self.columns = columns
        self.texts = sa.bindparam(name, type_=_Rows)


class Lines(sa.ColumnElement[str]):
    """An aggregate: a text column's values in one text, a line each; NULL where there is no row.

    One row in place of many: SQLite's driver gives the GIL away for each row, and a busy thread takes it.
    """

    type = sa.Text()

    def __init__(self, column: sa.ColumnElement[str]) -> None:
        self.column = column


class _Texts(sa.types.TypeDecorator[list[str]]):
    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> Any:
        return postgresql.ARRAY(sa.Text()) if dialect.name == "postgresql" else sa.Text()

    def process_bind_param(self, value: list[str] | None, dialect: sa.Dialect) -> Any:
        return value if dialect.name == "postgresql" else json.dumps(value)


class _Rows(sa.types.TypeDecorator[list[tuple[str, ...]]]):
    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: list[tuple[str, ...]] | None, dialect: sa.Dialect) -> str:
        return json.dumps(value)


@compiles(Among, "postgresql")
def _among_postgresql(element: Among, compiler: Any, **options: Any) -> str:
    # Not IN (SELECT unnest(...)): without statistics that became a join that read the whole table.
    return f"{compiler.process(element.column, **options)} = ANY({compiler.process(element.texts, **options)})"


@compiles(Among, "sqlite")
def _among_sqlite(element: Among, compiler: Any, **options: Any) -> str:
    column, texts = (compiler.process(part, **options) for part in (element.column, element.texts))
    return f"{column} IN (SELECT value FROM json_each({texts}))"  # noqa: S608 - names of ours and a parameter's place


@compiles(AmongRows)
def _among_rows(element: AmongRows, compiler: Any, **options: Any) -> str:
    columns = ", ".join(compiler.process(column, **options) for column in element.columns)
    values = ", ".join(f"value ->> {number}" for number in range(len(element.columns)))
    texts = compiler.process(element.texts, **options)
    rows = (
        f"json_array_elements(CAST({texts} AS json))"
        if compiler.dialect.name == "postgresql"
        else f"json_each({texts})"
    )
    return f"({columns}) IN (SELECT {values} FROM {rows})"  # noqa: S608 - names of ours and a parameter's place


@compiles(Lines, "postgresql")
def _lines_postgresql(element: Lines, compiler: Any, **options: Any) -> str:
    return f"string_agg({compiler.process(element.column, **options)}, chr(10))"


@compiles(Lines, "sqlite")
def _lines_sqlite(element: Lines, compiler: Any, **options: Any) -> str:
    return f"group_concat({compiler.process(element.column, **options)}, char(10))"


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
