"""Closed bars, built of quotes. Pure: times are arguments, microseconds since 1970.

A bar has the quotes with start <= quote time < end. It is closed by the instrument's first quote of a later interval, or
by the clock a grace after its end; what comes later than that is left out. No quotes, no bar.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from vantixs.model.decimals import EXACT

DAY_US = 86_400_000_000
MOST_TIMEFRAMES = 12
# A quote's time may be 2 s ahead of our clock: one that came before we listened may be of an interval that begins so soon.
SURE_AFTER_US = 2_000_000
# A clock that is set back by more than this: what is open is of intervals that will be there again.
SET_BACK_US = 10_000_000
_UNITS_US = {"s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": DAY_US}
_HALF = Decimal("0.5")
_LEAST = Decimal("1e-18")


class Timeframe(NamedTuple):
    """The length of a bar and what it is called, for example "1h"."""

    name: str
    length_us: int


class Quoted(NamedTuple):
    """What a bar needs of a quote; `price` is the middle of bid and ask."""

    instrument: str
    source: str
    time_us: int
    price: Decimal


@dataclass(slots=True)
class Bar:
    """An interval's first, highest, lowest and last price; `complete` says that no quote of it was missed."""

    instrument: str
    timeframe: Timeframe
    start_us: int
    source: str
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    quote_count: int
    complete: bool

    @property
    def end_us(self) -> int:
        """The first time that is not in it."""
        return self.start_us + self.timeframe.length_us


def parse_timeframes(text: str) -> tuple[Timeframe, ...]:
    """Timeframes of a text as "1m,5m,1h", shortest first; none of an empty one.

    Raises:
        ValueError: one is not a number of s, m, h or d that divides a day, or has the length of another; or there are too many.
    """
    found: dict[int, Timeframe] = {}
    for name in filter(None, (part.strip() for part in text.split(","))):
        match = re.fullmatch(r"([1-9][0-9]{0,4})([smhd])", name, re.ASCII)
        length_us = int(match[1]) * _UNITS_US[match[2]] if match else 0
        if not length_us or DAY_US % length_us:
            raise ValueError(f"expected timeframes that divide a day, as 1m,5m,1h,1d, was {name[:20]!r}")
        if length_us in found:
            raise ValueError(f"expected each length once, was {found[length_us].name} and {name}")
        found[length_us] = Timeframe(name, length_us)
    if len(found) > MOST_TIMEFRAMES:
        raise ValueError(f"expected at most {MOST_TIMEFRAMES} timeframes, was {len(found)}")
    return tuple(found[length_us] for length_us in sorted(found))


def middle(bid: Decimal, ask: Decimal) -> Decimal:
    """The middle of two prices, exact up to the 18 decimals that a price may have; one more is rounded half to even."""
    return EXACT.quantize(EXACT.multiply(EXACT.add(bid, ask), _HALF), _LEAST)


class BarBuilder:
    """The open bars of every instrument that is quoted.

    Every quote of a time from `since_us` on is heard, with `SURE_AFTER_US` to spare: bars that begin before are not complete.
    An instrument's quotes are heard in order of their time.
    """

    def __init__(self, timeframes: Iterable[Timeframe], *, since_us: int, grace_us: int) -> None:
        self._timeframes = tuple(timeframes)
        self._grace_us = grace_us
        self._open: dict[tuple[str, str], Bar] = {}
        self._ended: dict[tuple[str, str], int] = {}  # End of the newest bar that was closed.
        self._now_us = since_us
        self._sure_us = since_us + SURE_AFTER_US

    def hear(self, quote: Quoted, now_us: int) -> list[Bar]:
        """Takes a quote into the bars it belongs to; returns those that it closes, shortest first."""
        closed = []
        for timeframe in self._timeframes:
            key = (quote.instrument, timeframe.name)
            bar = self._open.get(key)
            start_us = quote.time_us - quote.time_us % timeframe.length_us
            if bar is not None and start_us > bar.start_us:
                closed.append(self._close(key))
                bar = None
            if bar is not None and start_us == bar.start_us and quote.source == bar.source:
                _add(bar, quote.price)
            elif bar is None or start_us == bar.start_us:
                self._begin(key, timeframe, start_us, quote, now_us)
        return closed

    def close(self, now_us: int) -> list[Bar]:
        """The bars that have ended by the clock, in order of their end; to be called several times a second."""
        if now_us < self._now_us - SET_BACK_US:
            self._open.clear()
            self._ended.clear()
            self._sure_us = now_us + SURE_AFTER_US
        self._now_us = now_us
        keys = [key for key, bar in self._open.items() if bar.end_us + self._grace_us <= now_us]
        return sorted((self._close(key) for key in keys), key=lambda bar: (bar.end_us, bar.instrument, bar.start_us))

    def interrupt(self, now_us: int) -> None:
        """Quotes may have been missed until now: bars that began before are not complete."""
        self._sure_us = max(self._sure_us, now_us + SURE_AFTER_US)

    def end(self, now_us: int) -> list[Bar]:
        """The bars that have ended and that only the grace kept open, not complete; for whoever builds no more."""
        self.interrupt(now_us)
        return self.close(now_us + self._grace_us)

    def _begin(self, key: tuple[str, str], timeframe: Timeframe, start_us: int, quote: Quoted, now_us: int) -> None:
        """Opens a bar, unless its interval was closed before. One of another source does not go on with its prices."""
        late = start_us + timeframe.length_us + self._grace_us <= now_us or start_us < self._ended.get(key, 0)
        if late:
            return
        price, first = quote.price, key not in self._open
        self._open[key] = Bar(
            quote.instrument, timeframe, start_us, quote.source, price, price, price, price, 1, complete=first
        )

    def _close(self, key: tuple[str, str]) -> Bar:
        bar = self._open.pop(key)
        bar.complete = bar.complete and bar.start_us >= self._sure_us
        self._ended[key] = bar.end_us
        return bar


def sound(low: Decimal, others: Iterable[Decimal], high: Decimal) -> bool:
    """Whether prices can be those of a bar."""
    return 0 < low <= high and all(low <= other <= high for other in others)


def _add(bar: Bar, price: Decimal) -> None:
    # Thousands of quotes a second come here, and `max` and `min` are calls.
    if price > bar.high:
        bar.high = price
    elif price < bar.low:
        bar.low = price
    bar.close = price
    bar.quote_count += 1
