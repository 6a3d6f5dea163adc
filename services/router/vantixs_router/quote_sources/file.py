"""Quotes of a CSV or Parquet file, replayed with their original intervals: for demonstrations and tests.

All replicas are at the same position of the file. The position follows from the time since the replay began, which is
a setting or is stored once in the KV bucket. A restart continues at that position. The first start after the end of
the file begins the replay again.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
from vantixs.api.common.v1 import common_pb2
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.kv import KvTable
from vantixs.runtime.lifecycle import StartupError
from vantixs.runtime.logs import log

from vantixs_router.domain.quotes import FORGOTTEN_AHEAD_NS
from vantixs_router.domain.replay import Tape, Tick
from vantixs_router.quote_sources.csv_rows import FileError, Options, read_ticks, time_us
from vantixs_router.quote_sources.parquet_rows import read_parquet_ticks
from vantixs_router.quote_sources.pushed import tell
from vantixs_router.settings import RouterSettings

KEY = "file-start"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LOST = (grpc.StatusCode.ABORTED, grpc.StatusCode.ALREADY_EXISTS)
_LOOK_EVERY_S = 0.05  # A new start of the replay, or a clock that was set, is noticed after this time at most.
_PART = 200  # Quotes that are passed on in one turn of the event loop.


class Replay(Tape):
    """The quotes of a file; `identity` is the same for the same content and speed."""

    identity = ""


def read_quote_file(settings: RouterSettings) -> Replay | None:
    """The file of the settings; None if none is set.

    Raises:
        StartupError: the file or one of its rows cannot be read; says which, what was expected and what was found.
    """
    if not settings.quote_file:
        return None
    path = Path(settings.quote_file)
    try:
        if settings.quote_file_start:
            time_us(settings.quote_file_start)
    except ValueError as error:
        raise StartupError(f"setting quote_file_start: {error}") from None
    try:
        content = path.read_bytes()
        options = Options(int(settings.quote_file_interval_s * 1_000_000), settings.quote_file_spread_bps)
        read = read_parquet_ticks if path.suffix == ".parquet" else read_ticks
        ticks = read(content, options)
    except OSError as error:
        raise StartupError(f"quote file {path}: expected a file that can be read, was: {error.strerror}") from None
    except FileError as error:
        raise StartupError(f"quote file {path}: {error}") from None
    made = Replay(ticks, *settings.quote_file_speed.as_integer_ratio())
    how = f"{settings.quote_file_speed.normalize()}|{options}"
    made.identity = f"file {hashlib.sha256(content + how.encode()).hexdigest()[:16]}"
    return made


class QuoteFile:
    """Replays a file's quotes as time passes."""

    def __init__(
        self, tape: Replay, table: KvTable[common_pb2.Quote], start: str, clock: Callable[[], datetime]
    ) -> None:
        self._tape = tape
        self._table = table
        self._fixed_us = time_us(start) if start else None
        self._clock = clock
        self._listeners: list[Callable[[common_pb2.Quote], None]] = []
        self._made: dict[str, tuple[int, int, common_pb2.Quote]] = {}
        self.instruments = tape.instruments
        self.begun = asyncio.Event()

    def listen(self, listener: Callable[[common_pb2.Quote], None]) -> None:
        """Sets the function that is called with each quote when it is due."""
        self._listeners.append(listener)

    def current(self, instrument: str) -> common_pb2.Quote:
        """The instrument's latest due quote; without prices before its first quote. The caller must not change it."""
        start_us = self._start_us()
        place = None if start_us is None else self._tape.current(instrument, self._now_us() - start_us)
        if start_us is None or place is None:
            return common_pb2.Quote(instrument=instrument, source="file")
        made = self._made.get(instrument)
        if made is None or made[:2] != (start_us, place):
            made = self._made[instrument] = (start_us, place, self._quote(start_us, place))
        return made[2]

    async def run(self, stopping: asyncio.Event) -> None:
        """Passes on every quote once when it is due. Quotes that were due before this replica started are not passed on."""
        # If this replica starts the replay, or runs when it starts again, all quotes are passed on.
        whole = await self._begin(stopping)
        start_us, told = None, 0
        while not stopping.is_set():
            passed, found = 0, self._start_us()
            if found is not None:
                passed = self._tape.passed(self._now_us() - found)
            if found != start_us:
                start_us, told, whole = found, 0 if whole else max(passed - 1, 0), True
            if start_us is not None and told < passed:
                until = min(passed, told + _PART)
                for place in range(told, until):
                    tell(self._listeners, self._quote(start_us, place))
                told = until
                await asyncio.sleep(0)
                continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), self._pause_s(start_us, told))

    async def _begin(self, stopping: asyncio.Event) -> bool:
        """Stores when the replay begins, unless a running replay is stored; returns whether it stored that."""
        await self._table.loaded.wait()
        stored = False
        while self._fixed_us is None and not stopping.is_set() and not self._is_on():
            start = common_pb2.Quote(source=self._tape.identity)
            start.quote_time.FromMicroseconds(self._now_us())
            found = self._table.get(KEY)
            try:
                if found is None:
                    await self._table.create(KEY, start)
                else:
                    await self._table.update(KEY, start, found.revision)
                stored = True
            except ServiceError as error:
                if error.code not in _LOST:
                    log.warning("quote_file.start_not_stored", detail=error.detail)
                await asyncio.sleep(0.05)  # Another replica was first: the watch delivers its start.
        log.info("quote_file.begun", instruments=len(self.instruments), quotes=len(self._tape))
        self.begun.set()
        return stored

    def _is_on(self) -> bool:
        start_us = self._start_us()
        if start_us is None:
            return False
        return -FORGOTTEN_AHEAD_NS // 1000 <= self._now_us() - start_us <= self._tape.length_us

    def _start_us(self) -> int | None:
        if self._fixed_us is not None:
            return self._fixed_us
        found = self._table.get(KEY)
        return found.value.quote_time.ToMicroseconds() if found and found.value.source == self._tape.identity else None

    def _quote(self, start_us: int, place: int) -> common_pb2.Quote:
        tick: Tick = self._tape.ticks[place]
        quote = common_pb2.Quote(
            instrument=tick.instrument,
            source="file",
            bid=tick.bid,
            ask=tick.ask,
            bid_size=tick.bid_size,
            ask_size=tick.ask_size,
        )
        quote.quote_time.FromMicroseconds(start_us + self._tape.due_us(place))
        return quote

    def _pause_s(self, start_us: int | None, told: int) -> float:
        if start_us is None or told >= len(self._tape):
            return _LOOK_EVERY_S
        return min(max((start_us + self._tape.due_us(told) - self._now_us()) / 1e6, 0.001), _LOOK_EVERY_S)

    def _now_us(self) -> int:
        return (self._clock() - _EPOCH) // _MICROSECOND
