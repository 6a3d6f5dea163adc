"""Watches on both databases: they miss nothing when cut off, keep to their filter, and end when they are too slow."""

import asyncio
import contextlib
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa
from vantixs.api.audit.v1 import audit_pb2
from vantixs.runtime.errors import ServiceError
from vantixs_audit import recorder, store
from vantixs_audit import watch_signals as watch_module
from vantixs_audit.tables import SIGNALS
from vantixs_audit.watch_signals import watch_signals

from tests.support.history_reads import Reads
from tests.support.history_rig import deliveries


async def nothing() -> None:
    """For a watch whose beginning nobody waits for."""


async def test_watch_that_is_cut_off_again_and_again_misses_no_state_that_stayed(
    reads: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vantixs_audit.watch_signals.AT_ONCE", 7)
    random = Random(3)
    await reads.record(deliveries(random, 5, "before"), random, copy=False)
    begin = (await reads.database.read(store.read_head)).sequence
    last: dict[str, int] = {}
    position = begin

    async def watch(cut: int) -> None:
        nonlocal position
        request = audit_pb2.WatchSignalsRequest(after_sequence=position, heartbeat_s=1)
        async with contextlib.aclosing(watch_signals(reads.database, reads.watchers, request, nothing)) as changes:
            async for change in changes:
                assert change.sequence >= position
                position = change.sequence
                if change.HasField("signal"):
                    assert change.signal.sequence > last.get(change.signal.signal_id, begin), "told twice"
                    last[change.signal.signal_id] = change.signal.sequence
                    cut -= 1
                # Nothing comes any more where all was told before anybody knew where the end is.
                if not cut or position == end or (writing.done() and not change.HasField("signal")):
                    return

    end = 0
    async with reads.following() as follower, asyncio.timeout(100):
        writing = asyncio.create_task(reads.record(deliveries(random, 60, "now"), random, copy=False))
        while not (writing.done() and position == end):
            await watch(random.randint(1, 9))
            follower.wake()
            if writing.done():
                end = (await reads.database.read(store.read_head)).sequence
        await writing
    query = sa.select(SIGNALS.c.signal_id, SIGNALS.c.sequence).where(SIGNALS.c.sequence > begin)
    assert last == {r.signal_id: r.sequence for r in await reads.database.read(lambda c: c.execute(query).all())}


async def test_watch_by_a_filter_tells_only_what_it_means(reads: Reads) -> None:
    random = Random(4)
    request = audit_pb2.WatchSignalsRequest(heartbeat_s=300)
    request.filter.expression = 'webhook = "w1"'
    begun = asyncio.Event()

    async def begin() -> None:
        begun.set()

    told: list[audit_pb2.SignalSummary] = []

    async def watch() -> None:
        async for change in watch_signals(reads.database, reads.watchers, request, begin):
            if change.HasField("signal"):
                told.append(change.signal)

    async with reads.following() as follower, asyncio.timeout(60):
        watching = asyncio.create_task(watch())
        await begun.wait()
        await reads.record(deliveries(random, 20), random, copy=False)
        query = sa.select(SIGNALS.c.sequence).where(SIGNALS.c.webhook_id == "w1").order_by(SIGNALS.c.sequence.desc())
        newest = await reads.database.read(lambda c: c.execute(query).scalar())
        while not (told and told[-1].sequence == newest):
            follower.wake()
            await asyncio.sleep(0.01)
        reads.watchers.close()
        await watching
    assert {signal.webhook_id for signal in told} == {"w1"}


async def test_heartbeats_come_while_only_changes_of_others_arrive() -> None:
    watchers, told = recorder.Watchers(1), 0

    async def begin() -> recorder.Begin:
        return recorder.Begin([], 0)

    async def tell() -> None:
        nonlocal told
        while True:
            told += 1
            other = audit_pb2.SignalSummary(signal_id="s", webhook_id="other", sequence=told)
            watchers.tell([other], told)
            await asyncio.sleep(0.001)

    telling = asyncio.create_task(tell())
    filter_ = audit_pb2.SignalFilter(webhook_id="mine")
    async with asyncio.timeout(60), contextlib.aclosing(watchers.watch(begin, filter_, 0.1)) as changes:
        beats = [await anext(changes) for _ in range(4)]
        watchers.tell([audit_pb2.SignalSummary(webhook_id="mine", sequence=told + 1)], told + 1)
        while (change := await anext(changes)).signal is None:
            pass
    telling.cancel()
    assert change.signal.webhook_id == "mine"
    assert all(beat.signal is None for beat in beats)
    positions = [beat.sequence for beat in beats]
    assert positions == sorted(set(positions)), "each goes on from a later sequence"


async def test_heartbeats_come_while_a_watch_reads_what_it_missed(
    reads: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "AT_ONCE", 1)
    await reads.record(deliveries(Random(5), 5), Random(5), copy=False)
    page, later = watch_module._page, 0.0
    loop = asyncio.get_running_loop()
    real = loop.time

    async def slow(*arguments: Any) -> Any:
        nonlocal later
        later += 0.6
        return await page(*arguments)

    monkeypatch.setattr(watch_module, "_page", slow)
    monkeypatch.setattr(loop, "time", lambda: real() + later)
    request = audit_pb2.WatchSignalsRequest(after_sequence=1, heartbeat_s=1)
    request.filter.webhook_id = "none"
    async with contextlib.aclosing(watch_signals(reads.database, reads.watchers, request, nothing)) as changes:
        beats = [await anext(changes) for _ in range(3)]
    assert not any(beat.HasField("signal") for beat in beats)
    end = (await reads.database.read(store.read_head)).sequence
    assert 1 < beats[0].sequence < beats[1].sequence < beats[2].sequence < end


async def test_watch_refuses_what_it_cannot_mean(reads: Reads) -> None:
    wrong = audit_pb2.WatchSignalsRequest(filter=audit_pb2.SignalFilter(expression="(("))
    requests = [audit_pb2.WatchSignalsRequest(after_sequence=n) for n in (1, -1)]
    for request in (wrong, audit_pb2.WatchSignalsRequest(heartbeat_s=301), *requests):
        with pytest.raises(ServiceError) as caught:
            await anext(watch_signals(reads.database, reads.watchers, request, nothing))
        assert caught.value.code.name == "INVALID_ARGUMENT"


async def test_slow_reader_ends_with_a_reason_and_too_many_are_refused(
    reads: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "WATCH_QUEUE", 2)
    request = audit_pb2.WatchSignalsRequest(heartbeat_s=300)
    watches = [watch_signals(reads.database, reads.watchers, request, nothing) for _ in range(4)]
    for watch in watches[:3]:
        assert not (await anext(watch)).HasField("signal")
    with pytest.raises(ServiceError, match="too many watch already"):
        await anext(watches[3])
    signals = [audit_pb2.SignalSummary(signal_id=str(n), sequence=n) for n in range(1, 5)]
    reads.watchers.tell(signals[:2], 2)
    reads.watchers.tell(signals[2:], 4)
    # What was kept is told; then it ends, and what was not kept is after the last sequence.
    assert [(await anext(watches[0])).sequence for _ in range(2)] == [1, 2]
    with pytest.raises(ServiceError) as caught:
        await anext(watches[0])
    assert (caught.value.code.name, caught.value.reason) == ("UNAVAILABLE", "WATCH_TOO_SLOW")
    for watch in watches[1:3]:
        await watch.aclose()
    assert not reads.watchers.any
