"""Alert messages as templates: which placeholders TradingView fills in, with example values."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from vantixs.model.instruments import Instrument

_PLACEHOLDER = re.compile(r"\{\{([^{}]{1,100})\}\}|%[A-Za-z_][A-Za-z0-9_.]{1,60}+%")
_PLOT = re.compile(r'plot_(1?[0-9])|plot\(\\?"[^"\\]{1,60}\\?"\)')
ALL, STRATEGY, NOWHERE = "every alert", "strategy alerts only", "nowhere: it would arrive unchanged"
MOST = 100
# Source: TradingView's help pages on variables in alerts; facts of 2026-11.
_PLAIN = {
    "open": "64010.5", "high": "64080", "low": "63950.5", "close": "64000.5", "volume": "12.5", "interval": "60",
    "syminfo.currency": "USDT", "syminfo.basecurrency": "BTC",
}  # fmt: skip
_ENTRY = {
    "strategy.order.action": "buy", "strategy.order.contracts": "0.01", "strategy.order.price": "64000.5",
    "strategy.order.id": "Long", "strategy.order.comment": "Long", "strategy.order.alert_message": "",
    "strategy.position_size": "0.01", "strategy.market_position": "long", "strategy.market_position_size": "0.01",
    "strategy.prev_market_position": "flat", "strategy.prev_market_position_size": "0",
}  # fmt: skip
_EXIT = _ENTRY | {
    "strategy.order.action": "sell", "strategy.order.id": "Exit", "strategy.order.comment": "Exit",
    "strategy.position_size": "0", "strategy.market_position": "flat", "strategy.market_position_size": "0",
    "strategy.prev_market_position": "long", "strategy.prev_market_position_size": "0.01",
}  # fmt: skip
EXAMPLES = {"entry": _ENTRY, "exit": _EXIT}


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A placeholder as written, and its value in the example of an entry."""

    text: str
    understood: bool
    example: str
    available: str


def has_placeholder(text: str) -> bool:
    """Whether a text is a template."""
    return _PLACEHOLDER.search(text) is not None


def values_of(instrument: Instrument | None, exchange: str, now: datetime, example: str) -> dict[str, str]:
    """Example values of TradingView for a fill of a strategy: an `entry` that opens a long, or the `exit` that closes it."""
    base, quote = (instrument.base_asset, instrument.quote_asset) if instrument else ("BTC", "USDT")
    fired = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    bar = (now - timedelta(minutes=now.minute, seconds=now.second)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        **_PLAIN,
        **EXAMPLES[example],
        "ticker": f"{base}{quote}{'.P' if instrument and instrument.perpetual else ''}",
        "exchange": (exchange or "binance").upper(),
        "timenow": fired,
        "time": bar,
        "syminfo.currency": quote,
        "syminfo.basecurrency": base,
    }


def placeholders_of(text: str, values: dict[str, str]) -> list[Placeholder]:
    """Each placeholder of a text once."""
    found: dict[str, Placeholder] = {}
    for match in _PLACEHOLDER.finditer(text):
        if match[0] not in found and len(found) < MOST:
            name = (match[1] or "").strip()
            value = _value(name, values)
            available = NOWHERE if value is None else STRATEGY if name.startswith("strategy.") else ALL
            found[match[0]] = Placeholder(match[0], value is not None, value or "", available)
    return list(found.values())


def render(text: str, values: dict[str, str]) -> str:
    """The text with the known placeholders filled in; unknown ones stay, as TradingView leaves them."""

    def fill(match: re.Match[str]) -> str:
        value = _value((match[1] or "").strip(), values)
        return match[0] if value is None else value

    return _PLACEHOLDER.sub(fill, text)


def _value(name: str, values: dict[str, str]) -> str | None:
    if name in values:
        return values[name]
    return "1.5" if _PLOT.fullmatch(name) else None
