"""Lanes: a real broker, both databases, replicas that start, stop, freeze, and come back too late."""

import asyncio
import shutil
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from nats.js.api import AckPolicy, ConsumerConfig
from vantixs.model.ids import LANES, accepted_subject, event_subject
from vantixs.runtime.continuity import StreamFacts
from vantixs.runtime.database import Database
from vantixs.runtime.journal import STREAM, Journal, Message
from vantixs.runtime.journal_reader import Delivery, Reader
from vantixs.runtime.lifecycle import Lifecycle
from vantixs.runtime.outbox import Outbox
from vantixs.testing.journal import connected, messages
from vantixs.testing.nats import NatsServer
from vantixs.testing.proxy import TcpProxy
from vantixs_router import parked_signals, tables
from vantixs_router.fence import Fence, LeaseLost
from vantixs_router.lanes import table
from vantixs_router.lanes.outcome import Outcome

from tests.support.lane_replicas import Replica, open_router_database, send, start_replica, until


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = await open_router_database(database_url)
    yield opened
    await opened.close()


class Handled:
    """Notes what is handled, by key; `hold` keeps a key's deliveries waiting."""

    def __init__(self) -> None:
        self.by_key: dict[str, list[str]] = defaultdict(list)
        self.fences: dict[str, Fence] = {}
        self.held: dict[str, asyncio.Event] = {}

    @property
    def count(self) -> int:
        return sum(map(len, self.by_key.values()))

    async def __call__(self, delivery: Delivery, fence: Fence) -> Outcome:
        key, _, number = delivery.data.decode().partition(" ")
        self.fences[delivery.data.decode()] = fence
        if key in self.held:
            await self.held[key].wait()
        self.by_key[key].append(number)
        return Outcome.DONE


async def cursors(database: Database) -> dict[int, int]:
    return {row.lane: row.cursor for row in await database.read(table.read_lanes)}


async def cursor_is(database: Database, lane: int, cursor: int) -> None:
    async with asyncio.timeout(30):
        while (await cursors(database)).get(lane) != cursor:
            await asyncio.sleep(0.02)


async def test_keys_are_in_order_and_at_the_same_time_and_the_cursor_passes_what_is_finished(
    nats: NatsServer, database: Database, tmp_path: Path
) -> None:
    async with connected(nats) as (journal, life):
        handled = Handled()
        handled.held["slow"] = asyncio.Event()
        replica = start_replica(life, journal, database, handled, tmp_path)
        await send(journal, "a 1", "slow 1", "a 2", "slow 2", "b 1", "a 3", lane=5)
        await until(lambda: handled.by_key["a"] == ["1", "2", "3"] and handled.by_key["b"] == ["1"])
        assert handled.by_key["slow"] == []
        await cursor_is(database, 5, 1)
        handled.held["slow"].set()
        await until(lambda: handled.by_key["slow"] == ["1", "2"])
        await cursor_is(database, 5, 6)
        await cursor_is(database, 6, 6)  # A lane that nothing was sent to is past everything as well.
        await replica.stop()
        assert {row.owner for row in await database.read(table.read_lanes)} == {table.NOBODY}


async def test_replicas_share_the_lanes_as_they_come_and_go_and_each_signal_is_handled_once_in_order(
    nats: NatsServer, database: Database, database_url: str, tmp_path: Path
) -> None:
    others = [await open_router_database(database_url) for _ in range(2)]
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
    for other in others:
        await other.close()


async def test_replica_that_froze_is_taken_over_after_its_lease_and_can_commit_nothing_more(
    nats: NatsServer, database: Database, database_url: str, tmp_path: Path
) -> None:
    other = await open_router_database(database_url)
    async with connected(nats) as (journal, life):
        before, after = Handled(), Handled()
        before.held["a"] = asyncio.Event()
        frozen = start_replica(life, journal, database, before, tmp_path, instance="0", lease_s=1)
        await send(journal, "a 1", "b 1", lane=3)
        await until(lambda: "a 1" in before.fences and before.by_key["b"] == ["1"])
        fence = before.fences["a 1"]
        await database.write(lambda c: fence.hold(c)())
        await frozen.freeze()
        started = asyncio.get_running_loop().time()
        successor = start_replica(life, journal, other, after, tmp_path, instance="1", lease_s=1)
        await until(lambda: after.by_key["a"] == ["1"])
        assert asyncio.get_running_loop().time() - started < 20
        with pytest.raises(LeaseLost, match="lane 3"):
            await database.write(lambda c: fence.hold(c)())
        assert fence.remaining_s() <= 0
        assert after.by_key["b"] in ([], ["1"]), (
            "what was done behind the cursor may come again: its id says that it is done"
        )
        await successor.stop()
    await other.close()


