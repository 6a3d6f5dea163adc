"""What becomes of orders, fills and adjustments; by units of work on SQLite."""

from decimal import Decimal, localcontext
from typing import Any

import pytest
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.model.decimals import parse_decimal
from vantixs.runtime.errors import ServiceError
from vantixs_risk import store
from vantixs_risk.accounts import create_account
from vantixs_risk.domain.exact import total
from vantixs_risk.evaluation import check_request, preview_order

from tests.support.risk_fixture import Process, RiskFixture, account_of, ask, check_books, fill, later
from tests.support.risk_trader import APPROVED, CHANGED, DENIED, Trader, open_trader


def test_same_order_gets_the_same_answer_and_reserves_once(risk: RiskFixture) -> None:
    trader = open_trader(risk)
    first = trader.decide()
    later(risk, 5)
    assert Process(risk).evaluate(trader.last) == first
    assert len(risk.account("a").open_orders) == 1


def test_other_position_than_the_one_assumed_records_nothing(risk: RiskFixture) -> None:
    trader = open_trader(risk)
    decision = trader.decide(position="1")
    assert (decision.verdict, decision.position_quantity) == (CHANGED, "0")
    assert risk.rows(store.ORDERS) == []


def test_orders_decided_together_see_each_other(risk: RiskFixture) -> None:
    """What one leaves is there for the next, and an order that is asked for twice is decided once."""
    trader = open_trader(risk, max_gross_exposure="2500")
    requests = [
        ask(name, "BTC/USDT", buy=True, entry=True, position=position, price="100", now=risk.now, notional="1000")
        for name, position in (("o1", "0"), ("o2", "0"), ("o2", "0"), ("o3", "0"), ("o4", "7"))
    ]
    one, two, again, three, moved = trader.process.evaluate_together(requests)
    assert [d.verdict for d in (one, two, three, moved)] == [APPROVED, APPROVED, DENIED, CHANGED]
    assert again == two
    assert [c.reason for c in three.checks if not c.passed] == ["GROSS_EXPOSURE_ABOVE_MAXIMUM"]
    assert {row.order_id for row in risk.rows(store.ORDERS)} == {"o1", "o2", "o3"}
    assert {o.order_id for o in risk.account("a").open_orders} == {"o1", "o2"}
    # Another process, another time: the same answers.
    assert Process(risk).evaluate_together(requests[:4]) == [one, two, two, three]


def test_preview_decides_without_recording(risk: RiskFixture) -> None:
    trader = open_trader(risk)
    request = ask("p", "BTC/USDT", buy=True, entry=True, position="0", price="100", now=risk.now)
    checked, settings = check_request(request, risk.now), trader.process.context.settings
    content = risk.read(lambda c: preview_order(c, checked, settings))
    decision = order_pb2.RiskDecision.FromString(content)
    assert decision.verdict == APPROVED
    assert (risk.rows(store.ORDERS), len(risk.rows(store.ACCOUNTS))) == ([], 1)


def test_order_given_up_before_it_was_evaluated_reserves_nothing(risk: RiskFixture) -> None:
    trader = open_trader(risk)
    trader.settle("o1")
    assert trader.failed() == ["SIGNAL_EXPIRED"]
    assert not risk.account("a").open_orders
    with pytest.raises(ServiceError, match="does not exist"):
        trader.settle("unknown", fill("x", buy=True, quantity="1", price="1"))


def test_fill_is_booked_once_and_the_rest_released_at_the_end(risk: RiskFixture) -> None:
    trader = open_trader(risk)
    trader.decide()
    half = fill("x1", buy=True, quantity="4", price="100", fee="0.4")
    trader.settle("o1", half, final=False)
    order = risk.account("a").open_orders[0]
    assert (order.filled_quantity, order.hold) == ("4", "603.6")
    trader.settle("o1", half, final=False)
    assert trader.settle("o1", half).position.quantity == "4"
    shown = check_books(risk)
    assert not shown.open_orders
    assert (shown.positions[0].quantity, shown.fees, shown.free_funds) == ("4", "0.4", "9599.6")


def test_order_that_is_wholly_filled_has_ended(risk: RiskFixture) -> None:
    trader = open_trader(risk)
    trader.decide()
    trader.settle("o1", fill("x1", buy=True, quantity="10", price="100"), final=False)
    assert not risk.account("a").open_orders


