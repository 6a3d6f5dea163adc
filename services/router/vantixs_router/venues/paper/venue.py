"""The paper venue: market orders filled at the current quote, with slippage and fee, once a client_order_id and for ever."""

import asyncio
from collections.abc import Callable
from datetime import datetime

import sqlalchemy as sa
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.model.decimals import format_decimal, parse_decimal
from vantixs.runtime.database import Database
from vantixs.runtime.logs import log

from vantixs_router import store
from vantixs_router.domain.paper import execute_market
from vantixs_router.fence import Fence, write_fenced
from vantixs_router.quotes import Quotes
from vantixs_router.settings import RouterSettings
from vantixs_router.venues.port import Answer, Capabilities, Executed, NotFound, Submission


class PaperVenue:
    """Keeps its book in the router's database, and that the lane's fence holds in the transaction that fills an order."""

    def __init__(
        self, database: Database, quotes: Quotes, settings: RouterSettings, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._quotes = quotes
        self._settings = settings
        self._clock = clock
        self._capabilities = Capabilities(
            time_in_force={common_pb2.ORDER_TYPE_MARKET: common_pb2.TIME_IN_FORCE_IOC},
            fee_bps=settings.paper_fee_bps,
            idempotent_submits=True,
        )
        if slow := settings.paper_fault_instrument:
            log.warning("paper.made_slow", instrument=slow, delay_s=settings.paper_fault_delay_s)

    @property
    def capabilities(self) -> Capabilities:
        """Market orders, immediate or cancel; no order rests, so none protects a position."""
        return self._capabilities

    async def submit(self, submission: Submission, fence: Fence) -> Answer:
        """Fills it. Where the current quote is gone or old the one risk decided on is used: the order is approved."""
        order, decided_on = submission.order, submission.decided_on
        quote, now = self._quotes.current(submission.instrument), self._clock()
        usable = quote if quote.bid and quote.quote_time.seconds >= decided_on.quote_time.seconds else decided_on
        content = self.simulate(submission, usable, now).SerializeToString()

        def place(connection: sa.Connection) -> bytes:
            return store.place_paper_order(connection, order.client_order_id, content, now)()

        placed = await write_fenced(self._database, fence, place)
        if order.instrument == self._settings.paper_fault_instrument and placed == content:
            # As of a venue that is slow: the order is there, whether or not somebody still waits for the answer.
            await asyncio.sleep(self._settings.paper_fault_delay_s)
        return _filled(order, placed)

    async def query(self, order: order_pb2.Order) -> Answer:
        """The fill, where the order was placed."""
        fill = await self._database.read(lambda c: store.read_paper_order(c, order.client_order_id))
        return _filled(order, fill) if fill is not None else NotFound()

    async def cancel(self, order: order_pb2.Order) -> Answer:
        """What became of it: nothing works here, so there is nothing to cancel."""
        return await self.query(order)

    async def open_orders(self, account_id: str, instrument: str) -> list[str]:
        """None: an order is filled at once."""
        return []

    def simulate(self, submission: Submission, quote: common_pb2.Quote, now: datetime) -> order_pb2.Fill:
        """The fill that the order would get at the quote; nothing is placed."""
        order, instrument, quantity = submission.order, submission.instrument, parse_decimal(submission.order.quantity)
        execution = execute_market(
            buy=order.side == common_pb2.SIDE_BUY,
            quantity=quantity,
            bid=parse_decimal(quote.bid),
            ask=parse_decimal(quote.ask),
            tick=instrument.tick_size,
            slippage_bps=self._settings.paper_slippage_bps,
            fee_bps=self._settings.paper_fee_bps,
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


def _filled(order: order_pb2.Order, fill: bytes) -> Executed:
    return Executed(f"paper-{order.client_order_id}", (order_pb2.Fill.FromString(fill),), common_pb2.ORDER_STATE_FILLED)
