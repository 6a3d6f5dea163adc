"""The OpenAPI document of the public HTTP API, made from the table of reasons."""

import json
from typing import Any

from vantixs.model.reasons import REASONS

RECEIVING = (
    "TOKEN_INVALID", "TOKEN_EXPIRED", "TOKEN_REVOKED", "SIGNATURE_INVALID", "TIMESTAMP_OUT_OF_TOLERANCE",
    "WEBHOOK_DISABLED", "SOURCE_ADDRESS_NOT_ALLOWED", "IDEMPOTENCY_CONFLICT", "BODY_UNREADABLE", "FIELD_MISSING",
    "FIELD_INVALID", "FIELD_CONFLICT", "PLACEHOLDER_NOT_RENDERED", "ACTION_UNSUPPORTED", "ACTION_NOT_ALLOWED",
    "SYMBOL_UNSUPPORTED", "SYMBOL_AMBIGUOUS", "SYMBOL_NOT_ALLOWED", "MODE_NOT_ALLOWED", "OVERRIDE_NOT_ALLOWED",
    "SIGNAL_EXPIRED", "BODY_TOO_LARGE", "RATE_LIMITED", "STORAGE_UNAVAILABLE", "REQUEST_TIMEOUT", "REQUEST_MALFORMED",
    "HEADERS_TOO_LARGE", "OVERLOADED", "NOT_FOUND", "METHOD_NOT_ALLOWED", "CONTENT_ENCODING_UNSUPPORTED",
)  # fmt: skip
ASKING = (
    "TOKEN_INVALID", "TOKEN_EXPIRED", "TOKEN_REVOKED", "SIGNATURE_INVALID", "TIMESTAMP_OUT_OF_TOLERANCE",
    "SOURCE_ADDRESS_NOT_ALLOWED", "RATE_LIMITED", "NOT_FOUND", "METHOD_NOT_ALLOWED", "REQUEST_TIMEOUT",
    "REQUEST_MALFORMED", "HEADERS_TOO_LARGE", "BODY_TOO_LARGE", "STORAGE_UNAVAILABLE", "OVERLOADED",
)  # fmt: skip
PAGE = (
    "METHOD_NOT_ALLOWED",
    "REQUEST_TIMEOUT",
    "REQUEST_MALFORMED",
    "HEADERS_TOO_LARGE",
    "BODY_TOO_LARGE",
    "OVERLOADED",
)
_WEBHOOK = {
    "name": "webhook_id",
    "in": "path",
    "required": True,
    "description": "The webhook's id.",
    "schema": {"type": "string", "minLength": 1},
    "example": "demo",
}
_TOKEN = {
    "name": "token",
    "in": "path",
    "required": True,
    "description": "The webhook's token.",
    "schema": {"type": "string", "minLength": 1},
}
_SIGNAL = {
    "name": "signal_id",
    "in": "path",
    "required": True,
    "description": "The id that the answer to the signal held.",
    "schema": {"type": "string", "minLength": 1},
}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Makes resends the same signal, for ever. A key in the body (`idempotency_key`, `nonce`), or the "
    "`webhook-id` of a signed request, does the same: if there are two, they have to be equal.",
    "schema": {"type": "string", "maxLength": 255, "pattern": "^[ -~]*$"},
}
_SIGNATURE = [
    {
        "name": name,
        "in": "header",
        "required": False,
        "description": f"Standard Webhooks: {meaning}.",
        "schema": {"type": "string", "pattern": "^[ -~]*$"},
    }
    for name, meaning in (
        ("webhook-id", "the message's id, which is the idempotency key if the body has none"),
        ("webhook-timestamp", "seconds since 1970"),
        (
            "webhook-signature",
            "`v1,` and base64 of HMAC-SHA256 over id, timestamp and body; several with spaces between",
        ),
    )
]
_SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"token_header": []}, {"signature": []}]


def _content(schema: str, media_type: str = "application/json") -> dict[str, Any]:
    return {media_type: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


def _problems(reasons: tuple[str, ...]) -> dict[str, Any]:
    """One response a status, with the reasons that it can have."""
    by_status: dict[int, list[str]] = {}
    for name in reasons:
        by_status.setdefault(REASONS[name].http, []).append(name)
    found = {}
    for status, names in sorted(by_status.items()):
        described = "; ".join(f"`{name}`: {REASONS[name].meaning}" for name in names)
        response: dict[str, Any] = {
            "description": described,
            "content": _content("Problem", "application/problem+json"),
        }
        if status in (429, 503):
            schema = {"type": "integer", "minimum": 1}
            response["headers"] = {"Retry-After": {"description": "Seconds to wait.", "schema": schema}}
        if status == 405:
            response["headers"] = {"Allow": {"description": "What the URL takes.", "schema": {"type": "string"}}}
        found[str(status)] = response
    return found


def _receive(operation: str, parameters: list[Any], summary: str, *, secured: bool) -> dict[str, Any]:
    return {
        "operationId": operation,
        "summary": summary,
        "description": (
            "The content type is ignored. A 202 or 200 is sent only once the signal is on disk; a 5xx means that nothing was "
            "stored."
        ),
        "security": _SECURITY if secured else [],
        "parameters": [*parameters, _KEY, *_SIGNATURE],
        "requestBody": {
            "required": True,
            "description": "Strict JSON, or KEY=VALUE pairs; UTF-8, or UTF-16 with a byte order mark; at most 64 KiB.",
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/Payload"}},
                "text/plain": {"schema": {"type": "string"}, "example": "action=buy;symbol=BTCUSDT"},
            },
        },
        "responses": {
            "200": {"description": "A repeat: the first signal's id.", "content": _content("Duplicate")},
            "202": {"description": "Accepted: the signal is on disk.", "content": _content("Accepted")},
            **_problems(RECEIVING),
        },
    }


