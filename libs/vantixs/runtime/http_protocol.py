"""uvicorn's HTTP/1.1 protocol with deadlines, limits and strict framing, for a URL that anybody can reach (ADR 17).

uvicorn has no time-out and no limit for a head, a body or an unread answer. It takes the trailers of a chunked body
for headers, and drops the body of a request that asks for another protocol. Here the application gets complete
requests only, so a wrong request is answered before any code of the application runs.

tests/integration/ingress/test_http_server.py checks what this class needs of uvicorn. This module is not compiled.
"""

import asyncio
import ipaddress
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from vantixs.runtime.http_messages import (
    FAILED,
    HEAD_TOO_LARGE,
    MALFORMED,
    OVERLOADED,
    TOO_LARGE,
    TOO_SLOW,
    Response,
    wire_headers,
)
from vantixs.runtime.logs import log

LINGER_S = 2.0
LINGER_BYTES = 32 << 20
# How many requests may wait behind the current one. While so many wait, nothing more is read.
PIPELINE = 16
# The parser cannot be stopped in the middle of its input, so it gets a little at a time.
PIECE_BYTES = 4096
# A chunk of one byte takes six on the wire.
CHUNKED_RATIO = 8
_FRAMING = frozenset((b"host", b"content-length", b"transfer-encoding"))
# Source: RFC 3986, 3.2.2 and 3.2.3: a name or IPv4 address, or an IP literal in brackets; then a port.
_HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]+)(?::[0-9]*)?")

Refuse = Callable[[str], Response]


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a connection. Times run from its first byte, or from the previous answer."""

    connections: int = 1000
    head_bytes: int = 16_384
    headers: int = 100
    body_bytes: int = 65_536
    head_s: float = 5.0
    body_s: float = 5.0
    idle_s: float = 30.0


class Refusal(Exception):
    """Ends the reading of a request, from inside a callback of the parser."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


def check_head(parser: Any, target: bytes, headers: list[tuple[bytes, bytes]], limits: Limits) -> bytes:
    """Checks a head against the limits, and what decides the request's host and its length; returns its path.

    Raises:
        Refusal: too large; CONNECT; another version than 1.0 or 1.1; not exactly one valid Host (1.0 may have none); two
            lengths or codings, a length together with a coding, or a coding other than `chunked`; a target without a path.

    Source: RFC 9112, 3.2, 6.1 and 6.3.
    """
    size = len(target) + sum([len(name) + len(value) + 4 for name, value in headers])
    if size > limits.head_bytes or len(headers) > limits.headers:
        raise Refusal(HEAD_TOO_LARGE)
    framing = [pair for pair in headers if pair[0] in _FRAMING]
    found, version = dict(framing), parser.get_http_version()
    host, coding = found.get(b"host"), found.get(b"transfer-encoding")
    if len(found) < len(framing) or version not in ("1.0", "1.1"):
        raise Refusal(MALFORMED)
    if parser.should_upgrade() and parser.get_method() == b"CONNECT":
        raise Refusal(MALFORMED)
    if not _HOST.fullmatch(host) if host is not None else version == "1.1":
        raise Refusal(MALFORMED)
    if coding is not None and (coding.lower() != b"chunked" or b"content-length" in found or version == "1.0"):
        raise Refusal(MALFORMED)
    if int(found.get(b"content-length", b"0")) > limits.body_bytes:
        raise Refusal(TOO_LARGE)
    return target if target.startswith(b"/") else _path_of(target)


def _path_of(target: bytes) -> bytes:
    """Path and query of a target in absolute form (RFC 9112, 3.2.2)."""
    authority, slash, rest = target.partition(b"://")[2].partition(b"/")
    if not slash or not _HOST.fullmatch(authority):
        raise Refusal(MALFORMED)
    return slash + rest


def make_room(newcomer: "GuardedProtocol", places: int) -> bool:
    """Whether the new connection may stay. If the limit is reached, an idle connection is closed for it.

    The closed one is of the address with the most connections: first one that never completed a request, then the one that
    has waited longest.
    """
    connections: set[Any] = newcomer.connections
    while len(connections) > places:
        waiting = [c for c in connections if not c.serving and c is not newcomer]
        if not waiting:
            return False
        shares = Counter(c.origin for c in connections)
        victim = min(waiting, key=lambda c: (-shares[c.origin], c.completed > 0, c.since))
        connections.discard(victim)
        victim.transport.abort()
    return True


