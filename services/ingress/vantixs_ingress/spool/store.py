"""The spool's SQLite file: its tables, and how a batch of work becomes one transaction.

The interpreter releases its lock for every row that SQLite reads, and gets it back late while the event loop is busy. So a
batch is a few statements with many rows each, and not many statements.
"""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from vantixs.runtime.continuity import NOTHING_SEEN, Mark
from vantixs.runtime.database_setup import check_file
from vantixs.runtime.journal import Message
from vantixs.runtime.lifecycle import StartupError
from vantixs.runtime.logs import log
from vantixs.runtime.store_identity import CREATE, DELETE, SELECT, Found, Identity, make_identity

from vantixs_ingress.spool.deduplication import (
    LONGEST_IN_MEMORY_MS,
    SCHEMA,
    DedupeTable,
    DedupeWindows,
    DeduplicationKey,
    Row,
    placeholders,
)

VERSION = 3
_SCHEMA = """
CREATE TABLE IF NOT EXISTS spool (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, message_id TEXT NOT NULL, subject TEXT NOT NULL, payload BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS webhooks (webhook_id TEXT PRIMARY KEY, revision INTEGER NOT NULL, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS journal_mark (
    id INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, stream_id TEXT NOT NULL, stream_sequence INTEGER NOT NULL);
"""
# The spool of the first version kept keys and bodies in tables of their own.
_FROM_FIRST = """
INSERT OR IGNORE INTO claims (claim, fingerprint, signal_id, receive_ms, repeats)
    SELECT CAST(signal_id AS BLOB), fingerprint, signal_id, CAST(strftime('%s') AS INTEGER) * 1000, 0 FROM keys;
DROP TABLE keys;
DROP TABLE bodies;
"""
# Version 1 has two formats. The first kept short windows in `claims`; their numbers are lower than those in `windows`.
_SET_ASIDE = "ALTER TABLE claims RENAME TO old_claims;"
_FROM_WINDOWED = f"""
INSERT INTO claims (number, claim, fingerprint, signal_id, receive_ms, repeats)
    SELECT number, claim, fingerprint, signal_id, receive_ms, repeats FROM old_claims
    WHERE window_ms = 0 OR window_ms > {LONGEST_IN_MEMORY_MS};
INSERT INTO windows (number, claim, fingerprint, signal_id, receive_ms, window_ms)
    SELECT number - (SELECT max(number) FROM old_claims), claim, fingerprint, signal_id, receive_ms, window_ms FROM old_claims
    WHERE window_ms BETWEEN 1 AND {LONGEST_IN_MEMORY_MS};
DROP TABLE old_claims;
"""  # noqa: S608 - a number of ours
_INSERT_MESSAGES = "INSERT INTO spool (sequence, message_id, subject, payload) VALUES "
RECORDED_REPEATS = 20
ROW_BYTES = 200  # Rough size of a row without its payload.


class Stored(NamedTuple):
    """The result for an item. `rule` is empty for a new signal, otherwise it is the rule that recognised the repeat."""

    sequence: int
    signal_id: str = ""
    rule: str = ""
    conflict: bool = False
    repeat: int = 0

    @property
    def recorded(self) -> bool:
        """Whether this repeat is recorded: the first 20 are, then those whose number is a power of two.

        So a sender in a loop does not fill the record.
        """
        return self.repeat <= RECORDED_REPEATS or self.repeat & (self.repeat - 1) == 0


@dataclass(slots=True)
class Item:
    """A message to store, the keys that make it unique, and the message to store in its place if it is a repeat."""

    message: Message
    key: DeduplicationKey | None = None
    duplicate: Callable[[Stored], Message] | None = None


Action = Callable[[sqlite3.Connection], object]


