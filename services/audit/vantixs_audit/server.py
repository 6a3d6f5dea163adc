"""AuditService: decode, run one query, encode."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import grpc
import sqlalchemy as sa
from vantixs.api.audit.v1 import audit_pb2, audit_pb2_grpc
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError, not_found
from vantixs.runtime.grpc_server import Role, caller
from vantixs.runtime.paging import page_of

from vantixs_audit import store
from vantixs_audit.get_signal import get_signal
from vantixs_audit.journal_gap import JournalGaps
from vantixs_audit.list_signals import list_signals
from vantixs_audit.proof.service import HistoryProof
from vantixs_audit.recorder import Watchers
from vantixs_audit.replay import Replays
from vantixs_audit.signal_filter import expression_of, holds, row_of_message
from vantixs_audit.views import summary

NAME = "vantixs.api.audit.v1.AuditService"
_VIEWER = (
    "GetSignal ListSignals WatchSignals ExportSignals GetReplay ListReplays VerifyHistory GetStatistics GetJournal "
    "CheckHistory GetCheckpoint ProveSignal"
)
ROLES = {
    f"/{NAME}/{method}": role
    for role, methods in {Role.VIEWER: _VIEWER, Role.OPERATOR: "ReplaySignals CancelReplay AcceptJournalGap"}.items()
    for method in methods.split()
}


class AuditServicer(audit_pb2_grpc.AuditServiceServicer):
    """What audit answers. Export and statistics are not built yet."""

    def __init__(
        self, database: Database, watchers: Watchers, replays: Replays, gaps: JournalGaps, proof: HistoryProof
    ) -> None:
        self._database = database
        self._watchers = watchers
        self._replays = replays
        self._gaps = gaps
        self._proof = proof

    async def GetSignal(self, request: audit_pb2.GetSignalRequest, context: Any) -> Any:
        """A signal and its timeline."""
        now = datetime.now(UTC)
        return await self._database.read(lambda c: get_signal(c, request.signal_id, now))

    async def ListSignals(self, request: audit_pb2.ListSignalsRequest, context: Any) -> Any:
        """Signals by filter and order, newest first unless another one is asked for."""
        rows, following = await self._database.read(lambda c: list_signals(c, request))
        return audit_pb2.ListSignalsResponse(signals=[summary(row) for row in rows], next_page_token=following)

    async def WatchSignals(
        self, request: audit_pb2.WatchSignalsRequest, context: Any
    ) -> AsyncIterator[audit_pb2.WatchSignalsResponse]:
        """Changes as they are recorded. The response's metadata is sent once none is missed any more."""
        if self._watchers.full:
            raise ServiceError(grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED", "too many watch already")
        expression = expression_of(request.filter)
        async for signal in self._watchers.watch(lambda: context.send_initial_metadata(())):
            if holds(expression, row_of_message(signal)):
                yield audit_pb2.WatchSignalsResponse(signal=signal)

    async def ReplaySignals(self, request: audit_pb2.ReplaySignalsRequest, context: Any) -> Any:
        """Starts a replay."""
        return audit_pb2.ReplaySignalsResponse(replay=await self._replays.start(request, caller().actor))

    async def GetReplay(self, request: audit_pb2.GetReplayRequest, context: Any) -> Any:
        """A replay with its results so far."""
        query = sa.select(store.REPLAYS.c.data).where(store.REPLAYS.c.replay_id == request.replay_id)
        data = await self._database.read(lambda c: c.execute(query).scalar())
        if data is None:
            raise not_found("replay", request.replay_id)
        return audit_pb2.GetReplayResponse(replay=audit_pb2.Replay.FromString(data))

    async def ListReplays(self, request: audit_pb2.ListReplaysRequest, context: Any) -> Any:
        """Replays, newest first."""

        def read(connection: sa.Connection) -> audit_pb2.ListReplaysResponse:
            rows, following = page_of(
                connection, sa.select(store.REPLAYS), store.REPLAYS.c.number, request, descending=True
            )
            replays = [audit_pb2.Replay.FromString(row.data) for row in rows]
            return audit_pb2.ListReplaysResponse(replays=replays, next_page_token=following)

        return await self._database.read(read)

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
        """What shows that a signal's entries are in history."""
        return await self._proof.prove(request)
