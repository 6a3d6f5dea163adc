"""What senders see of webhooks on two ingress processes: proxies, certificates, repeats, statuses, limits.

The system runs with `accept = journal`; everything else runs with the spool alone.
"""

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.testing.promises import check_promises
from vantixs.testing.senders import SIGNAL, post, signed
from vantixs.testing.stack import RunningStack, wait_for

from tests.support.webhook_calls import at, new

PROXY = "127.0.0.9"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    running = RunningStack(
        tmp_path_factory.mktemp("webhooks") / "home",
        ingress=2,
        VANTIXS_INGRESS_ACCEPT="journal",
        VANTIXS_INGRESS_TRUSTED_PROXIES=f"{PROXY}/32",
        VANTIXS_INGRESS_CERTIFICATE_SUBJECT_HEADER="x-client-subject",
        VANTIXS_INGRESS_CERTIFICATE_VERIFY_HEADER="x-client-verify",
        VANTIXS_INGRESS_ADDRESS_FAILURES_PER_MINUTE="20",
    ).start()
    yield running
    assert running.stop() == 0


def test_one_key_at_two_replicas_runs_once_and_the_second_is_a_repeat(stack: RunningStack) -> None:
    url = new(stack, "twice").url
    wait_for(lambda: post(at(stack, 1, url), "x").status_code == 400, "the other to know it")
    answers = [post(at(stack, replica, url), SIGNAL | {"nonce": "same"}) for replica in (0, 1)]
    assert [a.status_code for a in answers] == [202, 202]
    assert len({a.json()["signal_id"] for a in answers}) == 1
    signal_id = answers[0].json()["signal_id"]
    assert stack.ended([signal_id])[signal_id]["status"] == "SIGNAL_STATUS_EXECUTED"

    def repeats() -> list[dict[str, Any]]:
        return [s for s in stack.signals().values() if s.get("first_signal_id") == signal_id]

    repeat = wait_for(repeats, "the repeat to be in history")[0]
    assert (repeat["status"], repeat["reason"]) == ("SIGNAL_STATUS_REJECTED", "DUPLICATE_SIGNAL")
    assert stack.signals()[signal_id]["duplicate_count"] == 1
    orders = [e for e in stack.timelines_of([signal_id])[signal_id] if "order_submitted" in e["entry"]]
    assert len(orders) == 1


def test_repeat_is_a_signal_of_its_own_linked_counted_and_replayed(stack: RunningStack) -> None:
    url = new(stack, "repeating", dedupe_window_s=20).url
    first = post(url, SIGNAL | {"comment": "again"}).json()
    again = post(url, SIGNAL | {"comment": "again"}).json()
    assert (again["signal_id"], again["duplicate"]) == (first["signal_id"], True)

    def found() -> dict[str, Any] | None:
        return next((s for s in stack.signals().values() if s.get("first_signal_id") == first["signal_id"]), None)

    repeat = wait_for(found, "the repeat to be in history")
    assert (repeat["reason"], repeat["webhook_id"], repeat["instrument"]) == (
        "DUPLICATE_SUPPRESSED",
        "repeating",
        "BTC/USDT",
    )
    stack.ended([first["signal_id"]])
    assert repeat["signal_id"] in stack.run("signals", "show", first["signal_id"]).stdout
    assert first["signal_id"] in stack.run("signals", "show", repeat["signal_id"]).stdout
    assert stack.signals()[first["signal_id"]]["duplicate_count"] == 1
    assert stack.run("replay", "start", repeat["signal_id"], "--mode", "paper", "--comment", "again").returncode == 0

    def replayed() -> bool:
        return stack.signals()[repeat["signal_id"]]["status"] == "SIGNAL_STATUS_REPLAYED"

    wait_for(replayed, "the repeat to be replayed")
    timeline = stack.timelines_of([repeat["signal_id"]])[repeat["signal_id"]]
    finished = next(e["entry"]["replay_finished"] for e in timeline if "replay_finished" in e["entry"])
    assert finished["status"] == "SIGNAL_STATUS_EXECUTED"


def test_sender_is_told_what_became_of_its_signals_and_of_no_others(stack: RunningStack) -> None:
    mine, other = new(stack, "asking"), new(stack, "nosy")
    signal_id = post(mine.url, SIGNAL).json()["signal_id"]
    rejected = post(mine.url, {"action": "buy", "symbol": "NOPE"}).json()["signal_id"]
    url = f"{stack.ingress_url(0)}/hooks/asking/signals"
    headers = {"authorization": f"Bearer {mine.token}"}

    def status(name: str) -> Any:
        return httpx.get(f"{url}/{name}", headers=headers).json()

    wait_for(lambda: status(signal_id)["status"] == "executed", "the signal to be executed")
    assert status(rejected) == {"signal_id": rejected, "status": "rejected", "reason": "SYMBOL_UNSUPPORTED"}
    assert httpx.get(f"{url}/{signal_id}", headers={"x-webhook-token": other.token}).status_code == 401
    foreign = httpx.get(
        f"{stack.ingress_url(0)}/hooks/nosy/signals/{signal_id}", headers={"x-webhook-token": other.token}
    )
    assert (foreign.status_code, foreign.json()["reason"]) == (404, "NOT_FOUND")
    assert httpx.get(f"{url}/{signal_id}").status_code == 401
    secret = stack.json("webhook", "rotate-secret", "asking")["secret"]
    sign = {k.replace("_", "-"): v for k, v in signed(secret, b"", "ask").items()}
    assert httpx.get(f"{url}/{rejected}", headers=sign).json()["status"] == "rejected"
    assert httpx.post(f"{url}/{signal_id}", headers=headers).status_code == 405

    def told_by_the_other() -> bool:
        answer = httpx.get(f"{stack.ingress_url(1)}/hooks/asking/signals/{signal_id}", headers=headers, verify=False)
        return answer.status_code == 200 and answer.json()["status"] == "executed"

    wait_for(told_by_the_other, "the other replica to have read it in the journal")
    stack.kill("ingress-0")
    wait_for(lambda: _reachable(stack), "ingress to be back")
    wait_for(lambda: status(signal_id).get("status") == "executed", "it to be told after a restart")


