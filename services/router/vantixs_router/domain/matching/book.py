"""The book of one instrument: takes orders and market inputs, and returns the events of the orders."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Self

from vantixs.model.decimals import ZERO
from vantixs.model.instruments import Instrument

from vantixs_router.domain.matching.events import Canceled, CancelReason, Event, FillKind, Rejected, RejectReason
from vantixs_router.domain.matching.market import Bar, Depth, Mark, Quote, Seen, Trade, point_of, view_of
from vantixs_router.domain.matching.matcher import SIDES, Matcher
from vantixs_router.domain.matching.open_orders import OpenOrders
from vantixs_router.domain.matching.orders import LIMITS, STOPS, OpenOrder, OrderTerms, Reference, Stage, problem_of
from vantixs_router.domain.matching.resting import UNKNOWN_QUEUE
from vantixs_router.domain.matching.steps import add, floor_to
from vantixs_router.domain.matching.taking import Assumptions, Eaten

_BAR_REFERENCES = (Reference.QUOTE, Reference.LAST)


class Book:
    """The open orders of one instrument, and what they took from the current snapshot. It has no other state.

    Not thread-safe. See the package for the rules and for how to use it.
    """

    def __init__(
        self,
        instrument: Instrument,
        assumptions: Assumptions,
        orders: Iterable[OpenOrder] = (),
        eaten: Eaten | None = None,
    ) -> None:
        self._instrument = instrument
        self._assumptions = assumptions
        self._eaten = eaten or Eaten()
        self._open = OpenOrders(instrument.tick_size, orders)
        self._matcher = Matcher(instrument, assumptions, self._open, self._eaten)
        self._sequence = max((order.sequence for order in self._open.by_id.values()), default=0)
        self._applying = False

    @property
    def orders(self) -> Mapping[str, OpenOrder]:
        """The open orders by id; not to be changed."""
        return MappingProxyType(self._open.by_id)

    @property
    def eaten(self) -> Eaten:
        """What was taken from the current snapshot; to be written with the changed orders."""
        return self._eaten

    @property
    def next_sequence(self) -> int:
        """The sequence number of the next order."""
        return self._sequence + 1

    def next_time(self) -> datetime | None:
        """When `advance` next has something to do; None for never."""
        times = [time for time in (self._open.expiries.first(), self._open.timeouts.first()) if time is not None]
        return min(times, default=None)

    def take_changed(self) -> list[str]:
        """The ids of the orders that changed since the last call, open or ended; these have to be written."""
        changed = list(self._open.changed)
        self._open.changed.clear()
        return changed

    def place(self, terms: OrderTerms) -> Rejected | None:
        """Takes an order. It is matched with the first input that is seen when the order has arrived, or later.

        Raises:
            ValueError: an order with this id is open.
        """
        if terms.order_id in self._open.by_id:
            raise ValueError(f"expected the id of no open order, was {terms.order_id!r}")
        if problem := problem_of(terms, self._instrument):
            return Rejected(terms.order_id, terms.placed_time, RejectReason.ORDER_INVALID, problem)
        self._sequence += 1
        self._open.put(
            OpenOrder(
                terms=terms,
                sequence=self._sequence,
                stage=Stage.ARMED if terms.type in STOPS else Stage.ENTERING,
                since=terms.placed_time + timedelta(milliseconds=self._assumptions.latency_ms),
                quantity=terms.quantity,
                at_market=terms.type not in LIMITS,
                stop_price=terms.stop_price,
            )
        )
        return None

    def take_in(self, order: OpenOrder) -> None:
        """Takes an order from another book, in its current state, behind the orders of this book.

        Raises:
            ValueError: an order with its id is open.
        """
        if order.terms.order_id in self._open.by_id:
            raise ValueError(f"expected the id of no open order, was {order.terms.order_id!r}")
        self._sequence += 1
        order.sequence = self._sequence
        self._open.put(order)
        self._open.changed.pop(order.terms.order_id)

    def cancel(self, order_id: str, now: datetime) -> Canceled | None:
        """Cancels the open part of an order at once; None if the order is not open."""
        order = self._open.by_id.get(order_id)
        return self._matcher.cancel(order, now, CancelReason.CANCEL_REQUESTED) if order else None

    def shrink(self, order_id: str, leaves: Decimal, now: datetime) -> Canceled | None:
        """Limits the open quantity of an order, in whole lots, and never raises it.

        A limit below one lot ends the order.
        """
        order = self._open.by_id.get(order_id)
        if order is None:
            return None
        cap = max(floor_to(leaves, self._instrument.lot_size), ZERO)
        if cap >= order.leaves:
            return None
        if not cap:
            return self._matcher.cancel(order, now, CancelReason.QUANTITY_REDUCED)
        order.quantity = add(order.filled, cap)
        self._open.note(order)
        return None

    def advance(self, now: datetime) -> Iterator[Event]:
        """Ends expired orders when there is no market input. Read all its events, as those of `apply`."""
        return self._exclusively(self._matcher.pass_time(now))

    def apply(self, seen: Seen) -> Iterator[Event]:
        """Yields the events that an input causes, one after another.

        Between two events the caller may cancel, shrink and place; this affects the following events. The caller must
        read all events: events that are not read do not happen.

        Raises:
            RuntimeError: not all events of another input were read.
        """
        match seen:
            case Quote() | Depth():
                events = self._apply_snapshot(seen)
            case Trade():
                events = self._apply_trade(seen)
            case Bar():
                events = self._apply_bar(seen)
            case Mark():
                events = self._apply_mark(seen)
        return self._exclusively(events)

    def to_dict(self) -> dict[str, Any]:
        """The state, as JSON can hold it."""
        return {"orders": [order.to_dict() for order in self._open.by_id.values()], "eaten": self._eaten.to_dict()}

    @classmethod
    def from_dict(cls, instrument: Instrument, assumptions: Assumptions, stored: Mapping[str, Any]) -> Self:
        """The book from the dict of `to_dict`."""
        orders = [OpenOrder.from_dict(order) for order in stored["orders"]]
        return cls(instrument, assumptions, orders, Eaten.from_dict(stored["eaten"]))

    def _exclusively(self, events: Iterator[Event]) -> Iterator[Event]:
        if self._applying:
            raise RuntimeError("expected the events of one input to be used up before the next")
        self._applying = True
        try:
            yield from events
        finally:
            self._applying = False

    def _apply_snapshot(self, seen: Quote | Depth) -> Iterator[Event]:
        yield from self._matcher.pass_time(seen.time)
        self._eaten.renew(seen.source, seen.time)
        yield from self._matcher.match_view(view_of(seen), (Reference.QUOTE,))

    def _apply_trade(self, trade: Trade) -> Iterator[Event]:
        yield from self._matcher.pass_time(trade.time)
        for buy in SIDES:
            yield from self._matcher.trigger(Reference.LAST, trade.price, trade, trade.time, buy=buy)
        yield from self._matcher.match_trade(trade)

    def _apply_mark(self, mark: Mark) -> Iterator[Event]:
        yield from self._matcher.pass_time(mark.time)
        for buy in SIDES:
            yield from self._matcher.trigger(Reference.MARK, mark.price, mark, mark.time, buy=buy)

    def _apply_bar(self, bar: Bar) -> Iterator[Event]:
        """Applies the open, then the extreme at which each side's stops are, then the extreme of its targets, then the close.

        Only orders that had arrived when the bar began are matched with its open and extremes. Orders that expire within the bar
        are matched with its open.
        """
        matcher = self._matcher
        yield from matcher.pass_time(bar.start_time)
        yield from matcher.match_view(point_of(bar, bar.open, bar.start_time), _BAR_REFERENCES)
        yield from matcher.pass_time(bar.end_time)
        for buy, worst in ((False, bar.low), (True, bar.high)):
            yield from self._stop_within(bar, worst, buy=buy)
        for buy, best in ((False, bar.high), (True, bar.low)):
            for order in self._open.resting[buy].reached(best, touched=False):
                price = order.terms.limit_price
                if price is not None and self._open.holds(order, Stage.RESTING, bar.start_time):
                    words = ("bar: stops before targets", UNKNOWN_QUEUE)
                    yield matcher.fill(order, order.leaves, price, FillKind.MAKER, bar, bar.end_time, words)
        for buy, best in ((False, bar.high), (True, bar.low)):
            for reference in _BAR_REFERENCES:
                matcher.follow(reference, best, bar.start_time, buy=buy)
            yield from self._stop_within(bar, bar.close, buy=buy)
        yield from matcher.match_view(point_of(bar, bar.close, bar.end_time), _BAR_REFERENCES)

    def _stop_within(self, bar: Bar, bound: Decimal, *, buy: bool) -> Iterator[Event]:
        """Triggers the stops that the price passes on its way to the bound. Each executes at its trigger price."""
        for reference in _BAR_REFERENCES:
            for order in self._open.triggers[reference, buy].reached(bound):
                price = order.stop_price
                if price is not None and self._open.holds(order, Stage.ARMED, bar.start_time):
                    yield self._matcher.release(order, price, price, bar, bar.end_time)
                    if self._open.holds(order, Stage.ENTERING, bar.end_time):
                        yield from self._matcher.enter(order, point_of(bar, price, bar.end_time))
