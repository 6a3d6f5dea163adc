"""Fees of fills, and funding of perpetuals."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from vantixs.model.decimals import ZERO
from vantixs.model.instruments import Instrument

from vantixs_router.domain.matching.steps import multiply, of_bps, round_up

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Fees:
    """What a venue takes of a fill, basis points of notional; below 0 where it pays.

    Attributes:
        buy_fee_in_base: a spot buy pays out of what it receives, as at Binance; otherwise every fee is in the quote asset.
    """

    maker_bps: Decimal = ZERO
    taker_bps: Decimal = ZERO
    buy_fee_in_base: bool = False


def fee_of(
    fees: Fees, instrument: Instrument, *, buy: bool, maker: bool, quantity: Decimal, price: Decimal
) -> tuple[Decimal, str]:
    """The fee and its asset, rounded up at 18 decimals."""
    bps = fees.maker_bps if maker else fees.taker_bps
    if buy and fees.buy_fee_in_base and not instrument.perpetual:
        return round_up(of_bps(quantity, bps)), instrument.base_asset
    return round_up(of_bps(multiply(quantity, price), bps)), instrument.quote_asset


@dataclass(frozen=True, slots=True)
class FundingPayment:
    """What a position receives at a funding time, in the quote asset; below 0 where it pays."""

    time: datetime
    amount: Decimal


def funding_amount(position: Decimal, mark_price: Decimal, rate_ratio: Decimal) -> Decimal:
    """What a signed position receives: at a rate above 0 the longs pay the shorts. Exact, not rounded.

    >>> funding_amount(Decimal(2), Decimal(100), Decimal("0.0001"))
    Decimal('-0.0200')
    """
    return multiply(multiply(position, mark_price), rate_ratio).copy_negate()


def funding_times(after: datetime, until: datetime, interval_s: int = 28_800) -> tuple[datetime, ...]:
    """The funding times after one time and up to another: whole intervals since 1970 UTC, so 0:00, 8:00 and 16:00.

    Raises:
        ValueError: an interval that is not above 0.
    """
    if interval_s <= 0:
        raise ValueError(f"expected an interval above 0, was {interval_s}")
    step = timedelta(seconds=interval_s)
    first = (after - _EPOCH) // step + 1
    last = (until - _EPOCH) // step
    return tuple(_EPOCH + number * step for number in range(first, last + 1))


def funding_payments(
    position: Decimal,
    mark_price: Decimal,
    rate_ratio: Decimal,
    *,
    after: datetime,
    until: datetime,
    interval_s: int = 28_800,
) -> tuple[FundingPayment, ...]:
    """What a position that stays the same receives at each funding time after one time and up to another.

    The rate is that of one interval. Where mark price or rate change between funding times it is asked once for each.
    """
    amount = funding_amount(position, mark_price, rate_ratio)
    return tuple(FundingPayment(time, amount) for time in funding_times(after, until, interval_s))