async def test_successor_of_an_instance_takes_its_lanes_at_once(
    nats: NatsServer, database: Database, tmp_path: Path
) -> None:
    async with connected(nats) as (journal, life):
        before, after = Handled(), Handled()
        frozen = start_replica(life, journal, database, before, tmp_path, lease_s=60)
        await send(journal, "a 1")
        await until(lambda: before.by_key["a"] == ["1"])
        await frozen.freeze()
        successor = start_replica(life, journal, database, after, tmp_path, lease_s=60)
        await send(journal, "a 2")
        await until(lambda: after.by_key["a"][-1:] == ["2"])
        with pytest.raises(LeaseLost):
            await database.write(lambda c: before.fences["a 1"].hold(c)())
        await successor.stop()


async def test_instance_that_runs_already_gets_a_name_of_its_own(
    nats: NatsServer, database: Database, tmp_path: Path
) -> None:
    async with connected(nats) as (journal, life):
        handled = Handled()
        replicas = [start_replica(life, journal, database, handled, tmp_path) for _ in range(2)]
        await until(lambda: [r.owned for r in replicas] == [16, 16])
        for replica in replicas:
            await replica.stop()


async def test_signal_that_is_parked_holds_nothing_comes_again_and_comes_first_at_the_next_owner(
    nats: NatsServer, database: Database, tmp_path: Path
) -> None:
    order: list[str] = []
    waiting = {"a 1", "a 3"}

    async def handle(delivery: Delivery, fence: Fence) -> Outcome:
        text = delivery.data.decode()
        if text in waiting:
            parked = parked_signals.Parked(
                signal_id=text, lane=0, key="a", stream_sequence=delivery.stream_sequence, subject=delivery.subject,
                data=delivery.data, deliver_time=delivery.time, why="waits", since=delivery.time,
            )  # fmt: skip
            await database.write(lambda c: parked_signals.park(c, parked))
            return Outcome.PARKED
        await database.write(lambda c: parked_signals.unpark(c, text))
        order.append(text)
        return Outcome.DONE

    async with connected(nats) as (journal, life):
        frozen = start_replica(life, journal, database, handle, tmp_path)
        await send(journal, "a 1", "a 2", "a 3", "a 4")
        await cursor_is(database, 0, 4)
        assert order == ["a 2", "a 4"]
        waiting.discard("a 1")
        await until(lambda: order == ["a 2", "a 4", "a 1"])
        await journal.js.purge_stream(STREAM, seq=5)
        await frozen.freeze()
        await send(journal, "a 5")
        waiting.clear()
        successor = start_replica(life, journal, database, handle, tmp_path)
        await until(lambda: order[3:] == ["a 3", "a 5"])
        assert await database.read(table.count_parked) == {}
        await successor.stop()


async def test_order_of_a_key_is_kept_through_retries_and_failures(
    nats: NatsServer, database: Database, tmp_path: Path
) -> None:
    async with connected(nats) as (journal, life):
        tries: list[str] = []

        async def handle(delivery: Delivery, fence: Fence) -> Outcome:
            text = delivery.data.decode()
            tries.append(text)
            if text == "a 1" and tries.count(text) == 1:
                return Outcome.RETRY
            if text == "a 2" and tries.count(text) == 1:
                raise LookupError("a fault of ours")
            return Outcome.DONE

        replica = start_replica(life, journal, database, handle, tmp_path)
        await send(journal, "a 0", "a 1", "a 2", "a 3")
        await until(lambda: tries[-1:] == ["a 3"])
        assert tries == ["a 0", "a 1", "a 1", "a 2", "a 2", "a 3"]
        await replica.stop()


