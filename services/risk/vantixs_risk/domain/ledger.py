"""Double entry books of an account, pure: every fill moves the same amount out of one book and into another."""

from dataclasses import dataclass
from decimal import Decimal, localcontext

from vantixs.model.decimals import EXACT, ZERO, divide

# Books: what the account has (cash, holding) and where it came from or went (opening, trading, profit, fees).
CASH, HOLDING, OPENING, TRADING, PROFIT, FEES = "cash", "holding", "opening", "trading", "profit", "fees"


@dataclass(frozen=True, slots=True)
class Posting:
    """One side of an entry: the amount, signed, that a book of an asset gains."""

    book: str
    asset: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Position:
    """A position from fills: signed quantity (base units), average entry price, realised profit and fees (quote)."""

    quantity: Decimal = ZERO
    average_price: Decimal = ZERO
    realized_profit: Decimal = ZERO
    fees: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Booking:
    """What a fill does."""

    position: Position
    postings: tuple[Posting, ...]


def open_books(currency: str, balance: Decimal) -> tuple[Posting, ...]:
    """The first entry of an account."""
    return _move(OPENING, CASH, currency, balance)


def book_fill(
    position: Position,
    *,
    base: str,
    quote: str,
    perpetual: bool,
    buy: bool,
    quantity: Decimal,
    price: Decimal,
    fee: Decimal,
) -> Booking:
    """Books one fill. The average price is rounded toward zero at 18 decimals; everything else is exact.

    Closing realises (price - average) x closed quantity, signed by the side held. What goes through flat opens the
    other side at the fill's price.
    """
    with localcontext(EXACT):
        signed = quantity if buy else -quantity
        after = position.quantity + signed
        closed = min(abs(position.quantity), quantity) if position.quantity * signed < 0 else ZERO
        held_side = 1 if position.quantity > 0 else -1
        profit = (price - position.average_price) * closed * held_side
        postings = list(_move(CASH, FEES, quote, fee))
        if perpetual:
            postings += _move(PROFIT, CASH, quote, profit)
        else:
            postings += _move(CASH, TRADING, quote, signed * price)
            postings += _move(TRADING, HOLDING, base, signed)
        return Booking(
            Position(
                after,
                _average(position, signed, price, after),
                position.realized_profit + profit,
                position.fees + fee,
            ),
            tuple(postings),
        )


def _average(position: Position, signed: Decimal, price: Decimal, after: Decimal) -> Decimal:
    if after == 0:
        return ZERO
    if position.quantity * signed >= 0:
        return divide(position.average_price * abs(position.quantity) + price * abs(signed), abs(after))
    return position.average_price if position.quantity * after > 0 else price


def _move(source: str, target: str, asset: str, amount: Decimal) -> tuple[Posting, ...]:
    return (Posting(source, asset, -amount), Posting(target, asset, amount)) if amount else ()
