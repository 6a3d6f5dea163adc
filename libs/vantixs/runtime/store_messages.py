"""What is said of a store: to operators, and to history."""

import json
from datetime import UTC, datetime

from vantixs.api.journal.v1 import journal_pb2
from vantixs.api.stores.v1 import stores_pb2
from vantixs.model.ids import event_subject
from vantixs.runtime.nats_client import Message
from vantixs.runtime.store_identity import Identity


def identity_message(identity: Identity) -> stores_pb2.StoreIdentity:
    """An identity for people."""
    return stores_pb2.StoreIdentity(store_id=identity.store_id, epoch=identity.epoch, accepted=identity.accepted)


def store_entry(name: str, expected: Identity, found: Identity, detail: str, comment: str, operator: str) -> Message:
    """What history says of a store that took the place of another, or of an older self."""
    event = journal_pb2.ConfigurationChanged(
        kind="store",
        id=name,
        revision=found.epoch,
        before_json=json.dumps({"store_id": expected.store_id, "epoch": expected.epoch, "problem": detail}),
        after_json=json.dumps({"store_id": found.store_id, "epoch": found.epoch, "comment": comment}),
    )
    event_id = f"store:{name}:{found.store_id}:{found.accepted}"
    entry = journal_pb2.JournalEntry(event_id=event_id, actor=operator, configuration_changed=event)
    entry.event_time.FromDatetime(datetime.now(UTC))
    payload = journal_pb2.JournalBatch(entries=[entry]).SerializeToString()
    return Message(event_subject("configuration"), payload, event_id)
