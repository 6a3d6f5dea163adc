"""Instruments, the default catalogue, and the current one of this process: instruments can be added while it runs."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from vantixs.model.decimals import format_decimal, parse_decimal

MOST_ADDED = 5000
# Beyond these bounds a venue has nothing, and a mistyped exponent has much.
MOST = Decimal(10**12)
MOST_DECIMALS = 18  # Of tick and lot together: a notional is their product, and is exact in so many.
LEAST_TICKS = 10  # Simulated prices move by some percent and need room below the reference price.
TERMS = ("tick_size", "lot_size", "minimum_notional", "reference_price")
# Other names of the same asset. Source: ISO 4217 practice (X for no country), used by Kraken and BitMEX.
RENAMED = {"BTC": ("XBT",), "DOGE": ("XDG",)}
_NAME = re.compile(r"(?P<base>[A-Z0-9]{2,16})/(?P<quote>[A-Z][A-Z0-9]{1,9})(?P<settle>:(?P=quote))?", re.ASCII)
# Symbols that end so are read as perpetuals, whatever comes before.
_LIKE_PERPETUAL = ("PERP", "PERPETUAL", "SWAP")
_SEPARATORS = ("", "/", "-", "_")
_EXPECTED_NAME = (
    "expected BASE/QUOTE or, for a linear perpetual, BASE/QUOTE:QUOTE, base 2 to 16 and quote 2 to 10 of A-Z and 0-9, "
    "a letter in the base and first in the quote"
)


@dataclass(frozen=True, slots=True)
class Instrument:
    """What a venue trades. `tick_size` and `lot_size` are steps of price and quantity."""

    name: str
    base_asset: str
    quote_asset: str
    perpetual: bool
    tick_size: Decimal
    lot_size: Decimal
    minimum_notional: Decimal
    reference_price: Decimal  # Where the simulated quotes start; never used for anything else.


class Catalogue(Mapping[str, Instrument]):
    """Instruments by name. Never changed, and told apart by identity: a new list of instruments is a new catalogue."""

    __slots__ = ("_by_name",)
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __init__(self, instruments: Iterable[Instrument] = ()) -> None:
        self._by_name = {instrument.name: instrument for instrument in instruments}

    def __getitem__(self, name: str) -> Instrument:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)


def _row(base: str, quote: str, price: str, tick: str, lot: str, *, perpetual: bool = False) -> Instrument:
    name = f"{base}/{quote}:{quote}" if perpetual else f"{base}/{quote}"
    return Instrument(name, base, quote, perpetual, Decimal(tick), Decimal(lot), Decimal(5), Decimal(price))


_SPOT = (
    ("BTC", "64000", "0.01", "0.00001"),
    ("ETH", "3100", "0.01", "0.0001"),
    ("SOL", "145", "0.01", "0.001"),
    ("BNB", "580", "0.01", "0.001"),
    ("XRP", "0.52", "0.0001", "0.1"),
    ("ADA", "0.45", "0.0001", "0.1"),
    ("DOGE", "0.12", "0.00001", "1"),
    ("AVAX", "28", "0.01", "0.01"),
    ("LINK", "14", "0.001", "0.01"),
    ("DOT", "6", "0.001", "0.01"),
    ("LTC", "70", "0.01", "0.001"),
    ("ATOM", "8", "0.001", "0.01"),
)
CATALOGUE = Catalogue(
    (
        *(_row(base, "USDT", price, tick, lot) for base, price, tick, lot in _SPOT),
        *(_row(base, "USD", price, tick, lot) for base, price, tick, lot in _SPOT[:2]),
        *(_row(base, "USDT", price, tick, lot, perpetual=True) for base, price, tick, lot in _SPOT[:3]),
    )
)


class CurrentCatalogue:
    """The current catalogue of a process. It is replaced as a whole, so a catalogue that was read once never changes."""

    __slots__ = ("current",)

    def __init__(self, catalogue: Catalogue) -> None:
        self.current = catalogue


INSTRUMENTS = CurrentCatalogue(CATALOGUE)


class BadTerm(ValueError):
    """A term of an instrument that cannot be; `field` says which, the text what was expected and found."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(detail)
        self.field = field


class Merged(NamedTuple):
    """A catalogue, and what was left out of it."""

    catalogue: Catalogue
    left_out: list[Instrument]


