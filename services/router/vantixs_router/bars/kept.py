"""The last closed bars, kept in memory at every replica: published ones are heard, those from before are asked for.

Nothing is written to disk. A replica that connects asks the others, and takes what each of them keeps.
"""

import asyncio
import bisect
import contextlib
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from nats.errors import Error as NatsError
from vantixs.api.router.v1 import router_pb2
from vantixs.model.decimals import format_decimal, parse_decimal
from vantixs.model.ids import BAR_SUBJECTS, BARS_ASKED, bar_subject
from vantixs.model.instruments import INSTRUMENTS
from vantixs.runtime.errors import invalid, not_found
from vantixs.runtime.journal import Journal
from vantixs.runtime.lifecycle import StartupError
from vantixs.runtime.logs import log
from vantixs.runtime.paging import decode_number, encode_token, page_size

from vantixs_router.domain.bars import Bar, Timeframe, parse_timeframes, sound
from vantixs_router.quote_sources.pushed import quote_key
from vantixs_router.settings import RouterSettings

LOOK_EVERY_S = 0.5
# A bar that ends later than this was not closed by a clock like ours; as the newest one it would stay for ever.
AHEAD_US = 10_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def read_timeframes(settings: RouterSettings) -> tuple[Timeframe, ...]:
    """The timeframes of the settings.

    Raises:
        StartupError: they cannot be; the text says why.
    """
    try:
        return parse_timeframes(settings.bar_timeframes)
    except ValueError as error:
        raise StartupError(f"setting bar_timeframes: {error}") from None


