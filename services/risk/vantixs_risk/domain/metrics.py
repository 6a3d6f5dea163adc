"""The numbers that are derived from the inputs before sizing and checks: prices, valuation, open orders. Pure."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from vantixs_risk.domain.equity import Holding, Mark, Valuation, value
from vantixs_risk.domain.exact import ZERO
from vantixs_risk.domain.inputs import Books, Inputs
from vantixs_risk.domain.ledger import Market, Position
from vantixs_risk.domain.terms import fill_prices

MILLISECOND = timedelta(milliseconds=1)


class RiskMetrics(NamedTuple):
    """The numbers that sizing and checks look at. Amounts are in quote units, quantities in base units.

    Attributes:
        price: the most that a unit of the order may cost or bring: at the market the ask for a buy and the bid for a sell, of
            an entry that rests its own price (see `terms`); 0 without a usable quote.
        risk_price: the price of an entry that leaves the longest way to a stop loss: of a sell the least it may bring.
        quote_price: the ask for a buy, the bid for a sell; 0 without a usable quote.
        exit_price: the best known price for turning amounts into units of an exit, whatever its age.
        own: position in the order's instrument, valued at the current quote where it is usable.
        valuation: of the whole account.
        entries_notional: of all open entries; `own_entries_notional` of those in the order's instrument.
        own_exits_quantity: what open exits of the order's instrument may still close. Legs of brackets are left out: stop
            and targets are for the same quantity. A leg itself waits for no other exit, so there it is 0.
        reserved_funds: funds that open entries have reserved.
        open_instruments: instruments with a position that is more than dust, or with an open entry.
        free_funds: cash without margin and reserved funds.
    """

    price: Decimal
    risk_price: Decimal
    quote_price: Decimal
    exit_price: Decimal
    own: Holding
    valuation: Valuation
    entries_notional: Decimal
    own_entries_notional: Decimal
    own_exits_quantity: Decimal
    reserved_funds: Decimal
    open_instruments: frozenset[str]
    free_funds: Decimal

    @property
    def closable(self) -> Decimal:
        """The quantity of the position that no open exit closes yet."""
        return max(abs(self.own.position.quantity) - self.own_exits_quantity, ZERO)


def sane(quote: Mark | None) -> bool:
    """Whether a quote is valid: a bid above 0 and an ask at or above it."""
    return quote is not None and 0 < quote.bid <= quote.ask


def age_ms(now: datetime, time: datetime) -> int:
    """The age in whole milliseconds; below 0 for a time in the future."""
    return (now - time) // MILLISECOND


def fresh(quote: Mark | None, now: datetime, limit_ms: int) -> bool:
    """Whether a quote is valid and not older than the limit, nor as far in the future, where clocks disagree."""
    return quote is not None and sane(quote) and abs(now - quote.time) <= limit_ms * MILLISECOND


def remark(books: Books, instrument: str, quote: Mark) -> Books:
    """The books with the position in an instrument marked at a quote. Without a position they are unchanged."""
    held = books.holdings.get(instrument)
    if held is None:
        return books
    return books._replace(holdings={**books.holdings, instrument: replace(held, mark=quote)})


def metrics_of(inputs: Inputs) -> RiskMetrics:
    """Derives the metrics of one order and its account."""
    order, rules = inputs.order, inputs.rules
    quote = order.quote if sane(order.quote) else None
    books = remark(inputs.books, order.market.instrument, quote) if quote else inputs.books
    own = books.holdings.get(order.market.instrument) or _flat(order.market)
    at_quote = (quote.ask if order.buy else quote.bid) if quote else ZERO
    price = risk_price = at_quote
    if order.entry and order.order_type != "MARKET":
        highest, lowest = fill_prices(order, at_quote)
        price, risk_price = highest, (highest if order.buy else lowest)
    valuation = value(books.cash, books.holdings.values(), rules.leverage)
    entries = own_entries = own_exits = reserved = ZERO
    instruments = set(books.holdings) - books.dust
    for reservation in books.reservations:
        same = reservation.instrument == order.market.instrument
        if reservation.entry:
            notional = reservation.notional_left
            entries += notional
            reserved += reservation.reserved_funds_left
            instruments.add(reservation.instrument)
            if same:
                own_entries += notional
        elif same and not reservation.leg and not order.leg:
            own_exits += reservation.leaves
    losses = valuation.margin + reserved
    return RiskMetrics(
        price=price,
        risk_price=risk_price,
        quote_price=at_quote,
        exit_price=at_quote or own.price,
        own=own,
        valuation=valuation,
        entries_notional=entries,
        own_entries_notional=own_entries,
        own_exits_quantity=own_exits,
        reserved_funds=reserved,
        open_instruments=frozenset(instruments),
        free_funds=books.cash - losses,
    )


def _flat(market: Market) -> Holding:
    return Holding(market, Position())
