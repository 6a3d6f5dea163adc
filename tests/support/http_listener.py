"""The HTTP server on a real socket, and senders that write bytes to it."""

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop
from vantixs.runtime.http_messages import Request, Response, read_request, send_response
from vantixs.runtime.http_protocol import Limits
from vantixs.runtime.http_server import HttpServer

from tests.support.until import until

HOST = b"Host: a\r\n"
CLOSE = HOST + b"Connection: close\r\n"
GET = b"GET /x HTTP/1.1\r\n" + HOST + b"\r\n"
LAST = b"GET /last HTTP/1.1\r\n" + CLOSE + b"\r\n"
STATUS = {"too_slow": 408, "too_large": 413, "head_too_large": 431, "overloaded": 503, "failed": 500}
Handle = Callable[[Request], Awaitable[Response]]


def on_both_loops(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Runs the test on asyncio's own loop, and on uvloop as services do."""

    def run(loop: str, **given: Any) -> None:
        {"asyncio": asyncio.run, "uvloop": uvloop.run}[loop](test(**given))

    signature = inspect.signature(test)
    first = inspect.Parameter("loop", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    run.__signature__ = signature.replace(parameters=[first, *signature.parameters.values()])  # type: ignore[attr-defined]
    run.__name__ = run.__qualname__ = test.__name__
    run.__doc__ = test.__doc__
    # The marks that the test already has.
    run.pytestmark = getattr(test, "pytestmark", [])  # type: ignore[attr-defined]
    return pytest.mark.parametrize("loop", ["asyncio", "uvloop"])(run)


async def echo(request: Request) -> Response:
    if request.path == "/fault":
        raise LookupError("a fault of ours")
    if request.path == "/headers":
        return Response(200, repr(sorted(request.headers.items())).encode(), "text/plain")
    return Response(200, f"{request.method} {request.path} {request.body.decode()}".encode(), "text/plain")


def refuse(what: str) -> Response:
    return Response(STATUS.get(what, 400), what.encode(), "application/problem+json")


@asynccontextmanager
async def listening(handle: Handle = echo, listen: str = "127.0.0.1:0", **limits: float) -> AsyncIterator[HttpServer]:

    async def app(scope: Any, receive: Any, send: Any) -> None:
        request = await read_request(scope, receive)
        assert request
        await send_response(await handle(request), send)

    server = HttpServer(app, listen, Limits(**limits), refuse)  # type: ignore[arg-type]
    task = asyncio.create_task(server.serve())
    await until(lambda: server._server.started)
    try:
        yield server
    finally:
        server.stop()
        await task
        for writer in OPENED:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        OPENED.clear()
        assert not server._server.server_state.tasks


OPENED: list[asyncio.StreamWriter] = []


async def connect(server: HttpServer, host: str = "127.0.0.1") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection(host, int(server.url.rpartition(":")[2]))
    OPENED.append(writer)
    return reader, writer


async def talk(server: HttpServer, data: bytes, host: str = "127.0.0.1") -> bytes:
    """Sends bytes, and reads until the end."""
    reader, writer = await connect(server, host)
    writer.write(data)
    try:
        return await asyncio.wait_for(reader.read(), 20)
    finally:
        writer.close()


def post(*headers: bytes, body: bytes = b"", path: bytes = b"/x") -> bytes:
    return b"POST " + path + b" HTTP/1.1\r\n" + b"".join(h + b"\r\n" for h in headers) + b"\r\n" + body


H, C, CHUNKED = b"Host: a", b"Connection: close", b"Transfer-Encoding: chunked"
