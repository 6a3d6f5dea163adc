"""BatchEvaluateOrders and BatchSettleOrders over gRPC, and the router's client of them, on SQLite and PostgreSQL."""

import asyncio
from decimal import Decimal
from typing import Any

import grpc
import pytest
import sqlalchemy as sa
from vantixs.api.common.v1 import order_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.runtime.errors import ServiceError, from_rpc_error
from vantixs.testing.replicas import replicas_on
from vantixs_risk import store
from vantixs_risk.server import MOST_ORDERS
from vantixs_router.risk_client import RiskClient

from tests.support.risk_fixture import account_of, fill
from tests.support.risk_server import Risk, calls, entry, evaluate, reason, risk, settle

__all__ = ["risk"]  # The fixture.


async def test_each_order_has_its_own_result_in_its_place(risk: Risk) -> None:
    wrong = entry("o2")
    wrong.order.side = 0
    preview = entry("o4")
    preview.preview = True
    results = await evaluate(risk, entry("o1"), wrong, entry("o3", account_id="nobody"), preview, entry("o5"))
    assert [result.WhichOneof("outcome") for result in results] == ["decision", "error", "error", "error", "decision"]
    assert [result.decision.order_id for result in results] == ["o1", "", "", "", "o5"]
    assert [reason(results[n].error) for n in (1, 2, 3)] == [
        ("INVALID_ARGUMENT", "FIELD_INVALID"), ("NOT_FOUND", "ACCOUNT_NOT_FOUND"), ("INVALID_ARGUMENT", "FIELD_INVALID"),
    ]  # fmt: skip
    assert all(results[n].decision.verdict == order_pb2.RISK_VERDICT_APPROVED for n in (0, 4))
    # The single call says the same of what the batch has decided.
    single = await risk.stub.EvaluateOrder(entry("o5"), timeout=10)
    assert single.decision == results[4].decision
    assert await evaluate(risk) == []


async def test_settlements_of_a_batch_add_up_and_what_is_wrong_is_its_own(risk: Risk) -> None:
    await evaluate(risk, *(entry(f"o{n}") for n in range(3)))
    fills = [fill(f"x{n}", buy=True, quantity="1", price="100") for n in range(3)]
    request = risk_pb2.SettleOrderRequest
    bad = request(order_id="o1", fills=[fill("y", buy=True, quantity="-1", price="100")])
    results = await settle(
        risk,
        request(order_id="o0", fills=[fills[0]], final=True),
        bad,
        request(order_id="unknown", fills=[fills[2]]),
        request(order_id="o1", fills=[fills[1]], final=True),
        request(order_id="o0", fills=[fills[0]], final=True),
        request(order_id="o2", final=True),
    )
    assert [result.response.position.quantity for result in results] == ["1", "", "", "2", "2", "2"]
    assert [reason(results[n].error) for n in (1, 2)] == [
        ("INVALID_ARGUMENT", "FIELD_INVALID"), ("NOT_FOUND", "ORDER_NOT_FOUND"),
    ]  # fmt: skip
    account = await risk.viewer.GetAccount(risk_pb2.GetAccountRequest(account_id="a"), timeout=10)
    assert list(account.open_orders) == []
    assert Decimal(account.positions[0].quantity) == 2


