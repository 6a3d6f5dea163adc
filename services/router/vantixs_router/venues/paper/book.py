"""The paper orders of one account and instrument: open orders, and changes that are not written yet."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.model.decimals import ZERO, parse_decimal
from vantixs.model.instruments import Instrument

from vantixs_router.domain.matching.book import Book
from vantixs_router.domain.matching.events import (
    Canceled,
    CancelReason,
    Event,
    Expired,
    Filled,
    Rejected,
    RejectReason,
    Triggered,
)
from vantixs_router.domain.matching.orders import OpenOrder, OrderTerms, Stage
from vantixs_router.domain.matching.steps import add, subtract
from vantixs_router.domain.matching.taking import Assumptions
from vantixs_router.venues.paper.book_store import PaperOrder, key_of
from vantixs_router.venues.paper.terms import fill_of, quote_of

_CANCELED, _EXPIRED, _FILLED, _REJECTED = (
    common_pb2.OrderState.Name(state)
    for state in (
        common_pb2.ORDER_STATE_CANCELED,
        common_pb2.ORDER_STATE_EXPIRED,
        common_pb2.ORDER_STATE_FILLED,
        common_pb2.ORDER_STATE_REJECTED,
    )
)
_PARTS_OF_DISTANCE = 10
_REASONS = {
    CancelReason.CANCEL_REQUESTED: "CANCEL_REQUESTED",
    CancelReason.QUANTITY_REDUCED: "POSITION_REDUCED",
    CancelReason.IOC_REST_NOT_FILLED: "IOC_REST_NOT_FILLED",
    CancelReason.FOK_NOT_FILLABLE: "FOK_NOT_FILLABLE",
    CancelReason.SLIPPAGE_ABOVE_MAXIMUM: "SLIPPAGE_ABOVE_MAXIMUM",
    RejectReason.ORDER_INVALID: "ORDER_TERMS_INVALID",
    RejectReason.POST_ONLY_WOULD_TAKE: "POST_ONLY_WOULD_TAKE",
}


def new_order(order: order_pb2.Order, terms: OrderTerms) -> PaperOrder:
    """A new order, before it was matched with any quote."""
    opened = OpenOrder(terms, 0, Stage.ENTERING, terms.placed_time, terms.quantity, at_market=False)
    exits = order.effect == order_pb2.ORDER_EFFECT_EXIT
    key = key_of(order.account_id, order.instrument)
    return PaperOrder(terms.order_id, key, opened, "", "", (), order.entry_order_id, exits)


def let_in(
    order: PaperOrder,
    instrument: Instrument,
    assumptions: Assumptions,
    quote: common_pb2.Quote,
    assumed: tuple[str, ...],
    exitable: Decimal | None,
) -> PaperOrder:
    """The order after its first quote. Other open orders are not matched with that quote.

    `exitable` is the highest quantity that an exit may fill, if that is known.
    """
    if order.open is None:
        return order
    book, terms = Book(instrument, assumptions), order.open.terms
    if rejected := book.place(terms):
        return after_event(order, rejected, quote, assumed)
    if order.exits and exitable is not None and (ended := book.shrink(terms.order_id, exitable, terms.placed_time)):
        return after_event(order, ended, quote, assumed)
    if quote.bid:
        for event in book.apply(quote_of(quote, terms.placed_time)):
            order = after_event(order, event, quote, assumed)
    return order._replace(open=book.orders.get(terms.order_id))


def after_event(order: PaperOrder, event: Event, quote: common_pb2.Quote, assumed: tuple[str, ...] = ()) -> PaperOrder:
    """The order after the event."""
    match event:
        case Filled():
            filled = order._replace(fills=(*order.fills, fill_of(event, quote, assumed)))
            if event.leaves:
                return filled
            # An order whose quantity was reduced is not filled by its remaining quantity.
            if order.open and order.open.terms.quantity > _sum_of(filled.fills):
                reason = _REASONS[CancelReason.QUANTITY_REDUCED]
                return filled._replace(ended=_CANCELED, open=None, reason=reason)
            return filled._replace(ended=_FILLED, open=None)
        case Canceled():
            return order._replace(ended=_CANCELED, open=None, reason=_REASONS[event.reason])
        case Expired():
            return order._replace(ended=_EXPIRED, open=None)
        case Rejected():
            detail = f"{_REASONS[event.reason]}: {event.detail}" if event.detail else _REASONS[event.reason]
            return order._replace(ended=_REJECTED, open=None, reason=detail)
        case Triggered():
            return order


class PaperBook:
    """The open orders, in memory; `changed` are those that have to be written.

    If the changes cannot be written, the book is dropped and read again.
    """

    def __init__(self, instrument: Instrument, assumptions: Assumptions, orders: Iterable[PaperOrder]) -> None:
        self.orders = {order.client_order_id: order for order in orders}
        self.changed: set[str] = set()
        self._position: Decimal | None = None
        # The best prices of trailing stops as they are written; None before a stop starts to follow.
        self._marks = {i: order.open.water_mark for i, order in self.orders.items() if order.open}
        self._book = Book(instrument, assumptions, [order.open for order in self.orders.values() if order.open])

    @property
    def is_empty(self) -> bool:
        """Whether there are no open orders and no changes to write."""
        return not self._book.orders and not self.changed

    @property
    def next_sequence(self) -> int:
        """The sequence number of the next order."""
        return self._book.next_sequence

    def take_in(self, order: PaperOrder) -> None:
        """Adds an order that was accepted and rests."""
        self.orders[order.client_order_id] = order
        if order.open:
            self._marks[order.client_order_id] = order.open.water_mark
            self._book.take_in(order.open)

    def see(self, quote: common_pb2.Quote, now: datetime, position: Decimal | None = None) -> bool:
        """Matches the open orders with a quote; returns whether anything happened that has to be recorded.

        `position` is the position before the quote, in signed base units: no exit fills more.
        """
        self._position = position
        happened = self._cap_exits(now)
        for event in self._book.apply(quote_of(quote, now)):
            happened = True
            self._hear(event, quote, now)
        return self._note(happened)

    def pass_time(self, now: datetime) -> bool:
        """Ends expired orders; returns whether there were any."""
        due = self._book.next_time()
        if due is None or due > now:
            return False
        happened = False
        for event in self._book.advance(now):
            happened = True
            self._hear(event, common_pb2.Quote(), now)
        return self._note(happened)

    def cancel(self, client_order_id: str, now: datetime) -> None:
        """Cancels the open part of an order."""
        if event := self._book.cancel(client_order_id, now):
            self._hear(event, common_pb2.Quote(), now)
            self._note(happened=True)

    def written(self, orders: Iterable[PaperOrder]) -> None:
        """Marks these as written; ended ones are dropped."""
        for order in orders:
            if self.orders.get(order.client_order_id) is order:
                self.changed.discard(order.client_order_id)
                if order.open:
                    self._marks[order.client_order_id] = order.open.water_mark
                if order.ended:
                    del self.orders[order.client_order_id]
                    self._marks.pop(order.client_order_id, None)

    def to_write(self) -> list[PaperOrder]:
        """The orders that changed since they were written, in their current state."""
        for client_order_id in self.changed:
            order = self.orders[client_order_id]
            opened = self._book.orders.get(client_order_id)
            self.orders[client_order_id] = order._replace(open=opened)
        return [self.orders[client_order_id] for client_order_id in sorted(self.changed)]

    def _note(self, happened: bool) -> bool:
        moved = [i for i in self._book.take_changed() if i in self.orders]
        self.changed.update(moved)
        return happened or any(self._moved_far(i) for i in moved)

    def _moved_far(self, client_order_id: str) -> bool:
        """Whether a trailing stop has to be written now: it started to follow, or gained a tenth of its distance.

        A smaller move is written with the next event. So a crash loses less than a tenth of the distance, and a
        market that rises tick by tick does not cost a commit for each tick.
        """
        opened = self._book.orders.get(client_order_id)
        if opened is None or opened.water_mark is None or opened.stop_price is None:
            return False
        written = self._marks.get(client_order_id)
        if written is None:
            return True
        distance = abs(subtract(opened.water_mark, opened.stop_price))
        return abs(subtract(opened.water_mark, written)) * _PARTS_OF_DISTANCE >= distance

    def _hear(self, event: Event, quote: common_pb2.Quote, now: datetime) -> None:
        order = self.orders[event.order_id]
        self.orders[event.order_id] = after_event(order, event, quote)
        self.changed.add(event.order_id)
        if isinstance(event, Filled) and order.group:
            self._shrink_others(order, event.quantity, now)
        if isinstance(event, Filled) and self._position is not None:
            self._position = (add if event.buy else subtract)(self._position, event.quantity)
            self._cap_exits(now)

    def _cap_exits(self, now: datetime) -> bool:
        """Reduces every exit to the position; returns whether an exit ended by that."""
        ended = False
        if self._position is None:
            return False
        for order in list(self.orders.values()):
            opened = self._book.orders.get(order.client_order_id)
            if opened is None or not order.exits:
                continue
            room = max(-self._position if opened.terms.buy else self._position, ZERO)
            if opened.leaves <= room:
                continue
            self.changed.add(order.client_order_id)
            if event := self._book.shrink(order.client_order_id, room, now):
                self.orders[order.client_order_id] = after_event(order, event, common_pb2.Quote())
                ended = True
        return ended

    def _shrink_others(self, filled: PaperOrder, quantity: Decimal, now: datetime) -> None:
        """Reduces targets by the fill of a stop, and stops by the fill of a target: both are for the same quantity."""
        left = quantity
        others = [
            o for o in self.orders.values() if o.group == filled.group and o.open and _is_stop(o) != _is_stop(filled)
        ]
        for other in reversed(others):
            opened = self._book.orders.get(other.client_order_id)
            if opened is None or not left:
                continue
            taken = min(left, opened.leaves)
            left = subtract(left, taken)
            if event := self._book.shrink(other.client_order_id, subtract(opened.leaves, taken), now):
                self.orders[event.order_id] = after_event(other, event, common_pb2.Quote())
            self.changed.add(other.client_order_id)


def _sum_of(fills: Iterable[order_pb2.Fill]) -> Decimal:
    return sum((parse_decimal(fill.quantity) for fill in fills), ZERO)


def _is_stop(order: PaperOrder) -> bool:
    return order.open is not None and order.open.terms.stop_price is not None
