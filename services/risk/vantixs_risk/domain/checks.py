"""The checks of a decision, each a pure function: what it looks at, the limit, the verdict.

`ENTRY` and `EXIT` are the whole of it. An entry is held against everything; an exit only against what would make the exit
itself wrong, so that no limit meant for entries keeps anybody in (ADR 0011). A check that does not apply, because its
limit is not set, gives None.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import NamedTuple

from vantixs.model.decimals import format_decimal

from vantixs_risk.domain.equity import Holding, Mark
from vantixs_risk.domain.exact import ZERO, divide_down
from vantixs_risk.domain.figures import Figures, age_ms, fresh, sane
from vantixs_risk.domain.inputs import Inputs
from vantixs_risk.domain.sizing import FAILURES, UNAVAILABLE, Sized

BPS = Decimal(10_000)
# What the paper venue executes today.
ORDER_TYPES = ("MARKET",)


@dataclass(frozen=True, slots=True)
class Case:
    """What a check looks at. `quantity`, `notional` (at `figures.price`) and `hold` are of the order as sized."""

    inputs: Inputs
    figures: Figures
    sized: Sized
    quantity: Decimal
    notional: Decimal
    hold: Decimal


class Finding(NamedTuple):
    """The verdict of a check with its numbers; `limit` is empty where there is none to name."""

    passed: bool
    detail: str
    inputs: Mapping[str, str] = {}
    limit: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One row of a decision: the reason that stands for the check when it fails, and its finding."""

    reason: str
    passed: bool
    inputs: Mapping[str, str]
    limit: str
    detail: str


class Rule(NamedTuple):
    """A check of the table. `sized` says that it needs the order's size, so it is left out where that is not known."""

    reason: str
    find: Callable[[Case], Finding | None]
    sized: bool = False


def run(rules: tuple[Rule, ...], case: Case) -> list[Check]:
    """Every check that applies, in the order of the table, failed or not."""
    known = case.sized.quantity is not None
    findings = ((rule.reason, rule.find(case)) for rule in rules if known or not rule.sized)
    return [Check(reason, f.passed, f.inputs, f.limit, f.detail) for reason, f in findings if f is not None]


def show(amount: Decimal | int | None) -> str:
    """A number as text; empty for none."""
    return "" if amount is None else format_decimal(Decimal(amount))


# Who may trade at all.


def not_halted(c: Case) -> Finding:
    """No scope of the order is HALTED."""
    scopes = _scopes(c, "HALTED")
    return Finding(not scopes, f"halted: {scopes or 'no scope'}", c.inputs.trading_states)


def not_reducing(c: Case) -> Finding:
    """No scope of the order takes exits only."""
    scopes = _scopes(c, "REDUCING")
    return Finding(not scopes, f"exits only: {scopes or 'no scope'}", c.inputs.trading_states)


def account_enabled(c: Case) -> Finding:
    """The account takes entries."""
    enabled = c.inputs.rules.enabled
    return Finding(enabled, f"account is {'enabled' if enabled else 'disabled'}")


def live_ready(c: Case) -> Finding:
    """Order and account have the same mode, and a live account was enabled for live trading."""
    rules, mode = c.inputs.rules, c.inputs.asking.mode
    inputs = {"order_mode": mode, "account_mode": rules.mode}
    if mode != rules.mode:
        return Finding(False, f"order is {mode}, account is {rules.mode}", inputs, rules.mode)
    ready = mode == "PAPER" or rules.live_enabled
    return Finding(ready, f"{mode}, the account is {'' if ready else 'not '}ready", inputs, rules.mode)


def same_mode(c: Case) -> Finding:
    """Order and account have the same mode."""
    rules, mode = c.inputs.rules, c.inputs.asking.mode
    inputs = {"order_mode": mode, "account_mode": rules.mode}
    return Finding(mode == rules.mode, f"order is {mode}, account is {rules.mode}", inputs, rules.mode)


def credential_there(c: Case) -> Finding | None:
    """A live account names a credential; without one nothing can be sent, not even an exit."""
    rules = c.inputs.rules
    if rules.mode != "LIVE":
        return None
    there = bool(rules.credential_id)
    return Finding(there, "the live account names a credential" if there else "the live account names no credential")


