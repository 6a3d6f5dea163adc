"""Funding of perpetuals: when it is paid, for which position, and how much. Pure."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, Context, Decimal
from typing import NamedTuple

from vantixs_risk.domain.exact import BOOKS, PLACES

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TWO, _ROUNDING = Decimal(2), Context(prec=160)


class Change(NamedTuple):
    """A fill: when it was executed, and by how much it changed the position, signed base units."""

    time: datetime
    quantity: Decimal


def funding_amount(position: Decimal, mark_price: Decimal, rate_ratio: Decimal) -> Decimal:
    """What a signed position receives, in the quote asset: at a rate above 0 the longs pay the shorts.

    Rounded down at 18 decimals, against the account.

    >>> funding_amount(Decimal(2), Decimal(100), Decimal("0.0001"))
    Decimal('-0.020000000000000000')
    """
    received = BOOKS.multiply(BOOKS.multiply(position, mark_price), rate_ratio).copy_negate()
    return received.quantize(PLACES, ROUND_FLOOR, context=_ROUNDING)


def funding_times(after: datetime, until: datetime, interval_s: int) -> list[datetime]:
    """The funding times after one time and up to another: whole intervals since 1970 UTC, so 0:00, 8:00 and 16:00.

    Raises:
        ValueError: an interval that is not above 0.
    """
    if interval_s <= 0:
        raise ValueError(f"expected an interval above 0, was {interval_s}")
    step = timedelta(seconds=interval_s)
    first, last = (after - _EPOCH) // step + 1, (until - _EPOCH) // step
    return [_EPOCH + number * step for number in range(first, last + 1)]


def position_at(time: datetime, now: Decimal, changes: Iterable[Change]) -> Decimal:
    """The position at a time, from the position now and the fills since. A fill at exactly that time is included."""
    held = now
    for change in changes:
        if change.time > time:
            held = BOOKS.subtract(held, change.quantity)
    return held


def middle(bid: Decimal, ask: Decimal) -> Decimal:
    """The middle of a quote, exact."""
    return BOOKS.divide(BOOKS.add(bid, ask), _TWO)
