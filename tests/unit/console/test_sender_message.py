"""Messages for webhooks that a test cannot run here: certificates need a proxy."""

import json

import pytest
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs_console.sender_message import Kind, sender_message


def test_certificate_is_tradingviews_by_way_of_a_proxy() -> None:
    webhook = webhook_pb2.Webhook(webhook_id="w", enabled=True, minimum_proof=webhook_pb2.PROOF_LEVEL_CERTIFICATE)
    made = sender_message(Kind.TRADINGVIEW_STRATEGY, webhook, "https://YOUR-HOST")
    assert (made.obstacles, made.url) == ([], "https://YOUR-HOST/hooks/w/TOKEN")
    assert any("verifies TradingView's client certificate" in note for note in made.notes)
    script = sender_message(Kind.SCRIPT, webhook, "https://YOUR-HOST")
    assert script.text == ""
    assert "which a script does not have" in script.obstacles[0]


@pytest.mark.parametrize("kind", list(Kind))
def test_no_webhook_named_is_a_token_in_the_url(kind: Kind) -> None:
    made = sender_message(kind, webhook_pb2.Webhook(), "https://YOUR-HOST")
    assert made.text
    assert made.url == "https://YOUR-HOST/hooks/WEBHOOK/TOKEN"
    assert not made.obstacles


@pytest.mark.parametrize(
    ("expression", "document"),
    [
        ("symbol", {"symbol": "{{ticker}}"}),
        ("a.b.c", {"a": {"b": {"c": "{{ticker}}"}}}),
        ("a[1].b", {"a": [{}, {"b": "{{ticker}}"}]}),
        ("@.a | b", {"a": {"b": "{{ticker}}"}}),
        ('`"BTCUSDT"`', {}),
    ],
)
def test_value_goes_where_the_expression_finds_it(expression: str, document: dict[str, object]) -> None:
    mapping = webhook_pb2.PayloadMapping(fields={"symbol": expression, "action": "x"})
    made = sender_message(Kind.TRADINGVIEW_INDICATOR, webhook_pb2.Webhook(mapping=mapping), "")
    assert json.loads(made.payload) == {"x": "buy", **document}
