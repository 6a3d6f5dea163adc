"""From named fields to one canonical signal, or to every reason why not. Pure, and raises on no input."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from vantixs.model.decimals import PATTERN
from vantixs.model.instruments import Instrument

from vantixs_ingress.domain.dialects import Unreadable, decode, read_fields
from vantixs_ingress.domain.symbols import Unresolved, resolve
from vantixs_ingress.domain.vocabulary import (
    ACTIONS,
    EXITS,
    FIELD_OF,
    NEST_EXCEPT,
    NESTS,
    ORDER_TYPES,
    POSITIONS,
    QUANTITY_TYPES,
    SECRETS,
    STEERING,
    TIMES_IN_FORCE,
    fold,
)

_PLACEHOLDER = re.compile(r"\{\{.*?\}\}|^%[A-Za-z_]+%$|^\{[A-Za-z_.]+\}$")
_RFC3339 = re.compile(r"^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$", re.ASCII)
_EPOCH = re.compile(r"^\d{9,11}(?:\d{3}){0,2}(?:\.\d{1,9})?$", re.ASCII)
_FUTURE = timedelta(minutes=5)
# Reasons that say more about the whole than a missing field does come first.
_PRECEDENCE = (
    "BODY_UNREADABLE", "PLACEHOLDER_NOT_RENDERED", "FIELD_CONFLICT", "ACTION_UNSUPPORTED", "FIELD_MISSING",
    "SYMBOL_UNSUPPORTED", "SYMBOL_AMBIGUOUS", "FIELD_INVALID", "OVERRIDE_NOT_ALLOWED", "MODE_NOT_ALLOWED",
    "ACTION_NOT_ALLOWED", "SYMBOL_NOT_ALLOWED", "SIGNAL_EXPIRED",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rules:
    """What a webhook allows, made once per change of its configuration."""

    mode: str = "PAPER"
    account_id: str = ""
    instruments: frozenset[str] | None = None  # None for all, empty for none.
    actions: frozenset[str] | None = None  # None for all, empty for none.
    exits_only: bool = False
    paper_only: bool = False
    maximum_leverage: Decimal = Decimal(1)
    entry_expires_after_s: int = 0
    exit_expires_after_s: int = 0
    time_is_emit_time: bool = False

    def narrowed(
        self,
        actions: frozenset[str] | None = None,
        instruments: frozenset[str] | None = None,
        exits_only: bool = False,
        paper_only: bool = False,
    ) -> "Rules":
        """What is left where a token allows less: the intersection, never more. None stands for all."""
        return replace(
            self,
            actions=_both(self.actions, actions),
            instruments=_both(self.instruments, instruments),
            exits_only=self.exits_only or exits_only,
            paper_only=self.paper_only or paper_only,
        )


def _both(ours: frozenset[str] | None, theirs: frozenset[str] | None) -> frozenset[str] | None:
    if ours is None or theirs is None:
        return theirs if ours is None else ours
    return ours & theirs


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that is wrong."""

    field: str
    reason: str
    detail: str


@dataclass(slots=True)
class Reading:
    """What a body says. `values` are canonical fields; with errors it is no signal."""

    values: dict[str, Any] = field(default_factory=dict)
    extras: dict[str, str] = field(default_factory=dict)
    errors: list[FieldError] = field(default_factory=list)
    secret: str = ""
    expire_time: datetime | None = None

    @property
    def reason(self) -> str:
        """The reason that stands for all errors; empty for a signal."""
        return min((e.reason for e in self.errors), key=_PRECEDENCE.index, default="")

    @property
    def detail(self) -> str:
        """One sentence about the error that counts."""
        return next((f"{e.field}: {e.detail}" for e in self.errors if e.reason == self.reason), "")


