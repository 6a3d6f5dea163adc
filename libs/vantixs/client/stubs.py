"""Stubs of one's own over a client's calls: what of a grpc.aio.Channel they use."""

from collections.abc import Callable
from typing import Any

from vantixs.client.calls import Calls
from vantixs.client.contracts import BY_PATH


class PolicyChannel:
    """Makes callables that go by the client's policy and raise AioRpcError; streams go by `plain`, once each."""

    def __init__(self, calls: Calls, plain: Any) -> None:
        self._calls = calls
        self.unary_stream = plain.unary_stream
        self.stream_unary = plain.stream_unary
        self.stream_stream = plain.stream_stream

    def unary_unary(self, path: str, **_: Any) -> Callable[..., Any]:
        """A call of the contracts, by its path."""
        rpc = BY_PATH[path]

        async def call(request: Any, *, timeout: float) -> Any:
            return await self._calls.attempt(rpc, request, timeout)

        return call
