"""Where orders go: what a venue can do, what it is asked, what it answers.

A venue implements `Venue` and passes `tests/contract/router/test_venues.py`. Nothing else knows one venue from another.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.model.instruments import Instrument

from vantixs_router.fence import Fence


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a venue can do. What is not said here is not sent to it.

    Attributes:
        order_types: by order type that it takes, the times in force of such an order; the first is taken where none is asked for.
        fee_bps: its highest fee, basis points of notional.
        brackets: whether it takes exits that rest and never sell more than is held, so that stop and targets can rest together.
        post_only, reduce_only: whether it takes such orders.
        idempotent_submits: whether an order with a client_order_id that was used before is that order, for good. Then
            an order may be sent again where it is not known whether it arrived. Not so where ids of filled orders are free again.
        lookup_horizon_s: how long it has to answer that it does not know an order, before the order is called absent.
        call_timeout_s: the longest that one call may take.
    """

    order_types: Mapping["common_pb2.OrderType", tuple["common_pb2.TimeInForce", ...]]
    fee_bps: Decimal
    brackets: bool = False
    post_only: bool = False
    reduce_only: bool = False
    idempotent_submits: bool = False
    lookup_horizon_s: float = 30.0
    call_timeout_s: float = 10.0

    def time_in_force(self, order_type: "common_pb2.OrderType") -> "common_pb2.TimeInForce":
        """The time in force of an order that asks for none; unspecified for a type that it does not take."""
        return next(iter(self.order_types.get(order_type, ())), common_pb2.TIME_IN_FORCE_UNSPECIFIED)


@dataclass(frozen=True, slots=True)
class Submission:
    """An order to place, its instrument, the quote it was decided on, and where it is an exit what is left to exit, if known."""

    order: order_pb2.Order
    instrument: Instrument
    decided_on: common_pb2.Quote = field(default_factory=common_pb2.Quote)
    exitable: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The venue has the order, and it works."""

    venue_order_id: str


@dataclass(frozen=True, slots=True)
class Executed:
    """What was filled so far: all fills each time, not only new ones.

    `ended` is None while the rest works, otherwise how it ended: FILLED, CANCELED or EXPIRED. Filled is what the fills add up to.
    `reason` is one of ours where it is known why the order was canceled.
    """

    venue_order_id: str
    fills: tuple[order_pb2.Fill, ...]
    ended: "common_pb2.OrderState | None"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The venue refused the order; it holds nothing of it. `reason` is one of ours, `detail` the venue's words."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class NotFound:
    """The venue answers, and does not know the order: not yet, or never."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """No answer, or none that can be relied on: the order may be there or not."""

    detail: str


Answer = Accepted | Executed | Rejected | NotFound | Unknown


class Venue(Protocol):
    """A venue. Its calls end within the time-out that the caller sets, and do not call again by themselves.

    An adapter that raises anything but the errors named here has not said what became of the order: that is `Unknown`.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        ...

    async def submit(self, submission: Submission, fence: Fence) -> Answer:
        """Places the order. `fence` is for venues that write to the router's own database.

        Raises:
            ServiceError: it was not placed, as nothing could be stored; only of a venue with idempotent submits.
            LeaseLost: it was not placed, as another replica owns the lane.
        """
        ...

    async def query(self, order: order_pb2.Order, fence: Fence) -> Answer:
        """What became of the order with this client_order_id."""
        ...

    async def cancel(self, order: order_pb2.Order, fence: Fence) -> Answer:
        """Cancels what works of the order, and says what became of it; NotFound where it is not known."""
        ...

    async def follow(self, account_id: str, instrument: str) -> None:
        """From now on orders of the account and instrument are this replica's: it is told when one of them changes."""
        ...

    def leave(self, account_id: str, instrument: str) -> None:
        """They are not any more."""
        ...

    def see(self, account_id: str, instrument: str, quote: common_pb2.Quote, position: Decimal | None) -> bool:
        """A quote came, of which a venue that is elsewhere needs not be told; whether an order may stand otherwise now.

        Nothing of the account and instrument is on its way, and `position` (signed base units) has all fills that were told.
        An unset quote says that time has passed.
        """
        ...

    async def open_orders(self, account_id: str, instrument: str) -> list[str]:
        """client_order_ids of the orders that work there, our own and others'."""
        ...
