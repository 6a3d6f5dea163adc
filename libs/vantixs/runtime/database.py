"""A service's database: SQLite or PostgreSQL with one set of statements, and one writer that shares commits.

Units of work that arrive during a transaction share the next one. Their callers get results only after the commit.

On SQLite, and on PostgreSQL if the database is opened as exclusive, only one transaction runs at a time across all processes,
so a unit may read, decide and write without races. Otherwise a unit must lock the rows that its decision depends on before
it reads them, in a fixed order. A row that must not exist yet is inserted without ON CONFLICT, so that the unit fails and
runs again if another process was faster.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import grpc
import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError

from vantixs.runtime.answer_limit import AnswerLimit
from vantixs.runtime.batching import BatcherClosed, BatcherFull, Bounds
from vantixs.runtime.database_reader import BATCH, PROBE_TIMEOUT_S, QUEUE, Reader, busy
from vantixs.runtime.database_setup import (
    ADVISORY_LOCK,
    SHARED_LOCK,
    is_damage,
    lock_number,
    make_engine,
    migrate,
    migrate_when_there,
    read_identity,
    remedy,
)
from vantixs.runtime.database_writer import Writer, rewrite_version
from vantixs.runtime.errors import ServiceError, unavailable
from vantixs.runtime.health import Health
from vantixs.runtime.journal import Message
from vantixs.runtime.lifecycle import Lifecycle, StartupError
from vantixs.runtime.logs import log
from vantixs.runtime.reserve import Reserve
from vantixs.runtime.settings import ServiceSettings
from vantixs.runtime.store_identity import DELETE, Found, Identity
from vantixs.runtime.units import Work, run_first, run_in_pipeline, run_units

T = TypeVar("T")
Item = TypeVar("Item")
NO_IDENTITY = Found(Identity(""))
PROBE_S = 2.0
# How long a failed transaction keeps health down, unless a later transaction succeeds.
FAILED_FOR_S = 10.0


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
        # Why the store may not be used, set by its guard. While it is not empty, nothing is read or written.
        self.refusal = ""
        self.damage = ""
        self._writer = writer
        self._lock_number = lock
        self._lock = (ADVISORY_LOCK if exclusive else SHARED_LOCK) if writer.dialect.name == "postgresql" else None
        self._answers = AnswerLimit() if writer.dialect.name == "postgresql" else None
        self._reserve: Reserve | None = None
        self._writes = Writer(
            writer, self._lock, lock, self._answers, Bounds(items=batch, waiting=QUEUE), self._note_damage
        )
        self._reads = Reader(readers, self._answers, self._note_damage)
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
        life: Lifecycle | None = None,
    ) -> "Database":
        """Connects, checks that the file is not damaged, and upgrades the schema.

        Args:
            reserve_bytes: disk space that is kept free for `write_at_any_cost`.
            exclusive: lets only one transaction run at a time across the service's processes. Without it, transactions run
                at the same time on PostgreSQL, and units lock the rows that they depend on.
            life: if given, a PostgreSQL server that cannot be reached is waited for.

        Raises:
            Stopped: the service was asked to stop during the wait.
            StartupError: the database is unreachable, not writable, not a database, damaged, or newer than this program.
        """
        url = settings.database_url or f"sqlite:///{(settings.home / 'data' / f'{service}.db').absolute()}"
        try:
            writer, readers = make_engine(url, service, write=True), make_engine(url, service, write=False)
        except sa.exc.ArgumentError as error:
            raise StartupError(
                f"database of {service}: expected an SQLAlchemy URL, {str(error).splitlines()[0]}"
            ) from None
        except ValueError:  # It may quote a part of the password.
            detail = "expected a number as the port, and special characters of the password percent-encoded"
            raise StartupError(f"database of {service}: VANTIXS_DATABASE_URL: {detail}") from None
        try:
            if life is None:
                found = await asyncio.to_thread(migrate, writer, service, migrations)
            else:
                found = await migrate_when_there(writer, service, migrations, settings, life)
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

    @property
    def commits(self) -> int:
        """How many transactions were committed."""
        return self._writes.commits

    async def write(self, unit: Callable[[sa.Connection], T], *, urgent: bool = False, in_pipeline: bool = False) -> T:
        """Runs the unit in a shared transaction and returns its result after the commit. An urgent unit runs in the next one.

        A unit that is marked with `runs_in_pipeline` shares its round trips with other units.

        An exception of the unit rolls back that unit alone and is raised here. A unit may run more than once, so all its
        effects must go through its connection.

        Raises: as `write_batched`.
        """
        return await self.write_batched(run_in_pipeline if in_pipeline else run_units, unit, urgent=urgent)

    async def write_at_any_cost(self, unit: Callable[[sa.Connection], T]) -> T:
        """Like `write`, but if the disk is full, reserved space is released step by step to make room."""
        while True:
            try:
                return await self.write(unit, urgent=True)
            except ServiceError as error:
                if error.reason != "STORAGE_UNAVAILABLE" or not (self._reserve and self._reserve.release()):
                    raise
                log.warning("database.reserve_released", detail=error.detail)

    async def write_batched(
        self,
        run: Callable[[sa.Connection, Sequence[Item]], Sequence[T | Exception]],
        item: Item,
        *,
        urgent: bool = False,
    ) -> T:
        """Calls `run` once with this item and all items that wait for the same `run`; returns the result of this item.

        With it, work that arrives in large numbers needs only a few statements for many items. `run` returns a result for each
        item. If a result is an exception, it is raised to that item's caller, and nothing is rolled back. If `run` itself
        raises, everything is rolled back, and `run` is called with each item alone, so that only the failing ones fail. As with
        `write`, all effects must go through the connection.

        Raises:
            ServiceError: UNAVAILABLE STORAGE_UNAVAILABLE if nothing was stored; UNAVAILABLE STORAGE_OUTCOME_UNKNOWN
                if the connection was lost during the commit; RESOURCE_EXHAUSTED if too much is queued;
                FAILED_PRECONDITION STORE_NOT_ACCEPTED while the store is refused.
        """
        self._check_served()
        return await self._write(run, item, urgent=urgent)

    async def _write(
        self, run: Callable[[sa.Connection, Sequence[Item]], Sequence[T | Exception]], item: Item, *, urgent: bool
    ) -> T:
        try:
            result: T = await self._writes.submit(Work(run, item), urgent=urgent)
        except BatcherFull:
            raise busy("units") from None
        except BatcherClosed:
            raise unavailable("STORAGE_UNAVAILABLE", "the service is stopping") from None
        return result

    async def read(self, query: Callable[[sa.Connection], T]) -> T:
        """Runs the query on a snapshot of committed data.

        Raises:
            ServiceError: UNAVAILABLE STORAGE_UNAVAILABLE; FAILED_PRECONDITION STORE_NOT_ACCEPTED while the store is refused.
        """
        self._check_served()
        return await self._reads.read(query)

    async def read_together(self, query: Callable[[sa.Connection], T]) -> T:
        """Like `read`, for short queries that arrive in large numbers: queries that wait share their round trips.

        The query must use `Statement` only. Each of its statements sees the data committed before that statement: one snapshot
        for all of them would cost another round trip.
        """
        self._check_served()
        return await self._reads.read_together(query)

    async def watch(self, health: Health, stopping: asyncio.Event) -> None:
        """Keeps health's state `database` up to date until stopped: regularly reads the file and commits a write.

        This write changes nothing, and may succeed while all other writes time out on a lock. So their failures count too.
        """
        before = ""
        while not stopping.is_set():
            found = await self._probe()
            if found and not before:
                log.error("database.unavailable", detail=found)
            elif before and not found:
                log.info("database.available")
            before = found
            health.set("database", not found, found)
            if not found and self._reserve:
                self._reserve.fill()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), PROBE_S)

    async def _probe(self) -> str:
        """Why the database cannot be read or written; empty if it can."""
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                await asyncio.to_thread(self._reads.look_inside)
                await self.write(rewrite_version, urgent=True, in_pipeline=True)
        except TimeoutError:
            return f"no answer in {PROBE_TIMEOUT_S:g} s"
        except ServiceError as error:
            return error.detail
        return self._writes.failure if self._loop.time() - self._writes.failed_at < FAILED_FOR_S else ""

    async def read_identity(self) -> Identity | None:
        """The identity of the store, also while it is refused.

        Raises:
            ServiceError: UNAVAILABLE STORAGE_UNAVAILABLE.
        """
        return await self._reads.read(read_identity)

    async def write_identity(self, change: Callable[[Identity], Identity], message: Message | None = None) -> Identity:
        """Changes the identity of the store and adds a message to the outbox, also while refused. Raises like `write`."""

        def unit(connection: sa.Connection) -> Identity:
            if self._lock is not None:
                ADVISORY_LOCK.send(
                    connection, key=self._lock_number + 1
                )  # Several replicas may change the identity at the same time.
            identity = change(read_identity(connection) or self.found.identity)
            connection.exec_driver_sql(DELETE)
            connection.exec_driver_sql(identity.insert)
            if message is not None:
                columns: list[sa.ColumnClause[Any]] = [sa.column(name) for name in message._fields]
                outbox = sa.table("outbox", *columns)
                connection.execute(sa.insert(outbox).values(**message._asdict()))
            return identity

        return await self._write(run_first, unit, urgent=True)

    def _check_served(self) -> None:
        if self.refusal:
            raise ServiceError(grpc.StatusCode.FAILED_PRECONDITION, "STORE_NOT_ACCEPTED", self.refusal)

    def _note_damage(self, detail: str) -> None:
        """Keeps the database's error text if it reports a damaged file."""
        if is_damage(detail):
            self.damage = detail

    async def close(self) -> None:
        """Finishes queued work and closes. Later writes are refused."""
        await self._writes.close()
        self._reads.close()
        self._writer.dispose()
        if self._answers:
            self._answers.close()
