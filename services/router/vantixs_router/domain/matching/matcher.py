"""The steps of matching: time passes, stops trigger, limits are traded through, taker orders fill."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from vantixs.model.decimals import ZERO
from vantixs.model.instruments import Instrument

from vantixs_router.domain.matching.events import (
    Canceled,
    CancelReason,
    Event,
    Expired,
    Filled,
    FillKind,
    Rejected,
    RejectReason,
    Triggered,
)
from vantixs_router.domain.matching.fees import fee_of
from vantixs_router.domain.matching.market import Seen, Trade, View
from vantixs_router.domain.matching.open_orders import OpenOrders
from vantixs_router.domain.matching.orders import OpenOrder, OrderType, Reference, Stage, TimeInForce
from vantixs_router.domain.matching.resting import UNKNOWN_QUEUE, queue_at, share_of_trade, through_of_levels
from vantixs_router.domain.matching.steps import add
from vantixs_router.domain.matching.taking import Assumptions, Eaten, Take, is_beyond, participation, plan_take

SIDES = (False, True)
"""Sells, then buys, everywhere: another fixed order would do as well."""


class Matcher:
    """Matches the open orders of an instrument, one step for each method. An event is yielded after its effect is stored.

    Each step reads an order again before it changes it, because the caller may have changed it at the previous event.
    """

    def __init__(self, instrument: Instrument, assumptions: Assumptions, opened: OpenOrders, eaten: Eaten) -> None:
        self._instrument = instrument
        self._assumptions = assumptions
        self._open = opened
        self._eaten = eaten

    def pass_time(self, now: datetime) -> Iterator[Event]:
        """Turns stop-limits that waited too long into market orders, then ends what expired."""
        for time, order in self._open.timeouts.due(now):
            self._open.take_out(order)
            order.stage, order.since, order.at_market, order.queue_ahead = Stage.ENTERING, time, True, None
            self._open.put(order)
        for time, order in self._open.expiries.due(now):
            if self._open.by_id.get(order.terms.order_id) is order:
                self._open.take_out(order)
                yield Expired(order.terms.order_id, order.leaves, time)

    def match_view(self, view: View, references: tuple[Reference, ...]) -> Iterator[Event]:
        """Triggers stops, fills resting orders that are traded through, then lets arrived orders in.

        Stops are triggered by the opposite side of the quote.
        """
        for reference in references:
            for buy in SIDES:
                if far := view.far(buy=buy):
                    yield from self.trigger(reference, far[0][0], view.seen, view.time, buy=buy)
        for buy in SIDES:
            if far := view.far(buy=buy):
                for order in self._open.resting[buy].reached(far[0][0], touched=False):
                    if self._open.holds(order, Stage.RESTING, view.time):
                        yield from self._trade_through(order, view)
        for _, order in self._open.entering.due(view.time):
            if self._open.holds(order, Stage.ENTERING, view.time):
                yield from self.enter(order, view)

    def match_trade(self, trade: Trade) -> Iterator[Event]:
        """Fills resting orders at the trade's price, or traded through. Our orders share the size of the trade."""
        used = ZERO
        for buy in SIDES:
            ladder = self._open.resting[buy]
            for order in (*ladder.reached(trade.price, touched=False), *ladder.at(trade.price)):
                price = order.terms.limit_price
                if price is None or not self._open.holds(order, Stage.RESTING, trade.time):
                    continue
                queue = order.queue_ahead
                quantity, words = share_of_trade(order, price, trade, used, self._instrument, self._assumptions)
                if order.queue_ahead != queue:
                    self._open.note(order)
                if quantity:
                    used = add(used, quantity)
                    yield self.fill(order, quantity, price, FillKind.MAKER, trade, trade.time, words)

    def trigger(
        self, reference: Reference, price: Decimal, seen: Seen, at: datetime, *, buy: bool
    ) -> Iterator[Triggered]:
        """Moves trailing stops after a reference price, and triggers the stops that it reached."""
        self.follow(reference, price, at, buy=buy)
        for order in self._open.triggers[reference, buy].reached(price):
            stop = order.stop_price
            if stop is not None and self._open.holds(order, Stage.ARMED, at):
                yield self.release(order, stop, price, seen, at)

    def follow(self, reference: Reference, price: Decimal, at: datetime, *, buy: bool) -> None:
        """Moves trailing stops after a reference."""
        for order in self._open.triggers[reference, buy].follow(price, at):
            self._open.note(order)

    def release(self, order: OpenOrder, stop: Decimal, price: Decimal, seen: Seen, at: datetime) -> Triggered:
        """Turns a triggered stop into its order, which is matched with the market of that moment or the next input."""
        self._open.take_out(order)
        order.stage, order.since, order.triggered_time = Stage.ENTERING, at, at
        self._open.put(order)
        return Triggered(order.terms.order_id, stop, price, at, seen)

    def enter(self, order: OpenOrder, view: View) -> Iterator[Event]:
        """Takes what it can; the rest waits for the next snapshot, rests or ends."""
        terms, far = order.terms, view.far(buy=order.terms.buy)
        limit = terms.limit_price
        if order.at_market and order.arrival_price is None and far:
            order.arrival_price = far[0][0]
            self._open.note(order)
        if terms.post_only and far and limit is not None and not is_beyond(far[0][0], limit, buy=terms.buy):
            self._open.take_out(order)
            yield Rejected(terms.order_id, view.time, RejectReason.POST_ONLY_WOULD_TAKE)
            return
        plan = plan_take(order, far, self._eaten, self._instrument, self._assumptions)
        if terms.time_in_force is TimeInForce.FOK and plan.quantity < order.leaves:
            yield self.cancel(order, view.time, CancelReason.FOK_NOT_FILLABLE)
            return
        for take in plan.takes:
            yield self._take(order, take, view)
            if not self._open.holds(order, Stage.ENTERING, view.time):
                return
        if plan.too_far:
            yield self.cancel(order, view.time, CancelReason.SLIPPAGE_ABOVE_MAXIMUM)
        elif not order.rests:
            yield self.cancel(order, view.time, CancelReason.IOC_REST_NOT_FILLED)
        elif limit is not None and not order.at_market:
            self._open.take_out(order)
            order.stage, order.since = Stage.RESTING, view.time
            order.queue_ahead = queue_at(view, limit, buy=terms.buy)
            self._open.put(order)

    def cancel(self, order: OpenOrder, now: datetime, reason: CancelReason) -> Canceled:
        """Ends an order."""
        self._open.take_out(order)
        return Canceled(order.terms.order_id, order.leaves, now, reason)

    def fill(
        self,
        order: OpenOrder,
        quantity: Decimal,
        price: Decimal,
        kind: FillKind,
        seen: Seen,
        at: datetime,
        words: tuple[str, ...],
    ) -> Filled:
        """Books an execution. An order without leaves has ended."""
        terms = order.terms
        order.filled = add(order.filled, quantity)
        order.executions += 1
        self._open.note(order)
        if not order.leaves:
            self._open.take_out(order)
        maker, fees = kind is FillKind.MAKER, self._assumptions.fees
        fee, asset = fee_of(fees, self._instrument, buy=terms.buy, maker=maker, quantity=quantity, price=price)
        return Filled(
            order_id=terms.order_id,
            execution_id=f"{terms.order_id}-{order.executions}",
            buy=terms.buy,
            quantity=quantity,
            price=price,
            leaves=order.leaves,
            kind=kind,
            fee=fee,
            fee_asset=asset,
            time=at,
            seen=seen,
            assumptions=words,
        )

    def _take(self, order: OpenOrder, take: Take, view: View) -> Filled:
        terms, quantity = order.terms, min(take.quantity, order.leaves)
        if take.level is not None:
            self._eaten.take(quantity, take.level, buy=terms.buy)
        timed_out = order.at_market and terms.type is OrderType.STOP_LIMIT
        words = (*take.assumptions, "limit not filled in time: to market") if timed_out else take.assumptions
        kind = FillKind.TAKER if order.triggered_time is None else FillKind.TRIGGERED
        return self.fill(order, quantity, take.price, kind, view.seen, view.time, words)

    def _trade_through(self, order: OpenOrder, view: View) -> Iterator[Filled]:
        price, buy = order.terms.limit_price, order.terms.buy
        if price is None:
            return
        quantity, taken = through_of_levels(
            order, price, view.far(buy=buy), self._eaten, self._instrument, self._assumptions
        )
        for part, level in taken:
            self._eaten.take(part, level, buy=buy)
        words: tuple[str, ...] = ("traded through" if order.queue_ahead is not None else UNKNOWN_QUEUE,)
        if order.queue_ahead != ZERO:
            # Orders that were ahead at this price have traded, or were cancelled.
            order.queue_ahead = ZERO
            self._open.note(order)
        if quantity:
            words += participation(self._assumptions) if taken else ()
            yield self.fill(order, quantity, price, FillKind.MAKER, view.seen, view.time, words)
