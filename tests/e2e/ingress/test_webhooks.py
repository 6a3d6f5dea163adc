"""WebhookService on two ingress processes: what changes at one holds at the other. Proxies, statuses, repeats.

The system runs with `accept = journal`; everything else runs with the spool alone.
"""

import asyncio
import json
import os
import signal
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import grpc
import httpx
import pytest
from vantixs.api.common.v1 import common_pb2
from vantixs.api.ingress.v1 import ingress_pb2, ingress_pb2_grpc, webhook_pb2
from vantixs.runtime.errors import ServiceError, from_rpc_error
from vantixs.runtime.grpc_client import open_channel
from vantixs.testing.promises import check_promises
from vantixs.testing.senders import SIGNAL, post, signed
from vantixs.testing.stack import RunningStack, wait_for

PROXY = "127.0.0.9"
Stub = Any  # WebhookServiceStub is typed for mypy only.


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


def ask(stack: RunningStack, work: Callable[[Stub], Awaitable[Any]], replica: int = 0) -> Any:
    async def run() -> Any:
        address = json.loads((stack.home / "run" / f"ingress-{replica}.json").read_text())["grpc"]
        token = (stack.home / "secrets" / "operator-token").read_text().strip()
        channel = open_channel(address, token=token, operator="alice")
        try:
            return await work(ingress_pb2_grpc.WebhookServiceStub(channel))
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None
        finally:
            await channel.close()

    return asyncio.run(run())


def new(stack: RunningStack, name: str, replica: int = 0, **fields: Any) -> ingress_pb2.CreateWebhookResponse:
    request = ingress_pb2.CreateWebhookRequest(request_id=str(uuid.uuid4()))
    request.webhook.CopyFrom(webhook_pb2.Webhook(webhook_id=name, account_id="paper", **fields))
    created = ask(stack, lambda s: s.CreateWebhook(request, timeout=10), replica)
    assert isinstance(created, ingress_pb2.CreateWebhookResponse)
    return created


def at(stack: RunningStack, replica: int, url: str) -> str:
    return stack.ingress_url(replica) + "/hooks/" + url.partition("/hooks/")[2]


def test_change_at_one_replica_holds_at_the_other(stack: RunningStack) -> None:
    created = new(stack, "shared")
    other = at(stack, 1, created.url)
    wait_for(lambda: post(other, SIGNAL | {"nonce": uuid.uuid4().hex}).status_code == 202, "the other to know it")
    stack.json("webhook", "disable", "shared")
    started = time.monotonic()
    wait_for(lambda: post(other, SIGNAL).status_code == 403, "the other to know that it is disabled")
    print(f"a change reached the other replica within {(time.monotonic() - started) * 1000:.0f} ms of the answer")
    stack.json("webhook", "enable", "shared")
    wait_for(lambda: post(other, SIGNAL | {"nonce": uuid.uuid4().hex}).status_code == 202, "it to be enabled there")
    stack.json("webhook", "delete", "shared")
    wait_for(lambda: post(other, SIGNAL).status_code == 401, "the other to know that it is deleted")


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


def test_signing_secret_rotates_with_a_grace_and_is_never_shown_again(stack: RunningStack) -> None:
    stack.json("webhook", "create", "--account-id", "paper", "--webhook-id", "rotor", "--signing")
    old = stack.json("webhook", "rotate-secret", "rotor", "--grace-s", "600")["secret"]
    fresh = stack.json("webhook", "rotate-secret", "rotor", "--grace-s", "600")["secret"]
    url, body = f"{stack.ingress_url(0)}/hooks/rotor", json.dumps(SIGNAL).encode()
    for number, secret in enumerate((old, fresh)):
        assert post(url, body, **signed(secret, body, f"m{number}")).status_code == 202
    stack.json("webhook", "revoke-secret", "rotor", "s2")
    assert post(url, body, **signed(old, body, "m3")).json()["reason"] == "SIGNATURE_INVALID"
    assert post(url, body, **signed(fresh, body, "m4")).status_code == 202
    shown = stack.json("webhook", "get", "rotor")
    assert [set(s) & {"sealed", "secret"} for s in shown["webhook"]["signing_secrets"]] == [set(), set(), set()]
    own = "whsec_" + "QUJD" * 8
    assert stack.json("webhook", "rotate-secret", "rotor", "--secret", own)["secret"] == own
    assert post(url, body, **signed(own, body, "m5")).status_code == 202


