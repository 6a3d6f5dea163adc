"""Webhooks: the snapshots, the copy on disk and the record of changes agree."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from vantixs.api.ingress.v1 import ingress_pb2, webhook_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.kv import KvTable, Versioned
from vantixs.runtime.secret_cipher import PayloadCipher, SecretCipher
from vantixs.testing.journal import connected
from vantixs.testing.nats import NatsServer
from vantixs_ingress.http.signal_outcomes import KEPT, SignalOutcomes
from vantixs_ingress.spool.room import Bounds
from vantixs_ingress.spool.spool import Spool
from vantixs_ingress.webhooks.credentials import Credentials
from vantixs_ingress.webhooks.registry import WebhookRegistry
from vantixs_ingress.webhooks.service import WebhookServicer


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Spool]:
    opened = Spool(tmp_path / "spool", Bounds(1 << 30))
    yield opened
    await opened.close()


def version(revision: int, name: str = "Name", rate: int = 2) -> Versioned[webhook_pb2.Webhook]:
    webhook = webhook_pb2.Webhook(
        webhook_id="demo",
        account_id="paper",
        display_name=name,
        updated_by="operator:alice",
        rate_limit_per_minute=rate,
    )
    return Versioned(webhook, revision)


async def told(spool: Spool) -> list[journal_pb2.JournalEntry]:
    rows = await spool.read_after(0, 100)
    return [e for _, m in rows for e in journal_pb2.JournalBatch.FromString(m.payload).entries]


async def keep(spool: Spool, revision: int) -> None:
    """The state a process leaves that knew a revision when it was killed."""
    registry = WebhookRegistry(spool, SecretCipher(bytes(32)), PayloadCipher(bytes(32)), 100)
    registry.changed("demo", version(revision))
    await settle(spool)


async def settle(spool: Spool) -> None:
    """Waits for what is queued to be on disk."""
    from vantixs.runtime.journal import Message

    await spool.store(Message("s", b"", f"settled-{time.time_ns()}"))


async def test_change_that_a_crash_kept_from_the_record_is_told_at_the_next_start(spool: Spool) -> None:
    await keep(spool, 4)
    after_the_crash = WebhookRegistry(spool, SecretCipher(bytes(32)), PayloadCipher(bytes(32)), 100)
    after_the_crash.changed("demo", version(5, "Renamed"))
    await settle(spool)
    (entry,) = await told(spool)
    assert (entry.event_id, entry.actor) == ("webhook:demo:5", "operator:alice")
    assert "Renamed" in entry.configuration_changed.after_json
    assert "Renamed" not in entry.configuration_changed.before_json


async def test_changes_of_other_replicas_are_theirs_to_tell(spool: Spool) -> None:
    await keep(spool, 4)
    registry = WebhookRegistry(spool, SecretCipher(bytes(32)), PayloadCipher(bytes(32)), 100)
    registry.changed("demo", version(4))
    registry.loaded()
    registry.changed("demo", version(5))
    registry.changed("demo", None)
    await settle(spool)
    assert await told(spool) == []
    assert registry.snapshots == {}
    assert spool.webhooks() == []


async def test_what_a_webhook_used_up_outlives_a_change_of_its_configuration(spool: Spool) -> None:
    registry = WebhookRegistry(spool, SecretCipher(bytes(32)), PayloadCipher(bytes(32)), 100)
    registry.changed("demo", version(1))
    for _ in range(2):
        assert registry.snapshots["demo"].rate.take(time.monotonic()) == 0  # type: ignore[union-attr]
    registry.changed("demo", version(2, "Renamed"))
    assert registry.snapshots["demo"].rate.take(time.monotonic()) > 0  # type: ignore[union-attr]
    registry.changed("demo", version(3, rate=5))
    assert registry.snapshots["demo"].rate.take(time.monotonic()) == 0  # type: ignore[union-attr]


def test_statuses_are_bounded_and_an_end_is_not_undone() -> None:
    statuses = SignalOutcomes()
    statuses.ended("demo", "s1", "executed", "")
    statuses.accepted("demo", "s1")
    assert statuses.get("demo", "s1") == {"status": "executed"}
    assert statuses.get("other", "s1") is None
    for number in range(KEPT):
        statuses.accepted("demo", f"n{number}")
    assert statuses.get("demo", "s1") is None
    assert statuses.get("demo", "n0") == {"status": "accepted"}
    statuses.read_batch(b"no batch")


async def test_revocation_that_never_left_this_process_reaches_the_bucket_after_a_restart(
    spool: Spool, nats: NatsServer
) -> None:
    async with connected(nats) as (journal, life):
        first: KvTable[webhook_pb2.Webhook] = KvTable(journal, "vantixs-webhooks", "webhook", webhook_pb2.Webhook)
        webhook = webhook_pb2.Webhook(webhook_id="demo", tokens=[webhook_pb2.WebhookToken(token_id="t1")])
        webhook.revision = await first.create("demo", webhook)
        revoked = webhook_pb2.Webhook()
        revoked.CopyFrom(webhook)
        revoked.tokens[0].revoke_time.GetCurrentTime()
        spool.remember_webhook("demo", webhook.revision, revoked.SerializeToString())
        await settle(spool)

        registry = WebhookRegistry(spool, SecretCipher(bytes(32)), PayloadCipher(bytes(32)), 100)
        table: KvTable[webhook_pb2.Webhook] = KvTable(
            journal,
            "vantixs-webhooks",
            "webhook",
            webhook_pb2.Webhook,
            on_change=registry.changed,
            known=[("demo", Versioned(revoked, webhook.revision))],
        )
        table.start(life)
        await asyncio.wait_for(table.loaded.wait(), 20)
        assert registry.snapshots["demo"].webhook.tokens[0].HasField("revoke_time")
        servicer = WebhookServicer(
            table, registry, Credentials("key", SecretCipher(bytes(32))), lambda: "", certificates=False
        )  # type: ignore[abstract]
        life.spawn(servicer.reconcile(life.health, life.stopping), name="reconcile")
        bucket = await journal.js.key_value("vantixs-webhooks")
        async with asyncio.timeout(20):
            while (
                not webhook_pb2.Webhook.FromString((await bucket.get("demo")).value).tokens[0].HasField("revoke_time")
            ):
                await asyncio.sleep(0.02)


async def test_change_is_recorded_though_another_call_that_changes_the_webhook_is_refused(spool: Spool) -> None:
    registry = WebhookRegistry(spool, SecretCipher(bytes(32)), PayloadCipher(bytes(32)), 100)
    registry.changed("demo", version(1))
    registry.loaded()
    stale, valid = registry.changing("demo", "operator:bob"), registry.changing("demo", "operator:alice")
    with valid as change:
        with stale:
            pass
        registry.changed("demo", version(2, "Valid"))
        assert change.recorded is not None
        await change.recorded
    (entry,) = await told(spool)
    assert (entry.event_id, entry.actor) == ("webhook:demo:2", "operator:alice")


async def test_calls_that_change_a_webhook_at_once_leave_a_record_of_what_was_stored(
    spool: Spool, nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = SimpleNamespace(actor="operator:alice")
    monkeypatch.setattr("vantixs_ingress.webhooks.service.caller", lambda: alice)
    async with connected(nats) as (journal, _):
        registry = WebhookRegistry(spool, SecretCipher(bytes(32)), PayloadCipher(bytes(32)), 100)
        table: KvTable[webhook_pb2.Webhook] = KvTable(
            journal, "vantixs-webhooks", "webhook", webhook_pb2.Webhook, on_change=registry.changed
        )
        servicer = WebhookServicer(
            table, registry, Credentials("key", SecretCipher(bytes(32))), lambda: "", certificates=False
        )  # type: ignore[abstract]
        revision = await table.create("demo", version(0).value)
        registry.loaded()

        async def rename(name: str, read_at: int) -> None:
            webhook = webhook_pb2.Webhook()
            webhook.CopyFrom(version(read_at, name).value)
            webhook.revision = read_at
            await servicer.UpdateWebhook(ingress_pb2.UpdateWebhookRequest(webhook=webhook), None)

        refused, stored = await asyncio.gather(
            rename("Stale", revision + 7), rename("Valid", revision), return_exceptions=True
        )
        assert isinstance(refused, ServiceError)
        assert (refused.reason, stored) == ("REVISION_CONFLICT", None)
        (entry,) = await told(spool)
        assert '"Valid"' in entry.configuration_changed.after_json


async def test_change_is_recorded_under_the_name_of_whoever_made_it(spool: Spool) -> None:
    """Another replica's change, or deletion, may arrive while a call of this process waits for the broker's answer."""
    registry = WebhookRegistry(spool, SecretCipher(bytes(32)), PayloadCipher(bytes(32)), 100)
    registry.changed("demo", version(1))
    registry.loaded()
    with registry.changing("demo", "operator:bob"):
        registry.changed("demo", version(2, "Renamed by alice"))
        registry.changed("demo", None)
    await settle(spool)
    (entry,) = await told(spool)
    assert (entry.event_id, entry.actor) == ("webhook:demo:2", "operator:alice")
