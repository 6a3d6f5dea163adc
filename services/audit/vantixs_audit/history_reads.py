"""Entries that say who took signals out of history, or looked at a payload: recorded before the first one is given."""

import math
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime

import grpc
from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.ids import event_subject
from vantixs.runtime import trace
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.grpc_server import Caller, Role
from vantixs.runtime.journal import Message
from vantixs.runtime.logs import log
from vantixs.runtime.outbox import Outbox

LONGEST_FILTER = 4000
AGAIN_S, MOST_NOTED = 3600.0, 10_000
_WITH_REQUEST = ("signal_accepted", "signal_rejected", "duplicate_suppressed")


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


class PayloadViews:
    """Looks at one signal's payload by callers with a name: an entry for each name and signal, once an hour."""

    def __init__(self, database: Database, outbox: Outbox, now: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._outbox = outbox
        self._now = now
        self._noted: OrderedDict[tuple[str, str], float] = OrderedDict()

    async def may_see(self, who: Caller, signal_id: str) -> bool:
        """Whether the payload may be given: the look is recorded, or is none of a person."""
        if not who.name or who.role >= Role.SERVICE:
            return True
        key = (who.actor, signal_id)
        if self._now() - self._noted.get(key, -math.inf) < AGAIN_S:
            return True
        read = journal_pb2.HistoryRead(kind="payload", filter=signal_id, count=1, payloads=True)
        try:
            await record_read(self._database, self._outbox, who, read)
        except ServiceError as error:
            log.warning("payload.not_shown", signal_id=signal_id, reason=error.reason)
            return False
        self._noted[key] = self._now()
        self._noted.move_to_end(key)
        if len(self._noted) > MOST_NOTED:
            self._noted.popitem(last=False)
        return True


def has_payload(entry: journal_pb2.JournalEntry) -> bool:
    """Whether the entry has the payload of a request."""
    kind = entry.WhichOneof("event")
    return kind in _WITH_REQUEST and bool(getattr(entry, kind).request.payload)


def without_payload(entry: journal_pb2.JournalEntry) -> journal_pb2.JournalEntry:
    """The entry, from which the payload was taken; its SHA-256 stays."""
    kind = entry.WhichOneof("event")
    if kind in _WITH_REQUEST:
        event = getattr(entry, kind)
        if event.HasField("request"):
            event.request.ClearField("payload")
    elif kind == "dead_lettered":
        entry.dead_lettered.ClearField("data")
    elif kind == "replay_finished":
        for inner in entry.replay_finished.entries:
            without_payload(inner)
    return entry
