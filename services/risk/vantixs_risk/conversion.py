"""Messages of orders, quotes, fills and positions as values, and back."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.runtime.errors import invalid
from vantixs.runtime.timestamps import set_time

from vantixs_risk.domain.equity import Holding, Mark
from vantixs_risk.domain.evaluation import Decision
from vantixs_risk.domain.exact import ZERO
from vantixs_risk.domain.inputs import OrderRequest, Stop
from vantixs_risk.domain.ledger import Market, Trade
from vantixs_risk.domain.rules import Sizing
from vantixs_risk.fields import (
    ASSET,
    INSTRUMENT,
    amount,
    at_least_zero,
    identity,
    named,
    optional,
    positive,
    show,
    text,
)
from vantixs_risk.rule_conversion import sizing_of
from vantixs_risk.wire import encode_rows

STATES = {
    "ACTIVE": common_pb2.TRADING_STATE_ACTIVE,
    "REDUCING": common_pb2.TRADING_STATE_REDUCING,
    "HALTED": common_pb2.TRADING_STATE_HALTED,
}
_QUANTITY_TYPES = {v: n.removeprefix("QUANTITY_TYPE_") for n, v in common_pb2.QuantityType.items()}
_ORDER_TYPES = {v: n.removeprefix("ORDER_TYPE_") for n, v in common_pb2.OrderType.items()}
_MODES = {v: n.removeprefix("MODE_") for n, v in common_pb2.Mode.items()}
MOST_MARKS = 100
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# What protobuf's Timestamp may be: the years 1 to 9999.
_FIRST_S, _LAST_S = -62_135_596_800, 253_402_300_799


@lru_cache(1024)
def _known_sizing(content: bytes) -> Sizing | None:
    return sizing_of(common_pb2.Sizing.FromString(content), "sizing")


@lru_cache(1024)
def _known_instrument(content: bytes) -> tuple[Market, Decimal, Decimal]:
    """Market, lot and minimum notional. It is cached, as there are few instruments and every order has one."""
    instrument = common_pb2.Instrument.FromString(content)
    minimum = instrument.minimum_notional
    least = at_least_zero("instrument.minimum_notional", minimum) if minimum else ZERO
    return market_of(instrument), positive("instrument.lot_size", instrument.lot_size), least


def market_of(instrument: common_pb2.Instrument) -> Market:
    """The market of an instrument, checked against its name."""
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
    """The order of a request.

    Raises:
        ServiceError: INVALID_ARGUMENT.
    """
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
        replaces=identity("order.replaces_order_id", order.replaces_order_id) if order.replaces_order_id else "",
    )


def _leg_of(order: order_pb2.Order) -> str:
    """The name of a leg. A leg is an exit with a quantity, which its bracket gives."""
    leg = named("order.leg", order_pb2.BracketLeg, "BRACKET_LEG_", order.leg)
    if order.effect != order_pb2.ORDER_EFFECT_EXIT:
        raise invalid("order.effect", f"expected EXIT for a leg, was {order.effect}", "FIELD_CONFLICT")
    positive("order.quantity", order.quantity)
    return leg


def mark_of(quote: common_pb2.Quote, field: str) -> Mark:
    """A quote as a mark. The checks decide whether it is valid and fresh."""
    time = instant(quote.quote_time, f"{field}.quote_time")
    return Mark(amount(f"{field}.bid", quote.bid), amount(f"{field}.ask", quote.ask), time)


def instant(timestamp: Timestamp, field: str) -> datetime:
    """A moment, to the microsecond, rounded down."""
    seconds, nanos = timestamp.seconds, timestamp.nanos
    # This does what Timestamp.ToDatetime does, in two thirds of the time.
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
    """A position with its average price, profit and mark."""
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
        set_time(message.mark_time, holding.mark.time)
    return message


def encode_decision(
    request: risk_pb2.EvaluateOrderRequest,
    decision: Decision,
    position: Decimal,
    revision: int,
    now: datetime,
    inputs: bytes = b"",
) -> bytes:
    """A RiskDecision with everything it was decided on, serialised. The same bytes are stored and answered.

    `inputs` are what it can be decided again from, serialised; empty where that is not recorded.
    """
    message = order_pb2.RiskDecision(
        order_id=request.order.order_id,
        verdict=order_pb2.RISK_VERDICT_APPROVED if decision.approved else order_pb2.RISK_VERDICT_DENIED,
        quantity=show(decision.quantity),
        quote=request.quote,
        position_quantity=show(position),
        account_revision=revision,
        reduce_only=request.order.effect == order_pb2.ORDER_EFFECT_EXIT,
        inputs=inputs,
    )
    set_time(message.decide_time, now)
    return message.SerializeToString() + encode_rows(decision.checks, decision.steps)


def state_message(row: Any) -> risk_pb2.ScopeState:
    """A trading state."""
    message = risk_pb2.ScopeState(scope=row.scope, state=STATES[row.state], comment=row.comment, actor=row.actor)
    set_time(message.update_time, row.update_time)
    return message
