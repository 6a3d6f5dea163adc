"""From a symbol as sent to one catalogued instrument, or a refusal. Never a guess."""

import re
from functools import lru_cache

from vantixs.model.instruments import Catalogue, Instrument

_PREFIXED = re.compile(r"([A-Z0-9_]{1,32}):(.+)")
_PERPETUAL = re.compile(r"(?:\.P|[-_.]?PERP(?:ETUAL)?|[-_]SWAP)$")
_DELAYED = ("_DL", "_DLY")
# Other names of the same asset. Source: ISO 4217 practice (X for no country), used by Kraken and BitMEX.
RENAMED = {"BTC": ("XBT",), "DOGE": ("XDG",)}
PERPETUAL = "LINEAR_PERPETUAL"
_SEPARATORS = ("", "/", "-", "_")
LONGEST = 64


class Unresolved(Exception):
    """No one instrument; `reason` is SYMBOL_UNSUPPORTED or SYMBOL_AMBIGUOUS."""

    def __init__(self, reason: str, expected: str, *, show: bool = True) -> None:
        super().__init__(expected)
        self.reason = reason
        self.expected = expected
        self.show = show


class Resolver:
    """The symbols of a catalogue, indexed: a look-up costs the same however many instruments there are."""

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

    def resolve(self, symbol: str, kind: str = "", *, exchange: str = "") -> Instrument:
        """The instrument a symbol names.

        `BTCUSDT`, `BTC/USDT`, `BTC-USDT`, `BINANCE:BTCUSDT` are spot; `.P`, `PERP`, `-SWAP`, `:USDT` are perpetuals and never
        spot. `kind` (LINEAR_PERPETUAL or SPOT) is preferred where a symbol could be either; the catalogued name itself
        could not.

        Raises:
            Unresolved: none or several, delayed data (`_DL`, `_DLY`), or a form we do not read.
        """
        if not symbol.isascii() or len(symbol) > LONGEST:
            raise Unresolved(
                "SYMBOL_UNSUPPORTED", "expected a symbol in plain letters, digits and / - _ . :", show=False
            )
        text = symbol.strip().upper()
        _refuse_delayed(exchange)
        if text in self._by_name:
            return self._by_name[text]
        pair, _, settled = text.partition(":")
        if ("/" in pair and settled) or (settled in self._quotes and pair.endswith(settled)):
            # `:QUOTE` says what a perpetual is settled in; another asset or a date there is another contract.
            found = self._by_pair.get((pair, True)) if pair.endswith(settled) else None
            if found is None:
                raise _unsupported()
            return found
        prefix, text = self._without_prefix(text)
        _refuse_delayed(prefix)
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
        """A base asset alone. With an exchange before it, it may as well be a share of the same letters."""
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
    """The resolver of a catalogue, made once."""
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
