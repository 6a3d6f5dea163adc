"""What an account is worth, and how it does: marks, exposure, margin, the day, the peak; pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal, localcontext
from typing import NamedTuple

from vantixs_risk.domain.exact import BOOKS, ZERO, divide_up
from vantixs_risk.domain.ledger import Market, Position


@dataclass(frozen=True, slots=True)
class Mark:
    """The last known bid and ask of an instrument, and when they were so."""

    bid: Decimal
    ask: Decimal
    time: datetime


@dataclass(frozen=True, slots=True)
class Holding:
    """A position in a market, with the mark it is valued at; None where no price was ever seen."""

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
        """Absolute worth, quote units. Without a mark it is the exact cost."""
        with localcontext(BOOKS):
            return abs(self.position.quantity) * self.price if self.mark else abs(self.position.cost)

    @property
    def unrealized_profit(self) -> Decimal:
        """Worth less cost, signed; 0 without a mark."""
        with localcontext(BOOKS):
            return self.position.quantity * self.price - self.position.cost if self.mark else ZERO

    def margin(self, leverage: Decimal) -> Decimal:
        """What holding it takes from free funds, quote units.

        A spot long is paid for. A spot short owes its worth, for which the sale's proceeds are in cash, and collateral of
        worth / leverage. A perpetual needs worth / leverage, and its unrealised loss.
        """
        if not self.position.quantity or (not self.market.perpetual and self.position.quantity > 0):
            return ZERO
        with localcontext(BOOKS):
            collateral = divide_up(self.notional, leverage)
            if self.market.perpetual:
                return collateral + max(-self.unrealized_profit, ZERO)
            return collateral + self.notional


class Valuation(NamedTuple):
    """An account's worth in its base currency, at the marks of its holdings."""

    equity: Decimal
    unrealized_profit: Decimal
    gross_exposure: Decimal
    margin: Decimal


def value(cash: Decimal, holdings: Iterable[Holding], leverage: Decimal) -> Valuation:
    """Adds it up: cash, worth of what is held on spot, unrealised profit of perpetuals."""
    with localcontext(BOOKS):
        equity, unrealized, exposure, margin = cash, ZERO, ZERO, ZERO
        for holding in holdings:
            if not holding.position.quantity:
                continue
            profit = holding.unrealized_profit
            unrealized += profit
            equity += profit if holding.market.perpetual else profit + holding.position.cost
            exposure += holding.notional
            margin += holding.margin(leverage)
        return Valuation(equity, unrealized, exposure, margin)


@dataclass(frozen=True, slots=True)
class Standing:
    """How an account does. Amounts are in its base currency.

    Attributes:
        day: trading day of the last look.
        day_equity: equity when that day began, moved by what was adjusted since.
        peak: highest equity ever seen, moved by what was adjusted since.
    """

    day: date
    day_equity: Decimal
    peak: Decimal

    def on(self, day: date, equity: Decimal) -> "Standing":
        """The standing on a day: a later one begins with this equity. An earlier one changes nothing."""
        return replace(self, day=day, day_equity=equity) if day > self.day else self

    def seen(self, equity: Decimal) -> "Standing":
        """The standing after an equity was seen."""
        return replace(self, peak=equity) if equity > self.peak else self

    def adjusted(self, change: Decimal) -> "Standing":
        """The standing after money came in or went out: neither profit nor loss."""
        with localcontext(BOOKS):
            return replace(self, day_equity=self.day_equity + change, peak=max(self.peak + change, ZERO))

    def daily_loss(self, equity: Decimal) -> Decimal:
        """What was lost today; below 0 for a profit."""
        with localcontext(BOOKS):
            return self.day_equity - equity

    def drawdown(self, equity: Decimal) -> Decimal:
        """How far equity is below its peak, at least 0."""
        with localcontext(BOOKS):
            return max(self.peak - equity, ZERO)
