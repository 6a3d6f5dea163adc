"""The HTTP server against senders that are slow, many, odd or hostile; real sockets, on both event loops."""

import ast
import asyncio
import contextlib
import inspect
import json
import socket
import subprocess
import sys
import textwrap
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import httptools
import httpx
import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState
from vantixs.runtime import http_protocol
from vantixs.runtime.http_messages import Request, Response
from vantixs.runtime.http_protocol import PIPELINE, GuardedProtocol
from vantixs.runtime.http_server import HttpServer
from vantixs.runtime.lifecycle import StartupError

from tests.support.http_listener import (
    CHUNKED,
    CLOSE,
    GET,
    HOST,
    LAST,
    C,
    H,
    connect,
    echo,
    listening,
    on_both_loops,
    post,
    talk,
    until,
)


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


@on_both_loops
async def test_head_gets_no_body_and_continue_is_said_where_the_body_is_welcome() -> None:
    async with listening(body_bytes=100) as server:
        head = await talk(server, b"HEAD /x HTTP/1.1\r\n" + CLOSE + b"\r\n")
        assert head.endswith(b"\r\n\r\n")
        assert b"content-length: 8" in head
        reader, writer = await connect(server)
        writer.write(post(H, b"Expect: 100-continue", b"Content-Length: 2"))
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"hi")
        answer = await reader.readuntil(b"POST /x hi")
        assert answer.startswith(b"HTTP/1.1 200 ")
        refused = await talk(server, post(H, b"Expect: 100-continue", b"Content-Length: 101"))
        assert refused.startswith(b"HTTP/1.1 413 ")


@on_both_loops
async def test_continue_is_said_after_the_answer_before_and_to_http_1_1_only() -> None:
    async def slow(request: Request) -> Response:
        await asyncio.sleep(0.1)
        return await echo(request)

    async with listening(slow) as server:
        reader, writer = await connect(server)
        writer.write(GET + post(H, b"Expect: 100-continue", b"Content-Length: 2"))
        await reader.readuntil(b"GET /x ")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"hi")
        assert (await reader.readuntil(b"POST /x hi")).startswith(b"HTTP/1.1 200 ")
        old = await talk(server, b"POST /x HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi")
        assert old.startswith(b"HTTP/1.1 200 ")


@on_both_loops
async def test_one_connection_takes_one_request_after_the_other() -> None:
    async with listening() as server:
        reader, writer = await connect(server)
        for number in range(3):
            writer.write(post(H, b"Content-Length: 1", body=b"%d" % number))
            answer = await reader.readuntil(b"POST /x %d" % number)
            assert b"connection: close" not in answer
        assert len(server.connections) == 1


@on_both_loops
async def test_requests_in_a_row_are_answered_in_order_and_many_wait() -> None:
    free, most = asyncio.Event(), 0

    async def wait(request: Request) -> Response:
        nonlocal most
        await free.wait()
        most = max(most, *(len(c.pipeline) for c in server.connections))
        return await echo(request)

    async with listening(wait) as server:
        reader, writer = await connect(server)
        count = 3000
        writer.write(b"".join(b"GET /%d HTTP/1.1\r\n" % n + HOST + b"\r\n" for n in range(count)) + LAST)
        await until(lambda: any(c.pipeline for c in server.connections))
        free.set()
        answer = await asyncio.wait_for(reader.read(), 60)
        told = [line.split()[1] for line in answer.split(b"\r\n") if line.startswith(b"GET ")]
        assert answer.count(b"HTTP/1.1 200 ") == count + 1
        order = [part.partition(b"\r\n\r\n")[2] for part in answer.split(b"HTTP/1.1 200 OK\r\n")[1:]]
        assert order == [*(b"GET /%d " % n for n in range(count)), b"GET /last "], told[:3]
        assert PIPELINE <= most < PIPELINE + http_protocol.PIECE_BYTES // 20


@on_both_loops
async def test_pipelined_requests_are_answered_though_the_sender_has_shut_its_side() -> None:
    async with listening() as server:
        reader, writer = await connect(server)
        writer.write(GET * 200)
        writer.write_eof()
        answer = await asyncio.wait_for(reader.read(), 20)
        assert answer.count(b"HTTP/1.1 200 ") == 200


