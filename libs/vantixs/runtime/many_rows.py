"""A statement of PostgreSQL that does for many rows what another one does for one.

Its only parameter are the rows, a list in JSON that `json_to_recordset` makes a table of.
"""

import re
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

MakeMany = Callable[[sa.FromClause], sa.sql.expression.ClauseElement]


class ManyRows:
    """A statement about many rows, which are its only parameter: a list in JSON."""

    def __init__(self, sql: str, key: tuple[str, ...], binary: frozenset[str], alone: str) -> None:
        """A row is told from the others by any of `key`, and by the parameter `alone` where that is enough by itself."""
        self.sql = sql
        self.key = key
        self.binary = binary
        self.alone = alone

    def key_of(self, values: Mapping[str, Any]) -> Hashable:
        """What has to differ between the rows of one statement."""
        return tuple([values[name] for name in self.key]) if self.key else object()


def make_many_rows(
    statement: Any, compiled: sa.sql.compiler.SQLCompiler, dialect: sa.Dialect, make: MakeMany | None, key: str
) -> ManyRows | None:
    """The statement for many rows; None where it is about one only."""
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
    # Without the made key, which SQLAlchemy has every INSERT give back.
    rest = text[conflict:].partition(" RETURNING ")[0] if conflict >= 0 else ""
    if set(names) != set(binds) or "%(" in rest:
        return None
    keys = [c.name for c in table.primary_key if c.name in names]
    # Of several unique columns any one tells whether the row is there; of a key of several columns only all of them.
    unique = keys or [n for n in names if table.c[n].unique]
    alone = "" if len(keys) > 1 else next(iter(unique), "")
    select = _one_parameter(sa.select(*(rows.c[name] for name in _inserted(text))), dialect)
    return ManyRows(f"{text[:begin]} {select}{rest}", tuple(unique), binary, alone)


def _inserted(insert: str) -> list[str]:
    """The columns of an INSERT, in its order."""
    return [name.strip().strip('"') for name in insert[insert.index("(") + 1 : insert.index(")")].split(",")]


def _one_parameter(statement: Any, dialect: sa.Dialect) -> str:
    """The text of a statement whose only parameter are the rows."""
    compiled = statement.compile(dialect=dialect, compile_kwargs={"literal_binds": False})
    return re.sub(r"%\(rows\)s", "%s", str(compiled))


def distinct_parts(
    rows: Sequence[Mapping[str, Any]], key_of: Callable[[Mapping[str, Any]], Hashable]
) -> Iterator[list[Mapping[str, Any]]]:
    """The rows in their order, in parts in which no key is twice: a statement may change a row once."""
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
