"""Exact decimal numbers as text: `-?[0-9]{1,20}(.[0-9]{1,18})?`, never floats."""

import re
from decimal import Context, Decimal

PATTERN = re.compile(r"^-?[0-9]{1,20}(?:\.[0-9]{1,18})?\Z", re.ASCII)
# Wide enough for the product of two such numbers: 20 + 20 digits before the point, 18 + 18 behind it.
EXACT = Context(prec=80)
ZERO = Decimal(0)


def parse_decimal(text: str) -> Decimal:
    """The number that the text is.

    Raises:
        ValueError: not of the pattern; exponents, separators, NaN and Infinity are not.
    """
    if not PATTERN.match(text):
        raise ValueError(f"expected digits with at most 18 decimals, was {text[:40]!r}")
    return Decimal(text)


def format_decimal(value: Decimal) -> str:
    """The number as text without exponent or trailing zeros, for example "0.1" for Decimal("0.100")."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("", "-0") else text
