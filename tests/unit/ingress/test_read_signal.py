"""Reading bodies: numbers, encodings, symbols, ages, and what a token may send."""

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from vantixs.model.instruments import CATALOGUE, Catalogue
from vantixs_ingress.domain.payload.decode import read_body
from vantixs_ingress.domain.payload.field_aliases import ALIASES, FLAGS, SECRETS, STEERING
from vantixs_ingress.domain.payload.reading import Reading
from vantixs_ingress.domain.payload.redaction import redact, redact_payload
from vantixs_ingress.domain.signal.read_signal import read_signal
from vantixs_ingress.domain.signal.rules import Rules
from vantixs_ingress.domain.signal.symbols import Unresolved, resolve, resolver_of

from tests.support.paths import ROOT

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
RULES = Rules(account_id="paper", entry_expires_after_s=300)


def read(body: str | bytes, rules: Rules = RULES) -> Reading:
    return read_signal(body if isinstance(body, bytes) else body.encode(), rules, CATALOGUE, NOW)


@pytest.mark.parametrize(
    "number", [".3", "1,234", "100a%", "-3d", "１２", "0x10", "1e3x", "1e99", "NaN", "0", "-1", "5 %", "1" * 21]
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


@pytest.mark.parametrize(
    ("fields", "field", "reason", "detail"),
    [
        (
            {"expiresAt": -60}, "expiresAt",
            "SIGNAL_EXPIRED", "expected a time to come, was 2026-11-24T11:59:00+00:00, 60 s ago",
        ),
        (
            {"expiresAt": -60, "timestamp": -90}, "expiresAt",
            "SIGNAL_EXPIRED", "expected a time to come, was 2026-11-24T11:59:00+00:00, 60 s ago",
        ),
        ({"expiresAt": 60, "timenow": -301}, "timenow", "SIGNAL_EXPIRED", "expected at most 300 s old, was 301 s old"),
        ({"timestamp": 301}, "timestamp", "FIELD_INVALID", "expected a time at most 300 s ahead, was 301 s ahead"),
        ({"timestamp": 300.5}, "timestamp", "FIELD_INVALID", "expected a time at most 300 s ahead, was 301 s ahead"),
    ],
)  # fmt: skip
def test_refused_time_is_named_as_it_was_sent(fields: dict[str, float], field: str, reason: str, detail: str) -> None:
    times = {name: (NOW + timedelta(seconds=seconds)).isoformat() for name, seconds in fields.items()}
    [error] = read(json.dumps({"action": "buy", "symbol": "BTCUSDT"} | times)).errors
    assert (error.field, error.reason, error.detail) == (field, reason, detail)


def test_time_300_s_ahead_is_taken() -> None:
    ahead = (NOW + timedelta(seconds=300)).isoformat()
    assert not read(json.dumps({"action": "buy", "symbol": "BTCUSDT", "timestamp": ahead})).errors


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


@pytest.mark.parametrize(
    ("symbol", "kind", "instrument"),
    [
        ("BTCUSDT", "", "BTC/USDT"),
        ("BTCUSDT", "SPOT", "BTC/USDT"),
        ("BTCUSDT", "LINEAR_PERPETUAL", "BTC/USDT:USDT"),
        ("BYBIT:BTCUSDT", "LINEAR_PERPETUAL", "BTC/USDT:USDT"),
        ("BTC", "LINEAR_PERPETUAL", "BTC/USDT:USDT"),
        ("BTC/USDT", "LINEAR_PERPETUAL", "BTC/USDT"),
        ("ADAUSDT", "LINEAR_PERPETUAL", "ADA/USDT"),
        ("BTCUSDT.P", "SPOT", "BTC/USDT:USDT"),
    ],
)
def test_preferred_kind_counts_only_where_a_symbol_could_be_either(symbol: str, kind: str, instrument: str) -> None:
    assert resolve(symbol, CATALOGUE, kind).name == instrument


def test_ambiguous_symbol_names_its_candidates() -> None:
    (error,) = read('{"action": "buy", "symbol": "BTC"}').errors
    assert error.reason == "SYMBOL_AMBIGUOUS"
    assert "BTC/USD, BTC/USDT, BTC/USDT:USDT" in error.detail


def test_symbols_are_indexed_once_a_catalogue() -> None:
    assert resolver_of(CATALOGUE) is resolver_of(CATALOGUE)
    smaller = Catalogue(i for i in CATALOGUE.values() if i.quote_asset == "USD")
    assert resolve("BTCUSD", smaller).name == "BTC/USD"
    with pytest.raises(Unresolved):
        resolve("BTCUSDT", smaller)


@pytest.mark.parametrize("sent", ["2026-11-24T12:04:59Z", "2026-11-24T12:00:00Z"])
def test_fast_clock_of_a_sender_makes_no_signal_live_longer(sent: str) -> None:
    reading = read(json.dumps({"action": "buy", "symbol": "BTCUSDT", "timestamp": sent}))
    assert (reading.errors, reading.expire_time) == ([], NOW + timedelta(seconds=300))


@pytest.mark.parametrize(
    ("body", "lives_s"),
    [
        ({"action": "buy"}, 300),
        ({"action": "buy", "ttl_ms": 1500}, 1.5),
        ({"action": "buy", "maxLag": "60"}, 60),
        ({"action": "buy", "max_lag": 999}, 300),
        ({"action": "buy", "expiresAt": "2026-11-24T12:00:10Z"}, 10),
        ({"action": "buy", "expiresAt": "2026-11-25T12:00:00Z"}, 300),
        ({"action": "close"}, 86_400),
        ({"action": "buy", "sentiment": "flat"}, 86_400),
        ({"action": "sell", "sentiment": "long"}, 86_400),
        ({"action": "sell", "sentiment": "short"}, 300),
        ({"action": "sell"}, 86_400),
        ({"action": "close", "max_lag": 30}, 30),
    ],
)
def test_entry_and_exit_have_limits_of_their_own_and_the_payload_narrows_both(
    body: dict[str, object], lives_s: float
) -> None:
    rules = Rules(entry_expires_after_s=300, exit_expires_after_s=86_400)
    assert read(json.dumps(body | {"symbol": "BTCUSDT"}), rules).expire_time == NOW + timedelta(seconds=lives_s)


def test_bare_sell_is_an_entry_where_it_may_open_a_short() -> None:
    rules = Rules(entry_expires_after_s=300, exit_expires_after_s=86_400, sell_opens_short=True)
    assert read('{"action": "sell", "symbol": "BTCUSDT"}', rules).expire_time == NOW + timedelta(seconds=300)


@pytest.mark.parametrize(("is_emit", "reason"), [(True, "SIGNAL_EXPIRED"), (False, "")])
def test_time_is_the_bars_unless_the_webhook_says_otherwise(is_emit: bool, reason: str) -> None:
    rules = Rules(entry_expires_after_s=300, time_is_emit_time=is_emit)
    reading = read('{"action": "buy", "symbol": "BTCUSDT", "time": "2021-05-20T20:00:00Z"}', rules)
    assert reading.reason == reason
    assert ("bar_time" in reading.values) is not is_emit


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("2026-11-24T13:00:00+01:00", "12:00:00"),
        ("2026-11-24 12:00:00.123456789Z", "12:00:00.123456"),
        ("2026-11-24t12:00:00z", "12:00:00"),
        ("1795521600", "12:00:00"),
        ("1795521600.25", "12:00:00.250000"),
        ("1795521600250", "12:00:00.250000"),
        ("1795521600250001", "12:00:00.250001"),
    ],
)
def test_times_are_read_in_every_form(time: str, expected: str) -> None:
    reading = read(json.dumps({"action": "buy", "symbol": "BTCUSDT", "timestamp": time}))
    assert reading.values["emit_time"].isoformat() == f"2026-11-24T{expected}+00:00"


