"""A writer of a database: gathers units of work and commits them together.

Each writer has a connection and a thread of its own, and runs one transaction at a time. Units that arrive during a
transaction share the next one. If a unit fails, the transaction is rolled back, and all its units run again, each in a
savepoint of its own.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError, InternalError, OperationalError

from vantixs.runtime.answer_limit import AnswerLimit
from vantixs.runtime.batching import Batcher, Bounds
from vantixs.runtime.errors import ServiceError, unavailable
from vantixs.runtime.logs import log
from vantixs.runtime.pipeline import pipelined, send
from vantixs.runtime.retry import Pauses, retry
from vantixs.runtime.statements import Statement
from vantixs.runtime.units import Work, is_in_pipeline, run_each, run_together

RETRY_FOR_S, RETRY_PAUSES = 5.0, Pauses(0.05, 0.05)
# How long PostgreSQL may take for a batch, and in addition for each unit that does not share round trips. Longer than a
# statement may wait for a lock.
WRITE_ANSWER_S, UNIT_ANSWER_S = 8.0, 0.1


class _NotStored(Exception):
    """A transaction failed because of the database. `error` is raised to the callers; `passing`: a retry may succeed."""

    def __init__(self, error: ServiceError, *, passing: bool) -> None:
        super().__init__(error)
        self.error = error
        self.passing = passing


class Writer:
    """A connection for writing, its thread and its queue.

    Args:
        engine: gives the connection.
        lock: statement that takes the lock `lock_number` first in every transaction; None if none is needed.
        answers: closes a connection that does not answer in time; None if the database is a file.
        bounds: how many units may share a transaction, and how many may wait.
        note_damage: called with the database's error text when a transaction fails.
    """

    def __init__(
        self,
        engine: sa.Engine,
        lock: Statement | None,
        lock_number: int,
        answers: AnswerLimit | None,
        bounds: Bounds,
        note_damage: Callable[[str], None],
    ) -> None:
        self.commits = 0
        self.failure, self.failed_at = "", 0.0  # Of the last transaction, not counting probes.
        self._engine = engine
        self._lock = lock
        self._lock_number = lock_number
        self._answers = answers
        self._note_damage = note_damage
        self._connection: sa.Connection | None = None  # Used by the writer's thread only.
        self._units: Batcher[Work, Any] = Batcher(self._commit, bounds)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="database-write")
        self._loop = asyncio.get_running_loop()

    async def submit(self, work: Work, *, urgent: bool = False) -> Any:
        """The result of the work, after its commit.

        Raises:
            ServiceError: UNAVAILABLE STORAGE_UNAVAILABLE if nothing was stored; UNAVAILABLE STORAGE_OUTCOME_UNKNOWN if the
                connection was lost during the commit; and the errors of `Batcher.submit`.
            Exception: what the work raises.
        """
        return await self._units.submit(work, urgent=urgent)

    async def close(self) -> None:
        """Finishes queued work. Later writes are refused."""
        await self._units.close()
        await self._loop.run_in_executor(self._thread, self._disconnect)
        self._thread.shutdown()

    async def _commit(self, batch: Sequence[Work]) -> Sequence[Any]:
        """Runs a batch in one transaction; if a unit fails, runs the batch again with a savepoint for each unit.

        Savepoints cost two statements for each unit and units rarely fail, so the first attempt does without them.
        """
        counts = any(work.item is not rewrite_version for work in batch)
        try:
            try:
                results = await self._attempt(run_together, batch)
            except _NotStored:
                raise
            except Exception:
                results = await self._attempt(run_each, batch)
        except _NotStored as failure:
            log.error("database.failed", detail=failure.error.detail)
            if counts:
                self.failure, self.failed_at = failure.error.detail, self._loop.time()
            raise failure.error from None
        if counts:
            self.failure = ""
        return results

    async def _attempt(
        self, run: Callable[[sa.Connection, Sequence[Work]], list[Any]], batch: Sequence[Work]
    ) -> list[Any]:
        return await retry(
            lambda: self._loop.run_in_executor(self._thread, self._transact, run, batch),
            lambda error: isinstance(error, _NotStored) and error.passing,
            RETRY_PAUSES,
            limit_s=RETRY_FOR_S,
        )

    # The methods below run in the writer's thread.

    def _transact(self, run: Callable[[sa.Connection, Sequence[Work]], list[Any]], batch: Sequence[Work]) -> list[Any]:
        """The results of a batch, after the commit.

        Raises:
            _NotStored: the database failed.
            Exception: what a unit raised; the transaction is rolled back.
        """
        # A `Statement` is sent straight to the driver and fails with the driver's own errors.
        driver: Any = self._engine.dialect.loaded_dbapi
        lost = (OperationalError, InternalError, driver.OperationalError, driver.InternalError)
        alone = len(batch) if run is run_each else sum(not is_in_pipeline(work.run) for work in batch)
        together = not alone
        limit_s = WRITE_ANSWER_S + alone * UNIT_ANSWER_S
        transaction, committing = None, False
        try:
            # The connection is kept from batch to batch: a new one costs as much as a small batch.
            connection = self._connection = self._connection or self._engine.connect()
            with self._answering(connection, limit_s):
                with pipelined(connection) if together else contextlib.nullcontext():
                    transaction = connection.begin()
                    if self._lock is not None:
                        self._lock.send(connection, key=self._lock_number)
                    results = run(connection, batch)
                    committing = True
                    if together:
                        send(connection, "COMMIT")  # The end of the pipeline waits for it.
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

    def _answering(self, connection: sa.Connection, limit_s: float) -> contextlib.AbstractContextManager[Any]:
        return self._answers.within(connection, limit_s) if self._answers else contextlib.nullcontext()

    def _roll_back(self, transaction: sa.Transaction | None) -> None:
        if transaction is None:
            return
        try:
            with self._answering(transaction.connection, WRITE_ANSWER_S):
                transaction.rollback()
        except (DatabaseError, self._engine.dialect.loaded_dbapi.Error):
            self._disconnect()

    def _failed(self, error: Exception, *, committing: bool = False) -> _NotStored:
        """Drops the connection. The result says whether a retry may succeed, and whether surely nothing was stored."""
        self._disconnect()
        detail = str(getattr(error, "orig", None) or error).splitlines()[0]
        self._note_damage(detail)
        if committing and self._engine.dialect.name == "postgresql" and not _is_answered(error):
            return _NotStored(unavailable("STORAGE_OUTCOME_UNKNOWN", detail), passing=False)
        return _NotStored(unavailable("STORAGE_UNAVAILABLE", detail), passing=_passing(detail))

    def _disconnect(self) -> None:
        """Drops the connection with its open transaction; the next batch gets a new connection."""
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None


def _is_aborted(error: Exception) -> bool:
    """Whether a statement was not run because one before it in the pipeline had failed."""
    return type(error).__name__ == "PipelineAborted"


def _is_answered(error: Exception) -> bool:
    """Whether the server refused, so that nothing was stored. False if it was shut down or the connection was lost."""
    state = str(getattr(getattr(error, "orig", None) or error, "sqlstate", None) or "")
    return bool(state) and not state.startswith(("08", "57"))


_PASSING = ("locked", "busy", "connection", "terminat", "shut", "starting up", "lock timeout", "deadlock")


def _passing(detail: str) -> bool:
    """Whether waiting may help: locks and lost connections, not full disks."""
    return any(word in detail for word in _PASSING)


_VERSION = sa.table("alembic_version", sa.column("version_num", sa.Text))
_REWRITE_VERSION = Statement(lambda _: sa.update(_VERSION).values(version_num=_VERSION.c.version_num))
# On PostgreSQL no row is changed, because replicas would wait for each other's lock on that row. Taking a transaction id is
# enough: the commit is then written to disk like any other.
_TAKE_NUMBER = Statement(
    lambda _: (
        sa.update(_VERSION)
        .where(_VERSION.c.version_num == sa.cast(sa.func.pg_current_xact_id(), sa.Text))
        .values(version_num=_VERSION.c.version_num)
    )
)


def rewrite_version(connection: sa.Connection) -> None:
    """Makes a transaction that changes nothing but has a real commit, for a probe."""
    (_TAKE_NUMBER if connection.dialect.name == "postgresql" else _REWRITE_VERSION).send(connection)
