"""Runs accepted signals of the lanes that this replica owns.

Signals of one key (account and instrument) run in order, signals of different keys at the same time. The journal is read
from each lane's cursor, and nothing is acknowledged to the broker. A cursor moves only past signals that have ended or are
stored as parked. Parking keeps a signal that waits for a venue or for risk from holding up its lane, and from keeping
journal messages from being purged.
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

from vantixs_router import parked_signals
from vantixs_router.fence import Fence as FencePort
from vantixs_router.fence import LeaseLost
from vantixs_router.lanes.leases import Fence, Leases, Turn
from vantixs_router.lanes.outcome import Outcome
from vantixs_router.lanes.queues import KeyQueues, Lane, Work, identity_of
from vantixs_router.risk_client import RiskFailed

IN_HAND = Gauge("vantixs_router_signals_in_hand", "accepted signals read from the journal and not done")
MOST_IN_HAND = 20_000
# Signals in progress at once. One that waits for a slow venue gives up its place, so that it delays only its own key.
AT_ONCE, SLOW_AFTER_S = 256, 2.0
RETRY_PARKED_S = 3.0
ROOM_CHECK_S = 1.0
_LANE_OF = {accepted_subject(lane): lane for lane in range(LANES)}


Handle = Callable[[Delivery, FencePort], Awaitable[Outcome]]
Look = Callable[[str, FencePort], Awaitable[None]]


async def _nothing(*_: object) -> None:
    """Default for replicas without resting orders."""


class LaneRunner:
    """The lanes of one replica, from their leases to the handling of each signal.

    `inherit` publishes messages that the previous owner of a lane committed and did not publish. `load` and `lose`
    are called when a lane is taken and when it is lost. After `enqueue`, `look` is called for a key once no other
    work on it is in progress.
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
        load: Callable[[int], Awaitable[None]] = _nothing,
        lose: Callable[[int], None] = lambda _: None,
        look: Look = _nothing,
        retry_parked_s: float = RETRY_PARKED_S,
        stop_within_s: float = 2.0,
    ) -> None:
        self._journal = journal
        self._database = database
        self._leases = leases
        self._handle = handle
        self._key_of = key_of
        self._inherit = inherit
        self._load_orders = load
        self._lose_orders = lose
        self._look = look
        self._retry_parked_s = retry_parked_s
        self._stop_within_s = stop_within_s
        self._lanes: dict[int, Lane] = {}
        self._queues = KeyQueues()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._room = asyncio.Event()
        self._stopping = asyncio.Event()
        # The lanes that the running subscription reads. A lane that is taken later is first read from its own cursor.
        self._reading: list[Lane] = []
        self._reader = Reader(journal, start_after=self._start_after, subjects=self._subjects, linger_s=0)

    async def run(self, stopping: asyncio.Event) -> None:
        """Works until stopped; then finishes the signals in progress, saves the cursors and frees the lanes."""
        self._stopping = stopping
        async with asyncio.TaskGroup() as tasks:
            leasing = tasks.create_task(self._leases.run(stopping, self.cursors, self._owned))
            reading = tasks.create_task(self._read(stopping))
            await stopping.wait()
            self._leases.wake()
            reading.cancel()
            try:
                await leasing
                if self._tasks:
                    # A signal that waits for the broker or a venue does not delay this: fencing refuses its later commits.
                    await asyncio.wait(self._tasks.values(), timeout=self._stop_within_s)
            finally:
                for task in list(self._tasks.values()):
                    task.cancel()
                await self._leases.leave(self.cursors())

    def enqueue(self, number: int, key: str) -> bool:
        """Calls `look` for a key when the key's turn comes; returns whether this replica owns the lane."""
        lane = self._lanes.get(number)
        if lane is None or lane.lost or lane.handing_over:
            return False
        if not self._queues.has_look(key):
            self._put(key, Work(None, lane, holds=False))
        return True

    def is_busy(self, key: str) -> bool:
        """Whether work on the key is in progress or waits."""
        return self._queues.has(key)

    def owned(self) -> tuple[int, ...]:
        """The lanes that this replica owns."""
        return tuple(self._lanes)

    def cursors(self) -> Mapping[int, tuple[int, int]]:
        """The cursors of the lanes that this replica owns, and the epoch of the journal in which they count."""
        return {n: (lane.cursor, lane.journal_epoch) for n, lane in self._lanes.items() if not lane.lost}

    def _start_after(self) -> int:
        return min((lane.read for lane in self._reading), default=0)

    def _subjects(self) -> list[str]:
        self._reading = self._ready()
        for lane in self._reading:
            if lane.journal_epoch != self._journal.mark.epoch:
                # An operator accepted a gap: the stream is read from its beginning, and ended signals are known by id.
                self._queues.release(lane)
                lane.begin_again(self._journal.mark.epoch)
        return [accepted_subject(lane.number) for lane in self._reading]

    def _ready(self) -> list[Lane]:
        """The lanes that may be read: their parked signals are loaded, and they are not being handed over."""
        return [lane for lane in self._lanes.values() if not (lane.loading or lane.handing_over or lane.lost)]

    def _owned(self, turn: Turn) -> None:
        """Updates the lanes after the leases were renewed: starts new ones, and drops lost ones."""
        changed = False
        for number, lane in list(self._lanes.items()):
            row = turn.owned.get(number)
            if row is None or row.epoch != lane.epoch:
                self._lose(lane)
                changed = True
        taken = []
        for number, row in turn.owned.items():
            if number not in self._lanes:
                lane = self._lanes[number] = Lane(number, row.epoch, row.cursor, row.journal_epoch)
                self._start(f"load {number} {row.epoch}", self._load(lane))
                taken.append(number)
        if taken:
            log.info("lanes.taken", lanes=taken)
        for number in turn.surplus:
            lane = self._lanes[number]
            if not lane.handing_over:
                lane.handing_over = changed = True
                self._queues.drop_waiting(lane)
                self._room.set()
                # A signal that never ends does not keep the lane from its next owner: fencing refuses its later commits.
                asyncio.get_running_loop().call_later(self._leases.lease_s, self._give, lane)
            if not lane.in_hand and not lane.loading:
                self._give(lane)
        if changed:
            self._reader.restart()

    def _lose(self, lane: Lane) -> None:
        """Drops a lane that this replica no longer owns: no more of its signals are started."""
        if lane.lost:
            return
        lane.lost = True
        if self._lanes.get(lane.number) is lane:
            del self._lanes[lane.number]
            self._lose_orders(lane.number)
        self._queues.drop_waiting(lane)
        self._room.set()
        self._reader.restart()
        log.info("lane.left", lane=lane.number, epoch=lane.epoch, cursor=lane.cursor)

    def _give(self, lane: Lane) -> None:
        """Frees a lane that is to be handed over."""
        if lane.handing_over and not lane.lost:
            self._leases.give(lane.number, lane.epoch)

    async def _load(self, lane: Lane) -> None:
        """Takes over the unfinished work of a lane's previous owner, before the lane is read."""
        while not (self._stopping.is_set() or lane.lost):
            try:
                await self._inherit(lane.number)
                rows = await self._database.read(lambda c: parked_signals.read_parked(c, [lane.number]))
                await self._load_orders(lane.number)
            except Exception as error:
                log.warning("lane.not_loaded", lane=lane.number, error=repr(error))
                await self._pause(0.2)
                continue
            if lane.lost:
                if lane.number not in self._lanes:
                    self._lose_orders(lane.number)  # What was loaded after the lane was lost.
                return
            for parked in rows:
                self._add(Work(parked.delivery(), lane, holds=False))
            lane.loading = False
            self._reader.restart()
            if not lane.in_hand:
                self._give(lane)
            return

    async def _read(self, stopping: asyncio.Event) -> None:
        async for deliveries in self._reader.batches(stopping):
            reading = {lane.number: lane for lane in self._reading if not lane.handing_over and not lane.lost}
            for delivery in deliveries:
                self._journal.note(delivery.stream_sequence)
                found = reading.get(_LANE_OF.get(delivery.subject, -1))
                if found and delivery.stream_sequence > found.seen:
                    found.add(delivery.stream_sequence)
                    self._add(Work(delivery, found))
            for lane in reading.values():
                lane.raise_to(self._reader.passed)
            IN_HAND.set(self._queues.count)
            while self._queues.count >= MOST_IN_HAND and not stopping.is_set():
                self._room.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._room.wait(), ROOM_CHECK_S)

    def _add(self, work: Work) -> None:
        if work.delivery:
            self._put(self._key_of(work.delivery), work)

    def _put(self, key: str, work: Work) -> None:
        if self._queues.add(key, work):
            self._start(key, self._work_on(key))

    def _start(self, key: str, work: "Awaitable[None]") -> None:
        task = asyncio.ensure_future(work)
        self._tasks[key] = task
        task.add_done_callback(lambda ended: self._ended(key, ended))

    def _ended(self, key: str, task: "asyncio.Future[None]") -> None:
        """Handles the end of a key's task.

        If the key still has work, because the task was cancelled, a new task is started.
        """
        if self._tasks.get(key) is task:
            del self._tasks[key]
            if not self._stopping.is_set() and self._queues.has(key):
                log.error("lane.worker_ended", key=key)
                self._start(key, self._work_on(key))

    async def _work_on(self, key: str) -> None:
        """Runs the queue of a key until it is empty, the service stops, or this replica loses the lane."""
        attempt = 0
        while work := self._queues.head(key):
            lane = work.lane
            while not await self._may_begin(lane):
                pass
            try:
                async with self._place():
                    if self._is_left(lane):
                        self._queues.skip(key)
                        self._room.set()
                        continue
                    outcome = await self._do(key, work, Fence(self._leases, lane.number, lane.epoch))
            except LeaseLost as lost:
                log.info("lane.lost", lane=lane.number, detail=str(lost))
                self._lose(lane)
                continue
            except Exception as error:
                sequence = work.delivery.stream_sequence if work.delivery else 0
                log.error("lane.failed", lane=lane.number, key=key, sequence=sequence, exc_info=error)
                outcome = Outcome.RETRY
            if outcome is Outcome.RETRY:
                attempt += 1
                if lane.handing_over:
                    self._queues.skip(key)
                    if not lane.in_hand:
                        self._give(lane)
                    continue
                await self._pause(min(0.1 * 2 ** min(attempt, 10), 5.0))
                continue
            attempt = 0
            self._queues.done(key)
            self._room.set()
            if outcome is Outcome.PARKED and work.delivery and lane.park(work.delivery):
                asyncio.get_running_loop().call_later(self._retry_parked_s, self._come_again, work)
            if not lane.in_hand:
                self._give(lane)

    async def _do(self, key: str, work: Work, fence: FencePort) -> Outcome:
        try:
            if work.delivery:
                return await self._handle(work.delivery, fence)
            await self._look(key, fence)
        except (RiskFailed, ServiceError) as failure:
            log.warning("signal.waiting" if work.delivery else "working.waiting", key=key, detail=str(failure))
            return Outcome.RETRY
        return Outcome.DONE

    def _is_left(self, lane: Lane) -> bool:
        """Whether no more signals of the lane are started."""
        return self._stopping.is_set() or lane.lost

    async def _may_begin(self, lane: Lane) -> bool:
        """Whether the lane's next signal may be started; waits a moment for that.

        No signal is started while the journal is down or has lost messages, or while the lease is about to end.
        """
        if self._is_left(lane):
            return True
        if self._leases.remaining_s() < self._leases.lease_s / 4:
            await self._pause(0.05)
            return False
        return await self._journal.whole()

    @contextlib.asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        """One of the places for signals in progress. It is given back at the end, or earlier if the signal waits long."""
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
        if parked.delivery:
            lane.parked.discard(identity_of(parked.delivery))
        if not (self._stopping.is_set() or lane.lost or lane.handing_over):
            self._add(Work(parked.delivery, lane, holds=False))

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
