"""The plan of a bracket: what was asked for, checked against its side and its instrument, with every share said."""

from dataclasses import dataclass, replace
from decimal import ROUND_UP, Decimal, localcontext
from enum import StrEnum
from itertools import pairwise

from vantixs.model.decimals import EXACT, ZERO

from vantixs_router.domain.brackets.levels import HUNDRED, Level, LevelKind, PlanError, level_price
from vantixs_router.domain.brackets.quantities import Split, split_quantity

_SHARE_STEP = Decimal("1E-18")


class Base(StrEnum):
    """What percents and distances are measured from: the price of the first fill, or the average of all."""

    FIRST_ENTRY = "FIRST_ENTRY"
    AVERAGE_ENTRY = "AVERAGE_ENTRY"


class SteppedKind(StrEnum):
    """Where the stop goes once target n is reached; target 0 is break-even. Source: Cornix, "Trailing Stop-loss"."""

    BREAKEVEN = "BREAKEVEN"
    """To break-even, once."""
    MOVING_TARGET = "MOVING_TARGET"
    """To target n - 1."""
    MOVING_2_TARGET = "MOVING_2_TARGET"
    """To target n - 2; at the first target it stays."""
    PERCENT_BELOW_TRIGGER = "PERCENT_BELOW_TRIGGER"
    """So many percent of target n below it (above it, of a short)."""
    PERCENT_BELOW_HIGHEST = "PERCENT_BELOW_HIGHEST"
    """So many percent below the best price seen since the entry, and on with it."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the instrument takes. A minimum is 0 where reduce-only orders are exempt from it."""

    tick_size: Decimal
    lot_size: Decimal
    minimum_quantity: Decimal = ZERO
    minimum_notional: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class TakeProfit:
    """A target. `share` is in percent of what was entered; None takes an equal part of what the others leave."""

    level: Level
    share: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Trailing:
    """A stop that follows the best price at a distance.

    Attributes:
        distance: PERCENT of the best price, or AMOUNT.
        activation: from where on it follows, measured as a target is; None from the first fill.
        step: by how much a move must better the stop, in the quote asset; 0 is one tick. Every move is a cancel and a new
            order, and between them the position has no stop.
    """

    distance: Level
    activation: Level | None = None
    step: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Stepped:
    """A stop that moves when targets are reached, from target `after_target` on. `percent` is of the two kinds that name it."""

    kind: SteppedKind
    after_target: int = 1
    percent: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What protects a position.

    Attributes:
        long: the side of the position.
        entry_price: the price expected of the entry: its limit or trigger, or the quote; levels are measured from it until
            something is filled.
        rules: steps and minima of the instrument.
        stop_loss: None for none; then nothing bounds a loss, and no unprotected time is counted until a stop is there.
        take_profits: in the order in which they are reached.
        base: see `Base`; it is for stop and targets alike.
        break_even_at: the stop goes to break-even once this level is seen, measured as a target is.
        exit_fee_ratio: fee of the order that fills at the stop, for example 0.001.
        entry_triggers: the entry is a stop order, for which the price comes from the side of the stop: that the stop is seen
            before the entry says nothing then.
        unprotected_limit_s: how long a quantity may be held without a working stop before all is closed.
        retry_s: the first wait after a close that did not fill; it doubles up to 32 times this.
    """

    long: bool
    entry_price: Decimal
    rules: Rules
    stop_loss: Level | None = None
    take_profits: tuple[TakeProfit, ...] = ()
    base: Base = Base.AVERAGE_ENTRY
    trailing: Trailing | None = None
    stepped: Stepped | None = None
    break_even_at: Level | None = None
    exit_fee_ratio: Decimal = ZERO
    entry_triggers: bool = False
    unprotected_limit_s: int = 10
    retry_s: int = 2

    @property
    def shares(self) -> tuple[Decimal, ...]:
        """The shares of a settled plan, in percent."""
        return tuple(target.share or ZERO for target in self.take_profits)

    @property
    def has_runner(self) -> bool:
        """Whether a part has no target: only the stop protects it."""
        return sum(self.shares) < HUNDRED

    def stop_price(self, base: Decimal) -> Decimal | None:
        """Where the stop begins, when levels are measured from `base`."""
        if self.stop_loss is None:
            return None
        return level_price(self.stop_loss, base, self.rules.tick_size, above=not self.long)

    def target_price(self, level: Level, base: Decimal) -> Decimal:
        """Where a level on the side of profit lies."""
        return level_price(level, base, self.rules.tick_size, above=self.long)

    def target_prices(self, base: Decimal) -> tuple[Decimal, ...]:
        """The targets' prices."""
        return tuple(self.target_price(target.level, base) for target in self.take_profits)

    def is_below_minimum(self, quantity: Decimal, price: Decimal) -> bool:
        """Whether the venue takes no order of this size."""
        rules = self.rules
        return quantity < max(rules.minimum_quantity, rules.lot_size) or quantity * price < rules.minimum_notional


@dataclass(frozen=True, slots=True)
class SettledPlan:
    """A plan whose shares are all said, and what it comes to for an entry of a quantity at its entry price.

    Attributes:
        plan: to open a bracket with.
        stop_price: None without a stop loss.
        target_prices: on the tick.
        split: quantity of each target, and what was merged.
    """

    plan: Plan
    stop_price: Decimal | None
    target_prices: tuple[Decimal, ...]
    split: Split


