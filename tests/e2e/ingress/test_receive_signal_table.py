"""The table of docs/developer/architecture.md, row by row: case, answer, reason, against a running ingress."""

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from vantixs.model.reasons import REASONS
from vantixs.testing.senders import SIGNAL, post, signed
from vantixs.testing.stack import RunningStack, wait_for

Answer = tuple[int, str]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    home = tmp_path_factory.mktemp("table") / "home"
    running = RunningStack(home, VANTIXS_INGRESS_BODY_TIMEOUT_S="0.5", VANTIXS_INGRESS_SPOOL_MAX_BYTES="400000").start()
    yield running
    assert running.stop() == 0


def create(stack: RunningStack, name: str, *flags: str) -> dict[str, Any]:
    return stack.json("webhook", "create", "--account-id", "paper", "--webhook-id", name, *flags)


def test_every_row_of_the_table(stack: RunningStack) -> None:
    wrong = {}
    for name, row in rows(stack):
        expected, made = row()
        was = (made.status_code, made.json().get("reason", ""))
        if was != expected:
            wrong[name] = (expected, was, made.text)
        if not made.is_success:
            assert made.headers["content-type"] == "application/problem+json", name
            assert made.json()["title"] == REASONS[was[1]].meaning, name
        assert ("retry-after" in made.headers) == (was[0] in (429, 503)), name
    assert wrong == {}


