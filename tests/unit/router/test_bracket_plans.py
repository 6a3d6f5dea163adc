"""The plan of a bracket: its levels, its shares, what it refuses, its words and how it is stored."""

from dataclasses import replace
from decimal import Decimal as D

import pytest
from vantixs_router.domain.brackets import events
from vantixs_router.domain.brackets.commands import (
    Why,
)
from vantixs_router.domain.brackets.encode import from_dict, to_dict
from vantixs_router.domain.brackets.levels import PlanError
from vantixs_router.domain.brackets.plan import (
    Plan,
    Rules,
    Stepped,
    SteppedKind,
    TakeProfit,
    Trailing,
    settle_plan,
)
from vantixs_router.domain.brackets.step import step
from vantixs_router.domain.brackets.words import describe_bracket, describe_plan

from tests.support.brackets import LONG, SHORT, START, BracketRun, amount, percent, price, reasons, target


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
