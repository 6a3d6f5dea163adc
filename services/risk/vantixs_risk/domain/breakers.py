"""Breakers: limits that, once reached, set the account's trading state until an operator lifts it. Pure."""

from dataclasses import dataclass
from decimal import Decimal

from vantixs_risk.domain.activity import Activity
from vantixs_risk.domain.equity import EquityHistory
from vantixs_risk.domain.exact import show
from vantixs_risk.domain.rules import Rules

DAILY_LOSS, DRAWDOWN, FAILURES, REPEATED = "daily_loss", "drawdown", "failures", "repeated_orders"
SEVERITY = {"ACTIVE": 0, "REDUCING": 1, "HALTED": 2}


@dataclass(frozen=True, slots=True)
class Trip:
    """A breaker that trips: its name, the state it sets, and why."""

    breaker: str
    state: str
    comment: str


def trips(rules: Rules, history: EquityHistory, equity: Decimal, activity: Activity, repeats: int = 0) -> list[Trip]:
    """The breakers that trip. `repeats` is how often the entry just requested was requested within the window."""
    limits, breakers, found = rules.limits, rules.breakers, []
    if limits.max_daily_loss is not None:
        loss = history.daily_loss(equity)
        if loss >= limits.max_daily_loss:
            comment = f"the day's loss is {show(loss)}, the limit {show(limits.max_daily_loss)}"
            found.append(Trip(DAILY_LOSS, breakers.daily_loss_state, comment))
    if limits.max_drawdown_percent is not None and history.has_fallen(equity, limits.max_drawdown_percent):
        percent = show(history.drawdown_percent(equity))
        comment = f"equity is {percent} % below its peak, the limit {show(limits.max_drawdown_percent)} %"
        found.append(Trip(DRAWDOWN, breakers.drawdown_state, comment))
    failures = breakers.max_failures_in_a_row
    if failures is not None and activity.failures >= failures:
        found.append(Trip(FAILURES, breakers.failures_state, f"{activity.failures} orders failed in a row"))
    repeated, window = breakers.max_repeated_orders, breakers.repeated_orders_window_s
    if repeated is not None and window is not None and repeats >= repeated:
        comment = f"the same entry was asked for {repeats} times in {window} s"
        found.append(Trip(REPEATED, breakers.repeated_orders_state, comment))
    return found


def raises(before: str, after: str) -> bool:
    """Whether the state `after` is stricter than `before`. A breaker only sets stricter states."""
    return SEVERITY[after] > SEVERITY[before]
