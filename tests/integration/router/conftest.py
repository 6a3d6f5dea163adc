"""Routers, and their databases, that tests of signals, of orders that rest and of lanes share."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from vantixs.runtime.database import Database

from tests.support.lane_replicas import OpenAnother, open_router_database
from tests.support.router_rig import Router, router_on
from tests.support.working_rig import Rig


@pytest.fixture
async def router(database_url: str, tmp_path: Path) -> AsyncIterator[Router]:
    async with router_on(database_url, tmp_path) as made:
        yield made


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with router_on(f"sqlite:///{tmp_path / 'router.db'}", tmp_path) as made:
        yield Rig(made)


@pytest.fixture
async def rig_on_each(database_url: str, tmp_path: Path) -> AsyncIterator[Rig]:
    """On both databases, for what the statements are many of: a whole ladder, a restart, a crash after each step."""
    async with router_on(database_url, tmp_path) as made:
        yield Rig(made)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = await open_router_database(database_url)
    yield opened
    await opened.close()


@pytest.fixture
async def open_another(database: Database, database_url: str) -> AsyncIterator[OpenAnother]:
    """Opens the database once more, as another replica does; closed with the test, however it ends."""
    async with AsyncExitStack() as opened:

        async def open_it() -> Database:
            another = await open_router_database(database_url)
            opened.push_async_callback(another.close)
            return another

        yield open_it
