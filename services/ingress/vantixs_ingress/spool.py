"""The spool: what makes a 2xx true. One SQLite file an instance; concurrent requests share one fsynced commit.

One transaction decides whether a signal is new, and stores it: duplicates cannot slip through between the two.
"""

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vantixs.runtime.errors import unavailable
from vantixs.runtime.journal import Message
from vantixs.runtime.lifecycle import StartupError

BATCH = 256
QUEUE = 4096
_SCHEMA = """
CREATE TABLE IF NOT EXISTS spool (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, message_id TEXT NOT NULL, subject TEXT NOT NULL, payload BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS keys (
    webhook_id TEXT NOT NULL, key TEXT NOT NULL, fingerprint BLOB NOT NULL, signal_id TEXT NOT NULL,
    PRIMARY KEY (webhook_id, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS bodies (
    webhook_id TEXT NOT NULL, fingerprint BLOB NOT NULL, signal_id TEXT NOT NULL, receive_ms INTEGER NOT NULL,
    PRIMARY KEY (webhook_id, fingerprint)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS webhooks (webhook_id TEXT PRIMARY KEY, revision INTEGER NOT NULL, data BLOB NOT NULL);
"""
_LONGEST_WINDOW_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Claim:
    """What makes a signal unique: its key, or its bytes within a window. The fingerprint is SHA-256 of the body."""

    webhook_id: str
    signal_id: str
    fingerprint: bytes
    key: str = ""
    window_ms: int = 0
    receive_ms: int = 0


@dataclass(frozen=True, slots=True)
class Stored:
    """What the spool made of it. `rule` is empty for a new signal, else which rule recognised the repeat."""

    signal_id: str
    rule: str = ""
    conflict: bool = False


@dataclass(slots=True)
class _Work:
    message: Message | None
    claim: Claim | None
    duplicate: Callable[[Stored], Message] | None
    done: "asyncio.Future[Stored] | None"
    action: Callable[[sqlite3.Connection], object] | None = None


