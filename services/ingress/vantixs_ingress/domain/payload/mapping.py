"""A webhook's custom mapping: a JMESPath expression for each canonical field, and replacements of values.

Only these parts of JMESPath are allowed: fields, indexes, filters, literals, `||`, `&&`, `!`, comparisons, pipes and
`not_null`. None of them makes a value larger than the payload, so the cost of an expression is at most its length times
the number of values that it reads. If an expression reads all values, the number of values in a payload is limited.
"""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import jmespath
from jmespath.exceptions import JMESPathError

from vantixs_ingress.domain.payload.decode import Number
from vantixs_ingress.domain.payload.field_handlers import place
from vantixs_ingress.domain.payload.kept_fields import as_json, refuse_inside
from vantixs_ingress.domain.payload.reading import Draft, FieldError
from vantixs_ingress.domain.payload.targets import MOST_TARGETS
from vantixs_ingress.domain.payload.vocabulary import EVEN, LEVEL, TARGET_SHARE, TRAIL, is_hidden

LONGEST_EXPRESSION = 200
MOST_EXPRESSIONS, MOST_VALUES = 40, 500
# With both limits, the most expensive payload costs some 30 ms.
MOST_PROJECTED_NODES, MOST_PROJECTED_ITEMS = 60, 250
# Canonical field -> slot.
MAPPABLE = {
    "action": "verb",
    **{
        name: name
        for name in (
            "symbol", "exchange", "side", "target_position", "previous_position", "quantity", "quantity_type", "price",
            "order_type", "limit_price", "stop_price", "time_in_force", "leverage", "idempotency_key", "emit_time",
            "bar_time", "expires_after_s", "expire_time", "comment", "tag", "reduce_only", "post_only", "order_expire_time",
            *(f"{level}{kind}" for level in ("stop_loss", "take_profit") for kind in ("", "_price", "_percent", "_amount")),
        )
    },
    "take_profits": "targets",
    **{f"take_profit_{number}": LEVEL for number in range(1, MOST_TARGETS + 1)},
    **{f"take_profit_{number}_share": TARGET_SHARE for number in range(1, MOST_TARGETS + 1)},
    **dict.fromkeys(
        (
            "trail_percent", "trail_amount", "trailing_stop", "trailing_stop_percent", "trailing_stop_amount",
            "trailing_activation",
        ),
        TRAIL,
    ),
    "activation_price": "trail_start",
    **dict.fromkeys(("break_even_after_target", "break_even_at"), EVEN),
    "instrument_kind": "kind",
    "position_size": "signed_size",
    "sender_reference": "reference",
    "token": "secret",
    "ignored": "",
}  # fmt: skip
REQUIRED = ("action", "symbol")
_ALLOWED = frozenset(
    [
        "field", "index", "subexpression", "index_expression", "identity", "current", "literal", "pipe", "or_expression",
        "and_expression", "not_expression", "comparator", "function_expression", *(
            _PROJECTING := ("projection", "value_projection", "filter_projection", "flatten", "slice")
        ),
    ]
)  # fmt: skip


class MappingFields(Protocol):
    """The fields of a mapping's message that are read here; the domain does not import messages."""

    @property
    def fields(self) -> Mapping[str, str]:
        """Expression by canonical field."""

    @property
    def values(self) -> Mapping[str, str]:
        """Replacement by `field=value`."""


@dataclass(frozen=True, slots=True)
class CompiledMapping:
    """A compiled mapping. `broken` says why it cannot be used."""

    expressions: tuple[tuple[str, str, Any], ...] = ()  # (canonical field, slot, parsed expression)
    replaced: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    projects: bool = False
    broken: str = ""
    reads: frozenset[str] = frozenset()  # The names of fields in all expressions.


def check_mapping(mapping: MappingFields) -> list[FieldError]:
    """Everything that is wrong with a mapping, each with the field it is about."""
    if not mapping.fields and not mapping.values:
        return []
    errors = [
        FieldError(f"mapping.fields.{name}", "FIELD_MISSING", f"expected an expression for {name}, was none")
        for name in REQUIRED
        if name not in mapping.fields
    ]
    if len(mapping.fields) > MOST_EXPRESSIONS or len(mapping.values) > MOST_VALUES:
        detail = f"expected at most {MOST_EXPRESSIONS} fields and {MOST_VALUES} values"
        return [
            FieldError("mapping", "FIELD_INVALID", f"{detail}, was {len(mapping.fields)} and {len(mapping.values)}")
        ]
    projected = 0
    for name, text in sorted(mapping.fields.items()):
        path = f"mapping.fields.{name[:40]}"
        if name not in MAPPABLE:
            errors.append(FieldError(path, "FIELD_INVALID", f"expected one of {', '.join(sorted(MAPPABLE))}"))
            continue
        found = _parse(text)
        if isinstance(found, str):
            errors.append(FieldError(path, "FIELD_INVALID", found))
        elif found[1]:
            projected += found[1]
            if projected > MOST_PROJECTED_NODES:
                detail = f"expected at most {MOST_PROJECTED_NODES} steps in all expressions with [*], [?...] or .*"
                errors.append(FieldError(path, "FIELD_INVALID", f"{detail}, was {projected}"))
    return errors + list(_value_errors(mapping))


