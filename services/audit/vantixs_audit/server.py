"""AuditService: decode, run one query, encode."""

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from vantixs.api.audit.v1 import audit_pb2, audit_pb2_grpc
from vantixs.runtime.database import Database
from vantixs.runtime.grpc_server import Role, caller

from vantixs_audit.export_signals import Exports
from vantixs_audit.get_payload import Payloads
from vantixs_audit.get_signal import get_signal
from vantixs_audit.history_reads import PayloadViews, has_payload, without_payload
from vantixs_audit.journal_gap import JournalGaps
from vantixs_audit.list_signals import list_signals
from vantixs_audit.proof.service import HistoryProof
from vantixs_audit.recorder import Watchers
from vantixs_audit.replays.service import Replays
from vantixs_audit.statistics import add_counts, read_statistics
from vantixs_audit.stragglers import MOST_SHOWN, count_stragglers, select_stragglers
from vantixs_audit.views import summary
from vantixs_audit.watch_signals import watch_signals

NAME = "vantixs.api.audit.v1.AuditService"
_VIEWER = (
    "GetSignal ListSignals WatchSignals ExportSignals GetReplay ListReplays VerifyHistory GetStatistics GetJournal "
    "CheckHistory GetCheckpoint"
)
_AUDITOR = "GetPayload ProveSignal"
_OPERATOR = "ReplaySignals CancelReplay PauseReplay ResumeReplay AcceptJournalGap"
ROLES = {
    f"/{NAME}/{method}": role
    for role, methods in {Role.VIEWER: _VIEWER, Role.AUDITOR: _AUDITOR, Role.OPERATOR: _OPERATOR}.items()
    for method in methods.split()
}


