"""Audit's service in the process of the test, on both databases: history, readers and replays, without a broker."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from vantixs.api.audit.v1 import audit_pb2_grpc
from vantixs.runtime.database import Database
from vantixs.runtime.grpc_client import open_channel
from vantixs.runtime.grpc_server import Server
from vantixs.runtime.health import Health
from vantixs_audit import store
from vantixs_audit.domain.replay_pace import ReplayPace
from vantixs_audit.history_reads import PayloadViews
from vantixs_audit.journal_gap import JournalGaps
from vantixs_audit.main import MIGRATIONS
from vantixs_audit.proof.service import HistoryProof
from vantixs_audit.recorder import Recorder
from vantixs_audit.replays.service import Replays
from vantixs_audit.server import NAME, ROLES, AuditServicer
from vantixs_audit.settings import AuditSettings

from tests.support.history_reads import Reads
from tests.support.history_rig import SIGNER

SETTINGS = replace(AuditSettings(), viewer_token="v", auditor_token="a", operator_token="o", service_token="s")


class Audit(NamedTuple):
    """The history behind the service, and a stub for each role."""

    reads: Reads
    viewer: Any
    auditor: Any
    operator: Any
    service: Any


@pytest.fixture
async def audit(database_url: str, tmp_path: Path) -> AsyncIterator[Audit]:
    settings = replace(SETTINGS, database_url=database_url)
    database = await Database.open(settings, "audit", MIGRATIONS)
    reads, nobody = Reads(database, tmp_path), None
    recorder = Recorder(database, reads.journal, await database.read(store.read_head))
    servicer = AuditServicer(
        database,
        reads.watchers,
        Replays(database, reads.outbox, nobody, most=100, pace=ReplayPace(100, 1)),  # type: ignore[arg-type]  # Nothing is replayed.
        JournalGaps(database, reads.journal, reads.outbox, recorder),
        HistoryProof(database, SIGNER.key, reads.witness),
        reads.exports,
        reads.payloads,
        PayloadViews(database, reads.outbox),
        settings.straggler_s,
    )
    server = Server(settings, Health(), roles=ROLES)
    server.add(audit_pb2_grpc.add_AuditServiceServicer_to_server, servicer, NAME)
    address = await server.start()
    channels = [open_channel(address, token=token) for token in "vaos"]
    yield Audit(reads, *(audit_pb2_grpc.AuditServiceStub(channel) for channel in channels))
    for channel in channels:
        await channel.close()
    await server.stop(0)
    await database.close()
