"""Entries that say who took signals out of history, or looked at a payload: recorded before the first one is given."""

import uuid
from datetime import UTC, datetime

import grpc
from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.ids import event_subject
from vantixs.runtime import trace
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.grpc_server import Caller, Role
from vantixs.runtime.journal import Message
from vantixs.runtime.outbox import Outbox

LONGEST_FILTER = 4000


def need_auditor(who: Caller, what: str) -> None:
    """Raises PERMISSION_DENIED ROLE_INSUFFICIENT where the caller may not see it."""
    if who.role < Role.AUDITOR:
        detail = f"{what}: expected role AUDITOR, was {who.role.name}"
        raise ServiceError(grpc.StatusCode.PERMISSION_DENIED, "ROLE_INSUFFICIENT", detail)


async def record_read(database: Database, outbox: Outbox, who: Caller, event: journal_pb2.HistoryRead) -> None:
    """Stores the entry; it is on disk, and on its way into the journal, when this returns.

    Raises:
        ServiceError: as `Database.write`; nothing may be given then.
    """
    event.filter = event.filter[:LONGEST_FILTER]
    entry = journal_pb2.JournalEntry(
        event_id=f"history-read:{uuid.uuid4()}",
        actor=who.actor,
        trace_parent=trace.current(),
        history_read=event,
    )
    entry.event_time.FromDatetime(datetime.now(UTC))
    payload = journal_pb2.JournalBatch(entries=[entry]).SerializeToString()
    message = Message(event_subject("configuration"), payload, entry.event_id)
    await database.write(lambda connection: outbox.put(connection, message))
    outbox.wake()


def without_payload(entry: journal_pb2.JournalEntry) -> journal_pb2.JournalEntry:
    """The entry, from which the payload was taken; its SHA-256 stays."""
    kind = entry.WhichOneof("event")
    if kind in ("signal_accepted", "signal_rejected", "duplicate_suppressed"):
        event = getattr(entry, kind)
        if event.HasField("request"):
            event.request.ClearField("payload")
    elif kind == "dead_lettered":
        entry.dead_lettered.ClearField("data")
    elif kind == "replay_finished":
        for inner in entry.replay_finished.entries:
            without_payload(inner)
    return entry
