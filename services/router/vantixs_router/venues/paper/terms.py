"""Orders and quotes of the contracts as values of the matching engine, and what it says as fills."""

from datetime import UTC, datetime
from decimal import Decimal

from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.model.decimals import format_decimal, parse_decimal
from vantixs.runtime.timestamps import set_time

from vantixs_router.domain.matching.events import Filled
from vantixs_router.domain.matching.market import Quote
from vantixs_router.domain.matching.orders import OrderTerms, OrderType, TimeInForce

TYPES = {
    common_pb2.ORDER_TYPE_MARKET: OrderType.MARKET,
    common_pb2.ORDER_TYPE_LIMIT: OrderType.LIMIT,
    common_pb2.ORDER_TYPE_STOP: OrderType.STOP,
    common_pb2.ORDER_TYPE_STOP_LIMIT: OrderType.STOP_LIMIT,
    common_pb2.ORDER_TYPE_TRAILING_STOP: OrderType.TRAILING_STOP,
}
TIMES = {
    common_pb2.TIME_IN_FORCE_GTC: TimeInForce.GTC,
    common_pb2.TIME_IN_FORCE_IOC: TimeInForce.IOC,
    common_pb2.TIME_IN_FORCE_FOK: TimeInForce.FOK,
    common_pb2.TIME_IN_FORCE_GTD: TimeInForce.GTD,
}
_BPS_PER_PERCENT = Decimal(100)


def terms_of(order: order_pb2.Order, now: datetime) -> OrderTerms:
    """What the matching engine is asked for. Its ids are the client's.

    Raises:
        KeyError: a type or time in force that the paper venue does not take.
    """
    return OrderTerms(
        order_id=order.client_order_id,
        buy=order.side == common_pb2.SIDE_BUY,
        type=TYPES[order.order_type],
        quantity=parse_decimal(order.quantity),
        placed_time=now,
        limit_price=_optional(order.limit_price),
        stop_price=_optional(order.stop_price),
        trail_amount=_optional(order.trail_amount),
        trail_bps=parse_decimal(order.trail_percent) * _BPS_PER_PERCENT if order.trail_percent else None,
        activation_price=_optional(order.activation_price),
        time_in_force=TIMES[order.time_in_force],
        expire_time=order.expire_time.ToDatetime(UTC) if order.HasField("expire_time") else None,
        post_only=order.post_only,
        triggered_timeout_s=order.triggered_timeout_s or None,
    )


def quote_of(quote: common_pb2.Quote, now: datetime) -> Quote:
    """The quote as it is seen now."""
    return Quote(
        source=quote.source,
        time=now,
        bid=parse_decimal(quote.bid),
        ask=parse_decimal(quote.ask),
        bid_size=_optional(quote.bid_size),
        ask_size=_optional(quote.ask_size),
    )


def fill_of(filled: Filled, quote: common_pb2.Quote, assumed: tuple[str, ...] = ()) -> order_pb2.Fill:
    """An execution as a fill; its order is named by who knows it."""
    fill = order_pb2.Fill(
        execution_id=filled.execution_id,
        side=common_pb2.SIDE_BUY if filled.buy else common_pb2.SIDE_SELL,
        quantity=format_decimal(filled.quantity),
        price=format_decimal(filled.price),
        fee=format_decimal(filled.fee),
        fee_asset=filled.fee_asset,
        quote=quote,
        liquidity=filled.kind.value.lower(),
        assumptions=(*filled.assumptions, *assumed),
    )
    set_time(fill.execute_time, filled.time)
    return fill


def _optional(text: str) -> Decimal | None:
    return parse_decimal(text) if text else None
