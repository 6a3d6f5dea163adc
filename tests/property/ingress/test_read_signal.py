"""Whatever is sent: no exception, every refusal named, no secret shown, and a token never widens its webhook."""

import json
import string
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from vantixs.model.instruments import CATALOGUE
from vantixs.model.reasons import REASONS
from vantixs_ingress.domain.payload.field_aliases import ALIASES, FLAGS, NESTS, PARTLY, SECRETS, STEERING
from vantixs_ingress.domain.payload.mapping import MAPPABLE, check_mapping, compile_mapping
from vantixs_ingress.domain.payload.reading import Reading
from vantixs_ingress.domain.payload.redaction import redact, redact_payload
from vantixs_ingress.domain.payload.value_aliases import ACTIONS, ORDER_TYPES, POSITIONS, QUANTITY_TYPES
from vantixs_ingress.domain.signal.exits import is_exit
from vantixs_ingress.domain.signal.read_signal import read_signal
from vantixs_ingress.domain.signal.rules import Rules
from vantixs_ingress.domain.signal.symbols import Unresolved, resolve
from vantixs_ingress.spool.signal_message import field_errors, signal_message

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
RULES = Rules(account_id="paper", entry_expires_after_s=300, exit_expires_after_s=86_400)
TOKEN = "Zx9-token_of_the_webhook_0123456"

NAMES = st.sampled_from(
    [
        *sorted({a for aliases in ALIASES.values() for a in aliases} | {*FLAGS, *STEERING, *NESTS, *PARTLY}),
        *("x", "myPrice", "lot_size", "Take-Profit 2", "tp1", "trailing", "strategy.order.action", "a" * 100),
        *("tp1_share", "tp2_qty", "tp_shares", "trailing_stop", "trail_amount", "sl_trail", "trailing_activation"),
        *(
            "breakeven",
            "break_even_after_tp",
            "move_sl_to_be_after_tp1",
            "price",
            "percent",
            "share",
            "steps",
            "1",
            "2",
        ),
    ]
)
WORDS = st.sampled_from(
    [
        *sorted({*ACTIONS, *POSITIONS, *ORDER_TYPES, *QUANTITY_TYPES}),
        *(
            "BTCUSDT",
            "BTC/USDT:USDT",
            "BTC",
            "BINANCE:ETHUSDT.P",
            "{{ticker}}",
            "5%",
            "x3",
            "true",
            "0",
            "-1",
            "2:34 pm",
        ),
        *("2026-11-24T12:00:00Z", "1764000000", "9" * 30, "NaN", "\u202e", "ＢＴＣ", "paper", "moon"),
    ]
)
SCALARS = (
    WORDS | st.booleans() | st.integers() | st.floats() | st.none() | st.decimals().map(str) | st.text(max_size=30)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=8,
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=12)
SIGNALS = st.fixed_dictionaries(
    {"action": WORDS, "symbol": st.just("BTCUSDT")},
    optional={
        "sentiment": st.sampled_from(["long", "short", "flat"]),
        "prev_market_position": st.sampled_from(["long", "short", "flat"]),
        "side": st.sampled_from(["long", "short", "buy", "sell"]),
        "leverage": st.sampled_from([1, 20]),
        "quantity": st.sampled_from(["1", "5%"]),
        "reduceOnly": st.booleans(),
        "position_size": st.sampled_from(["-1", "0", "1"]),
    },
)


def checked(body: bytes, rules: Rules = RULES) -> Reading:
    """A reading, after everything that holds for each of them."""
    reading = read_signal(body, rules, CATALOGUE, NOW, TOKEN)
    for error in [*reading.errors, *reading.warnings]:
        assert error.field
        assert error.detail
        assert 400 <= REASONS[error.reason].http < 500
        assert TOKEN not in error.field + error.detail
    for value in (reading.values.get(name) for name in ("quantity", "price", "limit_price", "stop_price", "leverage")):
        assert value is None or (isinstance(value, Decimal) and value > 0)
    if not reading.errors:
        assert reading.reason == reading.detail == ""
        assert reading.values["action"]
        assert reading.values["instrument"] in CATALOGUE
        signal_message(reading, "s").SerializeToString()
    field_errors(reading)
    return reading


