"""What makes a signal unique: its explicit key, or its bytes within the webhook's window.

Explicit keys are looked up in a table. Windows are short and many, so they are looked up in memory and only appended on
disk, to be read again after a restart: a table with an index would cost more than the signal itself.
"""

import heapq
import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

SCHEMA = """
CREATE TABLE IF NOT EXISTS claims (
    number INTEGER PRIMARY KEY, claim BLOB NOT NULL UNIQUE, fingerprint BLOB NOT NULL, signal_id TEXT NOT NULL,
    receive_ms INTEGER NOT NULL, repeats INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS windows (
    number INTEGER PRIMARY KEY, claim BLOB NOT NULL, fingerprint BLOB NOT NULL, signal_id TEXT NOT NULL,
    receive_ms INTEGER NOT NULL, window_ms INTEGER NOT NULL);
"""
LONGEST_IN_MEMORY_MS = 60_000
MOST_IN_MEMORY = 100_000
MOST_PRUNED = 500
_SELECT_CLAIMS = "SELECT claim, fingerprint, signal_id, receive_ms, repeats FROM claims WHERE claim IN "
_INSERT_CLAIMS = "INSERT OR REPLACE INTO claims (claim, fingerprint, signal_id, receive_ms, repeats) VALUES "
_INSERT_WINDOWS = "INSERT INTO windows (number, claim, fingerprint, signal_id, receive_ms, window_ms) VALUES "
_DELETE_WINDOWS = "DELETE FROM windows WHERE number IN "
# Of the newest rows by number, not only the last one: the clock may have been set back between them.
_NEWEST_CLAIM = "SELECT max(receive_ms) FROM (SELECT receive_ms FROM claims ORDER BY number DESC LIMIT 1000)"
# The oldest rows by number, which follows time.
_PRUNE_CLAIMS = (
    f"DELETE FROM claims WHERE number IN (SELECT number FROM claims ORDER BY number LIMIT {MOST_PRUNED}) "  # noqa: S608
    "AND receive_ms < ?"
)


class DeduplicationKey(NamedTuple):
    """What makes a signal unique, for ever (`window_ms` 0) or for a while. The fingerprint is SHA-256 of the body."""

    value: bytes
    signal_id: str
    fingerprint: bytes
    receive_ms: int
    window_ms: int = 0

    def repeats(self, row: "Row") -> bool:
        """Whether the row that is held makes this a repeat. The window is the one the webhook has now."""
        return not self.window_ms or abs(self.receive_ms - row.receive_ms) < self.window_ms


class Row(NamedTuple):
    """A key that is held: by which signal, since when, and how often it was repeated."""

    fingerprint: bytes
    signal_id: str
    receive_ms: int
    repeats: int


def placeholders(rows: int, columns: int) -> str:
    """SQL placeholders for the values of that many rows, for example "(?,?),(?,?)"."""
    row = f"({','.join('?' * columns)})"
    return ",".join([row] * rows)


class DedupeTable:
    """Keys on disk with an index: explicit keys, and windows that are long or too many for memory."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def read(self, keys: Iterable[DeduplicationKey]) -> dict[bytes, Row]:
        """The rows of those keys that are held."""
        wanted = list({k.value for k in keys})
        if not wanted:
            return {}
        rows = self._connection.execute(_SELECT_CLAIMS + placeholders(1, len(wanted)), wanted)
        return {row[0]: Row(*row[1:]) for row in rows}

    def write(self, fresh: Iterable[DeduplicationKey], repeats: dict[bytes, int]) -> None:
        """Stores new ones, and how often known ones were repeated."""
        rows = [v for c in fresh for v in (c.value, c.fingerprint, c.signal_id, c.receive_ms, 0)]
        if rows:
            self._connection.execute(_INSERT_CLAIMS + placeholders(len(rows) // 5, 5), rows)
        for value, repeat in repeats.items():
            self._connection.execute("UPDATE claims SET repeats = ? WHERE claim = ?", (repeat, value))

    def prune(self, before_ms: int) -> None:
        """Removes some of the oldest rows received before a time."""
        self._connection.execute(_PRUNE_CLAIMS, (before_ms,))


class DedupeWindows:
    """Short windows, in memory, appended on disk as well and read from there at start."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._held: dict[bytes, tuple[Row, int]] = {}  # With its number on disk.
        self._ends: list[tuple[int, int, bytes]] = []  # A heap: end_ms, number, key.
        self._number = 0
        # The process before may have stored windows in the table.
        newest = connection.execute(_NEWEST_CLAIM).fetchone()[0]
        self._spilled_until_ms = 0 if newest is None else newest + LONGEST_IN_MEMORY_MS
        query = "SELECT number, claim, fingerprint, signal_id, receive_ms, window_ms FROM windows ORDER BY number"
        for number, value, fingerprint, signal_id, receive_ms, window_ms in connection.execute(query):
            self._number = number
            self._held[value] = (Row(fingerprint, signal_id, receive_ms, 0), number)
            heapq.heappush(self._ends, (receive_ms + window_ms, number, value))

    def takes(self, key: DeduplicationKey) -> bool:
        """Whether the key is kept here, and not in the table."""
        if not key.window_ms:
            return False
        if key.window_ms > LONGEST_IN_MEMORY_MS or len(self._ends) >= MOST_IN_MEMORY:
            # Never earlier than before: the clock may have been set back. A long window counts as well, for the webhook's
            # window may be shortened while it lasts.
            self._spilled_until_ms = max(self._spilled_until_ms, key.receive_ms + LONGEST_IN_MEMORY_MS)
            return False
        return True

    def alone(self, key: DeduplicationKey) -> bool:
        """Whether the table cannot hold the key, so that it need not be queried."""
        return 0 < key.window_ms <= LONGEST_IN_MEMORY_MS and key.receive_ms >= self._spilled_until_ms

    def get(self, key: DeduplicationKey) -> Row | None:
        """The row that holds the key; its window may be over."""
        held = self._held.get(key.value)
        return held[0] if held else None

    def write(self, fresh: Sequence[DeduplicationKey]) -> None:
        """Appends new ones on disk, within the caller's transaction."""
        rows = [
            value
            for number, c in enumerate(fresh, self._number + 1)
            for value in (number, c.value, c.fingerprint, c.signal_id, c.receive_ms, c.window_ms)
        ]
        if rows:
            self._connection.execute(_INSERT_WINDOWS + placeholders(len(fresh), 6), rows)

    def hold(self, fresh: Iterable[DeduplicationKey], repeats: dict[bytes, int]) -> None:
        """Holds what was committed, and counts repeats in memory only: a lost count does no harm."""
        for c in fresh:
            self._number += 1
            self._held[c.value] = (Row(c.fingerprint, c.signal_id, c.receive_ms, 0), self._number)
            heapq.heappush(self._ends, (c.receive_ms + c.window_ms, self._number, c.value))
        for value, repeat in repeats.items():
            if value in self._held:
                row, number = self._held[value]
                self._held[value] = (row._replace(repeats=repeat), number)

    def prune(self, now_ms: int) -> None:
        """Forgets some whose window is over, within the caller's transaction."""
        over: list[int] = []
        while self._ends and self._ends[0][0] <= now_ms and len(over) < MOST_PRUNED:
            _, number, value = heapq.heappop(self._ends)
            over.append(number)
            held = self._held.get(value)
            if held and held[1] == number:  # Otherwise the key was held again later, with another end.
                del self._held[value]
        if over:
            self._connection.execute(_DELETE_WINDOWS + placeholders(1, len(over)), over)