class GuardedProtocol(HttpToolsProtocol):
    """One connection. The server calls `check` ten times a second, which ends what has taken too long."""

    def __init__(self, limits: Limits, refuse: Refuse, **given: Any) -> None:
        super().__init__(**given)
        self._limits, self._refusal = limits, refuse
        self._in_body, self._body, self.held = False, bytearray(), b""
        self._fed_bytes = self._dropped_bytes = self._resumed = 0
        self._doing: tuple[object, ...] = ()
        self._running: RequestResponseCycle | None = None
        self.completed, self.origin, self.since = 0, "", self.loop.time()

    @property
    def serving(self) -> bool:
        """Whether a request is being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Registers the connection, or refuses it if there is no room."""
        super().connection_made(transport)
        self.flow = _Flow(self, transport)
        self.client, self.origin = _peer(self.client)
        if not make_room(self, self._limits.connections):
            self._refuse(OVERLOADED)

    def connection_lost(self, exc: Exception | None) -> None:
        """Lets the current request continue without an answer; uvicorn only tells the request that was read last."""
        if self._running:
            self._running.disconnected = True
        self.pipeline.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Reads bytes.

        After a refusal they are dropped: closing at once would discard the answer before the sender reads it.
        """
        if not self._dropped_bytes:
            self.held += data
            self._feed()
            return
        self._dropped_bytes += len(data)
        if self._dropped_bytes > LINGER_BYTES:
            self.transport.abort()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keeps the connection of a sender that closed only its own side, until it has its answers."""
        if self.serving:
            self.cycle.keep_alive = False
        return self.serving

    def resume_writing(self) -> None:
        """Continues to write: the sender has read something."""
        super().resume_writing()
        self._resumed += 1

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_headers_complete(self) -> None:
        """Checks the head. The application starts when the body is complete."""
        self.url = check_head(self.parser, self.url, self.headers, self._limits)
        if self.parser.should_upgrade():
            return
        self._in_body, self._body = True, bytearray()
        # The parser passes trailers on as headers. Then anybody could add headers that a proxy has not checked.
        self.headers = []
        self._answer_continue()

    def on_body(self, body: bytes) -> None:
        """Takes a part of the body."""
        self._body += body
        if len(self._body) > self._limits.body_bytes:
            raise Refusal(TOO_LARGE)

    def on_message_complete(self) -> None:
        """Starts the application, or queues the request behind the current one."""
        if not self._in_body:
            return  # The request asks for another protocol. It is read again without that header.
        self.expect_100_continue = False
        super().on_headers_complete()
        self.cycle.body = self._body
        super().on_message_complete()
        self.scope = None  # type: ignore[assignment]
        self._in_body, self._fed_bytes = False, 0
        self.completed += 1

    def on_response_complete(self) -> None:
        """Continues with the next request. `check` limits how long the connection may be idle."""
        super().on_response_complete()
        self._unset_keepalive_if_required()
        if self.transport.is_closing():
            return
        if self.held:
            self._feed()
            self.flow.resume_reading()
        self._answer_continue()

    def check(self, now: float) -> None:
        """Ends what takes too long, with 408 if a request has begun. `now` is the event loop's time."""
        limits, begun, closing = self._limits, self.scope is not None, self.transport.is_closing()
        reads = (self.flow.write_paused, self._resumed)
        doing = (self.completed, begun, self._in_body, self.serving, closing, self._dropped_bytes > 0, *reads)
        if doing != self._doing:
            self._doing, self.since = doing, now
        taken, paused = now - self.since, self.flow.write_paused
        if self.serving and not paused:
            return
        if paused or closing or self._dropped_bytes:
            if taken > (LINGER_S if self._dropped_bytes else limits.body_s):
                self.transport.abort()
        elif begun and taken > (limits.body_s if self._in_body else limits.head_s):
            self._refuse(TOO_SLOW)
        elif not begun and taken > (limits.idle_s if self.completed else limits.head_s):
            self.transport.close()

    def _answer_continue(self) -> None:
        """Answers `Expect: 100-continue`, once the answers to earlier requests are sent."""
        if self._in_body and self.expect_100_continue and not self.serving and self.parser.get_http_version() == "1.1":
            self.expect_100_continue = False
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _feed(self) -> None:
        """Parses the received bytes, as long as there is room for another request."""
        while self.held and not self._dropped_bytes and len(self.pipeline) < PIPELINE:
            piece, self.held = self.held[:PIECE_BYTES], self.held[PIECE_BYTES:]
            try:
                self.parser.feed_data(piece)
            except httptools.HttpParserUpgrade as upgrade:
                self.held = _head_without_upgrade(self) + piece[upgrade.args[0] :] + self.held
                self.parser, self._fed_bytes = httptools.HttpRequestParser(self), 0
                continue
            except httptools.HttpParserError as error:
                self._refuse(_refusal_text(error))
            # The parser reports a header only when it is complete, so bytes are counted before that.
            self._fed_bytes += len(piece)
            most = self._limits.head_bytes + self._in_body * CHUNKED_RATIO * self._limits.body_bytes
            if self._fed_bytes > most + PIECE_BYTES and not self._dropped_bytes:
                self._refuse(TOO_LARGE if self._in_body else HEAD_TOO_LARGE)
        if self.held:
            self.flow.pause_reading()

    def _refuse(self, what: str) -> None:
        """Answers an invalid request, unless others are being answered, and reads no more of it."""
        self._dropped_bytes, self.held = 1, b""
        if self.serving:
            self.cycle.keep_alive = False
            return
        self.transport.write(_render(self._refusal(what)))
        self.transport.write_eof()
        self.flow.resume_reading()


