"""Decides who may call a gRPC server, from a call's metadata and before its message is read.

An interceptor runs as soon as the headers have arrived. A refused call gets a handler that reads nothing. So its
message stays within the flow-control window of its connection, is dropped with the stream, and is never decoded. The
number of calls at once is limited for each role separately, so one role cannot use up the calls of another. A call
without a token costs only a place in the queue of refusals, and `Health.Check` has one second to send its request.

grpcio 1.85 never frees a batch of operations that fails or whose task is cancelled. So nothing here answers a call that its
client has ended, or cancels a read. Source: https://github.com/grpc/grpc/issues/43360
"""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from enum import IntEnum
from typing import Any, NamedTuple

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2
from grpc_status import rpc_status
from prometheus_client import Counter

from vantixs.runtime import trace
from vantixs.runtime.errors import ServiceError

CHECK = "/grpc.health.v1.Health/Check"
WATCH = "/grpc.health.v1.Health/Watch"
REFLECT = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
CHECK_S = 1.0
CHECK_BYTES = 256
CHECKS_AT_ONCE = 64
SETTLE_S = 0.01
TURNS_EVERY_S = 0.04
TURNS_AT_A_TIME = 10
TURNS_WAITING = 2000
REFUSED = Counter("vantixs_grpc_server_refused_total", "calls refused before their message was read", ["code"])
REFUSED_UNKNOWN = REFUSED.labels("UNAUTHENTICATED")

Refuse = Callable[[str, Exception, Any, float], Awaitable[None]]


class Role(IntEnum):
    """The role of a token. Each role may call what the roles before it may.

    AUDITOR reads everything, and changes nothing.
    """

    VIEWER = 1
    AUDITOR = 2
    OPERATOR = 3
    SERVICE = 4


# Calls at once for each role. Streams (`WatchSignals`, `Health.Watch`) count while they are open.
CALLS_AT_ONCE: Mapping[Role, int] = {Role.VIEWER: 400, Role.AUDITOR: 100, Role.OPERATOR: 100, Role.SERVICE: 1500}


class Caller(NamedTuple):
    """Who is calling: role and the name given in `x-operator`, at most 64 printable characters."""

    role: Role
    name: str

    @property
    def actor(self) -> str:
        """The caller's name in the journal."""
        return f"{self.role.name.lower()}:{self.name or 'unnamed'}"


_caller: ContextVar[Caller] = ContextVar("caller")


def caller() -> Caller:
    """The caller of the handler that is running."""
    return _caller.get()


class Admission(grpc.aio.ServerInterceptor):
    """Checks token and role of each call, and how many calls its role has in progress.

    `roles` has the least role of each method ("/pkg.Service/Method"); `refuse` ends a call with an error's status.
    """

    def __init__(self, tokens: tuple[str, str, str, str], roles: Mapping[str, Role], refuse: Refuse) -> None:
        self._tokens = [(_digest(t), role) for t, role in zip(tokens, Role, strict=True) if t]
        self._roles = {WATCH: Role.VIEWER, REFLECT: Role.VIEWER} | dict(roles)
        self._refuse = refuse
        self._running = dict.fromkeys(Role, 0)
        self._turns = Turns()
        # For gRPC a stream, whatever the method is: only a stream's handler is run before a message was read.
        self._refuse_unknown: Any = grpc.stream_stream_rpc_method_handler(self._refuse_in_turn)

    def stop(self) -> None:
        """Refuses at once all calls that wait for their turn."""
        self._turns.give_all()

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """The handler of an admitted call, or one that refuses it."""
        method = handler_call_details.method
        if method == CHECK:
            return await continuation(handler_call_details)
        metadata = dict(handler_call_details.invocation_metadata or ())
        role = self._role(str(metadata.get("authorization", "")))
        if role is None:
            REFUSED_UNKNOWN.inc()
            return self._refuse_unknown
        try:
            self._admit(method, role, metadata)
        except ServiceError as error:
            return self._refusal(method if method in self._roles else "unknown", error)
        return await continuation(handler_call_details)

    def _admit(self, method: str, role: Role, metadata: Mapping[str, Any]) -> None:
        trace.enter(str(metadata.get("traceparent", "")))
        least = self._roles.get(method)
        if least is not None and role < least:
            raise ServiceError(
                grpc.StatusCode.PERMISSION_DENIED,
                "ROLE_INSUFFICIENT",
                f"{method}: expected role {least.name}, was {role.name}",
            )
        if self._running[role] >= CALLS_AT_ONCE[role]:
            raise ServiceError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "RATE_LIMITED",
                f"expected at most {CALLS_AT_ONCE[role]} calls at once with role {role.name}, was one more",
            )
        name = str(metadata.get("x-operator", ""))
        if not name.isprintable():
            name = "".join(c for c in name if c.isprintable())
        _caller.set(Caller(role, name[:64]))
        # Each call has its own task. It is done once the call was answered, failed or was cancelled.
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - gRPC runs interceptors in the call's task
        self._running[role] += 1
        task.add_done_callback(lambda _: self._leave(role))

    def _leave(self, role: Role) -> None:
        self._running[role] -= 1

    def _role(self, authorization: str) -> Role | None:
        given = _digest(authorization.removeprefix("Bearer "))
        found = None
        # All roles are compared, in rising order, also after a match: the time does not show which one matched.
        for digest, granted in self._tokens:
            if hmac.compare_digest(digest, given):
                found = granted
        return found

    async def _refuse_in_turn(self, _: Any, context: Any) -> None:
        await self._turns.wait()
        await context.abort_with_status(_UNKNOWN_STATUS)

    def _refusal(self, method: str, error: ServiceError) -> Any:
        started = time.monotonic()
        REFUSED.labels(error.code.name).inc()

        async def refuse(_: Any, context: Any) -> None:
            await self._refuse(method, error, context, started)

        # For gRPC a stream, whatever the method is: only a stream's handler is run before a message was read.
        return grpc.stream_stream_rpc_method_handler(refuse)


