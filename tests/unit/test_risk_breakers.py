"""What stops an account, and what lets it go on: breakers, trading states; by units of work on SQLite."""

import sys
from pathlib import Path

from vantixs.api.common.v1 import common_pb2
from vantixs.api.risk.v1 import risk_pb2

sys.path.insert(0, str(Path(__file__).parent.parent / "property"))
sys.path.insert(0, str(Path(__file__).parent))
from ledger_office import Office, ask, fill, later
from risk_desk import ACTIVE, APPROVED, DENIED, HALTED, REDUCING, Desk, open_desk, update


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


def test_lifting_another_breaker_does_not_forget_what_was_approved(office: Office) -> None:
    desk = open_desk(office, max_daily_loss="10", duplicate_order_window_s=3600)
    desk.trade("100")
    desk.trade("90", buy=False, entry=False, position="10")
    desk.process.set_state("account:a", ACTIVE)
    assert "DUPLICATE_ORDER" in desk.failed()
