"""A store that is not the one that was served is refused until it is accepted, on both databases, by either record."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from vantixs.api.journal.v1 import journal_pb2
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.health import Health
from vantixs.runtime.home import Home
from vantixs.runtime.journal import Journal
from vantixs.runtime.lifecycle import Lifecycle
from vantixs.runtime.settings import ServiceSettings
from vantixs.runtime.store_guard import CLOSE_S, StoreGuard
from vantixs.runtime.store_identity import Identity
from vantixs.testing.nats import NatsServer
from vantixs_risk.main import MIGRATIONS

Served = Callable[[str, str], AbstractAsyncContextManager[StoreGuard]]


@pytest.fixture
def served(nats: NatsServer, tmp_path: Path) -> Served:
    """Serves the store of a database from a home, by their names."""

    @asynccontextmanager
    async def serve(home: str, url: str) -> AsyncIterator[StoreGuard]:
        opened = Home.open(tmp_path / home, create=True)
        settings = replace(
            ServiceSettings(), home=opened.path, nats_url=nats.url, nats_token=nats.token, database_url=url
        )
        database = await Database.open(settings, "risk", MIGRATIONS)
        async with asyncio.TaskGroup() as tasks:
            life = Lifecycle("risk", settings, tasks)
            health = Health()
            journal = Journal(settings, health)
            journal.start(life)
            await journal.connected()
            guard = StoreGuard("risk", database, settings, journal, health)
            await guard.start(life)
            try:
                yield guard
            finally:
                life.stopping.set()
                await guard.close()
                await journal.close()
                await database.close()
                life.cancel_rest()

    return serve


def database_of(guard: StoreGuard) -> Database:
    assert isinstance(guard.store, Database)
    return guard.store


async def entries_of(guard: StoreGuard) -> list[Any]:
    query = sa.text("SELECT payload FROM outbox ORDER BY position")
    rows = await database_of(guard).read(lambda c: c.execute(query).scalars().all())
    return [entry for row in rows for entry in journal_pb2.JournalBatch.FromString(row).entries]


def lose(url: str) -> None:
    """The database is gone, and a new one is made in its place."""
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        if url.startswith("sqlite"):
            names = sa.inspect(connection).get_table_names()
            for name in names:
                connection.exec_driver_sql(f'DROP TABLE "{name}"')
        else:
            connection.exec_driver_sql("DROP SCHEMA risk CASCADE")
    engine.dispose()


@pytest.mark.parametrize("home", ["same", "another"])
async def test_lost_database_is_refused_until_it_is_accepted(served: Served, database_url: str, home: str) -> None:
    async with served("same", database_url) as guard:
        assert guard.problem == ""
        first = guard.message().found.store_id
    lose(database_url)
    # Another home, as on another machine, has only the broker's record.
    async with served(home, database_url) as guard:
        assert f"expected store {first}" in guard.problem
        assert guard.problem.endswith("or run `vantixs store accept risk`")
        with pytest.raises(ServiceError, match="STORE_NOT_ACCEPTED"):
            await database_of(guard).read(lambda c: None)
        with pytest.raises(ServiceError, match="STORE_CHANGED"):
            await guard.accept(first, "", "operator:ann")
        await guard.accept(guard.message().found.store_id, "known", "operator:ann")
        assert guard.problem == ""
        (entry,) = await entries_of(guard)
        assert (entry.actor, entry.configuration_changed.kind) == ("operator:ann", "store")
        assert guard.restore_ms > 0
    # It stays accepted, also where the home still has the record of the one before.
    async with served("same", database_url) as guard:
        assert guard.problem == ""
        with pytest.raises(ServiceError, match="STORE_AS_EXPECTED"):
            await guard.accept(guard.message().found.store_id, "", "operator:ann")


@pytest.mark.parametrize("lost", ["", "data/stores.json"])
async def test_older_copy_is_refused(served: Served, database_url: str, tmp_path: Path, lost: str) -> None:
    async with served("home", database_url) as guard:
        older = await database_of(guard).read_identity()
        await database_of(guard).write(lambda c: None)
    assert older
    engine = sa.create_engine(database_url)
    with engine.begin() as connection:
        schema = "" if database_url.startswith("sqlite") else "risk."
        found = connection.exec_driver_sql(f"SELECT epoch FROM {schema}store_identity").scalar()
        assert found == older.epoch + 1
        connection.exec_driver_sql(f"UPDATE {schema}store_identity SET epoch = {older.epoch}")
    engine.dispose()
    if lost:
        (tmp_path / "home" / lost).unlink()
    async with served("home", database_url) as guard:
        assert f"found it at epoch {older.epoch}: an older copy" in guard.problem


async def test_store_that_another_process_goes_on_with_meanwhile_is_not_an_older_copy(
    served: Served, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served("home", database_url) as one, served("home", database_url) as other:
        read = one.store.read_identity

        async def overtaken() -> Identity | None:
            found = await read()
            await other._advance()
            return found

        monkeypatch.setattr(one.store, "read_identity", overtaken)
        for _ in range(3):
            await one._compare()
            assert not one.problem


async def test_store_that_another_process_has_not_recorded_yet_is_not_refused(
    served: Served, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served("home", database_url) as one, served("home", database_url) as other:
        await other._advance()
        read, looks = one._records, []

        async def not_yet(*, required: bool = False) -> list[Identity | None]:
            looks.append(required)
            return [None, None] if len(looks) < 3 else await read(required=required)

        monkeypatch.setattr(one, "_records", not_yet)
        await one._compare()
        assert not one.problem
        assert len(looks) == 3


async def test_store_that_nobody_has_a_record_of_is_refused(served: Served, tmp_path: Path, nats: NatsServer) -> None:
    url = f"sqlite:///{tmp_path / 'moved.db'}"
    async with served("home", url) as guard:
        await database_of(guard).write_identity(Identity.next)
    async with served("home", url) as guard:
        js = guard._journal.js
        await js.delete_key_value("vantixs-stores")
    (tmp_path / "home" / "data" / "stores.json").write_text("{}")
    async with served("home", url) as guard:
        assert "found none: neither in the home nor at the broker" in guard.problem


async def test_end_of_a_service_does_not_wait_for_a_broker_that_is_gone(
    served: Served, database_url: str, nats: NatsServer
) -> None:
    async with served("home", database_url) as guard:
        await database_of(guard).write(lambda c: None)
        nats.freeze()
        started = time.monotonic()
        await guard.close()
        took = time.monotonic() - started
        nats.thaw()
    assert took < CLOSE_S + 8


async def test_broker_that_answers_once_and_is_gone_again_is_waited_for(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'risk.db'}"
    async with served("home", url) as guard, asyncio.TaskGroup() as tasks:
        life = Lifecycle("risk", ServiceSettings(), tasks)
        empty = Home.open(tmp_path / "empty", create=True).path
        (empty / "data" / "stores.json").unlink()
        again = StoreGuard("risk", guard.store, replace(ServiceSettings(), home=empty), guard._journal, Health())
        read, answers = again._broker.read, iter([True, False, False])

        async def now_and_then(name: str) -> Identity | None:
            if not next(answers, True):
                raise TimeoutError
            return await read(name)

        monkeypatch.setattr(again._broker, "read", now_and_then)
        await asyncio.wait_for(again.start(life), 20)
        assert next(answers, None) is None, "it was asked until it answered twice in a row"
        assert again._expected is not None
        life.stopping.set()
        await again.close()


async def test_service_that_waits_for_the_broker_can_be_stopped(
    served: Served, tmp_path: Path, nats: NatsServer
) -> None:
    url = f"sqlite:///{tmp_path / 'risk.db'}"
    async with served("home", url) as guard, asyncio.TaskGroup() as tasks:
        life = Lifecycle("risk", ServiceSettings(), tasks)
        # A home of its own: the first guard has compared the store and goes on recording it in its home.
        empty = Home.open(tmp_path / "empty", create=True).path
        records = empty / "data" / "stores.json"
        records.unlink()
        again = StoreGuard("risk", guard.store, replace(ServiceSettings(), home=empty), guard._journal, Health())
        nats.freeze()
        starting = asyncio.create_task(again.start(life))
        done, _ = await asyncio.wait([starting], timeout=0.5)
        assert not done
        life.stopping.set()
        await asyncio.wait_for(starting, 60)
        await again.close()
        assert not records.exists(), "a store that was not compared is recorded as the right one"
        nats.thaw()
