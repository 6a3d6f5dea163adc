"""Keeps snapshots of webhooks, their copies on disk and the record of changes in step with the KV bucket."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from google.protobuf import json_format
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.ids import event_subject
from vantixs.runtime import trace
from vantixs.runtime.journal import Message
from vantixs.runtime.kv import Versioned
from vantixs.runtime.logs import log
from vantixs.runtime.secret_cipher import PayloadCipher, SecretCipher

from vantixs_ingress.spool.spool import Spool
from vantixs_ingress.spool.store import Stored
from vantixs_ingress.webhooks.snapshot import WebhookSnapshot, compile_webhook, without_secrets


@dataclass(slots=True)
class Change:
    """A change that this process is making: by whom, and the journal entry about it, which is being stored."""

    actor: str
    before: webhook_pb2.Webhook | None = None
    deletes: bool = False
    recorded: "asyncio.Future[Stored] | None" = None


class WebhookRegistry:
    """Is told of every webhook as it is now, by whatever replica it was changed.

    The entry of a change goes to disk before the copy of the webhook does. So a copy that is older than the bucket at start
    means that a crash came between a change and its entry, which is then stored.
    """

    def __init__(
        self,
        spool: Spool,
        cipher: SecretCipher,
        payloads: PayloadCipher,
        records_per_minute: int,
        entries_per_minute: int = 0,
    ) -> None:
        self.snapshots: dict[str, WebhookSnapshot] = {}
        self._spool = spool
        self._cipher = cipher
        self._payloads = payloads
        self._records_per_minute = records_per_minute
        self._entries_per_minute = entries_per_minute
        self._changes: dict[str, list[Change]] = {}  # Several calls may change a webhook at once; one of them succeeds.
        self._loaded = False
        # Webhooks with a revocation that the bucket does not know yet.
        self.unpublished: set[str] = set()
        for webhook_id, _, data in spool.webhooks():
            self.snapshots[webhook_id] = self._make(webhook_pb2.Webhook.FromString(data), None)

    def loaded(self) -> None:
        """Called once the bucket has been read whole: from now on a change by another replica is recorded by that replica."""
        self._loaded = True

    @contextmanager
    def changing(
        self, webhook_id: str, actor: str, before: webhook_pb2.Webhook | None = None, *, deletes: bool = False
    ) -> Iterator[Change]:
        """While it lasts, a change of the webhook is recorded by this process. `before` is the webhook as it was, by default the
        snapshot's.
        """
        change = Change(actor, before, deletes)
        changes = self._changes.setdefault(webhook_id, [])
        changes.append(change)
        try:
            yield change
        finally:
            # By identity: a call that is refused must not end the change that another call is making.
            changes[:] = [other for other in changes if other is not change]
            if not changes and self._changes.get(webhook_id) is changes:
                del self._changes[webhook_id]

    def changed(self, webhook_id: str, found: Versioned[webhook_pb2.Webhook] | None) -> None:
        """Called when a webhook was changed, or deleted (None)."""
        snapshot = self.snapshots.get(webhook_id)
        # The revision that arrives may be that of any of them, or of another replica, which records it under the same id.
        changes = [c for c in self._changes.get(webhook_id, ()) if c.deletes == (found is None)]
        before = next((c.before for c in changes if c.before), snapshot.webhook if snapshot else None)
        self.unpublished.discard(webhook_id)
        if found is None:
            if changes and before:
                self._record_for(changes, before, None, changes[0].actor)
            self.snapshots.pop(webhook_id, None)
            self._spool.remember_webhook(webhook_id, 0, None)
            return
        after = webhook_pb2.Webhook()
        after.CopyFrom(found.value)
        after.revision = found.revision
        if snapshot and keep_revoked(snapshot.webhook, after):
            self.unpublished.add(webhook_id)
        if changes:
            self._record_for(changes, before, after, after.updated_by)
        elif not self._loaded and before and before.revision < found.revision:
            self._record(before, after, after.updated_by)
        self.snapshots[webhook_id] = self._make(after, snapshot)
        self._spool.remember_webhook(webhook_id, found.revision, after.SerializeToString())

    def revoke(self, webhook: webhook_pb2.Webhook) -> None:
        """Puts a revocation in force in this process and on disk at once: the broker may be unreachable."""
        snapshot = self.snapshots.get(webhook.webhook_id)
        self.snapshots[webhook.webhook_id] = self._make(webhook, snapshot)
        self._spool.remember_webhook(webhook.webhook_id, webhook.revision, webhook.SerializeToString())
        self.unpublished.add(webhook.webhook_id)

    async def record_revocation(self, before: webhook_pb2.Webhook, after: webhook_pb2.Webhook, ended: str) -> None:
        """Records a revocation that the bucket does not know yet; returns once the entry is on disk."""
        await self._record(before, after, after.updated_by, f"{after.revision}-revoked-{ended}")

    def _make(self, webhook: webhook_pb2.Webhook, before: WebhookSnapshot | None) -> WebhookSnapshot:
        snapshot = compile_webhook(
            webhook,
            self._cipher,
            self._payloads,
            before=before,
            records_per_minute=self._records_per_minute,
            entries_per_minute=self._entries_per_minute,
        )
        if snapshot.unreadable_signing_keys:
            log.error("webhook.secret_unreadable", webhook_id=webhook.webhook_id, detail="sealed under another key")
        return snapshot

    def _record_for(
        self,
        changes: list[Change],
        before: webhook_pb2.Webhook | None,
        after: webhook_pb2.Webhook | None,
        actor: str,
    ) -> None:
        recorded = self._record(before, after, actor)
        for change in changes:
            change.recorded = recorded

    def _record(
        self, before: webhook_pb2.Webhook | None, after: webhook_pb2.Webhook | None, actor: str, mark: str = ""
    ) -> "asyncio.Future[Stored]":
        webhook = after or before
        assert webhook  # noqa: S101 - one of the two is given
        event = journal_pb2.ConfigurationChanged(
            kind="webhook",
            id=webhook.webhook_id,
            revision=after.revision if after else 0,
            before_json=_to_json(before),
            after_json=_to_json(after),
        )
        mark = mark or (str(after.revision) if after else f"{webhook.revision}-deleted")
        event_id = f"webhook:{webhook.webhook_id}:{mark}"
        entry = journal_pb2.JournalEntry(
            event_id=event_id, actor=actor, trace_parent=trace.current(), configuration_changed=event
        )
        entry.event_time.FromDatetime(datetime.now(UTC))
        batch = journal_pb2.JournalBatch(entries=[entry])
        message = Message(event_subject("configuration"), batch.SerializeToString(), event_id)
        return self._spool.put(message)


def keep_revoked(known: webhook_pb2.Webhook, found: webhook_pb2.Webhook) -> bool:
    """Revokes in `found` what is revoked in `known`; returns whether there was any. A revocation is never taken back."""
    kept = False
    for name, key in (("tokens", "token_id"), ("signing_secrets", "secret_id")):
        revoked = {getattr(c, key): c.revoke_time for c in getattr(known, name) if c.HasField("revoke_time")}
        for credential in getattr(found, name):
            time = revoked.get(getattr(credential, key))
            if time is not None and not credential.HasField("revoke_time"):
                credential.revoke_time.CopyFrom(time)
                kept = True
    return kept


def _to_json(webhook: webhook_pb2.Webhook | None) -> str:
    if webhook is None:
        return ""
    return json.dumps(
        json_format.MessageToDict(without_secrets(webhook), preserving_proto_field_name=True), sort_keys=True
    )
