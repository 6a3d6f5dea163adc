"""The third step: parses the body into a signal, or into the errors that keep it from being one."""

from datetime import datetime

from vantixs.model.instruments import INSTRUMENTS
from vantixs.runtime.http_messages import Request

from vantixs_ingress.domain.payload.decode import Body, read_body
from vantixs_ingress.domain.payload.reading import FieldError, Reading
from vantixs_ingress.domain.payload.vocabulary import fold
from vantixs_ingress.domain.signal.read_signal import read_signal
from vantixs_ingress.http.authentication import Sender
from vantixs_ingress.http.content_encoding import read_content
from vantixs_ingress.http.responses import Rejection
from vantixs_ingress.webhooks.snapshot import TOKEN_PREFIX

LONGEST_KEY = 255
_OUR_FIELDS = ("token", "webhooktoken")  # Names that can only mean our token; others may be another product's secret.


def read_payload(sender: Sender, request: Request, signed_key: str, body_max_bytes: int, now: datetime) -> Reading:
    """The signal in the body, with the idempotency key from headers where one is there; `signed_key` counts before others.

    Raises:
        Rejection: what is wrong with the body, with an error for each field.
        UnreadableContent: its content coding.
    """
    if sender.content is None:
        sender.content = read_content(request, body_max_bytes)
    body = sender.body
    if body is None:
        body = sender.body = read_body(sender.content)
    if _contradicts(body, sender):
        raise Rejection("TOKEN_INVALID", "the body holds another token than the one that identified the sender")
    reading = read_signal(body, sender.rules, INSTRUMENTS.current, now, sender.token)
    headers = request.headers
    key = signed_key or headers.get("idempotency-key") or headers.get("webhook-id") or ""
    if key:
        reading.values["idempotency_key"] = key
    _check_key(reading)
    if reading.errors:
        rows = [{"field": e.field[:200], "reason": e.reason, "detail": e.detail} for e in reading.errors]
        symbol, action = reading.values.get("symbol", ""), reading.values.get("action", "")
        raise Rejection(reading.reason, reading.detail, errors=rows, symbol=symbol, action=action)
    return reading


def _contradicts(body: Body, sender: Sender) -> bool:
    """Whether the body holds another token of ours than the one that identified the sender.

    Secrets of other products are left in templates by habit, so only what must be our token counts: by its field's name, or
    by its prefix.
    """
    secret = body.secret
    if not secret or secret == sender.token or sender.proof == "body":
        return False
    if secret.startswith(TOKEN_PREFIX):
        return True
    return any(value not in ("", sender.token) for name, value in body.fields.items() if fold(name) in _OUR_FIELDS)


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
