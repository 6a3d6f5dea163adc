"""gRPC server: tokens with roles, deadlines, errors, health, reflection.

Options: measured in grpcio 1.85 (`grpc.so_reuseport` off so that a busy port is an error; keepalive pings of clients
permitted; connections aged so that clients find new replicas).
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health, health_pb2
from grpc_reflection.v1alpha import reflection
from grpc_status import rpc_status
from prometheus_client import Counter

from vantixs.runtime.addresses import SOCKET_PATH_BYTES, local_socket, split_address
from vantixs.runtime.errors import ServiceError, invalid
from vantixs.runtime.grpc_admission import Admission, Caller, HealthChecks, Role, caller
from vantixs.runtime.health import Health
from vantixs.runtime.lifecycle import StartupError
from vantixs.runtime.logs import log
from vantixs.runtime.settings import ServiceSettings
from vantixs.runtime.tls import grpc_server_tls

__all__ = ["Caller", "Role", "Server", "caller"]

# For the largest request: a payload of 64 KiB to lint, as JSON text. grpcio has one limit for a server, none for a method.
MESSAGE_BYTES = 256 << 10
OPTIONS = (
    ("grpc.so_reuseport", 0),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 1000),
    ("grpc.http2.max_ping_strikes", 0),
    # Then the client connects again, so that it finds new replicas. Calls in progress may end first, for up to a day: to check
    # or to export a history of millions of entries takes longer than a connection lives.
    ("grpc.max_connection_age_ms", 300_000),
    ("grpc.max_connection_age_grace_ms", 86_400_000),
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_metadata_size", 8 << 10),
    ("grpc.absolute_max_metadata_size", 16 << 10),
    # A connection may send one window before its call is admitted. With the bandwidth probe the window would grow.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 64 << 10),
    ("grpc.max_concurrent_streams", 100),
    ("grpc.max_allowed_incoming_connections", 1000),
    # A connection that sends nothing, or does not acknowledge the settings, would otherwise be kept for two minutes.
    ("grpc.server_handshake_timeout_ms", 10_000),
    ("grpc.http2.settings_timeout", 10_000),
    # A peer that has stopped reading is disconnected, and the data that waits for it is freed.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),
)
HANDLED = Counter("vantixs_grpc_server_handled_total", "calls answered", ["method", "code"])


class Server:
    """One service's gRPC server."""

    def __init__(self, settings: ServiceSettings, health_of: Health, *, roles: Mapping[str, Role]) -> None:
        self._settings = settings
        self._health = health_of
        self._roles = roles
        self._names: list[str] = []
        tokens = (settings.viewer_token, settings.auditor_token, settings.operator_token, settings.service_token)
        self._admission = Admission(tokens, roles, _fail)
        # Two servers, for the port and for the home's socket. Each has its own connections and its own queue of new calls, and
        # the event loop serves both in turn.
        self._server, self._local = (grpc.aio.server(options=OPTIONS, interceptors=[self._admission]) for _ in range(2))
        self._servicer = health.aio.HealthServicer()
        health_of.subscribe(self._publish_health)

    def add(self, add_to_server: Callable[[Any, Any], None], servicer: object, full_name: str) -> None:
        """Serves a generated service; every method needs a role in `roles`."""
        add_to_server(servicer, _Recorder(self, full_name))
        self._names.append(full_name)

    async def start(self) -> str:
        """Starts to listen; returns `host:port`.

        Raises:
            StartupError: busy port, or no token set.
            SettingsError: the TLS settings are incomplete, or one of their files cannot be used.
        """
        if not any((self._settings.viewer_token, self._settings.operator_token, self._settings.service_token)):
            raise StartupError("gRPC: expected viewer, operator or service token, none is set (see `vantixs init`)")
        watch = grpc.unary_stream_rpc_method_handler(
            self._servicer.Watch,
            request_deserializer=health_pb2.HealthCheckRequest.FromString,
            response_serializer=health_pb2.HealthCheckResponse.SerializeToString,
        )
        handlers = {"Check": HealthChecks(self._servicer.Check).handler(), "Watch": watch}
        generic = grpc.method_handlers_generic_handler(health.SERVICE_NAME, handlers)
        for server in (self._server, self._local):
            server.add_generic_rpc_handlers((generic,))
            reflection.enable_server_reflection([*self._names, health.SERVICE_NAME], server)
        listen = self._settings.grpc_listen
        try:
            host, _ = split_address(listen)
            if tls := grpc_server_tls(self._settings):
                port = self._server.add_secure_port(listen, tls.server_credentials())
            else:
                port = self._server.add_insecure_port(listen)
        except (RuntimeError, ValueError) as error:
            raise StartupError(f"gRPC: cannot listen on {listen}: {str(error).splitlines()[0]}") from None
        if path := self._local_socket():
            self._local.add_insecure_port(f"unix:{path}")
            await self._local.start()
        await self._server.start()
        self._publish_health()
        return f"{host}:{port}"

    def _local_socket(self) -> str:
        """The path of a socket for the user of this home; empty if there is no home, or the path is too long.

        If others use up the port's connections, the operator of this machine can still use `vantixs halt`.
        """
        run = self._settings.home.absolute() / "run"
        service = self._names[0].split(".")[2] if self._names else ""
        path = str(local_socket(run, service, self._settings.instance))
        return path if service and run.is_dir() and len(path.encode()) <= SOCKET_PATH_BYTES else ""

    async def stop(self, grace_s: float) -> None:
        """Sets health down; calls in progress get `grace_s` seconds to finish."""
        await self._servicer.enter_graceful_shutdown()
        self._admission.stop()
        await asyncio.gather(self._server.stop(grace_s), self._local.stop(grace_s))

    def _publish_health(self) -> None:
        states = {name: self._health.ready for name in ("", *self._names)}
        states |= {f"dependency.{name}": ok for name, (ok, _) in self._health.snapshot().items()}
        for name, ok in states.items():
            status = health_pb2.HealthCheckResponse.SERVING if ok else health_pb2.HealthCheckResponse.NOT_SERVING
            try:
                task = asyncio.ensure_future(self._servicer.set(name, status))
            except RuntimeError:
                return
            _background.add(task)
            task.add_done_callback(_background.discard)

    def wrap(self, method: str, handler: Any) -> Any:
        """A handler that admits the call, runs it, and turns errors into a rich status."""
        if method not in self._roles:
            raise StartupError(f"gRPC: method {method} has no role")
        inner = handler.unary_stream or handler.unary_unary or handler.stream_unary
        deserialize = handler.request_deserializer

        def decode(data: bytes) -> Any:
            """Called once the caller is admitted: left to gRPC, it would come before we know who calls."""
            try:
                return deserialize(data)
            except DecodeError:
                raise invalid("request", "expected a message of the method's request type") from None

        handled = HANDLED.labels(method, "OK")

        async def unary(data: bytes, context: Any) -> Any:
            started = time.monotonic()
            try:
                _need_deadline(context)
                response = await inner(decode(data), context)
            except Exception as error:
                await _fail(method, error, context, started)
            handled.inc()
            return response

        async def stream(data: bytes, context: Any) -> AsyncIterator[Any]:
            started = time.monotonic()
            try:
                _need_deadline(context)
                responses = inner(decode(data), context)
                if not hasattr(responses, "__aiter__"):
                    raise NotImplementedError
                async for response in responses:
                    yield response
            except Exception as error:
                await _fail(method, error, context, started)
            handled.inc()

        async def requests(raw: AsyncIterator[bytes]) -> AsyncIterator[Any]:
            async for data in raw:
                yield decode(data)

        async def client_stream(raw: AsyncIterator[bytes], context: Any) -> Any:
            started = time.monotonic()
            try:
                _need_deadline(context)
                response = await inner(requests(raw), context)
            except Exception as error:
                await _fail(method, error, context, started)
            handled.inc()
            return response

        make: Any = grpc.unary_unary_rpc_method_handler
        run: Any = unary
        if handler.response_streaming:
            make, run = grpc.unary_stream_rpc_method_handler, stream
        elif handler.request_streaming:
            make, run = grpc.stream_unary_rpc_method_handler, client_stream
        serialize = handler.response_serializer

        def encode(response: Any) -> bytes:
            """A handler that has its response in bytes already, for it was stored, answers with them."""
            return response if isinstance(response, bytes) else serialize(response)

        return make(run, None, encode)

    def register(self, full_name: str, handlers: Mapping[str, Any]) -> None:
        """Adds wrapped handlers of a service."""
        wrapped = {name: self.wrap(f"/{full_name}/{name}", handler) for name, handler in handlers.items()}
        generic = grpc.method_handlers_generic_handler(full_name, wrapped)
        for server in (self._server, self._local):
            server.add_generic_rpc_handlers((generic,))


