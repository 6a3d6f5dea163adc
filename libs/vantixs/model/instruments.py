"""Instruments, and the default catalogue."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal


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