def _reachable(stack: RunningStack) -> bool:
    try:
        return httpx.get(f"{stack.ingress_url(0)}/readyz", verify=False).status_code == 200
    except (httpx.TransportError, FileNotFoundError):
        return False


def test_forwarded_address_counts_from_a_trusted_proxy_only(stack: RunningStack) -> None:
    url = new(stack, "behind", source_networks=["tradingview"]).url
    headers = {"x_forwarded_for": "6.6.6.6, 52.89.214.238"}
    assert post(url, SIGNAL, client=PROXY, **headers).status_code == 202
    assert post(url, SIGNAL, client="127.0.0.1", **headers).status_code == 403
    assert post(url, SIGNAL, client=PROXY, x_forwarded_for="52.89.214.238, 6.6.6.6").status_code == 403
    assert post(url, SIGNAL, client=PROXY, forwarded="for=52.32.178.7").status_code != 403


def test_certificate_is_asked_for_and_its_result_recorded(stack: RunningStack) -> None:
    url = new(stack, "proven", minimum_proof=webhook_pb2.PROOF_LEVEL_CERTIFICATE).url
    subject = {"x_client_subject": "CN=TradingView Webhooks,O=TradingView\\, Inc.", "x_client_verify": "SUCCESS"}
    good = post(url, SIGNAL | {"nonce": "1"}, client=PROXY, **subject)
    assert good.status_code == 202
    assert post(url, SIGNAL | {"nonce": "2"}, client="127.0.0.1", **subject).status_code == 403
    other = post(url, SIGNAL | {"nonce": "3"}, client=PROXY, **subject | {"x_client_verify": "NONE"})
    assert (other.status_code, other.json()["reason"]) == (403, "SOURCE_ADDRESS_NOT_ALLOWED")
    ids = [good.json()["signal_id"], other.json()["signal_id"]]
    stack.ended(ids)
    timelines = stack.timelines_of(ids)
    kinds = ("signal_accepted", "signal_rejected")
    told = [next(e["entry"][k]["request"] for e in timelines[i] for k in kinds if k in e["entry"]) for i in ids]
    assert [t["client_certificate"] for t in told] == ["verified", "other"]
    assert told[0]["credential_id"] == "t1"


def test_failed_attempts_are_limited_and_a_valid_token_from_the_same_address_is_accepted(stack: RunningStack) -> None:
    url = new(stack, "crowded").url
    address = "127.0.0.77"
    wrong = [post(url + "x", SIGNAL, client=address) for _ in range(25)]
    assert [w.status_code for w in wrong] == [401] * 20 + [429] * 5
    assert int(wrong[-1].headers["retry-after"]) > 0
    assert post(url, SIGNAL | {"nonce": "1"}, client=address).status_code == 202
    base, _, token = url.rpartition("/")
    body = {**SIGNAL, "nonce": "2", "secret": token}
    assert post(base, body, client=address).status_code == 202
    assert post(base, body | {"comment": "x" * 5000}, client=address).status_code == 429
    assert post(url + "x", SIGNAL, client="127.0.0.78").status_code == 401
    revoked = new(stack, "leaked").url
    stack.json("webhook", "revoke", "leaked", "t1")
    wait_for(lambda: post(revoked, SIGNAL, client="127.0.0.79").status_code == 401, "it to be revoked")
    many = [post(revoked, SIGNAL, client="127.0.0.79") for _ in range(30)]
    assert {m.json()["reason"] for m in many} == {"TOKEN_REVOKED", "RATE_LIMITED"}
    assert "signal_id" not in many[-1].json()


def test_accept_journal_falls_back_to_the_spool_where_the_broker_does_not_answer(stack: RunningStack) -> None:
    url = new(stack, "patient").url
    os.kill(stack.pid("nats"), signal.SIGSTOP)
    try:
        answer = post(url, SIGNAL)
    finally:
        os.kill(stack.pid("nats"), signal.SIGCONT)
    assert answer.status_code == 202
    check_promises(stack, [answer.json()["signal_id"]])


def test_token_is_found_where_the_webhooks_mapping_says_it_is(stack: RunningStack) -> None:
    fields = {"action": "do", "symbol": "what", "token": "auth.code"}
    created = new(stack, "mapped", mapping=webhook_pb2.PayloadMapping(fields=fields))
    url = f"{stack.ingress_url(0)}/hooks/mapped"
    body = {"do": "buy", "what": "BTCUSDT", "auth": {"code": created.token}}
    good = post(url, body)
    assert good.status_code == 202
    assert post(url, body | {"auth": {"code": "wrong"}}).status_code == 401
    stack.ended([good.json()["signal_id"]])
    assert created.token not in json.dumps(stack.timelines_of([good.json()["signal_id"]]))
