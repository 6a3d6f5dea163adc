"""A history that keeps so many days, on either database: what is recorded on which day is the test's to say."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import sqlalchemy as sa
from vantixs.api.journal.v1 import journal_pb2
from vantixs.proof.note import Signer
from vantixs.runtime.continuity import Mark
from vantixs.runtime.database import Database
from vantixs.runtime.journal_reader import Delivery
from vantixs.runtime.outbox import Outbox
from vantixs_audit import store
from vantixs_audit.history_retention.service import HistoryRetention

from tests.support.history_rig import SIGNER, History, deliveries

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
KEEP = 8 * DAY  # A segment is a day then.


class KeptHistory(History):
    """Records signals on days, and removes what is older than eight."""

    def __init__(self, database: Database, directory: Path, signer: Signer = SIGNER) -> None:
        super().__init__(database, directory, signer)
        self.witness_file = directory / "audit.checkpoint"
        self.random = Random(1)
        self.oldest_in_journal: datetime | None = BEGIN + 100_000 * DAY
        self.retention = self.new_retention()

    def new_retention(self, keep: timedelta = KEEP) -> HistoryRetention:
        """One that remembers nothing, as after a restart."""
        outbox = Outbox(store.OUTBOX, self.database, None)  # type: ignore[arg-type]  # what it holds is recorded by `pass_on`

        async def oldest() -> datetime | None:
            return self.oldest_in_journal

        return HistoryRetention(self.database, outbox, self.witness, self.signer.key, oldest, keep)

    async def day(self, day: float, signals: int = 12, *, name: str = "", messages: Sequence[Delivery] = ()) -> None:
        """Records signals on a day, of which a segment begins."""
        await self.retention.apply(BEGIN + day * DAY)
        told = list(messages) or deliveries(self.random, signals, name or f"d{day:g}-")
        await self.record(told, self.random, copy=False)

    async def days(self, last: int) -> None:
        """Records signals on each day from 0 on."""
        for day in range(last + 1):
            await self.day(day)

    async def pass_on(self) -> None:
        """Records what waits in the outbox, as the broker and the recorder do, and signs."""
        await self.database.write(pass_on)
        await self.checkpoints.sign()

    async def drop(self, day: float) -> int:
        """Removes what may go on that day, and returns up to which entry it did."""
        idle = 0
        while idle < 2:  # Once more after the last step: what a process that was killed had recorded is signed by then.
            more = await self.retention.apply(BEGIN + day * DAY)
            idle = 0 if more or await self.database.read(waiting) else idle + 1
            await self.pass_on()
        return (await self.head()).dropped_sequence

    async def head(self) -> store.Head:
        """Where history is."""
        found: store.Head = await self.database.read(store.read_head)
        return found


def waiting(connection: sa.Connection) -> int:
    """How many messages wait in the outbox."""
    return connection.execute(sa.select(sa.func.count()).select_from(store.OUTBOX)).scalar_one()


def pass_on(connection: sa.Connection) -> None:
    """Records what waits in the outbox."""
    for row in connection.execute(sa.select(store.OUTBOX).order_by(store.OUTBOX.c.position)).all():
        head = store.read_head(connection)
        sequence = head.mark.sequence + 1
        delivery = Delivery(row.subject, row.payload, sequence, datetime.now(UTC))
        store.record(connection, [delivery], Mark(0, "stream", sequence))
    connection.execute(sa.delete(store.OUTBOX))


def changed_webhook(name: str, webhook_id: str, account_id: str = "a1") -> Delivery:
    """An entry that says that a webhook changed."""
    after = json.dumps({"webhook_id": webhook_id, "account_id": account_id})
    return message(
        name,
        configuration_changed=journal_pb2.ConfigurationChanged(kind="webhook", id=webhook_id, after_json=after),
    )


def message(name: str, signal_id: str = "", **event: Any) -> Delivery:
    """One entry as a message."""
    entry = journal_pb2.JournalEntry(event_id=name, signal_id=signal_id, **event)
    entry.event_time.FromDatetime(BEGIN)
    data = journal_pb2.JournalBatch(entries=[entry]).SerializeToString()
    return Delivery("vantixs.journal.v1.event.order", data, 1, BEGIN)
