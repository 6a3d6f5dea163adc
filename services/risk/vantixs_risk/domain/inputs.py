"""Everything a decision depends on, as values. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from vantixs_risk.domain.activity import Activity
from vantixs_risk.domain.equity import EquityHistory, Holding, Mark
from vantixs_risk.domain.exact import ZERO
from vantixs_risk.domain.ledger import Market
from vantixs_risk.domain.reservations import Reservation
from vantixs_risk.domain.rules import Rules, Sizing

_NOTHING_DONE = Activity()


@dataclass(frozen=True, slots=True)
class Stop:
    """A stop loss: `kind` is PRICE, PERCENT (of the entry price) or AMOUNT (distance in quote units)."""

    kind: str
    value: Decimal


class OrderRequest(NamedTuple):
    """The order that is to be sized and decided.

    Attributes:
        mode: PAPER or LIVE.
        order_quantity: the maximum of the order itself, base units.
        sizing: the webhook's, which takes precedence over the account's.
        signal_quantity: the signal's own, in `signal_quantity_type`. It can only make the order smaller.
        signal_previous_quantity: the size of the sender's own position before an exit, base units.
        signal_price: the market price as the sender saw it.
        quote: the current quote of its instrument.
        fee_bps: highest fee of the venue.
        limit_price, stop_price: of an order that rests, quote units.
        trail_percent, trail_amount, activation_price: of a trailing stop, its distance from the best price (percent, or quote
            units) and the price from which it follows.
        leg: which leg of a bracket it is, for example STOP_LOSS; empty for any other order.
        replaces: the order whose place it takes; empty for any other order.
    """

    market: Market
    lot_size: Decimal
    buy: bool
    entry: bool
    mode: str = "PAPER"
    order_type: str = "MARKET"
    minimum_notional: Decimal = ZERO
    order_quantity: Decimal | None = None
    sizing: Sizing | None = None
    signal_quantity: Decimal | None = None
    signal_quantity_type: str = "UNITS"
    signal_previous_quantity: Decimal | None = None
    signal_price: Decimal | None = None
    stop: Stop | None = None
    quote: Mark | None = None
    fee_bps: Decimal = ZERO
    strategy_id: str = ""
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_percent: Decimal | None = None
    trail_amount: Decimal | None = None
    activation_price: Decimal | None = None
    leg: str = ""
    replaces: str = ""


class Books(NamedTuple):
    """The account's money, positions and open orders, and what it did lately.

    Attributes:
        cash: in its base currency.
        holdings: positions that are not flat, by instrument, with their marks.
        reservations: open orders.
        dust: instruments of `holdings` with less than a lot, so that no order can be sent for them. They count for equity, and
            not as open positions.
    """

    cash: Decimal
    equity_history: EquityHistory
    holdings: Mapping[str, Holding]
    reservations: tuple[Reservation, ...] = ()
    activity: Activity = _NOTHING_DONE
    dust: frozenset[str] = frozenset()


class Inputs(NamedTuple):
    """Everything a decision depends on.

    Attributes:
        now: the account's time.
        trading_states: scope to REDUCING or HALTED, of the scopes of this order that are not ACTIVE.
        max_price_age_ms, max_mark_age_s: the service's settings. The account's limits take precedence.
        price_buffer_bps: added to the funds that an entry reserves, as the price may move.
    """

    order: OrderRequest
    rules: Rules
    books: Books
    now: datetime
    trading_states: Mapping[str, str]
    max_price_age_ms: int
    max_mark_age_s: int
    price_buffer_bps: Decimal = ZERO
