"""Compares the legs with those that should be open, and returns commands: first cancels, then new legs.

A new leg is placed only when the leg that it replaces cannot fill any more.
"""

from dataclasses import dataclass, replace
from decimal import Decimal

from vantixs.model.decimals import ZERO

from vantixs_router.domain.brackets.commands import CancelLeg, CloseNow, Command, LegKind, PlaceLeg, Why
from vantixs_router.domain.brackets.levels import round_down
from vantixs_router.domain.brackets.moves import stop_price
from vantixs_router.domain.brackets.quantities import split_quantity
from vantixs_router.domain.brackets.state import Bracket, Leg, LegState, Mode

STOP_SIDE = (LegKind.STOP, LegKind.CLOSE)
# A later fill of the entry adds a second stop, so that the first one stays open. More would exceed the venue's limit of orders.
_MOST_LEGS = 2

Done = tuple[Bracket, list[Command]]


@dataclass(frozen=True, slots=True)
class Want:
    """A leg that should be open: the stop (target 0) or a target, with price and quantity."""

    target: int
    price: Decimal
    quantity: Decimal

    @property
    def kind(self) -> LegKind:
        """The kind of its legs."""
        return LegKind.TARGET if self.target else LegKind.STOP


def reconcile(bracket: Bracket) -> Done:
    """Returns the bracket with the commands that bring its legs to what should be open.

    A cancel can change which other legs are wanted, so this repeats until nothing is left to do. It ends, because a
    leg that was placed cannot be cancelled before it is answered.
    """
    done: list[Command] = []
    while True:
        bracket, commands = _reconcile_once(bracket)
        if not commands:
            return bracket, done
        done += commands


def _reconcile_once(bracket: Bracket) -> Done:
    wants = wanted(bracket)
    commands: list[Command] = []
    named = {want.target for want in wants}
    for leg in bracket.legs:
        unwanted = not bracket.held if leg.kind is LegKind.CLOSE else leg.target not in named
        if unwanted and not (leg.kind is LegKind.STOP and bracket.mode is Mode.STOPPED):
            bracket = _cancel(bracket, leg, commands)
    if bracket.mode is Mode.STOPPED:
        bracket = _cancel_excess(bracket, commands)
    for want in wants:
        bracket = _bring(bracket, want, commands)
    if bracket.mode is not Mode.OPEN:
        bracket = _close(bracket, commands)
    return bracket, commands


def wanted(bracket: Bracket) -> tuple[Want, ...]:
    """The stop and the targets that an open bracket should have, each with its whole quantity.

    Those of quantity 0 are left out.
    """
    if bracket.mode is not Mode.OPEN or not bracket.held:
        return ()
    found = []
    price = stop_price(bracket)
    if price is not None and not bracket.plan.is_below_minimum(bracket.lots_held, price):
        found.append(Want(0, price, bracket.lots_held))
    prices = bracket.target_prices
    filled, resting = [ZERO] * len(prices), [ZERO] * len(prices)
    for leg in bracket.legs:
        if leg.target:
            filled[leg.target - 1] += leg.filled
            if not leg.ended and leg.state is not LegState.CANCELLING:
                resting[leg.target - 1] += leg.leaves
    split = split_quantity(
        bracket.plan, prices, bracket.entered, bracket.held, filled, resting, frozenset(bracket.given_up)
    )
    for number, quantity in enumerate(split.quantities):
        if quantity:
            found.append(Want(number + 1, prices[number], quantity))
    return tuple(found)