def strategy_allowed(c: Case) -> Finding | None:
    """The account takes entries of the order's strategy."""
    allowed, strategy = c.inputs.rules.strategies, c.inputs.asking.strategy_id
    if not allowed:
        return None
    detail = f"strategy is {strategy or 'none'}, the account takes {', '.join(sorted(allowed))}"
    return Finding(strategy in allowed, detail, {"strategy_id": strategy}, ", ".join(sorted(allowed)))


def instrument_allowed(c: Case) -> Finding:
    """The instrument is on the account's list, where it has one."""
    allowed, instrument = c.inputs.rules.instruments, c.inputs.asking.market.instrument
    named = ", ".join(sorted(allowed)) or "every instrument"
    detail = f"instrument is {instrument}, the account trades {named}"
    return Finding(not allowed or instrument in allowed, detail, {"instrument": instrument}, named)


def currency_matches(c: Case) -> Finding:
    """The instrument is paid in the account's currency: no rate is assumed for another."""
    quote, currency = c.inputs.asking.market.quote, c.inputs.rules.currency
    return Finding(
        quote == currency, f"paid in {quote}, the account is kept in {currency}", {"quote_asset": quote}, currency
    )


def order_type_known(c: Case) -> Finding:
    """The venue takes the type of order."""
    kind = c.inputs.asking.order_type
    detail = f"order type is {kind}, the venue takes {', '.join(ORDER_TYPES)}"
    return Finding(kind in ORDER_TYPES, detail, {"order_type": kind}, ", ".join(ORDER_TYPES))


def short_allowed(c: Case) -> Finding | None:
    """An entry by selling needs an account that may be short; spot of a live venue cannot be sold short."""
    asking, rules = c.inputs.asking, c.inputs.rules
    if asking.buy:
        return None
    if rules.mode == "LIVE" and not asking.market.perpetual:
        return Finding(False, "spot cannot be sold short at a venue", {"may_short": str(rules.may_short).lower()})
    return Finding(rules.may_short, f"account may {'' if rules.may_short else 'not '}be short")


def in_trading_window(c: Case) -> Finding | None:
    """The account's time is in one of its windows, where it has any."""
    windows, now = c.inputs.rules.windows, c.inputs.now
    if not windows:
        return None
    inside = any(window.holds(now) for window in windows)
    zones = sorted({window.zone for window in windows})
    detail = f"{now.isoformat(timespec='seconds')} is {'in' if inside else 'outside'} {len(windows)} windows"
    return Finding(inside, detail, {"time": now.isoformat(), "zones": ", ".join(zones)})


# Whether the numbers can be trusted.


def price_fresh(c: Case) -> Finding:
    """The quote is sane and young."""
    quote, now = c.inputs.asking.quote, c.inputs.now
    most = c.inputs.rules.limits.max_price_age_ms or c.inputs.max_price_age_ms
    if quote is None:
        return Finding(False, "there is no quote", limit=f"{most} ms")
    age = age_ms(now, quote.time)
    detail = f"quote is {age} ms old, the most is {most} ms"
    if not sane(quote):
        detail = f"expected 0 < bid <= ask, was bid {show(quote.bid)}, ask {show(quote.ask)}"
    return Finding(fresh(quote, now, most), detail, _quote_inputs(quote, age), f"{most} ms")


def paper_price_there(c: Case) -> Finding | None:
    """The paper venue fills at the quote, whatever its age, so there must be one; a real venue has its own price."""
    quote = c.inputs.asking.quote
    if c.inputs.asking.mode != "PAPER":
        return None
    if quote is None:
        return Finding(False, "the paper venue fills at the quote, and there is none")
    age = age_ms(c.inputs.now, quote.time)
    return Finding(sane(quote), f"quote is {age} ms old; exits take any age", _quote_inputs(quote, age))


def marks_fresh(c: Case) -> Finding | None:
    """Every other position has a price young enough, where something asks what the account is worth."""
    if not _needs_worth(c):
        return None
    most = c.inputs.rules.limits.max_mark_age_s or c.inputs.max_mark_age_s
    others = [h for name, h in c.inputs.books.holdings.items() if name != c.inputs.asking.market.instrument]
    ages = {h.market.instrument: _mark_age_s(c, h) for h in others}
    old = sorted(name for name, age in ages.items() if age is None or age > most)
    shown = {f"age_s {name}": "unknown" if age is None else str(age) for name, age in sorted(ages.items())}
    detail = f"no price within {most} s for {', '.join(old)}" if old else f"{len(ages)} other positions have a price"
    return Finding(not old, detail, shown, f"{most} s")


