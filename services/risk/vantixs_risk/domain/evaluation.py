"""What an account may do: sizing and checks, pure.

Entries are sized, then held against every limit; all failed checks are returned. Exits are capped to the position and
checked only for what makes an exit wrong.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, localcontext

from vantixs.model.decimals import EXACT, ZERO, divide, format_decimal, round_down


@dataclass(frozen=True, slots=True)
class Sizing:
    """How an entry's quantity is found: FIXED_QUANTITY (base units) or FIXED_NOTIONAL (quote units), and the value."""

    method: str
    value: Decimal


@dataclass(frozen=True, slots=True)
class QuoteSeen:
    """The quote a decision uses."""

    bid: Decimal
    ask: Decimal
    time: datetime


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything a decision depends on. Amounts are in quote units unless said otherwise; None means no limit."""

    now: datetime
    account_mode: str
    account_enabled: bool
    may_short: bool
    instruments: tuple[str, ...]
    limits: Mapping[str, Decimal]
    trading_states: Mapping[str, str]  # scope -> ACTIVE, REDUCING, HALTED
    order_mode: str
    instrument: str
    perpetual: bool
    lot_size: Decimal
    minimum_notional: Decimal
    buy: bool
    entry: bool
    order_type: str
    order_quantity: Decimal | None  # the most the order may be, base units
    sizing: Sizing | None
    signal_quantity: Decimal | None
    signal_quantity_type: str
    position: Decimal  # signed, base units
    reserved_entry_notional: Decimal  # this instrument's open entries
    reserved_exit_quantity: Decimal  # this instrument's open exits, base units
    free_funds: Decimal  # cash minus what reservations hold
    quote: QuoteSeen | None
    max_price_age_ms: int
    fee_bps: Decimal
    price_buffer_bps: Decimal


@dataclass(frozen=True, slots=True)
class Check:
    """One check: the reason that stands for it when it fails, and the numbers."""

    reason: str
    passed: bool
    inputs: Mapping[str, str]
    limit: str
    detail: str


@dataclass(slots=True)
class Decision:
    """Approved where every check passed. `hold` is what the reservation takes from free funds."""

    quantity: Decimal = ZERO
    price: Decimal = ZERO
    notional: Decimal = ZERO
    hold: Decimal = ZERO
    checks: list[Check] = field(default_factory=list)
    steps: dict[str, str] = field(default_factory=dict)

    @property
    def approved(self) -> bool:
        """Whether the order may be sent."""
        return all(check.passed for check in self.checks)


def evaluate(inputs: Inputs) -> Decision:
    """Sizes and checks one order; same inputs, same decision."""
    with localcontext(EXACT):
        decision = Decision()
        quote = inputs.quote
        decision.price = (quote.ask if inputs.buy else quote.bid) if quote else ZERO
        sized = _size_entry(inputs, decision) if inputs.entry else _size_exit(inputs, decision)
        decision.quantity = round_down(sized, inputs.lot_size)
        decision.steps["quantity"] = format_decimal(decision.quantity)
        decision.notional = decision.quantity * decision.price
        if inputs.entry:
            cost = decision.notional * (1 + (inputs.fee_bps + inputs.price_buffer_bps) / 10_000)
            decision.hold = (
                cost / max(inputs.limits.get("max_leverage", Decimal(1)), Decimal(1)) if inputs.perpetual else cost
            )
        for check in ENTRY_CHECKS if inputs.entry else EXIT_CHECKS:
            if (result := check(inputs, decision)) is not None:
                decision.checks.append(result)
        return decision


def _size_entry(inputs: Inputs, decision: Decision) -> Decimal:
    steps, price, sizing = decision.steps, decision.price, inputs.sizing
    if sizing is None or not price:
        return ZERO
    steps["method"], steps["value"], steps["price"] = sizing.method, format_decimal(sizing.value), format_decimal(price)
    if sizing.method not in ("FIXED_QUANTITY", "FIXED_NOTIONAL"):
        return ZERO
    sized = sizing.value if sizing.method == "FIXED_QUANTITY" else divide(sizing.value, price)
    steps["sized"] = format_decimal(sized)
    asked = _signal_units(inputs, price)
    if asked is not None and asked < sized:
        sized = asked
        steps["narrowed_by_signal"] = format_decimal(asked)
    return sized


def _size_exit(inputs: Inputs, decision: Decision) -> Decimal:
    closable = max(abs(inputs.position) - inputs.reserved_exit_quantity, ZERO)
    decision.steps["closable"] = format_decimal(closable)
    sized = closable
    if inputs.order_quantity is not None:
        sized = min(sized, inputs.order_quantity)
    asked = _signal_units(inputs, decision.price)
    if asked is not None and asked < sized:
        sized = asked
        decision.steps["narrowed_by_signal"] = format_decimal(asked)
    return sized


def _signal_units(inputs: Inputs, price: Decimal) -> Decimal | None:
    """The signal's own quantity in base units, or None where it does not say or cannot be told yet."""
    quantity = inputs.signal_quantity
    if quantity is None:
        return None
    match inputs.signal_quantity_type:
        case "UNITS":
            return quantity
        case "NOTIONAL":
            return divide(quantity, price) if price else None
        case "POSITION_PERCENT":
            return abs(inputs.position) * quantity / 100
        case "EQUITY_PERCENT":
            return divide(inputs.free_funds * quantity / 100, price) if price and inputs.entry else None
    return None


