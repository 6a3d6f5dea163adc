"""A PostgreSQL server that is frozen, cut off, locked, not there yet: an error within seconds, said by health, and over when it is over."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest
import sqlalchemy as sa
import vantixs_risk
from grpc_health.v1 import health_pb2, health_pb2_grpc
from vantixs.runtime import database as database_module
from vantixs.runtime import database_reader, database_writer
from vantixs.runtime.addresses import port_of, reserve_port
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.lifecycle import Lifecycle, StartupError, Stopped
from vantixs.runtime.settings import ServiceSettings
from vantixs.testing.postgres import PostgresServer
from vantixs.testing.proxy import TcpProxy

MIGRATIONS = Path(vantixs_risk.__file__).parent / "migrations"
ANSWER_S, SECONDS = 1.0, 30.0
ANSWER_LIMITS = (
    (database_writer, "WRITE_ANSWER_S"),
    (database_reader, "READ_ANSWER_S"),
    (database_reader, "QUICK_ANSWER_S"),
)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes 8 s otherwise, so that a test need not."""
    for module, name in ANSWER_LIMITS:
        monkeypatch.setattr(module, name, ANSWER_S)
    monkeypatch.setattr(database_module, "PROBE_S", 0.1)


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.new_database()


@pytest.fixture
def proxy(url: str) -> Iterator[TcpProxy]:
    made = TcpProxy(Path(url.partition("?host=")[2], ".s.PGSQL.5432")).start()
    yield made
    made.stop()


def through(proxy: TcpProxy, url: str) -> str:
    return url.partition("?host=")[0].replace("postgres:@/", f"postgres:@127.0.0.1:{proxy.port}/")


class Watched:
    """A database with its watch, as a service has it."""

    def __init__(self, database: Database, life: Lifecycle) -> None:
        self.database, self.health = database, life.health

    @property
    def state(self) -> tuple[bool, str]:
        return self.health.snapshot()["database"]

    async def until(self, ok: bool) -> str:
        async with asyncio.timeout(SECONDS):
            while "database" not in self.health.snapshot() or self.state[0] is not ok:
                await asyncio.sleep(0.02)
        return self.state[1]


@contextlib.asynccontextmanager
async def living(settings: ServiceSettings) -> AsyncIterator[Lifecycle]:
    async with asyncio.TaskGroup() as tasks:
        life = Lifecycle("risk", settings, tasks)
        yield life
        life.stopping.set()


@pytest.fixture
async def watched(url: str, proxy: TcpProxy) -> AsyncIterator[Watched]:
    settings = replace(ServiceSettings(), database_url=through(proxy, url))
    async with living(settings) as life:
        database = await Database.open(settings, "risk", MIGRATIONS, exclusive=False, life=life)
        watching = life.spawn(database.watch(life.health, life.stopping), name="watch")
        made = Watched(database, life)
        await made.until(ok=True)
        yield made
        await made.until(ok=True)
        life.stopping.set()
        await watching
        await database.close()


def insert(connection: sa.Connection) -> int:
    return connection.exec_driver_sql("INSERT INTO stamps (name, stamp) VALUES (gen_random_uuid()::text, 'x')").rowcount


def write(database: Database) -> Awaitable[Any]:
    return database.write(insert)


def read(database: Database) -> Awaitable[Any]:
    return database.read(lambda c: c.exec_driver_sql("SELECT count(*) FROM stamps").scalar())


async def fails(work: Awaitable[Any]) -> str:
    """Within seconds, and says why."""
    async with asyncio.timeout(SECONDS):
        with pytest.raises(ServiceError) as caught:
            await work
    assert caught.value.reason in ("STORAGE_UNAVAILABLE", "STORAGE_OUTCOME_UNKNOWN")
    return caught.value.detail


