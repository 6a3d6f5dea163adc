"""Repeated calls: the same `request_id` is the same call; other content under the same id is refused."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from vantixs.runtime.errors import ServiceError

MOST = 1000


class IdempotentCalls:
    """Answers of recent calls, and calls still under way, in memory: after a restart credentials are derived again instead."""

    def __init__(self) -> None:
        self._calls: OrderedDict[str, tuple[bytes, asyncio.Future[Any]]] = OrderedDict()

    async def once(self, request: Any, work: Callable[[], Awaitable[Any]]) -> Any:
        """Runs the call, or returns what it answered before; a call that failed may be made again.

        Raises:
            ServiceError: INVALID_ARGUMENT, REQUEST_ID_REUSED.
        """
        if not request.request_id:
            return await work()
        name = f"{request.DESCRIPTOR.name} {request.request_id}"
        digest = hashlib.sha256(request.SerializeToString(deterministic=True)).digest()
        known = self._calls.get(name)
        if known is None:
            # A caller that disconnects must not cancel what repeated calls wait for.
            future: asyncio.Future[Any] = asyncio.ensure_future(work())
            self._calls[name] = (digest, future)
            if len(self._calls) > MOST:
                self._calls.popitem(last=False)
            future.add_done_callback(lambda done: self._forget_failed(name, done))
        elif known[0] != digest:
            detail = "expected another request_id for another request"
            raise ServiceError(grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED", detail)
        else:
            future = known[1]
        return await asyncio.shield(future)

    def _forget_failed(self, name: str, done: "asyncio.Future[Any]") -> None:
        if done.cancelled() or done.exception() is not None:
            self._calls.pop(name, None)
