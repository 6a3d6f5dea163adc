"""A small HTTP load generator: N keep-alive connections, one request in flight on each."""

import asyncio
import time
from collections.abc import Callable
from urllib.parse import urlsplit

Result = tuple[float, list[float], dict[int, int]]


async def post_many(url: str, bodies: Callable[[int], tuple[str, bytes]], count: int, connections: int) -> Result:
    """Sends `count` POSTs. `bodies(n)` gives path and body. Returns seconds, latencies (s), answers by status."""
    address = urlsplit(url)
    numbers = iter(range(count))
    latencies: list[float] = []
    statuses: dict[int, int] = {}

    async def work() -> None:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        for number in numbers:
            path, body = bodies(number)
            started = time.perf_counter()
            writer.write(f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            latencies.append(time.perf_counter() - started)
            status = int(head[9:12])
            statuses[status] = statuses.get(status, 0) + 1
        writer.close()

    started = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(connections)))
    return time.perf_counter() - started, sorted(latencies), statuses


def quantile(values: list[float], share: float) -> float:
    """A quantile of sorted values, in milliseconds."""
    return values[min(int(len(values) * share), len(values) - 1)] * 1000
