"""Rows of signals: made again after an upgrade, and held against their entries column by column."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa
from vantixs.api.journal.v1 import journal_pb2
from vantixs.runtime.continuity import Mark
from vantixs.runtime.database import Database
from vantixs.runtime.journal_reader import Delivery
from vantixs.testing.earlier import restore
from vantixs_audit import store
from vantixs_audit.main import MIGRATIONS
from vantixs_audit.rebuild import rebuild_signals
from vantixs_audit.settings import AuditSettings
from vantixs_audit.tables import SIGNAL_WORDS, SIGNALS

from tests.support.history_rig import History, deliveries, walk
from tests.support.paths import DATA
from tests.support.signal_rows import BEGIN

DUMPS = DATA / "schemas" / "audit"
TO_ONE_TABLE = (
    "ALTER TABLE entries DETACH PARTITION entries_0",
    "DROP TABLE entries",
    "ALTER TABLE entries_0 RENAME TO entries",
    "ALTER INDEX entries_0_pkey RENAME TO entries_pkey",
    "ALTER INDEX entries_0_event_id_key RENAME TO entries_event_id_key",
    "ALTER INDEX entries_0_signal_id_idx RENAME TO ix_entries_signal_id",
)
TO_SIXTH_REVISION = (
    "ALTER TABLE entries DROP COLUMN segment",
    *(
        f"ALTER TABLE head DROP COLUMN {name}"
        for name in ("segment", "dropped_sequence", "dropped_signals", "dropped_hash")
    ),
    *(f"DROP TABLE {name}" for name in ("segments", "tree_leaves", "kept_configuration")),
    *(
        f"DROP INDEX {name}"
        for name in ("signals_replayed", "signals_repeated", "signals_by_symbol", "signals_by_end_time")
    ),
    "CREATE INDEX signals_by_status ON signals (status, receive_time, number)",
    "ALTER TABLE signals DROP COLUMN measures",
    *(f"ALTER TABLE signals ADD COLUMN {name} BIGINT" for name in ("accept_latency_us", "send_latency_us")),
    "UPDATE alembic_version SET version_num = '0006'",
)


async def opened(database_url: str) -> Database:
    return await Database.open(replace(AuditSettings(), database_url=database_url), "audit", MIGRATIONS)


@pytest.fixture
async def history(database_url: str, tmp_path: Path) -> AsyncIterator[History]:
    database = await opened(database_url)
    yield History(database, tmp_path)
    await database.close()


def signal_rows(connection: sa.Connection) -> list[dict[str, Any]]:
    return [dict(row._mapping) for row in connection.execute(sa.select(SIGNALS).order_by(SIGNALS.c.number))]


async def test_rows_of_an_earlier_version_are_made_again_from_their_entries(database_url: str) -> None:
    dialect = "sqlite" if database_url.startswith("sqlite") else "postgresql"
    restore(DUMPS / f"0004-1645da5.{dialect}.sql", database_url)
    database = await opened(database_url)
    before = await database.read(signal_rows)
    assert before
    assert not any(row["view_sequence"] for row in before)
    await rebuild_signals(database, asyncio.Event())
    after = await database.read(signal_rows)
    assert await database.read(walk) is None
    names = ("signal_id", "number", "sequence", "status", "original_status", "stage", "reason", "detail", "webhook_id")
    assert [[row[name] for name in names] for row in after] == [[row[name] for name in names] for row in before]
    assert all(row["latency_us"] is not None for row in after)
    assert {row["action"] for row in after} >= {"BUY", "CLOSE"}
    assert {row["side"] for row in after} >= {"BUY"}
    await database.close()


async def test_rows_without_the_latencies_that_no_entry_tells_are_what_their_entries_say(database_url: str) -> None:
    dialect = "sqlite" if database_url.startswith("sqlite") else "postgresql"
    restore(DUMPS / f"0007-1204c80.{dialect}.sql", database_url)
    database = await opened(database_url)
    rows = await database.read(signal_rows)
    assert all(row["view_sequence"] == row["sequence"] and row["measures"] for row in rows), "none is made again"
    assert await database.read(walk) is None
    await database.close()


async def test_signal_that_an_earlier_version_took_for_replayed_is_what_it_was(database_url: str) -> None:
    verified = journal_pb2.JournalEntry(event_id="e2", signal_id="s1")
    verified.replay_finished.CopyFrom(journal_pb2.ReplayFinished(replay_id="r1", mode=journal_pb2.REPLAY_MODE_VERIFY))
    accepted = journal_pb2.JournalEntry(event_id="e1", signal_id="s1", signal_accepted=journal_pb2.SignalAccepted())
    data = journal_pb2.JournalBatch(entries=[accepted, verified]).SerializeToString()

    def earlier(connection: sa.Connection) -> None:
        store.record(connection, [Delivery("s", data, 1, BEGIN)], Mark(0, "stream", 1))
        made = {"status": "REPLAYED", "original_status": "ACCEPTED", "replay_count": 1, "replay_id": "r1"}
        connection.execute(sa.update(SIGNALS).values(made))
        for statement in (*(TO_ONE_TABLE if connection.dialect.name == "postgresql" else ()), *TO_SIXTH_REVISION):
            connection.execute(sa.text(statement))

    database = await opened(database_url)
    await database.write(earlier)
    await database.close()
    database = await opened(database_url)
    await rebuild_signals(database, asyncio.Event())
    (row,) = await database.read(signal_rows)
    assert (row["status"], row["original_status"], row["replay_count"], row["replay_id"]) == ("ACCEPTED", "", 0, "")
    assert await database.read(walk) is None
    await database.close()


async def test_row_that_is_not_made_again_yet_is_right_after_its_next_entry(history: History) -> None:
    random = Random(3)
    messages = deliveries(random, 20)
    await history.record(messages[:40], random, copy=False)
    stale = {"view_sequence": 0, "facts": "{}", "outcome": "", "side": "", "tag": "", "first_time": None}
    await history.database.write(lambda c: c.execute(sa.update(SIGNALS).values(stale)) and None)
    await history.database.write(lambda c: c.execute(sa.delete(SIGNAL_WORDS)) and None)
    await history.record(messages[40:], random, copy=False)
    await rebuild_signals(history.database, asyncio.Event())
    assert await history.fault() is None


async def test_rows_are_right_after_transactions_that_were_rolled_back(history: History) -> None:
    class RolledBackError(Exception):
        """The unit's own, after all of its work."""

    def fail(connection: sa.Connection, batch: list[Delivery], mark: Mark) -> None:
        store.record(connection, batch, mark, running)
        raise RolledBackError

    random, running = Random(11), store.Running()
    messages = deliveries(random, 40)
    while messages:
        count = random.randint(1, 9)
        batch, messages = messages[:count], messages[count:]
        mark = Mark(0, "stream", batch[-1].stream_sequence)
        if random.random() < 0.5:
            with pytest.raises(RolledBackError):
                await history.database.write(lambda c, b=batch, m=mark: fail(c, b, m))
        await history.database.write(lambda c, b=batch, m=mark: store.record(c, b, m, running))
    assert await history.fault() is None