async def test_delivery_that_is_lost_on_its_way_is_read_again(
    nats: NatsServer, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = Reader._fetch
    lost: list[bytes] = []

    async def lossy(reader: Reader) -> list[object]:
        messages = await fetch(reader)
        for message in messages:
            if message.data == b"a 3" and not lost:
                lost.append(message.data)
                return [m for m in messages if m is not message]
        return list(messages)

    monkeypatch.setattr(Reader, "_fetch", lossy)
    async with connected(nats) as (journal, life):
        handled = Handled()
        await send(journal, *(f"a {n}" for n in range(6)))
        replica = start_replica(life, journal, database, handled, tmp_path)
        await until(lambda: handled.by_key["a"] == [str(n) for n in range(6)])
        assert lost
        await replica.stop()


async def test_broker_that_is_killed_costs_no_delivery_and_no_order(
    nats: NatsServer, database: Database, tmp_path: Path
) -> None:
    async with connected(nats) as (journal, life):
        handled = Handled()
        replica = start_replica(life, journal, database, handled, tmp_path)
        await send(journal, *(f"a {n}" for n in range(20)))
        nats.kill()
        sending = asyncio.create_task(send(journal, *(f"a {n}" for n in range(20, 40))))
        nats.start()
        await sending
        await until(lambda: handled.by_key["a"] == [str(n) for n in range(40)])
        await replica.stop()


async def test_consumers_of_an_earlier_version_are_taken_over_and_removed(
    nats: NatsServer, database: Database, tmp_path: Path
) -> None:
    async with connected(nats) as (journal, life):
        for lane in range(LANES):
            await journal.js.add_consumer(
                STREAM,
                ConsumerConfig(
                    durable_name=f"router-lane-{lane:02d}",
                    filter_subject=accepted_subject(lane),
                    ack_policy=AckPolicy.EXPLICIT,
                ),
            )
        await send(journal, "a 1", "a 2", "a 3")
        (first,) = await (await journal.js.pull_subscribe_bind("router-lane-00", stream=STREAM)).fetch(1)
        await first.ack_sync()
        handled = Handled()
        replica = start_replica(life, journal, database, handled, tmp_path)
        await until(lambda: handled.by_key["a"] == ["2", "3"])
        assert await journal.js.consumers_info(STREAM, offset=0) is not None
        names = [info.name for info in await journal.js.consumers_info(STREAM)]
        assert not [name for name in names if name.startswith("router-lane-")]
        await replica.stop()


async def test_stream_that_an_operator_accepted_is_read_from_its_beginning(
    nats: NatsServer, database: Database, tmp_path: Path
) -> None:
    async with connected(nats) as (journal, life):
        handled = Handled()
        replica = start_replica(life, journal, database, handled, tmp_path)
        await send(journal, *(f"a {n}" for n in range(5)))
        await until(lambda: handled.count == 5)
        await cursor_is(database, 0, 5)
        await journal.js.delete_stream(STREAM)
        await until(lambda: journal.gap)

        async def nothing(_: StreamFacts, __: int) -> None:
            """Nobody keeps a record here."""

        await journal.accept_gap(nothing)
        await send(journal, "a 5", "a 6")
        await until(lambda: handled.by_key["a"] == [str(n) for n in range(7)])
        await cursor_is(database, 0, 2)
        await replica.stop()


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


async def test_two_replicas_of_one_name_never_own_a_lane_together(
    nats: NatsServer, database: Database, database_url: str, tmp_path: Path
) -> None:
    """Copies of one home, or a file system whose locks do not exclude: the second one's locks are elsewhere."""
    other = await open_router_database(database_url)
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
    await other.close()


async def test_lane_is_handed_over_after_a_lease_although_a_signal_of_it_takes_for_ever(
    nats: NatsServer, database: Database, database_url: str, tmp_path: Path
) -> None:
    other = await open_router_database(database_url)
    async with connected(nats) as (journal, life):
        before, after = Handled(), Handled()
        for lane in range(LANES):
            before.held[f"a{lane}"] = asyncio.Event()
        first = start_replica(life, journal, database, before, tmp_path, instance="0", lease_s=1)
        for lane in range(LANES):
            await send(journal, f"a{lane} 1", lane=lane)
        await until(lambda: len(before.fences) == LANES)
        second = start_replica(life, journal, other, after, tmp_path, instance="1", lease_s=1)
        await until(lambda: second.owned == LANES // 2 and after.count == LANES // 2)
        lane = next(iter(second.runner.owned()))
        with pytest.raises(LeaseLost):
            await database.write(lambda c: before.fences[f"a{lane} 1"].hold(c)())
        for event in before.held.values():
            event.set()
        for replica in (first, second):
            await replica.stop()
    await other.close()


async def test_what_the_owner_before_committed_and_did_not_publish_is_told_before_its_lane_goes_on(
    nats: NatsServer, database: Database, tmp_path: Path
) -> None:
    async with connected(nats) as (journal, life):
        outbox = Outbox(tables.OUTBOX, database, journal)
        told = Message(event_subject("signal"), b"left", "left")
        await database.write(lambda c: outbox.put(c, told, lane=0))
        await send(journal, "a 1")
        stored: list[list[bytes]] = []

        async def handle(_: Delivery, __: Fence) -> Outcome:
            stored.append(await messages(journal))
            return Outcome.DONE

        replica = start_replica(life, journal, database, handle, tmp_path)
        await until(lambda: stored)
        assert stored == [[b"a 1", b"left"]]
        await replica.stop()


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
    silent: bool, nats: NatsServer, database: Database, database_url: str, tmp_path: Path
) -> None:
    other, proxy = await open_router_database(database_url), TcpProxy(nats.port)
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
        assert len(away.by_key["b"]) == LANES // 2
        assert there.by_key["a"] + away.by_key["a"] == ["2", "3", "1"]
        await cut.stop()
        await kept.stop()
    await other.close()


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
        assert alone.leases.remaining_s() > 0
        proxy.mend()
        await until(lambda: handled.by_key["a"] == ["1", "2"])
        assert [row.epoch for row in await database.read(table.read_lanes)] == epochs
        await alone.stop()


async def test_of_replicas_that_are_all_cut_off_one_keeps_the_lanes_until_one_is_connected(
    nats: NatsServer, database: Database, database_url: str, tmp_path: Path
) -> None:
    other, proxies = await open_router_database(database_url), [TcpProxy(nats.port), TcpProxy(nats.port)]
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
    await other.close()
