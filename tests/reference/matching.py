"""The matching rules of ADR 33 once more, slow and plain: one list of orders that is searched for everything, fractions, no indexes.

It shares the inputs and the terms of orders with the engine, and nothing else.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Any

from vantixs_router.domain.matching.market import Bar, Depth, Mark, Quote, Seen, Trade
from vantixs_router.domain.matching.orders import OrderTerms, OrderType, Reference, TimeInForce

Happened = tuple[Any, ...]
Levels = list[tuple[Fraction, Fraction | None]]
RESTS = (TimeInForce.GTC, TimeInForce.GTD)


def fraction(value: Decimal | None) -> Fraction:
    assert value is not None
    return Fraction(value)


@dataclass
class Order:
    terms: OrderTerms
    place: int
    stage: str
    since: datetime
    leaves: Fraction
    market: bool
    stop: Fraction | None
    best: Fraction | None = None
    triggered: datetime | None = None
    first_price: Fraction | None = None
    queue: Fraction | None = None

    @property
    def buy(self) -> bool:
        return self.terms.buy

    @property
    def sign(self) -> int:
        return 1 if self.terms.buy else -1

    @property
    def limit(self) -> Fraction:
        return fraction(self.terms.limit_price)


class SlowBook:
    def __init__(self, tick: Decimal, lot: Decimal, latency_ms: int, share: Decimal, slippage_bps: Decimal) -> None:
        self.tick, self.lot, self.share, self.slippage = Fraction(tick), Fraction(lot), Fraction(share), slippage_bps
        self.latency = timedelta(milliseconds=latency_ms)
        self.orders: list[Order] = []
        self.placed = 0
        self.snapshot: tuple[str, datetime] | None = None
        self.eaten: dict[tuple[bool, Fraction], Fraction] = {}

    # What the owner of the orders does.

    def place(self, terms: OrderTerms) -> None:
        self.placed += 1
        stops = terms.type in (OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP)
        self.orders.append(
            Order(
                terms=terms,
                place=self.placed,
                stage="armed" if stops else "entering",
                since=terms.placed_time + self.latency,
                leaves=Fraction(terms.quantity),
                market=terms.limit_price is None,
                stop=None if terms.stop_price is None else Fraction(terms.stop_price),
            )
        )

    def cancel(self, order_id: str) -> None:
        self.orders = [order for order in self.orders if order.terms.order_id != order_id]

    def shrink(self, order_id: str, leaves: Decimal) -> None:
        cap = floor(Fraction(leaves) / self.lot) * self.lot
        for order in list(self.orders):
            if order.terms.order_id == order_id and cap < order.leaves:
                order.leaves = cap
                if cap <= 0:
                    self.orders.remove(order)

    # What is seen.

    def see(self, seen: Seen) -> Iterator[Happened]:
        if isinstance(seen, Bar):
            yield from self._bar(seen)
            return
        yield from self.time(seen.time)
        if isinstance(seen, Mark):
            yield from self._trigger(
                Reference.MARK, {False: Fraction(seen.price), True: Fraction(seen.price)}, seen.time
            )
        elif isinstance(seen, Trade):
            yield from self._trigger(
                Reference.LAST, {False: Fraction(seen.price), True: Fraction(seen.price)}, seen.time
            )
            yield from self._trade(seen)
        else:
            if self.snapshot != (seen.source, seen.time):
                self.snapshot, self.eaten = (seen.source, seen.time), {}
            bids, asks = levels_of(seen)
            yield from self._view(bids, asks, seen.time, (Reference.QUOTE,))

    def time(self, now: datetime) -> Iterator[Happened]:
        for order in self.orders:
            after = order.terms.triggered_timeout_s
            if after is not None and order.triggered is not None and not order.market:
                due = order.triggered + timedelta(seconds=after)
                if due <= now:
                    order.market, order.stage, order.since = True, "entering", due
        gone = self._pick(lambda o: o.terms.expire_time is not None and o.terms.expire_time <= now)
        for order in sorted(gone, key=lambda o: (o.terms.expire_time, o.place)):
            if order in self.orders:
                self.orders.remove(order)
                yield "expired", order.terms.order_id, order.leaves

    def _bar(self, bar: Bar) -> Iterator[Happened]:
        yield from self.time(bar.start_time)
        both = (Reference.QUOTE, Reference.LAST)
        point: Levels = [(Fraction(bar.open), None)]
        yield from self._view(point, point, bar.start_time, both)
        yield from self.time(bar.end_time)
        low, high = Fraction(bar.low), Fraction(bar.high)
        yield from self._stops_on_the_way(bar, {False: low, True: high})
        for buy, best in ((False, high), (True, low)):
            sign = 1 if buy else -1
            for order in self._resting(buy, bar.start_time, lambda o, b=best, s=sign: s * (o.limit - b) > 0):
                if order in self.orders and order.stage == "resting":
                    yield self._fill(order, order.leaves, order.limit, "MAKER")
        for buy, best in ((False, high), (True, low)):
            for reference in both:
                self._follow(reference, buy, best, bar.start_time)
            yield from self._stops_on_the_way(bar, {buy: Fraction(bar.close)})
        point = [(Fraction(bar.close), None)]
        yield from self._view(point, point, bar.end_time, both)

    def _stops_on_the_way(self, bar: Bar, bounds: dict[bool, Fraction]) -> Iterator[Happened]:
        for buy, bound in bounds.items():
            for reference in (Reference.QUOTE, Reference.LAST):
                for order in self._reached(reference, buy, bound, bar.start_time):
                    if order in self.orders and order.stage == "armed":
                        assert order.stop is not None
                        price = order.stop
                        yield self._release(order, bar.end_time)
                        if order in self.orders:
                            point: Levels = [(price, None)]
                            yield from self._enter(order, point, point, bar.end_time)

    def _view(self, bids: Levels, asks: Levels, at: datetime, references: tuple[Reference, ...]) -> Iterator[Happened]:
        prices = {buy: far[0][0] for buy, far in ((False, bids), (True, asks)) if far}
        for reference in references:
            yield from self._trigger(reference, prices, at)
        for buy, far in ((False, bids), (True, asks)):
            sign = 1 if buy else -1
            if not far:
                continue
            for order in self._resting(buy, at, lambda o, p=far[0][0], s=sign: s * (o.limit - p) > 0):
                if order in self.orders and order.stage == "resting":
                    yield from self._through(order, far)
        for order in sorted(
            self._pick(lambda o: o.stage == "entering" and o.since <= at), key=lambda o: (o.since, o.place)
        ):
            if order in self.orders and order.stage == "entering":
                yield from self._enter(order, bids, asks, at)

    def _trade(self, trade: Trade) -> Iterator[Happened]:
        price, used = Fraction(trade.price), Fraction(0)
        for buy in (False, True):
            sign = 1 if buy else -1
            for order in self._resting(buy, trade.time, lambda o, s=sign: s * (o.limit - price) >= 0):
                if order not in self.orders or order.stage != "resting":
                    continue
                if order.limit != price:
                    order.queue = Fraction(0)
                    ours = order.leaves if trade.size is None else self._lots(Fraction(trade.size) * self.share) - used
                elif order.queue is None or trade.size is None:
                    continue
                else:
                    behind = max(Fraction(trade.size) - order.queue, Fraction(0))
                    order.queue = max(order.queue - Fraction(trade.size), Fraction(0))
                    ours = self._lots(behind * self.share) - used
                quantity = min(max(ours, Fraction(0)), order.leaves)
                if quantity:
                    used += quantity
                    yield self._fill(order, quantity, order.limit, "MAKER")

    # Steps.

    def _trigger(self, reference: Reference, prices: dict[bool, Fraction], at: datetime) -> Iterator[Happened]:
        for buy, price in prices.items():
            self._follow(reference, buy, price, at)
            for order in self._reached(reference, buy, price, at):
                if order in self.orders and order.stage == "armed":
                    yield self._release(order, at)

    def _follow(self, reference: Reference, buy: bool, price: Fraction, at: datetime) -> None:
        for order in self._pick(lambda o: o.stage == "armed" and o.terms.type is OrderType.TRAILING_STOP):
            terms, sign = order.terms, order.sign
            if terms.reference is not reference or order.buy is not buy or order.since > at:
                continue
            if order.best is None:
                if terms.activation_price is not None and sign * (price - Fraction(terms.activation_price)) > 0:
                    continue
            elif sign * (price - order.best) >= 0:
                continue
            order.best = price
            trail = Fraction(terms.trail_amount) if terms.trail_amount else price * fraction(terms.trail_bps) / 10_000
            rounded = (ceil if buy else floor)((price + sign * trail) / self.tick)
            order.stop = rounded * self.tick

    def _reached(self, reference: Reference, buy: bool, price: Fraction, at: datetime) -> list[Order]:
        sign = 1 if buy else -1
        found = self._pick(
            lambda o: o.stage == "armed" and o.terms.reference is reference and o.buy is buy and o.since <= at
        )
        hit = [order for order in found if order.stop is not None and sign * (price - order.stop) >= 0]
        return sorted(hit, key=lambda o: (sign * (o.stop or 0), o.since, o.place))

    def _release(self, order: Order, at: datetime) -> Happened:
        order.stage, order.since, order.triggered = "entering", at, at
        return "triggered", order.terms.order_id, order.stop

    def _through(self, order: Order, far: Levels) -> Iterator[Happened]:
        got = Fraction(0)
        for price, size in far:
            if order.sign * (order.limit - price) <= 0:
                break
            part = order.leaves - got if size is None else min(self._left(order.buy, price, size), order.leaves - got)
            if size is not None:
                self.eaten[order.buy, price] = self.eaten.get((order.buy, price), Fraction(0)) + part
            got += part
        order.queue = Fraction(0)
        if got:
            yield self._fill(order, got, order.limit, "MAKER")

    def _enter(self, order: Order, bids: Levels, asks: Levels, at: datetime) -> Iterator[Happened]:
        terms, sign = order.terms, order.sign
        far, near = (asks, bids) if order.buy else (bids, asks)
        if order.market and order.first_price is None and far:
            order.first_price = far[0][0]
        crosses = bool(far) and not order.market and sign * (order.limit - far[0][0]) >= 0
        if terms.post_only and crosses:
            self.orders.remove(order)
            yield "rejected", terms.order_id, "POST_ONLY_WOULD_TAKE"
            return
        takes, too_far = self._plan(order, far)
        if terms.time_in_force is TimeInForce.FOK and sum(part for part, _, _ in takes) < order.leaves:
            yield self._end(order, "FOK_NOT_FILLABLE")
            return
        for part, price, level in takes:
            quantity = min(part, order.leaves)
            if level is not None:
                self.eaten[order.buy, level] = self.eaten.get((order.buy, level), Fraction(0)) + quantity
            yield self._fill(order, quantity, price, "TAKER" if order.triggered is None else "TRIGGERED")
            if order not in self.orders:
                return
        if too_far:
            yield self._end(order, "SLIPPAGE_ABOVE_MAXIMUM")
        elif terms.time_in_force not in RESTS:
            yield self._end(order, "IOC_REST_NOT_FILLED")
        elif not order.market:
            order.stage, order.since = "resting", at
            order.queue = self._queue(order, near, crosses)

    def _plan(self, order: Order, far: Levels) -> tuple[list[tuple[Fraction, Fraction, Fraction | None]], bool]:
        sign, left, takes = order.sign, order.leaves, []
        for level, size in far:
            if not left or (not order.market and sign * (level - order.limit) > 0):
                break
            price = level
            if size is None:
                raw = level * (1 + sign * Fraction(self.slippage) / 10_000)
                price = max((ceil if order.buy else floor)(raw / self.tick) * self.tick, self.tick)
            if not order.market:
                price = min(price, order.limit) if order.buy else max(price, order.limit)
            elif order.terms.max_slippage_bps is not None and order.first_price is not None:
                worst = order.first_price * (1 + sign * Fraction(order.terms.max_slippage_bps) / 10_000)
                if sign * (price - worst) > 0:
                    return takes, True
            part = left if size is None else min(left, self._left(order.buy, level, size))
            if part:
                takes.append((part, price, None if size is None else level))
            left -= part
        return takes, False

    def _queue(self, order: Order, near: Levels, crosses: bool) -> Fraction | None:
        sizes = dict(near)
        if crosses or not near or None in sizes.values():
            return None
        if order.limit in sizes:
            return sizes[order.limit]
        worst = near[-1][0]
        return None if order.sign * (worst - order.limit) > 0 else Fraction(0)

    def _fill(self, order: Order, quantity: Fraction, price: Fraction, kind: str) -> Happened:
        order.leaves -= quantity
        if not order.leaves:
            self.orders.remove(order)
        return "filled", order.terms.order_id, quantity, price, kind, order.leaves

    def _end(self, order: Order, reason: str) -> Happened:
        self.orders.remove(order)
        return "canceled", order.terms.order_id, order.leaves, reason

    def _left(self, buy: bool, price: Fraction, size: Fraction) -> Fraction:
        return max(self._lots(size * self.share) - self.eaten.get((buy, price), Fraction(0)), Fraction(0))

    def _lots(self, quantity: Fraction) -> Fraction:
        return floor(quantity / self.lot) * self.lot

    def _pick(self, wanted: Callable[[Order], bool]) -> list[Order]:
        return [order for order in self.orders if wanted(order)]

    def _resting(self, buy: bool, at: datetime, wanted: Callable[[Order], bool]) -> list[Order]:
        found = self._pick(lambda o: o.stage == "resting" and o.buy is buy and o.since <= at and wanted(o))
        return sorted(found, key=lambda o: (-o.sign * o.limit, o.since, o.place))


def levels_of(seen: Quote | Depth) -> tuple[Levels, Levels]:
    """Bids and asks, best first."""
    if isinstance(seen, Quote):
        sides = [[(seen.bid, seen.bid_size)], [(seen.ask, seen.ask_size)]]
    else:
        sides = [list(seen.bids), list(seen.asks)]
    bids, asks = ([(Fraction(p), None if s is None else Fraction(s)) for p, s in side] for side in sides)
    return bids, asks
