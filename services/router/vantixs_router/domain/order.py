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

_I, _S, _A, _P = State.INITIALIZED, State.SUBMITTED, State.ACCEPTED, State.PARTIALLY_FILLED
_C, _D = State.PENDING_CANCEL, State.IN_DOUBT
_FILLED, _CANCELED, _REJECTED, _EXPIRED = State.FILLED, State.CANCELED, State.REJECTED, State.EXPIRED
_COLUMNS = (
    Event.SUBMIT, Event.ACCEPT, Event.FILL, Event.FILL_ALL, Event.REQUEST_CANCEL, Event.REFUSE_CANCEL,
    Event.CANCEL, Event.REJECT, Event.EXPIRE, Event.LOSE, Event.MISS,
)  # fmt: skip
# A venue that rejects, or does not know, what it filled has no rest of it that works: the rest is canceled.
_ROWS = {
    #            SUBMIT     ACCEPT     FILL       FILL_ALL REQUEST_C  REFUSE_C   CANCEL     REJECT     EXPIRE     LOSE       MISS
    _I:         (_S,        _A,        _P,        _FILLED, _CANCELED, _I,        _CANCELED, _REJECTED, _EXPIRED,  _D,        _REJECTED),
    _S:         (_S,        _A,        _P,        _FILLED, _S,        _S,        _CANCELED, _REJECTED, _EXPIRED,  _D,        _REJECTED),
    _A:         (_A,        _A,        _P,        _FILLED, _C,        _A,        _CANCELED, _REJECTED, _EXPIRED,  _D,        _CANCELED),
    _P:         (_P,        _P,        _P,        _FILLED, _C,        _P,        _CANCELED, _CANCELED, _EXPIRED,  _D,        _CANCELED),
    _C:         (_C,        _C,        _C,        _FILLED, _C,        _A,        _CANCELED, _CANCELED, _EXPIRED,  _D,        _CANCELED),
    _D:         (_D,        _A,        _P,        _FILLED, _D,        _D,        _CANCELED, _REJECTED, _EXPIRED,  _D,        _REJECTED),
    _FILLED:    (_FILLED,   _FILLED,   _FILLED,   _FILLED, _FILLED,   _FILLED,   _FILLED,   _FILLED,   _FILLED,   _FILLED,   _FILLED),
    _CANCELED:  (_CANCELED, _CANCELED, _CANCELED, _FILLED, _CANCELED, _CANCELED, _CANCELED, _CANCELED, _CANCELED, _CANCELED, _CANCELED),
    _REJECTED:  (_REJECTED, _REJECTED, _CANCELED, _FILLED, _REJECTED, _REJECTED, _REJECTED, _REJECTED, _REJECTED, _REJECTED, _REJECTED),
    _EXPIRED:   (_EXPIRED,  _EXPIRED,  _EXPIRED,  _FILLED, _EXPIRED,  _EXPIRED,  _EXPIRED,  _EXPIRED,  _EXPIRED,  _EXPIRED,  _EXPIRED),
}  # fmt: skip
TRANSITIONS: dict[tuple[State, Event], State] = {
    (state, event): after for state, row in _ROWS.items() for event, after in zip(_COLUMNS, row, strict=True)
}


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
        return replace(self, state=state, reason=self.reason or (reason if state in ENDED - {_FILLED} else ""))

    def with_fills(self, fills: tuple[Fill, ...]) -> "OrderStatus":
        """The order with those of the fills that are new."""
        known = add_fills(self.fills, fills)
        if known == self.fills:
            return self
        event = Event.FILL if leaves_quantity(self.quantity, known) else Event.FILL_ALL
        status = replace(self, fills=known).after(event)
        return replace(status, reason="") if status.state is State.FILLED else status


# What the table cannot know: an order that is found to work, or is rejected, may have fills already.
_BY_QUANTITY = {_A: _P, _REJECTED: _CANCELED}
