"""The outbox on a real database and a real broker: what was committed is told, in the order in which it was done."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import vantixs_router
from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.instruments import CATALOGUE
from vantixs.runtime.database import Database
from vantixs.runtime.journal import Message
from vantixs.runtime.journal_reader import Delivery
from vantixs.runtime.outbox import Outbox, read_mark
from vantixs.testing.journal import connected, messages
from vantixs.testing.nats import NatsServer
from vantixs.testing.venue import NoFence
from vantixs_router import store, tables
from vantixs_router.assemble import assemble
from vantixs_router.lanes.outcome import Outcome
from vantixs_router.settings import RouterSettings
from vantixs_router.signals.process_signal import ProcessSignal
from vantixs_router.signals.record_outcome import completed_id
from vantixs_router.venues.paper.venue import PaperVenue

MIGRATIONS = Path(vantixs_router.__file__).parent / "migrations"
SUBJECT = "vantixs.journal.v1.signal"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = await Database.open(replace(RouterSettings(), database_url=database_url), "router", MIGRATIONS)
    yield opened
    await opened.close()


def process(database: Database, outbox: Outbox, stopping: Any) -> ProcessSignal:
    """A router for signals that are done: nothing else of it is reached."""
    nothing: Any = None
    settings = RouterSettings()
    signals, _ = assemble(
        database=database, outbox=outbox, risk=nothing, venue=PaperVenue(database, nothing, settings, nothing),
        quotes=nothing, settings=settings, clock=lambda: datetime.now(UTC), stopping=stopping,
    )  # fmt: skip
    return signals


def delivery_of(signal_id: str, sequence: int) -> Delivery:
    entry = journal_pb2.JournalEntry(event_id=f"{signal_id}:accepted", signal_id=signal_id)
    entry.signal_accepted.signal.signal_id = signal_id
    entry.signal_accepted.signal.instrument = next(iter(CATALOGUE))
    data = journal_pb2.JournalBatch(entries=[entry]).SerializeToString()
    return Delivery(f"{SUBJECT}.accepted.00", data, sequence, datetime.now(UTC))


def end(connection: Any, outbox: Outbox, signal_id: str, sequence: int) -> None:
    """What a router commits at a signal's end, and does not live to publish."""
    store.claim_signal(connection, signal_id, sequence, "")()
    store.finish_signal(connection, signal_id, sequence, "")()
    outbox.put(connection, Message(SUBJECT, signal_id.encode(), completed_id(signal_id)))


async def test_signal_whose_router_died_before_publishing_is_told_before_the_lane_goes_on(
    database: Database, nats: NatsServer
) -> None:
    async with connected(nats) as (journal, life):
        outbox = Outbox(tables.OUTBOX, database, journal)
        await database.write(lambda c: end(c, outbox, "s1", 7))
        assert await process(database, outbox, life.stopping).handle(delivery_of("s1", 7), NoFence()) is Outcome.DONE
        assert await messages(journal) == [b"s1"]
        assert await process(database, outbox, life.stopping).handle(delivery_of("s1", 7), NoFence()) is Outcome.DONE
        assert await messages(journal) == [b"s1"]


async def test_replica_that_was_frozen_does_not_go_on_under_another_plan(database: Database) -> None:
    first = await database.write(lambda c: store.claim_signal(c, "s1", 7, "buy entry part")())
    again = await database.write(lambda c: store.claim_signal(c, "s1", 7, "buy entry part")())
    other = await database.write(lambda c: store.claim_signal(c, "s1", 7, "sell exit whole")())
    elsewhere = await database.write(lambda c: store.claim_signal(c, "s1", 8, "buy entry part")())
    await database.write(lambda c: store.finish_signal(c, "s1", 7, "buy entry part")())
    done = await database.write(lambda c: store.claim_signal(c, "s1", 7, "buy entry part")())
    assert (first, again, other, elsewhere, done) == (True, True, False, False, False)


async def test_what_was_left_is_told_in_order_and_forgotten(database: Database, nats: NatsServer) -> None:
    async with connected(nats) as (journal, life):
        outbox = Outbox(tables.OUTBOX, database, journal, tables.JOURNAL_MARK)
        left = [Message(SUBJECT, b"%d" % n, f"left-{n}") for n in range(700)]

        def commit(connection: Any) -> None:
            for message in left:
                outbox.put(connection, message)

        await database.write(commit)
        # One of them was published by a process that died before it could forget it.
        await journal.publish(*left[3])
        life.spawn(outbox.run(life.stopping), name="outbox")
        async with asyncio.timeout(30):
            while await database.read(lambda c: c.execute(sa.select(tables.OUTBOX).limit(1)).all()):
                await asyncio.sleep(0.01)
        told = await messages(journal)
        assert told == [b"3", *(m.payload for m in left if m.payload != b"3")]
        mark = await database.read(lambda c: read_mark(c, tables.JOURNAL_MARK))
        assert mark.sequence == 700


async def test_messages_of_lanes_of_others_are_left_to_them(database: Database, nats: NatsServer) -> None:
    async with connected(nats) as (journal, _):
        outbox = Outbox(tables.OUTBOX, database, journal, lanes=lambda: (1, 3))
        for lane in range(5):
            message = Message(SUBJECT, b"%d" % lane, f"m{lane}")
            await database.write(lambda c, m=message, n=lane: outbox.put(c, m, lane=n))  # type: ignore[misc]
        await outbox._sweep()
        assert await messages(journal) == [b"1", b"3"]
        await outbox.send_lane(4)
        assert await messages(journal) == [b"1", b"3", b"4"]
        rows = await database.read(lambda c: c.execute(sa.select(tables.OUTBOX.c.lane)).scalars().all())
        assert sorted(rows) == [0, 2]
