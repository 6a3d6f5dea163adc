"""A webhook's own mapping: what it may say, what it makes of a payload, and what is wrong with one."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.model.instruments import CATALOGUE
from vantixs_ingress.domain.payload.decode import read_body
from vantixs_ingress.domain.payload.mapping import check_mapping
from vantixs_ingress.domain.payload.reading import Reading
from vantixs_ingress.domain.signal.read_signal import read_signal, secret_of
from vantixs_ingress.webhooks.snapshot import rules_of

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
BASE = {"action": "sig.side", "symbol": "sig.pair"}


def read(body: Any, fields: dict[str, str], values: dict[str, str] | None = None) -> Reading:
    mapping = webhook_pb2.PayloadMapping(fields=fields, values=values or {})
    assert check_mapping(mapping) == []
    rules = rules_of(webhook_pb2.Webhook(account_id="paper", mapping=mapping))
    return read_signal(json.dumps(body).encode(), rules, CATALOGUE, NOW)


def test_mapped_fields_are_converted_as_all_others_are() -> None:
    fields = BASE | {
        "quantity": "lots[?kind=='base'].n | [0]",
        "price": "not_null(px.last, px.close)",
        "order_type": "'market'",
        "stop_loss": "stops[0]",
        "emit_time": "at",
        "idempotency_key": "ref",
    }
    body = {
        "sig": {"side": 1, "pair": "BTCUSDT"},
        "lots": [{"kind": "quote", "n": 100}, {"kind": "base", "n": 0.0123}],
        "px": {"close": "64000.5"},
        "stops": ["5%"],
        "at": 1795521600,
        "ref": "r-1",
    }
    reading = read(body, fields, {"action=1": "buy", "action=-1": "sell"})
    assert reading.errors == []
    assert {name: str(value) for name, value in reading.values.items()} == {
        "action": "BUY",
        "symbol": "BTCUSDT",
        "instrument": "BTC/USDT",
        "quantity": "0.0123",
        "quantity_type": "UNITS",
        "price": "64000.5",
        "order_type": "MARKET",
        "stop_loss_percent": "5",
        "emit_time": "2026-11-24 12:00:00+00:00",
        "idempotency_key": "r-1",
    }


@pytest.mark.parametrize(("sent", "action"), [(1, "BUY"), (-1, "SELL"), ("-1", "SELL"), ("UP", "BUY"), ("up", "BUY")])
def test_words_are_replaced_whatever_their_case_and_never_without_their_sign(sent: Any, action: str) -> None:
    values = {"action=-1": "sell", "action=1": "buy", "action=Up": "buy"}
    assert read({"sig": {"side": sent, "pair": "BTCUSDT"}}, BASE, values).values["action"] == action


def test_a_mapping_stands_instead_of_the_aliases() -> None:
    body = {"sig": {"side": "buy", "pair": "BTCUSDT"}, "action": "sell", "leverage": 50, "max_positions": 3}
    reading = read(body, BASE)
    assert (reading.errors, reading.values["action"]) == ([], "BUY")
    assert reading.extras["leverage"] == "50"


@pytest.mark.parametrize(
    ("body", "reason", "field"),
    [
        ({"sig": {"pair": "BTCUSDT"}}, "FIELD_MISSING", "action"),
        ({"sig": {"side": "start_bot", "pair": "BTCUSDT"}}, "ACTION_UNSUPPORTED", "action"),
        ({"sig": {"side": "buy", "pair": "{{ticker}}"}}, "PLACEHOLDER_NOT_RENDERED", "symbol"),
        ({"sig": {"side": "buy", "pair": "BTCUSDT"}, "q": "1,5"}, "FIELD_INVALID", "quantity"),
    ],
)
def test_errors_name_the_canonical_field(body: Any, reason: str, field: str) -> None:
    reading = read(body, BASE | {"quantity": "q"})
    assert (reading.reason, reading.errors[0].field) == (reason, field)


def test_mapped_token_is_the_secret_and_is_shown_nowhere() -> None:
    body = {"sig": {"side": "hunter2hunter2", "pair": "BTCUSDT"}, "auth": {"code2": "hunter2hunter2"}}
    reading = read(body, BASE | {"token": "auth.code2"})
    mapping = webhook_pb2.PayloadMapping(fields=BASE | {"token": "auth.code2"})
    rules = rules_of(webhook_pb2.Webhook(mapping=mapping))
    assert reading.secret == secret_of(read_body(json.dumps(body).encode()), rules) == "hunter2hunter2"
    assert "hunter2" not in repr((reading.errors, reading.extras, reading.values))


@pytest.mark.parametrize(
    ("fields", "values", "field"),
    [
        ({"action": "a"}, {}, "mapping.fields.symbol"),
        (BASE | {"quantity": "a["}, {}, "mapping.fields.quantity"),
        (BASE | {"quantity": ""}, {}, "mapping.fields.quantity"),
        (BASE | {"colour": "a"}, {}, "mapping.fields.colour"),
        (BASE | {"quantity": "to_number(a)"}, {}, "mapping.fields.quantity"),
        (BASE | {"quantity": "[a, b]"}, {}, "mapping.fields.quantity"),
        (BASE | {"quantity": "a." * 99 + "a"}, {}, None),
        (BASE | {"quantity": "a." * 100 + "a"}, {}, "mapping.fields.quantity"),
        (BASE | {"quantity": "(" * 150 + "a" + ")" * 40}, {}, "mapping.fields.quantity"),
        (BASE | {"price": "a[*]" * 40, "quantity": "a[*]" * 40}, {}, "mapping.fields.price"),
        (BASE, {"action": "buy"}, "mapping.values.action"),
        (BASE, {"quantity=1": "2"}, "mapping.values.quantity"),
        (BASE, {"action=UP": "buy", "action=up": "sell"}, "mapping.values.action"),
        ({}, {}, None),
    ],
)
def test_what_is_wrong_is_said_when_it_is_saved(
    fields: dict[str, str], values: dict[str, str], field: str | None
) -> None:
    errors = check_mapping(webhook_pb2.PayloadMapping(fields=fields, values=values))
    assert field in [e.field for e in errors] if field else errors == []


def test_payload_of_many_values_is_refused_where_an_expression_looks_at_all_of_them() -> None:
    body = {"sig": {"side": "buy", "pair": "BTCUSDT"}, "x": [1] * 1000}
    assert read(body, BASE).errors == []
    assert read(body, BASE | {"quantity": "x[?@=='2'] | [0]"}).reason == "BODY_UNREADABLE"


@pytest.mark.parametrize(
    "left", [{"sl": 63000}, {"risk": {"stop_loss": 1}}, {"legs": [{"target": 2}]}, {"p": '{"sl": 3}'}]
)
def test_entry_does_not_lose_what_its_mapping_leaves_out(left: dict[str, Any]) -> None:
    body = {"sig": {"side": "buy", "pair": "BTCUSDT"}} | left
    refused = read(body, BASE)
    # A text that is JSON is looked into where nothing maps it; with a mapping it is the mapping's to read.
    if "p" in left:
        assert not refused.errors
        return
    assert [e.reason for e in refused.errors] == ["FIELD_INVALID"]
    name = "sl" if "sl" in left else "risk.stop_loss" if "risk" in left else "legs[*].target"
    assert not read(body, BASE | {"ignored": name}).errors
    assert not read(body | {"sig": {"side": "close", "pair": "BTCUSDT"}}, BASE).errors


def test_secret_of_another_product_is_not_kept_beside_a_mapping() -> None:
    reading = read({"sig": {"side": "buy", "pair": "BTCUSDT"}, "api_token": "s3cret", "n": {"bot_key": "s3cret"}}, BASE)
    assert "s3cret" not in repr((reading.extras, reading.values))
