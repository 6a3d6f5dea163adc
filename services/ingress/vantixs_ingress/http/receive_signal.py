"""The webhook URL: the whole way of a request from the moment it is complete to its answer."""

import hashlib
import os
import time
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from typing import Any

from prometheus_client import Counter, Gauge
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.model.ids import keyed_signal_id, new_signal_id
from vantixs.model.instruments import CATALOGUE
from vantixs.runtime import trace
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.health import Health
from vantixs.runtime.http_messages import Request, Response
from vantixs.runtime.journal import Message
from vantixs.runtime.kv import KvTable

from vantixs_ingress.domain.payload.decode import Body, read_body
from vantixs_ingress.domain.payload.reading import FieldError, Reading
from vantixs_ingress.domain.payload.redaction import redact_payload
from vantixs_ingress.domain.signal.content import content_fingerprint, set_key_aside, takes_part
from vantixs_ingress.domain.signal.read_signal import read_signal
from vantixs_ingress.http import responses
from vantixs_ingress.http.authentication import (
    NO_TOKEN,
    CertificateRule,
    Sender,
    authorize_status_query,
    check_sender,
    check_signature,
    check_token,
    contradicts,
    find_token,
)
from vantixs_ingress.http.client_address import Proxies, block_of
from vantixs_ingress.http.failed_attempts import FailedAttemptLimiter
from vantixs_ingress.http.openapi import DOCUMENT
from vantixs_ingress.http.responses import RETRY_AFTER_S, Rejection
from vantixs_ingress.http.signal_outcomes import SignalOutcomes
from vantixs_ingress.settings import IngressSettings
from vantixs_ingress.spool.deduplication import DeduplicationKey
from vantixs_ingress.spool.entries import (
    Received,
    accepted_message,
    duplicate_message,
    make_received,
    rejected_message,
    sender_part,
)
from vantixs_ingress.spool.relay import REFUSE_RATIO, Relay
from vantixs_ingress.spool.signal_message import signal_message
from vantixs_ingress.spool.spool import Spool
from vantixs_ingress.spool.store import Stored
from vantixs_ingress.webhooks.registry import WebhookRegistry
from vantixs_ingress.webhooks.snapshot import WebhookSnapshot

REQUESTS = Counter("vantixs_ingress_requests_total", "webhook requests answered", ["outcome", "reason"])
_ACCEPTED = REQUESTS.labels("accepted", "")
UNRECORDED = Counter("vantixs_ingress_unrecorded_total", "rejections and repeats that are counted only", ["reason"])
ADDRESSES = Gauge("vantixs_ingress_limited_addresses", "addresses whose failed attempts are counted")
LONGEST_KEY = 255
JOURNAL_WAIT_S = 1.0


class Target:
    """What a path names."""

    __slots__ = ("signal_id", "token", "webhook_id")

    def __init__(self, webhook_id: str, token: str = "", signal_id: str = "") -> None:
        self.webhook_id = webhook_id
        self.token = token
        self.signal_id = signal_id


class _Entry:
    """An accepted signal on its way to the disk, and what is stored in its place where it turns out to be a repeat."""

    __slots__ = ("dedupe", "duplicate", "message", "own_id", "reading", "signal_id")

    def __init__(
        self, message: Message, dedupe: DeduplicationKey | None, duplicate: Callable[[Stored], Message], signal_id: str,
        own_id: str, reading: Reading,
    ) -> None:  # fmt: skip
        self.message = message
        self.dedupe = dedupe
        self.duplicate = duplicate
        self.signal_id = signal_id
        self.own_id = own_id
        self.reading = reading


class Entropy:
    """Random bytes of the system, fetched a page at a time: each call of it gives the interpreter's lock away."""

    def __init__(self) -> None:
        self._page, self._used = b"", 0

    def take(self, count: int) -> bytes:
        """So many bytes, never the same ones twice."""
        start, end = self._used, self._used + count
        if end > len(self._page):
            self._page, start, end = os.urandom(4096), 0, count
        self._used = end
        return self._page[start:end]


