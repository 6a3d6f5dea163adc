"""What happens to the orders of a matching book."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from vantixs_router.domain.matching.market import Seen


class FillKind(StrEnum):
    """How a fill came about. TRIGGERED is a stop that takes, at taker fees; what rests after a trigger is filled as a MAKER."""

    TAKER = "TAKER"
    MAKER = "MAKER"
    TRIGGERED = "TRIGGERED"


class CancelReason(StrEnum):
    """Why the rest of an order does not work any more."""

    CANCEL_REQUESTED = "CANCEL_REQUESTED"
    QUANTITY_REDUCED = "QUANTITY_REDUCED"
    IOC_REST_NOT_FILLED = "IOC_REST_NOT_FILLED"
    FOK_NOT_FILLABLE = "FOK_NOT_FILLABLE"
    SLIPPAGE_ABOVE_MAXIMUM = "SLIPPAGE_ABOVE_MAXIMUM"


class RejectReason(StrEnum):
    """Why an order never worked."""

    ORDER_INVALID = "ORDER_INVALID"
    POST_ONLY_WOULD_TAKE = "POST_ONLY_WOULD_TAKE"


@dataclass(frozen=True, slots=True)
class Filled:
    """An execution.

    Attributes:
        execution_id: order id and number; the same again where the same is matched again.
        leaves: what may still be filled; 0 ends the order.
        fee: in `fee_asset`; below 0 where the venue pays.
        seen: the input that made it.
        assumptions: what was assumed, in words.
    """

    order_id: str
    execution_id: str
    buy: bool
    quantity: Decimal
    price: Decimal
    leaves: Decimal
    kind: FillKind
    fee: Decimal
    fee_asset: str
    time: datetime
    seen: Seen
    assumptions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Triggered:
    """A stop that triggered at its stop price, by a reference that was here or beyond."""

    order_id: str
    stop_price: Decimal
    reference_price: Decimal
    time: datetime
    seen: Seen


@dataclass(frozen=True, slots=True)
class Canceled:
    """What was left of the order works no more."""

    order_id: str
    leaves: Decimal
    time: datetime
    reason: CancelReason


@dataclass(frozen=True, slots=True)
class Expired:
    """The time of a GTD order came; `time` is that time, however late it was noticed."""

    order_id: str
    leaves: Decimal
    time: datetime


@dataclass(frozen=True, slots=True)
class Rejected:
    """The order never worked."""

    order_id: str
    time: datetime
    reason: RejectReason
    detail: str = ""


Event = Filled | Triggered | Canceled | Expired | Rejected
