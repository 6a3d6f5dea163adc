"""Funding of paper perpetuals as risk books it: how much, when, and once. The clock begins on 2026-11-24 at 12:00 UTC."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from typing import Any

import pytest
from vantixs.api.risk.v1 import risk_pb2
from vantixs.runtime.errors import ServiceError
from vantixs_risk import store
from vantixs_risk.accounts import create_account
from vantixs_risk.domain.funding import Change, funding_amount, funding_times, middle, position_at

from tests.support.risk_fixture import RiskFixture, check_books, fill, later
from tests.support.risk_trader import Trader, open_trader

PERP = "BTC/USDT:USDT"
DAY = datetime(2026, 11, 24, tzinfo=UTC)
HOUR = 3600


def trade(trader: Trader, *, buy: bool, price: str = "100", entry: bool = True, position: str = "0") -> str:
    """A fill now, of what 1,000 USDT are worth."""
    decision = trader.decide(price, buy=buy, entry=entry, position=position, instrument=PERP)
    one = fill(f"x{trader.number}", buy=buy, quantity=decision.quantity, price=price)
    one.execute_time.FromDatetime(trader.risk.now)
    return trader.settle(decision.order_id, one).position.quantity


def told(trader: Trader) -> list[Any]:
    return [e.funding_booked.funding for e in trader.journal() if e.HasField("funding_booked")]


def times(trader: Trader) -> list[str]:
    return [f"{f.funding_time.ToDatetime():%d %H}" for f in told(trader)]


def test_longs_pay_shorts_at_a_rate_above_0() -> None:
    assert funding_amount(D(2), D(30000), D("0.0001")) == D(-6)
    assert funding_amount(D(-2), D(30000), D("0.0001")) == D(6)
    assert funding_amount(D(2), D(30000), D("-0.0001")) == D(6)
    assert funding_amount(D("1e-18"), D("0.5"), D("0.5")) == D("-1e-18")
    assert funding_amount(D("-1e-18"), D("0.5"), D("0.5")) == 0


def test_funding_times_are_whole_intervals_of_utc() -> None:
    assert funding_times(DAY, DAY.replace(hour=16), 8 * HOUR) == [DAY.replace(hour=8), DAY.replace(hour=16)]
    assert funding_times(DAY, DAY.replace(hour=7, minute=59), 8 * HOUR) == []
    assert len(funding_times(DAY, DAY + timedelta(days=1), HOUR)) == 24
    with pytest.raises(ValueError, match="above 0"):
        funding_times(DAY, DAY, 0)


def test_what_was_held_is_what_is_held_without_what_was_filled_since() -> None:
    changes = [Change(DAY, D(1)), Change(DAY + timedelta(hours=8), D(2)), Change(DAY + timedelta(hours=9), D(-3))]
    assert position_at(DAY + timedelta(hours=8), D(0), changes) == 3
    assert position_at(DAY + timedelta(hours=7), D(0), changes) == 1
    assert position_at(DAY + timedelta(hours=9), D(0), changes) == 0
    assert middle(D("100"), D("101")) == D("100.5")


def test_a_long_pays_at_each_funding_time_once(risk: RiskFixture) -> None:
    trader = open_trader(risk)
    assert trade(trader, buy=True) == "10"
    assert trader.process.funding_due() == [("a", PERP)]
    assert not trader.process.fund(PERP, "100").fundings, "no funding time has passed since it was opened"
    assert trader.process.funding_due() == []
    later(risk, 4 * HOUR)
    assert trader.process.funding_due() == [("a", PERP)]
    (booked,) = trader.process.fund(PERP, "200").fundings
    assert (booked.amount, booked.asset, booked.position_quantity, booked.mark_price) == ("-0.2", "USDT", "10", "200")
    assert booked.rate_ratio == "0.0001"
    assert booked.assumptions[0] == "the rate of 0.0001 for each 28800 s is a setting of the paper venue"
    assert len(booked.assumptions) == 2
    assert not trader.process.fund(PERP, "200").fundings
    assert trader.process.funding_due() == []
    shown = check_books(risk)
    assert (shown.funding, shown.realized_profit, shown.daily_profit) == ("-0.2", "0", "-0.2")
    assert told(trader) == [booked]


def test_a_short_receives(risk: RiskFixture) -> None:
    trader = open_trader(risk)
    assert trade(trader, buy=False) == "-10"
    later(risk, 4 * HOUR)
    trader.process.fund(PERP, "200")
    assert check_books(risk).funding == "0.2"


def test_missed_times_are_booked_once_each_with_what_was_held_then(risk: RiskFixture) -> None:
    trader = open_trader(risk)
    trade(trader, buy=True)
    later(risk, 13 * HOUR)  # 01:00 of the next day: 16:00 and 0:00 were missed.
    trade(trader, buy=True, position="10")
    assert trade(trader, buy=False, entry=False, position="20") == "0"
    later(risk, 8 * HOUR)
    assert trader.process.funding_due() == [("a", PERP)]
    trader.process.fund(PERP, "100")
    assert times(trader) == ["24 16", "25 00"], "at 08:00 nothing was held any more"
    assert [f.position_quantity for f in told(trader)] == ["10", "10"]
    assert "booked 61200 s after the funding time, at the price there was by then" in told(trader)[0].assumptions
    assert check_books(risk).funding == "-0.2"
    assert trader.process.funding_due() == []


def test_times_while_the_rate_was_0_are_never_booked(risk: RiskFixture) -> None:
    trader = open_trader(risk)
    trade(trader, buy=True)
    later(risk, 4 * HOUR)
    assert not trader.process.fund(PERP, "100", rate="0").fundings
    later(risk, 8 * HOUR)
    trader.process.fund(PERP, "100", rate="-0.001")
    assert times(trader) == ["25 00"]
    assert check_books(risk).funding == "1"


def test_funding_waits_for_a_price(risk: RiskFixture) -> None:
    trader = open_trader(risk)
    trade(trader, buy=True)
    later(risk, 4 * HOUR)
    with pytest.raises(ServiceError, match="PRICE_STALE"):
        trader.process.fund(PERP, "0")
    assert check_books(risk).funding == "0"
    assert trader.process.funding_due() == [("a", PERP)]
    assert trader.process.fund(PERP, "100").fundings


def test_more_times_than_one_call_books_take_another_call(risk: RiskFixture) -> None:
    trader = open_trader(risk)
    trade(trader, buy=True)
    later(risk, 50 * 24 * HOUR)
    assert trader.process.fund(PERP, "100").more
    assert not trader.process.fund(PERP, "100").more
    assert len(told(trader)) == 150
    assert check_books(risk).funding == "-15"


def test_funding_is_a_loss_that_stops_an_account(risk: RiskFixture) -> None:
    trader = open_trader(risk, max_daily_loss="10")
    trade(trader, buy=True)
    later(risk, 4 * HOUR)
    trader.process.fund(PERP, "100", rate="0.01")
    assert trader.states() == {"account:a": ("REDUCING", "breaker:daily_loss")}


def test_scratch_accounts_are_left_alone(risk: RiskFixture) -> None:
    trader = open_trader(risk)
    trade(trader, buy=True)
    copy = risk_pb2.CreateAccountRequest(request_id="c", copy_from_account_id="a")
    copy.account.account_id = "c"
    trader.process.run(lambda c, d, now: create_account(c, d, copy, "operator:test", now))
    later(risk, 4 * HOUR)
    assert trader.process.funding_due() == [("a", PERP)]


def test_a_kill_at_any_statement_books_all_or_nothing(risk: RiskFixture) -> None:
    trader = open_trader(risk)
    trade(trader, buy=True)
    later(risk, 4 * HOUR)
    before = risk.rows(store.TRANSFERS), risk.rows(store.BALANCES)
    for statements in range(16):  # As many as there are: the last ones are before the commit.
        trader.process.fund(PERP, "100", crash_after=statements)
        assert (risk.rows(store.TRANSFERS), risk.rows(store.BALANCES)) == before
        assert not told(trader)
        assert not risk.rows(store.FUNDED)
    trader.process.fund(PERP, "100")
    trader.process.restart()
    trader.process.fund(PERP, "100")
    assert len(told(trader)) == 1
    assert check_books(risk).funding == "-0.1"
