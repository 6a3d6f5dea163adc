"""What accounts hold is valued while no order of theirs comes: RefreshMarks by units of work on SQLite."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from vantixs.api.common.v1 import common_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.runtime.errors import ServiceError
from vantixs_risk import account_cache, store
from vantixs_risk.accounts import create_account
from vantixs_risk.marks import check_marks, read_held, refresh_marks

from tests.support.risk_fixture import Process, RiskFixture, account_of, fill, later
from tests.support.risk_trader import ACTIVE, APPROVED, Trader, open_trader, update

BTC, ETH, PERPETUAL = "BTC/USDT", "ETH/USDT", "BTC/USDT:USDT"


def quote(instrument: str, price: str, time: datetime, ask: str = "") -> common_pb2.Quote:
    made = common_pb2.Quote(instrument=instrument, source="test", bid=price, ask=ask or price)
    made.quote_time.FromDatetime(time)
    return made


def refresh(trader: Trader, *, age_s: float = 0, process: Process | None = None, **prices: str) -> int:
    """As the service does for all accounts, with quotes of that age; returns how many took one."""
    names = {"btc": BTC, "eth": ETH, "perpetual": PERPETUAL}
    time = trader.risk.now - timedelta(seconds=age_s)
    marks = check_marks([quote(names[name], price, time) for name, price in prices.items()])
    held = trader.risk.read(read_held)
    ids = [account_id for account_id, instruments in held.items() if marks.keys() & set(instruments)]
    return int((process or trader.process).run(lambda c, d, now: refresh_marks(c, d, ids, marks, now)))


def figures(trader: Trader, account_id: str = "a") -> tuple[str, str]:
    shown = trader.risk.account(account_id)
    return shown.equity, shown.daily_profit


def test_equity_the_day_and_the_peak_follow_the_price_without_an_order(risk: RiskFixture) -> None:
    trader = open_trader(risk, max_daily_loss="1000", max_gross_exposure="5000")
    trader.trade("100")
    later(risk, 60)
    assert refresh(trader, btc="120") == 1
    assert figures(trader) == ("10200", "200")
    later(risk, 60)
    assert refresh(trader, btc="90") == 1
    shown = risk.account("a")
    assert (shown.equity, shown.daily_profit, shown.peak_equity) == ("9900", "-100", "10200")
    used = {headroom.name: headroom.used for headroom in shown.headroom}
    assert (used["max_daily_loss"], used["max_gross_exposure"]) == ("100", "900")
    assert [row.equity for row in risk.rows(store.SAMPLES) if row.resolution_s == 60] == [10000, 10200, 9900]


def test_daily_loss_breaker_goes_off_by_a_price_alone_and_lets_people_out(risk: RiskFixture) -> None:
    trader = open_trader(risk, max_daily_loss="100")
    trader.trade("100")
    later(risk, 5)
    refresh(trader, btc="91")
    assert (figures(trader), trader.states()) == (("9910", "-90"), {})
    later(risk, 5)
    refresh(trader, btc="89")
    assert trader.states() == {"account:a": ("REDUCING", "breaker:daily_loss")}
    assert trader.failed("89", position="10") == ["TRADING_REDUCING", "DAILY_LOSS_LIMIT_REACHED"]
    assert trader.trade("89", buy=False, entry=False, position="10") == "0"
    (change,) = [e.trading_state_changed for e in trader.journal() if e.HasField("trading_state_changed")]
    assert change.scope == "account:a"


def test_drawdown_breaker_counts_from_a_peak_that_no_order_saw(risk: RiskFixture) -> None:
    trader = open_trader(risk, max_drawdown_percent="5")
    trader.trade("100", notional="5000")
    later(risk, 5)
    refresh(trader, btc="120")
    assert risk.account("a").peak_equity == "11000"
    later(risk, 5)
    refresh(trader, btc="110")
    assert trader.states() == {}
    later(risk, 5)
    refresh(trader, btc="108")
    assert trader.states() == {"account:a": ("REDUCING", "breaker:drawdown")}


@pytest.mark.parametrize("age_s", [5.001, 86_400, -5.001])
def test_old_quote_stops_nobody_and_changes_nothing(risk: RiskFixture, age_s: float) -> None:
    trader = open_trader(risk, max_daily_loss="100")
    trader.trade("100")
    before = risk.rows(store.STATES)
    later(risk, 60)
    assert refresh(trader, age_s=age_s, btc="1") == 0
    assert (risk.rows(store.STATES), trader.states()) == (before, {})
    assert trader.decide("100", position="10").verdict == APPROVED


@pytest.mark.parametrize(("bid", "ask"), [("0", "100"), ("100", "99"), ("-1", "1"), ("", ""), ("x", "y")])
def test_quote_that_is_none_stops_nobody(risk: RiskFixture, bid: str, ask: str) -> None:
    trader = open_trader(risk, max_daily_loss="100")
    trader.trade("100")
    later(risk, 1)
    marks = check_marks([quote(BTC, bid, risk.now, ask), quote(ETH, "5", risk.now)])
    assert ETH in marks, "one that cannot be read does not keep the others from being used"
    assert trader.process.run(lambda c, d, now: refresh_marks(c, d, ["a"], marks, now)) == 0
    assert (figures(trader), trader.states()) == (("10000", "0"), {})


def test_nobody_is_stopped_while_another_position_has_no_young_price(risk: RiskFixture) -> None:
    trader = open_trader(risk, max_daily_loss="100", max_mark_age_s=60)
    trader.trade("100")
    trader.trade("100", instrument=ETH)
    later(risk, 61)
    # BTC lost enough. What ETH is worth nobody knows: it may have gained as much.
    assert refresh(trader, btc="80") == 1
    assert trader.states() == {}
    assert trader.failed("100", instrument=PERPETUAL) == ["MARK_STALE", "DAILY_LOSS_LIMIT_REACHED"]
    assert trader.states() == {"account:a": ("REDUCING", "breaker:daily_loss")}, "as for any order"


def test_breaker_goes_off_once_every_position_has_a_price(risk: RiskFixture) -> None:
    trader = open_trader(risk, max_daily_loss="100", max_mark_age_s=60)
    trader.trade("100")
    trader.trade("100", instrument=ETH)
    later(risk, 61)
    refresh(trader, btc="80")
    assert risk.account("a").peak_equity == "10000"
    refresh(trader, eth="130")
    assert (figures(trader), trader.states()) == (("10100", "100"), {})
    later(risk, 1)
    refresh(trader, btc="80", eth="109")
    assert trader.states() == {"account:a": ("REDUCING", "breaker:daily_loss")}


def test_a_new_day_begins_with_the_worth_of_the_last_look(risk: RiskFixture) -> None:
    trader = open_trader(risk, max_daily_loss="100")
    trader.trade("100")
    later(risk, 12 * 3600 - 1)
    refresh(trader, btc="91")
    assert figures(trader) == ("9910", "-90")
    later(risk, 5)
    refresh(trader, btc="82")
    assert figures(trader) == ("9820", "-90"), "of the new day"
    assert trader.states() == {}


def test_only_who_holds_something_is_touched_and_no_scratch_copy(risk: RiskFixture) -> None:
    trader = open_trader(risk)
    for name in ("b", "c"):
        trader.process.create(account_of(name))
    trader.trade("100")
    trader.trade("100", account_id="b")
    trader.trade("101", account_id="b", buy=False, entry=False, position="10")
    copy = risk_pb2.CreateAccountRequest(request_id="s", copy_from_account_id="a")
    copy.account.account_id = "scratch"
    trader.process.run(lambda c, d, now: create_account(c, d, copy, "operator:test", now))
    assert risk.read(read_held) == {"a": [BTC]}
    before = {row.account_id: row.stamp for row in risk.rows(store.STATES)}
    later(risk, 5)
    assert refresh(trader, btc="102") == 1
    after = {row.account_id: row.stamp for row in risk.rows(store.STATES)}
    assert {name for name in after if after[name] != before[name]} == {"a"}


def test_the_same_quote_again_writes_nothing_and_an_older_one_is_not_taken(risk: RiskFixture) -> None:
    trader = open_trader(risk)
    trader.trade("100")
    later(risk, 5)
    assert refresh(trader, btc="110") == 1
    before = risk.rows(store.STATES)
    assert refresh(trader, btc="120") == 0, "of the same moment"
    assert refresh(trader, age_s=1, btc="130") == 0
    assert risk.rows(store.STATES) == before


@pytest.mark.parametrize(("executed_s", "equity"), [(5, "10090"), (60, "9910")])
def test_price_of_a_fill_counts_at_its_own_time_however_late_it_is_settled(
    risk: RiskFixture, executed_s: int, equity: str
) -> None:
    """One of a clock ahead of ours counts as now."""
    trader = open_trader(risk)
    trader.trade("100")
    order = trader.decide("100", buy=False, entry=False, position="10", order_quantity="1")
    late = fill("late", buy=False, quantity="0.001", price="91")
    late.execute_time.FromDatetime(risk.now + timedelta(seconds=executed_s))
    later(risk, 30)
    refresh(trader, btc="109")
    later(risk, 1)
    trader.settle(order.order_id, late, final=False)
    assert Decimal(risk.account("a").equity).quantize(Decimal(1)) == Decimal(equity)


def test_another_process_decides_on_what_was_refreshed(risk: RiskFixture) -> None:
    trader = open_trader(risk, max_drawdown_percent="5")
    trader.trade("100", notional="5000")
    later(risk, 5)
    refresh(trader, process=Process(risk), btc="120")
    later(risk, 5)
    # This process remembers the account as it was before: the version says that it has changed.
    assert trader.failed("105", position="50") == ["DRAWDOWN_LIMIT_REACHED"]


def test_accounts_that_only_lie_there_push_none_out_of_memory(
    risk: RiskFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    trader = Trader(risk)
    monkeypatch.setattr(account_cache, "MOST_ACCOUNTS", 2)
    for name in ("idle", "busy", "busier"):
        trader.process.create(account_of(name))
        trader.trade("100", account_id=name)
    cache = trader.process.context.cache
    assert [cache.has(name) for name in ("idle", "busy", "busier")] == [False, True, True]
    later(risk, 5)
    assert refresh(trader, btc="110") == 3
    assert [cache.has(name) for name in ("idle", "busy", "busier")] == [False, True, True]
    assert {figures(trader, name)[0] for name in ("idle", "busy", "busier")} == {"10100"}


def test_breaker_that_was_lifted_does_not_go_off_again_for_a_drawdown_but_for_the_day(risk: RiskFixture) -> None:
    trader = Trader(risk)
    update(trader, limits={"max_drawdown_percent": "1"})
    trader.trade("100")
    later(risk, 5)
    refresh(trader, btc="80")
    assert trader.states() == {"account:a": ("REDUCING", "breaker:drawdown")}
    trader.process.set_state("account:a", ACTIVE)
    later(risk, 5)
    refresh(trader, btc="80")
    assert trader.states()["account:a"] == ("ACTIVE", "operator:test")


def test_perpetual_short_is_valued_at_the_ask(risk: RiskFixture) -> None:
    trader = open_trader(risk)
    trader.trade("100", buy=False, instrument=PERPETUAL)
    later(risk, 5)
    marks = check_marks([quote(PERPETUAL, "90", risk.now, "91")])
    trader.process.run(lambda c, d, now: refresh_marks(c, d, ["a"], marks, now))
    assert figures(trader) == ("10090", "90")


def test_more_than_100_quotes_are_refused(risk: RiskFixture) -> None:
    with pytest.raises(ServiceError, match="at most 100, was 101"):
        check_marks([quote(BTC, "1", risk.now)] * 101)
