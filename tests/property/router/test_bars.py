"""Bars hold what a slow search of the quotes says, each quote once, none of an interval without quotes."""

from collections.abc import Iterable
from decimal import Decimal
from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vantixs_router.domain.bars import SURE_AFTER_US, Bar, BarBuilder, Quoted, Timeframe, middle, parse_timeframes

FRAMES = parse_timeframes("1m,5m,1h")
MINUTE = 60_000_000
GRACE = 2_000_000
SINCE = 1_767_225_600_000_000 - 3 * 3_600_000_000 - SURE_AFTER_US
START = SINCE + SURE_AFTER_US
# How far the next quote is behind the one before, whether the clock is looked at as well, and the price.
STEPS = st.lists(
    st.tuples(st.integers(0, 4 * MINUTE), st.booleans(), st.integers(1, 10**6), st.sampled_from(["A", "B"])),
    min_size=1, max_size=60,
)  # fmt: skip


def quote(time_us: int, price: int, instrument: str = "A", source: str = "pushed") -> Quoted:
    return Quoted(instrument, source, time_us, Decimal(price))


def fields(bar: Bar) -> tuple[object, ...]:
    return bar.instrument, bar.timeframe.name, bar.start_us, bar.open, bar.high, bar.low, bar.close, bar.quote_count


def expected(quotes: Iterable[Quoted]) -> set[tuple[object, ...]]:
    found = set()
    told = list(quotes)
    for frame in FRAMES:

        def group(q: Quoted, frame: Timeframe = frame) -> tuple[str, int]:
            return q.instrument, q.time_us // frame.length_us

        for (name, number), some in groupby(sorted(told, key=group), key=group):
            prices = [q.price for q in some]
            found.add(
                (
                    name,
                    frame.name,
                    number * frame.length_us,
                    prices[0],
                    max(prices),
                    min(prices),
                    prices[-1],
                    len(prices),
                )
            )
    return found


@settings(max_examples=60)
@given(STEPS)
def test_each_interval_with_quotes_has_one_bar_of_exactly_them(steps: list[tuple[int, bool, int, str]]) -> None:
    builder = BarBuilder(FRAMES, since_us=SINCE, grace_us=GRACE)
    now, told, closed = START, [], []
    for step, looks, price, instrument in steps:
        now += step
        if looks:
            closed += builder.close(now)
        told.append(quote(now, price, instrument))
        closed += builder.hear(told[-1], now)
    closed += builder.close(now + 3_600_000_000 + GRACE)
    assert len(closed) == len({(bar.instrument, bar.timeframe, bar.start_us) for bar in closed})
    assert {fields(bar) for bar in closed} == expected(told)
    assert all(bar.complete for bar in closed), "all began after it was heard from"
    assert all(bar.low <= bar.open <= bar.high and bar.low <= bar.close <= bar.high for bar in closed)
    starts: dict[tuple[str, str], int] = {}
    for bar in closed:
        assert starts.get((bar.instrument, bar.timeframe.name), -1) < bar.start_us, "in order"
        starts[bar.instrument, bar.timeframe.name] = bar.start_us


@settings(max_examples=60)
@given(STEPS, st.integers(0, 60 * MINUTE), st.lists(st.integers(0, 60), max_size=3))
def test_bar_is_complete_only_where_it_was_heard_from_its_start_without_interruption(
    steps: list[tuple[int, bool, int, str]], since: int, interrupts: list[int]
) -> None:
    builder = BarBuilder(FRAMES, since_us=START + since, grace_us=GRACE)
    now, closed, missed = START + since, [], [START + since]
    for number, (step, _, price, instrument) in enumerate(steps):
        now += step
        if number in interrupts:
            builder.interrupt(now)
            missed.append(now)
        closed += builder.hear(quote(now, price, instrument), now)
    closed += builder.close(now + 3_600_000_000 + GRACE)
    for bar in closed:
        # A bar that was closed before an interruption is not touched by it.
        if bar.complete:
            assert not any(bar.start_us - SURE_AFTER_US < at < bar.end_us for at in missed)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(-20 * MINUTE, 20 * MINUTE), st.integers(-5 * MINUTE, 2_000_000)), max_size=60))
