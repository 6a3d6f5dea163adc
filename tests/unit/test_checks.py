"""Every check of the tables: a case in which it alone denies, one at its limit that passes, and, for what is checked of
entries only, an exit that passes although it would fail. A check without rows fails the first test."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from vantixs_risk.domain.activity import Activity, Asked
from vantixs_risk.domain.checks import ENTRY as ENTRY_TABLE
from vantixs_risk.domain.checks import EXIT as EXIT_TABLE
from vantixs_risk.domain.equity import Holding, Mark, Standing
from vantixs_risk.domain.evaluation import evaluate
from vantixs_risk.domain.inputs import Inputs, Stop
from vantixs_risk.domain.ledger import Market, Position
from vantixs_risk.domain.rules import Sizing
from vantixs_risk.domain.windows import TradingWindow

sys.path.insert(0, str(Path(__file__).parent))
from cases import BTC, ENTRY, ETH, EXIT, NOW, PERP, QUOTE, STANDING, D, change, entry_of, exit_of, failed, held, seconds

SOL = Market.of("SOL/USDT")
LIVE = {"mode": "LIVE", "rules": replace(ENTRY.rules, mode="LIVE", live_enabled=True, credential_id="c1")}
NOON = TradingWindow(frozenset({1}), 12 * 3600, 13 * 3600, "UTC")
KELLY = Sizing("KELLY", D("0.5"), win_rate=D("0.6"), payoff=D(1), maximum_equity_percent=D(50))
BUY_10 = "buy 10 BTC/USDT"


def quote(bid: object, ask: object, age_ms: int = 0) -> Mark:
    return Mark(D(bid), D(ask), NOW - seconds(age_ms / 1000))  # type: ignore[arg-type]


def approved(age_s: float, what: str = BUY_10) -> Activity:
    return Activity(approved=(Asked(what, NOW - seconds(age_s)),))


def sells(**more: Any) -> dict[str, Any]:
    return {"buy": False, **more}


# reason -> cases in which it alone denies an entry, cases in which it passes at the limit.
ENTRY_ROWS: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    "TRADING_HALTED": ([{"trading_states": {"global": "HALTED"}}], [{}]),
    "TRADING_REDUCING": ([{"trading_states": {"account:paper": "REDUCING"}}], [{}]),
    "ACCOUNT_DISABLED": ([{"enabled": False}], [{"enabled": True}]),
    "LIVE_NOT_READY": (
        [{"mode": "LIVE"}, {**LIVE, "rules": replace(LIVE["rules"], live_enabled=False)}, {**LIVE, "mode": "PAPER"}],
        [LIVE],
    ),
    "CREDENTIAL_MISSING": ([{**LIVE, "rules": replace(LIVE["rules"], credential_id="")}], [LIVE]),
    "STRATEGY_NOT_ALLOWED": (
        [{"strategies": frozenset({"s"})}, {"strategies": frozenset({"s"}), "strategy_id": "t"}],
        [{"strategies": frozenset({"s"}), "strategy_id": "s"}],
    ),
    "SYMBOL_NOT_ALLOWED": ([{"instruments": frozenset({"ETH/USDT"})}], [{"instruments": frozenset({"BTC/USDT"})}]),
    "CURRENCY_MISMATCH": ([{"currency": "USD"}], [{}]),
    "ORDER_TYPE_UNSUPPORTED": ([{"order_type": "LIMIT"}], [{}]),
    "SHORT_NOT_ALLOWED": (
        [sells(), {**LIVE, "rules": replace(LIVE["rules"], may_short=True), "buy": False}],
        [
            sells(may_short=True),
            {**LIVE, "rules": replace(LIVE["rules"], may_short=True), "buy": False, "market": PERP},
        ],
    ),
    "OUTSIDE_TRADING_WINDOW": (
        [
            {"windows": (replace(NOON, start_s=12 * 3600 + 1),)},
            {"windows": (replace(NOON, start_s=0, end_s=12 * 3600),)},
            {"windows": (replace(NOON, days=frozenset({0, 2})),)},
        ],
        [{"windows": (NOON,)}, {"windows": (replace(NOON, days=frozenset({5})), NOON)}],
    ),
    "PRICE_STALE": (
        [
            {"quote": quote(100, 100, 5001)},
            {"quote": quote(100, 100, -5001)},
            {"now": NOW + seconds(6)},
            {"max_price_age_ms": 10, "quote": quote(100, 100, 11)},
        ],
        [
            {"quote": quote(100, 100, 5000)},
            {"quote": quote(100, 100, -5000)},
            {"max_price_age_ms": 10, "quote": quote(100, 100, 10)},
            {"max_price_age_ms": 9000, "quote": quote(100, 100, 9000)},
        ],
    ),
    "MARK_STALE": (
        [
            {"holdings": {"ETH/USDT": held(ETH, "1", "1", "1", 301)}, "max_leverage": D(9)},
            {"holdings": {"ETH/USDT": held(ETH, "1", "1", "1", 301)}, "max_gross_exposure": D(9999)},
            {"holdings": {"ETH/USDT": held(ETH, "1", "1", "1", 301)}, "max_daily_loss": D(9999)},
            {"holdings": {"ETH/USDT": held(ETH, "1", "1", "1", 301)}, "max_drawdown_percent": D(99)},
            {"holdings": {"ETH/USDT": held(ETH, "1", "1", "1", 301)}, "sizing": Sizing("EQUITY_PERCENT", D(10))},
            {
                "holdings": {"ETH/USDT": held(ETH, "1", "1", "1", 301)},
                "signal_quantity": D(10),
                "signal_quantity_type": "EQUITY_PERCENT",
            },
            {"holdings": {"ETH/USDT": held(ETH, "-1", "-1", "1", 301)}},
            {"holdings": {"ETH/USDT": held(ETH, "-1", "-1", "1", 301), "SOL/USDT": held(SOL, "1", "1", "1")}},
            {"holdings": {"ETH/USDT": Holding(ETH, Position(D(1), D(1)))}, "max_leverage": D(9)},
            {"holdings": {"ETH/USDT": held(ETH, "1", "1", "1", 11)}, "max_leverage": D(9), "max_mark_age_s": 10},
        ],
        [
            {"holdings": {"ETH/USDT": held(ETH, "1", "1", "1", 300)}, "max_leverage": D(9)},
            {"holdings": {"ETH/USDT": held(ETH, "1", "1", "1", 10)}, "max_leverage": D(9), "max_mark_age_s": 10},
            {"holdings": {"ETH/USDT": held(ETH, "1", "1", "1", 301)}},
            {"holdings": {"BTC/USDT": held(BTC, "1", "1", "1", 301)}, "max_leverage": D(9)},
        ],
    ),
    "PRICE_DEVIATION_EXCEEDED": (
        [
            {"max_price_deviation_bps": 100, "signal_price": D("101.01")},
            {"max_price_deviation_bps": 100, "signal_price": D("98.99")},
        ],
        [
            {"max_price_deviation_bps": 100, "signal_price": D(101)},
            {"max_price_deviation_bps": 100, "signal_price": D(99)},
            {"max_price_deviation_bps": 1},
        ],
    ),
    "SIZING_UNAVAILABLE": (
        [
            {"sizing": None},
            {"sizing": Sizing("FIXED_NOTIONAL")},
            {"sizing": Sizing("FIXED_QUANTITY", D(0))},
            {"sizing": Sizing("MARTINGALE", D(1))},
            {"sizing": replace(KELLY, win_rate=None)},
            {"sizing": replace(KELLY, payoff=None)},
            {"sizing": replace(KELLY, maximum_equity_percent=None)},
            {"sizing": replace(KELLY, win_rate=D(1))},
            {"sizing": replace(KELLY, win_rate=D(0))},
            {"sizing": replace(KELLY, payoff=D(0))},
            {"sizing": replace(KELLY, value=D("1.01"))},
            {"signal_quantity": D(1), "signal_quantity_type": "BOXES"},
        ],
        [{"sizing": replace(KELLY, value=D(1), win_rate=D("0.99"))}],
    ),
    "STOP_LOSS_MISSING": (
        [
            {"sizing": Sizing("RISK_PERCENT", D(1))},
            {"signal_quantity": D(1), "signal_quantity_type": "RISK_PERCENT"},
        ],
        [{"sizing": Sizing("RISK_PERCENT", D(1)), "stop": Stop("PRICE", D(90))}],
    ),
    "STOP_LOSS_INVALID": (
        [
            {"sizing": Sizing("RISK_PERCENT", D(1)), "stop": Stop("PRICE", D(100))},
            {"sizing": Sizing("RISK_PERCENT", D(1)), "stop": Stop("PRICE", D(0))},
            {"sizing": Sizing("RISK_PERCENT", D(1)), "stop": Stop("PERCENT", D(100))},
            {"sizing": Sizing("RISK_PERCENT", D(1)), "stop": Stop("PERCENT", D(0))},
            {"sizing": Sizing("RISK_PERCENT", D(1)), "stop": Stop("AMOUNT", D(100))},
            {"sizing": Sizing("RISK_PERCENT", D(1)), "stop": Stop("AMOUNT", D(-1))},
            sells(may_short=True, sizing=Sizing("RISK_PERCENT", D(1)), stop=Stop("PRICE", D(100))),
        ],
        [
            {"sizing": Sizing("RISK_PERCENT", D(1)), "stop": Stop("PRICE", D(99))},
            {"sizing": Sizing("RISK_PERCENT", D(1)), "stop": Stop("PERCENT", D(99))},
            {"sizing": Sizing("RISK_PERCENT", D(1)), "stop": Stop("AMOUNT", D(99))},
            sells(may_short=True, sizing=Sizing("RISK_PERCENT", D(1)), stop=Stop("PRICE", D(101))),
            sells(may_short=True, sizing=Sizing("RISK_PERCENT", D(1)), stop=Stop("PERCENT", D(150))),
        ],
    ),
    "SIGNAL_QUANTITY_MISSING": (
        [{"sizing": Sizing("SIGNAL_QUANTITY", D(5))}],
        [{"sizing": Sizing("SIGNAL_QUANTITY", D(5)), "signal_quantity": D(1)}],
    ),
    "KELLY_EDGE_NOT_POSITIVE": (
        [{"sizing": replace(KELLY, win_rate=D("0.5"))}, {"sizing": replace(KELLY, win_rate=D("0.4"))}],
        [{"sizing": replace(KELLY, win_rate=D("0.51"))}],
    ),
    "DAILY_LOSS_LIMIT_REACHED": (
        [{"max_daily_loss": D(500), "cash": D(9500)}, {"max_daily_loss": D(500), "cash": D(9499)}],
        [{"max_daily_loss": D(500), "cash": D("9500.01")}, {"max_daily_loss": D(500), "cash": D(20_000)}],
    ),
    "DRAWDOWN_LIMIT_REACHED": (
        [{"max_drawdown_percent": D(5), "cash": D(9500)}, {"max_drawdown_percent": D(5), "cash": D(9000)}],
        [
            {"max_drawdown_percent": D(5), "cash": D("9500.01")},
            {"max_drawdown_percent": D(5), "standing": Standing(STANDING.day, D(0), D(0))},
        ],
    ),
    "LOSS_COOLDOWN_ACTIVE": (
        [{"loss_cooldown_s": 60, "activity": Activity(last_loss=NOW - seconds(59.999))}],
        [
            {"loss_cooldown_s": 60, "activity": Activity(last_loss=NOW - seconds(60))},
            {"loss_cooldown_s": 60},
        ],
    ),
    "ORDER_RATE_EXCEEDED": (
        [
            {
                "max_orders_per_minute": 3,
                "activity": Activity(seconds=((int(NOW.timestamp()) - 60, 1), (int(NOW.timestamp()), 2))),
            },
        ],
        [
            {
                "max_orders_per_minute": 3,
                "activity": Activity(seconds=((int(NOW.timestamp()) - 61, 1), (int(NOW.timestamp()), 2))),
            },
            {"max_orders_per_minute": 1},
        ],
    ),
    "DUPLICATE_ORDER": (
        [{"duplicate_order_window_s": 10, "activity": approved(9.999)}],
        [
            {"duplicate_order_window_s": 10, "activity": approved(10)},
            {"duplicate_order_window_s": 10, "activity": Activity(asked=(Asked(BUY_10, NOW),))},
            {"duplicate_order_window_s": 10, "activity": approved(1, "sell 10 BTC/USDT")},
            {"duplicate_order_window_s": 10, "activity": approved(1, "buy 9 BTC/USDT")},
        ],
    ),
    "ORDER_QUANTITY_BELOW_MINIMUM": (
        [
            {"min_order_quantity": D("10.001")},
            {"lot_size": D(11), "minimum_notional": D(0)},
            {"signal_quantity": D(50), "signal_quantity_type": "POSITION_PERCENT", "minimum_notional": D(0)},
        ],
        [{"min_order_quantity": D(10)}, {"lot_size": D(10)}],
    ),
    "ORDER_QUANTITY_ABOVE_MAXIMUM": ([{"max_order_quantity": D("9.999")}], [{"max_order_quantity": D(10)}]),
    "ORDER_NOTIONAL_BELOW_MINIMUM": (
        [{"min_order_notional": D("1000.01")}, {"minimum_notional": D("1000.01")}],
        [{"min_order_notional": D(1000)}, {"minimum_notional": D(1000)}],
    ),
    "ORDER_NOTIONAL_ABOVE_MAXIMUM": ([{"max_order_notional": D("999.99")}], [{"max_order_notional": D(1000)}]),
    "POSITION_NOTIONAL_ABOVE_MAXIMUM": (
        [
            {"max_position_notional": D("999.99")},
            {"max_position_notional": D("1500"), "reservations": (entry_of(BTC, 501),)},
            {"max_position_notional": D("1999.99"), "holdings": {"BTC/USDT": held(BTC, "10", "1", "1")}},
        ],
        [
            {"max_position_notional": D(1000)},
            {"max_position_notional": D(1500), "reservations": (entry_of(BTC, 500), entry_of(ETH, 500))},
            {"max_position_notional": D(2000), "holdings": {"BTC/USDT": held(BTC, "10", "1", "1")}},
        ],
    ),
    "GROSS_EXPOSURE_ABOVE_MAXIMUM": (
        [
            {"max_gross_exposure": D("999.99")},
            {"max_gross_exposure": D("1499.99"), "reservations": (entry_of(ETH, 500),)},
            {"max_gross_exposure": D("1499.99"), "holdings": {"ETH/USDT": held(ETH, "5", "1", "100")}},
        ],
        [
            {"max_gross_exposure": D(1000)},
            {"max_gross_exposure": D(1500), "reservations": (entry_of(ETH, 500), exit_of("7"))},
            {"max_gross_exposure": D(1500), "holdings": {"ETH/USDT": held(ETH, "5", "1", "100")}},
        ],
    ),
    "OPEN_POSITIONS_ABOVE_MAXIMUM": (
        [
            {"max_open_positions": 1, "holdings": {"ETH/USDT": held(ETH, "1", "1", "1")}},
            {"max_open_positions": 1, "reservations": (entry_of(ETH, 1),)},
        ],
        [
            {"max_open_positions": 2, "holdings": {"ETH/USDT": held(ETH, "1", "1", "1")}},
            {"max_open_positions": 2, "reservations": (entry_of(ETH, 1),)},
            {"max_open_positions": 1, "reservations": (entry_of(BTC, 1), entry_of(ETH, 1))},
            {"max_open_positions": 1},
        ],
    ),
    "LEVERAGE_ABOVE_MAXIMUM": (
        [
            {"max_leverage": D("0.0999")},
            {"max_leverage": D("0.1499"), "reservations": (entry_of(ETH, 500),)},
            {"max_leverage": D("0.0999"), "holdings": {"ETH/USDT": held(ETH, "5", "500", "100")}, "cash": D(9500)},
            {"max_leverage": D("0.4999"), "cash": D(2000), "market": PERP},
        ],
        [
            {"max_leverage": D("0.1")},
            {"max_leverage": D("0.15"), "reservations": (entry_of(ETH, 500),)},
            {"max_leverage": D("0.15"), "holdings": {"ETH/USDT": held(ETH, "5", "500", "100")}, "cash": D(9500)},
        ],
    ),
    "INSUFFICIENT_FUNDS": (
        [
            {"cash": D("999.99")},
            {"cash": D(1000), "fee_bps": D(1)},
            {"cash": D(1000), "price_buffer_bps": D(1)},
            {"cash": D("1499.99"), "reservations": (entry_of(ETH, 1, hold=500),)},
            {"cash": D("299.99"), "market": PERP, "max_leverage": D(5), "reservations": (entry_of(ETH, 1, hold=100),)},
            sells(cash=D("999.99"), may_short=True),
            {"cash": D("1199.99"), "holdings": {"ETH/USDT": held(ETH, "-1", "-100", "100")}},
            {"cash": D("1099.99"), "holdings": {"BTC/USDT:USDT": held(PERP, "1", "100", "100")}},
            {"cash": D("1099.99"), "holdings": {"BTC/USDT:USDT": held(PERP, "1", "150", "50")}},
        ],
        [
            {"cash": D(1000)},
            {"cash": D("1000.1"), "fee_bps": D(1)},
            {"cash": D("1000.1"), "price_buffer_bps": D(1)},
            {"cash": D(1500), "reservations": (entry_of(ETH, 1, hold=500), exit_of("1"))},
            {"cash": D(200), "market": PERP, "max_leverage": D(5)},
            sells(cash=D(1000), may_short=True),
            sells(cash=D(500), may_short=True, max_leverage=D(2)),
            {"cash": D(1200), "holdings": {"ETH/USDT": held(ETH, "-1", "-100", "100")}},
            {"cash": D(1100), "holdings": {"BTC/USDT:USDT": held(PERP, "1", "100", "100")}},
            {"cash": D(1150), "holdings": {"BTC/USDT:USDT": held(PERP, "1", "150", "50")}},
        ],
    ),
}
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
    "ORDER_TYPE_UNSUPPORTED": ([{"order_type": "STOP"}], [{}]),
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


def rows(table: dict[str, Any], which: int) -> list[Any]:
    return [pytest.param(r, c, id=f"{r}-{n}") for r, both in table.items() for n, c in enumerate(both[which])]


def verdicts(inputs: Inputs) -> dict[str, bool]:
    return {check.reason: check.passed for check in evaluate(inputs).checks}


def test_every_check_has_its_rows() -> None:
    entry, exits = [r.reason for r in ENTRY_TABLE], [r.reason for r in EXIT_TABLE]
    assert len(entry) == len(set(entry))
    assert set(entry) == set(ENTRY_ROWS)
    assert set(exits) == set(EXIT_ROWS)
    assert set(entry) - set(exits) == set(EXIT_PASSES)
    assert all(deny and at_limit for deny, at_limit in (*ENTRY_ROWS.values(), *EXIT_ROWS.values()))


def test_base_cases_pass() -> None:
    assert (failed(ENTRY), failed(EXIT)) == ([], [])
    assert evaluate(ENTRY).approved
    assert evaluate(EXIT).approved


@pytest.mark.parametrize(("reason", "changes"), rows(ENTRY_ROWS, 0))
def test_check_alone_denies_an_entry(reason: str, changes: dict[str, Any]) -> None:
    inputs = change(ENTRY, **changes)
    assert failed(inputs) == [reason]
    assert not evaluate(inputs).approved
    finding = next(c for c in evaluate(inputs).checks if c.reason == reason)
    assert finding.detail


@pytest.mark.parametrize(("reason", "changes"), rows(ENTRY_ROWS, 1))
def test_entry_at_the_limit_passes(reason: str, changes: dict[str, Any]) -> None:
    assert failed(change(ENTRY, **changes)) == []


@pytest.mark.parametrize(("reason", "changes"), EXIT_PASSES.items())
def test_exit_passes_what_is_checked_of_entries_only(reason: str, changes: dict[str, Any]) -> None:
    assert failed(change(EXIT, **changes)) == []
    # Adding to a position opens none, so there the entry is one in another instrument.
    market = SOL if reason == "OPEN_POSITIONS_ABOVE_MAXIMUM" else BTC
    entering = change(EXIT, entry=True, market=market, order_quantity=D(10), **changes)
    assert reason in failed(entering), "an entry would be denied by it"


@pytest.mark.parametrize(("reason", "changes"), rows(EXIT_ROWS, 0))
def test_check_alone_denies_an_exit(reason: str, changes: dict[str, Any]) -> None:
    assert failed(change(EXIT, **changes)) == [reason]


@pytest.mark.parametrize(("reason", "changes"), rows(EXIT_ROWS, 1))
def test_exit_at_the_limit_passes(reason: str, changes: dict[str, Any]) -> None:
    assert failed(change(EXIT, **changes)) == []


def test_only_checks_that_apply_are_shown() -> None:
    assert [check.reason for check in evaluate(ENTRY).checks] == [
        "TRADING_HALTED",
        "TRADING_REDUCING",
        "ACCOUNT_DISABLED",
        "LIVE_NOT_READY",
        "SYMBOL_NOT_ALLOWED",
        "CURRENCY_MISMATCH",
        "ORDER_TYPE_UNSUPPORTED",
        "PRICE_STALE",
        "SIZING_UNAVAILABLE",
        "ORDER_QUANTITY_BELOW_MINIMUM",
        "ORDER_NOTIONAL_BELOW_MINIMUM",
        "INSUFFICIENT_FUNDS",
    ]
    assert [check.reason for check in evaluate(EXIT).checks] == [
        "TRADING_HALTED",
        "LIVE_NOT_READY",
        "ORDER_TYPE_UNSUPPORTED",
        "PRICE_STALE",
        "NOTHING_TO_CLOSE",
        "ORDER_QUANTITY_BELOW_MINIMUM",
    ]
    # Where the size is not known, what depends on it is left out.
    unsized = [check.reason for check in evaluate(change(ENTRY, sizing=None, max_open_positions=3)).checks]
    assert unsized[-2:] == ["SIZING_UNAVAILABLE", "OPEN_POSITIONS_ABOVE_MAXIMUM"]


def test_sentence_of_a_failed_check_has_the_numbers() -> None:
    def sentence(inputs: Inputs) -> str:
        return next(check.detail for check in evaluate(inputs).checks if not check.passed)

    assert sentence(change(ENTRY, strategies=frozenset({"b", "a"}))) == "strategy is none, the account takes a, b"
    assert sentence(change(ENTRY, strategies=frozenset({"a"}), strategy_id="c")) == "strategy is c, the account takes a"
    assert sentence(change(ENTRY, order_type="LIMIT")) == "order type is LIMIT, the venue takes MARKET"
    assert sentence(change(ENTRY, quote=quote(100, 100, 6000))) == "quote is 6000 ms old, the most is 5000 ms"
    assert sentence(change(EXIT, quote=quote(3, 2))) == "expected 0 < bid <= ask, was bid 3, ask 2"
    assert sentence(change(ENTRY, max_order_notional=D(9))) == "notional is 1000, the most is 9"
    assert sentence(change(ENTRY, max_gross_exposure=D(9))) == "gross exposure would be 1000, the most is 9"
    assert sentence(change(ENTRY, cash=D(9))) == "needs 1000 with fee and buffer, free are 9"
    assert sentence(
        change(ENTRY, max_orders_per_minute=1, activity=Activity(seconds=((int(NOW.timestamp()), 1),)))
    ) == ("with this one 2 orders in a minute, the most is 1")
    halted = change(ENTRY, trading_states={"global": "HALTED", "account:a": "REDUCING", "account:b": "HALTED"})
    assert sentence(halted) == "halted: account:b, global"
    window = change(ENTRY, windows=(replace(NOON, days=frozenset({5})),))
    assert sentence(window) == "2026-11-24T12:00:00+00:00 is outside of 1 windows"
    assert sentence(change(EXIT, buy=True)) == "to close is a short, the position is 10, open exits take 0 of it"
    assert sentence(change(EXIT, holdings={})) == "to close is a long, the position is 0, open exits take 0 of it"
    passed = {check.detail for check in evaluate(ENTRY).checks}
    assert passed == {""}, "what passes says its numbers only"


def test_all_failed_checks_are_returned() -> None:
    inputs = change(ENTRY, enabled=False, currency="USD", max_order_notional=D(1), cash=D(0))
    assert failed(inputs) == [
        "ACCOUNT_DISABLED",
        "CURRENCY_MISMATCH",
        "ORDER_NOTIONAL_ABOVE_MAXIMUM",
        "INSUFFICIENT_FUNDS",
    ]


def test_no_quote_and_a_crossed_one_deny_an_entry_by_that_alone() -> None:
    for wrong in (None, quote(101, 100), quote(0, 100), quote(-1, 100)):
        reasons = failed(change(ENTRY, quote=wrong))
        assert reasons == ["PRICE_STALE", "SIZING_UNAVAILABLE"], "without a price there is no size either"


def test_equity_of_nothing_has_no_leverage() -> None:
    inputs = change(ENTRY, market=PERP, cash=D(0), max_leverage=D(5))
    assert verdicts(inputs)["LEVERAGE_ABOVE_MAXIMUM"] is False
    row = next(c for c in evaluate(inputs).checks if c.reason == "LEVERAGE_ABOVE_MAXIMUM")
    assert row.inputs["leverage"] == "unbounded"


def test_what_a_check_looked_at_is_in_its_row() -> None:
    by_reason = {c.reason: c for c in evaluate(change(ENTRY, max_gross_exposure=D(2000), max_leverage=D(1))).checks}
    exposure = by_reason["GROSS_EXPOSURE_ABOVE_MAXIMUM"]
    assert (exposure.inputs["order_notional"], exposure.limit, exposure.detail) == ("1000", "2000", "")
    assert by_reason["LEVERAGE_ABOVE_MAXIMUM"].inputs == {
        "exposure_after": "1000",
        "equity": "10000",
        "leverage": "0.1",
    }
    assert by_reason["INSUFFICIENT_FUNDS"].inputs["hold"] == "1000"
    assert by_reason["PRICE_STALE"].inputs == {"bid": "100", "ask": "100", "age_ms": "0"}
    assert QUOTE.bid == D(100)
