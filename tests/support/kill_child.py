"""Runs risk's units of work on a real database, in processes that are killed before their n-th statement.

    python -m tests.support.kill_child DATABASE_URL STEP

For n = 0, STEP, 2 * STEP, ... a forked process makes the same five calls on an account of its own and kills itself (signal
9) before its n-th statement, BEGIN and COMMIT included; another one makes all the calls again. Prints, as JSON, for each n
what was decided and what the books are; the last n is the first one that was not reached: nothing was killed there.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import psycopg
import sqlalchemy as sa
from vantixs.api.common.v1 import common_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.outbox import Outbox
from vantixs_risk import store
from vantixs_risk.accounts import create_account, get_account
from vantixs_risk.adjustment import record_adjustment
from vantixs_risk.evaluation import evaluate_orders
from vantixs_risk.main import MIGRATIONS
from vantixs_risk.settings import RiskSettings
from vantixs_risk.settlement import settle_orders
from vantixs_risk.trading import set_trading_state
from vantixs_risk.unit_context import UnitContext

from tests.support.risk_fixture import START, account_of, ask, fill


class Countdown:
    """Kills the process before the n-th statement from now."""

    left: int | None = None

    def statement(self, *_: object) -> None:
        if self.left is not None:
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            self.left -= 1


COUNTDOWN = Countdown()


def count_statements() -> None:
    """Every statement that reaches a driver passes by the countdown."""

    @sa.event.listens_for(sa.Engine, "connect")
    def connected(connection: Any, _: Any) -> None:
        if hasattr(connection, "set_trace_callback"):
            connection.set_trace_callback(COUNTDOWN.statement)

    for cls, name in ((psycopg.Cursor, "execute"), (psycopg.Connection, "commit")):
        original = getattr(cls, name)

        def counted(self: Any, *arguments: Any, _original: Any = original, **named: Any) -> Any:
            COUNTDOWN.statement()
            return _original(self, *arguments, **named)

        setattr(cls, name, counted)


async def make_calls(url: str, name: str, kill_before: int | None) -> dict[str, Any]:
    """The five calls of an account, and what came of them."""
    settings = RiskSettings(database_url=url)
    database = await Database.open(settings, "risk", MIGRATIONS)
    context = UnitContext(settings, Outbox(store.OUTBOX, database, None))  # type: ignore[arg-type]
    # Breakers go off in it: their state and its journal entry are part of the same transactions.
    account = account_of(name, max_daily_loss="100")
    new = risk_pb2.CreateAccountRequest(request_id=name, account=account)
    await database.write(lambda c: create_account(c, context, new, "operator:test", START))
    COUNTDOWN.left = kill_before
    opening = ask(f"{name}-1", "BTC/USDT", buy=True, entry=True, position="0", price="100", now=START, account_id=name)
    closing = ask(
        f"{name}-2", "BTC/USDT", buy=False, entry=False, position="10", price="80", now=START, account_id=name
    )
    first = [fill(f"{name}-x1", buy=True, quantity="4", price="100", fee="0.4")]
    both = [*first, fill(f"{name}-x2", buy=True, quantity="6", price="101", fee="0.6")]
    out = [fill(f"{name}-x3", buy=False, quantity="10", price="80", fee="0.7")]
    adjustment = risk_pb2.RecordAdjustmentRequest(request_id=f"{name}-r", account_id=name, comment="test")
    adjustment.cash.asset, adjustment.cash.amount = "USDT", "12.5"
    halt = risk_pb2.SetTradingStateRequest(scope=f"account:{name}", state=common_pb2.TRADING_STATE_HALTED, comment="x")

    def decide(
        connection: sa.Connection, asked: Sequence[tuple[risk_pb2.EvaluateOrderRequest, datetime]]
    ) -> list[bytes | ServiceError]:
        return evaluate_orders(connection, context, asked)

    async def evaluate(request: risk_pb2.EvaluateOrderRequest) -> str:
        answer = await database.write_batched(decide, (request, START))
        return answer.hex()

    async def settle(order_id: str, fills: list[Any], *, final: bool) -> None:
        request = risk_pb2.SettleOrderRequest(order_id=order_id, fills=fills, final=final)
        answers = await database.write(lambda c: settle_orders(c, context, [(request, START)]))
        assert not isinstance(answers[0], ServiceError), answers

    decisions = [await evaluate(opening)]
    await settle(f"{name}-1", first, final=False)
    await settle(f"{name}-1", both, final=True)
    decisions.append(await evaluate(closing))
    await settle(f"{name}-2", out, final=True)
    await database.write(lambda c: record_adjustment(c, context, adjustment, "operator:test", START))
    await database.write(lambda c: set_trading_state(c, context, halt, "operator:test", START))
    COUNTDOWN.left = None
    shown = await database.read(lambda c: get_account(c, name, START))
    shown.account.ClearField("account_id")
    books = await database.read(lambda c: _books(c, name))
    await database.close()
    content = json.dumps([decisions, books, shown.SerializeToString(deterministic=True).hex()])
    return {"name": name, "content": content.replace(name.encode().hex(), "--").replace(name, "--")}


def _books(connection: sa.Connection, name: str) -> list[Any]:
    rows: list[Any] = []
    for table in (store.BALANCES, store.POSITIONS, store.ORDERS, store.FILLS, store.TRANSFERS, store.ADJUSTMENTS):
        columns = [c for c in table.c if c.name not in ("transfer_id", "data", "request", "response")]
        query = sa.select(*columns).where(table.c.account_id == name)
        rows.append(sorted([str(value) for value in row] for row in connection.execute(query)))
    state = sa.select(store.TRADING_STATES.c.state).where(store.TRADING_STATES.c.scope == f"account:{name}")
    return [*rows, connection.execute(state).scalar()]


def forked(url: str, name: str, kill_before: int | None) -> tuple[bool, str]:
    """Makes the calls in a process of its own; whether it was killed, and what it printed."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        done = asyncio.run(make_calls(url, name, kill_before))
        with os.fdopen(write, "w") as out:
            out.write(done["content"])
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as result:
        content = result.read()
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, status
    return os.WIFSIGNALED(status), content


def main() -> None:
    url, step = sys.argv[1], int(sys.argv[2])
    count_statements()
    results, number, killed = [], 0, True
    while killed:
        killed, _ = forked(url, f"k{number:04d}", number)
        again, content = forked(url, f"k{number:04d}", None)
        assert not again
        results.append({"killed": killed, "content": content})
        number += step
    print(json.dumps(results))


if __name__ == "__main__":
    main()
