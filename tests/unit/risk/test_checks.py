"""Every check of the tables: a case in which it alone denies, one at its limit that passes, and, for what is checked of
entries only, an exit that passes although it would fail. A check without rows fails the first test."""

from dataclasses import replace
from typing import Any

import pytest
from vantixs_risk.domain.activity import Activity
from vantixs_risk.domain.check import Check, CheckResult
from vantixs_risk.domain.check_tables import ENTRY as ENTRY_TABLE
from vantixs_risk.domain.check_tables import EXIT as EXIT_TABLE
from vantixs_risk.domain.check_tables import LEG as LEG_TABLE
from vantixs_risk.domain.evaluation import evaluate
from vantixs_risk.domain.inputs import Inputs

from tests.support.cases import BTC, ENTRY, EXIT, LEG, NOW, PERP, QUOTE, D, change, failed
from tests.support.check_cases import ENTRY_ROWS, NOON, SOL, quote
from tests.support.exit_check_cases import EXIT_PASSES, EXIT_ROWS, LEG_PASSES, LEG_ROWS


def rows(table: dict[str, Any], which: int) -> list[Any]:
    return [pytest.param(r, c, id=f"{r}-{n}") for r, both in table.items() for n, c in enumerate(both[which])]


def verdicts(inputs: Inputs) -> dict[str, bool]:
    return {check.reason: check.passed for check in evaluate(inputs).checks}


def test_every_check_has_its_rows() -> None:
    entry, exits = [r.reason for r in ENTRY_TABLE], [r.reason for r in EXIT_TABLE]
    assert len(entry) == len(set(entry))
    assert set(entry) == set(ENTRY_ROWS)
    assert set(exits) == set(EXIT_ROWS)
    assert set(entry) - set(exits) == set(EXIT_PASSES)
    legs = {r.reason for r in LEG_TABLE}
    assert legs == set(LEG_ROWS)
    assert (set(entry) | set(exits)) - legs == set(LEG_PASSES)
    every = (*ENTRY_ROWS.values(), *EXIT_ROWS.values(), *LEG_ROWS.values())
    assert all(deny and at_limit for deny, at_limit in every)


def test_base_cases_pass() -> None:
    assert (failed(ENTRY), failed(EXIT), failed(LEG)) == ([], [], [])
    assert evaluate(ENTRY).approved
    assert evaluate(EXIT).approved


@pytest.mark.parametrize(("reason", "changes"), rows(ENTRY_ROWS, 0))
def test_check_alone_denies_an_entry(reason: str, changes: dict[str, Any]) -> None:
    inputs = change(ENTRY, **changes)
    assert failed(inputs) == [reason]
    assert not evaluate(inputs).approved
    result = next(c for c in evaluate(inputs).checks if c.reason == reason)
    assert result.detail


@pytest.mark.parametrize(("reason", "changes"), rows(ENTRY_ROWS, 1))
def test_entry_at_the_limit_passes(reason: str, changes: dict[str, Any]) -> None:
    assert failed(change(ENTRY, **changes)) == []


@pytest.mark.parametrize(("reason", "changes"), EXIT_PASSES.items())
def test_exit_passes_what_is_checked_of_entries_only(reason: str, changes: dict[str, Any]) -> None:
    assert failed(change(EXIT, **changes)) == []
    # Adding to a position opens none, so there the entry is one in another instrument.
    market = SOL if reason == "OPEN_POSITIONS_ABOVE_MAXIMUM" else BTC
    entering = change(EXIT, entry=True, market=market, order_quantity=D(10), **changes)
    assert reason in failed(entering), "an entry would be denied by it"


@pytest.mark.parametrize(("reason", "changes"), rows(EXIT_ROWS, 0))
def test_check_alone_denies_an_exit(reason: str, changes: dict[str, Any]) -> None:
    assert failed(change(EXIT, **changes)) == [reason]


@pytest.mark.parametrize(("reason", "changes"), rows(EXIT_ROWS, 1))
def test_exit_at_the_limit_passes(reason: str, changes: dict[str, Any]) -> None:
    assert failed(change(EXIT, **changes)) == []


@pytest.mark.parametrize(("reason", "changes"), rows(LEG_ROWS, 0))
def test_check_alone_denies_a_leg(reason: str, changes: dict[str, Any]) -> None:
    assert failed(change(LEG, **changes)) == [reason]


@pytest.mark.parametrize(("reason", "changes"), rows(LEG_ROWS, 1))
def test_leg_at_the_limit_passes(reason: str, changes: dict[str, Any]) -> None:
    assert failed(change(LEG, **changes)) == []


@pytest.mark.parametrize("changes", LEG_PASSES.values(), ids=LEG_PASSES)
def test_leg_passes_what_holds_entries_and_exits(changes: dict[str, Any]) -> None:
    decision = evaluate(change(LEG, **changes))
    assert (decision.approved, decision.quantity, decision.reserved_funds) == (True, D(10), 0)


def test_checks_are_the_same_where_every_value_is() -> None:
    check, again = (Check("R", CheckResult(True, "d", {"a": "1"}, "l")) for _ in range(2))
    assert (check, hash(check), repr(check)) == (again, hash(again), repr(again))
    others = (
        Check("S", CheckResult(True, "d", {"a": "1"}, "l")),
        Check("R", CheckResult(False, "d", {"a": "1"}, "l")),
        Check("R", CheckResult(True, "e", {"a": "1"}, "l")),
        Check("R", CheckResult(True, "d", {"a": "2"}, "l")),
        Check("R", CheckResult(True, "d", {"a": "1"}, "m")),
    )
    assert check not in others
    assert check != "R"