@pytest.mark.parametrize(
    "text",
    [
        '{"to\\u006ben": "hunter2hunter2"}',
        '{"a": [{"b": {"Api-Key": ["hunter2hunter2"]}}], "c": 1}',
        '{"secret": {"x": "hunter2hunter2"}, "b": 2}',
        "{'passphrase': 'hunter2,hunter2', 'a': 1}",
        '{"token": "hunter2hunter2", "a": 1,}',
        "api key = hunter2hunter2\nSYMBOL=BTCUSDT",
        "symbol=BTCUSDT;pin=hunter2,hunter2;x=1",
        "hunter2hunter2,buy,BTCUSD,risk=1",
        "hunter2hunter2|bot|buy|BTCUSDT",
        '{"text": "hunter2hunter2|bot|buy|BTCUSDT"}',
        "hunter2hunter2\nbuy BTCUSDT",
        '{"code": "ENTER-LONG_BINANCE_BTCUSDT_hunter2hunter2"}',
    ],
)
def test_secret_is_found_wherever_senders_put_it(text: str) -> None:
    assert "hunter2" not in redact(text)
    for encoding in ("utf-16", "utf-16-le"):
        assert b"hunter2" not in redact_payload(text.encode(encoding))


@pytest.mark.parametrize(
    "text",
    [
        '{"action": "buy",  "symbol": "BTCUSDT", "comment": "keys: none"}',
        "order buy @ 0.5 filled on BTCUSDT, new position is 0.5",
        "SYMBOL=BTCUSDT\nSIGNAL=BUY",
    ],
)
def test_what_holds_no_secret_is_kept_byte_for_byte(text: str) -> None:
    assert redact(text, "a-token-that-is-not-in-there") == text


