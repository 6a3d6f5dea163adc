"""The result of reading a payload (`Reading`), and its state while it is read (`Draft`)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from vantixs_ingress.domain.payload.redaction import REDACTED, redact_inside, without_head
from vantixs_ingress.domain.payload.vocabulary import slot_of

# The reason of a rejection with several errors is the first of these.
PRECEDENCE = (
    "BODY_UNREADABLE", "PLACEHOLDER_NOT_RENDERED", "FIELD_CONFLICT", "ACTION_UNSUPPORTED", "FIELD_MISSING",
    "SYMBOL_UNSUPPORTED", "SYMBOL_AMBIGUOUS", "FIELD_INVALID", "OVERRIDE_NOT_ALLOWED", "MODE_NOT_ALLOWED",
    "ACTION_NOT_ALLOWED", "SYMBOL_NOT_ALLOWED", "SIGNAL_EXPIRED",
)  # fmt: skip
_NOTHING = object()
# A possible token: a long run of letters, digits, `-` and `_` with at least one digit or capital letter.
_LIKE_A_TOKEN = re.compile(r"(?=[A-Za-z0-9_-]{20})[a-z_-]{0,100}[A-Z0-9]")
_DIGITS = re.compile(r"[0-9.:, -]+")
MOST_SHOWN = 60
TOKEN_SHOWN = 6  # Characters shown of a possible token: enough to find it, too few to use it.
MOST_EXTRAS = 100
MOST_HELD = 2000  # Highest length of a text that is searched for secrets.
MOST_PROBLEMS = 100


@dataclass(frozen=True, slots=True)
class FieldError:
    """A field that is wrong, or a warning about a field."""

    field: str
    reason: str
    detail: str


class Reading:
    """The result of reading a payload. `values` are canonical fields; if there are `errors`, it is not a signal.

    `warnings` are about fields that are allowed but probably a mistake. `sources` has, for each value, the name of the
    field as sent. `reduces` is set for an exit, which can only make a position smaller. `secret` is the first secret in
    the body, which may be the webhook's token. `now` is when the payload was received.
    """

    __slots__ = ("errors", "expire_time", "extras", "now", "reduces", "secret", "sources", "values", "warnings")

    def __init__(self, secret: str, now: datetime) -> None:
        self.now = now
        self.values: dict[str, Any] = {}
        self.extras: dict[str, str] = {}
        self.errors: list[FieldError] = []
        self.warnings: list[FieldError] = []
        self.sources: dict[str, str] = {}
        self.secret = secret
        self.reduces = False
        self.expire_time: datetime | None = None

    @property
    def reason(self) -> str:
        """The reason of the rejection, if there are several errors by `PRECEDENCE`; empty for a signal."""
        return min((e.reason for e in self.errors), key=PRECEDENCE.index, default="")

    @property
    def detail(self) -> str:
        """One sentence about the error with that reason."""
        reason = self.reason
        return next((f"{e.field}: {e.detail}" for e in self.errors if e.reason == reason), "")


@dataclass(slots=True)
class Problem:
    """A field that is wrong. Its value is shown only at the end, once all secrets of the payload are known."""

    field: str
    reason: str
    expected: str
    value: Any = _NOTHING
    slot: str = ""


class ConversionError(Exception):
    """A value cannot be converted; the text says what was expected."""

    def __init__(self, expected: str, reason: str = "FIELD_INVALID", *, complete: bool = False) -> None:
        super().__init__(expected)
        self.expected = expected
        self.reason = reason
        self.complete = complete  # Whether the text also says what was found.


class Draft:
    """The state while a payload is read: values by slot, problems and notes."""

    __slots__ = (
        "actions", "extras", "labels", "levels", "names", "notes", "prices", "problems", "quantities", "shares", "symbols",
        "targets", "trails", "values",
    )  # fmt: skip

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.names: dict[str, str] = {}
        self.problems: list[Problem] = []
        self.notes: list[Problem] = []
        self.extras: dict[str, str] = {}
        # Fields of which several decide one value: (name, slot, value) in the order sent.
        self.actions: list[tuple[str, str, str]] = []
        self.labels: list[tuple[str, str]] = []  # Texts in fields that may hold an action.
        self.prices: list[tuple[str, str, Decimal]] = []
        self.symbols: list[tuple[str, str]] = []
        self.levels: list[tuple[str, str, str, Any]] = []
        self.quantities: list[tuple[str, str, Any]] = []
        self.targets: list[Any] = []  # Of `targets`: SentTarget.
        self.shares: list[Any] = []  # Of `targets`: SentShare.
        # Trailing distances (name, kind, number, of_stop). `of_stop`: it belongs to the stop loss for every order type.
        self.trails: list[tuple[str, str, Decimal, bool]] = []

    def refuse(self, name: str, reason: str, expected: str, value: Any = _NOTHING, slot: str = "") -> None:
        """Adds a problem."""
        self.problems.append(Problem(name, reason, expected, value, slot))

    def note(self, name: str, reason: str, expected: str, value: Any = _NOTHING) -> None:
        """Adds a warning about a field that is allowed but probably a mistake."""
        if len(self.notes) < MOST_PROBLEMS:
            self.notes.append(Problem(name, reason, expected, value))

    def keep(self, name: str, text: str) -> None:
        """Stores a field without effect among the extras."""
        if len(self.extras) < MOST_EXTRAS:
            self.extras[name[:MOST_HELD]] = text[:MOST_HELD]

    def put(self, slot: str, name: str, value: Any) -> None:
        """Sets a slot. A different value from another name of the same field is a conflict."""
        before = self.values.setdefault(slot, value)
        if before is value:
            self.names.setdefault(slot, name)
        elif before != value:
            self.refuse(name, "FIELD_CONFLICT", f"expected one {slot}", (before, value), slot)


def shown(value: Any, secrets: Iterable[str] = ()) -> str:
    """A value for messages: secrets are hidden, only the start of a possible token is shown, and a long value is cut."""
    if isinstance(value, tuple):
        return " and ".join(shown(item, secrets) for item in value)
    if isinstance(value, dict | list):
        return "a list" if isinstance(value, list) else "an object"
    text = redact_inside(without_head(str(value)))
    if any(secret in text for secret in secrets if secret):
        return f"a text of {len(text)} characters"
    most = MOST_SHOWN
    if len(text) >= 20 and not _DIGITS.fullmatch(text[:100]) and _LIKE_A_TOKEN.search(text[:100]):
        most = TOKEN_SHOWN
    cut = text if len(text) <= most else f"{text[:most]}..."
    return (repr(cut) if isinstance(value, str) else cut) + (f" ({len(text)} characters)" if cut != text else "")


def field_error(problem: Problem, secrets: Iterable[str]) -> FieldError:
    """The problem as an error, its value shown as far as secrets allow."""
    detail = problem.expected
    if problem.value is not _NOTHING:
        detail = f"{detail}, was {shown(problem.value, secrets)}"
    name = problem.field
    for secret in secrets:
        if secret:
            name, detail = name.replace(secret, REDACTED), detail.replace(secret, REDACTED)
    if (not name.isascii() or _LIKE_A_TOKEN.search(name)) and not slot_of(name.rpartition(".")[2])[1]:
        name = shown(name)
    return FieldError(redact_inside(name)[:200], problem.reason, redact_inside(detail))


def without(secrets: Iterable[str], text: str) -> str:
    """The text with the secrets replaced."""
    for secret in secrets:
        text = text.replace(secret, REDACTED)
    return text