def test_fill_beyond_the_order_or_after_its_end_is_booked_and_flagged(risk: RiskFixture) -> None:
    trader = open_trader(risk)
    trader.decide()
    more = trader.settle("o1", fill("x1", buy=True, quantity="11", price="100"))
    late = trader.settle("o1", fill("x2", buy=True, quantity="1", price="100"))
    assert [f.value for f in (*more.flags, *late.flags)] == ["FILL_EXCEEDS_ORDER", "FILL_EXCEEDS_ORDER"]
    trader.decide(position="12")
    trader.settle("o2")
    after = trader.settle("o2", fill("x3", buy=True, quantity="1", price="100"))
    assert [(f.name, f.value) for f in after.flags] == [("x3", "FILL_AFTER_END")]
    assert check_books(risk).positions[0].quantity == "13"
    flagged = [e for e in trader.journal() if e.HasField("fill_flagged")]
    assert [(e.signal_id, e.fill_flagged.reason) for e in flagged][-1] == ("o2", "FILL_AFTER_END")
    assert {r.execution_id: r.flag for r in risk.rows(store.FILLS)}["x3"] == "FILL_AFTER_END"


def test_fill_of_a_denied_order_is_booked_and_flagged(risk: RiskFixture) -> None:
    trader = open_trader(risk, max_order_notional="1")
    assert trader.failed() == ["ORDER_NOTIONAL_ABOVE_MAXIMUM"]
    response = trader.settle("o1", fill("x1", buy=True, quantity="1", price="100"))
    assert (response.flags[0].value, response.position.quantity) == ("FILL_NOT_APPROVED", "1")


def test_execution_that_comes_again_with_other_content_changes_nothing(risk: RiskFixture) -> None:
    trader = open_trader(risk)
    trader.decide()
    trader.settle("o1", fill("x1", buy=True, quantity="4", price="100"), final=False)
    again = trader.settle("o1", fill("x1", buy=True, quantity="5", price="100"), final=False)
    assert (again.flags[0].value, again.position.quantity) == ("FILL_CONTRADICTORY", "4")
    wrong_side = trader.settle("o1", fill("x2", buy=False, quantity="1", price="100"), final=False)
    assert (wrong_side.flags[0].value, wrong_side.position.quantity) == ("FILL_CONTRADICTORY", "3")
    assert risk.account("a").open_orders[0].filled_quantity == "4"
    check_books(risk)


def test_adjustments_are_visible_and_neither_profit_nor_loss(risk: RiskFixture) -> None:
    trader = open_trader(risk, max_daily_loss="100")
    request = risk_pb2.RecordAdjustmentRequest(request_id="r1", account_id="a", comment="fee we did not see")
    request.cash.asset, request.cash.amount = "USDT", "-5000"
    assert trader.process.adjust(request).balance.total == "5000"
    assert trader.process.adjust(request).balance.total == "5000"
    position = risk_pb2.RecordAdjustmentRequest(request_id="r2", account_id="a", comment="bought by hand")
    position.position.instrument, position.position.quantity = "BTC/USDT", "2"
    with pytest.raises(ServiceError, match="expected a price"):
        trader.process.adjust(position)
    position.position.price = "100"
    assert trader.process.adjust(position).position.average_price == "100"
    shown = check_books(risk)
    assert (shown.equity, shown.adjusted, shown.daily_profit, shown.peak_equity) == ("5200", "-4800", "0", "5200")
    less = risk_pb2.RecordAdjustmentRequest(request_id="r3", account_id="a", comment="sold by hand")
    less.position.instrument, less.position.quantity = "BTC/USDT", "-0.5"
    trader.process.adjust(less)
    shown = check_books(risk)
    assert (shown.realized_profit, shown.daily_profit, shown.positions[0].quantity) == ("0", "0", "1.5")
    assert trader.failed(position="1.5") == []
    told = [e.adjustment_recorded for e in trader.journal() if e.HasField("adjustment_recorded")]
    assert [(t.adjustment_id, t.comment) for t in told] == [
        ("r1", "fee we did not see"),
        ("r2", "bought by hand"),
        ("r3", "sold by hand"),
    ]
    other = risk_pb2.RecordAdjustmentRequest(request_id="r1", account_id="a", comment="another")
    other.cash.asset, other.cash.amount = "USDT", "1"
    with pytest.raises(ServiceError, match="REQUEST_ID_REUSED"):
        trader.process.adjust(other)


def test_repeating_does_not_make_an_order_new(risk: RiskFixture) -> None:
    trader = open_trader(risk, duplicate_order_window_s=3600)
    verdicts = [trader.decide().verdict for _ in range(120)]
    assert verdicts == [APPROVED] + [DENIED] * 119


def test_fee_in_what_was_bought_is_no_loss(risk: RiskFixture) -> None:
    trader = open_trader(risk, loss_cooldown_s=60)
    trader.trade("100")
    trader.decide("90", position="10", notional="90")
    trader.settle("o2", fill("x2", buy=True, quantity="1", price="90", fee="0.001", asset="BTC"))
    assert trader.failed("90", position="10.999") == []


