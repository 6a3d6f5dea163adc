"""Everything that risk does, at random and at once from four processes on PostgreSQL: no deadlock, and every promise kept."""

import asyncio
import os
import random
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.runtime.errors import ServiceError, from_rpc_error, from_status
from vantixs.testing.postgres import PostgresServer

from tests.support.risk_fixture import account_of, ask, fill
from tests.support.risk_processes import Callers, RiskProcesses

PROCESSES, ACCOUNTS = 4, [f"a{number}" for number in range(6)]
INSTRUMENTS, WEBHOOKS, STRATEGIES = ("BTC/USDT", "ETH/USDT"), ("w1", "w2"), ("s1", "")
PRICE, NOTIONAL, LIMIT = Decimal(100), "500", Decimal(3000)
APPROVED, DENIED = order_pb2.RISK_VERDICT_APPROVED, order_pb2.RISK_VERDICT_DENIED
POSITION_CHANGED = order_pb2.RISK_VERDICT_POSITION_CHANGED
STATES = {name: common_pb2.TradingState.Value(f"TRADING_STATE_{name}") for name in ("ACTIVE", "REDUCING", "HALTED")}
# Each halter has scopes of its own, so that nobody else lets go what it holds.
HALTERS = (
    ("global",),
    ("account:a0", "account:a1", "account:a2", "instrument:BTC/USDT", "webhook:w1"),
    ("account:a3", "account:a4", "account:a5", "instrument:ETH/USDT", "strategy:s1"),
)
COLUMNS = {"account": "account_id", "instrument": "instrument", "webhook": "webhook_id", "strategy": "strategy_id"}
TRIES = 2000


@dataclass(frozen=True)
class Open:
    """An approved order that was not settled."""

    order_id: str
    account_id: str
    instrument: str
    buy: bool
    quantity: Decimal


