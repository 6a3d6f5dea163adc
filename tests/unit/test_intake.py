"""Reading bodies: numbers, encodings, symbols, ages, and what a token may send."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from vantixs.model.instruments import CATALOGUE
from vantixs_ingress.domain.dialects import redact
from vantixs_ingress.domain.intake import Reading, Rules, read_signal
from vantixs_ingress.domain.symbols import Unresolved, resolve

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
RULES = Rules(account_id="paper", entry_expires_after_s=300)


def read(body: str | bytes, rules: Rules = RULES) -> Reading:
    return read_signal(body if isinstance(body, bytes) else body.encode(), rules, CATALOGUE, NOW)


@pytest.mark.parametrize(
    "number", [".3", "1,234", "100a%", "-3d", "１２", "0x10", "1e3", "NaN", "0", "-1", "5 %", "1" * 21]
)
def test_number_outside_the_grammar_is_invalid_and_named(number: str) -> None:
    reading = read(json.dumps({"action": "buy", "symbol": "BTCUSDT", "quantity": number}))
    assert (reading.reason, reading.errors[0].field) == ("FIELD_INVALID", "quantity")


def test_number_keeps_every_digit() -> None:
    reading = read('{"action": "buy", "symbol": "BTCUSDT", "price": 64000.123456789012345678}')
    assert reading.values["price"] == Decimal("64000.123456789012345678")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "3",
        '"buy"',
        "[]",
        "{",
        '{"a": NaN}',
        '{"a": Infinity}',
        "[" * 10_000,
        '{"a":' * 10_000,
        '{"action": "\\ud800"}',
    ],
)
def test_body_that_is_no_object_is_unreadable(body: str) -> None:
    assert read(body).reason == "BODY_UNREADABLE"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_with_byte_order_mark_are_read(encoding: str) -> None:
    assert not read('{"action": "buy", "symbol": "BTCUSDT"}'.encode(encoding)).errors


@pytest.mark.parametrize(
    ("age_s", "max_lag", "reason"),
    [(299, "", ""), (301, "", "SIGNAL_EXPIRED"), (40, "30", "SIGNAL_EXPIRED"), (20, "30", "")],
)
def test_payload_narrows_the_age_and_never_widens_it(age_s: int, max_lag: str, reason: str) -> None:
    emitted = (NOW - timedelta(seconds=age_s)).isoformat()
    body = {"action": "buy", "symbol": "BTCUSDT", "timestamp": emitted} | ({"max_lag": max_lag} if max_lag else {})
    assert read(json.dumps(body)).reason == reason


def test_exit_outlives_an_entry() -> None:
    emitted = (NOW - timedelta(hours=1)).isoformat()
    rules = Rules(entry_expires_after_s=300, exit_expires_after_s=86_400)
    assert not read(json.dumps({"action": "close", "symbol": "BTCUSDT", "timestamp": emitted}), rules).errors


@pytest.mark.parametrize(
    ("symbol", "instrument"),
    [
        ("BTCUSDT", "BTC/USDT"),
        ("btc-usdt", "BTC/USDT"),
        ("BINANCE:BTCUSDT", "BTC/USDT"),
        ("BTCUSDT.P", "BTC/USDT:USDT"),
        ("BTC-USDT-SWAP", "BTC/USDT:USDT"),
        ("BTCPERP", "BTC/USDT:USDT"),
        ("XBTUSD", "BTC/USD"),
        ("BTC/USDT:USDT", "BTC/USDT:USDT"),
    ],
)
def test_symbol_resolves(symbol: str, instrument: str) -> None:
    assert resolve(symbol, CATALOGUE).name == instrument


@pytest.mark.parametrize(
    ("symbol", "reason"),
    [
        ("NQ1!", "SYMBOL_UNSUPPORTED"),
        ("SPY 240510C68", "SYMBOL_UNSUPPORTED"),
        ("BINANCE_DL:BTCUSDT", "SYMBOL_UNSUPPORTED"),
        ("XRPUSDT.P", "SYMBOL_UNSUPPORTED"),
        ("BTC", "SYMBOL_AMBIGUOUS"),
    ],
)
def test_symbol_is_refused_rather_than_guessed(symbol: str, reason: str) -> None:
    with pytest.raises(Unresolved) as refused:
        resolve(symbol, CATALOGUE)
    assert refused.value.reason == reason


def test_secrets_are_redacted_in_json_and_text() -> None:
    assert "hunter2" not in redact('{"passphrase": "hunter2", "pin": 1234, "x": {"apiKey":"hunter2"}}')
    assert "1234" not in redact('{"pin": 1234}')
    assert "hunter2" not in redact("SYMBOL=BTCUSDT\nTOKEN=hunter2")


@pytest.mark.parametrize(
    ("body", "passes"),
    [
        ({"action": "close"}, True),
        ({"action": "exit_long"}, True),
        ({"action": "exit_short"}, True),
        ({"action": "reduce"}, True),
        ({"action": "cancel"}, True),
        ({"action": "sell", "sentiment": "flat"}, True),
        ({"action": "buy", "sentiment": "flat"}, True),
        ({"action": "buy", "sentiment": "short"}, True),
        ({"action": "sell", "sentiment": "long"}, True),
        ({"action": "sell"}, False),
        ({"action": "buy"}, False),
        ({"action": "buy", "sentiment": "long"}, False),
        ({"action": "reverse"}, False),
        ({"action": "add"}, False),
    ],
)
def test_token_for_exits_passes_only_what_can_only_reduce(body: dict[str, str], passes: bool) -> None:
    reading = read(json.dumps(body | {"symbol": "BTCUSDT"}), RULES.narrowed(exits_only=True))
    assert reading.reason == ("" if passes else "ACTION_NOT_ALLOWED")


def test_token_narrows_and_never_widens() -> None:
    rules = Rules(actions=frozenset({"BUY", "SELL"}), instruments=frozenset({"BTC/USDT"}))
    assert rules.narrowed(actions=None, instruments=None, exits_only=False) == rules
    assert rules.narrowed(actions=frozenset({"SELL", "CLOSE"})).actions == frozenset({"SELL"})
    nothing = rules.narrowed(instruments=frozenset({"ETH/USDT"}))
    assert read('{"action": "buy", "symbol": "BTCUSDT"}', nothing).reason == "SYMBOL_NOT_ALLOWED"
    assert read('{"action": "buy", "symbol": "ETHUSDT"}', nothing).reason == "SYMBOL_NOT_ALLOWED"
    assert read('{"action": "buy", "symbol": "BTCUSDT"}', Rules(mode="LIVE", paper_only=True)).reason
