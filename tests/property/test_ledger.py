"""The books balance whatever is traded: every asset sums to zero over all books, and equity follows the fills."""

from decimal import Decimal, localcontext

from hypothesis import given
from hypothesis import strategies as st
from vantixs.model.decimals import EXACT
from vantixs_risk.domain.ledger import Position, Posting, book_fill, open_books

AMOUNT = st.decimals(min_value="0.00000001", max_value="100000", places=8, allow_nan=False)
FILL = st.tuples(st.booleans(), AMOUNT, AMOUNT, AMOUNT)


def book(fills: list[tuple[bool, Decimal, Decimal, Decimal]], *, perpetual: bool) -> tuple[Position, list[Posting]]:
    position, postings = Position(), list(open_books("USDT", Decimal(1000)))
    for buy, quantity, price, fee in fills:
        booking = book_fill(
            position, base="BTC", quote="USDT", perpetual=perpetual, buy=buy, quantity=quantity, price=price, fee=fee
        )
        position = booking.position
        postings += booking.postings
    return position, postings


def total(postings: list[Posting], asset: str, *books: str) -> Decimal:
    with localcontext(EXACT):
        return sum((p.amount for p in postings if p.asset == asset and (not books or p.book in books)), Decimal(0))


@given(st.lists(FILL, max_size=20), st.booleans())
def test_every_asset_sums_to_zero(fills: list[tuple[bool, Decimal, Decimal, Decimal]], perpetual: bool) -> None:
    _, postings = book(fills, perpetual=perpetual)
    assert total(postings, "USDT") == 0
    assert total(postings, "BTC") == 0


@given(st.lists(FILL, max_size=20))
def test_spot_cash_and_holding_are_the_sum_of_the_fills(fills: list[tuple[bool, Decimal, Decimal, Decimal]]) -> None:
    position, postings = book(fills, perpetual=False)
    with localcontext(EXACT):
        held = sum((q if buy else -q for buy, q, _, _ in fills), Decimal(0))
        spent = sum(((q if buy else -q) * p + fee for buy, q, p, fee in fills), Decimal(0))
        assert position.quantity == total(postings, "BTC", "holding") == held
        assert total(postings, "USDT", "cash") == 1000 - spent


@given(st.lists(FILL, max_size=20))
def test_perpetual_cash_moves_by_realised_profit_and_fees_only(
    fills: list[tuple[bool, Decimal, Decimal, Decimal]],
) -> None:
    position, postings = book(fills, perpetual=True)
    with localcontext(EXACT):
        assert total(postings, "USDT", "cash") == 1000 + position.realized_profit - position.fees


def test_closing_realises_the_difference_and_going_through_flat_opens_the_other_side() -> None:
    fills = [(True, Decimal(2), Decimal(100), Decimal(0)), (False, Decimal(3), Decimal(110), Decimal(0))]
    position, _ = book(fills, perpetual=True)
    assert position == Position(Decimal(-1), Decimal(110), Decimal(20), Decimal(0))
