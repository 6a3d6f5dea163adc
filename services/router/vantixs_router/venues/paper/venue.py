"""The paper venue: a market simulated on quotes. It keeps the open orders of the owned lanes in memory."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import cast

import sqlalchemy as sa
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.model.instruments import INSTRUMENTS, Instrument
from vantixs.runtime.database import Database
from vantixs.runtime.logs import log

from vantixs_router.domain.matching.fees import Fees
from vantixs_router.domain.matching.taking import Assumptions
from vantixs_router.fence import Fence, LeaseLost, write_fenced
from vantixs_router.quotes import Quotes
from vantixs_router.settings import RouterSettings
from vantixs_router.venues.paper import book_store
from vantixs_router.venues.paper.book import PaperBook, let_in, new_order
from vantixs_router.venues.paper.book_store import PaperOrder, key_of
from vantixs_router.venues.paper.terms import terms_of
from vantixs_router.venues.port import Accepted, Answer, Capabilities, Executed, NotFound, Rejected, Submission, Unknown

_AT_ONCE = (common_pb2.TIME_IN_FORCE_IOC, common_pb2.TIME_IN_FORCE_FOK)
_RESTING = (common_pb2.TIME_IN_FORCE_GTC, common_pb2.TIME_IN_FORCE_GTD)
ORDER_TYPES = {
    common_pb2.ORDER_TYPE_MARKET: _AT_ONCE,
    common_pb2.ORDER_TYPE_LIMIT: (*_RESTING, *_AT_ONCE),
    common_pb2.ORDER_TYPE_STOP: _RESTING,
    common_pb2.ORDER_TYPE_STOP_LIMIT: _RESTING,
    common_pb2.ORDER_TYPE_TRAILING_STOP: _RESTING,
}


class PaperVenue:
    """Stores its orders in the router's database. Every transaction that changes one checks the lane's fence."""

    def __init__(
        self, database: Database, quotes: Quotes, settings: RouterSettings, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._quotes = quotes
        self._settings = settings
        self._clock = clock
        self._books: dict[str, PaperBook] = {}
        self._capabilities = Capabilities(
            order_types=ORDER_TYPES,
            fee_bps=max(settings.paper_fee_bps, settings.paper_maker_fee_bps),
            brackets=True,
            post_only=True,
            reduce_only=True,
            idempotent_submits=True,
        )
        base = settings.paper_buy_fee_asset == "base"
        fees = Fees(settings.paper_maker_fee_bps, settings.paper_fee_bps, buy_fee_in_base=base)
        self._assumptions = Assumptions(
            participation_ratio=settings.paper_participation_ratio, slippage_bps=settings.paper_slippage_bps, fees=fees
        )
        latency = settings.paper_latency_ms
        self._assumed = (f"latency {latency} ms",) if latency else ()
        if slow := settings.paper_fault_instrument:
            kind, delay_s = settings.paper_fault_kind, settings.paper_fault_delay_s
            log.warning("paper.made_faulty", instrument=slow, kind=kind, delay_s=delay_s)

    @property
    def capabilities(self) -> Capabilities:
        """Every type of order, and brackets."""
        return self._capabilities

    async def submit(self, submission: Submission, fence: Fence) -> Answer:
        """Accepts the order. If the current quote is missing or too old, the quote of risk's decision is used."""
        order, decided_on = submission.order, submission.decided_on
        if self._settings.paper_latency_ms:
            await asyncio.sleep(self._settings.paper_latency_ms / 1000)
        quote, now = self._quotes.current(submission.instrument), self._clock()
        usable = quote if quote.bid and quote.quote_time.seconds >= decided_on.quote_time.seconds else decided_on
        faulty = self._settings.paper_fault_kind if order.instrument == self._settings.paper_fault_instrument else ""
        if faulty == "rejected":
            return Rejected("VENUE_REJECTED", "paper_fault_kind is `rejected`")
        made = self._let_in(submission, usable, now)
        # The book is read before the order is in it, and gives the order its place, which is stored with the order.
        book = await self._book(made.key, submission.instrument) if made.open else None
        if book and made.open:
            made.open.sequence = book.next_sequence

        def place(connection: sa.Connection) -> PaperOrder:
            return book_store.place(connection, made, now)()

        placed = await write_fenced(self._database, fence, place)
        self._take_in(placed)
        if faulty == "lost" and placed is made:
            return Unknown("paper_fault_kind is `lost`: the answer did not come")
        if faulty == "late" and placed is made:
            # Like a slow venue: the order is placed, whether or not the caller still waits for the answer.
            await asyncio.sleep(self._settings.paper_fault_delay_s)
        return _answer(order, placed)

    async def query(self, order: order_pb2.Order, fence: Fence) -> Answer:
        """The state of the order, once that is written."""
        key = key_of(order.account_id, order.instrument)
        await self._write(key, fence)
        book = self._books.get(key)
        placed = book.orders.get(order.client_order_id) if book else None
        if placed is None:
            placed = await self._database.read(lambda c: book_store.read(c, order.client_order_id))
            if placed:
                self._take_in(placed)
        return _answer(order, placed) if placed else NotFound()

    async def cancel(self, order: order_pb2.Order, fence: Fence) -> Answer:
        """Cancels the open part of the order."""
        book = await self._book(key_of(order.account_id, order.instrument), INSTRUMENTS.current[order.instrument])
        book.cancel(order.client_order_id, self._clock())
        return await self.query(order, fence)

    async def open_orders(self, account_id: str, instrument: str) -> list[str]:
        """The open orders."""
        book = await self._book(key_of(account_id, instrument), INSTRUMENTS.current[instrument])
        return [client_order_id for client_order_id, order in book.orders.items() if not order.ended]

    async def follow(self, account_id: str, instrument: str) -> None:
        """Reads the open orders into memory, so that quotes can fill them."""
        await self._book(key_of(account_id, instrument), INSTRUMENTS.current[instrument])

    def leave(self, account_id: str, instrument: str) -> None:
        """Drops the open orders from memory. Changes that were not written have not happened."""
        self._books.pop(key_of(account_id, instrument), None)

    def see(self, account_id: str, instrument: str, quote: common_pb2.Quote, position: Decimal | None) -> bool:
        """Matches the open orders with a quote, or (with an unset quote) lets time pass.

        Returns whether anything has to be written.

        Exits are filled for no more than the position, if it is known. No other work on the key may be in progress.
        """
        book = self._books.get(key_of(account_id, instrument))
        if book is None:
            return False
        now = self._clock()
        expired = book.pass_time(now)
        return (book.see(quote, now, position) if quote.bid else False) or expired

    def simulate(self, submission: Submission, quote: common_pb2.Quote, now: datetime) -> Answer:
        """What would become of the order at the quote; nothing is placed."""
        return _answer(submission.order, self._let_in(submission, quote, now))

    def _let_in(self, submission: Submission, quote: common_pb2.Quote, now: datetime) -> PaperOrder:
        order, assumptions = submission.order, self._assumptions
        made = new_order(order, terms_of(order, now))
        return let_in(made, submission.instrument, assumptions, quote, self._assumed, submission.exitable)

    async def _book(self, key: str, instrument: Instrument) -> PaperBook:
        book = self._books.get(key)
        if book is None:
            orders = await self._database.read(lambda c: book_store.read_open(c, key))
            book = self._books.setdefault(key, PaperBook(instrument, self._assumptions, orders))
        return book

    def _take_in(self, placed: PaperOrder) -> None:
        """Adds an open order to the book, if the book lacks it: it is new, or the answer to the commit of it was lost."""
        book = self._books.get(placed.key)
        if book and placed.open and placed.client_order_id not in book.orders:
            book.take_in(placed)

    async def _write(self, key: str, fence: Fence) -> None:
        """Writes the changes.

        Raises:
            LeaseLost: another replica owns the lane; changes that were not written are dropped.
        """
        book = self._books.get(key)
        if book is None or not book.changed:
            return
        orders = book.to_write()
        try:
            await write_fenced(self._database, fence, lambda c: book_store.save(c, orders))
        except LeaseLost:
            self._books.pop(key, None)
            raise
        book.written(orders)


def _answer(order: order_pb2.Order, placed: PaperOrder) -> Answer:
    venue_order_id = f"paper-{order.client_order_id}"
    if placed.ended == common_pb2.OrderState.Name(common_pb2.ORDER_STATE_REJECTED):
        reason, _, detail = placed.reason.partition(": ")
        return Rejected(reason, detail)
    fills = []
    for stored in placed.fills:
        fill = order_pb2.Fill()
        fill.CopyFrom(stored)
        fill.order_id = order.order_id
        fills.append(fill)
    ended = cast("common_pb2.OrderState", common_pb2.OrderState.Value(placed.ended)) if placed.ended else None
    if ended is None and not fills:
        return Accepted(venue_order_id)
    return Executed(venue_order_id, tuple(fills), ended, placed.reason)
