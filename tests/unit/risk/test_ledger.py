"""The books by hand: what each kind of fill does to position, cash and fees."""

from dataclasses import replace
from decimal import Decimal

import pytest
from vantixs_risk.domain.exact import BOOKS, divide_down, divide_up, multiple_down, show, total
from vantixs_risk.domain.ledger import (
    Booking,
    Market,
    Position,
    Trade,
    Transfer,
    adjust_cash,
    adjust_position,
    book_trade,
    open_books,
)
from vantixs_risk.domain.reservations import Reservation

D = Decimal
SPOT, PERP = Market.of("BTC/USDT"), Market.of("BTC/USDT:USDT")


def buy(quantity: str, price: str, fee: str = "0", asset: str = "USDT") -> Trade:
    return Trade(True, D(quantity), D(price), D(fee), asset)


def sell(quantity: str, price: str, fee: str = "0", asset: str = "USDT") -> Trade:
    return replace(buy(quantity, price, fee, asset), buy=False)


def book(market: Market, *trades: Trade) -> list[Booking]:
    position, bookings = Position(), []
    for trade in trades:
        bookings.append(book_trade(position, market, trade))
        position = bookings[-1].position
    return bookings


def after(market: Market, *trades: Trade) -> Position:
    return book(market, *trades)[-1].position


def test_market_is_read_from_its_name() -> None:
    assert Market("BTC/USDT", "BTC", "USDT", perpetual=False) == SPOT
    assert Market("BTC/USDT:USDT", "BTC", "USDT", perpetual=True) == PERP


@pytest.mark.parametrize("market", [SPOT, PERP])
def test_adding_keeps_the_exact_cost_and_the_average_is_derived(market: Market) -> None:
    position = after(market, buy("1", "100"), buy("2", "101"))
    assert position == Position(D(3), D(302))
    assert position.average_price == D("100.666666666666666666")
    assert after(market, sell("1", "100"), sell("2", "101")) == Position(D(-3), D(-302))
    assert after(market, sell("1", "100"), sell("2", "101")).average_price == D("100.666666666666666666")


@pytest.mark.parametrize("market", [SPOT, PERP])
def test_closing_realises_the_difference_on_both_sides(market: Market) -> None:
    assert after(market, buy("2", "100"), sell("1", "110")) == Position(D(1), D(100), D(10))
    assert after(market, sell("2", "100"), buy("1", "110")) == Position(D(-1), D(-100), D(-10))
    assert after(market, buy("2", "100"), sell("2", "90")) == Position(D(0), D(0), D(-20))
    assert after(market, sell("2", "100"), buy("2", "90")) == Position(D(0), D(0), D(20))


@pytest.mark.parametrize("market", [SPOT, PERP])
def test_going_through_flat_opens_the_other_side_at_the_fill_s_price(market: Market) -> None:
    assert after(market, buy("2", "100"), sell("3", "110")) == Position(D(-1), D(-110), D(20))
    assert after(market, sell("2", "100"), buy("3", "90")) == Position(D(1), D(90), D(20))


def test_share_of_the_cost_is_rounded_toward_zero_and_the_rest_stays_until_flat() -> None:
    """The example of the docstring of `book_trade`."""
    bought = Position(D("0.00003"), D(2))
    part = book_trade(bought, SPOT, sell("0.00001", "65000"))
    assert part.realized_profit == D("-0.016666666666666666")
    assert part.position.cost == D("1.333333333333333334")
    whole = book_trade(part.position, SPOT, sell("0.00002", "65000"))
    assert whole.position == Position(D(0), D(0), D("-0.05"))
    short = book_trade(Position(D("-0.00003"), D(-2)), SPOT, buy("0.00001", "65000"))
    assert (short.realized_profit, short.position.cost) == (D("0.016666666666666666"), D("-1.333333333333333334"))


def test_spot_moves_cash_and_the_base_asset() -> None:
    bought, sold = book(SPOT, buy("2", "100", "0.5"), sell("1", "110", "0.25"))
    assert bought.transfers == (
        Transfer("cash", "trading", "USDT", D(200)),
        Transfer("trading", "holding", "BTC", D(2)),
        Transfer("cash", "fees", "USDT", D("0.5")),
    )
    assert sold.transfers == (
        Transfer("trading", "cash", "USDT", D(110)),
        Transfer("holding", "trading", "BTC", D(1)),
        Transfer("cash", "fees", "USDT", D("0.25")),
    )
    assert (sold.realized_profit, sold.fee, sold.position.fees) == (D(10), D("0.25"), D("0.75"))


def test_perpetual_moves_contracts_and_cash_only_by_what_is_realised() -> None:
    bought, sold = book(PERP, buy("2", "100", "0.5"), sell("1", "90", "0"))
    assert bought.transfers == (
        Transfer("counterparty", "contracts", "BTC/USDT:USDT", D(2)),
        Transfer("cash", "fees", "USDT", D("0.5")),
    )
    assert sold.transfers == (
        Transfer("contracts", "counterparty", "BTC/USDT:USDT", D(1)),
        Transfer("cash", "profit", "USDT", D(10)),
    )


def test_fee_in_the_base_asset_lowers_the_holding_and_counts_at_the_fill_s_price() -> None:
    booking = book_trade(Position(), SPOT, buy("1", "100", "0.001", "BTC"))
    assert booking.position == Position(D("0.999"), D("99.9"), D(0), D("0.1"))
    assert booking.transfers[-1] == Transfer("holding", "fees", "BTC", D("0.001"))
    assert (booking.fee, booking.realized_profit) == (D("0.1"), D(0))
    dearer = book_trade(Position(D(1), D(50)), SPOT, buy("1", "100", "0.002", "BTC"))
    # 0.002 of 2 that cost 150 had cost 0.15 and pay a fee of 0.2, so 0.05 is realised.
    assert dearer.position == Position(D("1.998"), D("149.85"), D("0.05"), D("0.2"))
    assert (dearer.realized_profit, dearer.closed_profit) == (D("0.05"), 0), "paying a fee closes nothing"
    closing = book_trade(Position(D(2), D(150)), SPOT, sell("1", "70", "0.001", "BTC"))
    assert closing.closed_profit == -5
    assert closing.realized_profit == -5 - D("0.005")


