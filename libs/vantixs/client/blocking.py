"""The transport of programs without an event loop, and how they use what is written once with `async`."""

import functools
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

import grpc

from vantixs.client.calls import Answer
from vantixs.client.contracts import SERVICES, STUBS, Rpc
from vantixs.client.http import post
from vantixs.runtime.grpc_client import open_blocking_channel
from vantixs.runtime.grpc_replicas import PASSED_OVER_S, Address, addresses_of
from vantixs.runtime.settings import ServiceSettings
from vantixs.runtime.tls import grpc_tls

A = TypeVar("A")
P = ParamSpec("P")
T = TypeVar("T")
_FAILED = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


class Blocking(Generic[A]):
    """A part of the client for programs without an event loop: the same calls, over a transport that blocks."""

    def __init__(self, inner: A) -> None:
        self._inner = inner


def blocking(method: Callable[Concatenate[A, P], Coroutine[Any, Any, T]]) -> Callable[Concatenate[Blocking[A], P], T]:
    """The method, done before it returns."""

    @functools.wraps(method)
    def call(self: Blocking[A], /, *arguments: P.args, **options: P.kwargs) -> T:
        return finish(method(self._inner, *arguments, **options))

    return call


def iterating(
    method: Callable[Concatenate[A, P], AsyncIterator[T]],
) -> Callable[Concatenate[Blocking[A], P], Iterator[T]]:
    """The method as an iterator for `for`."""

    @functools.wraps(method)
    def call(self: Blocking[A], /, *arguments: P.args, **options: P.kwargs) -> Iterator[T]:
        found: Any = method(self._inner, *arguments, **options)
        try:
            while True:
                try:
                    item = finish(found.__anext__())
                except StopAsyncIteration:
                    return
                yield item
        finally:
            finish(found.aclose())

    return call


def finish(work: Coroutine[Any, Any, T]) -> T:
    """What the work returns; it has to be over a transport that blocks.

    Raises:
        RuntimeError: it waits for an event loop.
    """
    try:
        work.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    raise RuntimeError("expected a transport that blocks, was one that waits for an event loop")


@dataclass(slots=True)
class _Replica:
    """One process of a service, and until when others are asked first."""

    channel: grpc.Channel
    stub: Any
    passed_over_until: float = 0.0


class BlockingTransport:
    """Calls over the replicas there are, in turn; one that failed is passed over for a second where there are others.

    `find` says where a service's replicas are, `open_` makes a channel to one. It may be used by several threads.
    """

    def __init__(
        self,
        find: Callable[[str], list[Address]],
        open_: Callable[[Address], grpc.Channel],
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.now = now
        self._find, self._open, self._sleep = find, open_, sleep
        self._replicas: dict[str, dict[Address, _Replica]] = {name: {} for name in SERVICES}
        # Closing a channel would end the calls of other threads, so those that are not listed any more are kept.
        self._gone: list[_Replica] = []
        self._lock = threading.Lock()

    async def pause(self, seconds: float) -> None:
        """Sleeps."""
        self._sleep(seconds)

    async def look(self, service: str) -> None:
        """Finds the replicas there are now."""
        found = self._find(service)
        with self._lock:
            known = self._replicas[service]
            self._gone += [known.pop(address) for address in list(known) if address not in found]
            for address in found:
                if address not in known:
                    channel = self._open(address)
                    known[address] = _Replica(channel, STUBS[service](channel))

    async def call(self, rpc: Rpc, request: Any, timeout_s: float) -> Any:
        """One attempt at one replica; raises grpc.RpcError."""
        deadline = self.now() + timeout_s
        replica = await self._next(rpc.service)
        try:
            return getattr(replica.stub, rpc.method)(request, timeout=max(0.001, deadline - self.now()))
        except grpc.RpcError as error:
            if error.code() in _FAILED:
                replica.passed_over_until = self.now() + PASSED_OVER_S
            raise

    async def stream(self, rpc: Rpc, request: Any, timeout_s: float) -> AsyncIterator[Any]:
        """The responses of one replica, after None once it has begun; raises grpc.RpcError."""
        replica = await self._next(rpc.service)
        call = getattr(replica.stub, rpc.method)(request, timeout=timeout_s)
        try:
            call.initial_metadata()
            yield None
            for response in call:
                yield response
        finally:
            call.cancel()

    async def post(self, url: str, body: bytes, headers: dict[str, str], timeout_s: float) -> Answer:
        """One request of HTTP."""
        return post(url, body, headers, timeout_s)

    async def close(self) -> None:
        """Closes every channel."""
        with self._lock:
            for replica in [*self._gone, *(r for known in self._replicas.values() for r in known.values())]:
                replica.channel.close()
            self._gone.clear()
            for known in self._replicas.values():
                known.clear()

    async def _next(self, service: str) -> _Replica:
        if not self._replicas[service]:
            await self.look(service)
        with self._lock:
            known, now = self._replicas[service], self.now()
            if not known:
                raise NoneKnown(service)
            address = min(known, key=lambda a: known[a].passed_over_until > now)
            replica = known[address] = known.pop(address)  # To the end: the others have their turn first.
            return replica


class NoneKnown(grpc.RpcError):
    """Nothing says where a service is: as a call to one that is away."""

    def __init__(self, service: str) -> None:
        super().__init__(service)
        self._service = service

    def code(self) -> grpc.StatusCode:
        """UNAVAILABLE."""
        return grpc.StatusCode.UNAVAILABLE

    def details(self) -> str:
        """Which service."""
        return f"no process of {self._service} is known to run"

    def trailing_metadata(self) -> tuple[Any, ...]:
        """Nothing."""
        return ()


def open_transport(settings: ServiceSettings, *, token: str, operator: str = "") -> BlockingTransport:
    """A transport by settings.

    Raises:
        SettingsError: TLS cannot be used as it is set.
    """
    tls = grpc_tls(settings)

    def open_(address: Address) -> grpc.Channel:
        return open_blocking_channel(address.text, token=token, operator=operator, tls=tls, host=address.host)

    return BlockingTransport(lambda service: addresses_of(settings, service), open_)
