"""Configuration as the console lists it: nothing of a contract is left out."""

from typing import Any

import pytest
from vantixs.api.common.v1 import common_pb2
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs_console.listing import account_rows, webhook_rows, window_text

APART = {"webhook_id", "tokens", "signing_secrets", "account_id", "mode", "currency", "enabled", "balance", "revision"}


@pytest.mark.parametrize("message", [risk_pb2.Account, risk_pb2.Limits, risk_pb2.Breakers, common_pb2.Sizing])
def test_every_field_of_an_account_is_listed_set_or_not(message: Any) -> None:
    listed = {name for _, rows in account_rows(risk_pb2.Account()) for name, _ in rows}
    headings = {heading for heading, _ in account_rows(risk_pb2.Account())}
    assert {field.name for field in message.DESCRIPTOR.fields} - APART - headings <= listed


def test_every_field_of_a_webhook_is_listed_set_or_not() -> None:
    rows = webhook_rows(webhook_pb2.Webhook())
    assert {field.name for field in webhook_pb2.Webhook.DESCRIPTOR.fields} - APART <= {name for name, _ in rows}
    assert all(text for _, text in rows)


def test_what_is_set_is_shown_as_its_flag_takes_it() -> None:
    window = risk_pb2.TradingWindow(days=[1, 2], start="09:30", end="16:00", time_zone="America/New_York")
    assert window_text(window) == "mon,tue 09:30-16:00 America/New_York"
    account = risk_pb2.Account(
        trading_windows=[window, risk_pb2.TradingWindow(start="22:00", end="02:00", time_zone="UTC")],
        instruments=["BTC/USDT", "ETH/USDT"],
        sizing=common_pb2.Sizing(method=common_pb2.SIZING_METHOD_KELLY, value="0.5", maximum_equity_percent="10"),
        limits=risk_pb2.Limits(max_daily_loss="500", loss_cooldown_s=60),
        breakers=risk_pb2.Breakers(daily_loss_state=common_pb2.TRADING_STATE_HALTED, max_failures_in_a_row=3),
    )
    listed = {name: text for _, rows in account_rows(account) for name, text in rows}
    expected = {
        "trading_windows": "mon,tue 09:30-16:00 America/New_York; 22:00-02:00 UTC",
        "instruments": "BTC/USDT, ETH/USDT",
        "method": "kelly",
        "value": "0.5",
        "maximum_equity_percent": "10",
        "max_daily_loss": "500",
        "loss_cooldown_s": "60",
        "max_order_notional": "no limit",
        "daily_loss_state": "halted",
        "drawdown_state": "reducing",
        "max_failures_in_a_row": "3",
    }
    assert {name: listed[name] for name in expected} == expected
