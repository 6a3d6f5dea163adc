"""The books balance whatever is traded: every asset sums to zero, and equity is exactly what it came from."""

from decimal import Decimal, localcontext

from hypothesis import given, settings
from hypothesis import strategies as st
from vantixs_risk.domain.equity import Holding, Mark, value
from vantixs_risk.domain.exact import BOOKS, ZERO
from vantixs_risk.domain.ledger import (
    CASH,
    CONTRACTS,
    HOLDING,
    Booking,
    Market,
    Position,
    Trade,
    Transfer,
    adjust_position,
    book_trade,
    open_books,
)

SPOT, PERP = Market.of("BTC/USDT"), Market.of("BTC/USDT:USDT")
AMOUNT = st.decimals(min_value="0.000000000000000001", max_value="100000", places=18, allow_nan=False)
HUGE = st.decimals(min_value="0.000000000000000001", max_value="99999999999999999999", places=18, allow_nan=False)
MARKET = st.sampled_from([SPOT, PERP])
OPENING = Decimal(1000)


def step(amount: "st.SearchStrategy[Decimal]") -> "st.SearchStrategy[Trade]":
    """A fill, its fee in the quote asset, the base asset, or a third one; sometimes a rebate."""
    fee = st.one_of(amount, amount.map(lambda a: -a), st.just(ZERO))
    return st.builds(Trade, st.booleans(), amount, amount, fee, st.sampled_from(["USDT", "BTC", "BNB", ""]))


def run(market: Market, steps: list[Trade], adjusts: list[bool]) -> tuple[Position, list[Transfer], list[Booking]]:
    position, transfers, bookings = Position(), list(open_books("USDT", OPENING)), []
    for number, trade in enumerate(steps):
        if adjusts[number % len(adjusts)]:
            change = trade.quantity if trade.buy else -trade.quantity
            booking = adjust_position(position, market, change, trade.price)
        else:
            booking = book_trade(position, market, trade)
        bookings.append(booking)
        position = booking.position
        transfers += booking.transfers
    return position, transfers, bookings


def balance(transfers: list[Transfer], book: str, asset: str) -> Decimal:
    with localcontext(BOOKS):
        gained = sum((t.amount for t in transfers if t.target == book and t.asset == asset), ZERO)
        return gained - sum((t.amount for t in transfers if t.source == book and t.asset == asset), ZERO)


def check(market: Market, steps: list[Trade], adjusts: list[bool], mark: Decimal) -> None:
    position, transfers, bookings = run(market, steps, adjusts)
    cash, held = balance(transfers, CASH, "USDT"), balance(transfers, HOLDING, "BTC")
    with localcontext(BOOKS):
        assert all(t.amount > 0 and t.source != t.target for t in transfers)
        assert position.quantity == (balance(transfers, CONTRACTS, PERP.instrument) if market is PERP else held)
        holding = Holding(market, position, Mark(mark, mark, None))  # type: ignore[arg-type]
        equity = value(cash, [holding], Decimal(1)).equity
        assert equity == cash + (holding.unrealized_profit if market is PERP else held * mark)
        adjusted = sum((b.adjusted for b in bookings), ZERO)
        sources = OPENING + adjusted + position.realized_profit + holding.unrealized_profit - position.fees
        assert equity == sources, "to the last digit"
        assert position.realized_profit == sum((b.realized_profit for b in bookings), ZERO)
        assert position.fees == sum((b.fee for b in bookings), ZERO)
        assert position.quantity or not position.cost, "what is flat has no cost left"
        assert position.quantity * position.cost >= 0


@given(MARKET, st.lists(step(AMOUNT), max_size=25), st.lists(st.booleans(), min_size=1, max_size=3), AMOUNT)
def test_equity_is_what_it_came_from(market: Market, steps: list[Trade], adjusts: list[bool], mark: Decimal) -> None:
    check(market, steps, adjusts, mark)


@settings(max_examples=30)
@given(MARKET, st.lists(step(HUGE), max_size=15), HUGE)
def test_equity_is_what_it_came_from_for_numbers_of_38_digits(
    market: Market, steps: list[Trade], mark: Decimal
) -> None:
    check(market, steps, [False], mark)


@given(MARKET, st.lists(step(AMOUNT), min_size=1, max_size=20))
def test_average_price_lies_between_the_prices_paid(market: Market, steps: list[Trade]) -> None:
    """Of fills on one side, without base fees: the mean of the prices, each with the weight of its quantity."""
    same_side = [Trade(True, t.quantity, t.price) for t in steps]
    position, _, _ = run(market, same_side, [False])
    prices = [t.price for t in same_side]
    assert min(prices) - Decimal("1e-18") <= position.average_price <= max(prices)
