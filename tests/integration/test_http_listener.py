"""The listener against senders that are slow, many, odd or hostile; real sockets."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from vantixs.runtime.http_listener import HttpListener, Limits, Request, Response

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"


async def echo(request: Request) -> Response:
    if request.path == "/fault":
        raise LookupError("a fault of ours")
    return Response(200, f"{request.method} {request.path} {request.body.decode()}".encode(), "text/plain")


def refuse(what: str) -> Response:
    return Response({"too_slow": 408, "too_large": 413, "overloaded": 503, "failed": 500}.get(what, 400), what.encode())


@asynccontextmanager
async def listening(handle=echo, **limits: float) -> AsyncIterator[HttpListener]:  # type: ignore[no-untyped-def]
    listener = HttpListener(handle, refuse, "127.0.0.1:0", Limits(**limits))  # type: ignore[arg-type]
    task = asyncio.create_task(listener.serve())
    try:
        yield listener
    finally:
        listener.stop()
        await task
        for writer in OPENED:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        OPENED.clear()


OPENED: list[asyncio.StreamWriter] = []


async def connect(listener: HttpListener) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = listener.url.removeprefix("http://").partition(":")
    for _ in range(100):
        try:
            reader, writer = await asyncio.open_connection(host, int(port))
        except ConnectionRefusedError:
            await asyncio.sleep(0.01)
        else:
            OPENED.append(writer)
            return reader, writer
    raise AssertionError("nothing listens")


async def talk(listener: HttpListener, data: bytes) -> bytes:
    """Sends bytes, and reads until the end."""
    reader, writer = await connect(listener)
    writer.write(data)
    try:
        return await asyncio.wait_for(reader.read(), 20)
    finally:
        writer.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


CLOSE = b"Connection: close\r\n"


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (b"GET /x HTTP/1.1\r\nConnection: close\r\n\r\n", b"GET /x "),
        (b"GET /a%20b?q=1 HTTP/1.1\r\nConnection: close\r\n\r\n", b"GET /a b "),
        (b"POST /x HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi", b"POST /x hi"),
        (b"POST /x HTTP/1.1\r\n" + CLOSE + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", b"POST /x hi"),
        (b"GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n" + CLOSE + b"\r\n", b"GET /2 "),
        (b"GET /x HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", b"GET /x "),
        (b"GET /fault HTTP/1.1\r\nConnection: close\r\n\r\n", b"failed"),
        (b"POST /x HTTP/1.1\r\nContent-Length: 101\r\n\r\n", b"too_large"),
        (b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n" + b"x" * 101, b"too_large"),
        (b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n", b"head_too_large"),
        (b"GET / HTTP/1.1\r\n" + b"".join(b"a%d: b\r\n" % n for n in range(101)) + b"\r\n", b"head_too_large"),
        (b"hello\r\n\r\n", b"malformed"),
        (b"POST /x HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nhi", b"malformed"),
        (b"POST /x HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"malformed"),
        (b"POST /x HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"malformed"),
    ],
)
async def test_bytes_are_answered(data: bytes, answer: bytes) -> None:
    async with listening(body_bytes=100) as listener:
        assert (await talk(listener, data)).endswith(answer)


async def test_head_gets_no_body_and_continue_is_said_where_the_body_is_welcome() -> None:
    async with listening(body_bytes=100) as listener:
        head = await talk(listener, b"HEAD /x HTTP/1.1\r\nConnection: close\r\n\r\n")
        assert head.endswith(b"\r\n\r\n")
        assert b"content-length: 8" in head
        reader, writer = await connect(listener)
        writer.write(b"POST /x HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert await reader.readline() == b"HTTP/1.1 100 Continue\r\n"
        writer.write(b"hi")
        await reader.readuntil(b"POST /x hi")
        writer.close()


async def test_requests_in_a_row_are_answered_in_order_and_too_many_are_cut_off() -> None:
    async with listening() as listener:
        reader, writer = await connect(listener)
        writer.write(b"".join(b"GET /%d HTTP/1.1\r\n\r\n" % n for n in range(10)))
        for number in range(10):
            await asyncio.wait_for(reader.readuntil(b"GET /%d " % number), 10)
        writer.close()
        flood = await talk(listener, GET * 200)
        assert flood.count(b"HTTP/1.1 200") < 200


async def test_body_of_10_mb_is_answered_though_the_sender_goes_on_sending() -> None:
    async with listening() as listener, httpx.AsyncClient(timeout=20) as client:
        await until(lambda: listener)
        (await connect(listener))[1].close()
        answer = await client.post(listener.url, content=b"x" * (10 << 20))
        assert (answer.status_code, answer.text) == (413, "too_large")


@pytest.mark.parametrize(
    ("start", "more", "told"),
    [
        (b"", b"", False),
        (b"G", b"", True),
        (b"GET /x HTTP/1.1\r\nX: ", b"x", True),
        (b"POST /x HTTP/1.1\r\nContent-Length: 9999\r\n\r\n", b"x", True),
    ],
)
async def test_who_trickles_is_ended(start: bytes, more: bytes, told: bool) -> None:
    async with listening(head_s=0.3, body_s=0.3) as listener:
        reader, writer = await connect(listener)
        writer.write(start)

        async def trickle() -> None:
            while True:
                await asyncio.sleep(0.05)
                writer.write(more)

        task = asyncio.create_task(trickle())
        answer = await asyncio.wait_for(reader.read(), 20)
        task.cancel()
        assert (b" 408 " in answer) == told
        writer.close()


async def test_idle_connection_is_ended_later() -> None:
    async with listening(head_s=0.1, idle_s=0.5) as listener:
        reader, writer = await connect(listener)
        writer.write(GET)
        await reader.readuntil(b"GET /x ")
        assert await asyncio.wait_for(reader.read(), 20) == b""
        writer.close()


async def test_newcomer_gets_in_where_slow_ones_have_taken_every_place() -> None:
    async with listening(connections=20, head_s=60) as listener:
        slow = [await connect(listener) for _ in range(20)]
        for _, writer in slow:
            writer.write(b"POST /x HTTP/1.1\r\n")
        await until(lambda: len(listener.connections) == 20)
        for _ in range(5):
            assert (await talk(listener, b"GET /x HTTP/1.1\r\nConnection: close\r\n\r\n")).endswith(b"GET /x ")
        assert len(listener.connections) <= 20
        for _, writer in slow:
            writer.close()


async def test_who_has_completed_requests_stays_and_where_all_are_busy_the_newcomer_is_told() -> None:
    free = asyncio.Event()

    async def wait(request: Request) -> Response:
        await free.wait()
        return await echo(request)

    async with listening(wait, connections=3) as listener:
        busy = [await connect(listener) for _ in range(3)]
        for _, writer in busy:
            writer.write(GET)
        await until(lambda: sum(c.serving for c in listener.connections) == 3)
        assert (await talk(listener, GET)).endswith(b"overloaded")
        free.set()
        for reader, _ in busy:
            await reader.readuntil(b"GET /x ")
        newcomer = await connect(listener)
        await until(lambda: len(listener.connections) == 3)
        assert sum(c.completed for c in listener.connections) == 2
        for _, writer in (*busy, newcomer):
            writer.close()


async def test_sender_that_hangs_up_does_not_undo_its_request() -> None:
    done = []

    async def slow(request: Request) -> Response:
        await asyncio.sleep(0.1)
        done.append(request.path)
        return await echo(request)

    async with listening(slow) as listener:
        _, writer = await connect(listener)
        writer.write(GET)
        await until(lambda: any(c.serving for c in listener.connections))
        writer.transport.abort()
        await until(lambda: done)


async def test_sender_that_never_reads_is_ended() -> None:
    async def large(_: Request) -> Response:
        return Response(200, b"x" * (1 << 20))

    async with listening(large, body_s=0.3) as listener:
        reader, writer = await connect(listener)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(GET * 16)
        await until(lambda: listener.connections)
        await until(lambda: not listener.connections)
        writer.transport.abort()
        del reader


async def test_stopping_answers_what_is_in_hand_and_ends_the_idle() -> None:
    async def slow(request: Request) -> Response:
        await asyncio.sleep(0.3)
        return await echo(request)

    async with listening(slow) as listener:
        idle_reader, idle = await connect(listener)
        reader, writer = await connect(listener)
        writer.write(GET)
        await until(lambda: any(c.serving for c in listener.connections))
        listener.stop()
        assert (await asyncio.wait_for(reader.read(), 20)).endswith(b"GET /x ")
        assert await asyncio.wait_for(idle_reader.read(), 20) == b""
        idle.close()
        writer.close()
