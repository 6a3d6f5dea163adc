"""Double-entry books of an account. Pure. Every transfer takes from one book exactly what it gives to another.

A position keeps the exact cost of what is open, never an average: the average is cost / quantity, derived when shown.
Reducing a position takes a share of the cost; that share is the only number in the books that is ever rounded (toward
zero, 18 decimals), and what the rounding leaves stays in the cost until the position is flat. So this holds to the last
digit, whatever was traded (ADR 0009):

    equity = opening balance + adjusted + realised profit + unrealised profit - fees + funding
"""

from dataclasses import dataclass, replace
from decimal import Decimal, localcontext
from typing import NamedTuple

from vantixs_risk.domain.exact import BOOKS, ZERO, divide_down

# What the account has ...
CASH = "cash"  # money, by asset
HOLDING = "holding"  # base assets bought on spot
CONTRACTS = "contracts"  # perpetual contracts, by instrument, in base units
# ... and where it came from or went.
OPENING = "opening"
TRADING = "trading"  # the other side of spot trades
PROFIT = "profit"  # realised profit of perpetuals
COUNTERPARTY = "counterparty"  # the other side of perpetual contracts
FEES = "fees"
FUNDING = "funding"  # the other side of what perpetuals pay and receive while they are held
ADJUSTMENT = "adjustment"  # differences to the venue, booked by an operator


@dataclass(frozen=True, slots=True)
class Market:
    """What is traded: "BTC/USDT" is spot in BTC and USDT, "BTC/USDT:USDT" a linear perpetual settled in USDT."""

    instrument: str
    base: str
    quote: str
    perpetual: bool

    @classmethod
    def of(cls, instrument: str) -> "Market":
        """The market of a name of the catalogue's form.

        Raises:
            ValueError: a perpetual that is not settled in what it is quoted in: its profit is not linear.
        """
        pair, _, settle = instrument.partition(":")
        base, _, quote = pair.partition("/")
        if settle not in ("", quote):
            raise ValueError(f"expected a market settled in {quote}, was {instrument}")
        return cls(instrument, base, quote, perpetual=bool(settle))


class Transfer(NamedTuple):
    """One entry: `amount`, above 0, of an asset out of the book `source` and into the book `target`."""

    source: str
    target: str
    asset: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Position:
    """A position.

    Attributes:
        quantity: signed, base units; above 0 is long.
        cost: what the open quantity was bought for (above 0) or sold for (below 0), quote units, exact.
        realized_profit: quote units, before fees.
        fees: quote units; a fee in the base asset counts at the fill's price.
    """

    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    realized_profit: Decimal = ZERO
    fees: Decimal = ZERO

    @property
    def average_price(self) -> Decimal:
        """Cost / quantity, rounded toward zero to 18 decimals; 0 when flat."""
        return divide_down(self.cost, self.quantity) if self.quantity else ZERO


@dataclass(frozen=True, slots=True)
class Trade:
    """A fill: quantity (base) and price (quote), both above 0; a fee below 0 is a rebate."""

    buy: bool
    quantity: Decimal
    price: Decimal
    fee: Decimal = ZERO
    fee_asset: str = ""


@dataclass(frozen=True, slots=True)
class Booking:
    """What a trade or an adjustment does to a position and to the books, in quote units where amounts are named.

    Attributes:
        realized_profit: all that is realised, what pays a fee in the base asset included.
        closed_profit: of that, what closing realised: below 0 is a loss taken.
        fee: in quote units.
        adjusted: worth of what came without being paid, at the price of the adjustment.
    """

    position: Position
    transfers: tuple[Transfer, ...]
    realized_profit: Decimal = ZERO
    closed_profit: Decimal = ZERO
    fee: Decimal = ZERO
    adjusted: Decimal = ZERO


def open_books(currency: str, balance: Decimal) -> tuple[Transfer, ...]:
    """The first entry of an account."""
    return transfer(OPENING, CASH, currency, balance)