@given(st.binary(max_size=400))
@example(b"\xff\xfe\x00")
@example(b"{" * 70)
@example(b'{"a":' * 5000)
@example(b"9" * 60_000)
@example(b'{"quantity":' + b"9" * 60_000 + b"}")
@example(b'{"comment":"' + b"{" * 60_000 + b'"}')
def test_no_bytes_raise(body: bytes) -> None:
    checked(body)
    redact_payload(body, TOKEN)


@given(OBJECTS)
def test_no_object_raises_and_every_refusal_names_a_field(fields: dict[str, Any]) -> None:
    checked(json.dumps(fields).encode())


@given(SIGNALS)
def test_what_is_accepted_never_contradicts_itself(fields: dict[str, Any]) -> None:
    reading = checked(json.dumps(fields).encode())
    if reading.errors:
        return
    action, target = reading.values["action"], reading.values.get("target_position")
    assert (action, target) not in {
        ("OPEN_LONG", "SHORT"), ("OPEN_LONG", "FLAT"), ("OPEN_SHORT", "LONG"), ("OPEN_SHORT", "FLAT"),
        ("ADD", "FLAT"), ("REVERSE", "FLAT"), ("REVERSE", "LONG"), ("REVERSE", "SHORT"),
        ("CLOSE", "LONG"), ("CLOSE", "SHORT"), ("REDUCE", "FLAT"),
    }  # fmt: skip
    if fields.get("reduceOnly"):
        assert is_exit(reading.values)


@given(st.dictionaries(NAMES, WORDS | st.text(string.printable, max_size=20), max_size=10), st.sampled_from("\n;,"))
def test_no_pairs_raise(fields: dict[str, str], separator: str) -> None:
    checked(separator.join(f"{name}={value}" for name, value in fields.items()).encode())


@given(
    OBJECTS,
    st.dictionaries(
        st.sampled_from(sorted(MAPPABLE)), st.text("abcxyz.[]*?=`'|&!@(){}:,0159 \\\"", max_size=40), max_size=4
    ),
)
def test_no_mapping_raises(fields: dict[str, Any], expressions: dict[str, str]) -> None:
    class Mapping:
        def __init__(self) -> None:
            self.fields = {"action": "action", "symbol": "symbol"} | expressions
            self.values = {"action=1": "buy"}

    for error in check_mapping(Mapping()):
        assert error.field.startswith("mapping")
        assert error.detail
    checked(json.dumps(fields).encode(), Rules(mapping=compile_mapping(Mapping())))


@given(SIGNALS, st.booleans(), st.sets(st.sampled_from(["BUY", "SELL", "CLOSE"])) | st.none())
def test_token_never_widens_its_webhook(fields: dict[str, Any], exits_only: bool, actions: set[str] | None) -> None:
    body = json.dumps(fields).encode()
    narrowed = RULES.narrowed(None if actions is None else frozenset(actions), frozenset({"BTC/USDT"}), exits_only)
    reading = checked(body, narrowed)
    if not reading.errors:
        assert not checked(body).errors
        assert not exits_only or is_exit(reading.values)
        assert actions is None or reading.values["action"] in actions


@given(st.integers(-86_400, 86_400), st.integers(0, 3600), st.sampled_from(["buy", "close"]), st.integers(1, 100_000))
def test_payload_never_widens_how_long_a_signal_lives(ago_s: int, limit: int, action: str, max_lag: int) -> None:
    emitted = (NOW - timedelta(seconds=ago_s)).isoformat()
    body = {"action": action, "symbol": "BTCUSDT", "timestamp": emitted}
    rules = Rules(entry_expires_after_s=limit, exit_expires_after_s=limit)
    plain = checked(json.dumps(body).encode(), rules)
    narrowed = checked(json.dumps(body | {"max_lag": max_lag}).encode(), rules)
    if limit:
        assert plain.expire_time
        assert narrowed.expire_time
        assert narrowed.expire_time <= plain.expire_time <= NOW + timedelta(seconds=limit)
    if not narrowed.errors:
        assert not plain.errors