class Hunt:
    """Calls at random, and what they have to come to."""

    def __init__(self, callers: Callers, url: str, seconds: float, seed: int) -> None:
        self._callers, self._url = callers, url
        self._chance = random.Random(seed)
        self._until = time.monotonic() + seconds
        self._open: list[Open] = []
        self._positions: dict[tuple[str, str], str] = {}
        self._books: dict[str, dict[str, Decimal]] = {name: defaultdict(Decimal) for name in ACCOUNTS}
        self.counts: Counter[str] = Counter()

    async def run(self) -> None:
        for name in ACCOUNTS:
            account = account_of(name, max_position_notional=f"{LIMIT}")
            account.breakers.max_failures_in_a_row, account.breakers.failures_state = 4, STATES["REDUCING"]
            account.breakers.max_repeated_orders, account.breakers.repeated_orders_window_s = 40, 1
            account.breakers.repeated_orders_state = STATES["HALTED"]
            account.balance = "1000000"
            await self._callers.create(account)
        work = [self._decide] * 6 + [self._settle] * 6
        work += [self._adjust, self._copy, self._refresh, self._update, self._look]
        async with asyncio.TaskGroup() as tasks:
            for one in work:
                tasks.create_task(self._repeat(one))
            for scopes in HALTERS:
                tasks.create_task(self._repeat(lambda scopes=scopes: self._halt(self._chance.choice(scopes))))
        while self._open:
            await self._settle(release=True)

    async def _repeat(self, work: Callable[[], Awaitable[None]]) -> None:
        while time.monotonic() < self._until:
            await work()
            await asyncio.sleep(0)

    async def _call(self, method: str, request: Any) -> Any:
        """What one of the processes answers; what it asks to be called again for is."""
        for _ in range(TRIES):
            stub = self._chance.choice(self._callers.stubs)
            try:
                return await getattr(stub, method)(request, timeout=60)
            except grpc.aio.AioRpcError as rpc_error:
                error = from_rpc_error(rpc_error)
                if error.code is not grpc.StatusCode.UNAVAILABLE:
                    raise error from None
                self._note(error)
                await asyncio.sleep(0.01)
        raise AssertionError(f"{method} was never answered")

    def _note(self, error: ServiceError) -> None:
        self.counts[f"{error.code.name} {error.reason}: {error.detail.split(' is worked')[0][:60]}"] += 1

    async def _batch(self, method: str, requests: Sequence[Any]) -> list[Any]:
        """The results of a batch, each item asked again for as long as its account is held."""
        kind = getattr(risk_pb2, f"{method}Request")
        results: list[Any] = [None] * len(requests)
        waiting = list(range(len(requests)))
        for _ in range(TRIES):
            response = await self._call(method, kind(requests=[requests[n] for n in waiting]))
            again = []
            for number, result in zip(waiting, response.results, strict=True):
                error = from_status(result.error) if result.HasField("error") else None
                results[number] = error or (result.decision if "Evaluate" in method else result.response)
                if error and error.code is grpc.StatusCode.UNAVAILABLE:
                    self._note(error)
                    again.append(number)
            if not (waiting := again):
                return results
        raise AssertionError(f"{method} was never answered")

    async def _decide(self) -> None:
        """Some orders; now and then asked for at two processes at once, and given up at a third one meanwhile."""
        requests = [self._ask() for _ in range(self._chance.randint(1, 12))]
        given_up = {r.order.order_id for r in requests if self._chance.random() < 0.05}
        asked = [requests, requests[::-1]] if self._chance.random() < 0.2 else [requests]
        calls = [self._batch("BatchEvaluateOrders", batch) for batch in asked]
        if given_up:
            releases = [risk_pb2.SettleOrderRequest(order_id=order_id, final=True) for order_id in sorted(given_up)]
            calls.append(self._batch("BatchSettleOrders", releases))
        answers = await asyncio.gather(*calls)
        decided = [
            pair for batch, answer in zip(asked, answers, strict=False) for pair in zip(batch, answer, strict=True)
        ]
        verdicts: dict[str, Any] = {}
        for request, decision in decided:
            order = request.order
            assert not isinstance(decision, ServiceError), f"{decision.reason}: {decision.detail}"
            self.counts[order_pb2.RiskVerdict.Name(decision.verdict)] += 1
            if decision.verdict == POSITION_CHANGED:
                self._positions[order.account_id, order.instrument] = decision.position_quantity
                continue
            assert verdicts.setdefault(order.order_id, decision) == decision, "what was decided once stays"
        for request in requests:
            order = request.order
            decision = verdicts.get(order.order_id)
            if decision and decision.verdict == APPROVED:
                buy = order.side == common_pb2.SIDE_BUY
                made = Open(order.order_id, order.account_id, order.instrument, buy, Decimal(decision.quantity))
                if order.order_id not in given_up:
                    self._open.append(made)
        # Where it was given up before it was decided nothing is held; where after, nothing is held any more. Once more for both.
        if given_up:
            await self._batch(
                "BatchSettleOrders", [risk_pb2.SettleOrderRequest(order_id=i, final=True) for i in given_up]
            )

    def _ask(self) -> risk_pb2.EvaluateOrderRequest:
        account, instrument = self._chance.choice(ACCOUNTS), self._chance.choice(INSTRUMENTS)
        position = self._positions.get((account, instrument), "0")
        exits = Decimal(position) > 0 and self._chance.random() < 0.5
        request = ask(
            uuid.uuid4().hex, instrument, account_id=account, buy=not exits, entry=not exits, position=position,
            price=PRICE, now=datetime.now(UTC), notional=NOTIONAL,
        )  # fmt: skip
        request.webhook_id, request.strategy_id = self._chance.choice(WEBHOOKS), self._chance.choice(STRATEGIES)
        return request

    async def _settle(self, *, release: bool = False) -> None:
        """Some orders are filled, in full, in part or not at all; now and then told to two processes at once."""
        self._chance.shuffle(self._open)
        count = self._chance.randint(1, 12)
        taken, self._open = self._open[:count], self._open[count:]
        if not taken:
            await asyncio.sleep(0.01)
            return
        requests = []
        for one in taken:
            how = "none" if release else self._chance.choice(("full", "full", "part", "none", "rejected"))
            quantity = {"full": one.quantity, "part": one.quantity / 2}.get(how, Decimal(0))
            request = risk_pb2.SettleOrderRequest(order_id=one.order_id, final=True)
            request.order_state = (
                common_pb2.ORDER_STATE_REJECTED if how == "rejected" else common_pb2.ORDER_STATE_CANCELED
            )
            if quantity:
                request.fills.append(fill(f"x-{one.order_id}", buy=one.buy, quantity=f"{quantity}", price=f"{PRICE}"))
                sign = 1 if one.buy else -1
                self._books[one.account_id][one.instrument.partition("/")[0]] += sign * quantity
                self._books[one.account_id]["USDT"] -= sign * quantity * PRICE
            requests.append(request)
            self.counts[f"settled {how}"] += 1
        calls = [self._batch("BatchSettleOrders", requests)]
        if self._chance.random() < 0.2:
            calls.append(self._batch("BatchSettleOrders", requests[::-1]))
        for result in [one for results in await asyncio.gather(*calls) for one in results]:
            assert not isinstance(result, ServiceError), f"{result.reason}: {result.detail}"
            assert not result.flags
            self._positions[result.position.account_id, result.position.instrument] = result.position.quantity

    async def _halt(self, scope: str) -> None:
        """Nothing that was decided before a halt returned is committed after it."""
        state = self._chance.choice(("HALTED", "REDUCING"))
        await self._set(scope, state)
        before = await asyncio.to_thread(self._entries, scope)
        await asyncio.sleep(self._chance.uniform(0, 0.1))
        assert await asyncio.to_thread(self._entries, scope) == before, (
            f"{scope} was {state}, and an entry was approved"
        )
        await self._set(scope, "ACTIVE")
        self.counts[f"halts of {scope.partition(':')[0]}"] += 1
        await asyncio.sleep(self._chance.uniform(0, 0.2))

    async def _set(self, scope: str, state: str) -> None:
        request = risk_pb2.SetTradingStateRequest(scope=scope, state=STATES[state], comment="hunt")
        await self._call("SetTradingState", request)

    def _entries(self, scope: str) -> int:
        """How many entries of the scope were ever approved."""
        kind, _, name = scope.partition(":")
        query = "SELECT count(*) FROM risk.orders WHERE entry AND approved"
        with psycopg.connect(self._url, autocommit=True) as connection:
            if kind == "global":
                row = connection.execute(query).fetchone()
            else:
                row = connection.execute(f"{query} AND {COLUMNS[kind]} = %s", (name,)).fetchone()  # type: ignore[arg-type]
        assert row
        return int(row[0])

    async def _adjust(self) -> None:
        account, amount = self._chance.choice(ACCOUNTS), Decimal(self._chance.randint(-50, 50) or 1)
        request = risk_pb2.RecordAdjustmentRequest(request_id=uuid.uuid4().hex, account_id=account, comment="hunt")
        request.cash.asset, request.cash.amount = "USDT", f"{amount}"
        self._books[account]["USDT"] += amount
        await self._call("RecordAdjustment", request)
        self.counts["adjustments"] += 1
        await asyncio.sleep(0.05)

    async def _copy(self) -> None:
        source, target = self._chance.choice(ACCOUNTS), f"c-{uuid.uuid4().hex[:30]}"
        request = risk_pb2.CreateAccountRequest(request_id=target, copy_from_account_id=source)
        request.account.account_id = target
        await self._call("CreateAccount", request)
        shown = await self._call("GetAccount", risk_pb2.GetAccountRequest(account_id=target))
        check_equity(shown)
        self.counts["copies"] += 1
        await asyncio.sleep(0.2)

    async def _refresh(self) -> None:
        request = risk_pb2.RefreshMarksRequest()
        for instrument in INSTRUMENTS:
            quote = request.marks.add(instrument=instrument, source="test", bid=f"{PRICE}", ask=f"{PRICE}")
            quote.quote_time.GetCurrentTime()
        await self._call("RefreshMarks", request)
        self.counts["refreshes"] += 1
        await asyncio.sleep(0.02)

    async def _update(self) -> None:
        shown = await self._call("GetAccount", risk_pb2.GetAccountRequest(account_id=self._chance.choice(ACCOUNTS)))
        await self._call("UpdateAccount", risk_pb2.UpdateAccountRequest(account=shown.account))
        self.counts["updates"] += 1
        await asyncio.sleep(0.05)

    async def _look(self) -> None:
        """A limit is never exceeded, what is reserved counted, and the books add up at every moment."""
        shown = await self._call("GetAccount", risk_pb2.GetAccountRequest(account_id=self._chance.choice(ACCOUNTS)))
        used: dict[str, Decimal] = defaultdict(Decimal)
        for position in shown.positions:
            used[position.instrument] += Decimal(position.quantity) * PRICE
        for order in shown.open_orders:
            if order.effect == order_pb2.ORDER_EFFECT_ENTRY:
                used[order.instrument] += (Decimal(order.quantity) - Decimal(order.filled_quantity or "0")) * PRICE
        assert all(amount <= LIMIT for amount in used.values()), used
        check_equity(shown)
        self.counts["looks"] += 1
        await asyncio.sleep(0.01)

    async def check_end(self) -> None:
        """Nothing is reserved, and cash and holdings are what was filled and adjusted."""
        for name in ACCOUNTS:
            shown = await self._call("GetAccount", risk_pb2.GetAccountRequest(account_id=name))
            assert not shown.open_orders
            expected = self._books[name] | {"USDT": self._books[name]["USDT"] + Decimal(shown.account.balance)}
            assert {b.asset: Decimal(b.total) for b in shown.balances if Decimal(b.total)} == {
                asset: amount for asset, amount in expected.items() if amount
            }
            assert [b for b in shown.balances if Decimal(b.reserved or "0")] == []
            check_equity(shown)


