"""What comes over the wire and what the webhook makes of it: trailers, codings, targets, odd requests."""

import gzip
import json
import socket
import zlib
from collections.abc import Iterator

import httpx
import pytest
from vantixs.testing.senders import SIGNAL, post, signed
from vantixs.testing.stack import RunningStack

PROXY = "127.0.0.9"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    running = RunningStack(
        tmp_path_factory.mktemp("edge") / "home",
        VANTIXS_INGRESS_TRUSTED_PROXIES=f"{PROXY}/32",
        VANTIXS_INGRESS_CERTIFICATE_SUBJECT_HEADER="x-client-subject",
        VANTIXS_INGRESS_ADDRESS_FAILURES_PER_MINUTE="20",
    ).start()
    yield running
    assert running.stop() == 0


def raw(stack: RunningStack, data: bytes, client: str = PROXY) -> httpx.Response:
    """The answer to some bytes, from a loopback address."""
    host, _, port = str(stack.endpoints["http"]).removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=20, source_address=(client, 0)) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    return httpx.Response(int(lines[0].split()[1]), headers=dict(n.split(": ", 1) for n in lines[1:]), content=body)


def path_of(stack: RunningStack, url: str) -> str:
    return url.removeprefix(stack.endpoints["http"])


def chunked(path: str, body: bytes, *headers: str, trailers: tuple[str, ...] = ()) -> bytes:
    head = "\r\n".join(
        (f"POST {path} HTTP/1.1", "Host: a", "Connection: close", "Transfer-Encoding: chunked", *headers)
    )
    end = "".join(f"{trailer}\r\n" for trailer in trailers)
    return f"{head}\r\n\r\n{len(body):x}\r\n".encode() + body + f"\r\n0\r\n{end}\r\n".encode()


def create(stack: RunningStack, name: str, *flags: str) -> str:
    made = stack.json("webhook", "create", "--account-id", "paper", "--webhook-id", name, *flags)
    return path_of(stack, made["url"])


def test_trailer_gives_nobody_an_address(stack: RunningStack) -> None:
    path, body = create(stack, "elsewhere", "--source-networks", "tradingview"), json.dumps(SIGNAL).encode()
    told = "X-Forwarded-For: 52.89.214.238"
    assert raw(stack, chunked(path, body, told)).status_code == 202
    for headers in ((), ("X-Forwarded-For: 6.6.6.6",), ("Trailer: X-Forwarded-For",)):
        answer = raw(stack, chunked(path, body, *headers, trailers=(told, "Forwarded: for=52.89.214.238")))
        assert (answer.status_code, answer.json()["reason"]) == (403, "SOURCE_ADDRESS_NOT_ALLOWED")


def test_trailer_shows_no_certificate(stack: RunningStack) -> None:
    path, body = create(stack, "proven", "--minimum-proof", "certificate"), json.dumps(SIGNAL).encode()
    told = "X-Client-Subject: CN=TradingView Webhooks"
    assert raw(stack, chunked(path, body, told)).status_code == 202
    answer = raw(stack, chunked(path, body, trailers=(told,)))
    assert (answer.status_code, answer.json()["reason"]) == (403, "SOURCE_ADDRESS_NOT_ALLOWED")


def test_trailer_evades_no_limit_of_failed_attempts(stack: RunningStack) -> None:
    path, body = path_of(stack, stack.url) + "x", json.dumps(SIGNAL).encode()
    sender = "X-Forwarded-For: 7.7.7.7"
    answers = [raw(stack, chunked(path, body, sender, trailers=(f"X-Forwarded-For: 8.8.8.{n}",))) for n in range(25)]
    assert [a.status_code for a in answers] == [401] * 20 + [429] * 5


@pytest.mark.parametrize("upgrade", ["h2c", "websocket"])
def test_wish_for_another_protocol_costs_no_signal(stack: RunningStack, upgrade: str) -> None:
    path, body = path_of(stack, stack.url), json.dumps(SIGNAL | {"nonce": f"up-{upgrade}"})
    lines = (
        f"POST {path} HTTP/1.1",
        "Host: a",
        "Connection: Upgrade",
        f"Upgrade: {upgrade}",
        f"Content-Length: {len(body)}",
        "",
        body,
    )
    assert raw(stack, "\r\n".join(lines).encode()).status_code == 202


