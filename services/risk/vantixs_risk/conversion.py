"""Messages to values and back."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.runtime.errors import invalid

from vantixs_risk.domain.equity import Holding, Mark
from vantixs_risk.domain.evaluation import Decision
from vantixs_risk.domain.exact import ZERO
from vantixs_risk.domain.inputs import OrderRequest, Stop
from vantixs_risk.domain.ledger import Market, Trade
from vantixs_risk.domain.rules import Breakers, Limits, Rules, Sizing
from vantixs_risk.domain.windows import TradingWindow
from vantixs_risk.fields import (
    ASSET,
    INSTRUMENT,
    amount,
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
from vantixs_risk.wire import encode_rows

STATES = {
    "ACTIVE": common_pb2.TRADING_STATE_ACTIVE,
    "REDUCING": common_pb2.TRADING_STATE_REDUCING,
    "HALTED": common_pb2.TRADING_STATE_HALTED,
}
_METHODS = {v: n.removeprefix("SIZING_METHOD_") for n, v in common_pb2.SizingMethod.items()}
_QUANTITY_TYPES = {v: n.removeprefix("QUANTITY_TYPE_") for n, v in common_pb2.QuantityType.items()}
_ORDER_TYPES = {v: n.removeprefix("ORDER_TYPE_") for n, v in common_pb2.OrderType.items()}
_MODES = {v: n.removeprefix("MODE_") for n, v in common_pb2.Mode.items()}
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
MOST_MARKS = 100
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# What protobuf's Timestamp may be: the years 1 to 9999.
_FIRST_S, _LAST_S = -62_135_596_800, 253_402_300_799


@lru_cache(1024)
def _known_sizing(content: bytes) -> Sizing | None:
    return sizing_of(common_pb2.Sizing.FromString(content), "sizing")


@lru_cache(1024)
def _known_instrument(content: bytes) -> tuple[Market, Decimal, Decimal]:
    """Market, lot and least notional; there are few instruments, and each comes with every order."""
    instrument = common_pb2.Instrument.FromString(content)
    minimum = instrument.minimum_notional
    least = at_least_zero("instrument.minimum_notional", minimum) if minimum else ZERO
    return market_of(instrument), positive("instrument.lot_size", instrument.lot_size), least


def sizing_of(sizing: common_pb2.Sizing, field: str) -> Sizing | None:
    """The sizing, or None where it names no method. What a method lacks is told when it is used."""
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
    """An account's rules; INVALID_ARGUMENT where a field does not fit."""
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


def market_of(instrument: common_pb2.Instrument) -> Market:
    """What is traded."""
    perpetual = instrument.kind == common_pb2.INSTRUMENT_KIND_LINEAR_PERPETUAL
    if not perpetual and instrument.kind != common_pb2.INSTRUMENT_KIND_SPOT:
        raise invalid("instrument.kind", f"expected SPOT or LINEAR_PERPETUAL, was {instrument.kind}")
    name = text("instrument.instrument", instrument.instrument, INSTRUMENT, "a name like BTC/USDT")
    market, given = Market.of(name), Market(name, instrument.base_asset, instrument.quote_asset, perpetual)
    if given != market:
        kind = "LINEAR_PERPETUAL" if market.perpetual else "SPOT"
        expected = f"expected {kind} of {market.base} in {market.quote} by its name {name}"
        raise invalid("instrument", f"{expected}, was {_kind_name(instrument)}", "FIELD_CONFLICT")
    return market


def _kind_name(instrument: common_pb2.Instrument) -> str:
    kind = "LINEAR_PERPETUAL" if instrument.kind == common_pb2.INSTRUMENT_KIND_LINEAR_PERPETUAL else "SPOT"
    return f"{kind} of {instrument.base_asset[:20]} in {instrument.quote_asset[:20]}"


