"""200 entries at once against a limit that admits 3, through 4 risk processes on one database: exactly 3, each time."""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.testing.postgres import PostgresServer

from tests.support.risk_fixture import account_of, ask
from tests.support.risk_processes import Callers, RiskProcesses

PROCESSES, ENTRIES, ADMITTED = 4, 200, 3
APPROVED, DENIED = order_pb2.RISK_VERDICT_APPROVED, order_pb2.RISK_VERDICT_DENIED
# Each limit admits three orders of 1,000 at a price of 100.
LIMITS: dict[str, dict[str, Any]] = {
    "POSITION_NOTIONAL_ABOVE_MAXIMUM": {"max_position_notional": "3999"},
    "OPEN_POSITIONS_ABOVE_MAXIMUM": {"max_open_positions": 3},
    "GROSS_EXPOSURE_ABOVE_MAXIMUM": {"max_gross_exposure": "3000"},
    "LEVERAGE_ABOVE_MAXIMUM": {"max_leverage": "0.3"},
    "ORDER_RATE_EXCEEDED": {"max_orders_per_minute": 3},
    "INSUFFICIENT_FUNDS": {},
}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def processes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RiskProcesses]:
    root = tmp_path_factory.mktemp("races")
    url = f"sqlite:///{root / 'risk.db'}"
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        url = server.new_database()
    running = RiskProcesses(root / "home", url, PROCESSES)
    yield running
    running.stop()


async def one_round(callers: Callers, number: int, reason: str) -> None:
    account = account_of(f"round-{number}", **LIMITS[reason])
    if reason == "INSUFFICIENT_FUNDS":
        account.balance = "3100"
    await callers.create(account)
    now = datetime.now(UTC)
    spread = reason == "OPEN_POSITIONS_ABOVE_MAXIMUM"
    requests = [
        ask(
            f"{account.account_id}-{n}", f"C{n}/USDT" if spread else "BTC/USDT", buy=True, entry=True, position="0",
            price="100", now=now, account_id=account.account_id,
        )
        for n in range(ENTRIES)
    ]  # fmt: skip
    answers = await asyncio.gather(*(callers.call("EvaluateOrder", request) for request in requests))
    verdicts = [answer.decision.verdict for answer in answers]
    assert verdicts.count(APPROVED) == ADMITTED, f"round {number}, {reason}"
    assert verdicts.count(DENIED) == ENTRIES - ADMITTED
    for answer in answers:
        failed = [check.reason for check in answer.decision.checks if not check.passed]
        assert failed in ([], [reason])
    again = await asyncio.gather(*(callers.call("EvaluateOrder", request) for request in requests[:20]))
    assert [a.decision for a in again] == [a.decision for a in answers[:20]], "asked again it answers the same"
    shown = await callers.call("GetAccount", risk_pb2.GetAccountRequest(account_id=account.account_id))
    assert len(shown.open_orders) == ADMITTED
    approved = [r for r, v in zip(requests, verdicts, strict=True) if v == APPROVED]
    for request in approved:
        release = risk_pb2.SettleOrderRequest(order_id=request.order.order_id, final=True)
        await callers.call("SettleOrder", release)
    shown = await callers.call("GetAccount", risk_pb2.GetAccountRequest(account_id=account.account_id))
    assert not shown.open_orders
    assert Decimal(shown.free_funds) == Decimal(account.balance)


async def race(processes: RiskProcesses, rounds: range) -> None:
    callers, reasons = Callers(processes, PROCESSES), list(LIMITS)
    try:
        for number in rounds:
            await one_round(callers, number, reasons[number % len(reasons)])
    finally:
        await callers.close()


async def test_limit_admits_what_it_admits_however_many_ask_at_once(processes: RiskProcesses) -> None:
    await race(processes, range(len(LIMITS)))


@pytest.mark.long
async def test_limit_admits_what_it_admits_a_hundred_times(processes: RiskProcesses) -> None:
    await race(processes, range(100, 200))


async def test_halt_at_one_process_holds_for_the_next_decision_of_every_other(processes: RiskProcesses) -> None:
    """NATS is not there: the state is read with every decision, not told."""
    callers = Callers(processes, PROCESSES)
    try:
        await callers.create(account_of("a"))
        slowest = 0.0
        for number in range(8):
            halted = number % 2 == 0
            state = common_pb2.TRADING_STATE_HALTED if halted else common_pb2.TRADING_STATE_ACTIVE
            change = risk_pb2.SetTradingStateRequest(scope="account:a", state=state, comment="test")
            await callers.stubs[number % PROCESSES].SetTradingState(change, timeout=10)
            started = time.monotonic()
            requests = [
                ask(f"h{number}-{n}", "BTC/USDT", buy=True, entry=True, position="0", price="100", now=datetime.now(UTC), notional="10")
                for n in range(PROCESSES)
            ]  # fmt: skip
            decisions = [s.EvaluateOrder(r, timeout=10) for s, r in zip(callers.stubs, requests, strict=True)]
            answers = await asyncio.gather(*decisions)
            slowest = max(slowest, time.monotonic() - started)
            for answer in answers:
                failed = [check.reason for check in answer.decision.checks if not check.passed]
                assert failed == (["TRADING_HALTED"] if halted else [])
        print(f"slowest decision after a change: {slowest * 1000:.0f} ms")
    finally:
        await callers.close()
