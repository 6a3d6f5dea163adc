"""What ingress puts into the journal about a request: an accepted signal, a rejection, a repeat."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from vantixs.api.common.v1 import signal_pb2
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.ids import accepted_subject, event_subject, lane_of
from vantixs.runtime import trace
from vantixs.runtime.journal import Message
from vantixs.runtime.secret_cipher import PayloadCipher
from vantixs.runtime.timestamps import timestamp

from vantixs_ingress.spool.store import Stored
from vantixs_ingress.spool.wire import field

LONGEST_REJECTED = 4096  # Bytes of a rejected body that are kept.
LONGEST_SYMBOL = 100
MOST_ERRORS = 20
_REDUCES = bytes((6 << 3, 1))  # Field 6 of a SignalAccepted: true.


class WebhookRecord:
    """A webhook as journal entries hold it: without hashes of tokens and sealed secrets; serialized once per configuration."""

    __slots__ = ("account_id", "actor", "message", "serialized")

    def __init__(self, message: webhook_pb2.Webhook) -> None:
        self.message = message
        self.serialized = field(3, message.SerializeToString())  # As it stands in a SignalAccepted.
        self.account_id = message.account_id
        self.actor = f"webhook:{message.webhook_id}"


@dataclass(slots=True)
class Received:
    """A request as it goes into the record: serialized once, as every accepted signal holds it.

    `time_text` is its time as the answer shows it. The trace is kept as repeats are put together by the spool's thread,
    which has none of its own.
    """

    serialized: bytes
    payload_sha256: bytes
    receive_time: Timestamp
    time_text: str
    trace_parent: str

    def message(self) -> signal_pb2.ReceivedRequest:
        """The same as a message."""
        return signal_pb2.ReceivedRequest.FromString(self.serialized)


@lru_cache(maxsize=1024)
def sender_part(
    source_address: str, content_type: str, proof: str, token_fingerprint: str, instance: str, client_certificate: str,
    credential_id: str,
) -> bytes:  # fmt: skip
    """What requests of one sender have in common, serialized."""
    return signal_pb2.ReceivedRequest(
        source_address=source_address,
        content_type=content_type,
        proof=proof,
        token_fingerprint=token_fingerprint,
        instance=instance,
        client_certificate=client_certificate,
        credential_id=credential_id,
    ).SerializeToString()


def make_received(
    now: datetime, payload: bytes, payload_sha256: bytes, sender: bytes, seals: PayloadCipher | None = None
) -> Received:
    """The request received at `now` (UTC); `sender` is what `sender_part` made. Where `seals` is given, it is sealed.

    Put together from serialized parts: concatenated fields are a message
    (https://protobuf.dev/programming-guides/encoding/), and building it from objects copies each of them twice.
    """
    receive_time = timestamp(now)
    body = field(11, seals.seal(payload, payload_sha256)) if seals else field(1, payload)
    serialized = body + field(2, payload_sha256) + field(3, receive_time.SerializeToString()) + sender
    return Received(serialized, payload_sha256, receive_time, f"{now.isoformat()[:-6]}Z", trace.current())


def accepted_message(
    webhook: WebhookRecord,
    received: Received,
    signal: signal_pb2.Signal,
    distinct: str,
    warnings: Sequence[webhook_pb2.FieldError] = (),
    *,
    fingerprint: bytes = b"",
    reduces: bool = False,
) -> Message:
    """The entry that drives the router.

    `distinct` keeps apart what two instances accept under one key: were the ids the same, the broker would drop the second
    silently. The router, which has the last word, then records it as a repeat: by the fingerprint, which is empty where no
    repeat is recognised.
    """
    subject = accepted_subject(lane_of(webhook.account_id, signal.instrument))
    event_id = f"{signal.signal_id}:accepted:{distinct}" if distinct else f"{signal.signal_id}:accepted"
    # The serialized webhook is made once per configuration.
    event = field(1, signal.SerializeToString()) + field(2, received.serialized) + webhook.serialized
    for warning in warnings:
        event += field(4, warning.SerializeToString())
    if fingerprint:
        event += field(5, fingerprint)
    if reduces:
        event += _REDUCES
    entry = _entry(event_id, signal.signal_id, webhook, received).SerializeToString() + field(10, event)
    return Message(subject, field(1, entry), event_id)


def rejected_message(
    webhook: WebhookRecord,
    received: Received,
    signal_id: str,
    reason: str,
    detail: str,
    errors: Sequence[Mapping[str, str]] = (),
    *,
    symbol: str = "",
    action: str = "",
) -> Message:
    """The entry of a rejected signal, with what could be read of its symbol and action (canonical, or empty)."""
    event = journal_pb2.SignalRejected(
        reason=reason,
        detail=detail,
        errors=[webhook_pb2.FieldError(**error) for error in errors[:MOST_ERRORS]],
        request=received.message(),
        webhook=webhook.message,
        symbol=symbol[:LONGEST_SYMBOL],
        action=f"ACTION_{action or 'UNSPECIFIED'}",
    )
    event_id = f"{signal_id}:rejected"
    entry = _entry(event_id, signal_id, webhook, received, signal_rejected=event)
    return _message(event_subject("signal"), event_id, entry)


def duplicate_message(
    webhook: WebhookRecord, received: Received, signal: signal_pb2.Signal, own_id: str, stored: Stored
) -> Message:
    """The two entries of a repeat: one of its own, with all that a replay needs, and one on the first signal's timeline."""
    own = signal_pb2.Signal()
    own.CopyFrom(signal)
    own.signal_id = own_id
    whole = journal_pb2.DuplicateSuppressed(
        first_signal_id=stored.signal_id, rule=stored.rule, duplicate_signal_id=own_id, repeat=stored.repeat
    )
    mark = journal_pb2.DuplicateSuppressed()
    mark.CopyFrom(whole)
    whole.signal.CopyFrom(own)
    whole.request.MergeFromString(received.serialized)
    whole.webhook.CopyFrom(webhook.message)
    event_id = f"{own_id}:duplicate"
    entries = (
        _entry(event_id, own_id, webhook, received, duplicate_suppressed=whole),
        _entry(f"{event_id}-of", stored.signal_id, webhook, received, duplicate_suppressed=mark),
    )
    return _message(event_subject("signal"), event_id, *entries)


def cut_rejected(payload: bytes) -> bytes:
    """The body of a rejected request, a long one cut and marked, so that repeated rejections do not fill the journal.

    The SHA-256 beside it stays that of the whole body as it was sent.
    """
    if len(payload) <= LONGEST_REJECTED:
        return payload
    kept = payload[:LONGEST_REJECTED].decode(errors="ignore")
    return f"{kept}... [cut: {len(payload)} bytes]".encode()


def _entry(
    event_id: str, signal_id: str, webhook: WebhookRecord, received: Received, **event: Any
) -> journal_pb2.JournalEntry:
    return journal_pb2.JournalEntry(
        event_id=event_id,
        event_time=received.receive_time,
        signal_id=signal_id,
        actor=webhook.actor,
        trace_parent=received.trace_parent,
        **event,
    )


def _message(subject: str, message_id: str, *entries: journal_pb2.JournalEntry) -> Message:
    return Message(subject, journal_pb2.JournalBatch(entries=entries).SerializeToString(), message_id)
