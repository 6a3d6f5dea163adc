"""Orders that are decided or settled together are decided or settled as one after the other."""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.runtime.errors import ServiceError
from vantixs_risk import store
from vantixs_risk.account_state import load
from vantixs_risk.settlement import settle_orders

from tests.support.risk_fixture import KINDS, Process, RiskFixture, account_of, ask, fill, later

FEW = 20  # Examples; test_many_more_batches has twenty times as many.
LIMITS = {"max_gross_exposure": "3000", "max_position_notional": "2000", "max_orders_per_minute": 9}
# Few ids, so that some come twice; a position that is not there; more than the limits let through; two accounts.
ORDER = st.fixed_dictionaries(
    {
        "order_id": st.integers(1, 3),
        "account_id": st.sampled_from(["a", "b"]),
        "instrument": st.sampled_from(sorted(KINDS)),
        "buy": st.booleans(),
        "entry": st.sampled_from([True, True, False]),
        "position": st.sampled_from(["0", "0", "0", "1"]),
        "price": st.sampled_from(["90", "100"]),
        "notional": st.sampled_from(["100", "700", "1500", "9000"]),
    }
).map(lambda order: order | {"order_id": id_of(order["account_id"], order["instrument"], order["order_id"])})


def id_of(account_id: str, instrument: str, number: int) -> str:
    """An id is of one account and instrument: asked for another one, risk refuses it."""
    return f"{account_id}-{sorted(KINDS).index(instrument)}-{number}"


def opened() -> tuple[RiskFixture, Process]:
    risk = RiskFixture()
    process = Process(risk)
    for account_id in ("a", "b"):
        account = account_of(account_id, **LIMITS)
        account.breakers.max_repeated_orders, account.breakers.repeated_orders_window_s = 3, 60
        process.create(account)
    return risk, process


def request_of(risk: RiskFixture, order: dict[str, Any]) -> risk_pb2.EvaluateOrderRequest:
    values = dict(order)
    return ask(values.pop("order_id"), values.pop("instrument"), now=risk.now, **values)


def books(risk: RiskFixture) -> list[Any]:
    """What is stored, without the stamps and the clocks' microseconds in ids."""
    accounts = [risk.account(name) for name in ("a", "b")]
    states = [(row.scope, row.state, row.actor) for row in risk.rows(store.TRADING_STATES)]
    orders = sorted((row.order_id, row.data, row.open) for row in risk.rows(store.ORDERS))
    # Read, not compared as text: which instrument's mark came first says nothing.
    kept = sorted(((row.account_id, json.loads(row.data)) for row in risk.rows(store.STATES)), key=lambda row: row[0])
    return [accounts, states, orders, kept]


ALONE = {"orders": st.lists(ORDER, min_size=1, max_size=20), "crash": st.none() | st.integers(0, 12)}


@settings(max_examples=FEW)
@given(**ALONE)
def test_a_batch_is_decided_as_its_orders_one_by_one(orders: list[dict[str, Any]], crash: int | None) -> None:
    (one, alone), (many, together) = opened(), opened()
    expected = [alone.evaluate(request_of(one, order)) for order in orders]
    requests = [request_of(many, order) for order in orders]
    if crash is not None:
        assert together.evaluate_together(requests, crash) is None
    assert together.evaluate_together(requests) == expected
    assert books(many) == books(one)
    # Of the orders that were recorded, another process says the same again.
    recorded = [n for n, d in enumerate(expected) if d.verdict != order_pb2.RISK_VERDICT_POSITION_CHANGED]
    again = Process(many).evaluate_together([requests[n] for n in recorded])
    assert again == [expected[n] for n in recorded]
    one.close()
    many.close()


# Few execution ids, so that fills come again, for other orders too; orders nobody asked for; a quantity that is none.
FILL = st.tuples(
    st.integers(1, 8).map(lambda n: f"x{n}"),
    st.booleans(),
    st.sampled_from(["1", "1", "5", "0.5", "0"]),
    st.sampled_from(["90", "100", "40"]),
)
SETTLEMENT = st.fixed_dictionaries(
    {
        "order_id": st.builds(id_of, st.sampled_from(["a", "b"]), st.sampled_from(sorted(KINDS)), st.integers(1, 4)),
        "fills": st.lists(FILL, max_size=3),
        "final": st.booleans(),
        "rejected": st.booleans(),
    }
)