SECRET = st.text(string.ascii_letters + string.digits + "-_", min_size=12, max_size=40)


@given(
    SECRET, st.sampled_from(sorted(SECRETS)), OBJECTS, st.booleans(), st.sampled_from(["utf-8", "utf-16"]), st.data()
)
def test_no_secret_is_kept(
    secret: str, name: str, fields: dict[str, Any], ascii_only: bool, encoding: str, data: st.DataObject
) -> None:
    """In JSON at any depth and in any escape, as a text or inside a list, in both encodings."""
    secret = f"Q{secret}q"
    holder: Any = data.draw(st.sampled_from([secret, [secret], {"a": {"b": secret}}]))
    nested: Any = fields | {name: holder}
    for _ in range(data.draw(st.integers(0, 3))):
        nested = data.draw(st.sampled_from([{"x": nested}, [nested, 1]]))
    text = json.dumps(nested, ensure_ascii=ascii_only)
    if data.draw(st.booleans()):
        text = text.replace(name, "".join(f"\\u{ord(c):04x}" for c in name))
    try:
        body = text.encode(encoding)
    except UnicodeEncodeError:
        return
    assert secret.encode() not in redact_payload(body)
    reading = read_signal(body, RULES, CATALOGUE, NOW)
    assert secret not in repr((reading.values, reading.extras, reading.errors, reading.warnings))


@given(SECRET, OBJECTS, st.sampled_from(["comment", "action", "symbol", "quantity", "idempotency_key", "leverage"]))
def test_known_token_is_shown_nowhere(secret: str, fields: dict[str, Any], name: str) -> None:
    secret = f"Q{secret}q"
    body = json.dumps(fields | {name: f"a{secret}b", secret: 1, "zz": {"y": [secret]}}).encode()
    reading = read_signal(body, RULES, CATALOGUE, NOW, secret)
    shown = repr((reading.values, reading.extras, reading.errors, reading.warnings))
    assert secret not in shown
    assert secret not in redact(body.decode(), secret)


@given(SECRET, st.sampled_from(sorted(SECRETS)), st.sampled_from("\n;,"), st.sampled_from(["=", " = "]))
def test_no_secret_is_kept_of_pairs(secret: str, name: str, separator: str, equals: str) -> None:
    secret = f"Q{secret}q"
    assert secret not in redact(separator.join(["SYMBOL=BTCUSDT", f"{name}{equals}{secret}", "X=1"]))
    assert secret not in redact(f"{{'{name}': '{secret}', 'x': 1}}")
    assert secret not in redact(f"some text {name}: {secret}")


@given(
    st.text(max_size=20)
    | st.from_regex(r"([A-Z]{2,6}:)?[A-Z]{2,5}[/_-]?(USDT?|BTC)?(\.P|PERP|-SWAP|:USDT)?", fullmatch=True)
)
def test_perpetual_form_is_never_spot(symbol: str) -> None:
    for kind in ("", "SPOT", "LINEAR_PERPETUAL"):
        try:
            found = resolve(symbol, CATALOGUE, kind)
        except Unresolved as refused:
            assert refused.reason in ("SYMBOL_UNSUPPORTED", "SYMBOL_AMBIGUOUS")
            continue
        form = symbol.strip().upper()
        assert found.perpetual or not form.endswith((".P", "PERP", "-SWAP", ":USDT"))
        assert found.base_asset in form or {"BTC": "XBT", "DOGE": "XDG"}[found.base_asset] in form
