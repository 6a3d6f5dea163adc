"""The router's way of a signal with a real database and a real risk, for tests; the venue is given."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import vantixs_risk
import vantixs_router
from vantixs.api.common.v1 import common_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.api.risk.v1 import risk_pb2, risk_pb2_grpc
from vantixs.model.ids import accepted_subject, lane_of
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError, unavailable
from vantixs.runtime.grpc_client import open_channel
from vantixs.runtime.grpc_server import Server
from vantixs.runtime.health import Health
from vantixs.runtime.journal import Journal, Message
from vantixs.runtime.journal_reader import Delivery
from vantixs.runtime.outbox import Outbox
from vantixs.testing.replicas import replicas_on
from vantixs.testing.venue import NoFence, ScriptedVenue
from vantixs_risk import store as risk_store
from vantixs_risk.clock import SteadyClock
from vantixs_risk.server import NAME, ROLES, RiskServicer
from vantixs_risk.settings import RiskSettings
from vantixs_router import parked_signals, store, tables
from vantixs_router.assemble import assemble
from vantixs_router.lanes.outcome import Outcome
from vantixs_router.risk_client import IDEMPOTENT, RiskClient
from vantixs_router.settings import RouterSettings
from vantixs_router.signals.process_signal import ProcessSignal
from vantixs_router.venues import port

BTC, PERPETUAL = "BTC/USDT", "BTC/USDT:USDT"
MARKET = {common_pb2.ORDER_TYPE_MARKET: (common_pb2.TIME_IN_FORCE_IOC,)}
LIVE = port.Capabilities(order_types=MARKET, fee_bps=D(10), lookup_horizon_s=0.05, call_timeout_s=0.5)
FOR_GOOD = replace(LIVE, idempotent_submits=True)
SETTINGS = replace(RouterSettings(), park_after_s=60.0)
TOKENS = {"service_token": "s", "operator_token": "o", "viewer_token": "v"}
EXECUTED, REJECTED, FAILED = (
    common_pb2.SignalStatus.Value(f"SIGNAL_STATUS_{name}") for name in ("EXECUTED", "REJECTED", "FAILED")
)


class Stopped(BaseException):
    """The process is killed. Not an Exception: nothing in it may go on."""


class Steps:
    """Counts what leaves a trace outside the process, and kills it after one of them."""

    def __init__(self) -> None:
        self.last = 10**9
        self.count = 0
        self.unanswered = ""  # End of the ids of orders that risk does not answer about, for an hour.
        self.later = timedelta()
        # What writes end with once they were committed, by the number of writes since the process began.
        self.write_errors: dict[int, ServiceError] = {}
        self.error_takes = timedelta(hours=1)
        self.writes = 0
        self.settle_errors: list[BaseException] = []  # What the next bookings end with, before risk hears of them.

    def step(self, *_: Any) -> None:
        self.count += 1
        if self.count > self.last:
            raise Stopped


class SteppedDatabase:
    """A router's database of which every commit is a step."""

    def __init__(self, database: Database, steps: Steps) -> None:
        self.read, self.read_together = database.read, database.read_together
        self._database, self._steps = database, steps

    async def write(self, unit: Any) -> Any:
        result = await self._database.write(unit)
        self._steps.step()
        return result

    async def write_batched(self, run: Any, item: Any) -> Any:
        result = await self._database.write_batched(run, item)
        self._steps.step()
        self._steps.writes += 1
        if error := self._steps.write_errors.pop(self._steps.writes, None):
            self._steps.later = self._steps.error_takes
            raise error
        return result


class SteppedRisk(RiskClient):
    """Risk, of which every decision and booking is a step."""

    steps: Steps

    async def evaluate(self, request: Any) -> Any:
        if self.steps.unanswered and request.order.order_id.endswith(self.steps.unanswered):
            self.steps.later = timedelta(hours=1)
            raise unavailable("UNAVAILABLE", "risk is down")
        result = await super().evaluate(request)
        self.steps.step()
        return result

    async def settle(self, order: Any, fills: Any, *, final: bool) -> Any:
        if self.steps.settle_errors:
            raise self.steps.settle_errors.pop(0)
        result = await super().settle(order, fills, final=final)
        self.steps.step()
        return result


