"""Positions are valued anew every few seconds, so that equity, headroom and breakers live while no signal comes."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Iterator
from itertools import islice

from vantixs.api.common.v1 import common_pb2
from vantixs.model.instruments import INSTRUMENTS
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.logs import log

from vantixs_router.quotes import Quotes
from vantixs_router.risk_client import RiskClient

MOST_MARKS = 100
# Of all replicas the owner of this lane does it. Two that both think so for a moment do no harm.
LANE = 0
# Who holds so much that a round takes long is valued less often: it is never more than a fifth of risk's time.
PAUSE_PER_ROUND = 4


class RefreshMarks:
    """Tells risk the current quotes of what accounts hold."""

    def __init__(self, risk: RiskClient, quotes: Quotes, owned: Callable[[], Collection[int]], every_s: float) -> None:
        self._risk = risk
        self._quotes = quotes
        self._owned = owned
        self._every_s = every_s
        self._held: list[str] = []
        self._failing = False

    async def run(self, stopping: asyncio.Event) -> None:
        """Works until stopped; not at all where the interval is 0."""
        while self._every_s and not stopping.is_set():
            took_s = await self._round() if LANE in self._owned() else 0.0
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), max(self._every_s, PAUSE_PER_ROUND * took_s))

    async def refresh(self) -> None:
        """Has what is held valued once. What came to be held since the last time is valued from the next one on.

        Raises:
            ServiceError: risk did not answer.
        """
        quotes = iter(
            [self._quotes.current(INSTRUMENTS.current[name]) for name in self._held if name in INSTRUMENTS.current]
        )
        held = await self._risk.refresh_marks(_next(quotes))
        while more := _next(quotes):
            held = await self._risk.refresh_marks(more)
        self._held = held

    async def _round(self) -> float:
        """Seconds it took."""
        started = time.monotonic()
        try:
            await self.refresh()
        except ServiceError as error:
            if not self._failing:  # Who waits for risk as well says so besides.
                log.warning("marks.not_refreshed", reason=error.reason, detail=error.detail)
            self._failing = True
        else:
            self._failing = False
        return time.monotonic() - started


def _next(quotes: Iterator[common_pb2.Quote]) -> list[common_pb2.Quote]:
    return list(islice(quotes, MOST_MARKS))