class Spool:
    """Signals on disk that are not known to be in the journal."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._queue: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self.added = asyncio.Event()
        try:
            self._connection = _connect(path)
            self._connection.executescript(_SCHEMA)
            self._reader = _connect(path)
        except sqlite3.Error as error:
            raise StartupError(f"spool {path}: {error}") from None
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)
        self._thread.start()

    async def store(
        self, message: Message, claim: Claim | None = None, duplicate: Callable[[Stored], Message] | None = None
    ) -> Stored:
        """Stores a message, fsynced when this returns; or recognises a repeat and stores what `duplicate` makes of it.

        Raises:
            ServiceError: STORAGE_UNAVAILABLE; then nothing of it is stored.
        """
        if self._queue.qsize() >= QUEUE:
            raise unavailable("STORAGE_UNAVAILABLE", f"more than {QUEUE} requests wait for the disk")
        done: asyncio.Future[Stored] = self._loop.create_future()
        self._queue.put(_Work(message, claim, duplicate, done))
        return await done

    async def after(self, sequence: int, limit: int) -> list[tuple[int, Message]]:
        """Messages behind a sequence, oldest first."""
        return await asyncio.to_thread(self._read_after, sequence, limit)

    def forget(self, sequence: int) -> None:
        """Removes messages up to a sequence: they are in the journal."""
        self._act(lambda c: c.execute("DELETE FROM spool WHERE sequence <= ?", (sequence,)))

    def remember_webhook(self, webhook_id: str, revision: int, data: bytes | None) -> None:
        """Keeps a webhook, so that a restart without the broker knows its senders."""
        if data is None:
            self._act(lambda c: c.execute("DELETE FROM webhooks WHERE webhook_id = ?", (webhook_id,)))
        else:
            row = (webhook_id, revision, data)
            self._act(lambda c: c.execute("INSERT OR REPLACE INTO webhooks VALUES (?, ?, ?)", row))

    def webhooks(self) -> list[tuple[str, int, bytes]]:
        """Webhooks as last known."""
        return self._reader.execute("SELECT webhook_id, revision, data FROM webhooks").fetchall()

    def backlog(self) -> int:
        """Messages not yet in the journal."""
        return int(self._reader.execute("SELECT count(*) FROM spool").fetchone()[0])

    async def close(self) -> None:
        """Commits what is queued and closes."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        self._connection.close()
        self._reader.close()

    def _act(self, action: Callable[[sqlite3.Connection], object]) -> None:
        self._queue.put(_Work(None, None, None, None, action))

    def _read_after(self, sequence: int, limit: int) -> list[tuple[int, Message]]:
        query = "SELECT sequence, subject, payload, message_id FROM spool WHERE sequence > ? ORDER BY sequence LIMIT ?"
        return [(row[0], Message(*row[1:])) for row in self._reader.execute(query, (sequence, limit))]

    def _run(self) -> None:
        last = False
        while not last:
            batch: list[_Work] = []
            item = self._queue.get()
            while item is not None:
                batch.append(item)
                if len(batch) == BATCH or self._queue.empty():
                    break
                item = self._queue.get()
            last = item is None
            if batch:
                results, error = self._commit(batch)
                self._loop.call_soon_threadsafe(self._answer, batch, results, error)

    def _commit(self, batch: Sequence[_Work]) -> tuple[list[Stored], str]:
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            if any(work.message for work in batch) and self._bytes() > self._max_bytes:
                connection.execute("ROLLBACK")
                return self._commit_actions(batch), f"the spool is at its limit of {self._max_bytes} bytes"
            results = [self._apply(work) for work in batch]
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            return [], str(error)
        return results, ""

    def _commit_actions(self, batch: Sequence[_Work]) -> list[Stored]:
        """What frees space goes on when the spool is full."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute("BEGIN IMMEDIATE")
            for work in batch:
                if work.action:
                    work.action(self._connection)
            self._connection.execute("COMMIT")
        return []

    def _bytes(self) -> int:
        pages, free, size = (
            self._connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def _apply(self, work: _Work) -> Stored:
        if work.action:
            work.action(self._connection)
            return Stored("")
        assert work.message  # noqa: S101 - either an action or a message
        stored = self._claim(work.claim) if work.claim else Stored("")
        message = work.message if not stored.rule else work.duplicate(stored) if work.duplicate else None
        if message and not stored.conflict:
            self._connection.execute(
                "INSERT INTO spool (message_id, subject, payload) VALUES (?, ?, ?)",
                (message.message_id, message.subject, message.payload),
            )
        return stored

    def _claim(self, claim: Claim) -> Stored:
        execute = self._connection.execute
        if claim.key:
            row = (claim.webhook_id, claim.key, claim.fingerprint, claim.signal_id)
            if execute("INSERT OR IGNORE INTO keys VALUES (?, ?, ?, ?)", row).rowcount:
                return Stored(claim.signal_id)
            found = execute(
                "SELECT signal_id, fingerprint FROM keys WHERE webhook_id = ? AND key = ?", row[:2]
            ).fetchone()
            return Stored(found[0], "idempotency_key", conflict=found[1] != claim.fingerprint)
        if not claim.window_ms:
            return Stored(claim.signal_id)
        key = (claim.webhook_id, claim.fingerprint)
        found = execute(
            "SELECT signal_id, receive_ms FROM bodies WHERE webhook_id = ? AND fingerprint = ?", key
        ).fetchone()
        if found and abs(claim.receive_ms - found[1]) < claim.window_ms:
            return Stored(found[0], "same_bytes")
        execute("INSERT OR REPLACE INTO bodies VALUES (?, ?, ?, ?)", (*key, claim.signal_id, claim.receive_ms))
        if claim.receive_ms % 64 == 0:
            execute("DELETE FROM bodies WHERE receive_ms < ?", (claim.receive_ms - _LONGEST_WINDOW_MS,))
        return Stored(claim.signal_id)

    def _answer(self, batch: Sequence[_Work], results: list[Stored], error: str) -> None:
        for number, work in enumerate(batch):
            if work.done is None or work.done.done():
                continue
            if error:
                work.done.set_exception(unavailable("STORAGE_UNAVAILABLE", error))
            else:
                work.done.set_result(results[number])
        self.added.set()


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    return connection
