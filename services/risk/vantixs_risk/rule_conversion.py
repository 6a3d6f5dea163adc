"""Account messages as rules: what an account may do, its limits, its breakers, its trading windows."""

from decimal import Decimal
from typing import Any

from vantixs.api.common.v1 import common_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.runtime.errors import invalid

from vantixs_risk.domain.exact import ZERO
from vantixs_risk.domain.rules import Breakers, Limits, Rules, Sizing
from vantixs_risk.domain.windows import TradingWindow
from vantixs_risk.fields import (
    ASSET,
    INSTRUMENT,
    at_least_zero,
    between,
    identity,
    named,
    optional,
    positive,
    show,
    text,
    time_of_day,
    zone,
)

_METHODS = {v: n.removeprefix("SIZING_METHOD_") for n, v in common_pb2.SizingMethod.items()}
# Limits that are decimals above 0, and whole numbers with the most they may be.
_AMOUNTS = (
    "max_order_notional",
    "max_position_notional",
    "max_gross_exposure",
    "max_leverage",
    "max_daily_loss",
    "max_drawdown_percent",
    "max_order_quantity",
)
_MINIMA = ("min_order_notional", "min_order_quantity")
_COUNTS = {
    "max_open_positions": 10_000,
    "loss_cooldown_s": 31 * 86_400,
    "max_orders_per_minute": 1_000_000,
    "max_price_deviation_bps": 10_000,
    "max_price_age_ms": 86_400_000,
    "duplicate_order_window_s": 86_400,
    "max_mark_age_s": 31 * 86_400,
}


def sizing_of(sizing: common_pb2.Sizing, field: str) -> Sizing | None:
    """The sizing, or None where it names no method. Sizing reports what a method lacks when it is used."""
    if sizing.method == common_pb2.SIZING_METHOD_UNSPECIFIED:
        return None
    return Sizing(
        _METHODS.get(sizing.method, str(sizing.method)),
        optional(f"{field}.value", sizing.value),
        optional(f"{field}.win_rate_ratio", sizing.win_rate_ratio),
        optional(f"{field}.payoff_ratio", sizing.payoff_ratio),
        optional(f"{field}.maximum_equity_percent", sizing.maximum_equity_percent),
    )


def checked_sizing(sizing: common_pb2.Sizing) -> Sizing | None:
    """The sizing of an account, which has to be complete."""
    found = sizing_of(sizing, "sizing")
    if found is None:
        return None
    if found.value is None and found.method != "SIGNAL_QUANTITY":
        raise invalid("sizing.value", f"expected a value for {found.method}, was empty", "FIELD_MISSING")
    value = found.value or ZERO
    if found.method in ("EQUITY_PERCENT", "RISK_PERCENT") and value > 100:
        raise invalid("sizing.value", f"expected at most 100 percent, was {sizing.value}")
    if found.method == "KELLY":
        if value > 1:
            raise invalid("sizing.value", f"expected a fraction of at most 1, was {sizing.value}")
        if not positive("sizing.win_rate_ratio", sizing.win_rate_ratio) < 1:
            raise invalid("sizing.win_rate_ratio", f"expected below 1, was {sizing.win_rate_ratio}")
        positive("sizing.payoff_ratio", sizing.payoff_ratio)
        if positive("sizing.maximum_equity_percent", sizing.maximum_equity_percent) > 100:
            shown = sizing.maximum_equity_percent
            raise invalid("sizing.maximum_equity_percent", f"expected at most 100, was {shown}")
    return found


