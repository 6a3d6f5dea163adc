"""What a webhook would make of a payload, by the code that reads signals; nothing is stored."""

import re
from datetime import datetime
from itertools import islice
from typing import Any

from vantixs.api.ingress.v1 import ingress_pb2, webhook_pb2
from vantixs.model.instruments import INSTRUMENTS, Instrument

from vantixs_ingress.domain.payload.decode import Body, read_body
from vantixs_ingress.domain.payload.reading import FieldError, Reading
from vantixs_ingress.domain.payload.redaction import redact
from vantixs_ingress.domain.payload.template import EXAMPLES, has_placeholder, placeholders_of, render, values_of
from vantixs_ingress.domain.signal.lint_rules import advice, suggested_message
from vantixs_ingress.domain.signal.read_signal import read_signal
from vantixs_ingress.domain.signal.rules import Rules
from vantixs_ingress.spool.signal_message import field_errors, signal_message
from vantixs_ingress.webhooks.snapshot import rules_of, token_digest

LONGEST = 65_536
MOST_RUNS = 200
_TOKEN_LIKE = re.compile(r"[A-Za-z0-9_-]{20,200}+")


def lint_payload(webhook: webhook_pb2.Webhook, payload: bytes, now: datetime) -> ingress_pb2.LintPayloadResponse:
    """The response of LintPayload: `outcome`, `reason`, `errors` and `signal` are those of the webhook for these bytes.

    A payload with placeholders is refused, as it would be; `template` then says what it would be once they are filled in.
    """
    response = ingress_pb2.LintPayloadResponse()
    if len(payload) > LONGEST:
        response.outcome, response.reason = ingress_pb2.LINT_OUTCOME_REJECTED, "BODY_TOO_LARGE"
        detail = f"expected at most {LONGEST} bytes, was {len(payload)}"
        response.errors.append(webhook_pb2.FieldError(field="body", reason="BODY_TOO_LARGE", detail=detail))
        return response
    rules = rules_of(webhook)
    body = read_body(payload)
    tokens = _tokens_in(body.text, webhook)
    reading = read_signal(body, rules, INSTRUMENTS.current, now, *tokens)
    _fill(response, reading, advice(reading, rules, INSTRUMENTS.current))
    if tokens and not reading.secret:
        detail = (
            "the webhook's token is in the message, in a field that is stored and shown: take it out, and rotate it"
        )
        response.warnings.append(webhook_pb2.FieldError(field="body", reason="FIELD_INVALID", detail=detail))
    if has_placeholder(body.text):
        reading = _fill_template(response.template, body, rules, now, tokens)
    if rules.mapping is None:
        response.suggested_message = suggested_message(reading, body.text)
    return response


def _tokens_in(text: str, webhook: webhook_pb2.Webhook) -> list[str]:
    """The webhook's own tokens, wherever they stand in a text. Only their hashes are known: what looks like one is hashed."""
    digests = {token.sha256 for token in webhook.tokens}
    runs = islice((m[0] for m in _TOKEN_LIKE.finditer(text)), MOST_RUNS)
    return [run for run in runs if token_digest(run) in digests]


def _fill(response: Any, reading: Reading, warnings: list[FieldError]) -> None:
    """Sets what response and template have in common."""
    response.outcome = ingress_pb2.LINT_OUTCOME_REJECTED if reading.errors else ingress_pb2.LINT_OUTCOME_ACCEPTED
    response.reason = reading.reason
    response.errors.extend(field_errors(reading))
    response.warnings.extend(field_errors(warnings))
    if "instrument" in reading.values and "action" in reading.values:
        response.signal.CopyFrom(signal_message(reading, ""))


def _fill_template(
    template: ingress_pb2.LintedTemplate, body: Body, rules: Rules, now: datetime, tokens: list[str]
) -> Reading:
    """Reads the message once with example values of an entry and once with those of an exit: both have to be accepted."""
    readings = []
    for example in EXAMPLES:
        values = values_of(_allowed(rules), rules.default_exchange, now, example)
        rendered = render(body.text, values)
        readings.append((rendered, read_signal(rendered.encode(), rules, INSTRUMENTS.current, now, *tokens)))
    rendered, reading = next(((t, r) for t, r in readings if r.errors), readings[0])
    _fill(template, reading, advice(reading, rules, INSTRUMENTS.current))
    template.rendered_payload = redact(rendered, reading.secret, *tokens)
    for found in placeholders_of(body.text, values_of(_allowed(rules), rules.default_exchange, now, "entry")):
        template.placeholders.add(
            placeholder=found.text, understood=found.understood, example=found.example, available=found.available
        )
    return reading


def _allowed(rules: Rules) -> Instrument | None:
    """An instrument that the webhook allows, for examples; None where it allows all."""
    names = sorted(rules.instruments or ())
    return INSTRUMENTS.current.get(names[0]) if names else None
