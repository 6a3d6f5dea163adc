"""Replays: signals run again, in their original order, with what came of it in history."""

import asyncio
import contextlib
import json
import secrets
from datetime import UTC, datetime
from typing import Any

import grpc
import sqlalchemy as sa
from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.common.v1 import common_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.api.router.v1 import router_pb2, router_pb2_grpc
from vantixs.model.ids import event_subject
from vantixs.runtime import trace
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError, from_rpc_error, invalid, not_found
from vantixs.runtime.journal import Message
from vantixs.runtime.logs import log
from vantixs.runtime.outbox import Outbox

from vantixs_audit import store

PREVIEW_TIMEOUT_S = 5.0


class Replays:
    """Runs replays one after the other; one that a crash interrupted goes on at the next start."""

    def __init__(
        self, database: Database, outbox: Outbox, router: "router_pb2_grpc.RouterServiceAsyncStub", most: int
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._router = router
        self._most = most
        self._wake = asyncio.Event()

    async def start(self, request: audit_pb2.ReplaySignalsRequest, operator: str) -> audit_pb2.Replay:
        """Puts a replay on the list; the same request_id gives the same replay."""
        if request.mode != journal_pb2.REPLAY_MODE_PAPER:
            raise ServiceError(
                grpc.StatusCode.UNIMPLEMENTED, "NOT_IMPLEMENTED", "expected mode PAPER: others are not built yet"
            )
        if not request.signal_ids:
            raise invalid("signal_ids", "expected ids: replay by filter is not built yet", "FIELD_MISSING")
        if len(request.signal_ids) > self._most:
            raise invalid("signal_ids", f"expected at most {self._most}, was {len(request.signal_ids)}")
        if len(request.comment) > 500:
            raise invalid("comment", f"expected at most 500 characters, was {len(request.comment)}")
        replay = audit_pb2.Replay(
            replay_id=f"r{secrets.token_hex(8)}",
            mode=request.mode,
            operator=operator,
            comment=request.comment,
            state=audit_pb2.REPLAY_STATE_RUNNING,
        )
        replay.create_time.FromDatetime(datetime.now(UTC))

        def write(connection: sa.Connection) -> audit_pb2.Replay:
            if request.request_id:
                query = sa.select(store.REPLAYS.c.data).where(store.REPLAYS.c.request_id == request.request_id)
                if (data := connection.execute(query).scalar()) is not None:
                    return audit_pb2.Replay.FromString(data)
            ordered = _in_order(connection, list(request.signal_ids))
            replay.total = len(ordered)
            store.insert_replay(connection, replay, request.request_id, ordered)
            for signal_id in ordered:
                event = journal_pb2.ReplayRequested(
                    replay_id=replay.replay_id, mode=replay.mode, operator=operator, comment=request.comment
                )
                self._put(connection, replay, signal_id, "requested", replay_requested=event)
            return replay

        stored = await self._database.write(write)
        self._outbox.wake()
        self._wake.set()
        return stored

    async def run(self, stopping: asyncio.Event) -> None:
        """Works the list off until stopped."""
        while not stopping.is_set():
            self._wake.clear()
            try:
                row = await self._database.read(_next)
                if row is not None:
                    await self._advance(audit_pb2.Replay.FromString(row.data), json.loads(row.signal_ids))
                    continue
            except ServiceError as error:
                log.warning("replay.waiting", reason=error.reason, detail=error.detail)
                await asyncio.sleep(0.5)
                continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), 1.0)

    async def _advance(self, replay: audit_pb2.Replay, signal_ids: list[str]) -> None:
        """Runs the next signal of a replay, and records its result with the replay's progress in one transaction."""
        signal_id = signal_ids[replay.finished]
        accepted = await self._database.read(lambda c: _accepted(c, signal_id))
        if accepted is None:
            outcome, reason = common_pb2.SIGNAL_STATUS_REJECTED, "the signal was never accepted: nothing to run"
            entries: list[journal_pb2.JournalEntry] = []
        else:
            request = router_pb2.PreviewSignalRequest(accepted=accepted, replay_id=replay.replay_id)
            try:
                response = await self._router.PreviewSignal(request, timeout=PREVIEW_TIMEOUT_S)
            except grpc.aio.AioRpcError as error:
                failure = from_rpc_error(error)
                if failure.code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                    raise failure from None
                outcome, reason, entries = common_pb2.SIGNAL_STATUS_FAILED, failure.reason, []
            else:
                entries = list(response.entries)
                outcome, reason = entries[-1].signal_completed.status, entries[-1].signal_completed.reason
        await self._database.write(lambda c: self._record(c, replay, signal_id, outcome, reason, entries))
        self._outbox.wake()

    def _record(
        self,
        connection: sa.Connection,
        replay: audit_pb2.Replay,
        signal_id: str,
        outcome: "common_pb2.SignalStatus",
        reason: str,
        entries: list[journal_pb2.JournalEntry],
    ) -> None:
        if store.read_replay(connection, replay.replay_id) != replay:
            return  # Another process has gone on with it: the lease ran out here meanwhile.
        done = audit_pb2.Replay()
        done.CopyFrom(replay)
        first = connection.execute(sa.select(store.SIGNALS).where(store.SIGNALS.c.signal_id == signal_id)).first()
        differences = []
        before = (first.original_status or first.status) if first else "unknown"
        after = common_pb2.SignalStatus.Name(outcome).removeprefix("SIGNAL_STATUS_")
        if before != after:
            differences.append(f"status was {before}, is {after}")
        if first and first.reason != reason:
            differences.append(f"reason was {first.reason or 'none'}, is {reason or 'none'}")
        done.results.add(signal_id=signal_id, status=outcome, reason=reason, differences=differences)
        done.finished += 1
        done.different += bool(differences)
        if done.finished == done.total:
            done.state = audit_pb2.REPLAY_STATE_FINISHED
        store.update_replay(connection, done)
        event = journal_pb2.ReplayFinished(
            replay_id=replay.replay_id,
            mode=replay.mode,
            status=outcome,
            reason=reason,
            differences=differences,
            entries=entries,
        )
        self._put(connection, replay, signal_id, "finished", replay_finished=event)

    def _put(
        self, connection: sa.Connection, replay: audit_pb2.Replay, signal_id: str, step: str, **event: Any
    ) -> None:
        event_id = f"{signal_id}:replay:{replay.replay_id}:{step}"
        entry = journal_pb2.JournalEntry(
            event_id=event_id,
            signal_id=signal_id,
            actor=replay.operator,
            trace_parent=trace.current(),
            **event,
        )
        entry.event_time.FromDatetime(datetime.now(UTC))
        payload = journal_pb2.JournalBatch(entries=[entry]).SerializeToString()
        self._outbox.put(connection, Message(event_subject("replay"), payload, event_id))


