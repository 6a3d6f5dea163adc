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
)
from tests.support.until import until


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
