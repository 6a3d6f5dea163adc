"""What an account goes through: days, losses, breakers, late fills, clocks that are set; by units of work on SQLite."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import pytest
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.model.decimals import parse_decimal
from vantixs.runtime.errors import ServiceError
from vantixs_risk import store
from vantixs_risk.accounts import create_account
from vantixs_risk.clock import SteadyClock
from vantixs_risk.domain.exact import total
from vantixs_risk.evaluation import check_request, preview_order

sys.path.insert(0, str(Path(__file__).parent.parent / "property"))
from ledger_office import Office, Process, account_of, ask, check_books, fill, later

APPROVED, DENIED = order_pb2.RISK_VERDICT_APPROVED, order_pb2.RISK_VERDICT_DENIED
CHANGED = order_pb2.RISK_VERDICT_POSITION_CHANGED
REDUCING, HALTED, ACTIVE = (
    common_pb2.TradingState.Value(f"TRADING_STATE_{n}") for n in ("REDUCING", "HALTED", "ACTIVE")
)


class Desk:
    """One process, and a short way to trade through it."""

    def __init__(self, office: Office) -> None:
        self.office, self.process = office, Process(office)
        self.number = 0

    def decide(self, price: str = "100", **changes: Any) -> order_pb2.RiskDecision:
        self.number += 1
        values = {"buy": True, "entry": True, "position": "0", "instrument": "BTC/USDT", "order_id": f"o{self.number}"}
        values |= changes
        order_id, instrument = values.pop("order_id"), values.pop("instrument")
        request = ask(order_id, instrument, price=price, now=self.office.now, **values)
        self.last = request
        return self.process.evaluate(request)

    def failed(self, price: str = "100", **changes: Any) -> list[str]:
        return [check.reason for check in self.decide(price, **changes).checks if not check.passed]

    def settle(self, order_id: str, *fills: Any, final: bool = True, state: Any = 0) -> risk_pb2.SettleOrderResponse:
        request = risk_pb2.SettleOrderRequest(order_id=order_id, fills=fills, final=final, order_state=state)
        return self.process.settle(request)

    def trade(self, price: str, *, buy: bool = True, entry: bool = True, position: str = "0", **changes: Any) -> str:
        """Decides, fills at the price, and returns the position after."""
        decision = self.decide(price, buy=buy, entry=entry, position=position, **changes)
        assert decision.verdict == APPROVED, [c for c in decision.checks if not c.passed]
        one = fill(f"x{self.number}", buy=buy, quantity=decision.quantity, price=price)
        return self.settle(decision.order_id, one).position.quantity

    def states(self) -> dict[str, tuple[str, str]]:
        return {r.scope: (r.state, r.actor) for r in self.office.rows(store.TRADING_STATES)}

    def journal(self) -> list[journal_pb2.JournalEntry]:
        rows = self.office.rows(store.OUTBOX)
        return [entry for row in rows for entry in journal_pb2.JournalBatch.FromString(row.payload).entries]


@pytest.fixture
def office() -> Iterator[Office]:
    made = Office()
    yield made
    made.close()


def open_desk(office: Office, **limits: Any) -> Desk:
    desk = Desk(office)
    desk.process.create(account_of("a", **limits))
    return desk


def update(desk: Desk, **changes: Any) -> None:
    """Creates account "a" with fields of Account changed."""
    account = account_of("a", **changes.pop("limits", {}))
    account.MergeFrom(risk_pb2.Account(**changes))
    desk.process.create(account)


def test_same_order_gets_the_same_answer_and_reserves_once(office: Office) -> None:
    desk = open_desk(office)
    first = desk.decide()
    later(office, 5)
    assert Process(office).evaluate(desk.last) == first
    assert len(office.account("a").open_orders) == 1


def test_other_position_than_the_one_assumed_records_nothing(office: Office) -> None:
    desk = open_desk(office)
    decision = desk.decide(position="1")
    assert (decision.verdict, decision.position_quantity) == (CHANGED, "0")
    assert office.rows(store.ORDERS) == []


def test_orders_decided_together_see_each_other(office: Office) -> None:
    """What one leaves is there for the next, and an order that is asked for twice is decided once."""
    desk = open_desk(office, max_gross_exposure="2500")
    requests = [
        ask(name, "BTC/USDT", buy=True, entry=True, position=position, price="100", now=office.now, notional="1000")
        for name, position in (("o1", "0"), ("o2", "0"), ("o2", "0"), ("o3", "0"), ("o4", "7"))
    ]
    one, two, again, three, moved = desk.process.evaluate_together(requests)
    assert [d.verdict for d in (one, two, three, moved)] == [APPROVED, APPROVED, DENIED, CHANGED]
    assert again == two
    assert [c.reason for c in three.checks if not c.passed] == ["GROSS_EXPOSURE_ABOVE_MAXIMUM"]
    assert {row.order_id for row in office.rows(store.ORDERS)} == {"o1", "o2", "o3"}
    assert {o.order_id for o in office.account("a").open_orders} == {"o1", "o2"}
    # Another process, another time: the same answers.
    assert Process(office).evaluate_together(requests[:4]) == [one, two, two, three]


def test_breaker_that_goes_off_stops_the_next_order_of_the_same_batch(office: Office) -> None:
    desk = Desk(office)
    update(desk, breakers=risk_pb2.Breakers(max_repeated_orders=2, repeated_orders_window_s=60))
    requests = [
        ask(f"o{n}", "BTC/USDT", buy=True, entry=True, position="0", price="100", now=office.now) for n in range(4)
    ]
    decisions = desk.process.evaluate_together(requests)
    reasons = [[c.reason for c in d.checks if not c.passed] for d in decisions]
    assert reasons == [[], [], ["TRADING_REDUCING"], ["TRADING_REDUCING"]]
    assert desk.states()["account:a"][0] == "REDUCING"


def test_preview_decides_without_recording(office: Office) -> None:
    desk = open_desk(office)
    request = ask("p", "BTC/USDT", buy=True, entry=True, position="0", price="100", now=office.now)
    ticket, settings = check_request(request, office.now), desk.process.desk.settings
    content = office.read(lambda c: preview_order(c, ticket, settings))
    decision = order_pb2.RiskDecision.FromString(content)
    assert decision.verdict == APPROVED
    assert (office.rows(store.ORDERS), len(office.rows(store.ACCOUNTS))) == ([], 1)


def test_order_given_up_before_it_was_evaluated_reserves_nothing(office: Office) -> None:
    desk = open_desk(office)
    desk.settle("o1")
    assert desk.failed() == ["SIGNAL_EXPIRED"]
    assert not office.account("a").open_orders
    with pytest.raises(ServiceError, match="does not exist"):
        desk.settle("unknown", fill("x", buy=True, quantity="1", price="1"))


def test_fill_is_booked_once_and_the_rest_released_at_the_end(office: Office) -> None:
    desk = open_desk(office)
    desk.decide()
    half = fill("x1", buy=True, quantity="4", price="100", fee="0.4")
    desk.settle("o1", half, final=False)
    order = office.account("a").open_orders[0]
    assert (order.filled_quantity, order.hold) == ("4", "603.6")
    desk.settle("o1", half, final=False)
    assert desk.settle("o1", half).position.quantity == "4"
    shown = check_books(office)
    assert not shown.open_orders
    assert (shown.positions[0].quantity, shown.fees, shown.free_funds) == ("4", "0.4", "9599.6")


def test_order_that_is_wholly_filled_has_ended(office: Office) -> None:
    desk = open_desk(office)
    desk.decide()
    desk.settle("o1", fill("x1", buy=True, quantity="10", price="100"), final=False)
    assert not office.account("a").open_orders


def test_fill_beyond_the_order_or_after_its_end_is_booked_and_flagged(office: Office) -> None:
    desk = open_desk(office)
    desk.decide()
    more = desk.settle("o1", fill("x1", buy=True, quantity="11", price="100"))
    late = desk.settle("o1", fill("x2", buy=True, quantity="1", price="100"))
    assert [f.value for f in (*more.flags, *late.flags)] == ["FILL_EXCEEDS_ORDER", "FILL_EXCEEDS_ORDER"]
    desk.decide(position="12")
    desk.settle("o2")
    after = desk.settle("o2", fill("x3", buy=True, quantity="1", price="100"))
    assert [(f.name, f.value) for f in after.flags] == [("x3", "FILL_AFTER_END")]
    assert check_books(office).positions[0].quantity == "13"
    flagged = [e for e in desk.journal() if e.HasField("fill_flagged")]
    assert [(e.signal_id, e.fill_flagged.reason) for e in flagged][-1] == ("o2", "FILL_AFTER_END")
    assert {r.execution_id: r.flag for r in office.rows(store.FILLS)}["x3"] == "FILL_AFTER_END"


def test_fill_of_a_denied_order_is_booked_and_flagged(office: Office) -> None:
    desk = open_desk(office, max_order_notional="1")
    assert desk.failed() == ["ORDER_NOTIONAL_ABOVE_MAXIMUM"]
    response = desk.settle("o1", fill("x1", buy=True, quantity="1", price="100"))
    assert (response.flags[0].value, response.position.quantity) == ("FILL_NOT_APPROVED", "1")


def test_execution_that_comes_again_with_other_content_changes_nothing(office: Office) -> None:
    desk = open_desk(office)
    desk.decide()
    desk.settle("o1", fill("x1", buy=True, quantity="4", price="100"), final=False)
    again = desk.settle("o1", fill("x1", buy=True, quantity="5", price="100"), final=False)
    assert (again.flags[0].value, again.position.quantity) == ("FILL_CONTRADICTORY", "4")
    wrong_side = desk.settle("o1", fill("x2", buy=False, quantity="1", price="100"), final=False)
    assert (wrong_side.flags[0].value, wrong_side.position.quantity) == ("FILL_CONTRADICTORY", "3")
    assert office.account("a").open_orders[0].filled_quantity == "4"
    check_books(office)


def test_day_s_loss_latches_reducing_until_an_operator_lifts_it(office: Office) -> None:
    desk = open_desk(office, max_daily_loss="100")
    desk.trade("100")
    assert desk.trade("89", buy=False, entry=False, position="10") == "0"
    assert desk.states() == {"account:a": ("REDUCING", "breaker:daily_loss")}
    assert desk.failed() == ["TRADING_REDUCING", "DAILY_LOSS_LIMIT_REACHED"]
    later(office, 86_400)
    assert desk.failed() == ["TRADING_REDUCING"], "the loss was yesterday's, the latch stays"
    desk.process.set_state("account:a", ACTIVE)
    assert desk.failed() == []
    changes = [e for e in desk.journal() if e.HasField("trading_state_changed")]
    assert [(e.actor, e.trading_state_changed.after) for e in changes] == [
        ("breaker:daily_loss", REDUCING),
        ("operator:test", ACTIVE),
    ]


def test_loss_over_night_is_one_of_the_new_day(office: Office) -> None:
    desk = open_desk(office, max_daily_loss="100")
    desk.trade("100")
    later(office, 86_400)
    assert desk.failed("89", position="10") == ["DAILY_LOSS_LIMIT_REACHED"]
    assert office.account("a").daily_profit == "-110"


def test_breaker_that_is_off_leaves_the_check(office: Office) -> None:
    desk = Desk(office)
    update(desk, limits={"max_daily_loss": "100"}, breakers=risk_pb2.Breakers(daily_loss_state=ACTIVE))
    desk.trade("100")
    desk.trade("89", buy=False, entry=False, position="10")
    assert desk.states() == {}
    assert desk.failed() == ["DAILY_LOSS_LIMIT_REACHED"]
    later(office, 86_400)
    assert desk.failed() == []


def test_lifting_a_drawdown_begins_a_new_peak(office: Office) -> None:
    desk = open_desk(office, max_drawdown_percent="1")
    desk.trade("100")
    desk.trade("89", buy=False, entry=False, position="10")
    assert desk.states() == {"account:a": ("REDUCING", "breaker:drawdown")}
    assert desk.failed() == ["TRADING_REDUCING", "DRAWDOWN_LIMIT_REACHED"]
    desk.process.set_state("global", ACTIVE)
    assert desk.failed() == ["TRADING_REDUCING", "DRAWDOWN_LIMIT_REACHED"], "another scope lifts nothing"
    desk.process.set_state("account:a", ACTIVE)
    assert desk.failed() == []
    assert office.account("a").peak_equity == "9890"


def test_lifting_a_drawdown_below_zero_does_not_trip_again_at_once(office: Office) -> None:
    desk, perpetual = Desk(office), "BTC/USDT:USDT"
    update(desk, limits={"max_drawdown_percent": "10", "max_leverage": "5"}, balance="1000")
    desk.trade("100", instrument=perpetual, notional="3000")
    desk.decide("60", instrument=perpetual, position="30", notional="10")
    assert office.account("a").equity == "-200"
    assert desk.states() == {"account:a": ("REDUCING", "breaker:drawdown")}
    desk.process.set_state("account:a", ACTIVE)
    failed = desk.failed("60", instrument=perpetual, position="30", notional="10")
    assert "TRADING_REDUCING" not in failed
    assert failed, "who has less than nothing opens nothing"
    shown = office.account("a")
    assert (shown.peak_equity, shown.drawdown_percent, len(shown.restricted)) == ("0", "0", 0)


def test_breaker_does_not_loosen_a_halt(office: Office) -> None:
    desk = open_desk(office, max_daily_loss="100")
    desk.trade("100")
    exit_ = desk.decide("89", buy=False, entry=False, position="10")
    desk.process.set_state("account:a", HALTED)
    desk.settle(exit_.order_id, fill("x9", buy=False, quantity="10", price="89"))
    assert desk.states() == {"account:a": ("HALTED", "operator:test")}


def test_orders_that_fail_in_a_row_go_off_and_a_fill_ends_the_row(office: Office) -> None:
    desk = Desk(office)
    update(desk, breakers=risk_pb2.Breakers(max_failures_in_a_row=2, failures_state=HALTED))
    rejected = common_pb2.ORDER_STATE_REJECTED
    desk.settle(desk.decide().order_id, state=rejected)
    desk.settle(desk.decide().order_id, state=common_pb2.ORDER_STATE_CANCELED)
    desk.trade("100", notional="100")
    desk.settle(desk.decide(position="1").order_id, state=rejected)
    assert desk.states() == {}
    last = desk.decide(position="1").order_id
    desk.settle(last, state=rejected)
    assert desk.states() == {"account:a": ("HALTED", "breaker:failures")}
    desk.settle(last, state=rejected)
    desk.process.set_state("account:a", ACTIVE)
    desk.settle(desk.decide(position="1").order_id, state=rejected)
    assert desk.states()["account:a"] == ("ACTIVE", "operator:test"), "the row began anew"


def test_same_entry_again_and_again_is_refused_then_stops_the_account(office: Office) -> None:
    desk = Desk(office)
    breakers = risk_pb2.Breakers(max_repeated_orders=3, repeated_orders_window_s=60)
    update(desk, limits={"duplicate_order_window_s": 10}, breakers=breakers)
    assert desk.failed() == []
    later(office, 9)
    assert desk.failed() == ["DUPLICATE_ORDER"]
    assert desk.failed(notional="100") == []
    later(office, 2)
    assert desk.states() == {}
    assert desk.failed() == []
    assert desk.states() == {"account:a": ("REDUCING", "breaker:repeated_orders")}


def test_reducing_lets_exits_pass_and_halted_nothing(office: Office) -> None:
    desk = open_desk(office)
    desk.trade("100")
    for scope in ("global", "account:a", "instrument:BTC/USDT"):
        desk.process.set_state(scope, REDUCING)
        assert desk.failed(position="10") == ["TRADING_REDUCING"]
        exit_ = desk.decide(buy=False, entry=False, position="10", quantity="1")
        assert (exit_.verdict, exit_.reduce_only) == (APPROVED, True)
        desk.process.set_state(scope, HALTED)
        assert desk.failed(buy=False, entry=False, position="10", quantity="1") == ["TRADING_HALTED"]
        desk.process.set_state(scope, ACTIVE)
    assert desk.failed(position="10") == []


def test_state_of_webhook_and_strategy_holds_for_their_orders_only(office: Office) -> None:
    desk = open_desk(office)
    desk.process.set_state("webhook:w", HALTED)
    desk.process.set_state("strategy:s", HALTED)
    plain = ask("p", "BTC/USDT", buy=True, entry=True, position="0", price="100", now=office.now)
    for webhook, strategy, verdict in (("w", "", DENIED), ("", "s", DENIED), ("x", "y", APPROVED)):
        plain.order.order_id, plain.webhook_id, plain.strategy_id = f"p{webhook}{strategy}", webhook, strategy
        assert desk.process.evaluate(plain).verdict == verdict
    stopped = desk.process.set_state("webhook:x", HALTED)
    assert [(o.account_id, o.webhook_id) for o in stopped.orders] == [("a", "x")]
    assert desk.process.set_state("webhook:other", HALTED).open_orders == 0


def test_cool_down_counts_from_the_loss(office: Office) -> None:
    desk = open_desk(office, loss_cooldown_s=60)
    desk.trade("100")
    desk.trade("99", buy=False, entry=False, position="10")
    later(office, 59)
    assert desk.failed() == ["LOSS_COOLDOWN_ACTIVE"]
    later(office, 1)
    assert desk.failed() == []


def test_old_or_missing_price_keeps_nobody_in(office: Office) -> None:
    desk = open_desk(office)
    desk.trade("100")
    old = ask("o", "BTC/USDT", buy=False, entry=False, position="10", price="50", now=office.now - timedelta(hours=5))
    assert desk.process.evaluate(old).verdict == APPROVED
    assert office.account("a").positions[0].mark_price == "100", "an old price values nothing"


def test_marks_that_come_along_value_other_positions(office: Office) -> None:
    desk = open_desk(office, max_gross_exposure="5000")
    desk.trade("100")
    later(office, 301)
    assert desk.failed(instrument="ETH/USDT", notional="10") == ["MARK_STALE"]
    request = ask("m", "ETH/USDT", buy=True, entry=True, position="0", price="10", now=office.now, notional="10")
    request.marks.add(instrument="BTC/USDT", bid="399", ask="401").quote_time.FromDatetime(office.now)
    assert desk.process.evaluate(request).verdict == APPROVED
    assert office.account("a").gross_exposure == "3990"
    old = request.marks.add(instrument="BTC/USDT", bid="1", ask="1")
    old.quote_time.FromDatetime(office.now - timedelta(seconds=60))
    request.order.order_id = "m2"
    desk.process.evaluate(request)
    assert office.account("a").gross_exposure == "3990", "an older price does not replace a newer one"


@pytest.mark.parametrize("hours", [-1, 1])
def test_clock_that_is_set_opens_no_limit_and_crashes_nothing(office: Office, hours: int) -> None:
    """Through `SteadyClock` a running process does not see it. This is one that starts on the wrong time: set back, the
    account waits at the latest time it has seen; set forward, a day's loss and a drawdown stay latched."""
    limits = {
        "max_daily_loss": "100",
        "loss_cooldown_s": 7200,
        "max_orders_per_minute": 3,
        "duplicate_order_window_s": 7200,
    }
    desk = open_desk(office, **limits)
    desk.trade("100")
    desk.trade("89", buy=False, entry=False, position="10")
    before = desk.failed()
    assert {"TRADING_REDUCING", "DAILY_LOSS_LIMIT_REACHED", "LOSS_COOLDOWN_ACTIVE", "DUPLICATE_ORDER"} == set(before)
    later(office, hours * 3600)
    desk.process.restart()
    after = desk.failed()
    assert set(before) <= set(after)
    assert (hours < 0) == ("PRICE_STALE" in after), "set back, prices cannot be dated"
    if hours < 0:
        desk.process.set_state("account:a", ACTIVE)
        assert "PRICE_STALE" not in desk.failed(), "an operator took the time for right"
    check_books(office)


