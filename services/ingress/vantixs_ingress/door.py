"""The webhook URL: the whole way of a request from its first byte to the answer."""

import asyncio
import hashlib
import json
import os
import time
from datetime import UTC, datetime
from typing import Any

from prometheus_client import Counter
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from vantixs.api.common.v1 import signal_pb2
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.ids import accepted_subject, event_subject, keyed_signal_id, lane_of, new_signal_id
from vantixs.model.instruments import CATALOGUE
from vantixs.model.reasons import REASONS
from vantixs.runtime import trace
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.health import Health
from vantixs.runtime.journal import Message
from vantixs.runtime.kv import KvTable
from vantixs.runtime.logs import log

from vantixs_ingress.conversion import field_errors, signal_message
from vantixs_ingress.domain.dialects import Unreadable, decode, redact
from vantixs_ingress.domain.intake import Reading, Rules, read_signal
from vantixs_ingress.gate import Gate, check_token, token_digest
from vantixs_ingress.settings import IngressSettings
from vantixs_ingress.spool import Claim, Spool, Stored

REQUESTS = Counter("vantixs_ingress_requests_total", "webhook requests answered", ["outcome", "reason"])
RETRY_AFTER_S = 2


class Refused(Exception):
    """A request that is answered with a problem document. `store` says whether it goes into the record."""

    def __init__(
        self, reason: str, detail: str, *, errors: Any = (), retry_after: int = 0, store: bool = False
    ) -> None:
        self.reason = reason
        self.detail = detail
        self.errors = errors
        self.retry_after = retry_after
        self.store = store


