"""Messages of the journal that cannot be read: history keeps what they were, and goes on behind them."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from google.protobuf.timestamp_pb2 import Timestamp
from vantixs.api.journal.v1 import journal_pb2
from vantixs.runtime.database import Database
from vantixs.runtime.journal_reader import Delivery
from vantixs_audit import store
from vantixs_audit.main import MIGRATIONS
from vantixs_audit.settings import AuditSettings

from tests.support.history_rig import walk


def batch(event_id: str, time: Timestamp) -> bytes:
    entry = journal_pb2.JournalEntry(event_id=event_id, signal_id=event_id, event_time=time)
    entry.signal_completed.detail = "kept"
    return journal_pb2.JournalBatch(entries=[entry]).SerializeToString()


@pytest.mark.parametrize(
    "data", [b"\xff", batch("bad", Timestamp(nanos=-1)), batch("bad", Timestamp(seconds=10**15))], ids=str
)
async def test_history_goes_on_behind_what_cannot_be_read(database_url: str, data: bytes) -> None:
    database = await Database.open(replace(AuditSettings(), database_url=database_url), "audit", MIGRATIONS)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    deliveries = [
        Delivery("vantixs.journal.v1.event.signal", content, number, now)
        for number, content in enumerate((batch("first", Timestamp()), data, batch("last", Timestamp())), 1)
    ]
    await database.write(lambda c: store.record(c, deliveries))
    rows = await database.read(lambda c: c.execute(sa.select(store.ENTRIES).order_by(store.ENTRIES.c.sequence)).all())
    assert [row.event_id for row in rows] == ["first", "unreadable:2", "last"]
    assert journal_pb2.JournalEntry.FromString(rows[1].data).dead_lettered.data == data
    assert await database.read(walk) is None
    await database.close()
