"""From the spool to the journal, on a real broker: how far signals may fill it."""

import asyncio
from pathlib import Path

from vantixs.model.ids import event_subject
from vantixs.runtime.journal import STREAM, Message
from vantixs.testing.journal import connected
from vantixs.testing.nats import NatsServer
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