def settlement_of(settlement: dict[str, Any]) -> risk_pb2.SettleOrderRequest:
    state = common_pb2.ORDER_STATE_REJECTED if settlement["rejected"] else common_pb2.ORDER_STATE_FILLED
    fills = [
        fill(execution_id, buy=buy, quantity=quantity, price=price, fee="0.1")
        for execution_id, buy, quantity, price in settlement["fills"]
    ]
    return risk_pb2.SettleOrderRequest(
        order_id=settlement["order_id"], fills=fills, final=settlement["final"], order_state=state
    )


def settled(process: Process, requests: list[risk_pb2.SettleOrderRequest], crash: int | None = None) -> Any:
    """The answers, errors among them."""
    answers = process.run(lambda c, d, now: settle_orders(c, d, [(r, now) for r in requests]), crash)
    if answers is None:
        return None
    return [str(answer) if isinstance(answer, ServiceError) else answer for answer in answers]


def test_an_account_that_a_settlement_did_not_change_is_remembered_as_it_is_stored() -> None:
    risk, process = opened()
    process.evaluate(ask("o1", "BTC/USDT", buy=True, entry=True, position="0", price="100", now=risk.now))
    ended = risk_pb2.SettleOrderRequest(order_id="o1", final=True)
    settled(process, [ended])
    later(risk, 86_400)
    settled(process, [ended])
    remembered = process.context.cache._accounts.get("a")
    assert remembered is None or remembered == risk.read(lambda c: load(c, "a"))
    risk.close()


def ledger(risk: RiskFixture) -> list[Any]:
    """Everything that fills leave behind."""
    transfers = [tuple(row)[1:] for row in risk.rows(store.TRANSFERS)]
    tables = (store.FILLS, store.BALANCES, store.POSITIONS, store.SAMPLES)
    flagged = sorted(row.message_id for row in risk.rows(store.OUTBOX) if ":flagged:" in row.message_id)
    # Each account's transfers in the order they were booked; between accounts there is none.
    return [sorted(transfers, key=lambda row: row[0]), flagged, *(sorted(risk.rows(table)) for table in tables)]


BOTH: dict[str, Any] = {
    "plan": st.lists(st.tuples(st.lists(ORDER, max_size=8), st.lists(SETTLEMENT, max_size=8)), min_size=1, max_size=5),
    "crash": st.none() | st.integers(0, 12),
    "minutes": st.sampled_from([0.2, 1, 600]),
}


# An order ends, and its fill comes afterwards in the same batch: nothing else holds the instrument in between.
ENDED = {"order_id": "a-0-1", "account_id": "a", "instrument": "BTC/USDT", "buy": False, "entry": True}
ENDED |= {"position": "0", "price": "90", "notional": "100"}
AFTER_END = [
    {"order_id": "a-0-1", "fills": [], "final": True, "rejected": False},
    {"order_id": "a-0-1", "fills": [("x1", False, "1", "90")], "final": False, "rejected": False},
]


@settings(max_examples=FEW)
@given(**BOTH)
@example(plan=[([ENDED], AFTER_END)], crash=None, minutes=1)
def test_batches_of_both_kinds_leave_what_their_orders_would_one_by_one(
    plan: list[tuple[list[dict[str, Any]], list[dict[str, Any]]]], crash: int | None, minutes: float
) -> None:
    (one, alone), (many, together) = opened(), opened()
    for orders, settlements in plan:
        decisions = [alone.evaluate(request_of(one, order)) for order in orders]
        assert together.evaluate_together([request_of(many, order) for order in orders]) == decisions
        requests = [settlement_of(settlement) for settlement in settlements]
        expected = [settled(alone, [request])[0] for request in requests]
        if crash is not None:
            assert settled(together, requests, crash) is None
        assert settled(together, requests) == expected
        assert ledger(many) == ledger(one)
        assert books(many) == books(one)
        # Told again, by another process, nothing changes.
        Process(many).run(lambda c, d, now, told=requests: settle_orders(c, d, [(r, now) for r in told]))
        assert ledger(many)[0] == ledger(one)[0]
        later(one, minutes * 60)
        later(many, minutes * 60)
    one.close()
    many.close()


@pytest.mark.long
@pytest.mark.parametrize(
    ("check", "given_to_it"),
    [
        (test_a_batch_is_decided_as_its_orders_one_by_one, ALONE),
        (test_batches_of_both_kinds_leave_what_their_orders_would_one_by_one, BOTH),
    ],
    ids=["alone", "both"],
)
def test_many_more_batches(check: Any, given_to_it: dict[str, Any]) -> None:
    settings(max_examples=20 * FEW)(given(**given_to_it)(check.hypothesis.inner_test))()