def define(name: str, tick_size: str, lot_size: str, minimum_notional: str, reference_price: str) -> Instrument:
    """An instrument of texts as an operator gives them.

    Raises:
        BadTerm: the name or a number is not one that an instrument can have.
    """
    found = _NAME.fullmatch(name)
    if found is None or found["base"].isdigit():
        raise BadTerm("instrument", f"{_EXPECTED_NAME}, was {name[:60]!r}")
    base, quote = found["base"], found["quote"]
    if base == quote:
        raise BadTerm("instrument", f"expected two assets, was {name!r}")
    if quote.endswith(_LIKE_PERPETUAL):
        raise BadTerm("instrument", f"expected a quote asset that does not end in PERP, PERPETUAL or SWAP, was {quote}")
    tick, lot = _number("tick_size", tick_size), _number("lot_size", lot_size)
    decimals = _decimals(tick) + _decimals(lot)
    if decimals > MOST_DECIMALS:
        raise BadTerm("lot_size", f"expected at most {MOST_DECIMALS} decimals of tick and lot together, was {decimals}")
    least = _number("minimum_notional", minimum_notional, zero=True)
    reference = _number("reference_price", reference_price)
    if reference < LEAST_TICKS * tick:
        raise BadTerm("reference_price", f"expected at least {LEAST_TICKS} ticks of {tick_size}, was {reference_price}")
    return Instrument(name, base, quote, bool(found["settle"]), tick, lot, least, reference)


def is_name(text: str) -> bool:
    """Whether an instrument can have that name."""
    return _NAME.fullmatch(text) is not None


def key_of_instrument(name: str) -> str:
    """The KV key of an instrument, for example "btc-usdt", "btc-usdt-usdt" and "n-1inch-usdt"; no two have the same."""
    key = name.replace("/", "-").replace(":", "-").lower()
    return f"n-{key}" if key[:1].isdigit() else key


def different_term(one: Instrument, other: Instrument) -> str:
    """The first term in which two instruments of one name differ, or nothing."""
    return next((term for term in TERMS if getattr(one, term) != getattr(other, term)), "")


def merge(added: Iterable[Instrument], defaults: Catalogue = CATALOGUE) -> Merged:
    """The catalogue of what was added, in that order, and of the defaults.

    What was added first has its name and its symbols for good. What could be read as another one, because a symbol stands
    for both, is left out. So a default that a later version brings does not take the symbols, or change the terms, of
    what an operator added before it.
    """
    spelled: dict[str, tuple[str, str]] = {}
    taken: dict[str, Instrument] = {}
    left_out = []
    for instrument in (*added, *defaults.values()):
        if instrument.name in taken:
            continue
        if _clash(instrument, spelled):
            left_out.append(instrument)
            continue
        taken[instrument.name] = instrument
        _spell(instrument, spelled)
    return Merged(Catalogue(taken.values()), left_out)


def clash(instrument: Instrument, catalogue: Catalogue) -> str:
    """A symbol that would stand for the instrument and for one of the catalogue, and which: "BTCUSDT is BTC/USDT"; or nothing."""
    spelled: dict[str, tuple[str, str]] = {}
    for known in catalogue.values():
        _spell(known, spelled)
    if symbol := _clash(instrument, spelled):
        return f"{symbol} is {'/'.join(spelled[symbol])}"
    return ""


def _spell(instrument: Instrument, spelled: dict[str, tuple[str, str]]) -> None:
    pair = (instrument.base_asset, instrument.quote_asset)
    for symbol in _symbols(instrument):
        spelled.setdefault(symbol, pair)


def _clash(instrument: Instrument, spelled: Mapping[str, tuple[str, str]]) -> str:
    pair = (instrument.base_asset, instrument.quote_asset)
    return next((symbol for symbol in _symbols(instrument) if spelled.get(symbol, pair) != pair), "")


def _symbols(instrument: Instrument) -> Iterator[str]:
    """How senders may write the pair, the wrong way round too: `USDT_BTC` is BTC/USDT with some of them."""
    for base in (instrument.base_asset, *RENAMED.get(instrument.base_asset, ())):
        for separator in _SEPARATORS:
            yield base + separator + instrument.quote_asset
    for separator in ("_", "-"):
        yield instrument.quote_asset + separator + instrument.base_asset


def _number(field: str, text: str, *, zero: bool = False) -> Decimal:
    least = "0 or more" if zero else "above 0"
    try:
        value = parse_decimal(text)
    except ValueError as error:
        raise BadTerm(field, str(error)) from None
    if not (value > 0 or (zero and value == 0)) or value > MOST:
        raise BadTerm(field, f"expected {least} and at most {MOST}, was {text}")
    return Decimal(format_decimal(value))


def _decimals(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