class SignalReceiver:
    """Takes signals. `snapshots` holds every webhook by id and is kept up to date by `WebhookServicer`."""

    def __init__(
        self, snapshots: Mapping[str, WebhookSnapshot], spool: Spool, relay: Relay, statuses: SignalOutcomes, health: Health,
        settings: IngressSettings, proxies: Proxies, certificate: CertificateRule,
    ) -> None:  # fmt: skip
        self._snapshots = snapshots
        self._spool = spool
        self._relay = relay
        self._statuses = statuses
        self._health = health
        self._settings = settings
        self._proxies = proxies
        self._certificate = certificate
        self._entropy = Entropy()
        self._strangers = FailedAttemptLimiter(settings.address_failures_per_minute)
        self._knows_webhooks = bool(snapshots)
        self._unknown = responses.problem(Rejection("TOKEN_INVALID", NO_TOKEN))
        health.set("webhooks", self._knows_webhooks, "" if snapshots else "not loaded yet")
        ADDRESSES.set_function(lambda: len(self._strangers))

    async def learn(self, table: KvTable[webhook_pb2.Webhook], registry: WebhookRegistry) -> None:
        """Until webhooks are known, from disk or from the broker, nobody can be told from a stranger: 503."""
        await table.loaded.wait()
        registry.loaded()
        self._knows_webhooks = True
        self._health.set("webhooks", True)

    def refuse(self, what: str) -> Response:
        """The answer to what is no complete request."""
        return self.refuse_as(responses.incomplete(what, self._settings.body_max_bytes))

    def refuse_as(self, refused: Rejection) -> Response:
        """The answer to a request that is not looked into."""
        REQUESTS.labels("refused", refused.reason).inc()
        return responses.problem(refused)

    def alive(self) -> Response:
        """200 as long as the process answers."""
        return responses.document(200, {"status": "ok"})

    def ready(self) -> Response:
        """200 where signals can be taken: the broker's state is shown and does not count."""
        states = {name: {"ok": ok, "detail": detail} for name, (ok, detail) in self._health.snapshot().items()}
        ready = self._health.ready
        content = {"status": "ready" if ready else "not ready", "dependencies": states}
        return responses.document(200 if ready else 503, content)

    def describe(self) -> Response:
        """The OpenAPI document."""
        return Response(200, DOCUMENT)

    def receive(self, request: Request, target: Target) -> Response | Coroutine[Any, Any, Response]:
        """One signal."""
        now = datetime.now(UTC)
        trace.enter(request.headers.get("traceparent"))
        try:
            sender, address = self._authenticate(request, target, now)
        except Rejection as refused:
            REQUESTS.labels("refused", refused.reason).inc()
            return self._unknown if refused.reason == "TOKEN_INVALID" else responses.problem(refused)
        certificate = self._certificate.result(request.headers) if self._proxies.trusts(request.client) else ""
        body = sender.body or read_body(request.body)
        received = self._received(request, body, now, address, sender, certificate)
        try:
            if sender.lapsed:
                raise self._lapsed(sender, address)
            if self._relay.gap:
                raise Rejection("STORAGE_UNAVAILABLE", _JOURNAL_GAP, retry_after_s=JOURNAL_RETRY_S)
            signed_key = check_sender(sender, request, address, certificate, now)
            reading = self._read(request, body, sender, signed_key, now)
        except Rejection as refused:
            return self._reject(sender.snapshot, received, refused)
        return self._take(sender.snapshot, received, self._entry(sender.snapshot, received, reading, now))

    def tell(self, request: Request, target: Target) -> Response:
        """What became of a signal, for its sender."""
        now = datetime.now(UTC)
        try:
            sender, address = self._authenticate(request, target, now)
            if sender.lapsed:
                raise self._lapsed(sender, address)
            authorize_status_query(sender, request, address, now)
        except Rejection as refused:
            return self._unknown if refused.reason == "TOKEN_INVALID" else responses.problem(refused)
        found = self._statuses.get(target.webhook_id, target.signal_id)
        if found is None:
            return responses.problem(Rejection("NOT_FOUND", "this webhook has no such signal, or it is long ago"))
        return responses.document(200, {"signal_id": target.signal_id, **found})

    def _authenticate(self, request: Request, target: Target, now: datetime) -> tuple[Sender, str]:
        """Who sends. Whoever shows the right thing gets in, however many strangers failed from its address before."""
        if not self._knows_webhooks:
            raise Rejection("STORAGE_UNAVAILABLE", "webhooks are not loaded yet", retry_after_s=RETRY_AFTER_S)
        address = self._proxies.source(request.client, request.headers)
        block, clock = block_of(address), time.monotonic()
        wait = self._strangers.wait(block, clock)
        try:
            return self._identify(request, target, now, limited=wait > 0), address
        except Rejection:
            self._strangers.failed(block, clock)
            if wait:
                raise Rejection("RATE_LIMITED", "too many failed attempts", retry_after_s=wait) from None
            raise

    def _identify(self, request: Request, target: Target, now: datetime, *, limited: bool) -> Sender:
        snapshot = self._snapshots.get(target.webhook_id)
        shown = find_token(request, target.token, snapshot, limited=limited)
        if not shown.proof and "webhook-signature" in request.headers:
            key = check_signature(snapshot, request, now)
            assert snapshot  # noqa: S101 - an unknown webhook has no keys
            return Sender(
                snapshot, snapshot.rules, "signature", key.secret_id, signed_key=request.headers["webhook-id"]
            )
        found = check_token(snapshot, shown.token)
        if snapshot is None or found is None:
            raise Rejection("TOKEN_INVALID", NO_TOKEN)
        return Sender(
            snapshot,
            found.rules,
            shown.proof,
            found.token_id,
            token=shown.token,
            lapsed=found.reason(now),
            fingerprint=found.fingerprint,
            body=shown.body,
        )

    def _lapsed(self, sender: Sender, address: str) -> Rejection:
        """A token that was right once: told why, but a leaked one fills no record."""
        block, clock = block_of(address), time.monotonic()
        if wait := self._strangers.wait(block, clock):
            return Rejection("RATE_LIMITED", "too many failed attempts", retry_after_s=wait)
        self._strangers.failed(block, clock)
        return Rejection(sender.lapsed, f"the token is {sender.lapsed.removeprefix('TOKEN_').lower()}")

    async def _take(self, snapshot: WebhookSnapshot, received: Received, entry: "_Entry") -> Response:
        """Has an accepted signal stored, and answers what that makes of it."""
        if self._spool.refusal and not entry.reading.reduces:
            return await self._reject(snapshot, received, _OTHER_SPOOL)
        try:
            stored = await self._spool.store(entry.message, entry.dedupe, entry.duplicate)
        except ServiceError:
            return await self._reject(snapshot, received, _NOT_STORED)
        webhook_id = snapshot.webhook.webhook_id
        if stored.conflict and entry.reading.reduces and "idempotency_key" in entry.reading.values:
            # A key that is used again keeps nobody in a position: the exit is taken as a signal of its own.
            set_key_aside(entry.reading)
            return await self._take(
                snapshot, received, self._entry(snapshot, received, entry.reading, datetime.now(UTC))
            )
        if stored.conflict:
            conflict = Rejection("IDEMPOTENCY_CONFLICT", "the key was used before with other content")
            return await self._reject(snapshot, received, conflict)
        if stored.rule:
            return self._repeated(stored, received, webhook_id, entry.own_id)
        self._statuses.accepted(webhook_id, entry.signal_id)
        if self._settings.accept == "journal":
            # Where the broker does not answer in time, the spool's word is as good: it is on disk.
            await self._relay.published(stored.sequence, JOURNAL_WAIT_S)
        _ACCEPTED.inc()
        return responses.accepted(entry.signal_id, received.time_text, entry.reading.warnings)

    def _read(self, request: Request, body: Body, sender: Sender, signed_key: str, now: datetime) -> Reading:
        """What the body says, with the key it goes by; refused where that is no signal."""
        if contradicts(body, sender):
            raise Rejection("TOKEN_INVALID", "the body shows another token than the one that opened the webhook")
        reading = read_signal(body, sender.rules, CATALOGUE, now, sender.token)
        key = signed_key or _header_key(request)
        if key:
            reading.values["idempotency_key"] = key
        _check_key(reading)
        if reading.errors:
            raise _refusal(reading)
        if not reading.reduces:
            self._check_room(sender.snapshot)
        return reading

    def _check_room(self, snapshot: WebhookSnapshot) -> None:
        """Refuses an entry where the journal keeps what is left for exits, or where the webhook sends too many."""
        if self._relay.used_ratio >= REFUSE_RATIO:
            raise Rejection("STORAGE_UNAVAILABLE", _JOURNAL_NEARLY_FULL, retry_after_s=JOURNAL_RETRY_S)
        if snapshot.entry_rate and (wait := snapshot.entry_rate.take(time.monotonic())):
            limit = self._settings.entries_per_minute
            raise Rejection("RATE_LIMITED", f"more than {limit} entries a minute; exits are taken", retry_after_s=wait)

    def _entry(self, snapshot: WebhookSnapshot, received: Received, reading: Reading, now: datetime) -> "_Entry":
        """The signal as it goes on disk, named by its key or anew."""
        webhook = snapshot.webhook
        fingerprint = content_fingerprint(reading) if reading.reduces else received.payload_sha256
        entropy, receive_ms = self._entropy.take(10), int(now.timestamp() * 1000)
        signal_id = own_id = new_signal_id(receive_ms, entropy)
        key = reading.values.get("idempotency_key", "")
        dedupe: DeduplicationKey | None = None
        if key:
            signal_id = keyed_signal_id(webhook.webhook_id, key)
            dedupe = DeduplicationKey(signal_id.encode(), signal_id, fingerprint, receive_ms)
        elif webhook.dedupe_window_s:
            if not takes_part(reading):
                fingerprint = received.payload_sha256
            unique = hashlib.sha256(webhook.webhook_id.encode() + b"\0" + fingerprint).digest()[:16]
            dedupe = DeduplicationKey(unique, signal_id, fingerprint, receive_ms, webhook.dedupe_window_s * 1000)
        signal = signal_message(reading, signal_id)
        message = accepted_message(
            snapshot.record,
            received,
            signal,
            entropy.hex()[:8] if key else "",
            reading.warnings,
            fingerprint=dedupe.fingerprint if dedupe else b"",
            reduces=reading.reduces,
        )

        def duplicate(stored: Stored) -> Message:
            return duplicate_message(snapshot.record, received, signal, own_id, stored)

        return _Entry(message, dedupe, duplicate, signal_id, own_id, reading)

    def _repeated(self, stored: Stored, received: Received, webhook_id: str, own_id: str) -> Response:
        reason = "DUPLICATE_SUPPRESSED" if stored.rule == "same_bytes" else "DUPLICATE_SIGNAL"
        REQUESTS.labels("duplicate", reason).inc()
        if stored.recorded:
            self._statuses.ended(webhook_id, own_id, "rejected", reason)
        else:
            UNRECORDED.labels(reason).inc()
        return responses.duplicate(stored.signal_id, received.time_text, reason)

    async def _reject(self, snapshot: WebhookSnapshot, received: Received, refused: Rejection) -> Response:
        """Puts the rejection of a known sender into the record, as far as the record has room for it, and answers."""
        REQUESTS.labels("rejected", refused.reason).inc()
        if refused.reason in _NOT_RECORDED or snapshot.record_rate.take(time.monotonic()):
            UNRECORDED.labels(refused.reason).inc()
            return responses.problem(refused)
        signal_id = new_signal_id(time.time_ns() // 1_000_000, self._entropy.take(10))
        message = rejected_message(snapshot.record, received, signal_id, refused.reason, refused.detail, refused.errors)
        try:
            await self._spool.store(message)
        except ServiceError:
            return responses.problem(_NOT_STORED)
        self._statuses.ended(snapshot.webhook.webhook_id, signal_id, "rejected", refused.reason)
        return responses.problem(refused, signal_id)

    def _received(
        self, request: Request, body: Body, now: datetime, address: str, sender: Sender, certificate: str
    ) -> Received:
        described = sender_part(
            address,
            request.headers.get("content-type", "")[:255],
            sender.proof,
            sender.fingerprint,
            self._settings.instance,
            certificate,
            sender.credential_id,
        )
        payload = redact_payload(request.body, sender.token, read=body)
        return make_received(now, payload, hashlib.sha256(request.body).digest(), described)


# What is told and counted only: a sender that is limited may not fill the record, and what cannot be stored is not.
_NOT_RECORDED = ("RATE_LIMITED", "STORAGE_UNAVAILABLE")
_JOURNAL_GAP = (
    "the journal lacks what was seen of it, so nothing is taken until an operator accepts that "
    "(vantixs journal accept-gap)"
)
_JOURNAL_NEARLY_FULL = "the journal is nearly full, so exits are taken and entries are not"
JOURNAL_RETRY_S = 30
_OTHER_SPOOL = Rejection(
    "STORAGE_UNAVAILABLE",
    "what was accepted before may be lost, so exits are taken and entries are not until an operator accepts that "
    "(vantixs store list)",
    retry_after_s=30,
)
_NOT_STORED = Rejection(
    "STORAGE_UNAVAILABLE", "the signal could not be stored, and was not", retry_after_s=RETRY_AFTER_S
)


def _header_key(request: Request) -> str:
    return request.headers.get("idempotency-key") or request.headers.get("webhook-id") or ""


def _check_key(reading: Reading) -> None:
    key = reading.values.get("idempotency_key", "")
    if len(key) > LONGEST_KEY or not key.isprintable():
        detail = f"expected at most {LONGEST_KEY} printable characters, was {len(key)}"
        problem = FieldError("idempotency_key", "FIELD_INVALID", detail)
        if reading.reduces:
            del reading.values["idempotency_key"]
            reading.warnings.append(problem)
        else:
            reading.errors.append(problem)


def _refusal(reading: Reading) -> Rejection:
    shown = [{"field": e.field[:200], "reason": e.reason, "detail": e.detail} for e in reading.errors]
    return Rejection(reading.reason, reading.detail, errors=shown)
