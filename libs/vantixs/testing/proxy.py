"""A TCP proxy that can be cut or slow: one process loses its connection while all others keep theirs."""

import asyncio
import contextlib
import math
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from vantixs.runtime.addresses import port_of, reserve_port

T = TypeVar("T")


class TcpProxy:
    """Forwards a loopback port to another one, or to a Unix socket, in a thread of its own.

    With a delay every byte arrives so much later than it was sent, each way. `round_trips` is then how often a client had
    to wait for an answer before it sent more, over all connections.
    """

    def __init__(self, target: int | Path, *, delay_s: float = 0.0) -> None:
        self._target = target
        self._delay_s = delay_s
        self.round_trips = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._passes = asyncio.Event()
        self._held = reserve_port()
        self.port = port_of(self._held)

    def start(self) -> "TcpProxy":
        """Listens."""
        self._thread.start()
        self._do(self._mend())
        return self

    def cut(self, *, silent: bool = False) -> None:
        """Refuses new connections and ends those there are; `silent`: they stay, and nothing comes through them any more."""
        self._do(self._cut(silent=silent))

    def mend(self) -> None:
        """Takes connections again; those that were silent end."""
        self._do(self._mend())

    def stop(self) -> None:
        """Ends everything."""
        self._do(self._cut(silent=False))
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._held.close()

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _mend(self) -> None:
        self._end_all()
        self._passes.set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _cut(self, *, silent: bool) -> None:
        # What is refused leaves a client nothing to close: nats-py forgets a connection that ends while it begins.
        if self._server:
            self._server.close()
        self._passes.clear()
        if not silent:
            self._end_all()

    async def _close(self) -> None:
        self._passes.set()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _end_all(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await self._far_end()
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        answered, begun = True, -math.inf

        def asked() -> None:
            nonlocal answered, begun
            # What is sent before an answer to the first of it can be here waits for nothing.
            if answered and self._loop.time() - begun >= 2 * self._delay_s:
                self.round_trips, begun, answered = self.round_trips + 1, self._loop.time(), False

        def answer() -> None:
            nonlocal answered
            answered = True

        await asyncio.gather(self._pass_on(reader, far_writer, asked), self._pass_on(far_reader, writer, answer))
        self._writers -= {writer, far_writer}

    async def _far_end(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._target, Path):
            return await asyncio.open_unix_connection(self._target)
        return await asyncio.open_connection("127.0.0.1", self._target)

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, note: Callable[[], None]
    ) -> None:
        """Passes on what comes, each piece after the delay, in order and without holding up the pieces behind it."""
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        sending = asyncio.ensure_future(self._send(pieces, writer))
        with contextlib.suppress(OSError):
            while (data := await reader.read(65_536)) and not sending.done():
                note()
                pieces.put_nowait((self._loop.time() + self._delay_s, data))
        pieces.put_nowait((0.0, b""))
        await sending
        writer.transport.abort()

    async def _send(self, pieces: "asyncio.Queue[tuple[float, bytes]]", writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while (piece := await pieces.get())[1]:
                await asyncio.sleep(max(0.0, piece[0] - self._loop.time()))
                await self._passes.wait()
                writer.write(piece[1])
                await writer.drain()
