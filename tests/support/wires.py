"""Connections between the machines of a cluster, each of which can be cut off."""

import asyncio
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import uvloop
from vantixs.runtime.addresses import port_of, reserve_port


class Wires:
    """The thread in which the bytes of all wires go on."""

    def __init__(self) -> None:
        self.loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def do(self, work: Coroutine[Any, Any, Any]) -> None:
        asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class Wire:
    """A port that leads to another one, or to a socket, and can be cut without a word to either end.

    There are dozens, and the machine is small: `TcpProxy`, which can be slow as well, costs ten times the processor.
    """

    def __init__(self, wires: Wires, target: int | Path) -> None:
        self._wires, self._target = wires, target
        self._held = reserve_port()
        self.port = port_of(self._held)
        self.ends: set[asyncio.Transport] = set()
        self.silent = False
        self._server: asyncio.Server | None = None
        wires.do(self._mend())

    def cut(self) -> None:
        """What is connected hears nothing any more, and nobody else can connect."""
        self._wires.do(self._cut())

    def mend(self) -> None:
        """Takes connections again; those that were silent end."""
        self._wires.do(self._mend())

    def stop(self) -> None:
        self._wires.do(self._close())
        self._held.close()

    async def reach(self, end: "End") -> None:
        """Connects the far end of a connection."""
        try:
            _, far = await self._far_end(end)
        except OSError:  # Nobody listens there.
            end.transport.abort()
            return
        if end.transport.is_closing():
            far.transport.abort()
            return
        end.peer = far
        far.transport.write(b"".join(end.early))

    async def _far_end(self, end: "End") -> tuple[asyncio.BaseTransport, "End"]:
        loop = self._wires.loop
        if isinstance(self._target, int):
            return await loop.create_connection(lambda: End(self, end), "127.0.0.1", self._target)
        while True:
            try:
                return await loop.create_unix_connection(lambda: End(self, end), str(self._target))
            except BlockingIOError:  # The server's queue is full, which a port would not tell.
                await asyncio.sleep(0.05)

    async def _cut(self) -> None:
        self.silent = True
        if self._server:
            self._server.close()
        for end in self.ends:
            end.pause_reading()

    async def _mend(self) -> None:
        await self._close()
        self.silent = False
        self._server = await self._wires.loop.create_server(lambda: End(self), "127.0.0.1", self.port)

    async def _close(self) -> None:
        if self._server:
            self._server.close()
        for end in list(self.ends):
            end.abort()


class End(asyncio.Protocol):
    """One end of a connection; what comes here goes out at the other one."""

    transport: asyncio.Transport

    def __init__(self, wire: Wire, peer: "End | None" = None) -> None:
        self._wire, self.peer = wire, peer
        self.early: list[bytes] = []  # What came before there was another end.
        self._reaching: asyncio.Task[None] | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._wire.ends.add(transport)
        if self.peer is None:
            self._reaching = asyncio.get_running_loop().create_task(self._wire.reach(self))

    def data_received(self, data: bytes) -> None:
        if self.peer:
            self.peer.transport.write(data)
        else:
            self.early.append(data)

    def connection_lost(self, _: Exception | None) -> None:
        self._wire.ends.discard(self.transport)
        if self.peer:
            self.peer.transport.close()
