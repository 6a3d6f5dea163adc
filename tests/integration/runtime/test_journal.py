"""Journal and KV on a real nats-server that is killed and started again."""

import asyncio
import gc
import shutil
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from vantixs.runtime.continuity import Mark, StreamFacts
from vantixs.runtime.journal import STREAM, Inspect, Journal, Message
from vantixs.runtime.journal_reader import Delivery, Reader, contiguous
from vantixs.runtime.lifecycle import Lifecycle, StartupError
from vantixs.runtime.settings import ServiceSettings
from vantixs.testing.journal import connected, messages
from vantixs.testing.nats import NatsServer

from tests.support.until import until

LANE = "vantixs.journal.v1.signal.accepted.00"
# nats-py drops the socket of an attempt that a killed server broke off, and leaves it to the garbage collector, which
# finds the socket or its transport first. `collect` has it found here, so that no test of another module is told of it.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <(socket.socket|function (StreamWriter|_SelectorTransport))"
    ":pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture(autouse=True, scope="module")
def collect() -> Iterator[None]:
    yield
    gc.collect()


def reading(journal: Journal, life: Lifecycle) -> list[int]:
    seen: list[int] = []

    async def read() -> None:
        async for batch in Reader(journal, start_after=lambda: seen[-1] if seen else 0).batches(life.stopping):
            seen.extend(delivery.stream_sequence for delivery in batch)

    life.spawn(read(), name="reader")
    return seen


@asynccontextmanager
async def missing(nats: NatsServer, service: str, mark: Mark, inspect: Inspect | None = None) -> AsyncIterator[Journal]:
    """A service that has seen what the stream does not have."""
    chosen = replace(ServiceSettings(), instance="0", nats_url=nats.url, nats_token=nats.token)
    async with asyncio.TaskGroup() as tasks:
        life = Lifecycle("test", chosen, tasks)
        journal = Journal(chosen, life.health, service=service, mark=mark, inspect=inspect)
        journal.start(life)
        await asyncio.wait_for(journal.connected(), 20)
        yield journal
        life.stopping.set()
        await journal.close()
        life.cancel_rest()


def reading_lane(journal: Journal, life: Lifecycle) -> list[bytes]:
    """What comes on one subject, from its beginning."""
    seen: list[bytes] = []
    after = 0

    async def read() -> None:
        nonlocal after
        reader = Reader(journal, start_after=lambda: after, subjects=lambda: [LANE])
        async for batch in reader.batches(life.stopping):
            fresh = [d for d in batch if d.stream_sequence > after]
            seen.extend(delivery.data for delivery in fresh)
            after = max(after, reader.passed)

    life.spawn(read(), name="lane")
    return seen


async def test_publishing_through_a_kill_stores_each_message_once_and_readers_go_on(nats: NatsServer) -> None:
    async with connected(nats) as (journal, life):
        seen = reading(journal, life)
        handled = reading_lane(journal, life)
        for number in range(20):
            await journal.publish(LANE, b"%d" % number, f"a{number}")
        nats.kill()
        waiting = [asyncio.create_task(journal.publish(LANE, b"%d" % n, f"a{n}")) for n in range(20, 40)]
        nats.start()
        await asyncio.gather(*waiting)
        sequences = [await journal.publish(LANE, b"again", f"a{number}") for number in range(40)]
        await until(lambda: len(seen) == len(handled) == len(set(handled)) == 40)
        assert sorted(sequences) == seen == list(range(1, 41))


async def test_batch_with_a_message_that_is_there_stores_the_others_in_order(nats: NatsServer) -> None:
    async with connected(nats) as (journal, _):
        await journal.publish_batch([Message(LANE, b"x", f"b{n}") for n in range(10)])
        await journal.publish_batch([Message(LANE, b"x", f"b{n}") for n in range(5, 15)])
        assert [await journal.publish(LANE, b"x", f"b{n}") for n in range(15)] == list(range(1, 16))


async def test_publishes_that_come_together_go_together_and_each_hears_its_own_sequence(nats: NatsServer) -> None:
    async with connected(nats) as (journal, _):
        atomic: list[int] = []
        publish_atomically = journal._publisher._publish_atomically

        async def counted(messages: Sequence[Message]) -> int:
            atomic.append(len(messages))
            return await publish_atomically(messages)

        journal._publisher._publish_atomically = counted  # type: ignore[method-assign]
        many = await asyncio.gather(*(journal.publish(LANE, b"%d" % n, f"p{n}") for n in range(1200)))
        assert many == list(range(1, 1201))
        assert atomic == [500, 500, 200]
        # One that is there refuses the atomic batch; each is stored, or recognised, all the same.
        again = await asyncio.gather(*(journal.publish(LANE, b"%d" % n, f"p{n}") for n in range(1190, 1210)))
        assert again[:10] == many[1190:]
        assert sorted(again[10:]) == list(range(1201, 1211))
        # Few are not worth a batch.
        await asyncio.gather(*(journal.publish(LANE, b"few", f"few{n}") for n in range(3)))
        assert atomic == [500, 500, 200, 20]
        assert sorted(await messages(journal)) == sorted([b"%d" % n for n in range(1210)] + [b"few"] * 3)


