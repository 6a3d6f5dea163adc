"""Reads the rows of a file of quotes or of bars, of CSV for one."""

import csv
import io
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext
from functools import partial
from typing import NamedTuple, Protocol, TypeVar

from vantixs.model.decimals import EXACT, format_decimal, parse_decimal
from vantixs.model.instruments import INSTRUMENTS

from vantixs_router.domain.quotes import check_prices
from vantixs_router.domain.replay import Tick, ticks_of_bar

V = TypeVar("V")
R = TypeVar("R")
MOST_QUOTES = 500_000
_QUOTES = ("time", "instrument", "bid", "ask")
_SIZED_QUOTES = (*_QUOTES, "bid_size", "ask_size")
_PRICES = ("open", "low", "high", "close")
_BARS = ("time", "instrument", "open", "high", "low", "close")
HEADERS = (_QUOTES, _SIZED_QUOTES, _BARS)
EXPECTED = " or ".join(",".join(names) for names in HEADERS)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Rows(Protocol):
    """Rows of text; `line_num` is the number of the last one, for errors."""

    @property
    def line_num(self) -> int:
        """1 is the header's."""

    def __iter__(self) -> Iterator[list[str]]:
        """The rows after the header."""


class FileError(Exception):
    """A file that cannot be replayed: the row and the field, what was expected and what it was."""


class Options(NamedTuple):
    """How bars are read: their length in microseconds, 0 for the least distance of two, and the spread around a price."""

    interval_us: int
    spread_bps: Decimal


@dataclass(slots=True)
class _Bar:
    row: int
    start_us: int
    prices: list[tuple[str, str]] = field(default_factory=list)


