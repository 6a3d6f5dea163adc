"""The rules of a bracket, one at a time, with numbers worked out by hand: from entry to end, sizes, what comes from outside."""

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
from vantixs_router.domain.brackets.state import Mode
from vantixs_router.domain.brackets.step import wake_time

from tests.support.brackets import LONG, SHORT, START, BracketRun, orders, reasons, stop, take, target

# From entry to end.


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("shares", [False, True])
@pytest.mark.parametrize("long", [True, False])
def test_targets_fill_one_after_the_other_to_the_end(count: int, shares: bool, long: bool) -> None:
    sign = 1 if long else -1
    levels = [100 + sign * 10 * (n + 1) for n in range(count)]
    # 6 units: equal parts (6, 3, 2, 1.5, 1.2 or 1 each), or 15 percent (0.9) each and the rest for the last.
    share = "15" if shares else ""
    targets = tuple(target(str(level), share if n < count - 1 else "") for n, level in enumerate(levels))
    run = BracketRun(replace(LONG if long else SHORT, take_profits=targets), "6")
    placed = orders(run.enter("6"))
    assert placed[0] == stop(1, "6", "90" if long else "110", buy=not long)
    parts = [D("0.9") if shares else D(6) / count for _ in levels[:-1]]
    parts.append(6 - sum(parts))
    assert placed[1:] == [take(n + 2, n + 1, str(parts[n]), str(levels[n]), buy=not long) for n in range(count)]
    run.end_entry()
    run.accept(*range(1, count + 2))
    left, stop_leg = D(6), 1
    for n in range(count):
        assert orders(run.fill(n + 2, str(parts[n]), str(levels[n]))) == [CancelLeg(stop_leg)]
        left -= parts[n]
        # Nothing of the old stop can fill any more: only now the new one is placed, for what is left.
        after = orders(run.cancelled(stop_leg))
        if left:
            stop_leg = len(run.bracket.legs)
            assert after == [stop(stop_leg, str(left), "90" if long else "110", buy=not long)]
            run.accept(stop_leg)
        else:
            assert after == []
    assert run.bracket.is_finished
    assert run.bracket.held == 0
    assert run.bracket.mode is Mode.OPEN


def test_stop_and_targets_are_sized_to_what_is_filled() -> None:
    run = BracketRun(replace(LONG, take_profits=(target("110", "50"), target("120", "50"))), "2")
    assert orders(run.enter("0.4")) == [stop(1, "0.4", "90"), take(2, 1, "0.2", "110"), take(3, 2, "0.2", "120")]
    run.accept(1, 2, 3)
    # The next 0.6 get a stop of their own beside the first one, so that the 0.4 stay protected.
    assert orders(run.enter("0.6")) == [stop(4, "0.6", "90"), take(5, 1, "0.3", "110"), take(6, 2, "0.3", "120")]
    run.accept(4, 5, 6)
    # A third stop is not added: the smaller joins what is new.
    assert orders(run.enter("0.2")) == [CancelLeg(1), CancelLeg(2), CancelLeg(3)]
    assert orders(run.cancelled(1)) == [stop(7, "0.6", "90")]


def test_stop_that_fills_cancels_targets_and_entry() -> None:
    run = BracketRun(replace(LONG, take_profits=(target("110"), target("120"))), "2")
    run.enter("1")
    run.accept(1, 2, 3)
    assert orders(run.fill(1, "1", "90")) == [CancelEntry(Why.STOP_FILLED), CancelLeg(2), CancelLeg(3)]
    run.cancelled(2)
    run.cancelled(3)
    assert not run.bracket.is_finished
    # What the entry fills before its cancel arrives is closed at once: the stop's price has been passed.
    assert orders(run.enter("0.3")) == [CloseNow(4, False, D("0.3"), Why.STOP_FILLED)]
    run.end_entry()
    run.fill(4, "0.3", "89")
    assert run.bracket.is_finished


def test_stop_that_ends_half_filled_is_closed_at_market() -> None:
    run = BracketRun(LONG).opened()
    assert orders(run.fill(1, "0.4", "90")) == []
    assert orders(run.cancelled(1, "0.4")) == [CloseNow(2, False, D("0.6"), Why.STOP_FILLED)]


def test_stop_that_does_not_fill_the_rest_is_replaced_by_the_market() -> None:
    run = BracketRun(LONG).opened()
    run.fill(1, "0.4", "90")
    assert wake_time(run.bracket) == START + timedelta(seconds=10)
    assert orders(run.wait(10)) == [CancelLeg(1)]
    assert orders(run.cancelled(1, "0.4")) == [CloseNow(2, False, D("0.6"), Why.STOP_NOT_FILLED)]


# Re-sizing, and fills that come late.


def test_nothing_takes_the_place_of_fills_that_were_announced_and_not_told() -> None:
    run = BracketRun(replace(LONG, take_profits=(target("110", "50"),))).opened()
    run.fill(2, "0.5", "110")
    # The stop lost 0.2 while it was cancelled. Held is 0.5; 0.2 are gone at the venue: at most 0.3 may be placed.
    assert orders(run.cancelled(1, "0.2")) == [stop(3, "0.3", "90")]
    assert orders(run.fill(1, "0.2", "90")) == []
    assert run.bracket.held == D("0.3")
    assert run.bracket.mode is Mode.STOPPED


