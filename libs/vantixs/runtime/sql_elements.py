"""Parts of SQL that SQLAlchemy does not have, for both databases."""

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.compiler import compiles


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
