"""The spool: signals on disk, one SQLite file for each instance.

A signal is answered 2xx once it is stored here. Concurrent requests share one fsynced commit. One transaction decides
whether a signal is new and stores it, so two equal signals cannot both be new.
"""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from prometheus_client import Gauge
from vantixs.runtime import batching
from vantixs.runtime.batching import Batcher, BatcherClosed, BatcherFull
from vantixs.runtime.continuity import NOTHING_SEEN, Mark
from vantixs.runtime.database_setup import is_damage
from vantixs.runtime.errors import ServiceError, unavailable
from vantixs.runtime.journal import Message
from vantixs.runtime.lifecycle import StartupError
from vantixs.runtime.logs import log
from vantixs.runtime.retry import Pauses, retry
from vantixs.runtime.store_identity import Identity

from vantixs_ingress.spool.deduplication import DeduplicationKey
from vantixs_ingress.spool.lock import SpoolLock
from vantixs_ingress.spool.recent import Recent
from vantixs_ingress.spool.room import Bounds, Room
from vantixs_ingress.spool.store import ROW_BYTES, Action, Item, SpoolFile, Stored

QUEUE = 4096
BATCH = batching.Bounds(items=256, size=8 << 20, waiting=QUEUE)
PRUNE_EVERY_S = 1.0
RETRY = Pauses(0.1, 0.1)  # Pause between attempts, while commits that no request waits for fail.
IDENTITY_S = 5.0
QUIET_S = 10.0  # Refusals are not logged more often.
USED = Gauge("vantixs_ingress_spool_bytes", "bytes of messages in the spool that are not in the journal")


@dataclass(slots=True)
class _Change:
    """A change of the file that no request waits for.

    It is made with the next commit that succeeds, and frees `freed` bytes.
    """

    action: Action
    freed: int
    made: "asyncio.Future[None]"


class _Written(NamedTuple):
    """The result of a batch: why no item was stored, or the result of each item and the stored messages."""

    problem: str
    stored: list[Stored]
    messages: list[tuple[int, Message]]


# None is a probe: a row is written and removed, to find out whether storing works again.
_Work = Item | _Change | None
_NOTHING_STORED = Stored(0)