def _in_order(connection: sa.Connection, signal_ids: list[str]) -> list[str]:
    """The ids in the order the signals came; NOT_FOUND for one that is not in history."""
    query = sa.select(store.SIGNALS.c.signal_id, store.SIGNALS.c.number).where(
        store.SIGNALS.c.signal_id.in_(signal_ids)
    )
    numbers = {row.signal_id: row.number for row in connection.execute(query)}
    for signal_id in signal_ids:
        if signal_id not in numbers:
            raise not_found("signal", signal_id)
    return sorted(set(signal_ids), key=lambda i: numbers[i])


def _next(connection: sa.Connection) -> Any:
    running = audit_pb2.ReplayState.Name(audit_pb2.REPLAY_STATE_RUNNING)
    query = sa.select(store.REPLAYS).where(store.REPLAYS.c.state == running).order_by(store.REPLAYS.c.number).limit(1)
    return connection.execute(query).first()


def _accepted(connection: sa.Connection, signal_id: str) -> journal_pb2.SignalAccepted | None:
    """What a replay runs: the signal as accepted, or the repeat as it would have been."""
    query = sa.select(store.ENTRIES.c.data).where(
        store.ENTRIES.c.signal_id == signal_id, store.ENTRIES.c.kind.in_(("signal_accepted", "duplicate_suppressed"))
    )
    for data in connection.execute(query.order_by(store.ENTRIES.c.sequence)).scalars():
        entry = journal_pb2.JournalEntry.FromString(data)
        if entry.HasField("signal_accepted"):
            return entry.signal_accepted
        repeat = entry.duplicate_suppressed
        if repeat.first_signal_id != signal_id and repeat.HasField("signal"):
            return journal_pb2.SignalAccepted(signal=repeat.signal, request=repeat.request, webhook=repeat.webhook)
    return None
