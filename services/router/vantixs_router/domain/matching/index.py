"""Open orders in the order in which prices and times reach them, so that only reached orders are examined."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from operator import itemgetter

from vantixs_router.domain.matching.orders import OpenOrder

_key = itemgetter(0)


class Ladder:
    """Orders by price. Those that a moving price reaches first are in front; at one price, the earlier order is first.

    A rising price reaches a rising ladder, a falling price the other kind.
    """

    __slots__ = ("_entries", "_rising")

    def __init__(self, *, rising: bool) -> None:
        self._rising = rising
        self._entries: list[tuple[Decimal, datetime, int, OpenOrder]] = []

    def add(self, price: Decimal, order: OpenOrder) -> None:
        """Adds an order that is not in it."""
        insort(self._entries, (self._keyed(price), order.since, order.sequence, order))

    def remove(self, price: Decimal, order: OpenOrder) -> None:
        """Removes an order, with the price and the `since` that it was added with."""
        del self._entries[bisect_left(self._entries, (self._keyed(price), order.since, order.sequence))]

    def reached(self, price: Decimal, *, touched: bool) -> Sequence[OpenOrder]:
        """The orders that a price has passed; with `touched` also those at the price."""
        entries, key = self._entries, self._keyed(price)
        if not entries or entries[0][0] > key:
            return ()
        end = (bisect_right if touched else bisect_left)(entries, key, key=_key)
        return [entry[3] for entry in entries[:end]]

    def at(self, price: Decimal) -> Sequence[OpenOrder]:
        """The orders at a price."""
        entries, key = self._entries, self._keyed(price)
        start = bisect_left(entries, key, key=_key)
        return [entry[3] for entry in entries[start : bisect_right(entries, key, start, key=_key)]]

    def _keyed(self, price: Decimal) -> Decimal:
        return price if self._rising else price.copy_negate()


class Agenda:
    """Orders by time; at one time in the order of placing."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: list[tuple[datetime, int, OpenOrder]] = []

    def add(self, time: datetime, order: OpenOrder) -> None:
        """Adds an order that is not in it."""
        insort(self._entries, (time, order.sequence, order))

    def remove(self, time: datetime, order: OpenOrder) -> None:
        """Removes an order, with the time that it was added with."""
        del self._entries[bisect_left(self._entries, (time, order.sequence))]

    def due(self, time: datetime) -> Sequence[tuple[datetime, OpenOrder]]:
        """The orders whose time is not after this one, with their times."""
        entries = self._entries
        if not entries or entries[0][0] > time:
            return ()
        return [(entry[0], entry[2]) for entry in entries[: bisect_right(entries, time, key=_key)]]

    def first(self) -> datetime | None:
        """The earliest time."""
        return self._entries[0][0] if self._entries else None


class Triggers:
    """The stops of one side with one reference price. Trailing stops are examined only at a new best price."""

    __slots__ = ("_activations", "_marks", "_stops", "_tick", "_unmarked")

    def __init__(self, *, buy: bool, tick: Decimal) -> None:
        self._tick = tick
        self._stops = Ladder(rising=buy)
        self._marks = Ladder(rising=not buy)
        self._activations = Ladder(rising=not buy)
        self._unmarked: dict[int, OpenOrder] = {}

    def add(self, order: OpenOrder) -> None:
        """Adds an armed stop."""
        if order.stop_price is None:
            if order.terms.activation_price is not None:
                self._activations.add(order.terms.activation_price, order)
            else:
                self._unmarked[order.sequence] = order
            return
        self._stops.add(order.stop_price, order)
        if order.water_mark is not None:
            self._marks.add(order.water_mark, order)

    def remove(self, order: OpenOrder) -> None:
        """Removes an armed stop that has not changed since it was added."""
        if order.stop_price is None:
            if order.terms.activation_price is not None:
                self._activations.remove(order.terms.activation_price, order)
            else:
                del self._unmarked[order.sequence]
            return
        self._stops.remove(order.stop_price, order)
        if order.water_mark is not None:
            self._marks.remove(order.water_mark, order)

    def follow(self, price: Decimal, at: datetime) -> list[OpenOrder]:
        """Moves the trailing stops for which the price is a new best price, or the first one; returns those that moved."""
        candidates = [
            *self._unmarked.values(),
            *self._activations.reached(price, touched=True),
            *self._marks.reached(price, touched=False),
        ]
        moved = [order for order in candidates if order.since <= at]
        for order in moved:
            self.remove(order)
            order.follow(price, self._tick)
            self.add(order)
        return moved

    def reached(self, price: Decimal) -> Sequence[OpenOrder]:
        """The stops that the price triggers, in the order in which it passed them."""
        return self._stops.reached(price, touched=True)
