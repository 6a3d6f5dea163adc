"""The answers of the webhook URL, through a real ingress: docs/developer/architecture.md."""

import json
import socket
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from vantixs.client import Client
from vantixs.testing.stack import RunningStack

from tests.support.alerts import load_alerts

ALERTS = load_alerts("alerts.jsonl")


@pytest.mark.parametrize("alert", ALERTS, ids=[a["id"] for a in ALERTS])
def test_alert_is_taken_as_specified(stack: RunningStack, alert: dict[str, Any]) -> None:
    token = stack.url.rpartition("/")[2]
    body = alert["body"].replace("$TOKEN", token).replace("$NOW_ISO", datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    response = stack.send(body)
    expect = alert["expect"]
    assert ("ACCEPTED" if response.is_success else "REJECTED") == expect["outcome"], response.text
    if not response.is_success:
        assert response.json()["reason"] == expect["reason"]
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["signal_id"]


def base(stack: RunningStack) -> str:
    return str(stack.endpoints["http"])


def test_same_key_same_content_is_200_other_content_409(stack: RunningStack) -> None:
    first = stack.send({"action": "buy", "symbol": "ADAUSDT"}, Idempotency_Key="one")
    again = stack.send({"action": "buy", "symbol": "ADAUSDT"}, Idempotency_Key="one")
    other = stack.send({"action": "buy", "symbol": "ADAUSDT", "comment": "other"}, Idempotency_Key="one")
    assert (first.status_code, again.status_code, other.status_code) == (202, 200, 409)
    assert again.json()["signal_id"] == first.json()["signal_id"]
    assert (again.json()["reason"], other.json()["reason"]) == ("DUPLICATE_SIGNAL", "IDEMPOTENCY_CONFLICT")


def test_body_with_a_key_trades_once_whatever_its_headers_say(stack: RunningStack) -> None:
    body = {"action": "buy", "symbol": "BTCUSDT", "nonce": "N1"}
    refused = [stack.send(body, Idempotency_Key=key) for key in ("hX", "hY")]
    assert [answer.json()["reason"] for answer in refused] == ["FIELD_CONFLICT"] * 2
    assert "nonce and Idempotency-Key, was 'N1' and 'hX'" in refused[0].json()["detail"]
    first = stack.send(body)
    again = [
        stack.send(body),
        stack.send(body, Idempotency_Key="N1"),
        *(stack.send(body, webhook_id=message) for message in ("m1", "m2")),
    ]
    assert (first.status_code, [answer.json()["reason"] for answer in again]) == (202, ["DUPLICATE_SIGNAL"] * 4)
    assert {answer.json()["signal_id"] for answer in again} == {first.json()["signal_id"]}
    twice = httpx.post(
        stack.url, json={**body, "nonce": "N2"}, headers=[("Idempotency-Key", "a"), ("idempotency-key", "b")]
    )
    assert twice.json()["reason"] == "FIELD_CONFLICT"


def test_exit_with_two_keys_is_taken_by_that_of_its_body(stack: RunningStack) -> None:
    body = {"action": "close", "symbol": "BTCUSDT", "nonce": "X1"}
    first, again = (stack.send(body, Idempotency_Key=key) for key in ("hX", "hY"))
    assert (first.status_code, again.json()["reason"]) == (202, "DUPLICATE_SIGNAL")
    assert [(w["field"], w["reason"]) for w in first.json()["warnings"]] == [("nonce", "FIELD_CONFLICT")]


def test_client_sends_a_payload_with_a_key_as_one_signal(stack: RunningStack) -> None:
    with Client.from_home(stack.home) as client:
        for number, payload in enumerate(({"nonce": "K-2"}, {"order": {"nonce": "K-3"}}, {"idempotency_key": "K-4"})):
            signal = {"action": "buy", "symbol": "BTCUSDT", "comment": f"client {number}", **payload}
            first, again = client.signals.send(signal), client.signals.send(signal)
            assert (again.signal_id, first.duplicate, again.duplicate) == (first.signal_id, False, True), payload
        keyless = {"action": "buy", "symbol": "BTCUSDT", "comment": "client without a key"}
        assert client.signals.send(keyless).signal_id != client.signals.send(keyless).signal_id


@pytest.mark.parametrize(
    "symbol",
    ["password=Cnry8812word", "Bearer Cnry8812word", "sk_live_Cnry8812word", "api_key: Cnry8812word", "Cnry8812word"],
)
def test_secret_in_a_refused_symbol_is_kept_nowhere(stack: RunningStack, symbol: str) -> None:
    bodies: list[Any] = [
        {"action": "buy", "symbol": symbol, "secret": "Cnry8812word"},
        {"action": "buy", "base": symbol, "quote": "USDT", "secret": "Cnry8812word"},
        f"action=buy&symbol=NOSUCHPAIR&comment={quote(f'x&secret=Cnry8812word {symbol}' if ' ' in symbol else 'secret=Cnry8812word')}",
    ]
    answers = [stack.send(body) for body in bodies]
    assert {answer.json()["reason"] for answer in answers} == {"SYMBOL_UNSUPPORTED"}
    stack.ended([answer.json()["signal_id"] for answer in answers])
    shown = "".join(answer.text for answer in answers) + json.dumps(stack.signals())
    assert "Cnry8812" not in shown + stack.run("signals", "list").stdout
    for path in (stack.home / "data").rglob("*"):
        assert not path.is_file() or b"Cnry8812" not in path.read_bytes(), path


def test_same_bytes_within_the_window_are_suppressed_and_visible(stack: RunningStack) -> None:
    first = stack.send('{"action": "buy",  "symbol": "BNBUSDT"}')
    again = stack.send('{"action": "buy",  "symbol": "BNBUSDT"}')
    assert (first.status_code, again.status_code) == (202, 200)
    assert (again.json()["duplicate"], again.json()["reason"]) == (True, "DUPLICATE_SUPPRESSED")
    signal_id = first.json()["signal_id"]
    stack.ended([signal_id])
    assert "suppressed by same_bytes" in stack.run("signals", "show", signal_id).stdout


def test_unknown_webhook_and_wrong_token_get_the_same_answer(stack: RunningStack) -> None:
    body = '{"action": "buy", "symbol": "BTCUSDT"}'
    paths = ("nobody/AAAAAAAAAAAAAAAAAAAAAAAA", "demo/AAAAAAAAAAAAAAAAAAAAAAAA", "demo", "nobody")
    answers = [httpx.post(f"{base(stack)}/hooks/{path}", content=body) for path in paths]
    assert {a.status_code for a in answers} == {401}
    assert len({a.text for a in answers}) == 1
    assert answers[0].json()["reason"] == "TOKEN_INVALID"


@pytest.mark.parametrize("way", ["bearer", "header", "body"])
def test_token_may_come_in_header_or_body_and_is_not_kept(stack: RunningStack, way: str) -> None:
    token = stack.url.rpartition("/")[2]
    body = {"action": "buy", "symbol": "LINKUSDT", "idempotency_key": f"way-{way}"}
    headers = {"bearer": {"authorization": f"Bearer {token}"}, "header": {"x-webhook-token": token}}.get(way, {})
    if way == "body":
        body["secret"] = token
    answer = httpx.post(f"{base(stack)}/hooks/demo", content=json.dumps(body), headers=headers)
    assert answer.status_code == 202, answer.text
    stack.ended([answer.json()["signal_id"]])
    assert token not in stack.run("signals", "show", answer.json()["signal_id"], "--json").stdout


def test_token_is_in_no_log_and_no_database(stack: RunningStack) -> None:
    token = stack.url.rpartition("/")[2]
    stack.send({"action": "buy", "symbol": "BTCUSDT", "secret": token, "idempotency_key": "leak"})
    assert stack.send("not json " + token).status_code == 400
    data = stack.home / "data"
    for path in [*(stack.home / "logs").iterdir(), *data.glob("*.db*"), *data.glob("*.spool*")]:
        assert token.encode() not in path.read_bytes(), path


def test_body_of_10_mb_is_413(stack: RunningStack) -> None:
    answer = stack.send("x" * (10 << 20))
    assert (answer.status_code, answer.json()["reason"]) == (413, "BODY_TOO_LARGE")


def test_slow_sender_is_ended_and_others_are_served(stack: RunningStack) -> None:
    host, port = base(stack).removeprefix("http://").split(":")
    path = stack.url.removeprefix(base(stack))
    with socket.create_connection((host, int(port))) as slow:
        slow.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{".encode())
        assert stack.send({"action": "buy", "symbol": "AVAXUSDT"}).status_code == 202
        slow.settimeout(15)
        assert b" 408 " in slow.recv(4096)


def test_wrong_method_and_path_are_problem_documents(stack: RunningStack) -> None:
    assert httpx.get(stack.url).status_code == 405
    nowhere = httpx.post(f"{base(stack)}/nowhere")
    assert (nowhere.status_code, nowhere.json()["reason"]) == (404, "NOT_FOUND")


def test_rotated_token_works_and_the_old_one_ends_after_its_grace(stack: RunningStack) -> None:
    old = stack.json("webhook", "create", "--account", "paper", "--webhook-id", "rotating")["url"]
    new = stack.json("webhook", "rotate", "rotating", "--grace-s", "0")["url"]
    assert stack.send({"action": "buy", "symbol": "BTCUSDT"}, new).status_code == 202
    refused = stack.send({"action": "buy", "symbol": "BTCUSDT"}, old)
    assert (refused.status_code, refused.json()["reason"]) == (401, "TOKEN_EXPIRED")


def test_rejection_is_in_history_with_its_payload(stack: RunningStack) -> None:
    answer = stack.send('{"action": "buy", "symbol": "WHATEVER"}')
    assert answer.json()["errors"][0]["field"] == "symbol"
    ended = stack.ended([answer.json()["signal_id"]])[answer.json()["signal_id"]]
    assert (ended["status"], ended["reason"]) == ("SIGNAL_STATUS_REJECTED", "SYMBOL_UNSUPPORTED")
    assert "WHATEVER" in stack.run("signals", "show", ended["signal_id"]).stdout


def test_page_needs_its_token_and_lists_signals(stack: RunningStack) -> None:
    address = next(line.split()[1] for line in stack.output.splitlines() if line.startswith("Console"))
    assert httpx.get(address.partition("?")[0]).status_code == 401
    with httpx.Client(follow_redirects=True) as browser:
        signal_id = stack.send({"action": "buy", "symbol": "ATOMUSDT"}).json()["signal_id"]
        stack.ended([signal_id])
        page = browser.get(address)
        assert page.status_code == 200
        assert signal_id in page.text
        timeline = browser.get(f"{address.partition('?')[0]}signals/{signal_id}")
        assert "quote used" in timeline.text
