"""Trading windows, days and clocks: daylight saving, midnight, odd zones, a clock that is set."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest
from vantixs_risk.clock import SteadyClock
from vantixs_risk.domain.equity import EquityHistory
from vantixs_risk.domain.windows import TradingWindow, trading_day

from tests.reference.local_time import day_number, in_window

EVERY_DAY = frozenset(range(7))
SUNDAY, SATURDAY = frozenset({6}), frozenset({5})
# With offsets of a quarter of an hour, a daylight saving of half an hour, one at midnight, a day that was left out.
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Asia/Beirut",
    "America/Santiago",
    "Pacific/Apia",
    "Pacific/Kiritimati",
    "Africa/Casablanca",
)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def hour(hours: float) -> int:
    return int(hours * 3600)


# Clocks go forward: Berlin 2026-03-29 02:00 -> 03:00 (01:00 UTC), New York 2026-03-08 02:00 -> 03:00 (07:00 UTC).
# They go back: Berlin 2026-10-25 03:00 -> 02:00 (01:00 UTC), New York 2026-11-01 02:00 -> 01:00 (06:00 UTC).
OPEN = [
    # Over the missing hour the window is an hour shorter: 01:30 CET to 03:30 CEST.
    ("Europe/Berlin", SUNDAY, 1.5, 3.5, [("2026-03-29T00:30:00", "2026-03-29T01:30:00")]),
    # Inside of the missing hour there is no such time.
    ("Europe/Berlin", SUNDAY, 2.25, 2.75, [("2026-04-05T00:15:00", "2026-04-05T00:45:00")]),
    # The hour that comes twice is open twice.
    ("Europe/Berlin", SUNDAY, 2, 3, [("2026-10-25T00:00:00", "2026-10-25T02:00:00")]),
    # Across midnight into each switch: from Saturday 22:00 to Sunday 04:00.
    ("Europe/Berlin", SATURDAY, 22, 4, [("2026-03-28T21:00:00", "2026-03-29T02:00:00")]),
    ("Europe/Berlin", SATURDAY, 22, 4, [("2026-10-24T20:00:00", "2026-10-25T03:00:00")]),
    ("America/New_York", SATURDAY, 22, 4, [("2026-03-08T03:00:00", "2026-03-08T08:00:00")]),
    ("America/New_York", SATURDAY, 22, 4, [("2026-11-01T02:00:00", "2026-11-01T09:00:00")]),
    # It ends in the hour that comes twice, so it opens again for what of it comes again.
    (
        "America/New_York",
        SATURDAY,
        22,
        1.5,
        [("2026-11-01T02:00:00", "2026-11-01T05:30:00"), ("2026-11-01T06:00:00", "2026-11-01T06:30:00")],
    ),
    # A whole day has 23 and 25 hours; from 09:00 to 09:00 is a day as well.
    ("Europe/Berlin", SUNDAY, 0, 24, [("2026-03-28T23:00:00", "2026-03-29T22:00:00")]),
    ("Europe/Berlin", SUNDAY, 0, 24, [("2026-10-24T22:00:00", "2026-10-25T23:00:00")]),
    ("America/New_York", SATURDAY, 9, 9, [("2026-03-07T14:00:00", "2026-03-08T13:00:00")]),
]


@pytest.mark.parametrize(("zone", "days", "start", "end", "spans"), OPEN)
def test_a_window_follows_the_local_clock(
    zone: str, days: frozenset[int], start: float, end: float, spans: list[tuple[str, str]]
) -> None:
    window = TradingWindow(days, hour(start), hour(end), zone)
    first, last = utc(spans[0][0]), utc(spans[-1][1])
    step, second = timedelta(minutes=5), timedelta(seconds=1)
    moments = [first - timedelta(hours=12) + step * n for n in range((last - first) // step + 288)]
    moments += [utc(edge) - second for span in spans for edge in span]
    for moment in moments:
        expected = any(utc(begin) <= moment < utc(finish) for begin, finish in spans)
        assert window.contains(moment) == expected, moment


def test_the_missing_hour_is_never_open() -> None:
    window = TradingWindow(SUNDAY, hour(2.25), hour(2.75), "Europe/Berlin")
    day = utc("2026-03-28T23:00:00")
    assert not any(window.contains(day + timedelta(minutes=minute)) for minute in range(23 * 60))


def test_windows_and_days_are_those_of_the_wall_clock_in_any_zone() -> None:
    random, start = Random(1), utc("2011-12-01T00:00:00")
    for _ in range(10_000):
        zone, first, last = random.choice(ZONES), 60 * random.randrange(1440), 60 * random.randint(1, 1440)
        days = frozenset(random.sample(range(7), random.randint(1, 7)))
        now = start + timedelta(seconds=random.randrange(16 * 366 * 86_400), microseconds=random.randrange(1_000_000))
        window = TradingWindow(days, first, last, zone)
        assert window.contains(now) == in_window(now, zone, days, first, last), (now, window)
        number = (trading_day(now, zone, first) - date(1970, 1, 1)).days
        assert number == day_number(now, zone, first), (now, zone, first)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("start_s", [0, hour(1.5), hour(2.5), hour(17), 86_340])
def test_a_day_begins_once_whatever_the_clocks_do(zone: str, start_s: int) -> None:
    """Around both switches in steps of 10 minutes: the day goes on, one at a time, also where a local hour comes again."""
    for month in (3, 10):
        begin = datetime(2026, month, 1, tzinfo=UTC)
        history = EquityHistory(trading_day(begin, zone, start_s), Decimal(-1), Decimal(0))
        for step in range(45 * 144):
            now = begin + timedelta(minutes=10 * step)
            after = history.on_day(trading_day(now, zone, start_s), Decimal(step))
            if after != history:
                assert after.day - history.day == timedelta(days=1), now
                assert after.day_equity == step
            history = after
        assert history.day == trading_day(begin + timedelta(days=45, minutes=-10), zone, start_s)


class FakeClocks:
    """A machine's clock that can be set, beside the time that has really passed."""

    def __init__(self) -> None:
        self.wall = utc("2026-11-24T12:00:00")
        self.elapsed = 0.0

    def steady(self) -> SteadyClock:
        return SteadyClock(lambda: self.wall, lambda: self.elapsed)

    def tick(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.elapsed += seconds


@pytest.mark.parametrize("hours", [-24, -1, 1, 24])
def test_a_clock_that_is_set_neither_ends_a_limit_early_nor_turns_back(hours: int) -> None:
    machine = FakeClocks()
    clock = machine.steady()
    start = clock.now()
    machine.wall += timedelta(hours=hours)
    before = start
    for second in range(1, 3601):
        machine.tick(1)
        now = clock.now()
        assert before < now
        assert abs((now - start).total_seconds() - second) < 1e-3
        before = now
    # Set right again, it is what the machine says.
    machine.wall -= timedelta(hours=hours)
    assert abs(clock.now() - machine.wall) < timedelta(milliseconds=1)


def test_a_clock_never_turns_back_whatever_is_done_to_it() -> None:
    random = Random(7)
    for _ in range(200):
        machine = FakeClocks()
        clock = machine.steady()
        before = clock.now()
        for _ in range(50):
            machine.tick(random.choice([0, 0.001, 0.5, 3, 600]))
            if random.random() < 0.3:
                machine.wall += timedelta(seconds=random.uniform(-2, 2) * random.choice([1, 3600]))
            now = clock.now()
            assert now >= before
            before = now
