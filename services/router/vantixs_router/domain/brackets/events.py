"""What a bracket can hear. `time` is when it is told; quantities are base units, prices and fees in the quote asset."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class EntryFilled:
    """An execution of the entry. A fee that was taken in the base asset is not in `quantity`, and is told times the price."""

    time: datetime
    execution_id: str
    quantity: Decimal
    price: Decimal
    fee: Decimal


@dataclass(frozen=True, slots=True)
class EntryEnded:
    """Nothing of the entry works any more, for whatever reason; fills may still be told late."""

    time: datetime


@dataclass(frozen=True, slots=True)
class LegAccepted:
    """The venue has the leg."""

    time: datetime
    leg: int


@dataclass(frozen=True, slots=True)
class LegFilled:
    """An execution of a leg."""

    time: datetime
    leg: int
    execution_id: str
    quantity: Decimal
    price: Decimal
    fee: Decimal


@dataclass(frozen=True, slots=True)
class LegCancelled:
    """Nothing of the leg works any more. `filled` is what the venue says was filled of it, read after the cancel."""

    time: datetime
    leg: int
    filled: Decimal


@dataclass(frozen=True, slots=True)
class LegRejected:
    """The venue did not take the leg."""

    time: datetime
    leg: int
    reason: str


@dataclass(frozen=True, slots=True)
class LegInDoubt:
    """It is not known whether the leg works."""

    time: datetime
    leg: int


@dataclass(frozen=True, slots=True)
class LegResolved:
    """What became of a leg in doubt: whether it works, and what the venue says was filled. One that never arrived: neither."""

    time: datetime
    leg: int
    working: bool
    filled: Decimal


@dataclass(frozen=True, slots=True)
class OutsideFill:
    """An execution, of an order that is no leg of this bracket, that took something of its position."""

    time: datetime
    execution_id: str
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class PositionRead:
    """What the venue says is held now, 0 or above, asked for when the bracket's revision was `revision`."""

    time: datetime
    quantity: Decimal
    revision: int


@dataclass(frozen=True, slots=True)
class PriceSeen:
    """A price at which the venue's stops trigger."""

    time: datetime
    price: Decimal


@dataclass(frozen=True, slots=True)
class CloseRequested:
    """Someone wants the position closed."""

    time: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""

    time: datetime


Event = (
    EntryFilled
    | EntryEnded
    | LegAccepted
    | LegFilled
    | LegCancelled
    | LegRejected
    | LegInDoubt
    | LegResolved
    | OutsideFill
    | PositionRead
    | PriceSeen
    | CloseRequested
    | Tick
)