@pytest.mark.parametrize("hours", [-1, 1])
def test_clock_that_is_set_while_risk_runs_is_not_followed(office: Office, hours: int) -> None:
    shown, passed = office.now, 0.0
    clock = SteadyClock(lambda: shown, lambda: passed)
    office.now = clock.now()
    desk = open_desk(office, loss_cooldown_s=60, max_orders_per_minute=3, duplicate_order_window_s=60)
    desk.trade("100")
    desk.trade("99", buy=False, entry=False, position="10")
    shown, passed = shown + timedelta(hours=hours, seconds=59), 59.0
    office.now = clock.now()
    assert desk.failed() == ["LOSS_COOLDOWN_ACTIVE", "DUPLICATE_ORDER"]
    shown, passed = shown + timedelta(seconds=1), 60.0
    office.now = clock.now()
    assert desk.failed() == []


def test_rate_limit_stays_shut_when_the_clock_is_set_back(office: Office) -> None:
    desk = open_desk(office, max_orders_per_minute=2)
    assert (desk.failed(notional="10"), desk.failed(notional="20")) == ([], [])
    later(office, -3600)
    desk.process.restart()
    assert "ORDER_RATE_EXCEEDED" in desk.failed(notional="30")


def test_trading_day_that_an_account_sets_begins_then(office: Office) -> None:
    desk = Desk(office)
    update(desk, limits={"max_daily_loss": "100"}, day_start="13:00", day_time_zone="UTC", breakers=risk_pb2.Breakers(daily_loss_state=ACTIVE))  # fmt: skip
    desk.trade("100")
    desk.trade("89", buy=False, entry=False, position="10")
    later(office, 3599)
    assert desk.failed() == ["DAILY_LOSS_LIMIT_REACHED"]
    later(office, 1)
    assert desk.failed() == []