class SpoolFile:
    """The file, with one connection that writes and one that reads. A file of an earlier version is migrated.

    Raises:
        sqlite3.Error: nothing of a failed batch is stored.
        StartupError: the file is of a later version than this program knows.
    """

    def __init__(self, path: Path) -> None:
        self.connection = _connect(path)
        self._reader = _connect(path)
        check_file(self.connection.execute)
        fresh = _migrate(self.connection, path)
        self.found = _identify(self.connection, fresh=fresh)
        found = self.connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'spool'").fetchone()
        self.sequence = int(found[0]) if found else 0
        self._table = DedupeTable(self.connection)
        self._windows = DedupeWindows(self.connection)

    def pending(self) -> tuple[int, int]:
        """The number and the total bytes of the messages in the file."""
        row = self._reader.execute("SELECT count(*), coalesce(sum(length(payload)), 0) FROM spool").fetchone()
        return int(row[0]), int(row[1]) + int(row[0]) * ROW_BYTES

    def after(self, sequence: int, limit: int) -> list[tuple[int, Message]]:
        """Messages behind a sequence, oldest first."""
        query = "SELECT sequence, subject, payload, message_id FROM spool WHERE sequence > ? ORDER BY sequence LIMIT ?"
        return [(row[0], Message(*row[1:])) for row in self._reader.execute(query, (sequence, limit))]

    def webhooks(self) -> list[tuple[str, int, bytes]]:
        """The webhooks as they were known last."""
        return self._reader.execute("SELECT webhook_id, revision, data FROM webhooks").fetchall()

    def mark(self) -> Mark:
        """How far the journal was seen when messages were last removed."""
        row = self._reader.execute("SELECT epoch, stream_id, stream_sequence FROM journal_mark").fetchone()
        return Mark(*row) if row else NOTHING_SEEN

    def write(self, items: Sequence[Item], actions: Sequence[Action]) -> tuple[list[Stored], list[tuple[int, Message]]]:
        """Stores a batch in one fsynced transaction; returns each item's result, and the stored messages by number."""
        execute = self.connection.execute
        execute("BEGIN IMMEDIATE")
        try:
            for action in actions:
                action(self.connection)
            verdict = self._decide(items)
            messages = verdict.messages
            if messages:
                rows = [v for sequence, m in messages for v in (sequence, m.message_id, m.subject, m.payload)]
                execute(_INSERT_MESSAGES + placeholders(len(messages), 4), rows)
            execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                execute("ROLLBACK")
            raise
        self.sequence += len(messages)
        self._windows.hold(verdict.windows.values(), verdict.repeats)
        return verdict.stored, messages

    def probe(self, connection: sqlite3.Connection) -> None:
        """Stores and removes a message within a batch's transaction, to find out whether storing works."""
        # Not the next number: SQLite would go on behind it after a restart, and the sequences would have a gap.
        connection.execute("INSERT INTO spool VALUES (0, 'probe', '', x'00')")
        connection.execute("DELETE FROM spool WHERE sequence = 0")

    def identity(self) -> Identity | None:
        """The identity of the spool in the file."""
        row = self._reader.execute(SELECT).fetchone()
        return Identity(*row) if row else None

    def change_identity(self, connection: sqlite3.Connection, change: Callable[[Identity], Identity]) -> Identity:
        """Changes the spool's identity, within a batch's transaction."""
        row = connection.execute(SELECT).fetchone()
        identity = change(Identity(*row) if row else self.found.identity)
        connection.execute(DELETE)
        connection.execute(identity.insert)
        return identity

    def prune(self, now_ms: int, keep_ms: int) -> None:
        """Removes some of the oldest expired keys and windows, within a batch's transaction.

        Explicit keys are kept for `keep_ms` here, and for ever in the router.
        """
        self._windows.prune(now_ms)
        self._table.prune(now_ms - keep_ms)

    def close(self) -> None:
        """Closes the file."""
        self.connection.close()
        self._reader.close()

    def _decide(self, items: Sequence[Item]) -> "_Verdict":
        """Decides for each item, in order, whether it is new, and stores the keys of the new ones."""
        verdict = _Verdict()
        known = self._table.read(i.key for i in items if i.key and not self._windows.alone(i.key))
        for item in items:
            key = item.key
            if key is None:
                verdict.add(Stored(self._next(verdict)), item.message)
                continue
            # One whose window is over, in the table, must not hide a newer one in memory.
            held = (known.get(key.value), self._windows.get(key))
            row = next((r for r in held if r is not None and key.repeats(r)), None)
            if row is None:
                known[key.value] = Row(key.fingerprint, key.signal_id, key.receive_ms, 0)
                (verdict.windows if self._windows.takes(key) else verdict.keys)[key.value] = key
                verdict.repeats.pop(key.value, None)
                verdict.add(Stored(self._next(verdict), key.signal_id), item.message)
                continue
            known[key.value] = row = row._replace(repeats=row.repeats + 1)
            verdict.repeats[key.value] = row.repeats
            rule = "same_bytes" if key.window_ms else "idempotency_key"
            conflict = row.fingerprint != key.fingerprint
            stored = Stored(self._next(verdict), row.signal_id, rule, conflict, row.repeats)
            recorded = item.duplicate is not None and not conflict and stored.recorded
            verdict.add(stored, item.duplicate(stored) if recorded and item.duplicate else None)
        self._table.write(verdict.keys.values(), verdict.repeats)
        self._windows.write(list(verdict.windows.values()))
        return verdict

    def _next(self, verdict: "_Verdict") -> int:
        return self.sequence + len(verdict.messages) + 1


class _Verdict:
    """The result of a batch."""

    def __init__(self) -> None:
        self.stored: list[Stored] = []
        self.messages: list[tuple[int, Message]] = []
        self.keys: dict[bytes, DeduplicationKey] = {}
        self.windows: dict[bytes, DeduplicationKey] = {}
        self.repeats: dict[bytes, int] = {}

    def add(self, stored: Stored, message: Message | None) -> None:
        """Adds an item's outcome, and the message that is stored for it."""
        self.stored.append(stored)
        if message is not None:
            self.messages.append((stored.sequence, message))


def _identify(connection: sqlite3.Connection, *, fresh: bool) -> Found:
    """The spool's identity. A spool without an identity gets one."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(CREATE)
    row = connection.execute(SELECT).fetchone()
    found = Found(Identity(*row)) if row else Found(make_identity(), new=fresh, adopted=not fresh)
    if not row:
        connection.execute(found.identity.insert)
    connection.execute("COMMIT")
    return found


def _migrate(connection: sqlite3.Connection, path: Path) -> bool:
    """Creates the tables, or migrates those of an earlier version, in one transaction. Returns whether it created them."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > VERSION:
        raise StartupError(f"spool {path}: expected version {VERSION} or older, was {version}")
    if version == VERSION:
        return False
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    columns = {row[1] for row in connection.execute("PRAGMA table_info(claims)")}
    steps = ["BEGIN IMMEDIATE;", _SCHEMA, SCHEMA, f"PRAGMA user_version={VERSION};", "COMMIT;"]
    if "window_ms" in columns:
        steps[1:3] = [_SET_ASIDE, _SCHEMA, SCHEMA, _FROM_WINDOWED]
    if "keys" in tables:
        steps.insert(-2, _FROM_FIRST)
    connection.executescript("".join(steps))
    if "spool" in tables:
        log.info("spool.migrated", from_version=version, to_version=VERSION)
    return "spool" not in tables


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5, cached_statements=512)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    # The write-ahead log stays small, so that the reserve on the disk covers it.
    connection.execute("PRAGMA wal_autocheckpoint=1000")
    connection.execute("PRAGMA journal_size_limit=8388608")
    return connection
