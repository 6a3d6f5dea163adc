"""Copies of the services' schemas in PostgreSQL, all of one instant, by COPY: no program of PostgreSQL's is needed."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from vantixs.runtime.database_setup import ADVISORY_LOCK, lock_number
from vantixs.runtime.store_identity import CREATE

SUFFIX = ".copy"
PARTITIONS = ".partitions.json"
_PARTITIONS = """
    SELECT parent.relname, part.relname, pg_get_expr(part.relpartbound, part.oid)
    FROM pg_inherits JOIN pg_class part ON part.oid = inhrelid JOIN pg_class parent ON parent.oid = inhparent
    WHERE parent.relkind = 'p' AND parent.relnamespace = to_regnamespace(%s) ORDER BY part.relname
"""


class HeldSchemas:
    """Schemas as they are at one moment. Nobody can write to them until `release`; they can be copied after it too."""

    def __init__(self, holder: sa.Connection, reader: sa.Connection, schemas: tuple[str, ...]) -> None:
        self._holder = holder
        self._reader = reader
        self._schemas = schemas

    def release(self) -> None:
        """Lets others write."""
        self._holder.rollback()

    def copy_to(self, target: Path) -> None:
        """Writes every table into a file `<schema>.<table>.copy` of the directory.

        Of a partitioned table each partition is one, and `<schema>.partitions.json` says of what they are parts.
        """
        inspector = sa.inspect(self._reader)
        driver = self._reader.connection.cursor()
        for schema in self._schemas:
            partitions = driver.execute(_PARTITIONS, (schema,)).fetchall()
            if partitions:
                (target / f"{schema}{PARTITIONS}").write_text(json.dumps(partitions))
            whole = set(inspector.get_table_names(schema)) - {parent for parent, _, _ in partitions}
            for name in sorted(whole):
                statement = f'COPY "{schema}"."{name}" TO STDOUT (FORMAT binary)'
                with (target / f"{schema}.{name}{SUFFIX}").open("wb") as file, driver.copy(statement) as copy:
                    for block in copy:
                        file.write(block)


@contextmanager
def held_schemas(url: str, services: tuple[str, ...]) -> Iterator[HeldSchemas]:
    """Holds the services' schemas as they are at one moment, by the locks that their writers take.

    Raises:
        sqlalchemy.exc.DatabaseError: the server cannot be reached, or a writer does not end within 10 s.
    """
    engine = sa.create_engine(url, connect_args={"connect_timeout": 5, "options": "-clock_timeout=10000"})
    try:
        with (
            engine.connect() as holder,
            engine.connect().execution_options(isolation_level="REPEATABLE READ") as reader,
        ):
            for service in services:
                ADVISORY_LOCK.send(holder, key=lock_number(service))
            # The snapshot is taken by the first statement, so by one of its own: with the locks it would be of before they came.
            reader.exec_driver_sql("SELECT 1")
            _hold_tables(reader, services)
            yield HeldSchemas(holder, reader, services)
    finally:
        engine.dispose()


def _hold_tables(reader: sa.Connection, schemas: tuple[str, ...]) -> None:
    """Keeps tables from being dropped until they are copied: a snapshot alone does not."""
    inspector = sa.inspect(reader)
    names = [f'"{schema}"."{name}"' for schema in schemas for name in inspector.get_table_names(schema)]
    if names:
        reader.exec_driver_sql(f"LOCK TABLE {', '.join(names)} IN ACCESS SHARE MODE")


def fill_schema(connection: sa.Connection, schema: str, source: Path) -> None:
    """Fills the tables of a schema, which are made and empty, from the files of the directory; counters go on behind them.

    Raises:
        sqlalchemy.exc.DatabaseError: a table does not fit.
    """
    connection.exec_driver_sql(CREATE)
    driver = connection.connection.cursor()
    _make_partitions(driver, schema, source)
    for path in sorted(source.glob(f"{schema}.*{SUFFIX}")):
        name = path.name.removeprefix(f"{schema}.").removesuffix(SUFFIX)
        driver.execute(f'TRUNCATE "{schema}"."{name}" CASCADE')
    for path in sorted(source.glob(f"{schema}.*{SUFFIX}")):
        name = path.name.removeprefix(f"{schema}.").removesuffix(SUFFIX)
        with path.open("rb") as file, driver.copy(f'COPY "{schema}"."{name}" FROM STDIN (FORMAT binary)') as copy:
            while block := file.read(1 << 16):
                copy.write(block)
        for column in sa.inspect(connection).get_columns(name, schema):
            # Only a column with a counter of its own has one to set.
            driver.execute("SELECT pg_get_serial_sequence(%s, %s)", (f'"{schema}"."{name}"', column["name"]))
            row = driver.fetchone()
            if row and (counter := row[0]):
                newest = f'SELECT coalesce(max("{column["name"]}"), 0) + 1 FROM "{schema}"."{name}"'  # noqa: S608 - names of ours
                driver.execute(f"SELECT setval('{counter}', ({newest}), false)")


def _make_partitions(driver: Any, schema: str, source: Path) -> None:
    """Makes the partitions that were copied and that an empty schema does not have, each like one that it has."""
    path = source / f"{schema}{PARTITIONS}"
    if not path.exists():
        return
    there = {(parent, name) for parent, name, _ in driver.execute(_PARTITIONS, (schema,)).fetchall()}
    copied = json.loads(path.read_text())
    for parent, name, bound in copied:
        if (parent, name) in there:
            continue
        like = min(other for of, other in there if of == parent)
        made, made_like = f'"{schema}"."{name}"', f'"{schema}"."{like}"'
        driver.execute(f"CREATE TABLE {made} (LIKE {made_like} INCLUDING DEFAULTS INCLUDING INDEXES)")
        driver.execute(f'ALTER TABLE "{schema}"."{parent}" ATTACH PARTITION {made} {bound}')
    for _, name in there - {(parent, name) for parent, name, _ in copied}:
        driver.execute(f'DROP TABLE "{schema}"."{name}"')
