"""What the door puts into the journal: accepted signals, rejections, repeats."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp
from vantixs.api.common.v1 import signal_pb2
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.ids import accepted_subject, event_subject, lane_of
from vantixs.runtime import trace
from vantixs.runtime.journal import Message

from vantixs_ingress.gate import Gate
from vantixs_ingress.spool_file import Stored
from vantixs_ingress.wire import field


class Received(NamedTuple):
    """A request as it goes into the record, and its time as the answer shows it."""

    message: signal_pb2.ReceivedRequest
    time_text: str
    trace_parent: str  # Repeats are put together by the spool's thread, which has no trace of its own.


def make_received(now: datetime, **fields: Any) -> Received:
    """The request received at `now` (UTC)."""
    seconds = int(now.timestamp())
    receive_time = Timestamp(seconds=seconds, nanos=now.microsecond * 1000)
    message = signal_pb2.ReceivedRequest(receive_time=receive_time, **fields)
    return Received(message, f"{now.isoformat()[:-6]}Z", trace.current())


def accepted_message(gate: Gate, received: Received, signal: signal_pb2.Signal, distinct: str) -> Message:
    """The entry that drives the router.

    `distinct` keeps apart what two instances accept under one key: were the ids the same, the broker would swallow the second
    silently. The router, which has the last word, then records it as a repeat.
    """
    subject = accepted_subject(lane_of(gate.webhook.account_id, signal.instrument))
    event_id = f"{signal.signal_id}:accepted:{distinct}" if distinct else f"{signal.signal_id}:accepted"
    # Put together from serialized parts, of which the webhook's is made once per configuration: concatenated fields are a
    # message (https://protobuf.dev/programming-guides/encoding/), and building it from objects copies each of them twice.
    event = field(1, signal.SerializeToString()) + field(2, received.message.SerializeToString()) + gate.snapshot_field
    entry = _entry(event_id, signal.signal_id, gate, received).SerializeToString() + field(10, event)
    return Message(subject, field(1, entry), event_id)


def rejected_message(
    gate: Gate,
    received: Received,
    signal_id: str,
    reason: str,
    detail: str,
    errors: Sequence[webhook_pb2.FieldError],
) -> Message:
    """The entry of a signal that was turned away."""
    event = journal_pb2.SignalRejected(
        reason=reason, detail=detail, errors=errors, request=received.message, webhook=gate.snapshot
    )
    event_id = f"{signal_id}:rejected"
    entry = _entry(event_id, signal_id, gate, received, signal_rejected=event)
    return _message(event_subject("signal"), event_id, entry)


def duplicate_message(
    gate: Gate, received: Received, signal: signal_pb2.Signal, own_id: str, stored: Stored
) -> Message:
    """The two entries of a repeat: its own, with all that a replay needs, and the mark on the first signal's timeline."""
    own = signal_pb2.Signal()
    own.CopyFrom(signal)
    own.signal_id = own_id
    whole = journal_pb2.DuplicateSuppressed(
        first_signal_id=stored.signal_id, rule=stored.rule, duplicate_signal_id=own_id, repeat=stored.repeat
    )
    mark = journal_pb2.DuplicateSuppressed()
    mark.CopyFrom(whole)
    whole.signal.CopyFrom(own)
    whole.request.CopyFrom(received.message)
    whole.webhook.CopyFrom(gate.snapshot)
    event_id = f"{own_id}:duplicate"
    entries = (
        _entry(event_id, own_id, gate, received, duplicate_suppressed=whole),
        _entry(f"{event_id}-of", stored.signal_id, gate, received, duplicate_suppressed=mark),
    )
    return _message(event_subject("signal"), event_id, *entries)


def _entry(event_id: str, signal_id: str, gate: Gate, received: Received, **event: Any) -> journal_pb2.JournalEntry:
    return journal_pb2.JournalEntry(
        event_id=event_id,
        event_time=received.message.receive_time,
        signal_id=signal_id,
        actor=gate.actor,
        trace_parent=received.trace_parent,
        **event,
    )


def _message(subject: str, message_id: str, *entries: journal_pb2.JournalEntry) -> Message:
    return Message(subject, journal_pb2.JournalBatch(entries=entries).SerializeToString(), message_id)
