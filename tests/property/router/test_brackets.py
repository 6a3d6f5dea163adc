"""Brackets against a small venue that answers late, twice, out of order or not at all, and fills what is being cancelled."""

from decimal import Decimal as D

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vantixs_router.domain.brackets import commands as do
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
from vantixs_router.domain.brackets.reconcile import protected_quantity
from vantixs_router.domain.brackets.state import Mode, is_dust
from vantixs_router.domain.brackets.step import step
from vantixs_router.domain.brackets.words import describe_bracket

from tests.support.bracket_world import CANCEL_FATES, ENTRY_QUANTITY, FATES, OPS, World
from tests.support.brackets import percent

EXAMPLES = 150  # The long tests have twenty times as many.
LIMIT_S = 10


@st.composite
def plans(draw: st.DrawFn, most_targets: int = 6) -> Plan:
    count = draw(st.integers(0, most_targets))
    shares = draw(st.sampled_from(["none", "some", "runner"]))
    targets = tuple(
        TakeProfit(percent(str(10 * (n + 1))), None if shares == "none" or (shares == "some" and n) else D(13))
        for n in range(count)
    )
    trailing = draw(st.sampled_from([None, Trailing(percent("5")), Trailing(percent("7"), percent("15"), D(1))]))
    kind = draw(st.sampled_from([None, *SteppedKind])) if count else None
    stepped = None
    if kind is not None:
        share = D(5) if kind.name.startswith("PERCENT") else None
        stepped = Stepped(kind, draw(st.integers(1, count)), share)
    rules = Rules(D("0.01"), D("0.1"), draw(st.sampled_from([D(0), D("0.3")])), draw(st.sampled_from([D(0), D(40)])))
    long = draw(st.booleans())
    base = draw(st.sampled_from(Base))
    plan = Plan(
        long, D(100), rules, percent("10"), targets, base, trailing, stepped, exit_fee_ratio=D("0.001"),
        unprotected_limit_s=LIMIT_S,
    )  # fmt: skip
    return settle_plan(plan, ENTRY_QUANTITY).plan


ACTS = st.lists(
    st.tuples(st.sampled_from(OPS), st.integers(0, 10_000), st.sampled_from(FATES), st.sampled_from(CANCEL_FATES)),
    min_size=10,
    max_size=60,
)


def run(plan: Plan, acts: list[tuple[str, int, str, str]], *, reduce_only: bool) -> World:
    world = World(plan, reduce_only)
    for act in acts:
        world.act(*act)
        assert describe_bracket(world.bracket)
    world.settle()
    return world


def check_end(world: World) -> None:
    bracket, venue = world.bracket, world.venue
    assert bracket.held == venue.position
    assert bracket.entered == venue.bought
    assert bracket.exited + bracket.drift == venue.sold
    assert venue.bought - venue.sold == venue.position >= 0
    live = [order for order in venue.orders.values() if order.live]
    assert sum(leg.leaves for leg in bracket.live_legs) == sum(o.command.quantity - o.filled for o in live)
    if not venue.position:
        assert not live, "nothing outlives its position"
        return
    if is_dust(bracket, bracket.lots_held):
        assert any(isinstance(c, do.Report) and c.reason is do.Why.BELOW_MINIMUM for c in world.done)
    else:
        assert bracket.mode is Mode.OPEN
        assert protected_quantity(bracket) == bracket.lots_held
        assert bracket.unprotected_since is None


def check_replay(world: World) -> None:
    bracket, again = world.start, list[do.Command]()
    for event in world.told:
        bracket, commands = step(bracket, event)
        again += commands
    assert bracket == world.bracket
    assert again == world.done


def run_and_check(plan: Plan, acts: list[tuple[str, int, str, str]]) -> None:
    world = run(plan, acts, reduce_only=True)
    check_end(world)
    check_replay(world)


def run_without_reduce_only(plan: Plan, acts: list[tuple[str, int, str, str]]) -> None:
    assert not plan.take_profits
    world = run(plan, acts, reduce_only=False)
    assert not world.venue.flipped
    check_end(world)


@settings(max_examples=EXAMPLES)
@given(plans(), ACTS)
def test_position_ends_protected_or_closed_and_no_leg_outlives_it(
    plan: Plan, acts: list[tuple[str, int, str, str]]
) -> None:
    run_and_check(plan, acts)


@settings(max_examples=EXAMPLES)
@given(plans(most_targets=0), ACTS)
def test_stops_and_closes_never_flip_a_position_even_where_the_venue_would(
    plan: Plan, acts: list[tuple[str, int, str, str]]
) -> None:
    run_without_reduce_only(plan, acts)


@pytest.mark.long
@settings(max_examples=20 * EXAMPLES)
@given(plans(), ACTS)
def test_position_ends_protected_or_closed_many_times(plan: Plan, acts: list[tuple[str, int, str, str]]) -> None:
    run_and_check(plan, acts)


@pytest.mark.long
@settings(max_examples=20 * EXAMPLES)
@given(plans(most_targets=0), ACTS)
def test_stops_and_closes_never_flip_a_position_many_times(plan: Plan, acts: list[tuple[str, int, str, str]]) -> None:
    run_without_reduce_only(plan, acts)
