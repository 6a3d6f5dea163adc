"""Wires the router: settings, database, journal, risk, venue, lanes, gRPC."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from vantixs.api.router.v1 import router_pb2_grpc
from vantixs.api.stores.v1 import stores_pb2_grpc
from vantixs.runtime.database import Database
from vantixs.runtime.grpc_replicas import Replicas
from vantixs.runtime.grpc_server import Server
from vantixs.runtime.home import Home
from vantixs.runtime.instances import claim, name_of
from vantixs.runtime.instruments import Instruments
from vantixs.runtime.journal import Journal
from vantixs.runtime.lifecycle import Lifecycle, run
from vantixs.runtime.metrics import serve_metrics
from vantixs.runtime.outbox import Outbox, read_mark
from vantixs.runtime.settings import load
from vantixs.runtime.store_guard import StoreGuard
from vantixs.runtime.store_service import NAME as STORES
from vantixs.runtime.store_service import ROLES as STORE_ROLES
from vantixs.runtime.store_service import StoreServicer

from vantixs_router import tables
from vantixs_router.add_instrument import AddInstrument
from vantixs_router.assemble import assemble
from vantixs_router.bars.build import BuildBars
from vantixs_router.bars.kept import KeptBars, read_timeframes
from vantixs_router.book_funding import BookFunding
from vantixs_router.claims import forget_claims
from vantixs_router.lanes.consumers import make_lanes
from vantixs_router.lanes.leases import Leases
from vantixs_router.lanes.runner import LaneRunner
from vantixs_router.market import Market
from vantixs_router.market_server import MarketData
from vantixs_router.operator_signals import OperatorSignals
from vantixs_router.orders.release_reservations import OpenReservations, ReleaseReservations
from vantixs_router.owner_shares import read_shares
from vantixs_router.quotes import QuoteSources
from vantixs_router.refresh_marks import RefreshMarks
from vantixs_router.risk_client import IDEMPOTENT, RiskClient
from vantixs_router.server import NAME, ROLES, RouterServicer
from vantixs_router.settings import RouterSettings
from vantixs_router.signals.learn_instrument import LearnInstrument
from vantixs_router.signals.preview import Preview
from vantixs_router.signals.process_signal import key_of
from vantixs_router.signals.verify import VerifySignals
from vantixs_router.venues.paper.venue import PaperVenue
from vantixs_router.working.restrictions import WatchRestrictions

MIGRATIONS = Path(__file__).parent / "migrations"


def now() -> datetime:
    """The router's clock."""
    return datetime.now(UTC)


def main(overrides: dict[str, str]) -> int:
    """Runs the router until it is told to stop; returns the exit code."""
    settings = claim(load("router", RouterSettings, overrides=overrides), "router")

    async def serve(life: Lifecycle) -> None:
        home = Home.open(settings.home)
        database = await Database.open(settings, "router", MIGRATIONS, exclusive=False, life=life)
        mark = await database.read(lambda c: read_mark(c, tables.JOURNAL_MARK))
        journal = Journal(settings, life.health, service="router", mark=mark)
        instruments = Instruments(journal, settings, life.health, service="router")
        sources = QuoteSources(journal, settings, now)
        quotes = sources.quotes
        bars = KeptBars(journal, read_timeframes(settings), settings.bars_kept, now)
        outbox = Outbox(tables.OUTBOX, database, journal, tables.JOURNAL_MARK, lambda: lanes.owned())  # noqa: PLW0108 - made below
        journal.start(life)
        guard = StoreGuard("router", database, settings, journal, life.health)
        await guard.start(life)
        replicas = Replicas("risk", settings, token=settings.service_token, idempotent=IDEMPOTENT)
        life.spawn(replicas.run(life.stopping), name="risk-replicas")
        risk = RiskClient(replicas, settings.risk_timeout_s)
        venue = PaperVenue(database, quotes, settings, now)
        signals, working = assemble(
            database=database,
            outbox=outbox,
            risk=risk,
            venue=venue,
            quotes=quotes,
            settings=settings,
            clock=now,
            stopping=life.stopping,
            enqueue=lambda lane, key: lanes.enqueue(lane, key),  # noqa: PLW0108 - made below
            lost_until_ms=lambda: guard.restore_ms,
            journal_epoch=lambda: journal.mark.epoch,
        )
        server = Server(settings, life.health, roles=ROLES | STORE_ROLES)
        # What later parts build answers UNIMPLEMENTED by the generated base class.
        servicer = RouterServicer(  # type: ignore[abstract]
            database,
            OperatorSignals(database, journal, risk.mode_of, now),
            Preview(risk, quotes, venue, now, lambda key: database.read(lambda c: read_shares(c, key))),
            VerifySignals(risk, venue.capabilities),
            MarketData(quotes, bars, AddInstrument(instruments, journal, now)),
        )
        server.add(router_pb2_grpc.add_RouterServiceServicer_to_server, servicer, NAME)
        server.add(stores_pb2_grpc.add_StoreServiceServicer_to_server, StoreServicer(guard, outbox.wake), STORES)
        address = await server.start()
        stop_metrics, metrics = serve_metrics(settings.metrics_listen)
        leases = Leases(
            database,
            life.health,
            name_of(home.run, "router", settings.instance),
            lease_s=settings.lease_s,
            connected=lambda: journal.client.is_connected,
        )
        funding = BookFunding(risk, quotes, settings, now)
        lanes = LaneRunner(
            journal,
            database,
            leases,
            handle=LearnInstrument(signals.handle, instruments.find).handle,
            key_of=key_of,
            inherit=outbox.send_lane,
            load=working.load,
            lose=working.lose,
            look=funding.after(working.look),
        )
        market = Market(quotes, working, lanes.is_busy)
        quotes.listen(market.pushed)

        async def run_lanes(stopping: asyncio.Event) -> None:
            await journal.connected()
            # An instrument that was pushed is not quoted by simulation, not even before its quote is known here.
            await sources.known()
            await instruments.known()
            await make_lanes(journal, database, stopping)
            await lanes.run(stopping)

        background: dict[str, Callable[[asyncio.Event], Coroutine[Any, Any, None]]] = {
            "lanes": partial(guard.when_usable, run_lanes),
            "outbox": outbox.run,
            "release": ReleaseReservations(database, risk, OpenReservations(replicas.channel), now).run,
            "restrictions": WatchRestrictions(risk, working.restrict).run,
            "marks": RefreshMarks(risk, quotes, lanes.owned, settings.refresh_marks_s).run,
            "market": market.run,
            "funding": partial(funding.run, lanes),
            "bars": bars.run,
            "build-bars": BuildBars(
                quotes, bars, journal, lanes.owned, now, grace_us=round(settings.bar_grace_s * 1e6)
            ).run,
        }
        tasks = [
            *(life.spawn(work(life.stopping), name=name) for name, work in background.items()),
            *sources.start(life),
            instruments.start(life),
        ]
        life.spawn(guard.when_usable(partial(forget_claims, database), life.stopping), name="claims")
        life.spawn(database.watch(life.health, life.stopping), name="database-watch")
        life.ready(grpc=address, metrics=metrics)
        await life.stopped()
        await life.finish(*tasks)
        await server.stop(settings.stop_grace_s)
        await guard.close()
        await journal.close()
        await replicas.close()
        await database.close()
        stop_metrics()

    return run(settings, "router", serve)
