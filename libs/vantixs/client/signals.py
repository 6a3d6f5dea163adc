"""Signals: sends them, reads their outcomes, and watches them change."""

import contextlib
import http.client
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from typing import Any, NamedTuple

import grpc

from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.common.v1 import common_pb2
from vantixs.client.blocking import Blocking, blocking, iterating
from vantixs.client.calls import Answer, Calls, enum_number
from vantixs.client.contracts import rpc_of
from vantixs.client.errors import DeadlineExceeded, NotFound, ServiceUnavailable, error_of, refusal_of
from vantixs.client.places import webhook_token
from vantixs.runtime.retry import spread

HEARTBEAT_S = 30  # After this time audit reports that nothing changed.
EXPORT_S = 86_400.0
WATCH_S = 3600.0  # After this time a watch begins another call by itself.
# Status codes of a call whose connection or service ended; the watch continues with another call.
_INTERRUPTED = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.INTERNAL,
)
_TRY_AGAIN = (502, 503, 504)


class Sent(NamedTuple):
    """The answer of ingress. For a repeat, `duplicate` is set and the id is that of the first signal."""

    signal_id: str
    duplicate: bool
    warnings: list[dict[str, str]]


class AsyncSignals:
    """Signals of a system."""

    def __init__(self, calls: Calls, home: Any = None) -> None:
        self._calls = calls
        self._home = home

    async def send(
        self,
        payload: dict[str, Any],
        *,
        webhook_id: str = "demo",
        token: str = "",
        key: str = "",
        timeout_s: float | None = None,
    ) -> Sent:
        """Sends a signal to a webhook by HTTP; when this returns, the signal is on disk.

        `token` is the webhook's; if empty, the one stored in the home is used. All calls with the same `key` are one
        signal, for ever; so are all payloads with the same key (`idempotency_key`, `nonce`, or what the webhook reads
        as one). A `key` has to equal that of the payload. Without both, each call is a signal of its own. A request
        without an answer is repeated, as the same signal, until `timeout_s`. Webhooks that require signatures are not
        supported.

        Raises:
            SignalRejected: ingress refused it.
            ServiceUnavailable: there was no answer, and the signal may have been accepted. Send it again with
                `request_id` as `key`, and it is accepted exactly once; as it is, if the payload has a key in another
                field than `idempotency_key`.
            ValueError: the address of ingress, or the token, is not known.
        """
        if not (base := self._calls.http()):
            raise ValueError("send: expected the address of ingress, found none: give `http`")
        if not token and not (token := webhook_token(self._home, webhook_id) if self._home else ""):
            raise ValueError(f"send: expected the token of webhook {webhook_id!r}, was none")
        headers = {"Content-Type": "application/json", "X-Webhook-Token": token}
        own_key = payload.get("idempotency_key")
        request_id = key or str(own_key or uuid.uuid4())
        # Which field is the key of a webhook is known to ingress alone. It takes a `webhook-id` if the payload has no key, where
        # a generated Idempotency-Key would contradict that of the payload.
        headers["Idempotency-Key" if key else "webhook-id"] = request_id
        body = json.dumps(payload).encode()
        answer = await self._post(f"{base}/hooks/{webhook_id}", body, headers, request_id, timeout_s)
        try:
            content = json.loads(answer.body)
        except ValueError:
            content = None
        if answer.status not in (200, 202) or not isinstance(content, dict) or "signal_id" not in content:
            raise refusal_of(answer.status, content)
        return Sent(content["signal_id"], bool(content.get("duplicate")), content.get("warnings", []))

    async def get(self, signal_id: str, *, timeout_s: float | None = None) -> audit_pb2.GetSignalResponse:
        """A signal and its timeline: every decision with its inputs. Raises NotFound if history does not have it.

        `entries_not_kept` is set where retention deleted entries of it.
        """
        response: audit_pb2.GetSignalResponse = await self._calls.ask(
            audit_pb2.GetSignalRequest(signal_id=signal_id), timeout_s
        )
        return response

    async def payload(self, signal_id: str, *, timeout_s: float | None = None) -> audit_pb2.GetPayloadResponse:
        """The payload of a signal, also if the webhook seals payloads. Needs the token of an auditor or operator.

        History records each read. Raises NotFound if history does not have the signal.
        """
        response: audit_pb2.GetPayloadResponse = await self._calls.ask(
            audit_pb2.GetPayloadRequest(signal_id=signal_id), timeout_s
        )
        return response

    async def wait(self, signal_id: str, *, timeout_s: float = 30.0) -> audit_pb2.GetSignalResponse:
        """Waits until a signal has ended; returns it with its timeline.

        With a resting order it ends as EXECUTED, ORDER_WORKING.

        It also waits for a signal that history does not have yet: a signal is recorded a moment after it was accepted.

        Raises:
            DeadlineExceeded: it has not ended within the time; the reason is SIGNAL_NOT_ENDED.
        """

        async def look(left_s: float) -> audit_pb2.GetSignalResponse | None:
            with contextlib.suppress(NotFound):
                found = await self.get(signal_id, timeout_s=left_s)
                if found.signal.status != common_pb2.SIGNAL_STATUS_ACCEPTED:
                    return found
            return None

        late = DeadlineExceeded(
            "SIGNAL_NOT_ENDED", f"expected signal {signal_id} to end within {timeout_s:g} s", service="audit"
        )
        ended: audit_pb2.GetSignalResponse = await self._calls.until(look, timeout_s, late)
        return ended

    async def list(
        self,
        *,
        status: str = "",
        webhook_id: str = "",
        account_id: str = "",
        instrument: str = "",
        reason: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> AsyncIterator[audit_pb2.SignalSummary]:
        """Signals that match all conditions, newest first. `status` is for example "executed".

        Raises:
            ValueError: no such status, or a time without a zone.
        """
        given = _filter(status, webhook_id, account_id, instrument, reason, since, until)
        async for item in self._calls.pages(audit_pb2.ListSignalsRequest(filter=given)):
            yield item

    async def watch(
        self,
        *,
        status: str = "",
        webhook_id: str = "",
        account_id: str = "",
        instrument: str = "",
        reason: str = "",
        resume: int = 0,
        away_s: float = 60.0,
    ) -> AsyncIterator[audit_pb2.SignalSummary]:
        """Yields signals as they change, without end.

        It starts now, or after `resume`, the `sequence` of the last yielded signal. After an interruption it continues by
        itself, and yields each signal that changed meanwhile once, in its current state. So no signal is missed, no
        state is yielded twice, and of several changes during an interruption only the last one is seen. A restarted
        program continues in the same way with `resume`.

        Raises:
            ServiceUnavailable: audit did not answer for `away_s`.
            InvalidRequest: history has not reached `resume`, because it was started again.
        """
        given = _filter(status, webhook_id, account_id, instrument, reason, None, None)
        watched = _Watched(self._calls, given, resume)
        waits, away_since = spread(self._calls.policy.pauses), None
        while True:
            try:
                async for item in watched.changes():
                    away_since = None
                    if item is not None:
                        yield item
                waits = spread(self._calls.policy.pauses)
            except grpc.RpcError as error:
                failure = error_of(error, "audit")
                if error.code() not in _INTERRUPTED:
                    raise failure from None
            except ServiceUnavailable as error:
                failure = error
            else:
                continue
            now = self._calls.transport.now()
            away_since = now if away_since is None else away_since
            if now - away_since >= away_s:
                raise failure
            await self._calls.transport.pause(next(waits))
            await self._calls.transport.look("audit")

    async def export(
        self,
        *,
        expression: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
        timeline: bool = False,
        payloads: bool = False,
        proofs: bool = False,
        timeout_s: float = EXPORT_S,
    ) -> AsyncIterator[audit_pb2.ExportSignalsResponse]:
        """The signals that match and exist now, oldest first; with their entries if `timeline` is set.

        `payloads` and `proofs` need the token of an auditor or operator. History records every export. An interrupted
        export has to be started again.

        Where retention deleted entries of a signal, `entries_not_kept` of its response is set: the timeline has only the
        later ones, or none, and there is no proof.

        Raises:
            ClientError: see `vantixs.client.errors`.
        """
        given = _filter("", "", "", "", "", since, until)
        given.expression = expression
        request = audit_pb2.ExportSignalsRequest(filter=given, timeline=timeline, payloads=payloads, proofs=proofs)
        stream = self._calls.transport.stream(rpc_of(request), request, timeout_s)
        try:
            async with contextlib.aclosing(stream):  # type: ignore[type-var]
                async for response in stream:
                    if response is not None:
                        yield response
        except grpc.RpcError as error:
            raise error_of(error, "audit") from None

    async def _post(self, url: str, body: bytes, headers: dict[str, str], key: str, timeout_s: float | None) -> Answer:
        transport, policy = self._calls.transport, self._calls.policy
        deadline = transport.now() + (policy.timeout_s if timeout_s is None else timeout_s)
        waits = policy.waits()
        while True:
            try:
                answer, failure = await transport.post(url, body, headers, max(0.001, deadline - transport.now())), ""
            except (OSError, http.client.HTTPException) as error:
                answer, failure = None, f"ingress did not answer: {error or type(error).__name__}"
            if answer and answer.status not in _TRY_AGAIN:
                return answer
            wait = next(waits, None)
            if wait is None or transport.now() + wait >= deadline:
                if answer:
                    return answer
                raise ServiceUnavailable("UNAVAILABLE", failure, service="ingress", request_id=key)
            await transport.pause(wait)


class _Watched:
    """A watch over several calls. Each call continues after the sequence up to which the previous one sent all changes."""

    def __init__(self, calls: Calls, given: audit_pb2.SignalFilter, after: int) -> None:
        self._calls = calls
        self._request = audit_pb2.WatchSignalsRequest(filter=given, after_sequence=after, heartbeat_s=HEARTBEAT_S)

    async def changes(self) -> AsyncIterator[audit_pb2.SignalSummary | None]:
        """Changes after those of the previous call, as they arrive; None if there was none for a while."""
        stream = self._calls.transport.stream(rpc_of(self._request), self._request, WATCH_S)
        async with contextlib.aclosing(stream):  # type: ignore[type-var]
            async for change in stream:
                if change is None:
                    continue
                self._request.after_sequence = max(self._request.after_sequence, change.sequence)
                yield change.signal if change.HasField("signal") else None


class Signals(Blocking[AsyncSignals]):
    """`AsyncSignals` for programs without an event loop."""

    send = blocking(AsyncSignals.send)
    get = blocking(AsyncSignals.get)
    payload = blocking(AsyncSignals.payload)
    wait = blocking(AsyncSignals.wait)
    list = iterating(AsyncSignals.list)
    watch = iterating(AsyncSignals.watch)
    export = iterating(AsyncSignals.export)


def _filter(
    status: str,
    webhook_id: str,
    account_id: str,
    instrument: str,
    reason: str,
    since: datetime | None,
    until: datetime | None,
) -> audit_pb2.SignalFilter:
    given = audit_pb2.SignalFilter(webhook_id=webhook_id, account_id=account_id, instrument=instrument, reason=reason)
    given.status = enum_number(common_pb2.SignalStatus, "SIGNAL_STATUS_", "status", status)
    for name, time in _times(since, until):
        getattr(given, name).FromDatetime(time)
    return given


def _times(since: datetime | None, until: datetime | None) -> Iterator[tuple[str, datetime]]:
    for name, time in (("since", since), ("until", until)):
        if time is not None:
            if time.tzinfo is None:
                raise ValueError(f"{name}: expected a time with its zone, was {time.isoformat()}")
            yield name, time