def read_signal(body: bytes, rules: Rules, catalogue: Mapping[str, Instrument], now: datetime) -> Reading:
    """Reads a body for a webhook, as received at `now`."""
    reading = Reading()
    try:
        fields = read_fields(decode(body))
    except Unreadable as error:
        reading.errors.append(FieldError("body", "BODY_UNREADABLE", str(error)))
        return reading
    _collect(fields, reading)
    _check_required(reading, catalogue)
    _check_rules(reading, rules)
    _check_freshness(reading, rules, now)
    return reading


def _collect(fields: Mapping[str, Any], reading: Reading) -> None:
    currency = next((v for k, v in fields.items() if fold(k) == "currency" and isinstance(v, dict)), None)
    if currency and isinstance(currency.get("base"), str) and isinstance(currency.get("quote"), str):
        _take("symbol", "currency", f"{currency['base']}/{currency['quote']}", reading)
    for name, value in fields.items():
        folded = fold(name)
        if isinstance(value, dict) and folded in NESTS:
            for inner, inner_value in value.items():
                _collect_nested(name, inner, inner_value, reading)
        else:
            _place(name, folded, value, reading)


def _collect_nested(nest: str, name: str, value: Any, reading: Reading) -> None:
    folded = fold(name)
    if folded in NEST_EXCEPT.get(fold(nest), ()):
        return
    if isinstance(value, dict) and folded in NESTS:
        for inner, inner_value in value.items():
            _place(f"{nest}.{name}.{inner}", fold(inner), inner_value, reading)
    else:
        _place(f"{nest}.{name}", folded, value, reading)


def _place(name: str, folded: str, value: Any, reading: Reading) -> None:
    if folded in SECRETS:
        reading.secret = reading.secret or str(value)
        return
    if folded in STEERING:
        reading.errors.append(
            FieldError(name, "OVERRIDE_NOT_ALLOWED", "a signal may not steer what it would be safe from")
        )
        return
    canonical = FIELD_OF.get(folded)
    if canonical is None:
        if len(reading.extras) < 100:
            reading.extras[name[:100]] = (value if isinstance(value, str) else repr(value))[:1000]
        return
    _take(canonical, name, value, reading)


def _take(canonical: str, name: str, value: Any, reading: Reading) -> None:
    """Converts one field and holds it against what another alias said."""
    if value is None or value == "":
        return
    if isinstance(value, str) and _PLACEHOLDER.search(value):
        reading.errors.append(FieldError(name, "PLACEHOLDER_NOT_RENDERED", f"expected a value, was {value[:60]!r}"))
        return
    try:
        converted = _CONVERTERS.get(canonical, _text)(value)
    except _Refused as error:
        reading.errors.append(FieldError(name, error.reason, error.detail))
        return
    for key, item in converted.items() if isinstance(converted, dict) else ((canonical, converted),):
        before = reading.values.setdefault(key, item)
        if before != item:
            detail = f"expected one {key}, was {str(before)[:60]!r} and {str(item)[:60]!r}"
            reading.errors.append(FieldError(name, "FIELD_CONFLICT", detail))


class _Refused(Exception):
    def __init__(self, detail: str, reason: str = "FIELD_INVALID") -> None:
        self.reason = reason
        self.detail = detail


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str):
        raise _Refused(f"expected text, was {_shown(value)}")
    if len(value) > 1024:
        raise _Refused(f"expected at most 1,024 characters, was {len(value)}")
    return value


def _loose_text(value: Any) -> str:
    return (value if isinstance(value, str) else repr(value))[:1024]


def _shown(value: Any) -> str:
    return repr(value)[:60]


def _number(value: Any) -> Decimal:
    """A positive number: `digits[.digits]`, as a JSON number or a string."""
    if isinstance(value, str) and PATTERN.match(value) and Decimal(value) > 0:
        return Decimal(value)
    raise _Refused(f"expected a number above 0 such as 0.5, was {_shown(value)}")


def _choice(table: Mapping[str, str], what: str) -> Any:
    def convert(value: Any) -> str:
        found = table.get(fold(value)) if isinstance(value, str) else None
        if found is None:
            raise _Refused(f"expected {what}, was {_shown(value)}")
        return found

    return convert


