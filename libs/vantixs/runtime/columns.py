"""Column types that hold exactly what they were given, on SQLite and on PostgreSQL."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sqlalchemy import BigInteger, Dialect, String
from sqlalchemy.types import TypeDecorator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Amount(TypeDecorator[Decimal]):
    """An exact decimal: a price, a quantity, a sum of money.

    It is stored as text in plain notation (`0.00000001`, never `1E-8`), because SQLite has no decimal type and
    would keep a binary approximation. The scale is kept as given: `1.50` comes back as `1.50`. A negative zero
    becomes zero. Text sorts by character, so a database can test an amount for equality but not for order or sum:
    compare and add in Python.

    Raises:
        TypeError: a value is not a `Decimal` (a float has already lost what this column promises).
        ValueError: a value is NaN or infinite.
    """

    impl = String
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> str | None:
        """Returns the plain text of a value."""
        if value is None:
            return None
        if not isinstance(value, Decimal):
            raise TypeError(f"expected a Decimal, was {type(value).__name__}")
        if not value.is_finite():
            raise ValueError(f"expected a finite amount, was {value}")
        if value.is_zero():
            value = value.copy_abs()
        return format(value, "f")

    def process_result_value(self, value: str | None, dialect: Dialect) -> Decimal | None:
        """Returns the decimal a stored text stands for."""
        return None if value is None else Decimal(value)


class Instant(TypeDecorator[datetime]):
    """A moment: an aware `datetime`, stored as whole microseconds since 1970 in UTC, so that it also sorts.

    Any zone goes in, UTC comes out.

    Raises:
        ValueError: a value has no zone.
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Returns the microseconds since 1970 of a moment."""
        return _microseconds(value)

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], int | None]:
        """Returns what does it: a function without SQLAlchemy's own around it, which cost more than it does."""
        return _microseconds

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """Returns the moment a stored number stands for."""
        return _moment(value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[int | None], datetime | None]:
        """Returns what does it, as `bind_processor`."""
        return _moment


def _microseconds(value: datetime | None) -> int | None:
    if value is None:
        return None
    if value.tzinfo is None:
        raise ValueError(f"expected a time with a zone, was {value.isoformat()}")
    return (value - _EPOCH) // _MICROSECOND


def _moment(value: int | None) -> datetime | None:
    return None if value is None else _EPOCH + timedelta(microseconds=value)
