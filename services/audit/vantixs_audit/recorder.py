"""Records the whole journal in order, and tells watchers what changed."""

import asyncio
from collections.abc import AsyncIterator

import sqlalchemy as sa
from prometheus_client import Gauge
from vantixs.api.audit.v1 import audit_pb2
from vantixs.runtime.continuity import Mark
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.journal import Journal
from vantixs.runtime.journal_reader import Delivery, Reader
from vantixs.runtime.logs import log

from vantixs_audit import store

RECORDED = Gauge("vantixs_audit_stream_sequence", "journal sequence up to which history is recorded")
WATCH_QUEUE = 1000


class Watchers:
    """Those who watch. A watcher that does not keep up is ended, never waited for."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._queues: set[asyncio.Queue[audit_pb2.SignalSummary | None]] = set()

    @property
    def any(self) -> bool:
        """Whether somebody watches."""
        return bool(self._queues)

    @property
    def full(self) -> bool:
        """Whether no more may watch."""
        return len(self._queues) >= self._most

    def tell(self, signals: list[audit_pb2.SignalSummary]) -> None:
        """Passes changes on."""
        for queue in list(self._queues):
            for signal in signals:
                if queue.full():
                    self._queues.discard(queue)
                    break
                queue.put_nowait(signal)

    async def watch(self) -> AsyncIterator[audit_pb2.SignalSummary]:
        """Changes from now on, until told to stop or fallen behind."""
        queue: asyncio.Queue[audit_pb2.SignalSummary | None] = asyncio.Queue(WATCH_QUEUE)
        self._queues.add(queue)
        try:
            while queue in self._queues or not queue.empty():
                try:
                    signal = await asyncio.wait_for(queue.get(), 1.0)
                except TimeoutError:
                    continue
                if signal is None:
                    return
                yield signal
        finally:
            self._queues.discard(queue)

    def close(self) -> None:
        """Ends every watch."""
        for queue in self._queues:
            if not queue.full():
                queue.put_nowait(None)
        self._queues.clear()


class Recorder:
    """From the journal to history; where it is, is kept in the same database as what it stored."""

    def __init__(self, database: Database, journal: Journal, watchers: Watchers, head: store.Head) -> None:
        self._database = database
        self._journal = journal
        self._watchers = watchers
        self._head = head
        self._reader = Reader(
            journal,
            start_after=lambda: self._head.mark.sequence,
            missing_until=lambda: self._head.missing_until,
        )

    def follow(self, head: store.Head) -> None:
        """Goes on from where history was set to."""
        self._head = head

    async def run(self, stopping: asyncio.Event) -> None:
        """Records until stopped."""
        async for deliveries in self._reader.batches(stopping):
            mark = self._journal.mark
            while not await self._record(deliveries, mark):
                await asyncio.sleep(0.5)
                if stopping.is_set():
                    return

    async def _record(self, deliveries: list[Delivery], mark: Mark) -> bool:
        try:
            self._head, changed = await self._database.write(lambda c: store.record(c, deliveries, mark))
        except ServiceError as error:
            log.error("journal.not_recorded", reason=error.reason, detail=error.detail)
            return False
        self._journal.note(self._head.mark.sequence)
        RECORDED.set(self._head.mark.sequence)
        if changed and self._watchers.any:
            try:
                self._watchers.tell(await self._database.read(lambda c: _summaries(c, changed)))
            except ServiceError as error:
                # It is recorded all the same; who watches hears of it with the signal's next change.
                log.warning("watchers.not_told", reason=error.reason, detail=error.detail)
        return True


def _summaries(connection: sa.Connection, ids: list[str]) -> list[audit_pb2.SignalSummary]:
    query = sa.select(store.SIGNALS).where(store.SIGNALS.c.signal_id.in_(ids[:500])).order_by(store.SIGNALS.c.sequence)
    return [store.summary(row) for row in connection.execute(query)]
