"""Replicas of a router's lanes for tests: real broker, real database, and handlers that tests give."""

import asyncio
import secrets
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import vantixs_router
from vantixs.model.ids import accepted_subject
from vantixs.runtime.database import Database
from vantixs.runtime.instances import take
from vantixs.runtime.journal import Journal
from vantixs.runtime.journal_reader import Delivery
from vantixs.runtime.lifecycle import Lifecycle
from vantixs.runtime.outbox import Outbox
from vantixs_router import tables
from vantixs_router.fence import Fence
from vantixs_router.lanes import table
from vantixs_router.lanes.consumers import make_lanes
from vantixs_router.lanes.leases import Leases
from vantixs_router.lanes.outcome import Outcome
from vantixs_router.lanes.runner import LaneRunner
from vantixs_router.market_server import MarketData
from vantixs_router.server import RouterServicer
from vantixs_router.settings import RouterSettings

MIGRATIONS = Path(vantixs_router.__file__).parent / "migrations"
Handle = Callable[[Delivery, Fence], Awaitable[Outcome]]
OpenAnother = Callable[[], Awaitable[Database]]


def key_of(delivery: Delivery) -> str:
    """Tests send "key number" as data; one without a space is its lane's."""
    key, _, number = delivery.data.decode(errors="replace").partition(" ")
    return f"{delivery.subject} {key if number else ''}"


async def open_router_database(url: str) -> Database:
    return await Database.open(replace(RouterSettings(), database_url=url), "router", MIGRATIONS)


@dataclass
class Replica:
    leases: Leases
    runner: LaneRunner
    stopping: asyncio.Event
    task: "asyncio.Task[None]"
    lock: IO[str] | None

    @property
    def owned(self) -> int:
        return len(self.runner._lanes)

    async def stop(self) -> None:
        self.stopping.set()
        await asyncio.wait_for(self.task, 20)
        if self.lock:
            self.lock.close()

    async def freeze(self) -> None:
        """What a process that was stopped does: nothing, and it frees nothing."""

        async def nothing(*_: object) -> None:
            """Its rows stay as they are."""

        self.leases.renew = self.leases.leave = nothing  # type: ignore[method-assign]
        await self.stop()


def start_replica(
    life: Lifecycle,
    journal: Journal,
    database: Database,
    handle: Handle,
    run: Path,
    *,
    instance: str = "0",
    lease_s: float = 2.0,
    retry_parked_s: float = 0.1,
) -> Replica:
    run.mkdir(parents=True, exist_ok=True)
    taken = take(run, "router", instance)
    leases = Leases(
        database,
        life.health,
        taken.name if taken else f"{instance}-{secrets.token_hex(4)}",
        lease_s=lease_s,
        connected=lambda: journal.client.is_connected,
    )
    outbox = Outbox(tables.OUTBOX, database, journal)
    runner = LaneRunner(
        journal,
        database,
        leases,
        handle=handle,
        key_of=key_of,
        inherit=outbox.send_lane,
        retry_parked_s=retry_parked_s,
        stop_within_s=0.2,
    )
    stopping = asyncio.Event()

    async def work() -> None:
        await journal.connected()
        await make_lanes(journal, database, stopping)
        await runner.run(stopping)

    # Not a task of the lifecycle: one that is frozen is cancelled, and nothing else ends with it.
    return Replica(leases, runner, stopping, asyncio.create_task(work()), taken.lock if taken else None)


class RouterOf:
    """The stub of a router that has nothing but its database."""

    def __init__(self, database: Database) -> None:
        nothing: Any = None
        self._servicer = RouterServicer(database, nothing, nothing, nothing, MarketData(nothing, nothing, nothing))  # type: ignore[abstract]

    async def ListLanes(self, request: Any, timeout: float) -> Any:
        return await self._servicer.ListLanes(request, None)


async def send(journal: Journal, *texts: str, lane: int = 0) -> None:
    """Publishes "key number" texts; each text is an id of its own."""
    for text in texts:
        await journal.publish(accepted_subject(lane), text.encode(), f"{lane} {text}")


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
