"""The spool's SQLite file: what is in it, and how a batch of work becomes one transaction.

The interpreter gives its lock away with every row that SQLite steps over, and gets it back late while the event loop is
busy. So a batch is a handful of statements with many rows each, not many statements.
"""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from vantixs.runtime.journal import Message

VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS spool (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, message_id TEXT NOT NULL, subject TEXT NOT NULL, payload BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS claims (
    number INTEGER PRIMARY KEY, claim BLOB NOT NULL UNIQUE, fingerprint BLOB NOT NULL, signal_id TEXT NOT NULL,
    receive_ms INTEGER NOT NULL, window_ms INTEGER NOT NULL, repeats INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS claims_windowed ON claims (number) WHERE window_ms > 0;
CREATE TABLE IF NOT EXISTS webhooks (webhook_id TEXT PRIMARY KEY, revision INTEGER NOT NULL, data BLOB NOT NULL);
"""
# The spool of the first version kept keys and bodies in tables of their own.
_FROM_FIRST = """
INSERT OR IGNORE INTO claims (claim, fingerprint, signal_id, receive_ms, window_ms, repeats)
    SELECT CAST(signal_id AS BLOB), fingerprint, signal_id, CAST(strftime('%s') AS INTEGER) * 1000, 0, 0 FROM keys;
DROP TABLE keys;
DROP TABLE bodies;
"""
LONGEST_WINDOW_MS = 86_400_000
RECORDED_REPEATS = 20
_INSERT_MESSAGES = "INSERT INTO spool (sequence, message_id, subject, payload) VALUES "
_INSERT_CLAIMS = "INSERT OR REPLACE INTO claims (claim, fingerprint, signal_id, receive_ms, window_ms, repeats) VALUES "
# Both look at the oldest few only, by number: a claim that is renewed moves to the end.
_PRUNE = "DELETE FROM claims WHERE number IN (SELECT number FROM claims ORDER BY number LIMIT 500) AND receive_ms < ?"
_PRUNE_WINDOWED = _PRUNE.replace("ORDER BY", "WHERE window_ms > 0 ORDER BY")
ROW_BYTES = 200  # What a row costs beside its payload, roughly.


class Claim(NamedTuple):
    """What makes a signal unique, for ever (`window_ms` 0) or for a while. The fingerprint is SHA-256 of the body."""

    claim: bytes
    signal_id: str
    fingerprint: bytes
    receive_ms: int
    window_ms: int = 0


class Stored(NamedTuple):
    """What the spool made of it. `rule` is empty for a new signal, else which rule recognised the repeat."""

    sequence: int
    signal_id: str = ""
    rule: str = ""
    conflict: bool = False
    repeat: int = 0

    @property
    def recorded(self) -> bool:
        """Whether this repeat goes into the record: the first 20, then ever fewer, so that a stuck sender fills nothing."""
        return self.repeat <= RECORDED_REPEATS or self.repeat & (self.repeat - 1) == 0


@dataclass(slots=True)
class Item:
    """One message to store, with what makes it unique and what to store in its place where it is a repeat."""

    message: Message
    claim: Claim | None = None
    duplicate: Callable[[Stored], Message] | None = None


Action = Callable[[sqlite3.Connection], object]
_Row = tuple[bytes, str, int, int, int]  # fingerprint, signal id, receive_ms, window_ms, repeats


class SpoolFile:
    """One connection that writes, one that reads. Raises sqlite3.Error; nothing of a failed batch is stored."""

    def __init__(self, path: Path) -> None:
        self.connection = _connect(path)
        self._reader = _connect(path)
        self.connection.executescript(_SCHEMA)
        if self.connection.execute("PRAGMA user_version").fetchone()[0] < VERSION:
            old = "SELECT count(*) FROM sqlite_master WHERE name IN ('keys', 'bodies')"
            if self.connection.execute(old).fetchone()[0] == 2:
                self.connection.executescript(f"BEGIN; {_FROM_FIRST} COMMIT;")
            self.connection.execute(f"PRAGMA user_version={VERSION}")
        found = self.connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'spool'").fetchone()
        self.sequence = int(found[0]) if found else 0

    def pending(self) -> tuple[int, int]:
        """Number and bytes of the messages in it."""
        row = self._reader.execute("SELECT count(*), coalesce(sum(length(payload)), 0) FROM spool").fetchone()
        return int(row[0]), int(row[1]) + int(row[0]) * ROW_BYTES

    def after(self, sequence: int, limit: int) -> list[tuple[int, Message]]:
        """Messages behind a sequence, oldest first."""
        query = "SELECT sequence, subject, payload, message_id FROM spool WHERE sequence > ? ORDER BY sequence LIMIT ?"
        return [(row[0], Message(*row[1:])) for row in self._reader.execute(query, (sequence, limit))]

    def webhooks(self) -> list[tuple[str, int, bytes]]:
        """Webhooks as last known."""
        return self._reader.execute("SELECT webhook_id, revision, data FROM webhooks").fetchall()

    def write(self, items: Sequence[Item], actions: Sequence[Action]) -> tuple[list[Stored], list[tuple[int, Message]]]:
        """Stores a batch in one fsynced transaction; returns what became of each, and what was stored under which number."""
        execute = self.connection.execute
        execute("BEGIN IMMEDIATE")
        try:
            for action in actions:
                action(self.connection)
            stored, messages = self._decide(items)
            if messages:
                rows = [v for sequence, m in messages for v in (sequence, m.message_id, m.subject, m.payload)]
                execute(_INSERT_MESSAGES + _placeholders(len(messages), 4), rows)
            execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                execute("ROLLBACK")
            raise
        self.sequence += len(messages)
        return stored, messages

    def prune(self, now_ms: int, keep_ms: int) -> int:
        """Removes some of the oldest claims that no longer count, within the caller's transaction; returns how many.

        Explicit keys count for `keep_ms` here, and for ever in the router.
        """
        execute = self.connection.execute
        removed = execute(_PRUNE_WINDOWED, (now_ms - LONGEST_WINDOW_MS,)).rowcount
        return removed + execute(_PRUNE, (now_ms - max(keep_ms, LONGEST_WINDOW_MS),)).rowcount

    def close(self) -> None:
        """Closes the file."""
        self.connection.close()
        self._reader.close()

    def _decide(self, items: Sequence[Item]) -> tuple[list[Stored], list[tuple[int, Message]]]:
        """Says of each item whether it is new, in the order they came; what is new is claimed."""
        known = self._read_claims(items)
        fresh: dict[bytes, Claim] = {}
        counted: dict[bytes, int] = {}
        stored: list[Stored] = []
        messages: list[tuple[int, Message]] = []
        for item in items:
            sequence = self.sequence + len(messages) + 1
            claim = item.claim
            row = known.get(claim.claim) if claim else None
            if claim is None or row is None or not _counts(row, claim):
                if claim:
                    known[claim.claim] = (claim.fingerprint, claim.signal_id, claim.receive_ms, claim.window_ms, 0)
                    fresh[claim.claim] = claim
                    counted.pop(claim.claim, None)
                stored.append(Stored(sequence, claim.signal_id if claim else ""))
                messages.append((sequence, item.message))
                continue
            repeat = row[4] + 1
            known[claim.claim] = (*row[:4], repeat)
            counted[claim.claim] = repeat
            rule = "same_bytes" if claim.window_ms else "idempotency_key"
            outcome = Stored(sequence, row[1], rule, row[0] != claim.fingerprint, repeat)
            stored.append(outcome)
            if item.duplicate and not outcome.conflict and outcome.recorded:
                messages.append((sequence, item.duplicate(outcome)))
        self._write_claims(fresh, counted)
        return stored, messages

    def _read_claims(self, items: Sequence[Item]) -> dict[bytes, _Row]:
        claims = list({item.claim.claim for item in items if item.claim})
        if not claims:
            return {}
        query = "SELECT claim, fingerprint, signal_id, receive_ms, window_ms, repeats FROM claims WHERE claim IN "
        rows = self.connection.execute(query + _placeholders(1, len(claims)), claims)
        return {row[0]: row[1:] for row in rows}

    def _write_claims(self, fresh: dict[bytes, Claim], counted: dict[bytes, int]) -> None:
        if fresh:
            # A claim whose window is over is replaced, and moves to the end: prune looks at the oldest only.
            rows = [
                v
                for c in fresh.values()
                for v in (c.claim, c.fingerprint, c.signal_id, c.receive_ms, c.window_ms, counted.get(c.claim, 0))
            ]
            self.connection.execute(_INSERT_CLAIMS + _placeholders(len(fresh), 6), rows)
        for claim, repeats in counted.items():
            if claim not in fresh:
                self.connection.execute("UPDATE claims SET repeats = ? WHERE claim = ?", (repeats, claim))


def _counts(row: _Row, claim: Claim) -> bool:
    """Whether a stored claim makes this one a repeat. The window is the webhook's of now, not the one of then."""
    return not claim.window_ms or abs(claim.receive_ms - row[2]) < claim.window_ms


def _placeholders(rows: int, columns: int) -> str:
    row = f"({','.join('?' * columns)})"
    return ",".join([row] * rows)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5, cached_statements=512)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    # The log beside the file stays small, so that the reserve on the disk covers it.
    connection.execute("PRAGMA wal_autocheckpoint=1000")
    connection.execute("PRAGMA journal_size_limit=8388608")
    return connection