class UnsentOutbox(Outbox):
    """An outbox whose messages stay: what was committed is what would be published."""

    async def send(self, message: Message) -> None:
        """Nothing: there is no broker here."""


class FixedQuotes:
    """100 for everything, now."""

    def current(self, instrument: Any) -> common_pb2.Quote:
        quote = common_pb2.Quote(instrument=instrument.name, source="pushed", bid="100", ask="100")
        quote.quote_time.GetCurrentTime()
        return quote

    def marks(self, held: Any, traded: str) -> list[common_pb2.Quote]:
        return []


@dataclass
class Router:
    """The router's way of a signal, with its databases and its risk."""

    database: Database
    risk_database: Database
    channel: Any
    operator: Any
    venue: Any
    steps: Steps
    settings: RouterSettings = SETTINGS
    sequence: int = 0
    running: ProcessSignal | None = None
    signals: Any = None
    working: Any = None
    quotes: Any = None
    risk_client: Any = None
    lost_until_ms: int = 0
    journal_epoch: int = 0

    def process(self, venue: Any = None) -> ProcessSignal:
        """A new process: it knows what is stored, and nothing else."""
        self.steps.count = 0
        risk = SteppedRisk(replicas_on(self.channel, idempotent=IDEMPOTENT), 5.0)
        risk.steps = self.steps
        self.risk_client = risk
        stepped: Any = SteppedDatabase(self.database, self.steps)
        quotes: Any = self.quotes or FixedQuotes()
        self.signals, self.working = assemble(
            database=stepped, outbox=self.outbox(), risk=risk, venue=venue or self.venue, quotes=quotes,
            settings=self.settings, clock=lambda: now() + self.steps.later, stopping=asyncio.Event(),
            lost_until_ms=lambda: self.lost_until_ms, journal_epoch=lambda: self.journal_epoch,
        )  # fmt: skip
        return self.signals

    def outbox(self) -> UnsentOutbox:
        journal: Any = None
        return UnsentOutbox(tables.OUTBOX, self.database, journal)

    def signal(self, action: str, account: str = "a", instrument: str = PERPETUAL, expires_in_s: float = 0) -> Delivery:
        self.sequence += 1
        identity = f"s{self.sequence}"
        entry = journal_pb2.JournalEntry(event_id=f"{identity}:accepted", signal_id=identity)
        accepted = entry.signal_accepted
        accepted.signal.signal_id, accepted.signal.instrument = identity, instrument
        accepted.signal.action = common_pb2.Action.Value(f"ACTION_{action}")
        if expires_in_s:
            accepted.signal.expire_time.FromDatetime(now() + timedelta(seconds=expires_in_s))
        accepted.request.receive_time.FromDatetime(now())
        accepted.webhook.webhook_id, accepted.webhook.account_id = "w", account
        accepted.webhook.mode, accepted.webhook.routing_mode = common_pb2.MODE_PAPER, common_pb2.ROUTING_MODE_DIRECT
        accepted.webhook.sizing.method = common_pb2.SIZING_METHOD_FIXED_QUANTITY
        accepted.webhook.sizing.value = "0.5"
        data = journal_pb2.JournalBatch(entries=[entry]).SerializeToString()
        subject = accepted_subject(lane_of(account, instrument))
        return Delivery(subject, data, self.sequence, now())

    async def handle(self, delivery: Delivery, fence: Any = None) -> Outcome:
        return await self.process().handle(delivery, fence or NoFence())

    async def account(self, name: str) -> None:
        account = risk_pb2.Account(account_id=name, mode=common_pb2.MODE_PAPER, currency="USDT", enabled=True)
        account.may_short, account.balance = True, "100000"
        request = risk_pb2.CreateAccountRequest(request_id=f"r-{name}", account=account)
        await risk_pb2_grpc.RiskServiceStub(self.operator).CreateAccount(request, timeout=5)

    async def books(self, name: str = "a") -> risk_pb2.GetAccountResponse:
        request = risk_pb2.GetAccountRequest(account_id=name)
        found: risk_pb2.GetAccountResponse = await risk_pb2_grpc.RiskServiceStub(self.channel).GetAccount(
            request, timeout=5
        )
        return found

    async def position(self, name: str = "a", instrument: str = PERPETUAL) -> D:
        held = {p.instrument: D(p.quantity) for p in (await self.books(name)).positions}
        return held.get(instrument, D(0))

    async def entries(self) -> list[journal_pb2.JournalEntry]:
        """What would be published, in order; of a signal's entries with one id the first, as history does."""
        payload = sa.select(tables.OUTBOX.c.payload).order_by(tables.OUTBOX.c.position)
        payloads = await self.database.read(lambda c: c.execute(payload).scalars().all())
        first: dict[tuple[str, str], journal_pb2.JournalEntry] = {}
        for data in payloads:
            for entry in journal_pb2.JournalBatch.FromString(data).entries:
                first.setdefault((entry.signal_id, entry.event_id), entry)
        return list(first.values())

    async def journal(self, signal_id: str) -> list[journal_pb2.JournalEntry]:
        """What would be published of a signal."""
        return [entry for entry in await self.entries() if entry.signal_id == signal_id]

    async def kinds(self, signal_id: str) -> list[str]:
        names = []
        for entry in await self.journal(signal_id):
            kind = entry.WhichOneof("event")
            state = common_pb2.OrderState.Name(entry.order_updated.order.state).removeprefix("ORDER_STATE_")
            names.append(f"{kind} {state}" if kind == "order_updated" else str(kind))
        return names

    async def end(self, signal_id: str) -> journal_pb2.SignalCompleted:
        (last,) = [e for e in await self.journal(signal_id) if e.HasField("signal_completed")]
        return last.signal_completed

    async def orders(self, signal_id: str) -> list[store.OrderRow]:
        return await self.database.read(lambda c: store.read_orders(c, signal_id))

    async def check_books(self, name: str = "a", instrument: str = PERPETUAL) -> None:
        """The position is what the venue filled, no fill is booked twice, nothing stays reserved."""
        books = await self.books(name)
        mine = [h for h in self.venue.held.values() if h.order.account_id == name and h.order.instrument == instrument]
        signs = {common_pb2.SIDE_BUY: 1, common_pb2.SIDE_SELL: -1}
        filled = sum((signs[h.order.side] * D(f.quantity) for h in mine for f in h.fills), D(0))
        assert await self.position(name, instrument) == filled
        assert not books.open_orders
        rows = await self.risk_database.read(
            lambda c: c.execute(
                sa.select(risk_store.FILLS.c.execution_id).where(
                    risk_store.FILLS.c.account_id == name, risk_store.FILLS.c.instrument == instrument
                )
            ).all()
        )
        booked = Counter(row.execution_id for row in rows)
        assert booked == Counter(f.execution_id for h in mine for f in h.fills)


