"""What an account is worth and how it does: marks, days, peaks, windows, breakers, clocks."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from vantixs_risk.clock import SteadyClock
from vantixs_risk.domain.activity import MOST_APPROVED, MOST_REQUESTED, Activity, EntryRecord
from vantixs_risk.domain.breakers import raises, trips
from vantixs_risk.domain.equity import EquityHistory, Holding, Mark, Valuation, value
from vantixs_risk.domain.headroom import headroom
from vantixs_risk.domain.ledger import Position
from vantixs_risk.domain.metrics import age_ms, fresh, metrics_of, remark, sane
from vantixs_risk.domain.rules import Breakers, Limits
from vantixs_risk.domain.windows import TradingWindow, trading_day

from tests.support.cases import BTC, ENTRY, EQUITY, ETH, NOW, PERP, RULES, D, change, entry_of, exit_of, held, seconds

QUOTED = Mark(D(90), D(110), NOW)


def holding(market: object, quantity: str, cost: str, mark: Mark | None = QUOTED) -> Holding:
    return Holding(market, Position(D(quantity), D(cost)), mark)  # type: ignore[arg-type]


def test_position_is_valued_at_what_closing_it_would_bring() -> None:
    long, short = holding(BTC, "2", "150"), holding(PERP, "-2", "-150")
    assert (long.price, long.notional, long.unrealized_profit) == (90, 180, 30)
    assert (short.price, short.notional, short.unrealized_profit) == (110, 220, -70)
    assert holding(BTC, "0", "0").price == 110


def test_position_without_a_price_is_valued_at_its_cost() -> None:
    unknown = holding(BTC, "3", "100", None)
    assert (unknown.notional, unknown.unrealized_profit) == (100, 0)
    assert unknown.price == D("33.333333333333333333")
    assert holding(PERP, "-3", "-100", None).notional == 100


def test_equity_is_cash_with_what_is_held_and_what_perpetuals_would_bring() -> None:
    holdings = [holding(BTC, "2", "150"), holding(PERP, "-2", "-150"), holding(ETH, "0", "0")]
    valuation = value(D(1000), holdings, D(2))
    # Spot is worth 180; the short perpetual loses 70; it needs 220 / 2 as margin and its loss on top.
    assert valuation == Valuation(D(1000 + 180 - 70), D(30 - 70), D(180 + 220), D(110 + 70))


def test_margin_of_each_kind() -> None:
    assert holding(BTC, "2", "150").margin(D(2)) == 0
    assert holding(BTC, "-2", "-150").margin(D(2)) == 220 + 110
    assert holding(PERP, "2", "150").margin(D(2)) == 90
    assert holding(PERP, "2", "200").margin(D(2)) == 90 + 20
    assert holding(PERP, "0", "0").margin(D(2)) == 0
    # Collateral is rounded up: 180 / 7.
    assert holding(PERP, "2", "150").margin(D(7)) == D("25.714285714285714286")


def test_new_day_begins_with_the_equity_and_an_earlier_one_changes_nothing() -> None:
    today = EQUITY.day
    assert EQUITY.on_day(today + timedelta(days=1), D(5)) == EquityHistory(today + timedelta(days=1), D(5), D(10_000))
    assert EQUITY.on_day(today, D(5)) is EQUITY
    assert EQUITY.on_day(today - timedelta(days=1), D(5)) is EQUITY


def test_peak_only_rises_and_adjustments_are_neither_profit_nor_loss() -> None:
    assert EQUITY.with_equity(D(10_001)).peak == 10_001
    assert EQUITY.with_equity(D(10_000)) is EQUITY
    assert EQUITY.with_adjustment(D(-300)) == EquityHistory(EQUITY.day, D(9700), D(9700))
    assert EQUITY.with_adjustment(D(-30_000)).peak == 0
    assert (EQUITY.daily_loss(D(9000)), EQUITY.daily_loss(D(11_000))) == (1000, -1000)
    assert (EQUITY.drawdown(D(9000)), EQUITY.drawdown(D(11_000))) == (1000, 0)
    # A percentage is rounded down, and never compared: 2/3 of the peak are exactly as far as they are.
    third = replace(EQUITY, peak=D(3))
    assert third.drawdown_percent(D(1)) == D("66.666666666666666666")
    assert not third.has_fallen(D(1), D("66.666666666666666667"))
    assert third.has_fallen(D(1), D("66.666666666666666666"))
    assert (third.has_fallen(D(0), D(100)), third.has_fallen(D(3), D("0.1"))) == (True, False)
    broke = replace(EQUITY, peak=D(0))
    assert (broke.drawdown_percent(D(-5)), broke.has_fallen(D(-5), D(1))) == (0, False)


WEEKDAYS = frozenset(range(5))
NEW_YORK = TradingWindow(WEEKDAYS, 9 * 3600 + 1800, 16 * 3600, "America/New_York")


@pytest.mark.parametrize(
    ("window", "time", "inside"),
    [
        # Winter time is UTC-5, summer time UTC-4: the same local hours.
        (NEW_YORK, "2026-03-06T14:30:00+00:00", True),
        (NEW_YORK, "2026-03-06T14:29:59+00:00", False),
        (NEW_YORK, "2026-03-09T13:30:00+00:00", True),
        (NEW_YORK, "2026-03-09T13:29:59+00:00", False),
        (NEW_YORK, "2026-03-09T19:59:59+00:00", True),
        (NEW_YORK, "2026-03-09T20:00:00+00:00", False),
        (NEW_YORK, "2026-03-07T15:00:00+00:00", False),
        # Over midnight: Friday's window goes on on Saturday, and Sunday has none to go on.
        (TradingWindow(WEEKDAYS, 22 * 3600, 2 * 3600, "UTC"), "2026-11-27T22:00:00+00:00", True),
        (TradingWindow(WEEKDAYS, 22 * 3600, 2 * 3600, "UTC"), "2026-11-27T21:59:59+00:00", False),
        (TradingWindow(WEEKDAYS, 22 * 3600, 2 * 3600, "UTC"), "2026-11-28T01:59:59+00:00", True),
        (TradingWindow(WEEKDAYS, 22 * 3600, 2 * 3600, "UTC"), "2026-11-28T02:00:00+00:00", False),
        (TradingWindow(WEEKDAYS, 22 * 3600, 2 * 3600, "UTC"), "2026-11-28T23:00:00+00:00", False),
        (TradingWindow(WEEKDAYS, 22 * 3600, 2 * 3600, "UTC"), "2026-11-30T01:00:00+00:00", False),
        (TradingWindow(frozenset({6}), 22 * 3600, 2 * 3600, "UTC"), "2026-11-30T01:00:00+00:00", True),
        # Start and end alike: a whole day from there.
        (TradingWindow(frozenset({0}), 3600, 3600, "UTC"), "2026-11-30T01:00:00+00:00", True),
        (TradingWindow(frozenset({0}), 3600, 3600, "UTC"), "2026-12-01T00:59:59+00:00", True),
        (TradingWindow(frozenset({0}), 3600, 3600, "UTC"), "2026-12-01T01:00:00+00:00", False),
        (TradingWindow(frozenset({0}), 0, 86_400, "UTC"), "2026-11-30T23:59:59+00:00", True),
        # The hour that does not exist in Berlin on 2026-03-29 (02:00 to 03:00), and the one that is there twice.
        (TradingWindow(frozenset({6}), 2 * 3600, 3 * 3600, "Europe/Berlin"), "2026-03-29T00:59:59+00:00", False),
        (TradingWindow(frozenset({6}), 2 * 3600, 3 * 3600, "Europe/Berlin"), "2026-03-29T01:00:00+00:00", False),
        (TradingWindow(frozenset({6}), 2 * 3600, 3 * 3600, "Europe/Berlin"), "2026-10-25T00:30:00+00:00", True),
        (TradingWindow(frozenset({6}), 2 * 3600, 3 * 3600, "Europe/Berlin"), "2026-10-25T01:30:00+00:00", True),
        (TradingWindow(frozenset({6}), 2 * 3600, 3 * 3600, "Europe/Berlin"), "2026-10-25T02:00:00+00:00", False),
        (TradingWindow(frozenset({0}), 3661, 7200, "UTC"), "2026-11-30T01:01:01+00:00", True),
        (TradingWindow(frozenset({0}), 3661, 7200, "UTC"), "2026-11-30T01:01:00+00:00", False),
    ],
)
def test_window_holds_by_the_local_clock(window: TradingWindow, time: str, inside: bool) -> None:
    assert window.contains(datetime.fromisoformat(time)) is inside


@pytest.mark.parametrize(
    ("time", "zone", "start_s", "day"),
    [
        ("2026-11-24T00:00:00+00:00", "UTC", 0, date(2026, 11, 24)),
        ("2026-11-23T23:59:59+00:00", "UTC", 0, date(2026, 11, 23)),
        ("2026-11-24T04:59:59+00:00", "America/New_York", 0, date(2026, 11, 23)),
        ("2026-11-24T05:00:00+00:00", "America/New_York", 0, date(2026, 11, 24)),
        ("2026-07-24T04:00:00+00:00", "America/New_York", 0, date(2026, 7, 24)),
        ("2026-11-24T16:59:59+00:00", "UTC", 17 * 3600, date(2026, 11, 23)),
        ("2026-11-24T17:00:00+00:00", "UTC", 17 * 3600, date(2026, 11, 24)),
        ("2026-11-24T17:01:01+00:00", "UTC", 17 * 3600 + 61, date(2026, 11, 24)),
        ("2026-11-24T17:01:00+00:00", "UTC", 17 * 3600 + 61, date(2026, 11, 23)),
    ],
)
def test_trading_day_begins_at_its_local_time(time: str, zone: str, start_s: int, day: date) -> None:
    assert trading_day(datetime.fromisoformat(time), zone, start_s) == day


def test_rate_counts_by_whole_seconds_and_never_less_than_a_minute() -> None:
    activity = Activity()
    for offset in (0.999, 0, 1, 59):
        activity = activity.with_order(NOW + seconds(offset))
    assert activity.seconds[0] == (int(NOW.timestamp()), 2)
    assert activity.orders_last_minute(NOW + seconds(60.999)) == 4
    assert activity.orders_last_minute(NOW + seconds(61)) == 2
    assert activity.with_order(NOW + seconds(61)).seconds[0] == (int(NOW.timestamp()) + 1, 1)
    assert activity.with_order(NOW + seconds(60)).seconds[0] == (int(NOW.timestamp()), 2)


def test_entries_asked_for_are_remembered_for_the_window_and_not_without_bound() -> None:
    activity = Activity()
    for offset in range(MOST_REQUESTED + 20):
        activity = activity.with_requested(EntryRecord("x", NOW + seconds(offset / 100)), 10)
    assert len(activity.requested) == MOST_REQUESTED
    later = activity.with_requested(EntryRecord("x", NOW + seconds(11)), 10)
    assert [e.time for e in later.requested[:-1]] == [e.time for e in activity.requested if e.time > NOW + seconds(1)]
    assert activity.requested_since("x", NOW + seconds(2), 1) == sum(
        e.time > NOW + seconds(1) for e in activity.requested
    )
    assert activity.requested_since("y", NOW, 10) == 0


def test_approved_entries_are_remembered_once_each_and_when_there_are_too_many_it_is_said() -> None:
    activity = Activity()
    for offset in (0, 1, 2):
        activity = activity.with_approved(EntryRecord("x", NOW + seconds(offset)), 10)
        activity = activity.with_approved(EntryRecord("y", NOW + seconds(offset)), 10)
    assert [(e.key, e.time) for e in activity.approved] == [("x", NOW + seconds(2)), ("y", NOW + seconds(2))]
    assert activity.approved_since("x", NOW + seconds(11.999), 10) == EntryRecord("x", NOW + seconds(2))
    assert activity.approved_since("x", NOW + seconds(12), 10) is None
    assert [e.key for e in activity.with_approved(EntryRecord("z", NOW + seconds(12)), 10).approved] == ["z"]
    for number in range(MOST_APPROVED - 2):
        assert not activity.full(NOW + seconds(3), 10)
        activity = activity.with_approved(EntryRecord(f"{number}", NOW + seconds(3)), 10)
    assert activity.full(NOW + seconds(3), 10)
    assert activity.full(NOW + seconds(11.999), 10)
    assert not activity.full(NOW + seconds(12), 10), "the oldest no longer counts, so all that count are here"
    assert len(activity.with_approved(EntryRecord("z", NOW + seconds(3)), 10).approved) == MOST_APPROVED


def test_time_that_is_taken_back_leaves_nothing_in_the_future() -> None:
    second = int(NOW.timestamp())
    ahead, behind = NOW + seconds(99), NOW - seconds(1)
    activity = Activity(
        seconds=((second - 1, 1), (second, 2), (second + 5, 3), (second + 9, 4)),
        requested=(EntryRecord("a", behind), EntryRecord("b", ahead)),
        approved=(EntryRecord("c", behind), EntryRecord("d", ahead)),
        last_loss=ahead,
    )
    assert activity.not_after(NOW) == Activity(
        seconds=((second - 1, 1), (second, 2), (second, 7)),
        requested=(EntryRecord("a", behind), EntryRecord("b", NOW)),
        approved=(EntryRecord("c", behind), EntryRecord("d", NOW)),
        last_loss=NOW,
    )
    assert Activity(seconds=((second, 2),)).not_after(NOW) == Activity(seconds=((second, 2),))
    assert Activity(last_loss=behind).not_after(NOW).last_loss == behind


def test_fill_ends_failures_and_a_loss_is_remembered() -> None:
    failing = Activity().with_failure().with_failure()
    assert failing.failures == 2
    assert failing.with_fill(D(0), NOW) == Activity()
    lost = failing.with_fill(D("-0.01"), NOW)
    assert (lost.failures, lost.last_loss) == (0, NOW)
    assert lost.with_fill(D(1), NOW + seconds(9)).last_loss == NOW


RULED = replace(
    RULES,
    limits=Limits(max_daily_loss=D(500), max_drawdown_percent=D(10)),
    breakers=Breakers("HALTED", "REDUCING", 3, "HALTED", 4, 60, "REDUCING"),
)


def gone_off(
    equity: str, failures: int = 0, repeats: int = 0, history: EquityHistory = EQUITY
) -> list[tuple[str, str]]:
    found = trips(RULED, history, D(equity), Activity(failures=failures), repeats)
    return [(trip.breaker, trip.state) for trip in found]


def test_breakers_go_off_at_their_limits() -> None:
    assert gone_off("9500.01") == []
    assert gone_off("9500") == [("daily_loss", "HALTED")]
    assert gone_off("9000.01") == [("daily_loss", "HALTED")]
    assert gone_off("9000") == [("daily_loss", "HALTED"), ("drawdown", "REDUCING")]
    assert gone_off("10000", failures=2) == []
    assert gone_off("10000", failures=3) == [("failures", "HALTED")]
    assert gone_off("10000", repeats=3) == []
    assert gone_off("10000", repeats=4) == [("repeated_orders", "REDUCING")]
    assert gone_off("0", history=EquityHistory(EQUITY.day, D(0), D(0))) == []
    texts = [trip.comment for trip in trips(RULED, EQUITY, D(9000), Activity())]
    assert texts == ["the day's loss is 1000, the limit 500", "equity is 10 % below its peak, the limit 10 %"]
    assert trips(RULES, EQUITY, D(0), Activity(failures=99), 99) == []


def test_breaker_never_loosens() -> None:
    order = ("ACTIVE", "REDUCING", "HALTED")
    for before in order:
        for after in order:
            assert raises(before, after) is (order.index(after) > order.index(before))


def test_quotes_are_sane_and_young() -> None:
    assert sane(Mark(D(1), D(1), NOW))
    assert not any(
        sane(quote) for quote in (None, Mark(D(0), D(1), NOW), Mark(D(2), D(1), NOW), Mark(D(-1), D(1), NOW))
    )
    assert [age_ms(NOW, NOW - timedelta(milliseconds=ms)) for ms in range(-5, 5000)] == list(range(-5, 5000))
    assert age_ms(NOW, NOW - timedelta(microseconds=1999)) == 1
    for age, young in ((5, True), (5.000001, False), (-5, True), (-5.000001, False)):
        assert fresh(Mark(D(1), D(2), NOW - seconds(age)), NOW, 5000) is young
    assert not fresh(Mark(D(3), D(2), NOW), NOW, 5000)
    assert not fresh(None, NOW, 5000)


def test_figures_count_what_is_open() -> None:
    reservations = (entry_of(BTC, 500, hold=50), entry_of(ETH, 300, hold=30), exit_of("2"), exit_of("3"))
    inputs = change(ENTRY, reservations=reservations, holdings={"BTC/USDT": held(BTC, "10", "1", "50")})
    metrics = metrics_of(inputs)
    assert (metrics.entries_notional, metrics.own_entries_notional, metrics.reserved_funds) == (800, 500, 80)
    assert (metrics.own_exits_quantity, metrics.closable) == (5, 5)
    assert metrics.open_instruments == {"BTC/USDT", "ETH/USDT"}
    assert metrics.free_funds == 10_000 - 80
    assert metrics.own.mark == inputs.order.quote, "the position is valued at the quote that came along"
    assert metrics.valuation.equity == 10_000 + 10 * 100
    other = change(inputs, market=ETH)
    assert (metrics_of(other).own_entries_notional, metrics_of(other).own_exits_quantity) == (300, 0)
    assert metrics_of(change(inputs, quote=None)).valuation.equity == 10_000 + 10 * 50
    assert metrics_of(change(inputs, quote=None)).exit_price == 50
    assert metrics_of(change(ENTRY, quote=None)).price == 0


def test_only_what_is_held_is_marked() -> None:
    books = change(ENTRY, holdings={"BTC/USDT": held(BTC, "1", "1", "1")}).books
    marked = remark(books, "BTC/USDT", QUOTED)
    assert marked.holdings["BTC/USDT"].mark == QUOTED
    assert remark(books, "ETH/USDT", QUOTED) is books


def test_headroom_says_how_much_of_each_limit_is_used() -> None:
    limits = Limits(
        max_position_notional=D(2000),
        max_gross_exposure=D(5000),
        max_open_positions=3,
        max_leverage=D(2),
        max_daily_loss=D(500),
        max_drawdown_percent=D(20),
        max_orders_per_minute=9,
        loss_cooldown_s=60,
    )
    activity = Activity(seconds=((int(NOW.timestamp()), 2),), last_loss=NOW - seconds(20))
    inputs = change(
        ENTRY,
        cash=D(8800),
        holdings={"BTC/USDT": held(BTC, "10", "900", "100"), "BTC/USDT:USDT": held(PERP, "1", "100", "100")},
        reservations=(entry_of(ETH, 300, hold=30), entry_of(BTC, 200, hold=20), exit_of("1")),
        activity=activity,
    )
    rows = list(headroom(replace(RULES, limits=limits), inputs.books, NOW))
    shown = {row.name: (row.limit, row.used, row.unit) for row in rows}
    assert shown == {
        "cash": (D(8800), D(100), "USDT"),
        "max_position_notional BTC/USDT": (D(2000), D(1200), "USDT"),
        "max_position_notional BTC/USDT:USDT": (D(2000), D(100), "USDT"),
        "max_position_notional ETH/USDT": (D(2000), D(300), "USDT"),
        "max_gross_exposure": (D(5000), D(1600), "USDT"),
        "max_open_positions": (D(3), D(3), "positions"),
        "max_leverage": (D(2), divided(1600, 9800), "x"),
        "max_daily_loss": (D(500), D(200), "USDT"),
        "max_drawdown_percent": (D(20), D(2), "%"),
        "max_orders_per_minute": (D(9), D(2), "orders"),
        "loss_cooldown_s": (D(60), D(40), "s"),
    }
    assert all(row.reason for row in rows)


def divided(one: int, other: int) -> object:
    from vantixs_risk.domain.exact import divide_down

    return divide_down(D(one), D(other))


def test_headroom_of_an_account_that_has_nothing() -> None:
    limits = Limits(max_leverage=D(2), max_daily_loss=D(5), max_drawdown_percent=D(5), loss_cooldown_s=60)
    inputs = change(ENTRY, cash=D(-1), equity_history=EquityHistory(EQUITY.day, D(-5), D(0)))
    rows = {r.name: r.used for r in headroom(replace(RULES, limits=limits), inputs.books, NOW)}
    assert rows == {"cash": 0, "max_leverage": 2, "max_daily_loss": 0, "max_drawdown_percent": 0, "loss_cooldown_s": 0}
    late = inputs.books._replace(activity=Activity(last_loss=NOW - seconds(61)))
    assert {r.name: r.used for r in headroom(replace(RULES, limits=limits), late, NOW)}["loss_cooldown_s"] == 0
    broke = change(ENTRY, cash=D(0), equity_history=EQUITY).books
    assert {r.name: r.used for r in headroom(replace(RULES, limits=limits), broke, NOW)}["max_leverage"] == 2
    one = {r.name: r.used for r in headroom(replace(RULES, limits=limits), broke._replace(cash=D(1)), NOW)}
    assert one["max_leverage"] == 0
    assert [r.name for r in headroom(RULES, ENTRY.books, NOW)] == ["cash"]


class Hands:
    """A machine's clock and the time that has really passed, both set by the test."""

    def __init__(self) -> None:
        self.shown, self.passed = datetime(2026, 11, 24, 12, tzinfo=UTC), 0.0

    def run(self, seconds_: float) -> None:
        self.shown += timedelta(seconds=seconds_)
        self.passed += seconds_


@pytest.mark.parametrize("step_s", [3600, -3600])
def test_clock_that_is_set_is_not_followed(step_s: int) -> None:
    hands = Hands()
    clock = SteadyClock(lambda: hands.shown, lambda: hands.passed)
    started = clock.now()
    hands.run(10)
    assert clock.now() - started == timedelta(seconds=10)
    hands.shown += timedelta(seconds=step_s)
    hands.run(5)
    assert clock.now() - started == timedelta(seconds=15)
    hands.shown -= timedelta(seconds=step_s)
    hands.run(5)
    assert clock.now() - started == timedelta(seconds=20)


def test_clock_that_drifts_is_followed_and_never_goes_back() -> None:
    hands = Hands()
    clock = SteadyClock(lambda: hands.shown, lambda: hands.passed)
    started = clock.now()
    for _ in range(10):
        hands.run(1)
        hands.shown += timedelta(seconds=0.5)
        assert clock.now() == hands.shown
    assert clock.now() - started == timedelta(seconds=15)
    before = clock.now()
    hands.shown -= timedelta(seconds=0.9)
    assert clock.now() == before
