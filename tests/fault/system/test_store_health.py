"""Health tells the truth of the databases: stopped, full, gone and full of noise."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.health import Health
from vantixs.runtime.settings import ServiceSettings
from vantixs.testing.postgres import PostgresServer
from vantixs.testing.promises import check_promises
from vantixs.testing.stack import RunningStack, wait_for

from tests.support.paths import ROOT
from tests.support.stores import STORES, serving

MIGRATIONS = ROOT / "services" / "risk" / "vantixs_risk" / "migrations"


def test_restart_of_postgresql_ends_nothing_and_health_tells_of_it(tmp_path: Path) -> None:
    server = PostgresServer(tmp_path / "postgres")
    stack = RunningStack(tmp_path / "home", VANTIXS_DATABASE_URL=server.new_database()).start()
    accepted = [stack.send({"action": "buy", "symbol": "BTCUSDT"}).json()["signal_id"]]
    before = {name: stack.pid(name) for name in STORES}
    server.halt()
    for name in STORES:
        wait_for(lambda name=name: not serving(stack, name), f"{name} to say that it has no database")
    accepted.append(stack.send({"action": "buy", "symbol": "ETHUSDT"}).json()["signal_id"])
    server.resume()
    for name in STORES:
        wait_for(lambda name=name: serving(stack, name), f"{name} to serve again")
    assert {name: stack.pid(name) for name in STORES} == before, "nobody was started again"
    check_promises(stack, accepted)
    assert stack.stop() == 0
    server.stop()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    path = tmp_path / "disk"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(path)], check=True)
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.fixture
async def watched(disk: Path) -> AsyncIterator[Health]:
    settings = ServiceSettings(database_url=f"sqlite:///{disk / 'risk.db'}")
    # Closed once, for all of it to be in the file and not in the log beside it.
    await (await Database.open(settings, "risk", MIGRATIONS)).close()
    database, health, stopping = await Database.open(settings, "risk", MIGRATIONS), Health(), asyncio.Event()
    task = asyncio.create_task(database.watch(health, stopping))
    await until(health, True)
    yield health
    stopping.set()
    await task
    await database.close()


async def until(health: Health, ok: bool) -> str:
    async with asyncio.timeout(30):
        while (state := health.snapshot().get("database")) is None or state[0] != ok:
            await asyncio.sleep(0.02)
    return state[1]


@pytest.mark.long  # Mounts a small disk, which takes root.
async def test_full_disk_is_told_and_passes(watched: Health, disk: Path) -> None:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        await asyncio.to_thread(fill, file.fileno())
    assert "full" in await until(watched, False)
    filler.unlink()
    await until(watched, True)


def fill(descriptor: int) -> None:
    while True:
        os.write(descriptor, bytes(4096))


@pytest.mark.long  # Mounts a small disk, which takes root.
async def test_file_that_is_gone_is_told(watched: Health, disk: Path) -> None:
    (disk / "risk.db").rename(disk / "elsewhere.db")
    assert "gone" in await until(watched, False)
    (disk / "elsewhere.db").rename(disk / "risk.db")
    await until(watched, True)


@pytest.mark.long  # Mounts a small disk, which takes root.
async def test_noise_in_the_file_is_told(watched: Health, disk: Path) -> None:
    with (disk / "risk.db").open("r+b") as file:
        file.seek(100)
        file.write(os.urandom(os.stat(disk / "risk.db").st_size - 100))
    assert await until(watched, False)


@pytest.mark.long  # Mounts a small disk, which takes root.
async def test_read_of_a_damaged_file_is_unavailable_and_no_end(disk: Path) -> None:
    settings = ServiceSettings(database_url=f"sqlite:///{disk / 'risk.db'}")
    await (await Database.open(settings, "risk", MIGRATIONS)).close()
    database = await Database.open(settings, "risk", MIGRATIONS)
    with (disk / "risk.db").open("r+b") as file:
        file.write(os.urandom(os.stat(disk / "risk.db").st_size))
    with pytest.raises(ServiceError, match="STORAGE_UNAVAILABLE"):
        await database.read(lambda c: c.execute(sa.text("SELECT * FROM alembic_version")).all())
    await database.close()
