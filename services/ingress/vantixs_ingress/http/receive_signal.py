"""Receives one signal: identify, authorize, read, build, store, answer. Each step is one module, in this order."""

import os
import time
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any

from vantixs.model.ids import new_signal_id
from vantixs.runtime import trace
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.http_messages import Request, Response

from vantixs_ingress.domain.signal.content import set_key_aside
from vantixs_ingress.http import responses
from vantixs_ingress.http.authentication import NO_TOKEN, Authenticator, Sender, Target
from vantixs_ingress.http.authorization import authorize
from vantixs_ingress.http.build_entry import SignalEntry, build_entry, record_request
from vantixs_ingress.http.content_encoding import UnreadableContent
from vantixs_ingress.http.read_payload import read_payload
from vantixs_ingress.http.request_metrics import ACCEPTED, REQUESTS, UNRECORDED, refuse
from vantixs_ingress.http.responses import RETRY_AFTER_S, Rejection
from vantixs_ingress.http.signal_outcomes import SignalOutcomes
from vantixs_ingress.settings import IngressSettings
from vantixs_ingress.spool.entries import rejected_message
from vantixs_ingress.spool.relay import REFUSE_RATIO, Relay
from vantixs_ingress.spool.spool import Spool
from vantixs_ingress.spool.store import Stored

JOURNAL_WAIT_S = 1.0
JOURNAL_RETRY_S = 30
_ENTROPY_BYTES = 10  # Of a signal id.
# These rejections are counted and not recorded: a sender that exceeds a limit must not fill the record, and without storage
# nothing can be recorded.
_NOT_RECORDED = ("RATE_LIMITED", "STORAGE_UNAVAILABLE")
_JOURNAL_GAP = Rejection(
    "STORAGE_UNAVAILABLE",
    "the journal lacks what was seen of it, so nothing is taken until an operator accepts that "
    "(vantixs journal accept-gap)",
    retry_after_s=JOURNAL_RETRY_S,
)
_JOURNAL_NEARLY_FULL = Rejection(
    "STORAGE_UNAVAILABLE",
    "the journal is nearly full, so exits are taken and entries are not",
    retry_after_s=JOURNAL_RETRY_S,
)
_OTHER_SPOOL = Rejection(
    "STORAGE_UNAVAILABLE",
    "what was accepted before may be lost, so exits are taken and entries are not until an operator accepts that "
    "(vantixs store list)",
    retry_after_s=JOURNAL_RETRY_S,
)
_NOT_STORED = Rejection(
    "STORAGE_UNAVAILABLE", "the signal could not be stored, and was not", retry_after_s=RETRY_AFTER_S
)
_CONFLICT = Rejection("IDEMPOTENCY_CONFLICT", "the key was used before with other content")


