"""The key of a signal: where it may be, which one decides, and that no header makes a second signal of one body's key."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vantixs.runtime.http_messages import Request
from vantixs_ingress.domain.payload.mapping import compile_mapping
from vantixs_ingress.domain.payload.reading import Reading
from vantixs_ingress.domain.signal.rules import Rules
from vantixs_ingress.http.authentication import Sender
from vantixs_ingress.http.read_payload import read_payload
from vantixs_ingress.http.responses import Rejection

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
MAPPING = compile_mapping(SimpleNamespace(fields={"action": "a", "symbol": "s", "idempotency_key": "ref"}, values={}))
# Each way in which a body has a key: the webhook's rules, and the body's fields.
WAYS: dict[str, tuple[Rules, Any]] = {
    "nonce": (Rules(), lambda key: {"nonce": key}),
    "idempotency_key": (Rules(), lambda key: {"Idempotency-Key": key}),
    "nested": (Rules(), lambda key: {"order": {"nonce": key}}),
    "signal_id": (Rules(signal_id_is_key=True), lambda key: {"signal_id": key}),
    "mapped": (Rules(mapping=MAPPING), lambda key: {"ref": key}),
}
KEYS = ("A", "B", "C")


def read(
    body: dict[str, Any], headers: dict[str, str], signed: str = "", rules: Rules = WAYS["nonce"][0]
) -> Reading | Rejection:
    """The reading of a request whose headers are `headers`; `signed` is the id of a valid signature, which is a header too."""
    content = {"action": "buy", "symbol": "BTCUSDT"} | body
    if rules.mapping is not None:
        content |= {"a": content["action"], "s": content["symbol"]}
    raw = json.dumps(content).encode()
    sender = Sender(cast("Any", None), rules, "path", "t1", "127.0.0.1", "", None, token="vxt_0123456789abcdef")
    headers = headers | ({"webhook-id": signed} if signed else {})
    try:
        return read_payload(sender, Request("POST", "/", headers, raw, ""), signed, 65_536, NOW)
    except Rejection as rejection:
        return rejection


def key_of(reading: Reading | Rejection) -> str:
    assert isinstance(reading, Reading), reading.detail
    return str(reading.values.get("idempotency_key", ""))


HEADER = st.sampled_from([None, "", *KEYS, "A, B", "A,A", "B, B"])
HEADERS = st.fixed_dictionaries({}, optional={"idempotency-key": HEADER, "webhook-id": st.sampled_from(["", *KEYS])}).map(
    lambda sent: {name: value for name, value in sent.items() if value is not None}
)  # fmt: skip
SIGNED = st.sampled_from(["", *KEYS])


@given(st.sampled_from(sorted(WAYS)), st.sampled_from(KEYS), HEADERS, SIGNED, st.sampled_from(["buy", "close"]))
def test_key_of_the_body_is_never_replaced(
    way: str, key: str, headers: dict[str, str], signed: str, action: str
) -> None:
    rules, body = WAYS[way]
    reading = read({"action": action} | body(key), headers, signed, rules)
    agrees = {part.strip() for part in headers.get("idempotency-key", "").split(",")} <= {key, ""}
    if isinstance(reading, Rejection):
        assert (reading.reason, action, agrees) == ("FIELD_CONFLICT", "buy", False)
    else:
        assert key_of(reading) == key
        assert agrees or action == "close"
        assert [w.reason for w in reading.warnings if w.reason == "FIELD_CONFLICT"] == ["FIELD_CONFLICT"] * (not agrees)


@given(HEADERS, SIGNED, HEADERS, SIGNED, st.sampled_from(["buy", "close"]))
def test_two_signals_that_share_a_key_are_one(
    headers: dict[str, str], signed: str, others: dict[str, str], other_signed: str, action: str
) -> None:
    """Without a key in the body: the same `Idempotency-Key`, or the same signed id, is never two signals."""
    body = {"action": action}
    first, second = read(body, headers, signed), read(body, others, other_signed)
    if isinstance(first, Rejection) or isinstance(second, Rejection):
        return
    same_header = headers.get("idempotency-key") and headers.get("idempotency-key") == others.get("idempotency-key")
    # Where an entry is refused, an exit is taken with the signed id of its own delivery.
    decides = action == "buy" or not (signed or other_signed)
    if (signed and signed == other_signed) or (same_header and decides):
        assert key_of(first) == key_of(second) != ""


@pytest.mark.parametrize(
    ("headers", "signed", "key"),
    [
        ({}, "", ""),
        ({"idempotency-key": "h"}, "", "h"),
        ({"idempotency-key": "h, h"}, "", "h"),
        ({"idempotency-key": " , "}, "", ""),
        ({"webhook-id": "w"}, "", "w"),
        ({"webhook-id": "w", "idempotency-key": "h"}, "", "h"),
        ({}, "s", "s"),
        ({"idempotency-key": "s"}, "s", "s"),
    ],
)
def test_header_is_the_key_of_a_body_without_one(headers: dict[str, str], signed: str, key: str) -> None:
    assert key_of(read({}, headers, signed)) == key


@pytest.mark.parametrize(
    ("body", "headers", "signed", "field", "detail"),
    [
        (
            {"nonce": "N1"}, {"idempotency-key": "hX"}, "",
            "nonce", "expected the same key in nonce and Idempotency-Key, was 'N1' and 'hX'",
        ),
        (
            {}, {"idempotency-key": "hX"}, "m1",
            "Idempotency-Key", "expected the same key in webhook-id and Idempotency-Key, was 'm1' and 'hX'",
        ),
        ({}, {"idempotency-key": "a, b"}, "", "Idempotency-Key", "expected one key in Idempotency-Key, was 'a' and 'b'"),
        (
            {"nonce": "api_key=s3cretWord"}, {"idempotency-key": "sk_live_0123456789abcdef"}, "",
            "nonce", "expected the same key in nonce and Idempotency-Key, was 'api_key=[redacted]' and '[redacted]'",
        ),
    ],
)  # fmt: skip
def test_keys_that_differ_refuse_an_entry_and_warn_of_an_exit(
    body: dict[str, str], headers: dict[str, str], signed: str, field: str, detail: str
) -> None:
    entry = read(body, headers, signed)
    assert isinstance(entry, Rejection)
    assert (entry.reason, entry.errors) == (
        "FIELD_CONFLICT", [{"field": field, "reason": "FIELD_CONFLICT", "detail": detail}],
    )  # fmt: skip
    leaving = read({"action": "close"} | body, headers, signed)
    assert key_of(leaving) == (body.get("nonce") or signed or headers["idempotency-key"])
    assert isinstance(leaving, Reading)
    [warning] = leaving.warnings
    assert (warning.field, warning.reason) == (field, "FIELD_CONFLICT")
    assert warning.detail.startswith(f"{detail}: this exit is taken with")


def test_key_that_is_the_token_is_not_used_and_refuses_no_exit() -> None:
    body = {"nonce": "vxt_0123456789abcdef"}
    entry, leaving = read(body, {}), read({"action": "close"} | body, {})
    assert isinstance(entry, Rejection)
    assert entry.reason == "FIELD_INVALID"
    assert key_of(leaving) == ""
    assert isinstance(leaving, Reading)
    assert [w.field for w in leaving.warnings] == ["nonce"]


@pytest.mark.parametrize("header", ["tp1,BTC", "tp1, BTC"])
@pytest.mark.parametrize("others", [{}, {"webhook-id": "w"}])
def test_exit_whose_key_has_a_comma_is_known_by_the_whole_header(header: str, others: dict[str, str]) -> None:
    headers = {"idempotency-key": header} | others
    leaving = read({"action": "close", "percent": 50}, headers)
    assert key_of(leaving) == header
    assert isinstance(leaving, Reading)
    [warning] = [w for w in leaving.warnings if w.reason == "FIELD_CONFLICT"]
    expected = (
        "expected one key in Idempotency-Key, was 'tp1' and 'BTC': this exit is taken with the whole header as its key"
    )
    assert (warning.field, warning.detail) == ("Idempotency-Key", expected)
    entry = read({}, headers)
    assert isinstance(entry, Rejection)
    assert entry.reason == "FIELD_CONFLICT"


@pytest.mark.parametrize("action", ["buy", "close"])
@pytest.mark.parametrize("key", ["order-17", "USDT"])
def test_field_that_a_mapping_reads_as_the_key_is_no_secret(key: str, action: str) -> None:
    """`key` is among the names of a secret; the token is in another field."""
    fields = {"token": "wh", "idempotency_key": "key", "action": "side", "symbol": "sym"}
    rules = Rules(mapping=compile_mapping(SimpleNamespace(fields=fields, values={})))
    body = {"wh": "vxt_0123456789abcdef", "key": key, "side": action, "sym": "BTCUSDT"}
    reading = read(body, {}, rules=rules)
    assert key_of(reading) == key
    assert isinstance(reading, Reading)
    assert (reading.values["symbol"], reading.warnings) == ("BTCUSDT", [])
