"""The cases of every check of entries: see test_checks.py; `exit_check_cases.py` has those of exits and legs."""

from dataclasses import replace
from typing import Any

from vantixs_risk.domain.activity import Activity, EntryRecord
from vantixs_risk.domain.equity import EquityHistory, Holding, Mark
from vantixs_risk.domain.inputs import Stop
from vantixs_risk.domain.ledger import Market, Position
from vantixs_risk.domain.rules import Sizing
from vantixs_risk.domain.windows import TradingWindow

from tests.support.cases import BTC, ENTRY, EQUITY, ETH, NOW, PERP, D, entry_of, exit_of, held, seconds

SOL = Market.of("SOL/USDT")
LIVE = {"mode": "LIVE", "rules": replace(ENTRY.rules, mode="LIVE", live_enabled=True, credential_id="c1")}
NOON = TradingWindow(frozenset({1}), 12 * 3600, 13 * 3600, "UTC")
KELLY = Sizing("KELLY", D("0.5"), win_rate=D("0.6"), payoff=D(1), maximum_equity_percent=D(50))
BUY_10 = "buy 10 BTC/USDT"
# Orders that rest, with what their type needs and without.
RESTING: list[dict[str, Any]] = [
    {"order_type": "LIMIT", "limit_price": D(100)},
    {"order_type": "STOP", "stop_price": D(100)},
    {"order_type": "STOP_LIMIT", "stop_price": D(100), "limit_price": D(100)},
    {"order_type": "TRAILING_STOP", "stop_price": D(100)},
    {"order_type": "TRAILING_STOP", "trail_percent": D("0.5")},
    {"order_type": "TRAILING_STOP", "trail_amount": D(1), "activation_price": D(90)},
]
LIMIT_AT_100: dict[str, Any] = {"order_type": "LIMIT", "limit_price": D(100)}
LACKING: list[dict[str, Any]] = [
    {"order_type": "LIMIT", "stop_price": D(100)},
    {"order_type": "STOP", "limit_price": D(100)},
    {"order_type": "STOP_LIMIT", "limit_price": D(100)},
    {"order_type": "STOP_LIMIT", "stop_price": D(100)},
    {"order_type": "TRAILING_STOP", "activation_price": D(100)},
]


def quote(bid: str | int, ask: str | int, age_ms: int = 0) -> Mark:
    return Mark(D(bid), D(ask), NOW - seconds(age_ms / 1000))


def approved(age_s: float, what: str = BUY_10) -> Activity:
    return Activity(approved=(EntryRecord(what, NOW - seconds(age_s)),))


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
    "ORDER_TYPE_UNSUPPORTED": (
        [{"order_type": "UNSPECIFIED"}, {"order_type": "ICEBERG", "limit_price": D(100)}],
        [{}, *RESTING],
    ),
    "ORDER_TERMS_INVALID": (LACKING, RESTING),
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
            {"max_drawdown_percent": D(5), "equity_history": EquityHistory(EQUITY.day, D(0), D(0))},
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
        [
            {"duplicate_order_window_s": 10, "activity": approved(9.999)},
            {
                "duplicate_order_window_s": 10,
                "activity": approved(1, f"{BUY_10} LIMIT limit_price 100"),
                **LIMIT_AT_100,
            },
        ],
        [
            {"duplicate_order_window_s": 10, "activity": approved(10)},
            {"duplicate_order_window_s": 10, "activity": Activity(requested=(EntryRecord(BUY_10, NOW),))},
            {"duplicate_order_window_s": 10, "activity": approved(1, "sell 10 BTC/USDT")},
            {"duplicate_order_window_s": 10, "activity": approved(1, "buy 9 BTC/USDT")},
            {"duplicate_order_window_s": 10, "activity": approved(1, f"{BUY_10} LIMIT limit_price 99"), **LIMIT_AT_100},
            {"duplicate_order_window_s": 10, "activity": approved(1, f"{BUY_10} STOP stop_price 100"), **LIMIT_AT_100},
            {"duplicate_order_window_s": 10, "activity": approved(1), **LIMIT_AT_100},
            {"duplicate_order_window_s": 10, "activity": approved(9.999), "replaces": "s1.1"},
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
