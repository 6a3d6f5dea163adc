"""What an order's fills add up to, exact."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

from vantixs.model.decimals import EXACT, ZERO

LAST_DECIMAL = Decimal("1E-18")


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution (FIX 17): quantity in base units, price in the quote asset, both above 0."""

    execution_id: str
    quantity: Decimal
    price: Decimal


def add_fills(known: tuple[Fill, ...], more: Iterable[Fill]) -> tuple[Fill, ...]:
    """The known fills and those that are new. Of two with one execution id the first stands, whatever the second says."""
    by_id = {fill.execution_id: fill for fill in known}
    for fill in more:
        by_id.setdefault(fill.execution_id, fill)
    return tuple(by_id.values())


def filled_quantity(fills: Iterable[Fill]) -> Decimal:
    """The sum of the quantities, exact."""
    with localcontext(EXACT):
        return sum((fill.quantity for fill in fills), ZERO)


def leaves_quantity(quantity: Decimal, fills: Iterable[Fill]) -> Decimal:
    """What is left of an order's quantity; 0 where more was filled than was ordered."""
    with localcontext(EXACT):
        return max(quantity - filled_quantity(fills), ZERO)


def average_price(fills: Iterable[Fill]) -> Decimal | None:
    """The quantity-weighted price; None where nothing is filled.

    Rounded half to even at 18 decimals: 1 at 100 and 2 at 101 are 100.666666666666666667.
    """
    fills = tuple(fills)
    quantity = filled_quantity(fills)
    if not quantity:
        return None
    with localcontext(EXACT):
        total = sum((fill.quantity * fill.price for fill in fills), ZERO)
        return (total / quantity).quantize(LAST_DECIMAL, ROUND_HALF_EVEN)
