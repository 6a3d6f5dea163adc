"""How much of a position is for each target."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from vantixs.model.decimals import ZERO

from vantixs_router.domain.brackets.levels import HUNDRED, round_down


class _Steps(Protocol):
    @property
    def lot_size(self) -> Decimal: ...


class _Shares(Protocol):
    """What of a plan is needed here."""

    @property
    def shares(self) -> tuple[Decimal, ...]: ...
    @property
    def has_runner(self) -> bool: ...
    @property
    def rules(self) -> _Steps: ...
    def is_below_minimum(self, quantity: Decimal, price: Decimal) -> bool: ...


@dataclass(frozen=True, slots=True)
class Split:
    """What each target is to sell (of a long), in whole lots.

    Attributes:
        quantities: by target; 0 where it is done, merged into another, or nothing is left for it.
        runner: what has no target: a share that nobody asked to be sold, what is less than a lot, or too small for an order.
        notes: what was merged, in words.
    """

    quantities: tuple[Decimal, ...]
    runner: Decimal
    notes: tuple[str, ...] = ()


def split_quantity(
    plan: _Shares,
    prices: Sequence[Decimal],
    entered: Decimal,
    held: Decimal,
    filled: Sequence[Decimal],
    resting: Sequence[Decimal],
    given_up: frozenset[int] = frozenset(),
) -> Split:
    """The targets' quantities.

    Every target has its share of what was entered, rounded down to lots, less what it filled; without a runner the last takes
    the rest. Where less is held than they would sell, the last is cut first: the nearest are the likeliest, and the fewest
    orders change. A target too small for an order goes with the next one, the last with the one before.

    Args:
        plan: a settled plan.
        prices: of each target.
        entered: what the entry filled, base units.
        held: what is held of it.
        filled: what each target filled.
        resting: what rests at the venue for each target: that stays, whatever its size.
        given_up: numbers of targets, from 0, that get nothing any more.
    """
    lot, count = plan.rules.lot_size, len(prices)
    parts = [round_down(entered * share / HUNDRED, lot) for share in plan.shares]
    if parts and not plan.has_runner:
        parts[-1] = round_down(entered, lot) - sum(parts[:-1])
    open_targets = [number for number in range(count) if number not in given_up]
    left = sum((parts[number] - filled[number] for number in open_targets), ZERO)
    left = max(min(left, round_down(held, lot)), ZERO)
    wanted = [ZERO] * count
    for number in open_targets:
        wanted[number] = min(max(parts[number] - filled[number], ZERO), left)
        left -= wanted[number]
    # A target that sold more than its share, as a smaller one was merged into it, leaves what others are short of.
    notes = _merge_small(plan, prices, wanted, resting, open_targets)
    return Split(tuple(wanted), held - sum(wanted, ZERO), notes)


def _merge_small(
    plan: _Shares, prices: Sequence[Decimal], wanted: list[Decimal], resting: Sequence[Decimal], targets: list[int]
) -> tuple[str, ...]:
    carry, carried, notes = ZERO, list[int](), list[str]()
    for number in targets:
        rests = not carry and wanted[number] == resting[number]
        quantity = wanted[number] + carry
        if quantity and not rests and plan.is_below_minimum(quantity, prices[number]):
            carry, wanted[number] = quantity, ZERO
            carried.append(number)
            continue
        if carry and quantity:
            notes += [
                f"target {one + 1} is too small for an order and goes with target {number + 1}" for one in carried
            ]
            carry, carried = ZERO, []
        wanted[number] = quantity
    if not carry:
        return tuple(notes)
    before = [number for number in targets if wanted[number]]
    if before and not plan.has_runner:
        wanted[before[-1]] += carry
        return (
            *notes,
            *(f"target {one + 1} is too small for an order and goes with target {before[-1] + 1}" for one in carried),
        )
    return (*notes, *(f"target {one + 1} is too small for an order: only the stop protects it" for one in carried))
