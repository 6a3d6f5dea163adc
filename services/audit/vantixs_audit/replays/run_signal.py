"""One signal of a replay: refused, verified, run on paper, or stopped where live is not allowed."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import grpc
import sqlalchemy as sa
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.common.v1 import common_pb2
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.api.router.v1 import router_pb2, router_pb2_grpc
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError, from_rpc_error

from vantixs_audit.replays import outcomes, rows
from vantixs_audit.replays.refusal import refusal
from vantixs_audit.replays.seeds import seed_of
from vantixs_audit.store import hold_entries, read_head
from vantixs_audit.tables import ENTRIES, KEPT_CONFIGURATION

TIMEOUT_S = 5.0
_AGAIN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
_UNKNOWN = common_pb2.SIGNAL_STATUS_UNSPECIFIED


class Ran(NamedTuple):
    """What came of a signal, and the entries that the run would have in the journal."""

    result: audit_pb2.ReplayResult
    entries: Sequence[journal_pb2.JournalEntry] = ()


class RunSignal:
    """Runs signals of replays. Nothing is written here but a scratch account."""

    def __init__(self, database: Database, router: "router_pb2_grpc.RouterServiceAsyncStub") -> None:
        self._database = database
        self._router = router
        self._webhooks: dict[str, dict[str, webhook_pb2.Webhook]] = {}

    async def run(self, replay: audit_pb2.Replay, first: Any) -> Ran:
        """Runs the signal with that row in history.

        Raises:
            ServiceError: UNAVAILABLE or DEADLINE_EXCEEDED where it has to be tried again.
        """
        try:
            return await self._run(replay, first)
        except DecodeError:
            # One that was altered stops neither the replay nor audit, which would run it again at each start.
            text = "an entry that can be read: run `vantixs audit verify`"
            return Ran(outcomes.unverifiable(first.signal_id, text))

    async def _run(self, replay: audit_pb2.Replay, first: Any) -> Ran:
        signal_id = first.signal_id
        accepted, why = await self._database.read(
            lambda c: (rows.accepted(c, signal_id), refusal(c, signal_id, replay.mode))
        )
        if why:
            return Ran(audit_pb2.ReplayResult(signal_id=signal_id, refused=why))
        if accepted is None:
            text = "it was never accepted: there is nothing to run"
            if replay.mode == journal_pb2.REPLAY_MODE_VERIFY:
                return Ran(outcomes.unverifiable(signal_id, f"a decision of the router: {text}"))
            return Ran(audit_pb2.ReplayResult(signal_id=signal_id, refused=text))
        if replay.mode == journal_pb2.REPLAY_MODE_VERIFY:
            return await self._verify(replay, first, accepted)
        if replay.mode == journal_pb2.REPLAY_MODE_LIVE:
            return await self._live(signal_id, accepted)
        return await self._paper(replay, first, accepted)

    def forget(self, replay_id: str) -> None:
        """Forgets what was kept for a replay that has ended."""
        self._webhooks.pop(replay_id, None)

    async def _verify(self, replay: audit_pb2.Replay, first: Any, accepted: journal_pb2.SignalAccepted) -> Ran:
        signal_id, webhook_id = first.signal_id, accepted.webhook.webhook_id
        entries = await self._database.read(lambda c: _decided(c, signal_id))
        request = router_pb2.VerifySignalRequest(accepted=accepted, entries=entries, current=replay.current)
        if replay.current:
            webhook = (await self._webhooks_of(replay.replay_id)).get(webhook_id)
            if webhook is None:
                return Ran(outcomes.unverifiable(signal_id, f"webhook {webhook_id} as it is now"))
            request.webhook.CopyFrom(webhook)
        try:
            response = await self._router.VerifySignal(request, timeout=TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            return Ran(outcomes.unverifiable(signal_id, f"an answer of the router: {_final(error)}"))
        return Ran(outcomes.verified(signal_id, response))

    async def _paper(self, replay: audit_pb2.Replay, first: Any, accepted: journal_pb2.SignalAccepted) -> Ran:
        account_id = accepted.webhook.account_id
        seed = await self._database.read(lambda c: seed_of(c, replay.replay_id, account_id))
        request = router_pb2.PreviewSignalRequest(accepted=accepted, replay_id=replay.replay_id, seed=seed.inputs)
        try:
            response = await self._router.PreviewSignal(request, timeout=TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            return Ran(outcomes.ran(first, common_pb2.SIGNAL_STATUS_FAILED, _final(error).reason))
        completed = response.entries[-1].signal_completed
        return Ran(outcomes.ran(first, completed.status, completed.reason), response.entries)

    async def _live(self, signal_id: str, accepted: journal_pb2.SignalAccepted) -> Ran:
        """Ends at what the check for live says: no venue takes live orders yet."""
        signal = accepted.signal
        if signal.HasField("expire_time") and signal.expire_time.ToDatetime(tzinfo=UTC) < datetime.now(UTC):
            return Ran(audit_pb2.ReplayResult(signal_id=signal_id, refused="it has expired"))
        request = router_pb2.CheckLiveReadinessRequest(account_id=accepted.webhook.account_id)
        try:
            response = await self._router.CheckLiveReadiness(request, timeout=TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            why = f"LIVE_NOT_READY: {_final(error).detail}"
        else:
            lacking = ", ".join(item.name for item in response.items if not item.met)
            why = f"LIVE_NOT_READY: {lacking or 'no venue takes live orders of a replay yet'}"
        return Ran(audit_pb2.ReplayResult(signal_id=signal_id, refused=why))

    async def _webhooks_of(self, replay_id: str) -> dict[str, webhook_pb2.Webhook]:
        if replay_id not in self._webhooks:
            self._webhooks[replay_id] = await self._database.read(_current_webhooks)
        return self._webhooks[replay_id]


def _final(error: grpc.aio.AioRpcError) -> ServiceError:
    """What the router says for good; raises what has to be tried again."""
    failure = from_rpc_error(error)
    if failure.code in _AGAIN:
        raise failure from None
    return failure


def _decided(connection: sa.Connection, signal_id: str) -> list[journal_pb2.JournalEntry]:
    """What VERIFY reads: decisions, the orders that followed and the end, without what brackets did."""
    found = []
    for entry in rows.entries_of(connection, signal_id, rows.DECIDED_KINDS):
        if not (entry.order_evaluated.order.entry_order_id or entry.order_updated.order.entry_order_id):
            found.append(entry)
        if entry.HasField("signal_completed"):
            break
    return found


def _current_webhooks(connection: sa.Connection) -> dict[str, webhook_pb2.Webhook]:
    """Webhooks as they are, by what history says of their changes; secrets are redacted there."""
    hold_entries(connection)
    kept = sa.select(KEPT_CONFIGURATION.c.data).order_by(KEPT_CONFIGURATION.c.sequence)
    query = sa.select(ENTRIES.c.data).where(ENTRIES.c.signal_id == "", ENTRIES.c.kind == "configuration_changed")
    query = query.where(ENTRIES.c.sequence > read_head(connection).dropped_sequence)
    found: dict[str, webhook_pb2.Webhook] = {}
    for data in (
        *connection.execute(kept).scalars(),
        *connection.execute(query.order_by(ENTRIES.c.sequence)).scalars(),
    ):
        change = journal_pb2.JournalEntry.FromString(data).configuration_changed
        if change.kind == "webhook":
            found.pop(change.id, None)
            if change.after_json:
                found[change.id] = json_format.Parse(
                    change.after_json, webhook_pb2.Webhook(), ignore_unknown_fields=True
                )
    return found
