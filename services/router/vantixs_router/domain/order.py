"""The states of an order, as one table: what a state becomes by what is heard of the order.

Nothing is heard exactly once or in order: answers come twice, late and overtaken by others. So the table says what every
event does in every state, quantities come from fills alone, and a fill counts whatever the state says (ADR 23).
"""

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from vantixs_router.domain.fills import Fill, add_fills, average_price, filled_quantity, leaves_quantity


class State(StrEnum):
    """States of an order. PENDING_CANCEL (FIX 39=6) is an order that works and for which a cancel is in flight."""

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
# What works at the venue cannot be rejected any more: a venue that says so, or does not know it, has canceled the rest.
_STOPS = {Event.REJECT: State.CANCELED, Event.MISS: State.CANCELED}
_NEVER = {Event.REJECT: State.REJECTED, Event.MISS: State.REJECTED}
# By state, what changes it; an event that is not named leaves the state as it is.
_CHANGES: dict[State, dict[Event, State]] = {
    State.INITIALIZED: {
        **_ENDS,
        **_NEVER,
        Event.SUBMIT: State.SUBMITTED,
        Event.ACCEPT: State.ACCEPTED,
        Event.REQUEST_CANCEL: State.CANCELED,
    },
    # A cancel cannot be sent for an order of which it is not known whether it arrived: it is asked for first.
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
    """How an order stands. Its quantities are those of its fills, whatever a venue sums up itself.

    Attributes:
        quantity: what was ordered, base units, above 0.
        fills: each execution once, in the order in which they were heard of.
        reason: why it ended other than filled; the first reason stands.
    """

    quantity: Decimal
    state: State = State.INITIALIZED
    fills: tuple[Fill, ...] = ()
    reason: str = ""

    @property
    def filled(self) -> Decimal:
        """Filled quantity; above `quantity` where a venue fills more than was ordered."""
        return filled_quantity(self.fills)

    @property
    def leaves(self) -> Decimal:
        """What is not filled, 0 or above. It still works only where the order has not ended."""
        return leaves_quantity(self.quantity, self.fills)

    @property
    def average_price(self) -> Decimal | None:
        """Quantity-weighted price of the fills; see `fills.average_price` for its rounding."""
        return average_price(self.fills)

    @property
    def ended(self) -> bool:
        """Whether nothing of it works any more, as far as was heard."""
        return self.state in ENDED

    def after(self, event: Event, reason: str = "") -> "OrderStatus":
        """The order once the event is heard. Fills are heard by `with_fills`."""
        state = TRANSITIONS[self.state, event]
        if self.fills and state in _BY_QUANTITY:
            state = _BY_QUANTITY[state]
        return replace(self, state=state, reason=self.reason or (reason if state in ENDED - {State.FILLED} else ""))

    def with_fills(self, fills: tuple[Fill, ...]) -> "OrderStatus":
        """The order with those of the fills that are new."""
        known = add_fills(self.fills, fills)
        if known == self.fills:
            return self
        event = Event.FILL if leaves_quantity(self.quantity, known) else Event.FILL_ALL
        status = replace(self, fills=known).after(event)
        return replace(status, reason="") if status.state is State.FILLED else status


# What the table cannot know: an order that is found to work, or is rejected, may have fills already.
_BY_QUANTITY = {State.ACCEPTED: State.PARTIALLY_FILLED, State.REJECTED: State.CANCELED}
