"""WebhookService on two ingress processes: what changes at one holds at the other, is answered again and is in history."""

import asyncio
import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from vantixs.api.common.v1 import common_pb2
from vantixs.api.ingress.v1 import ingress_pb2, webhook_pb2
from vantixs.runtime.errors import ServiceError
from vantixs.testing.senders import SIGNAL, post, signed
from vantixs.testing.stack import RunningStack, wait_for

from tests.support.webhook_calls import ask, at, known, new


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    running = RunningStack(tmp_path_factory.mktemp("webhooks") / "home", ingress=2).start()
    yield running
    assert running.stop() == 0


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
    wait_for(lambda: known(stack, name, 1), "the other to know it")
    assert same(ask(stack, lambda s: s.CreateWebhook(request, timeout=10), 1), first)
    stack.kill("ingress-1")
    wait_for(lambda: known(stack, name, 1), "the other to be back")
    assert same(ask(stack, lambda s: s.CreateWebhook(request, timeout=10), 1), first)
    other = ingress_pb2.CreateWebhookRequest()
    other.CopyFrom(request)
    other.webhook.display_name = "Other"
    with pytest.raises(ServiceError, match="REQUEST_ID_REUSED"):
        ask(stack, lambda s: s.CreateWebhook(other, timeout=10))
    rotate = ingress_pb2.RotateTokenRequest(request_id=str(uuid.uuid4()), webhook_id=name)
    rotated = ask(stack, lambda s: s.RotateToken(rotate, timeout=10))
    wait_for(lambda: known(stack, name, 1, rotated.webhook.revision), "the other to know of the rotation")
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
    assert not known(stack, "bad", 0)


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