def _bring(bracket: Bracket, want: Want, commands: list[Command]) -> Bracket:
    """Cancels legs with another price and excess legs (newest first), and places what is missing."""
    good: list[Leg] = []
    for leg in bracket.legs:
        if not _is_of(leg, want) or leg.ended or leg.state is LegState.CANCELLING:
            continue
        if leg.price == want.price:
            good.append(leg)
        else:
            bracket = _cancel(bracket, leg, commands)
    for leg in reversed(good.copy()):
        if sum((one.leaves for one in good), ZERO) > want.quantity:
            good.remove(leg)
            bracket = _cancel(bracket, leg, commands)
    if any(_is_of(leg, want) and leg.state is LegState.CANCELLING for leg in bracket.legs):
        return bracket
    missing = want.quantity - sum((leg.leaves for leg in good), ZERO)
    kinds = (LegKind.TARGET,) if want.target else STOP_SIDE
    room = round_down(bracket.lots_held - bracket.live_quantity(*kinds), bracket.plan.rules.lot_size)
    quantity = min(missing, room)
    if quantity <= 0:
        return bracket
    if len(good) >= _MOST_LEGS or bracket.plan.is_below_minimum(quantity, want.price):
        # The missing quantity is joined with the smallest leg. If that leg cannot be cancelled yet, or another leg still
        # takes this quantity, it waits.
        working = sorted((leg for leg in good if leg.state is LegState.WORKING), key=lambda leg: leg.leaves)
        return _cancel(bracket, working[0], commands) if working and quantity == missing else bracket
    leg = Leg(len(bracket.legs) + 1, want.kind, quantity, want.price, want.target)
    commands.append(PlaceLeg(leg.number, leg.kind, not bracket.plan.long, quantity, want.price, want.target))
    return replace(bracket, legs=(*bracket.legs, leg))


def _cancel_excess(bracket: Bracket, commands: list[Command]) -> Bracket:
    """Cancels stops beyond the held quantity. Otherwise, stops stay open once one of them has filled."""
    left = bracket.lots_held
    for leg in bracket.legs:
        if leg.kind is LegKind.STOP and not leg.ended:
            bracket = _cancel(bracket, leg, commands) if leg.leaves > left else bracket
            left -= min(leg.leaves, left)
    return bracket


def _is_of(leg: Leg, want: Want) -> bool:
    return leg.kind is want.kind and leg.target == want.target


def _cancel(bracket: Bracket, leg: Leg, commands: list[Command]) -> Bracket:
    """Cancels a leg that is known to be open.

    A leg without an answer, or in doubt, is cancelled when its state is known.
    """
    if leg.state is not LegState.WORKING:
        return bracket
    commands.append(CancelLeg(leg.number))
    return bracket.with_leg(replace(leg, state=LegState.CANCELLING, cancel_sent=True))


def _close(bracket: Bracket, commands: list[Command]) -> Bracket:
    """Closes the quantity that no other exit can still take.

    It does not wait for a target in doubt: if the target fills as well, reduce-only prevents a second exit, and its
    answer may take long.
    """
    if bracket.close_retry is not None and bracket.now < bracket.close_retry:
        return bracket
    bracket = replace(bracket, close_retry=None)
    targets = (leg for leg in bracket.live_legs if leg.kind is LegKind.TARGET and leg.state is not LegState.IN_DOUBT)
    taken = bracket.live_quantity(*STOP_SIDE) + sum((leg.leaves for leg in targets), ZERO)
    quantity = round_down(bracket.lots_held - taken, bracket.plan.rules.lot_size)
    if bracket.plan.is_below_minimum(quantity, bracket.base_price):
        return bracket
    leg = Leg(len(bracket.legs) + 1, LegKind.CLOSE, quantity, None)
    commands.append(CloseNow(leg.number, not bracket.plan.long, quantity, Why(bracket.mode_reason)))
    return replace(bracket, legs=(*bracket.legs, leg))


def protected_quantity(bracket: Bracket) -> Decimal:
    """The quantity that open stops protect. A stop that is being cancelled, or is in doubt, does not count."""
    return sum((leg.leaves for leg in bracket.legs if leg.kind is LegKind.STOP and leg.state is LegState.WORKING), ZERO)


def closable_quantity(bracket: Bracket) -> Decimal:
    """The held quantity that neither a stop nor a close can still take."""
    return bracket.lots_held - bracket.live_quantity(*STOP_SIDE)
