"""Quotes of a router as one of several replicas, without the rest of the router."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from vantixs.api.common.v1 import common_pb2
from vantixs.api.router.v1 import router_pb2
from vantixs.model.instruments import CATALOGUE
from vantixs.runtime.journal import Journal
from vantixs.testing.journal import connected
from vantixs.testing.nats import NatsServer
from vantixs_router.quotes import QuoteSources
from vantixs_router.settings import RouterSettings

from tests.support.until import until

BTC, ETH = "BTC/USDT", "ETH/USDT"


@dataclass
class Replica:
    """What one router knows of quotes; `ahead` is what its clock is ahead of the others'."""

    sources: QuoteSources
    journal: Journal
    clock: "Clock"
    told: list[common_pb2.Quote] = field(default_factory=list)

    def bid(self, instrument: str = BTC) -> str:
        quote = self.sources.quotes.current(CATALOGUE[instrument])
        return f"{quote.source} {quote.bid}" if quote.source != "simulated" else "simulated"

    def held(self) -> common_pb2.Quote:
        return self.sources.quotes.current(CATALOGUE[BTC])

    def kept(self) -> Any:
        return self.sources._table.items()

    async def push(self, bid: str, **of: Any) -> common_pb2.Quote:
        return await self.sources.quotes.push(quote(bid, **of))

    async def publish(self, *requests: list[common_pb2.Quote]) -> Any:
        async def given() -> AsyncIterator[router_pb2.PublishQuotesRequest]:
            for quotes in requests:
                yield router_pb2.PublishQuotesRequest(quotes=quotes)

        return await self.sources.quotes.publish(given())

    async def clear(self, instrument: str = BTC) -> common_pb2.Quote | None:
        return await self.sources.quotes.clear(instrument)


class Clock:
    """The real time, and what a test puts on it."""

    ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@asynccontextmanager
async def replica(nats: NatsServer, **settings: Any) -> AsyncIterator[Replica]:
    async with connected(nats) as (journal, life):
        clock = Clock()
        sources = QuoteSources(journal, replace(RouterSettings(), **settings), clock)
        made = Replica(sources, journal, clock)
        sources.quotes.listen(made.told.append)
        tasks = sources.start(life)
        await asyncio.wait_for(sources.known(), 10)
        await until(lambda: bool(journal.client._subs) and sources._table.loaded.is_set())
        # The subscription is at the broker.
        await journal.client.flush(5)
        yield made
        life.stopping.set()
        await life.finish(*tasks)


def quote(bid: str, *, instrument: str = BTC, at: datetime | None = None, **fields: str) -> common_pb2.Quote:
    made = common_pb2.Quote(instrument=instrument, bid=bid, ask=fields.pop("ask", bid), **fields)
    if at is not None:
        made.quote_time.FromDatetime(at)
    return made


def now() -> datetime:
    return datetime.now(UTC)
