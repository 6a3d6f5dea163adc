"""Wires audit: settings, database, journal, recorder, replays, gRPC."""

from datetime import timedelta
from functools import partial
from pathlib import Path

from vantixs.api.audit.v1 import audit_pb2_grpc
from vantixs.api.router.v1.router_pb2_grpc import RouterServiceStub
from vantixs.api.stores.v1 import stores_pb2_grpc
from vantixs.proof.note import history_signer
from vantixs.runtime.database import Database
from vantixs.runtime.grpc_replicas import Replicas
from vantixs.runtime.grpc_server import Server
from vantixs.runtime.home import Home
from vantixs.runtime.instances import claim, name_of
from vantixs.runtime.journal import Journal
from vantixs.runtime.lifecycle import Lifecycle, run
from vantixs.runtime.metrics import serve_metrics
from vantixs.runtime.outbox import Outbox
from vantixs.runtime.secret_cipher import PayloadCipher
from vantixs.runtime.settings import load
from vantixs.runtime.store_guard import StoreGuard
from vantixs.runtime.store_service import NAME as STORES
from vantixs.runtime.store_service import ROLES as STORE_ROLES
from vantixs.runtime.store_service import StoreServicer

from vantixs_audit import store
from vantixs_audit.domain.replay_pace import ReplayPace
from vantixs_audit.export_signals import Exports
from vantixs_audit.get_payload import Payloads
from vantixs_audit.history_reads import PayloadViews
from vantixs_audit.history_retention.service import HistoryRetention
from vantixs_audit.journal_gap import JournalGaps, compare_with_history
from vantixs_audit.proof.checkpoints import Checkpoints
from vantixs_audit.proof.service import HistoryProof
from vantixs_audit.proof.witness import FILE, Witness
from vantixs_audit.rebuild import rebuild_signals
from vantixs_audit.recorder import Follower, Recorder, Watchers
from vantixs_audit.replays.run_signal import RunSignal
from vantixs_audit.replays.service import Replays
from vantixs_audit.retention import Retention, oldest_time
from vantixs_audit.server import NAME, ROLES, AuditServicer
from vantixs_audit.settings import AuditSettings
from vantixs_audit.stragglers import Stragglers
from vantixs_audit.writer_lease import WriterLease

MIGRATIONS = Path(__file__).parent / "migrations"


def main(overrides: dict[str, str]) -> int:
    """Runs audit until it is told to stop; returns the exit code."""
    settings = claim(load("audit", AuditSettings, overrides=overrides), "audit")

    async def serve(life: Lifecycle) -> None:
        home = Home.open(settings.home)
        database = await Database.open(settings, "audit", MIGRATIONS, life=life)
        life.health.tolerate("journal")
        await rebuild_signals(database, life.stopping)
        head = await database.read(store.read_head)
        compare = partial(compare_with_history, database, lambda found: recorder.adopt(found))  # noqa: PLW0108 - made below
        journal = Journal(settings, life.health, service="audit", mark=head.mark, inspect=compare)
        outbox = Outbox(store.OUTBOX, database, journal)
        watchers = Watchers(settings.watchers_max)
        follower = Follower(database, journal, watchers, head)
        recorder: Recorder = Recorder(database, journal, head, follower.wake)
        journal.start(life)
        guard = StoreGuard("audit", database, settings, journal, life.health)
        await guard.start(life)
        gaps = JournalGaps(database, journal, outbox, recorder)
        routers = Replicas("router", settings, token=settings.service_token)
        life.spawn(routers.run(life.stopping), name="router-replicas")
        replays = Replays(
            database,
            outbox,
            RunSignal(database, RouterServiceStub(routers.channel)),
            most=settings.replay_max,
            pace=ReplayPace(settings.replay_signals_per_s, settings.replay_share),
        )
        server = Server(settings, life.health, roles=ROLES | STORE_ROLES)
        signer = history_signer(home.secret("history-key"))
        cipher = PayloadCipher.of(settings.payload_key or home.secret("payload-key"))
        witness = Witness(Path(settings.witness_file or home.path / "witness" / FILE), signer.key)
        exports, payloads = Exports(database, outbox, signer.key, cipher), Payloads(database, outbox, cipher)
        servicer = AuditServicer(
            database,
            watchers,
            replays,
            gaps,
            HistoryProof(database, signer.key, witness),
            exports,
            payloads,
            PayloadViews(database, outbox),
            settings.straggler_s,
        )
        server.add(audit_pb2_grpc.add_AuditServiceServicer_to_server, servicer, NAME)
        server.add(stores_pb2_grpc.add_StoreServiceServicer_to_server, StoreServicer(guard, outbox.wake), STORES)
        address = await server.start()
        stop_metrics, metrics = serve_metrics(settings.metrics_listen)
        checkpoints = Checkpoints(
            database, signer, witness, entries=settings.checkpoint_entries, seconds=settings.checkpoint_s
        )
        lease = WriterLease(database, name_of(home.run, "audit", settings.instance))
        keep = timedelta(days=settings.history_keep_days)
        works = [
            recorder.run,
            checkpoints.run,
            Retention(database, journal, settings, RouterServiceStub(routers.channel)).run,
            HistoryRetention(database, outbox, witness, signer.key, partial(oldest_time, journal), keep).run,
            outbox.run,
            replays.run,
        ]
        writing = life.spawn(guard.when_usable(partial(lease.run, works), life.stopping), name="writer")
        following = life.spawn(guard.when_usable(follower.run, life.stopping), name="follower")
        stragglers = Stragglers(database, life.health, settings.straggler_s).run
        counting = life.spawn(guard.when_usable(stragglers, life.stopping), name="stragglers")
        life.spawn(database.watch(life.health, life.stopping), name="database-watch")
        life.ready(grpc=address, metrics=metrics)
        await life.stopped()
        watchers.close()
        await life.finish(writing, following, counting)
        await server.stop(settings.stop_grace_s)
        await guard.close()
        await journal.close()
        await routers.close()
        await database.close()
        stop_metrics()

    return run(settings, "audit", serve)
