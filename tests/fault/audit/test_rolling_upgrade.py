"""Audit of an earlier version still runs when a newer one migrates its database on PostgreSQL: history is late, and nothing is lost.

What the earlier one sends is written down (`tests/data/statements`), and is sent here to what the newer one made of the database.
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import errors
from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.ids import event_subject
from vantixs.runtime import database_setup
from vantixs.runtime.continuity import facts_of
from vantixs.runtime.database import Database
from vantixs.runtime.journal import Journal
from vantixs.runtime.journal_stream import STREAM
from vantixs.testing.earlier import restore
from vantixs.testing.journal import connected
from vantixs.testing.migrations import run_migrations
from vantixs.testing.nats import NatsServer
from vantixs.testing.postgres import PostgresServer
from vantixs_audit import store
from vantixs_audit.journal_gap import compare_with_history
from vantixs_audit.main import MIGRATIONS
from vantixs_audit.rebuild import rebuild_signals
from vantixs_audit.recorder import Recorder
from vantixs_audit.settings import AuditSettings
from vantixs_audit.tables import ENTRIES
from vantixs_audit.writer_lease import Work, WriterLease

from tests.support.history_retention_rig import BEGIN, KeptHistory
from tests.support.history_rig import deliveries, walk
from tests.support.paths import DATA

# The revision before 0009, and the one before 0010.
BEFORE_0009, BEFORE_0010 = "0007-1204c80", "0009-a4d96fc"
TABLES = ("entries", "signals", "signal_words", "head", "tree_nodes", "checkpoints")
LEASE_S = 1.0


@pytest.fixture(autouse=True)
def real_migrations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_setup, "upgrade_schema", run_migrations)


class Batch(NamedTuple):
    """What is recorded in one transaction: messages of the journal, and what is sent to the database."""

    messages: list[bytes]
    statements: list[tuple[str, Any]]


def written_down(version: str, stream: str) -> list[Batch]:
    text = (DATA / "statements" / f"audit-{version}.json").read_text().replace("STREAM-ID", stream)
    batches = json.loads(text)["batches"]
    return [
        Batch([restored(m) for m in batch["messages"]], [(sql, restored(given)) for sql, given in batch["statements"]])
        for batch in batches
    ]


def restored(value: Any) -> Any:
    if isinstance(value, dict):
        return base64.b64decode(value["base64"]) if "base64" in value else {k: restored(v) for k, v in value.items()}
    return [restored(inner) for inner in value] if isinstance(value, list) else value


class EarlierAudit:
    """Has a database of its version, and records into it as it did."""

    def __init__(self, postgres: PostgresServer, version: str, stream: str) -> None:
        self.url = postgres.new_database()
        restore(DATA / "schemas" / "audit" / f"{version}.postgresql.sql", self.url)
        self.batches = written_down(version, stream)
        self._connection = psycopg.connect(
            self.url.replace("+psycopg", "", 1), options="-csearch_path=audit", autocommit=True
        )
        self._connection.execute("UPDATE head SET stream_sequence = 0, stream_id = %s", (stream,))

    def record(self, batch: Batch) -> None:
        """One transaction, as it sends it."""
        with self._connection.transaction():
            for sql, given in batch.statements:
                self._connection.execute(sql.encode(), given)

    def stored(self) -> dict[str, list[Any]]:
        """All that history is in, as it is at the moment."""
        return {
            name: sorted(map(repr, self._connection.execute(f"SELECT * FROM {name}".encode()).fetchall()))
            for name in TABLES
        }

    def close(self) -> None:
        self._connection.close()


async def publish(journal: Journal, messages: list[bytes]) -> int:
    for data in messages:
        (entry,) = journal_pb2.JournalBatch.FromString(data).entries
        await journal.publish(event_subject("order"), data, entry.event_id)
    return int((await journal.js.stream_info(STREAM)).state.last_seq)


def event_ids(messages: list[bytes]) -> list[str]:
    return [entry.event_id for data in messages for entry in journal_pb2.JournalBatch.FromString(data).entries]


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    database = await Database.open(replace(AuditSettings(), database_url=url), "audit", MIGRATIONS)
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def with_lease(database: Database, name: str, work: Work) -> AsyncIterator[None]:
    """Tries to have the lease, and works while it has it; frees it at the end."""
    stopping = asyncio.Event()
    task = asyncio.create_task(WriterLease(database, name, LEASE_S).run([work], stopping))
    try:
        yield
    finally:
        stopping.set()
        await task


class NewAudit:
    """What the newer version runs; records once it was started and has the lease."""

    def __init__(self, database: Database, recorder: Recorder, ends: AsyncExitStack) -> None:
        self.database = database
        self._recorder = recorder
        self._ends = ends

    async def start(self) -> None:
        await self._ends.enter_async_context(with_lease(self.database, "new", self._recorder.run))

    async def mark(self) -> int:
        """Up to which message history is."""
        return int((await self.database.read(store.read_head)).mark.sequence)

    async def ids(self) -> list[str]:
        """The ids of all entries, in order."""
        query = sa.select(ENTRIES.c.event_id).order_by(ENTRIES.c.sequence)
        return await self.database.read(lambda c: list(c.execute(query).scalars()))


@asynccontextmanager
async def new_audit(url: str, nats: NatsServer) -> AsyncIterator[NewAudit]:
    """Migrates, and begins with what history has, as `main` does."""
    async with AsyncExitStack() as ends:
        database = await ends.enter_async_context(opened(url))
        await rebuild_signals(database, asyncio.Event())
        head = await database.read(store.read_head)
        inspect = partial(compare_with_history, database, lambda found: None)
        journal, _ = await ends.enter_async_context(connected(nats, mark=head.mark, inspect=inspect))
        assert not journal.gap
        yield NewAudit(database, Recorder(database, journal, head), ends)


@pytest.fixture
def earlier_of(postgres: PostgresServer) -> Iterator[Callable[[str, str], EarlierAudit]]:
    with ExitStack() as ends:
        yield lambda version, stream: ends.enter_context(closing(EarlierAudit(postgres, version, stream)))


async def test_earlier_audit_stores_nothing_after_revision_0009_and_the_new_one_goes_on_where_it_was(
    earlier_of: Callable[[str, str], EarlierAudit], nats: NatsServer
) -> None:
    async with connected(nats) as (journal, _):
        earlier = earlier_of(BEFORE_0009, facts_of(await journal.js.stream_info(STREAM)).stream)
        before = len(earlier.stored()["entries"])
        first, second = earlier.batches
        await publish(journal, first.messages)
        # On the schema of its own it records what is in the journal, so these are the statements.
        earlier.record(first)
        assert len(earlier.stored()["entries"]) == before + len(first.messages)
        await publish(journal, second.messages)

        async with new_audit(earlier.url, nats) as new:
            migrated = earlier.stored()

            async def record(_: asyncio.Event) -> None:
                await asyncio.to_thread(earlier.record, second)

            # The earlier one has the lease, whose code is the same in both versions. Its process ends with the first batch that has
            # a signal, as nobody expects this error, and leaves its lease to run out.
            with pytest.raises(ExceptionGroup) as ended:
                await WriterLease(new.database, "earlier", LEASE_S).run([record], asyncio.Event())
            assert ended.group_contains(errors.UndefinedColumn)
            # Nothing is half stored. History stays where it was until the other one has the lease.
            assert earlier.stored() == migrated
            more = [one.data for one in deliveries(Random(9), 4, "later-")]
            last = await publish(journal, more)
            assert await new.mark() == len(first.messages) < last
            await new.start()
            async with asyncio.timeout(60):
                while await new.mark() < last:
                    await asyncio.sleep(0.02)
            ids = await new.ids()
            assert ids[before:] == event_ids([*first.messages, *second.messages, *more])
            assert len(set(ids)) == len(ids)
            assert await new.database.read(walk) is None


async def test_what_an_earlier_audit_records_after_a_segment_began_goes_with_a_later_segment(
    earlier_of: Callable[[str, str], EarlierAudit], tmp_path: Path
) -> None:
    """It knows nothing of segments, and records into the first one: that goes with what was recorded before the next one began."""
    earlier = earlier_of(BEFORE_0010, "stream")
    before = len(earlier.stored()["entries"])
    async with opened(earlier.url) as database:
        history = KeptHistory(database, tmp_path)
        await history.retention.apply(BEGIN)
        assert (await history.head()).segment == 1
        for batch in earlier.batches:
            earlier.record(batch)
        messages = [data for batch in earlier.batches for data in batch.messages]
        end = (await history.head()).sequence
        assert end == before + len(messages)
        await history.checkpoints.sign()
        await history.day(1)
        await history.day(2)
        assert await history.drop(8.5) == before
        ids = sa.select(ENTRIES.c.event_id).order_by(ENTRIES.c.sequence)
        kept = await database.read(lambda c: list(c.execute(ids).scalars()))
        assert kept[: len(messages)] == event_ids(messages)
        assert await history.fault({"witness's checkpoint": history.seen}) is None
        # They go with the next segment, as if they had been recorded into it.
        assert await history.drop(9.5) == end
        assert await history.fault({"witness's checkpoint": history.seen}) is None
