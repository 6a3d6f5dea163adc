"""What the paper venue makes of a market order, pure."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext

from vantixs.model.decimals import EXACT


@dataclass(frozen=True, slots=True)
class Execution:
    """Price and fee, in the quote asset."""

    price: Decimal
    fee: Decimal


def execute_market(
    *, buy: bool, quantity: Decimal, bid: Decimal, ask: Decimal, tick: Decimal, slippage_bps: Decimal, fee_bps: Decimal
) -> Execution:
    """Fills at the far side of the quote and `slippage_bps` beyond, rounded against the order to the tick.

    >>> execute_market(buy=True, quantity=Decimal(1), bid=Decimal(99), ask=Decimal(100), tick=Decimal("0.1"),
    ...                slippage_bps=Decimal(0), fee_bps=Decimal(10))
    Execution(price=Decimal('100.0'), fee=Decimal('0.1000'))
    """
    with localcontext(EXACT):
        raw = ask * (1 + slippage_bps / 10_000) if buy else bid * (1 - slippage_bps / 10_000)
        price = (raw / tick).to_integral_value(ROUND_CEILING if buy else ROUND_FLOOR) * tick
        price = max(price, tick)
        return Execution(price, price * quantity * fee_bps / 10_000)