def order_request_of(request: risk_pb2.EvaluateOrderRequest) -> OrderRequest:
    """The order that is asked for."""
    order, instrument = request.order, request.instrument
    if order.instrument != instrument.instrument:
        raise invalid(
            "instrument.instrument", f"expected {order.instrument[:40]!r}, was {instrument.instrument[:40]!r}"
        )
    if order.side not in (common_pb2.SIDE_BUY, common_pb2.SIDE_SELL):
        raise invalid("order.side", f"expected BUY or SELL, was {order.side}")
    if order.effect not in (order_pb2.ORDER_EFFECT_ENTRY, order_pb2.ORDER_EFFECT_EXIT):
        raise invalid("order.effect", f"expected ENTRY or EXIT, was {order.effect}")
    if request.HasField("quote") and request.quote.instrument != order.instrument:
        was = request.quote.instrument[:40]
        raise invalid("quote.instrument", f"expected {order.instrument[:40]!r}, was {was!r}", "FIELD_CONFLICT")
    kind = request.stop_loss.WhichOneof("level")
    market, lot_size, minimum_notional = _known_instrument(instrument.SerializeToString())
    return OrderRequest(
        market=market,
        lot_size=lot_size,
        buy=order.side == common_pb2.SIDE_BUY,
        entry=order.effect == order_pb2.ORDER_EFFECT_ENTRY,
        mode=_MODES.get(order.mode, "UNSPECIFIED"),
        order_type=_ORDER_TYPES.get(order.order_type, "UNSPECIFIED"),
        minimum_notional=minimum_notional,
        order_quantity=optional("order.quantity", order.quantity),
        sizing=_known_sizing(request.sizing.SerializeToString()),
        signal_quantity=optional("signal_quantity", request.signal_quantity),
        signal_previous_quantity=optional("signal_previous_quantity", request.signal_previous_quantity),
        signal_quantity_type=_QUANTITY_TYPES.get(request.signal_quantity_type, str(request.signal_quantity_type)),
        signal_price=optional("signal_price", request.signal_price),
        stop=Stop(kind.upper(), amount(f"stop_loss.{kind}", getattr(request.stop_loss, kind))) if kind else None,
        quote=mark_of(request.quote, "quote") if request.quote.bid or request.quote.ask else None,
        fee_bps=at_least_zero("fee_bps", request.fee_bps) if request.fee_bps else ZERO,
        strategy_id=request.strategy_id,
        limit_price=optional("order.limit_price", order.limit_price),
        stop_price=optional("order.stop_price", order.stop_price),
        trail_percent=optional("order.trail_percent", order.trail_percent),
        trail_amount=optional("order.trail_amount", order.trail_amount),
        activation_price=optional("order.activation_price", order.activation_price),
        leg=_leg_of(order) if order.leg else "",
    )


def _leg_of(order: order_pb2.Order) -> str:
    """The name of a leg, which closes a quantity that its bracket says."""
    leg = named("order.leg", order_pb2.BracketLeg, "BRACKET_LEG_", order.leg)
    if order.effect != order_pb2.ORDER_EFFECT_EXIT:
        raise invalid("order.effect", f"expected EXIT for a leg, was {order.effect}", "FIELD_CONFLICT")
    positive("order.quantity", order.quantity)
    return leg


def mark_of(quote: common_pb2.Quote, field: str) -> Mark:
    """A quote as a mark; whether it is sane and young is for the checks."""
    time = instant(quote.quote_time, f"{field}.quote_time")
    return Mark(amount(f"{field}.bid", quote.bid), amount(f"{field}.ask", quote.ask), time)


def instant(timestamp: Timestamp, field: str) -> datetime:
    """A moment, to the microsecond, rounded down."""
    seconds, nanos = timestamp.seconds, timestamp.nanos
    # As Timestamp.ToDatetime, which takes half as long again.
    if not (0 <= nanos < 1_000_000_000 and _FIRST_S <= seconds <= _LAST_S):
        raise invalid(field, f"expected a time, was {seconds} s")
    return _EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000)


def trade_of(fill: order_pb2.Fill) -> Trade:
    """A fill as a trade."""
    identity("fill.execution_id", fill.execution_id)
    if fill.side not in (common_pb2.SIDE_BUY, common_pb2.SIDE_SELL):
        raise invalid("fill.side", f"expected BUY or SELL, was {fill.side}")
    if fill.fee_asset:
        text("fill.fee_asset", fill.fee_asset, ASSET, "1 to 20 of A-Z and 0-9")
    return Trade(
        fill.side == common_pb2.SIDE_BUY,
        positive("fill.quantity", fill.quantity),
        positive("fill.price", fill.price),
        amount("fill.fee", fill.fee) if fill.fee else ZERO,
        fill.fee_asset,
    )


def position_message(account_id: str, holding: Holding) -> order_pb2.Position:
    """A position with what it is worth."""
    position = holding.position
    message = order_pb2.Position(
        account_id=account_id,
        instrument=holding.market.instrument,
        quantity=show(position.quantity),
        average_price=show(position.average_price),
        realized_profit=show(position.realized_profit),
        fees=show(position.fees),
        unrealized_profit=show(holding.unrealized_profit),
        cost=show(position.cost),
    )
    if holding.mark and position.quantity:
        message.mark_price = show(holding.price)
        message.mark_time.FromDatetime(holding.mark.time)
    return message


def encode_decision(
    request: risk_pb2.EvaluateOrderRequest, decision: Decision, position: Decimal, revision: int, now: datetime
) -> bytes:
    """A RiskDecision with all that went in, serialised: as it is stored, it is answered."""
    message = order_pb2.RiskDecision(
        order_id=request.order.order_id,
        verdict=order_pb2.RISK_VERDICT_APPROVED if decision.approved else order_pb2.RISK_VERDICT_DENIED,
        quantity=show(decision.quantity),
        quote=request.quote,
        position_quantity=show(position),
        account_revision=revision,
        reduce_only=request.order.effect == order_pb2.ORDER_EFFECT_EXIT,
    )
    message.decide_time.FromDatetime(now)
    return message.SerializeToString() + encode_rows(decision.checks, decision.steps)


def state_message(row: Any) -> risk_pb2.ScopeState:
    """A trading state."""
    message = risk_pb2.ScopeState(scope=row.scope, state=STATES[row.state], comment=row.comment, actor=row.actor)
    message.update_time.FromDatetime(row.update_time)
    return message
