"""Responses: JSON, and problem documents (RFC 9457)."""

import json
from collections.abc import Sequence
from typing import Any

from vantixs.model.reasons import REASONS
from vantixs.runtime import http_messages
from vantixs.runtime.http_messages import Response

from vantixs_ingress.domain.payload.reading import FieldError

RETRY_AFTER_S = 2
PROBLEM = "application/problem+json"
MOST_WARNINGS = 20


class Rejection(Exception):
    """A request that is answered with a problem document. `symbol` and `action` are what could be read of a signal."""

    def __init__(
        self,
        reason: str,
        detail: str,
        *,
        errors: Sequence[dict[str, str]] = (),
        retry_after_s: float = 0,
        symbol: str = "",
        action: str = "",
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail
        self.errors = errors
        self.retry_after_s = retry_after_s
        self.symbol = symbol
        self.action = action


def accepted(signal_id: str, receive_time: str, warnings: Sequence[FieldError] = ()) -> Response:
    """202: the signal is on disk. `warnings` say what of it is not used."""
    text = f'{{"signal_id": "{signal_id}", "status": "accepted", "duplicate": false, "receive_time": "{receive_time}"'
    if warnings:
        rows = [{"field": w.field, "reason": w.reason, "detail": w.detail} for w in warnings[:MOST_WARNINGS]]
        text = f'{text}, "warnings": {json.dumps(rows)}'
    return Response(202, f"{text}}}".encode())


def duplicate(signal_id: str, receive_time: str, reason: str) -> Response:
    """200: the first signal's id, and why this one is a repeat of it."""
    text = (
        f'{{"signal_id": "{signal_id}", "status": "accepted", "duplicate": true, "receive_time": "{receive_time}", '
        f'"reason": "{reason}"}}'
    )
    return Response(200, text.encode())


def document(status: int, content: dict[str, Any]) -> Response:
    """A JSON response."""
    return Response(status, json.dumps(content).encode())


def problem(rejection: Rejection, signal_id: str = "", *, allow: str = "") -> Response:
    """The problem document of a rejection; `signal_id` where it is recorded."""
    reason = REASONS[rejection.reason]
    content = {
        "type": "about:blank",
        "title": reason.meaning,
        "status": reason.http,
        "reason": reason.name,
        "detail": rejection.detail,
        "errors": list(rejection.errors),
    }
    if signal_id:
        content["signal_id"] = signal_id
    headers: tuple[tuple[str, str], ...] = ()
    if rejection.retry_after_s:
        headers += (("retry-after", str(int(rejection.retry_after_s) + 1)),)
    if allow:
        headers += (("allow", allow),)
    if reason.http == 415:
        headers += (("accept-encoding", "gzip, deflate"),)
    if reason.http == 401:
        headers += (("www-authenticate", 'Bearer realm="webhook"'),)
    return Response(reason.http, json.dumps(content).encode(), PROBLEM, headers)


def wrong_method(allow: str) -> Response:
    """405."""
    return problem(Rejection("METHOD_NOT_ALLOWED", f"expected {allow}, was another method"), allow=allow)


def incomplete(what: str, body_bytes: int) -> Rejection:
    """The rejection for what the server received in place of a complete request."""
    known = {
        http_messages.TOO_SLOW: Rejection("REQUEST_TIMEOUT", "the request did not arrive in time"),
        http_messages.TOO_LARGE: Rejection("BODY_TOO_LARGE", f"expected at most {body_bytes} bytes"),
        http_messages.HEAD_TOO_LARGE: Rejection("HEADERS_TOO_LARGE", "expected at most 16,384 bytes and 100 headers"),
        http_messages.MALFORMED: Rejection("REQUEST_MALFORMED", "expected HTTP/1.1"),
        http_messages.OVERLOADED: Rejection("OVERLOADED", "every connection is in use", retry_after_s=RETRY_AFTER_S),
    }
    return known.get(what) or Rejection("INTERNAL", "internal error")
