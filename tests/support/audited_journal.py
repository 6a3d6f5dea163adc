"""A journal that audit records, and a router whose lanes may run: a real broker, real databases."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.ids import accepted_subject
from vantixs.runtime.database import Database
from vantixs.runtime.journal import STREAM, Journal
from vantixs.runtime.journal_reader import Delivery
from vantixs.runtime.lifecycle import Lifecycle
from vantixs.testing.journal import connected
from vantixs.testing.nats import NatsServer
from vantixs_audit import store
from vantixs_audit.main import MIGRATIONS
from vantixs_audit.recorder import Recorder
from vantixs_audit.retention import Retention
from vantixs_audit.settings import AuditSettings
from vantixs_router.fence import Fence
from vantixs_router.lanes.outcome import Outcome

from tests.support.lane_replicas import Handle, Replica, RouterOf, open_router_database, start_replica


def settings(**changes: Any) -> AuditSettings:
    return replace(AuditSettings(), **changes)


class Audited(NamedTuple):
    """A journal that is recorded, and a router whose lanes are run once `run` is called."""

    journal: Journal
    database: Database
    life: Lifecycle
    router: Database
    replicas: list[Replica]
    home: Path

    def run(self, handle: Handle) -> None:
        self.replicas.append(start_replica(self.life, self.journal, self.router, handle, self.home))

    def retention(self, **changes: Any) -> Retention:
        return Retention(self.database, self.journal, settings(**changes), RouterOf(self.router))  # type: ignore[arg-type]


@asynccontextmanager
async def auditing(nats: NatsServer, tmp_path: Path) -> AsyncIterator[Audited]:
    url = f"sqlite:///{tmp_path / 'audit.db'}"
    database = await Database.open(replace(AuditSettings(), database_url=url), "audit", MIGRATIONS)
    router = await open_router_database(f"sqlite:///{tmp_path / 'router.db'}")
    async with connected(nats, journal_first_bytes=1 << 20) as (journal, life):
        recorder = Recorder(database, journal, await database.read(store.read_head))
        recording = life.spawn(recorder.run(life.stopping), name="recorder")
        audited = Audited(journal, database, life, router, [], tmp_path)
        yield audited
        for replica in audited.replicas:
            await replica.stop()
        life.stopping.set()
        await asyncio.wait((recording,))
    await database.close()
    await router.close()


def noting(handled: list[int]) -> Handle:
    async def handle(delivery: Delivery, _: Fence) -> Outcome:
        handled.append(delivery.stream_sequence)
        return Outcome.DONE

    return handle


async def publish(journal: Journal, count: int, *, size: int = 100, name: str = "m", subject: str = "") -> None:
    """Publishes as signals of two lanes, or as what is given."""
    for number in range(count):
        event = journal_pb2.DeadLettered(data=bytes(size))
        entry = journal_pb2.JournalEntry(event_id=f"{name}-{number}", dead_lettered=event)
        entry.event_time.GetCurrentTime()
        payload = journal_pb2.JournalBatch(entries=[entry]).SerializeToString()
        await journal.publish(subject or accepted_subject(number % 2), payload, f"{name}-{number}")


async def recorded(database: Database, sequence: int) -> None:
    async with asyncio.timeout(20):
        while (await database.read(store.read_head)).mark.sequence < sequence:
            await asyncio.sleep(0.02)


async def first_of(journal: Journal) -> int:
    return (await journal.js.stream_info(STREAM)).state.first_seq
