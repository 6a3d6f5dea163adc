"""An account's books, calculated from the definitions alone, in fractions: nothing here rounds by accident.

Nothing of the product is imported, so that what is wrong there cannot be wrong here in the same way. The definitions:

- Weighted average cost: an addition joins the carrying amount, a disposal takes its share of it, so the average of what
  stays does not change. Source: IAS 2 paragraph 27 (weighted average cost formula), paragraph 34 (the carrying amount of
  what is sold is matched with its revenue). For perpetuals it is the average entry price = value / quantity. Source: Bybit
  help centre, "P&L calculations (USDT contracts)", 1.
- Realised profit of a close = (exit price - average entry price) x closed quantity x side, with side +1 for long and -1
  for short. Source: the same page, 3.
- Unrealised profit = (mark price - average entry price) x open quantity x side. Source: the same page, 2.
- A fill through flat is two: one that closes, one that opens at the same price. Source: nautilustrader.io, "Positions",
  flipping.
- A fee in the base asset of a spot market disposes of that much at the fill's price, and costs its worth there: a
  disposal is at fair value (IFRS 15 paragraph 66, consideration that is not cash). What that realises is no loss taken by
  closing (ADR 0009). A fee in any other asset that is not the quote is kept in that asset alone.
- Equity = start + realised + unrealised - fees. Source: docs/glossary.md, equity. What an operator adjusts is added to the start:
  a contribution of the owner, no profit (IAS 1 paragraph 109).
- Initial margin = notional / leverage. Source: Bybit help centre, "Initial margin (USDT contracts)".
- Double entry: what one book loses another one gains, so the sum over all books is 0 for each asset. Source: Pacioli,
  Summa de arithmetica (1494), Particularis de computis et scripturis, chapter 14.

The ledger documents one rounding: the share of the cost that a partial close takes is cut after 18 decimals. Both are
kept here: the books with that cut, and the books without any; `Line.cuts` bounds how far they may be apart. A message
shows 18 decimals, rounded down; the database has all of them (ADR 0009).
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, floor
from typing import NamedTuple

UNIT = Fraction(1, 10**18)


class Fill(NamedTuple):
    """A fill as the venue reports it; amounts are texts, as on the wire."""

    instrument: str
    buy: bool
    quantity: str
    price: str
    fee: str = "0"
    fee_asset: str = ""


def cut(amount: Fraction) -> Fraction:
    """The amount without what is behind the 18th decimal: toward zero."""
    whole = floor(abs(amount) / UNIT) * UNIT
    return whole if amount >= 0 else -whole


def raised(amount: Fraction) -> Fraction:
    """The amount, at least 0, up to the next 18th decimal."""
    return ceil(amount / UNIT) * UNIT


def as_shown(amount: Fraction) -> Fraction:
    """The amount as a message shows it: down to the 18th decimal, so -1/3 is -0.333333333333333334."""
    return floor(amount / UNIT) * UNIT


def is_perpetual(instrument: str) -> bool:
    """Whether the name is that of a perpetual: those name what they settle in."""
    return ":" in instrument


def assets(instrument: str) -> tuple[str, str]:
    """Base and quote asset of a name like "BTC/USDT" or "BTC/USDT:USDT"."""
    base, quote = instrument.partition(":")[0].split("/")
    return base, quote


@dataclass
class Line:
    """One instrument: quantity is signed, amounts are in the quote asset.

    Attributes:
        cost: of what is open, signed like the quantity, with the documented cut.
        average: entry price, without any cut.
        realized: with the documented cut; `exact` without.
        cuts: how often something was cut off since the position was last flat.
    """

    quantity: Fraction = Fraction(0)
    cost: Fraction = Fraction(0)
    average: Fraction = Fraction(0)
    realized: Fraction = Fraction(0)
    exact: Fraction = Fraction(0)
    fees: Fraction = Fraction(0)
    cuts: int = 0

    @property
    def shown_average(self) -> Fraction:
        """Average entry price as it is shown: cut after 18 decimals; 0 when flat."""
        return cut(self.cost / self.quantity) if self.quantity else Fraction(0)

    def trade(self, signed: Fraction, price: Fraction) -> Fraction:
        """Buys (above 0) or sells (below 0); returns what that realises, with the cut."""
        side = 1 if self.quantity > 0 else -1
        if self.quantity == 0 or signed * side >= 0:
            if signed:
                self._open(signed, price)
            return Fraction(0)
        closed = min(abs(signed), abs(self.quantity))
        self.exact += (price - self.average) * closed * side
        share = abs(self.cost) * closed / abs(self.quantity)
        self.cuts += share % UNIT != 0 and closed < abs(self.quantity)
        if closed < abs(self.quantity):
            share = cut(share)
        realized = side * (price * closed - share)
        self.realized += realized
        self.quantity -= side * closed
        self.cost -= side * share
        if not self.quantity:
            self.average, self.cuts = Fraction(0), 0
        if rest := signed + side * closed:
            self._open(rest, price)
        return realized

    def _open(self, signed: Fraction, price: Fraction) -> None:
        after = self.quantity + signed
        self.average = (self.average * self.quantity + price * signed) / after
        self.quantity, self.cost = after, self.cost + price * signed


@dataclass
class Books:
    """An account that began with `start` of `currency`."""

    currency: str
    start: Fraction
    lines: dict[str, Line] = field(default_factory=lambda: defaultdict(Line))
    balances: dict[tuple[str, str], Fraction] = field(default_factory=lambda: defaultdict(Fraction))
    paid: Fraction = Fraction(0)
    adjusted: Fraction = Fraction(0)

    def __post_init__(self) -> None:
        self._move("opening", "cash", self.currency, self.start)

    def book(self, fill: Fill) -> Fraction:
        """Books one fill; returns what closing realised, that of a fee aside."""
        base, quote = assets(fill.instrument)
        quantity, price, fee = Fraction(fill.quantity), Fraction(fill.price), Fraction(fill.fee)
        signed = quantity if fill.buy else -quantity
        line, perpetual = self.lines[fill.instrument], is_perpetual(fill.instrument)
        realized = line.trade(signed, price)
        self.paid += signed * price
        if perpetual:
            self._move("counterparty", "contracts", fill.instrument, signed)
            self._move("profit", "cash", quote, realized)
        else:
            self._move("cash", "trading", quote, signed * price)
            self._move("trading", "holding", base, signed)
        if fill.fee_asset == base and not perpetual:
            self._move("holding", "fees", base, fee)
            line.trade(-fee, price)
            line.fees += fee * price
            # What the fee disposes of is sold and paid as a fee at the same price, so no money is paid for it.
            self.paid -= fee * price
        else:
            asset = fill.fee_asset or quote
            self._move("cash", "fees", asset, fee)
            if asset == quote:
                line.fees += fee
        return realized

    def adjust_cash(self, asset: str, change: Fraction) -> None:
        """Books a difference in cash to the venue: it comes from nowhere, so it is no profit."""
        self._move("adjustment", "cash", asset, change)
        if asset == self.currency:
            self.adjusted += change

    def adjust_position(self, instrument: str, change: Fraction, price: Fraction) -> None:
        """Books a difference in a position: a trade at a price for which nothing is paid."""
        base, quote = assets(instrument)
        realized = self.lines[instrument].trade(change, price)
        self.paid += change * price
        if is_perpetual(instrument):
            self._move("adjustment", "contracts", instrument, change)
            self._move("profit", "cash", quote, realized)
        else:
            self._move("adjustment", "holding", base, change)
            self.adjusted += change * price

    def unrealized(self, marks: dict[str, Fraction]) -> Fraction:
        """Profit of what is open, at marks by instrument."""
        return sum((marks[n] * i.quantity - i.cost for n, i in self.lines.items() if i.quantity), Fraction(0))

    @property
    def realized(self) -> Fraction:
        """Of all closes, before fees."""
        return sum((line.realized for line in self.lines.values()), Fraction(0))

    def exposure(self, marks: dict[str, Fraction]) -> Fraction:
        """Sum of the absolute worth of what is open."""
        return sum((abs(i.quantity) * marks[n] for n, i in self.lines.items() if i.quantity), Fraction(0))

    def equity(self, marks: dict[str, Fraction]) -> Fraction:
        """By the definition: start + realised + unrealised - fees."""
        return self.start + self.adjusted + self.realized + self.unrealized(marks) - self.fees

    def equity_by_payments(self, marks: dict[str, Fraction]) -> Fraction:
        """Without any notion of cost: what was paid, and what is there now. No averaging or rounding can be in it."""
        worth = sum((marks[n] * i.quantity for n, i in self.lines.items() if i.quantity), Fraction(0))
        return self.start + self.adjusted - self.paid - self.fees + worth

    @property
    def fees(self) -> Fraction:
        """In the quote asset; those in a third asset are only in its books."""
        return sum((line.fees for line in self.lines.values()), Fraction(0))

    def margin(self, marks: dict[str, Fraction], leverage: Fraction) -> Fraction:
        """What open positions take from free cash, collateral raised to the 18th decimal.

        A spot holding is paid for. A spot short owes its worth, and gives collateral of worth / leverage. A perpetual
        gives collateral, and covers its unrealised loss.
        """
        total = Fraction(0)
        for name, line in self.lines.items():
            worth = abs(line.quantity) * marks[name] if line.quantity else Fraction(0)
            if is_perpetual(name):
                loss = line.cost - line.quantity * marks[name] if line.quantity else Fraction(0)
                total += raised(worth / leverage) + max(loss, Fraction(0))
            elif line.quantity < 0:
                total += raised(worth / leverage) + worth
        return total

    def sums(self) -> dict[str, Fraction]:
        """Sum over all books, by asset: 0 each."""
        return sum_by_asset(self.balances.items())

    def _move(self, source: str, target: str, asset: str, amount: Fraction) -> None:
        self.balances[source, asset] -= amount
        self.balances[target, asset] += amount


def sum_by_asset(balances: Iterable[tuple[tuple[str, str], Fraction]]) -> dict[str, Fraction]:
    """Sum over the books of each asset."""
    sums: dict[str, Fraction] = defaultdict(Fraction)
    for (_, asset), amount in balances:
        sums[asset] += amount
    return dict(sums)
