"""The three tables of checks: for entries, for exits, for legs of brackets. A decision has no checks beside these.

An entry has to pass every limit. An exit has to pass only what would make the exit itself wrong, so that no limit for entries
keeps a position open (ADR 0010). A leg of a bracket protects a position, also while trading is halted. It has to pass only
what would make it impossible to send.
"""

from vantixs_risk.domain.activity_checks import cooled_down, daily_loss_below, drawdown_below, not_repeated, rate_below
from vantixs_risk.domain.check import Rule
from vantixs_risk.domain.eligibility_checks import (
    account_enabled,
    credential_there,
    currency_matches,
    in_trading_window,
    instrument_allowed,
    known_by,
    live_ready,
    not_halted,
    not_reducing,
    order_type_known,
    same_mode,
    short_allowed,
    something_to_close,
    strategy_allowed,
    terms_complete,
)
from vantixs_risk.domain.price_checks import marks_fresh, paper_price_there, price_fresh, price_near
from vantixs_risk.domain.size_checks import (
    exposure_most,
    funds_enough,
    leverage_most,
    notional_least,
    notional_most,
    open_positions_most,
    position_notional_most,
    quantity_least,
    quantity_most,
    quantity_one_lot,
)
from vantixs_risk.domain.sizing import FAILURES

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
    Rule("ORDER_TERMS_INVALID", terms_complete),
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
    Rule("ORDER_TERMS_INVALID", terms_complete),
    Rule("PRICE_STALE", paper_price_there),
    Rule("NOTHING_TO_CLOSE", something_to_close),
    Rule("ORDER_QUANTITY_BELOW_MINIMUM", quantity_one_lot),
)
LEG: tuple[Rule, ...] = (
    Rule("LIVE_NOT_READY", same_mode),
    Rule("CREDENTIAL_MISSING", credential_there),
    Rule("ORDER_TYPE_UNSUPPORTED", order_type_known),
    Rule("ORDER_TERMS_INVALID", terms_complete),
    Rule("NOTHING_TO_CLOSE", something_to_close),
    Rule("ORDER_QUANTITY_BELOW_MINIMUM", quantity_one_lot),
)