def test_trading_window_is_for_entries(office: Office) -> None:
    desk = Desk(office)
    window = risk_pb2.TradingWindow(days=[risk_pb2.WEEKDAY_TUESDAY], start="12:00", end="12:30", time_zone="UTC")
    update(desk, trading_windows=[window])
    desk.trade("100")
    later(office, 1800)
    assert desk.failed(position="10") == ["OUTSIDE_TRADING_WINDOW"]
    assert desk.failed(position="10", buy=False, entry=False) == []


def test_adjustments_are_visible_and_neither_profit_nor_loss(office: Office) -> None:
    desk = open_desk(office, max_daily_loss="100")
    request = risk_pb2.RecordAdjustmentRequest(request_id="r1", account_id="a", comment="fee we did not see")
    request.cash.asset, request.cash.amount = "USDT", "-5000"
    assert desk.process.adjust(request).balance.total == "5000"
    assert desk.process.adjust(request).balance.total == "5000"
    position = risk_pb2.RecordAdjustmentRequest(request_id="r2", account_id="a", comment="bought by hand")
    position.position.instrument, position.position.quantity = "BTC/USDT", "2"
    with pytest.raises(ServiceError, match="expected a price"):
        desk.process.adjust(position)
    position.position.price = "100"
    assert desk.process.adjust(position).position.average_price == "100"
    shown = check_books(office)
    assert (shown.equity, shown.adjusted, shown.daily_profit, shown.peak_equity) == ("5200", "-4800", "0", "5200")
    less = risk_pb2.RecordAdjustmentRequest(request_id="r3", account_id="a", comment="sold by hand")
    less.position.instrument, less.position.quantity = "BTC/USDT", "-0.5"
    desk.process.adjust(less)
    shown = check_books(office)
    assert (shown.realized_profit, shown.daily_profit, shown.positions[0].quantity) == ("0", "0", "1.5")
    assert desk.failed(position="1.5") == []
    told = [e.adjustment_recorded for e in desk.journal() if e.HasField("adjustment_recorded")]
    assert [(t.adjustment_id, t.comment) for t in told] == [
        ("r1", "fee we did not see"),
        ("r2", "bought by hand"),
        ("r3", "sold by hand"),
    ]
    other = risk_pb2.RecordAdjustmentRequest(request_id="r1", account_id="a", comment="another")
    other.cash.asset, other.cash.amount = "USDT", "1"
    with pytest.raises(ServiceError, match="REQUEST_ID_REUSED"):
        desk.process.adjust(other)


