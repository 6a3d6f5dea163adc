"""Exact arithmetic on prices and quantities, and rounding to their steps.

Operators of Decimal round to the 28 digits of the current context, and a context that is set in a generator stays set
between its values; so these name the context at every operation.
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from vantixs.model.decimals import EXACT

BASIS_POINTS = Decimal(10_000)
LAST_DECIMAL = Decimal("1E-18")


def add(left: Decimal, right: Decimal) -> Decimal:
    """The sum."""
    return EXACT.add(left, right)


def subtract(left: Decimal, right: Decimal) -> Decimal:
    """The difference."""
    return EXACT.subtract(left, right)


def multiply(left: Decimal, right: Decimal) -> Decimal:
    """The product."""
    return EXACT.multiply(left, right)


def of_bps(value: Decimal, bps: Decimal) -> Decimal:
    """That many basis points of a value: 5 of 200 are 0.1."""
    return EXACT.divide(EXACT.multiply(value, bps), BASIS_POINTS)


def is_positive(value: Decimal) -> bool:
    """Whether it is a number above 0: not infinite, and not NaN."""
    return value.is_finite() and value > 0


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """The largest multiple of the step that is not above the value."""
    return _round(value, step, ROUND_FLOOR)


def ceil_to(value: Decimal, step: Decimal) -> Decimal:
    """The smallest multiple of the step that is not below the value."""
    return _round(value, step, ROUND_CEILING)


def is_multiple(value: Decimal, step: Decimal) -> bool:
    """Whether the value is a whole number of steps."""
    return not EXACT.remainder(value, step)


def round_up(value: Decimal) -> Decimal:
    """The value with 18 decimals, what is behind them rounded towards plus infinity."""
    return value.quantize(LAST_DECIMAL, ROUND_CEILING, EXACT)


def _round(value: Decimal, step: Decimal, rounding: str) -> Decimal:
    return EXACT.multiply(EXACT.divide(value, step).to_integral_value(rounding), step)
