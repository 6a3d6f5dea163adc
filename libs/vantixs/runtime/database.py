"""A service's database: SQLite or PostgreSQL with one set of statements, and one writer that shares commits.

Units of work that come while a transaction is on its way share the next one; their callers hear of them only after the
commit. Where one of them fails, the transaction is rolled back and they run again, each in a savepoint of its own. On
SQLite, and on PostgreSQL where the database is opened as exclusive, the transaction is the only one across processes, so
a unit may read, decide and write without races. Otherwise a unit locks the rows it goes by before it reads them, in
their order, and inserts what must not be there without ON CONFLICT: then it runs again.
"""

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import grpc
import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError, InternalError, OperationalError

from vantixs.runtime.batching import Batcher, BatcherClosed, BatcherFull, Bounds
from vantixs.runtime.database_setup import (
    ADVISORY_LOCK,
    SHARED_LOCK,
    is_damage,
    lock_number,
    make_engine,
    migrate,
    read_identity,
    remedy,
)
from vantixs.runtime.errors import ServiceError, unavailable
from vantixs.runtime.health import Health
from vantixs.runtime.journal import Message
from vantixs.runtime.lifecycle import StartupError
from vantixs.runtime.logs import log
from vantixs.runtime.pipeline import interleaved, pipelined, send
from vantixs.runtime.reserve import Reserve
from vantixs.runtime.retry import Pauses, retry
from vantixs.runtime.settings import ServiceSettings
from vantixs.runtime.statements import Statement
from vantixs.runtime.store_identity import DELETE, Found, Identity
from vantixs.runtime.units import Work, is_in_pipeline, run_each, run_in_pipeline, run_together, run_units

T = TypeVar("T")
Item = TypeVar("Item")
BATCH = 256
QUEUE = 10_000
NO_IDENTITY = Found(Identity(""))
RETRY_FOR_S, RETRY_PAUSES = 5.0, Pauses(0.05, 0.05)
PROBE_S, PROBE_TIMEOUT_S = 2.0, 4.0


class _NotStored(Exception):
    """A transaction that did not come to its end by the database's fault: `error` is for its callers."""

    def __init__(self, error: ServiceError, *, passing: bool) -> None:
        super().__init__(error)
        self.error = error
        self.passing = passing