def rows(stack: RunningStack) -> Iterator[tuple[str, Callable[[], tuple[Answer, httpx.Response]]]]:
    base = stack.endpoints["http"]

    def to(url: str, body: Any, status: int, reason: str = "", **headers: str) -> Any:
        return lambda: ((status, reason), post(url, body, **headers))

    demo = stack.url
    yield "accepted", to(demo, SIGNAL | {"nonce": "t1"}, 202)
    yield "same key, same content", to(demo, SIGNAL | {"nonce": "t1"}, 200, "DUPLICATE_SIGNAL")
    yield "same key, other content", to(demo, SIGNAL | {"nonce": "t1", "comment": "x"}, 409, "IDEMPOTENCY_CONFLICT")
    yield "first of two without key", to(demo, SIGNAL | {"comment": "twice"}, 202)
    yield "same bytes", to(demo, SIGNAL | {"comment": "twice"}, 200, "DUPLICATE_SUPPRESSED")
    yield "unknown webhook", to(f"{base}/hooks/nobody/token", SIGNAL, 401, "TOKEN_INVALID")
    yield "wrong token", to(f"{base}/hooks/demo/token", SIGNAL, 401, "TOKEN_INVALID")
    yield "missing token", to(f"{base}/hooks/demo", SIGNAL, 401, "TOKEN_INVALID")
    yield "tokens that disagree", to(demo, SIGNAL, 401, "TOKEN_INVALID", x_webhook_token="other")
    yield "token in the body that disagrees", to(demo, SIGNAL | {"token": "other"}, 401, "TOKEN_INVALID")
    yield "another product's secret in the body", to(demo, SIGNAL | {"secret": "other", "nonce": "t2"}, 202)

    lapsing = create(stack, "lapsing")["url"]
    stack.json("webhook", "rotate", "lapsing", "--grace-s", "0")
    yield "expired token", to(lapsing, SIGNAL, 401, "TOKEN_EXPIRED")
    revoked = create(stack, "revoked")["url"]
    stack.json("webhook", "revoke", "revoked", "t1")
    yield "revoked token", to(revoked, SIGNAL, 401, "TOKEN_REVOKED")

    signing = create(stack, "signing", "--minimum-proof", "signature", "--signature-tolerance-s", "60")
    secret, url, body = signing["signing_secret"], f"{base}/hooks/signing", json.dumps(SIGNAL).encode()
    yield "signed", to(url, body, 202, **signed(secret, body, "m1"))
    yield "signed again", to(url, body, 200, "DUPLICATE_SIGNAL", **signed(secret, body, "m1"))
    yield "bad signature", to(url, body, 401, "SIGNATURE_INVALID", **signed("whsec_" + "A" * 32, body, "m2"))
    yield "other body", to(url, body + b" ", 401, "SIGNATURE_INVALID", **signed(secret, body, "m2"))
    yield "no signature", to(signing["url"], body, 401, "SIGNATURE_INVALID")
    late = signed(secret, body, "m3", at=time.time() - 61)
    yield "old timestamp", to(url, body, 401, "TIMESTAMP_OUT_OF_TOLERANCE", **late)
    early = signed(secret, body, "m3", at=time.time() + 70)
    yield "timestamp to come", to(url, body, 401, "TIMESTAMP_OUT_OF_TOLERANCE", **early)
    yield "unknown webhook, signed", to(f"{base}/hooks/nobody", body, 401, "SIGNATURE_INVALID", **late)

    disabled = create(stack, "disabled")["url"]
    stack.json("webhook", "disable", "disabled")
    yield "disabled", to(disabled, SIGNAL, 403, "WEBHOOK_DISABLED")
    elsewhere = create(stack, "elsewhere", "--source-networks", "tradingview")["url"]
    yield "address not allowed", to(elsewhere, SIGNAL, 403, "SOURCE_ADDRESS_NOT_ALLOWED")

    yield "not text", to(demo, b"\xff\xfe\xff", 400, "BODY_UNREADABLE")
    yield "not strict JSON", to(demo, '{"action": "buy",}', 400, "BODY_UNREADABLE")
    yield "no known text dialect", to(demo, "hello", 400, "BODY_UNREADABLE")
    yield "not an object", to(demo, "[]", 400, "BODY_UNREADABLE")
    yield "field missing", to(demo, {"action": "buy"}, 422, "FIELD_MISSING")
    yield "field invalid", to(demo, SIGNAL | {"quantity": "1,234"}, 422, "FIELD_INVALID")
    yield "key too long", to(demo, SIGNAL, 422, "FIELD_INVALID", idempotency_key="x" * 256)
    yield "fields contradict", to(demo, SIGNAL | {"ticker": "ETHUSDT"}, 422, "FIELD_CONFLICT")
    yield "unrendered", to(demo, SIGNAL | {"symbol": "{{ticker}}"}, 422, "PLACEHOLDER_NOT_RENDERED")

    narrow = create(stack, "narrow", "--instruments", "ETH/USDT", "--actions", "sell", "--actions", "close")["url"]
    yield "action unsupported", to(demo, SIGNAL | {"action": "dance"}, 422, "ACTION_UNSUPPORTED")
    yield "action not allowed", to(narrow, {"action": "buy", "symbol": "ETHUSDT"}, 422, "ACTION_NOT_ALLOWED")
    yield "symbol unsupported", to(demo, SIGNAL | {"symbol": "NOPEUSDT"}, 422, "SYMBOL_UNSUPPORTED")
    yield "symbol ambiguous", to(demo, SIGNAL | {"symbol": "BTC"}, 422, "SYMBOL_AMBIGUOUS")
    yield "symbol not allowed", to(narrow, {"action": "sell", "symbol": "BTCUSDT"}, 422, "SYMBOL_NOT_ALLOWED")
    yield "mode not allowed", to(demo, SIGNAL | {"mode": "live"}, 422, "MODE_NOT_ALLOWED")
    yield "override not allowed", to(demo, SIGNAL | {"leverage": "50"}, 422, "OVERRIDE_NOT_ALLOWED")
    yield "too old", to(demo, SIGNAL | {"timestamp": "2020-01-01T00:00:00Z"}, 422, "SIGNAL_EXPIRED")

    exits = stack.json("webhook", "create-token", "narrow", "--exits-only")["url"]
    yield "token for exits, entry", to(exits, {"action": "sell", "symbol": "ETHUSDT"}, 422, "ACTION_NOT_ALLOWED")
    yield "token for exits, exit", to(exits, {"action": "close", "symbol": "ETHUSDT"}, 202)

    yield "too large", to(demo, b"x" * 70_000, 413, "BODY_TOO_LARGE")
    limited = create(stack, "limited", "--rate-limit-per-minute", "1")["url"]
    yield "first of the minute", to(limited, SIGNAL, 202)
    yield "too many", to(limited, SIGNAL, 429, "RATE_LIMITED")
    yield (
        "too slow",
        lambda: (
            (408, "REQUEST_TIMEOUT"),
            raw(base, b"POST /hooks/demo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{"),
        ),
    )
    yield "not HTTP", lambda: ((400, "REQUEST_MALFORMED"), raw(base, b"hello\r\n\r\n"))
    head = b"POST / HTTP/1.1\r\n" + b"".join(b"x-%d: y\r\n" % n for n in range(150)) + b"\r\n"
    yield "headers too large", lambda: ((431, "HEADERS_TOO_LARGE"), raw(base, head))
    yield "another method", lambda: ((405, "METHOD_NOT_ALLOWED"), httpx.put(demo))
    yield "another path", lambda: ((404, "NOT_FOUND"), httpx.post(f"{base}/hooks"))
    yield "cannot be stored", lambda: ((503, "STORAGE_UNAVAILABLE"), fill(stack))


def raw(base: str, data: bytes) -> httpx.Response:
    """What ingress answers to bytes that are no request."""
    host, _, port = base.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(data)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:])
    return httpx.Response(int(lines[0].split()[1]), headers=headers, content=body)


