"""Targets, trailing stops, break-even and order types as senders write them, what comes out, and what is refused by name."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from vantixs.api.common.v1 import common_pb2
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.model.instruments import CATALOGUE
from vantixs_ingress.domain.payload.mapping import compile_mapping
from vantixs_ingress.domain.payload.reading import Reading
from vantixs_ingress.domain.signal.read_signal import read_signal
from vantixs_ingress.domain.signal.rules import Rules
from vantixs_ingress.spool.signal_message import signal_message
from vantixs_ingress.webhooks.lint import lint_payload

from tests.support.alerts import fields_of
from tests.support.paths import ROOT

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
RULES = Rules(account_id="paper", entry_expires_after_s=300, exit_expires_after_s=86_400, sell_opens_short=True)
LATER, LATER_S = "2026-11-25T12:00:00Z", 1795608000
NOT_COMPARED = {"symbol", "instrument", "action", "previous_position", "extras", "price", "quantity", "quantity_type"}
SHORT = {"action": "sell", "sentiment": "short"}
LIMIT = {"order_type": "limit", "limit_price": 63000}
TRAILS = {"order_type": "trailing_stop"}


def read(body: dict[str, Any] | str, rules: Rules = RULES) -> Reading:
    text = body if isinstance(body, str) else json.dumps({"action": "buy", "symbol": "BTCUSDT"} | body)
    return read_signal(text.encode(), rules, CATALOGUE, NOW)


def told(reading: Reading) -> dict[str, str]:
    """All that the signal says of its order and of what protects it."""
    signal = signal_message(reading, "")
    assert not signal.HasField("take_profit")  # Only signals of before have one.
    fields = {name: text for name, text in fields_of(signal).items() if name not in NOT_COMPARED}
    first = [name for name in fields if name.startswith("take_profit_")]
    for name in first if "take_profits" in fields else ():
        del fields[name]
    return {name: text for name, text in fields.items() if not name.startswith(("expire_", "target_"))}


def targets(text: str, **more: str) -> dict[str, str]:
    return {"take_profits": text} | more


TABLE: list[tuple[dict[str, Any] | str, dict[str, str]]] = [
    # One target, in every spelling that was read before.
    ({"tp": 66000}, targets("price 66000")),
    ({"take_profit": "3%"}, targets("percent 3")),
    ({"takeProfit": {"percent": 10}}, targets("percent 10")),
    ({"takeProfit": {"limitPrice": 66000}}, targets("price 66000")),
    ({"tp": {"price": 66000, "share": 40}}, targets("price 66000 40%")),
    ({"take_profit_amount": 250}, targets("amount 250")),
    ({"tp": 3, "tp_type": "percent"}, targets("percent 3")),
    ({"tp1": 66000, "take_profit": 66000, "target": "66000"}, targets("price 66000")),
    ({"targets": [66000]}, targets("price 66000")),
    # Numbered names.
    ({"tp1": 66000, "tp2": 67000}, targets("price 66000, price 67000")),
    ({"tp2": 67000, "tp1": 66000, "tp3": 68000}, targets("price 66000, price 67000, price 68000")),
    ({"take_profit_1": "1%", "take_profit_2": "2%"}, targets("percent 1, percent 2")),
    ({"takeProfit1": 66000, "takeProfit2": 67000}, targets("price 66000, price 67000")),
    ({"target1": 66000, "target2": "67000", "Target-3": 68000}, targets("price 66000, price 67000, price 68000")),
    ({"tp1_price": 66000, "tp2_percent": 5}, targets("price 66000, percent 5")),
    ({"tp1": 66000, "tp3": 68000}, targets("price 66000, price 68000")),
    ({"tp1": 66000, "tp2": 0, "tp3": None, "tp4": ""}, targets("price 66000")),
    (
        {f"tp{n}": 65000 + n for n in range(1, 11)},
        targets(", ".join(f"price {65000 + n}" for n in range(1, 11))),
    ),
    (SHORT | {"tp1": 62000, "tp2": 61000, "price": 63000}, targets("price 62000, price 61000")),
    (SHORT | {"short_tp1": 62000, "short_tp2": 61000, "long_tp1": 70000}, targets("price 62000, price 61000")),
    ({"long_tp1": {"price": 66000, "share": 50}, "short_tp1": {"price": 62000, "share": 90}}, targets("price 66000 50%")),
    # OctoBot: the first has no number.
    ("SIGNAL=BUY;SYMBOL=BTCUSDT;TAKE_PROFIT_PRICE=66000;TAKE_PROFIT_PRICE_1=67000", targets("price 66000, price 67000")),
    ("symbol=BTCUSDT\naction=buy\ntp1=66000\ntp1_share=50%\ntp2=67000\ntp2_share=50", targets("price 66000 50%, price 67000 50%")),
    ("symbol=BTCUSDT\naction=buy\ntargets=66000, 67000, 68000", targets("price 66000, price 67000, price 68000")),
    ("symbol=BTCUSDT;action=buy;TP=66000|67000", targets("price 66000, price 67000")),
    ('symbol=BTCUSDT;action=buy;TARGETS=[66000, {"price": 67000, "share": 20}]', targets("price 66000, price 67000 20%")),
    ("action=buy&symbol=BTCUSDT&tp1=66000&tp2=67000", targets("price 66000, price 67000")),
    # Shares.
    (
        {"takeProfitPercentage1": "5", "takeProfitAmountPercentage1": "50", "takeProfitPercentage2": 9, "takeProfitAmountPercentage2": 25},
        targets("percent 5 50%, percent 9 25%"),
    ),
    ({"tp1": 66000, "tp1_percent_of_position": 30, "tp2": 67000}, targets("price 66000 30%, price 67000")),
    ({"tp1": 66000, "tp1_qty_percent": "33.3%", "tp2": 67000, "tp2_close_pct": 20}, targets("price 66000 33.3%, price 67000 20%")),
    ({"tp1": 66000, "tp2": 67000, "quantity": 0.04, "tp1_qty": 0.01, "tp2_qty": 0.03}, targets("price 66000 25%, price 67000 75%")),
    (
        {"tp1": 66000, "tp2": 67000, "tp3": 68000, "qty": 0.03, **{f"tp{n}_size": 0.01 for n in (1, 2, 3)}},
        targets("price 66000 33.333333333333333333%, price 67000 33.333333333333333333%, price 68000 33.333333333333333334%"),
    ),
    ({"targets": [66000, 67000], "tp_shares": [60, 40]}, targets("price 66000 60%, price 67000 40%")),
    # Lists and objects.
    ({"targets": [66000, 67000]}, targets("price 66000, price 67000")),
    ({"takeProfits": ["1.5%", "3%", "5%"]}, targets("percent 1.5, percent 3, percent 5")),
    (
        {"take_profits": [{"price": 66000, "share": 50}, {"percent": 3, "quantity_percent": 50}]},
        targets("price 66000 50%, percent 3 50%"),
    ),
    ({"take_profits": [{"price": 66000, "qty": 1}, {"price": 67000, "qty": "75%"}], "quantity": 4}, targets("price 66000 25%, price 67000 75%")),
    ({"take_profit_targets": {"2": 67000, "1": 66000, "10": 68000}}, targets("price 66000, price 67000, price 68000")),
    ({"targets": {"tp1": 66000, "tp2": {"price": 67000, "share": 25}}}, targets("price 66000, price 67000 25%")),
    ({"take_profit": {"enabled": True, "steps": [{"price": 66000}, {"price": 67000}]}}, targets("price 66000, price 67000")),
    ({"take_profit": {"enabled": False, "steps": [{"price": 66000}]}}, {}),
    ({"tp": [66000, 67000, 68000]}, targets("price 66000, price 67000, price 68000")),
    ({"order": {"tp1": 66000, "tp2": 67000, "sl": 63000}}, targets("price 66000, price 67000", stop_loss_price="63000")),
    ({"targets": [{"type": "percent", "value": 3}, {"type": "percent", "value": 6}]}, targets("percent 3, percent 6")),
    # As products write them: WunderTrading in parts of 1, OctoBot in proportions, others with labels and numbers of targets.
    (
        {"takeProfits": [{"priceDeviation": 0.01, "portfolio": 0.5}, {"priceDeviation": 0.02, "portfolio": 0.5}],
         "stopLoss": {"priceDeviation": 0.05}},
        targets("percent 1 50%, percent 2 50%", stop_loss_percent="5"),
    ),
    (
        "SIGNAL=BUY;SYMBOL=BTCUSDT;TAKE_PROFIT_PRICE=66000;TAKE_PROFIT_PRICE_1=67000;TAKE_PROFIT_VOLUME_RATIO_1=1"
        ";TAKE_PROFIT_VOLUME_RATIO_2=3",
        targets("price 66000 25%, price 67000 75%"),
    ),
    (
        {"takeProfits": [{"level": 1, "percent": 0.5, "sizePercent": 33}, {"level": 2, "percent": 1, "sizePercent": 67}]},
        targets("percent 0.5 33%, percent 1 67%"),
    ),
    ({"takeProfits": [{"label": "TP1 (FVG)", "price": 66000, "source": "FVG"}]}, targets("price 66000")),
    ({"tp1": 66000, "tp1_share": "0.5%"}, targets("price 66000 0.5%")),
    # A stop that follows.
    ({"trail_percent": 2}, {"trailing_stop_percent": "2"}),
    ({"trailing_stop": "1.5%", "sl": "5%"}, {"trailing_stop_percent": "1.5", "stop_loss_percent": "5"}),
    ({"trailingStopPercentage": "2", "trailing_activation": "3%"}, {"trailing_stop_percent": "2", "trailing_activation_percent": "3"}),
    ({"trail_offset": "1.5%"}, {"trailing_stop_percent": "1.5"}),
    ({"trail_amount": 300, "activation_price": 66000}, {"trailing_stop_amount": "300", "trailing_activation_price": "66000"}),
    ({"trailing_stop": {"percent": 2, "activation_percent": 1}}, {"trailing_stop_percent": "2", "trailing_activation_percent": "1"}),
    ({"trailing_stop": 300, "trailing_stop_type": "amount"}, {"trailing_stop_amount": "300"}),
    ({"trailing_stop": True, "trail_percent": 2}, {"trailing_stop_percent": "2"}),
    ({"trailing_stop_enabled": False, "trail_percent": 2}, {}),
    ({"trail": 0, "trail_percent": "0", "trailing_stop": False}, {}),
    ({"stopLoss": {"type": "trailing_stop", "trailAmount": 250}}, {"trailing_stop_amount": "250"}),
    ({"stop_loss": {"price": 63000, "trail_percent": 1}}, {"stop_loss_price": "63000", "trailing_stop_percent": "1"}),
    ({"quantity": 1, "callbackRate": 1}, {"trailing_stop_percent": "1"}),
    # What stands in the stop loss is the stop's, beside a trailing order too.
    (
        TRAILS | {"trail_percent": 3, "stopLoss": {"trailPercent": 1}, "activation_price": 66000},
        {"order_type": "TRAILING_STOP", "trail_percent": "3", "activation_price": "66000", "trailing_stop_percent": "1"},
    ),
    # Break-even.
    ({"tp1": 66000, "tp2": 67000, "break_even_after_tp": 1}, targets("price 66000, price 67000", break_even_after_target="1")),
    ({"tp1": 66000, "tp3": 67000, "break_even_after_target": "tp3"}, targets("price 66000, price 67000", break_even_after_target="2")),
    ({"tp": 66000, "move_sl_to_be": True}, targets("price 66000", break_even_after_target="1")),
    ({"tp1": 66000, "tp2": 67000, "move_sl_to_breakeven_after_tp2": "true"}, targets("price 66000, price 67000", break_even_after_target="2")),
    ({"targets": [66000, 67000], "breakeven": "tp1"}, targets("price 66000, price 67000", break_even_after_target="1")),
    ({"targets": [66000, 67000], "breakeven": {"after_target": 2}}, targets("price 66000, price 67000", break_even_after_target="2")),
    ({"break_even_at": 65000}, {"break_even_at_price": "65000"}),
    ({"breakeven": "1.5%"}, {"break_even_at_percent": "1.5"}),
    ({"break_even_trigger_percent": 1.5}, {"break_even_at_percent": "1.5"}),
    ({"breakeven": {"amount": 200}}, {"break_even_at_amount": "200"}),
    ({"breakeven": False, "move_sl_to_be": 0, "break_even_after_tp": 0}, {}),
    # Order types.
    (TRAILS | {"trail_percent": 2}, {"order_type": "TRAILING_STOP", "trail_percent": "2"}),
    (
        {"type": "TRAILING_STOP_MARKET", "callbackRate": "0.5", "activationPrice": "66000"},
        {"order_type": "TRAILING_STOP", "trail_percent": "0.5", "activation_price": "66000"},
    ),
    ({"side": "sell", "reduceOnly": True, "action": "sell", **TRAILS, "trail_amount": 300},
     {"order_type": "TRAILING_STOP", "trail_amount": "300", "reduce_only": "true"}),
    (LIMIT | {"post_only": True}, {"order_type": "LIMIT", "limit_price": "63000", "post_only": "true"}),
    ({"order_type": "limit_maker", "price": 63000}, {"order_type": "LIMIT", "limit_price": "63000", "post_only": "true"}),
    ({"limit_price": 63000, "tif": "GTX"}, {"order_type": "LIMIT", "limit_price": "63000", "post_only": "true"}),
    *(
        (LIMIT | {"time_in_force": word}, {"order_type": "LIMIT", "limit_price": "63000", "time_in_force": word.upper()})
        for word in ("gtc", "IOC", "fok", "day")
    ),
    *(
        (
            LIMIT | {"tif": "gtd", name: time},
            {"order_type": "LIMIT", "limit_price": "63000", "time_in_force": "GTD", "order_expire_time": LATER},
        )
        for name, time in (
            ("expire", LATER), ("order_expire_time", LATER_S), ("expire", str(LATER_S)), ("goodTillDate", LATER_S * 1000),
        )
    ),
    (
        LIMIT | {"order_expire_time": LATER},
        {"order_type": "LIMIT", "limit_price": "63000", "time_in_force": "GTD", "order_expire_time": LATER},
    ),
    # A bare stop is the trigger beside a stop order, and the stop loss everywhere else.
    ({"order_type": "stop", "stop": 66000}, {"order_type": "STOP", "stop_price": "66000"}),
    ({"order_type": "stop", "stopPrice": 66000, "stop": 63000}, {"order_type": "STOP", "stop_price": "66000", "stop_loss_price": "63000"}),
    ({"order_type": "market", "stop": 63000}, {"order_type": "MARKET", "stop_loss_price": "63000"}),
    (TRAILS | {"trail_percent": 1, "stop": 63000}, {"order_type": "TRAILING_STOP", "trail_percent": "1", "stop_loss_price": "63000"}),
    # What an exit does not need is no reason to keep it.
    ({"action": "close", "trail_percent": 2, "breakeven": True}, {}),
    ({"action": "close", "order_type": "limit", "limit_price": 66000, "tif": "gtd", "expire": "soon"},
     {"order_type": "LIMIT", "limit_price": "66000"}),
    ({"action": "close", "post_only": True}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("body", "expected"), TABLE, ids=[str(number) for number in range(len(TABLE))])
def test_what_is_written_arrives(body: dict[str, Any] | str, expected: dict[str, str]) -> None:
    reading = read(body)
    assert not reading.errors, reading.errors
    assert told(reading) == expected


MANY = {f"tp{n}": 65000 + n for n in range(1, 12)}
REFUSED: list[tuple[dict[str, Any] | str, str, str, str]] = [
    # What a ladder cannot hold.
    (MANY, "tp11", "FIELD_INVALID", "expected at most 10 targets, was 11"),
    ({"targets": list(range(65001, 65012))}, "targets.11", "FIELD_INVALID", "expected at most 10 targets, was 11"),
    ({"targets": list(range(1, 60))}, "targets", "FIELD_INVALID", "was 59"),
    ({"tp1": 66000, "tp2": 67000, "tp1_share": 60, "tp2_share": 60}, "tp2_share", "FIELD_INVALID", "was '120'"),
    ({"tp1": 66000, "tp2": 67000, "tp1_share": 100}, "tp2", "FIELD_CONFLICT", "take 100 percent"),
    ({"tp1": 66000, "tp1_share": 101}, "tp1_share", "FIELD_INVALID", "at most 100"),
    ({"tp1": 66000, "tp2_share": 50}, "tp2_share", "FIELD_CONFLICT", "expected a target 2"),
    ({"tp_share": 50}, "tp_share", "FIELD_CONFLICT", "expected a target together with it"),
    ({"tp1": 66000, "tp2": 67000, "tp_share": 50}, "tp_share", "FIELD_CONFLICT", "number of a target"),
    ({"tp1": 66000, "tp1_qty": 0.01}, "tp1_qty", "FIELD_INVALID", "of which these units are a part"),
    ({"tp1": 66000, "tp1_qty": 0.02, "qty": 0.01}, "tp1_qty", "FIELD_INVALID", "was '200'"),
    ({"tp1": 66000, "tp1_qty": 5, "qty": 100, "qty_type": "notional"}, "tp1_qty", "FIELD_INVALID", "of which these units are a part"),
    ({"tp1": 66000, "tp1_share": 50, "takeProfitAmountPercentage1": 60}, "takeProfitAmountPercentage1", "FIELD_CONFLICT", "one part"),
    ({"tp1": 66000, "tp2": 67000, "price": 66500}, "tp1", "FIELD_CONFLICT", "one side of the price 66500"),
    ({"tp1": 62000, "tp2": 67000, **LIMIT}, "tp1", "FIELD_CONFLICT", "one side of the price 63000"),
    ({"tp1": 67000, "tp2": 66000}, "tp2", "FIELD_CONFLICT", "farther than the one before at 67000"),
    ({"tp1": 66000, "tp2": 66000}, "tp2", "FIELD_CONFLICT", "farther"),
    (SHORT | {"tp1": 61000, "tp2": 62000}, "tp2", "FIELD_CONFLICT", "farther"),
    (SHORT | {"tp1": "100%"}, "tp1", "FIELD_INVALID", "below 100"),
    ({"targets": ["3%", "1%"]}, "targets.2", "FIELD_CONFLICT", "farther"),
    ({"tp1": 66000, "target1": 67000}, "target1", "FIELD_CONFLICT", "one level for target 1"),
    ({"tp": 66000, "take_profit": 67000}, "take_profit", "FIELD_CONFLICT", "one take_profit"),
    # A share under the name of a level: for a level of its own it would be lost.
    ({"tp1": 66000, "tp1_percent": 50}, "tp1_percent", "FIELD_CONFLICT", "send tp1_share"),
    ({"targets": [{"price": 66000, "percent": 50}]}, "targets.1", "FIELD_INVALID", "send share"),
    ({"targets": [{"price": 66000, "amount": 0.5}]}, "targets.1", "FIELD_INVALID", "amount"),
    ({"targets": [{"share": 50}]}, "targets.1", "FIELD_INVALID", "together with the share"),
    ({"tp1": 66000, "tp1_qty_pct": 0.5}, "tp1_qty_pct", "FIELD_INVALID", "could be a ratio"),
    ({"targets": [{"price": 66000, "qtyPct": "1"}]}, "targets.1.qtyPct", "FIELD_INVALID", "could be a ratio"),
    ({"takeProfits": [{"priceDeviation": 2}]}, "takeProfits.1", "FIELD_INVALID", "expected a ratio"),
    ({"takeProfits": [{"price": 66000, "portfolio": 50}]}, "takeProfits.1.portfolio", "FIELD_INVALID", "expected a ratio"),
    ({"targets": [{"level": 2, "price": 66000}]}, "targets.1", "FIELD_INVALID", "price and price"),
    ({"tp1": 66000, "tp2": 67000, "take_profit_volume_ratio": 1}, "take_profit_volume_ratio", "FIELD_CONFLICT", "for each of 2"),
    ({"targets": [{"price": 66000, "percentage": 50}]}, "targets.1", "FIELD_INVALID", "send share"),
    # A level that cannot be read takes the whole entry with it.
    ({"tp1": 66000, "tp2": "soon"}, "tp2", "FIELD_INVALID", "was 'soon'"),
    ({"targets": [66000, "soon"]}, "targets.2", "FIELD_INVALID", "was 'soon'"),
    ({"targets": [66000, "{{plot_1}}"]}, "targets.2", "PLACEHOLDER_NOT_RENDERED", "expected a value"),
    ({"targets": [66000, [67000, 50]]}, "targets.2", "FIELD_INVALID", "was a list"),
    ({"targets": [66000, {"price": 67000, "trailing": 1}]}, "targets.2", "FIELD_INVALID", "trailing"),
    ({"targets": {"first": 66000, "second": 67000}}, "targets", "FIELD_INVALID", "first"),
    ({"targets": "66,000"}, "targets", "FIELD_INVALID", "one or several"),
    (SHORT | {"tp": "64.025,25"}, "tp", "FIELD_INVALID", "one or several"),
    (SHORT | {"tp": "63,5"}, "tp", "FIELD_INVALID", "one or several"),
    ({"tp1": -1}, "tp1", "FIELD_INVALID", "above 0"),
    ({"tp1_amount": 5}, "tp1_amount", "FIELD_INVALID", "not understood"),
    ({"tp1_ratio": 0.5}, "tp1_ratio", "FIELD_INVALID", "not understood"),
    ({"target_size": 2}, "target_size", "FIELD_INVALID", "not understood"),
    ({"tp_pips": 30}, "tp_pips", "FIELD_INVALID", "this is not supported"),
    # A stop that follows at a distance that nobody says.
    ({"trailing_stop": 1.5}, "trailing_stop", "FIELD_INVALID", "trail_percent or trail_amount"),
    ({"trail_offset": 100}, "trail_offset", "FIELD_INVALID", "trail_percent or trail_amount"),
    ({"trailing_stop": True}, "trail_percent", "FIELD_MISSING", "for a trailing stop"),
    ({"activation_price": 66000}, "trail_percent", "FIELD_MISSING", "for a trailing stop"),
    ({"trail_percent": 1, "trail_amount": 100}, "trail_amount", "FIELD_CONFLICT", "one of trail_percent and trail_amount"),
    ({"trail_percent": 100}, "trail_percent", "FIELD_INVALID", "below 100"),
    ({"trail_price": 66000}, "trail_price", "FIELD_INVALID", "this is not supported"),
    ({"trail_points": 5}, "trail_points", "FIELD_INVALID", "this is not supported"),
    ({"callbackRatio": 0.01}, "callbackRatio", "FIELD_INVALID", "this is not supported"),
    ({"stop_loss": {"type": "trailing_stop", "trailPrice": 5}}, "stop_loss", "FIELD_INVALID", "trailPrice"),
    ({"a": {"trail_percent": 5}}, "a.trail_percent", "FIELD_INVALID", "not understood"),
    ({"a": {"callbackRate": 5}}, "a.callbackRate", "FIELD_INVALID", "not understood"),
    ({"a": {"move_sl_to_be": True}}, "a.move_sl_to_be", "FIELD_INVALID", "not understood"),
    # Break-even.
    ({"breakeven": True}, "breakeven", "FIELD_MISSING", "expected targets together with it"),
    ({"tp1": 66000, "break_even_after_tp": 2}, "break_even_after_tp", "FIELD_CONFLICT", "one of 1 targets, was 2"),
    ({"tp1": 66000, "break_even_after_tp": 0.5}, "break_even_after_tp", "FIELD_INVALID", "number of a target"),
    ({"tp1": 66000, "breakeven": 1}, "breakeven", "FIELD_INVALID", "break_even_at"),
    ({"break_even_trigger": 1.5}, "break_even_trigger", "FIELD_INVALID", "break_even_at"),
    ({"breakeven_pips": 5}, "breakeven_pips", "FIELD_INVALID", "not understood"),
    # Orders that contradict themselves.
    ({"order_type": "limit"}, "limit_price", "FIELD_MISSING", "expected a limit price for a limit order, was none"),
    ({"order_type": "stop"}, "stop_price", "FIELD_MISSING", "expected a stop price for a stop order, was none"),
    ({"order_type": "stop_limit", "stop_price": 66000}, "limit_price", "FIELD_MISSING", "expected a limit price"),
    (TRAILS | {"sl_trail_percent": 1}, "trail_percent", "FIELD_MISSING", "for a trailing stop order"),
    ({"targets": "[66000"}, "targets", "FIELD_INVALID", "expected a list of targets"),
    (TRAILS, "trail_percent", "FIELD_MISSING", "for a trailing stop order, was none"),
    (TRAILS | {"trail_percent": 1, "trail_amount": 5}, "trail_amount", "FIELD_CONFLICT", "one of"),
    (TRAILS | {"trail_percent": 1, "limit_price": 5}, "limit_price", "FIELD_CONFLICT", "becomes a market order"),
    (TRAILS | {"trail_percent": 1, "stop_price": 5}, "stop_price", "FIELD_CONFLICT", "stop or stop_limit"),
    (TRAILS | {"trail_percent": 1, "trail_activation": "1%"}, "trail_activation", "FIELD_INVALID", "expected a price"),
    ({"type": "trailing_stop_limit", "trail_percent": 1}, "type", "FIELD_INVALID", "expected market, limit"),
    ({"action": "close", **TRAILS}, "trail_percent", "FIELD_MISSING", "for a trailing stop order"),
    ({"stop_price": 66000}, "stop_price", "FIELD_CONFLICT", "for a stop loss send stop_loss"),
    (LIMIT | {"tif": "gtd"}, "order_expire_time", "FIELD_MISSING", "good-till-date"),
    (LIMIT | {"tif": "gtd", "expire": "2026-11-24T11:59:59Z"}, "expire", "FIELD_INVALID", "expected a time after now"),
    (LIMIT | {"tif": "gtd", "expire": "tomorrow"}, "expire", "FIELD_INVALID", "RFC 3339"),
    (LIMIT | {"tif": "ioc", "order_expire_time": LATER}, "order_expire_time", "FIELD_CONFLICT", "gtd together with it"),
    ({"tif": "gtd", "expire": LATER}, "expire", "FIELD_CONFLICT", "expected a resting order"),
    ({"post_only": True}, "post_only", "FIELD_CONFLICT", "expected order_type limit"),
    ({"post_only": True, "order_type": "stop", "stop_price": 5}, "post_only", "FIELD_CONFLICT", "was 'STOP'"),
    (LIMIT | {"post_only": True, "tif": "ioc"}, "post_only", "FIELD_CONFLICT", "was 'IOC'"),
    ({"action": "long", "reduce_only": True}, "reduce_only", "FIELD_CONFLICT", "expected an action that reduces"),
    (LIMIT | {"tif": "whenever"}, "tif", "FIELD_INVALID", "gtc, ioc, fok, day or gtd"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "field", "reason", "detail"), REFUSED, ids=[f"{number}-{row[1]}" for number, row in enumerate(REFUSED)]
)
def test_what_cannot_be_held_is_refused_by_name(
    body: dict[str, Any] | str, field: str, reason: str, detail: str
) -> None:
    reading = read(body)
    assert [(e.field, e.reason) for e in reading.errors] == [(field, reason)]
    assert detail in reading.detail
    assert "expected" in reading.detail


def test_a_single_target_is_the_first_of_the_list() -> None:
    signal = signal_message(read({"take_profit": {"percent": 3}}), "s")
    assert list(signal.take_profits) == [common_pb2.TakeProfit(level=common_pb2.ProtectiveLevel(percent="3"))]


def test_ladders_of_the_page_about_senders_are_ladders_of_two() -> None:
    page = (ROOT / "docs" / "senders.md").read_text().partition("## Targets")[2]
    bodies = page.partition("```json\n")[2].partition("```")[0].splitlines()
    assert len(bodies) == 5
    for body in bodies:
        signal = signal_message(read(body), "")
        assert [bool(target.share) for target in signal.take_profits][1:] in ([True], [False])
    assert told(read(bodies[0])) == targets("price 66000 60%, percent 5 40%")


@pytest.mark.parametrize("body", [body for body, _ in TABLE if isinstance(body, dict)])
def test_suggested_message_says_the_same_of_what_protects(body: dict[str, Any]) -> None:
    webhook = webhook_pb2.Webhook(
        webhook_id="demo",
        account_id="paper",
        mode=common_pb2.MODE_PAPER,
        entry_expires_after_s=300,
        sell_opens_short=True,
    )
    first = lint_payload(webhook, json.dumps({"action": "buy", "symbol": "BTCUSDT"} | body).encode(), NOW)
    assert not first.errors
    again = lint_payload(webhook, first.suggested_message.encode(), NOW)
    template = again.template
    assert not template.errors, (first.suggested_message, template.errors)
    wanted, found = first.signal, template.signal
    if "sentiment" in body or "action" in body:
        return  # What a strategy sends is of each order.
    for name in ("take_profits", "stop_loss", "trailing_stop", "trailing_activation", "break_even_at"):
        assert getattr(found, name) == getattr(wanted, name), first.suggested_message
    for name in (
        "trail_percent",
        "trail_amount",
        "activation_price",
        "post_only",
        "break_even_after_target",
        "order_type",
    ):
        assert getattr(found, name) == getattr(wanted, name), first.suggested_message


def test_units_of_a_reversal_are_of_the_new_leg() -> None:
    body = {
        "action": "sell", "symbol": "BTCUSDT.P", "contracts": "3", "market_position": "short", "market_position_size": "2",
        "prev_market_position": "long", "prev_market_position_size": "1", "tp1": 62000, "tp1_qty": 1,
    }  # fmt: skip
    assert told(read(body)) == targets("price 62000 50%", previous_quantity="1")


def test_mapping_names_targets_one_by_one_or_as_a_list() -> None:
    named = {"action": "a", "symbol": "s"}
    fields = named | {
        "take_profit_1": "x[0]", "take_profit_1_share": "y[0]", "take_profit_2": "x[1]",
        "break_even_after_target": "be", "trailing_stop_percent": "tr",
    }  # fmt: skip
    body = json.dumps({"a": "buy", "s": "BTCUSDT", "x": [66000, 67000], "y": [30], "be": 1, "tr": 2})
    expected = targets("price 66000 30%, price 67000", break_even_after_target="1", trailing_stop_percent="2")
    mapping = compile_mapping(webhook_pb2.PayloadMapping(fields=fields))
    assert told(read(body, Rules(mapping=mapping))) == expected
    mapping = compile_mapping(webhook_pb2.PayloadMapping(fields=named | {"take_profits": "x[*].p"}))
    body = json.dumps({"a": "buy", "s": "BTCUSDT", "x": [{"p": 66000}, {"p": 67000}]})
    assert told(read(body, Rules(mapping=mapping))) == targets("price 66000, price 67000")
