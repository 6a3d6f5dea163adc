"""The entry that says which entries of history go: in history, and signed, before they do."""

from datetime import UTC, datetime

import sqlalchemy as sa
from google.protobuf.message import DecodeError
from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.ids import event_subject
from vantixs.runtime import trace
from vantixs.runtime.journal import Message

from vantixs_audit.tables import ENTRIES


def message_of(event: journal_pb2.HistoryDropped, now: datetime) -> Message:
    """The entry as a message for the journal. A second one of the same cut is the same entry, and passed over."""
    event_id = event_id_of(event.last_sequence)
    entry = journal_pb2.JournalEntry(
        event_id=event_id, actor="service:audit", trace_parent=trace.current(), history_dropped=event
    )
    entry.event_time.FromDatetime(now.astimezone(UTC))
    payload = journal_pb2.JournalBatch(entries=[entry]).SerializeToString()
    return Message(event_subject("configuration"), payload, event_id)


def event_id_of(last_sequence: int) -> str:
    """The id of the entry that says that entries up to that one go."""
    return f"history-dropped:{last_sequence}"


def find(connection: sa.Connection, last_sequence: int) -> tuple[int, journal_pb2.HistoryDropped] | None:
    """The entry's sequence and what it says; None where it is not in history."""
    query = sa.select(ENTRIES.c.sequence, ENTRIES.c.data).where(ENTRIES.c.event_id == event_id_of(last_sequence))
    row = connection.execute(query).first()
    if row is None:
        return None
    try:
        entry = journal_pb2.JournalEntry.FromString(row.data)
    except DecodeError:
        return None
    return (row.sequence, entry.history_dropped) if entry.HasField("history_dropped") else None


def said_of(connection: sa.Connection, last_sequence: int) -> journal_pb2.HistoryDropped | None:
    """What the entry says; None where it is not in history."""
    found = find(connection, last_sequence)
    return found[1] if found else None
