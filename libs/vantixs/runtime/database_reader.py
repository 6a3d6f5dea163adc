"""The reading side of a database: snapshots, quick queries that share round trips, and a look at the file itself."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import grpc
import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError

from vantixs.runtime.answer_limit import AnswerLimit, Wait
from vantixs.runtime.batching import Batcher, BatcherFull, Bounds
from vantixs.runtime.errors import ServiceError, unavailable
from vantixs.runtime.pipeline import interleaved, pipelined

T = TypeVar("T")
BATCH = 256
QUEUE = 10_000
PROBE_TIMEOUT_S = 4.0
# How long PostgreSQL may take, longer than it lets a statement wait for a lock: a batch of quick reads, any other read.
QUICK_ANSWER_S, READ_ANSWER_S = 8.0, 60.0


class Reader:
    """Reads by two threads; `note_failure` is told what the database said of each read that failed."""

    def __init__(self, engine: sa.Engine, answers: AnswerLimit | None, note_failure: Callable[[str], None]) -> None:
        self._engine = engine
        self._answers = answers
        self._note_failure = note_failure
        # Which file it is, for SQLite: one that is put in its place is not the one we write to.
        self._file = _file_id(engine.url.database or "") if engine.dialect.name == "sqlite" else None
        self._reads: Batcher[Callable[[sa.Connection], Any], Any] = Batcher(
            self._read_batch,
            Bounds(items=BATCH, waiting=QUEUE),
            singly_after=lambda error: not isinstance(error, ServiceError),
        )
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="database-read")
        self._loop = asyncio.get_running_loop()

    async def read_together(self, query: Callable[[sa.Connection], T]) -> T:
        """As `read`, for quick queries of which many come at once; see `Database.read_together`."""
        try:
            result: T = await self._reads.submit(query)
        except BatcherFull:
            raise busy("reads") from None
        return result

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown()
        self._engine.dispose()

    async def read(self, query: Callable[[sa.Connection], T]) -> T:
        """Runs the query on a snapshot of what is committed.

        Raises:
            ServiceError: UNAVAILABLE STORAGE_UNAVAILABLE.
        """

        def read(connection: sa.Connection) -> T:
            with connection.begin():
                return query(connection)

        return await self._read_by(read, READ_ANSWER_S)

    async def _read_by(self, read: Callable[[sa.Connection], T], limit_s: float) -> T:
        def run() -> T:
            for again in (True, False):
                with self._engine.connect() as connection:
                    try:
                        with self._answering(connection, limit_s):
                            return read(connection)
                    except (DatabaseError, driver):
                        # One that lay idle may have been closed by the server: that says nothing about a new one.
                        if not (_is_lost(connection) and again):
                            raise
                        connection.invalidate()
            raise AssertionError

        driver: type[Exception] = self._engine.dialect.loaded_dbapi.DatabaseError
        try:
            return await self._loop.run_in_executor(self._pool, run)
        except (DatabaseError, driver) as error:
            if isinstance(error, _MISTAKES):
                raise
            failed = _unreadable(error)
            self._note_failure(failed.detail)
            raise failed from error

    def _answering(self, connection: sa.Connection, limit_s: float) -> contextlib.AbstractContextManager[Wait | None]:
        """While it lasts, the connection is ended where PostgreSQL does not answer for so long."""
        return self._answers.within(connection, limit_s) if self._answers else contextlib.nullcontext()

    async def _read_batch(self, queries: Sequence[Callable[[sa.Connection], Any]]) -> list[Any]:
        def read(connection: sa.Connection) -> list[Any]:
            # What goes straight to the driver begins no transaction by itself.
            with pipelined(connection):
                return interleaved([partial(query, connection) for query in queries], connection)

        return await self._read_by(read, QUICK_ANSWER_S)

    def look_inside(self) -> None:
        """Reads both ends of every table by a connection that has no page in its memory yet.

        Raises:
            ServiceError: UNAVAILABLE STORAGE_UNAVAILABLE.
        """
        path = self._engine.url.database or ""
        if self._file and _file_id(path) != self._file:
            raise unavailable(
                "STORAGE_UNAVAILABLE", f"{Path(path).name}: expected the file opened at start, it is gone"
            )
        try:
            if not self._file:
                self._ask_for_nothing()
                return
            # A connection of its own: the pages that others hold tell nothing of the file.
            with contextlib.closing(self._engine.dialect.connect(path, timeout=1)) as connection:
                names = "SELECT name FROM sqlite_master WHERE type = 'table'"
                for (name,) in connection.execute(names).fetchall():
                    for order in ("ASC", "DESC"):
                        connection.execute(f'SELECT * FROM "{name}" ORDER BY rowid {order} LIMIT 1').fetchall()  # noqa: S608
        except (DatabaseError, self._engine.dialect.loaded_dbapi.DatabaseError) as error:
            raise _unreadable(error) from error

    def _ask_for_nothing(self) -> None:
        with self._engine.connect() as reader:
            try:
                with self._answering(reader, PROBE_TIMEOUT_S):
                    reader.execute(sa.text("SELECT 1"))
            except (DatabaseError, self._engine.dialect.loaded_dbapi.DatabaseError):
                reader.invalidate()
                raise


# What a query did wrong; everything else is the database's fault, and may pass.
_MISTAKES = (sa.exc.ProgrammingError, sa.exc.IntegrityError, sa.exc.DataError, sa.exc.NotSupportedError)


def busy(what: str) -> ServiceError:
    """Too much is queued already."""
    detail = f"more than {QUEUE} {what} are queued"
    return ServiceError(grpc.StatusCode.RESOURCE_EXHAUSTED, "STORAGE_BUSY", detail)


def _unreadable(error: Exception) -> ServiceError:
    return unavailable("STORAGE_UNAVAILABLE", str(getattr(error, "orig", None) or error).splitlines()[0])


def _is_lost(connection: sa.Connection) -> bool:
    """Whether the connection itself is gone; one to a file never is."""
    return connection.invalidated or bool(getattr(connection.connection.driver_connection, "closed", False))


def _file_id(path: str) -> tuple[int, int] | None:
    try:
        facts = os.stat(path)
    except OSError:
        return None
    return facts.st_dev, facts.st_ino
