"""Runs the accepted signals of the lanes this replica owns: each key's in order, keys at the same time.

The journal is read from the lanes' cursors and nothing is acknowledged. A cursor passes only what is done, or is stored
as parked: a signal that waits for something outside, so that it does not hold back its lane and what may be purged.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from prometheus_client import Gauge
from vantixs.model.ids import LANES, accepted_subject
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.journal import Journal
from vantixs.runtime.journal_reader import Delivery, Reader
from vantixs.runtime.logs import log

from vantixs_router import store
from vantixs_router.fence import Fence as FencePort
from vantixs_router.fence import LeaseLost
from vantixs_router.lanes.leases import Fence, Leases, Turn
from vantixs_router.lanes.outcome import Outcome
from vantixs_router.lanes.queues import KeyQueues, Lane, Work

IN_HAND = Gauge("vantixs_router_signals_in_hand", "accepted signals read from the journal and not done")
MOST_IN_HAND = 20_000
# Signals worked on at once. One that waits for a slow venue gives its place to another: it holds up its own key alone.
AT_ONCE, SLOW_AFTER_S = 256, 2.0
RETRY_PARKED_S = 3.0
_LANE_OF = {accepted_subject(lane): lane for lane in range(LANES)}


Handle = Callable[[Delivery, FencePort], Awaitable[Outcome]]


class LaneRunner:
    """The lanes of one replica, from the leases to the handling of each signal.

    `inherit` publishes what the owner before committed for a lane and did not live to publish.
    """

    def __init__(
        self,
        journal: Journal,
        database: Database,
        leases: Leases,
        *,
        handle: Handle,
        key_of: Callable[[Delivery], str],
        inherit: Callable[[int], Awaitable[None]],
        retry_parked_s: float = RETRY_PARKED_S,
    ) -> None:
        self._journal = journal
        self._database = database
        self._leases = leases
        self._handle = handle
        self._key_of = key_of
        self._inherit = inherit
        self._retry_parked_s = retry_parked_s
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
            reading = tasks.create_task(self._read(stopping))
            await stopping.wait()
            self._leases.wake()
            reading.cancel()
            await leasing
            if self._tasks:
                await asyncio.wait(self._tasks.values())
            await self._leases.leave(self.cursors())

    def owned(self) -> tuple[int, ...]:
        """The lanes that are ours."""
        return tuple(self._lanes)

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
        """Takes over what the owner before has left of a lane, before anything of it is read."""
        while not (self._stopping.is_set() or lane.lost):
            try:
                await self._inherit(lane.number)
                rows = await self._database.read(lambda c: store.read_parked(c, [lane.number]))
            except ServiceError as error:
                log.warning("lane.not_loaded", lane=lane.number, detail=error.detail)
                await asyncio.sleep(0.2)
                continue
            for parked in rows:
                self._add(Work(parked.delivery(), lane, holds=False))
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
            try:
                async with self._place():
                    outcome = await self._handle(work.delivery, Fence(self._leases, lane.number, lane.epoch))
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
            if outcome is Outcome.PARKED:
                asyncio.get_running_loop().call_later(self._retry_parked_s, self._come_again, work)
            if lane.handing_over:
                self._give_if_idle(lane)

    @contextlib.asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        """One of the places of those worked on at once, given back at the end, or before where it takes long."""
        await self._at_once.acquire()
        held = True

        def give_back() -> None:
            nonlocal held
            if held:
                held = False
                self._at_once.release()

        timer = asyncio.get_running_loop().call_later(SLOW_AFTER_S, give_back)
        try:
            yield
        finally:
            timer.cancel()
            give_back()

    def _come_again(self, parked: Work) -> None:
        lane = parked.lane
        if not (self._stopping.is_set() or lane.lost or lane.handing_over):
            self._add(Work(parked.delivery, lane, holds=False))

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
