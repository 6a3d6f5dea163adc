"""Starts risk: settings, database, journal, gRPC server."""

from pathlib import Path

from vantixs.api.risk.v1 import risk_pb2_grpc
from vantixs.api.stores.v1 import stores_pb2_grpc
from vantixs.runtime.database import Database
from vantixs.runtime.grpc_server import Server
from vantixs.runtime.home import Home
from vantixs.runtime.instances import claim
from vantixs.runtime.instruments import Instruments
from vantixs.runtime.journal import Journal
from vantixs.runtime.lifecycle import Lifecycle, run
from vantixs.runtime.metrics import serve_metrics
from vantixs.runtime.outbox import Outbox
from vantixs.runtime.settings import load
from vantixs.runtime.store_guard import StoreGuard
from vantixs.runtime.store_service import NAME as STORES
from vantixs.runtime.store_service import ROLES as STORE_ROLES
from vantixs.runtime.store_service import StoreServicer

from vantixs_risk import store
from vantixs_risk.clock import SteadyClock
from vantixs_risk.server import NAME, ROLES, RiskServicer
from vantixs_risk.settings import RiskSettings

MIGRATIONS = Path(__file__).parent / "migrations"

RESERVE_BYTES = 8 << 20  # Disk space that is kept for halts. Each takes some pages of 4 KiB, twice.


def main(overrides: dict[str, str]) -> int:
    """Runs risk until it is stopped. Returns the exit code."""
    settings = claim(load("risk", RiskSettings, overrides=overrides), "risk")

    async def serve(life: Lifecycle) -> None:
        Home.open(settings.home)
        database = await Database.open(
            settings, "risk", MIGRATIONS, reserve_bytes=RESERVE_BYTES, exclusive=False, life=life
        )
        life.health.tolerate("journal")
        life.health.tolerate("journal-gap")
        journal = Journal(settings, life.health)
        outbox = Outbox(store.OUTBOX, database, journal)
        instruments = Instruments(journal, settings, life.health, service="risk")
        journal.start(life)
        instruments.start(life)
        guard = StoreGuard("risk", database, settings, journal, life.health)
        await guard.start(life)
        server = Server(settings, life.health, roles=ROLES | STORE_ROLES)
        clock = SteadyClock()
        servicer = RiskServicer(database, outbox, settings, clock)
        server.add(risk_pb2_grpc.add_RiskServiceServicer_to_server, servicer, NAME)
        server.add(stores_pb2_grpc.add_StoreServiceServicer_to_server, StoreServicer(guard, outbox.wake), STORES)
        address = await server.start()
        stop_metrics, metrics = serve_metrics(settings.metrics_listen)
        relay = life.spawn(outbox.run(life.stopping), name="outbox")
        life.spawn(clock.report(life.health, life.stopping), name="clock")
        life.spawn(database.watch(life.health, life.stopping), name="database-watch")
        life.ready(grpc=address, metrics=metrics)
        await life.stopped()
        await server.stop(settings.stop_grace_s)
        await life.finish(relay)
        await guard.close()
        await journal.close()
        await database.close()
        stop_metrics()

    return run(settings, "risk", serve)
