"""What is seen of a market: quotes, books of levels, trades, bars and marks, as the values that a matching book takes in.

Of every input the time is when it was seen, UTC, and the source says where it comes from. Prices are in the quote asset, sizes
in base units, all above 0.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from vantixs_router.domain.matching.steps import is_positive

Level = tuple[Decimal, Decimal | None]
"""Price and size that is shown there; None where the size is not known."""


@dataclass(frozen=True, slots=True)
class Quote:
    """Best bid and ask.

    Raises:
        ValueError: a price or size that is not above 0, or a bid above the ask.
    """

    source: str
    time: datetime
    bid: Decimal
    ask: Decimal
    bid_size: Decimal | None = None
    ask_size: Decimal | None = None

    def __post_init__(self) -> None:
        _require_positive(self.bid, self.ask, self.bid_size, self.ask_size)
        _require_uncrossed(self.bid, self.ask)


@dataclass(frozen=True, slots=True)
class Depth:
    """All levels that are shown, best first: bids fall, asks rise. A side may be empty.

    Raises:
        ValueError: a price or size that is not above 0, levels out of order, or a bid above an ask.
    """

    source: str
    time: datetime
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]

    def __post_init__(self) -> None:
        for price, size in (*self.bids, *self.asks):
            _require_positive(price, size)
        bids, asks = [price for price, _ in self.bids], [price for price, _ in self.asks]
        if bids != sorted(set(bids), reverse=True) or asks != sorted(set(asks)):
            raise ValueError("expected levels with the best first and each price once")
        if bids and asks:
            _require_uncrossed(bids[0], asks[0])


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade between others. Each may be given once only: nothing here recognises it again.

    Raises:
        ValueError: a price or size that is not above 0.
    """

    source: str
    time: datetime
    price: Decimal
    size: Decimal | None = None

    def __post_init__(self) -> None:
        _require_positive(self.price, self.size)


@dataclass(frozen=True, slots=True)
class Bar:
    """Prices of a span of time. What happened within it, and in which order, is not known: see `book.Book`.

    Raises:
        ValueError: a price that is not above 0, not low <= open, close <= high, or an end that is not after the start.
    """

    source: str
    start_time: datetime
    end_time: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal

    def __post_init__(self) -> None:
        _require_positive(self.open, self.high, self.low, self.close)
        if not self.low <= min(self.open, self.close) <= max(self.open, self.close) <= self.high:
            raise ValueError("expected open and close between low and high")
        if self.start_time >= self.end_time:
            raise ValueError("expected a bar that ends after it starts")


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark price (or an index, where that is what the stops of the book refer to).

    Raises:
        ValueError: a price that is not above 0.
    """

    source: str
    time: datetime
    price: Decimal

    def __post_init__(self) -> None:
        _require_positive(self.price)


Seen = Quote | Depth | Trade | Bar | Mark


@dataclass(frozen=True, slots=True)
class View:
    """The levels to match against at a time, and the input that they are of."""

    seen: Seen
    time: datetime
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]

    def far(self, *, buy: bool) -> tuple[Level, ...]:
        """What an order of the side takes from, best first."""
        return self.asks if buy else self.bids

    def near(self, *, buy: bool) -> tuple[Level, ...]:
        """What an order of the side rests beside, best first."""
        return self.bids if buy else self.asks


def view_of(seen: Quote | Depth) -> View:
    """The levels of a quote or of a book of levels."""
    if isinstance(seen, Depth):
        return View(seen, seen.time, seen.bids, seen.asks)
    return View(seen, seen.time, ((seen.bid, seen.bid_size),), ((seen.ask, seen.ask_size),))


def point_of(bar: Bar, price: Decimal, time: datetime) -> View:
    """A price within a bar: it is bid and ask, and no sizes are known."""
    return View(bar, time, ((price, None),), ((price, None),))


def _require_positive(*values: Decimal | None) -> None:
    for value in values:
        if value is not None and not is_positive(value):
            raise ValueError(f"expected a price or size above 0, was {value}")


def _require_uncrossed(bid: Decimal, ask: Decimal) -> None:
    if bid > ask:
        raise ValueError(f"expected a bid at most the ask, was {bid} and {ask}")
