"""The rules of docs/senders.md about entries and exits, for random ones: nothing that protects is lost, and exits are let out."""

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import assume, example, given
from hypothesis import strategies as st
from vantixs.model.instruments import CATALOGUE
from vantixs_ingress.domain.payload.converters import says_no
from vantixs_ingress.domain.payload.reading import Reading
from vantixs_ingress.domain.signal.read_signal import read_signal
from vantixs_ingress.domain.signal.rules import Rules

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
RULES = Rules(account_id="paper", entry_expires_after_s=300, exit_expires_after_s=86_400)
# What is protective is said here in the words of the page, and not by the code's own patterns.
STEMS = (
    "stop",
    "stop_loss",
    "sl",
    "tp",
    "take_profit",
    "target",
    "size",
    "limit",
    "trigger",
    "quantity",
    "amount",
    "qty",
    "trail",
    "trailing_stop",
    "breakeven",
)
FRONT = ("", "my", "hard", "initial", "dollar", "buy", "long", "new", "x2")
BEHIND = (
    "",
    "offset",
    "distance",
    "price",
    "points",
    "value",
    "px",
    "2",
    "money",
    "pips",
    "atr",
    "level",
    "percent",
    "3",
)


def written(front: str, stem: str, behind: str, style: int) -> str:
    """A name in the style of one language or another."""
    parts = [part for part in (front, *stem.split("_"), behind) if part]
    match style:
        case 0:
            return "_".join(parts)
        case 1:
            return parts[0] + "".join(part.title() for part in parts[1:])
        case 2:
            return "-".join(parts).upper()
        case _:
            return "".join(parts)


PROTECTIVE = st.builds(
    written, st.sampled_from(FRONT), st.sampled_from(STEMS), st.sampled_from(BEHIND), st.integers(0, 3)
)
CHART = st.sampled_from(["bar_size", "candleLimit", "tick_size", "barTarget", "chart_trigger", "boxSize", "netProfit"])
SAYING = st.sampled_from(["63000", 63000, 0.5, "1%", "5 points", True, "below the low", {"a": 1}, ["x"], "NaN", "-3"])
NOT_SAYING = st.sampled_from([None, "", "0", 0, "0.00", 0.0, False, "false", {}, []])
ENTRIES = st.sampled_from(
    [
        {"action": "buy", "symbol": "BTCUSDT"},
        {"action": "long", "ticker": "ETHUSDT.P", "price": "3000"},
        {"strategy": {"order": {"action": "buy"}, "market_position": "long"}, "symbol": "BTCUSDT"},
        {"action": "sell", "symbol": "BTCUSDT.P", "sentiment": "short"},
    ]
)
EXITS = st.sampled_from(
    [
        {"action": "close", "symbol": "BTCUSDT"},
        {"action": "sell", "symbol": "BTCUSDT", "sentiment": "flat"},
        {"action": "exit_long", "ticker": "ETHUSDT.P"},
        {"side": "buy", "symbol": "BTCUSDT.P", "market_position": "flat"},
        {"ticker": "SOLUSDT", "strategy": {"order": {"action": "sell"}, "market_position": "flat"}},
    ]
)
# Whatever a field that no exit needs may hold.
NOISE = st.sampled_from(
    [
        *(
            "NaN",
            "Infinity",
            "na",
            "n/a",
            "64,025.25",
            "64.025,25",
            "0",
            "-1",
            "all",
            "5e-05",
            "half",
            "GTT",
            "{{close}}",
        ),
        *(
            "%price%",
            "2:34 pm",
            "1" * 40,
            "true",
            True,
            0,
            -5,
            1e300,
            None,
            {"a": {"b": 1}},
            [1, [2]],
            "\u202e",
            "5 %",
            "x" * 300,
        ),
    ]
)
UNNEEDED = st.sampled_from(
    [
        *(
            "price",
            "quantity",
            "contracts",
            "size",
            "volume",
            "leverage",
            "stop_loss",
            "sl",
            "tp1",
            "take_profit",
            "targets",
        ),
        *(
            "limit_price",
            "stop_price",
            "time_in_force",
            "tif",
            "entry_price",
            "timestamp",
            "ts",
            "max_lag",
            "quantity_type",
        ),
        *(
            "trail",
            "sl_pips",
            "dca_orders",
            "prev_market_position_size",
            "comment",
            "tag",
            "bar",
            "max_positions",
            "stop",
        ),
        *(
            "prev_market_position",
            "market_position_size",
            "order_price",
            "limit",
            "risk",
            "idempotency_key",
            "signal_id",
        ),
        *("interval", "my_target", "trigger_price", "order_type_note", "exchange_fee", "stop_loss_type"),
    ]
)