def test_time_that_was_ahead_is_taken_back_by_an_operator(office: Office) -> None:
    desk = open_desk(office, max_gross_exposure="2500", loss_cooldown_s=60, duplicate_order_window_s=60)
    office.now += timedelta(days=365)
    desk.trade("100")
    desk.trade("90", buy=False, entry=False, position="10", quantity="1")
    office.now -= timedelta(days=365)
    desk.process.set_state("account:a", ACTIVE)
    assert {"MARK_STALE", "LOSS_COOLDOWN_ACTIVE"} <= set(desk.failed(instrument="ETH/USDT")), "the price was never so"
    later(office, 60)
    request = ask("m", "ETH/USDT", buy=True, entry=True, position="0", price="100", now=office.now)
    request.marks.add(instrument="BTC/USDT", bid="200", ask="200").quote_time.FromDatetime(office.now)
    failed = [c.reason for c in desk.process.evaluate(request).checks if not c.passed]
    assert failed == ["GROSS_EXPOSURE_ABOVE_MAXIMUM"]


def test_lifting_another_breaker_does_not_forget_what_was_approved(office: Office) -> None:
    desk = open_desk(office, max_daily_loss="10", duplicate_order_window_s=3600)
    desk.trade("100")
    desk.trade("90", buy=False, entry=False, position="10")
    desk.process.set_state("account:a", ACTIVE)
    assert "DUPLICATE_ORDER" in desk.failed()


