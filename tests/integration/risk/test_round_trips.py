"""PostgreSQL without a lock over all: round trips are as many for a batch as for one order, and nobody waits for another's account."""

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
import vantixs_router
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.model.ids import LANES
from vantixs.runtime import pipeline
from vantixs.runtime.compiled_statement import CompiledStatement
from vantixs.runtime.database import Database
from vantixs.runtime.outbox import Outbox
from vantixs.testing.postgres import PostgresServer
from vantixs.testing.proxy import TcpProxy
from vantixs_risk import locks
from vantixs_risk import store as risk_store
from vantixs_risk.clock import SteadyClock
from vantixs_risk.main import MIGRATIONS
from vantixs_risk.server import RiskServicer
from vantixs_risk.settings import RiskSettings
from vantixs_router import store
from vantixs_router.fence import LeaseLost, write_fenced
from vantixs_router.lanes import table
from vantixs_router.settings import RouterSettings
from vantixs_router.venues.paper.book_store import PaperOrder, place

from tests.support.risk_fixture import account_of, ask, fill

ROUTER_MIGRATIONS = Path(vantixs_router.__file__).parent / "migrations"
# It is three or four: BEGIN with the locks and the first questions; what these answers lead to; what is written, with COMMIT.
# A busy machine sends slowly, which looks like more. Forty orders one by one need two hundred.
MOST_ROUND_TRIPS = 20


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.new_database()


@pytest.fixture
def link(url: str) -> Iterator[TcpProxy]:
    link = TcpProxy(Path(url.partition("host=")[2]) / ".s.PGSQL.5432", delay_s=0.01).start()
    yield link
    link.stop()


def through(link: TcpProxy, url: str) -> str:
    """The database's URL by the link."""
    found = re.search(r"/(t[0-9a-f]+)\?", url)
    assert found, url
    return f"postgresql+psycopg://postgres:@127.0.0.1:{link.port}/{found[1]}"


def connect(url: str) -> "psycopg.Connection[Any]":
    return psycopg.connect(url.replace("+psycopg", ""))


class Risk:
    """A replica of risk, without its server."""

    def __init__(self, database: Database) -> None:
        nobody: Any = None
        self.database = database
        settings = RiskSettings()
        self.servicer = RiskServicer(database, Outbox(risk_store.OUTBOX, database, nobody), settings, SteadyClock())

    async def create(self, account_id: str) -> None:
        from vantixs_risk.accounts import create_account

        request = risk_pb2.CreateAccountRequest(request_id=account_id, account=account_of(account_id))
        now = datetime.now(UTC)
        await self.database.write(lambda c: create_account(c, self.servicer._context, request, "test", now))

    async def evaluate(self, *requests: risk_pb2.EvaluateOrderRequest) -> list[Any]:
        now = datetime.now(UTC)
        return await self.servicer._ask(self.servicer._evaluate_orders, [(request, now) for request in requests])

    async def settle(self, *requests: risk_pb2.SettleOrderRequest) -> list[Any]:
        now = datetime.now(UTC)
        return await self.servicer._ask(self.servicer._settle_orders, [(request, now) for request in requests])


@pytest.fixture
async def open_risk(link: TcpProxy, url: str) -> AsyncIterator[Callable[[], Any]]:
    opened: list[Risk] = []

    async def another(*, slow: bool = True) -> Risk:
        settings = replace(RiskSettings(), database_url=through(link, url) if slow else url)
        opened.append(Risk(await Database.open(settings, "risk", MIGRATIONS, exclusive=False)))
        return opened[-1]

    yield another
    for risk in opened:
        await risk.database.close()


class Held:
    """A lane, held as of an epoch."""

    def __init__(self, lane: int, epoch: int) -> None:
        self.lane, self.epoch = lane, epoch

    def hold(self, connection: sa.Connection) -> Callable[[], None]:
        return table.hold_lane(connection, self.lane, self.epoch)

    def remaining_s(self) -> float:
        return 60.0