class _Flow(FlowControl):
    """Resumes reading only if the connection has room; uvicorn asks for it after every answer."""

    def __init__(self, protocol: GuardedProtocol, transport: asyncio.Transport) -> None:
        super().__init__(transport)
        self._protocol = protocol

    def resume_reading(self) -> None:
        """Reads on, if there is room."""
        if not self._protocol.held and len(self._protocol.pipeline) < PIPELINE:
            super().resume_reading()


def _head_without_upgrade(protocol: GuardedProtocol) -> bytes:
    """The head without its request for another protocol, with which the parser would not read the body."""
    parser = protocol.parser
    lines = [b"%s: %s\r\n" % pair for pair in protocol.headers if pair[0] != b"upgrade"]
    first = b"%s %s HTTP/%s\r\n" % (parser.get_method(), protocol.url, parser.get_http_version().encode())
    return b"".join((first, *lines, b"\r\n"))


def _refusal_text(error: Exception) -> str:
    """Why a request is refused, from the parser's error."""
    cause = error.__context__
    if isinstance(cause, Refusal):
        return cause.what
    if isinstance(error, httptools.HttpParserCallbackError) and not isinstance(cause, httptools.HttpParserError):
        log.error("request.failed", exc_info=cause)
        return FAILED
    return MALFORMED


def _peer(client: tuple[str, int] | None) -> tuple[tuple[str, int] | None, str]:
    """The peer's address, and the address that limits count: an IPv4 address, or the /64 network of an IPv6 address."""
    if client is None:
        return None, ""
    # A socket for both families reports IPv4 addresses as IPv6 addresses.
    host = client[0].removeprefix("::ffff:")
    if ":" not in host:
        return (host, client[1]), host
    return (host, client[1]), ":".join(ipaddress.ip_address(host.partition("%")[0]).exploded.split(":")[:4])


def _render(response: Response) -> bytes:
    """An answer that closes its connection, as bytes."""
    lines = [b"HTTP/1.1 %d %s" % (response.status, HTTPStatus(response.status).phrase.encode())]
    lines += [b"%s: %s" % pair for pair in (*wire_headers(response), (b"connection", b"close"))]
    return b"\r\n".join((*lines, b"", response.body))
