"""Fields of requests as values. An invalid one is INVALID_ARGUMENT, and the error names the field."""

import re
from decimal import ROUND_FLOOR, Context, Decimal
from typing import Any
from zoneinfo import ZoneInfo

from vantixs.model.decimals import format_decimal, parse_decimal
from vantixs.model.ids import NAME_PATTERN
from vantixs.runtime.errors import invalid

from vantixs_risk.domain.exact import PLACES

_WIDE = Context(prec=160)
ASSET = re.compile(r"[A-Z0-9]{1,20}")
# A perpetual is linear: it is settled in the asset that it is quoted in.
_NAME = r"[A-Z0-9]{1,20}/(?P<quote>[A-Z0-9]{1,20})(:(?P=quote))?"
INSTRUMENT = re.compile(_NAME)
# Ids that other services made: printable characters without blanks.
IDENTITY = re.compile(r"[!-~]{1,200}")
SCOPE = re.compile(rf"global|(account|webhook|strategy):{NAME_PATTERN}|instrument:{_NAME}")
TIME_OF_DAY = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|(24):(00)")


def amount(field: str, text: str) -> Decimal:
    """A decimal that must be there."""
    if not text:
        raise invalid(field, "expected a number, was empty", "FIELD_MISSING")
    try:
        return parse_decimal(text)
    except ValueError as error:
        raise invalid(field, str(error)) from None


def positive(field: str, text: str) -> Decimal:
    """A decimal above 0 that must be there."""
    if (value := amount(field, text)) <= 0:
        raise invalid(field, f"expected above 0, was {text}")
    return value


def at_least_zero(field: str, text: str) -> Decimal:
    """A decimal of at least 0 that must be there."""
    if (value := amount(field, text)) < 0:
        raise invalid(field, f"expected at least 0, was {text}")
    return value


def optional(field: str, text: str) -> Decimal | None:
    """A decimal above 0, or None where the field is empty."""
    return positive(field, text) if text else None


def between(field: str, number: int, least: int, most: int) -> int:
    """A whole number in a range."""
    if not least <= number <= most:
        raise invalid(field, f"expected {least} to {most}, was {number}")
    return number


def text(field: str, value: str, pattern: "re.Pattern[str]", expected: str) -> str:
    """A text that matches a pattern. `expected` describes the pattern in the error."""
    if not pattern.fullmatch(value):
        reason = "FIELD_INVALID" if value else "FIELD_MISSING"
        raise invalid(field, f"expected {expected}, was {value[:60]!r}", reason)
    return value


def identity(field: str, value: str) -> str:
    """An id that another service made."""
    return text(field, value, IDENTITY, "1 to 200 printable characters without blanks")


def comment(field: str, value: str) -> str:
    """A comment of an operator, 1 to 500 characters."""
    if not 0 < len(value.strip()) <= 500 or "\x00" in value:
        raise invalid(field, f"expected 1 to 500 characters, was {len(value)}")
    return value


def time_of_day(field: str, value: str) -> int:
    """Seconds since midnight of "HH:MM", to "24:00"."""
    match = TIME_OF_DAY.fullmatch(value)
    if not match:
        raise invalid(field, f"expected a time like 09:30, was {value[:20]!r}")
    hours, minutes = (part for part in match.groups() if part is not None)
    return int(hours) * 3600 + int(minutes) * 60


def zone(field: str, value: str) -> str:
    """An IANA time zone."""
    try:
        ZoneInfo(value)
    except (ValueError, OSError, KeyError):
        raise invalid(field, f"expected an IANA time zone like Europe/Berlin, was {value[:40]!r}") from None
    return value


def named(field: str, enum: Any, prefix: str, number: int) -> str:
    """The name of an enum's value without its prefix. A value that is missing or unknown is rejected."""
    names = {v: n.removeprefix(prefix) for n, v in enum.items()}
    if number == 0 or number not in names:
        known = ", ".join(n for v, n in names.items() if v)
        raise invalid(field, f"expected one of {known}, was {number}", "FIELD_INVALID" if number else "FIELD_MISSING")
    return str(names[number])


def show(value: Decimal) -> str:
    """A decimal as text of a message, which has at most 18 decimals: rounded down to them, as the books may have more."""
    if value.as_tuple().exponent < -18:  # type: ignore[operator]  # finite, so it is a number
        value = value.quantize(PLACES, ROUND_FLOOR, context=_WIDE)
    return format_decimal(value)