def now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def running_risk(database_url: str) -> AsyncIterator[tuple[Database, Any, Any]]:
    settings = replace(RiskSettings(), database_url=database_url, **TOKENS)
    database = await Database.open(settings, "risk", Path(vantixs_risk.__file__).parent / "migrations")
    server = Server(settings, Health(), roles=ROLES)
    outbox = Outbox(risk_store.OUTBOX, database, Journal(settings, Health()))
    servicer = RiskServicer(database, outbox, settings, SteadyClock())
    server.add(risk_pb2_grpc.add_RiskServiceServicer_to_server, servicer, NAME)
    address = await server.start()
    channels = [open_channel(address, token=token) for token in ("s", "o")]
    yield database, *channels
    for channel in channels:
        await channel.close()
    await server.stop(0)
    await database.close()


@asynccontextmanager
async def router_on(database_url: str, tmp_path: Path) -> AsyncIterator[Router]:
    """A router with one account "a"; of SQLite, risk has a file of its own."""
    risk_url = f"sqlite:///{tmp_path / 'risk.db'}" if database_url.startswith("sqlite") else database_url
    async with running_risk(risk_url) as (risk_database, channel, operator):
        settings = replace(RouterSettings(), database_url=database_url)
        database = await Database.open(settings, "router", Path(vantixs_router.__file__).parent / "migrations")
        made = Router(database, risk_database, channel, operator, ScriptedVenue(port, LIVE), Steps())
        await made.account("a")
        yield made
        await database.close()


async def parked(router: Router, lanes: tuple[int, ...] = tuple(range(32))) -> list[parked_signals.Parked]:
    return await router.database.read(lambda c: parked_signals.read_parked(c, lanes))
