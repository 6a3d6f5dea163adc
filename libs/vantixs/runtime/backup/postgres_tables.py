"""Copies of the services' schemas in PostgreSQL, all of one instant, by COPY: no program of PostgreSQL's is needed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from vantixs.runtime.database_setup import ADVISORY_LOCK, lock_number
from vantixs.runtime.store_identity import CREATE

SUFFIX = ".copy"


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
        """Writes every table into a file `<schema>.<table>.copy` of the directory."""
        inspector = sa.inspect(self._reader)
        driver = self._reader.connection.cursor()
        for schema in self._schemas:
            for name in inspector.get_table_names(schema):
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
            yield HeldSchemas(holder, reader, services)
    finally:
        engine.dispose()


def fill_schema(connection: sa.Connection, schema: str, source: Path) -> None:
    """Fills the tables of a schema, which are made and empty, from the files of the directory; counters go on behind them.

    Raises:
        sqlalchemy.exc.DatabaseError: a table does not fit.
    """
    connection.exec_driver_sql(CREATE)
    driver = connection.connection.cursor()
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
