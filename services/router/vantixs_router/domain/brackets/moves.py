"""Where the stop belongs: where it began, or further on by break-even, reached targets and the best price."""

from dataclasses import replace
from decimal import Decimal

from vantixs.model.decimals import ZERO

from vantixs_router.domain.brackets.levels import HUNDRED, Level, LevelKind, is_better, round_price
from vantixs_router.domain.brackets.plan import SteppedKind
from vantixs_router.domain.brackets.state import ENTRY, Bracket


def stop_price(bracket: Bracket) -> Decimal | None:
    """The price of the stop now; None where none is planned and none was reached."""
    first, moved = bracket.plan.stop_price(bracket.base_price), bracket.moved_stop
    if first is None or moved is None:
        return moved if first is None else first
    return moved if is_better(moved, first, long=bracket.plan.long) else first


def move_stop(bracket: Bracket) -> Bracket:
    """The bracket with its stop moved on, where something asks for it. A stop never moves back."""
    if not bracket.entered:
        return bracket
    long, now = bracket.plan.long, stop_price(bracket)
    moved = now
    for price in (_stepped_price(bracket), _break_even_price(bracket), _trailing_price(bracket, now)):
        if price is not None and (moved is None or is_better(price, moved, long=long)):
            moved = price
    return bracket if moved == now else replace(bracket, moved_stop=moved)


def break_even_price(bracket: Bracket) -> Decimal:
    """The price at which an exit loses nothing, the fees of both sides paid, on the tick.

    A long of average price E, with entry fees of F a unit and an exit fee ratio of r, is even at (E + F) / (1 - r), rounded
    up; a short at (E - F) / (1 + r), rounded down. A long at 100 with 0.1 a unit and 0.001 is even at 100.2002..., 100.21.
    """
    plan, entered = bracket.plan, bracket.entered
    fees = sum((one.fee for one in bracket.executions if one.leg == ENTRY), ZERO) / entered if entered else ZERO
    average, ratio = bracket.average_entry or plan.entry_price, plan.exit_fee_ratio
    price = (average + fees) / (1 - ratio) if plan.long else (average - fees) / (1 + ratio)
    return round_price(price, plan.rules.tick_size, up=plan.long)


def _break_even_price(bracket: Bracket) -> Decimal | None:
    level, best = bracket.plan.break_even_at, bracket.best_price
    if level is None or best is None or is_better(_at(bracket, level), best, long=bracket.plan.long):
        return None
    return break_even_price(bracket)


def _stepped_price(bracket: Bracket) -> Decimal | None:
    stepped, reached = bracket.plan.stepped, bracket.reached
    if stepped is None or reached < stepped.after_target:
        return None
    prices = bracket.target_prices
    match stepped.kind:
        case SteppedKind.BREAKEVEN:
            return break_even_price(bracket)
        case SteppedKind.MOVING_TARGET:
            return prices[reached - 2] if reached > 1 else break_even_price(bracket)
        case SteppedKind.MOVING_2_TARGET:
            if reached == 1:
                return None
            return prices[reached - 3] if reached > 2 else break_even_price(bracket)
        case SteppedKind.PERCENT_BELOW_TRIGGER:
            return _behind(bracket, prices[reached - 1], (stepped.percent or ZERO) * prices[reached - 1] / HUNDRED)
        case SteppedKind.PERCENT_BELOW_HIGHEST:
            # A target that was filled is seen at its price at least.
            seen, price = bracket.best_price, prices[reached - 1]
            best = seen if seen is not None and is_better(seen, price, long=bracket.plan.long) else price
            return _behind(bracket, best, (stepped.percent or ZERO) * best / HUNDRED)


def _trailing_price(bracket: Bracket, now: Decimal | None) -> Decimal | None:
    trailing, best, long = bracket.plan.trailing, bracket.best_price, bracket.plan.long
    if trailing is None or best is None:
        return None
    if trailing.activation is not None and is_better(_at(bracket, trailing.activation), best, long=long):
        return None
    distance = trailing.distance
    amount = distance.value if distance.kind is LevelKind.AMOUNT else best * distance.value / HUNDRED
    price = _behind(bracket, best, amount)
    if now is not None and abs(price - now) < trailing.step:
        return None
    return price


def _at(bracket: Bracket, level: Level) -> Decimal:
    return bracket.plan.target_price(level, bracket.base_price)


def _behind(bracket: Bracket, price: Decimal, distance: Decimal) -> Decimal:
    long = bracket.plan.long
    return round_price(price - distance if long else price + distance, bracket.plan.rules.tick_size, up=long)
