"""Migrations of empty databases: the first of a service and a kind of database runs them, the others repeat its statements."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from vantixs.runtime import database_setup

Upgrade = Callable[[sa.Connection, Path], None]
run_migrations: Upgrade = database_setup.upgrade_schema
_QUERIES = ("SELECT", "PRAGMA")
_recorded: dict[tuple[Path, str], list[tuple[str, Any]]] = {}


def repeat_migrations(connection: sa.Connection, migrations: Path) -> None:
    """In place of `upgrade_schema`: a migration is Python that Alembic finds, compiles and runs, and its statements are not."""
    if sa.inspect(connection).get_table_names():
        run_migrations(connection, migrations)
        return
    key = (migrations, connection.dialect.name)
    if key not in _recorded:
        _recorded[key] = _record(connection, migrations)
        return
    for statement, parameters in _recorded[key]:
        connection.exec_driver_sql(statement, parameters)


def record_migrations(service: str, migrations: Path) -> None:
    """Has `repeat_migrations` know the statements of a service on SQLite."""
    with tempfile.TemporaryDirectory() as directory:
        engine = database_setup.make_engine(f"sqlite:///{directory}/{service}.db", service, write=True)
        with engine.begin() as connection:
            repeat_migrations(connection, migrations)
        engine.dispose()


def _record(connection: sa.Connection, migrations: Path) -> list[tuple[str, Any]]:
    statements: list[tuple[str, Any]] = []
    together = connection.dialect.name == "postgresql"  # It takes several in one round trip.

    def note(_conn: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        if not statement.lstrip().upper().startswith(_QUERIES):
            if together and not parameters and statements and not statements[-1][1]:
                statement = f"{statements.pop()[0]};{statement}"
            statements.append((statement, parameters or None))

    sa.event.listen(connection, "before_cursor_execute", note)
    try:
        run_migrations(connection, migrations)
    finally:
        sa.event.remove(connection, "before_cursor_execute", note)
    return statements
