"""Wires audit: settings, database, journal, recorder, replays, gRPC."""

from functools import partial
from pathlib import Path

from vantixs.api.audit.v1 import audit_pb2_grpc
from vantixs.api.router.v1.router_pb2_grpc import RouterServiceStub
from vantixs.api.stores.v1 import stores_pb2_grpc
from vantixs.runtime.database import Database
from vantixs.runtime.grpc_client import open_channel
from vantixs.runtime.grpc_server import Server
from vantixs.runtime.home import Home
from vantixs.runtime.journal import Journal
from vantixs.runtime.lifecycle import Lifecycle, run
from vantixs.runtime.metrics import serve_metrics
from vantixs.runtime.outbox import Outbox
from vantixs.runtime.settings import load
from vantixs.runtime.store_guard import NAME as STORES
from vantixs.runtime.store_guard import ROLES as STORE_ROLES
from vantixs.runtime.store_guard import StoreGuard, StoreServicer
from vantixs.runtime.tls import grpc_tls

from vantixs_audit import store
from vantixs_audit.journal_gap import JournalGaps, compare_with_history
from vantixs_audit.recorder import Recorder, Watchers
from vantixs_audit.replay import Replays
from vantixs_audit.retention import Retention
from vantixs_audit.server import NAME, ROLES, AuditServicer
from vantixs_audit.settings import AuditSettings

MIGRATIONS = Path(__file__).parent / "migrations"


def main(overrides: dict[str, str]) -> int:
    """Runs audit until it is told to stop; returns the exit code."""
    settings = load("audit", AuditSettings, overrides=overrides)

    async def serve(life: Lifecycle) -> None:
        Home.open(settings.home)
        database = await Database.open(settings, "audit", MIGRATIONS)
        life.health.tolerate("journal")
        head = await database.read(store.read_head)
        compare = partial(compare_with_history, database)
        journal = Journal(settings, life.health, service="audit", mark=head.mark, inspect=compare)
        outbox = Outbox(store.OUTBOX, database, journal)
        journal.start(life)
        guard = StoreGuard("audit", database, settings, journal, life.health)
        await guard.start(life)
        watchers = Watchers(settings.watchers_max)
        recorder = Recorder(database, journal, watchers, head)
        gaps = JournalGaps(database, journal, outbox, recorder)
        channel = open_channel(settings.router_addresses, token=settings.service_token, tls=grpc_tls(settings))
        replays = Replays(database, outbox, channel, settings.replay_max)
        server = Server(settings, life.health, roles=ROLES | STORE_ROLES)
        # What later parts build answers UNIMPLEMENTED by the generated base class.
        servicer = AuditServicer(database, watchers, replays, gaps)  # type: ignore[abstract]
        server.add(audit_pb2_grpc.add_AuditServiceServicer_to_server, servicer, NAME)
        server.add(stores_pb2_grpc.add_StoreServiceServicer_to_server, StoreServicer(guard, outbox.wake), STORES)
        address = await server.start()
        stop_metrics, metrics = serve_metrics(settings.metrics_listen)
        retention = Retention(database, journal, settings, RouterServiceStub(channel))
        recording = life.spawn(guard.when_usable(recorder.run, life.stopping), name="recorder")
        keeping = life.spawn(guard.when_usable(retention.run, life.stopping), name="retention")
        relaying = life.spawn(outbox.run(life.stopping), name="outbox")
        replaying = life.spawn(guard.when_usable(replays.run, life.stopping), name="replays")
        life.spawn(database.watch(life.health, life.stopping), name="database-watch")
        life.ready(grpc=address, metrics=metrics)
        await life.stopped()
        watchers.close()
        await life.finish(recording, relaying, replaying, keeping)
        await server.stop(settings.stop_grace_s)
        await guard.close()
        await journal.close()
        await channel.close()
        await database.close()
        stop_metrics()

    return run(settings, "audit", serve)
