"""What a look stores and tells: one message of entries beside the rows it is about."""

from collections.abc import Sequence

from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.ids import event_subject
from vantixs.runtime.journal import Message


def message_of(message_id: str, entries: Sequence[journal_pb2.JournalEntry]) -> Message:
    """The entries as one message, which is published once however often it is sent."""
    content = journal_pb2.JournalBatch(entries=entries).SerializeToString()
    return Message(event_subject("signal"), content, message_id)
