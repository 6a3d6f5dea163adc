"""Funding of paper positions in perpetuals: the owner of a lane has risk book what is due for the lane's keys."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Protocol

from vantixs.model.ids import lane_of
from vantixs.model.instruments import INSTRUMENTS
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.logs import log

from vantixs_router.fence import Fence
from vantixs_router.quotes import Quotes
from vantixs_router.risk_client import RiskClient
from vantixs_router.settings import RouterSettings

EVERY_S = 5.0
MOST_AT_ONCE = 500  # How many keys one query for due funding puts into their queues.
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


Look = Callable[[str, Fence], Awaitable[None]]


class Lanes(Protocol):
    """The lanes of this replica. After `enqueue(lane, key)`, the key is handled once no other work on it is in progress."""

    def owned(self) -> Collection[int]:
        """Their numbers."""
        ...

    def enqueue(self, number: int, key: str) -> bool:
        """Puts the key into its queue; returns whether this replica owns the lane."""
        ...


class BookFunding:
    """Asks risk what is due after each funding time, and has it booked in the turn of each key.

    During a key's turn no other work on it is in progress, so fills from before the funding time are booked. Risk
    books each funding time once, however often it is asked, and knows which were missed. So nothing is stored here.
    """

    def __init__(
        self, risk: RiskClient, quotes: Quotes, settings: RouterSettings, clock: Callable[[], datetime]
    ) -> None:
        self._risk = risk
        self._quotes = quotes
        self._rate = settings.paper_funding_rate_ratio
        self._interval_s = settings.paper_funding_interval_s
        self._clock = clock
        self._due: dict[str, tuple[str, str]] = {}
        self._settled: tuple[datetime, frozenset[int]] | None = None
        self._failing = False

    def after(self, look: Look) -> Look:
        """The work of a key's turn: first `look`, which books fills of resting orders, then the funding that is due."""

        async def look_and_book(name: str, fence: Fence) -> None:
            await look(name, fence)
            await self.book(name)

        return look_and_book

    async def run(self, lanes: Lanes, stopping: asyncio.Event) -> None:
        """Works until stopped. With a rate of 0 it also runs, so that these times are not booked later at another rate."""
        while not stopping.is_set():
            try:
                await self.look(lanes)
            except ServiceError as error:
                if not self._failing:
                    log.warning("funding.not_listed", reason=error.reason, detail=error.detail)
                self._failing = True
            else:
                self._failing = False
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), EVERY_S)

    async def look(self, lanes: Lanes) -> None:
        """Has risk book what is due on the owned lanes; asks until nothing is due.

        Raises:
            ServiceError: risk did not answer.
        """
        time, owned = self._last_time(), frozenset(lanes.owned())
        if self._settled == (time, owned):
            return
        due = [key for key in await self._risk.funding_due(self._interval_s, time) if lane_of(*key) in owned]
        self._due = {f"{account_id}|{instrument}": (account_id, instrument) for account_id, instrument in due}
        for name, key in list(self._due.items())[:MOST_AT_ONCE]:
            lanes.enqueue(lane_of(*key), name)
        if not due:
            self._settled = (time, owned)

    async def book(self, name: str) -> None:
        """Books what is due for a key, in its turn. What cannot be booked now stays due, and delays nothing."""
        key = self._due.get(name)
        if key is None:
            return
        account_id, instrument = key
        known = INSTRUMENTS.current.get(instrument)
        if known is None:
            log.warning("funding.waiting", key=name, detail="expected a catalogued instrument")
            return
        more = True
        while more:
            quote = self._quotes.current(known)
            try:
                booked = await self._risk.book_funding(
                    account_id, instrument, self._interval_s, self._last_time(), self._rate, quote
                )
            except ServiceError as error:
                log.warning("funding.waiting", key=name, reason=error.reason, detail=error.detail)
                return
            for funding in booked.fundings:
                time = funding.funding_time.ToJsonString()
                log.info("funding.booked", key=name, time=time, amount=funding.amount, asset=funding.asset)
            more = booked.more
        self._due.pop(name, None)

    def _last_time(self) -> datetime:
        """The last funding time."""
        interval = timedelta(seconds=self._interval_s)
        return _EPOCH + (self._clock() - _EPOCH) // interval * interval
