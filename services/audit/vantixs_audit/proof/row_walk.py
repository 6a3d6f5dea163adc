"""Walks what stands beside the entries: the columns of each, and the rows of signals, which are made again from their entries."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from google.protobuf.message import DecodeError
from vantixs.api.journal.v1 import journal_pb2

from vantixs_audit import store
from vantixs_audit.domain.status import View, apply_entry
from vantixs_audit.entry_facts import facts_of
from vantixs_audit.history_retention import announcement
from vantixs_audit.history_retention.configuration import find_fault
from vantixs_audit.proof.findings import COLUMN, TREE, VIEW, Fault, at
from vantixs_audit.tables import ENTRIES, SIGNAL_WORDS, SIGNALS
from vantixs_audit.views import row_of, word_rows

PAGE = 500


class RowWalk:
    """How far columns and rows are checked: up to the entry `size`."""

    def __init__(self) -> None:
        self.size = 0
        self._signals = 0

    def take_page(self, connection: sa.Connection, until: int) -> Fault | None:
        """Looks at the next entries, of those up to `until`, and at the rows of the signals that begin with them."""
        head = store.read_head(connection)
        if self.size < head.dropped_sequence:
            self.size, self._signals = head.dropped_sequence, head.dropped_signals
            return None
        columns = (ENTRIES.c[n] for n in ("sequence", "signal_id", "event_id", "kind", "event_time", "data"))
        query = sa.select(*columns).where(ENTRIES.c.sequence > self.size, ENTRIES.c.sequence <= until)
        page = connection.execute(query.order_by(ENTRIES.c.sequence).limit(PAGE)).all()
        if not page:
            return at(
                TREE, until, f"entries after {self.size} are not there any more: history changed during the check"
            )
        entries = [_decode(row) for row in page]
        for row, entry in zip(page, entries, strict=True):
            if fault := _columns(row, entry):
                return fault
        self.size = page[-1].sequence
        return self._views(connection, head, page, entries)

    def end(self, connection: sa.Connection, head: store.Head) -> Fault | None:
        """What is wrong with the rows as a whole."""
        if head.signals != self._signals:
            detail = f"history says that it has {head.signals} signals, and has {self._signals}"
            return at(TREE, self.size, detail)
        return _not_kept(connection, head) or _row_without_entries(connection, head)

    def _views(
        self,
        connection: sa.Connection,
        head: store.Head,
        page: Sequence[Any],
        entries: Sequence[journal_pb2.JournalEntry],
    ) -> Fault | None:
        """Makes the rows of those signals again whose first entry is in the page; of signals that lost entries none."""
        ids = list(dict.fromkeys(row.signal_id for row in page if row.signal_id))
        if not ids:
            return None
        # A signal's entries may be many and in many pages: they are read once.
        begins_at = sa.select(ENTRIES.c.signal_id, sa.func.min(ENTRIES.c.sequence)).group_by(ENTRIES.c.signal_id)
        kept = ENTRIES.c.sequence > head.dropped_sequence
        known = connection.execute(begins_at.where(ENTRIES.c.signal_id.in_(ids), kept))
        begun_before = {signal_id for signal_id, sequence in known if sequence < page[0].sequence}
        ids = [signal_id for signal_id in ids if signal_id not in begun_before]
        by_signal: dict[str, list[tuple[int, journal_pb2.JournalEntry]]] = {signal_id: [] for signal_id in ids}
        query = sa.select(ENTRIES.c.sequence, ENTRIES.c.signal_id, ENTRIES.c.data).order_by(ENTRIES.c.sequence)
        later = query.where(ENTRIES.c.signal_id.in_(ids), ENTRIES.c.sequence > page[-1].sequence)
        for row, entry in [*zip(page, entries, strict=True), *((r, _decode(r)) for r in connection.execute(later))]:
            if row.signal_id in by_signal:
                by_signal[row.signal_id].append((row.sequence, entry))
        rows = {
            row.signal_id: row for row in connection.execute(sa.select(SIGNALS).where(SIGNALS.c.signal_id.in_(ids)))
        }
        stored: dict[int, set[str]] = {}
        numbers = [row.number for row in rows.values()]
        for word in connection.execute(sa.select(SIGNAL_WORDS).where(SIGNAL_WORDS.c.number.in_(numbers))):
            stored.setdefault(word.number, set()).add(word.word)
        for signal_id, told in by_signal.items():
            begins = told[0][0]
            if signal_id in rows and rows[signal_id].number <= head.dropped_signals:
                if rows[signal_id].sequence != told[-1][0]:
                    return at(
                        VIEW, begins, f"signal {signal_id}: its last entry is not the one that its row says", signal_id
                    )
                continue
            self._signals += 1
            if signal_id not in rows:
                return at(VIEW, begins, f"signal {signal_id} has entries and no row", signal_id)
            view = View()
            for _, entry in told:
                apply_entry(view, facts_of(entry))
            expected = row_of(signal_id, self._signals, told[-1][0], view)
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


def _row_without_entries(connection: sa.Connection, head: store.Head) -> Fault | None:
    there = sa.exists().where(ENTRIES.c.sequence == SIGNALS.c.sequence, ENTRIES.c.signal_id == SIGNALS.c.signal_id)
    kept = sa.or_(SIGNALS.c.number > head.dropped_signals, SIGNALS.c.sequence > head.dropped_sequence)
    row = connection.execute(sa.select(SIGNALS).where(~there, kept).order_by(SIGNALS.c.number).limit(1)).first()
    if row is None:
        return None
    return at(VIEW, row.sequence, f"signal {row.signal_id} has a row and no entries", row.signal_id)


def _not_kept(connection: sa.Connection, head: store.Head) -> Fault | None:
    """What is wrong with what stays of entries that are no longer kept: how many signals, and what was configured."""
    rows = sa.select(sa.func.count()).select_from(SIGNALS).where(SIGNALS.c.number <= head.dropped_signals)
    if (found := connection.execute(rows).scalar_one()) != head.dropped_signals:
        detail = f"expected the rows of the first {head.dropped_signals} signals, whose entries are no longer kept, found {found}"
        return at(VIEW, head.dropped_sequence, detail)
    said = announcement.said_of(connection, head.dropped_sequence)
    return find_fault(connection, head.dropped_sequence, said)


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
