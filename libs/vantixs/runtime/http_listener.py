"""An HTTP/1.1 listener for a door that strangers knock at: llhttp reads, and everything has an end.

uvicorn has no time-out for a head or a body, no cap on either, and answers 503 to whoever comes last when its connections
are taken by whoever came slowest (ADR 5). Here every connection that is not being answered has a deadline; where all
connections are taken, the one that least earned its place makes room; and a handler sees complete requests only.
"""

import asyncio
import contextlib
import resource
import socket
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import unquote

import httptools

from vantixs.runtime.addresses import split_address
from vantixs.runtime.lifecycle import Lifecycle, StartupError
from vantixs.runtime.logs import log

SWEEP_S = 0.25
LINGER_S = 2.0
LINGER_BYTES = 32 << 20
PIPELINE = 16
_STATUS_LINES = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n".encode() for s in HTTPStatus}


@dataclass(frozen=True, slots=True)
class Limits:
    """What a connection may cost. Times are from its first byte, or from the answer before."""

    connections: int = 1000
    head_bytes: int = 16_384
    headers: int = 100
    body_bytes: int = 65_536
    head_s: float = 5.0
    body_s: float = 5.0
    idle_s: float = 30.0


class Request:
    """A complete request. Header names are lower case; of a name that came twice the values are joined with a comma."""

    __slots__ = ("body", "client", "headers", "method", "path")

    def __init__(self, method: str, path: str, headers: Mapping[str, str], body: bytes, client: str) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body
        self.client = client


