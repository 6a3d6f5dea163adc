"""Makes, from a statement for one row, the PostgreSQL statement that does the same for many rows.

Its only parameter is the list of rows as JSON, which `json_to_recordset` turns into a table.
"""

import re
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

MakeMany = Callable[[sa.FromClause], sa.sql.expression.ClauseElement]


class ManyRows:
    """The text of a statement whose only parameter is a list of rows in JSON.

    Args:
        sql: the text.
        key: the parameters that identify a row among the rows of one statement.
        binary: the parameters that hold bytes.
        alone: the one parameter that identifies a row by itself; empty if there is none.
    """

    def __init__(self, sql: str, key: tuple[str, ...], binary: frozenset[str], alone: str) -> None:
        self.sql = sql
        self.key = key
        self.binary = binary
        self.alone = alone

    def key_of(self, values: Mapping[str, Any]) -> Hashable:
        """The key of a row. Rows of one statement must have different keys."""
        return tuple([values[name] for name in self.key]) if self.key else object()


def make_many_rows(
    statement: Any, compiled: sa.sql.compiler.SQLCompiler, dialect: sa.Dialect, make: MakeMany | None, key: str
) -> ManyRows | None:
    """The statement for many rows, or None if there is none: a change without `make` that is not an INSERT."""
    binds = {name: bind.type for bind, name in compiled.bind_names.items()}
    columns = [sa.column(name, type_) for name, type_ in binds.items()]
    rows = sa.func.json_to_recordset(sa.cast(sa.bindparam("rows", type_=sa.Text), sa.JSON)).table_valued(
        *columns, name="given"
    )
    rows = rows.render_derived(with_types=True)
    binary = frozenset(name for name, type_ in binds.items() if isinstance(type_, sa.LargeBinary))
    if make is not None:
        return ManyRows(_one_parameter(make(rows), dialect), (key,), binary, key)
    if not isinstance(statement, sa.Insert):
        return None
    table = statement.table
    names = [column.name for column in table.columns if column.name in binds]
    text = str(compiled)
    begin, conflict = text.index(" VALUES ("), text.find(" ON CONFLICT")
    # Without RETURNING: SQLAlchemy adds the generated key to every INSERT.
    rest = text[conflict:].partition(" RETURNING ")[0] if conflict >= 0 else ""
    if set(names) != set(binds) or "%(" in rest:
        return None
    keys = [c.name for c in table.primary_key if c.name in names]
    # One unique column identifies a row by itself. A primary key of several columns does so only as a whole.
    unique = keys or [n for n in names if table.c[n].unique]
    alone = "" if len(keys) > 1 else next(iter(unique), "")
    select = _one_parameter(sa.select(*(rows.c[name] for name in _inserted(text))), dialect)
    return ManyRows(f"{text[:begin]} {select}{rest}", tuple(unique), binary, alone)


def _inserted(insert: str) -> list[str]:
    """The columns of an INSERT, in its order."""
    return [name.strip().strip('"') for name in insert[insert.index("(") + 1 : insert.index(")")].split(",")]


def _one_parameter(statement: Any, dialect: sa.Dialect) -> str:
    """The text of a statement whose only parameter is the list of rows."""
    compiled = statement.compile(dialect=dialect, compile_kwargs={"literal_binds": False})
    return re.sub(r"%\(rows\)s", "%s", str(compiled))


def distinct_parts(
    rows: Sequence[Mapping[str, Any]], key_of: Callable[[Mapping[str, Any]], Hashable]
) -> Iterator[list[Mapping[str, Any]]]:
    """Splits the rows, in their order, into parts without a repeated key: a statement can change a row only once."""
    part: dict[Hashable, Mapping[str, Any]] = {}
    for row in rows:
        key = key_of(row)
        if key in part:
            yield list(part.values())
            part = {}
        part[key] = row
    yield list(part.values())


def hexadecimal(value: Any) -> str:
    """Binary data as PostgreSQL reads it from text."""
    return "\\x" + bytes(value).hex()
