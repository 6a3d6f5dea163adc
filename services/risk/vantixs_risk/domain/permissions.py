"""Checks of who may trade what, and when; pure."""

from collections.abc import Callable

from vantixs_risk.domain.check import Case, Finding
from vantixs_risk.domain.exact import show
from vantixs_risk.domain.sizing import UNAVAILABLE
from vantixs_risk.domain.terms import NEEDS, given_prices, lack_of_terms


def not_halted(c: Case) -> Finding:
    """No scope of the order is HALTED."""
    return _no_scope(c, "HALTED", "halted")


def not_reducing(c: Case) -> Finding:
    """No scope of the order takes exits only."""
    return _no_scope(c, "REDUCING", "exits only")


def account_enabled(c: Case) -> Finding:
    """The account takes entries."""
    enabled = c.inputs.rules.enabled
    return Finding(enabled, "" if enabled else "the account is disabled")


def live_ready(c: Case) -> Finding:
    """Order and account have the same mode, and a live account was enabled for live trading."""
    finding = same_mode(c)
    rules = c.inputs.rules
    if finding.passed and rules.mode == "LIVE" and not rules.live_enabled:
        return Finding(False, "the account is not enabled for live trading", finding.inputs, finding.limit)
    return finding


def same_mode(c: Case) -> Finding:
    """Order and account have the same mode."""
    mode, expected = c.inputs.order.mode, c.inputs.rules.mode
    detail = "" if mode == expected else f"order is {mode}, account is {expected}"
    return Finding(mode == expected, detail, {"order_mode": mode}, expected)


def credential_there(c: Case) -> Finding | None:
    """A live account names a credential; without one nothing can be sent, not even an exit."""
    rules = c.inputs.rules
    if rules.mode != "LIVE":
        return None
    return Finding(bool(rules.credential_id), "" if rules.credential_id else "the live account names no credential")


def strategy_allowed(c: Case) -> Finding | None:
    """The account takes entries of the order's strategy."""
    allowed, strategy = c.inputs.rules.strategies, c.inputs.order.strategy_id
    if not allowed:
        return None
    limit, passed = ", ".join(sorted(allowed)), strategy in allowed
    detail = "" if passed else f"strategy is {strategy or 'none'}, the account takes {limit}"
    return Finding(passed, detail, {"strategy_id": strategy}, limit)


def instrument_allowed(c: Case) -> Finding:
    """The instrument is on the account's list, where it has one."""
    allowed, instrument = c.inputs.rules.instruments, c.inputs.order.market.instrument
    if not allowed:
        return Finding(True, inputs={"instrument": instrument})
    limit, passed = ", ".join(sorted(allowed)), instrument in allowed
    detail = "" if passed else f"instrument is {instrument}, the account trades {limit}"
    return Finding(passed, detail, {"instrument": instrument}, limit)


def currency_matches(c: Case) -> Finding:
    """The instrument is paid in the account's currency: no rate is assumed for another."""
    quote, currency = c.inputs.order.market.quote, c.inputs.rules.currency
    detail = "" if quote == currency else f"paid in {quote}, the account is kept in {currency}"
    return Finding(quote == currency, detail, {"quote_asset": quote}, currency)


def order_type_known(c: Case) -> Finding:
    """What an order of the type may cost can be told; whether the venue takes it is for the router."""
    kind, limit = c.inputs.order.order_type, ", ".join(NEEDS)
    passed = kind in NEEDS
    return Finding(passed, "" if passed else f"order type is {kind}, known are {limit}", {"order_type": kind}, limit)


def terms_complete(c: Case) -> Finding | None:
    """An order that rests has the prices that its type needs."""
    order = c.inputs.order
    if not NEEDS.get(order.order_type):
        return None
    lack = lack_of_terms(order, c.figures.quote_price)
    given = {name: show(price) for name, price in given_prices(order).items()}
    return Finding(not lack, lack, {"order_type": order.order_type, **given})


def short_allowed(c: Case) -> Finding | None:
    """An entry by selling needs an account that may be short; spot of a live venue cannot be sold short."""
    order, rules = c.inputs.order, c.inputs.rules
    if order.buy:
        return None
    if rules.mode == "LIVE" and not order.market.perpetual:
        return Finding(False, "spot cannot be sold short at a venue")
    return Finding(rules.may_short, "" if rules.may_short else "the account may not be short")


def in_trading_window(c: Case) -> Finding | None:
    """The account's time is in one of its windows, where it has any."""
    windows, now = c.inputs.rules.windows, c.inputs.now
    if not windows:
        return None
    inside = any(window.holds(now) for window in windows)
    shown = now.isoformat(timespec="seconds")
    detail = "" if inside else f"{shown} is outside of {len(windows)} windows"
    return Finding(inside, detail, {"time": shown, "zones": ", ".join(sorted({w.zone for w in windows}))})


def something_to_close(c: Case) -> Finding:
    """There is a position on the side that the exit closes, and open exits leave some of it."""
    position, taken = c.figures.own.position.quantity, c.figures.own_exits_quantity
    passed = closes_something(c)
    side = "short" if c.inputs.order.buy else "long"
    detail = "" if passed else f"to close is a {side}, the position is {position:f}, open exits take {taken:f} of it"
    return Finding(passed, detail, {"position": f"{position:f}", "open_exits": f"{taken:f}"})


def closes_something(c: Case) -> bool:
    """Whether an exit has anything to take out."""
    return c.figures.closable > 0 and (c.figures.own.position.quantity > 0) != c.inputs.order.buy


def known_by(reason: str) -> Callable[[Case], Finding | None]:
    """The check that a quantity could be told, for one of the reasons why not."""

    def find(c: Case) -> Finding | None:
        if c.sized.reason == reason:
            return Finding(False, c.sized.detail, c.sized.steps)
        return _KNOWN if reason == UNAVAILABLE else None

    return find


_KNOWN = Finding(True)


def _no_scope(c: Case, state: str, word: str) -> Finding:
    states = c.inputs.trading_states
    if not states:
        return _KNOWN
    scopes = ", ".join(sorted(scope for scope, held in states.items() if held == state))
    return Finding(not scopes, f"{word}: {scopes}" if scopes else "", states)