class Door:
    """Takes signals. `gates` holds every webhook by id and is kept up to date by `WebhookServicer`."""

    def __init__(self, gates: dict[str, Gate], spool: Spool, health: Health, settings: IngressSettings) -> None:
        self._gates = gates
        self._spool = spool
        self._health = health
        self._settings = settings
        self._knows_webhooks = bool(gates)
        health.set("webhooks", self._knows_webhooks, "" if gates else "not loaded yet")

    async def learn(self, table: KvTable[webhook_pb2.Webhook]) -> None:
        """Until webhooks are known, from disk or from the broker, nobody can be told from a stranger: 503."""
        await table.loaded.wait()
        self._knows_webhooks = True
        self._health.set("webhooks", True)

    def app(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/hooks/{webhook_id}/{token}", self.receive, methods=["POST"]),
                Route("/hooks/{webhook_id}", self.receive, methods=["POST"]),
                Route("/healthz", self.alive),
                Route("/readyz", self.ready),
            ],
            exception_handlers={HTTPException: _http_problem, Exception: _fault},
        )

    async def alive(self, request: Request) -> Response:
        """200 as long as the process answers."""
        return _json(200, {"status": "ok"})

    async def ready(self, request: Request) -> Response:
        """200 where signals can be taken: the broker's state is shown and does not count."""
        states = {name: {"ok": ok, "detail": detail} for name, (ok, detail) in self._health.snapshot().items()}
        ok = self._health.ready
        return _json(200 if ok else 503, {"status": "ready" if ok else "not ready", "dependencies": states})

    async def receive(self, request: Request) -> Response:
        """One signal."""
        now = datetime.now(UTC)
        trace.enter(request.headers.get("traceparent"))
        try:
            body = await self._read_body(request)
            gate, token, proof = self._authenticate(request, body, now)
            address = request.client.host if request.client else ""
            if not gate.webhook.enabled:
                raise Refused("WEBHOOK_DISABLED", "the webhook is disabled")
            if not gate.admits(address):
                raise Refused("SOURCE_ADDRESS_NOT_ALLOWED", "the address is not allowed")
            if wait := gate.limited(time.monotonic()):
                raise Refused("RATE_LIMITED", "too many requests", retry_after=int(wait) + 1)
            received = self._received(request, body, now, address, token, proof)
            return await self._take(request, gate, body, received, now)
        except Refused as refusal:
            REQUESTS.labels("refused", refusal.reason).inc()
            return _problem(refusal)

    async def _take(
        self, request: Request, gate: Gate, body: bytes, received: signal_pb2.ReceivedRequest, now: datetime
    ) -> Response:
        reading = read_signal(body, gate.rules, CATALOGUE, now)
        webhook = gate.webhook
        key = request.headers.get("idempotency-key") or request.headers.get("webhook-id") or ""
        key = key or str(reading.values.get("idempotency_key", ""))
        if len(key) > 255:
            raise Refused("FIELD_INVALID", f"idempotency_key: expected at most 255 characters, was {len(key)}")
        entropy = os.urandom(10)
        signal_id = new_signal_id(time.time_ns() // 1_000_000, entropy)
        if reading.errors:
            return await self._reject(gate, reading, received, signal_id)
        if key:
            signal_id = keyed_signal_id(webhook.webhook_id, key)
            reading.values["idempotency_key"] = key
        signal = signal_message(reading, signal_id)
        accepted = journal_pb2.SignalAccepted(signal=signal, request=received, webhook=gate.snapshot)
        event_id = f"{signal_id}:accepted"
        subject = accepted_subject(lane_of(webhook.account_id, signal.instrument))
        message = _message(subject, event_id, signal_id, webhook.webhook_id, received, signal_accepted=accepted)
        claim = Claim(
            webhook.webhook_id,
            signal_id,
            received.payload_sha256,
            key,
            webhook.dedupe_window_s * 1000,
            received.receive_time.ToMilliseconds(),
        )

        def duplicate(stored: Stored) -> Message:
            event = journal_pb2.DuplicateSuppressed(
                first_signal_id=stored.signal_id, rule=stored.rule, request=received
            )
            suppressed = f"{stored.signal_id}:duplicate:{entropy.hex()}"
            return _message(
                event_subject("signal"),
                suppressed,
                stored.signal_id,
                webhook.webhook_id,
                received,
                duplicate_suppressed=event,
            )

        stored = await self._store(message, claim, duplicate)
        if stored.conflict:
            raise Refused("IDEMPOTENCY_CONFLICT", "the key was used before with other content")
        if stored.rule:
            reason = "DUPLICATE_SUPPRESSED" if stored.rule == "same_bytes" else "DUPLICATE_SIGNAL"
            REQUESTS.labels("duplicate", reason).inc()
            return _json(200, _answer(stored.signal_id, received, duplicate=True) | {"reason": reason})
        REQUESTS.labels("accepted", "").inc()
        return _json(202, _answer(signal_id, received, duplicate=False))

    async def _reject(
        self, gate: Gate, reading: Reading, received: signal_pb2.ReceivedRequest, signal_id: str
    ) -> Response:
        errors = field_errors(reading)
        event = journal_pb2.SignalRejected(
            reason=reading.reason, detail=reading.detail, errors=errors, request=received, webhook=gate.snapshot
        )
        webhook_id = gate.webhook.webhook_id
        event_id = f"{signal_id}:rejected"
        subject = event_subject("signal")
        await self._store(_message(subject, event_id, signal_id, webhook_id, received, signal_rejected=event))
        REQUESTS.labels("rejected", reading.reason).inc()
        shown = [{"field": e.field, "reason": e.reason, "detail": e.detail} for e in errors]
        return _problem(Refused(reading.reason, reading.detail, errors=shown), signal_id=signal_id)

    async def _store(self, message: Message, claim: Claim | None = None, duplicate: Any = None) -> Stored:
        try:
            # A sender that hangs up must not undo what is being stored.
            return await asyncio.shield(self._spool.store(message, claim, duplicate))
        except ServiceError as error:
            log.error("signal.not_stored", reason=error.reason, detail=error.detail)
            raise Refused(
                "STORAGE_UNAVAILABLE", "the signal could not be stored, and was not", retry_after=RETRY_AFTER_S
            ) from None

    async def _read_body(self, request: Request) -> bytes:
        most = self._settings.body_max_bytes
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > most:
            raise Refused("BODY_TOO_LARGE", f"expected at most {most} bytes, was {declared[:12]}")
        parts, size = [], 0
        try:
            async with asyncio.timeout(self._settings.body_timeout_s):
                async for part in request.stream():
                    size += len(part)
                    if size > most:
                        raise Refused("BODY_TOO_LARGE", f"expected at most {most} bytes")
                    parts.append(part)
        except TimeoutError:
            raise Refused("REQUEST_TIMEOUT", f"expected the body within {self._settings.body_timeout_s:g} s") from None
        except ClientDisconnect:
            raise Refused("REQUEST_TIMEOUT", "the sender hung up before the body was there") from None
        return b"".join(parts)

    def _authenticate(self, request: Request, body: bytes, now: datetime) -> tuple[Gate, str, str]:
        if not self._knows_webhooks:
            raise Refused("STORAGE_UNAVAILABLE", "webhooks are not loaded yet", retry_after=RETRY_AFTER_S)
        gate = self._gates.get(request.path_params["webhook_id"])
        token, proof = _find_token(request, body)
        reason = check_token(gate, token, now)
        if reason or gate is None:
            detail = {"TOKEN_EXPIRED": "the token is expired", "TOKEN_REVOKED": "the token is revoked"}.get(reason)
            raise Refused(reason or "TOKEN_INVALID", detail or "unknown webhook, or wrong or missing token")
        return gate, token, proof

    def _received(
        self, request: Request, body: bytes, now: datetime, address: str, token: str, proof: str
    ) -> signal_pb2.ReceivedRequest:
        try:
            payload = redact(decode(body), token).encode("utf-8", "replace")
        except Unreadable:
            payload = body
        received = signal_pb2.ReceivedRequest(
            payload=payload,
            payload_sha256=hashlib.sha256(body).digest(),
            source_address=address,
            content_type=request.headers.get("content-type", "")[:255],
            proof=proof,
            token_fingerprint=token_digest(token).hex()[:8],
            instance=self._settings.instance,
        )
        received.receive_time.FromDatetime(now)
        return received


def _find_token(request: Request, body: bytes) -> tuple[str, str]:
    if token := request.path_params.get("token"):
        return str(token), "path"
    if token := request.headers.get("x-webhook-token"):
        return token, "header"
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip(), "header"
    return read_signal(body, Rules(), {}, datetime.now(UTC)).secret, "body"


def _message(
    subject: str, event_id: str, signal_id: str, webhook_id: str, received: signal_pb2.ReceivedRequest, **event: Any
) -> Message:
    entry = journal_pb2.JournalEntry(
        event_id=event_id,
        event_time=received.receive_time,
        signal_id=signal_id,
        actor=f"webhook:{webhook_id}",
        trace_parent=trace.current(),
        **event,
    )
    return Message(subject, journal_pb2.JournalBatch(entries=[entry]).SerializeToString(), event_id)


def _answer(signal_id: str, received: signal_pb2.ReceivedRequest, *, duplicate: bool) -> dict[str, Any]:
    return {
        "signal_id": signal_id,
        "status": "accepted",
        "duplicate": duplicate,
        "receive_time": received.receive_time.ToJsonString(),
    }


def _json(status: int, content: dict[str, Any], media_type: str = "application/json", **headers: str) -> Response:
    return Response(json.dumps(content), status, headers, media_type)


def _problem(refusal: Refused, signal_id: str = "") -> Response:
    """RFC 9457."""
    status = REASONS[refusal.reason].http
    content = {
        "type": "about:blank",
        "title": REASONS[refusal.reason].meaning,
        "status": status,
        "reason": refusal.reason,
        "detail": refusal.detail,
        "errors": list(refusal.errors),
    }
    if signal_id:
        content["signal_id"] = signal_id
    headers = {"retry-after": str(refusal.retry_after)} if refusal.retry_after else {}
    return _json(status, content, "application/problem+json", **headers)


async def _http_problem(request: Request, error: Exception) -> Response:
    reason = "METHOD_NOT_ALLOWED" if getattr(error, "status_code", 404) == 405 else "NOT_FOUND"
    return _problem(Refused(reason, f"nothing takes {request.method} here"))


async def _fault(request: Request, error: Exception) -> Response:
    log.error("request.failed", exc_info=error)
    return _problem(Refused("INTERNAL", "internal error"))
