"""Writing the rows of signals: from the entries that are recorded, and again from all entries after an upgrade."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import sqlalchemy as sa
from vantixs.api.journal.v1 import journal_pb2
from vantixs.runtime.sql_elements import Among
from vantixs.runtime.statements import Statement, insert_or_replace

from vantixs_audit.domain.status import EntryFacts, View, apply_entry
from vantixs_audit.entry_facts import facts_of
from vantixs_audit.tables import ENTRIES, HEAD, SIGNAL_WORDS, SIGNALS
from vantixs_audit.views import OF_ORIGIN, row_of, view_of, word_rows

MOST_RUNNING = 1_000
# By a signal's id: its number, and all that is known of it.
Views = dict[str, tuple[int, View]]
SIGNALS_OF = Statement(lambda _: sa.select(SIGNALS).where(Among(SIGNALS.c.signal_id, "ids")))
_PUT_SIGNAL = insert_or_replace(SIGNALS)
# Columns with indexes, by what they follow from: those of `_place` and of `_outcome`.
_OF_PLACE = ("stage", "side")
_OF_OUTCOME = ("status", "outcome", "original_status", "end_time", "latency_us", "slippage_bps")
# Of a row whose origin stays, without the columns that follow from it alone, and where place or outcome stay without theirs:
# SQLite writes to the indexes of all columns that are set, also where none changes.
_MOVE_SIGNAL = {
    (place, outcome): insert_or_replace(
        SIGNALS, "number", *OF_ORIGIN, *(_OF_PLACE if place else ()), *(_OF_OUTCOME if outcome else ())
    )
    for place in (False, True)
    for outcome in (False, True)
}
_PUT_WORD = Statement(
    lambda insert: (
        insert(SIGNAL_WORDS)
        .values({c.name: sa.bindparam(c.name, type_=c.type) for c in SIGNAL_WORDS.columns})
        .on_conflict_do_nothing()
    )
)


class Running:
    """Views of signals that have not ended, from one batch to the next: what was just written need not be read again.

    They are of the history whose chain ends in a hash. After a transaction that was rolled back, or one of another process,
    history has another one, and they are forgotten.
    """

    def __init__(self) -> None:
        self._hash = b""
        self._views: Views = {}

    def take(self, chained: bytes) -> Views:
        """Hands over the views of the history with that hash; until `keep` nothing is kept."""
        views, self._views = self._views if chained == self._hash else {}, {}
        return views

    def keep(self, chained: bytes, views: Views) -> None:
        """Takes over the views, of the history with that hash; of too many those that changed last."""
        self._hash = chained
        self._views = dict(islice(views.items(), max(0, len(views) - MOST_RUNNING), None))


def update_rows(
    connection: sa.Connection, changed: dict[str, list[tuple[int, EntryFacts]]], signals: int, views: Views
) -> int:
    """Brings the rows of signals up to their new entries, which are stored; returns how many signals there are then.

    `views` has the number and view of signals that are known, and has all that have not ended afterwards.
    """
    unknown = [signal_id for signal_id in changed if signal_id not in views]
    found = SIGNALS_OF.rows(connection, ids=unknown) if unknown else []
    views |= {row.signal_id: (row.number, view_of(row)) for row in found if row.view_sequence == row.sequence}
    if stale := {row.signal_id: row.number for row in found if row.view_sequence != row.sequence}:
        # Rows of an earlier version. The entries that come now are stored already.
        views |= {signal_id: (stale[signal_id], view) for signal_id, _, view in made_again(connection, stale)}
    rows, words = [], []
    moved: dict[tuple[bool, bool], list[dict[str, Any]]] = {same: [] for same in _MOVE_SIGNAL}
    for signal_id, entries in changed.items():
        number, view = views.pop(signal_id) if signal_id in views else (0, View())
        # Words follow from the origin alone.
        before = None if signal_id in stale else view.origin
        place, outcome = _place(view), _outcome(view)
        if not number:
            signals += 1
            number = signals
        for _, seen in entries if signal_id not in stale else ():
            apply_entry(view, seen)
        if view.end_time is None:
            views[signal_id] = (number, view)
        row = row_of(signal_id, number, entries[-1][0], view)
        if signal_id in stale or view.origin is None or view.origin != before:
            rows.append(row)
            words += _changed_words(connection, number, View(origin=before), view)
        else:
            moved[place == _place(view), outcome == _outcome(view)].append(row)
    _PUT_SIGNAL.run_all(connection, rows)
    for same, statement in _MOVE_SIGNAL.items():
        statement.run_all(connection, moved[same])
    _PUT_WORD.run_all(connection, words)
    return signals


def _place(view: View) -> tuple[Any, ...]:
    return view.stage, view.side


def _outcome(view: View) -> tuple[Any, ...]:
    return view.outcome, view.end_time, view.filled, view.replay_count


def made_again(connection: sa.Connection, signal_ids: Iterable[str]) -> Iterator[tuple[str, int, View]]:
    """Each of the signals with its last entry's sequence and its view, made of all of its entries."""
    query = sa.select(ENTRIES.c.signal_id, ENTRIES.c.sequence, ENTRIES.c.data)
    for signal_id in signal_ids:
        view, last = View(), 0
        for row in connection.execute(query.where(ENTRIES.c.signal_id == signal_id).order_by(ENTRIES.c.sequence)):
            apply_entry(view, facts_of(journal_pb2.JournalEntry.FromString(row.data)))
            last = row.sequence
        yield signal_id, last, view


def _changed_words(connection: sa.Connection, number: int, before: View, view: View) -> list[dict[str, Any]]:
    """The words to store of a signal whose origin is another one than before; those of before are removed."""
    for row in word_rows(number, before):
        gone = sa.and_(*(SIGNAL_WORDS.c[name] == value for name, value in row.items()))
        connection.execute(sa.delete(SIGNAL_WORDS).where(gone))
    return word_rows(number, view)


def rebuild(connection: sa.Connection, most: int) -> int:
    """Makes rows again that an earlier version made, at most that many; how many they were."""
    stale = SIGNALS.c.view_sequence != SIGNALS.c.sequence
    query = sa.select(SIGNALS.c.signal_id, SIGNALS.c.number).where(stale).order_by(SIGNALS.c.number).limit(most)
    numbers = {row.signal_id: row.number for row in connection.execute(query)}
    rows, words = [], []
    for signal_id, sequence, view in made_again(connection, numbers):
        if not sequence:  # A row that no entry stands for is one that was forged: the walk finds it.
            continue
        rows.append(row_of(signal_id, numbers[signal_id], sequence, view))
        words += word_rows(numbers[signal_id], view)
    _PUT_SIGNAL.run_all(connection, rows)
    _PUT_WORD.run_all(connection, words)
    return len(rows)


def keep_rows_without_entries(connection: sa.Connection) -> None:
    """Takes rows as they are that cannot be made again, for entries of theirs are no longer kept."""
    stale = sa.and_(SIGNALS.c.view_sequence != SIGNALS.c.sequence, SIGNALS.c.number <= HEAD.c.dropped_signals)
    taken = sa.update(SIGNALS).where(stale, HEAD.c.id == 1)
    connection.execute(taken.values(view_sequence=SIGNALS.c.sequence))


def count_stale(connection: sa.Connection) -> int:
    """How many rows an earlier version made."""
    stale = SIGNALS.c.view_sequence != SIGNALS.c.sequence
    return connection.execute(sa.select(sa.func.count()).select_from(SIGNALS).where(stale)).scalar_one()