def price_near(c: Case) -> Finding | None:
    """The signal's price is near the price the order would pay."""
    limit, signal, price = c.inputs.rules.limits.max_price_deviation_bps, c.inputs.asking.signal_price, c.figures.price
    if limit is None or signal is None or not price:
        return None
    apart = abs(signal - price) * BPS
    shown = show(divide_down(apart, price))
    inputs = {"signal_price": show(signal), "reference_price": show(price), "deviation_bps": shown}
    return Finding(apart <= limit * price, f"prices are {shown} bps apart, the most is {limit}", inputs, f"{limit} bps")


def known_by(reason: str) -> Callable[[Case], Finding | None]:
    """The check that a quantity could be told, for one of the reasons why not."""

    def find(c: Case) -> Finding | None:
        if c.sized.reason == reason:
            return Finding(False, c.sized.detail, dict(c.sized.steps))
        return Finding(True, "the quantity can be told") if reason == UNAVAILABLE else None

    return find


# What the account did.


def daily_loss_below(c: Case) -> Finding | None:
    """The day's loss has not reached its limit."""
    limit, books = c.inputs.rules.limits.max_daily_loss, c.inputs.books
    if limit is None:
        return None
    equity = c.figures.valuation.equity
    loss = books.standing.daily_loss(equity)
    inputs = {"day_equity": show(books.standing.day_equity), "equity": show(equity), "daily_loss": show(loss)}
    return Finding(loss < limit, f"the day's loss is {show(loss)}, the limit {show(limit)}", inputs, show(limit))


def drawdown_below(c: Case) -> Finding | None:
    """The fall from the peak of equity has not reached its limit."""
    limit, standing = c.inputs.rules.limits.max_drawdown_percent, c.inputs.books.standing
    if limit is None:
        return None
    equity = c.figures.valuation.equity
    fall = standing.drawdown(equity)
    percent = show(divide_down(fall * 100, standing.peak)) if standing.peak else "0"
    inputs = {"peak_equity": show(standing.peak), "equity": show(equity), "drawdown_percent": percent}
    # A peak of 0 has nothing to fall from: funds decide then.
    below = fall * 100 < limit * standing.peak or not standing.peak
    return Finding(below, f"equity is {percent} % below its peak, the limit {show(limit)} %", inputs, show(limit))


def cooled_down(c: Case) -> Finding | None:
    """The last loss is long enough ago."""
    limit, last, now = c.inputs.rules.limits.loss_cooldown_s, c.inputs.books.activity.last_loss, c.inputs.now
    if limit is None:
        return None
    if last is None:
        return Finding(True, "there was no loss yet", limit=f"{limit} s")
    over = now - last >= timedelta(seconds=limit)
    detail = f"the last loss was {age_ms(now, last) / 1000:.3f} s ago, the least is {limit} s"
    return Finding(over, detail, {"last_loss_time": last.isoformat()}, f"{limit} s")


def rate_below(c: Case) -> Finding | None:
    """One more order within a minute is allowed."""
    limit = c.inputs.rules.limits.max_orders_per_minute
    if limit is None:
        return None
    count = c.inputs.books.activity.orders_last_minute(c.inputs.now) + 1
    detail = f"with this one {count} orders in a minute, the most is {limit}"
    return Finding(count <= limit, detail, {"orders_last_minute": str(count)}, str(limit))


def not_repeated(c: Case) -> Finding | None:
    """No entry of the same instrument, side and quantity was approved a moment ago."""
    window = c.inputs.rules.limits.duplicate_order_window_s
    if window is None:
        return None
    what = asked_for(c.inputs, c.quantity)
    same = c.inputs.books.activity.approved_since(what, c.inputs.now, window)
    detail = f"{what}: {'the same was approved at ' + same.time.isoformat() if same else 'not'} within {window} s"
    return Finding(same is None, detail, {"order": what}, f"{window} s")


# How large the order is, and what the account would then have.


def quantity_least(c: Case) -> Finding:
    """At least the lot and the account's least quantity."""
    return _at_least(
        "quantity", c.quantity, max(c.inputs.rules.limits.min_order_quantity or ZERO, c.inputs.asking.lot_size)
    )


def quantity_one_lot(c: Case) -> Finding | None:
    """At least one lot: only what cannot be sent at all stops an exit."""
    return _at_least("quantity", c.quantity, c.inputs.asking.lot_size) if _something_to_close(c) else None