def test_repeating_does_not_make_an_order_new(office: Office) -> None:
    desk = open_desk(office, duplicate_order_window_s=3600)
    verdicts = [desk.decide().verdict for _ in range(120)]
    assert verdicts == [APPROVED] + [DENIED] * 119


def test_fee_in_what_was_bought_is_no_loss(office: Office) -> None:
    desk = open_desk(office, loss_cooldown_s=60)
    desk.trade("100")
    desk.decide("90", position="10", notional="90")
    desk.settle("o2", fill("x2", buy=True, quantity="1", price="90", fee="0.001", asset="BTC"))
    assert desk.failed("90", position="10.999") == []


def test_fill_that_names_another_order_is_booked_and_flagged(office: Office) -> None:
    desk = open_desk(office)
    desk.decide()
    other = fill("x1", buy=True, quantity="1", price="100")
    other.order_id = "another"
    response = desk.settle("o1", other, final=False)
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
def test_request_that_does_not_fit_names_the_field(office: Office, field: str, change: Any) -> None:
    request = ask("o", "BTC/USDT", buy=True, entry=True, position="0", price="100", now=office.now)
    check_request(request, office.now)
    change(request)
    with pytest.raises(ServiceError) as raised:
        check_request(request, office.now)
    assert raised.value.code.name == "INVALID_ARGUMENT"
    assert raised.value.violations[0].field == field


