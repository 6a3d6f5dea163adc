"""What is left of a position and is too little for an order: pure."""

from decimal import Decimal

from vantixs.model.decimals import ZERO, format_decimal
from vantixs.model.instruments import Instrument


def is_dust(position: Decimal, instrument: Instrument) -> bool:
    """Whether a signed position is something, and less than a lot: no order can close it."""
    return 0 < abs(position) < instrument.lot_size


def without_dust(position: Decimal, instrument: Instrument) -> Decimal:
    """The position that signals act on: dust is none."""
    return ZERO if is_dust(position, instrument) else position


def dust_text(position: Decimal, instrument: Instrument) -> str:
    """What is left, for people: "0.0005 BTC stays in the books, it is less than the lot of 0.001"."""
    held, lot = format_decimal(position), format_decimal(instrument.lot_size)
    return f"{held} {instrument.base_asset} stays in the books, it is less than the lot of {lot}"
