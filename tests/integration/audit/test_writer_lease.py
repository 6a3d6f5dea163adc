"""Of several audit processes one records at a time; another one takes over."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest
from vantixs.runtime.database import Database
from vantixs_audit.main import MIGRATIONS
from vantixs_audit.settings import AuditSettings
from vantixs_audit.writer_lease import WriterLease

from tests.support.until import until

LEASE_S = 1.0


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = await Database.open(replace(AuditSettings(), database_url=database_url), "audit", MIGRATIONS)
    yield opened
    await opened.close()


class Process:
    """One that has the lease where it can, and says so."""

    def __init__(self, database: Database, name: str, log: list[str]) -> None:
        self.lease = WriterLease(database, name, LEASE_S)
        self.stopping = asyncio.Event()
        self._log = log
        self._name = name
        self.task = asyncio.create_task(self.lease.run([self._work], self.stopping))

    async def _work(self, ended: asyncio.Event) -> None:
        self._log.append(f"{self._name} begins")
        await ended.wait()
        self._log.append(f"{self._name} ends")

    async def stop(self) -> None:
        self.stopping.set()
        await asyncio.wait_for(self.task, 20)

    def kill(self) -> None:
        self.task.cancel()


@pytest.fixture
def start(database: Database) -> Callable[[str, list[str]], Process]:
    return lambda name, log: Process(database, name, log)


async def test_one_works_and_the_other_goes_on_at_once_when_it_stops(
    start: Callable[[str, list[str]], Process],
) -> None:
    log: list[str] = []
    first = start("a", log)
    await until(lambda: log == ["a begins"])
    second = start("b", log)
    await asyncio.wait({first.task, second.task}, timeout=2 * LEASE_S)  # Longer than a lease: it is renewed.
    assert log == ["a begins"]
    await first.stop()
    await until(lambda: log == ["a begins", "a ends", "b begins"])
    await second.stop()
    assert log[-1] == "b ends"


async def test_one_that_was_killed_is_followed_after_its_lease_and_its_successor_at_once(
    start: Callable[[str, list[str]], Process],
) -> None:
    log: list[str] = []
    first = start("a", log)
    await until(lambda: log == ["a begins"])
    first.kill()
    again = start("a", log)
    await until(lambda: log == ["a begins", "a begins"])
    again.kill()
    other = start("b", log)
    await until(lambda: log[-1] == "b begins")
    await other.stop()


async def test_one_whose_database_is_away_stops_within_its_lease(
    start: Callable[[str, list[str]], Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    log: list[str] = []
    first = start("a", log)
    await until(lambda: log == ["a begins"])

    async def nothing() -> None:
        """What a renewal that fails does: the lease runs out."""

    monkeypatch.setattr(first.lease, "_renew", nothing)
    await until(lambda: log == ["a begins", "a ends"])
    monkeypatch.undo()
    await until(lambda: log == ["a begins", "a ends", "a begins"])
    await first.stop()


async def test_what_its_work_raises_ends_it(database: Database) -> None:
    async def fail(_: asyncio.Event) -> None:
        raise ValueError("not recorded")

    lease: WriterLease = WriterLease(database, "a", LEASE_S)
    run: Awaitable[None] = lease.run([fail], asyncio.Event())
    with pytest.RaisesGroup(ValueError):
        await run
