"""How replicas share lanes and hand them over: real broker, both databases."""

import asyncio
import shutil
from pathlib import Path

import pytest
from vantixs.model.ids import LANES
from vantixs.runtime.database import Database
from vantixs.testing.journal import connected
from vantixs.testing.nats import NatsServer
from vantixs_router.fence import LeaseLost
from vantixs_router.lanes import table

from tests.support.lane_replicas import (
    Handled,
    OpenAnother,
    Replica,
    send,
    start_replica,
)
from tests.support.until import until


async def test_replicas_share_the_lanes_as_they_come_and_go_and_each_signal_is_handled_once_in_order(
    nats: NatsServer, database: Database, open_another: OpenAnother, tmp_path: Path
) -> None:
    others = [await open_another() for _ in range(2)]
    async with connected(nats) as (journal, life):
        handled = Handled()
        keys = [f"k{n}" for n in range(12)]
        sending = asyncio.Event()

        async def keep_sending() -> None:
            number = 0
            while not sending.is_set():
                number += 1
                for place, key in enumerate(keys):
                    await send(journal, f"{key} {number}", lane=place * 2)

        first = start_replica(life, journal, database, handled, tmp_path, instance="0")
        await until(lambda: first.owned == LANES)
        sender = asyncio.create_task(keep_sending())
        rest = [
            start_replica(life, journal, other, handled, tmp_path, instance=str(n)) for n, other in enumerate(others, 1)
        ]
        replicas: list[Replica] = [first, *rest]
        await until(lambda: sorted(r.owned for r in replicas) == [10, 11, 11])
        await rest[0].stop()
        await until(lambda: first.owned == rest[1].owned == 16)
        await first.stop()
        await until(lambda: rest[1].owned == LANES)
        sending.set()
        await sender
        sent = int(handled.by_key["k0"][-1])
        await until(lambda: all(len(handled.by_key[k]) >= sent for k in keys))
        for key in keys:
            assert handled.by_key[key] == [str(n) for n in range(1, len(handled.by_key[key]) + 1)], key
        await rest[1].stop()


async def test_two_replicas_of_one_name_never_own_a_lane_together(
    nats: NatsServer, database: Database, open_another: OpenAnother, tmp_path: Path
) -> None:
    """Copies of one home, or a file system whose locks do not exclude: the second one's locks are elsewhere."""
    other = await open_another()
    async with connected(nats) as (journal, life):
        handled = Handled()
        first = start_replica(life, journal, database, handled, tmp_path / "a")
        await until(lambda: first.owned == LANES)
        shutil.copytree(tmp_path / "a", tmp_path / "b")
        second = start_replica(life, journal, other, handled, tmp_path / "b")
        assert second.leases.name == first.leases.name
        await until(lambda: first.owned == second.owned == LANES // 2)
        assert not set(first.runner.owned()) & set(second.runner.owned())
        owners = {row.owner for row in await database.read(table.read_lanes)}
        assert owners == {first.leases.name, second.leases.name}
        assert len(owners) == 2
        for replica in (first, second):
            await replica.stop()


async def test_lane_is_handed_over_after_a_lease_although_a_signal_of_it_takes_for_ever(
    nats: NatsServer, database: Database, open_another: OpenAnother, tmp_path: Path
) -> None:
    other = await open_another()
    async with connected(nats) as (journal, life):
        before, after = Handled(), Handled()
        for lane in range(LANES):
            before.held[f"a{lane}"] = asyncio.Event()
        first = start_replica(life, journal, database, before, tmp_path, instance="0", lease_s=1)
        for lane in range(LANES):
            await send(journal, f"a{lane} 1", lane=lane)
        await until(lambda: len(before.fences) == LANES)
        second = start_replica(life, journal, other, after, tmp_path, instance="1", lease_s=1)
        await until(lambda: second.owned and after.count >= LANES // 2)
        lane = next(iter(second.runner.owned()))
        with pytest.raises(LeaseLost):
            await database.write(lambda c: before.fences[f"a{lane} 1"].hold(c)())
        for event in before.held.values():
            event.set()
        for replica in (first, second):
            await replica.stop()
