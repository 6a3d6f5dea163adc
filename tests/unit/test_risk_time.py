"""Days, windows, prices that grow old, clocks that are set; by units of work on SQLite."""

import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from vantixs.api.risk.v1 import risk_pb2
from vantixs_risk import store
from vantixs_risk.clock import SteadyClock

sys.path.insert(0, str(Path(__file__).parent.parent / "property"))
sys.path.insert(0, str(Path(__file__).parent))
from ledger_office import Office, ask, check_books, later
from risk_desk import ACTIVE, APPROVED, Desk, open_desk, update


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