def _known_sizing(i: Inputs, d: Decision) -> Check:
    method = i.sizing.method if i.sizing else "none"
    ok = method in ("FIXED_QUANTITY", "FIXED_NOTIONAL")
    return Check("SIZING_UNAVAILABLE", ok, {"method": method}, "", f"sizing method is {method}")


def _not_halted(i: Inputs, d: Decision) -> Check:
    halted = sorted(scope for scope, state in i.trading_states.items() if state == "HALTED")
    return Check("TRADING_HALTED", not halted, dict(i.trading_states), "", f"halted: {', '.join(halted) or 'no scope'}")


def _not_reducing(i: Inputs, d: Decision) -> Check:
    reducing = sorted(scope for scope, state in i.trading_states.items() if state == "REDUCING")
    return Check("TRADING_REDUCING", not reducing, {}, "", f"exits only: {', '.join(reducing) or 'no scope'}")


def _enabled(i: Inputs, d: Decision) -> Check:
    return Check(
        "ACCOUNT_DISABLED", i.account_enabled, {}, "", f"account is {'en' if i.account_enabled else 'dis'}abled"
    )


def _mode(i: Inputs, d: Decision) -> Check:
    ok = i.order_mode == i.account_mode == "PAPER"
    detail = f"order is {i.order_mode}, account is {i.account_mode}; live orders are not built yet"
    return Check("LIVE_NOT_READY", ok, {"order_mode": i.order_mode, "account_mode": i.account_mode}, "PAPER", detail)


def _instrument_allowed(i: Inputs, d: Decision) -> Check:
    ok = not i.instruments or i.instrument in i.instruments
    return Check("SYMBOL_NOT_ALLOWED", ok, {"instrument": i.instrument}, ", ".join(i.instruments), "the account's list")


def _order_type(i: Inputs, d: Decision) -> Check:
    detail = f"order type is {i.order_type}, the paper venue takes MARKET"
    return Check("ORDER_TYPE_UNSUPPORTED", i.order_type == "MARKET", {"order_type": i.order_type}, "MARKET", detail)


def _short(i: Inputs, d: Decision) -> Check | None:
    if i.buy:
        return None
    return Check("SHORT_NOT_ALLOWED", i.may_short, {}, "", f"account may {'' if i.may_short else 'not '}be short")