def settle_plan(plan: Plan, quantity: Decimal) -> SettledPlan:
    """Checks a plan, and says what its legs are for an entry of `quantity`.

    Shares that nobody said divide what the others leave of 100 equally. Shares of less than 100 together leave a runner.

    Raises:
        PlanError: a level on the wrong side, targets out of order, shares above 100, or a number that cannot be.
    """
    with localcontext(EXACT):
        _check_numbers(plan, quantity)
        settled = replace(plan, take_profits=_say_shares(plan.take_profits))
        stop, targets = settled.stop_price(plan.entry_price), settled.target_prices(plan.entry_price)
        _check_sides(settled, stop, targets)
        _check_moves(settled)
        nothing = (ZERO,) * len(targets)
        return SettledPlan(
            settled, stop, targets, split_quantity(settled, targets, quantity, quantity, nothing, nothing)
        )


def _say_shares(targets: tuple[TakeProfit, ...]) -> tuple[TakeProfit, ...]:
    for number, target in enumerate(targets):
        if target.share is not None and not ZERO < target.share <= HUNDRED:
            raise PlanError(f"take_profits[{number}].share", "more than 0 and at most 100 percent", target.share)
    said = sum((target.share for target in targets if target.share is not None), ZERO)
    if said > HUNDRED:
        raise PlanError("take_profits", "shares of at most 100 percent together", said)
    unsaid = [number for number, target in enumerate(targets) if target.share is None]
    if not unsaid:
        return targets
    if said == HUNDRED:
        raise PlanError(f"take_profits[{unsaid[0]}].share", "a share, as the others leave nothing", "none")
    # Rounded up, so that a third of 6 is 2 and not a lot less; the last target takes what is left anyway.
    part = ((HUNDRED - said) / len(unsaid)).quantize(_SHARE_STEP, ROUND_UP)
    return tuple(replace(target, share=part) if target.share is None else target for target in targets)


def _check_numbers(plan: Plan, quantity: Decimal) -> None:
    rules = plan.rules
    for name, value in (
        ("entry_price", plan.entry_price),
        ("quantity", quantity),
        ("rules.tick_size", rules.tick_size),
        ("rules.lot_size", rules.lot_size),
        ("unprotected_limit_s", plan.unprotected_limit_s),
        ("retry_s", plan.retry_s),
    ):
        if value <= 0:
            raise PlanError(name, "more than 0", value)
    if not ZERO <= plan.exit_fee_ratio < 1:
        raise PlanError("exit_fee_ratio", "0 or more and below 1", plan.exit_fee_ratio)


def _check_sides(plan: Plan, stop: Decimal | None, targets: tuple[Decimal, ...]) -> None:
    """Each level is tested as it will be sent, on its tick."""
    loss, profit = ("below", "above") if plan.long else ("above", "below")
    sign = 1 if plan.long else -1
    for field, level, price in _named_levels(plan, stop, targets):
        if level.value <= 0 or price <= 0:
            raise PlanError(field, "a level and a price above 0", f"{level.value} ({price})")
        if level is plan.stop_loss and (plan.entry_price - price) * sign <= 0:
            raise PlanError(field, f"a price {loss} the entry at {plan.entry_price}", price)
        if level is not plan.stop_loss and (price - plan.entry_price) * sign <= 0:
            raise PlanError(field, f"a price {profit} the entry at {plan.entry_price}", price)
    for number, (near, far) in enumerate(pairwise(targets), 1):
        if (far - near) * sign <= 0:
            raise PlanError(f"take_profits[{number}]", f"a price {profit} the target before at {near}", far)


def _named_levels(plan: Plan, stop: Decimal | None, targets: tuple[Decimal, ...]) -> list[tuple[str, Level, Decimal]]:
    named = [
        (f"take_profits[{number}]", target.level, targets[number]) for number, target in enumerate(plan.take_profits)
    ]
    if plan.stop_loss is not None and stop is not None:
        named.append(("stop_loss", plan.stop_loss, stop))
    for field, level in (
        ("break_even_at", plan.break_even_at),
        ("trailing.activation", plan.trailing.activation if plan.trailing else None),
    ):
        if level is not None:
            named.append((field, level, plan.target_price(level, plan.entry_price)))
    return named


def _check_moves(plan: Plan) -> None:
    if plan.trailing is not None:
        distance, field = plan.trailing.distance, "trailing.distance"
        if distance.kind is LevelKind.PRICE:
            raise PlanError(field, "a percent or an amount", "a price")
        most = HUNDRED if distance.kind is LevelKind.PERCENT else plan.entry_price
        if not ZERO < distance.value < most:
            raise PlanError(field, f"more than 0 and below {most}", distance.value)
        if plan.trailing.step < 0:
            raise PlanError("trailing.step", "0 or more", plan.trailing.step)
    if plan.stepped is None:
        return
    if not 1 <= plan.stepped.after_target <= len(plan.take_profits):
        raise PlanError("stepped.after_target", f"one of {len(plan.take_profits)} targets", plan.stepped.after_target)
    percent = plan.stepped.percent
    if not plan.stepped.kind.name.startswith("PERCENT"):
        if percent is not None:
            raise PlanError("stepped.percent", f"none for {plan.stepped.kind}", percent)
    elif percent is None or not ZERO < percent < HUNDRED:
        raise PlanError("stepped.percent", "more than 0 and below 100", percent)
