"""Records the whole journal in order, and sends watchers the changes of signals, whichever process recorded them."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
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
    """A message to a watcher: a signal after its change, or None, and the sequence up to which all changes were sent."""

    signal: audit_pb2.SignalSummary | None
    sequence: int


class Begin(NamedTuple):
    """Where a watch begins: the changes that were missed, and the sequence after which changes are sent."""

    missed: list[audit_pb2.SignalSummary]
    sequence: int


class _Watcher:
    """A watcher: the changes that wait for it, and the sequence up to which it has all. Equal filters are equal bytes."""

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
    """All watchers. A watcher that reads too slowly is ended, and never delays the others."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._all: set[_Watcher] = set()

    @property
    def any(self) -> bool:
        """Whether there are watchers."""
        return bool(self._all)

    def check_room(self) -> None:
        """Raises RESOURCE_EXHAUSTED if there are too many watchers."""
        if len(self._all) >= self._most:
            raise ServiceError(grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED", "too many watch already")

    def tell(self, signals: list[audit_pb2.SignalSummary], sequence: int) -> None:
        """Passes changes on, which are all up to the sequence. Each different filter is evaluated once."""
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
        """Yields changes until stopped.

        `begin` is called once no later change can be missed, and says where the watch begins.

        With `heartbeat_s`, a change without a signal is sent at the beginning, and whenever nothing was sent for that
        time, also while changes come that the filter does not match.

        Raises:
            ServiceError: INVALID_ARGUMENT for a wrong filter; RESOURCE_EXHAUSTED if there are too many watchers;
                UNAVAILABLE WATCH_TOO_SLOW, after the kept changes, if more than 1,000 changes waited to be read.
        """
        self.check_room()
        watcher, time = _Watcher(filter_), asyncio.get_running_loop().time
        self._all.add(watcher)
        try:
            missed, position = await begin()
            for signal in missed:
                yield Change(signal, signal.sequence)
            if heartbeat_s:
                yield Change(None, position)
            sent_at = time()
            while True:
                watcher.wake.clear()
                while watcher.waiting:
                    signal = watcher.waiting.popleft()
                    if signal.sequence > position:
                        position = signal.sequence
                        yield Change(signal, position)
                        sent_at = time()
                if watcher.too_slow:
                    detail = f"more than {WATCH_QUEUE} changes waited: go on after sequence {position}"
                    raise unavailable("WATCH_TOO_SLOW", detail)
                if watcher.ended:
                    return
                position = max(position, watcher.told)
                if heartbeat_s and time() - sent_at >= heartbeat_s:
                    yield Change(None, position)
                    sent_at = time()
                    continue
                # Changes that are not for this watcher wake it too, and must not put off its heartbeat.
                left_s = sent_at + heartbeat_s - time() if heartbeat_s else None
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(watcher.wake.wait(), left_s)
        finally:
            self._all.discard(watcher)

    def close(self) -> None:
        """Ends every watch."""
        for watcher in self._all:
            watcher.ended = True
            watcher.wake.set()
        self._all.clear()


class Follower:
    """Tells this process's watchers what any audit process recorded."""

    def __init__(self, database: Database, journal: Journal, watchers: Watchers, head: store.Head) -> None:
        self._database = database
        self._journal = journal
        self._watchers = watchers
        self._told = head.sequence
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Makes `run` look at once."""
        self._wake.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Looks four times a second, and at once when woken, until stopped."""
        while not stopping.is_set():
            self._wake.clear()
            try:
                await self._look()
            except ServiceError as error:
                # The changes are recorded. Watchers get them once the database answers.
                log.warning("watchers.not_told", reason=error.reason, detail=error.detail)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait() if self._watchers.any else stopping.wait(), FOLLOW_S)

    async def _look(self) -> None:
        head = await self._database.read(store.read_head)
        if head.mark.epoch == self._journal.mark.epoch:
            self._journal.note(head.mark.sequence)
        if not self._watchers.any or head.sequence < self._told:  # History was started again and is shorter.
            self._told = head.sequence
        while self._told < head.sequence:
            read = partial(store.changed_since, sequence=self._told, most=AT_ONCE)
            self._told, changed = await self._database.read(read)
            self._watchers.tell(changed, self._told)


class Recorder:
    """Copies the journal to history. Its position is stored in the same transaction as the entries."""

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
        """Continues from the position to which history was set."""
        self._head = head

    def adopt(self, head: store.Head) -> None:
        """Continues from the position to which another process set history, if one did."""
        if head.mark.epoch > self._head.mark.epoch:
            self._head = head

    async def run(self, stopping: asyncio.Event) -> None:
        """Records until stopped, from the current position of history."""
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
