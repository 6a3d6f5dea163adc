"""Quotes a second that the matching engine takes on one core, with orders that rest."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from random import Random

from vantixs.model.instruments import Instrument
from vantixs_router.domain.matching.book import Book
from vantixs_router.domain.matching.market import Quote
from vantixs_router.domain.matching.orders import OrderTerms, OrderType
from vantixs_router.domain.matching.taking import Assumptions

INSTRUMENTS, ORDERS, QUOTES, DEEP = 500, 10_000, 50_000, 10_000
START, TICK = datetime(2026, 1, 1, tzinfo=UTC), D("0.01")


def make_books(count: int) -> list[Book]:
    assumptions = Assumptions(slippage_bps=D(5))
    names = [f"A{number}/USDT" for number in range(count)]
    return [Book(Instrument(name, name, "USDT", False, TICK, TICK, D(5), D(100)), assumptions) for name in names]


def order(random: Random, number: int) -> OrderTerms:
    """Limits, stops, targets and trailing stops of both sides, some near the market and most not."""
    buy = random.random() < 0.5
    away = D(random.randint(5, 1000)) * TICK
    kind = random.choice((OrderType.LIMIT, OrderType.STOP, OrderType.LIMIT, OrderType.TRAILING_STOP))
    behind = D(100) - away if buy is (kind is OrderType.LIMIT) else D(100) + away
    return OrderTerms(
        order_id=f"o{number}",
        buy=buy,
        type=kind,
        quantity=D(1),
        placed_time=START,
        limit_price=behind if kind is OrderType.LIMIT else None,
        stop_price=behind if kind is OrderType.STOP else None,
        trail_amount=away if kind is OrderType.TRAILING_STOP else None,
    )


def make_quotes(random: Random, books: int, count: int) -> Iterator[tuple[int, Quote]]:
    """A walk of each instrument."""
    middles = [10_000] * books
    now = START
    for _ in range(count):
        now += timedelta(milliseconds=1)
        index = random.randrange(books)
        middles[index] += random.randint(-3, 3)
        middle = middles[index] * TICK
        yield index, Quote("bench", now, middle - TICK, middle + TICK, D(5), D(5))


def measure(title: str, books: list[Book], orders: int) -> None:
    random = Random(7)
    for number in range(orders):
        books[number % len(books)].place(order(random, number))
    quotes = list(make_quotes(random, len(books), QUOTES))
    events = 0
    slowest = 0.0
    begin = time.perf_counter()
    for index, quote in quotes:
        at = time.perf_counter()
        for _ in books[index].apply(quote):
            events += 1
        slowest = max(slowest, time.perf_counter() - at)
    took = time.perf_counter() - begin
    left = sum(len(book.orders) for book in books)
    print(
        f"{title}: {QUOTES / took:,.0f} quotes/s; {took / QUOTES * 1e6:.1f} us a quote, at most {slowest * 1e3:.1f} ms;"
        f" {events} events, {left} of {orders} orders open at the end"
    )


def main() -> None:
    measure(f"{ORDERS} orders over {INSTRUMENTS} instruments", make_books(INSTRUMENTS), ORDERS)
    measure(f"{DEEP} orders in one instrument", make_books(1), DEEP)
    measure("no order", make_books(INSTRUMENTS), 0)


if __name__ == "__main__":
    main()