@pytest.mark.parametrize(
    "form", ["http://any.example{path}", "{path}/", "/{path}", "//hooks//demo//{token}//", "{path}?a=1"]
)
def test_target_reaches_the_webhook(stack: RunningStack, form: str) -> None:
    path, body = path_of(stack, stack.url), json.dumps(SIGNAL | {"nonce": form})
    target = form.format(path=path, token=path.rpartition("/")[2])
    lines = (f"POST {target} HTTP/1.1", "Host: a", "Connection: close", f"Content-Length: {len(body)}", "", body)
    assert raw(stack, "\r\n".join(lines).encode()).status_code == 202


@pytest.mark.parametrize("method", ["PUT", "GET", "HEAD", "OPTIONS", "PATCH", "DELETE", "TRACE"])
def test_other_method_is_told_which_one_is_taken(stack: RunningStack, method: str) -> None:
    answer = httpx.request(method, stack.url)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert method == "HEAD" or answer.json()["reason"] == "METHOD_NOT_ALLOWED"


def test_compressed_body_is_the_signal_it_was(stack: RunningStack) -> None:
    for coding, compress in (("gzip", gzip.compress), ("deflate", zlib.compress)):
        body = json.dumps(SIGNAL | {"nonce": coding}).encode()
        assert post(stack.url, compress(body), content_encoding=coding).status_code == 202
        assert post(stack.url, body).json()["reason"] == "DUPLICATE_SIGNAL"


def test_signature_is_of_the_body_before_it_was_compressed(stack: RunningStack) -> None:
    made = stack.json("webhook", "create", "--account-id", "paper", "--webhook-id", "signing", "--signing")
    body = json.dumps(SIGNAL).encode()
    headers = signed(made["signing_secret"], body, "m1")
    assert post(made["url"], gzip.compress(body), content_encoding="gzip", **headers).status_code == 202
    wrong = post(made["url"], gzip.compress(body + b" "), content_encoding="gzip", **headers)
    assert wrong.json()["reason"] == "SIGNATURE_INVALID"


@pytest.mark.parametrize(
    ("body", "coding", "status", "reason"),
    [
        (b"x", "br", 415, "CONTENT_ENCODING_UNSUPPORTED"),
        (gzip.compress(b"x" * 65_537), "gzip", 413, "BODY_TOO_LARGE"),
        (gzip.compress(b"\0" * (50 << 20)), "gzip", 413, "BODY_TOO_LARGE"),
        (b"hello", "gzip", 400, "BODY_UNREADABLE"),
    ],
)
def test_compressed_body_is_refused(stack: RunningStack, body: bytes, coding: str, status: int, reason: str) -> None:
    answer = post(stack.url, body, content_encoding=coding)
    assert (answer.status_code, answer.json()["reason"]) == (status, reason)
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.headers.get("accept-encoding") == "gzip, deflate") == (status == 415)
    if status == 415:
        assert "gzip, deflate" in answer.json()["detail"]
        assert "br" in answer.json()["detail"]


@pytest.mark.parametrize(
    "headers",
    ["", "Host: a\r\nHost: a\r\n", "Host: a b\r\n", "Host: a\r\nTransfer-Encoding: gzip, chunked\r\n"],
    ids=["no Host", "two", "invalid", "coding"],
)
def test_request_that_could_be_read_in_two_ways_is_a_problem_document(stack: RunningStack, headers: str) -> None:
    answer = raw(stack, f"POST {path_of(stack, stack.url)} HTTP/1.1\r\n{headers}\r\n0\r\n\r\n".encode())
    assert (answer.status_code, answer.json()["reason"]) == (400, "REQUEST_MALFORMED")
    assert answer.headers["content-type"] == "application/problem+json"


def test_half_a_request_to_the_console_is_ended(stack: RunningStack) -> None:
    address = next(line.split()[1] for line in stack.output.splitlines() if line.startswith("Console"))
    host, _, port = address.removeprefix("http://").partition("/")[0].partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
        assert connection.recv(65536).startswith(b"HTTP/1.1 408 ")