def _action(value: Any) -> str:
    found = ACTIONS.get(fold(value)) if isinstance(value, str) else None
    if found is None:
        raise _Refused(f"expected buy, sell, close, long, short, ..., was {_shown(value)}", "ACTION_UNSUPPORTED")
    return found


def _quantity(value: Any) -> Any:
    if isinstance(value, str) and value.endswith("%"):
        return {"quantity": _number(value[:-1]), "quantity_type": "EQUITY_PERCENT"}
    return _number(value)


def _leverage(value: Any) -> Decimal:
    return _number(value.strip("xX") if isinstance(value, str) else value)


def _level(name: str) -> Any:
    """A protective level: a bare number is a price, `5%` a percent, an object says which."""

    def convert(value: Any) -> dict[str, Any]:
        if isinstance(value, dict):
            folded = {fold(k): v for k, v in value.items()}
            given = {
                kind: folded[key]
                for kind, keys in (
                    ("percent", ("percent",)),
                    ("amount", ("amount",)),
                    ("price", ("price", "limitprice", "stopprice")),
                )
                for key in keys
                if folded.get(key) not in (None, "")
            }
            if len(given) != 1:
                raise _Refused(f"expected one of price, percent, amount, was {', '.join(given) or 'none'}")
            kind, inner = next(iter(given.items()))
            return {f"{name}_{kind}": _number(inner)}
        if isinstance(value, str) and value.endswith("%"):
            return {f"{name}_percent": _number(value[:-1])}
        return {f"{name}_price": _number(value)}

    return convert


def _time(value: Any) -> datetime:
    """RFC 3339 with a zone, or epoch seconds, milliseconds or microseconds."""
    if isinstance(value, str):
        try:
            if _RFC3339.match(value):
                return datetime.fromisoformat(value.upper().replace("Z", "+00:00")[:35]).astimezone(UTC)
            if _EPOCH.match(value):
                number = Decimal(value)
                scale = 1 if number < 10**11 else 10**3 if number < 10**14 else 10**6
                return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(number * 10**6 / scale))
        except (ValueError, OverflowError):
            pass
    raise _Refused(f"expected RFC 3339 with a zone, or epoch seconds, was {_shown(value)}")


def _seconds(value: Any) -> Decimal:
    seconds = _number(value)
    if seconds > 10**9:
        raise _Refused(f"expected at most 1000000000 seconds, was {_shown(value)}")
    return seconds


_CONVERTERS: dict[str, Any] = {
    "action": _action,
    "target_position": _choice(POSITIONS, "long, short or flat"),
    "previous_position": _choice(POSITIONS, "long, short or flat"),
    "quantity": _quantity,
    "quantity_type": _choice(QUANTITY_TYPES, "a known quantity type"),
    "price": _number,
    "order_type": _choice(ORDER_TYPES, "market, limit, stop or stop_limit"),
    "limit_price": _number,
    "stop_price": _number,
    "time_in_force": _choice(TIMES_IN_FORCE, "gtc, ioc, fok or day"),
    "leverage": _leverage,
    "stop_loss": _level("stop_loss"),
    "take_profit": _level("take_profit"),
    "stop_loss_price": _number,
    "stop_loss_percent": _number,
    "take_profit_price": _number,
    "take_profit_percent": _number,
    "emit_time": _time,
    "bar_time": _loose_text,
    "expires_after_s": _seconds,
    "comment": _loose_text,
    "tag": _loose_text,
}