def _fresh(i: Inputs, d: Decision) -> Check:
    limit = f"{i.max_price_age_ms} ms"
    if i.quote is None:
        return Check("PRICE_STALE", False, {}, limit, "there is no quote")
    age_ms = int((i.now - i.quote.time).total_seconds() * 1000)
    inputs = {"bid": format_decimal(i.quote.bid), "ask": format_decimal(i.quote.ask), "age_ms": str(age_ms)}
    sane = i.quote.bid > 0 and i.quote.ask >= i.quote.bid
    # A quote from the future is as wrong as an old one: the clocks disagree.
    ok = sane and abs(age_ms) <= i.max_price_age_ms
    return Check("PRICE_STALE", ok, inputs, limit, f"quote is {age_ms} ms old")


def _least_quantity(i: Inputs, d: Decision) -> Check:
    least = max(i.limits.get("min_order_quantity", ZERO), i.lot_size)
    return _at_least("ORDER_QUANTITY_BELOW_MINIMUM", "quantity", d.quantity, least)


def _exit_quantity(i: Inputs, d: Decision) -> Check:
    # Only what cannot be sent at all stops an exit: less than one lot.
    return _at_least("ORDER_QUANTITY_BELOW_MINIMUM", "quantity", d.quantity, i.lot_size)


def _most_quantity(i: Inputs, d: Decision) -> Check | None:
    return _at_most("ORDER_QUANTITY_ABOVE_MAXIMUM", "quantity", d.quantity, i.limits.get("max_order_quantity"))


def _least_notional(i: Inputs, d: Decision) -> Check:
    least = max(i.limits.get("min_order_notional", ZERO), i.minimum_notional)
    return _at_least("ORDER_NOTIONAL_BELOW_MINIMUM", "notional", d.notional, least)


def _most_notional(i: Inputs, d: Decision) -> Check | None:
    return _at_most("ORDER_NOTIONAL_ABOVE_MAXIMUM", "notional", d.notional, i.limits.get("max_order_notional"))


def _position_notional(i: Inputs, d: Decision) -> Check | None:
    held = abs(i.position) * d.price
    after = held + i.reserved_entry_notional + d.notional
    check = _at_most("POSITION_NOTIONAL_ABOVE_MAXIMUM", "notional_after", after, i.limits.get("max_position_notional"))
    if check is None:
        return None
    inputs = {
        "position_notional": format_decimal(held),
        "reserved_notional": format_decimal(i.reserved_entry_notional),
        "order_notional": format_decimal(d.notional),
    }
    return Check(check.reason, check.passed, inputs, check.limit, check.detail)


def _funds(i: Inputs, d: Decision) -> Check:
    inputs = {"hold": format_decimal(d.hold), "free_funds": format_decimal(i.free_funds)}
    detail = f"needs {format_decimal(d.hold)} with fee and buffer, free are {format_decimal(i.free_funds)}"
    return Check("INSUFFICIENT_FUNDS", d.hold <= i.free_funds, inputs, format_decimal(i.free_funds), detail)


def _at_least(reason: str, name: str, value: Decimal, limit: Decimal) -> Check:
    shown = format_decimal(value)
    detail = f"{name} is {shown}, the least is {format_decimal(limit)}"
    return Check(reason, value >= limit, {name: shown}, format_decimal(limit), detail)


def _at_most(reason: str, name: str, value: Decimal, limit: Decimal | None) -> Check | None:
    if limit is None:
        return None
    shown = format_decimal(value)
    detail = f"{name} is {shown}, the most is {format_decimal(limit)}"
    return Check(reason, value <= limit, {name: shown}, format_decimal(limit), detail)


CheckFunction = Callable[[Inputs, Decision], Check | None]
ENTRY_CHECKS: tuple[CheckFunction, ...] = (
    _not_halted,
    _not_reducing,
    _enabled,
    _mode,
    _instrument_allowed,
    _order_type,
    _short,
    _fresh,
    _known_sizing,
    _least_quantity,
    _most_quantity,
    _least_notional,
    _most_notional,
    _position_notional,
    _funds,
)
EXIT_CHECKS: tuple[CheckFunction, ...] = (_not_halted, _mode, _order_type, _fresh, _exit_quantity)
