"""Stops of a bracket: positions that cannot be protected, entries too late, and stops that move."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D

import pytest
from vantixs_router.domain.brackets import events
from vantixs_router.domain.brackets.commands import (
    CancelEntry,
    CancelLeg,
    CloseNow,
    Why,
)
from vantixs_router.domain.brackets.moves import break_even_price, stop_price
from vantixs_router.domain.brackets.plan import (
    Base,
    Plan,
    Rules,
    Stepped,
    SteppedKind,
    Trailing,
)
from vantixs_router.domain.brackets.state import LegState
from vantixs_router.domain.brackets.step import wake_time

from tests.support.brackets import LONG, SHORT, START, BracketRun, amount, orders, percent, reasons, stop, target


def test_position_whose_stop_is_rejected_is_closed() -> None:
    run = BracketRun(replace(LONG, take_profits=(target("110"),)), "2")
    run.enter("1")
    run.accept(2)
    commands = run.reject(1)
    assert reasons(commands) == [Why.STOP_REJECTED]
    assert orders(commands) == [CancelEntry(Why.STOP_REJECTED), CancelLeg(2)]
    # The target could still sell: the close is for what is left once it cannot.
    assert orders(run.cancelled(2)) == [CloseNow(3, False, D(1), Why.STOP_REJECTED)]


def test_position_without_a_stop_for_too_long_is_closed() -> None:
    run = BracketRun(LONG).opened()
    run.enter("0.5", "100")
    assert run.bracket.unprotected_since == START
    assert wake_time(run.bracket) is None  # The second stop has no answer yet: nothing could be closed.
    run.now += timedelta(seconds=10)
    commands = run.cancelled(2)
    assert reasons(commands) == [Why.STOP_REPLACED, Why.UNPROTECTED_TOO_LONG]
    # 0.5 have no stop and are closed now; the 1 has one, which is cancelled first.
    assert orders(commands) == [CancelLeg(1), CloseNow(3, False, D("0.5"), Why.UNPROTECTED_TOO_LONG)]
    assert orders(run.cancelled(1)) == [CloseNow(4, False, D(1), Why.UNPROTECTED_TOO_LONG)]


def test_stop_cancelled_by_others_is_placed_again_twice_then_all_is_closed() -> None:
    run = BracketRun(LONG).opened()
    assert orders(run.cancelled(1)) == [stop(2, "1", "90")]
    assert orders(run.cancelled(2)) == [stop(3, "1", "90")]
    assert orders(run.cancelled(3)) == [CloseNow(4, False, D(1), Why.STOP_LOST_REPEATEDLY)]


def test_close_that_fails_is_tried_again_after_a_growing_wait() -> None:
    run = BracketRun(LONG).opened()
    run.reject(run.bracket.legs[-1].number)
    run.tell(events.CloseRequested(run.now, "wanted"))
    commands = run.reject(2)
    assert (reasons(commands), orders(commands)) == ([Why.CLOSE_FAILED], [])
    assert wake_time(run.bracket) == START + timedelta(seconds=2)
    assert orders(run.wait(2)) == [CloseNow(3, False, D(1), Why.STOP_REJECTED)]
    # A part fills, the venue ends the rest: 0.6 are tried again after 4 s.
    run.fill(3, "0.4", "95")
    run.cancelled(3, "0.4")
    assert wake_time(run.bracket) == START + timedelta(seconds=6)
    assert orders(run.wait(4)) == [CloseNow(4, False, D("0.6"), Why.STOP_REJECTED)]


def test_target_that_is_rejected_leaves_its_part_to_the_stop() -> None:
    run = BracketRun(replace(LONG, take_profits=(target("110"), target("120")))).opened()
    run.bracket = replace(run.bracket, legs=(*run.bracket.legs[:2], replace(run.bracket.legs[2], state=LegState.SENT)))
    commands = run.reject(3)
    assert (reasons(commands), orders(commands)) == ([Why.TARGET_REJECTED], [])
    assert orders(run.wait(60)) == []


def test_less_than_the_minimum_is_told_once_and_not_ordered() -> None:
    run = BracketRun(replace(LONG, rules=Rules(D("0.01"), D("0.1"), D("0.3"))))
    commands = run.enter("0.2")
    assert (reasons(commands), orders(commands)) == ([Why.BELOW_MINIMUM], [])
    assert run.wait(60) == ()
    assert orders(run.enter("0.2")) == [stop(1, "0.4", "90")]


# Before the entry is filled.


@pytest.mark.parametrize(
    ("plan", "seen", "reason"),
    [
        (LONG, "90", Why.STOP_REACHED_BEFORE_ENTRY),
        (LONG, "90.01", None),
        (LONG, "110", Why.TARGET_REACHED_BEFORE_ENTRY),
        (LONG, "109.99", None),
        (SHORT, "110", Why.STOP_REACHED_BEFORE_ENTRY),
        (SHORT, "90", Why.TARGET_REACHED_BEFORE_ENTRY),
        # A stop entry waits for a price that comes from the side of its stop loss.
        (replace(LONG, entry_triggers=True), "85", None),
        (replace(LONG, entry_triggers=True), "110", Why.TARGET_REACHED_BEFORE_ENTRY),
    ],
)
def test_entry_is_cancelled_where_stop_or_target_was_reached_first(plan: Plan, seen: str, reason: Why | None) -> None:
    run = BracketRun(replace(plan, take_profits=(target("110" if plan.long else "90"),)))
    assert run.see(seen) == ((CancelEntry(reason),) if reason else ())
    assert run.see(seen) == ()


# The stop moves.


def test_break_even_pays_the_fees_of_both_sides() -> None:
    run = BracketRun(LONG).opened()
    assert break_even_price(run.bracket) == D("100.11")  # 100 / 0.999 = 100.1001...
    # 1 at 100 and 1 at 102 with fees of 0.1 and 0.1: (101 + 0.1) / 0.999 = 101.2012..., and 101.21 * 0.999 = 101.1088 > 101.1.
    run = BracketRun(LONG, "2")
    run.enter("1", "100", "0.1")
    run.enter("1", "102", "0.1")
    assert break_even_price(run.bracket) == D("101.21")
    # A short at 100 with 0.1: 99.9 / 1.001 = 99.8001..., and 99.8 * 1.001 = 99.8998 < 99.9.
    run = BracketRun(SHORT)
    run.enter("1", "100", "0.1")
    assert break_even_price(run.bracket) == D("99.8")


@pytest.mark.parametrize(
    ("kind", "share", "stops"),
    [
        (SteppedKind.BREAKEVEN, None, ["100.11", "100.11", "100.11"]),
        (SteppedKind.MOVING_TARGET, None, ["100.11", "110", "120"]),
        (SteppedKind.MOVING_2_TARGET, None, ["90", "100.11", "110"]),
        (SteppedKind.PERCENT_BELOW_TRIGGER, "5", ["104.5", "114", "123.5"]),  # 5 percent below 110, 120, 130.
        (SteppedKind.PERCENT_BELOW_HIGHEST, "5", ["105.45", "114.95", "124.45"]),  # 5 percent below 111, 121, 131.
    ],
)
def test_stepped_trailing_as_cornix_names_it(kind: SteppedKind, share: str | None, stops: list[str]) -> None:
    targets = tuple(target(level, "10") for level in ("110", "120", "130"))
    stepped = Stepped(kind, percent=D(share) if share else None)
    run = BracketRun(replace(LONG, take_profits=targets, stepped=stepped)).opened()
    for seen, expected in zip(("111", "121", "131"), stops, strict=True):
        run.see(seen)
        assert stop_price(run.bracket) == D(expected)
    run.see("95")
    assert stop_price(run.bracket) == D(stops[-1]), "a stop never moves back"


def test_stepped_trailing_begins_at_the_target_that_was_named() -> None:
    targets = tuple(target(level) for level in ("110", "120"))
    run = BracketRun(replace(LONG, take_profits=targets, stepped=Stepped(SteppedKind.MOVING_TARGET, 2))).opened()
    run.see("115")
    assert stop_price(run.bracket) == D(90)
    run.see("120")
    assert stop_price(run.bracket) == D(110)


def test_trailing_follows_from_its_activation_on_and_moves_by_whole_steps() -> None:
    run = BracketRun(replace(LONG, trailing=Trailing(amount("4"), percent("10"), D(1)))).opened()
    assert run.see("109.99") == ()
    commands = run.see("110")  # 110 - 4
    assert (reasons(commands), orders(commands)) == ([Why.STOP_MOVED], [CancelLeg(1)])
    assert orders(run.cancelled(1)) == [stop(2, "1", "106")]
    run.accept(2)
    assert run.see("110.5") == ()  # 106.5 betters 106 by half a step.
    assert run.see("104") == ()
    assert orders(run.see("111")) == [CancelLeg(2)]
    assert orders(run.cancelled(2)) == [stop(3, "1", "107")]


def test_trailing_of_a_short_follows_downwards() -> None:
    run = BracketRun(replace(SHORT, trailing=Trailing(percent("5")))).opened()
    run.see("90")
    assert stop_price(run.bracket) == D("94.5")
    run.see("95")
    assert stop_price(run.bracket) == D("94.5")


def test_break_even_at_a_price_needs_no_target() -> None:
    run = BracketRun(replace(LONG, break_even_at=percent("3"))).opened()
    run.see("102.99")
    assert stop_price(run.bracket) == D(90)
    run.see("103")
    assert stop_price(run.bracket) == D("100.11")


def test_base_of_the_stop_is_the_first_fill_or_the_average() -> None:
    # 1 at 100 and 3 at 96 are 97 on average: 10 percent below are 90 and 87.3.
    for base, expected in ((Base.FIRST_ENTRY, "90"), (Base.AVERAGE_ENTRY, "87.3")):
        run = BracketRun(replace(LONG, stop_loss=percent("10"), base=base), "4")
        run.enter("1", "100")
        run.enter("3", "96")
        assert stop_price(run.bracket) == D(expected)


def test_stop_that_moves_is_cancelled_first_and_the_time_between_is_counted() -> None:
    run = BracketRun(replace(LONG, trailing=Trailing(percent("5")))).opened()
    run.see("110")
    assert run.bracket.unprotected_since == START
    run.wait(1)
    run.cancelled(1)
    run.wait(1)
    run.accept(2)
    assert (run.bracket.unprotected_since, run.bracket.unprotected_longest_ms) == (None, 2000)
