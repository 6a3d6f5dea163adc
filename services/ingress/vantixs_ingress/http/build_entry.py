"""The fourth step: what is stored of an accepted signal, and what of a request that is recorded."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from vantixs.model.ids import keyed_signal_id, new_signal_id
from vantixs.runtime.http_messages import Request
from vantixs.runtime.journal import Message

from vantixs_ingress.domain.payload.decode import read_body
from vantixs_ingress.domain.payload.reading import Reading
from vantixs_ingress.domain.payload.redaction import SHORTEST_KNOWN, hidden_values, redact_payload
from vantixs_ingress.domain.signal.content import content_fingerprint, takes_part
from vantixs_ingress.http.authentication import Sender
from vantixs_ingress.http.content_encoding import read_content
from vantixs_ingress.http.responses import Rejection
from vantixs_ingress.spool.deduplication import DeduplicationKey
from vantixs_ingress.spool.entries import (
    Received,
    accepted_message,
    cut_rejected,
    duplicate_message,
    make_received,
    sender_part,
)
from vantixs_ingress.spool.signal_message import field_errors, signal_message
from vantixs_ingress.spool.store import Stored

_MOST_OTHER_SECRETS = 20  # Each is looked for in every text of a rejected body.


@dataclass(slots=True)
class SignalEntry:
    """An accepted signal as it is stored, and what is stored in its place where it turns out to be a repeat.

    `own_id` is the id of this request as a repeat: that of its signal where it has no key.
    """

    message: Message
    key: DeduplicationKey | None
    duplicate: Callable[[Stored], Message]
    signal_id: str
    own_id: str
    reading: Reading
    received: Received


def build_entry(
    sender: Sender, request: Request, reading: Reading, instance: str, entropy: bytes, now: datetime
) -> SignalEntry:
    """The signal as it goes to disk, with an id made of its key or of `entropy` (10 random bytes).

    The payload is redacted here: what is stored of it holds no secret. Then it is sealed, where the webhook says so.
    """
    content, webhook = sender.content, sender.snapshot.webhook
    assert content is not None  # noqa: S101 - the signal was read from it
    payload = redact_payload(content, sender.token, read=sender.body)
    payload_sha256 = hashlib.sha256(content).digest()
    fingerprint = content_fingerprint(reading) if reading.reduces else payload_sha256
    receive_ms = int(now.timestamp() * 1000)
    signal_id = own_id = new_signal_id(receive_ms, entropy)
    explicit = reading.values.get("idempotency_key", "")
    key: DeduplicationKey | None = None
    if explicit:
        signal_id = keyed_signal_id(webhook.webhook_id, explicit)
        key = DeduplicationKey(signal_id.encode(), signal_id, fingerprint, receive_ms)
    elif webhook.dedupe_window_s:
        if not takes_part(reading):
            fingerprint = payload_sha256
        unique = hashlib.sha256(webhook.webhook_id.encode() + b"\0" + fingerprint).digest()[:16]
        key = DeduplicationKey(unique, signal_id, fingerprint, receive_ms, webhook.dedupe_window_s * 1000)
    signal, warnings = signal_message(reading, signal_id), field_errors(reading.warnings)
    if sender.snapshot.seals:
        # Nothing acts on them; they are in the sealed payload.
        signal.ClearField("extras")
        signal.ClearField("comment")
    described = _described(sender, request, instance)
    received = make_received(now, payload, payload_sha256, described, sender.snapshot.seals)
    record = sender.snapshot.record
    message = accepted_message(
        record,
        received,
        signal,
        entropy.hex()[:8] if explicit else "",
        warnings,
        fingerprint=key.fingerprint if key else b"",
        reduces=reading.reduces,
    )

    def duplicate(stored: Stored) -> Message:
        return duplicate_message(record, received, signal, own_id, stored)

    return SignalEntry(message, key, duplicate, signal_id, own_id, reading, received)


def record_request(sender: Sender, request: Request, body_max_bytes: int, instance: str, now: datetime) -> Received:
    """A request that is rejected, as it goes into the record; its body is read here where no step before has read it.

    Nothing is recorded of a body whose content coding cannot be undone: secrets cannot be redacted in it.
    """
    content = sender.content
    if content is None:
        try:
            content = read_content(request, body_max_bytes)
        except Rejection:
            content = b""
    body = sender.body or read_body(content)
    # What stands in a secret field may be repeated where it is not recognised, such as in the symbol.
    others = [s for s in hidden_values(body.fields) if len(s) >= SHORTEST_KNOWN]
    others = sorted(others, key=lambda s: (-len(s), s))[:_MOST_OTHER_SECRETS]
    payload = cut_rejected(redact_payload(content, sender.token, *others, read=body))
    payload_sha256 = hashlib.sha256(content or request.body).digest()
    return make_received(now, payload, payload_sha256, _described(sender, request, instance), sender.snapshot.seals)


def _described(sender: Sender, request: Request, instance: str) -> bytes:
    return sender_part(
        sender.address,
        request.headers.get("content-type", "")[:255],
        sender.proof,
        sender.fingerprint,
        instance,
        sender.certificate,
        sender.credential_id,
    )