class Database:
    """One service's database; see the module for what `write` promises."""

    def __init__(
        self,
        writer: sa.Engine,
        readers: sa.Engine,
        lock: int,
        found: Found = NO_IDENTITY,
        *,
        exclusive: bool = True,
        batch: int = BATCH,
    ) -> None:
        self.found = found
        self.place = writer.url.render_as_string()
        self.file = Path(writer.url.database or "") if writer.dialect.name == "sqlite" else None
        self.commits = 0
        # Set by the guard: nothing is read or written while it says why.
        self.refusal = ""
        self.damage = ""
        self._writer = writer
        self._readers = readers
        self._lock_number = lock
        self._lock = (ADVISORY_LOCK if exclusive else SHARED_LOCK) if writer.dialect.name == "postgresql" else None
        # Which file it is, for SQLite: one that is put in its place is not the one we write to.
        self._file = _file_id(readers.url.database or "") if readers.dialect.name == "sqlite" else None
        self._connection: sa.Connection | None = None  # The writer's thread's.
        self._reserve: Reserve | None = None
        self._writes: Batcher[Work, Any] = Batcher(self._commit, Bounds(items=batch, waiting=QUEUE))
        self._reads: Batcher[Callable[[sa.Connection], Any], Any] = Batcher(
            self._read_batch,
            Bounds(items=BATCH, waiting=QUEUE),
            singly_after=lambda error: not isinstance(error, ServiceError),
        )
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="database-write")
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="database-read")
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def open(
        cls,
        settings: ServiceSettings,
        service: str,
        migrations: Path,
        *,
        reserve_bytes: int = 0,
        exclusive: bool = True,
    ) -> "Database":
        """Connects, looks whether the file is whole, and brings the schema up to date.

        `reserve_bytes` of disk are kept for `write_at_any_cost`. With `exclusive` no two transactions of the service's
        processes run at the same time; without it they do on PostgreSQL, and units lock what they go by.

        Raises:
            StartupError: unreachable, not writable, not a database, damaged, or newer than this program.
        """
        url = settings.database_url or f"sqlite:///{(settings.home / 'data' / f'{service}.db').absolute()}"
        try:
            writer, readers = make_engine(url, service, write=True), make_engine(url, service, write=False)
        except sa.exc.ArgumentError as error:
            raise StartupError(
                f"database of {service}: expected an SQLAlchemy URL, {str(error).splitlines()[0]}"
            ) from None
        try:
            found = await asyncio.to_thread(migrate, writer, service, migrations)
        except (DatabaseError, sqlite3.Error, OSError) as error:
            writer.dispose()
            reason = str(getattr(error, "orig", None) or error).splitlines()[0]
            raise StartupError(
                f"database of {service} at {sa.make_url(url).render_as_string()}: {reason}{remedy(reason)}"
            ) from None
        except BaseException:
            writer.dispose()
            raise
        database = cls(writer, readers, lock_number(service), found, exclusive=exclusive, batch=settings.database_batch)
        if reserve_bytes and readers.dialect.name == "sqlite" and readers.url.database:
            database._reserve = Reserve(Path(f"{readers.url.database}.reserve"), reserve_bytes)
            database._reserve.fill()
        return database

    async def write(self, unit: Callable[[sa.Connection], T], *, urgent: bool = False, in_pipeline: bool = False) -> T:
        """Runs the unit in the shared transaction and returns its result after the commit; an urgent one in the next.

        One that sends everything by `Statement` may be run in a pipeline: it then shares its round trips with others.

        An exception of the unit rolls back that unit alone and is raised here. A unit may run more than once, so it
        must have no effects but through its connection.

        Raises: as `write_with_others`.
        """
        return await self.write_with_others(run_in_pipeline if in_pipeline else run_units, unit, urgent=urgent)

    async def write_at_any_cost(self, unit: Callable[[sa.Connection], T]) -> T:
        """As `write`; where the disk is full, space that was kept for this is given back, step by step."""
        while True:
            try:
                return await self.write(unit, urgent=True)
            except ServiceError as error:
                if error.reason != "STORAGE_UNAVAILABLE" or not (self._reserve and self._reserve.release()):
                    raise
                log.warning("database.reserve_released", detail=error.detail)

    async def write_with_others(
        self,
        run: Callable[[sa.Connection, Sequence[Item]], Sequence[T | Exception]],
        item: Item,
        *,
        urgent: bool = False,
    ) -> T:
        """Has `run` called with this item and those others that wait for the same `run`, and returns its result for it.

        For work of which much comes at once: so it can look up and write for all of it in a few statements. `run` returns
        a result for each item; one that is an exception is raised by that item's call, and rolls nothing back. An exception
        it raises rolls back, and then `run` is called with each item alone, so that those which fail fail alone; it is as
        free of effects as a unit of `write`.

        Raises:
            ServiceError: UNAVAILABLE STORAGE_UNAVAILABLE when nothing was stored; UNAVAILABLE STORAGE_OUTCOME_UNKNOWN
                when the connection was lost during the commit; RESOURCE_EXHAUSTED when too much is queued;
                FAILED_PRECONDITION STORE_NOT_ACCEPTED while the store is not served.
        """
        self._check_served()
        return await self._write(run, item, urgent=urgent)

    async def _write(
        self, run: Callable[[sa.Connection, Sequence[Item]], Sequence[T | Exception]], item: Item, *, urgent: bool
    ) -> T:
        try:
            result: T = await self._writes.submit(Work(run, item), urgent=urgent)
        except BatcherFull:
            raise _busy("units") from None
        except BatcherClosed:
            raise unavailable("STORAGE_UNAVAILABLE", "the service is stopping") from None
        return result

    async def read(self, query: Callable[[sa.Connection], T]) -> T:
        """Runs the query on a snapshot of what is committed.

        Raises:
            ServiceError: UNAVAILABLE STORAGE_UNAVAILABLE; FAILED_PRECONDITION STORE_NOT_ACCEPTED while it is not served.
        """
        self._check_served()
        return await self._read(query)

    async def read_together(self, query: Callable[[sa.Connection], T]) -> T:
        """As `read`, for quick queries of which many come at once: those that wait share their round trips.

        It asks everything by `Statement`, and each statement sees what is committed by then: a snapshot for all of them would
        cost a round trip more.
        """
        self._check_served()
        try:
            result: T = await self._reads.submit(query)
        except BatcherFull:
            raise _busy("reads") from None
        return result

    async def _read_batch(self, queries: Sequence[Callable[[sa.Connection], Any]]) -> list[Any]:
        def read(connection: sa.Connection) -> list[Any]:
            # What goes straight to the driver begins no transaction by itself.
            with pipelined(connection):
                return interleaved([partial(query, connection) for query in queries], connection)

        return await self._read_by(read)

    async def _read(self, query: Callable[[sa.Connection], T]) -> T:
        def read(connection: sa.Connection) -> T:
            with connection.begin():
                return query(connection)

        return await self._read_by(read)

    async def _read_by(self, read: Callable[[sa.Connection], T]) -> T:
        def run() -> T:
            for again in (True, False):
                with self._readers.connect() as connection:
                    try:
                        return read(connection)
                    except (DatabaseError, driver):
                        # One that lay idle may have been closed by the server: that says nothing about a new one.
                        if not (_is_lost(connection) and again):
                            raise
                        connection.invalidate()
            raise AssertionError

        driver: type[Exception] = self._readers.dialect.loaded_dbapi.DatabaseError
        try:
            return await self._loop.run_in_executor(self._pool, run)
        except (DatabaseError, driver) as error:
            if isinstance(error, _MISTAKES):
                raise
            failed = _unreadable(error)
            self._note_damage(failed.detail)
            raise failed from error

    async def watch(self, health: Health, stopping: asyncio.Event) -> None:
        """Keeps health's state `database` by trying: reads the file anew and commits a write, until stopped."""
        while not stopping.is_set():
            try:
                async with asyncio.timeout(PROBE_TIMEOUT_S):
                    await asyncio.to_thread(self._look_inside)
                    await self.write(_rewrite_version, urgent=True, in_pipeline=True)
            except TimeoutError:
                health.set("database", False, f"no answer in {PROBE_TIMEOUT_S:g} s")
            except ServiceError as error:
                health.set("database", False, error.detail)
            else:
                health.set("database", True)
                if self._reserve:
                    self._reserve.fill()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), PROBE_S)

    def _look_inside(self) -> None:
        """Reads both ends of every table by a connection that has no page in its memory yet.

        Raises:
            ServiceError: UNAVAILABLE STORAGE_UNAVAILABLE.
        """
        path = self._readers.url.database or ""
        if self._file and _file_id(path) != self._file:
            raise unavailable(
                "STORAGE_UNAVAILABLE", f"{Path(path).name}: expected the file opened at start, it is gone"
            )
        try:
            if not self._file:
                with self._readers.connect() as connection:
                    connection.execute(sa.text("SELECT 1"))
                return
            # A connection of its own: the pages that others hold tell nothing of the file.
            with contextlib.closing(self._readers.dialect.connect(path, timeout=1)) as connection:
                names = "SELECT name FROM sqlite_master WHERE type = 'table'"
                for (name,) in connection.execute(names).fetchall():
                    for order in ("ASC", "DESC"):
                        connection.execute(f'SELECT * FROM "{name}" ORDER BY rowid {order} LIMIT 1').fetchall()  # noqa: S608
        except (DatabaseError, self._readers.dialect.loaded_dbapi.DatabaseError) as error:
            raise _unreadable(error) from error

    async def read_identity(self) -> Identity | None:
        """Which store is there now, also while it is not served.

        Raises:
            ServiceError: UNAVAILABLE STORAGE_UNAVAILABLE.
        """
        return await self._read(read_identity)

    async def write_identity(self, change: Callable[[Identity], Identity], message: Message | None = None) -> Identity:
        """Changes which store it is, with a message for the outbox, also while it is not served; raises as `write`."""

        def unit(connection: sa.Connection) -> Identity:
            if self._lock is not None:
                ADVISORY_LOCK.send(connection, key=self._lock_number + 1)  # Several replicas may want to change it.
            identity = change(read_identity(connection) or self.found.identity)
            connection.exec_driver_sql(DELETE)
            connection.exec_driver_sql(identity.insert)
            if message is not None:
                columns: list[sa.ColumnClause[Any]] = [sa.column(name) for name in message._fields]
                outbox = sa.table("outbox", *columns)
                connection.execute(sa.insert(outbox).values(**message._asdict()))
            return identity

        return await self._write(run_units, unit, urgent=True)

    def _check_served(self) -> None:
        if self.refusal:
            raise ServiceError(grpc.StatusCode.FAILED_PRECONDITION, "STORE_NOT_ACCEPTED", self.refusal)

    def _note_damage(self, detail: str) -> bool:
        """Keeps what the database says of a file that is not whole."""
        damaged = is_damage(detail)
        if damaged:
            self.damage = detail
        return damaged

    async def close(self) -> None:
        """Finishes what is queued and closes; what is written from then on is refused."""
        await self._writes.close()
        await self._loop.run_in_executor(self._thread, self._disconnect)
        self._thread.shutdown()
        self._pool.shutdown()
        self._writer.dispose()
        self._readers.dispose()

    async def _commit(self, batch: Sequence[Work]) -> Sequence[Any]:
        """Runs a batch in one transaction; where a unit fails, in another one with a savepoint for each.

        Savepoints cost two statements a unit, and units rarely fail: so first it is tried without.
        """
        try:
            try:
                return await self._attempt(run_together, batch)
            except _NotStored:
                raise
            except Exception:
                return await self._attempt(run_each, batch)
        except _NotStored as failure:
            log.error("database.failed", detail=failure.error.detail)
            raise failure.error from None

    async def _attempt(
        self, run: Callable[[sa.Connection, Sequence[Work]], list[Any]], batch: Sequence[Work]
    ) -> list[Any]:
        return await retry(
            lambda: self._loop.run_in_executor(self._thread, self._transact, run, batch),
            lambda error: isinstance(error, _NotStored) and error.passing,
            RETRY_PAUSES,
            limit_s=RETRY_FOR_S,
        )

    # The writer's thread, from here on.

    def _transact(self, run: Callable[[sa.Connection, Sequence[Work]], list[Any]], batch: Sequence[Work]) -> list[Any]:
        """The results of a batch, after the commit.

        Raises:
            _NotStored: the database failed.
            Exception: what a unit raised; it is rolled back.
        """
        # What the hot path sends straight to the driver fails with the driver's own errors.
        driver: Any = self._writer.dialect.loaded_dbapi
        lost = (OperationalError, InternalError, driver.OperationalError, driver.InternalError)
        together = run is run_together and all(is_in_pipeline(work.run) for work in batch)
        transaction, committing = None, False
        try:
            # Kept from one batch to the next: a fresh one costs as much as a small batch.
            connection = self._connection = self._connection or self._writer.connect()
            with pipelined(connection) if together else contextlib.nullcontext():
                transaction = connection.begin()
                if self._lock is not None:
                    self._lock.send(connection, key=self._lock_number)
                results = run(connection, batch)
                committing = True
                if together:
                    send(connection, "COMMIT")  # It is waited for where the pipeline ends.
            transaction.commit()
        except Exception as error:
            unit_failed = transaction is not None and not (committing and not together)
            if not isinstance(error, (DatabaseError, driver.DatabaseError)):
                self._roll_back(transaction)
                raise
            if unit_failed and (not isinstance(error, lost) or _is_aborted(error)):
                self._roll_back(transaction)
                raise
            raise self._failed(error, committing=committing) from error
        self.commits += 1
        return results

    def _roll_back(self, transaction: sa.Transaction | None) -> None:
        if transaction is None:
            return
        try:
            transaction.rollback()
        except (DatabaseError, self._writer.dialect.loaded_dbapi.Error):
            self._disconnect()

    def _failed(self, error: Exception, *, committing: bool = False) -> _NotStored:
        """Drops the connection; says whether it may pass, and whether it is known that nothing was stored."""
        self._disconnect()
        detail = str(getattr(error, "orig", None) or error).splitlines()[0]
        self._note_damage(detail)
        if committing and self._writer.dialect.name == "postgresql" and not _is_answered(error):
            return _NotStored(unavailable("STORAGE_OUTCOME_UNKNOWN", detail), passing=False)
        return _NotStored(unavailable("STORAGE_UNAVAILABLE", detail), passing=_passing(detail))

    def _disconnect(self) -> None:
        """Drops the connection and what is open on it: the next batch gets another."""
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None


