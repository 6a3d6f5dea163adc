"""From a symbol as sent to one catalogued instrument, or a refusal. Never a guess."""

import re
from collections.abc import Mapping

from vantixs.model.instruments import Instrument

_UNIFIED = re.compile(r"^[A-Z0-9]+/[A-Z0-9]+:[A-Z0-9]+$")
_PREFIX = re.compile(r"^([A-Z0-9_]+):(.+)$")
_PERPETUAL = re.compile(r"(\.P|[-_]?PERP|-SWAP)$")
_PLAIN = re.compile(r"^[A-Z0-9]{2,20}$")
_RENAMED = {"XBT": "BTC"}


class Unresolved(Exception):
    """No one instrument; `reason` is SYMBOL_UNSUPPORTED or SYMBOL_AMBIGUOUS."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def resolve(symbol: str, catalogue: Mapping[str, Instrument]) -> Instrument:
    """The instrument a symbol names: `BTCUSDT`, `BTC/USDT`, `BINANCE:BTCUSDT` spot; `.P`, `PERP`, `-SWAP`, `:USDT` perpetual.

    Raises:
        Unresolved: none or several, delayed data (`_DL`, `_DLY`), or a form we do not read.
    """
    text = symbol.strip().upper()
    exact = catalogue.get(text)
    if exact:
        return exact
    if _UNIFIED.match(text):
        raise _unsupported(symbol)
    if match := _PREFIX.match(text):
        if match[1].endswith(("_DL", "_DLY")):
            raise Unresolved("SYMBOL_UNSUPPORTED", f"expected live data, was the delayed feed {match[1][:20]}")
        text = match[2]
    perpetual = _PERPETUAL.search(text)
    if perpetual:
        text = text[: perpetual.start()]
    plain = re.sub(r"[/_-]", "", text)
    if not _PLAIN.match(plain):
        raise _unsupported(symbol)
    for old, new in _RENAMED.items():
        if plain.startswith(old):
            plain = new + plain[len(old) :]
    of_kind = [i for i in catalogue.values() if i.perpetual == bool(perpetual)]
    found = [i for i in of_kind if i.base_asset + i.quote_asset == plain] or [
        i for i in of_kind if i.base_asset == plain
    ]
    if len(found) == 1 and (perpetual or found[0].base_asset != plain):
        return found[0]
    if found:
        names = ", ".join(sorted(i.name for i in found))
        raise Unresolved("SYMBOL_AMBIGUOUS", f"expected one instrument, {symbol[:40]!r} could be {names}")
    raise _unsupported(symbol)


def _unsupported(symbol: str) -> Unresolved:
    return Unresolved("SYMBOL_UNSUPPORTED", f"expected a catalogued instrument, was {symbol[:40]!r}")