async def test_every_column_of_a_row_is_held_against_the_entries(history: History) -> None:
    random = Random(5)
    await history.record(deliveries(random, 12), random, copy=False)
    assert await history.fault() is None
    number = sa.select(sa.func.max(SIGNALS.c.number)).where(SIGNALS.c.outcome == "EXECUTED").scalar_subquery()

    def attack(connection: sa.Connection, column: "sa.Column[Any]") -> Any:
        before = connection.execute(sa.select(column).where(SIGNALS.c.number == number)).scalar_one()
        if isinstance(column.type, sa.Text):
            value: Any = f"{before}x"
        else:
            value = sa.func.coalesce(sa.type_coerce(column, sa.BigInteger), 0) + 1
        with connection.begin_nested() as inner:
            connection.execute(sa.update(SIGNALS).where(SIGNALS.c.number == number).values({column.name: value}))
            found = walk(connection)
            inner.rollback()
        return found

    for column in SIGNALS.columns:
        if column.name not in ("signal_id", "number"):
            found = await history.database.write(lambda c, column=column: attack(c, column))
            assert found is not None, column.name
            assert column.name in found.detail or "no entries" in found.detail, found.detail


async def test_word_that_no_comment_has_is_found(history: History) -> None:
    random = Random(5)
    await history.record(deliveries(random, 12), random, copy=False)
    put = sa.insert(SIGNAL_WORDS).from_select(
        ["word", "receive_time", "number"], sa.select(sa.literal("tag:made"), SIGNALS.c.receive_time, SIGNALS.c.number)
    )
    await history.database.write(lambda c: c.execute(put) and None)
    assert "words" in (await history.fault()).detail
    assert (await history.database.read(store.read_head)).signals == 12
