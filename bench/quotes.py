"""Quotes a second through PublishQuotes: by gRPC into one router's sources, over a real broker, to a listener of another's."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vantixs.api.common.v1 import common_pb2
from vantixs.api.router.v1 import router_pb2, router_pb2_grpc
from vantixs.model.instruments import CATALOGUE
from vantixs.runtime.grpc_client import open_channel
from vantixs.runtime.grpc_server import Server
from vantixs.runtime.health import Health
from vantixs.runtime.kv import KvTable
from vantixs.testing.journal import connected
from vantixs.testing.nats import NatsServer
from vantixs_router.market_server import MarketData, MarketServicer
from vantixs_router.quote_sources.pushed import PushedQuotes
from vantixs_router.server import NAME, ROLES
from vantixs_router.settings import RouterSettings

SETTINGS = replace(RouterSettings(), operator_token="o", service_token="s")
NAMES = sorted(CATALOGUE)


class Seen:
    """What a listener of the other replica is told."""

    def __init__(self) -> None:
        self.count = 0
        self.until = ""
        self.done = asyncio.Event()
        self.ages_ms: list[float] = []

    def __call__(self, quote: common_pb2.Quote) -> None:
        self.count += 1
        if quote.bid == self.until:
            self.done.set()
        self.ages_ms.append(time.time() * 1000 - quote.quote_time.ToNanoseconds() / 1e6)


@asynccontextmanager
async def replica(nats: NatsServer) -> AsyncIterator[PushedQuotes]:
    async with connected(nats) as (journal, life):
        table = KvTable(
            journal, "vantixs-quotes", "quote", common_pb2.Quote,
            on_change=lambda key, found: pushed.stored(key, found.value if found else None),
        )  # fmt: skip
        pushed = PushedQuotes(table, journal, lambda: datetime.now(UTC))
        table.start(life)
        life.spawn(pushed.run(life.stopping), name="quotes")
        await table.loaded.wait()
        await asyncio.sleep(0.2)
        yield pushed


async def requests(quotes: int, at_once: int, pause_s: float) -> AsyncIterator[router_pb2.PublishQuotesRequest]:
    for first in range(1, quotes + 1, at_once):
        request = router_pb2.PublishQuotesRequest()
        for number in range(first, min(first + at_once, quotes + 1)):
            quote = request.quotes.add(instrument=NAMES[number % len(NAMES)], bid=str(number), ask=str(number))
            quote.quote_time.GetCurrentTime()
        yield request
        if pause_s:
            await asyncio.sleep(pause_s)


async def measure(stub: Any, seen: Seen, quotes: int, at_once: int, pause_s: float = 0) -> str:
    seen.count, seen.ages_ms, seen.until = 0, [], str(quotes)
    seen.done.clear()
    started = time.perf_counter()
    answer = await stub.PublishQuotes(requests(quotes, at_once, pause_s), timeout=120)
    await seen.done.wait()
    seconds = time.perf_counter() - started
    ages = sorted(seen.ages_ms)
    p50, p99 = (ages[int(len(ages) * part)] for part in (0.5, 0.99))
    rate = f"{answer.taken / seconds:>8,.0f} quotes/s" if not pause_s else f"{at_once / pause_s:>8,.0f} quotes/s given"
    return f"{at_once:>5} a request: {rate}, {seen.count} of {quotes} told, from quote_time p50 {p50:.1f} ms, p99 {p99:.1f} ms"


async def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        nats = NatsServer(Path(directory) / "nats").start()
        async with replica(nats) as one, replica(nats) as two:
            seen = Seen()
            two.listen(seen)
            server = Server(SETTINGS, Health(), roles=ROLES)
            none: Any = None
            made: Any = one
            # PublishQuotes alone is called; what later parts build answers by the generated base class, as in main.py.
            # Calls that are not about the market stay those of the generated base class.
            servicer = MarketServicer(MarketData(made, none, none))  # type: ignore[abstract]
            server.add(router_pb2_grpc.add_RouterServiceServicer_to_server, servicer, NAME)
            channel = open_channel(await server.start(), token="o")
            stub = router_pb2_grpc.RouterServiceStub(channel)
            print("feeder, both replicas and the listener in one process and event loop; nats-server beside it")
            for quotes, at_once, pause_s in ((5_000, 1, 0), (20_000, 20, 0), (50_000, 500, 0), (1_000, 1, 0.005)):
                print(await measure(stub, seen, quotes, at_once, pause_s))
            await channel.close()
            await server.stop(0)
        nats.stop()


if __name__ == "__main__":
    asyncio.run(main())
