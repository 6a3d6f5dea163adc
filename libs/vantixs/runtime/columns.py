"""Column types that are exact on SQLite and PostgreSQL alike."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Text
from sqlalchemy.types import TypeDecorator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Amount(TypeDecorator[Decimal]):
    """A Decimal kept as plain text, without exponent. NaN and Infinity are refused."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Any) -> str | None:
        """Decimal to text."""
        if value is None:
            return None
        if not value.is_finite():
            raise ValueError(f"expected a finite amount, was {value}")
        return format(value, "f")

    def process_result_value(self, value: Any, dialect: Any) -> Decimal | None:
        """Text to Decimal."""
        return None if value is None else Decimal(value)


class Instant(TypeDecorator[datetime]):
    """An aware UTC time kept as whole microseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> int | None:
        """Time to microseconds."""
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any, dialect: Any) -> datetime | None:
        """Microseconds to time."""
        return None if value is None else _EPOCH + int(value) * _MICROSECOND
