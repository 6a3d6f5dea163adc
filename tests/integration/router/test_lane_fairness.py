"""No key starves another: one with thousands of signals, and more slow ones than there are places."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from vantixs.model.ids import accepted_subject
from vantixs.runtime.database import Database
from vantixs.runtime.journal import Journal, Message
from vantixs.runtime.journal_reader import Delivery
from vantixs.testing.journal import connected
from vantixs.testing.nats import NatsServer
from vantixs_router.fence import Fence
from vantixs_router.lanes.outcome import Outcome
from vantixs_router.lanes.runner import AT_ONCE

from tests.support.lane_replicas import open_router_database, start_replica
from tests.support.until import until

BIG, OTHERS, EACH = 2000, 200, 3


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await open_router_database(f"sqlite:///{tmp_path / 'router.db'}")
    yield opened
    await opened.close()


async def send_all(journal: Journal, texts: list[str]) -> None:
    """Publishes "key number" texts at once, each key on a lane of its own choice."""
    lanes = {key: number % 32 for number, key in enumerate(dict.fromkeys(text.split()[0] for text in texts))}
    await journal.publish_batch(
        [Message(accepted_subject(lanes[text.split()[0]]), text.encode(), text) for text in texts]
    )


async def test_key_with_thousands_of_signals_is_worked_off_in_order_and_delays_nobody(
    nats: NatsServer, database: Database, tmp_path: Path
) -> None:
    done: dict[str, list[int]] = defaultdict(list)
    ended: dict[str, float] = {}

    async def handle(delivery: Delivery, _: Fence) -> Outcome:
        key, _, number = delivery.data.decode().partition(" ")
        await asyncio.sleep(0.001)
        done[key].append(int(number))
        ended[key] = time.monotonic()
        return Outcome.DONE

    async with connected(nats) as (journal, life):
        # All of the big one's come first.
        await send_all(
            journal, [f"big {n}" for n in range(BIG)] + [f"k{k} {n}" for n in range(EACH) for k in range(OTHERS)]
        )
        started = time.monotonic()
        replica = start_replica(life, journal, database, handle, tmp_path)
        others = [f"k{k}" for k in range(OTHERS)]
        await until(lambda: all(len(done[key]) == EACH for key in others))
        assert len(done["big"]) < BIG, "the others waited for the big one"
        spread = sorted(ended[key] - started for key in others)
        print(
            f"{OTHERS} keys of {EACH}: first {spread[0]:.2f} s, last {spread[-1]:.2f} s; big: {len(done['big'])} of {BIG} by then"
        )
        await until(lambda: len(done["big"]) == BIG, 60)
        assert done["big"] == list(range(BIG))
        assert all(done[key] == list(range(EACH)) for key in others)
        await replica.stop()


async def test_more_slow_keys_than_places_hold_up_themselves_alone(
    nats: NatsServer, database: Database, tmp_path: Path
) -> None:
    slow = asyncio.Event()
    done: Counter[str] = Counter()

    async def handle(delivery: Delivery, _: Fence) -> Outcome:
        key = delivery.data.decode().partition(" ")[0]
        if key.startswith("slow"):
            await slow.wait()
        done[key[0]] += 1
        return Outcome.DONE

    async with connected(nats) as (journal, life):
        await send_all(
            journal,
            [f"slow{k} 1" for k in range(AT_ONCE + 50)] + [f"k{k} {n}" for n in range(EACH) for k in range(OTHERS)],
        )
        replica = start_replica(life, journal, database, handle, tmp_path)
        await until(lambda: done["k"] == OTHERS * EACH)
        assert done["s"] == 0
        slow.set()
        await until(lambda: done["s"] == AT_ONCE + 50)
        await replica.stop()