def test_fill_after_a_cancel_is_counted_and_the_legs_are_made_smaller() -> None:
    run = BracketRun(replace(LONG, take_profits=(target("110", "50"), target("120", "50")))).opened()
    run.tell(events.OutsideFill(run.now, "o1", D("0.5")))  # Target 2 and the stop are too much now.
    assert orders(run.cancelled(3)) == []
    assert orders(run.cancelled(1)) == [stop(4, "0.5", "90")]
    run.accept(4)
    # The venue said that nothing of target 2 was filled, and now tells 0.2.
    commands = run.fill(3, "0.2", "120")
    assert reasons(commands) == [Why.FILL_AFTER_END]
    assert orders(commands) == [CancelLeg(4), CancelLeg(2)]
    assert orders(run.cancelled(4)) == [stop(5, "0.3", "90")]


def test_leg_in_doubt_is_not_replaced_until_it_is_known() -> None:
    run = BracketRun(LONG)
    run.enter("1")
    run.end_entry()
    assert run.doubt(1) == ()
    assert reasons(run.wait(10)) == [Why.PROTECTION_IN_DOUBT]
    assert orders(run.wait(10)) == []
    assert wake_time(run.bracket) is None
    # It never arrived, and the time without a stop is over: closed, not tried again.
    assert orders(run.resolve(1, False)) == [CloseNow(2, False, D(1), Why.UNPROTECTED_TOO_LONG)]


def test_leg_in_doubt_that_works_is_kept() -> None:
    run = BracketRun(LONG)
    run.enter("1")
    run.doubt(1)
    run.wait(3)
    assert run.resolve(1, True) == ()
    assert run.bracket.unprotected_since is None
    assert run.bracket.unprotected_longest_ms == 3000


def test_stop_in_doubt_that_never_arrived_is_placed_again_while_there_is_time() -> None:
    run = BracketRun(LONG)
    run.enter("1")
    run.doubt(1)
    run.wait(3)
    assert orders(run.resolve(1, False)) == [stop(2, "1", "90")]


def test_cancel_in_doubt_is_sent_again_once_the_leg_is_known_to_work() -> None:
    run = BracketRun(replace(LONG, take_profits=(target("110", "50"),))).opened()
    run.fill(2, "0.5", "110")
    assert orders(run.doubt(1)) == []
    assert orders(run.resolve(1, True)) == [CancelLeg(1)]
    assert orders(run.cancelled(1)) == [stop(3, "0.5", "90")]


# From outside.


def test_outside_reduction_makes_the_legs_smaller_the_last_target_first() -> None:
    run = BracketRun(replace(LONG, take_profits=(target("110", "40"), target("120", "60")))).opened()
    commands = run.tell(events.OutsideFill(run.now, "o1", D("0.5")))
    assert reasons(commands) == [Why.POSITION_REDUCED_OUTSIDE]
    # 0.5 are left: target 1 keeps its 0.4, target 2 keeps 0.1 of 0.6.
    assert orders(commands) == [CancelLeg(1), CancelLeg(3)]
    assert orders(run.cancelled(1)) == [stop(4, "0.5", "90")]
    assert orders(run.cancelled(3)) == [take(5, 2, "0.1", "120")]


def test_position_closed_outside_leaves_no_leg_and_no_entry() -> None:
    run = BracketRun(replace(LONG, take_profits=(target("110"),)), "2")
    run.enter("1")
    run.accept(1)
    commands = run.tell(events.PositionRead(run.now, D(0), run.bracket.revision))
    assert orders(commands) == [CancelEntry(Why.POSITION_CLOSED_OUTSIDE), CancelLeg(1)]
    # The target had no answer so far: it is cancelled once it is known to work.
    assert orders(run.accept(2)) == [CancelLeg(2)]


def test_position_read_before_a_fill_was_booked_does_not_count() -> None:
    run = BracketRun(replace(LONG, take_profits=(target("110", "50"),))).opened()
    revision = run.bracket.revision
    run.fill(2, "0.5", "110")
    assert run.tell(events.PositionRead(run.now, D("0.5"), revision)) == ()
    assert run.bracket.held == D("0.5")


def test_position_that_was_read_too_small_is_corrected_by_the_next_reading() -> None:
    run = BracketRun(LONG).opened()
    run.tell(events.PositionRead(run.now, D("0.4"), run.bracket.revision))
    assert run.bracket.held == D("0.4")
    run.tell(events.PositionRead(run.now, D(1), run.bracket.revision))
    assert run.bracket.held == D(1)
    assert reasons(run.tell(events.PositionRead(run.now, D(3), run.bracket.revision))) == [
        Why.POSITION_LARGER_THAN_KNOWN
    ]
    assert run.bracket.held == D(1)
