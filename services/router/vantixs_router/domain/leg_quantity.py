"""How much of what a sender sends is for one leg: pure.

TradingView's `contracts` of a reversal are those that close the old position and those that open the new one together
(facts of 2026-11: {{strategy.order.contracts}}), so the new leg is not the whole of them.
"""

from dataclasses import dataclass
from decimal import ROUND_DOWN, Context, Decimal

from vantixs_router.domain.intent import Leg

ZERO = Decimal(0)
_LAST_DECIMAL, _CUT = Decimal("1E-18"), Context(prec=80, rounding=ROUND_DOWN)
_SIDES = {"LONG": True, "SHORT": False}


@dataclass(frozen=True, slots=True)
class Sent:
    """What the sender says of sizes, in base units; None for what is not said.

    Attributes:
        quantity: of the order.
        units: whether `quantity` counts base units.
        after, before: size of the sender's own position after and before the signal, 0 or above.
        previous: side of the position before, LONG, SHORT, FLAT or "".
    """

    quantity: Decimal | None
    units: bool
    after: Decimal | None = None
    before: Decimal | None = None
    previous: str = ""


def leg_quantity(sent: Sent, leg: Leg, closed: Decimal) -> Decimal | None:
    """The most that a leg may be by what was sent: None where nothing says it, 0 where nothing is left for it.

    `closed` is what an earlier leg of the same signal closed, base units. An entry is at most the position after it. Of a
    reversal without that, the new leg is what is left after the close of the sender's position, or of ours where the
    sender does not say how large theirs was. At most 18 decimals, rounded down.
    """
    if sent.quantity is None or leg.whole:
        return None
    quantity = _CUT.quantize(sent.quantity, _LAST_DECIMAL)
    if not sent.units or not leg.entry:
        return quantity
    if sent.after:
        return min(quantity, sent.after)
    if _SIDES.get(sent.previous) in (None, leg.buy):
        return quantity
    if sent.before:
        return max(quantity - sent.before, ZERO)
    return max(quantity - closed, ZERO) if closed else None


def percent_of(held: Decimal, percent: Decimal) -> Decimal:
    """So many percent of a quantity of either sign, 0 or above; at most 18 decimals, rounded down."""
    return _CUT.quantize(_CUT.divide(_CUT.multiply(abs(held), percent), Decimal(100)), _LAST_DECIMAL)


def position_before(sent: Sent, leg: Leg) -> Decimal | None:
    """The size of the sender's position before an exit of a part: as sent, or what is left and what was taken together.

    At most 18 decimals, rounded down, as of the exit itself.
    """
    if leg.entry or leg.whole or not sent.units or sent.quantity is None:
        return None
    if sent.before:
        return sent.before
    return _CUT.add(sent.after, _CUT.quantize(sent.quantity, _LAST_DECIMAL)) if sent.after else None