async def test_a_batch_is_bounded(risk: Risk) -> None:
    for call in (
        risk.stub.BatchEvaluateOrders(
            risk_pb2.BatchEvaluateOrdersRequest(requests=[risk_pb2.EvaluateOrderRequest()] * (MOST_ORDERS + 1)),
            timeout=10,
        ),
        risk.stub.BatchSettleOrders(
            risk_pb2.BatchSettleOrdersRequest(requests=[risk_pb2.SettleOrderRequest()] * (MOST_ORDERS + 1)), timeout=10
        ),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call
        assert from_rpc_error(raised.value).code is grpc.StatusCode.INVALID_ARGUMENT
        assert "at most 256, was 257" in from_rpc_error(raised.value).detail


async def test_only_a_service_may_call_them(risk: Risk) -> None:
    for call in (
        risk.viewer.BatchEvaluateOrders(risk_pb2.BatchEvaluateOrdersRequest(), timeout=10),
        risk.viewer.BatchSettleOrders(risk_pb2.BatchSettleOrdersRequest(), timeout=10),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call
        assert raised.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_an_order_that_breaks_the_batch_fails_alone(risk: Risk) -> None:
    """An account whose stored state cannot be read is a fault that no check foresees."""
    request = risk_pb2.CreateAccountRequest(request_id="b", account=account_of("b"))
    await risk.operator.CreateAccount(request, timeout=10)
    damage = sa.update(store.STATES).where(store.STATES.c.account_id == "b").values(stamp="changed", data="not JSON")
    await risk.database.write(lambda c: c.execute(damage))
    results = await evaluate(risk, entry("o1"), entry("o2", account_id="b"), entry("o3"))
    assert [result.WhichOneof("outcome") for result in results] == ["decision", "error", "decision"]
    assert reason(results[1].error) == ("INTERNAL", "INTERNAL")
    orders = await risk.database.read(lambda c: store.READ_ORDERS.rows(c, order_ids=["o1", "o2", "o3"]))
    assert sorted(row.order_id for row in orders) == ["o1", "o3"]


async def test_a_fill_is_found_by_its_key_however_many_there_are(risk: Risk) -> None:
    def plan(connection: Any) -> str:
        compiled = store.READ_FILLS._compiled(connection)
        explain = "EXPLAIN QUERY PLAN " if connection.dialect.name == "sqlite" else "EXPLAIN "
        cursor = connection.connection.cursor()
        keys = [("a", "BTC/USDT", f"x{n}") for n in range(64)]
        cursor.execute(explain + compiled._sql, compiled._parameters({"keys": keys}))
        return "\n".join(str(row) for row in cursor.fetchall())

    # As the writer plans it, whose work this is.
    shown = await risk.database.write(plan)
    print(shown)
    assert "SEARCH fills USING INDEX" in shown or "Index Scan using fills_pkey on fills" in shown, shown


async def test_the_router_shares_calls_and_each_gets_its_own_answer(risk: Risk) -> None:
    client, before = RiskClient(replicas_on(risk.channel), 10), calls("BatchEvaluateOrders")
    requests = [entry(f"o{n}", account_id="nobody" if n == 7 else "a") for n in range(300)]
    answers = await asyncio.gather(*(client.evaluate(request) for request in requests), return_exceptions=True)
    assert [type(answer) for answer in answers[6:9]] == [order_pb2.RiskDecision, ServiceError, order_pb2.RiskDecision]
    assert [answers[n].order_id for n in (0, 150, 299)] == ["o0", "o150", "o299"]
    # 128 orders a call are the most.
    assert calls("BatchEvaluateOrders") - before == 3
    order, before = order_pb2.Order(order_id="o0", account_id="a", instrument="BTC/USDT"), calls("BatchSettleOrders")
    fills = [fill(f"x{n}", buy=True, quantity="0.1", price="100") for n in range(20)]
    settled = (client.settle(order, [one], final=False) for one in fills)
    unknown = client.settle(order_pb2.Order(order_id="unknown"), fills[:1], final=True)
    positions = await asyncio.gather(*settled, unknown, return_exceptions=True)
    assert [Decimal(position.quantity) for position in positions[:-1]] == [Decimal(n) / 10 for n in range(1, 21)]
    assert isinstance(positions[-1], ServiceError)
    assert positions[-1].reason == "ORDER_NOT_FOUND"
    assert calls("BatchSettleOrders") - before == 1
    assert client.guess("a", "BTC/USDT") == 2


async def test_a_preview_records_nothing_and_goes_by_itself(risk: Risk) -> None:
    request = entry("o1")
    request.preview = True
    decision = await RiskClient(replicas_on(risk.channel), 10).evaluate(request)
    assert decision.verdict == order_pb2.RISK_VERDICT_APPROVED
    assert await risk.database.read(lambda c: store.READ_ORDERS.rows(c, order_ids=["o1"])) == []