class Response:
    """An answer. `headers` go out as they are, after content type and length."""

    __slots__ = ("body", "headers", "media_type", "status")

    def __init__(
        self,
        status: int,
        body: bytes,
        media_type: str = "application/json",
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.status = status
        self.body = body
        self.media_type = media_type
        self.headers = headers


# What keeps a request from being complete, each answered by the handler's owner in its own words.
TOO_SLOW, TOO_LARGE, HEAD_TOO_LARGE, MALFORMED, OVERLOADED, FAILED = (
    "too_slow",
    "too_large",
    "head_too_large",
    "malformed",
    "overloaded",
    "failed",
)
# An answer that needs no waiting goes out at once: a task is for those that do.
Handle = Callable[[Request], Response | Coroutine[Any, Any, Response]]
Refuse = Callable[[str], Response]


class HttpListener:
    """Listens on one address. `handle` answers complete requests, `refuse` says what to answer where there is none."""

    def __init__(self, handle: Handle, refuse: Refuse, listen: str, limits: Limits) -> None:
        host, port = split_address(listen)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((host, port))
        except OSError as error:
            self._socket.close()
            raise StartupError(f"HTTP: cannot listen on {listen}: {error.strerror}") from None
        self.url = f"http://{host}:{self._socket.getsockname()[1]}"
        self.handle = handle
        self.refuse = refuse
        self.limits = limits
        self.stopping = False
        self.connections: set[Connection] = set()

    def start(self, life: Lifecycle) -> "asyncio.Task[None]":
        """Serves until `stop`."""
        _allow_files(self.limits.connections + 256)
        return life.spawn(self.serve(), name="http")

    async def serve(self) -> None:
        """Takes connections until `stop`, then gives those in hand 2 s."""
        loop = asyncio.get_running_loop()
        # Not by class: a base class written in Python would keep mypyc from making a native one.
        protocol = cast(Callable[[], asyncio.Protocol], lambda: Connection(self, loop))
        server = await loop.create_server(protocol, sock=self._socket, backlog=2048)
        try:
            while not self.stopping:
                await asyncio.sleep(SWEEP_S)
                now = loop.time()
                for connection in [c for c in self.connections if c.deadline <= now]:
                    connection.expire()
        finally:
            server.close()
            for connection in list(self.connections):
                connection.close_when_done()
            end = loop.time() + LINGER_S
            while self.connections and loop.time() < end:  # noqa: ASYNC110 - connections end one by one
                await asyncio.sleep(0.02)
            for connection in list(self.connections):
                connection.abort()

    def stop(self) -> None:
        """Takes no more requests."""
        self.stopping = True

    def admit(self, newcomer: "Connection") -> bool:
        """Whether there is room, made by ending a connection that is not being answered: of the address with the most."""
        if len(self.connections) < self.limits.connections:
            return True
        shares = Counter(c.client for c in self.connections)
        waiting = [c for c in self.connections if not c.serving]
        if not waiting:
            return False
        # Of the address with the most, who never completed a request goes first, and the one that waits longest.
        victim = min(waiting, key=lambda c: (-shares[c.client], c.completed > 0, c.since))
        victim.abort()
        return True


class _Head:
    """What is known of the request that is being read."""

    __slots__ = ("body", "body_size", "count", "headers", "size", "url")

    def __init__(self) -> None:
        self.url = b""
        self.size = 0
        self.headers: dict[str, str] = {}
        self.count = 0
        self.body: list[bytes] = []
        self.body_size = 0


class Connection:
    """One connection: reads a request, has it answered, reads the next. An asyncio.Protocol by what it can do."""

    def __init__(self, listener: HttpListener, loop: asyncio.AbstractEventLoop) -> None:
        self._listener = listener
        self._limits = listener.limits
        self._loop = loop
        self._parser: Any = httptools.HttpRequestParser(self)
        self._head = _Head()
        self._queue: deque[Request] = deque()
        self._task: asyncio.Task[None] | None = None
        self._keep_alive = True
        self._lingering = 0
        self._paused = False
        self._drained: asyncio.Event | None = None
        self._begun = False
        self.client = ""
        self.serving = False
        self.completed = 0
        self.since = loop.time()
        self.deadline = self.since + self._limits.head_s

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A new connection."""
        # uvloop's transports are not asyncio's by class, only by what they can do.
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self.client = peer[0] if peer else ""
        if self._listener.stopping or not self._listener.admit(self):
            self._write(self._listener.refuse(OVERLOADED), keep_alive=False)
            transport.close()
            return
        self._listener.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The sender is gone; what is being answered goes on, and its answer goes nowhere."""
        self._listener.connections.discard(self)
        self._keep_alive = False
        self._queue.clear()
        self._parser = None  # It holds us as we hold it.
        if self._drained:
            self._drained.set()

    def data_received(self, data: bytes) -> None:
        """Some bytes."""
        if self._lingering:
            self._lingering += len(data)
            if self._lingering > LINGER_BYTES:
                self._transport.abort()
            return
        if not self._begun:
            self._begun = True
            if not self.serving:
                self._start_clock(self._limits.head_s)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Nothing is upgraded to; the request itself has been handled like any other.
            self._keep_alive = False
        except httptools.HttpParserError:
            if not self._lingering:
                self._refuse(MALFORMED)

    def eof_received(self) -> None:
        """No more bytes: the transport closes itself."""

    def pause_writing(self) -> None:
        """The sender does not read its answers."""
        self._paused = True

    def resume_writing(self) -> None:
        """It reads again."""
        self._paused = False
        if self._drained:
            self._drained.set()

    # What the parser calls.

    def on_url(self, url: bytes) -> None:
        """Some of the target."""
        self._head.url += url
        self._grow(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header."""
        head = self._head
        head.count += 1
        self._grow(len(name) + len(value) + 4)
        if self._lingering:
            return
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1")
        before = head.headers.get(key)
        head.headers[key] = text if before is None else f"{before}, {text}"

    def on_headers_complete(self) -> None:
        """The head is there; a body that says it is too large is not waited for."""
        if self._lingering:
            return
        headers = self._head.headers
        declared = headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > self._limits.body_bytes:
            self._refuse(TOO_LARGE)
            return
        if "expect" in headers and headers["expect"].lower() == "100-continue" and not self.serving:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if not self.serving:
            self._start_clock(self._limits.body_s)

    def on_body(self, body: bytes) -> None:
        """Some of the body."""
        if self._lingering:
            return
        head = self._head
        head.body_size += len(body)
        if head.body_size > self._limits.body_bytes:
            self._refuse(TOO_LARGE)
            return
        head.body.append(body)

    def on_message_complete(self) -> None:
        """A whole request."""
        if self._lingering or self._transport.is_closing():
            return
        head, self._head = self._head, _Head()
        self._begun = False
        self._keep_alive = self._keep_alive and self._parser.should_keep_alive()
        target = head.url.partition(b"?")[0].decode("latin-1")
        path = unquote(target) if "%" in target else target
        body = head.body[0] if len(head.body) == 1 else b"".join(head.body)
        request = Request(self._parser.get_method().decode("latin-1"), path, head.headers, body, self.client)
        self.completed += 1
        if not self.serving:
            self._serve(request)
        elif len(self._queue) < PIPELINE:
            self._queue.append(request)
            self._transport.pause_reading()
        else:
            self._refuse(MALFORMED)

    # Answering.

    def _serve(self, request: Request) -> None:
        self.serving = True
        self.deadline = float("inf")
        try:
            answer = self._listener.handle(request)
        except Exception as error:
            answer = self._failed(error)
        if isinstance(answer, Response) and not self._paused:
            self._write(answer, keep_alive=self._keep_alive, head=request.method == "HEAD")
            self._next()
        else:
            self._task = self._loop.create_task(self._answer(request, answer))

    async def _answer(self, request: Request, answer: Response | Coroutine[Any, Any, Response]) -> None:
        if not isinstance(answer, Response):
            try:
                answer = await answer
            except Exception as error:
                answer = self._failed(error)
        self._write(answer, keep_alive=self._keep_alive, head=request.method == "HEAD")
        if self._paused:
            await self._drain()
        self._next()

    def _failed(self, error: Exception) -> Response:
        log.error("request.failed", exc_info=error)
        return self._listener.refuse(FAILED)

    def _next(self) -> None:
        """What comes after an answer: the request that waits, the end, or the time in which another has to come."""
        self.serving = False
        if self._queue:
            self._serve(self._queue.popleft())
        elif not self._keep_alive or self._listener.stopping:
            self._transport.close()
        elif not self._transport.is_closing():
            self._start_clock(self._limits.head_s if self._begun else self._limits.idle_s)
            self._transport.resume_reading()

    async def _drain(self) -> None:
        """Waits until the sender reads, but not for ever: who sends and never reads would keep its answers in memory."""
        self._drained = asyncio.Event()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._drained.wait(), self._limits.body_s)
            return
        self._transport.abort()

    def _write(self, response: Response, *, keep_alive: bool, head: bool = False) -> None:
        if self._transport.is_closing():
            return
        lines = "".join(f"{name}: {value}\r\n" for name, value in response.headers)
        if not keep_alive:
            lines += "connection: close\r\n"
        length = len(response.body)
        text = f"content-type: {response.media_type}\r\ncontent-length: {length}\r\n{lines}\r\n"
        parts = (_STATUS_LINES[response.status], text.encode("latin-1"), b"" if head else response.body)
        self._transport.write(b"".join(parts))

    # Ends.

    def expire(self) -> None:
        """The deadline is over: 408 to who has begun a request, a plain end to who has not."""
        if self._lingering:
            self._transport.abort()
        elif self._begun:
            self._refuse(TOO_SLOW)
        else:
            self._transport.close()
            self.deadline = float("inf")

    def close_when_done(self) -> None:
        """Ends it after the answer in hand."""
        self._keep_alive = False
        if not self.serving:
            self._transport.close()

    def abort(self) -> None:
        """Ends it at once."""
        self._listener.connections.discard(self)
        self._transport.abort()

    def _grow(self, size: int) -> None:
        self._head.size += size
        if (
            self._head.size > self._limits.head_bytes or self._head.count > self._limits.headers
        ) and not self._lingering:
            self._refuse(HEAD_TOO_LARGE)

    def _refuse(self, what: str) -> None:
        """Answers what is no request, then reads on and drops it: an end amid its bytes would cost the sender the answer."""
        self._keep_alive = False
        self._lingering = 1
        self._head = _Head()
        if not self.serving:
            self._write(self._listener.refuse(what), keep_alive=False)
            if self._transport.can_write_eof() and not self._transport.is_closing():
                self._transport.write_eof()
        self.deadline = self._loop.time() + LINGER_S

    def _start_clock(self, seconds: float) -> None:
        self.since = self._loop.time()
        self.deadline = self.since + seconds


def _allow_files(number: int) -> None:
    """Raises the soft limit of open files, where the hard one allows it: each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < number:
        wanted = number if hard == resource.RLIM_INFINITY else min(number, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
