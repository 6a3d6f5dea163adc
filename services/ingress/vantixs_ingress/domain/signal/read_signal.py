"""Reads a payload into one canonical signal, or into all its errors. Pure; raises for no input."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from vantixs.model.instruments import Catalogue, Instrument

from vantixs_ingress.domain.payload.converters import LONGEST_KEY, LONGEST_TEXT
from vantixs_ingress.domain.payload.decode import Body, read_body
from vantixs_ingress.domain.payload.fields import collect
from vantixs_ingress.domain.payload.mapping import collect_mapped, mapped_secret
from vantixs_ingress.domain.payload.reading import MOST_PROBLEMS, Draft, FieldError, Reading, field_error, without
from vantixs_ingress.domain.payload.redaction import hidden_values, may_hold_shape, redact, redact_inside, without_head
from vantixs_ingress.domain.signal.action import settle
from vantixs_ingress.domain.signal.exits import is_exit, is_needed
from vantixs_ingress.domain.signal.freshness import check_freshness
from vantixs_ingress.domain.signal.order_terms import settle_terms
from vantixs_ingress.domain.signal.rules import Rules, check_rules
from vantixs_ingress.domain.signal.symbols import resolver_of

_REQUIRED = {
    "action": ("verb", "side", "flag", "verb_or_order_type", "code", "word", "waiting", "position", "close"),
    "symbol": ("symbol",),
}
# Values that are removed together with an invalid slot of an exit: a limit order without its limit becomes a market order.
_MADE_OF = {
    "limit_price": ("limit_price", "order_type"), "order_type": ("order_type",), "price": (), "quantity": (),
    "target_position": (), "position": (), "stop_price": ("stop_price",), "verb": (),
    "order_expire_time": ("order_expire_time", "time_in_force"),
}  # fmt: skip
_SHORTEST_SECRET = 4
LONGEST_NAME, LONGEST_EXTRA = 100, 1000


def read_signal(
    body: bytes | Body, rules: Rules, catalogue: Mapping[str, Instrument], now: datetime, *secrets: str
) -> Reading:
    """Reads a body for a webhook, as received at `now`.

    `secrets` are known from outside the body, such as the token in the URL: no error, extra or text of the reading
    contains one, wherever the sender put it.
    """
    if isinstance(body, bytes):
        body = read_body(body)
    reading = Reading(secret_of(body, rules), now)
    if body.problem:
        reading.errors.append(FieldError("body", "BODY_UNREADABLE", body.problem))
        return reading
    if rules.mapping is not None and rules.mapping.broken:
        detail = f"expected a mapping that works: {rules.mapping.broken}"
        reading.errors.append(FieldError("mapping", "FIELD_INVALID", detail))
        return reading
    draft = Draft()
    if rules.mapping is None:
        collect(body.fields, draft)
    else:
        collect_mapped(body.fields, body.items, rules.mapping, draft)
    known = catalogue if isinstance(catalogue, Catalogue) else Catalogue(catalogue.values())
    values = settle(draft, resolver_of(known), rules.default_instrument_kind, rules.default_exchange)
    settle_terms(draft, values, now, reduces=is_exit(values, sell_opens_short=rules.sell_opens_short))
    if rules.signal_id_is_key and "sender_reference" in values:
        draft.names.setdefault("idempotency_key", draft.names["reference"])
        values.setdefault("idempotency_key", values["sender_reference"])
    _check_required(draft, values)
    check_rules(draft, values, rules)
    reading.expire_time = check_freshness(draft, values, rules, now)
    reading.values = values
    # With a mapping, `reading.secret` may come from another field than the one with a known name.
    other = body.secret if rules.mapping is not None else ""
    hidden = [s for s in (*secrets, reading.secret, other) if len(s) >= _SHORTEST_SECRET]
    if draft.problems:
        hidden += _secrets_shown(body.fields, draft, values)
    _finish(reading, draft, rules, tuple(hidden))
    return reading


def _secrets_shown(fields: Mapping[str, Any], draft: Draft, values: Mapping[str, Any]) -> list[str]:
    """The secrets, of any product, that the symbol or the value of a problem repeats: for example where a mapping reads them.

    The longest come first, because one may be a part of another.
    """
    hidden = {s for s in hidden_values(fields) if len(s) >= _SHORTEST_SECRET}
    symbol: str = values.get("symbol", "")
    found = {s for s in hidden if s in symbol}
    found |= {p.value.strip() for p in draft.problems if isinstance(p.value, str) and p.value.strip() in hidden}
    return sorted(found, key=lambda s: (-len(s), s))[:MOST_PROBLEMS]


def secret_of(body: Body, rules: Rules) -> str:
    """The secret in the body that may be the webhook's token: the mapping's, else the first under a known name."""
    mapped = mapped_secret(body.fields, body.items, rules.mapping) if rules.mapping is not None else ""
    return mapped or body.secret


def _check_required(draft: Draft, values: Mapping[str, object]) -> None:
    wrong = {p.slot for p in draft.problems}
    for name, slots in _REQUIRED.items():
        if name not in values and wrong.isdisjoint(slots):
            draft.refuse(name, "FIELD_MISSING", f"expected a field {name}, was none", slot=name)


def _finish(reading: Reading, draft: Draft, rules: Rules, secrets: tuple[str, ...]) -> None:
    """Turns problems into errors; those that an exit can do without become warnings."""
    problems, notes = draft.problems, draft.notes
    reading.reduces = is_exit(reading.values, sell_opens_short=rules.sell_opens_short)
    if problems and reading.reduces:
        left_out = [p for p in problems if not is_needed(p.slot, reading.values)]
        problems = [p for p in problems if is_needed(p.slot, reading.values)]
        notes = notes + left_out
        for slot in {p.slot for p in left_out}:
            for name in _MADE_OF.get(slot, (slot,)):
                reading.values.pop(name, None)
    reading.errors = [field_error(problem, secrets) for problem in problems[:MOST_PROBLEMS]]
    reading.warnings = [field_error(note, secrets) for note in notes[:MOST_PROBLEMS]]
    reading.extras = draft.extras
    reading.sources = draft.names
    if rules.default_exchange and "exchange" not in reading.values and ":" not in reading.values.get("symbol", ""):
        reading.values["exchange"] = rules.default_exchange
    if "exchange" in reading.values:
        reading.extras["exchange"] = reading.values["exchange"]
    if secrets:
        _hide(reading, secrets)
    _cut(reading)


def _hide(reading: Reading, secrets: tuple[str, ...]) -> None:
    reading.extras = {without(secrets, name): without(secrets, text) for name, text in reading.extras.items()}
    for name in ("comment", "tag", "symbol", "exchange", "sender_reference"):
        if name in reading.values:
            reading.values[name] = without(secrets, reading.values[name])
    key = reading.values.get("idempotency_key", "")
    if any(secret in key for secret in secrets):
        name = reading.sources["idempotency_key"]
        problem = FieldError(name, "FIELD_INVALID", "expected a key of the signal's own, was the token")
        (reading.warnings if reading.reduces else reading.errors).append(problem)
        del reading.values["idempotency_key"]


def _without_token(name: str) -> str:
    """A field's name, redacted, because it may be a sentence that contains a token. The shortest token has 12 characters."""
    return name if len(name) < 12 else redact_inside(name)


def _cut(reading: Reading) -> None:
    """Cuts texts to the lengths that are stored; after redaction, because half a secret would not be recognised."""
    reading.extras = {
        _without_token(name)[:LONGEST_NAME]: redact_inside(without_head(text))[:LONGEST_EXTRA]
        for name, text in reading.extras.items()
    }
    symbol = reading.values.get("symbol", "")
    # A symbol with an instrument is free of secrets, but for what stands in front of its colon.
    if symbol and (reading.errors or (":" in symbol and may_hold_shape(symbol))):
        reading.values["symbol"] = redact(symbol)
    for name, most in (("comment", LONGEST_TEXT), ("tag", LONGEST_KEY)):
        if name in reading.values:
            reading.values[name] = redact_inside(reading.values[name])[:most]
