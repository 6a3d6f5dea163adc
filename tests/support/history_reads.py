"""A history with those who read it, and entries with a payload for them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.runtime.database import Database
from vantixs.runtime.grpc_server import Caller, Role
from vantixs.runtime.health import Health
from vantixs.runtime.journal import Journal
from vantixs.runtime.journal_reader import Delivery
from vantixs.runtime.outbox import Outbox
from vantixs.runtime.secret_cipher import PayloadCipher
from vantixs_audit import store
from vantixs_audit.export_signals import Exports
from vantixs_audit.get_payload import Payloads
from vantixs_audit.recorder import Follower, Watchers
from vantixs_audit.settings import AuditSettings

from tests.support.history_rig import SIGNER, History

AUDITOR, VIEWER = Caller(Role.AUDITOR, "eve"), Caller(Role.VIEWER, "bob")
START = datetime(2026, 11, 26, tzinfo=UTC)


class Reads(History):
    """A history with those who read it."""

    def __init__(self, database: Database, directory: Path) -> None:
        super().__init__(database, directory)
        settings = AuditSettings(home=directory)
        self.journal = Journal(settings, Health(), service="audit")
        self.watchers = Watchers(3)
        self.outbox = Outbox(store.OUTBOX, database, self.journal)
        self.payloads = Payloads(database, self.outbox, PayloadCipher(bytes(32)))
        self.exports = Exports(database, self.outbox, SIGNER.key, PayloadCipher(bytes(32)))

    async def export(self, who: Caller = AUDITOR, **asked: Any) -> list[audit_pb2.ExportSignalsResponse]:
        request = audit_pb2.ExportSignalsRequest(**asked)
        return [response async for response in self.exports.export(request, who)]

    async def noted(self) -> list[journal_pb2.JournalEntry]:
        """What is on its way into the journal."""
        rows = await self.database.read(lambda c: c.execute(sa.select(store.OUTBOX.c.payload)).scalars().all())
        return [entry for data in rows for entry in journal_pb2.JournalBatch.FromString(data).entries]

    @contextlib.asynccontextmanager
    async def following(self) -> AsyncIterator[Follower]:
        head = await self.database.read(store.read_head)
        follower, stopping = Follower(self.database, self.journal, self.watchers, head), asyncio.Event()
        task = asyncio.create_task(follower.run(stopping))
        yield follower
        stopping.set()
        follower.wake()
        await task


def accepted(payload: bytes) -> journal_pb2.JournalEntry:
    entry = journal_pb2.JournalEntry(event_id="e", signal_id="s")
    entry.signal_accepted.request.payload = payload
    entry.signal_accepted.request.payload_sha256 = b"h" * 32
    entry.event_time.FromDatetime(START)
    return entry


def delivered(*entries: journal_pb2.JournalEntry) -> list[Delivery]:
    return [
        Delivery("subject", journal_pb2.JournalBatch(entries=[entry]).SerializeToString(), number, START)
        for number, entry in enumerate(entries, 1)
    ]


def sealed(payload: bytes, key: bytes = bytes(32), signal_id: str = "s") -> journal_pb2.JournalEntry:
    entry = accepted(b"")
    entry.event_id = entry.signal_id = signal_id
    request = entry.signal_accepted.request
    request.sealed_payload = PayloadCipher(key).seal(payload, request.payload_sha256)
    return entry
