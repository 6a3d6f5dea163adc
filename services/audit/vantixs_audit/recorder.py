"""Records the whole journal in order, and tells watchers what changed, whichever process recorded it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

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
FOLLOW_S, RETRY_S = 0.25, 0.5
AT_ONCE = 500


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

    async def watch(self, begun: Callable[[], Awaitable[None]]) -> AsyncIterator[audit_pb2.SignalSummary]:
        """Changes from now on, until told to stop or fallen behind; `begun` is called once none is missed any more."""
        queue: asyncio.Queue[audit_pb2.SignalSummary | None] = asyncio.Queue(WATCH_QUEUE)
        self._queues.add(queue)
        try:
            await begun()
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


class Follower:
    """Tells this process's watchers what is recorded, here or by another process."""

    def __init__(self, database: Database, journal: Journal, watchers: Watchers, head: store.Head) -> None:
        self._database = database
        self._journal = journal
        self._watchers = watchers
        self._told = head.sequence
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """More is recorded."""
        self._wake.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Looks four times a second, and at once when woken, until stopped."""
        while not stopping.is_set():
            self._wake.clear()
            try:
                await self._look()
            except ServiceError as error:
                # It is recorded all the same; who watches hears of it once the database answers.
                log.warning("watchers.not_told", reason=error.reason, detail=error.detail)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait() if self._watchers.any else stopping.wait(), FOLLOW_S)

    async def _look(self) -> None:
        head = await self._database.read(store.read_head)
        if head.mark.epoch == self._journal.mark.epoch:
            self._journal.note(head.mark.sequence)
        if not self._watchers.any or head.sequence < self._told:  # A history that was begun anew is shorter.
            self._told = head.sequence
        while self._told < head.sequence:
            told = self._told  # Given by a default below, which mypy cannot type: a lambda would see a later value.
            self._told, changed = await self._database.read(lambda c, t=told: store.changed_since(c, t, AT_ONCE))  # type: ignore[misc]
            self._watchers.tell(changed)


class Recorder:
    """From the journal to history; where it is, is kept in the same database as what it stored."""

    def __init__(
        self, database: Database, journal: Journal, head: store.Head, recorded: Callable[[], None] = lambda: None
    ) -> None:
        self._database = database
        self._journal = journal
        self._recorded = recorded
        self._head = head
        self._reader = Reader(
            journal,
            start_after=lambda: self._head.mark.sequence,
            missing_until=lambda: self._head.missing_until,
        )

    def follow(self, head: store.Head) -> None:
        """Goes on from where history was set to."""
        self._head = head

    def adopt(self, head: store.Head) -> None:
        """Goes on from where another process set history to, if it did."""
        if head.mark.epoch > self._head.mark.epoch:
            self._head = head

    async def run(self, stopping: asyncio.Event) -> None:
        """Records until stopped, from where history is now."""
        while not stopping.is_set():
            try:
                self._head = await self._database.read(store.read_head)
                break
            except ServiceError as error:
                log.warning("journal.not_recorded", reason=error.reason, detail=error.detail)
                await asyncio.sleep(RETRY_S)
        self._reader.restart()
        async for deliveries in self._reader.batches(stopping):
            mark = self._journal.mark
            while not await self._record(deliveries, mark):
                await asyncio.sleep(RETRY_S)
                if stopping.is_set():
                    return

    async def _record(self, deliveries: list[Delivery], mark: Mark) -> bool:
        try:
            self._head, _ = await self._database.write(lambda c: store.record(c, deliveries, mark))
        except ServiceError as error:
            log.error("journal.not_recorded", reason=error.reason, detail=error.detail)
            return False
        self._journal.note(self._head.mark.sequence)
        RECORDED.set(self._head.mark.sequence)
        self._recorded()
        return True
