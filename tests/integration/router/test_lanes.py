"""Lanes: a real broker, both databases, replicas that start, stop, freeze, and come back too late."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from nats.js.api import AckPolicy, ConsumerConfig
from structlog.testing import capture_logs
from vantixs.model.ids import LANES, accepted_subject, event_subject
from vantixs.runtime.continuity import StreamFacts
from vantixs.runtime.database import Database
from vantixs.runtime.errors import unavailable
from vantixs.runtime.journal import STREAM, Message
from vantixs.runtime.journal_reader import Delivery, Reader
from vantixs.runtime.outbox import Outbox
from vantixs.testing.journal import connected, messages
from vantixs.testing.nats import NatsServer
from vantixs_router import parked_signals, tables
from vantixs_router.fence import Fence, LeaseLost
from vantixs_router.lanes import table
from vantixs_router.lanes.outcome import Outcome

from tests.support.lane_replicas import (
    Handled,
    OpenAnother,
    cursor_is,
    send,
    start_replica,
)
from tests.support.until import until


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


async def test_signal_waits_without_a_traceback_while_a_store_does_not_answer(
    nats: NatsServer, database: Database, tmp_path: Path
) -> None:
    async with connected(nats) as (journal, life):
        tries = 0

        async def handle(_delivery: Delivery, _fence: Fence) -> Outcome:
            nonlocal tries
            tries += 1
            if tries == 1:
                raise unavailable("STORAGE_UNAVAILABLE", "connection refused")
            return Outcome.DONE

        with capture_logs() as logs:
            replica = start_replica(life, journal, database, handle, tmp_path)
            await send(journal, "a 1", lane=5)
            await cursor_is(database, 5, 1)
            await replica.stop()
    (waiting,) = [line for line in logs if line["event"] in ("signal.waiting", "lane.failed")]
    assert waiting["event"] == "signal.waiting"
    assert "connection refused" in waiting["detail"]
    assert "exc_info" not in waiting


async def test_replica_that_froze_is_taken_over_after_its_lease_and_can_commit_nothing_more(
    nats: NatsServer, database: Database, open_another: OpenAnother, tmp_path: Path
) -> None:
    other = await open_another()
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


async def test_signal_that_waits_comes_again_although_one_of_the_stream_before_had_its_sequence_and_waits(
    nats: NatsServer, database: Database, tmp_path: Path
) -> None:
    async with connected(nats) as (journal, life):
        tries: Counter[str] = Counter()

        async def handle(delivery: Delivery, fence: Fence) -> Outcome:
            tries[delivery.data.decode()] += 1
            return Outcome.PARKED

        replica = start_replica(life, journal, database, handle, tmp_path)
        await send(journal, "a 1")
        await until(lambda: tries["a 1"] > 0)
        await journal.js.delete_stream(STREAM)
        await until(lambda: journal.gap)

        async def nothing(_: StreamFacts, __: int) -> None:
            """Nobody keeps a record here."""

        await journal.accept_gap(nothing)
        await send(journal, "a 2")
        await until(lambda: tries["a 2"] > 0)
        before = tries["a 1"]
        await until(lambda: tries["a 1"] > before + 5)
        assert tries["a 2"] > 1
        await replica.stop()


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
