"""The open orders of a book, by id and by what reaches them next."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from vantixs_router.domain.matching.index import Agenda, Ladder, Triggers
from vantixs_router.domain.matching.orders import OpenOrder, Reference, Stage


class OpenOrders:
    """What is open. Fields that the indexes are by (stage, since, prices, times) change only while an order is taken out.

    Attributes:
        by_id: all of them, in no order that means anything.
        entering: by when they arrived.
        expiries: by their expire time.
        timeouts: triggered stop-limits by when they become market orders.
        resting: by side (whether it buys) and limit price.
        triggers: armed stops by reference and side.
        changed: ids of what changed, as the keys.
    """

    __slots__ = ("by_id", "changed", "entering", "expiries", "resting", "timeouts", "triggers")

    def __init__(self, tick: Decimal, orders: Iterable[OpenOrder]) -> None:
        self.by_id: dict[str, OpenOrder] = {}
        self.changed: dict[str, None] = {}
        self.entering = Agenda()
        self.expiries = Agenda()
        self.timeouts = Agenda()
        self.resting = {buy: Ladder(rising=not buy) for buy in (False, True)}
        self.triggers = {
            (reference, buy): Triggers(buy=buy, tick=tick) for reference in Reference for buy in (False, True)
        }
        for order in orders:
            self.put(order)
        self.changed.clear()

    def put(self, order: OpenOrder) -> None:
        """Adds an order that is not in it."""
        terms = order.terms
        self.by_id[terms.order_id] = order
        self.changed[terms.order_id] = None
        match order.stage:
            case Stage.ENTERING:
                self.entering.add(order.since, order)
            case Stage.RESTING if terms.limit_price is not None:
                self.resting[terms.buy].add(terms.limit_price, order)
            case Stage.ARMED:
                self.triggers[terms.reference, terms.buy].add(order)
        if terms.expire_time is not None:
            self.expiries.add(terms.expire_time, order)
        if (time := _timeout(order)) is not None:
            self.timeouts.add(time, order)

    def take_out(self, order: OpenOrder) -> None:
        """Removes an order: for good, or to put it back once it is changed."""
        terms = order.terms
        del self.by_id[terms.order_id]
        self.changed[terms.order_id] = None
        match order.stage:
            case Stage.ENTERING:
                self.entering.remove(order.since, order)
            case Stage.RESTING if terms.limit_price is not None:
                self.resting[terms.buy].remove(terms.limit_price, order)
            case Stage.ARMED:
                self.triggers[terms.reference, terms.buy].remove(order)
        if terms.expire_time is not None:
            self.expiries.remove(terms.expire_time, order)
        if (time := _timeout(order)) is not None:
            self.timeouts.remove(time, order)

    def holds(self, order: OpenOrder, stage: Stage, at: datetime) -> bool:
        """Whether an order is open, at the stage, and was so at the time: the caller may change it between two events."""
        return order.stage is stage and order.since <= at and self.by_id.get(order.terms.order_id) is order

    def note(self, order: OpenOrder) -> None:
        """Says that an order changed in a field that no index is by."""
        self.changed[order.terms.order_id] = None


def _timeout(order: OpenOrder) -> datetime | None:
    """When what is left of a stop-limit becomes a market order."""
    after = order.terms.triggered_timeout_s
    if after is None or order.triggered_time is None or order.at_market:
        return None
    return order.triggered_time + timedelta(seconds=after)