# What a query did wrong; everything else is the database's fault, and may pass.
_MISTAKES = (sa.exc.ProgrammingError, sa.exc.IntegrityError, sa.exc.DataError, sa.exc.NotSupportedError)


def _is_aborted(error: Exception) -> bool:
    """Whether a statement was not run because one before it in the pipeline had failed."""
    return type(error).__name__ == "PipelineAborted"


def _is_answered(error: Exception) -> bool:
    """Whether the server itself refused, so that nothing was stored; not where it was shut down, or the connection is gone."""
    state = str(getattr(getattr(error, "orig", None) or error, "sqlstate", None) or "")
    return bool(state) and not state.startswith(("08", "57"))


def _busy(what: str) -> ServiceError:
    detail = f"more than {QUEUE} {what} are queued"
    return ServiceError(grpc.StatusCode.RESOURCE_EXHAUSTED, "STORAGE_BUSY", detail)


def _unreadable(error: Exception) -> ServiceError:
    return unavailable("STORAGE_UNAVAILABLE", str(getattr(error, "orig", None) or error).splitlines()[0])


_VERSION = sa.table("alembic_version", sa.column("version_num", sa.Text))
_REWRITE_VERSION = Statement(lambda _: sa.update(_VERSION).values(version_num=_VERSION.c.version_num))


def _rewrite_version(connection: sa.Connection) -> None:
    """Writes what is there already: a commit like any other, which changes nothing."""
    _REWRITE_VERSION.send(connection)


def _is_lost(connection: sa.Connection) -> bool:
    """Whether the connection itself is gone; one to a file never is."""
    return connection.invalidated or bool(getattr(connection.connection.driver_connection, "closed", False))


def _file_id(path: str) -> tuple[int, int] | None:
    try:
        facts = os.stat(path)
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


_PASSING = ("locked", "busy", "connection", "terminat", "shut", "starting up", "lock timeout", "deadlock")


def _passing(detail: str) -> bool:
    """Whether waiting may help: locks and lost connections, not full disks."""
    return any(word in detail for word in _PASSING)
