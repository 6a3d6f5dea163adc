"""Risk's checks: each alone denies, each passes at its limit, and what is for entries lets exits pass."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from vantixs_risk.domain.evaluation import Inputs, QuoteSeen, Sizing, evaluate

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ENTRY = Inputs(
    now=NOW,
    account_mode="PAPER",
    account_enabled=True,
    may_short=False,
    instruments=(),
    limits={},
    trading_states={},
    order_mode="PAPER",
    instrument="BTC/USDT",
    perpetual=False,
    lot_size=Decimal("0.001"),
    minimum_notional=Decimal(5),
    buy=True,
    entry=True,
    order_type="MARKET",
    order_quantity=None,
    sizing=Sizing("FIXED_NOTIONAL", Decimal(1000)),
    signal_quantity=None,
    signal_quantity_type="UNITS",
    position=Decimal(0),
    reserved_entry_notional=Decimal(0),
    reserved_exit_quantity=Decimal(0),
    free_funds=Decimal(10_000),
    quote=QuoteSeen(Decimal(100), Decimal(100), NOW),
    max_price_age_ms=5000,
    fee_bps=Decimal(0),
    price_buffer_bps=Decimal(0),
)
EXIT = replace(ENTRY, buy=False, entry=False, position=Decimal(10), sizing=None)


def failed(inputs: Inputs) -> list[str]:
    return [check.reason for check in evaluate(inputs).checks if not check.passed]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"trading_states": {"global": "HALTED"}}, "TRADING_HALTED"),
        ({"trading_states": {"account:paper": "REDUCING"}}, "TRADING_REDUCING"),
        ({"account_enabled": False}, "ACCOUNT_DISABLED"),
        ({"order_mode": "LIVE"}, "LIVE_NOT_READY"),
        ({"instruments": ("ETH/USDT",)}, "SYMBOL_NOT_ALLOWED"),
        ({"order_type": "LIMIT"}, "ORDER_TYPE_UNSUPPORTED"),
        ({"buy": False}, "SHORT_NOT_ALLOWED"),
        ({"quote": QuoteSeen(Decimal(100), Decimal(100), NOW - timedelta(milliseconds=5001))}, "PRICE_STALE"),
        ({"quote": QuoteSeen(Decimal(100), Decimal(100), NOW + timedelta(milliseconds=5001))}, "PRICE_STALE"),
        ({"quote": QuoteSeen(Decimal(101), Decimal(100), NOW)}, "PRICE_STALE"),
        ({"limits": {"min_order_quantity": Decimal("10.001")}}, "ORDER_QUANTITY_BELOW_MINIMUM"),
        ({"limits": {"max_order_quantity": Decimal("9.999")}}, "ORDER_QUANTITY_ABOVE_MAXIMUM"),
        ({"limits": {"min_order_notional": Decimal("1000.01")}}, "ORDER_NOTIONAL_BELOW_MINIMUM"),
        ({"limits": {"max_order_notional": Decimal("999.99")}}, "ORDER_NOTIONAL_ABOVE_MAXIMUM"),
        ({"limits": {"max_position_notional": Decimal("999.99")}}, "POSITION_NOTIONAL_ABOVE_MAXIMUM"),
        ({"free_funds": Decimal("999.99")}, "INSUFFICIENT_FUNDS"),
        ({"sizing": Sizing("KELLY", Decimal(1)), "minimum_notional": Decimal(0)}, "SIZING_UNAVAILABLE"),
    ],
)
def test_check_denies_an_entry(change: dict[str, Any], reason: str) -> None:
    assert not failed(ENTRY)
    assert reason in failed(replace(ENTRY, **change))


@pytest.mark.parametrize(
    "change",
    [
        {"limits": {"max_order_notional": Decimal(1000), "max_position_notional": Decimal(1000)}},
        {"limits": {"min_order_notional": Decimal(1000), "max_order_quantity": Decimal(10)}},
        {"free_funds": Decimal(1000)},
        {"quote": QuoteSeen(Decimal(100), Decimal(100), NOW - timedelta(milliseconds=5000))},
    ],
)
def test_entry_at_its_limit_passes(change: dict[str, Any]) -> None:
    assert not failed(replace(ENTRY, **change))


@pytest.mark.parametrize(
    "change",
    [
        {"trading_states": {"global": "REDUCING"}},
        {"account_enabled": False},
        {"instruments": ("ETH/USDT",)},
        {"limits": {"max_order_notional": Decimal(1), "max_position_notional": Decimal(1)}},
        {"limits": {"min_order_notional": Decimal(10**9), "min_order_quantity": Decimal(10**9)}},
        {"free_funds": Decimal(-1)},
        {"minimum_notional": Decimal(10**9)},
    ],
)
def test_limit_for_entries_lets_an_exit_pass(change: dict[str, Any]) -> None:
    assert not failed(replace(EXIT, **change))


def test_exit_is_capped_to_what_is_held_and_not_already_on_its_way_out() -> None:
    inputs = replace(EXIT, signal_quantity=Decimal(50), reserved_exit_quantity=Decimal(4))
    assert evaluate(inputs).quantity == 6


def test_open_reservations_count_against_the_position_limit() -> None:
    inputs = replace(ENTRY, limits={"max_position_notional": Decimal(1500)}, reserved_entry_notional=Decimal(501))
    assert failed(inputs) == ["POSITION_NOTIONAL_ABOVE_MAXIMUM"]


def test_signal_quantity_only_makes_an_order_smaller() -> None:
    assert evaluate(replace(ENTRY, signal_quantity=Decimal(2))).quantity == 2
    assert evaluate(replace(ENTRY, signal_quantity=Decimal(99))).quantity == 10


def test_quantity_is_rounded_down_to_the_lot() -> None:
    assert evaluate(replace(ENTRY, sizing=Sizing("FIXED_NOTIONAL", Decimal("999.99")))).quantity == Decimal("9.999")
    assert evaluate(replace(ENTRY, sizing=Sizing("FIXED_NOTIONAL", Decimal("999.999999")))).quantity == Decimal("9.999")
