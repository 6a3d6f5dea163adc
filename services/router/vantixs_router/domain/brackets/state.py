"""The state of a bracket: what was booked, its legs, and what follows from both."""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum

from vantixs.model.decimals import ZERO

from vantixs_router.domain.brackets.commands import LegKind, Why
from vantixs_router.domain.brackets.levels import round_down
from vantixs_router.domain.brackets.plan import Base, Plan

ENTRY, OUTSIDE = 0, -1
_LAST_DECIMAL = Decimal("1E-18")


class LegState(StrEnum):
    """What is known of a leg. SENT is a command without an answer, CANCELLING one that works and for which a cancel was sent."""

    SENT = "SENT"
    WORKING = "WORKING"
    CANCELLING = "CANCELLING"
    IN_DOUBT = "IN_DOUBT"
    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"


ENDED = frozenset({LegState.FILLED, LegState.CANCELLED, LegState.REJECTED})


class Mode(StrEnum):
    """OPEN: as planned. STOPPED: a stop has filled something, what works of the stops goes on. CLOSING: all goes at once."""

    OPEN = "OPEN"
    STOPPED = "STOPPED"
    CLOSING = "CLOSING"


@dataclass(frozen=True, slots=True)
class Execution:
    """An execution that was booked: of leg `leg`, of the entry (0) or of an order outside the bracket (-1)."""

    leg: int
    execution_id: str
    quantity: Decimal
    price: Decimal
    fee: Decimal


@dataclass(frozen=True, slots=True)
class Leg:
    """An order of the bracket.

    Attributes:
        price: trigger of a stop, limit of a target; None of a close.
        target: number of the target, 0 of a stop or close.
        filled: sum of the executions that were told.
        announced: what the venue says was filled, once the leg has ended or was read; more than `filled` until all is told.
        cancel_sent: a cancel was asked for.
    """

    number: int
    kind: LegKind
    quantity: Decimal
    price: Decimal | None
    target: int = 0
    state: LegState = LegState.SENT
    filled: Decimal = ZERO
    announced: Decimal = ZERO
    cancel_sent: bool = False

    @property
    def ended(self) -> bool:
        """Whether nothing of it works any more."""
        return self.state in ENDED

    @property
    def leaves(self) -> Decimal:
        """What may still be filled, as far as was told: once it has ended, the executions that were announced and not told."""
        if self.ended:
            return max(min(self.announced, self.quantity) - self.filled, ZERO)
        return max(self.quantity - self.filled, ZERO)


@dataclass(frozen=True, slots=True)
class Bracket:
    """A bracket. Made by `step.open_bracket`, changed by `step.step`.

    Attributes:
        plan: a settled plan.
        now: the latest time that was told.
        executions: each once, in the order in which they were told.
        drift: what a reading of the position found missing, beyond all executions.
        revision: counts what changes the position: executions, and readings that counted.
        entry_ended: nothing of the entry works any more.
        entry_cancel: why the entry was cancelled, "" where it was not.
        legs: every one that was ever commanded, by number.
        given_up: targets, from 0, for which no order is placed any more.
        best_price: the best price since the first fill, in the direction of profit.
        reached: the furthest target that was seen or filled, from 1; 0 for none.
        moved_stop: where the stop was moved to; None while it is where it began.
        mode, mode_since, mode_reason: see `Mode`; since when, and why.
        stops_lost: how often a stop ended that nobody here had cancelled.
        unprotected_since: since when something is held without a working stop; None while nothing is.
        unprotected_longest_ms: the longest such time that ended.
        close_failures, close_retry: closes that did not fill, and when the next one is due.
        told: reports that are not repeated.
    """

    plan: Plan
    now: datetime
    executions: tuple[Execution, ...] = ()
    drift: Decimal = ZERO
    revision: int = 0
    entry_ended: bool = False
    entry_cancel: str = ""
    legs: tuple[Leg, ...] = ()
    given_up: tuple[int, ...] = ()
    best_price: Decimal | None = None
    reached: int = 0
    moved_stop: Decimal | None = None
    mode: Mode = Mode.OPEN
    mode_since: datetime | None = None
    mode_reason: str = ""
    stops_lost: int = 0
    unprotected_since: datetime | None = None
    unprotected_longest_ms: int = 0
    close_failures: int = 0
    close_retry: datetime | None = None
    told: tuple[str, ...] = ()

    @property
    def entered(self) -> Decimal:
        """What the entry filled."""
        return sum((one.quantity for one in self.executions if one.leg == ENTRY), ZERO)

    @property
    def exited(self) -> Decimal:
        """What legs and orders outside took."""
        return sum((one.quantity for one in self.executions if one.leg != ENTRY), ZERO)

    @property
    def held(self) -> Decimal:
        """What is held of it, 0 or above."""
        return max(self.entered - self.exited - self.drift, ZERO)

    @property
    def lots_held(self) -> Decimal:
        """What is held in whole lots: less than a lot cannot be ordered."""
        return round_down(self.held, self.plan.rules.lot_size)

    @property
    def average_entry(self) -> Decimal | None:
        """Quantity-weighted price of the entry, half to even at 18 decimals; None before the first fill."""
        entered = self.entered
        if not entered:
            return None
        paid = sum((one.quantity * one.price for one in self.executions if one.leg == ENTRY), ZERO)
        return (paid / entered).quantize(_LAST_DECIMAL, ROUND_HALF_EVEN)

    @property
    def base_price(self) -> Decimal:
        """What percents and distances are measured from now."""
        fills = [one for one in self.executions if one.leg == ENTRY]
        if not fills:
            return self.plan.entry_price
        if self.plan.base is Base.FIRST_ENTRY:
            return fills[0].price
        return self.average_entry or self.plan.entry_price

    @property
    def target_prices(self) -> tuple[Decimal, ...]:
        """The targets' prices now."""
        return self.plan.target_prices(self.base_price)

    @property
    def live_legs(self) -> tuple[Leg, ...]:
        """Legs of which something may still be filled, as far as was told."""
        return tuple(leg for leg in self.legs if not leg.ended or leg.leaves)

    @property
    def is_finished(self) -> bool:
        """Whether nothing works or is on its way, and nothing is held that could be ordered. A late fill begins it again."""
        if not self.entry_ended or self.live_legs:
            return False
        return is_dust(self, self.lots_held)

    def live_quantity(self, *kinds: LegKind) -> Decimal:
        """What legs of these kinds may still take."""
        return sum((leg.leaves for leg in self.live_legs if leg.kind in kinds), ZERO)

    def leg(self, number: int) -> Leg | None:
        """The leg of that number."""
        return self.legs[number - 1] if 1 <= number <= len(self.legs) else None

    def with_leg(self, leg: Leg) -> "Bracket":
        """The bracket with that leg in place of the one of its number."""
        return replace(self, legs=(*self.legs[: leg.number - 1], leg, *self.legs[leg.number :]))

    def in_mode(self, mode: Mode, reason: Why) -> "Bracket":
        """The bracket in a mode; a mode that was reached is never left for one before it, and its first reason stands."""
        order = list(Mode)
        if order.index(mode) <= order.index(self.mode):
            return self
        return replace(self, mode=mode, mode_since=self.now, mode_reason=reason.value)


def is_dust(bracket: Bracket, quantity: Decimal) -> bool:
    """Whether a quantity, 0 included, is too small for an order at the price of the entry."""
    return bracket.plan.is_below_minimum(quantity, bracket.base_price)
