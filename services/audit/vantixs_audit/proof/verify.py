"""Walks the whole history and finds the first thing that is not as it was recorded.

What is checked of each entry: that it is there, its leaf hash and the chain from its bytes, the columns beside them, every
signed checkpoint on the way, the stored nodes of the tree, and the row of its signal, which is made again from its entries.
At the end: where history says that it ends, and checkpoints of a longer one.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from google.protobuf.message import DecodeError
from vantixs.api.journal.v1 import journal_pb2
from vantixs.proof.note import Checkpoint, Key, NoteError, open_checkpoint
from vantixs.proof.tree import Tree, leaf_hash
from vantixs.runtime.database import Database

from vantixs_audit import store
from vantixs_audit.domain.status import GENESIS, View, chain, fold
from vantixs_audit.proof.findings import (
    ALTERED,
    CHECKPOINT,
    COLUMN,
    INSERTED,
    MISSING,
    ROLLED_BACK,
    TREE,
    TRUNCATED,
    VIEW,
    Fault,
    at,
    broken_chain,
)
from vantixs_audit.tables import CHECKPOINTS, ENTRIES, SIGNAL_WORDS, SIGNALS, TREE_NODES, TREE_START
from vantixs_audit.views import row_of, seen_of, word_rows

PAGE, CONTEXT = 500, 64


class Step(NamedTuple):
    """How far it is. `done` with the fault, or with None where everything is as it was recorded."""

    checked: int
    total: int
    done: bool
    fault: Fault | None
    leaves: bytes


async def verify_history(database: Database, key: Key, against: Mapping[str, Checkpoint]) -> AsyncIterator[Step]:
    """Walks history page by page, each of a snapshot of its own; what is recorded meanwhile is walked as well.

    `against` are checkpoints from outside the database, by where they are from.

    Raises:
        ServiceError: the database cannot be read.
    """
    walk = Walk(key, against)
    while True:
        step = await database.read(walk.take_page)
        yield step
        if step.done:
            return
        await asyncio.sleep(0)


class Walk:
    """A walk through history: what was seen so far, and the next page."""

    def __init__(self, key: Key, against: Mapping[str, Checkpoint]) -> None:
        self._key = key
        self._against = dict(against)
        self._tree = Tree()
        self._hashes = deque([GENESIS], maxlen=CONTEXT)
        self._signals = 0
        self._held = 0  # The largest checkpoint that was found to hold.
        self._leaves = bytearray()
        # A row may be wrong because entries after it are gone: those are what is told, where there are any.
        self._wrong_row: Fault | None = None

    def take_page(self, connection: sa.Connection) -> Step:
        """Looks at the next entries, and at the end of history where there are none."""
        head = store.read_head(connection)
        self._leaves = bytearray()
        query = sa.select(ENTRIES).where(ENTRIES.c.sequence > self._tree.size).order_by(ENTRIES.c.sequence)
        rows = connection.execute(query.limit(PAGE + CONTEXT)).all()
        fault = self._page(connection, head, rows)
        done = fault is not None
        if not done and len(rows) <= PAGE:
            fault, done = self._end(connection, head), True
        return Step(self._tree.size, head.sequence, done, fault, bytes(self._leaves))

    def _page(self, connection: sa.Connection, head: store.Head, rows: "list[Any] | Any") -> Fault | None:
        if not rows:
            return None
        begun = connection.execute(sa.select(TREE_START.c.sequence)).scalar() or 0
        page = rows[:PAGE]
        checkpoints = self._checkpoints(connection, self._tree.size, page[-1].sequence)
        first = self._tree.size + 1
        entries = []
        for number, row in enumerate(page):
            if row.sequence > head.sequence:
                if self._tree.size < head.sequence:
                    break
                return at(INSERTED, row.sequence, f"entry {row.sequence} is after the end of history, {head.sequence}")
            if row.sequence != self._tree.size + 1:
                missing, last = self._tree.size + 1, row.sequence - 1
                return Fault(MISSING, missing, last, f"entries {missing} to {last} are not there")
            fault = self._entry(connection, head, rows[number:], begun)
            if fault:
                return fault
            entry = _decode(row)
            if fault := _columns(row, entry):
                return fault
            entries.append(entry)
            for name, checkpoint in checkpoints.get(row.sequence, ()):
                if fault := self._hold(name, checkpoint):
                    # The checkpoint says that something before it is wrong; the chain may say what.
                    following = rows[number + 1 :]
                    return (self._entry(connection, head, following, begun) if following else None) or fault
        if self._wrong_row is None:
            self._wrong_row = self._views(connection, first, page[: len(entries)])
        return self._nodes(connection)

    def _entry(self, connection: sa.Connection, head: store.Head, rows: Any, begun: int) -> Fault | None:
        row = rows[0]
        leaf, chained = leaf_hash(row.data), chain(self._hashes[-1], row.data)
        leaf_holds = row.leaf_hash == leaf or (row.leaf_hash is None and row.sequence <= begun)
        if row.hash != chained:
            last = connection.execute(sa.select(sa.func.max(ENTRIES.c.sequence))).scalar() or 0
            fault = broken_chain(self._hashes, rows, leaf_holds=leaf_holds, all_there=last >= head.sequence)
            return fault
        if not leaf_holds:
            return at(COLUMN, row.sequence, f"the leaf hash of entry {row.sequence} does not follow from its bytes")
        self._hashes.append(chained)
        self._tree.append(leaf)
        self._leaves += leaf
        return None

    def _checkpoints(
        self, connection: sa.Connection, after: int, until: int
    ) -> dict[int, list[tuple[str, Checkpoint | str]]]:
        """Those of a range of sizes, by size; in place of one that is not signed, why."""
        found: dict[int, list[tuple[str, Checkpoint | str]]] = {}
        query = sa.select(CHECKPOINTS).where(CHECKPOINTS.c.size > after, CHECKPOINTS.c.size <= until)
        for row in connection.execute(query.order_by(CHECKPOINTS.c.size)):
            found.setdefault(row.size, []).append(("", self._open(row)))
        for name, checkpoint in self._against.items():
            if after < checkpoint.size <= until:
                found.setdefault(checkpoint.size, []).append((name, checkpoint))
        return found

    def _open(self, row: Any) -> Checkpoint | str:
        try:
            checkpoint = open_checkpoint(row.note, self._key)
        except NoteError as error:
            return str(error)
        return checkpoint if checkpoint.size == row.size else f"it is of {checkpoint.size} entries"

    def _hold(self, name: str, checkpoint: Checkpoint | str) -> Fault | None:
        size = self._tree.size
        if isinstance(checkpoint, str):
            return at(CHECKPOINT, size, f"the stored checkpoint at {size}: {checkpoint}")
        if checkpoint.root != self._tree.root:
            kind = ROLLED_BACK if name else ALTERED
            first = self._held + 1
            of = f"the {name}" if name else "the stored checkpoint"
            detail = f"entries {first} to {size} are not those that {of} at {size} was signed over"
            return Fault(kind, first, size, detail)
        self._held = size
        return None

    def _nodes(self, connection: sa.Connection) -> Fault | None:
        made, self._tree.made = self._tree.made, []
        for node in made:
            query = sa.select(TREE_NODES.c.hash).where(
                TREE_NODES.c.level == node.level, TREE_NODES.c.position == node.position
            )
            if connection.execute(query).scalar() != node.hash:
                last = (node.position + 1) << node.level
                detail = f"the stored hash over the {1 << node.level} entries up to {last} does not follow from them"
                return at(TREE, last, detail)
        return None

    def _views(self, connection: sa.Connection, first: int, page: Any) -> Fault | None:
        """Makes the rows of those signals again whose first entry is in the page."""
        ids = list(dict.fromkeys(row.signal_id for row in page if row.signal_id))
        if not ids:
            return None
        # A signal's entries may be many and in many pages: they are read once.
        begins_at = sa.select(ENTRIES.c.signal_id, sa.func.min(ENTRIES.c.sequence)).group_by(ENTRIES.c.signal_id)
        known = connection.execute(begins_at.where(ENTRIES.c.signal_id.in_(ids)))
        begun_before = {signal_id for signal_id, sequence in known if sequence < first}
        ids = [signal_id for signal_id in ids if signal_id not in begun_before]
        by_signal: dict[str, list[Any]] = {signal_id: [] for signal_id in ids}
        query = sa.select(ENTRIES.c.sequence, ENTRIES.c.signal_id, ENTRIES.c.data).order_by(ENTRIES.c.sequence)
        for entry in connection.execute(query.where(ENTRIES.c.signal_id.in_(ids))):
            by_signal[entry.signal_id].append(entry)
        rows = {
            row.signal_id: row for row in connection.execute(sa.select(SIGNALS).where(SIGNALS.c.signal_id.in_(ids)))
        }
        stored: dict[int, set[str]] = {}
        numbers = [row.number for row in rows.values()]
        for word in connection.execute(sa.select(SIGNAL_WORDS).where(SIGNAL_WORDS.c.number.in_(numbers))):
            stored.setdefault(word.number, set()).add(word.word)
        for signal_id, entries in by_signal.items():
            begins = entries[0].sequence
            self._signals += 1
            if signal_id not in rows:
                return at(VIEW, begins, f"signal {signal_id} has entries and no row", signal_id)
            view = View()
            for entry in entries:
                view = fold(view, seen_of(_decode(entry)))
            expected = row_of(signal_id, self._signals, entries[-1].sequence, view)
            found = rows[signal_id]._mapping
            words = {row["word"] for row in word_rows(self._signals, view)}
            if words != stored.get(self._signals, set()):
                return at(
                    VIEW, begins, f"signal {signal_id}: its words are not those of its comment and tag", signal_id
                )
            for name, value in expected.items():
                if found[name] != value:
                    detail = f"signal {signal_id}: its {name} is {found[name]!r}, its entries say {value!r}"
                    return at(VIEW, begins, detail, signal_id)
        return None

    def _end(self, connection: sa.Connection, head: store.Head) -> Fault | None:
        size = self._tree.size
        if size < head.sequence:
            return Fault(TRUNCATED, size + 1, head.sequence, f"entries {size + 1} to {head.sequence} are not there")
        for row in connection.execute(
            sa.select(CHECKPOINTS).where(CHECKPOINTS.c.size > size).order_by(CHECKPOINTS.c.size).limit(1)
        ):
            checkpoint = self._open(row)
            if isinstance(checkpoint, str):
                return at(CHECKPOINT, row.size, f"the stored checkpoint at {row.size}: {checkpoint}")
            detail = f"history ends at {size}, and a checkpoint was signed at {row.size}"
            return Fault(TRUNCATED, size + 1, row.size, detail)
        for name, outside in self._against.items():
            if outside.size > size:
                detail = f"history ends at {size}, and the {name} is at {outside.size}: an older copy"
                if size > self._held:
                    # An older copy that went on with other entries looks the same.
                    detail += f", of which no checkpoint shows entries {self._held + 1} to {size}"
                return Fault(ROLLED_BACK, self._held + 1, outside.size, detail)
        if head.hash != self._hashes[-1]:
            return at(TREE, size, "the hash at which history says that it ends is not that of its last entry")
        if head.tree_edge != self._tree.edge_bytes:
            return at(TREE, size, "what is kept of the tree does not follow from the entries")
        if self._wrong_row:
            return self._wrong_row
        if head.signals != self._signals:
            return at(TREE, size, f"history says that it has {head.signals} signals, and has {self._signals}")
        return _row_without_entries(connection)


def _row_without_entries(connection: sa.Connection) -> Fault | None:
    there = sa.exists().where(ENTRIES.c.sequence == SIGNALS.c.sequence, ENTRIES.c.signal_id == SIGNALS.c.signal_id)
    row = connection.execute(sa.select(SIGNALS).where(~there).order_by(SIGNALS.c.number).limit(1)).first()
    if row is None:
        return None
    return at(VIEW, row.sequence, f"signal {row.signal_id} has a row and no entries", row.signal_id)


def _decode(row: Any) -> journal_pb2.JournalEntry:
    try:
        return journal_pb2.JournalEntry.FromString(row.data)
    except DecodeError:
        # Only bytes that were an entry are stored; the hashes say of others that they were altered.
        return journal_pb2.JournalEntry()


def _event_time(entry: journal_pb2.JournalEntry) -> datetime | None:
    try:
        return entry.event_time.ToDatetime(tzinfo=UTC)
    except ValueError:
        # No such time was ever recorded: the bytes were altered, and the hashes were made again after it.
        return None


def _columns(row: Any, entry: journal_pb2.JournalEntry) -> Fault | None:
    expected = {
        "event_id": entry.event_id,
        "signal_id": entry.signal_id,
        "kind": entry.WhichOneof("event") or "",
        "event_time": _event_time(entry),
    }
    for name, value in expected.items():
        if (found := getattr(row, name)) != value:
            detail = f"the {name} of entry {row.sequence} is {str(found)[:80]!r}, its bytes say {str(value)[:80]!r}"
            return at(COLUMN, row.sequence, detail, entry.signal_id)
    return None