def check_equity(shown: risk_pb2.GetAccountResponse) -> None:
    parts = (shown.account.balance, shown.adjusted, shown.realized_profit, shown.unrealized_profit)
    assert Decimal(shown.equity) == sum(map(Decimal, parts)) - Decimal(shown.fees)


def deadlocks(url: str) -> int:
    """How many the server has found in this database."""
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()
    assert row
    return int(row[0])


async def hunt(postgres: PostgresServer, tmp_path: Path, seconds: float, seed: int) -> None:
    made = postgres.new_database()
    url = made.replace("+psycopg", "")
    processes = RiskProcesses(tmp_path / "home", made, PROCESSES)
    try:
        callers = Callers(processes, PROCESSES)
        hunting = Hunt(callers, url, seconds, seed)
        try:
            await hunting.run()
            await hunting.check_end()
        finally:
            print(f"seed {seed}, {seconds:g} s, deadlocks {deadlocks(url)}, {dict(sorted(hunting.counts.items()))}")
            await callers.close()
        assert deadlocks(url) == 0
    finally:
        processes.stop()
    assert deadlocks(url) == 0, "told with the end of the processes"


async def test_no_deadlock_in_a_few_seconds(postgres: PostgresServer, tmp_path: Path) -> None:
    await hunt(postgres, tmp_path, 5, int(os.environ.get("FAULT_SEED", "3")))


@pytest.mark.long
async def test_no_deadlock_whatever_happens_at_once(postgres: PostgresServer, tmp_path: Path) -> None:
    seconds = float(os.environ.get("FAULT_SECONDS", "600"))
    await hunt(postgres, tmp_path, seconds, int(os.environ.get("FAULT_SEED", "1")))
