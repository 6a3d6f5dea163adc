"""The third step: parses the body into a signal, or into the errors that keep it from being one."""

from collections.abc import Mapping
from datetime import datetime

from vantixs.model.instruments import INSTRUMENTS
from vantixs.runtime.http_messages import Request

from vantixs_ingress.domain.payload.decode import Body, read_body
from vantixs_ingress.domain.payload.reading import FieldError, Problem, Reading, field_error
from vantixs_ingress.domain.payload.vocabulary import fold
from vantixs_ingress.domain.signal.read_signal import read_signal
from vantixs_ingress.http.authentication import Sender
from vantixs_ingress.http.content_encoding import read_content
from vantixs_ingress.http.responses import Rejection
from vantixs_ingress.webhooks.snapshot import TOKEN_PREFIX

LONGEST_KEY = 255
_MOST_KEYS_SHOWN = 3
_KEY_HEADER = "Idempotency-Key"
_OUR_FIELDS = ("token", "webhooktoken")  # Names that can only mean our token; others may be another product's secret.


def read_payload(sender: Sender, request: Request, signed_key: str, body_max_bytes: int, now: datetime) -> Reading:
    """The signal in the body, with its idempotency key, which may be in a header (see `_take_key`).

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
    _take_key(reading, request.headers, signed_key, sender.token)
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


def _take_key(reading: Reading, headers: Mapping[str, str], signed_key: str, token: str) -> None:
    """Decides which key identifies the signal: the body's, else the id of the signature, else that of a header.

    A key in a header never replaces one in the body: a sender that resends a body with a new header would trade twice. So
    the header `Idempotency-Key` has to agree with the key that decides, or an entry is refused; an exit is taken, with a
    warning. `webhook-id` names a message or an attempt to deliver it, and may differ from the key in the body. Without a
    valid signature anybody can change it: it counts only if nothing else is there.

    A header that was sent twice has its values joined with commas, by a proxy or here (RFC 9110, section 5.3). So a comma
    separates keys. An exit without another key is taken with the whole header as its key: without one, a part that is
    closed would be closed again if the exit is sent again.
    """
    values = reading.values
    key = values.get("idempotency_key") or signed_key
    header = headers.get("idempotency-key", "")
    if header and header != key:
        sent = [part for part in map(str.strip, header.split(",")) if part]
        keys = list(dict.fromkeys([key, *sent] if key else sent))
        if len(keys) > 1:
            _add_key_conflict(reading, key, keys, (token, reading.secret))
            if reading.reduces and not key:
                key = header
        elif keys:
            key = keys[0]
    key = key or headers.get("webhook-id", "")
    if key:
        values["idempotency_key"] = key


def _add_key_conflict(reading: Reading, key: str, keys: list[str], secrets: tuple[str, ...]) -> None:
    """An error for an entry, a warning for an exit. `key` is the one that decides; empty if there is none."""
    in_body = "idempotency_key" in reading.values
    name = reading.sources.get("idempotency_key", "idempotency_key") if in_body else "webhook-id"
    expected = f"expected the same key in {name} and {_KEY_HEADER}" if key else f"expected one key in {_KEY_HEADER}"
    problem = Problem(name if in_body else _KEY_HEADER, "FIELD_CONFLICT", expected, tuple(keys[:_MOST_KEYS_SHOWN]))
    error = field_error(problem, secrets)
    if reading.reduces:
        taken = f"the key in {name}" if key else "the whole header as its key"
        detail = f"{error.detail}: this exit is taken with {taken}"
        reading.warnings.append(FieldError(error.field, error.reason, detail))
    else:
        reading.errors.append(error)


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
