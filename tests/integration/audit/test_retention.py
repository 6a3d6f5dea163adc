"""What of the journal goes, when, and how large it may be: a real broker, a real database."""

import asyncio
import time
from pathlib import Path

import pytest
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from vantixs.model.ids import accepted_subject, event_subject
from vantixs.runtime.journal import STREAM, SUBJECTS
from vantixs.runtime.journal_reader import Delivery
from vantixs.runtime.journal_stream import EARLIER_STREAM, ensure_stream
from vantixs.testing.nats import NatsServer
from vantixs_router.fence import Fence
from vantixs_router.lanes.outcome import Outcome

from tests.support.audited_journal import auditing, first_of, noting, publish, recorded, settings
from tests.support.until import until

DAY_S = 86_400


async def test_only_what_is_recorded_and_passed_by_every_lane_goes_and_the_newest_stays(
    nats: NatsServer, tmp_path: Path
) -> None:
    async with auditing(nats, tmp_path) as audited:
        journal, database = audited.journal, audited.database
        await publish(journal, 20)
        await recorded(database, 20)
        retention = audited.retention()
        later = time.time() + 8 * DAY_S
        await retention.apply(later)
        assert await first_of(journal) == 1, "no lane was ever run"
        handled: list[int] = []
        audited.run(noting(handled))
        await until(lambda: len(handled) == 20)
        await retention.apply(time.time())
        assert await first_of(journal) == 1, "nothing is old enough"

        async def newest_alone() -> bool:
            await retention.apply(later)
            return await first_of(journal) == 20

        async with asyncio.timeout(20):
            while not await newest_alone():  # The cursors are saved once in a while.
                await asyncio.sleep(0.05)
        # Publishing and recording go on behind it, and what audit holds the next start against is there.
        await publish(journal, 3, name="n")
        await recorded(database, 23)
        assert not (await journal.look()).reports


async def test_lane_that_is_behind_and_history_that_is_behind_hold_the_journal(
    nats: NatsServer, tmp_path: Path
) -> None:
    async with auditing(nats, tmp_path) as audited:
        journal, database = audited.journal, audited.database
        waiting = asyncio.Event()

        async def handle(delivery: Delivery, _: Fence) -> Outcome:
            if delivery.stream_sequence >= 5:
                await waiting.wait()
            return Outcome.DONE

        audited.run(handle)
        await publish(journal, 20)
        await recorded(database, 20)
        retention, later = audited.retention(), time.time() + 8 * DAY_S

        async def acknowledged() -> bool:
            await retention.apply(later)
            return await first_of(journal) == 3

        async with asyncio.timeout(20):
            while not await acknowledged():
                await asyncio.sleep(0.05)
        waiting.set()


async def test_journal_beyond_its_size_forgets_the_oldest_however_young(nats: NatsServer, tmp_path: Path) -> None:
    async with auditing(nats, tmp_path) as audited:
        journal, database = audited.journal, audited.database
        handled: list[int] = []
        audited.run(noting(handled))
        await publish(journal, 60, size=10_000)
        await recorded(database, 60)
        await until(lambda: len(handled) == 60)
        retention = audited.retention(journal_keep_bytes=100_000)

        async def small() -> bool:
            await retention.apply(time.time())
            return (await journal.js.stream_info(STREAM)).state.bytes <= 100_000

        async with asyncio.timeout(20):
            while not await small():
                await asyncio.sleep(0.05)
        assert 50 <= await first_of(journal) <= 60


async def test_limit_follows_its_setting_up_and_down(nats: NatsServer, tmp_path: Path) -> None:
    async with auditing(nats, tmp_path) as audited:
        journal = audited.journal
        for limit in (1 << 22, 1 << 21):
            await audited.retention(journal_max_bytes=limit).apply(time.time())
            assert (await journal.look()).limit_bytes == limit
        await audited.retention().apply(time.time())
        assert (await journal.look()).limit_bytes == 1 << 21
        assert (await journal.look()).stream == journal.mark.stream


async def test_full_journal_takes_messages_again_once_its_limit_is_raised(nats: NatsServer, tmp_path: Path) -> None:
    async with auditing(nats, tmp_path) as audited:
        journal, database = audited.journal, audited.database
        publishing = asyncio.create_task(publish(journal, 30, size=50_000))
        while "journal full" not in str(journal._health.snapshot()["journal"]):
            assert not publishing.done()
            await asyncio.sleep(0.05)
        await audited.retention(journal_max_bytes=1 << 23).apply(time.time())
        await asyncio.wait_for(publishing, 20)
        await recorded(database, 30)


