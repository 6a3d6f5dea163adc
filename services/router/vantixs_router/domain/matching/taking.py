"""What an order takes of the levels that are shown, and what was taken of them before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Self

from vantixs.model.decimals import ZERO, format_decimal
from vantixs.model.instruments import Instrument

from vantixs_router.domain.matching.fees import Fees
from vantixs_router.domain.matching.market import Level
from vantixs_router.domain.matching.orders import OpenOrder
from vantixs_router.domain.matching.steps import add, ceil_to, floor_to, multiply, of_bps, subtract


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What a book assumes where the market does not say.

    Attributes:
        latency_ms: from placing an order until it is at the market.
        participation_ratio: share of a size that is shown or traded which is ours to have, above 0, at most 1.
        slippage_bps: what a taker pays beyond the far side where no sizes are known.
    """

    latency_ms: int = 0
    participation_ratio: Decimal = Decimal(1)
    slippage_bps: Decimal = ZERO
    fees: Fees = field(default_factory=Fees)

    def __post_init__(self) -> None:
        if self.latency_ms < 0 or self.slippage_bps < 0 or not 0 < self.participation_ratio <= 1:
            raise ValueError("expected latency and slippage of 0 or more, and a participation above 0 and at most 1")

    def share_of(self, size: Decimal, lot: Decimal) -> Decimal:
        """What of a size is ours to have, in whole lots."""
        return floor_to(multiply(size, self.participation_ratio), lot)


@dataclass(slots=True)
class Eaten:
    """What our orders took of the levels of one snapshot: by side of the taker and price."""

    source: str = ""
    time: datetime | None = None
    taken: dict[tuple[bool, Decimal], Decimal] = field(default_factory=dict)

    def renew(self, source: str, time: datetime) -> None:
        """Forgets what was taken if this is another snapshot: of another source or time."""
        if (source, time) != (self.source, self.time):
            self.source, self.time, self.taken = source, time, {}

    def left(self, share: Decimal, price: Decimal, *, buy: bool) -> Decimal:
        """What is left of our share of a level."""
        return max(subtract(share, self.taken.get((buy, price), ZERO)), ZERO)

    def take(self, quantity: Decimal, price: Decimal, *, buy: bool) -> None:
        """Books what is taken."""
        self.taken[buy, price] = add(self.taken.get((buy, price), ZERO), quantity)

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {
            "source": self.source,
            "time": self.time.isoformat() if self.time else None,
            "taken": [[buy, format_decimal(p), format_decimal(q)] for (buy, p), q in self.taken.items()],
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """What `to_dict` made."""
        return cls(
            stored["source"],
            datetime.fromisoformat(stored["time"]) if stored["time"] else None,
            {(buy, Decimal(price)): Decimal(quantity) for buy, price, quantity in stored["taken"]},
        )


@dataclass(frozen=True, slots=True)
class Take:
    """A quantity at a price; `level` is the price of the level that it is taken from, None where sizes are not known."""

    quantity: Decimal
    price: Decimal
    level: Decimal | None
    assumptions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What an order would take. `too_far` says that it stopped at a price beyond its maximum slippage."""

    takes: tuple[Take, ...]
    too_far: bool

    @property
    def quantity(self) -> Decimal:
        """The sum."""
        total = ZERO
        for take in self.takes:
            total = add(total, take.quantity)
        return total


def plan_take(
    order: OpenOrder, levels: Sequence[Level], eaten: Eaten, instrument: Instrument, assumptions: Assumptions
) -> Plan:
    """Walks the levels, best first, to the order's limit, or as far as its maximum slippage lets a market order go."""
    buy, leaves, takes = order.terms.buy, order.leaves, list[Take]()
    limit = None if order.at_market else order.terms.limit_price
    furthest = _furthest(order)
    for level, size in levels:
        if not leaves or (limit is not None and is_beyond(level, limit, buy=buy)):
            break
        price = level if size is not None else slipped(level, assumptions.slippage_bps, instrument.tick_size, buy=buy)
        if limit is not None and is_beyond(price, limit, buy=buy):
            price = limit
        if furthest is not None and is_beyond(price, furthest, buy=buy):
            return Plan(tuple(takes), too_far=True)
        if size is None:
            bps = format_decimal(assumptions.slippage_bps)
            takes.append(Take(leaves, price, None, ("no sizes known: whole quantity", f"slippage {bps} bps")))
            break
        left = eaten.left(assumptions.share_of(size, instrument.lot_size), level, buy=buy)
        if quantity := min(left, leaves):
            shown = f"took {format_decimal(quantity)} of {format_decimal(size)} shown"
            takes.append(Take(quantity, price, level, (shown, *participation(assumptions))))
            leaves = subtract(leaves, quantity)
    return Plan(tuple(takes), too_far=False)


def slipped(price: Decimal, bps: Decimal, tick: Decimal, *, buy: bool) -> Decimal:
    """A price that many basis points worse for the side, rounded against it to the tick; never below one tick."""
    slippage = of_bps(price, bps)
    if buy:
        return ceil_to(add(price, slippage), tick)
    return max(floor_to(subtract(price, slippage), tick), tick)


def is_beyond(price: Decimal, bound: Decimal, *, buy: bool) -> bool:
    """Whether the price is worse for the side than the bound."""
    return price > bound if buy else price < bound


def participation(assumptions: Assumptions) -> tuple[str, ...]:
    """The words for a share below all."""
    ratio = assumptions.participation_ratio
    return () if ratio == 1 else (f"participation {format_decimal(ratio)}",)


def _furthest(order: OpenOrder) -> Decimal | None:
    bps, arrival = order.terms.max_slippage_bps, order.arrival_price
    if not order.at_market or bps is None or arrival is None:
        return None
    slippage = of_bps(arrival, bps)
    return add(arrival, slippage) if order.terms.buy else subtract(arrival, slippage)
