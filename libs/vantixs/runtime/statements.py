"""Statements on the hot path: compiled once per database, then sent straight to the driver.

For each statement SQLAlchemy Core spends about 200 microseconds on building it, on cache keys and on result objects. A
decision of risk sends twenty statements. A `Statement` is built once, at module level, and then costs what the driver
costs. Core still writes the SQL and knows the types, so the same statement runs on SQLite and PostgreSQL.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from vantixs.runtime.compiled_statement import CompiledStatement
from vantixs.runtime.many_rows import MakeMany
from vantixs.runtime.pipeline import gather

Make = Callable[[Any], sa.sql.expression.ClauseElement]


class Statement:
    """A statement with named parameters (`sa.bindparam`), run with a connection in a unit of work.

    Args:
        make: builds the statement from the `insert` function of the dialect, which has ON CONFLICT.
        many: builds the statement that does the same for many rows at once, on PostgreSQL. Its argument is the rows as a
            table whose columns are the parameters. The INSERTs of this module need no `many`.
        key: the parameter that differs between the rows of one statement. A query gives it back as a column.
    """

    def __init__(self, make: Make, *, many: MakeMany | None = None, key: str = "") -> None:
        self._make = make
        self._many = many
        self._key = key
        self._ready: dict[str, CompiledStatement] = {}

    def rows(self, connection: sa.Connection, **values: Any) -> list[Any]:
        """Runs a query; its rows are named tuples with the columns' types applied."""
        return self.ask(connection, **values)()

    def ask(self, connection: sa.Connection, **values: Any) -> Callable[[], list[Any]]:
        """Sends a query; returns a function that waits for its rows. In a pipeline, more can be sent before that wait."""
        compiled = self._compiled(connection)
        return gather(compiled.rows, values) or compiled.rows.send(connection, values)

    def first(self, connection: sa.Connection, **values: Any) -> Any:
        """The first row, or None."""
        found = self.rows(connection, **values)
        return found[0] if found else None

    def run(self, connection: sa.Connection, **values: Any) -> int:
        """Runs a change; returns how many rows it touched. `send` is for callers that do not need the number."""
        return self.count(connection, **values)()

    def count(self, connection: sa.Connection, **values: Any) -> Callable[[], int]:
        """Sends a change; returns a function that waits for how many rows it touched."""
        compiled = self._compiled(connection)
        return gather(compiled.count, values) or compiled.count.send(connection, values)

    def send(self, connection: sa.Connection, **values: Any) -> None:
        """Runs a change, in a pipeline without waiting for it. There an error may be raised by a later statement."""
        compiled = self._compiled(connection)
        if gather(compiled.change, values) is None:
            compiled.execute(connection, values)

    def run_all(self, connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Runs a change for each of the rows, in as few statements as the database allows."""
        if rows:
            self._compiled(connection).execute_all(connection, rows)

    def _compiled(self, connection: sa.Connection) -> CompiledStatement:
        name = connection.dialect.name
        found = self._ready.get(name)
        if found is None:
            insert = postgresql.insert if name == "postgresql" else sqlite.insert
            found = self._ready[name] = CompiledStatement(self._make(insert), connection.dialect, self._many, self._key)
        return found


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
    """Inserts a row of all columns that are not made by the database, unless one has the same key; `run` gives 1 or 0."""
    names = _given(table)
    return Statement(lambda insert: insert(table).values(_bound(table, names)).on_conflict_do_nothing())


def insert_or_replace(table: sa.Table, *kept: str) -> Statement:
    """Inserts a row, or overwrites the row with its primary key except for the columns `kept`."""
    names, keys = _given(table), [c.name for c in table.primary_key]

    def make(insert: Any) -> sa.sql.expression.ClauseElement:
        statement = insert(table).values(_bound(table, names))
        changed = {n: statement.excluded[n] for n in names if n not in (*keys, *kept)}
        return statement.on_conflict_do_update(index_elements=keys, set_=changed)  # type: ignore[no-any-return]

    return Statement(make)


def where(table: sa.Table, *names: str) -> Any:
    """The condition that each named column equals the parameter of the same name."""
    return sa.and_(*(table.c[name] == sa.bindparam(name, type_=table.c[name].type) for name in names))


def _bound(table: sa.Table, names: Sequence[str]) -> dict[str, Any]:
    return {n: sa.bindparam(n, type_=table.c[n].type) for n in names}


def _given(table: sa.Table) -> list[str]:
    return [c.name for c in table.columns if c is not table.autoincrement_column]


def insert_ignore(table: sa.Table, connection: sa.Connection, values: Mapping[str, Any]) -> bool:
    """Inserts the row unless its key is there already; returns whether it was inserted."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = insert(table).values(**values).on_conflict_do_nothing()
    # Without the option psycopg's row count of an INSERT is -1 by the time that it is read.
    return connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount == 1


def upsert(table: sa.Table, connection: sa.Connection, values: Mapping[str, Any]) -> None:
    """Inserts the row, or overwrites the one with its primary key."""
    keys = [c.name for c in table.primary_key]
    others = {k: v for k, v in values.items() if k not in keys}
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    connection.execute(insert(table).values(**values).on_conflict_do_update(index_elements=keys, set_=others))
