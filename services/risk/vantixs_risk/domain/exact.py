"""Exact arithmetic of the books. A rounded result raises Inexact, and each division says which way it rounds."""

from collections.abc import Iterable
from decimal import (
    ROUND_DOWN,
    ROUND_UP,
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
    localcontext,
)

ZERO, HUNDRED = Decimal(0), Decimal(100)
PLACES = Decimal(1).scaleb(-18)
# A product of three numbers of 20 + 18 digits has 114 digits, so nothing that is added or multiplied here is rounded.
# If a result is rounded nevertheless, Inexact is raised and the unit of work is rolled back.
BOOKS = Context(prec=160, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])
_DIVISION = Context(prec=160, traps=[InvalidOperation, DivisionByZero, Overflow])


def divide_down(numerator: Decimal, denominator: Decimal) -> Decimal:
    """The quotient, rounded toward zero to 18 decimals, for example 2/3 = 0.666666666666666666."""
    return _DIVISION.divide(numerator, denominator).quantize(PLACES, ROUND_DOWN, context=_DIVISION)


def divide_up(numerator: Decimal, denominator: Decimal) -> Decimal:
    """The quotient, rounded away from zero to 18 decimals, for example 2/3 = 0.666666666666666667."""
    return _DIVISION.divide(numerator, denominator).quantize(PLACES, ROUND_UP, context=_DIVISION)


def multiple_down(value: Decimal, step: Decimal) -> Decimal:
    """The largest multiple of the step that is not farther from zero than the value."""
    return _DIVISION.multiply(_DIVISION.divide(value, step).to_integral_value(ROUND_DOWN), step)


def total(amounts: Iterable[Decimal]) -> Decimal:
    """The exact sum."""
    with localcontext(BOOKS):
        return sum(amounts, ZERO)


def show(amount: Decimal | int) -> str:
    """A number as text without exponent or trailing zeros."""
    text = str(amount)
    if "E" in text:
        text = format(amount, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