def entry(order_id: str, account_id: str, position: str = "0") -> risk_pb2.EvaluateOrderRequest:
    return ask(
        order_id, "BTC/USDT", account_id=account_id, buy=True, entry=True, position=position, price="100",
        now=datetime.now(UTC), notional="100",
    )  # fmt: skip


def settled(order_id: str) -> risk_pb2.SettleOrderRequest:
    fills = [fill(f"x{order_id}", buy=True, quantity="1", price="100")]
    return risk_pb2.SettleOrderRequest(
        order_id=order_id, fills=fills, final=True, order_state=common_pb2.ORDER_STATE_FILLED
    )


def approved(answers: list[Any]) -> int:
    decisions = [risk_pb2.EvaluateOrderResponse.FromString(a).decision for a in answers if isinstance(a, bytes)]
    return sum(decision.verdict == order_pb2.RISK_VERDICT_APPROVED for decision in decisions)


async def test_decisions_of_a_batch_share_their_round_trips(link: TcpProxy, open_risk: Any) -> None:
    risk, other = await open_risk(), await open_risk()
    accounts = [f"a{number}" for number in range(40)]
    near = await open_risk(slow=False)
    for account_id in accounts:
        await near.create(account_id)
    for turn, replica in enumerate((risk, other, risk)):
        # The first time an account is read, later its memory is stale: the other one has changed it.
        before = link.round_trips
        answers = await replica.evaluate(*(entry(f"{turn}-{name}", name, str(turn)) for name in accounts))
        assert approved(answers) == len(accounts)
        assert link.round_trips - before <= MOST_ROUND_TRIPS
        before = link.round_trips
        await replica.settle(*(settled(f"{turn}-{name}") for name in accounts))
        assert link.round_trips - before <= MOST_ROUND_TRIPS


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """One for each time that somebody waited for the server, however slow the machine is."""
    waited: list[float] = []
    wait = pipeline._Line.wait

    def counted(line: Any, error: BaseException | None = None) -> None:
        if line._pipeline is not None:
            waited.append(0)
        wait(line, error)

    monkeypatch.setattr(pipeline._Line, "wait", counted)
    return waited


async def test_settlement_takes_two_round_trips_where_its_account_is_named_and_is_right_where_it_is_not(
    waits: list[float], open_risk: Any
) -> None:
    risk = await open_risk(slow=False)
    names = [f"a{number}" for number in range(6)]
    for account_id in names:
        await risk.create(account_id)
    owners = [(name, "BTC/USDT") for name in names]
    others = [("", ""), ("a0", ""), ("a0", "BTC/USDT"), ("nobody", "BTC/USDT"), ("a4", ""), ("", "BTC/USDT")]
    for turn, named in enumerate((owners, others)):
        waits.clear()
        answers = await risk.evaluate(*(entry(f"{turn}-{name}", name, str(turn)) for name in names))
        assert approved(answers) == len(names)
        assert len(waits) <= 3
        requests = [settled(f"{turn}-{name}") for name in names]
        for request, (account_id, instrument) in zip(requests, named, strict=True):
            request.account_id, request.instrument = account_id, instrument
        for _ in range(2):  # The second time all of it is booked already.
            waits.clear()
            booked = await risk.settle(*requests)
            assert [(a.position.account_id, a.position.quantity, len(a.flags)) for a in booked] == [
                (name, str(turn + 1), 0) for name in names
            ]
            assert len(waits) <= (2 if named is owners else 4)