async def test_a_message_that_cannot_be_stored_holds_up_no_other(nats: NatsServer) -> None:
    async with connected(nats) as (journal, _):
        # More than the server takes in one message, which is refused before it is sent, every time.
        too_large = asyncio.create_task(journal.publish(LANE, b"x" * (2 << 20), "large"))
        small = await asyncio.gather(*(journal.publish(LANE, b"x", f"s{n}") for n in range(30)))
        assert sorted(small) == list(range(1, 31))
        assert not too_large.done()
        too_large.cancel()


async def test_large_batches_are_published_in_parts_and_in_order(nats: NatsServer) -> None:
    async with connected(nats) as (journal, _):
        payloads = [b"%d" % n + b"x" * 30_000 for n in range(60)] + [b"%d" % n for n in range(700)]
        await journal.publish_batch([Message(LANE, payload, f"m{n}") for n, payload in enumerate(payloads)])
        await journal.publish_batch([])
        assert await messages(journal) == payloads


async def test_batch_holds_what_was_sent_and_no_id_begins_a_command(nats: NatsServer) -> None:
    payloads = [b"", b"PUB x 1\r\ny\r\n", bytes(range(256)), "ä".encode() * 20_000]
    async with connected(nats) as (journal, _):
        await journal.publish_batch([Message(LANE, payload, f"ä {n}") for n, payload in enumerate(payloads)])
        assert await messages(journal) == payloads
        hostile = "x\r\n\r\nPUB vantixs.journal.v1.event.evil 1\r\ny"
        await journal.publish_batch(
            [Message(LANE, b"x", hostile) if n == 1 else Message(LANE, b"x", f"h{n}") for n in range(3)]
        )
        assert await messages(journal) == [*payloads, b"x", b"x", b"x"]


async def test_frozen_broker_delays_and_loses_nothing(nats: NatsServer) -> None:
    async with connected(nats) as (journal, life):
        seen = reading(journal, life)
        await journal.publish(LANE, b"x", "f0")
        nats.freeze()
        waiting = [asyncio.create_task(journal.publish(LANE, b"x", f"f{n}")) for n in range(1, 10)]
        await asyncio.sleep(0.5)
        nats.thaw()
        await asyncio.gather(*waiting)
        await until(lambda: len(seen) == 10)


async def test_stream_that_was_changed_by_hand_is_a_startup_error(nats: NatsServer) -> None:
    async with connected(nats):
        pass
    with pytest.raises(ExceptionGroup) as failed:
        async with connected(nats, journal_replicas=3):
            pass
    assert failed.group_contains(StartupError, match="num_replicas")


async def test_what_one_service_misses_stops_every_other_until_the_gap_is_accepted(nats: NatsServer) -> None:
    async with connected(nats) as (journal, _):
        for number in range(3):
            await journal.publish(LANE, b"x", f"g{number}")
        found = await journal.look()
        seen = Mark(0, found.stream, 10)
        async with missing(nats, "router", seen) as behind:
            assert "ends at message 3, and 10 was seen" in behind.gap
            await until(lambda: journal.gap)
            assert journal.gap.startswith("router-0: ")
            held = asyncio.create_task(journal.publish(LANE, b"x", "held"))
            assert not await journal.whole(0.3)
            # Others go by what audit accepted, and the stream no longer tells of a gap.
            told: list[tuple[int, int]] = []

            async def recorded(facts: StreamFacts, epoch: int) -> None:
                told.append((facts.last, epoch))

            accepted = await journal.accept_gap(recorded)
            assert (told, accepted.reports, accepted.epoch) == ([(3, 1)], (), 1)
            assert await asyncio.wait_for(held, 10) == 4
            await until(lambda: not behind.gap)
            assert (behind.mark.epoch, behind.mark.stream) == (1, found.stream)


async def test_gap_that_another_process_of_audit_accepted_is_adopted_from_their_history(nats: NatsServer) -> None:
    async with connected(nats) as (journal, _):
        for number in range(3):
            await journal.publish(LANE, b"x", f"a{number}")
        seen = Mark(0, (await journal.look()).stream, 10)
        history = [seen]

        async def inspect(*_: object) -> tuple[Mark, str]:
            return history[0], ""

        async def recorded(facts: StreamFacts, epoch: int) -> None:
            history[0] = Mark(epoch, facts.stream, facts.last)

        async with missing(nats, "audit", seen, inspect) as first, missing(nats, "audit", seen, inspect) as second:
            await until(lambda: first.gap and second.gap)
            await first.accept_gap(recorded)
            await until(lambda: not second.gap)
            assert second.mark == history[0]
            assert await second.whole()