def something_to_close(c: Case) -> Finding:
    """There is a position on the side that the exit closes, and open exits leave some of it."""
    position = c.figures.own.position.quantity
    inputs = {"position": show(position), "open_exits": show(c.figures.own_exits_quantity)}
    side = "long" if not c.inputs.asking.buy else "short"
    detail = f"position is {show(position)}, open exits take {show(c.figures.own_exits_quantity)}, to close is a {side}"
    return Finding(_something_to_close(c), detail, inputs)


def quantity_most(c: Case) -> Finding | None:
    """At most the account's highest quantity."""
    return _at_most("quantity", c.quantity, c.inputs.rules.limits.max_order_quantity)


def notional_least(c: Case) -> Finding:
    """At least the instrument's and the account's least notional."""
    least = max(c.inputs.rules.limits.min_order_notional or ZERO, c.inputs.asking.minimum_notional)
    return _at_least("notional", c.notional, least)


def notional_most(c: Case) -> Finding | None:
    """At most the account's highest notional."""
    return _at_most("notional", c.notional, c.inputs.rules.limits.max_order_notional)


def position_notional_most(c: Case) -> Finding | None:
    """The position, its open entries and this order together."""
    held = abs(c.figures.own.position.quantity) * c.figures.price
    parts = {"position_notional": held, "open_entries": c.figures.own_entries_notional, "order_notional": c.notional}
    return _sum_at_most("position", parts, c.inputs.rules.limits.max_position_notional)


def exposure_most(c: Case) -> Finding | None:
    """All positions, all open entries and this order together."""
    return _sum_at_most("gross exposure", _exposure(c), c.inputs.rules.limits.max_gross_exposure)


def open_positions_most(c: Case) -> Finding | None:
    """Instruments held or on their way in, with this one; adding to one of them opens nothing."""
    limit, instrument = c.inputs.rules.limits.max_open_positions, c.inputs.asking.market.instrument
    if limit is None:
        return None
    known = instrument in c.figures.open_instruments
    count = len(c.figures.open_instruments) + (not known)
    detail = f"with this one {count} positions, the most is {limit}"
    return Finding(known or count <= limit, detail, {"open_positions": str(count)}, str(limit))


def leverage_most(c: Case) -> Finding | None:
    """Gross exposure over equity."""
    limit, equity = c.inputs.rules.limits.max_leverage, c.figures.valuation.equity
    if limit is None:
        return None
    parts = _exposure(c)
    after = sum(parts.values(), ZERO)
    shown = show(divide_down(after, equity)) if equity > 0 else "unbounded"
    inputs = {name: show(part) for name, part in parts.items()} | {"equity": show(equity), "leverage": shown}
    within = equity > 0 and after <= limit * equity
    return Finding(within, f"leverage would be {shown}, the most is {show(limit)}", inputs, show(limit))


def funds_enough(c: Case) -> Finding:
    """What the order would hold is free."""
    free = c.figures.free_funds
    inputs = {
        "hold": show(c.hold),
        "cash": show(c.inputs.books.cash),
        "margin": show(c.figures.valuation.margin),
        "open_entries_hold": show(c.figures.holds),
    }
    detail = f"needs {show(c.hold)} with fee and buffer, free are {show(free)}"
    return Finding(c.hold <= free, detail, inputs, show(free))


def asked_for(inputs: Inputs, quantity: Decimal) -> str:
    """What makes two entries the same, for example "buy 0.01 BTC/USDT"."""
    return f"{'buy' if inputs.asking.buy else 'sell'} {show(quantity)} {inputs.asking.market.instrument}"


def _scopes(c: Case, state: str) -> str:
    return ", ".join(sorted(scope for scope, held in c.inputs.trading_states.items() if held == state))


def _quote_inputs(quote: Mark, age: int) -> dict[str, str]:
    return {"bid": show(quote.bid), "ask": show(quote.ask), "age_ms": str(age)}


def _mark_age_s(c: Case, holding: Holding) -> int | None:
    return None if holding.mark is None else age_ms(c.inputs.now, holding.mark.time) // 1000


def _needs_worth(c: Case) -> bool:
    limits, sizing = c.inputs.rules.limits, c.inputs.asking.sizing or c.inputs.rules.sizing
    methods = {sizing.method if sizing else "", c.inputs.asking.signal_quantity_type}
    return (
        limits.max_gross_exposure is not None
        or limits.max_leverage is not None
        or limits.max_daily_loss is not None
        or limits.max_drawdown_percent is not None
        or bool(methods & {"EQUITY_PERCENT", "RISK_PERCENT", "KELLY"})
        or any(holding.margin(c.inputs.rules.leverage) for holding in c.inputs.books.holdings.values())
    )