async def test_units_of_a_batch_wait_twice_and_send_the_same_statement_once(
    url: str, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    database = await Database.open(
        replace(RouterSettings(), database_url=url), "router", ROUTER_MIGRATIONS, exclusive=False
    )
    await database.write(lambda c: table.add_lanes(c, {}, 0))
    rows = []
    execute_many = CompiledStatement.execute_many
    monkeypatch.setattr(
        CompiledStatement,
        "execute_many",
        lambda self, connection, values, tail="": (
            rows.append(len(values)) or execute_many(self, connection, values, tail)
        ),
    )

    def store_order(number: int, connection: sa.Connection) -> bool:
        order = order_pb2.Order(order_id=f"o{number}", signal_id=f"s{number}", client_order_id=f"c{number}")
        claimed = store.claim_signal(connection, f"s{number}", 1, "plan")
        made = store.insert_order(connection, order, "it's 100 %\n\u20ac", order_pb2.RiskDecision(), number % LANES)
        paper = PaperOrder(f"c{number % 60}", "k", None, "it's 100 %", str(number), ())
        placed = place(connection, paper, datetime.now(UTC))
        return claimed() and made() and placed().reason == str(number % 60)

    before = await database.write(lambda c: c.exec_driver_sql("SELECT 1").scalar())
    waits.clear()
    fences = [Held(lane, 0) for lane in range(LANES)]
    made = await asyncio.gather(
        *(write_fenced(database, fences[n % LANES], partial(store_order, n)) for n in range(64))
    )
    assert (before, made) == (1, [True] * 64)
    # The four that use the name of another's paper order find it: they ask once more.
    assert len(waits) <= 3
    assert rows == [LANES, 64, 64, 60, 4]
    stored = await database.read(lambda c: store.read_order(c, "o63"))
    assert stored is not None
    assert stored.intent == "it's 100 %\n\u20ac"
    await database.close()


async def test_account_that_another_one_holds_keeps_nobody_else(url: str, open_risk: Any) -> None:
    risk = await open_risk()
    for name in ("a", "b"):
        await risk.create(name)
    with connect(url) as holder:
        holder.execute("SELECT 1 FROM risk.account_states WHERE account_id = 'a' FOR UPDATE")
        assert approved(await risk.evaluate(entry("1", "b"))) == 1
        (answer,) = await risk.evaluate(entry("2", "a"))
        assert (answer.reason, "account a" in answer.detail) == ("STORAGE_BUSY", True)
        waiting = asyncio.create_task(risk.evaluate(entry("3", "a"), entry("4", "b")))
        holder.rollback()
        assert approved(await waiting) == 2


async def test_halt_waits_for_what_is_being_decided_and_is_final_when_it_returns(url: str, open_risk: Any) -> None:
    risk, other = await open_risk(), await open_risk()
    await risk.create("a")
    halt = risk_pb2.SetTradingStateRequest(scope="global", state=common_pb2.TRADING_STATE_HALTED, comment="test")
    from vantixs_risk.trading import set_trading_state

    with connect(url) as deciding:
        # As one that has decided under the state before, and has not committed yet.
        deciding.execute("SELECT pg_advisory_xact_lock_shared(%s)", (locks._BOOKS,))
        halting = asyncio.create_task(
            other.database.write(
                lambda c: set_trading_state(c, other.servicer._context, halt, "test", datetime.now(UTC)), urgent=True
            )
        )
        with connect(url) as watcher:
            waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            async with asyncio.timeout(10):
                while watcher.execute(waits).fetchone() != (1,):
                    watcher.rollback()
                    await asyncio.sleep(0.02)
        assert not halting.done()
        deciding.rollback()
        await halting
    assert approved(await risk.evaluate(entry("1", "a"))) == 0


async def test_same_order_at_two_replicas_is_decided_once(open_risk: Any) -> None:
    risk, other = await open_risk(), await open_risk()
    for number in range(10):
        await risk.create(f"a{number}")
    orders = [entry(f"o{number}", f"a{number}") for number in range(10)]
    mine, theirs = await asyncio.gather(risk.evaluate(*orders), other.evaluate(*orders[::-1]))
    assert mine == theirs[::-1]
    assert approved(mine) == 10
    given_up = [risk_pb2.SettleOrderRequest(order_id=f"g{number}", final=True) for number in range(10)]
    late = [entry(f"g{number}", f"a{number}") for number in range(10)]
    answers, _ = await asyncio.gather(risk.evaluate(*late), other.settle(*given_up))
    again = await risk.evaluate(*late)
    assert answers == again, "what was answered is what is stored"


async def test_units_of_lanes_share_their_round_trips_and_a_lost_lane_is_its_own(link: TcpProxy, url: str) -> None:
    settings = replace(RouterSettings(), database_url=through(link, url))
    database = await Database.open(settings, "router", ROUTER_MIGRATIONS, exclusive=False)
    await database.write(lambda c: table.add_lanes(c, {}, 0))

    def claim(signal_id: str, connection: sa.Connection) -> bool:
        made = store.claim_signal(connection, signal_id, 1, "plan")()
        store.finish_signal(connection, signal_id, 1, "plan")()
        return made

    fences = [Held(number % LANES, 0) for number in range(64)]
    before = link.round_trips
    made = await asyncio.gather(
        *(write_fenced(database, fence, partial(claim, f"s{n}")) for n, fence in enumerate(fences))
    )
    assert all(made)
    # The first unit goes alone, as nothing is on its way then.
    assert link.round_trips - before <= 2 * MOST_ROUND_TRIPS
    lost, before = Held(7, 5), link.round_trips
    outcomes = await asyncio.gather(
        *(write_fenced(database, fence, partial(claim, f"t{n}")) for n, fence in enumerate([*fences, lost])),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [bool] * 64 + [LeaseLost]
    assert link.round_trips - before <= 2 * MOST_ROUND_TRIPS, "the others are not run one by one"
    assert await database.read(lambda c: store.read_signal(c, "t64")) is None
    assert await database.read(lambda c: store.read_signal(c, "t63")) is not None
    await database.close()


async def test_lane_is_taken_only_when_work_on_it_that_is_under_way_has_ended(url: str) -> None:
    settings = replace(RouterSettings(), database_url=url)
    owner, taker = [await Database.open(settings, "router", ROUTER_MIGRATIONS, exclusive=False) for _ in range(2)]
    await owner.write(lambda c: table.add_lanes(c, {}, 0))
    goes_on = threading.Event()

    def work(connection: sa.Connection) -> bool:
        assert goes_on.wait(20)
        return store.claim_signal(connection, "s", 1, "plan")()

    def take(connection: sa.Connection) -> None:
        (row,) = [row for row in table.read_lanes(connection) if row.lane == 3]
        table.take_lane(connection, row, "taker")

    working = asyncio.create_task(write_fenced(owner, Held(3, 0), work))
    async with asyncio.timeout(20):
        while not await owner.read(lambda c: c.exec_driver_sql("SELECT count(*) FROM pg_locks WHERE mode = 'RowShareLock' AND relation = 'lanes'::regclass").scalar()):  # fmt: skip
            await asyncio.sleep(0.02)
    taking = asyncio.create_task(taker.write(take))
    async with asyncio.timeout(20):
        while not await owner.read(
            lambda c: c.exec_driver_sql("SELECT count(*) FROM pg_locks WHERE NOT granted").scalar()
        ):
            await asyncio.sleep(0.02)
    assert not taking.done()
    goes_on.set()
    assert await working
    await taking
    with pytest.raises(LeaseLost):
        await write_fenced(owner, Held(3, 0), lambda c: store.claim_signal(c, "t", 2, "plan")())
    await owner.close()
    await taker.close()


async def test_connection_that_the_server_closed_is_replaced(url: str, link: TcpProxy) -> None:
    settings = replace(RouterSettings(), database_url=through(link, url))
    database = await Database.open(settings, "router", ROUTER_MIGRATIONS, exclusive=False)
    await database.write(lambda c: table.add_lanes(c, {}, 0))
    assert len(await database.read(table.read_lanes)) == LANES
    link.cut()
    link.mend()
    assert len(await database.read(table.read_lanes)) == LANES
    link.cut()
    link.mend()
    await database.write(lambda c: table.save_cursor(c, 1, 0, 5, 0))
    assert (await database.read(table.read_lanes))[1].cursor == 5
    await database.close()
