"""A check of risk as people read it: what had to hold, and whether it did: "order notional 99.4 <= 10,000: pass"."""

from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from vantixs.api.common.v1 import order_pb2
from vantixs.model.reasons import REASONS


class _Compared(NamedTuple):
    """A check that compares the sum of some inputs with its limit."""

    what: str
    inputs: tuple[str, ...]
    sign: str


_COMPARED = {
    "ORDER_QUANTITY_BELOW_MINIMUM": _Compared("order quantity", ("quantity",), ">="),
    "ORDER_QUANTITY_ABOVE_MAXIMUM": _Compared("order quantity", ("quantity",), "<="),
    "ORDER_NOTIONAL_BELOW_MINIMUM": _Compared("order notional", ("notional",), ">="),
    "ORDER_NOTIONAL_ABOVE_MAXIMUM": _Compared("order notional", ("notional",), "<="),
    "POSITION_NOTIONAL_ABOVE_MAXIMUM": _Compared(
        "position notional", ("position_notional", "open_entries", "order_notional"), "<="
    ),
    "GROSS_EXPOSURE_ABOVE_MAXIMUM": _Compared(
        "gross exposure", ("positions_notional", "open_entries", "order_notional"), "<="
    ),
    "OPEN_POSITIONS_ABOVE_MAXIMUM": _Compared("open positions", ("open_positions",), "<="),
    "LEVERAGE_ABOVE_MAXIMUM": _Compared("leverage", ("leverage",), "<="),
    "INSUFFICIENT_FUNDS": _Compared("funds needed", ("hold",), "<="),
    "DAILY_LOSS_LIMIT_REACHED": _Compared("the day's loss", ("daily_loss",), "<"),
    "DRAWDOWN_LIMIT_REACHED": _Compared("drawdown in percent", ("drawdown_percent",), "<"),
    "ORDER_RATE_EXCEEDED": _Compared("orders in a minute", ("orders_last_minute",), "<="),
    "PRICE_DEVIATION_EXCEEDED": _Compared("price deviation", ("deviation_bps",), "<="),
    "PRICE_STALE": _Compared("age of the quote", ("age_ms",), "<="),
}
# What had to hold, for the others.
_HELD = {
    "TRADING_HALTED": "trading is not halted",
    "TRADING_REDUCING": "entries are allowed",
    "ACCOUNT_DISABLED": "the account takes entries",
    "LIVE_NOT_READY": "the account may trade in this mode",
    "CREDENTIAL_MISSING": "the account has what its venue asks for",
    "STRATEGY_NOT_ALLOWED": "the account allows the strategy",
    "SYMBOL_NOT_ALLOWED": "the account allows the instrument",
    "CURRENCY_MISMATCH": "the instrument is quoted in the account's currency",
    "ORDER_TYPE_UNSUPPORTED": "the venue takes this type of order",
    "ORDER_TERMS_INVALID": "the order's terms are complete",
    "SHORT_NOT_ALLOWED": "the position may become what it would",
    "OUTSIDE_TRADING_WINDOW": "entries are allowed at this time",
    "PRICE_STALE": "there is a valid quote",
    "MARK_STALE": "what else is held has a fresh price",
    "LOSS_COOLDOWN_ACTIVE": "the last loss is long enough ago",
    "DUPLICATE_ORDER": "the same order was not placed a moment ago",
    "NOTHING_TO_CLOSE": "there is something to close",
    "SIZING_UNAVAILABLE": "the sizing has what it needs",
}


def check_lines(decision: order_pb2.RiskDecision) -> list[tuple[str, str]]:
    """The checks of a decision, those that failed first: what had to hold, and "pass" or why it did not."""
    return [_line(check) for check in sorted(decision.checks, key=lambda check: check.passed)]


def _line(check: order_pb2.RiskCheck) -> tuple[str, str]:
    what = _comparison(check) or _statement(check)
    if check.passed:
        return what, "pass"
    meaning = REASONS[check.reason].meaning if check.reason in REASONS else ""
    return what, f"FAIL {check.reason}: {check.detail or meaning or 'no more is known of it'}"


def _statement(check: order_pb2.RiskCheck) -> str:
    held = _HELD.get(check.reason)
    shown = ", ".join(f"{entry.name} {entry.value}" for entry in check.inputs)
    text = held or f"no {check.reason.lower().replace('_', ' ')}"
    more = ", ".join(filter(None, (shown, f"limit {check.limit}" if check.limit else "")))
    return f"{text} ({more})" if more else text


def _comparison(check: order_pb2.RiskCheck) -> str:
    compared = _COMPARED.get(check.reason)
    inputs = {entry.name: entry.value for entry in check.inputs}
    if compared is None or not check.limit or not set(compared.inputs) <= set(inputs):
        return ""
    try:
        total = sum((Decimal(inputs[name]) for name in compared.inputs), Decimal(0))
        above = check.reason == "OPEN_POSITIONS_ABOVE_MAXIMUM" and total > Decimal(check.limit)
    except InvalidOperation:
        return ""
    parts = [f"{name.replace('_', ' ')} {inputs[name]}" for name in compared.inputs] if len(compared.inputs) > 1 else []
    # More instruments than the limit may be held already, which adding to one of them does not change.
    exempt = ", which it does not add to" if check.passed and above else ""
    return f"{compared.what} {_number(total)} {compared.sign} {_limit(check.limit)}{exempt}" + (
        f" ({' + '.join(parts)})" if parts else ""
    )


def _number(value: Decimal) -> str:
    """In groups of three: 10,000.5."""
    return f"{value:,f}"


def _limit(text: str) -> str:
    number, space, unit = text.partition(" ")
    try:
        return _number(Decimal(number)) + space + unit
    except InvalidOperation:
        return text
