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
    # What else has a secret's name need not be one, such as a field `key` that a mapping reads as the idempotency key. So
    # it is hidden in texts about errors only, and does not change a signal.
    others = [body.secret]
    if draft.problems:
        others += _secrets_shown(body.fields, draft, values)
    tokens = [*secrets, reading.secret]
    _finish(reading, draft, rules, _longest_first(tokens), _longest_first(tokens + others))
    return reading


def _longest_first(secrets: list[str]) -> tuple[str, ...]:
    """The order in which secrets are replaced, because one may be a part of another; without those that are too short."""
    return tuple(sorted({s for s in secrets if len(s) >= _SHORTEST_SECRET}, key=lambda s: (-len(s), s)))


def _secrets_shown(fields: Mapping[str, Any], draft: Draft, values: Mapping[str, Any]) -> list[str]:
    """The secrets, of any product, that the symbol or the value of a problem repeats: for example where a mapping reads them.

    At most `MOST_PROBLEMS`, the longest.
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


def _finish(reading: Reading, draft: Draft, rules: Rules, tokens: tuple[str, ...], hidden: tuple[str, ...]) -> None:
    """Turns problems into errors; those that an exit can do without become warnings.

    No text of the reading holds one of `tokens`, no text about an error or warning one of `hidden`, which has them all.
    """
    problems, notes = draft.problems, draft.notes
    reading.reduces = is_exit(reading.values, sell_opens_short=rules.sell_opens_short)
    if problems and reading.reduces:
        left_out = [p for p in problems if not is_needed(p.slot, reading.values)]
        problems = [p for p in problems if is_needed(p.slot, reading.values)]
        notes = notes + left_out
        for slot in {p.slot for p in left_out}:
            for name in _MADE_OF.get(slot, (slot,)):
                reading.values.pop(name, None)
    reading.errors = [field_error(problem, hidden) for problem in problems[:MOST_PROBLEMS]]
    reading.warnings = [field_error(note, hidden) for note in notes[:MOST_PROBLEMS]]
    reading.extras = draft.extras
    reading.sources = draft.names
    if rules.default_exchange and "exchange" not in reading.values and ":" not in reading.values.get("symbol", ""):
        reading.values["exchange"] = rules.default_exchange
    if "exchange" in reading.values:
        reading.extras["exchange"] = reading.values["exchange"]
    if hidden:
        _hide(reading, tokens, hidden)
    _cut(reading)


def _hide(reading: Reading, tokens: tuple[str, ...], hidden: tuple[str, ...]) -> None:
    key = reading.values.get("idempotency_key", "")
    if any(token in key for token in tokens):
        name = reading.sources["idempotency_key"]
        problem = FieldError(name, "FIELD_INVALID", "expected a key of the signal's own, was the token")
        (reading.warnings if reading.reduces else reading.errors).append(problem)
        del reading.values["idempotency_key"]
    reading.extras = {without(tokens, name): without(tokens, text) for name, text in reading.extras.items()}
    for name in ("comment", "tag", "exchange", "sender_reference"):
        if name in reading.values:
            reading.values[name] = without(tokens, reading.values[name])
    if "symbol" in reading.values:
        # That of a refused signal may be any text; that of a signal was found in the catalogue.
        reading.values["symbol"] = without(hidden if reading.errors else tokens, reading.values["symbol"])


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
