"""Replays as operators ask for them, and the work on those that run: signal by signal, each result with the progress."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import grpc
import sqlalchemy as sa
from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.ids import event_subject
from vantixs.runtime import trace
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.journal import Message
from vantixs.runtime.logs import log
from vantixs.runtime.outbox import Outbox
from vantixs.runtime.paging import page_of

from vantixs_audit import store
from vantixs_audit.domain.replay_pace import ReplayPace
from vantixs_audit.replays import request as requests
from vantixs_audit.replays import rows, seeds
from vantixs_audit.replays.run_signal import Ran, RunSignal
from vantixs_audit.tables import REPLAYS

ENTRIES_AT_ONCE = 200
_ENDED = (audit_pb2.REPLAY_STATE_FINISHED, audit_pb2.REPLAY_STATE_CANCELED)
_LOOK_EVERY_S, _AGAIN_AFTER_S = 1.0, 0.5


class _Upcoming(NamedTuple):
    """The next signal of a replay: its place, its row in history, and when it is due by the monotonic clock."""

    place: int
    row: Any
    due: float


class Replays:
    """Runs replays beside each other; one that a crash interrupted goes on at the next start."""

    def __init__(
        self, database: Database, outbox: Outbox, run_signal: RunSignal, *, most: int, pace: ReplayPace
    ) -> None:
        """`most` signals of a replay; all replays together keep to `pace`, so that live signals are not slowed."""
        self._database = database
        self._outbox = outbox
        self._run_signal = run_signal
        self._most = most
        self._pace = pace
        self._wake = asyncio.Event()
        self._upcoming: dict[str, _Upcoming] = {}
        self._ran_at: dict[str, float] = {}

    async def start(self, request: audit_pb2.ReplaySignalsRequest, operator: str) -> audit_pb2.ReplaySignalsResponse:
        """Puts a replay on the list, or counts; the same request_id gives the same replay."""
        requests.check(request)
        if request.count_only:
            return audit_pb2.ReplaySignalsResponse(
                count=await self._database.read(lambda c: requests.count(c, request))
            )

        def write(connection: sa.Connection) -> audit_pb2.Replay:
            if request.request_id and (known := rows.of_request(connection, request.request_id)):
                return known
            signal_ids = requests.signals_of(connection, request, self._most)
            replay = requests.new_replay(connection, request, operator, len(signal_ids))
            rows.insert(connection, replay, request.request_id, signal_ids)
            if request.request_id:
                stored = rows.of_request(connection, request.request_id)
                if stored and stored.replay_id != replay.replay_id:
                    return stored
            if replay.mode == journal_pb2.REPLAY_MODE_PAPER:
                replay.seed = seeds.describe(connection, replay.replay_id)
                rows.update(connection, replay)
            self._put_requested(connection, replay, signal_ids)
            return replay

        replay = await self._database.write(write)
        self._outbox.wake()
        self._wake.set()
        return audit_pb2.ReplaySignalsResponse(replay=replay, count=replay.total)

    async def get(self, request: audit_pb2.GetReplayRequest) -> audit_pb2.GetReplayResponse:
        """A replay with a page of its results."""

        def read(connection: sa.Connection) -> audit_pb2.GetReplayResponse:
            replay = rows.read(connection, request.replay_id)
            results, following = rows.page_of_results(connection, request)
            if request.page_token:
                replay.ClearField("results")  # Those of a replay of before are all on the first page.
            replay.results.extend(results)
            return audit_pb2.GetReplayResponse(replay=replay, next_page_token=following)

        return await self._database.read(read)

    async def list(self, request: audit_pb2.ListReplaysRequest) -> audit_pb2.ListReplaysResponse:
        """Replays without their results, newest first."""

        def read(connection: sa.Connection) -> audit_pb2.ListReplaysResponse:
            found, following = page_of(connection, sa.select(REPLAYS), REPLAYS.c.number, request, descending=True)
            replays = [audit_pb2.Replay.FromString(row.data) for row in found]
            for replay in replays:
                replay.ClearField("results")
            return audit_pb2.ListReplaysResponse(replays=replays, next_page_token=following)

        return await self._database.read(read)

    async def set_state(self, replay_id: str, state: "audit_pb2.ReplayState") -> audit_pb2.Replay:
        """Cancels, holds or goes on with a replay; again is no error.

        Raises:
            ServiceError: NOT_FOUND; FAILED_PRECONDITION REPLAY_ENDED.
        """

        def write(connection: sa.Connection) -> audit_pb2.Replay:
            replay = rows.read(connection, replay_id, lock=True)
            if replay.state != state and replay.state in _ENDED:
                name = audit_pb2.ReplayState.Name(replay.state).removeprefix("REPLAY_STATE_")
                detail = f"expected a replay that goes on, was {name}: {replay_id}"
                raise ServiceError(grpc.StatusCode.FAILED_PRECONDITION, "REPLAY_ENDED", detail)
            if replay.state != state:
                replay.state = state
                if state in _ENDED:
                    replay.end_time.FromDatetime(datetime.now(UTC))
                rows.update(connection, replay)
            return replay

        replay = await self._database.write(write)
        replay.ClearField("results")
        self._wake.set()
        return replay

    async def run(self, stopping: asyncio.Event) -> None:
        """Works on replays that run, in turns, until stopped."""
        while not stopping.is_set():
            self._wake.clear()
            try:
                wait_s = await self._step()
            except ServiceError as error:
                log.warning("replay.waiting", reason=error.reason, detail=error.detail)
                wait_s = _AGAIN_AFTER_S
            if wait_s > 0:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), wait_s)

    async def _step(self) -> float:
        """Runs the signal that is due; returns how long to wait for the next one, in seconds."""
        replays, signals = await self._database.read(lambda c: (rows.running(c), store.read_head(c).signals))
        self._pace.saw(signals, time.monotonic())
        self._forget_all_but({replay.replay_id for replay in replays})
        waiting = [(await self._upcoming_of(replay), replay) for replay in replays]
        if not waiting:
            return _LOOK_EVERY_S
        now = time.monotonic()
        wait_s = max(min(upcoming.due for upcoming, _ in waiting), self._pace.free_at) - now
        if wait_s > 0:
            return min(wait_s, _LOOK_EVERY_S)
        # Of those that are due, the one that waited longest since its last signal.
        upcoming, replay = min(
            (item for item in waiting if item[0].due <= now), key=lambda item: self._ran_at.get(item[1].replay_id, 0.0)
        )
        # It may have ended since it was looked up: a replay with a speed waits between its signals.
        row = await self._database.read(lambda c: rows.signal_at(c, replay.replay_id, upcoming.place))
        if row is None:
            ran = Ran(audit_pb2.ReplayResult(refused="it is not in history any more"))
        else:
            ran = await self._run_signal.run(replay, row)
        await self._database.write(lambda c: self._record(c, replay, upcoming, ran))
        self._outbox.wake()
        self._ran_at[replay.replay_id] = ended = time.monotonic()
        self._pace.ran(now, ended)
        return 0.0

    async def _upcoming_of(self, replay: audit_pb2.Replay) -> _Upcoming:
        known = self._upcoming.get(replay.replay_id)
        if known and known.place == replay.finished:
            return known
        place = replay.finished
        row = await self._database.read(lambda c: rows.signal_at(c, replay.replay_id, place))
        due = time.monotonic()
        before = known.row.receive_time if known and known.row else None
        if before and row and row.receive_time:
            due = self._ran_at.get(replay.replay_id, due) + gap_s(before, row.receive_time, replay.speed)
        upcoming = self._upcoming[replay.replay_id] = _Upcoming(place, row, due)
        return upcoming

    def _forget_all_but(self, replay_ids: set[str]) -> None:
        for replay_id in [*self._upcoming]:
            if replay_id not in replay_ids:
                self._upcoming.pop(replay_id)
                self._ran_at.pop(replay_id, None)
                self._run_signal.forget(replay_id)

    def _record(self, connection: sa.Connection, replay: audit_pb2.Replay, upcoming: _Upcoming, ran: Ran) -> None:
        """Records a result with the replay's progress and its entry, in one transaction."""
        now, result = rows.read(connection, replay.replay_id, lock=True), ran.result
        if now.finished != upcoming.place:
            return  # Another process has gone on with it: the lease ran out here meanwhile.
        now.finished += 1
        now.different += bool(result.differences)
        now.not_verifiable += bool(result.missing)
        now.refused += bool(result.refused)
        if now.finished >= now.total and now.state not in _ENDED:
            now.state = audit_pb2.REPLAY_STATE_FINISHED
            now.end_time.FromDatetime(datetime.now(UTC))
        rows.set_result(connection, replay.replay_id, upcoming.place, result)
        rows.update(connection, now)
        if not result.signal_id or result.refused:
            return  # It was not run: its history has nothing to tell but that it was asked for.
        event = journal_pb2.ReplayFinished(
            replay_id=replay.replay_id,
            root_replay_id=replay.root_replay_id,
            of_replay_id=replay.of_replay_id,
            mode=replay.mode,
            status=result.status,
            reason=result.reason,
            differences=result.differences,
            found=result.found,
            missing=result.missing,
            entries=ran.entries,
        )
        entry = _entry(replay, result.signal_id, "finished", replay_finished=event)
        self._put(connection, entry.event_id, [entry])

    def _put_requested(self, connection: sa.Connection, replay: audit_pb2.Replay, signal_ids: Sequence[str]) -> None:
        event = journal_pb2.ReplayRequested(
            replay_id=replay.replay_id, mode=replay.mode, operator=replay.operator, comment=replay.comment
        )
        for first in range(0, len(signal_ids), ENTRIES_AT_ONCE):
            some = signal_ids[first : first + ENTRIES_AT_ONCE]
            entries = [_entry(replay, signal_id, "requested", replay_requested=event) for signal_id in some]
            self._put(connection, entries[0].event_id, entries)

    def _put(self, connection: sa.Connection, message_id: str, entries: Sequence[journal_pb2.JournalEntry]) -> None:
        payload = journal_pb2.JournalBatch(entries=entries).SerializeToString()
        self._outbox.put(connection, Message(event_subject("replay"), payload, message_id))


def gap_s(before: datetime, after: datetime, speed: float) -> float:
    """Seconds between two signals of a replay: those there were, divided by the speed; 0 for as fast as possible.

    >>> gap_s(datetime(2026, 11, 27, 12, 0, 0), datetime(2026, 11, 27, 12, 0, 30), 10)
    3.0
    """
    return max((after - before).total_seconds(), 0.0) / speed if speed else 0.0


def _entry(replay: audit_pb2.Replay, signal_id: str, step: str, **event: Any) -> journal_pb2.JournalEntry:
    entry = journal_pb2.JournalEntry(
        event_id=f"{signal_id}:replay:{replay.replay_id}:{step}",
        signal_id=signal_id,
        actor=replay.operator,
        trace_parent=trace.current(),
        **event,
    )
    entry.event_time.FromDatetime(datetime.now(UTC))
    return entry
