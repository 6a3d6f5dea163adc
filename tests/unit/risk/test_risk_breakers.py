"""What stops an account, and what lets it go on: breakers, trading states; by units of work on SQLite."""

from vantixs.api.common.v1 import common_pb2
from vantixs.api.risk.v1 import risk_pb2

from tests.support.risk_fixture import RiskFixture, ask, fill, later
from tests.support.risk_trader import ACTIVE, APPROVED, DENIED, HALTED, REDUCING, Trader, open_trader, update


def test_breaker_that_goes_off_stops_the_next_order_of_the_same_batch(risk: RiskFixture) -> None:
    trader = Trader(risk)
    update(trader, breakers=risk_pb2.Breakers(max_repeated_orders=2, repeated_orders_window_s=60))
    requests = [
        ask(f"o{n}", "BTC/USDT", buy=True, entry=True, position="0", price="100", now=risk.now) for n in range(4)
    ]
    decisions = trader.process.evaluate_together(requests)
    reasons = [[c.reason for c in d.checks if not c.passed] for d in decisions]
    assert reasons == [[], [], ["TRADING_REDUCING"], ["TRADING_REDUCING"]]
    assert trader.states()["account:a"][0] == "REDUCING"


def test_day_s_loss_latches_reducing_until_an_operator_lifts_it(risk: RiskFixture) -> None:
    trader = open_trader(risk, max_daily_loss="100")
    trader.trade("100")
    assert trader.trade("89", buy=False, entry=False, position="10") == "0"
    assert trader.states() == {"account:a": ("REDUCING", "breaker:daily_loss")}
    assert trader.failed() == ["TRADING_REDUCING", "DAILY_LOSS_LIMIT_REACHED"]
    later(risk, 86_400)
    assert trader.failed() == ["TRADING_REDUCING"], "the loss was yesterday's, the latch stays"
    trader.process.set_state("account:a", ACTIVE)
    assert trader.failed() == []
    changes = [e for e in trader.journal() if e.HasField("trading_state_changed")]
    assert [(e.actor, e.trading_state_changed.after) for e in changes] == [
        ("breaker:daily_loss", REDUCING),
        ("operator:test", ACTIVE),
    ]


def test_loss_over_night_is_one_of_the_new_day(risk: RiskFixture) -> None:
    trader = open_trader(risk, max_daily_loss="100")
    trader.trade("100")
    later(risk, 86_400)
    assert trader.failed("89", position="10") == ["DAILY_LOSS_LIMIT_REACHED"]
    assert risk.account("a").daily_profit == "-110"


def test_breaker_that_is_off_leaves_the_check(risk: RiskFixture) -> None:
    trader = Trader(risk)
    update(trader, limits={"max_daily_loss": "100"}, breakers=risk_pb2.Breakers(daily_loss_state=ACTIVE))
    trader.trade("100")
    trader.trade("89", buy=False, entry=False, position="10")
    assert trader.states() == {}
    assert trader.failed() == ["DAILY_LOSS_LIMIT_REACHED"]
    later(risk, 86_400)
    assert trader.failed() == []


def test_lifting_a_drawdown_begins_a_new_peak(risk: RiskFixture) -> None:
    trader = open_trader(risk, max_drawdown_percent="1")
    trader.trade("100")
    trader.trade("89", buy=False, entry=False, position="10")
    assert trader.states() == {"account:a": ("REDUCING", "breaker:drawdown")}
    assert trader.failed() == ["TRADING_REDUCING", "DRAWDOWN_LIMIT_REACHED"]
    trader.process.set_state("global", ACTIVE)
    assert trader.failed() == ["TRADING_REDUCING", "DRAWDOWN_LIMIT_REACHED"], "another scope lifts nothing"
    trader.process.set_state("account:a", ACTIVE)
    assert trader.failed() == []
    assert risk.account("a").peak_equity == "9890"


def test_lifting_a_drawdown_below_zero_does_not_trip_again_at_once(risk: RiskFixture) -> None:
    trader, perpetual = Trader(risk), "BTC/USDT:USDT"
    update(trader, limits={"max_drawdown_percent": "10", "max_leverage": "5"}, balance="1000")
    trader.trade("100", instrument=perpetual, notional="3000")
    trader.decide("60", instrument=perpetual, position="30", notional="10")
    assert risk.account("a").equity == "-200"
    assert trader.states() == {"account:a": ("REDUCING", "breaker:drawdown")}
    trader.process.set_state("account:a", ACTIVE)
    failed = trader.failed("60", instrument=perpetual, position="30", notional="10")
    assert "TRADING_REDUCING" not in failed
    assert failed, "who has less than nothing opens nothing"
    shown = risk.account("a")
    assert (shown.peak_equity, shown.drawdown_percent, len(shown.restricted)) == ("0", "0", 0)


def test_breaker_does_not_loosen_a_halt(risk: RiskFixture) -> None:
    trader = open_trader(risk, max_daily_loss="100")
    trader.trade("100")
    exit_ = trader.decide("89", buy=False, entry=False, position="10")
    trader.process.set_state("account:a", HALTED)
    trader.settle(exit_.order_id, fill("x9", buy=False, quantity="10", price="89"))
    assert trader.states() == {"account:a": ("HALTED", "operator:test")}