def test_repeated_call_gives_the_first_answer_also_at_another_replica_and_after_a_restart(stack: RunningStack) -> None:
    request = ingress_pb2.CreateWebhookRequest(request_id=str(uuid.uuid4()), signing=True)
    request.webhook.account_id = "paper"
    first = ask(stack, lambda s: s.CreateWebhook(request, timeout=10))
    name = first.webhook.webhook_id
    wait_for(lambda: _known(stack, name, 1), "the other to know it")
    assert same(ask(stack, lambda s: s.CreateWebhook(request, timeout=10), 1), first)
    stack.kill("ingress-1")
    wait_for(lambda: _known(stack, name, 1), "the other to be back")
    assert same(ask(stack, lambda s: s.CreateWebhook(request, timeout=10), 1), first)
    other = ingress_pb2.CreateWebhookRequest()
    other.CopyFrom(request)
    other.webhook.display_name = "Other"
    with pytest.raises(ServiceError, match="REQUEST_ID_REUSED"):
        ask(stack, lambda s: s.CreateWebhook(other, timeout=10))
    rotate = ingress_pb2.RotateTokenRequest(request_id=str(uuid.uuid4()), webhook_id=name)
    rotated = ask(stack, lambda s: s.RotateToken(rotate, timeout=10))
    wait_for(lambda: _known(stack, name, 1, rotated.webhook.revision), "the other to know of the rotation")
    assert same(ask(stack, lambda s: s.RotateToken(rotate, timeout=10), 1), rotated)
    assert rotated.token != first.token
    revoke = ingress_pb2.RevokeTokenRequest(webhook_id=name, token_id="t1")
    assert ask(stack, lambda s: s.RevokeToken(revoke, timeout=10)) == ask(
        stack, lambda s: s.RevokeToken(revoke, timeout=10)
    )


def same(one: Any, other: Any) -> bool:
    """Whether two answers are the same; their URLs name the replica that gave them."""
    assert one.url.partition("/hooks/")[2] == other.url.partition("/hooks/")[2]
    one.url = other.url
    return bool(one == other)


def _known(stack: RunningStack, name: str, replica: int, revision: int = 0) -> bool:
    request = ingress_pb2.GetWebhookRequest(webhook_id=name)
    try:
        found = ask(stack, lambda s: s.GetWebhook(request, timeout=5), replica).webhook
    except (ServiceError, FileNotFoundError):
        return False
    return bool(found.revision >= revision)


def test_update_needs_the_current_revision_and_keeps_tokens(stack: RunningStack) -> None:
    created = new(stack, "revised", signing_secrets=[webhook_pb2.SigningSecret(secret_id="s9")])
    update = ingress_pb2.UpdateWebhookRequest(webhook=created.webhook)
    update.webhook.display_name = "Revised"
    update.webhook.ClearField("tokens")
    revised = ask(stack, lambda s: s.UpdateWebhook(update, timeout=10)).webhook
    assert (revised.display_name, len(revised.tokens), revised.updated_by) == ("Revised", 1, "operator:alice")
    assert revised.revision > created.webhook.revision
    assert ask(stack, lambda s: s.UpdateWebhook(update, timeout=10)).webhook == revised  # The same change again.
    update.webhook.display_name = "Somebody else's"
    with pytest.raises(ServiceError, match="REVISION_CONFLICT") as failed:
        ask(stack, lambda s: s.UpdateWebhook(update, timeout=10))
    assert failed.value.code is grpc.StatusCode.ABORTED
    delete = ingress_pb2.DeleteWebhookRequest(webhook_id="revised", revision=created.webhook.revision)
    with pytest.raises(ServiceError, match="REVISION_CONFLICT"):
        ask(stack, lambda s: s.DeleteWebhook(delete, timeout=10))
    assert post(created.url, SIGNAL).status_code == 202


BAD = {
    "webhook_id": {"webhook_id": "No Name"},
    "display_name": {"display_name": "x" * 101},
    "account_id": {"account_id": "No Account"},
    "mode": {"mode": 9},
    "minimum_proof": {"minimum_proof": webhook_pb2.PROOF_LEVEL_ADDRESS},
    "strategy_id": {"strategy_id": "x"},
    "instruments": {"instruments": ["NOPE/USDT"]},
    "actions": {"actions": [99]},
    "dedupe_window_s": {"dedupe_window_s": 86_401},
    "rate_limit_per_minute": {"rate_limit_per_minute": -1},
    "signature_tolerance_s": {"signature_tolerance_s": 100_000},
    "source_networks": {"source_networks": ["10.0.0.0/33"]},
    "maximum_leverage": {"maximum_leverage": "many"},
    "sizing.value": {"sizing": common_pb2.Sizing(method=common_pb2.SIZING_METHOD_FIXED_NOTIONAL, value="-1")},
    "default_exchange": {"default_exchange": "x y"},
    "mapping.fields.symbol": {"mapping": webhook_pb2.PayloadMapping(fields={"action": "a", "symbol": "]["})},
}


@pytest.mark.parametrize("field", BAD)
def test_bad_field_is_named_and_nothing_stored(stack: RunningStack, field: str) -> None:
    request = ingress_pb2.CreateWebhookRequest()
    fields = {"webhook_id": "bad", "account_id": "paper"} | BAD[field]
    request.webhook.CopyFrom(webhook_pb2.Webhook(**fields))
    with pytest.raises(ServiceError) as failed:
        ask(stack, lambda s: s.CreateWebhook(request, timeout=10))
    assert failed.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert failed.value.violations[0].field == field
    assert not _known(stack, "bad", 0)