def test_only_checks_that_apply_are_shown() -> None:
    assert [check.reason for check in evaluate(ENTRY).checks] == [
        "TRADING_HALTED",
        "TRADING_REDUCING",
        "ACCOUNT_DISABLED",
        "LIVE_NOT_READY",
        "SYMBOL_NOT_ALLOWED",
        "CURRENCY_MISMATCH",
        "ORDER_TYPE_UNSUPPORTED",
        "PRICE_STALE",
        "SIZING_UNAVAILABLE",
        "ORDER_QUANTITY_BELOW_MINIMUM",
        "ORDER_NOTIONAL_BELOW_MINIMUM",
        "INSUFFICIENT_FUNDS",
    ]
    assert [check.reason for check in evaluate(EXIT).checks] == [
        "TRADING_HALTED",
        "LIVE_NOT_READY",
        "ORDER_TYPE_UNSUPPORTED",
        "PRICE_STALE",
        "NOTHING_TO_CLOSE",
        "ORDER_QUANTITY_BELOW_MINIMUM",
    ]
    # Where the size is not known, what depends on it is left out.
    unsized = [check.reason for check in evaluate(change(ENTRY, sizing=None, max_open_positions=3)).checks]
    assert unsized[-2:] == ["SIZING_UNAVAILABLE", "OPEN_POSITIONS_ABOVE_MAXIMUM"]


def test_sentence_of_a_failed_check_has_the_numbers() -> None:
    def sentence(inputs: Inputs) -> str:
        return next(check.detail for check in evaluate(inputs).checks if not check.passed)

    assert sentence(change(ENTRY, strategies=frozenset({"b", "a"}))) == "strategy is none, the account takes a, b"
    assert sentence(change(ENTRY, strategies=frozenset({"a"}), strategy_id="c")) == "strategy is c, the account takes a"
    known = "MARKET, LIMIT, STOP, STOP_LIMIT, TRAILING_STOP"
    assert sentence(change(ENTRY, order_type="ICEBERG")) == f"order type is ICEBERG, known are {known}"
    lack = "order.limit_price: expected above 0 for LIMIT, was empty"
    assert sentence(change(ENTRY, order_type="LIMIT")) == lack
    assert sentence(change(ENTRY, quote=quote(100, 100, 6000))) == "quote is 6000 ms old, the most is 5000 ms"
    assert sentence(change(EXIT, quote=quote(3, 2))) == "expected 0 < bid <= ask, was bid 3, ask 2"
    assert sentence(change(ENTRY, max_order_notional=D(9))) == "notional is 1000, the most is 9"
    assert sentence(change(ENTRY, max_gross_exposure=D(9))) == "gross exposure would be 1000, the most is 9"
    assert sentence(change(ENTRY, cash=D(9))) == "needs 1000 with fee and buffer, free are 9"
    assert sentence(
        change(ENTRY, max_orders_per_minute=1, activity=Activity(seconds=((int(NOW.timestamp()), 1),)))
    ) == ("with this one 2 orders in a minute, the most is 1")
    halted = change(ENTRY, trading_states={"global": "HALTED", "account:a": "REDUCING", "account:b": "HALTED"})
    assert sentence(halted) == "halted: account:b, global"
    window = change(ENTRY, windows=(replace(NOON, days=frozenset({5})),))
    assert sentence(window) == "2026-11-24T12:00:00+00:00 is outside of 1 windows"
    assert sentence(change(EXIT, buy=True)) == "to close is a short, the position is 10, open exits take 0 of it"
    assert sentence(change(EXIT, holdings={})) == "to close is a long, the position is 0, open exits take 0 of it"
    passed = {check.detail for check in evaluate(ENTRY).checks}
    assert passed == {""}, "what passes says its numbers only"


def test_all_failed_checks_are_returned() -> None:
    inputs = change(ENTRY, enabled=False, currency="USD", max_order_notional=D(1), cash=D(0))
    assert failed(inputs) == [
        "ACCOUNT_DISABLED",
        "CURRENCY_MISMATCH",
        "ORDER_NOTIONAL_ABOVE_MAXIMUM",
        "INSUFFICIENT_FUNDS",
    ]


def test_no_quote_and_a_crossed_one_deny_an_entry_by_that_alone() -> None:
    for wrong in (None, quote(101, 100), quote(0, 100), quote(-1, 100)):
        reasons = failed(change(ENTRY, quote=wrong))
        assert reasons == ["PRICE_STALE", "SIZING_UNAVAILABLE"], "without a price there is no size either"


def test_equity_of_nothing_has_no_leverage() -> None:
    inputs = change(ENTRY, market=PERP, cash=D(0), max_leverage=D(5))
    assert verdicts(inputs)["LEVERAGE_ABOVE_MAXIMUM"] is False
    row = next(c for c in evaluate(inputs).checks if c.reason == "LEVERAGE_ABOVE_MAXIMUM")
    assert row.inputs["leverage"] == "unbounded"


def test_what_a_check_looked_at_is_in_its_row() -> None:
    by_reason = {c.reason: c for c in evaluate(change(ENTRY, max_gross_exposure=D(2000), max_leverage=D(1))).checks}
    exposure = by_reason["GROSS_EXPOSURE_ABOVE_MAXIMUM"]
    assert (exposure.inputs["order_notional"], exposure.limit, exposure.detail) == ("1000", "2000", "")
    assert by_reason["LEVERAGE_ABOVE_MAXIMUM"].inputs == {
        "exposure_after": "1000",
        "equity": "10000",
        "leverage": "0.1",
    }
    assert by_reason["INSUFFICIENT_FUNDS"].inputs["hold"] == "1000"
    assert by_reason["PRICE_STALE"].inputs == {"bid": "100", "ask": "100", "age_ms": "0"}
    assert QUOTE.bid == D(100)
