"""Resolves a symbol to one instrument of the catalogue; an ambiguous symbol is rejected, never guessed."""

import re
from functools import lru_cache

from vantixs.model.instruments import RENAMED, Catalogue, Instrument

_PREFIXED = re.compile(r"([A-Z0-9_]{1,32}):(.+)")
_PERPETUAL = re.compile(r"(?:\.P|[-_.]?PERP(?:ETUAL)?|[-_]SWAP)$")
_DELAYED = ("_DL", "_DLY")
# Exchanges whose contracts against USD are inverse (counted in dollars, settled in the base asset), without spot in USD.
_INVERSE_IN_USD = ("BITMEX", "DERIBIT", "BYBIT", "PHEMEX")
_INVERSE_PERPETUAL = re.compile(
    r"[A-Z0-9]{2,10}-PERPETUAL"
)  # Deribit's names; names of linear contracts contain the quote asset.
# Codes of exchanges before a spot pair, as Altrady and 3Commas write it. Other codes may be futures.
_SPOT_CODE = re.compile(r"(?:BINA|BYBI|KUCN|OKEX|KRKN|HUOB|BTRX|GTIO)_(?=[A-Z0-9]+_[A-Z0-9]+$)")
PERPETUAL = "LINEAR_PERPETUAL"
_SEPARATORS = ("", "/", "-", "_")
LONGEST = 64


class Unresolved(Exception):
    """A symbol names no instrument, or more than one; `reason` is SYMBOL_UNSUPPORTED or SYMBOL_AMBIGUOUS."""

    def __init__(self, reason: str, expected: str, *, show: bool = True) -> None:
        super().__init__(expected)
        self.reason = reason
        self.expected = expected
        self.show = show


class Resolver:
    """An index of the symbols of a catalogue: a look-up has the same cost for any number of instruments."""

    __slots__ = ("_by_base", "_by_name", "_by_pair", "_quotes")

    def __init__(self, catalogue: Catalogue) -> None:
        self._by_name = dict(catalogue)
        self._quotes = {instrument.quote_asset for instrument in catalogue.values()}
        self._by_pair: dict[tuple[str, bool], Instrument] = {}
        self._by_base: dict[str, list[Instrument]] = {}
        for instrument in catalogue.values():
            for base in (instrument.base_asset, *RENAMED.get(instrument.base_asset, ())):
                self._by_base.setdefault(base, []).append(instrument)
                for separator in _SEPARATORS:
                    self._by_pair[base + separator + instrument.quote_asset, instrument.perpetual] = instrument
        # QUOTE_BASE, as 3Commas, Poloniex and Gunbot write spot pairs; not if the text is the BASE_QUOTE of an instrument.
        for instrument in catalogue.values():
            for separator in ("_", "-"):
                reversed_pair = instrument.quote_asset + separator + instrument.base_asset
                if not instrument.perpetual:
                    self._by_pair.setdefault((reversed_pair, False), instrument)

    def resolve(self, symbol: str, kind: str = "", *, exchange: str = "") -> Instrument:
        """The instrument of a symbol.

        `BTCUSDT`, `BTC/USDT`, `BTC-USDT`, `BINANCE:BTCUSDT` are spot; `.P`, `PERP`, `-SWAP`, `:USDT` are perpetuals and never
        spot. `kind` (LINEAR_PERPETUAL or SPOT) decides if a symbol could be either; the catalogued name itself is
        never ambiguous.

        Raises:
            Unresolved: no or several instruments, delayed data (`_DL`, `_DLY`), or an unsupported form.
        """
        if not symbol.isascii() or len(symbol) > LONGEST:
            raise Unresolved(
                "SYMBOL_UNSUPPORTED", "expected a symbol in plain letters, digits and / - _ . :", show=False
            )
        text = _SPOT_CODE.sub("", symbol.strip().upper(), count=1)
        _refuse_delayed(exchange)
        if text in self._by_name:
            return self._by_name[text]
        pair, _, settled = text.partition(":")
        if ("/" in pair and settled) or (settled in self._quotes and pair.endswith(settled)):
            # `:QUOTE` is the asset in which a perpetual is settled; with another asset or a date it is another contract.
            found = self._by_pair.get((pair, True)) if pair.endswith(settled) else None
            if found is None:
                raise _unsupported()
            return found
        prefix, text = self._without_prefix(text)
        _refuse_delayed(prefix)
        self._refuse_inverse(text, prefix or exchange.strip().upper())
        perpetual = _PERPETUAL.search(text)
        if perpetual:
            return self._perpetual(text[: perpetual.start()])
        spot, other = self._by_pair.get((text, False)), self._by_pair.get((text, True))
        found = (other or spot) if kind == PERPETUAL else spot
        if found:
            return found
        if other:
            raise Unresolved("SYMBOL_UNSUPPORTED", f"expected a spot instrument, or {other.name} by its own name")
        return self._bare(text, kind, prefix)

    def _refuse_inverse(self, text: str, exchange: str) -> None:
        if exchange not in _INVERSE_IN_USD:
            return
        found = self._by_pair.get((_PERPETUAL.sub("", text), False))
        dollars = found is not None and found.quote_asset == "USD"
        if dollars or (exchange == "DERIBIT" and _INVERSE_PERPETUAL.fullmatch(text)):
            expected = f"expected spot or a linear perpetual: {exchange} counts this contract in dollars (inverse)"
            raise Unresolved("SYMBOL_UNSUPPORTED", expected)

    @staticmethod
    def _without_prefix(text: str) -> tuple[str, str]:
        match = _PREFIXED.fullmatch(text)
        return (match[1], match[2]) if match else ("", text)

    def _perpetual(self, text: str) -> Instrument:
        found = self._by_pair.get((text, True))
        if found:
            return found
        candidates = [i for i in self._by_base.get(text, ()) if i.perpetual]
        if len(candidates) == 1:
            return candidates[0]
        raise _ambiguous(candidates) if candidates else _unsupported()

    def _bare(self, text: str, kind: str, prefix: str) -> Instrument:
        """Handles a base asset alone. With an exchange before it, it may be the ticker of a share."""
        candidates = self._by_base.get(text, [])
        if not candidates or prefix:
            raise _unsupported()
        preferred = [i for i in candidates if i.perpetual] if kind == PERPETUAL else []
        if len(preferred) == 1:
            return preferred[0]
        if len(candidates) == 1:
            raise Unresolved("SYMBOL_UNSUPPORTED", f"expected base and quote, such as {candidates[0].name}")
        raise _ambiguous(candidates)


@lru_cache(maxsize=8)
def resolver_of(catalogue: Catalogue) -> Resolver:
    """The resolver of a catalogue, cached."""
    return Resolver(catalogue)


def resolve(symbol: str, catalogue: Catalogue, kind: str = "") -> Instrument:
    """The instrument of the catalogue that a symbol names; see `Resolver.resolve`."""
    return resolver_of(catalogue).resolve(symbol, kind)


def _refuse_delayed(exchange: str) -> None:
    if exchange.strip().upper().endswith(_DELAYED):
        raise Unresolved("SYMBOL_UNSUPPORTED", "expected live data, was a delayed feed (_DL, _DLY)", show=False)


def _unsupported() -> Unresolved:
    return Unresolved("SYMBOL_UNSUPPORTED", "expected a catalogued instrument")


def _ambiguous(candidates: list[Instrument]) -> Unresolved:
    names = ", ".join(sorted(i.name for i in candidates))
    return Unresolved("SYMBOL_AMBIGUOUS", f"expected one instrument of {names}")
