"""What the HTTP server reads and what it refuses: heads, trailers, targets, other protocols; real sockets, on both event loops."""

import asyncio
import contextlib

import pytest

from tests.support.http_listener import (
    CHUNKED,
    CLOSE,
    HOST,
    LAST,
    C,
    H,
    connect,
    listening,
    on_both_loops,
    post,
    talk,
)
from tests.support.until import until


@on_both_loops
@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (b"GET /x HTTP/1.1\r\n" + CLOSE + b"\r\n", b"GET /x "),
        (b"GET /a%20b?q=1 HTTP/1.1\r\n" + CLOSE + b"\r\n", b"GET /a b "),
        (b"POST /x HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi", b"POST /x hi"),
        (post(H, C, CHUNKED, body=b"2\r\nhi\r\n0\r\n\r\n"), b"POST /x hi"),
        (post(H, C, CHUNKED, body=b"1;a=b\r\nh\r\n1\r\ni\r\n0\r\n\r\n"), b"POST /x hi"),
        (b"GET /1 HTTP/1.1\r\n" + HOST + b"\r\n" + LAST, b"GET /last "),
        (b"\r\n\r\nGET /x HTTP/1.1\r\n" + CLOSE + b"\r\n", b"GET /x "),
        (b"GET /fault HTTP/1.1\r\n" + CLOSE + b"\r\n", b"Internal Server Error"),
        (post(H, b"Content-Length: 101"), b"too_large"),
        (post(H, b"Content-Length: 99999999999999999999999999"), b"malformed"),
        (post(H, CHUNKED, body=b"65\r\n" + b"x" * 101), b"too_large"),
        (b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", b"head_too_large"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 17_000 + b"\r\n" + HOST + b"\r\n", b"head_too_large"),
        (b"GET / HTTP/1.1\r\n" + b"".join(b"a%d: b\r\n" % n for n in range(101)) + b"\r\n", b"head_too_large"),
        (b"hello\r\n\r\n", b"malformed"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"malformed"),
        (b"GET /x HTTP/2.0\r\n" + HOST + b"\r\n", b"malformed"),
        (b"CONNECT a:80 HTTP/1.1\r\n" + HOST + b"\r\n", b"malformed"),
        (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", b"malformed"),
        (post(H, b"Content-Length: 1", b"Content-Length: 2", body=b"hi"), b"malformed"),
        (post(H, b"Content-Length: 2", b"Content-Length: 2", body=b"hi"), b"malformed"),
        (post(H, b"Content-Length: -1"), b"malformed"),
        (post(H, b"A: b", b" folded: c"), b"malformed"),
        (post(H, b"A : b"), b"malformed"),
    ],
)
async def test_bytes_are_answered(data: bytes, answer: bytes) -> None:
    async with listening(body_bytes=100) as server:
        assert (await talk(server, data)).endswith(answer)


@on_both_loops
@pytest.mark.parametrize(
    ("what", "headers", "body"),
    [
        ("length and coding", (H, b"Content-Length: 3", CHUNKED), b"0\r\n\r\n"),
        ("coding and length", (H, CHUNKED, b"Content-Length: 5"), b"0\r\n\r\n"),
        ("coding before chunked", (H, b"Transfer-Encoding: gzip, chunked"), b"2\r\nhi\r\n0\r\n\r\n"),
        ("coding in two headers", (H, b"Transfer-Encoding: gzip", CHUNKED), b"2\r\nhi\r\n0\r\n\r\n"),
        ("chunked twice", (H, CHUNKED, CHUNKED), b"2\r\nhi\r\n0\r\n\r\n"),
        ("coding without chunked", (H, b"Transfer-Encoding: identity"), b"hi"),
        ("no Host", (), b""),
        ("two Hosts", (H, H), b""),
        ("empty Host", (b"Host:",), b""),
        ("Host with a path", (b"Host: a/b",), b""),
        ("Host with a user", (b"Host: u@a",), b""),
        ("two in one Host", (b"Host: a, b",), b""),
        ("Host with a wrong port", (b"Host: a:x",), b""),
    ],
)
async def test_what_two_servers_could_read_differently_is_refused(
    what: str, headers: tuple[bytes, ...], body: bytes
) -> None:
    async with listening() as server:
        answer = await talk(server, post(*headers, body=body) + LAST)
    assert (answer.count(b"HTTP/1.1 "), answer.count(b"HTTP/1.1 400 ")) == (1, 1), what
    assert b"application/problem+json" in answer