def _page(operation: str, summary: str, codes: dict[str, str], schema: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": schema}}
    responses = {code: {"description": text, "content": content} for code, text in codes.items()}
    return {
        "get": {
            "operationId": operation,
            "summary": summary,
            "security": [],
            "responses": _problems(PAGE) | responses,
        }
    }


def build() -> dict[str, Any]:
    """The document."""
    status = {
        "operationId": "getSignal",
        "summary": "What became of a signal of this webhook",
        "description": "Knows the newest signals; a token in the URL is not taken here.",
        "security": _SECURITY,
        "parameters": [_WEBHOOK, _SIGNAL, *_SIGNATURE],
        "responses": {"200": {"description": "The signal.", "content": _content("Status")}, **_problems(ASKING)},
    }
    ready_schema = {"type": "object", "required": ["status", "dependencies"]}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Vantixs Signals",
            "version": "1",
            "description": "Where signals come in. Every error is a problem document (RFC 9457) with a reason.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {
            "/hooks/{webhook_id}/{token}": {
                "post": _receive(
                    "sendSignalByUrl", [_WEBHOOK, _TOKEN], "Send a signal, token in the URL", secured=False
                )
            },
            "/hooks/{webhook_id}": {
                "post": _receive("sendSignal", [_WEBHOOK], "Send a signal, token in a header or the body", secured=True)
            },
            "/hooks/{webhook_id}/signals/{signal_id}": {"get": status},
            "/healthz": _page("getHealth", "Whether the process answers", {"200": "It does."}, {"type": "object"}),
            "/readyz": _page(
                "getReadiness",
                "Whether signals can be taken",
                {"200": "They can.", "503": "They cannot, or every connection is in use."},
                ready_schema,
            ),
            "/openapi.json": _page("getOpenapi", "This document", {"200": "It."}, {"type": "object"}),
        },
        "components": {"schemas": _schemas(), "securitySchemes": _schemes()},
    }


def _schemes() -> dict[str, Any]:
    signature = "With `webhook-id` and `webhook-timestamp`: https://www.standardwebhooks.com"
    return {
        "bearer": {"type": "http", "scheme": "bearer", "description": "The webhook's token."},
        "token_header": {
            "type": "apiKey",
            "in": "header",
            "name": "X-Webhook-Token",
            "description": "The webhook's token.",
        },
        "signature": {"type": "apiKey", "in": "header", "name": "webhook-signature", "description": signature},
    }


def _schemas() -> dict[str, Any]:
    text = {"type": "string"}
    answer = {
        "signal_id": {"type": "string", "pattern": "^[0-9a-z]{27}$"},
        "status": {"const": "accepted"},
        "receive_time": {"type": "string", "format": "date-time"},
    }
    error = {
        "type": "object",
        "required": ["field", "reason", "detail"],
        "properties": {"field": text, "reason": {"$ref": "#/components/schemas/Reason"}, "detail": text},
        "additionalProperties": False,
    }
    problem = {
        "type": {"const": "about:blank"},
        "title": text,
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "reason": {"$ref": "#/components/schemas/Reason"},
        "detail": text,
        "errors": {"type": "array", "items": {"$ref": "#/components/schemas/FieldError"}},
        "signal_id": answer["signal_id"],
    }
    status = {
        "signal_id": text,
        "status": {"enum": ["accepted", "executed", "rejected", "failed"]},
        "reason": {"type": "string", "description": "Why it was not executed; see the reference of reasons."},
    }
    return {
        "Payload": {
            "type": "object",
            "description": "Many dialects are read; these two fields are enough.",
            "properties": {"action": {"type": "string"}, "symbol": {"type": "string"}},
            "examples": [{"action": "buy", "symbol": "BTCUSDT"}],
        },
        "Accepted": _object({**answer, "duplicate": {"const": False}}),
        "Duplicate": _object(
            {**answer, "duplicate": {"const": True}, "reason": {"enum": ["DUPLICATE_SIGNAL", "DUPLICATE_SUPPRESSED"]}}
        ),
        "Status": _object(status, optional=("reason",)),
        "FieldError": error,
        "Problem": _object(problem, optional=("signal_id",)),
        "Reason": {"type": "string", "enum": sorted({*RECEIVING, *ASKING, "INTERNAL"})},
    }


def _object(properties: dict[str, Any], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": False}


DOCUMENT = (json.dumps(build(), indent=1) + "\n").encode()
