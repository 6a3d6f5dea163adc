"""The transport of programs with an event loop: `grpc.aio`, each replica a channel of its own."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from vantixs.client.calls import Answer
from vantixs.client.contracts import SERVICES, STUBS, Rpc
from vantixs.client.http import post
from vantixs.runtime.grpc_replicas import Replicas
from vantixs.runtime.settings import ServiceSettings


class WaitingTransport:
    """Calls over the replicas there are; those of a service are found at its first call, and again where one fails.

    Raises:
        SettingsError: TLS cannot be used as it is set.
    """

    def __init__(self, settings: ServiceSettings, *, token: str, operator: str = "") -> None:
        self.replicas = {name: Replicas(name, settings, token=token, operator=operator) for name in SERVICES}
        self._stubs = {name: STUBS[name](found.channel) for name, found in self.replicas.items()}
        self._looked: set[str] = set()

    def now(self) -> float:
        """Seconds of the machine's clock that never goes back."""
        return time.monotonic()

    async def pause(self, seconds: float) -> None:
        """Waits."""
        await asyncio.sleep(seconds)

    async def look(self, service: str) -> None:
        """Finds the replicas there are now."""
        await self.replicas[service].look()
        self._looked.add(service)

    async def call(self, rpc: Rpc, request: Any, timeout_s: float) -> Any:
        """One attempt at one replica; raises AioRpcError."""
        deadline = self.now() + timeout_s
        if rpc.service not in self._looked:
            await self.look(rpc.service)
        left = max(0.001, deadline - self.now())
        return await getattr(self._stubs[rpc.service], rpc.method)(request, timeout=left)

    async def stream(self, rpc: Rpc, request: Any, timeout_s: float) -> AsyncIterator[Any]:
        """The responses of one replica, after None once it has begun; raises AioRpcError."""
        if rpc.service not in self._looked:
            await self.look(rpc.service)
        call = getattr(self._stubs[rpc.service], rpc.method)(request, timeout=timeout_s)
        try:
            await call.initial_metadata()
            yield None
            async for response in call:
                yield response
        finally:
            call.cancel()

    async def post(self, url: str, body: bytes, headers: dict[str, str], timeout_s: float) -> Answer:
        """One request of HTTP, in a thread."""
        return await asyncio.to_thread(post, url, body, headers, timeout_s)

    async def close(self) -> None:
        """Closes every channel."""
        for found in self.replicas.values():
            await found.close()
