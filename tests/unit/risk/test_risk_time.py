"""Days, windows, prices that grow old, clocks that are set; by units of work on SQLite."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from vantixs.api.risk.v1 import risk_pb2
from vantixs_risk import store
from vantixs_risk.clock import SteadyClock

from tests.support.risk_fixture import RiskFixture, ask, check_books, later
from tests.support.risk_trader import ACTIVE, APPROVED, Trader, open_trader, update


def test_old_or_missing_price_keeps_nobody_in(risk: RiskFixture) -> None:
    trader = open_trader(risk)
    trader.trade("100")
    old = ask("o", "BTC/USDT", buy=False, entry=False, position="10", price="50", now=risk.now - timedelta(hours=5))
    assert trader.process.evaluate(old).verdict == APPROVED
    assert risk.account("a").positions[0].mark_price == "100", "an old price values nothing"


def test_marks_that_come_along_value_other_positions(risk: RiskFixture) -> None:
    trader = open_trader(risk, max_gross_exposure="5000")
    trader.trade("100")
    later(risk, 301)
    assert trader.failed(instrument="ETH/USDT", notional="10") == ["MARK_STALE"]
    request = ask("m", "ETH/USDT", buy=True, entry=True, position="0", price="10", now=risk.now, notional="10")
    request.marks.add(instrument="BTC/USDT", bid="399", ask="401").quote_time.FromDatetime(risk.now)
    assert trader.process.evaluate(request).verdict == APPROVED
    assert risk.account("a").gross_exposure == "3990"
    old = request.marks.add(instrument="BTC/USDT", bid="1", ask="1")
    old.quote_time.FromDatetime(risk.now - timedelta(seconds=60))
    request.order.order_id = "m2"
    trader.process.evaluate(request)
    assert risk.account("a").gross_exposure == "3990", "an older price does not replace a newer one"


@pytest.mark.parametrize("hours", [-1, 1])
def test_clock_that_is_set_opens_no_limit_and_crashes_nothing(risk: RiskFixture, hours: int) -> None:
    """Through `SteadyClock` a running process does not see it. This is one that starts on the wrong time: set back, the
    account waits at the latest time it has seen; set forward, a day's loss and a drawdown stay latched."""
    limits = {
        "max_daily_loss": "100",
        "loss_cooldown_s": 7200,
        "max_orders_per_minute": 3,
        "duplicate_order_window_s": 7200,
    }
    trader = open_trader(risk, **limits)
    trader.trade("100")
    trader.trade("89", buy=False, entry=False, position="10")
    before = trader.failed()
    assert {"TRADING_REDUCING", "DAILY_LOSS_LIMIT_REACHED", "LOSS_COOLDOWN_ACTIVE", "DUPLICATE_ORDER"} == set(before)
    later(risk, hours * 3600)
    trader.process.restart()
    after = trader.failed()
    assert set(before) <= set(after)
    assert (hours < 0) == ("PRICE_STALE" in after), "set back, prices cannot be dated"
    if hours < 0:
        trader.process.set_state("account:a", ACTIVE)
        assert "PRICE_STALE" not in trader.failed(), "an operator took the time for right"
    check_books(risk)


@pytest.mark.parametrize("hours", [-1, 1])
def test_clock_that_is_set_while_risk_runs_is_not_followed(risk: RiskFixture, hours: int) -> None:
    shown, passed = risk.now, 0.0
    clock = SteadyClock(lambda: shown, lambda: passed)
    risk.now = clock.now()
    trader = open_trader(risk, loss_cooldown_s=60, max_orders_per_minute=3, duplicate_order_window_s=60)
    trader.trade("100")
    trader.trade("99", buy=False, entry=False, position="10")
    shown, passed = shown + timedelta(hours=hours, seconds=59), 59.0
    risk.now = clock.now()
    assert trader.failed() == ["LOSS_COOLDOWN_ACTIVE", "DUPLICATE_ORDER"]
    shown, passed = shown + timedelta(seconds=1), 60.0
    risk.now = clock.now()
    assert trader.failed() == []


def test_rate_limit_stays_shut_when_the_clock_is_set_back(risk: RiskFixture) -> None:
    trader = open_trader(risk, max_orders_per_minute=2)
    assert (trader.failed(notional="10"), trader.failed(notional="20")) == ([], [])
    later(risk, -3600)
    trader.process.restart()
    assert "ORDER_RATE_EXCEEDED" in trader.failed(notional="30")


def test_trading_day_that_an_account_sets_begins_then(risk: RiskFixture) -> None:
    trader = Trader(risk)
    update(trader, limits={"max_daily_loss": "100"}, day_start="13:00", day_time_zone="UTC", breakers=risk_pb2.Breakers(daily_loss_state=ACTIVE))  # fmt: skip
    trader.trade("100")
    trader.trade("89", buy=False, entry=False, position="10")
    later(risk, 3599)
    assert trader.failed() == ["DAILY_LOSS_LIMIT_REACHED"]
    later(risk, 1)
    assert trader.failed() == []


def test_trading_window_is_for_entries(risk: RiskFixture) -> None:
    trader = Trader(risk)
    window = risk_pb2.TradingWindow(days=[risk_pb2.WEEKDAY_TUESDAY], start="12:00", end="12:30", time_zone="UTC")
    update(trader, trading_windows=[window])
    trader.trade("100")
    later(risk, 1800)
    assert trader.failed(position="10") == ["OUTSIDE_TRADING_WINDOW"]
    assert trader.failed(position="10", buy=False, entry=False) == []


def test_time_that_was_ahead_is_taken_back_by_an_operator(risk: RiskFixture) -> None:
    trader = open_trader(risk, max_gross_exposure="2500", loss_cooldown_s=60, duplicate_order_window_s=60)
    risk.now += timedelta(days=365)
    trader.trade("100")
    trader.trade("90", buy=False, entry=False, position="10", quantity="1")
    risk.now -= timedelta(days=365)
    trader.process.set_state("account:a", ACTIVE)
    assert {"MARK_STALE", "LOSS_COOLDOWN_ACTIVE"} <= set(trader.failed(instrument="ETH/USDT")), "the price was never so"
    later(risk, 60)
    request = ask("m", "ETH/USDT", buy=True, entry=True, position="0", price="100", now=risk.now)
    request.marks.add(instrument="BTC/USDT", bid="200", ask="200").quote_time.FromDatetime(risk.now)
    failed = [c.reason for c in trader.process.evaluate(request).checks if not c.passed]
    assert failed == ["GROSS_EXPOSURE_ABOVE_MAXIMUM"]


def test_samples_of_equity_are_bounded(risk: RiskFixture) -> None:
    trader = open_trader(risk)
    for number in range(3000):
        risk.now = datetime(2026, 11, 24, 12, tzinfo=UTC) + timedelta(minutes=number)
        trader.decide(lot="1000")
    rows = risk.rows(store.SAMPLES)
    counts = {resolution: sum(r.resolution_s == resolution for r in rows) for resolution in store.RESOLUTIONS}
    assert counts == {60: 1441, 3600: 50, 86_400: 3}
    trader.trade("100")
    latest = max((r for r in risk.rows(store.SAMPLES) if r.resolution_s == 60), key=lambda r: r.bucket)
    assert latest.equity == Decimal(10_000)
    assert len(risk.rows(store.SAMPLES)) == len(rows)