def book_trade(position: Position, market: Market, trade: Trade) -> Booking:
    """Books one fill.

    Spot moves cash and the base asset; a perpetual moves contracts, and cash only by what is realised. A trade
    through flat closes the one side and opens the other at the fill's price. A fee in the base asset of a spot market lowers the
    holding, so it is booked as if that much had been sold at the fill's price to pay a fee in the quote asset. A fee in
    any other asset is booked in that asset and is no part of `fee`.

    Realised profit of 0.00001 BTC sold at 65,000 out of 0.00003 BTC that cost 2: the share of the cost is
    2 x 0.00001 / 0.00003 = 0.666666666666666666 (rounded toward zero), so -0.016666666666666666 is realised, and
    1.333333333333333334 stays as the cost of the other 0.00002.
    """
    with localcontext(BOOKS):
        signed = trade.quantity if trade.buy else -trade.quantity
        after, closed = _trade(position, signed, trade.price)
        realized = closed
        if market.perpetual:
            transfers = transfer(COUNTERPARTY, CONTRACTS, market.instrument, signed)
            transfers += transfer(PROFIT, CASH, market.quote, realized)
        else:
            transfers = transfer(CASH, TRADING, market.quote, signed * trade.price)
            transfers += transfer(TRADING, HOLDING, market.base, signed)
        fee = trade.fee
        if trade.fee_asset == market.base and not market.perpetual:
            transfers += transfer(HOLDING, FEES, market.base, fee)
            after, more = _trade(after, -fee, trade.price)
            realized, fee = realized + more, fee * trade.price
        elif trade.fee_asset in ("", market.quote):
            transfers += transfer(CASH, FEES, market.quote, fee)
        else:
            transfers += transfer(CASH, FEES, trade.fee_asset, fee)
            fee = ZERO
        after = replace(after, realized_profit=position.realized_profit + realized, fees=position.fees + fee)
        return Booking(after, transfers, realized, closed, fee)


def adjust_position(position: Position, market: Market, change: Decimal, price: Decimal) -> Booking:
    """Books a difference between a position here and at the venue: `change` (signed, base units) at a price.

    Nothing is paid: a spot holding comes from, or goes to, the book of adjustments, and its worth at the price counts
    as adjusted. Contracts have no worth at their own price; what reducing them realises is settled in cash.
    """
    with localcontext(BOOKS):
        after, realized = _trade(position, change, price)
        after = replace(after, realized_profit=position.realized_profit + realized)
        if market.perpetual:
            transfers = transfer(ADJUSTMENT, CONTRACTS, market.instrument, change)
            transfers += transfer(PROFIT, CASH, market.quote, realized)
            return Booking(after, transfers, realized, realized)
        transfers = transfer(ADJUSTMENT, HOLDING, market.base, change)
        return Booking(after, transfers, realized, realized, adjusted=change * price)


def adjust_cash(asset: str, change: Decimal) -> tuple[Transfer, ...]:
    """Books a difference in cash, signed."""
    return transfer(ADJUSTMENT, CASH, asset, change)


def pay_funding(market: Market, received: Decimal) -> tuple[Transfer, ...]:
    """Books what a position received at a funding time, below 0 where it paid: cash alone, no profit of the position."""
    return transfer(FUNDING, CASH, market.quote, received)


def transfer(source: str, target: str, asset: str, amount: Decimal) -> tuple[Transfer, ...]:
    """The transfer of an amount, the other way round where it is below 0; none of nothing."""
    if amount < 0:
        # Unary minus would round to the context of whoever calls; this does not.
        return (Transfer(target, source, asset, amount.copy_negate()),)
    return (Transfer(source, target, asset, amount),) if amount else ()


def _trade(position: Position, signed: Decimal, price: Decimal) -> tuple[Position, Decimal]:
    """Quantity and cost after a trade, and what it realises."""
    quantity, cost = position.quantity, position.cost
    after = quantity + signed
    if quantity * signed >= 0:
        return replace(position, quantity=after, cost=cost + signed * price), ZERO
    if abs(signed) >= abs(quantity):
        closing, share = -quantity, cost
    else:
        closing, share = signed, divide_down(cost * abs(signed), abs(quantity))
    opened = signed - closing
    return replace(position, quantity=after, cost=cost - share + opened * price), -closing * price - share