def fill(stack: RunningStack) -> httpx.Response:
    """Sends until the spool is full, with the broker frozen; the first answer that is no 202."""
    pid = stack.pid("nats")
    os.kill(pid, signal.SIGSTOP)
    try:
        for number in range(2000):
            answer = post(stack.url, SIGNAL | {"comment": "x" * 900, "nonce": f"fill-{number}"})
            if answer.status_code != 202:
                return answer
        raise AssertionError("2,000 signals fitted into a spool of 400,000 bytes")
    finally:
        os.kill(pid, signal.SIGCONT)
        wait_for(lambda: post(stack.url, SIGNAL | {"nonce": "drained"}).is_success, "ingress to take signals again")


def test_unauthenticated_answers_are_the_same_byte_for_byte(stack: RunningStack) -> None:
    base, body = stack.endpoints["http"], json.dumps(SIGNAL)
    answers = [
        post(f"{base}/hooks/{path}", body, **headers)
        for path in ("nobody/AAAA", "demo/AAAA", "demo", "nobody", "disabled/x", "lapsing/x")
        for headers in ({}, {"authorization": "Bearer x"} if "/" not in path else {})
    ]
    assert {a.status_code for a in answers} == {401}
    assert len({a.content for a in answers}) == 1
    assert len({tuple(sorted(a.headers.items())) for a in answers}) == 1


def test_missing_signature_is_not_told_as_one_that_does_not_fit(stack: RunningStack) -> None:
    made = create(stack, "telling", "--minimum-proof", "signature")
    body = json.dumps(SIGNAL).encode()
    right = signed(made["signing_secret"], body, "told")
    wrong = post(made["url"], body + b" ", **right).json()["detail"]
    assert "does not fit" in wrong
    for parts in (("webhook_signature",), ("webhook_id",), ("webhook_timestamp",), tuple(right)):
        headers = {name: value for name, value in right.items() if name not in parts}
        # With the token it is a known sender, without it an unknown one: both are told the same.
        urls = (made["url"], made["url"].rpartition("/")[0]) if "webhook_signature" in headers else (made["url"],)
        for url in urls:
            refused = post(url, body, **headers)
            assert (refused.status_code, refused.json()["reason"]) == (401, "SIGNATURE_INVALID")
            for name in parts:
                assert f"no {name.replace('_', '-')}" in refused.json()["detail"], refused.text
            assert "does not fit" not in refused.json()["detail"]
    nobody = f"{stack.endpoints['http']}/hooks/nobody"
    unknown = [post(url, body, webhook_signature="v1,x") for url in (nobody, made["url"].rpartition("/")[0])]
    assert unknown[0].content == unknown[1].content


def test_rejections_of_known_senders_are_in_history_with_their_payload(stack: RunningStack) -> None:
    made = []
    disabled = create(stack, "off")["url"]
    stack.json("webhook", "disable", "off")
    for url, body in ((disabled, SIGNAL), (stack.url, "hello"), (stack.url, SIGNAL | {"token": "vxt_other"})):
        made.append(post(url, body).json())
    ended = stack.ended([m["signal_id"] for m in made])
    for answer in made:
        kept = ended[answer["signal_id"]]
        assert (kept["status"], kept["reason"]) == ("SIGNAL_STATUS_REJECTED", answer["reason"])
    shown = stack.run("signals", "show", made[0]["signal_id"]).stdout
    assert "sender: 127.0.0.1, token t1 (" in shown, shown
    assert "webhook: off revision " in shown, shown
    timeline = stack.timelines_of([made[2]["signal_id"]])[made[2]["signal_id"]]
    assert "vxt_other" not in json.dumps(timeline)


def test_unauthenticated_requests_leave_nothing_in_history(stack: RunningStack) -> None:
    before = len(stack.signals())
    for _ in range(5):
        post(f"{stack.endpoints['http']}/hooks/demo/wrong", SIGNAL)
    last = stack.send(SIGNAL | {"nonce": "last"}).json()["signal_id"]
    stack.ended([last])
    assert len(stack.signals()) == before + 1


def test_data_directory_holds_no_token_and_no_secret(stack: RunningStack) -> None:
    made = create(stack, "leak", "--signing")
    post(made["url"], SIGNAL | {"secret": made["token"], "comment": made["token"]})
    post(f"{stack.endpoints['http']}/hooks/leak", f"not json {made['token']}", x_webhook_token=made["token"])
    needles = [made["token"], made["signing_secret"], made["signing_secret"].removeprefix("whsec_")]
    files = [p for p in (*(stack.home / "logs").rglob("*"), *(stack.home / "data").rglob("*")) if p.is_file()]
    assert files
    for path in files:
        try:
            content = path.read_bytes()
        except FileNotFoundError:  # A temporary file of the broker, which has its own name by now.
            continue
        assert not [n for n in needles if n.encode() in content], path
    assert Path(stack.home / "secrets" / "signing-key").stat().st_mode & 0o777 == 0o600