@on_both_loops
async def test_half_close_is_answered() -> None:
    async def slow(request: Request) -> Response:
        await asyncio.sleep(0.1)
        return await echo(request)

    async with listening(slow) as server:
        reader, writer = await connect(server)
        writer.write(post(H, b"Content-Length: 2", body=b"hi"))
        writer.write_eof()
        assert (await asyncio.wait_for(reader.read(), 20)).endswith(b"POST /x hi")
        await until(lambda: not server.connections)
        reader, writer = await connect(server)
        writer.write(b"POST /x HTTP/1.1\r\n")
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), 20) == b""


@on_both_loops
async def test_malformed_request_does_not_cost_the_one_before_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "LINGER_S", 0.1)

    async def slow(request: Request) -> Response:
        await asyncio.sleep(0.5)
        return await echo(request)

    async with listening(slow) as server:
        answer = await talk(server, GET + b"hello\r\n\r\n")
        assert answer.endswith(b"GET /x ")


@on_both_loops
async def test_body_of_10_mb_is_answered_though_the_sender_goes_on_sending() -> None:
    async with listening() as server, httpx.AsyncClient(timeout=20) as client:
        answer = await client.post(server.url, content=b"x" * (10 << 20))
        assert (answer.status_code, answer.text) == (413, "too_large")


@on_both_loops
async def test_both_families_are_served_and_an_ipv4_sender_looks_like_one() -> None:
    async def whoami(request: Request) -> Response:
        return Response(200, request.client.encode())

    last = b"GET /x HTTP/1.1\r\n" + CLOSE + b"\r\n"
    for listen, hosts in (
        ("[::]:0", {"127.0.0.1": b"127.0.0.1", "::1": b"::1"}),
        ("[::1]:0", {"::1": b"::1"}),
        ("localhost:0", {"127.0.0.1": b"127.0.0.1"}),
        ("0.0.0.0:0", {"127.0.0.1": b"127.0.0.1"}),
    ):
        async with listening(whoami, listen) as server:
            assert server.url.startswith(f"http://{listen.rpartition(':')[0]}:")
            for host, told in hosts.items():
                assert (await talk(server, last, host)).endswith(b"\r\n\r\n" + told), (listen, host)


@on_both_loops
async def test_address_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(StartupError, match=f"cannot listen on {listen}: Address already in use"):
            HttpServer(echo, listen)


@on_both_loops
async def test_any_bytes_are_answered_or_ended() -> None:
    """Mutations of good requests: nothing but an answer of the table, and no fault of ours."""
    seeds = [
        post(H, C, CHUNKED, b"Upgrade: h2c", body=b"2\r\nhi\r\n0\r\nA: b\r\n\r\n"),
        post(H, C, b"Content-Length: 2", body=b"hi"),
        LAST,
    ]
    changes = [b"", b"\0", b"\xff", b" ", b"\r\n", b":", b"9", b"://", b"%", b"?", b"#", b"\r\n\r\n", b"upgrade, "]
    async with listening(head_s=0.2, body_s=0.2, idle_s=0.2) as server:
        tries = [s[:at] + c + s[at + 1 :] for s in seeds for c in changes for at in range(0, len(s), 9)]
        for start in range(0, len(tries), 50):
            answers = await asyncio.gather(*(talk(server, data) for data in tries[start : start + 50]))
            statuses = {int(part[:3]) for answer in answers for part in answer.split(b"HTTP/1.1 ")[1:]}
            assert statuses <= {100, 200, 400, 408, 413, 431}


FEW_FILES = """
    import json, resource, sys, uvloop
    from vantixs.runtime.http_messages import Response, read_request, send_response
    from vantixs.runtime.http_server import HttpServer
    from vantixs.runtime.logs import configure
    configure("test", "0", "warning", "json")
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]),) * 2)

    async def app(scope, receive, send):
        await read_request(scope, receive)
        await send_response(Response(200, b"ok"), send)

    async def main():
        server = HttpServer(app, "127.0.0.1:0")
        print(json.dumps([server.url, server.limits.connections]), flush=True)
        await server.serve()

    uvloop.run(main())
"""


