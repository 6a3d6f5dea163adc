"""Replays that wait between their signals: what they compare with is what history says when a signal runs."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.common.v1 import common_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.api.router.v1 import router_pb2
from vantixs.runtime.database import Database
from vantixs.runtime.journal_reader import Delivery
from vantixs_audit import store
from vantixs_audit.domain.replay_pace import ReplayPace
from vantixs_audit.main import MIGRATIONS
from vantixs_audit.replays.run_signal import RunSignal
from vantixs_audit.replays.service import Replays
from vantixs_audit.settings import AuditSettings

from tests.support.router_rig import UnsentOutbox

EXECUTED = common_pb2.SIGNAL_STATUS_EXECUTED


def accepted(signal_id: str, second: int) -> journal_pb2.JournalEntry:
    entry = journal_pb2.JournalEntry(event_id=f"{signal_id}:accepted", signal_id=signal_id)
    entry.event_time.FromSeconds(1_700_000_000 + second)
    entry.signal_accepted.signal.signal_id = signal_id
    entry.signal_accepted.request.receive_time.CopyFrom(entry.event_time)
    return entry


def completed(signal_id: str) -> journal_pb2.JournalEntry:
    entry = journal_pb2.JournalEntry(event_id=f"{signal_id}:completed", signal_id=signal_id)
    entry.signal_completed.status = EXECUTED
    return entry


async def preview(_: router_pb2.PreviewSignalRequest, timeout: float) -> router_pb2.PreviewSignalResponse:
    return router_pb2.PreviewSignalResponse(entries=[completed("preview")])


async def test_signal_that_ends_while_its_replay_waits_for_its_turn_is_compared_with_its_end(database_url: str) -> None:
    database = await Database.open(replace(AuditSettings(), database_url=database_url), "audit", MIGRATIONS)
    recorded = 0

    async def record(*entries: journal_pb2.JournalEntry) -> None:
        nonlocal recorded
        recorded += 1
        data = journal_pb2.JournalBatch(entries=entries).SerializeToString()
        deliveries = [Delivery("vantixs.journal.v1.event.signal", data, recorded, entries[0].event_time.ToDatetime())]
        await database.write(lambda c: store.record(c, deliveries))

    await record(accepted("first", 0), completed("first"), accepted("second", 1))
    router: Any = SimpleNamespace(PreviewSignal=preview)
    none: Any = None
    outbox = UnsentOutbox(store.OUTBOX, database, none)
    replays = Replays(database, outbox, RunSignal(database, router), most=10, pace=ReplayPace(10_000, 1))
    request = audit_pb2.ReplaySignalsRequest(
        filter=audit_pb2.SignalFilter(), mode=journal_pb2.REPLAY_MODE_PAPER, speed=1, comment="why", name="Ann"
    )
    replay_id = (await replays.start(request, "operator:ann")).replay.replay_id
    stopping = asyncio.Event()
    work = asyncio.create_task(replays.run(stopping))

    async def get() -> audit_pb2.Replay:
        return (await replays.get(audit_pb2.GetReplayRequest(replay_id=replay_id))).replay

    async with asyncio.timeout(60):
        while replay_id not in replays._upcoming or replays._upcoming[replay_id].place == 0:
            await asyncio.sleep(0.005)
        await record(completed("second"))
        while (found := await get()).state != audit_pb2.REPLAY_STATE_FINISHED:
            await asyncio.sleep(0.005)
    stopping.set()
    await work
    await database.close()
    assert [(r.signal_id, list(r.differences), r.refused) for r in found.results] == [
        ("first", [], ""),
        ("second", [], ""),
    ]
