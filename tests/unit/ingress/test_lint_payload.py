"""Lint: the webhook's own verdict, what was probably not meant, templates, and a message that works."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from vantixs.api.common.v1 import common_pb2
from vantixs.api.ingress.v1 import ingress_pb2, webhook_pb2
from vantixs_ingress.webhooks.lint import lint_payload
from vantixs_ingress.webhooks.snapshot import token_digest

from tests.support.alerts import body_of, fields_of, load_alerts

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
WEBHOOK = webhook_pb2.Webhook(
    webhook_id="demo", account_id="paper", mode=common_pb2.MODE_PAPER, maximum_leverage="1",
    entry_expires_after_s=300, exit_expires_after_s=86_400,
)  # fmt: skip
ACCEPTED = ingress_pb2.LINT_OUTCOME_ACCEPTED
ALERTS = load_alerts()
FRESH = {"timestamp": "2026-11-24T12:00:00Z"}


def lint(body: Any, **webhook: Any) -> ingress_pb2.LintPayloadResponse:
    changed = webhook_pb2.Webhook()
    changed.CopyFrom(WEBHOOK)
    changed.MergeFrom(webhook_pb2.Webhook(**webhook))
    payload = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
    return lint_payload(changed, payload, NOW)


def warned(response: Any) -> set[tuple[str, str]]:
    return {(w.field, w.reason) for w in response.warnings}


@pytest.mark.parametrize("alert", ALERTS, ids=[a["id"] for a in ALERTS])
def test_lint_says_what_the_webhook_does_and_suggests_what_works(alert: dict[str, Any]) -> None:
    response = lint(body_of(alert, NOW, "tok3n-of-the-webhook-0123456789AB"))
    expect = dict(alert["expect"])
    assert (response.outcome == ACCEPTED) == (expect.pop("outcome") == "ACCEPTED"), response
    assert response.reason == expect.pop("reason", "")
    found = fields_of(response.signal)
    assert response.reason or {name: found.get(name, "None") for name in expect} == expect
    assert "tok3n" not in str(response)
    if response.suggested_message and response.outcome == ACCEPTED:
        again = lint(response.suggested_message)
        final = again.template if again.HasField("template") else again
        assert final.outcome == ACCEPTED, (response.suggested_message, final)
        assert not final.errors


@pytest.mark.parametrize(
    ("body", "field", "reason"),
    [
        (
            {"action": "buy", "symbol": "ADAUSDT", "idempotency_key": "ADA-2026-11-24T12:00:00Z"},
            "idempotency_key",
            "IDEMPOTENCY_CONFLICT",
        ),
        ({"action": "buy", "symbol": "ADAUSDT", "nonce": "1764000000"}, "nonce", "IDEMPOTENCY_CONFLICT"),
        ({"action": "buy", "symbol": "ADAUSDT", "sl": 200}, "sl", "FIELD_INVALID"),
        ({"action": "buy", "symbol": "BTCUSDT"}, "symbol", "SYMBOL_AMBIGUOUS"),
        ({"action": "buy", "symbol": "ADAUSDT", "size": "11%"}, "size", "FIELD_INVALID"),
        ({"action": "sell", "symbol": "ADAUSDT"}, "target_position", "FIELD_MISSING"),
        ({"action": "buy", "symbol": "ADAUSDT", "price": 1, "sl_price": 2}, "sl_price", "FIELD_CONFLICT"),
        ({"action": "short", "symbol": "ADAUSDT", "price": 1, "tp_price": 2}, "tp_price", "FIELD_CONFLICT"),
        ({"action": "buy", "symbol": "ADAUSDT", "frobnicate": 1}, "frobnicate", "FIELD_INVALID"),
        ({"action": "close", "symbol": "ADAUSDT", "orderAmountUsd": 1}, "orderAmountUsd", "FIELD_INVALID"),
        ({"action": "buy", "symbol": "ADAUSDT", "secret": "hunter2hunter2"}, "body", "FIELD_INVALID"),
        ({"action": "buy", "symbol": "ADAUSDT", "time": "2026-11-24T11:00:00Z"}, "timestamp", "FIELD_MISSING"),
        (
            {"action": "buy", "symbol": "ADAUSDT", "timestamp": "2026-11-24T11:58:00Z", "interval": "1"},
            "timestamp",
            "FIELD_INVALID",
        ),
        ({"action": "close", "symbol": "ADAUSDT", "quantity": 1}, "quantity", "FIELD_INVALID"),
        ({"action": "close", "symbol": "ADAUSDT", "leverage": 50}, "leverage", "OVERRIDE_NOT_ALLOWED"),
        ({"action": "buy", "symbol": "ADAUSDT", "sl": 0}, "sl", "FIELD_INVALID"),
        (
            {"action": "buy", "symbol": "ADAUSDT", "comment": "{{strategy.order.id}}"},
            "comment",
            "PLACEHOLDER_NOT_RENDERED",
        ),
    ],
)
def test_what_is_probably_not_meant_is_a_warning(body: dict[str, Any], field: str, reason: str) -> None:
    response = lint(body)
    assert response.outcome == ACCEPTED, response.errors
    assert (field, reason) in warned(response)


def test_message_with_nothing_to_say_against_has_no_warning() -> None:
    response = lint({"action": "buy", "symbol": "ADAUSDT", "price": "0.45"} | FRESH)
    assert (response.outcome, list(response.warnings)) == (ACCEPTED, [])


def test_template_is_refused_as_it_stands_and_linted_as_it_would_arrive() -> None:
    message = {"ticker": "{{ticker}}", "action": "{{strategy.order.action}}", "qty": "{{strategy.order.contracts}}"}
    response = lint(message | {"id": "x", "nonce": "{{ticker}}-{{timenow}}"})
    assert response.reason == "PLACEHOLDER_NOT_RENDERED"
    template = response.template
    assert template.outcome == ACCEPTED, template.errors
    assert fields_of(template.signal)["action"] == "BUY"
    assert ("nonce", "IDEMPOTENCY_CONFLICT") in warned(template)
    assert {(p.placeholder, p.understood, p.available) for p in template.placeholders} == {
        ("{{ticker}}", True, "every alert"),
        ("{{strategy.order.action}}", True, "strategy alerts only"),
        ("{{strategy.order.contracts}}", True, "strategy alerts only"),
        ("{{timenow}}", True, "every alert"),
    }
    assert "BTCUSDT" in template.rendered_payload
    assert "{{strategy.market_position}}" in response.suggested_message


def test_placeholder_nobody_fills_in_stays_an_error() -> None:
    response = lint({"ticker": "{{tickerid}}", "action": "buy"})
    assert response.template.reason == "PLACEHOLDER_NOT_RENDERED"
    assert [(p.placeholder, p.understood) for p in response.template.placeholders] == [("{{tickerid}}", False)]


def test_template_must_be_right_for_the_fill_that_closes_too() -> None:
    message = {"symbol": "{{ticker}}", "action": "long", "sentiment": "{{strategy.market_position}}"}
    assert lint(message).template.reason == "FIELD_CONFLICT"


def test_example_of_a_template_is_an_instrument_the_webhook_takes() -> None:
    response = lint({"symbol": "{{ticker}}", "action": "buy"}, instruments=["ETH/USDT:USDT"])
    assert (response.template.outcome, response.template.signal.instrument) == (ACCEPTED, "ETH/USDT:USDT")


def test_nothing_is_suggested_where_nothing_says_what_to_do() -> None:
    assert lint({"symbol": "BTCUSDT"}).suggested_message == ""
    assert lint("order buy @ 0.5 filled on BTCUSDT").suggested_message == ""


def test_body_of_more_than_64_kib_is_too_large() -> None:
    assert lint(b"x" * 65_537).reason == "BODY_TOO_LARGE"


def test_mapping_that_broke_refuses_and_says_so() -> None:
    mapping = webhook_pb2.PayloadMapping(fields={"action": "a", "symbol": "s["})
    response = lint({"a": "buy", "s": "BTCUSDT"}, mapping=mapping)
    assert (response.reason, response.errors[0].field) == ("FIELD_INVALID", "mapping")


def test_token_pasted_where_it_is_stored_is_found_and_not_shown() -> None:
    token = "aB3_dE6-gH9jKlMnOpQrStUvWxYz0123"
    kept = webhook_pb2.WebhookToken(token_id="t1", sha256=token_digest(token))
    response = lint({"action": "buy", "symbol": "ADAUSDT", "comment": f"from {token}"} | FRESH, tokens=[kept])
    assert (response.outcome, warned(response)) == (ACCEPTED, {("body", "FIELD_INVALID")})
    assert token not in str(response)
