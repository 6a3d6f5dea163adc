"""What an account is worth, and what it was worth: marks, exposure, margin, the day's start, the highest equity. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

from vantixs_risk.domain.exact import BOOKS, HUNDRED, ZERO, divide_down, divide_up
from vantixs_risk.domain.ledger import Market, Position


@dataclass(frozen=True, slots=True)
class Mark:
    """The last known bid and ask of an instrument, and the time of that quote."""

    bid: Decimal
    ask: Decimal
    time: datetime


@dataclass(frozen=True, slots=True)
class Holding:
    """A position in a market, with the mark it is valued at. The mark is None where no price is known."""

    market: Market
    position: Position
    mark: Mark | None = None

    @property
    def price(self) -> Decimal:
        """What closing would bring: the bid for a long, the ask for a short; the average price without a mark."""
        if self.mark is None:
            return self.position.average_price
        return self.mark.bid if self.position.quantity > 0 else self.mark.ask

    @property
    def notional(self) -> Decimal:
        """What the position is worth, quote units, never below 0. Without a mark it is the exact cost."""
        if self.mark is None:
            return self.position.cost.copy_abs()
        return BOOKS.multiply(self.position.quantity.copy_abs(), self.price)

    @property
    def unrealized_profit(self) -> Decimal:
        """Worth less cost, signed; 0 without a mark."""
        if self.mark is None:
            return ZERO
        return BOOKS.subtract(BOOKS.multiply(self.position.quantity, self.price), self.position.cost)

    def margin(self, leverage: Decimal) -> Decimal:
        """What holding it takes from free funds, quote units.

        A spot long is paid for. A spot short owes its worth, for which the sale's proceeds are in cash, and collateral of
        worth / leverage. A perpetual needs worth / leverage, and its unrealised loss.
        """
        if not self.position.quantity or (not self.market.perpetual and self.position.quantity > 0):
            return ZERO
        collateral = divide_up(self.notional, leverage)
        if self.market.perpetual:
            return BOOKS.add(collateral, max(self.unrealized_profit.copy_negate(), ZERO))
        return BOOKS.add(collateral, self.notional)


class Valuation(NamedTuple):
    """An account's worth in its base currency, at the marks of its holdings."""

    equity: Decimal
    unrealized_profit: Decimal
    gross_exposure: Decimal
    margin: Decimal


def value(cash: Decimal, holdings: Iterable[Holding], leverage: Decimal) -> Valuation:
    """Values an account: equity is cash, what spot positions are worth, and unrealised profit of perpetuals."""
    equity, unrealized, exposure, margin = cash, ZERO, ZERO, ZERO
    for holding in holdings:
        if not holding.position.quantity:
            continue
        profit = holding.unrealized_profit
        unrealized = BOOKS.add(unrealized, profit)
        equity = BOOKS.add(equity, profit)
        if not holding.market.perpetual:
            equity = BOOKS.add(equity, holding.position.cost)
        exposure = BOOKS.add(exposure, holding.notional)
        margin = BOOKS.add(margin, holding.margin(leverage))
    return Valuation(equity, unrealized, exposure, margin)


@dataclass(frozen=True, slots=True)
class EquityHistory:
    """What daily loss and drawdown are measured from. Amounts are in the account's base currency.

    Attributes:
        day: the trading day that `day_equity` is of.
        day_equity: equity when that day began, plus what was adjusted since.
        peak: the high-water mark: highest equity ever seen, plus what was adjusted since.
    """

    day: date
    day_equity: Decimal
    peak: Decimal

    def on_day(self, day: date, equity: Decimal) -> "EquityHistory":
        """The history on a day. A later day begins with this equity; an earlier one changes nothing."""
        return replace(self, day=day, day_equity=equity) if day > self.day else self

    def with_equity(self, equity: Decimal) -> "EquityHistory":
        """The history after the account had this equity."""
        return replace(self, peak=equity) if equity > self.peak else self

    def with_adjustment(self, change: Decimal) -> "EquityHistory":
        """The history after money came in or went out, which is neither profit nor loss."""
        peak = max(BOOKS.add(self.peak, change), ZERO)
        return replace(self, day_equity=BOOKS.add(self.day_equity, change), peak=peak)

    def daily_loss(self, equity: Decimal) -> Decimal:
        """What was lost since the day began; below 0 for a profit."""
        return BOOKS.subtract(self.day_equity, equity)

    def drawdown(self, equity: Decimal) -> Decimal:
        """How far equity is below its peak, at least 0."""
        return max(BOOKS.subtract(self.peak, equity), ZERO)

    def drawdown_percent(self, equity: Decimal) -> Decimal:
        """How far equity is below its peak, in percent of the peak, rounded toward zero; 0 where the peak is 0."""
        return divide_down(BOOKS.multiply(self.drawdown(equity), HUNDRED), self.peak) if self.peak > 0 else ZERO

    def has_fallen(self, equity: Decimal, percent: Decimal) -> bool:
        """Whether equity is that much below its peak, or more; exact. A peak of 0 has nothing to fall from."""
        if self.peak <= 0:
            return False
        return BOOKS.multiply(self.drawdown(equity), HUNDRED) >= BOOKS.multiply(percent, self.peak)