def _check_required(reading: Reading, catalogue: Mapping[str, Instrument]) -> None:
    values, wrong = reading.values, {FIELD_OF.get(fold(e.field.rpartition(".")[2])) for e in reading.errors}
    for name in ("action", "symbol"):
        if name not in values and name not in wrong:
            reading.errors.append(FieldError(name, "FIELD_MISSING", f"expected a field {name}, was none"))
    if "symbol" in values:
        try:
            values["instrument"] = resolve(values["symbol"], catalogue).name
        except Unresolved as error:
            reading.errors.append(FieldError("symbol", error.reason, str(error)))
    if values.get("order_type") == "LIMIT" and "limit_price" not in values:
        if "price" in values:
            values["limit_price"] = values["price"]
        else:
            reading.errors.append(
                FieldError("limit_price", "FIELD_MISSING", "expected a limit price for a limit order")
            )
    for level in ("stop_loss", "take_profit"):
        kinds = [k for k in (f"{level}_price", f"{level}_percent", f"{level}_amount") if k in values]
        if len(kinds) > 1:
            reading.errors.append(FieldError(level, "FIELD_CONFLICT", f"expected one of {', '.join(kinds)}"))
    if "quantity" in values:
        values.setdefault("quantity_type", "UNITS")
        if values["quantity_type"].endswith("PERCENT") and values["quantity"] > 100:
            detail = f"expected at most 100 percent, was {values['quantity']}"
            reading.errors.append(FieldError("quantity", "FIELD_INVALID", detail))


def _check_rules(reading: Reading, rules: Rules) -> None:
    values, errors = reading.values, reading.errors
    if rules.actions is not None and "action" in values and values["action"] not in rules.actions:
        errors.append(FieldError("action", "ACTION_NOT_ALLOWED", f"expected one of {_listed(rules.actions)}"))
    elif rules.exits_only and "action" in values and not is_exit(values):
        errors.append(FieldError("action", "ACTION_NOT_ALLOWED", "expected an exit: this token may send nothing else"))
    if rules.instruments is not None and "instrument" in values and values["instrument"] not in rules.instruments:
        errors.append(FieldError("symbol", "SYMBOL_NOT_ALLOWED", f"expected one of {_listed(rules.instruments)}"))
    if rules.paper_only and rules.mode != "PAPER":
        errors.append(FieldError("mode", "MODE_NOT_ALLOWED", "expected a webhook in mode paper for this token"))
    if values.get("leverage", Decimal(0)) > rules.maximum_leverage:
        detail = f"expected at most {rules.maximum_leverage}, was {values['leverage']}"
        errors.append(FieldError("leverage", "OVERRIDE_NOT_ALLOWED", detail))
    if "account" in values and values["account"] != rules.account_id:
        errors.append(FieldError("account", "OVERRIDE_NOT_ALLOWED", "expected the webhook's account, or none"))
    if "mode" in values and str(values["mode"]).upper() != rules.mode:
        detail = f"expected {rules.mode.lower()}, was {_shown(values['mode'])}"
        errors.append(FieldError("mode", "MODE_NOT_ALLOWED", detail))


def _listed(names: frozenset[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def is_exit(values: Mapping[str, Any]) -> bool:
    """Whether a signal can only make a position smaller, whatever the position is."""
    action, target = values.get("action"), values.get("target_position")
    return action in EXITS or target == "FLAT" or (action, target) in (("BUY", "SHORT"), ("SELL", "LONG"))


def _check_freshness(reading: Reading, rules: Rules, now: datetime) -> None:
    values = reading.values
    if rules.time_is_emit_time and "bar_time" in values and "emit_time" not in values:
        _take("emit_time", "time", values["bar_time"], reading)
    emitted = values.get("emit_time", now)
    if emitted > now + _FUTURE:
        reading.errors.append(FieldError("timestamp", "FIELD_INVALID", f"expected a time not after now, was {emitted}"))
    limit = rules.exit_expires_after_s if is_exit(values) else rules.entry_expires_after_s
    limits = [Decimal(limit)] if limit else []
    if "expires_after_s" in values:
        limits.append(values["expires_after_s"])
    if limits:
        reading.expire_time = emitted + timedelta(seconds=float(min(limits)))
        if now > reading.expire_time:
            age = int((now - emitted).total_seconds())
            reading.errors.append(
                FieldError("timestamp", "SIGNAL_EXPIRED", f"expected at most {min(limits)} s old, was {age} s")
            )