class AuditServicer(audit_pb2_grpc.AuditServiceServicer):
    """What audit answers."""

    def __init__(
        self,
        database: Database,
        watchers: Watchers,
        replays: Replays,
        gaps: JournalGaps,
        proof: HistoryProof,
        exports: Exports,
        payloads: Payloads,
        payload_views: PayloadViews,
        straggler_limit_s: float,
    ) -> None:
        self._exports = exports
        self._payloads = payloads
        self._payload_views = payload_views
        self._straggler_limit_s = straggler_limit_s
        self._database = database
        self._watchers = watchers
        self._replays = replays
        self._gaps = gaps
        self._proof = proof

    async def GetSignal(self, request: audit_pb2.GetSignalRequest, context: Any) -> Any:
        """A signal and its timeline; that a person looked at the payload is an entry."""
        now = datetime.now(UTC)
        response = await self._database.read(lambda c: get_signal(c, request.signal_id, now))
        entries = [recorded.entry for recorded in response.timeline]
        if any(map(has_payload, entries)) and not await self._payload_views.may_see(caller(), request.signal_id):
            for entry in entries:
                without_payload(entry)
        return response

    async def GetPayload(self, request: audit_pb2.GetPayloadRequest, context: Any) -> Any:
        """What was sent, also where it is sealed; that it was looked at is an entry."""
        return await self._payloads.get(request.signal_id, caller())

    async def ListSignals(self, request: audit_pb2.ListSignalsRequest, context: Any) -> Any:
        """Signals by filter and order, newest first unless another one is asked for."""
        rows, following = await self._database.read(lambda c: list_signals(c, request))
        return audit_pb2.ListSignalsResponse(signals=[summary(row) for row in rows], next_page_token=following)

    async def WatchSignals(
        self, request: audit_pb2.WatchSignalsRequest, context: Any
    ) -> AsyncIterator[audit_pb2.WatchSignalsResponse]:
        """Changes as they are recorded. The response's metadata is sent once none is missed any more."""
        changes = watch_signals(self._database, self._watchers, request, lambda: context.send_initial_metadata(()))
        async with contextlib.aclosing(changes):  # type: ignore[type-var]
            async for change in changes:
                yield change

    async def ExportSignals(
        self, request: audit_pb2.ExportSignalsRequest, context: Any
    ) -> AsyncIterator[audit_pb2.ExportSignalsResponse]:
        """The signals that match, with an entry that says who took them."""
        responses = self._exports.export(request, caller())
        async with contextlib.aclosing(responses):  # type: ignore[type-var]
            async for response in responses:
                yield response

    async def GetStatistics(self, request: audit_pb2.GetStatisticsRequest, context: Any) -> Any:
        """Counts, latencies and slippage, and what has no end."""
        limit_s, now = self._straggler_limit_s, datetime.now(UTC)

        def read(connection: sa.Connection) -> audit_pb2.GetStatisticsResponse:
            late = connection.execute(select_stragglers(limit_s, now).limit(MOST_SHOWN)).all()
            found = read_statistics(connection, request, now)
            return audit_pb2.GetStatisticsResponse(
                counts=add_counts(found),
                statistics=found,
                stragglers=[summary(row) for row in late],
                straggler_count=count_stragglers(connection, limit_s, now),
                straggler_limit_s=limit_s,
            )

        return await self._database.read(read)

    async def ReplaySignals(self, request: audit_pb2.ReplaySignalsRequest, context: Any) -> Any:
        """Starts a replay, or counts its signals."""
        return await self._replays.start(request, caller().actor)

    async def GetReplay(self, request: audit_pb2.GetReplayRequest, context: Any) -> Any:
        """A replay with a page of its results."""
        return await self._replays.get(request)

    async def ListReplays(self, request: audit_pb2.ListReplaysRequest, context: Any) -> Any:
        """Replays, newest first."""
        return await self._replays.list(request)

    async def CancelReplay(self, request: audit_pb2.CancelReplayRequest, context: Any) -> Any:
        """Stops a replay."""
        state = audit_pb2.REPLAY_STATE_CANCELED
        return audit_pb2.CancelReplayResponse(replay=await self._replays.set_state(request.replay_id, state))

    async def PauseReplay(self, request: audit_pb2.PauseReplayRequest, context: Any) -> Any:
        """Holds a replay."""
        state = audit_pb2.REPLAY_STATE_PAUSED
        return audit_pb2.PauseReplayResponse(replay=await self._replays.set_state(request.replay_id, state))

    async def ResumeReplay(self, request: audit_pb2.ResumeReplayRequest, context: Any) -> Any:
        """Goes on with a replay."""
        state = audit_pb2.REPLAY_STATE_RUNNING
        return audit_pb2.ResumeReplayResponse(replay=await self._replays.set_state(request.replay_id, state))

    async def GetJournal(self, request: audit_pb2.GetJournalRequest, context: Any) -> Any:
        """The journal and what it lacks."""
        return await self._gaps.show()

    async def AcceptJournalGap(self, request: audit_pb2.AcceptJournalGapRequest, context: Any) -> Any:
        """Takes the journal as it is."""
        return await self._gaps.accept(request, caller().actor)

    async def VerifyHistory(self, request: audit_pb2.VerifyHistoryRequest, context: Any) -> Any:
        """Checks the whole history, and answers once."""
        return await self._proof.verify(request)

    async def CheckHistory(
        self, request: audit_pb2.CheckHistoryRequest, context: Any
    ) -> AsyncIterator[audit_pb2.CheckHistoryResponse]:
        """Checks the whole history, told as it goes on."""
        async for response in self._proof.check(request):
            yield response

    async def GetCheckpoint(self, request: audit_pb2.GetCheckpointRequest, context: Any) -> Any:
        """The last signed checkpoint."""
        return await self._proof.checkpoint()

    async def ProveSignal(self, request: audit_pb2.ProveSignalRequest, context: Any) -> Any:
        """What shows that a signal's entries are in history; as they hold the payload, each call is an entry."""
        proof = await self._proof.prove(request)
        await self._payloads.record_proof(request.signal_id, caller())
        return proof