def read(fields: dict[str, Any]) -> Reading:
    return read_signal(json.dumps(fields).encode(), RULES, CATALOGUE, NOW)


def is_understood(reading: Reading, name: str, value: Any) -> bool:
    """Whether a field became part of the signal: some canonical value was taken from it."""
    return any(source == name or source.endswith(f".{name}") for source in reading.sources.values()) and not says_no(
        value
    )


@given(ENTRIES, PROTECTIVE, SAYING, st.sampled_from(["", "order", "risk_management", "extras", "a.b", "legs"]))
@example({"action": "buy", "symbol": "BTCUSDT"}, "dollar_sl", "200", "")
@example({"action": "buy", "symbol": "BTCUSDT"}, "buyStopPrice", 64000, "")
def test_entry_never_loses_a_field_that_protects(entry: dict[str, Any], name: str, value: Any, nest: str) -> None:
    field: Any = {name: value}
    for part in reversed(nest.split(".")) if nest else ():
        field = {part: [field] if part == "legs" else field}
    assume(not any(part in entry for part in field))
    # A level for longs beside a short is understood, and is for another order.
    assume(not (name.lower().startswith("long") and entry["action" if "action" in entry else "symbol"] == "sell"))
    reading = read(entry | field)
    assert reading.errors or is_understood(reading, name, value), (reading.values, reading.extras)
    assert "KEY=VALUE" not in reading.detail
    text = ";".join(f"{n}={v}" for n, v in (entry | field).items() if isinstance(v, str | int))
    if not nest and isinstance(value, str) and "strategy" not in entry:
        again = read_signal(text.encode(), RULES, CATALOGUE, NOW)
        assert again.errors or is_understood(again, name, value), (again.values, again.extras)


@given(ENTRIES, PROTECTIVE, NOT_SAYING)
def test_field_that_says_nothing_is_absent(entry: dict[str, Any], name: str, value: Any) -> None:
    plain, reading = read(entry), read(entry | {name: value})
    # The order's own size is the one that may not be 0.
    assume(not (reading.errors and reading.errors[0].detail.startswith("expected a number above 0")))
    assert not reading.errors, (name, value, reading.errors)
    assert reading.values == plain.values


@given(ENTRIES, CHART, st.sampled_from(["5", 5, 0.1, "60"]))
def test_what_describes_the_chart_does_not_refuse_an_entry(entry: dict[str, Any], name: str, value: Any) -> None:
    assert not read(entry | {name: value}).errors


@given(EXITS, st.dictionaries(UNNEEDED, NOISE, max_size=8))
def test_exit_is_let_out_whatever_stands_beside_it(exit_signal: dict[str, Any], noise: dict[str, Any]) -> None:
    # A short before it contradicts a sell that ends flat: which position is meant is not clear.
    assume(noise.get("prev_market_position_size") not in (-5, "-1"))
    # A position that stays after it makes it an exit of a part, which a size that cannot be read refuses.
    assume(noise.get("market_position_size") not in (-5, "-1"))
    reading = read(noise | exit_signal)
    # A size after it that contradicts a flat position leaves open what is meant, and so do two dialects' positions.
    unclear = {"target_position", "market_position_size"}
    blocking = [
        e for e in reading.errors if not (unclear & {e.field.rpartition(".")[2]} and e.reason == "FIELD_CONFLICT")
    ]
    assert not blocking, (noise, blocking)
    if not reading.errors:
        assert reading.reduces
        assert reading.values["instrument"] in CATALOGUE


@given(PROTECTIVE, SAYING)
def test_exit_is_let_out_whatever_is_not_understood(name: str, value: Any) -> None:
    reading = read({"action": "close", "symbol": "BTCUSDT", name: value})
    assert not reading.errors, (name, value, reading.errors)
    assert reading.values["action"] == "CLOSE"