def test_layout_is_kept_around_a_secret() -> None:
    text = '{\n  "pin" : 1234,\n\t"action": "buy"\n}'
    assert redact(text) == '{\n  "pin" : "[redacted]",\n\t"action": "buy"\n}'


def test_known_token_is_hidden_in_bytes_that_are_no_text() -> None:
    token = "a-token-of-32-characters-0123456"
    assert token.encode() not in redact_payload(b"\xff" + token.encode(), token)
    assert token.encode() not in redact_payload(token.encode("utf-16-le"), token)


def test_value_that_looks_like_a_token_is_not_shown() -> None:
    reading = read(json.dumps({"action": "aB3_dE6-gH9jKlMnOpQrStUvWxYz0123", "symbol": "BTCUSDT"}))
    assert "was 'aB3_dE...' (32 characters)" in reading.detail


def test_first_secret_of_a_body_is_the_one_that_proves() -> None:
    assert read_body(b'{"general": {"secret": "one"}, "token": "two"}').secret == "one"
    assert read_body(b"SYMBOL=BTCUSDT\nTOKEN=three").secret == "three"
    assert read_body(b'{"pin": 1234}').secret == "1234"
    assert read_body(b'{"extras": {"token": "x"}}').secret == ""


def test_unknown_field_about_size_or_price_is_never_passed_over_in_silence() -> None:
    body = {"action": "buy", "symbol": "BTCUSDT", "exitAt": 3, "rsi": 23.5, "interval": "60", "bar_size": 5}
    reading = read(json.dumps(body))
    assert {w.field for w in reading.warnings} == {"exitAt"}
    assert reading.extras == {"exitAt": "3", "rsi": "23.5", "interval": "60", "bar_size": "5"}
    refused = read(json.dumps(body | {"lotSizeUsd": 5}))
    assert [(e.field, e.reason) for e in refused.errors] == [("lotSizeUsd", "FIELD_INVALID")]


def test_extras_are_json_with_numbers_as_written() -> None:
    reading = read(
        '{"action": "buy", "symbol": "BTCUSDT", "extras": {"rsi": 23.10, "ok": true, "b": {"token": "x"}, "a": [null]}}'
    )
    assert reading.extras["extras"] == '{"rsi": 23.10, "ok": true, "b": {"token": "[redacted]"}, "a": [null]}'


def test_page_about_senders_names_every_alias() -> None:
    page = (ROOT / "docs" / "senders.md").read_text()
    words = set(re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", page, flags=re.DOTALL)))
    missing = {alias for aliases in ALIASES.values() for alias in aliases} | FLAGS.keys() | SECRETS | STEERING
    assert missing - words == set()