class Turns:
    """Answers calls of unknown callers at 250 a second, so that a flood of them leaves time for other calls.

    The others wait, and the newest is answered first: in a flood, it is more likely to be from a caller with one call
    than from one with many. At most 2,000 wait; beyond that the oldest is answered at once. A client can have at most
    100 calls on a connection, so a client that waits for its answers sends few calls.

    A call that is cancelled while it waits, as in a flood of streams that are opened and reset, is dropped without an
    answer, because an answer to it would never free 500 bytes. The cancellation becomes known a little after the
    call, so each call waits at least 10 ms.
    """

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Future[None], None] = {}
        self._left = 0
        self._timer: asyncio.TimerHandle | None = None

    async def wait(self) -> None:
        """Returns when it is this call's turn."""
        await asyncio.sleep(SETTLE_S)
        if self._timer is None:
            self._renew()
        if self._left:
            self._left -= 1
            return
        if len(self._waiting) >= TURNS_WAITING:
            self._give(next(iter(self._waiting)))
        turn = asyncio.get_running_loop().create_future()
        self._waiting[turn] = None
        try:
            await turn
        finally:
            self._waiting.pop(turn, None)

    def give_all(self) -> None:
        """Lets all waiting calls be answered."""
        for turn in list(self._waiting):
            self._give(turn)

    def _renew(self) -> None:
        self._left = TURNS_AT_A_TIME
        while self._left and self._waiting:
            self._give(next(reversed(self._waiting)))
            self._left -= 1
        self._timer = asyncio.get_running_loop().call_later(TURNS_EVERY_S, self._tick)

    def _tick(self) -> None:
        if self._waiting or self._left < TURNS_AT_A_TIME:
            self._renew()
        else:
            self._timer = None

    def _give(self, turn: asyncio.Future[None]) -> None:
        del self._waiting[turn]
        if not turn.done():
            turn.set_result(None)


class HealthChecks:
    """Answers `Health.Check` for everybody, without letting callers hold resources.

    A call has one second to send its request. If 64 calls have not sent theirs, the oldest is ended: the request of
    an honest caller comes with its headers.
    """

    def __init__(self, check: Callable[[Any, Any], Awaitable[Any]]) -> None:
        self._check = check
        self._turns = Turns()
        self._waiting: dict[asyncio.Future[None], None] = {}

    def handler(self) -> Any:
        """A method handler for gRPC."""
        return grpc.stream_unary_rpc_method_handler(
            self._answer,
            response_serializer=health_pb2.HealthCheckResponse.SerializeToString,
        )

    async def _answer(self, _: Any, context: Any) -> Any:
        if len(self._waiting) >= CHECKS_AT_ONCE:
            oldest = next(iter(self._waiting))
            del self._waiting[oldest]
            if not oldest.done():
                oldest.set_result(None)
        given_up: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[given_up] = None
        # The read has a task of its own, which is never cancelled and ends with the call.
        reading = asyncio.ensure_future(_read_check(context))
        reading.add_done_callback(_retrieve)
        _reads.add(reading)
        try:
            await asyncio.wait({reading, given_up}, timeout=CHECK_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._waiting.pop(given_up, None)
        await self._turns.wait()
        if not reading.done():
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "expected a request in time, was none")
        if (request := reading.result()) is None:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "expected a HealthCheckRequest")
        return await self._check(request, context)


async def _read_check(context: Any) -> health_pb2.HealthCheckRequest | None:
    """The request; None if there is none, or it is invalid, or longer than any of our names.

    So a waiting call holds no message.
    """
    data = await context.read()
    if data is grpc.aio.EOF or len(data) > CHECK_BYTES:
        return None
    try:
        return health_pb2.HealthCheckRequest.FromString(data)
    except DecodeError:
        return None


_reads: set[asyncio.Future[Any]] = set()


def _retrieve(reading: asyncio.Future[Any]) -> None:
    """Drops a finished read and retrieves its error: asyncio reports errors that were never retrieved."""
    _reads.discard(reading)
    if not reading.cancelled():
        reading.exception()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


# Made once, not for each call: a flood of 400 calls at a time delays others by 260 ms instead of 430 ms (one run).
# The status is kept, and not the exception: an exception that is raised repeatedly keeps all earlier frames in its traceback,
# and with them the metadata of each call, about 1 KiB that was never freed.
_UNKNOWN_STATUS = rpc_status.to_status(
    ServiceError(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID", "expected a bearer token of this system").status()
)
