"""Decisions of risk, on SQLite and PostgreSQL, beside a bare grpc.aio echo of messages of the same size."""

import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import sqlalchemy as sa
from bare import ECHO
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.risk.v1 import risk_pb2, risk_pb2_grpc
from vantixs.runtime.addresses import port_of, reserve_port
from vantixs.runtime.home import SECRETS, Home
from vantixs.testing.postgres import PostgresServer
from vantixs.testing.stack import wait_for

CALLERS, MEASURE_S, EACH = (1, 16, 64), 3.0, 10
ACCOUNTS, PAST_FILLS = 64, (10, 1_000_000)
BATCH, SENDERS = 64, 2
EVALUATE = "/vantixs.api.risk.v1.RiskService/EvaluateOrder"
Say = Callable[..., None]


@contextmanager
def running_risk(home: Path, url: str, environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """`vantixs serve risk` by itself, without NATS; gives its address and a token."""
    opened = Home.open(home, create=True)
    for name in SECRETS:
        opened.secret(name)
    environ = {k: v for k, v in os.environ.items() if not k.startswith("VANTIXS_")}
    environ |= environment | {"VANTIXS_HOME": str(home), "VANTIXS_DATABASE_URL": url, "VANTIXS_LOG_LEVEL": "error"}
    with reserve_port() as nobody:
        environ["VANTIXS_NATS_URL"] = f"nats://127.0.0.1:{port_of(nobody)}"
    process = subprocess.Popen([sys.executable, "-m", "vantixs_console", "serve", "risk"], env=environ)
    ready = home / "run" / "risk-0.json"
    try:
        wait_for(ready.exists, "risk to be ready")
        yield json.loads(ready.read_text())["grpc"], opened.secret("service-token")
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def make_request(account_id: str) -> risk_pb2.EvaluateOrderRequest:
    """An entry of 100 USDT, as the router asks for it."""
    request = risk_pb2.EvaluateOrderRequest(assumed_position_quantity="0", fee_bps="10", webhook_id="demo")
    request.order.CopyFrom(
        order_pb2.Order(
            order_id=f"{uuid.uuid4().hex[:27]}.1",
            signal_id=uuid.uuid4().hex[:27],
            account_id=account_id,
            instrument="BTC/USDT",
            mode=common_pb2.MODE_PAPER,
            side=common_pb2.SIDE_BUY,
            effect=order_pb2.ORDER_EFFECT_ENTRY,
            order_type=common_pb2.ORDER_TYPE_MARKET,
        )
    )
    request.sizing.method, request.sizing.value = common_pb2.SIZING_METHOD_FIXED_NOTIONAL, "100"
    # Another price each time, as on a market: nothing can be remembered from the decision before.
    bid = random.randint(6_300_000, 6_500_000)
    request.quote.CopyFrom(
        common_pb2.Quote(instrument="BTC/USDT", source="simulated", bid=f"{bid / 100:.2f}", ask=f"{bid / 100 + 1:.2f}")
    )
    request.quote.quote_time.FromDatetime(datetime.now(UTC))
    request.instrument.CopyFrom(
        common_pb2.Instrument(
            instrument="BTC/USDT",
            kind=common_pb2.INSTRUMENT_KIND_SPOT,
            base_asset="BTC",
            quote_asset="USDT",
            tick_size="0.01",
            lot_size="0.00001",
            minimum_notional="5",
        )
    )
    return request


async def create_accounts(address: str, token: str) -> None:
    """The accounts, with the limits of the account `paper`."""
    async with grpc.aio.insecure_channel(address) as channel:
        stub = risk_pb2_grpc.RiskServiceStub(channel)
        # Those whose orders are filled are others: all the rest expects flat ones.
        for name in (f"{kind}-{number}" for kind in "bf" for number in range(ACCOUNTS)):
            request = risk_pb2.CreateAccountRequest(request_id=str(uuid.uuid4()))
            account = request.account
            account.account_id, account.currency, account.balance, account.enabled = (
                name,
                "USDT",
                "100000",
                True,
            )
            account.mode = common_pb2.MODE_PAPER
            limits = account.limits
            limits.max_order_notional, limits.max_position_notional, limits.max_gross_exposure = (
                "10000",
                "50000",
                "100000",
            )
            limits.max_leverage, limits.max_open_positions = "1", 20
            limits.max_daily_loss, limits.max_drawdown_percent = "10000", "25"
            await stub.CreateAccount(request, timeout=10, metadata=(("authorization", f"Bearer {token}"),))


async def answered(call: grpc.aio.UnaryUnaryMultiCallable, content: bytes, metadata: Any) -> None:
    """One call, again where the server has not cleaned up enough streams of this connection yet (REFUSED_STREAM)."""
    while True:
        try:
            await call(content, timeout=10, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
        else:
            return


async def paired_rates(address: str, token: str, echo_port: int, callers: int) -> tuple[float, float, int]:
    """Decisions and echoes a second at so many callers, and bytes of an echo.

    They take turns, some tenths of a second each, so that both meet the same machine. Only the calls are timed: between
    rounds what decisions reserved is released. An echo carries as much in both directions as a decision does.
    """
    metadata = (("authorization", f"Bearer {token}"),)
    async with (
        grpc.aio.insecure_channel(address) as risk,
        grpc.aio.insecure_channel(f"127.0.0.1:{echo_port}") as bare,
    ):
        evaluate, echo = risk.unary_unary(EVALUATE), bare.unary_unary(ECHO)
        stub = risk_pb2_grpc.RiskServiceStub(risk)
        answer = await evaluate(make_request("b-0").SerializeToString(), timeout=10, metadata=metadata)
        decision = risk_pb2.EvaluateOrderResponse.FromString(answer).decision
        assert decision.verdict == order_pb2.RISK_VERDICT_APPROVED, decision
        size = (len(answer) + len(make_request("b-0").SerializeToString())) // 2
        await echo(b"x", timeout=10, wait_for_ready=True)
        spent, done = {evaluate: 0.0, echo: 0.0}, 0

        async def work(call: grpc.aio.UnaryUnaryMultiCallable, contents: list[bytes]) -> None:
            for content in contents:
                await answered(call, content, metadata)

        async def turn(call: grpc.aio.UnaryUnaryMultiCallable, batches: list[list[bytes]]) -> None:
            started = time.perf_counter()
            await asyncio.gather(*(work(call, batch) for batch in batches))
            spent[call] += time.perf_counter() - started

        each = max(EACH, 640 // callers)
        while spent[evaluate] < MEASURE_S:
            made = [[make_request(f"b-{n % ACCOUNTS}") for _ in range(each)] for n in range(callers)]
            await turn(evaluate, [[request.SerializeToString() for request in batch] for batch in made])
            await turn(echo, [[b"x" * size] * each] * callers)
            done += callers * each
            releases = [risk_pb2.SettleOrderRequest(order_id=r.order.order_id, final=True) for b in made for r in b]
            for start in range(0, len(releases), BATCH):
                released = risk_pb2.BatchSettleOrdersRequest(requests=releases[start : start + BATCH])
                await stub.BatchSettleOrders(released, timeout=30, metadata=metadata)
        return done / spent[evaluate], done / spent[echo], size


async def batch_rates(address: str, token: str, echo_port: int) -> tuple[float, float, float]:
    """Decisions and settlements a second in batches of 64, and single echoes of a decision's size by 64 callers, in turns.

    Each sender, as a router does, has one batch out; what was decided is then filled.
    """
    metadata = (("authorization", f"Bearer {token}"),)
    async with (
        grpc.aio.insecure_channel(address) as risk,
        grpc.aio.insecure_channel(f"127.0.0.1:{echo_port}") as bare,
    ):
        stub, echo = risk_pb2_grpc.RiskServiceStub(risk), bare.unary_unary(ECHO)
        await echo(b"x", timeout=10, wait_for_ready=True)
        spent = dict.fromkeys(("decide", "settle", "echo"), 0.0)
        listed = [stub.ListPositions(_positions(n), timeout=10, metadata=metadata) for n in range(ACCOUNTS)]
        held = {f"f-{n}": "0" for n in range(ACCOUNTS)}
        held |= {p.account_id: p.quantity for r in await asyncio.gather(*listed) for p in r.positions}
        done, names = 0, list(held)

        async def timed(what: str, work: Iterable[Awaitable[Any]]) -> list[Any]:
            started = time.perf_counter()
            results = await asyncio.gather(*work)
            spent[what] += time.perf_counter() - started
            return results

        async def echoes(content: bytes) -> None:
            for _ in range(SENDERS):
                await echo(content, timeout=10)

        while spent["decide"] < MEASURE_S:
            made = [
                [make_request(names[n % ACCOUNTS]) for n in range(s, s + BATCH * SENDERS, SENDERS)]
                for s in range(SENDERS)
            ]
            for request in (request for requests in made for request in requests):
                request.assumed_position_quantity = held[request.order.account_id]
            batches = [risk_pb2.BatchEvaluateOrdersRequest(requests=requests) for requests in made]
            decided = await timed(
                "decide", (stub.BatchEvaluateOrders(b, timeout=30, metadata=metadata) for b in batches)
            )
            fills = [
                risk_pb2.BatchSettleOrdersRequest(requests=map(_filled, requests, answer.results))
                for requests, answer in zip(made, decided, strict=True)
            ]
            settled = await timed("settle", (stub.BatchSettleOrders(b, timeout=30, metadata=metadata) for b in fills))
            for result in (result for answer in settled for result in answer.results):
                held[result.response.position.account_id] = result.response.position.quantity
            await timed("echo", map(echoes, [b"x" * (decided[0].ByteSize() // BATCH)] * 64))
            done += BATCH * SENDERS
        return done / spent["decide"], done / spent["settle"], done / spent["echo"]


def _positions(number: int) -> risk_pb2.ListPositionsRequest:
    return risk_pb2.ListPositionsRequest(account_id=f"f-{number}", instrument="BTC/USDT")


def _filled(
    request: risk_pb2.EvaluateOrderRequest, result: risk_pb2.EvaluateOrderResult
) -> risk_pb2.SettleOrderRequest:
    """All of an approved order, in one fill at its quote."""
    assert result.decision.verdict == order_pb2.RISK_VERDICT_APPROVED, result
    order, quantity = request.order, result.decision.quantity
    fill = order_pb2.Fill(
        execution_id=order.order_id,
        order_id=order.order_id,
        side=order.side,
        quantity=quantity,
        price=request.quote.ask,
    )
    fill.fee, fill.fee_asset = "0.1", "USDT"
    return risk_pb2.SettleOrderRequest(order_id=order.order_id, fills=[fill], final=True)


_PAST = {
    "orders": "'past-'||i, '', 'b-0', '', '', 'ETH/USDT', 'ETH', 'USDT', {false}, {true}, {true}, {true}, {false}, "
    "'1', '3100', '3100', '1', 1700000000000000 + i, {blob}",
    "fills": "'b-0', 'ETH/USDT', 'past-'||i, 'past-'||i, {true}, '1', '3100', '3.1', 'USDT', '', 1700000000000000 + i",
    "transfers (account_id, cause, source, target, asset, amount)": "'b-0', 'past-'||i, 'cash', 'trading', 'USDT', '3100'",
}


def add_past(url: str, first: int, last: int) -> None:
    """Writes past orders, fills and transfers of the first account, straight into the tables."""
    engine = sa.create_engine(url, connect_args={} if url.startswith("sqlite") else {"options": "-csearch_path=risk"})
    words = (
        {"true": "1", "false": "0", "blob": "x''"}
        if url.startswith("sqlite")
        else {"true": "true", "false": "false", "blob": "''"}
    )
    with engine.begin() as connection:
        for table, values in _PAST.items():
            numbers = f"WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last - 1}) "
            connection.exec_driver_sql(numbers + f"INSERT INTO {table} SELECT {values.format(**words)} FROM n")
    engine.dispose()


async def decision_cost(address: str, token: str) -> float:
    """Median milliseconds of one decision at a time, of the account with the past."""
    metadata = (("authorization", f"Bearer {token}"),)
    async with grpc.aio.insecure_channel(address) as channel:
        call, stub = channel.unary_unary(EVALUATE), risk_pb2_grpc.RiskServiceStub(channel)
        spans = []
        for _ in range(400):
            request = make_request("b-0")
            content = request.SerializeToString()
            started = time.perf_counter()
            await call(content, timeout=10, metadata=metadata)
            spans.append((time.perf_counter() - started) * 1000)
            release = risk_pb2.SettleOrderRequest(order_id=request.order.order_id, final=True)
            await stub.SettleOrder(release, timeout=10, metadata=metadata)
        return statistics.median(spans)


def bench_risk(
    say: Say,
    start_bare: Callable[[str], tuple[subprocess.Popen[bytes], int]],
    directory: Path,
    kinds: Mapping[str, Mapping[str, str]],
) -> None:
    """Everything about risk, by kind ("compiled", "plain"), each in its own environment and on a database of its own."""
    server = PostgresServer(directory / "postgres")
    try:
        for name in ("SQLite", "PostgreSQL"):
            with ExitStack() as ends:
                urls, running = {}, {}
                for kind, environment in kinds.items():
                    home = directory / f"risk-{name}-{kind}"
                    urls[kind] = f"sqlite:///{home}.db" if name == "SQLite" else server.new_database()
                    running[kind] = ends.enter_context(running_risk(home, urls[kind], environment))
                    asyncio.run(create_accounts(*running[kind]))
                _rates(say, start_bare, name, running)
                for first, last in zip((0, *PAST_FILLS), PAST_FILLS, strict=False):
                    costs = []
                    for kind, (address, token) in running.items():
                        add_past(urls[kind], first, last)
                        costs.append(f"{asyncio.run(decision_cost(address, token)):.2f} ms")
                    say(f"risk on {name}, one decision, {last:,} past fills", costs[0], "goal: flat", *costs[1:])
    finally:
        server.stop()


def _rates(
    say: Say,
    start_bare: Callable[[str], tuple[subprocess.Popen[bytes], int]],
    name: str,
    running: Mapping[str, tuple[str, str]],
) -> None:
    """Decisions a second of each kind beside the echo, in turns, so that both meet the same machine."""
    process, port = start_bare("grpc")
    try:
        for callers in CALLERS:
            measured = [asyncio.run(paired_rates(*at, port, callers)) for at in running.values()]
            rates = [f"{rate:,.0f}/s" for rate, _, _ in measured]
            ratios = " and ".join(f"{rate / echo:.2f}" for rate, echo, _ in measured)
            goal = ", goal >= 0.60" if name == "SQLite" and callers == 64 else ""
            say(f"risk on {name}, decisions, {callers} callers", rates[0], f"{ratios} x echo{goal}", *rates[1:])
            echoes = [f"{echo:,.0f}/s" for _, echo, _ in measured]
            say(f"bare echo of {measured[0][2]} bytes, {callers} callers", echoes[0], "", *echoes[1:])
        batched = [asyncio.run(batch_rates(*at, port)) for at in running.values()]
        for place, what in enumerate(("decisions", "settlements")):
            rates = [f"{measured[place]:,.0f}/s" for measured in batched]
            ratios = " and ".join(f"{measured[place] / measured[2]:.2f}" for measured in batched)
            goal = ", goal >= 1.00, or 8,000/s" if name == "SQLite" and place == 0 else ""
            say(f"risk on {name}, {what}, {SENDERS} senders of {BATCH}", rates[0], f"{ratios} x echo{goal}", *rates[1:])
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    from run import environments
    from run import say as print_line
    from run import start_bare as start

    with tempfile.TemporaryDirectory() as made:
        bench_risk(print_line, start, Path(made), environments())