def read_ticks(content: bytes, options: Options) -> list[Tick]:
    """The quotes of a file, their times counted from its first.

    Raises:
        FileError: a row of it cannot be read, or it holds no quote or too many.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileError(f"expected UTF-8, was another byte at {error.start}") from None
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = tuple(name.strip() for name in next(rows, []))
        if header not in HEADERS:
            raise FileError(f"row 1: expected {EXPECTED}, was {','.join(header)[:80]!r}")
        return ticks_of_rows(header, rows, options)
    except csv.Error as error:
        raise FileError(f"row {rows.line_num}: expected CSV, was: {error}") from None


def ticks_of_rows(header: tuple[str, ...], rows: Rows, options: Options) -> list[Tick]:
    """The quotes of rows under one of `HEADERS`, their times counted from the first.

    Raises:
        FileError: as `read_ticks`.
    """
    ticks = _bars(rows, options) if header == _BARS else list(_quotes(rows, header))
    if not ticks:
        raise FileError("expected at least one row of quotes, was none")
    first = min(tick.at_us for tick in ticks)
    return [Tick(t.at_us - first, t.instrument, t.bid, t.ask, t.bid_size, t.ask_size) for t in ticks]


def time_us(text: str) -> int:
    """Microseconds since 1970 of RFC 3339 text with a zone, or of digits: seconds, or milliseconds from 12 digits on.

    Raises:
        ValueError: it is neither.
    """
    if text.isascii() and text.isdigit() and len(text) <= 14:
        return int(text) * (1000 if len(text) >= 12 else 1_000_000)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError(f"expected a time as 2026-01-01T00:00:00Z or in seconds since 1970, was {text[:40]!r}")
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _quotes(rows: Rows, header: tuple[str, ...]) -> Iterator[Tick]:
    last: dict[str, int] = {}
    for number, row in enumerate(_rows(rows, header), 1):
        if number > MOST_QUOTES:
            raise FileError(f"expected at most {MOST_QUOTES} quotes, was more at row {rows.line_num}")
        _, at_us = _head(rows.line_num, row, last)
        for name in header[2:]:
            if row[name] or not name.endswith("_size"):
                _field(rows.line_num, name, parse_decimal, row[name])
        sizes = row.get("bid_size", ""), row.get("ask_size", "")
        try:
            check_prices(row["bid"], row["ask"], *sizes)
        except ValueError as error:
            raise FileError(f"row {rows.line_num}: {error}") from None
        yield Tick(at_us, row["instrument"], row["bid"], row["ask"], *sizes)


def _bars(rows: Rows, options: Options) -> list[Tick]:
    bars: dict[str, list[_Bar]] = {}
    last: dict[str, int] = {}
    for number, row in enumerate(_rows(rows, _BARS), 1):
        if number * len(_PRICES) > MOST_QUOTES:
            raise FileError(f"expected at most {MOST_QUOTES // len(_PRICES)} bars, was more at row {rows.line_num}")
        before, at_us = _head(rows.line_num, row, last)
        if before == at_us:
            raise FileError(f"row {rows.line_num}: time: expected one bar a time, was a second one at {row['time']}")
        prices = {name: _field(rows.line_num, name, parse_decimal, row[name]) for name in _PRICES}
        low, high = prices["low"], prices["high"]
        if not 0 < low <= min(prices.values()) or max(prices.values()) > high:
            detail = ", ".join(f"{name} {row[name]}" for name in _BARS[2:])
            raise FileError(f"row {rows.line_num}: expected 0 < low <= open, close <= high, was {detail}")
        around = partial(_around, INSTRUMENTS.current[row["instrument"]].tick_size, options.spread_bps)
        made = [_field(rows.line_num, name, around, prices[name]) for name in _PRICES]
        bars.setdefault(row["instrument"], []).append(_Bar(rows.line_num, at_us, made))
    return [tick for name, found in bars.items() for tick in _ticks_of(name, found, options.interval_us)]


def _ticks_of(instrument: str, bars: list[_Bar], interval_us: int) -> Iterator[Tick]:
    distances = [after.start_us - bar.start_us for bar, after in itertools.pairwise(bars)]
    if not interval_us and not distances:
        raise FileError(
            f"row {bars[0].row}: expected two bars of {instrument} or the setting quote_file_interval_s, was one"
        )
    length = interval_us or min(distances)
    for bar, distance in zip(bars[1:], distances, strict=True):
        if distance < length:
            raise FileError(
                f"row {bar.row}: time: expected {length / 1e6:g} s after the bar before, was {distance / 1e6:g} s"
            )
    for bar in bars:
        yield from ticks_of_bar(bar.start_us, length, bar.prices, instrument)


def _rows(rows: Rows, header: tuple[str, ...]) -> Iterator[dict[str, str]]:
    for row in rows:
        if not row:
            continue
        if len(row) != len(header):
            raise FileError(f"row {rows.line_num}: expected {len(header)} fields, was {len(row)}")
        yield dict(zip(header, (text.strip() for text in row), strict=True))


def _head(number: int, row: dict[str, str], last: dict[str, int]) -> tuple[int | None, int]:
    """The time of the instrument's row before this one, and of this one."""
    name = row["instrument"]
    if name not in INSTRUMENTS.current:
        raise FileError(f"row {number}: instrument: expected one of the catalogue, was {name[:40]!r}")
    at_us = _field(number, "time", time_us, row["time"])
    before = last.get(name)
    if before is not None and at_us < before:
        raise FileError(f"row {number}: time: expected not before the row of {name} above it, was {row['time'][:40]}")
    last[name] = at_us
    return before, at_us


def _field(number: int, name: str, read: Callable[[V], R], value: V) -> R:
    try:
        return read(value)
    except ValueError as error:
        raise FileError(f"row {number}: {name}: {error}") from None


def _around(tick: Decimal, spread_bps: Decimal, price: Decimal) -> tuple[str, str]:
    """Bid and ask around a price, rounded outwards to the tick; the price itself for both where there is no spread."""
    if not spread_bps:
        return format_decimal(price), format_decimal(price)
    with localcontext(EXACT):
        half = price * spread_bps / 20_000
        bid = ((price - half) / tick).to_integral_value(ROUND_FLOOR) * tick
        ask = ((price + half) / tick).to_integral_value(ROUND_CEILING) * tick
    if bid <= 0:
        raise ValueError(f"expected a bid above 0 with a spread of {spread_bps} bps, was {bid}")
    return format_decimal(bid), format_decimal(ask)