def test_orders_that_fail_in_a_row_go_off_and_a_fill_ends_the_row(risk: RiskFixture) -> None:
    trader = Trader(risk)
    update(trader, breakers=risk_pb2.Breakers(max_failures_in_a_row=2, failures_state=HALTED))
    rejected = common_pb2.ORDER_STATE_REJECTED
    trader.settle(trader.decide().order_id, state=rejected)
    trader.settle(trader.decide().order_id, state=common_pb2.ORDER_STATE_CANCELED)
    trader.trade("100", notional="100")
    trader.settle(trader.decide(position="1").order_id, state=rejected)
    assert trader.states() == {}
    last = trader.decide(position="1").order_id
    trader.settle(last, state=rejected)
    assert trader.states() == {"account:a": ("HALTED", "breaker:failures")}
    trader.settle(last, state=rejected)
    trader.process.set_state("account:a", ACTIVE)
    trader.settle(trader.decide(position="1").order_id, state=rejected)
    assert trader.states()["account:a"] == ("ACTIVE", "operator:test"), "the row began anew"


def test_same_entry_again_and_again_is_refused_then_stops_the_account(risk: RiskFixture) -> None:
    trader = Trader(risk)
    breakers = risk_pb2.Breakers(max_repeated_orders=3, repeated_orders_window_s=60)
    update(trader, limits={"duplicate_order_window_s": 10}, breakers=breakers)
    assert trader.failed() == []
    later(risk, 9)
    assert trader.failed() == ["DUPLICATE_ORDER"]
    assert trader.failed(notional="100") == []
    later(risk, 2)
    assert trader.states() == {}
    assert trader.failed() == []
    assert trader.states() == {"account:a": ("REDUCING", "breaker:repeated_orders")}


def test_ladder_of_prices_is_no_repeat_and_the_same_rung_twice_is(risk: RiskFixture) -> None:
    trader = open_trader(risk, duplicate_order_window_s=60)
    for price in ("99", "98", "97"):
        assert trader.failed(kind="LIMIT", limit_price=price, quantity="0.1") == []
    assert trader.failed(kind="STOP", stop_price="110", quantity="0.1") == []
    assert trader.failed(kind="LIMIT", limit_price="98", quantity="0.1") == ["DUPLICATE_ORDER"]
    assert trader.failed(kind="LIMIT", limit_price="98.00", quantity="0.1") == ["DUPLICATE_ORDER"]
    assert trader.failed(kind="LIMIT", limit_price="98", quantity="0.1", replaces_order_id="o1") == []
    later(risk, 60)
    assert trader.failed(kind="LIMIT", limit_price="98", quantity="0.1") == []


def test_reducing_lets_exits_pass_and_halted_nothing(risk: RiskFixture) -> None:
    trader = open_trader(risk)
    trader.trade("100")
    for scope in ("global", "account:a", "instrument:BTC/USDT"):
        trader.process.set_state(scope, REDUCING)
        assert trader.failed(position="10") == ["TRADING_REDUCING"]
        exit_ = trader.decide(buy=False, entry=False, position="10", quantity="1")
        assert (exit_.verdict, exit_.reduce_only) == (APPROVED, True)
        trader.process.set_state(scope, HALTED)
        assert trader.failed(buy=False, entry=False, position="10", quantity="1") == ["TRADING_HALTED"]
        trader.process.set_state(scope, ACTIVE)
    assert trader.failed(position="10") == []


def test_state_of_webhook_and_strategy_holds_for_their_orders_only(risk: RiskFixture) -> None:
    trader = open_trader(risk)
    trader.process.set_state("webhook:w", HALTED)
    trader.process.set_state("strategy:s", HALTED)
    plain = ask("p", "BTC/USDT", buy=True, entry=True, position="0", price="100", now=risk.now)
    for webhook, strategy, verdict in (("w", "", DENIED), ("", "s", DENIED), ("x", "y", APPROVED)):
        plain.order.order_id, plain.webhook_id, plain.strategy_id = f"p{webhook}{strategy}", webhook, strategy
        assert trader.process.evaluate(plain).verdict == verdict
    stopped = trader.process.set_state("webhook:x", HALTED)
    assert [(o.account_id, o.webhook_id) for o in stopped.orders] == [("a", "x")]
    assert trader.process.set_state("webhook:other", HALTED).open_orders == 0


def test_cool_down_counts_from_the_loss(risk: RiskFixture) -> None:
    trader = open_trader(risk, loss_cooldown_s=60)
    trader.trade("100")
    trader.trade("99", buy=False, entry=False, position="10")
    later(risk, 59)
    assert trader.failed() == ["LOSS_COOLDOWN_ACTIVE"]
    later(risk, 1)
    assert trader.failed() == []


def test_lifting_another_breaker_does_not_forget_what_was_approved(risk: RiskFixture) -> None:
    trader = open_trader(risk, max_daily_loss="10", duplicate_order_window_s=3600)
    trader.trade("100")
    trader.trade("90", buy=False, entry=False, position="10")
    trader.process.set_state("account:a", ACTIVE)
    assert "DUPLICATE_ORDER" in trader.failed()
