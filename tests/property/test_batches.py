"""Orders that are decided together are decided as one after the other."""

import sys
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from vantixs.api.common.v1 import order_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs_risk import store

sys.path.insert(0, str(Path(__file__).parent))
from ledger_office import KINDS, Office, Process, account_of, ask

LIMITS = {"max_gross_exposure": "3000", "max_position_notional": "2000", "max_orders_per_minute": 9}
# Few ids, so that some come twice; a position that is not there; more than the limits let through; two accounts.
ORDER = st.fixed_dictionaries(
    {
        "order_id": st.integers(1, 12).map(lambda n: f"o{n}"),
        "account_id": st.sampled_from(["a", "b"]),
        "instrument": st.sampled_from(sorted(KINDS)),
        "buy": st.booleans(),
        "entry": st.sampled_from([True, True, False]),
        "position": st.sampled_from(["0", "0", "0", "1"]),
        "price": st.sampled_from(["90", "100"]),
        "notional": st.sampled_from(["100", "700", "1500", "9000"]),
    }
)


def opened() -> tuple[Office, Process]:
    office = Office()
    process = Process(office)
    for account_id in ("a", "b"):
        account = account_of(account_id, **LIMITS)
        account.breakers.max_repeated_orders, account.breakers.repeated_orders_window_s = 3, 60
        process.create(account)
    return office, process


def request_of(office: Office, order: dict[str, Any]) -> risk_pb2.EvaluateOrderRequest:
    values = dict(order)
    return ask(values.pop("order_id"), values.pop("instrument"), now=office.now, **values)


def books(office: Office) -> list[Any]:
    """What is stored, without the stamps and the clocks' microseconds in ids."""
    accounts = [office.account(name) for name in ("a", "b")]
    states = [(row.scope, row.state, row.actor) for row in office.rows(store.TRADING_STATES)]
    orders = sorted((row.order_id, row.data, row.open) for row in office.rows(store.ORDERS))
    kept = sorted((row.account_id, row.data) for row in office.rows(store.STATES))
    return [accounts, states, orders, kept]


@given(orders=st.lists(ORDER, min_size=1, max_size=20), crash=st.none() | st.integers(0, 12))
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
