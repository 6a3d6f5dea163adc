"""Entries that say who took signals or proofs out of history, or looked at a payload: recorded before the first one is given."""

import math
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime

import grpc
from vantixs.api.common.v1 import signal_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.ids import event_subject
from vantixs.runtime import trace
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.grpc_server import Caller, Role
from vantixs.runtime.journal import Message
from vantixs.runtime.logs import log
from vantixs.runtime.outbox import Outbox
from vantixs.runtime.secret_cipher import PayloadCipher

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


async def record_payload_read(database: Database, outbox: Outbox, who: Caller, signal_id: str) -> None:
    """Stores the entry that says who looked at a signal's payload.

    Raises:
        ServiceError: as `record_read`.
    """
    read = journal_pb2.HistoryRead(kind="payload", filter=signal_id, count=1, payloads=True)
    await record_read(database, outbox, who, read)


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
        try:
            await record_payload_read(self._database, self._outbox, who, signal_id)
        except ServiceError as error:
            log.warning("payload.not_shown", signal_id=signal_id, reason=error.reason)
            return False
        self._noted[key] = self._now()
        self._noted.move_to_end(key)
        if len(self._noted) > MOST_NOTED:
            self._noted.popitem(last=False)
        return True


def request_of(entry: journal_pb2.JournalEntry) -> signal_pb2.ReceivedRequest | None:
    """The request that the entry holds, where it holds one."""
    kind = entry.WhichOneof("event")
    if kind not in _WITH_REQUEST or not (event := getattr(entry, kind)).HasField("request"):
        return None
    request: signal_pb2.ReceivedRequest = event.request
    return request


def has_payload(entry: journal_pb2.JournalEntry) -> bool:
    """Whether the entry has the payload of a request, and can be read by who gets it: one that is sealed cannot."""
    request = request_of(entry)
    return request is not None and bool(request.payload)


def open_payload(entry: journal_pb2.JournalEntry, cipher: PayloadCipher) -> str:
    """Puts what is sealed in the entry into its payload; else says why it stays sealed."""
    request = request_of(entry)
    if request is None or not request.sealed_payload:
        return ""
    try:
        request.payload = cipher.open(request.sealed_payload, request.payload_sha256)
    except ServiceError as error:
        return f"{error.reason}: {error.detail}"
    request.ClearField("sealed_payload")
    return ""


def without_payload(entry: journal_pb2.JournalEntry) -> journal_pb2.JournalEntry:
    """The entry, from which the payload was taken, sealed or not; its SHA-256 stays."""
    kind = entry.WhichOneof("event")
    if (request := request_of(entry)) is not None:
        request.ClearField("payload")
        request.ClearField("sealed_payload")
    elif kind == "dead_lettered":
        entry.dead_lettered.ClearField("data")
    elif kind == "replay_finished":
        for inner in entry.replay_finished.entries:
            without_payload(inner)
    return entry
