"""Who may call a gRPC server, decided by a call's metadata before its message is read.

An interceptor runs as soon as the headers are there. A refused call gets a handler that reads nothing, so its message
stays within the flow-control window of its connection, is dropped with the stream, and is never decoded. Each role has
its own number of calls at once: whoever uses up one role's takes none from another. A call without a token holds
nothing but its place among those that wait to be refused, and `Health.Check` has one second to send its request.

grpcio 1.85 never frees a batch of operations that fails or whose task is cancelled, so nothing here answers a call that
its client has ended, or cancels a read. Source: https://github.com/grpc/grpc/issues/43360
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
    """What a token may call; each role may call what those before it may. AUDITOR reads everything, and changes nothing."""

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
        """The caller as the journal names it."""
        return f"{self.role.name.lower()}:{self.name or 'unnamed'}"


_caller: ContextVar[Caller] = ContextVar("caller")


def caller() -> Caller:
    """Who is calling the running handler."""
    return _caller.get()


class Admission(grpc.aio.ServerInterceptor):
    """Checks token and role of each call, and how many calls its role has running.

    `roles` gives the least role of each method ("/pkg.Service/Method"); `refuse` ends a call with an error's status.
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
        """Refuses at once what waits for its turn."""
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
        # The task is the call's own: it is done once the call was answered, failed or was cancelled.
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - gRPC runs interceptors in the call's task
        self._running[role] += 1
        task.add_done_callback(lambda _: self._leave(role))

    def _leave(self, role: Role) -> None:
        self._running[role] -= 1

    def _role(self, authorization: str) -> Role | None:
        given = _digest(authorization.removeprefix("Bearer "))
        found = None
        # In rising order, and none is left out for one found: the time says nothing of which it was.
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
    """Lets calls of unknown callers be answered 250 a second, so that a flood of them leaves time for other calls.

    The others wait, and the last that came is answered first: in a flood, that is rather the caller who sends one call
    than the one who sends many. At most 2,000 wait, or the first that came is answered at once. A client has at most 100
    calls on a connection: whoever waits for his answers sends few calls.

    A call that is cancelled while it waits, as in a flood of streams that are opened and reset, is let go without an
    answer. An answer to it would leave 500 bytes behind. So each call waits 10 ms at least: that it was cancelled is
    known a little later than that it came.
    """

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Future[None], None] = {}
        self._left = 0
        self._timer: asyncio.TimerHandle | None = None

    async def wait(self) -> None:
        """Returns when it is the calling call's turn."""
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
        """Lets all be answered that wait."""
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
    """Answers `Health.Check` for everybody, at no cost that a caller can hold on to.

    A call gets one second to send its request. While there are 64 that have not, the oldest gives way: an honest
    request comes with its headers.
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
        # The read has a task of its own, which ends with the call: it is never cancelled.
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
    """The request; None where none came, or another, or longer than any name of ours: whoever waits holds no message."""
    data = await context.read()
    if data is grpc.aio.EOF or len(data) > CHECK_BYTES:
        return None
    try:
        return health_pb2.HealthCheckRequest.FromString(data)
    except DecodeError:
        return None


_reads: set[asyncio.Future[Any]] = set()


def _retrieve(reading: asyncio.Future[Any]) -> None:
    """Forgets a read, and looks at its error so that nobody is told that it was not: an aborted call's reads end with one."""
    _reads.discard(reading)
    if not reading.cancelled():
        reading.exception()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


# Made once, not for each call: a flood of 400 calls at a time delays others by 260 ms instead of 430 ms (one run).
# It is the status that is kept, and never the error raised: an exception that is raised again keeps the frames of each time
# before in its traceback, and with them the call's metadata, about 1 KiB a call that was never freed.
_UNKNOWN_STATUS = rpc_status.to_status(
    ServiceError(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID", "expected a bearer token of this system").status()
)
