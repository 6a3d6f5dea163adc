"""The rules of a bracket, one at a time, with numbers worked out by hand."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

import pytest
from vantixs_router.domain.brackets import events
from vantixs_router.domain.brackets.commands import (
    CancelEntry,
    CancelLeg,
    CloseNow,
    Command,
    LegKind,
    PlaceLeg,
    Report,
    Why,
)
from vantixs_router.domain.brackets.encode import from_dict, to_dict
from vantixs_router.domain.brackets.levels import Level, LevelKind, PlanError
from vantixs_router.domain.brackets.moves import break_even_price, stop_price
from vantixs_router.domain.brackets.plan import (
    Base,
    Plan,
    Rules,
    Stepped,
    SteppedKind,
    TakeProfit,
    Trailing,
    settle_plan,
)
from vantixs_router.domain.brackets.state import LegState, Mode
from vantixs_router.domain.brackets.step import open_bracket, step, wake_time
from vantixs_router.domain.brackets.words import describe_bracket, describe_plan

START = datetime(2026, 11, 27, tzinfo=UTC)
RULES = Rules(D("0.01"), D("0.1"))


def price(value: str) -> Level:
    return Level(LevelKind.PRICE, D(value))


def percent(value: str) -> Level:
    return Level(LevelKind.PERCENT, D(value))


def amount(value: str) -> Level:
    return Level(LevelKind.AMOUNT, D(value))


def target(level: str, share: str = "") -> TakeProfit:
    return TakeProfit(price(level), D(share) if share else None)


LONG = Plan(True, D(100), RULES, price("90"), exit_fee_ratio=D("0.001"))
SHORT = replace(LONG, long=False, stop_loss=price("110"))


class BracketRun:
    """Tells events to a bracket, each second one, and remembers what was commanded."""

    def __init__(self, plan: Plan, quantity: str = "1") -> None:
        self.bracket = open_bracket(settle_plan(plan, D(quantity)).plan, START)
        self.now = START
        self.count = 0

    def tell(self, event: events.Event) -> tuple[Command, ...]:
        self.bracket, commands = step(self.bracket, event)
        assert step(self.bracket, event) == (self.bracket, ()), "told twice is as once"
        assert from_dict(json.loads(json.dumps(to_dict(self.bracket)))) == self.bracket
        return commands

    def id(self) -> str:
        self.count += 1
        return f"x{self.count}"

    def enter(self, quantity: str, at: str = "100", fee: str = "0") -> tuple[Command, ...]:
        return self.tell(events.EntryFilled(self.now, self.id(), D(quantity), D(at), D(fee)))

    def end_entry(self) -> tuple[Command, ...]:
        return self.tell(events.EntryEnded(self.now))

    def accept(self, *legs: int) -> tuple[Command, ...]:
        return sum((self.tell(events.LegAccepted(self.now, leg)) for leg in legs), ())

    def fill(self, leg: int, quantity: str, at: str = "100") -> tuple[Command, ...]:
        return self.tell(events.LegFilled(self.now, leg, self.id(), D(quantity), D(at), D(0)))

    def cancelled(self, leg: int, filled: str = "0") -> tuple[Command, ...]:
        return self.tell(events.LegCancelled(self.now, leg, D(filled)))

    def reject(self, leg: int) -> tuple[Command, ...]:
        return self.tell(events.LegRejected(self.now, leg, "no"))

    def doubt(self, leg: int) -> tuple[Command, ...]:
        return self.tell(events.LegInDoubt(self.now, leg))

    def resolve(self, leg: int, working: bool, filled: str = "0") -> tuple[Command, ...]:
        return self.tell(events.LegResolved(self.now, leg, working, D(filled)))

    def see(self, at: str) -> tuple[Command, ...]:
        return self.tell(events.PriceSeen(self.now, D(at)))

    def wait(self, seconds: float) -> tuple[Command, ...]:
        self.now += timedelta(seconds=seconds)
        return self.tell(events.Tick(self.now))

    def opened(self, quantity: str = "1") -> "BracketRun":
        """Entered at 100, the entry ended, every leg accepted."""
        self.enter(quantity)
        self.end_entry()
        self.accept(*range(1, len(self.bracket.legs) + 1))
        return self


def orders(commands: tuple[Command, ...]) -> list[Command]:
    return [command for command in commands if not isinstance(command, Report)]


def reasons(commands: tuple[Command, ...]) -> list[Why]:
    return [command.reason for command in commands if isinstance(command, Report)]


def stop(leg: int, quantity: str, at: str, *, buy: bool = False) -> PlaceLeg:
    return PlaceLeg(leg, LegKind.STOP, buy, D(quantity), D(at))


def take(leg: int, number: int, quantity: str, at: str, *, buy: bool = False) -> PlaceLeg:
    return PlaceLeg(leg, LegKind.TARGET, buy, D(quantity), D(at), number)


# The plan.


@pytest.mark.parametrize(
    ("plan", "stop_at", "target_at"),
    [
        # A long at 101.03: 5 percent are 5.0515, 95.9785 rounds up to 95.98; 106.0815 rounds down to 106.08.
        (replace(LONG, entry_price=D("101.03"), stop_loss=percent("5"), take_profits=(TakeProfit(percent("5")),)),
         "95.98", "106.08"),
        # A short: its stop at 106.0815 rounds down, its target at 95.9785 rounds up.
        (replace(SHORT, entry_price=D("101.03"), stop_loss=percent("5"), take_profits=(TakeProfit(percent("5")),)),
         "106.08", "95.98"),
        (replace(LONG, stop_loss=amount("2.505"), take_profits=(TakeProfit(amount("2.505")),)), "97.5", "102.5"),
        (replace(LONG, stop_loss=price("89.991"), take_profits=(target("110.009"),)), "90", "110"),
    ],
)  # fmt: skip
def test_levels_are_rounded_towards_the_entry(plan: Plan, stop_at: str, target_at: str) -> None:
    settled = settle_plan(plan, D(1))
    assert (settled.stop_price, settled.target_prices) == (D(stop_at), (D(target_at),))


@pytest.mark.parametrize(
    ("plan", "text"),
    [
        (replace(LONG, stop_loss=price("100")), "stop_loss: expected a price below the entry at 100, was 100"),
        (replace(LONG, stop_loss=price("99.999")), "stop_loss: expected a price below the entry at 100, was 100.00"),
        (replace(SHORT, stop_loss=price("90")), "stop_loss: expected a price above the entry at 100, was 90"),
        (replace(LONG, stop_loss=percent("100")), r"stop_loss: expected a level and a price above 0, was 100 \(0"),
        (replace(LONG, take_profits=(target("90"),)), r"take_profits\[0\]: expected a price above the entry"),
        (replace(SHORT, take_profits=(target("110"),)), r"take_profits\[0\]: expected a price below the entry"),
        (replace(LONG, take_profits=(target("120"), target("110"))),
         r"take_profits\[1\]: expected a price above the target before at 120, was 110"),
        (replace(LONG, take_profits=(target("110", "60"), target("120", "50"))),
         "take_profits: expected shares of at most 100 percent together, was 110"),
        (replace(LONG, take_profits=(target("110", "100"), target("120"))),
         r"take_profits\[1\].share: expected a share, as the others leave nothing, was none"),
        (replace(LONG, take_profits=(target("110", "-1"),)), r"take_profits\[0\].share: expected more than 0"),
        (replace(LONG, trailing=Trailing(price("5"))), "trailing.distance: expected a percent or an amount"),
        (replace(LONG, trailing=Trailing(percent("5"), price("99"))), "trailing.activation: expected a price above"),
        (replace(LONG, stepped=Stepped(SteppedKind.BREAKEVEN)), "stepped.after_target: expected one of 0 targets"),
        (replace(LONG, take_profits=(target("110"),), stepped=Stepped(SteppedKind.PERCENT_BELOW_TRIGGER)),
         "stepped.percent: expected more than 0 and below 100, was None"),
        (replace(LONG, entry_price=D(0)), "entry_price: expected more than 0, was 0"),
        (replace(LONG, break_even_at=price("95")), "break_even_at: expected a price above the entry at 100, was 95"),
    ],
)  # fmt: skip
def test_plan_that_cannot_be_says_field_expectation_and_value(plan: Plan, text: str) -> None:
    with pytest.raises(PlanError, match=text) as caught:
        settle_plan(plan, D(1))
    assert caught.value.field
    assert caught.value.expected


@pytest.mark.parametrize(
    ("shares", "quantity", "parts", "runner"),
    [
        (["", "", ""], "1", ["0.3", "0.3", "0.4"], "0"),  # 0.333 each in lots of 0.1; the last takes the rest.
        (
            ["50", "", ""],
            "1",
            ["0.5", "0.2", "0.3"],
            "0",
        ),  # 25 and 25 percent of 1 are 0.25, in lots 0.2; the rest 0.3.
        (["50", "30"], "1", ["0.5", "0.3"], "0.2"),  # 20 percent run.
        (["50", "30"], "0.7", ["0.3", "0.2"], "0.2"),  # 0.35 and 0.21 in lots; the runner is what rounding leaves too.
        (["100"], "0.75", ["0.7"], "0.05"),  # Less than a lot has no order.
        (["", "", "", "", "", ""], "1", ["0.1", "0.1", "0.1", "0.1", "0.1", "0.5"], "0"),
    ],
)
def test_shares_sum_to_what_is_held(shares: list[str], quantity: str, parts: list[str], runner: str) -> None:
    targets = tuple(target(str(110 + 10 * n), share) for n, share in enumerate(shares))
    split = settle_plan(replace(LONG, take_profits=targets), D(quantity)).split
    assert split.quantities == tuple(map(D, parts))
    assert split.runner == D(runner)


@pytest.mark.parametrize(
    ("rules", "shares", "parts", "note"),
    [
        # At least 0.3: 0.2 goes with 0.4.
        (Rules(D("0.01"), D("0.1"), D("0.3")), ["20", "40", "40"], ["0", "0.6", "0.4"],
         "target 1 is too small for an order and goes with target 2"),
        # The last has no next one: it goes with the one before.
        (Rules(D("0.01"), D("0.1"), D("0.3")), ["40", "40", "20"], ["0.4", "0.6", "0"],
         "target 3 is too small for an order and goes with target 2"),
        # With a runner the stop is there for it.
        (Rules(D("0.01"), D("0.1"), D("0.3")), ["40", "20"], ["0.4", "0"],
         "target 2 is too small for an order: only the stop protects it"),
        # A notional of 25 at 110 takes 0.3 (33), not 0.2 (22).
        (Rules(D("0.01"), D("0.1"), D(0), D(25)), ["20", "80"], ["0", "1"],
         "target 1 is too small for an order and goes with target 2"),
        # Nothing is large enough but the whole.
        (Rules(D("0.01"), D("0.1"), D(1)), ["50", "50"], ["0", "1"],
         "target 1 is too small for an order and goes with target 2"),
    ],
)  # fmt: skip
def test_target_below_the_minimum_goes_with_the_next(
    rules: Rules, shares: list[str], parts: list[str], note: str
) -> None:
    targets = tuple(target(str(110 + 10 * n), share) for n, share in enumerate(shares))
    settled = settle_plan(replace(LONG, rules=rules, take_profits=targets), D(1))
    assert settled.split.quantities == tuple(map(D, parts))
    assert settled.split.notes == (note,)
    assert note in describe_plan(settled)


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


# What cannot be protected.


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


def test_words_say_each_leg_and_what_links_them() -> None:
    plan = replace(
        LONG, take_profits=(target("110", "50"), target("120", "30")), stepped=Stepped(SteppedKind.BREAKEVEN)
    )
    assert describe_plan(settle_plan(plan, D(1))) == (
        "stop at 90 for all that is held, measured from the average entry",
        "target 1 at 110 for 50%: 0.5",
        "target 2 at 120 for 30%: 0.3",
        "20% has no target: only the stop protects it",
        "from target 1 on the stop goes to break-even, fees of both sides included",
    )
    run = BracketRun(plan)
    run.enter("1")
    run.accept(1, 2)
    assert describe_bracket(run.bracket) == (
        "long 1 of 1 is held",
        "1 is protected at 90",
        "leg 1: stop at 90 for 1 works",
        "leg 2: target 1 at 110 for 0.5 works",
        "leg 3: target 2 at 120 for 0.3 was sent, without an answer so far",
        "stop and targets cancel one another: a target that fills makes the stop smaller, a stop that fills cancels all targets",
    )


def test_stored_bracket_lacks_no_field_without_a_default() -> None:
    stored = to_dict(BracketRun(LONG).bracket)
    del stored["told"]
    assert from_dict(stored) == BracketRun(LONG).bracket
    del stored["now"]
    with pytest.raises(KeyError, match="now"):
        from_dict(stored)


def test_event_of_a_leg_that_was_never_placed_is_told() -> None:
    bracket, commands = step(BracketRun(LONG).bracket, events.LegAccepted(START, 7))
    assert reasons(commands) == [Why.UNKNOWN_LEG]
    assert bracket == BracketRun(LONG).bracket
