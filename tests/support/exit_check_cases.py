"""The cases of every check of exits and of legs: see test_checks.py."""

from dataclasses import replace
from typing import Any

from vantixs_risk.domain.activity import Activity
from vantixs_risk.domain.inputs import Stop
from vantixs_risk.domain.rules import Sizing

from tests.support.cases import BTC, ETH, EXIT, NOW, D, entry_of, exit_of, held, leg_of
from tests.support.check_cases import KELLY, LACKING, LIVE, NOON, RESTING, approved, quote

# What only entries are held against, in a case in which an exit would fail it.
EXIT_PASSES: dict[str, dict[str, Any]] = {
    "TRADING_REDUCING": {"trading_states": {"global": "REDUCING"}},
    "ACCOUNT_DISABLED": {"enabled": False},
    "STRATEGY_NOT_ALLOWED": {"strategies": frozenset({"s"})},
    "SYMBOL_NOT_ALLOWED": {"instruments": frozenset({"ETH/USDT"})},
    "CURRENCY_MISMATCH": {"currency": "USD"},
    "SHORT_NOT_ALLOWED": {"may_short": False},
    "OUTSIDE_TRADING_WINDOW": {"windows": (replace(NOON, days=frozenset({5})),)},
    "MARK_STALE": {
        "max_leverage": D(1),
        "holdings": {**EXIT.books.holdings, "ETH/USDT": held(ETH, "1", "1", "1", 9999)},
    },
    "PRICE_DEVIATION_EXCEEDED": {"max_price_deviation_bps": 1, "signal_price": D(999)},
    "SIZING_UNAVAILABLE": {"sizing": None, "signal_quantity": D(1), "signal_quantity_type": "BOXES"},
    "STOP_LOSS_MISSING": {"signal_quantity": D(1), "signal_quantity_type": "RISK_PERCENT"},
    "STOP_LOSS_INVALID": {
        "signal_quantity": D(1),
        "signal_quantity_type": "RISK_PERCENT",
        "stop": Stop("AMOUNT", D(-1)),
    },
    "SIGNAL_QUANTITY_MISSING": {"sizing": Sizing("SIGNAL_QUANTITY")},
    "KELLY_EDGE_NOT_POSITIVE": {"sizing": replace(KELLY, win_rate=D("0.1"))},
    "DAILY_LOSS_LIMIT_REACHED": {"max_daily_loss": D(1), "cash": D(0)},
    "DRAWDOWN_LIMIT_REACHED": {"max_drawdown_percent": D(1), "cash": D(0)},
    "LOSS_COOLDOWN_ACTIVE": {"loss_cooldown_s": 60, "activity": Activity(last_loss=NOW)},
    "ORDER_RATE_EXCEEDED": {"max_orders_per_minute": 1, "activity": Activity(seconds=((int(NOW.timestamp()), 9),))},
    "DUPLICATE_ORDER": {"duplicate_order_window_s": 60, "activity": approved(1, "sell 10 BTC/USDT")},
    "ORDER_QUANTITY_ABOVE_MAXIMUM": {"max_order_quantity": D("0.001")},
    "ORDER_NOTIONAL_BELOW_MINIMUM": {"min_order_notional": D(10**9), "minimum_notional": D(10**9)},
    "ORDER_NOTIONAL_ABOVE_MAXIMUM": {"max_order_notional": D(1)},
    "POSITION_NOTIONAL_ABOVE_MAXIMUM": {"max_position_notional": D(1)},
    "GROSS_EXPOSURE_ABOVE_MAXIMUM": {"max_gross_exposure": D(1)},
    "OPEN_POSITIONS_ABOVE_MAXIMUM": {"max_open_positions": 1, "reservations": (entry_of(ETH, 1),)},
    "LEVERAGE_ABOVE_MAXIMUM": {"max_leverage": D("0.001")},
    "INSUFFICIENT_FUNDS": {"cash": D(-100)},
}
# Checks of exits: cases in which each alone denies, and cases in which it passes.
EXIT_ROWS: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    "TRADING_HALTED": ([{"trading_states": {"instrument:BTC/USDT": "HALTED"}}], [{}]),
    "LIVE_NOT_READY": (
        [{**LIVE, "mode": "PAPER"}, {"mode": "LIVE"}],
        [{**LIVE, "rules": replace(LIVE["rules"], live_enabled=False)}],
    ),
    "CREDENTIAL_MISSING": ([{**LIVE, "rules": replace(LIVE["rules"], credential_id="")}], [LIVE]),
    "ORDER_TYPE_UNSUPPORTED": ([{"order_type": "UNSPECIFIED"}], [{}, *RESTING]),
    "ORDER_TERMS_INVALID": (LACKING, RESTING),
    "PRICE_STALE": (
        [{"quote": None}, {"quote": quote(101, 100)}, {"quote": quote(0, 100)}],
        [{"quote": quote(100, 100, 10**9)}, {"quote": quote(100, 100, -(10**9))}, {**LIVE, "quote": None}],
    ),
    "NOTHING_TO_CLOSE": (
        [
            {"holdings": {}},
            {"holdings": {}, "buy": True},
            {"buy": True},
            {"reservations": (exit_of("10"),)},
            {"reservations": (exit_of("4"), exit_of("6"))},
        ],
        [{"reservations": (exit_of("9.999"),)}, {"holdings": {"BTC/USDT": held(BTC, "-1", "-1", "1")}, "buy": True}],
    ),
    "ORDER_QUANTITY_BELOW_MINIMUM": (
        [{"lot_size": D("10.001")}, {"signal_quantity": D("0.0009")}, {"order_quantity": D("0.0009")}],
        [{"lot_size": D(10)}, {"signal_quantity": D("0.001")}, {"min_order_quantity": D(999)}],
    ),
}
# Checks of legs, in the same way.
LEG_ROWS: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    "LIVE_NOT_READY": ([{"mode": "LIVE"}, {**LIVE, "mode": "PAPER"}], [LIVE]),
    "CREDENTIAL_MISSING": ([{**LIVE, "rules": replace(LIVE["rules"], credential_id="")}], [LIVE]),
    "ORDER_TYPE_UNSUPPORTED": ([{"order_type": "UNSPECIFIED"}], [{"order_type": "MARKET"}, *RESTING]),
    "ORDER_TERMS_INVALID": (
        [{"stop_price": None, **case} for case in LACKING]
        + [{"order_type": "TRAILING_STOP", "stop_price": None, "trail_amount": D(100), "quote": quote(100, 100)}],
        [{"order_type": "TRAILING_STOP", "stop_price": None, "trail_amount": D("99.9"), "quote": quote(100, 100)}],
    ),
    "NOTHING_TO_CLOSE": (
        [{"holdings": {}}, {"buy": True}, {"holdings": {"BTC/USDT": held(BTC, "-1", "-1", "1")}}],
        [{"reservations": (exit_of("10"),)}, {"reservations": (leg_of("10"), leg_of("10"))}],
    ),
    "ORDER_QUANTITY_BELOW_MINIMUM": (
        [{"lot_size": D("10.001")}, {"order_quantity": D("0.0009")}],
        [{"lot_size": D(10)}, {"order_quantity": D("0.001")}, {"min_order_quantity": D(999)}],
    ),
}
# What holds entries or exits, and no leg.
LEG_PASSES: dict[str, dict[str, Any]] = EXIT_PASSES | {
    "TRADING_HALTED": {"trading_states": {"global": "HALTED", "account:paper": "REDUCING"}},
    "PRICE_STALE": {"quote": None},
}
