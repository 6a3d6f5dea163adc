"""Fees of fills."""

from dataclasses import dataclass
from decimal import Decimal

from vantixs.model.decimals import ZERO
from vantixs.model.instruments import Instrument

from vantixs_router.domain.matching.steps import multiply, of_bps, round_up


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