async def test_signal_whose_entries_find_no_room_does_not_keep_the_journal_full(
    nats: NatsServer, tmp_path: Path
) -> None:
    async with auditing(nats, tmp_path) as audited:
        journal, database = audited.journal, audited.database
        full = asyncio.Event()

        async def handle(delivery: Delivery, _: Fence) -> Outcome:
            await full.wait()
            await journal.publish(event_subject("signal"), bytes(50_000), f"told-{delivery.stream_sequence}")
            return Outcome.DONE

        audited.run(handle)
        await publish(journal, 2)
        filling = asyncio.create_task(publish(journal, 30, size=50_000, name="full", subject=event_subject("other")))
        await until(lambda: "journal full" in str(journal._health.snapshot()["journal"]))
        filling.cancel()
        await asyncio.wait((filling,))
        last = (await journal.look()).last
        await recorded(database, last)
        full.set()
        retention = audited.retention()

        async def told() -> bool:
            await retention.apply(time.time())
            return (await journal.look()).last >= last + 2

        async with asyncio.timeout(20):
            while not await told():
                await asyncio.sleep(0.05)
        assert not (await journal.look()).reports


async def test_nothing_is_purged_from_a_stream_that_was_replaced_and_not_looked_at_yet(
    nats: NatsServer, tmp_path: Path
) -> None:
    async with auditing(nats, tmp_path) as audited:
        journal, database = audited.journal, audited.database
        handled: list[int] = []
        audited.run(noting(handled))
        await publish(journal, 20)
        await recorded(database, 20)
        await until(lambda: len(handled) == 20)
        later = time.time() + 8 * DAY_S
        async with asyncio.timeout(20):
            while await first_of(journal) < 20:
                await audited.retention().apply(later)
        # The journal's own look, which would find the gap, waits: so it is before that look.
        async with journal._looking:
            await journal.js.delete_stream(STREAM)
            await ensure_stream(journal.js, settings(journal_first_bytes=1 << 20))
            await publish(journal, 5, name="accepted")
            for now in (time.time(), later):
                await audited.retention().apply(now)
            state = (await journal.js.stream_info(STREAM)).state
        assert state.messages == 5, "signals that nobody has read"


async def make_earlier(nats: NatsServer, count: int) -> None:
    """The stream as earlier versions made it, with the lanes' consumers and some of them behind."""
    import nats as client

    async def failed(_: Exception) -> None:
        """The server may not listen yet."""

    connection = await client.connect(nats.url, token=nats.token, error_cb=failed, reconnect_time_wait=0.05)  # type: ignore[arg-type]
    js = connection.jetstream()
    config = StreamConfig(
        name=EARLIER_STREAM, subjects=[SUBJECTS], retention=RetentionPolicy.LIMITS, storage=StorageType.FILE,
        discard=DiscardPolicy.NEW, max_bytes=1 << 22, num_replicas=1, duplicate_window=600.0, deny_delete=True,
        deny_purge=True, allow_atomic=True,
    )  # fmt: skip
    await js.add_stream(config)
    for lane in range(2):
        consumer = ConsumerConfig(
            durable_name=f"router-lane-{lane:02d}", filter_subject=accepted_subject(lane), ack_policy=AckPolicy.EXPLICIT,
            deliver_policy=DeliverPolicy.ALL, ack_wait=4.0, max_ack_pending=1, max_deliver=-1,
        )  # fmt: skip
        await js.add_consumer(EARLIER_STREAM, consumer)
    for number in range(count):
        await js.publish(accepted_subject(number % 2), b"", headers={"Nats-Msg-Id": f"e-{number}"})
    (first,) = await (await js.pull_subscribe_bind("router-lane-00", stream=EARLIER_STREAM)).fetch(1)
    await first.ack_sync()
    await connection.close()


async def test_stream_of_an_earlier_version_is_read_to_its_end_and_then_removed(
    nats: NatsServer, tmp_path: Path
) -> None:
    await make_earlier(nats, 10)
    async with auditing(nats, tmp_path) as audited:
        journal, database = audited.journal, audited.database
        assert journal.earlier
        handled: list[int] = []
        await publish(journal, 6)
        facts = await journal.look()
        assert (facts.first, facts.last, facts.reports) == (11, 16, ())
        retention = audited.retention()
        await recorded(database, 16)
        await retention.apply(time.time())
        assert journal.earlier, "lanes have work left in it"
        audited.run(noting(handled))
        await until(lambda: len(handled) == 15)
        for lane in (0, 1):
            mine = [sequence for sequence in handled if sequence % 2 == 1 - lane]
            assert mine == sorted(mine), "a lane keeps its order over both streams"
        assert sorted(handled) == list(range(2, 17))

        async def removed() -> bool:
            await retention.apply(time.time())
            return not journal.earlier

        async with asyncio.timeout(20):
            while not await removed():
                await asyncio.sleep(0.05)
        with pytest.raises(Exception, match="not found"):
            await journal.js.stream_info(EARLIER_STREAM)
        await publish(journal, 2, name="last")
        await recorded(database, 18)
        await until(lambda: len(handled) == 17)