def test_whatever_the_clocks_do_no_bar_is_empty_or_of_an_interval_that_is_to_come(
    moves: list[tuple[int, int]],
) -> None:
    builder = BarBuilder(FRAMES, since_us=START, grace_us=GRACE)
    now = START
    for number, (move, ahead) in enumerate(moves, 1):
        now += move
        found = builder.close(now) + builder.hear(quote(now + ahead, number), now)
        for bar in found:
            assert bar.quote_count > 0
            assert bar.low <= bar.open <= bar.high
            assert bar.start_us <= now + SURE_AFTER_US
    assert all(bar.end_us <= now for bar in builder.end(now))


@pytest.mark.parametrize("text", ["7m", "0m", "1w", "1m,60s", "x", "m", "-1m", "1.5h", "2d", "25h", "٣m"])
def test_timeframes_divide_a_day_and_differ(text: str) -> None:
    with pytest.raises(ValueError, match="expected "):
        parse_timeframes(text)


def test_timeframes_are_sorted_and_bounded() -> None:
    assert [frame.name for frame in parse_timeframes("1d, 4h,1m,")] == ["1m", "4h", "1d"]
    assert parse_timeframes("") == ()
    with pytest.raises(ValueError, match="at most 12"):
        parse_timeframes("1s,2s,3s,4s,5s,6s,8s,9s,10s,12s,15s,16s,18s")


def test_late_quote_is_left_out_once_the_clock_has_closed_its_bar() -> None:
    builder = BarBuilder(FRAMES[:1], since_us=SINCE, grace_us=GRACE)
    builder.hear(quote(START, 10), START)
    # Within the grace it is still taken.
    assert builder.close(START + MINUTE + GRACE - 1) == []
    builder.hear(quote(START + MINUTE - 1, 30), START + MINUTE + 1)
    (bar,) = builder.close(START + MINUTE + GRACE)
    assert (bar.high, bar.quote_count, bar.complete) == (30, 2, True)
    builder.hear(quote(START + MINUTE - 1, 99), START + MINUTE + GRACE)
    assert builder.close(START + 2 * MINUTE + GRACE) == []


def test_old_quote_makes_no_bar() -> None:
    builder = BarBuilder(FRAMES[:1], since_us=START, grace_us=GRACE)
    builder.hear(quote(START - 5 * MINUTE, 10), START)
    assert builder.close(START + MINUTE) == []


def test_bar_of_another_source_does_not_go_on_with_prices_of_the_one_before() -> None:
    builder = BarBuilder(FRAMES[:1], since_us=SINCE, grace_us=GRACE)
    builder.hear(quote(START, 64_000, source="simulated"), START)
    builder.hear(quote(START + 1, 100), START + 1)
    builder.hear(quote(START + 2, 101), START + 2)
    (bar,) = builder.close(START + MINUTE + GRACE)
    assert (bar.source, bar.open, bar.high, bar.complete) == ("pushed", 100, 101, False)
    builder.hear(quote(START + MINUTE, 102), START + MINUTE + GRACE)
    assert builder.close(START + 2 * MINUTE + GRACE)[0].complete


def test_whoever_builds_no_more_publishes_what_has_ended_as_not_complete_and_nothing_else() -> None:
    builder = BarBuilder(FRAMES, since_us=SINCE, grace_us=GRACE)
    builder.hear(quote(START, 10), START)
    (bar,) = builder.end(START + MINUTE)
    assert (bar.timeframe.name, bar.complete) == ("1m", False)


def test_middle_is_exact_and_has_at_most_18_decimals() -> None:
    assert middle(Decimal("64000.01"), Decimal("64000.02")) == Decimal("64000.015")
    assert middle(Decimal("0.000000000000000001"), Decimal("0.000000000000000002")) == Decimal("0.000000000000000002")
    long = Decimal("12345678901234567890.123456789012345678")
    assert middle(long, long) == long
