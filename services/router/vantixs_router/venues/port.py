"""The interface of a venue: what it can do, what it is asked, and what it answers.

A venue implements `Venue` and passes `tests/contract/router/test_venues.py`. No other module depends on which venue it is.
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
    """What a venue can do. An order that needs anything else is not sent to it.

    Attributes:
        order_types: the supported order types, each with its times in force; the first is used if an order asks for none.
        fee_bps: the highest fee, in basis points of notional.
        brackets: whether exits can rest that together never sell more than the position, so that stop and targets can rest
            at the same time.
        post_only, reduce_only: whether such orders are supported.
        idempotent_submits: whether a second order with a used client_order_id is for ever the same order. Then an
            order may be sent again if it is not known whether it arrived. False if the ids of filled orders can be
            used again.
        lookup_horizon_s: for how long the venue may answer that it does not know an order that it has. After that the order
            counts as absent.
        call_timeout_s: the time-out of one call.
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
        """The time in force for an order that asks for none; unspecified for an order type that is not supported."""
        return next(iter(self.order_types.get(order_type, ())), common_pb2.TIME_IN_FORCE_UNSPECIFIED)


@dataclass(frozen=True, slots=True)
class Submission:
    """An order to place, its instrument, the quote of its decision, and for an exit the quantity left to exit, if known."""

    order: order_pb2.Order
    instrument: Instrument
    decided_on: common_pb2.Quote = field(default_factory=common_pb2.Quote)
    exitable: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The venue has the order, and the order is open."""

    venue_order_id: str


@dataclass(frozen=True, slots=True)
class Executed:
    """All fills of the order so far, not only new ones.

    `ended` is None while the rest of the order is open, otherwise how the order ended: FILLED, CANCELED or EXPIRED.
    The filled quantity is the sum of the fills. `reason` is one of our reasons if it is known why the order was
    cancelled.
    """

    venue_order_id: str
    fills: tuple[order_pb2.Fill, ...]
    ended: "common_pb2.OrderState | None"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The venue refused the order and has nothing of it. `reason` is one of our reasons, `detail` is the venue's text."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class NotFound:
    """The venue answered that it does not know the order: not yet, or never."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """There is no answer, or none that can be relied on. The venue may have the order or not."""

    detail: str


Answer = Accepted | Executed | Rejected | NotFound | Unknown


class Venue(Protocol):
    """A venue. Each call ends within the time-out that the caller sets, and is not retried inside.

    If an adapter raises any other error than those named here, the outcome of the order counts as `Unknown`.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What the venue can do."""
        ...

    async def submit(self, submission: Submission, fence: Fence) -> Answer:
        """Places the order. `fence` is for venues that write to the router's own database.

        Raises:
            ServiceError: the order was not placed, because it could not be stored. Only venues with idempotent
                submits raise it.
            LeaseLost: the order was not placed, because another replica owns the lane.
        """
        ...

    async def query(self, order: order_pb2.Order, fence: Fence) -> Answer:
        """The state of the order with this client_order_id."""
        ...

    async def cancel(self, order: order_pb2.Order, fence: Fence) -> Answer:
        """Cancels the open part of the order and returns the order's state; NotFound if the venue does not know it."""
        ...

    async def follow(self, account_id: str, instrument: str) -> None:
        """Starts to report changes of orders of the account and instrument to this replica."""
        ...

    def leave(self, account_id: str, instrument: str) -> None:
        """Ends what `follow` started."""
        ...

    def see(self, account_id: str, instrument: str, quote: common_pb2.Quote, position: Decimal | None) -> bool:
        """Passes on a quote, or (with an unset quote) that time has passed. Returns whether an order may have changed.

        For a venue that fills orders from these quotes; a remote venue ignores them. `position` (signed base units) includes
        all fills that were reported. No other work on the account and instrument is in progress.
        """
        ...

    async def open_orders(self, account_id: str, instrument: str) -> list[str]:
        """The client_order_ids of all open orders there, also of orders that are not ours."""
        ...