def test_every_change_is_in_history_with_who_before_and_after_and_no_hash(stack: RunningStack) -> None:
    created = new(stack, "told")
    stack.json("webhook", "rotate", "told")
    stack.json("webhook", "disable", "told")
    stack.json("webhook", "delete", "told")

    def changes() -> list[dict[str, Any]] | None:
        entries = read_configuration(stack, "told")
        return entries if len(entries) == 4 else None

    entries = wait_for(changes, "the changes to be in the journal")
    assert [bool(e["configuration_changed"].get("before_json")) for e in entries] == [False, True, True, True]
    assert [bool(e["configuration_changed"].get("after_json")) for e in entries] == [True, True, True, False]
    assert entries[0]["actor"] == "operator:alice"
    assert all(e["actor"].startswith("operator:") for e in entries)
    assert "sha256" not in json.dumps(entries)
    assert created.token not in json.dumps(entries)


def read_configuration(stack: RunningStack, webhook_id: str) -> list[dict[str, Any]]:
    from google.protobuf import json_format
    from nats.aio.client import Client
    from vantixs.api.journal.v1 import journal_pb2

    async def read() -> list[dict[str, Any]]:
        client = Client()
        token = (stack.home / "secrets" / "nats-token").read_text().strip()
        await client.connect(stack.endpoints["nats"], token=token)
        subscription = await client.jetstream().pull_subscribe("vantixs.journal.v1.event.configuration", None)
        found = []
        try:
            while True:
                for message in await subscription.fetch(100, timeout=0.5):
                    for entry in journal_pb2.JournalBatch.FromString(message.data).entries:
                        if entry.configuration_changed.id == webhook_id:
                            found.append(json_format.MessageToDict(entry, preserving_proto_field_name=True))
        except TimeoutError:
            return found
        finally:
            await client.close()

    return asyncio.run(read())


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


def test_update_changes_what_is_given_and_clears_what_is_named(stack: RunningStack) -> None:
    stack.json("webhook", "create", "--account-id", "paper", "--webhook-id", "edited", "--instruments", "BTC/USDT")
    flags = ["--display-name", "Edited", "--actions", "buy", "--actions", "close", "--minimum-proof", "address"]
    flags += [
        "--source-networks",
        "10.0.0.0/8",
        "--source-networks",
        "tradingview",
        "--sizing-method",
        "fixed_notional",
    ]
    edited = stack.json("webhook", "update", "edited", *flags, "--sizing-value", "50", "--no-sell-opens-short")[
        "webhook"
    ]
    assert (edited["display_name"], edited["actions"]) == ("Edited", ["ACTION_BUY", "ACTION_CLOSE"])
    assert (edited["instruments"], edited["source_networks"]) == (["BTC/USDT"], ["10.0.0.0/8", "tradingview"])
    assert edited["sizing"] == {"method": "SIZING_METHOD_FIXED_NOTIONAL", "value": "50"}
    cleared = stack.json("webhook", "update", "edited", "--clear", "instruments", "--revision", edited["revision"])
    assert "instruments" not in cleared["webhook"]
    stale = stack.run("webhook", "update", "edited", "--display-name", "Stale", "--revision", edited["revision"])
    assert (stale.returncode != 0, "REVISION_CONFLICT" in stale.stderr + stale.stdout) == (True, True)
    assert "edited" in stack.run("webhook", "list").stdout


def test_ten_tokens_at_once_and_no_more(stack: RunningStack) -> None:
    new(stack, "many")
    for _ in range(9):
        stack.json("webhook", "create-token", "many")
    assert stack.run("webhook", "create-token", "many").returncode != 0
    stack.json("webhook", "revoke", "many", "t1")
    fresh = stack.json("webhook", "create-token", "many", "--instruments", "ETH/USDT")
    assert post(fresh["url"], SIGNAL).json()["reason"] == "SYMBOL_NOT_ALLOWED"
    assert post(fresh["url"], {"action": "buy", "symbol": "ETHUSDT"}).status_code == 202


def test_webhook_of_an_account_that_is_not_there_is_refused(stack: RunningStack) -> None:
    done = stack.run("webhook", "create", "--account", "papr", "--webhook-id", "orphan")
    assert done.returncode == 1
    assert "ACCOUNT_NOT_FOUND" in done.stderr
    assert stack.run("webhook", "get", "orphan").returncode == 1


def test_rotated_demo_token_is_the_one_that_is_used_from_then_on(stack: RunningStack) -> None:
    before = stack.url
    rotated = stack.json("webhook", "rotate", "demo", "--grace-s", "0")
    assert stack.url.endswith(f"/{rotated['token']}")
    assert stack.url != before
    assert stack.send({"action": "buy", "symbol": "BTCUSDT"}).status_code == 202