def test_fill_that_names_another_order_is_booked_and_flagged(risk: RiskFixture) -> None:
    trader = open_trader(risk)
    trader.decide()
    other = fill("x1", buy=True, quantity="1", price="100")
    other.order_id = "another"
    response = trader.settle("o1", other, final=False)
    assert (response.flags[0].value, response.position.quantity) == ("FILL_CONTRADICTORY", "1")


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("instrument", lambda r: setattr(r.instrument, "kind", common_pb2.INSTRUMENT_KIND_LINEAR_PERPETUAL)),
        ("instrument", lambda r: setattr(r.instrument, "base_asset", "ETH")),
        ("instrument", lambda r: setattr(r.instrument, "quote_asset", "USD")),
        ("instrument.kind", lambda r: setattr(r.instrument, "kind", 0)),
        ("instrument.instrument", lambda r: setattr(r.instrument, "instrument", "ETH/USDT")),
        ("instrument.lot_size", lambda r: setattr(r.instrument, "lot_size", "0")),
        ("quote.instrument", lambda r: setattr(r.quote, "instrument", "ETH/USDT")),
        ("quote.bid", lambda r: setattr(r.quote, "bid", "NaN")),
        ("quote.ask", lambda r: setattr(r.quote, "ask", "1e30")),
        ("order.side", lambda r: setattr(r.order, "side", 0)),
        ("order.effect", lambda r: setattr(r.order, "effect", 0)),
        ("order.order_id", lambda r: setattr(r.order, "order_id", "")),
        ("order.order_id", lambda r: setattr(r.order, "order_id", "a\x00b")),
        ("order.quantity", lambda r: setattr(r.order, "quantity", "-1")),
        ("signal_quantity", lambda r: setattr(r, "signal_quantity", "Infinity")),
        ("signal_quantity", lambda r: setattr(r, "signal_quantity", "0.0000000000000000001")),
        ("signal_quantity", lambda r: setattr(r, "signal_quantity", "1\n")),
        ("signal_price", lambda r: setattr(r, "signal_price", "1" * 21)),
        ("stop_loss.price", lambda r: setattr(r.stop_loss, "price", "low")),
        ("sizing.value", lambda r: r.sizing.MergeFrom(common_pb2.Sizing(method=1, value="-5"))),
        ("fee_bps", lambda r: setattr(r, "fee_bps", "-1")),
        ("assumed_position_quantity", lambda r: setattr(r, "assumed_position_quantity", "")),
        ("marks", lambda r: r.marks.extend([r.quote] * 101)),
    ],
)
def test_request_that_does_not_fit_names_the_field(risk: RiskFixture, field: str, change: Any) -> None:
    request = ask("o", "BTC/USDT", buy=True, entry=True, position="0", price="100", now=risk.now)
    check_request(request, risk.now)
    change(request)
    with pytest.raises(ServiceError) as raised:
        check_request(request, risk.now)
    assert raised.value.code.name == "INVALID_ARGUMENT"
    assert raised.value.violations[0].field == field


def test_numbers_of_38_digits_are_booked_exactly_and_shown_with_18_decimals(risk: RiskFixture) -> None:
    trader = Trader(risk)
    account = account_of("a")
    account.balance = "99999999999999999999.999999999999999999"
    trader.process.create(account)
    trader.decide("123456789.123456789012345678", notional="99999999.123456789012345678", lot="0.000000000000000001")
    part = fill("x1", buy=True, quantity="0.123456789012345678", price="123456789.123456789012345678")
    trader.settle("o1", part)
    shown = risk.account("a")
    cost = next(r.cost for r in risk.rows(store.POSITIONS))
    with localcontext() as wide:
        wide.prec = 100
        assert cost == Decimal("0.123456789012345678") * Decimal("123456789.123456789012345678")
        assert total(r.amount for r in risk.rows(store.BALANCES) if r.asset == "USDT") == 0
    for text in (shown.equity, shown.daily_profit, shown.positions[0].cost, *(b.total for b in shown.balances)):
        parse_decimal(text)


def test_scratch_copy_has_the_books_and_leaves_the_account_alone(risk: RiskFixture) -> None:
    trader = open_trader(risk)
    trader.trade("100")
    before = risk.account("a")
    request = risk_pb2.CreateAccountRequest(request_id="s", copy_from_account_id="a")
    request.account.account_id = "scratch"
    copy = trader.process.run(lambda c, d, now: create_account(c, d, request, "service:router", now))
    assert copy.scratch_of == "a"
    assert risk.account("scratch").equity == before.equity
    closing = ask(
        "s1", "BTC/USDT", buy=False, entry=False, position="10", price="90", now=risk.now, account_id="scratch"
    )
    assert trader.process.evaluate(closing).verdict == APPROVED
    trader.settle("s1", fill("s1x", buy=False, quantity="10", price="90"))
    assert risk.account("scratch").equity == "9900"
    assert risk.account("a") == before
