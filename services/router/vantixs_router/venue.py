"""Venues: one interface, of which the paper venue is the one built."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import sqlalchemy as sa
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.model.decimals import format_decimal, parse_decimal
from vantixs.model.instruments import Instrument
from vantixs.runtime.database import Database

from vantixs_router import store
from vantixs_router.domain.paper import execute_market
from vantixs_router.settings import RouterSettings


@dataclass(frozen=True, slots=True)
class VenueReport:
    """What a venue says of an order: its state there, and the fills so far."""

    venue_order_id: str
    state: "common_pb2.OrderState"
    fills: tuple[order_pb2.Fill, ...]


class Venue(Protocol):
    """Where orders go."""

    async def submit(
        self, order: order_pb2.Order, instrument: Instrument, quote: common_pb2.Quote, decided_on: common_pb2.Quote
    ) -> VenueReport:
        """Places the order, or reports it where its client_order_id was placed before.

        The answer is kept by the venue: asked again after a crash, it gives the same one and places nothing.
        """
        ...

    async def find(self, order: order_pb2.Order) -> VenueReport | None:
        """Reports the order where its client_order_id was placed before, and places nothing."""
        ...


class PaperVenue:
    """Fills market orders at the current quote, with slippage and fee. A client_order_id is filled once, for ever."""

    def __init__(self, database: Database, settings: RouterSettings, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock

    async def submit(
        self, order: order_pb2.Order, instrument: Instrument, quote: common_pb2.Quote, decided_on: common_pb2.Quote
    ) -> VenueReport:
        """Fills it. Where the current quote is gone or old the one risk decided on is used: the order is approved."""
        now = self._clock()
        usable = quote if quote.bid and quote.quote_time.seconds >= decided_on.quote_time.seconds else decided_on
        fill = simulate_fill(order, instrument, usable, self._settings, now)
        content = fill.SerializeToString()

        def place(connection: sa.Connection) -> bytes:
            return store.place_paper_order(connection, order.client_order_id, content, now)

        placed = order_pb2.Fill.FromString(await self._database.write(place))
        return _filled(order, placed)

    async def find(self, order: order_pb2.Order) -> VenueReport | None:
        """The fill that is kept for it."""
        kept = await self._database.read(lambda c: store.read_paper_order(c, order.client_order_id))
        return None if kept is None else _filled(order, order_pb2.Fill.FromString(kept))


def _filled(order: order_pb2.Order, fill: order_pb2.Fill) -> VenueReport:
    return VenueReport(f"paper-{order.client_order_id}", common_pb2.ORDER_STATE_FILLED, (fill,))


def simulate_fill(
    order: order_pb2.Order,
    instrument: Instrument,
    quote: common_pb2.Quote,
    settings: RouterSettings,
    now: datetime,
) -> order_pb2.Fill:
    """The fill a market order gets at the quote."""
    quantity = parse_decimal(order.quantity)
    execution = execute_market(
        buy=order.side == common_pb2.SIDE_BUY,
        quantity=quantity,
        bid=parse_decimal(quote.bid),
        ask=parse_decimal(quote.ask),
        tick=instrument.tick_size,
        slippage_bps=settings.paper_slippage_bps,
        fee_bps=settings.paper_fee_bps,
    )
    fill = order_pb2.Fill(
        execution_id=f"{order.client_order_id}-1",
        order_id=order.order_id,
        side=order.side,
        quantity=format_decimal(quantity),
        price=format_decimal(execution.price),
        fee=format_decimal(execution.fee),
        fee_asset=instrument.quote_asset,
        quote=quote,
    )
    fill.execute_time.FromDatetime(now)
    return fill
