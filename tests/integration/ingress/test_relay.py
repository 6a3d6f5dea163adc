"""From the spool to the journal, on a real broker: every signal, and how far signals may fill it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from vantixs.model.ids import event_subject
from vantixs.runtime.journal import STREAM, Journal, Message
from vantixs.testing.journal import connected
from vantixs.testing.nats import NatsServer
from vantixs_ingress.spool import recent
from vantixs_ingress.spool.relay import HOLD_RATIO, Relay
from vantixs_ingress.spool.room import Bounds
from vantixs_ingress.spool.spool import Spool

LIMIT = 1 << 20


async def test_signals_leave_room_in_the_journal_for_what_is_told_of_them(nats: NatsServer, tmp_path: Path) -> None:
    async with connected(nats, journal_first_bytes=LIMIT) as (journal, life):
        spool = Spool(tmp_path / "spool", Bounds(1 << 30))
        for number in range(400):
            await spool.store(Message("vantixs.journal.v1.signal.accepted.00", b"x" * 4000, f"m{number}"))
        relay = Relay(spool, journal, life.health)
        life.spawn(relay.run(life.stopping), name="relay")

        async def held() -> bool:
            return (await journal.look()).size_bytes > 0.9 * LIMIT

        async with asyncio.timeout(20):
            while not await held():
                await asyncio.sleep(0.02)
        # What others tell finds room, although more signals wait than fit.
        async with asyncio.timeout(20):
            await journal.publish(event_subject("signal"), b"x" * 30_000, "told")
        facts = await journal.look()
        assert spool.backlog > 100
        assert facts.size_bytes - 31_000 <= HOLD_RATIO * LIMIT
        for _ in range(2):
            await journal.js.purge_stream(STREAM, seq=(await journal.look()).last)
            async with asyncio.timeout(20):
                while spool.backlog and not await held():
                    await asyncio.sleep(0.02)
        assert spool.backlog == 0
        assert (await journal.look()).last == 401
        await spool.close()


async def all_published(relay: Relay, spool: Spool, journal: Journal, count: int) -> None:
    """Waits until the spool is empty; then the journal has every message, in order."""
    async with asyncio.timeout(30):
        while spool.backlog or not await relay.published(count, 0.1):
            await asyncio.sleep(0.01)
    stored = [await journal.js.get_msg(STREAM, seq=n) for n in range(1, count + 1)]
    assert [message.data for message in stored] == [b"%d" % n for n in range(1, count + 1)]
    assert (await journal.look()).last == count


def numbered(number: int) -> Message:
    return Message("vantixs.journal.v1.signal.accepted.00", b"%d" % number, f"m{number}")


async def test_signal_stored_while_the_relay_starts_is_published(
    nats: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connected(nats) as (journal, life):
        spool = Spool(tmp_path / "spool", Bounds(1 << 30))
        read = spool.read_after

        async def read_then_store(sequence: int, limit: int) -> list[tuple[int, Message]]:
            monkeypatch.undo()
            rows = await read(sequence, limit)
            await spool.store(numbered(1))
            return rows

        monkeypatch.setattr(spool, "read_after", read_then_store)
        relay = Relay(spool, journal, life.health)
        life.spawn(relay.run(life.stopping), name="relay")
        await all_published(relay, spool, journal, 1)
        await spool.close()


async def test_signals_that_memory_has_no_room_for_are_published_in_their_place(
    nats: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent, "RECENT", 20)
    async with connected(nats) as (journal, life):
        spool = Spool(tmp_path / "spool", Bounds(1 << 30))
        relay = Relay(spool, journal, life.health)
        publish, number = journal.publish_batch, 30

        async def publish_then_store(messages: Sequence[Message]) -> None:
            """More signals come with each batch, when memory has room again."""
            nonlocal number
            await publish(messages)
            if number < 300:
                for _ in range(15):
                    number += 1
                    await spool.store(numbered(number))

        monkeypatch.setattr(journal, "publish_batch", publish_then_store)
        monkeypatch.setattr("vantixs_ingress.spool.relay.BATCH", 10)
        for n in range(1, number + 1):
            await spool.store(numbered(n))
        life.spawn(relay.run(life.stopping), name="relay")
        await all_published(relay, spool, journal, 300)
        await spool.close()