class KeptBars:
    """At most `most` bars of each instrument and timeframe."""

    def __init__(
        self, journal: Journal, timeframes: Iterable[Timeframe], most: int, clock: Callable[[], datetime]
    ) -> None:
        self.timeframes = {timeframe.name: timeframe for timeframe in timeframes}
        self._journal = journal
        self._most = most
        self._clock = clock
        self._bars: dict[tuple[str, str], list[router_pb2.Bar]] = {}  # Each in order of start.
        self._inbox = ""

    def recent(self, instrument: str, timeframe: str, before_us: int | None = None) -> list[router_pb2.Bar]:
        """Bars that are kept, newest first; only those that begin before a time where one is given. They are not to be changed.

        Raises:
            ServiceError: NOT_FOUND; INVALID_ARGUMENT for a timeframe that is not built.
        """
        if instrument not in INSTRUMENTS.current:
            raise not_found("instrument", instrument[:40])
        if timeframe not in self.timeframes:
            known = ", ".join(self.timeframes) or "none (setting bar_timeframes)"
            raise invalid("timeframe", f"expected one of {known}, was {timeframe[:20]!r}")
        bars = self._bars.get((instrument, timeframe), [])
        until = len(bars) if before_us is None else bisect.bisect_left(bars, before_us, key=_start_us)
        return bars[:until][::-1]

    def page(self, request: router_pb2.ListBarsRequest) -> router_pb2.ListBarsResponse:
        """See `recent`.

        Raises:
            ServiceError: as there; INVALID_ARGUMENT for a page that cannot be.
        """
        size = page_size(request)
        before_us = decode_number(request.page_token) if request.page_token else None
        found = self.recent(request.instrument, request.timeframe, before_us)
        following = encode_token(_start_us(found[size - 1])) if len(found) > size else ""
        return router_pb2.ListBarsResponse(bars=found[:size], next_page_token=following)

    async def publish(self, bars: Iterable[Bar]) -> None:
        """Keeps bars that were built here, and tells the others, who ask at their next connection where NATS is away."""
        for bar in bars:
            message = bar_message(bar)
            self.take(message)
            subject = bar_subject(quote_key(bar.instrument), bar.timeframe.name)
            await self._send(subject, message.SerializeToString())

    def take(self, bar: router_pb2.Bar) -> bool:
        """Keeps a bar; of two of one interval the complete one, else that of more quotes. Whether it is new here."""
        bars = self._bars.setdefault((bar.instrument, bar.timeframe), [])
        place = bisect.bisect_left(bars, _start_us(bar), key=_start_us)
        if place < len(bars) and _start_us(bars[place]) == _start_us(bar):
            if _rank(bar) <= _rank(bars[place]):
                return False
            bars[place] = bar
        elif place == 0 and len(bars) >= self._most:
            return False
        else:
            bars.insert(place, bar)
            if len(bars) > self._most:
                del bars[0]
        return True

    async def run(self, stopping: asyncio.Event) -> None:
        """Hears and answers the other replicas until stopped, and asks them at each connection."""
        if not self.timeframes:
            return
        await self._journal.connected()
        client = self._journal.client
        self._inbox = client.new_inbox()
        await client.subscribe(BAR_SUBJECTS, cb=self._hear)
        await client.subscribe(self._inbox, cb=self._hear_kept)
        await client.subscribe(BARS_ASKED, cb=self._answer)
        asked = 0
        while not stopping.is_set():
            if client.is_connected and asked != self._journal.generation:
                asked = self._journal.generation
                with contextlib.suppress(NatsError, OSError):
                    await client.publish(BARS_ASKED, b"", reply=self._inbox)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), LOOK_EVERY_S)

    async def _answer(self, message: Any) -> None:
        if not message.reply or message.reply == self._inbox:
            return
        for bars in list(self._bars.values()):
            await self._send(message.reply, router_pb2.ListBarsResponse(bars=bars).SerializeToString())
            await asyncio.sleep(0)

    async def _hear(self, message: Any) -> None:
        try:
            self._take_told([router_pb2.Bar.FromString(message.data)])
        except Exception:
            log.warning("bars.unreadable", subject=message.subject)

    async def _hear_kept(self, message: Any) -> None:
        try:
            self._take_told(router_pb2.ListBarsResponse.FromString(message.data).bars)
        except Exception:
            log.warning("bars.unreadable", subject="kept by another replica")

    def _take_told(self, bars: Iterable[router_pb2.Bar]) -> None:
        """Takes what another replica says, unless it has other timeframes or its bars cannot be."""
        latest_us = (self._clock() - _EPOCH) // _MICROSECOND + AHEAD_US
        for bar in bars:
            timeframe = self.timeframes.get(bar.timeframe)
            if timeframe is None or bar.instrument not in INSTRUMENTS.current:
                continue
            start_us, end_us = _start_us(bar), bar.end_time.ToMicroseconds()
            low, high = parse_decimal(bar.low), parse_decimal(bar.high)
            fits = start_us % timeframe.length_us == 0 and end_us == start_us + timeframe.length_us
            inside = (parse_decimal(bar.open), parse_decimal(bar.close))
            if fits and end_us <= latest_us and bar.quote_count > 0 and sound(low, inside, high):
                self.take(bar)

    async def _send(self, subject: str, content: bytes) -> None:
        if self._journal.client.is_connected:
            with contextlib.suppress(NatsError, OSError):
                await self._journal.client.publish(subject, content)


def bar_message(bar: Bar) -> router_pb2.Bar:
    """The message of a bar."""
    message = router_pb2.Bar(
        instrument=bar.instrument,
        timeframe=bar.timeframe.name,
        open=format_decimal(bar.open),
        high=format_decimal(bar.high),
        low=format_decimal(bar.low),
        close=format_decimal(bar.close),
        quote_count=bar.quote_count,
        source=bar.source,
        complete=bar.complete,
    )
    message.start_time.FromMicroseconds(bar.start_us)
    message.end_time.FromMicroseconds(bar.end_us)
    return message


def _start_us(bar: router_pb2.Bar) -> int:
    return bar.start_time.ToMicroseconds()


def _rank(bar: router_pb2.Bar) -> tuple[bool, int, bytes]:
    """The same at every replica, in whatever order they hear: the content decides where all else is the same."""
    return bar.complete, bar.quote_count, bar.SerializeToString(deterministic=True)
