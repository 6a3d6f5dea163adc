"""Quotes reach the orders that rest: simulated ones ten times a second, pushed ones as they come."""

import asyncio
import contextlib
from collections.abc import Callable, Collection

from vantixs.api.common.v1 import common_pb2
from vantixs.model.instruments import INSTRUMENTS
from vantixs.runtime.logs import log

from vantixs_router.quotes import Quotes
from vantixs_router.working.key import Key
from vantixs_router.working.working_orders import WorkingOrders

EVERY_S = 0.1  # As often as simulated prices change.
_NO_QUOTE = common_pb2.Quote()


class Market:
    """Shows every quote once to what rests of its instrument.

    What a key was shown is kept with it: a key that comes with a lane has not seen the current quote, also if this replica
    had the lane until a moment ago.
    """

    def __init__(self, quotes: Quotes, working: WorkingOrders, is_busy: Callable[[str], bool]) -> None:
        self._quotes = quotes
        self._working = working
        self._is_busy = is_busy

    def pushed(self, quote: common_pb2.Quote) -> None:
        """A quote came from outside."""
        self._show(quote, _content(quote), tuple(self._working.by_instrument.get(quote.instrument, {}).values()))

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
        """Shows the current quotes to the keys that were not shown them; to the others, that time has passed."""
        for instrument, by_name in list(self._working.by_instrument.items()):
            keys = tuple(by_name.values())
            quote = self._quotes.current(INSTRUMENTS.current[instrument])
            content = _content(quote)
            new = {key: None for key in keys if quote.bid and key.shown != content}
            self._show(quote, content, new)
            self._pass_time([key.name for key in keys if key not in new])

    def _show(self, quote: common_pb2.Quote, content: bytes, keys: Collection[Key]) -> None:
        for key in keys:
            key.shown = content
            self._working.sees(key.name, quote, busy=self._is_busy(key.name))

    def _pass_time(self, names: Collection[str]) -> None:
        for name in names:
            if not self._is_busy(name):
                self._working.sees(name, _NO_QUOTE, busy=False)


def _content(quote: common_pb2.Quote) -> bytes:
    return quote.SerializeToString(deterministic=True)