async def test_process_of_audit_that_looks_before_their_history_knows_of_an_accepted_gap_waits_for_it(
    nats: NatsServer,
) -> None:
    async with connected(nats) as (journal, _):
        for number in range(3):
            await journal.publish(LANE, b"x", f"a{number}")
        seen = Mark(0, (await journal.look()).stream, 10)
        history = [seen]

        async def inspect(*_: object) -> tuple[Mark, str]:
            return history[0], ""

        async with missing(nats, "audit", seen, inspect) as first, missing(nats, "audit", seen, inspect) as second:
            await until(lambda: first.gap and second.gap)

            async def recorded(facts: StreamFacts, epoch: int) -> None:
                await second.look()  # The stream tells of it by now, and their history does not.
                history[0] = Mark(epoch, facts.stream, facts.last)

            await first.accept_gap(recorded)
            await until(lambda: not second.gap)
            assert second.facts
            assert (await second.look()).reports == ()


async def test_gap_that_is_accepted_while_another_process_of_audit_compares_stays_accepted(nats: NatsServer) -> None:
    async with connected(nats) as (journal, _):
        for number in range(3):
            await journal.publish(LANE, b"x", f"a{number}")
        seen = Mark(0, (await journal.look()).stream, 3)
        history, accepting = [seen], list[Journal]()

        async def recorded(facts: StreamFacts, epoch: int) -> None:
            history[0] = Mark(epoch, facts.stream, facts.last)

        async def inspect(*_: object) -> tuple[Mark, str]:
            return history[0], ""

        async def inspect_later(*_: object) -> tuple[Mark, str]:
            # The stream was asked already, and the history that is read now is of after the acceptance.
            while accepting:
                await accepting.pop().accept_gap(recorded)
            return history[0], ""

        async with (
            missing(nats, "router", seen._replace(sequence=10)),
            missing(nats, "audit", seen, inspect) as first,
            missing(nats, "audit", seen, inspect_later) as second,
        ):
            await until(lambda: first.gap and second.gap)
            accepting.append(first)
            await until(lambda: not accepting and second.mark.epoch == 1)
            for process in (first, second):
                found = await process.look()
                assert (found.epoch, found.reports, process.gap) == (1, (), "")


async def test_right_stream_that_comes_back_needs_no_word_of_an_operator(nats: NatsServer, tmp_path: Path) -> None:
    async with connected(nats) as (journal, _):
        for number in range(3):
            await journal.publish(LANE, b"x", f"r{number}")
        nats.kill()
        (tmp_path / "nats" / "jetstream").rename(tmp_path / "right")
        nats.start()
        await until(lambda: journal.gap)
        nats.kill()
        shutil.rmtree(tmp_path / "nats" / "jetstream")
        (tmp_path / "right").rename(tmp_path / "nats" / "jetstream")
        nats.start()
        await until(lambda: not journal.gap)
        assert await journal.publish(LANE, b"x", "r3") == 4


async def test_reader_passes_over_nothing_that_is_missing_unless_that_was_accepted(nats: NatsServer) -> None:
    async with connected(nats) as (journal, life):
        for number in range(6):
            await journal.publish(LANE, b"x", f"p{number}")
        await journal.js.purge_stream(STREAM, seq=4)
        seen = reading(journal, life)
        await until(lambda: journal.gap)
        assert "message 1 is missing" in journal.gap
        assert seen == []
    async with connected(nats) as (journal, life):

        async def nothing(_: StreamFacts, __: int) -> None:
            """Nobody keeps a record here."""

        await journal.accept_gap(nothing)
        accepted: list[int] = []

        async def read() -> None:
            reader = Reader(journal, start_after=lambda: accepted[-1] if accepted else 0, missing_until=lambda: 3)
            async for batch in reader.batches(life.stopping):
                accepted.extend(delivery.stream_sequence for delivery in batch)

        life.spawn(read(), name="reader")
        await until(lambda: accepted == [4, 5, 6])


def test_hole_inside_of_a_batch_ends_the_batch_before_it() -> None:
    deliveries = [Delivery("s", b"", n, datetime.now(UTC)) for n in (5, 6, 9, 10)]
    for until_, expected in ((0, ([5, 6], 7)), (7, ([5, 6], 8)), (8, ([5, 6, 9, 10], 0))):
        kept, hole = contiguous(deliveries, 5, until_)
        assert ([d.stream_sequence for d in kept], hole) == expected


@pytest.mark.parametrize("comes", [True, False])
async def test_what_one_node_is_behind_with_is_no_gap_unless_it_stays_away(nats: NatsServer, comes: bool) -> None:
    """Of three nodes one delivers a message that the one that is asked for the end of the stream does not have yet."""
    chosen = replace(ServiceSettings(), instance="0", nats_url=nats.url, nats_token=nats.token)
    async with connected(nats) as (other, _), asyncio.TaskGroup() as tasks:
        life = Lifecycle("test", chosen, tasks)
        journal = Journal(chosen, life.health, service="router", confirm_s=20 if comes else 0.3)
        journal.start(life)
        await asyncio.wait_for(journal.connected(), 20)
        assert await journal.publish(LANE, b"1", "one") == 1
        journal.note(2)
        await journal.look()
        assert (journal.gap, journal.is_whole.is_set()) == ("", False)
        if comes:
            assert await other.publish(LANE, b"2", "two") == 2
            assert await journal.whole(10)
            assert journal.gap == ""
        else:
            await until(lambda: journal.gap == "router-0: the journal ends at message 1, and 2 was seen")
        life.stopping.set()
        await journal.close()
        life.cancel_rest()
