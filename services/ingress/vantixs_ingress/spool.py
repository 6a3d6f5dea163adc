"""The spool: what makes a 2xx true. One SQLite file an instance; concurrent requests share one fsynced commit.

One transaction decides whether a signal is new, and stores it: duplicates cannot slip through between the two.
"""

import asyncio
import os
import queue
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from prometheus_client import Gauge
from vantixs.runtime.continuity import NOTHING_SEEN, Mark
from vantixs.runtime.database_setup import is_damage
from vantixs.runtime.errors import unavailable
from vantixs.runtime.journal import Message
from vantixs.runtime.lifecycle import StartupError
from vantixs.runtime.logs import log
from vantixs.runtime.store_identity import Identity

from vantixs_ingress.claims import Claim
from vantixs_ingress.spool_file import ROW_BYTES, Action, Item, SpoolFile, Stored
from vantixs_ingress.spool_lock import SpoolLock

BATCH = 256
QUEUE = 4096
# While many come at once, a commit waits a moment until there are enough: it costs nearly the same for one as for forty.
BUSY, GATHER_S = 4, 0.002
ENOUGH, STEP_S = 32, 0.0005
RECENT = 4096  # Messages kept in memory for the relay, which reads them from disk only where it is behind.
RECENT_BYTES = 8 << 20
PRUNE_EVERY_S = 1.0
SPACE_EVERY_S = 0.25
RETRY_S = 0.1  # Pause before what failed without a request that waits for it is tried again.
IDENTITY_S = 5.0
QUIET_S = 10.0  # A disk that is full is not told of more often.
USED = Gauge("vantixs_ingress_spool_bytes", "bytes of messages in the spool that are not in the journal")


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much the spool may hold, what has to stay free on its disk, and how long an explicit key is remembered."""

    max_bytes: int
    reserve_bytes: int = 0
    keep_claims_s: int = 90 * 86_400


@dataclass(slots=True)
class _Batch:
    items: list[Item] = field(default_factory=list)
    waiting: list["asyncio.Future[Stored]"] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    freed: int = 0


_Work = tuple[Item, "asyncio.Future[Stored]"] | tuple[Action, int] | None


class Spool:
    """Signals on disk that are not known to be in the journal."""

    def __init__(self, path: Path, bounds: Bounds, lock: SpoolLock | None = None) -> None:
        """Opens the file, which has one owner: `lock` is taken here where it is not given, and is held until `close`.

        Raises:
            StartupError: another process has the spool, or the file cannot be used.
        """
        self._lock = lock or SpoolLock(path, "0")
        self._path = path
        self._bounds = bounds
        self._queue: queue.SimpleQueue[_Work] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._recent: deque[tuple[int, Message]] = deque()
        self._recent_bytes = 0
        self._pruned = self._measured = time.monotonic()
        self._roomy = True
        self._quiet_until = 0.0
        self._failure = ""
        self._probing = False
        self.added = asyncio.Event()
        try:
            self._file = SpoolFile(path)
            count, self._bytes = self._file.pending()
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
        self._changing = False
        self._probe: Action = self._file.probe
        self._backlog = count
        self.last_sequence = self._file.sequence
        USED.set_function(lambda: self._bytes)
        self._writer = threading.Thread(target=self._run, name="spool", daemon=True)
        self._writer.start()

    def store(
        self, message: Message, claim: Claim | None = None, duplicate: Callable[[Stored], Message] | None = None
    ) -> "asyncio.Future[Stored]":
        """Stores a message, fsynced when this is done; or recognises a repeat and stores what `duplicate` makes of it.

        Raises:
            ServiceError: STORAGE_UNAVAILABLE; then nothing of it is stored.
        """
        if self._queue.qsize() >= QUEUE:
            raise unavailable("STORAGE_UNAVAILABLE", f"more than {QUEUE} requests wait for the disk")
        return self.put(message, claim, duplicate)

    def put(
        self, message: Message, claim: Claim | None = None, duplicate: Callable[[Stored], Message] | None = None
    ) -> "asyncio.Future[Stored]":
        """The same for few and important messages: in line at once, however long the line is."""
        done: asyncio.Future[Stored] = self._loop.create_future()
        self._queue.put((Item(message, claim, duplicate), done))
        return done

    def pending_after(self, sequence: int, limit: int) -> list[tuple[int, Message]] | None:
        """Messages behind a sequence, oldest first, from memory; None where they have to be read from disk."""
        recent = self._recent
        while recent and recent[0][0] <= sequence:
            self._recent_bytes -= len(recent.popleft()[1].payload)
        if sequence >= self.last_sequence:
            return []
        if not recent or recent[0][0] != sequence + 1:
            return None
        return list(islice(recent, limit))

    async def read_after(self, sequence: int, limit: int) -> list[tuple[int, Message]]:
        """The same, from disk."""
        return await asyncio.to_thread(self._file.after, sequence, limit)

    def forget(self, sequence: int, count: int, size: int, mark: Mark = NOTHING_SEEN) -> None:
        """Removes the messages up to a sequence, `count` of them with `size` bytes of payload: they are in the journal.

        `mark` is kept with that, so that a journal which does not have them any more is noticed.
        """
        self._backlog -= count

        def remove(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM spool WHERE sequence <= ?", (sequence,))
            if mark != NOTHING_SEEN:
                connection.execute("INSERT OR REPLACE INTO journal_mark VALUES (1, ?, ?, ?)", mark)

        self._queue.put((remove, size + count * ROW_BYTES))

    def remember_webhook(self, webhook_id: str, revision: int, data: bytes | None) -> None:
        """Keeps a webhook, so that a restart without the broker knows its senders."""

        def change(connection: sqlite3.Connection) -> None:
            if data is None:
                connection.execute("DELETE FROM webhooks WHERE webhook_id = ?", (webhook_id,))
            else:
                connection.execute("INSERT OR REPLACE INTO webhooks VALUES (?, ?, ?)", (webhook_id, revision, data))

        self._queue.put((change, 0))

    def mark(self) -> Mark:
        """What was seen of the journal, as last kept."""
        return self._file.mark()

    def webhooks(self) -> list[tuple[str, int, bytes]]:
        """Webhooks as last known."""
        return self._file.webhooks()

    async def read_identity(self) -> Identity | None:
        """Which spool is there now.

        Raises:
            ServiceError: STORAGE_UNAVAILABLE.
        """
        try:
            return await asyncio.to_thread(self._file.identity)
        except sqlite3.Error as error:
            self._note_damage(error)
            raise unavailable("STORAGE_UNAVAILABLE", str(error)) from error

    async def write_identity(self, change: Callable[[Identity], Identity], message: Message | None = None) -> Identity:
        """Changes which spool it is, with a message for the journal; returns what it is after the commit.

        Raises:
            ServiceError: STORAGE_UNAVAILABLE.
        """
        if message is not None:
            await self.put(message)
        before = await self.read_identity()
        if not self._changing:
            # It is tried again and again until it is done, as everything that no request waits for.
            self._changing = True
            self._queue.put((lambda connection: self._file.change_identity(connection, change), 0))
        deadline = self._loop.time() + IDENTITY_S
        while (now := await self.read_identity()) is None or now == before:
            if self._loop.time() >= deadline:
                raise unavailable("STORAGE_UNAVAILABLE", self.problem or f"no commit in {IDENTITY_S:g} s")
            await asyncio.sleep(0.005)
        self._changing = False
        return now

    @property
    def backlog(self) -> int:
        """Messages not yet in the journal."""
        return self._backlog

    @property
    def pending_bytes(self) -> int:
        """Bytes of messages not yet in the journal."""
        return self._bytes

    @property
    def problem(self) -> str:
        """Why nothing can be stored now, empty where it can."""
        return self._no_room or (f"the last commit failed: {self._failure}" if self._failure else "")

    @property
    def _no_room(self) -> str:
        if self._bytes > self._bounds.max_bytes:
            return f"the spool is at its limit of {self._bounds.max_bytes} bytes"
        if not self._roomy:
            return f"less than {self._bounds.reserve_bytes} bytes are free on the spool's disk"
        return ""

    async def close(self) -> None:
        """Commits what is queued and closes."""
        self._queue.put(None)
        await asyncio.to_thread(self._writer.join)
        self._file.close()
        self._lock.release()

    # The writer's thread, from here on.

    def _run(self) -> None:
        going, busy = True, False
        while going:
            batch = _Batch()
            work = self._queue.get()
            if busy and work is not None:
                until = time.monotonic() + GATHER_S
                while self._queue.qsize() < ENOUGH and time.monotonic() < until:
                    time.sleep(STEP_S)  # The spool's own thread: the door goes on meanwhile.
            while True:
                going = going and work is not None
                if work is not None:
                    _add(batch, work)
                if work is None or len(batch.items) >= BATCH or self._queue.empty():
                    break
                work = self._queue.get()
            busy = len(batch.items) >= BUSY
            self._commit(batch)

    def _commit(self, batch: _Batch) -> None:
        problem = ""
        stored: list[Stored] = []
        messages: list[tuple[int, Message]] = []
        error = ""
        self.commits += bool(batch.items or batch.actions)
        try:
            self._measure()
            problem = self._no_room
            items = [] if problem else batch.items
            if items or batch.actions:
                self._prune(batch)
                stored, messages = self._file.write(items, batch.actions)
                self._bytes -= batch.freed
                self._succeeded(items, batch.actions)
        except Exception as failed:  # Whatever it is, those who wait hear of it, and the thread goes on.
            error = str(failed) or type(failed).__name__
            self._note_damage(failed)
            self._failed(error)
            # What the relay acknowledged stays on disk and would go out again: it is removed with the next commit.
            for action in batch.actions:
                self._queue.put((action, batch.freed))
                batch.freed = 0
            if batch.actions and not batch.items:
                time.sleep(RETRY_S)
        self._bytes += sum(len(m.payload) + ROW_BYTES for _, m in messages)
        self._loop.call_soon_threadsafe(self._answer, batch, stored, messages, problem or error)

    def _note_damage(self, error: Exception) -> None:
        if isinstance(error, sqlite3.DatabaseError) and is_damage(str(error)):
            self.damage = str(error)

    def _failed(self, error: str) -> None:
        """Has readiness tell of it, and a row written and removed again and again until that works.

        A service that is not ready is sent nothing: without this it would not notice that it can store again.
        """
        self._failure = error
        if not self._probing:
            self._probing = True
            self._queue.put((self._probe, 0))

    def _succeeded(self, items: list[Item], actions: list[Action]) -> None:
        probed = self._probe in actions
        if probed:
            self._probing = False
        # Removing what the relay published works on many a disk that is too full to store anything.
        if items or probed:
            self._failure = ""

    def _measure(self) -> None:
        now = time.monotonic()
        if self._bounds.reserve_bytes and now - self._measured >= SPACE_EVERY_S:
            self._measured = now
            found = os.statvfs(self._path.parent)
            self._roomy = found.f_bavail * found.f_frsize >= self._bounds.reserve_bytes

    def _prune(self, batch: _Batch) -> None:
        """Has claims that no longer count removed with this commit, a few at a time."""
        if time.monotonic() - self._pruned >= PRUNE_EVERY_S and batch.items:
            self._pruned = time.monotonic()
            keep = self._bounds.keep_claims_s * 1000
            batch.actions.append(lambda _: self._file.prune(time.time_ns() // 1_000_000, keep))

    # The event loop's thread again.

    def _answer(self, batch: _Batch, stored: list[Stored], messages: list[tuple[int, Message]], error: str) -> None:
        for number, done in enumerate(batch.waiting):
            if done.done():
                continue
            if error:
                done.set_exception(unavailable("STORAGE_UNAVAILABLE", error))
            else:
                done.set_result(stored[number])
        if error and self._loop.time() >= self._quiet_until:
            self._quiet_until = self._loop.time() + QUIET_S
            log.error("spool.refused", detail=error, requests=len(batch.waiting))
        if messages:
            self._backlog += len(messages)
            self.last_sequence = messages[-1][0]
            if len(self._recent) < RECENT and self._recent_bytes < RECENT_BYTES:
                self._recent.extend(messages)
                self._recent_bytes += sum(len(m.payload) for _, m in messages)
            self.added.set()


def _add(batch: _Batch, work: tuple[Item, "asyncio.Future[Stored]"] | tuple[Action, int]) -> None:
    first, second = work
    if isinstance(first, Item):
        assert not isinstance(second, int)  # noqa: S101 - an item comes with its future
        batch.items.append(first)
        batch.waiting.append(second)
    else:
        assert isinstance(second, int)  # noqa: S101 - an action comes with what it frees
        batch.actions.append(first)
        batch.freed += second
