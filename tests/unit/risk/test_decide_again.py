"""A decision is made again from what it recorded: the same with the same rules, another one where a rule changed."""

from collections.abc import Iterator

import pytest
from vantixs.api.common.v1 import order_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.runtime.errors import ServiceError
from vantixs_risk.accounts import create_account
from vantixs_risk.decision_inputs import MOST_RECORDED, decide_again
from vantixs_risk.settings import RiskSettings

from tests.support.risk_fixture import Process, RiskFixture, account_of, ask, check_books, fill, later


@pytest.fixture
def risk() -> Iterator[RiskFixture]:
    fixture = RiskFixture()
    yield fixture
    fixture.close()


def _buy(risk: RiskFixture, number: int, instrument: str = "BTC/USDT", **more: str) -> risk_pb2.EvaluateOrderRequest:
    return ask(f"s{number}.1", instrument, buy=True, entry=True, position="0", price="50000", now=risk.now, **more)


def _inputs(decision: order_pb2.RiskDecision) -> risk_pb2.DecisionInputs:
    return risk_pb2.DecisionInputs.FromString(decision.inputs)


def test_a_lowered_limit_denies_exactly_the_orders_above_it(risk: RiskFixture) -> None:
    process = Process(risk)
    process.create(account_of(max_order_notional="2000"))
    decided = [process.evaluate(_buy(risk, n, notional=f"{n * 300}")) for n in range(1, 6)]
    rules = account_of(max_order_notional="1000")
    again = [decide_again(_inputs(decision), rules, RiskSettings()) for decision in decided]
    assert {d.verdict for d in decided} == {order_pb2.RISK_VERDICT_APPROVED}
    denied = [n for n, d in enumerate(again, 1) if d.verdict == order_pb2.RISK_VERDICT_DENIED]
    assert denied == [4, 5]
    assert [c.reason for c in again[3].checks if not c.passed] == ["ORDER_NOTIONAL_ABOVE_MAXIMUM"]


def test_books_reservations_and_what_was_done_lately_are_recorded(risk: RiskFixture) -> None:
    process = Process(risk)
    process.create(account_of(duplicate_order_window_s=60, max_orders_per_minute=10, loss_cooldown_s=60))
    first = process.evaluate(_buy(risk, 1))
    trade = fill("e1", buy=True, quantity=first.quantity, price="50000", fee="1")
    process.settle(risk_pb2.SettleOrderRequest(order_id="s1.1", fills=[trade], final=True))
    process.evaluate(ask("s2.1", "ETH/USDT", buy=True, entry=True, position="0", price="3000", now=risk.now))
    later(risk, 5)
    request = ask("s3.1", "BTC/USDT", buy=True, entry=True, position=first.quantity, price="50000", now=risk.now)
    inputs = _inputs(process.evaluate(request))
    assert [held.instrument for held in inputs.held] == ["BTC/USDT"]
    assert [order.instrument for order in inputs.reserved] == ["ETH/USDT"]
    assert (inputs.orders_last_minute, len(inputs.approved)) == (2, 2)


def test_an_account_with_more_than_is_recorded_says_so_and_is_not_decided_again(risk: RiskFixture) -> None:
    process = Process(risk)
    process.create(account_of())
    process.evaluate_together([_buy(risk, n, notional="10", lot="0.0001") for n in range(MOST_RECORDED + 1)])
    inputs = _inputs(process.evaluate(_buy(risk, 1000, notional="10", lot="0.0001")))
    assert list(inputs.left_out) == ["reserved"]
    with pytest.raises(ServiceError, match="expected all inputs, was without reserved"):
        decide_again(inputs, None, RiskSettings())


def test_a_leg_of_a_bracket_records_no_inputs(risk: RiskFixture) -> None:
    process = Process(risk)
    process.create(account_of())
    leg = ask(
        "s1.s", "BTC/USDT", buy=False, entry=False, position="0", price="50000", now=risk.now, leg="STOP_LOSS",
        order_quantity="0.01", kind="STOP", stop_price="49000",
    )  # fmt: skip
    assert not process.evaluate(leg).inputs


def test_a_scratch_account_begins_from_what_a_decision_recorded(risk: RiskFixture) -> None:
    process = Process(risk)
    process.create(account_of())
    for number, (name, buy) in enumerate((("BTC/USDT", True), ("BTC/USDT:USDT", False)), 1):
        entry = ask(f"s{number}.1", name, buy=buy, entry=True, position="0", price="50000", now=risk.now)
        quantity = process.evaluate(entry).quantity
        trade = fill(f"e{number}", buy=buy, quantity=quantity, price="50000", fee="1")
        process.settle(risk_pb2.SettleOrderRequest(order_id=f"s{number}.1", fills=[trade], final=True))
    then = risk.account("a")
    seed = _inputs(process.evaluate(_buy(risk, 3, "ETH/USDT")))
    process.settle(risk_pb2.SettleOrderRequest(order_id="s3.1", final=True))
    leave = ask("s4.1", "BTC/USDT", buy=False, entry=False, position="0.02", price="60000", now=risk.now)
    process.evaluate(leave)
    trade = fill("e4", buy=False, quantity="0.02", price="60000")
    process.settle(risk_pb2.SettleOrderRequest(order_id="s4.1", fills=[trade], final=True))
    request = risk_pb2.CreateAccountRequest(request_id="x", copy_from_account_id="a", seed=seed)
    request.account.account_id = "replay-x"
    process.run(lambda c, d, now: create_account(c, d, request, "service:router", now))
    made = check_books(risk, "replay-x")
    assert made.equity == then.equity
    assert {p.instrument: (p.quantity, p.cost) for p in made.positions} == {
        p.instrument: (p.quantity, p.cost) for p in then.positions
    }
    assert made.account.scratch_of == "a"


def test_a_seed_is_of_the_account_that_is_copied(risk: RiskFixture) -> None:
    process = Process(risk)
    process.create(account_of())
    process.create(account_of("b"))
    seed = _inputs(process.evaluate(_buy(risk, 1)))
    request = risk_pb2.CreateAccountRequest(request_id="x", copy_from_account_id="b", seed=seed)
    request.account.account_id = "replay-x"
    with pytest.raises(ServiceError, match="expected 'b', was 'a'"):
        process.run(lambda c, d, now: create_account(c, d, request, "service:router", now))