_background: set[Any] = set()


class _Recorder:
    """Stands in for a server while generated code adds its handlers, so that each can be wrapped."""

    def __init__(self, server: Server, full_name: str) -> None:
        self._server = server
        self._full_name = full_name

    def add_generic_rpc_handlers(self, handlers: Any) -> None:
        """Ignored: the registered handlers below are the same ones."""

    def add_registered_method_handlers(self, full_name: str, handlers: Mapping[str, Any]) -> None:
        """Takes what generated code registers."""
        assert full_name == self._full_name, full_name  # noqa: S101 - a programming error
        self._server.register(full_name, handlers)


async def _fail(method: str, error: Exception, context: Any, started: float) -> None:
    if isinstance(error, grpc.aio.AbortError):
        raise error
    failure = error
    if isinstance(error, NotImplementedError):
        failure = ServiceError(grpc.StatusCode.UNIMPLEMENTED, "NOT_IMPLEMENTED", f"{method} is not built yet")
    elif not isinstance(error, ServiceError) and (refused := _refused_value(error)):
        failure = refused
    elif not isinstance(error, ServiceError):
        log.error("rpc.failed", method=method, exc_info=error)
        failure = ServiceError(grpc.StatusCode.INTERNAL, "INTERNAL", "internal error, see the service's log")
    assert isinstance(failure, ServiceError)  # noqa: S101
    HANDLED.labels(method, failure.code.name).inc()
    log.debug("rpc.refused", method=method, reason=failure.reason, seconds=time.monotonic() - started)
    await context.abort_with_status(rpc_status.to_status(failure.status()))


def _refused_value(error: Exception) -> ServiceError | None:
    """INVALID_ARGUMENT, if a call failed because of a text that PostgreSQL does not take, and any caller can send.

    Only calls are told so: to work in the background, which waits where a database is away, it is a mistake like others.
    """
    told = str(getattr(error, "orig", None) or error)
    if "cannot contain NUL (0x00)" not in told and "\\u0000 cannot be converted to text" not in told:
        return None
    return invalid("request", "expected texts without the character U+0000, was one with it")


def _need_deadline(context: grpc.aio.ServicerContext[Any, Any]) -> None:
    if context.time_remaining() is None:
        raise ServiceError(
            grpc.StatusCode.INVALID_ARGUMENT, "DEADLINE_REQUIRED", "expected a deadline on the call, was none"
        )