def limits_of(limits: risk_pb2.Limits) -> Limits:
    """The limits that are set."""
    values: dict[str, Any] = {n: optional(f"limits.{n}", getattr(limits, n)) for n in _AMOUNTS}
    for name in _MINIMA:
        given = getattr(limits, name)
        values[name] = at_least_zero(f"limits.{name}", given) if given else None
    for name, most in _COUNTS.items():
        values[name] = between(f"limits.{name}", getattr(limits, name), 0, most) or None
    if (percent := values["max_drawdown_percent"]) is not None and percent > 100:
        raise invalid("limits.max_drawdown_percent", f"expected at most 100, was {limits.max_drawdown_percent}")
    for kind in ("notional", "quantity"):
        least, highest = values[f"min_order_{kind}"], values[f"max_order_{kind}"]
        if least is not None and highest is not None and least > highest:
            expected = f"expected at most max_order_{kind} ({show(highest)}), was {show(least)}"
            raise invalid(f"limits.min_order_{kind}", expected)
    return Limits(**values)


def rules_of(account: risk_pb2.Account) -> Rules:
    """An account's rules.

    Raises:
        ServiceError: INVALID_ARGUMENT.
    """
    mode = named("mode", common_pb2.Mode, "MODE_", account.mode)
    for instrument in account.instruments:
        text("instruments", instrument, INSTRUMENT, "names like BTC/USDT")
    for strategy in account.strategies:
        identity("strategies", strategy)
    return Rules(
        account_id=account.account_id,
        mode=mode,
        currency=text("currency", account.currency, ASSET, "1 to 20 of A-Z and 0-9"),
        enabled=account.enabled,
        live_enabled=account.live_enabled,
        credential_id=account.credential_id,
        may_short=account.may_short,
        instruments=frozenset(account.instruments),
        strategies=frozenset(account.strategies),
        sizing=checked_sizing(account.sizing),
        limits=limits_of(account.limits),
        breakers=_breakers_of(account.breakers),
        windows=tuple(_window_of(w, f"trading_windows[{n}]") for n, w in enumerate(account.trading_windows)),
        day_start_s=time_of_day("day_start", account.day_start or "00:00") % 86_400,
        day_zone=zone("day_time_zone", account.day_time_zone or "UTC"),
        margin_leverage=_leverage_of(account.leverage),
    )


def _leverage_of(given: str) -> Decimal | None:
    leverage = optional("leverage", given)
    if leverage is not None and leverage < 1:
        raise invalid("leverage", f"expected at least 1, was {given}")
    return leverage


def _breakers_of(breakers: risk_pb2.Breakers) -> Breakers:
    repeated = between("breakers.max_repeated_orders", breakers.max_repeated_orders, 0, 100)
    window = between("breakers.repeated_orders_window_s", breakers.repeated_orders_window_s, 0, 86_400)
    if (repeated > 0) != (window > 0) or repeated == 1:
        expected = "expected max_repeated_orders of 2 to 100 and repeated_orders_window_s together, or neither"
        raise invalid("breakers.max_repeated_orders", f"{expected}, was {repeated} and {window}")
    return Breakers(
        _breaker_state("daily_loss_state", breakers.daily_loss_state),
        _breaker_state("drawdown_state", breakers.drawdown_state),
        between("breakers.max_failures_in_a_row", breakers.max_failures_in_a_row, 0, 1000) or None,
        _breaker_state("failures_state", breakers.failures_state),
        repeated or None,
        window or None,
        _breaker_state("repeated_orders_state", breakers.repeated_orders_state),
    )


def _breaker_state(field: str, number: int) -> str:
    return named(f"breakers.{field}", common_pb2.TradingState, "TRADING_STATE_", number) if number else "REDUCING"


def _window_of(window: risk_pb2.TradingWindow, field: str) -> TradingWindow:
    days = [int(day) for day in window.days] or list(range(1, 8))
    for day in days:
        named(f"{field}.days", risk_pb2.Weekday, "WEEKDAY_", day)
    start, end = time_of_day(f"{field}.start", window.start), time_of_day(f"{field}.end", window.end)
    if start == 86_400 or end == 0:
        raise invalid(field, f"expected a start to 23:59 and an end from 00:01, was {window.start} to {window.end}")
    zone_name = zone(f"{field}.time_zone", window.time_zone)
    return TradingWindow(frozenset(day - 1 for day in days), start, end, zone_name)
