"""Alerts as senders write them, and what becomes of each: the rows of the specification, and the vocabulary of the peers."""

from datetime import UTC, datetime
from typing import Any

import pytest
from vantixs.model.instruments import CATALOGUE
from vantixs_ingress.domain.signal.read_signal import read_signal
from vantixs_ingress.domain.signal.rules import Rules
from vantixs_ingress.spool.signal_message import signal_message

from tests.support.alerts import body_of, fields_of, load_alerts

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
# The webhook of the specification: account paper, mode PAPER, leverage 1, sizing from the webhook.
RULES = Rules(account_id="paper", entry_expires_after_s=300, exit_expires_after_s=86_400)
TOKEN = "tok3n-of-the-webhook-0123456789AB"
ALERTS = load_alerts()


@pytest.mark.parametrize("alert", ALERTS, ids=[a["id"] for a in ALERTS])
def test_alert_becomes_what_the_table_says(alert: dict[str, Any]) -> None:
    reading = read_signal(body_of(alert, NOW, TOKEN), RULES, CATALOGUE, NOW, TOKEN)
    expect = dict(alert["expect"])
    assert ("REJECTED" if reading.errors else "ACCEPTED") == expect.pop("outcome"), reading.errors
    assert reading.reason == expect.pop("reason", ""), reading.errors
    found = fields_of(signal_message(reading, "")) if not reading.errors else {}
    assert {name: found.get(name, "None") for name in expect} == expect
    assert TOKEN not in repr((reading.errors, reading.warnings, reading.extras, reading.values))
