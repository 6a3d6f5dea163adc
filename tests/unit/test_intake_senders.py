"""Alerts as senders write them, and what becomes of each: the rows of the specification, and the vocabulary of the peers."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from vantixs.model.instruments import CATALOGUE
from vantixs_ingress.domain.intake import Rules, read_signal

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
# The webhook of the specification: account paper, mode PAPER, leverage 1, sizing from the webhook.
RULES = Rules(account_id="paper", entry_expires_after_s=300, exit_expires_after_s=86_400)
TOKEN = "tok3n-of-the-webhook-0123456789AB"
DATA = Path(__file__).parents[1] / "data"


def load_alerts(name: str) -> list[Any]:
    rows = [json.loads(line) for line in (DATA / name).read_text().splitlines() if line]
    return [pytest.param(row, id=row["id"]) for row in rows]


def body_of(alert: dict[str, Any], now: datetime = NOW, token: str = TOKEN) -> bytes:
    """The bytes as sent at `now`, with the placeholders of the table filled in."""
    if "body_hex" in alert:
        return bytes.fromhex(alert["body_hex"])
    filled = {
        "$NOW_ISO": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "$NOW_MS": str(int(now.timestamp() * 1000)),
        "$NOW_S": str(int(now.timestamp())),
        "$TOKEN": token,
    }
    body: str = alert["body"]
    for name, value in filled.items():
        body = body.replace(name, value)
    return body.encode()


@pytest.mark.parametrize("alert", load_alerts("alerts.jsonl") + load_alerts("senders.jsonl"))
def test_alert_becomes_what_the_table_says(alert: dict[str, Any]) -> None:
    reading = read_signal(body_of(alert), RULES, CATALOGUE, NOW, TOKEN)
    expect = dict(alert["expect"])
    assert ("REJECTED" if reading.errors else "ACCEPTED") == expect.pop("outcome"), reading.errors
    assert reading.reason == expect.pop("reason", ""), reading.errors
    assert {name: str(reading.values.get(name)) for name in expect} == expect
    assert TOKEN not in repr((reading.errors, reading.warnings, reading.extras, reading.values))
