"""The client against services that a test plays itself, on a clock that only moves when somebody waits."""

import copy
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import grpc
import grpc_testing
import pytest
from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.ingress.v1 import ingress_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.api.router.v1 import router_pb2
from vantixs.client import Client
from vantixs.client.blocking import BlockingTransport
from vantixs.client.contracts import BY_REQUEST
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.grpc_client import equip
from vantixs.runtime.grpc_replicas import Address

MODULES = (audit_pb2, ingress_pb2, risk_pb2, router_pb2)
METHODS = {
    method.name: method
    for module in MODULES
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
assert len(METHODS) == len(BY_REQUEST)
DETAILS = "grpc-status-details-bin"


class Rig:
    """A client in a thread, and this test as every service."""

    def __init__(self) -> None:
        self.http = ""
        self.time = grpc_testing.strict_fake_time(0)
        self.channel = grpc_testing.channel([], self.time)
        self.timeouts: list[float] = []
        self.looked: list[str] = []
        self.addresses = [Address("one")]
        transport = BlockingTransport(self._find, self._open, now=self.time.time, sleep=self.time.sleep_for)
        self.client = Client(transport, http=lambda: self.http)
        self._threads = ThreadPoolExecutor(4)

    def _find(self, service: str) -> list[Address]:
        self.looked.append(service)
        return self.addresses

    def _open(self, address: Address) -> grpc.Channel:
        # grpc_testing has no deadlines of its own: what each attempt was given is noted.
        channel: Any = _Noting(self.channel, self.timeouts)
        equip(channel, token="secret", operator=address.text)
        return channel

    def begin(self, work: Any, *arguments: Any, **options: Any) -> "Future[Any]":
        """Runs the client's side."""
        return self._threads.submit(work, *arguments, **options)

    def take(self, method: str) -> tuple[dict[str, str], Any, Any]:
        """The metadata and the request of the next call of that method, and what to answer it with."""
        metadata, request, call = self.channel.take_unary_unary(METHODS[method])
        # It is the client's own message, which it may go on to change.
        return dict(metadata), copy.deepcopy(request), call

    def answer(self, method: str, response: Any) -> Any:
        """Answers the next call of that method; returns its request."""
        _, request, call = self.take(method)
        call.terminate(response, (), grpc.StatusCode.OK, "")
        return request

    def refuse(self, method: str, error: ServiceError | grpc.StatusCode) -> Any:
        """Ends the next call of that method with an error; returns its request."""
        _, request, call = self.take(method)
        self.end(call, error)
        return request

    def take_watch(self) -> tuple[Any, Any]:
        """The request of the next watch, begun, and what to send changes with."""
        return self.take_stream("WatchSignals")

    def take_stream(self, method: str) -> tuple[Any, Any]:
        """The request of the next call of a method that answers with a stream, begun, and what to answer with."""
        _, request, call = self.channel.take_unary_stream(METHODS[method])
        call.send_initial_metadata(())
        return request, call

    def end(self, call: Any, error: ServiceError | grpc.StatusCode, *, stream: bool = False) -> None:
        """Ends a call with an error, as our services do, or as gRPC itself."""
        rich = isinstance(error, ServiceError)
        failure = error if isinstance(error, ServiceError) else ServiceError(error, error.name, "not now")
        trailing = ((DETAILS, failure.status().SerializeToString()),) if rich else ()
        call.terminate(*(() if stream else (None,)), trailing, failure.code, failure.detail)

    def close(self) -> None:
        self._threads.shutdown()
        self.client.close()


class _Noting:
    def __init__(self, channel: Any, timeouts: list[float]) -> None:
        self._timeouts = timeouts
        self.unary_unary = self._noting(channel.unary_unary)
        self.unary_stream = channel.unary_stream
        self.stream_unary = channel.stream_unary
        self.close = channel.close

    def _noting(self, make: Any) -> Any:
        def method(*arguments: Any, **options: Any) -> Any:
            call = make(*arguments, **options)

            def invoke(request: Any, *, timeout: float, metadata: Any) -> Any:
                self._timeouts.append(timeout)
                return call(request, timeout=timeout, metadata=metadata)

            return invoke

        return method


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.close()
