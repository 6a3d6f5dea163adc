"""Signals: sending them, what became of each and why, and watching them change."""

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

HEARTBEAT_S = 30  # After which audit says that nothing changed.
EXPORT_S = 86_400.0
WATCH_S = 3600.0  # After which a watch begins another call by itself.
# With these a call ends whose connection or service ended; the watch goes on with another one.
_INTERRUPTED = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.INTERNAL,
)
_TRY_AGAIN = (502, 503, 504)


class Sent(NamedTuple):
    """What ingress answered. A repeat is `duplicate`, and has the first signal's id."""

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
        """Sends a signal to a webhook by HTTP; it is on disk when this returns.

        `token` is the webhook's; empty takes the one that the home keeps. `key` makes resends the same signal, for ever; with
        neither it nor `idempotency_key` in the payload each call is a signal of its own. What was not answered is sent again
        with the same key until `timeout_s`. A webhook that wants signatures is not served.

        Raises:
            SignalRejected: ingress refused it.
            ServiceUnavailable: no answer came: it may have been taken. Sent again with `request_id` as `key` it is taken once.
            ValueError: nothing says where ingress is, or which token to use.
        """
        if not (base := self._calls.http()):
            raise ValueError("send: expected the address of ingress, found none: give `http`")
        if not token and not (token := webhook_token(self._home, webhook_id) if self._home else ""):
            raise ValueError(f"send: expected the token of webhook {webhook_id!r}, was none")
        headers = {"Content-Type": "application/json", "X-Webhook-Token": token}
        named = key or str(payload.get("idempotency_key", ""))
        if not named:
            named = key = str(uuid.uuid4())
        if key:
            headers["Idempotency-Key"] = key
        answer = await self._post(f"{base}/hooks/{webhook_id}", json.dumps(payload).encode(), headers, named, timeout_s)
        try:
            content = json.loads(answer.body)
        except ValueError:
            content = None
        if answer.status not in (200, 202) or not isinstance(content, dict) or "signal_id" not in content:
            raise refusal_of(answer.status, content)
        return Sent(content["signal_id"], bool(content.get("duplicate")), content.get("warnings", []))

    async def get(self, signal_id: str, *, timeout_s: float | None = None) -> audit_pb2.GetSignalResponse:
        """A signal and its timeline: every decision with what it was made on. NotFound where history has none."""
        response: audit_pb2.GetSignalResponse = await self._calls.ask(
            audit_pb2.GetSignalRequest(signal_id=signal_id), timeout_s
        )
        return response

    async def payload(self, signal_id: str, *, timeout_s: float | None = None) -> audit_pb2.GetPayloadResponse:
        """What was sent with a signal, also where the webhook seals it. Needs the token of an auditor or operator.

        Each look is an entry in history. NotFound where history has no such signal.
        """
        response: audit_pb2.GetPayloadResponse = await self._calls.ask(
            audit_pb2.GetPayloadRequest(signal_id=signal_id), timeout_s
        )
        return response

    async def wait(self, signal_id: str, *, timeout_s: float = 30.0) -> audit_pb2.GetSignalResponse:
        """A signal and its timeline once it has ended. That of an order that rests has ended, as EXECUTED, ORDER_WORKING.

        A signal that history does not have yet is waited for as well: it is recorded a moment after it was accepted.

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
        """Signals for which all of this holds, newest first. `status` is for example "executed".

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
        """Signals as they change, without end: from now on, or after `resume`, the `sequence` of the last one that was yielded.

        Where the connection or audit ends it goes on by itself, and then yields each signal that changed in between once, as
        it is then. So none is missed and none yielded twice in the same state, and of several changes during an interruption
        only the last is seen. A program that is started again goes on in the same way with `resume`.

        Raises:
            ServiceUnavailable: audit was away for `away_s`.
            InvalidRequest: history is not as far as `resume`: it was begun anew.
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
        """Signals that match and are there now, oldest first, with their entries where `timeline` is set.

        `payloads` and `proofs` need the token of an auditor or operator. Every export is an entry in history. One that is
        interrupted has to be begun again.

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
    """A watch over several calls: each goes on after the sequence up to which the one before told all."""

    def __init__(self, calls: Calls, given: audit_pb2.SignalFilter, after: int) -> None:
        self._calls = calls
        self._request = audit_pb2.WatchSignalsRequest(filter=given, after_sequence=after, heartbeat_s=HEARTBEAT_S)

    async def changes(self) -> AsyncIterator[audit_pb2.SignalSummary | None]:
        """Changes as they come, after those since the call before; None where there was none for a while."""
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