def test_fee_in_another_asset_is_booked_in_that_asset() -> None:
    booking = book_trade(Position(), SPOT, buy("1", "100", "0.01", "BNB"))
    assert booking.transfers[-1] == Transfer("cash", "fees", "BNB", D("0.01"))
    assert (booking.position.fees, booking.fee) == (0, 0)
    contract = book_trade(Position(), PERP, buy("1", "100", "0.01", "BTC"))
    assert contract.transfers[-1] == Transfer("cash", "fees", "BTC", D("0.01"))
    assert contract.position.quantity == 1


def test_rebate_is_a_fee_below_zero() -> None:
    booking = book_trade(Position(), SPOT, buy("1", "100", "-0.5"))
    assert booking.transfers[-1] == Transfer("fees", "cash", "USDT", D("0.5"))
    assert booking.position.fees == D("-0.5")
    in_base = book_trade(Position(), SPOT, buy("1", "100", "-0.01", "BTC"))
    assert in_base.position == Position(D("1.01"), D(101), D(0), D(-1))


def test_fee_without_an_asset_is_one_in_the_quote_asset() -> None:
    assert book_trade(Position(), SPOT, buy("1", "100", "2", "")).position.fees == 2


def test_adjusted_position_comes_out_of_a_book_of_its_own() -> None:
    booking = adjust_position(Position(D(1), D(100)), SPOT, D("0.5"), D(120))
    assert booking.position == Position(D("1.5"), D(160))
    assert booking.transfers == (Transfer("adjustment", "holding", "BTC", D("0.5")),)
    assert booking.adjusted == 60
    less = adjust_position(Position(D(1), D(100)), SPOT, D("-0.5"), D(100))
    assert (less.position, less.adjusted, less.realized_profit) == (Position(D("0.5"), D(50)), D(-50), D(0))
    contract = adjust_position(Position(D(1), D(100)), PERP, D(-1), D(110))
    assert contract.transfers == (
        Transfer("contracts", "adjustment", "BTC/USDT:USDT", D(1)),
        Transfer("profit", "cash", "USDT", D(10)),
    )
    assert (contract.adjusted, contract.position.realized_profit) == (0, 10)


def test_amounts_below_zero_are_booked_to_the_last_digit() -> None:
    long = "12345678901234567890.123456789012345678"
    assert adjust_cash("USDT", D(f"-{long}")) == (Transfer("cash", "adjustment", "USDT", D(long)),)


def test_perpetual_that_is_not_linear_is_no_market_of_ours() -> None:
    with pytest.raises(ValueError, match="settled in USD"):
        Market.of("BTC/USD:BTC")


def test_transfers_run_the_other_way_for_amounts_below_zero() -> None:
    assert adjust_cash("USDT", D(-3)) == (Transfer("cash", "adjustment", "USDT", D(3)),)
    assert adjust_cash("USDT", D(3)) == (Transfer("adjustment", "cash", "USDT", D(3)),)
    assert adjust_cash("USDT", D(0)) == ()
    assert open_books("USDT", D(5)) == (Transfer("opening", "cash", "USDT", D(5)),)


def test_divisions_say_how_they_round() -> None:
    assert divide_down(D(2), D(3)) == D("0.666666666666666666")
    assert divide_up(D(2), D(3)) == D("0.666666666666666667")
    assert divide_down(D(-2), D(3)) == D("-0.666666666666666666")
    assert divide_down(D(6), D(3)) == divide_up(D(6), D(3)) == 2
    assert multiple_down(D("9.9999"), D("0.01")) == D("9.99")
    assert total([D("0.1"), D("0.2")]) == D("0.3")


def test_sum_too_long_to_be_exact_is_refused_and_not_rounded() -> None:
    with pytest.raises(ArithmeticError):
        BOOKS.add(D("1e80"), D("1e-81"))


@pytest.mark.parametrize(
    ("amount", "text"), [("1E+3", "1000"), ("1.500", "1.5"), ("100", "100"), ("-0", "0"), ("1E-18", "0.000000000000000001"), ("-2.50", "-2.5"), ("0.00", "0")]
)  # fmt: skip
def test_amounts_are_shown_plainly(amount: str, text: str) -> None:
    assert show(D(amount)) == text


HELD = Reservation("BTC/USDT", True, True, D(3), D(100), D(10))


def test_reservation_holds_the_share_that_may_still_fill_rounded_up() -> None:
    assert (HELD.leaves, HELD.notional_left, HELD.reserved_funds_left) == (D(3), D(100), D(10))
    part = HELD.fill(D(1))
    assert (part.leaves, part.excess) == (D(2), D(0))
    assert part.notional_left == D("66.666666666666666667")
    assert part.reserved_funds_left == D("6.666666666666666667")


def test_last_fill_releases_exactly_what_is_left() -> None:
    done = HELD.fill(D("0.7")).fill(D("1.1")).fill(D("1.2"))
    assert (done.leaves, done.notional_left, done.reserved_funds_left, done.excess) == (0, 0, 0, 0)
    more = done.fill(D("0.5"))
    assert (more.leaves, more.notional_left, more.reserved_funds_left, more.excess) == (0, 0, 0, D("0.5"))
