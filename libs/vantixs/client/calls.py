"""How every call is made, with an event loop or without: one deadline over all attempts, and what may be repeated is.

The code is written once, with `async`. A transport that blocks never waits for a loop, so that its calls are done at the first
step: `blocking.py` takes that step.
"""

import contextlib
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import grpc
from google.protobuf.message import Message

from vantixs.client.contracts import Rpc, may_repeat, rpc_of
from vantixs.client.errors import ClientError, DeadlineExceeded, ServiceUnavailable, error_of
from vantixs.runtime.retry import Pauses, spread

PAGE = 1000
_ATTEMPTS = Pauses(0.1, 1.0)
_LOOKS = Pauses(0.05, 0.5)


@dataclass(frozen=True, slots=True)
class Policy:
    """`timeout_s` is what a call may take in all. `attempts` is how often it is made at most, 0 for as often as that allows."""

    timeout_s: float = 10.0
    attempts: int = 0
    pauses: Pauses = _ATTEMPTS

    def waits(self) -> Iterator[float]:
        """The pauses between attempts, seconds."""
        for made, pause in enumerate(spread(self.pauses), 1):
            if made == self.attempts:
                return
            yield pause


class Answer(NamedTuple):
    """An answer of HTTP."""

    status: int
    body: bytes


class Transport(Protocol):
    """What carries calls: with an event loop, or without."""

    def now(self) -> float:
        """Seconds of a clock that never goes back."""

    async def pause(self, seconds: float) -> None:
        """Waits."""

    async def look(self, service: str) -> None:
        """Finds out where the service's replicas are now."""

    async def call(self, rpc: Rpc, request: Any, timeout_s: float) -> Any:
        """One attempt; raises grpc.RpcError."""

    def stream(self, rpc: Rpc, request: Any, timeout_s: float) -> AsyncIterator[Any]:
        """The responses of a call, None before the first once the service has begun; raises grpc.RpcError."""

    async def post(self, url: str, body: bytes, headers: dict[str, str], timeout_s: float) -> Answer:
        """One request of HTTP; raises OSError or http.client.HTTPException."""

    async def close(self) -> None:
        """Ends every connection."""


class Calls:
    """Calls by one policy. `http` says where ingress takes signals, empty where nothing says it."""

    def __init__(self, transport: Transport, policy: Policy, http: Callable[[], str]) -> None:
        self.transport = transport
        self.policy = policy
        self.http = http

    async def attempt(self, rpc: Rpc, request: Any, timeout_s: float | None = None) -> Any:
        """The response, asked for again while the service is away where that does nothing twice.

        Raises:
            grpc.RpcError: what the last attempt ended with.
        """
        limit = self.policy.timeout_s if timeout_s is None else timeout_s
        deadline = self.transport.now() + limit
        waits = self.policy.waits() if may_repeat(rpc, request) else iter(())
        while True:
            try:
                return await self.transport.call(rpc, request, max(0.001, deadline - self.transport.now()))
            except grpc.RpcError as error:
                wait = next(waits, None)
                away = error.code() is grpc.StatusCode.UNAVAILABLE
                if not away or wait is None or self.transport.now() + wait >= deadline:
                    raise
            await self.transport.pause(wait)
            await self.transport.look(rpc.service)

    async def ask(self, request: Any, timeout_s: float | None = None) -> Any:
        """The response to any request of the contracts. One that lacks a `request_id` gets one, so that it may be repeated.

        Raises:
            ClientError: see `vantixs.client.errors`.
        """
        rpc = rpc_of(request)
        request = _identified(request)
        try:
            return await self.attempt(rpc, request, timeout_s)
        except grpc.RpcError as error:
            raise error_of(error, rpc.service, getattr(request, "request_id", "")) from None

    async def pages(self, request: Any, timeout_s: float | None = None) -> AsyncIterator[Any]:
        """Every item of a listing, in its order, asked for page by page. `timeout_s` is that of each page.

        Raises:
            ClientError: as for `ask`.
        """
        items = rpc_of(request).items
        if not items:
            raise TypeError(f"expected a request that lists, was {request.DESCRIPTOR.full_name}")
        asked = type(request)()
        asked.CopyFrom(request)
        asked.page_size = request.page_size or PAGE
        while True:
            response = await self.ask(asked, timeout_s)
            for item in getattr(response, items):
                yield item
            asked.page_token = response.next_page_token
            if not asked.page_token:
                return

    async def until(self, look: Callable[[float], Any], timeout_s: float, late: ClientError) -> Any:
        """What `look`, given the seconds that it may take, gives once that is something. A service that is away is asked again.

        Raises:
            ClientError: what `look` raised otherwise; `late` where it gave nothing within the time.
        """
        deadline = self.transport.now() + timeout_s
        for wait in spread(_LOOKS):
            left = deadline - self.transport.now()
            with contextlib.suppress(ServiceUnavailable, DeadlineExceeded):
                if (found := await look(min(self.policy.timeout_s, left))) is not None:
                    return found
            if self.transport.now() + wait >= deadline:
                raise late
            await self.transport.pause(wait)
        raise AssertionError


def enum_number(enum: Any, prefix: str, field: str, name: str) -> Any:
    """The number of an enum's value, for example 2 of "executed"; 0 of an empty name.

    Raises:
        ValueError: there is no such value.
    """
    if not name:
        return 0
    full = prefix + name.removeprefix(prefix).upper().replace("-", "_")
    if full not in enum.keys():  # noqa: SIM118 - an enum of protobuf is no mapping
        known = ", ".join(known.removeprefix(prefix).lower() for known in enum.keys()[1:])
        raise ValueError(f"{field}: expected one of {known}, was {name!r}")
    return enum.Value(full)


def _identified(request: Message) -> Message:
    """The request with a request_id, where its contract has one."""
    if "request_id" not in request.DESCRIPTOR.fields_by_name or getattr(request, "request_id"):  # noqa: B009
        return request
    copy = type(request)()
    copy.CopyFrom(request)
    copy.request_id = str(uuid.uuid4())  # type: ignore[attr-defined]
    return copy
