"""Connections of the HTTP server: slow, idle, too many, given up by their sender; real sockets, on both event loops."""

import asyncio
import socket

import pytest
from vantixs.runtime.http_messages import Request, Response

from tests.support.http_listener import (
    CHUNKED,
    CLOSE,
    GET,
    LAST,
    OPENED,
    H,
    connect,
    echo,
    listening,
    on_both_loops,
    post,
    talk,
)
from tests.support.until import until


@on_both_loops
@pytest.mark.parametrize(
    ("start", "more", "told"),
    [
        (b"", b"", False),
        (b"G", b"", True),
        (b"GET /x HTTP/1.1\r\nX: ", b"x", True),
        (b"\r\n", b"\r\n", False),
        (post(H, b"Content-Length: 9999"), b"x", True),
        (post(H, CHUNKED), b"1\r\nx\r\n", True),
        (post(H, CHUNKED, body=b"0\r\nA: "), b"x", True),
        (post(H, b"Connection: upgrade", b"Upgrade: h2c", b"Content-Length: 9999"), b"x", True),
        (GET + b"GET /y HT", b"", True),
    ],
)
async def test_who_trickles_is_ended(start: bytes, more: bytes, told: bool) -> None:
    async with listening(head_s=0.3, body_s=0.3) as server:
        reader, writer = await connect(server)
        writer.write(start)

        async def trickle() -> None:
            while not writer.is_closing():
                await asyncio.sleep(0.05)
                writer.write(more)

        task = asyncio.create_task(trickle())
        try:
            answer = await asyncio.wait_for(reader.read(), 20)
        except ConnectionResetError:  # It was ended while a piece was on its way.
            answer = b""
        task.cancel()
        assert (b" 408 " in answer) == told
        assert answer.endswith(b"too_slow") == told


@on_both_loops
async def test_idle_connection_is_ended_later() -> None:
    async with listening(head_s=0.1, idle_s=0.5) as server:
        reader, writer = await connect(server)
        writer.write(GET)
        await reader.readuntil(b"GET /x ")
        started = asyncio.get_running_loop().time()
        assert await asyncio.wait_for(reader.read(), 20) == b""
        assert asyncio.get_running_loop().time() - started > 0.3


@on_both_loops
async def test_newcomer_gets_in_where_slow_ones_have_taken_every_place() -> None:
    async with listening(connections=20, head_s=60) as server:
        slow = [await connect(server) for _ in range(20)]
        for _, writer in slow:
            writer.write(b"POST /x HTTP/1.1\r\n")
        await until(lambda: len(server.connections) == 20)
        for _ in range(5):
            assert (await talk(server, b"GET /x HTTP/1.1\r\n" + CLOSE + b"\r\n")).endswith(b"GET /x ")
        assert len(server.connections) <= 20


@on_both_loops
async def test_address_with_the_most_connections_makes_room() -> None:
    async with listening(connections=5, head_s=60) as server:
        few = await asyncio.open_connection(*server._sockets[0].getsockname(), local_addr=("127.0.0.2", 0))
        OPENED.append(few[1])
        await until(lambda: len(server.connections) == 1)
        many = [await connect(server) for _ in range(4)]
        await until(lambda: len(server.connections) == 5)
        many += [await connect(server) for _ in range(3)]
        await until(lambda: sum(reader.at_eof() for reader, _ in many) == 3)
        few[1].write(GET)
        await few[0].readuntil(b"GET /x ")


@on_both_loops
async def test_who_has_completed_requests_stays_and_where_all_are_busy_the_newcomer_is_told() -> None:
    free = asyncio.Event()

    async def wait(request: Request) -> Response:
        await free.wait()
        return await echo(request)

    async with listening(wait, connections=3) as server:
        busy = [await connect(server) for _ in range(3)]
        for _, writer in busy:
            writer.write(GET)
        await until(lambda: sum(c.serving for c in server.connections) == 3)
        for _ in range(3):
            answer = await talk(server, GET)
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert answer.endswith(b"overloaded")
            assert len(server.connections) <= 4
        free.set()
        for reader, _ in busy:
            await reader.readuntil(b"GET /x ")
        await connect(server)
        await until(lambda: len(server.connections) == 3)
        assert sum(c.completed for c in server.connections) == 2


@on_both_loops
async def test_sender_that_hangs_up_does_not_undo_its_request() -> None:
    done = []

    async def slow(request: Request) -> Response:
        await asyncio.sleep(0.1)
        done.append(request.path)
        return await echo(request)

    async with listening(slow) as server:
        _, writer = await connect(server)
        writer.write(GET)
        await until(lambda: any(c.serving for c in server.connections))
        writer.transport.abort()
        await until(lambda: done)


@on_both_loops
@pytest.mark.parametrize("count", [1, 2, 30])
async def test_sender_that_hangs_up_is_no_fault_of_ours(count: int, caplog: pytest.LogCaptureFixture) -> None:
    done = []

    async def slow(request: Request) -> Response:
        await asyncio.sleep(0.2)
        done.append(request.path)
        return await echo(request)

    async with listening(slow) as server:
        _, writer = await connect(server)
        writer.write(GET * (count - 1) + LAST + post(H, b"Expect: 100-continue", b"Content-Length: 2"))
        await until(lambda: any(c.serving for c in server.connections))
        writer.transport.abort()
        await until(lambda: done and not server.connections and not server._server.server_state.tasks)
    assert [r for r in caplog.records if r.levelname in ("WARNING", "ERROR")] == []
    assert len(done) == 1


@on_both_loops
@pytest.mark.parametrize("hang_up", ["close", "reset"])
async def test_sender_that_does_not_wait_for_its_answer_is_served(hang_up: str) -> None:
    done = []

    async def slow(request: Request) -> Response:
        await asyncio.sleep(0.05)
        done.append(request.body)
        return await echo(request)

    async with listening(slow) as server:
        for _ in range(20):
            with socket.create_connection(server._sockets[0].getsockname()) as sender:
                if hang_up == "reset":
                    sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                sender.sendall(post(H, b"Content-Length: 2", body=b"hi"))
        await until(lambda: len(done) == 20)
        assert set(done) == {b"hi"}


@on_both_loops
@pytest.mark.parametrize("size", [1 << 20, 1 << 23])
async def test_sender_that_never_reads_is_ended(size: int, caplog: pytest.LogCaptureFixture) -> None:
    async def large(_: Request) -> Response:
        return Response(200, b"x" * size)

    async with listening(large, body_s=0.3) as server:
        _, writer = await connect(server)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(GET * 16)
        await until(lambda: server.connections)
        await until(lambda: not server.connections and not server._server.server_state.tasks)
    assert [r for r in caplog.records if r.levelname in ("WARNING", "ERROR")] == []


@on_both_loops
async def test_stopping_answers_what_is_in_hand_and_ends_the_idle() -> None:
    async def slow(request: Request) -> Response:
        await asyncio.sleep(0.3)
        return await echo(request)

    async with listening(slow) as server:
        idle_reader, _ = await connect(server)
        reader, writer = await connect(server)
        half_reader, half = await connect(server)
        half.write(b"POST /x HTTP/1.1\r\n")
        writer.write(GET)
        await until(lambda: any(c.serving for c in server.connections))
        server.stop()
        assert (await asyncio.wait_for(reader.read(), 20)).endswith(b"GET /x ")
        assert await asyncio.wait_for(idle_reader.read(), 20) == b""
        assert await asyncio.wait_for(half_reader.read(), 20) == b""