def _value_errors(mapping: MappingFields) -> Iterator[FieldError]:
    seen: dict[str, str] = {}
    for key, value in sorted(mapping.values.items()):
        name, equals, sent = key.partition("=")
        if not equals or name not in mapping.fields or len(sent) > 100 or len(value) > 100:
            detail = 'expected "field=value" of a mapped field with values of at most 100 characters'
            yield FieldError(f"mapping.values.{name[:40]}", "FIELD_INVALID", f"{detail}, was {key[:60]!r}")
        elif seen.setdefault(f"{name}={_same(sent)}", value) != value:
            detail = f"expected one replacement for {sent[:40]!r}, was another one for the same value in other case"
            yield FieldError(f"mapping.values.{name[:40]}", "FIELD_CONFLICT", detail)


def compile_mapping(mapping: MappingFields) -> CompiledMapping | None:
    """Compiles a mapping; None for an empty one. Never raises: an invalid mapping rejects every signal, with the reason."""
    errors = check_mapping(mapping)
    if errors:
        return CompiledMapping(broken=f"{errors[0].field}: {errors[0].detail}")
    if not mapping.fields:
        return None
    expressions, projects, reads = [], False, set()
    for name, text in mapping.fields.items():
        found = _parse(text)
        if not isinstance(found, str):
            expressions.append((name, MAPPABLE[name], found[0]))
            projects = projects or found[1] > 0
            reads |= {value for kind, value in _steps(found[0].parsed) if kind == "field"}
    replaced: dict[str, dict[str, str]] = {}
    for key, value in mapping.values.items():
        name, _, sent = key.partition("=")
        replaced.setdefault(name, {})[_same(sent)] = value
    return CompiledMapping(tuple(expressions), replaced, projects, reads=frozenset(reads))


def _parse(text: str) -> tuple[Any, int] | str:
    """The expression, and its number of steps if it reads many values (else 0); or a text that says what is wrong."""
    if len(text) > LONGEST_EXPRESSION:
        return f"expected an expression of at most {LONGEST_EXPRESSION} characters, was {len(text)}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # A literal that is not JSON is deprecated in jmespath.
            compiled = jmespath.compile(text)
        steps = list(_steps(compiled.parsed))
    except JMESPathError as error:
        return f"expected a JMESPath expression: {str(error).splitlines()[0][:150]}"
    except (RecursionError, ValueError, KeyError, IndexError, AttributeError, TypeError, Warning):
        return "expected a JMESPath expression"
    for kind, name in steps:
        if kind not in _ALLOWED or (kind == "function_expression" and name != "not_null"):
            what = f"function {name}" if kind == "function_expression" else kind.replace("_", " ")
            return f"expected paths, filters, comparisons and not_null only, was a {what}"
    return compiled, len(steps) if any(kind in _PROJECTING for kind, _ in steps) else 0


def _steps(node: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield node["type"], str(node.get("value", ""))
    for child in node.get("children", ()):
        if isinstance(child, dict):
            yield from _steps(child)


def collect_mapped(fields: Mapping[str, Any], items: int, mapping: CompiledMapping, draft: Draft) -> None:
    """Puts the results of the expressions into the draft, and stores the payload's fields as extras.

    Args:
        fields: the payload.
        items: upper bound of its number of values, at all depths.
        mapping: the webhook's mapping.
        draft: where the values are put.

    """
    if mapping.projects and items > MOST_PROJECTED_ITEMS:
        draft.refuse("body", "BODY_UNREADABLE", f"expected at most {MOST_PROJECTED_ITEMS} values, was {items}")
        return
    for name, slot, expression in mapping.expressions:
        if slot == "secret":
            continue
        try:
            value = expression.search(fields)
        except (JMESPathError, TypeError, ValueError):
            draft.refuse(
                name, "FIELD_INVALID", "expected a payload to which the mapping's expression can be applied", slot=slot
            )
            continue
        place(name, slot, _replaced(value, mapping.replaced.get(name, {})), draft)
    for name, value in fields.items():
        if not is_hidden(name) and value not in (None, ""):
            draft.keep(name, value if isinstance(value, str) else as_json(value))
    refuse_inside("", dict(fields), draft, mapping.reads)


def mapped_secret(fields: Mapping[str, Any], items: int, mapping: CompiledMapping) -> str:
    """The result of the mapping's expression for `token`; "" if there is none."""
    if mapping.projects and items > MOST_PROJECTED_ITEMS:
        return ""
    for _, slot, expression in mapping.expressions:
        if slot == "secret":
            try:
                value = expression.search(fields)
            except (JMESPathError, TypeError, ValueError):
                return ""
            return value if isinstance(value, str) else ""
    return ""


def _replaced(value: Any, words: Mapping[str, str]) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = Number(value)  # A literal of the expression; numbers of the payload are `Number` already.
    if not words or isinstance(value, dict | list) or value is None:
        return value
    text = value if isinstance(value, str) else str(value).lower()
    return words.get(_same(text[:100]), value)


def _same(text: str) -> str:
    """The form in which values are compared: without case and outer spaces."""
    return text.strip().lower()
