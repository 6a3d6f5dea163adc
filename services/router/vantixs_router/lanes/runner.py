"""Runs the accepted signals of the lanes this replica owns: each key's in order, keys at the same time.

The journal is read from the lanes' cursors and nothing is acknowledged. A cursor passes only what is done, or is kept
in the table of parked deliveries: the signals of a key that has waited for long, so that one stuck key does not hold back
what may be purged, or stop its lane.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from enum import Enum

import sqlalchemy as sa
from prometheus_client import Gauge
from vantixs.model.ids import LANES, accepted_subject
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.journal import Journal
from vantixs.runtime.journal_reader import Delivery, Reader
from vantixs.runtime.logs import log

from vantixs_router.fence import Fence as FencePort
from vantixs_router.fence import LeaseLost
from vantixs_router.lanes import table
from vantixs_router.lanes.leases import Fence, Leases, Turn
from vantixs_router.lanes.queues import KeyQueues, Lane, Work
from vantixs_router.lanes.table import ParkedRow

IN_HAND = Gauge("vantixs_router_signals_in_hand", "accepted signals read from the journal and not done")
MOST_IN_HAND = 20_000
AT_ONCE = 2000  # A slow venue holds up the keys that trade there, and no other one.
PARK_EVERY_S = 1.0
_LANE_OF = {accepted_subject(lane): lane for lane in range(LANES)}


class Outcome(Enum):
    """What became of a delivery: done, or retry, which has it come again."""

    DONE = "done"
    RETRY = "retry"


Handle = Callable[[Delivery, FencePort], Awaitable[Outcome]]


class LaneRunner:
    """The lanes of one replica, from the leases to the handling of each signal."""

    def __init__(
        self,
        journal: Journal,
        database: Database,
        leases: Leases,
        *,
        handle: Handle,
        key_of: Callable[[Delivery], str],
        park_after_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._journal = journal
        self._database = database
        self._leases = leases
        self._handle = handle
        self._key_of = key_of
        self._park_after_s = park_after_s
        self._clock = clock
        self._lanes: dict[int, Lane] = {}
        self._queues = KeyQueues()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._room = asyncio.Event()
        self._stopping = asyncio.Event()
        self._loading: set[int] = set()
        # The lanes that the running subscription reads. One taken since then has to be read from its own cursor first.
        self._reading: list[Lane] = []
        self._reader = Reader(journal, start_after=self._start_after, subjects=self._subjects, linger_s=0)

    async def run(self, stopping: asyncio.Event) -> None:
        """Works until stopped; then finishes what is being worked on, saves the cursors and frees the lanes."""
        self._stopping = stopping
        async with asyncio.TaskGroup() as tasks:
            leasing = tasks.create_task(self._leases.run(stopping, self.cursors, self._owned))
            parking = tasks.create_task(self._park_what_waits(stopping))
            reading = tasks.create_task(self._read(stopping))
            await stopping.wait()
            self._leases.wake()
            parking.cancel()
            reading.cancel()
            await leasing
            if self._tasks:
                await asyncio.wait(self._tasks.values())
            await self._leases.leave(self.cursors())

    def cursors(self) -> Mapping[int, tuple[int, int]]:
        """The cursors of the lanes that are ours, with the journal's epoch they count in."""
        return {n: (lane.cursor, lane.journal_epoch) for n, lane in self._lanes.items() if not lane.lost}

    def _start_after(self) -> int:
        return min((lane.read for lane in self._reading), default=0)

    def _subjects(self) -> list[str]:
        self._reading = self._ready()
        for lane in self._reading:
            if lane.journal_epoch != self._journal.mark.epoch:
                # An operator accepted a gap: the stream is read from its beginning. What is done is known by its id.
                self._queues.release(lane)
                lane.begin_again(self._journal.mark.epoch)
        return [accepted_subject(lane.number) for lane in self._reading]

    def _ready(self) -> list[Lane]:
        """The lanes that are to be read: what was parked of them is in hand already, and they are not on their way out."""
        return [
            lane
            for lane in self._lanes.values()
            if lane.number not in self._loading and not lane.handing_over and not lane.lost
        ]

    def _owned(self, turn: Turn) -> None:
        """The leases were renewed: these lanes are ours now."""
        changed = False
        for number, lane in list(self._lanes.items()):
            row = turn.owned.get(number)
            if row is None or row.epoch != lane.epoch:
                self._lose(lane)
                changed = True
        for number, row in turn.owned.items():
            if number not in self._lanes:
                lane = self._lanes[number] = Lane(number, row.epoch, row.cursor, row.journal_epoch)
                self._loading.add(number)
                self._start(f"load {number}", self._load(lane))
                log.info("lane.taken", lane=number, epoch=row.epoch, cursor=row.cursor)
        for number in turn.surplus:
            lane = self._lanes[number]
            if not lane.handing_over:
                lane.handing_over = changed = True
                self._queues.drop_waiting(lane)
            self._give_if_idle(lane)
        if changed:
            self._reader.restart()

    def _lose(self, lane: Lane) -> None:
        """The lane is another's: nothing more is done for it here."""
        if lane.lost:
            return
        lane.lost = True
        self._lanes.pop(lane.number, None)
        self._loading.discard(lane.number)
        self._queues.drop_waiting(lane)
        self._reader.restart()
        log.info("lane.left", lane=lane.number, epoch=lane.epoch, cursor=lane.cursor)

    def _give_if_idle(self, lane: Lane) -> None:
        if lane.handing_over and not lane.in_hand and lane.number not in self._loading:
            self._leases.give(lane.number)

    async def _load(self, lane: Lane) -> None:
        """Takes in hand what was parked of a lane, before anything of it is read."""
        while not (self._stopping.is_set() or lane.lost):
            try:
                rows = await self._database.read(lambda c: table.parked_of(c, lane.number))
            except ServiceError as error:
                log.warning("lane.not_loaded", lane=lane.number, detail=error.detail)
                await asyncio.sleep(0.2)
                continue
            for row in rows:
                stored = datetime.fromtimestamp(row.stored_ms / 1000, UTC)
                delivery = Delivery(row.subject, row.data, row.stream_sequence, stored)
                self._add(Work(delivery, lane, parked=True, holds=False))
            self._loading.discard(lane.number)
            self._reader.restart()
            self._give_if_idle(lane)
            return

    async def _read(self, stopping: asyncio.Event) -> None:
        async for deliveries in self._reader.batches(stopping):
            reading = {lane.number: lane for lane in self._reading if not lane.handing_over and not lane.lost}
            for delivery in deliveries:
                self._journal.note(delivery.stream_sequence)
                found = reading.get(_LANE_OF.get(delivery.subject, -1))
                if found and delivery.stream_sequence > found.read:
                    found.add(delivery.stream_sequence)
                    self._add(Work(delivery, found))
            for lane in reading.values():
                lane.raise_to(self._reader.passed)
            IN_HAND.set(self._queues.count)
            while self._queues.count >= MOST_IN_HAND and not stopping.is_set():
                self._room.clear()
                await self._room.wait()

    def _add(self, work: Work) -> None:
        key = self._key_of(work.delivery)
        if self._queues.add(key, work):
            self._start(key, self._work_on(key))

    def _start(self, key: str, work: "Awaitable[None]") -> None:
        task = asyncio.ensure_future(work)
        self._tasks[key] = task
        task.add_done_callback(lambda _: self._tasks.pop(key, None))

    async def _work_on(self, key: str) -> None:
        """Works off a key's queue, until it is empty, the service stops or the lane is not ours any more."""
        attempt = 0
        while work := self._queues.head(key):
            lane = work.lane
            # Nothing is begun while the journal is away, or does not have all that was seen of it.
            while not (self._stopping.is_set() or lane.lost or await self._journal.whole()):
                pass
            if self._stopping.is_set() or lane.lost:
                self._queues.skip(key)
                continue
            work.started = min(work.started, self._clock())
            try:
                async with self._at_once:
                    outcome = await self._handle(work.delivery, Fence(self._leases, lane.number, lane.epoch))
                    if work.parked:
                        await self._unpark(work)
            except LeaseLost as lost:
                log.info("lane.lost", lane=lane.number, detail=str(lost))
                self._lose(lane)
                continue
            except Exception as error:
                log.error("lane.failed", lane=lane.number, sequence=work.delivery.stream_sequence, exc_info=error)
                outcome = Outcome.RETRY
            if outcome is Outcome.RETRY:
                attempt += 1
                await self._pause(min(0.1 * 2 ** min(attempt, 10), 5.0))
                continue
            attempt = 0
            self._queues.done(key)
            self._room.set()
            if lane.handing_over:
                self._give_if_idle(lane)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _unpark(self, work: Work) -> None:
        fence = Fence(self._leases, work.lane.number, work.lane.epoch)

        def remove(connection: sa.Connection) -> None:
            fence.check(connection)
            table.unpark(connection, work.delivery.stream_sequence)

        await self._database.write(remove)

    async def _park_what_waits(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            for queue in self._queues.started_before(self._clock() - self._park_after_s):
                with contextlib.suppress(ServiceError, LeaseLost):
                    await self._park([work for work in queue if not work.parked])
            await asyncio.sleep(PARK_EVERY_S)

    async def _park(self, works: list[Work]) -> None:
        """Keeps deliveries of one key, and lets the cursor pass them."""
        if not works or works[0].lane.lost:
            return
        lane = works[0].lane
        fence = Fence(self._leases, lane.number, lane.epoch)
        rows = [
            ParkedRow(d.stream_sequence, lane.number, d.subject, d.data, int(d.time.timestamp() * 1000))
            for d in (work.delivery for work in works)
        ]

        def keep(connection: sa.Connection) -> None:
            fence.check(connection)
            table.park(connection, rows)

        # Marked first: one that is done while its row is written has the row removed.
        for work in works:
            work.parked = True
        try:
            await self._database.write(keep)
        except (ServiceError, LeaseLost):
            for work in works:
                work.parked = False
            raise
        for work in works:
            if work.holds:
                work.holds = False
                lane.pass_over(work.delivery.stream_sequence)
        log.warning("lane.parked", lane=lane.number, count=len(works), oldest=works[0].delivery.stream_sequence)
