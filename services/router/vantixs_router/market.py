"""Quotes reach the orders that rest: simulated ones ten times a second, pushed ones as they come."""

import asyncio
import contextlib
from collections.abc import Callable, Collection

from vantixs.api.common.v1 import common_pb2
from vantixs.model.instruments import INSTRUMENTS
from vantixs.runtime.logs import log

from vantixs_router.quotes import Quotes
from vantixs_router.working.working_orders import WorkingOrders

EVERY_S = 0.1  # As often as simulated prices change.
_NO_QUOTE = common_pb2.Quote()


class Market:
    """Shows every quote once to what rests of its instrument."""

    def __init__(self, quotes: Quotes, working: WorkingOrders, is_busy: Callable[[str], bool]) -> None:
        self._quotes = quotes
        self._working = working
        self._is_busy = is_busy
        self._last: dict[str, bytes] = {}

    def pushed(self, quote: common_pb2.Quote) -> None:
        """A quote came from outside."""
        self._show(quote, tuple(self._working.by_instrument.get(quote.instrument, ())))

    async def run(self, stopping: asyncio.Event) -> None:
        """Works until stopped."""
        while not stopping.is_set():
            try:
                self.look()
            except Exception as error:
                log.error("market.failed", exc_info=error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), EVERY_S)

    def look(self) -> None:
        """Shows the quotes that changed since the last look; to the others, that time has passed."""
        names = {instrument: tuple(keys) for instrument, keys in self._working.by_instrument.items()}
        for instrument, keys in names.items():
            quote = self._quotes.current(INSTRUMENTS.current[instrument])
            content = quote.SerializeToString(deterministic=True)
            changed = self._last.get(instrument) != content
            self._last[instrument] = content
            if changed and quote.bid:
                self._show(quote, keys)
            else:
                self._pass_time(keys)
        for instrument in self._last.keys() - names.keys():
            del self._last[instrument]

    def _show(self, quote: common_pb2.Quote, keys: Collection[str]) -> None:
        self._last[quote.instrument] = quote.SerializeToString(deterministic=True)
        for name in keys:
            self._working.sees(name, quote, busy=self._is_busy(name))

    def _pass_time(self, keys: Collection[str]) -> None:
        for name in keys:
            if not self._is_busy(name):
                self._working.sees(name, _NO_QUOTE, busy=False)
