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
    """Shows every quote once to what rests of its instrument.

    What a key was shown is kept by key: one that comes with a lane of another replica has not seen the current quote.
    """

    def __init__(self, quotes: Quotes, working: WorkingOrders, is_busy: Callable[[str], bool]) -> None:
        self._quotes = quotes
        self._working = working
        self._is_busy = is_busy
        self._shown: dict[str, bytes] = {}

    def pushed(self, quote: common_pb2.Quote) -> None:
        """A quote came from outside."""
        self._show(quote, _content(quote), tuple(self._working.by_instrument.get(quote.instrument, ())))

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
        names = {instrument: tuple(keys) for instrument, keys in self._working.by_instrument.items()}
        for instrument, keys in names.items():
            quote = self._quotes.current(INSTRUMENTS.current[instrument])
            content = _content(quote)
            new = {name: None for name in keys if quote.bid and self._shown.get(name) != content}
            self._show(quote, content, new)
            self._pass_time([name for name in keys if name not in new])
        for name in self._shown.keys() - {name for keys in names.values() for name in keys}:
            del self._shown[name]

    def _show(self, quote: common_pb2.Quote, content: bytes, keys: Collection[str]) -> None:
        for name in keys:
            self._shown[name] = content
            self._working.sees(name, quote, busy=self._is_busy(name))

    def _pass_time(self, keys: Collection[str]) -> None:
        for name in keys:
            if not self._is_busy(name):
                self._working.sees(name, _NO_QUOTE, busy=False)


def _content(quote: common_pb2.Quote) -> bytes:
    return quote.SerializeToString(deterministic=True)
