"""Builds closed bars of every source's quotes, at the one replica that owns lane 0, and publishes them.

Pushed quotes and those of the file are told; simulated ones, which change ten times a second and are told to nobody, are
looked at once a second.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from vantixs.api.common.v1 import common_pb2
from vantixs.model.instruments import INSTRUMENTS
from vantixs.runtime.journal import Journal
from vantixs.runtime.logs import log

from vantixs_router.bars.kept import KeptBars
from vantixs_router.domain.bars import Bar, BarBuilder, Quoted, middle
from vantixs_router.quotes import Quotes
from vantixs_router.refresh_marks import LANE

EVERY_S = 0.25
SIMULATED_EVERY_US = 1_000_000
# Looks that are further apart: simulated prices were not seen, or the clock was set, and quotes that came may still wait.
HELD_UP_US = 2_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class BuildBars:
    """Turns quotes into bars while this replica owns the lane; `grace_us` is how long a bar waits for late quotes."""

    def __init__(
        self,
        quotes: Quotes,
        kept: KeptBars,
        journal: Journal,
        owned: Callable[[], Collection[int]],
        clock: Callable[[], datetime],
        *,
        grace_us: int,
    ) -> None:
        self._quotes = quotes
        self._kept = kept
        self._journal = journal
        self._owned = owned
        self._clock = clock
        self._grace_us = grace_us
        self._builder: BarBuilder | None = None
        self._connection = (0, 0)
        self._looked_us = 0
        self._closed: list[Bar] = []

    def hear(self, quote: common_pb2.Quote) -> None:
        """A quote came from outside, or from the file."""
        if self._builder is not None and quote.bid:
            self._hear(self._builder, quote, self._now_us())

    async def run(self, stopping: asyncio.Event) -> None:
        """Works until stopped; not at all where no timeframe is set."""
        if self._kept.timeframes:
            self._quotes.listen(self.hear)
        while self._kept.timeframes and not stopping.is_set():
            await self._kept.publish(self.look())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), EVERY_S)
        await self._kept.publish(self._stop(self._now_us()))

    def look(self) -> list[Bar]:
        """The bars that were closed since the last look, by quotes or by the clock."""
        now_us = self._now_us()
        if LANE not in self._owned():
            return self._stop(now_us)
        # What comes by NATS is missed while there is no connection, and where it comes faster than it is read.
        connection = (self._journal.generation, self._journal.dropped)
        cut_off = connection != self._connection or not self._journal.client.is_connected
        if self._builder is None:
            timeframes = self._kept.timeframes.values()
            self._builder = BarBuilder(timeframes, since_us=now_us, grace_us=self._grace_us)
            log.info("bars.begun", timeframes=",".join(self._kept.timeframes))
        elif cut_off or now_us - self._looked_us > HELD_UP_US:
            self._builder.interrupt(now_us)
        if now_us // SIMULATED_EVERY_US != self._looked_us // SIMULATED_EVERY_US:
            self._look_at_simulated(self._builder, now_us)
        self._connection, self._looked_us = connection, now_us
        self._closed += self._builder.close(now_us)
        return self._taken()

    def _look_at_simulated(self, builder: BarBuilder, now_us: int) -> None:
        for instrument in INSTRUMENTS.current.values():
            quote = self._quotes.current(instrument)
            if quote.source == "simulated":
                self._hear(builder, quote, now_us)

    def _hear(self, builder: BarBuilder, quote: common_pb2.Quote, now_us: int) -> None:
        price = middle(Decimal(quote.bid), Decimal(quote.ask))
        told = Quoted(quote.instrument, quote.source, quote.quote_time.ToMicroseconds(), price)
        self._closed += builder.hear(told, now_us)

    def _stop(self, now_us: int) -> list[Bar]:
        """Builds no more. What is open is left to the next owner, who cannot know what came before."""
        if self._builder is not None:
            self._closed += self._builder.end(now_us)
            self._builder = None
            log.info("bars.ended")
        return self._taken()

    def _taken(self) -> list[Bar]:
        closed, self._closed = self._closed, []
        return closed

    def _now_us(self) -> int:
        return (self._clock() - _EPOCH) // _MICROSECOND
