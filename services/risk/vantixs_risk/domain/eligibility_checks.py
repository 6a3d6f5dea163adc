"""Checks of who may trade what, and when. Pure."""

from collections.abc import Callable

from vantixs_risk.domain.check import CheckContext, CheckResult
from vantixs_risk.domain.exact import show
from vantixs_risk.domain.sizing import UNAVAILABLE
from vantixs_risk.domain.terms import NEEDS, given_prices, lack_of_terms


def not_halted(c: CheckContext) -> CheckResult:
    """No scope of the order is HALTED."""
    return _no_scope(c, "HALTED", "halted")


def not_reducing(c: CheckContext) -> CheckResult:
    """No scope of the order takes exits only."""
    return _no_scope(c, "REDUCING", "exits only")


def account_enabled(c: CheckContext) -> CheckResult:
    """The account takes entries."""
    enabled = c.inputs.rules.enabled
    return CheckResult(enabled, "" if enabled else "the account is disabled")


def live_ready(c: CheckContext) -> CheckResult:
    """Order and account have the same mode, and a live account was enabled for live trading."""
    result = same_mode(c)
    rules = c.inputs.rules
    if result.passed and rules.mode == "LIVE" and not rules.live_enabled:
        return CheckResult(False, "the account is not enabled for live trading", result.inputs, result.limit)
    return result


def same_mode(c: CheckContext) -> CheckResult:
    """Order and account have the same mode."""
    mode, expected = c.inputs.order.mode, c.inputs.rules.mode
    detail = "" if mode == expected else f"order is {mode}, account is {expected}"
    return CheckResult(mode == expected, detail, {"order_mode": mode}, expected)


def credential_there(c: CheckContext) -> CheckResult | None:
    """A live account has a credential. Without one no order can be sent, not even an exit."""
    rules = c.inputs.rules
    if rules.mode != "LIVE":
        return None
    return CheckResult(bool(rules.credential_id), "" if rules.credential_id else "the live account names no credential")


def strategy_allowed(c: CheckContext) -> CheckResult | None:
    """The account takes entries of the order's strategy."""
    allowed, strategy = c.inputs.rules.strategies, c.inputs.order.strategy_id
    if not allowed:
        return None
    limit, passed = ", ".join(sorted(allowed)), strategy in allowed
    detail = "" if passed else f"strategy is {strategy or 'none'}, the account takes {limit}"
    return CheckResult(passed, detail, {"strategy_id": strategy}, limit)


def instrument_allowed(c: CheckContext) -> CheckResult:
    """The instrument is on the account's list, where it has one."""
    allowed, instrument = c.inputs.rules.instruments, c.inputs.order.market.instrument
    if not allowed:
        return CheckResult(True, inputs={"instrument": instrument})
    limit, passed = ", ".join(sorted(allowed)), instrument in allowed
    detail = "" if passed else f"instrument is {instrument}, the account trades {limit}"
    return CheckResult(passed, detail, {"instrument": instrument}, limit)


def currency_matches(c: CheckContext) -> CheckResult:
    """The instrument is quoted in the account's currency, as no exchange rate is assumed."""
    quote, currency = c.inputs.order.market.quote, c.inputs.rules.currency
    detail = "" if quote == currency else f"paid in {quote}, the account is kept in {currency}"
    return CheckResult(quote == currency, detail, {"quote_asset": quote}, currency)


def order_type_known(c: CheckContext) -> CheckResult:
    """The order type is one that risk can price. Whether the venue accepts it is checked by the router."""
    kind, limit = c.inputs.order.order_type, ", ".join(NEEDS)
    passed = kind in NEEDS
    return CheckResult(
        passed, "" if passed else f"order type is {kind}, known are {limit}", {"order_type": kind}, limit
    )


def terms_complete(c: CheckContext) -> CheckResult | None:
    """An order that rests has the prices that its type needs."""
    order = c.inputs.order
    if not NEEDS.get(order.order_type):
        return None
    lack = lack_of_terms(order, c.metrics.quote_price)
    given = {name: show(price) for name, price in given_prices(order).items()}
    return CheckResult(not lack, lack, {"order_type": order.order_type, **given})


def short_allowed(c: CheckContext) -> CheckResult | None:
    """An entry that sells needs an account that may be short. Spot of a live venue cannot be sold short."""
    order, rules = c.inputs.order, c.inputs.rules
    if order.buy:
        return None
    if rules.mode == "LIVE" and not order.market.perpetual:
        return CheckResult(False, "spot cannot be sold short at a venue")
    return CheckResult(rules.may_short, "" if rules.may_short else "the account may not be short")


def in_trading_window(c: CheckContext) -> CheckResult | None:
    """The account's time is in one of its windows, where it has any."""
    windows, now = c.inputs.rules.windows, c.inputs.now
    if not windows:
        return None
    inside = any(window.contains(now) for window in windows)
    shown = now.isoformat(timespec="seconds")
    detail = "" if inside else f"{shown} is outside of {len(windows)} windows"
    return CheckResult(inside, detail, {"time": shown, "zones": ", ".join(sorted({w.zone for w in windows}))})


def something_to_close(c: CheckContext) -> CheckResult:
    """There is a position on the side that the exit closes, and open exits do not close all of it."""
    position, taken = c.metrics.own.position.quantity, c.metrics.own_exits_quantity
    passed = closes_something(c)
    side = "short" if c.inputs.order.buy else "long"
    detail = (
        "" if passed else f"to close is a {side}, the position is {show(position)}, open exits take {show(taken)} of it"
    )
    return CheckResult(passed, detail, {"position": show(position), "open_exits": show(taken)})


def closes_something(c: CheckContext) -> bool:
    """Whether an exit has anything to close."""
    return c.metrics.closable > 0 and (c.metrics.own.position.quantity > 0) != c.inputs.order.buy


def known_by(reason: str) -> Callable[[CheckContext], CheckResult | None]:
    """Makes the check that the sizing did not fail for this reason."""

    def check(c: CheckContext) -> CheckResult | None:
        if c.sized.reason == reason:
            return CheckResult(False, c.sized.detail, c.sized.steps)
        return _KNOWN if reason == UNAVAILABLE else None

    return check


_KNOWN = CheckResult(True)


def _no_scope(c: CheckContext, state: str, word: str) -> CheckResult:
    states = c.inputs.trading_states
    if not states:
        return _KNOWN
    scopes = ", ".join(sorted(scope for scope, held in states.items() if held == state))
    return CheckResult(not scopes, f"{word}: {scopes}" if scopes else "", states)
