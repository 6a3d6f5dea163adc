"""A paper venue's book and what it sees, in the words of the matching's tests: times are seconds, numbers are texts."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from typing import Any

from vantixs.model.instruments import Instrument
from vantixs_router.domain.matching.book import Book
from vantixs_router.domain.matching.events import (
    Canceled,
    Event,
    Filled,
    Rejected,
)
from vantixs_router.domain.matching.market import Bar, Depth, Quote, Seen, Trade
from vantixs_router.domain.matching.orders import OrderTerms, OrderType
from vantixs_router.domain.matching.taking import Assumptions

START = datetime(2026, 11, 27, 12, tzinfo=UTC)
INSTRUMENT = Instrument("AAA/USDT", "AAA", "USDT", False, D("0.1"), D("0.01"), D(5), D(100))
PERPETUAL = Instrument("AAA/USDT:USDT", "AAA", "USDT", True, D("0.1"), D("0.01"), D(5), D(100))


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def quote(time: float, bid: str, ask: str, bid_size: str | None = None, ask_size: str | None = None) -> Quote:
    return Quote("test", at(time), D(bid), D(ask), bid_size and D(bid_size), ask_size and D(ask_size))  # type: ignore[arg-type]


def depth(time: float, bids: Sequence[tuple[str, str]], asks: Sequence[tuple[str, str]]) -> Depth:
    return Depth("test", at(time), tuple((D(p), D(s)) for p, s in bids), tuple((D(p), D(s)) for p, s in asks))


def trade(time: float, price: str, size: str | None = None) -> Trade:
    return Trade("test", at(time), D(price), D(size) if size else None)


def bar(time: float, open_: str, high: str, low: str, close: str) -> Bar:
    return Bar("test", at(time), at(time + 60), D(open_), D(high), D(low), D(close))


def book(instrument: Instrument = INSTRUMENT, **assumed: Any) -> Book:
    return Book(instrument, Assumptions(**assumed))


def terms(order_id: str = "a", side: str = "buy", quantity: str = "1", placed: float = 0, **more: Any) -> OrderTerms:
    """A market order, or what the prices among `more` make of it."""
    prices = {
        name: D(more.pop(name))
        for name in (
            "limit_price", "stop_price", "trail_amount", "trail_bps", "activation_price", "max_slippage_bps"
        )
        if name in more
    }  # fmt: skip
    kind = OrderType.MARKET
    if "trail_amount" in prices or "trail_bps" in prices:
        kind = OrderType.TRAILING_STOP
    elif "stop_price" in prices:
        kind = OrderType.STOP_LIMIT if "limit_price" in prices else OrderType.STOP
    elif "limit_price" in prices:
        kind = OrderType.LIMIT
    return OrderTerms(order_id, side == "buy", kind, D(quantity), at(placed), **prices, **more)


def place(in_book: Book, *args: Any, **more: Any) -> None:
    assert in_book.place(terms(*args, **more)) is None


def apply(in_book: Book, *seen: Seen) -> list[Event]:
    return [event for one in seen for event in in_book.apply(one)]


def fills(in_book: Book, *seen: Seen) -> list[tuple[str, str, str]]:
    """Order, quantity and price of each fill."""
    events = apply(in_book, *seen)
    return [(e.order_id, f"{e.quantity.normalize():f}", f"{e.price:.1f}") for e in events if isinstance(e, Filled)]


def ends(events: Sequence[Event]) -> list[tuple[str, str]]:
    return [(e.order_id, e.reason.value) for e in events if isinstance(e, Canceled | Rejected)]
