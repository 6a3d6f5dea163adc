"""The paper orders of one account and instrument: what rests, and what was not written yet."""

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
    """An order that came, before it has met any quote."""
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
    """An order that meets its first quote, by itself: what rests beside it does not see that quote.

    `exitable` is what an exit may be filled for at most, where that is known.
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
    """The order once the event is heard."""
    match event:
        case Filled():
            filled = order._replace(fills=(*order.fills, fill_of(event, quote, assumed)))
            if event.leaves:
                return filled
            # One that was made smaller is not filled by what is left of it.
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
    """The orders that rest, in memory; `changed` are those that are to be written.

    It stands before what is written by as much as `changed` says: whoever cannot write it drops it, and reads it again.
    """

    def __init__(self, instrument: Instrument, assumptions: Assumptions, orders: Iterable[PaperOrder]) -> None:
        self.orders = {order.client_order_id: order for order in orders}
        self.changed: set[str] = set()
        self._position: Decimal | None = None
        # Water marks of trailing stops as they are written; None before a stop follows.
        self._marks = {i: order.open.water_mark for i, order in self.orders.items() if order.open}
        self._book = Book(instrument, assumptions, [order.open for order in self.orders.values() if order.open])

    @property
    def is_empty(self) -> bool:
        """Whether nothing rests, and all is written."""
        return not self._book.orders and not self.changed

    @property
    def next_sequence(self) -> int:
        """The place of the next order that is let in."""
        return self._book.next_sequence

    def take_in(self, order: PaperOrder) -> None:
        """An order that was let in, and rests."""
        self.orders[order.client_order_id] = order
        if order.open:
            self._marks[order.client_order_id] = order.open.water_mark
            self._book.take_in(order.open)

    def see(self, quote: common_pb2.Quote, now: datetime, position: Decimal | None = None) -> bool:
        """What rests meets a quote; whether anything happened that has to be told.

        `position` is what is held before it, in signed base units: no exit is filled for more.
        """
        self._position = position
        happened = self._cap_exits(now)
        for event in self._book.apply(quote_of(quote, now)):
            happened = True
            self._hear(event, quote, now)
        return self._note(happened)

    def pass_time(self, now: datetime) -> bool:
        """Ends what has expired; whether anything did."""
        due = self._book.next_time()
        if due is None or due > now:
            return False
        happened = False
        for event in self._book.advance(now):
            happened = True
            self._hear(event, common_pb2.Quote(), now)
        return self._note(happened)

    def cancel(self, client_order_id: str, now: datetime) -> None:
        """Cancels what works of an order."""
        if event := self._book.cancel(client_order_id, now):
            self._hear(event, common_pb2.Quote(), now)
            self._note(happened=True)

    def written(self, orders: Iterable[PaperOrder]) -> None:
        """These were written: what has ended is forgotten."""
        for order in orders:
            if self.orders.get(order.client_order_id) is order:
                self.changed.discard(order.client_order_id)
                if order.open:
                    self._marks[order.client_order_id] = order.open.water_mark
                if order.ended:
                    del self.orders[order.client_order_id]
                    self._marks.pop(order.client_order_id, None)

    def to_write(self) -> list[PaperOrder]:
        """What changed since it was written, as it is now."""
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
        """Whether a trailing stop has to be written now: it began to follow, or gained a tenth of its distance.

        A smaller move is written with the next thing that happens. So a crash costs it less than a tenth of its distance, and
        a market that rises tick by tick costs no commit for each tick.
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
        """Makes every exit as small as the position; whether one ended by that."""
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
        """Stop and targets of a position are for the same quantity: what one takes the others of the other side lose."""
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
