"""Keeps the door's gates, the copy on disk and the record in step with the bucket of webhooks."""

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

from vantixs_ingress.gate import Gate, make_gate, shown
from vantixs_ingress.signatures import Sealer
from vantixs_ingress.spool.spool import Spool
from vantixs_ingress.spool.store import Stored


@dataclass(slots=True)
class Change:
    """A change that is being made here: by whom, and its entry on the way to disk."""

    actor: str
    before: webhook_pb2.Webhook | None = None
    told: "asyncio.Future[Stored] | None" = None


class Keeper:
    """Hears of every webhook as it is now, from whatever replica changed it.

    The entry of a change goes to disk before the copy of the webhook does. So a copy that is older than the bucket at start
    means that a crash came between a change and its entry, which is then made up for.
    """

    def __init__(self, spool: Spool, sealer: Sealer, records_per_minute: int, entries_per_minute: int = 0) -> None:
        self.gates: dict[str, Gate] = {}
        self._spool = spool
        self._sealer = sealer
        self._records_per_minute = records_per_minute
        self._entries_per_minute = entries_per_minute
        self._changes: dict[str, Change] = {}
        self._loaded = False
        # Webhooks with a revocation that the bucket does not know yet.
        self.unpublished: set[str] = set()
        for webhook_id, _, data in spool.webhooks():
            self.gates[webhook_id] = self._make(webhook_pb2.Webhook.FromString(data), None)

    def loaded(self) -> None:
        """The bucket has been read whole: changes of others are theirs to tell from now on."""
        self._loaded = True

    @contextmanager
    def changing(self, webhook_id: str, actor: str, before: webhook_pb2.Webhook | None = None) -> Iterator[Change]:
        """While it lasts, a change of the webhook is ours to tell; `before` says what it was, where that is not the gate's."""
        change = self._changes[webhook_id] = Change(actor, before)
        try:
            yield change
        finally:
            self._changes.pop(webhook_id, None)

    def changed(self, webhook_id: str, found: Versioned[webhook_pb2.Webhook] | None) -> None:
        """A webhook is as found now, or gone."""
        gate = self.gates.get(webhook_id)
        change = self._changes.get(webhook_id)
        before = (change and change.before) or (gate.webhook if gate else None)
        self.unpublished.discard(webhook_id)
        if found is None:
            if change and before:
                change.told = self._tell(before, None, change.actor)
            self.gates.pop(webhook_id, None)
            self._spool.remember_webhook(webhook_id, 0, None)
            return
        after = webhook_pb2.Webhook()
        after.CopyFrom(found.value)
        after.revision = found.revision
        if gate and keep_revoked(gate.webhook, after):
            self.unpublished.add(webhook_id)
        if change:
            change.told = self._tell(before, after, change.actor)
        elif not self._loaded and before and before.revision < found.revision:
            self._tell(before, after, after.updated_by)
        self.gates[webhook_id] = self._make(after, gate)
        self._spool.remember_webhook(webhook_id, found.revision, after.SerializeToString())

    def revoke(self, webhook: webhook_pb2.Webhook) -> None:
        """Has a revocation in force here, and on disk, before the bucket is asked: it may be away."""
        gate = self.gates.get(webhook.webhook_id)
        self.gates[webhook.webhook_id] = self._make(webhook, gate)
        self._spool.remember_webhook(webhook.webhook_id, webhook.revision, webhook.SerializeToString())
        self.unpublished.add(webhook.webhook_id)

    async def tell_revoked(self, before: webhook_pb2.Webhook, after: webhook_pb2.Webhook, ended: str) -> None:
        """Records a revocation that the bucket does not know yet; returns once it is on disk, and the copy before it."""
        await self._tell(before, after, after.updated_by, f"{after.revision}-revoked-{ended}")

    def _make(self, webhook: webhook_pb2.Webhook, before: Gate | None) -> Gate:
        gate = make_gate(
            webhook,
            self._sealer,
            before=before,
            records_per_minute=self._records_per_minute,
            entries_per_minute=self._entries_per_minute,
        )
        if gate.unreadable_keys:
            log.error("webhook.secret_unreadable", webhook_id=webhook.webhook_id, detail="sealed under another key")
        return gate

    def _tell(
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
    return json.dumps(json_format.MessageToDict(shown(webhook), preserving_proto_field_name=True), sort_keys=True)
