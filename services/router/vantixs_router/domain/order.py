"""The states of an order, as one table: the next state for every event in every state.

Events do not arrive exactly once or in order: answers are repeated, late, and overtaken by others. So the table has every
event in every state, quantities come from fills alone, and a fill is booked in every state (ADR 23).
"""

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from vantixs_router.domain.fills import Fill, add_fills, average_price, filled_quantity, leaves_quantity


class State(StrEnum):
    """States of an order. PENDING_CANCEL (FIX 39=6) is an open order for which a cancel was sent."""

    INITIALIZED = "INITIALIZED"
    SUBMITTED = "SUBMITTED"
    ACCEPTED = "ACCEPTED"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    PENDING_CANCEL = "PENDING_CANCEL"
    IN_DOUBT = "IN_DOUBT"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"


class Event(StrEnum):
    """What is heard of an order. `FILL` is one that leaves a rest, `FILL_ALL` one that leaves none."""

    SUBMIT = "SUBMIT"
    ACCEPT = "ACCEPT"
    FILL = "FILL"
    FILL_ALL = "FILL_ALL"
    REQUEST_CANCEL = "REQUEST_CANCEL"
    REFUSE_CANCEL = "REFUSE_CANCEL"
    CANCEL = "CANCEL"
    REJECT = "REJECT"
    EXPIRE = "EXPIRE"
    LOSE = "LOSE"
    """The outcome of a call is not known."""
    MISS = "MISS"
    """The venue answers, and does not know the order: for so long that it will not come any more."""


ENDED = frozenset({State.FILLED, State.CANCELED, State.REJECTED, State.EXPIRED})
"""States that only a late fill changes."""

_ENDS = {
    Event.FILL: State.PARTIALLY_FILLED,
    Event.FILL_ALL: State.FILLED,
    Event.CANCEL: State.CANCELED,
    Event.EXPIRE: State.EXPIRED,
    Event.LOSE: State.IN_DOUBT,
}
# An open order cannot be rejected any more. A venue that rejects it, or does not know it, has cancelled the rest.
_STOPS = {Event.REJECT: State.CANCELED, Event.MISS: State.CANCELED}
_NEVER = {Event.REJECT: State.REJECTED, Event.MISS: State.REJECTED}
# For each state the events that change it; other events leave the state as it is.
_CHANGES: dict[State, dict[Event, State]] = {
    State.INITIALIZED: {
        **_ENDS,
        **_NEVER,
        Event.SUBMIT: State.SUBMITTED,
        Event.ACCEPT: State.ACCEPTED,
        Event.REQUEST_CANCEL: State.CANCELED,
    },
    # A cancel is not sent for an order that may not have arrived: the venue is asked about the order first.
    State.SUBMITTED: {**_ENDS, **_NEVER, Event.ACCEPT: State.ACCEPTED},
    State.IN_DOUBT: {**_ENDS, **_NEVER, Event.ACCEPT: State.ACCEPTED},
    State.ACCEPTED: {**_ENDS, **_STOPS, Event.REQUEST_CANCEL: State.PENDING_CANCEL},
    State.PARTIALLY_FILLED: {**_ENDS, **_STOPS, Event.REQUEST_CANCEL: State.PENDING_CANCEL},
    State.PENDING_CANCEL: {
        **_ENDS,
        **_STOPS,
        Event.FILL: State.PENDING_CANCEL,
        Event.REFUSE_CANCEL: State.ACCEPTED,
    },
    State.FILLED: {},
    State.CANCELED: {Event.FILL_ALL: State.FILLED},
    State.EXPIRED: {Event.FILL_ALL: State.FILLED},
    State.REJECTED: {Event.FILL: State.CANCELED, Event.FILL_ALL: State.FILLED},
}
TRANSITIONS: dict[tuple[State, Event], State] = {
    (state, event): changes.get(event, state) for state, changes in _CHANGES.items() for event in Event
}
"""What every event makes of every state."""


@dataclass(frozen=True, slots=True)
class OrderStatus:
    """The status of an order. Its quantities come from its fills, whatever totals a venue states.

    Attributes:
        quantity: ordered quantity, base units, above 0.
        fills: each execution once, in the order in which they became known.
        reason: why it ended without being filled; the first reason stays.
    """

    quantity: Decimal
    state: State = State.INITIALIZED
    fills: tuple[Fill, ...] = ()
    reason: str = ""

    @property
    def filled(self) -> Decimal:
        """Filled quantity; above `quantity` if a venue fills more than was ordered."""
        return filled_quantity(self.fills)

    @property
    def leaves(self) -> Decimal:
        """Quantity that is not filled, 0 or above. It is open only while the order has not ended."""
        return leaves_quantity(self.quantity, self.fills)

    @property
    def average_price(self) -> Decimal | None:
        """Quantity-weighted price of the fills; see `fills.average_price` for its rounding."""
        return average_price(self.fills)

    @property
    def ended(self) -> bool:
        """Whether nothing of the order is open, as far as known."""
        return self.state in ENDED

    def after(self, event: Event, reason: str = "") -> "OrderStatus":
        """The order after the event. For fills use `with_fills`."""
        state = TRANSITIONS[self.state, event]
        if self.fills and state in _BY_QUANTITY:
            state = _BY_QUANTITY[state]
        return replace(self, state=state, reason=self.reason or (reason if state in ENDED - {State.FILLED} else ""))

    def with_fills(self, fills: tuple[Fill, ...]) -> "OrderStatus":
        """The order with the new ones among these fills."""
        known = add_fills(self.fills, fills)
        if known == self.fills:
            return self
        event = Event.FILL if leaves_quantity(self.quantity, known) else Event.FILL_ALL
        status = replace(self, fills=known).after(event)
        return replace(status, reason="") if status.state is State.FILLED else status


# The table does not know fills: an order that is found open, or is rejected, may have fills already.
_BY_QUANTITY = {State.ACCEPTED: State.PARTIALLY_FILLED, State.REJECTED: State.CANCELED}
