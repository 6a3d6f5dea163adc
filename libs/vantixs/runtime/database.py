"""A service's database: SQLite or PostgreSQL with one set of statements, and one writer that shares commits.

Units of work that come while a transaction is on its way share the next one; their callers hear of them only after the
commit. On SQLite, and on PostgreSQL where the database is opened as exclusive, the transaction is the only one across
processes, so a unit may read, decide and write without races. Otherwise a unit locks the rows it goes by before it reads
them, in their order, and inserts what must not be there without ON CONFLICT: then it runs again.
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
# For so long a failed transaction counts against health, unless another one works.
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
        # Set by the guard: nothing is read or written while it says why.
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
        """Connects, looks whether the file is whole, and brings the schema up to date.

        `reserve_bytes` of disk are kept for `write_at_any_cost`. With `exclusive` no two transactions of the service's
        processes run at the same time; without it they do on PostgreSQL, and units lock what they go by. With `life`, a
        PostgreSQL server that cannot be reached is waited for.

        Raises:
            Stopped: the service is to stop.
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
        """Runs the unit in the shared transaction and returns its result after the commit; an urgent one in the next.

        One that sends everything by `Statement` may be run in a pipeline: it then shares its round trips with others.

        An exception of the unit rolls back that unit alone and is raised here. A unit may run more than once, so it
        must have no effects but through its connection.

        Raises: as `write_batched`.
        """
        return await self.write_batched(run_in_pipeline if in_pipeline else run_units, unit, urgent=urgent)

    async def write_at_any_cost(self, unit: Callable[[sa.Connection], T]) -> T:
        """As `write`; where the disk is full, space that was kept for this is given back, step by step."""
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
            raise busy("units") from None
        except BatcherClosed:
            raise unavailable("STORAGE_UNAVAILABLE", "the service is stopping") from None
        return result

    async def read(self, query: Callable[[sa.Connection], T]) -> T:
        """Runs the query on a snapshot of what is committed.

        Raises:
            ServiceError: UNAVAILABLE STORAGE_UNAVAILABLE; FAILED_PRECONDITION STORE_NOT_ACCEPTED while it is not served.
        """
        self._check_served()
        return await self._reads.read(query)

    async def read_together(self, query: Callable[[sa.Connection], T]) -> T:
        """As `read`, for quick queries of which many come at once: those that wait share their round trips.

        It asks everything by `Statement`, and each statement sees what is committed by then: a snapshot for all of them would
        cost a round trip more.
        """
        self._check_served()
        return await self._reads.read_together(query)

    async def watch(self, health: Health, stopping: asyncio.Event) -> None:
        """Keeps health's state `database` by trying: reads the file anew and commits a write, until stopped.

        A write that changes nothing may work while all others wait for a lock in vain: their failures count as well.
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
        """Why nothing can be read or written, empty where it can."""
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
        """Which store is there now, also while it is not served.

        Raises:
            ServiceError: UNAVAILABLE STORAGE_UNAVAILABLE.
        """
        return await self._reads.read(read_identity)

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

        return await self._write(run_first, unit, urgent=True)

    def _check_served(self) -> None:
        if self.refusal:
            raise ServiceError(grpc.StatusCode.FAILED_PRECONDITION, "STORE_NOT_ACCEPTED", self.refusal)

    def _note_damage(self, detail: str) -> None:
        """Keeps what the database says of a file that is not whole."""
        if is_damage(detail):
            self.damage = detail

    async def close(self) -> None:
        """Finishes what is queued and closes; what is written from then on is refused."""
        await self._writes.close()
        self._reads.close()
        self._writer.dispose()
        if self._answers:
            self._answers.close()