class Spool:
    """Signals on disk that are not known to be in the journal."""

    def __init__(self, path: Path, bounds: Bounds, lock: SpoolLock | None = None) -> None:
        """Opens the file, which has one owner: `lock` is taken here where it is not given, and is held until `close`.

        Raises:
            StartupError: another process has the spool, or the file cannot be used.
        """
        self._lock = lock or SpoolLock(path, "0")
        self._bounds = bounds
        self._loop = asyncio.get_running_loop()
        self._batches: Batcher[_Work, Stored] = Batcher(self._commit, BATCH, size_of=_size_of, singly_after=_of_one)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self._recent = Recent()
        self._pruned = time.monotonic()
        self._quiet_until = 0.0
        self._failure = ""
        self._unmade: list[_Change] = []  # In order of arrival. The next commit makes them first.
        self._probing: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self.added = asyncio.Event()
        try:
            self._file = SpoolFile(path)
            count, used = self._file.pending()
        except sqlite3.Error as error:
            self._lock.release()
            raise StartupError(
                f"spool {path}: {error}; put a copy of it back (docs/operations.md, Stores), or move it away to start without it"
            ) from None
        self.found = self._file.found
        self.place = str(path)
        self.file: Path | None = path
        self.commits = 0
        # Set by the store's guard: no entry is taken while it says why.
        self.refusal = ""
        self.damage = ""
        self._changing: asyncio.Future[None] | None = None
        self._backlog = count
        self._room = Room(path.parent, bounds, used)
        self.last_sequence = self._file.sequence
        USED.set_function(lambda: self._room.used)

    def store(
        self,
        message: Message,
        key: DeduplicationKey | None = None,
        duplicate: Callable[[Stored], Message] | None = None,
    ) -> "asyncio.Future[Stored]":
        """Stores a message; returns after the fsync. If it is a repeat, stores what `duplicate` makes of it instead.

        Raises:
            ServiceError: STORAGE_UNAVAILABLE; then nothing of it is stored.
        """
        return self._put(Item(message, key, duplicate))

    def put(
        self,
        message: Message,
        key: DeduplicationKey | None = None,
        duplicate: Callable[[Stored], Message] | None = None,
    ) -> "asyncio.Future[Stored]":
        """Like `store`, for few and important messages: they are queued however long the queue is."""
        return self._put(Item(message, key, duplicate), urgent=True)

    def pending_after(self, sequence: int, limit: int) -> list[tuple[int, Message]] | None:
        """Messages behind a sequence, oldest first, from memory; None if they have to be read from disk."""
        return self._recent.after(sequence, limit, self.last_sequence)

    async def read_after(self, sequence: int, limit: int) -> list[tuple[int, Message]]:
        """Messages behind a sequence, oldest first, from disk."""
        return await asyncio.to_thread(self._file.after, sequence, limit)

    def forget(self, first: int, last: int, size: int, mark: Mark = NOTHING_SEEN) -> None:
        """Removes the messages of these sequences, which the journal has, with `size` bytes of payload together.

        `mark` is stored with that, so that a journal which loses them later is noticed.
        """
        count = last - first + 1
        self._backlog -= count

        def remove(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM spool WHERE sequence BETWEEN ? AND ?", (first, last))
            if mark != NOTHING_SEEN:
                connection.execute("INSERT OR REPLACE INTO journal_mark VALUES (1, ?, ?, ?)", mark)

        self._change(remove, size + count * ROW_BYTES)

    def remember_webhook(self, webhook_id: str, revision: int, data: bytes | None) -> None:
        """Stores a webhook, so that ingress knows it after a restart without the broker."""

        def change(connection: sqlite3.Connection) -> None:
            if data is None:
                connection.execute("DELETE FROM webhooks WHERE webhook_id = ?", (webhook_id,))
            else:
                connection.execute("INSERT OR REPLACE INTO webhooks VALUES (?, ?, ?)", (webhook_id, revision, data))

        self._change(change)

    def mark(self) -> Mark:
        """How far the journal was seen, as stored."""
        return self._file.mark()

    def webhooks(self) -> list[tuple[str, int, bytes]]:
        """The webhooks as they were known last."""
        return self._file.webhooks()

    async def read_identity(self) -> Identity | None:
        """The identity of the spool in the file.

        Raises:
            ServiceError: STORAGE_UNAVAILABLE.
        """
        try:
            return await asyncio.to_thread(self._file.identity)
        except sqlite3.Error as error:
            self._note_damage(error)
            raise unavailable("STORAGE_UNAVAILABLE", str(error)) from error

    async def write_identity(self, change: Callable[[Identity], Identity], message: Message | None = None) -> Identity:
        """Changes the spool's identity, with a message for the journal; returns the identity after the commit.

        Raises:
            ServiceError: STORAGE_UNAVAILABLE.
        """
        if message is not None:
            await self.put(message)
        if self._changing is None or self._changing.done():
            # Like every change that no request waits for, it is retried until it is made.
            self._changing = self._change(lambda connection: self._file.change_identity(connection, change))
        done, _ = await asyncio.wait((self._changing,), timeout=IDENTITY_S)
        now = await self.read_identity() if done else None
        if now is None:
            raise unavailable("STORAGE_UNAVAILABLE", self.problem or f"no commit in {IDENTITY_S:g} s")
        return now

    @property
    def backlog(self) -> int:
        """Messages not yet in the journal."""
        return self._backlog

    @property
    def pending_bytes(self) -> int:
        """Bytes of messages not yet in the journal."""
        return self._room.used

    @property
    def problem(self) -> str:
        """Why nothing can be stored now; empty if storing works."""
        return self._room.lack or (f"the last commit failed: {self._failure}" if self._failure else "")

    async def close(self) -> None:
        """Commits what is queued and closes."""
        self._stopping.set()
        if self._probing is not None:
            await asyncio.wait((self._probing,))
        await self._batches.close()
        self._writer.shutdown()
        self._file.close()
        self._lock.release()

    def _put(self, work: _Work, *, urgent: bool = False) -> "asyncio.Future[Stored]":
        try:
            return self._batches.put(work, urgent=urgent)
        except BatcherFull:
            raise unavailable("STORAGE_UNAVAILABLE", f"more than {QUEUE} requests wait for the disk") from None
        except BatcherClosed:
            raise unavailable("STORAGE_UNAVAILABLE", "the service is stopping") from None

    def _change(self, action: Action, freed: int = 0) -> "asyncio.Future[None]":
        """Queues a change. Changes are made in their order. The result is done once the change is on disk."""
        made: asyncio.Future[None] = self._loop.create_future()
        with contextlib.suppress(
            ServiceError
        ):  # The service is stopping; after the next start the change is made again.
            self._put(_Change(action, freed, made), urgent=True)
        return made

    async def _commit(self, works: Sequence[_Work]) -> Sequence[Stored | Exception]:
        """Runs a batch in one transaction.

        Raises:
            ServiceError: STORAGE_UNAVAILABLE because of one of its items; nothing was stored.
        """
        items = [w for w in works if isinstance(w, Item)]
        changes = [*self._unmade, *(w for w in works if isinstance(w, _Change))]
        actions = [change.action for change in changes]
        if None in works:
            actions.append(self._file.probe)
        self.commits += 1
        try:
            written = await self._loop.run_in_executor(self._writer, self._write, items, actions)
        except Exception as error:
            refusal = self._refusal(str(error) or type(error).__name__, len(items))
            if not isinstance(error, sqlite3.Error | OSError):
                raise refusal from error
            # Published messages that are still on disk are removed with a later commit.
            self._unmade = changes
            self._failed(error)
            return [_NOTHING_STORED if isinstance(w, _Change) else refusal for w in works]
        self._succeeded(changes, written)
        # Removing published messages often works on a disk that is too full to store new ones, so it proves nothing.
        if written.stored or None in works:
            self._failure = ""
        if written.problem and items:
            refusal = self._refusal(written.problem, len(items))
            return [refusal if isinstance(w, Item) else _NOTHING_STORED for w in works]
        stored = iter(written.stored)
        return [next(stored) if isinstance(w, Item) else _NOTHING_STORED for w in works]

    def _write(self, items: list[Item], actions: list[Action]) -> _Written:
        """Writes a batch to disk, in the spool's thread; items only if there is room."""
        self._room.measure()
        problem = self._room.lack
        if problem:
            items = []
        elif time.monotonic() - self._pruned >= PRUNE_EVERY_S and (keys := [i.key for i in items if i.key]):
            # Expired keys and windows are removed a few at a time: those that were over when the oldest of these requests
            # was received, for it and those behind it may have waited long for the disk.
            self._pruned = time.monotonic()
            oldest, keep = min(key.receive_ms for key in keys), self._bounds.keep_keys_s * 1000
            actions.append(lambda _: self._file.prune(oldest, keep))
        if not items and not actions:
            return _Written(problem, [], [])
        return _Written(problem, *self._file.write(items, actions))

    def _succeeded(self, changes: list[_Change], written: _Written) -> None:
        self._unmade = []
        for change in changes:
            self._room.used -= change.freed
            if not change.made.done():
                change.made.set_result(None)
        messages = written.messages
        if messages:
            size = sum([len(m.payload) for _, m in messages])
            self._room.used += size + len(messages) * ROW_BYTES
            self._backlog += len(messages)
            self.last_sequence = messages[-1][0]
            self._recent.add(messages, size)
            self.added.set()

    def _refusal(self, detail: str, requests: int) -> ServiceError:
        if self._loop.time() >= self._quiet_until:
            self._quiet_until = self._loop.time() + QUIET_S
            log.error("spool.refused", detail=detail, requests=requests)
        return unavailable("STORAGE_UNAVAILABLE", detail)

    def _failed(self, error: Exception) -> None:
        """Reports the failure to readiness, and probes until storing works again.

        Nobody sends requests to a service that is not ready, so only a probe can notice that storing works again.
        """
        self._note_damage(error)
        self._failure = str(error) or type(error).__name__
        if self._probing is None or self._probing.done():
            self._probing = self._loop.create_task(self._probe())

    async def _probe(self) -> None:
        with contextlib.suppress(ServiceError):  # The retry ends only when the service stops.
            await retry(lambda: self._put(None, urgent=True), lambda _: True, RETRY, stopping=self._stopping)

    def _note_damage(self, error: Exception) -> None:
        if isinstance(error, sqlite3.DatabaseError) and is_damage(str(error)):
            self.damage = str(error)


def _size_of(work: _Work) -> int:
    return len(work.message.payload) if isinstance(work, Item) else 0


def _of_one(error: Exception) -> bool:
    """Whether a batch failed because of one of its items; its items are then committed one by one."""
    return error.__cause__ is not None