def test_few_open_files_mean_few_connections_and_no_idle_work() -> None:
    code = textwrap.dedent(FEW_FILES)
    refused = subprocess.run([sys.executable, "-c", code, "32"], capture_output=True, text=True, check=False)
    assert "StartupError: HTTP: expected at least" in refused.stderr.splitlines()[-1]
    process = subprocess.Popen([sys.executable, "-c", code, "64"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout
    assert process.stderr
    try:
        url, connections = json.loads(process.stdout.readline())
        assert 1 <= connections < 64
        port = int(url.rpartition(":")[2])
        for _ in range(1000):
            with contextlib.suppress(httpx.ConnectError):
                assert httpx.get(url, timeout=20).text == "ok"
                break
        flood = [socket.create_connection(("127.0.0.1", port)) for _ in range(200)]
        try:
            for _ in range(3):
                assert httpx.get(url, timeout=20).text == "ok"
            before = cpu_seconds(process.pid)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(1)
            assert cpu_seconds(process.pid) - before < 0.3
        finally:
            for sender in flood:
                sender.close()
    finally:
        process.terminate()
        process.wait()
        errors = process.stderr.read().decode()
        process.stdout.close()
        process.stderr.close()
    assert errors.count("http.connections_lowered") == 1, errors
    assert len(errors.splitlines()) <= 3, errors


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


@on_both_loops
async def test_update_of_uvicorn_that_takes_away_what_the_protocol_stands_on_is_found() -> None:
    """Every attribute that the class uses and does not define itself is uvicorn's, and is called as it is here."""
    source = textwrap.dedent(inspect.getsource(GuardedProtocol))
    tree = ast.parse(source)
    names = {
        n.attr
        for n in ast.walk(tree)
        if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id == "self"
    }
    stored = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store)}
    inherited = {
        "client", "connections", "cycle", "expect_100_continue", "flow", "headers", "loop", "parser", "pipeline", "scope", "transport", "url",
        "_unset_keepalive_if_required",
    }  # fmt: skip
    own = {name for name in vars(GuardedProtocol) if name not in vars(HttpToolsProtocol)} | (stored - inherited)
    assert names - own - set(vars(HttpToolsProtocol)) - inherited == set(), "name it above where it is uvicorn's"

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204})

    config = uvicorn.Config(app, http="httptools", ws="none", lifespan="off")
    base = HttpToolsProtocol(config, ServerState(), {})
    base.on_message_begin()
    missing = {name for name in inherited if not hasattr(base, name)}
    assert missing == set()
    overridden = [
        name for name in vars(GuardedProtocol) if name in vars(HttpToolsProtocol) and not name.startswith("__")
    ]
    assert set(overridden) == {
        "connection_made", "connection_lost", "data_received", "eof_received", "resume_writing", "_start_asgi_task",
        "on_headers_complete", "on_body", "on_message_complete", "on_response_complete",
    }  # fmt: skip
    for name in overridden:
        ours, theirs = (
            inspect.signature(getattr(GuardedProtocol, name)),
            inspect.signature(getattr(HttpToolsProtocol, name)),
        )
        assert list(ours.parameters) == list(theirs.parameters), name
    assert list(inspect.signature(HttpToolsProtocol).parameters) == ["config", "server_state", "app_state", "_loop"]
    cycle = set(inspect.getsource(RequestResponseCycle.__init__).split())
    assert {"self.body", "self.disconnected", "self.keep_alive", "self.response_complete"} <= cycle
    flow = set(dir(base.flow.__class__)) if base.flow else set(dir(http_protocol.FlowControl))
    assert {"pause_reading", "resume_reading", "pause_writing", "resume_writing"} <= flow
    assert hasattr(http_protocol.FlowControl(asyncio.Transport()), "write_paused")
    assert inspect.iscoroutinefunction(uvicorn.Server.on_tick)
    assert httptools.HttpParserUpgrade


async def test_server_that_was_started_takes_connections_before_its_loop_runs_again() -> None:
    """What is told to be ready is: a sender that came in between was refused once."""

    class Life:
        def spawn(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
            return asyncio.create_task(work, name=name)

    server = HttpServer(echo, "127.0.0.1:0")
    serving = server.start(Life())  # type: ignore[arg-type]
    socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))).close()
    server.stop()
    await serving
