"""Lanes of replicas that are cut off from their database or their broker, alone or all together."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from vantixs.model.ids import LANES
from vantixs.runtime.database import Database
from vantixs.runtime.journal import Journal
from vantixs.runtime.lifecycle import Lifecycle
from vantixs.testing.journal import connected
from vantixs.testing.nats import NatsServer
from vantixs.testing.proxy import TcpProxy
from vantixs_router.fence import LeaseLost
from vantixs_router.lanes import table

from tests.support.lane_replicas import (
    Handled,
    OpenAnother,
    open_router_database,
    send,
    start_replica,
)
from tests.support.until import until


async def test_database_that_does_not_answer_ends_the_lease_for_whoever_asks(nats: NatsServer, tmp_path: Path) -> None:
    database = await open_router_database(f"sqlite:///{tmp_path / 'r.db'}")
    async with connected(nats) as (journal, life):
        handled = Handled()
        replica = start_replica(life, journal, database, handled, tmp_path, lease_s=1)
        await send(journal, "a 1")
        await until(lambda: "a 1" in handled.fences)
        blocking = sa.create_engine(f"sqlite:///{tmp_path / 'r.db'}").connect()
        blocking.exec_driver_sql("BEGIN EXCLUSIVE")
        await until(lambda: handled.fences["a 1"].remaining_s() <= 0)
        blocking.exec_driver_sql("ROLLBACK")
        await until(lambda: handled.fences["a 1"].remaining_s() > 0)
        blocking.close()
        blocking.engine.dispose()
        await replica.stop()
    await database.close()


@asynccontextmanager
async def connected_by(nats: NatsServer, proxy: TcpProxy) -> AsyncIterator[tuple[Journal, Lifecycle]]:
    """A journal whose connection the proxy can cut."""
    with through(nats, proxy) as server:
        async with connected(server) as opened:
            yield opened


@contextmanager
def through(nats: NatsServer, proxy: TcpProxy) -> Iterator[Any]:
    proxy.start()
    try:
        yield SimpleNamespace(url=f"nats://127.0.0.1:{proxy.port}", token=nats.token)
    finally:
        proxy.stop()


@pytest.mark.parametrize("silent", [False, pytest.param(True, marks=pytest.mark.long)])
async def test_replica_that_alone_is_cut_off_from_the_journal_leaves_its_lanes_and_comes_back(
    silent: bool, nats: NatsServer, database: Database, open_another: OpenAnother, tmp_path: Path
) -> None:
    other, proxy = await open_another(), TcpProxy(nats.port)
    async with connected(nats) as (journal, life), connected_by(nats, proxy) as (cut_journal, cut_life):
        there, away = Handled(), Handled()
        cut = start_replica(cut_life, cut_journal, database, away, tmp_path, instance="0", lease_s=1)
        kept = start_replica(life, journal, other, there, tmp_path, instance="1", lease_s=1)
        await until(lambda: cut.owned == kept.owned == LANES // 2)
        before = {row.lane for row in await database.read(table.read_lanes) if row.owner.startswith("0-")}
        lane = min(before)
        await send(journal, "a 1", lane=lane)
        await until(lambda: away.by_key["a"] == ["1"])
        proxy.cut(silent=silent)
        await until(lambda: kept.owned == LANES and cut.owned == 0)
        # It took the lane from the cursor that was saved: what was done does not come again.
        await send(journal, "a 2", "a 3", lane=lane)
        await until(lambda: there.by_key["a"] == ["2", "3"])
        assert cut.leases.remaining_s() <= 0
        with pytest.raises(LeaseLost):
            await database.write(lambda c: away.fences["a 1"].hold(c)())
        proxy.mend()
        await until(lambda: cut.owned == kept.owned == LANES // 2)
        for number in range(LANES):
            await send(journal, "b 1", lane=number)
        await until(lambda: len(there.by_key["b"]) + len(away.by_key["b"]) == LANES)
        # By whom is not asked: if the machine stands still for a lease, lanes change hands once more.
        assert there.by_key["a"] + away.by_key["a"] == ["2", "3", "1"]
        await cut.stop()
        await kept.stop()


async def test_replica_without_others_keeps_its_lanes_while_it_is_cut_off(
    nats: NatsServer, database: Database, tmp_path: Path
) -> None:
    proxy = TcpProxy(nats.port)
    async with connected(nats) as (journal, _), connected_by(nats, proxy) as (cut_journal, life):
        handled = Handled()
        alone = start_replica(life, cut_journal, database, handled, tmp_path, lease_s=1)
        await until(lambda: alone.owned == LANES)
        epochs = [row.epoch for row in await database.read(table.read_lanes)]
        proxy.cut()
        await until(lambda: not cut_journal.client.is_connected)
        cut_at = asyncio.get_running_loop().time()
        await send(journal, "a 1", "a 2")
        await until(lambda: asyncio.get_running_loop().time() > cut_at + 2.5)  # Two leases and a half.
        assert alone.owned == LANES
        await until(lambda: alone.leases.remaining_s() > 0)
        proxy.mend()
        await until(lambda: handled.by_key["a"] == ["1", "2"])
        assert [row.epoch for row in await database.read(table.read_lanes)] == epochs
        await alone.stop()


async def test_of_replicas_that_are_all_cut_off_one_keeps_the_lanes_until_one_is_connected(
    nats: NatsServer, database: Database, open_another: OpenAnother, tmp_path: Path
) -> None:
    other, proxies = await open_another(), [TcpProxy(nats.port), TcpProxy(nats.port)]
    async with (
        connected(nats) as (sender, _),
        connected_by(nats, proxies[0]) as (one, one_life),
        connected_by(nats, proxies[1]) as (two, two_life),
    ):
        handled = Handled()
        replicas = [
            start_replica(one_life, one, database, handled, tmp_path, instance="0", lease_s=1),
            start_replica(two_life, two, other, handled, tmp_path, instance="1", lease_s=1),
        ]
        await until(lambda: [replica.owned for replica in replicas] == [LANES // 2, LANES // 2])
        for proxy in proxies:
            proxy.cut()
        await until(lambda: sorted(replica.owned for replica in replicas) == [0, LANES])
        left = next(n for n, replica in enumerate(replicas) if not replica.owned)
        proxies[left].mend()
        await until(lambda: replicas[left].owned == LANES)
        await send(sender, "a 1", "a 2")
        await until(lambda: handled.by_key["a"] == ["1", "2"])
        proxies[1 - left].mend()
        await until(lambda: [replica.owned for replica in replicas] == [LANES // 2, LANES // 2])
        for replica in replicas:
            await replica.stop()
