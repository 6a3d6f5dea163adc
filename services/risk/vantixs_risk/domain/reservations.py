"""What an approved order reserves until it has ended. Pure."""

from dataclasses import dataclass, replace
from decimal import Decimal

from vantixs_risk.domain.exact import BOOKS, ZERO, divide_up


@dataclass(frozen=True, slots=True)
class Reservation:
    """The reservation of one open order.

    What is still reserved is computed from the whole and what is filled, never from what was reserved before. So the last
    fill releases exactly what is left, and no rounding errors add up.

    Attributes:
        instrument: what it trades.
        entry: whether it reserves funds and exposure (entry) or a part of the position (exit).
        buy: side.
        quantity: approved, base units.
        notional: of the whole, quote units.
        reserved_funds: taken from free funds by the whole, quote units.
        filled: base units, may exceed `quantity` where the venue filled more.
        leg: whether it is a leg of a bracket. Stop and targets are for the same quantity and only one of them fills, so a leg
            reserves nothing of the position.
    """

    instrument: str
    entry: bool
    buy: bool
    quantity: Decimal
    notional: Decimal
    reserved_funds: Decimal
    filled: Decimal = ZERO
    leg: bool = False

    @property
    def leaves(self) -> Decimal:
        """What may still fill (FIX 151)."""
        return max(BOOKS.subtract(self.quantity, self.filled), ZERO)

    @property
    def excess(self) -> Decimal:
        """What was filled beyond the approved quantity."""
        return max(BOOKS.subtract(self.filled, self.quantity), ZERO)

    @property
    def notional_left(self) -> Decimal:
        """Notional of what may still fill, rounded up."""
        return self._share(self.notional)

    @property
    def reserved_funds_left(self) -> Decimal:
        """Funds that are still reserved, rounded up."""
        return self._share(self.reserved_funds)

    def fill(self, quantity: Decimal) -> "Reservation":
        """The reservation after a fill."""
        return replace(self, filled=BOOKS.add(self.filled, quantity))

    def _share(self, whole: Decimal) -> Decimal:
        if not self.filled:
            return whole
        leaves = self.leaves
        return divide_up(BOOKS.multiply(whole, leaves), self.quantity) if leaves else ZERO
