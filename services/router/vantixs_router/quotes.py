"""Where quotes come from: pushed ones where an instrument has them, those of the file, simulated ones otherwise."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from typing import Any

from vantixs.api.common.v1 import common_pb2
from vantixs.api.router.v1 import router_pb2
from vantixs.model.decimals import EXACT, format_decimal
from vantixs.model.instruments import INSTRUMENTS, Instrument
from vantixs.runtime.journal import Journal
from vantixs.runtime.kv import KvTable
from vantixs.runtime.lifecycle import Lifecycle
from vantixs.runtime.timestamps import set_time

from vantixs_router.domain.simulation import simulated_mid
from vantixs_router.quote_sources.file import QuoteFile, read_quote_file
from vantixs_router.quote_sources.pushed import PushedQuotes
from vantixs_router.settings import RouterSettings

TICK_US = 100_000  # Simulated prices change this often, microseconds.


class Quotes:
    """The current quote of every instrument.

    An instrument that was pushed is quoted by pushing until it is cleared, one of the file by the file for ever: a quote
    that grows old makes PRICE_STALE, never a silent change to simulated prices.
    """

    def __init__(
        self,
        pushed: PushedQuotes,
        settings: RouterSettings,
        clock: Callable[[], datetime],
        file: QuoteFile | None = None,
    ) -> None:
        self._pushed = pushed
        self._settings = settings
        self._clock = clock
        self._file = file
        self._kept: dict[str, tuple[datetime, common_pb2.Quote]] = {}

    def listen(self, listener: Callable[[common_pb2.Quote], None]) -> None:
        """Has every quote told that comes from outside, here or at another replica, or from the file."""
        self._pushed.listen(listener)
        if self._file:
            self._file.listen(lambda quote: None if self._pushed.get(quote.instrument) else listener(quote))

    def current(self, instrument: Instrument) -> common_pb2.Quote:
        """The quote to use now."""
        if pushed := self._pushed.get(instrument.name):
            return pushed
        if self._file and instrument.name in self._file.instruments:
            return self._file.current(instrument.name)
        return self._simulated(instrument)

    def marks(self, held: list[str], traded: str) -> list[common_pb2.Quote]:
        """Quotes of what an account holds besides what it trades now, at most 100."""
        return [
            self.current(INSTRUMENTS.current[name]) for name in held if name != traded and name in INSTRUMENTS.current
        ][:100]

    async def push(self, quote: common_pb2.Quote) -> common_pb2.Quote:
        """See `PushedQuotes.push`."""
        return await self._pushed.push(quote)

    async def publish(self, requests: AsyncIterator[router_pb2.PublishQuotesRequest]) -> Any:
        """See `PushedQuotes.publish`."""
        return await self._pushed.publish(requests)

    async def clear(self, instrument: str) -> common_pb2.Quote | None:
        """See `PushedQuotes.clear`."""
        return await self._pushed.clear(instrument)

    def pushed(self) -> list[router_pb2.PushedQuote]:
        """Every pushed quote with its age, by instrument."""
        now = self._clock()
        return [
            router_pb2.PushedQuote(
                quote=held, age_ms=(now - held.quote_time.ToDatetime(UTC)) // timedelta(milliseconds=1)
            )
            for held in self._pushed.items()
        ]

    def dated(self, instrument: Instrument) -> router_pb2.CurrentQuote:
        """The quote to use now, with its age by our clock."""
        quote = self.current(instrument)
        found = router_pb2.CurrentQuote(quote=quote)
        if quote.bid:
            found.age_ms = (self._clock() - quote.quote_time.ToDatetime(UTC)) // timedelta(milliseconds=1)
        return found

    def _simulated(self, instrument: Instrument) -> common_pb2.Quote:
        """The quote of this tenth of a second, made once: every order wants its own and that of each held position."""
        now = self._clock()
        now -= timedelta(microseconds=now.microsecond % TICK_US)
        kept = self._kept.get(instrument.name)
        if kept is None or kept[0] != now:
            kept = self._kept[instrument.name] = (now, self._simulate(instrument, now))
        return kept[1]

    def _simulate(self, instrument: Instrument, now: datetime) -> common_pb2.Quote:
        tick = instrument.tick_size
        seed = self._settings.simulated_seed
        with localcontext(EXACT):
            mid = simulated_mid(instrument.reference_price, tick, instrument.name, seed, now.timestamp())
            half = (mid * self._settings.simulated_spread_bps / 20_000 / tick).to_integral_value() * tick
            half = max(half, tick if self._settings.simulated_spread_bps else Decimal(0))
        quote = common_pb2.Quote(
            instrument=instrument.name,
            source="simulated",
            bid=format_decimal(mid - half),
            ask=format_decimal(mid + half),
        )
        set_time(quote.quote_time, now)
        return quote


class QuoteSources:
    """Every source of quotes, of a running router.

    Raises:
        StartupError: the file of quotes cannot be read.
    """

    def __init__(self, journal: Journal, settings: RouterSettings, clock: Callable[[], datetime]) -> None:
        tape = read_quote_file(settings)
        self._table = KvTable(
            journal,
            "vantixs-quotes",
            "quote",
            common_pb2.Quote,
            replicas=settings.journal_replicas,
            on_change=lambda key, found: self._pushed.stored(key, found.value if found else None),
        )
        self._pushed = PushedQuotes(self._table, journal, clock)
        self._file = QuoteFile(tape, self._table, settings.quote_file_start, clock) if tape else None
        self.quotes = Quotes(self._pushed, settings, clock, self._file)

    def start(self, life: Lifecycle) -> "list[asyncio.Task[None]]":
        """Begins to hear and to keep quotes; returns the work that ends by itself once the service is to stop."""
        self._table.start(life)
        tasks = [life.spawn(self._pushed.run(life.stopping), name="quotes")]
        if self._file:
            tasks.append(life.spawn(self._file.run(life.stopping), name="quote-file"))
        return tasks

    async def known(self) -> None:
        """Returns once it is known what was pushed before, and where the file is."""
        await self._table.loaded.wait()
        if self._file:
            await self._file.begun.wait()