@on_both_loops
@pytest.mark.parametrize("host", [b"a", b"a.example:8080", b"[::1]:80", b"127.0.0.1", b"xn--a_b.example:"])
async def test_valid_host_is_taken(host: bytes) -> None:
    async with listening() as server:
        assert b" 200 " in await talk(server, b"GET /x HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n")


@on_both_loops
async def test_coding_in_http_1_0_is_refused() -> None:
    async with listening() as server:
        answer = await talk(server, b"POST /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        assert answer.endswith(b"malformed")


@on_both_loops
@pytest.mark.parametrize("cut", [None, *range(1, 140, 6)])
async def test_trailers_never_become_headers(cut: int | None) -> None:
    trailers = b"X-Forwarded-For: 52.89.214.238\r\nX-Ssl-Client-S-Dn: CN=TradingView Webhooks\r\nHost: b\r\n\r\n"
    data = post(H, CHUNKED, C, b"X-Forwarded-For: 1.2.3.4", path=b"/headers", body=b"2\r\nhi\r\n0\r\n" + trailers)
    async with listening() as server:
        reader, writer = await connect(server)
        writer.write(data if cut is None else data[:-cut])
        if cut is not None:
            await until(lambda: any(c.scope for c in server.connections))
            writer.write(data[-cut:])
        answer = await asyncio.wait_for(reader.read(), 20)
    assert b"'1.2.3.4'" in answer
    assert b"52.89" not in answer
    assert b"s-dn" not in answer


@on_both_loops
async def test_trailers_are_not_read_without_end() -> None:
    async with listening(head_bytes=1000, body_bytes=100) as server:
        answer = await talk(server, post(H, CHUNKED, body=b"0\r\nX: " + b"x" * 100_000))
        assert answer.endswith(b"too_large")


@on_both_loops
async def test_header_without_end_is_not_kept_without_end() -> None:
    async with listening(head_s=60) as server, asyncio.timeout(20):
        reader, writer = await connect(server)
        writer.write(b"GET / HTTP/1.1\r\nX: ")
        with contextlib.suppress(ConnectionError):
            for _ in range(64):
                writer.write(b"x" * 1000)
                await writer.drain()
        assert (await reader.read()).endswith(b"head_too_large")


@on_both_loops
@pytest.mark.parametrize("upgrade", [b"h2c", b"websocket", b"TLS/1.0"])
@pytest.mark.parametrize("pieces", [1, 7])
async def test_wish_for_another_protocol_is_ignored_and_the_body_kept(upgrade: bytes, pieces: int) -> None:
    wish = (H, b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: " + upgrade, b"HTTP2-Settings: AAMAAABkAAQAAP__")
    sized = post(*wish, b"Content-Length: 2", body=b"hi")
    chunked = post(*wish, CHUNKED, body=b"2\r\nho\r\n0\r\n\r\n")
    bare = post(*wish)
    async with listening() as server:
        reader, writer = await connect(server)
        data = sized + chunked + bare + LAST
        for start in range(0, len(data), len(data) // pieces + 1):
            writer.write(data[start : start + len(data) // pieces + 1])
            await writer.drain()
        answer = await asyncio.wait_for(reader.read(), 20)
    bodies = [part.partition(b"\r\n\r\n")[2] for part in answer.split(b"HTTP/1.1 200 OK\r\n")[1:]]
    assert bodies == [b"POST /x hi", b"POST /x ho", b"POST /x ", b"GET /last "]


@on_both_loops
async def test_large_head_with_a_wish_for_another_protocol_fits_twice() -> None:
    async with listening() as server:
        answer = await talk(
            server, post(H, C + b", upgrade", b"Upgrade: h2c", b"X: " + b"x" * 15_000, b"Content-Length: 2", body=b"hi")
        )
        assert answer.endswith(b"POST /x hi")


@on_both_loops
@pytest.mark.parametrize(
    "target", [b"http://a/hooks/x?y=1", b"HTTPS://a.example:443/hooks/x", b"http://[::1]:80/hooks/x"]
)
async def test_absolute_target_reaches_its_path(target: bytes) -> None:
    async with listening() as server:
        assert (await talk(server, post(H, C, path=target))).endswith(b"POST /hooks/x ")


@on_both_loops
@pytest.mark.parametrize("target", [b"http://a", b"http:///x", b"http://a?x=/y", b"http://u@a/x"])
async def test_absolute_target_without_host_or_path_is_refused(target: bytes) -> None:
    async with listening() as server:
        assert (await talk(server, post(H, C, path=target))).endswith(b"malformed")