class SignalReceiver:
    """Receives signals from senders and stores them in the spool."""

    def __init__(
        self, authenticator: Authenticator, spool: Spool, relay: Relay, outcomes: SignalOutcomes, settings: IngressSettings
    ) -> None:  # fmt: skip
        self._authenticator = authenticator
        self._spool = spool
        self._relay = relay
        self._outcomes = outcomes
        self._settings = settings
        self._body_max_bytes = settings.body_max_bytes
        self._unknown = responses.problem(Rejection("TOKEN_INVALID", NO_TOKEN))

    def receive(self, request: Request, target: Target) -> Response | Coroutine[Any, Any, Response]:
        """Answers a request. The part that has to wait for the disk is returned as a coroutine."""
        now = datetime.now(UTC)
        trace.enter(request.headers.get("traceparent"))
        try:
            sender = self._authenticator.identify(request, target, now)
        except Rejection as rejection:
            if rejection.reason != "TOKEN_INVALID":
                return refuse(rejection)
            REQUESTS.labels("refused", rejection.reason).inc()
            return self._unknown
        try:
            signed_key = authorize(sender, request, self._body_max_bytes, now)
            reading = read_payload(sender, request, signed_key, self._body_max_bytes, now)
            rate = sender.snapshot.entry_rate
            if rate and not reading.reduces and (wait := rate.take(time.monotonic())):
                detail = f"more than {self._settings.entries_per_minute} entries a minute; exits are taken"
                raise Rejection("RATE_LIMITED", detail, retry_after_s=wait)
        except UnreadableContent as rejection:
            return refuse(rejection)
        except Rejection as rejection:
            return self._reject(sender, request, rejection, now)
        entry = build_entry(sender, request, reading, self._settings.instance, os.urandom(_ENTROPY_BYTES), now)
        return self._store(sender, request, entry, now)

    async def _store(self, sender: Sender, request: Request, entry: SignalEntry, now: datetime) -> Response:
        """Stores an accepted signal, and answers with the spool's result."""
        reading = entry.reading
        rejection = self._storage_problem(reduces=reading.reduces)
        if rejection is not None:
            return await self._reject(sender, request, rejection, now)
        try:
            stored = await self._spool.store(entry.message, entry.key, entry.duplicate)
        except ServiceError:
            return await self._reject(sender, request, _NOT_STORED, now)
        if stored.conflict and reading.reduces and "idempotency_key" in reading.values:
            # An exit must not be lost because its key was used before: it is stored as a signal of its own.
            set_key_aside(reading)
            again = datetime.now(UTC)
            entry = build_entry(sender, request, reading, self._settings.instance, os.urandom(_ENTROPY_BYTES), again)
            return await self._store(sender, request, entry, again)
        if stored.conflict:
            return await self._reject(sender, request, _CONFLICT, now)
        webhook_id = sender.snapshot.webhook.webhook_id
        if stored.rule:
            return self._repeated(stored, entry, webhook_id)
        self._outcomes.accepted(webhook_id, entry.signal_id)
        if self._settings.accept == "journal":
            # Where the broker does not answer in time, the spool is enough: the signal is on disk.
            await self._relay.published(stored.sequence, JOURNAL_WAIT_S)
        ACCEPTED.inc()
        return responses.accepted(entry.signal_id, entry.received.time_text, reading.warnings)

    def _storage_problem(self, *, reduces: bool) -> Rejection | None:
        """Why nothing, or no entry, can be stored now; None if it can. The last part of the journal is kept for exits."""
        if self._relay.gap:
            return _JOURNAL_GAP
        if reduces:
            return None
        if self._relay.used_ratio >= REFUSE_RATIO:
            return _JOURNAL_NEARLY_FULL
        return _OTHER_SPOOL if self._spool.refusal else None

    def _repeated(self, stored: Stored, entry: SignalEntry, webhook_id: str) -> Response:
        reason = "DUPLICATE_SUPPRESSED" if stored.rule == "same_bytes" else "DUPLICATE_SIGNAL"
        REQUESTS.labels("duplicate", reason).inc()
        if stored.recorded:
            self._outcomes.ended(webhook_id, entry.own_id, "rejected", reason)
        else:
            UNRECORDED.labels(reason).inc()
        return responses.duplicate(stored.signal_id, entry.received.time_text, reason)

    async def _reject(self, sender: Sender, request: Request, rejection: Rejection, now: datetime) -> Response:
        """Answers a rejection, and records it while the webhook's share of the record lasts."""
        REQUESTS.labels("rejected", rejection.reason).inc()
        snapshot = sender.snapshot
        if rejection.reason in _NOT_RECORDED or snapshot.record_rate.take(time.monotonic()):
            UNRECORDED.labels(rejection.reason).inc()
            return responses.problem(rejection)
        received = record_request(sender, request, self._body_max_bytes, self._settings.instance, now)
        signal_id = new_signal_id(time.time_ns() // 1_000_000, os.urandom(_ENTROPY_BYTES))
        message = rejected_message(
            snapshot.record,
            received,
            signal_id,
            rejection.reason,
            rejection.detail,
            rejection.errors,
            symbol=rejection.symbol,
            action=rejection.action,
        )
        try:
            await self._spool.store(message)
        except ServiceError:
            return responses.problem(_NOT_STORED)
        self._outcomes.ended(snapshot.webhook.webhook_id, signal_id, "rejected", rejection.reason)
        return responses.problem(rejection, signal_id)