def _something_to_close(c: Case) -> bool:
    position = c.figures.own.position.quantity
    return c.figures.closable > 0 and (position > 0) != c.inputs.asking.buy


def _exposure(c: Case) -> dict[str, Decimal]:
    return {
        "positions_notional": c.figures.valuation.gross_exposure,
        "open_entries": c.figures.entries_notional,
        "order_notional": c.notional,
    }


def _at_least(name: str, amount: Decimal, limit: Decimal) -> Finding:
    detail = f"{name} is {show(amount)}, the least is {show(limit)}"
    return Finding(amount >= limit, detail, {name: show(amount)}, show(limit))


def _at_most(name: str, amount: Decimal, limit: Decimal | None) -> Finding | None:
    if limit is None:
        return None
    detail = f"{name} is {show(amount)}, the most is {show(limit)}"
    return Finding(amount <= limit, detail, {name: show(amount)}, show(limit))


def _sum_at_most(name: str, parts: dict[str, Decimal], limit: Decimal | None) -> Finding | None:
    if limit is None:
        return None
    after = sum(parts.values(), ZERO)
    detail = f"{name} would be {show(after)}, the most is {show(limit)}"
    return Finding(after <= limit, detail, {part: show(amount) for part, amount in parts.items()}, show(limit))


ENTRY: tuple[Rule, ...] = (
    Rule("TRADING_HALTED", not_halted),
    Rule("TRADING_REDUCING", not_reducing),
    Rule("ACCOUNT_DISABLED", account_enabled),
    Rule("LIVE_NOT_READY", live_ready),
    Rule("CREDENTIAL_MISSING", credential_there),
    Rule("STRATEGY_NOT_ALLOWED", strategy_allowed),
    Rule("SYMBOL_NOT_ALLOWED", instrument_allowed),
    Rule("CURRENCY_MISMATCH", currency_matches),
    Rule("ORDER_TYPE_UNSUPPORTED", order_type_known),
    Rule("SHORT_NOT_ALLOWED", short_allowed),
    Rule("OUTSIDE_TRADING_WINDOW", in_trading_window),
    Rule("PRICE_STALE", price_fresh),
    Rule("MARK_STALE", marks_fresh),
    Rule("PRICE_DEVIATION_EXCEEDED", price_near),
    *(Rule(reason, known_by(reason)) for reason in FAILURES),
    Rule("DAILY_LOSS_LIMIT_REACHED", daily_loss_below),
    Rule("DRAWDOWN_LIMIT_REACHED", drawdown_below),
    Rule("LOSS_COOLDOWN_ACTIVE", cooled_down),
    Rule("ORDER_RATE_EXCEEDED", rate_below),
    Rule("DUPLICATE_ORDER", not_repeated, sized=True),
    Rule("ORDER_QUANTITY_BELOW_MINIMUM", quantity_least, sized=True),
    Rule("ORDER_QUANTITY_ABOVE_MAXIMUM", quantity_most, sized=True),
    Rule("ORDER_NOTIONAL_BELOW_MINIMUM", notional_least, sized=True),
    Rule("ORDER_NOTIONAL_ABOVE_MAXIMUM", notional_most, sized=True),
    Rule("POSITION_NOTIONAL_ABOVE_MAXIMUM", position_notional_most, sized=True),
    Rule("GROSS_EXPOSURE_ABOVE_MAXIMUM", exposure_most, sized=True),
    Rule("OPEN_POSITIONS_ABOVE_MAXIMUM", open_positions_most),
    Rule("LEVERAGE_ABOVE_MAXIMUM", leverage_most, sized=True),
    Rule("INSUFFICIENT_FUNDS", funds_enough, sized=True),
)
EXIT: tuple[Rule, ...] = (
    Rule("TRADING_HALTED", not_halted),
    Rule("LIVE_NOT_READY", same_mode),
    Rule("CREDENTIAL_MISSING", credential_there),
    Rule("ORDER_TYPE_UNSUPPORTED", order_type_known),
    Rule("PRICE_STALE", paper_price_there),
    Rule("NOTHING_TO_CLOSE", something_to_close),
    *(Rule(reason, known_by(reason)) for reason in FAILURES),
    Rule("ORDER_QUANTITY_BELOW_MINIMUM", quantity_one_lot, sized=True),
)
