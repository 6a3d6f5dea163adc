"""What is left of a position and is less than a lot: no open position, and it stays in the books."""

from decimal import Decimal as D

import pytest
from vantixs.model.instruments import CATALOGUE
from vantixs_router.domain.dust import dust_text, is_dust, without_dust

from tests.support.risk_fixture import RiskFixture, check_books, fill
from tests.support.risk_trader import APPROVED, Trader, open_trader

BTC = CATALOGUE["BTC/USDT"]


@pytest.mark.parametrize(
    ("lots", "dust"), [("0", False), ("0.5", True), ("-0.999", True), ("1", False), ("-1", False), ("1.5", False)]
)
def test_dust_is_less_than_a_lot_and_not_nothing(lots: str, dust: bool) -> None:
    position = D(lots) * BTC.lot_size
    assert is_dust(position, BTC) is dust
    assert without_dust(position, BTC) == (0 if dust else position)


def test_dust_is_told_with_its_lot() -> None:
    assert dust_text(D("0.000001"), BTC) == (
        f"0.000001 BTC stays in the books, it is less than the lot of {BTC.lot_size.normalize():f}"
    )


def leave_dust(trader: Trader) -> None:
    """Buys 10 with the fee in what is bought, and sells what can be sold: 0.0005 of a lot of 0.001 stay."""
    bought = trader.decide()
    trader.settle(bought.order_id, fill("b", buy=True, quantity="10", price="100", fee="0.0015", asset="BTC"))
    sold = trader.decide(buy=False, entry=False, position="9.9985")
    assert (sold.verdict, sold.quantity) == (APPROVED, "9.998")
    assert (
        trader.settle(sold.order_id, fill("s", buy=False, quantity="9.998", price="100")).position.quantity == "0.0005"
    )


def test_dust_is_no_open_position(risk: RiskFixture) -> None:
    trader = open_trader(risk, max_open_positions=1)
    leave_dust(trader)
    shown = check_books(risk)
    assert [(h.used, h.limit) for h in shown.headroom if h.name == "max_open_positions"] == [("0", "1")]
    assert [p.quantity for p in shown.positions] == ["0.0005"], "it stays in the books"
    trader.process.restart()
    assert trader.failed(instrument="ETH/USDT") == [], "what is dust is known after a restart"
    assert trader.failed(position="0.0005") == ["OPEN_POSITIONS_ABOVE_MAXIMUM"], "it is opened anew"


def test_dust_that_is_bought_more_of_is_a_position_again(risk: RiskFixture) -> None:
    trader = open_trader(risk, max_open_positions=1)
    leave_dust(trader)
    assert trader.trade("100", position="0.0005") == "10.0005"
    assert trader.failed(instrument="ETH/USDT") == ["OPEN_POSITIONS_ABOVE_MAXIMUM"]
    assert trader.trade("100", buy=False, entry=False, position="10.0005") == "0.0005"
    check_books(risk)


def test_exit_of_dust_is_denied(risk: RiskFixture) -> None:
    trader = open_trader(risk)
    leave_dust(trader)
    assert trader.failed(buy=False, entry=False, position="0.0005") == ["ORDER_QUANTITY_BELOW_MINIMUM"]
