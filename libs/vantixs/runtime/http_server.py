"""An ASGI application on uvicorn with the protocol of `http_protocol`, as part of a service."""

import asyncio
import contextlib
import errno
import json
import os
import resource
import socket
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Any, cast

import uvicorn

from vantixs.runtime.addresses import split_address
from vantixs.runtime.http_messages import (
    HEAD_TOO_LARGE,
    MALFORMED,
    OVERLOADED,
    TOO_LARGE,
    TOO_SLOW,
    Response,
)
from vantixs.runtime.http_protocol import GuardedProtocol, Limits, Refuse
from vantixs.runtime.lifecycle import Lifecycle, StartupError
from vantixs.runtime.logs import log

BACKLOG = 2048  # Connections that wait to be taken; the kernel may keep fewer.
STOP_S = 2.0
# Open files that are kept for what is no connection of ours: databases, the broker, gRPC, a newcomer that is refused.
SPARE_FILES = 32
_NO_SUCH_ADDRESS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
_STATUS = {TOO_SLOW: 408, TOO_LARGE: 413, HEAD_TOO_LARGE: 431, MALFORMED: 400, OVERLOADED: 503}


def refuse(what: str) -> Response:
    """A problem document without a reason of ours, for what is no request."""
    status = _STATUS.get(what, 500)
    content = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    return Response(status, json.dumps(content).encode(), "application/problem+json")


class HttpServer:
    """One HTTP server; access logs are off, for URLs hold tokens.

    Listens on `host:port`; an IPv6 address is in brackets, `[::]` takes both families, a name every address it has. `refuse`
    answers what is no request.

    Raises:
        StartupError: it cannot listen there, or the process may not open enough files.
    """

    def __init__(self, app: Any, listen: str, limits: Limits | None = None, refuse: Refuse = refuse) -> None:
        self.limits = _fit_files(limits or Limits())
        self._sockets = _bind(listen)
        host = listen.rpartition(":")[0]
        self.url = f"http://{host}:{self._sockets[0].getsockname()[1]}"
        config = uvicorn.Config(
            app,
            # uvicorn calls it like a class.
            http=cast(type[asyncio.Protocol], partial(GuardedProtocol, self.limits, refuse)),
            interface="asgi3",
            ws="none",
            loop="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            backlog=BACKLOG,
            timeout_graceful_shutdown=cast(int, STOP_S),
            server_header=False,
            date_header=False,
            proxy_headers=False,
        )
        self._server = _Server(config)

    @property
    def connections(self) -> set[GuardedProtocol]:
        """The open connections."""
        return cast(set[GuardedProtocol], self._server.server_state.connections)

    def start(self, life: Lifecycle) -> "asyncio.Task[None]":
        """Serves until `stop`. Who connects from now on is taken: whoever waits for the service may be told that it is ready."""
        for bound in self._sockets:
            bound.listen(BACKLOG)
        return life.spawn(self.serve(), name="http")

    async def serve(self) -> None:
        """Takes connections until `stop`, then gives those in hand 2 s."""
        try:
            await self._server.serve(sockets=self._sockets)
        finally:
            for connection in list(self.connections):
                connection.transport.abort()

    def stop(self) -> None:
        """Takes no more requests."""
        self._server.should_exit = True


class _Server(uvicorn.Server):
    """Ends what has no time left, and leaves signals to the service's lifecycle."""

    def capture_signals(self) -> Any:
        """No handlers of its own."""
        return contextlib.nullcontext()

    async def on_tick(self, counter: int) -> bool:
        """Comes ten times a second."""
        now = asyncio.get_running_loop().time()
        for connection in cast(list[GuardedProtocol], list(self.server_state.connections)):
            connection.check(now)
        return await super().on_tick(counter)


def _bind(listen: str) -> list[socket.socket]:
    """The sockets of an address. For port 0 all have the port that the first one was given."""
    host, port = split_address(listen)
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, *_, address in found:
            try:
                sockets.append(_bind_one(family, (address[0], port, *address[2:]), both=host == "[::]"))
            except OSError as error:
                # A name may have an address of a family that this machine does not speak.
                if error.errno not in _NO_SUCH_ADDRESS:
                    raise
                missing = error
            else:
                port = int(sockets[0].getsockname()[1])
        if missing and not sockets:
            raise missing
    except OSError as error:
        for bound in sockets:
            bound.close()
        raise StartupError(f"HTTP: cannot listen on {listen}: {error.strerror}") from None
    return sockets


def _bind_one(family: int, address: tuple[Any, ...], *, both: bool) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not both))
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


def _fit_files(limits: Limits) -> Limits:
    """The limits with as many connections as there may be open files: without one, accepting would fail again and again."""
    used = len(os.listdir("/dev/fd"))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = used + SPARE_FILES + limits.connections
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    room = soft - used - SPARE_FILES
    if room < 1:
        least = used + SPARE_FILES + 1
        raise StartupError(f"HTTP: expected at least {least} open files to be allowed (ulimit -n), was {soft}")
    if room < limits.connections:
        log.warning("http.connections_lowered", connections=room, wanted=limits.connections, open_files=soft)
        return replace(limits, connections=room)
    return limits