@pytest.mark.parametrize("work", [write, read], ids=["write", "read"])
async def test_what_a_black_hole_swallows_is_an_error_within_seconds_and_health_says_so(
    watched: Watched, proxy: TcpProxy, work: Callable[[Database], Awaitable[Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert await work(watched.database) is not None
    proxy.cut(silent=True)
    await fails(work(watched.database))
    assert await watched.until(ok=False)
    assert "database.unavailable" in capsys.readouterr().out
    proxy.mend()
    await watched.until(ok=True)
    assert await work(watched.database) is not None
    assert "database.available" in capsys.readouterr().out


@pytest.mark.parametrize("work", [write, read], ids=["write", "read"])
async def test_backend_that_is_frozen_is_given_up_for_another_one(
    watched: Watched, url: str, work: Callable[[Database], Awaitable[Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    """The kernel still acknowledges what is sent to it: no time-out of TCP ends that, and its own do not run."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as admin:
        query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'vantixs-risk'"
        frozen = [row[0] for row in admin.execute(query)]
        assert frozen
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        try:
            started = time.monotonic()
            # A write is told as failed; who reads is given another connection, as nothing is lost by asking again.
            with contextlib.suppress(ServiceError):
                await asyncio.wait_for(work(watched.database), SECONDS)
            async with asyncio.timeout(SECONDS):
                while await result_of(work(watched.database)) is None:
                    await asyncio.sleep(0.02)
            assert time.monotonic() - started < SECONDS
            assert "database.no_answer" in capsys.readouterr().out
            await watched.until(ok=True)
        finally:
            for pid in frozen:
                os.kill(pid, signal.SIGCONT)


async def result_of(work: Awaitable[Any]) -> Any:
    with contextlib.suppress(ServiceError):
        return await work
    return None


async def test_lock_that_another_session_holds_is_an_error_within_seconds_and_health_says_so(
    watched: Watched, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name in ANSWER_LIMITS[:2]:
        monkeypatch.setattr(module, name, 20.0)  # Longer than PostgreSQL lets a statement wait for a lock.
    with psycopg.connect(url.replace("+psycopg", "")) as holder:
        holder.execute("LOCK TABLE risk.stamps")
        assert "lock timeout" in await fails(write(watched.database))
        await watched.until(ok=False)
        assert "lock timeout" in await fails(read(watched.database))
        # What is tried at this moment works again, as it is another table: the failure still counts.
        assert "lock timeout" in await watched.until(ok=False)
        holder.rollback()
    assert await write(watched.database) == 1
    await watched.until(ok=True)


async def state_at(address: str) -> int:
    async with grpc.aio.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=5, wait_for_ready=True)
        return int(answer.status)


async def test_service_waits_for_a_database_that_is_not_there_yet(
    url: str, proxy: TcpProxy, capsys: pytest.CaptureFixture[str]
) -> None:
    proxy.cut()
    held = reserve_port()
    address = f"127.0.0.1:{port_of(held)}"
    settings = replace(ServiceSettings(), database_url=through(proxy, url), grpc_listen=address, viewer_token="v")
    async with living(settings) as life:
        opening = asyncio.create_task(Database.open(settings, "risk", MIGRATIONS, life=life))
        assert await state_at(address) == health_pb2.HealthCheckResponse.NOT_SERVING
        assert not opening.done()
        assert not life.health.ready
        assert "database.waiting" in capsys.readouterr().out
        proxy.mend()
        database = await asyncio.wait_for(opening, 20)
        assert await read(database) == 0
        await database.close()
    held.close()


async def test_service_that_waits_for_its_database_can_be_stopped(url: str, proxy: TcpProxy) -> None:
    proxy.cut(silent=True)
    held = reserve_port()
    address = f"127.0.0.1:{port_of(held)}"
    settings = replace(ServiceSettings(), database_url=through(proxy, url), grpc_listen=address, viewer_token="v")
    async with living(settings) as life:
        opening = asyncio.create_task(Database.open(settings, "risk", MIGRATIONS, life=life))
        assert await state_at(address) == health_pb2.HealthCheckResponse.NOT_SERVING
        life.stopping.set()
        with pytest.raises(Stopped):
            await asyncio.wait_for(opening, 20)
    held.close()


async def test_database_that_will_never_be_there_is_not_waited_for(url: str) -> None:
    for wrong in (url.replace("/t", "/absent-t", 1), url.replace("postgres:", "nobody:", 1)):
        settings = replace(ServiceSettings(), database_url=wrong, viewer_token="v")
        async with living(settings) as life:
            with pytest.raises(StartupError, match="does not exist"):
                await asyncio.wait_for(Database.open(settings, "risk", MIGRATIONS, life=life), 20)


async def test_a_text_that_postgresql_does_not_take_is_a_mistake_and_not_a_database_that_is_away(url: str) -> None:
    """Work in the background tries again after a ServiceError, for ever, and stops the process at a mistake."""
    database = await Database.open(replace(ServiceSettings(), database_url=url), "risk", MIGRATIONS)
    try:
        for work in (database.write, database.read):
            with pytest.raises(sa.exc.DataError, match="NUL"):
                await work(lambda c: c.execute(sa.text("SELECT CAST(:text AS text)"), {"text": "a\x00b"}))
    finally:
        await database.close()
