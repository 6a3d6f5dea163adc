"""Records the whole journal in order, and tells watchers what changed, whichever process recorded it."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple

import grpc
from prometheus_client import Gauge
from vantixs.api.audit.v1 import audit_pb2
from vantixs.runtime.continuity import Mark
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError, unavailable
from vantixs.runtime.journal import Journal
from vantixs.runtime.journal_reader import Delivery, Reader
from vantixs.runtime.logs import log

from vantixs_audit import store
from vantixs_audit.signal_filter import expression_of, holds, row_of_message

RECORDED = Gauge("vantixs_audit_stream_sequence", "journal sequence up to which history is recorded")
WATCH_QUEUE = 1000
FOLLOW_S, RETRY_S = 0.25, 0.5
AT_ONCE = 500
EVERY_SIGNAL = audit_pb2.SignalFilter()


class Change(NamedTuple):
    """What a watcher hears: a signal after its change, None where nothing changed; and up to which sequence it heard all."""

    signal: audit_pb2.SignalSummary | None
    sequence: int


class Begin(NamedTuple):
    """Where a watch begins: what was missed, and the sequence after which changes are told."""

    missed: list[audit_pb2.SignalSummary]
    sequence: int


class _Watcher:
    """One who watches: what waits for them, and up to which sequence they were told. Equal filters are equal bytes."""

    def __init__(self, filter_: audit_pb2.SignalFilter) -> None:
        self.filter = filter_.SerializeToString(deterministic=True)
        self.expression = expression_of(filter_)
        self.waiting: deque[audit_pb2.SignalSummary] = deque()
        self.told = 0
        self.ended = self.too_slow = False
        self.wake = asyncio.Event()

    def tell(self, meant: list[audit_pb2.SignalSummary], sequence: int) -> None:
        if len(self.waiting) + len(meant) > WATCH_QUEUE:
            self.too_slow = True
        else:
            self.waiting.extend(meant)
            self.told = sequence
        self.wake.set()


class Watchers:
    """Those who watch. A watcher that does not keep up is ended, never waited for."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._all: set[_Watcher] = set()

    @property
    def any(self) -> bool:
        """Whether somebody watches."""
        return bool(self._all)

    def check_room(self) -> None:
        """Raises RESOURCE_EXHAUSTED where too many watch."""
        if len(self._all) >= self._most:
            raise ServiceError(grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED", "too many watch already")

    def tell(self, signals: list[audit_pb2.SignalSummary], sequence: int) -> None:
        """Passes changes on; there are no others up to the sequence. Each filter is asked once, however many watch by it."""
        meant = {b"": signals}
        for watcher in list(self._all):
            if watcher.filter not in meant:
                meant[watcher.filter] = [s for s in signals if holds(watcher.expression, row_of_message(s))]
            watcher.tell(meant[watcher.filter], sequence)
            if watcher.too_slow:
                self._all.discard(watcher)

    async def watch(
        self,
        begin: Callable[[], Awaitable[Begin]],
        filter_: audit_pb2.SignalFilter = EVERY_SIGNAL,
        heartbeat_s: float = 0,
    ) -> AsyncIterator[Change]:
        """Changes until told to stop; `begin` is called once none is missed any more, and says where they begin.

        With `heartbeat_s` there is a change without signal at the beginning, and where there was none for so long.

        Raises:
            ServiceError: INVALID_ARGUMENT where the filter is none; RESOURCE_EXHAUSTED where too many watch; UNAVAILABLE
                WATCH_TOO_SLOW, after what was kept, where more than 1,000 changes waited to be taken.
        """
        self.check_room()
        watcher = _Watcher(filter_)
        self._all.add(watcher)
        try:
            missed, position = await begin()
            for signal in missed:
                yield Change(signal, signal.sequence)
            if heartbeat_s:
                yield Change(None, position)
            while True:
                watcher.wake.clear()
                while watcher.waiting:
                    signal = watcher.waiting.popleft()
                    if signal.sequence > position:
                        position = signal.sequence
                        yield Change(signal, position)
                if watcher.too_slow:
                    detail = f"more than {WATCH_QUEUE} changes waited: go on after sequence {position}"
                    raise unavailable("WATCH_TOO_SLOW", detail)
                if watcher.ended:
                    return
                position = max(position, watcher.told)
                try:
                    await asyncio.wait_for(watcher.wake.wait(), heartbeat_s or None)
                except TimeoutError:
                    yield Change(None, position)
        finally:
            self._all.discard(watcher)

    def close(self) -> None:
        """Ends every watch."""
        for watcher in self._all:
            watcher.ended = True
            watcher.wake.set()
        self._all.clear()


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
            self._watchers.tell(changed, self._told)


class Recorder:
    """From the journal to history; where it is, is kept in the same database as what it stored."""

    def __init__(
        self, database: Database, journal: Journal, head: store.Head, recorded: Callable[[], None] = lambda: None
    ) -> None:
        self._database = database
        self._journal = journal
        self._recorded = recorded
        self._head = head
        self._running = store.Running()
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
            self._head, _ = await self._database.write(lambda c: store.record(c, deliveries, mark, self._running))
        except ServiceError as error:
            log.error("journal.not_recorded", reason=error.reason, detail=error.detail)
            return False
        self._journal.note(self._head.mark.sequence)
        RECORDED.set(self._head.mark.sequence)
        self._recorded()
        return True