def test_numbers_of_38_digits_are_booked_exactly_and_shown_with_18_decimals(office: Office) -> None:
    desk = Desk(office)
    account = account_of("a")
    account.balance = "99999999999999999999.999999999999999999"
    desk.process.create(account)
    desk.decide("123456789.123456789012345678", notional="99999999.123456789012345678", lot="0.000000000000000001")
    part = fill("x1", buy=True, quantity="0.123456789012345678", price="123456789.123456789012345678")
    desk.settle("o1", part)
    shown = office.account("a")
    cost = next(r.cost for r in office.rows(store.POSITIONS))
    with localcontext() as wide:
        wide.prec = 100
        assert cost == Decimal("0.123456789012345678") * Decimal("123456789.123456789012345678")
        assert total(r.amount for r in office.rows(store.BALANCES) if r.asset == "USDT") == 0
    for text in (shown.equity, shown.daily_profit, shown.positions[0].cost, *(b.total for b in shown.balances)):
        parse_decimal(text)


def test_samples_of_equity_are_bounded(office: Office) -> None:
    desk = open_desk(office)
    for number in range(3000):
        office.now = datetime(2026, 11, 24, 12, tzinfo=UTC) + timedelta(minutes=number)
        desk.decide(lot="1000")
    rows = office.rows(store.SAMPLES)
    counts = {resolution: sum(r.resolution_s == resolution for r in rows) for resolution in store.RESOLUTIONS}
    assert counts == {60: 1441, 3600: 50, 86_400: 3}
    desk.trade("100")
    latest = max((r for r in office.rows(store.SAMPLES) if r.resolution_s == 60), key=lambda r: r.bucket)
    assert latest.equity == Decimal(10_000)
    assert len(office.rows(store.SAMPLES)) == len(rows)


def test_scratch_copy_has_the_books_and_leaves_the_account_alone(office: Office) -> None:
    desk = open_desk(office)
    desk.trade("100")
    before = office.account("a")
    request = risk_pb2.CreateAccountRequest(request_id="s", copy_from_account_id="a")
    request.account.account_id = "scratch"
    copy = desk.process.run(lambda c, d, now: create_account(c, d, request, "service:router", now))
    assert copy.scratch_of == "a"
    assert office.account("scratch").equity == before.equity
    closing = ask(
        "s1", "BTC/USDT", buy=False, entry=False, position="10", price="90", now=office.now, account_id="scratch"
    )
    assert desk.process.evaluate(closing).verdict == APPROVED
    desk.settle("s1", fill("s1x", buy=False, quantity="10", price="90"))
    assert office.account("scratch").equity == "9900"
    assert office.account("a") == before
