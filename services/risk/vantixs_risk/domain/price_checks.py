"""Checks of whether prices are valid, fresh and plausible. Pure."""

from datetime import timedelta
from decimal import Decimal

from vantixs_risk.domain.check import CheckContext, CheckResult
from vantixs_risk.domain.equity import Holding, Mark
from vantixs_risk.domain.exact import divide_down, show
from vantixs_risk.domain.metrics import age_ms, fresh, sane

BPS = Decimal(10_000)


def price_fresh(c: CheckContext) -> CheckResult:
    """The quote is valid and fresh."""
    quote, now = c.inputs.order.quote, c.inputs.now
    most = c.inputs.rules.limits.max_price_age_ms or c.inputs.max_price_age_ms
    if quote is None:
        return CheckResult(False, "there is no quote", limit=f"{most} ms")
    passed = fresh(quote, now, most)
    detail = ""
    if not passed:
        detail = f"quote is {age_ms(now, quote.time)} ms old, the most is {most} ms" if sane(quote) else _mad(quote)
    return CheckResult(passed, detail, _quote_inputs(c, quote), f"{most} ms")


def paper_price_there(c: CheckContext) -> CheckResult | None:
    """There is a valid quote of any age, where the paper venue fills at it. A real venue has its own price."""
    quote = c.inputs.order.quote
    if c.inputs.order.mode != "PAPER":
        return None
    if quote is None:
        return CheckResult(False, "the paper venue fills at the quote, and there is none")
    return CheckResult(sane(quote), "" if sane(quote) else _mad(quote), _quote_inputs(c, quote))


def marks_fresh(c: CheckContext) -> CheckResult | None:
    """Every other position has a fresh price, where the decision depends on the account's equity."""
    others = [h for name, h in sorted(c.inputs.books.holdings.items()) if name != c.inputs.order.market.instrument]
    if not others or not _needs_worth(c):
        return None
    most = c.inputs.rules.limits.max_mark_age_s or c.inputs.max_mark_age_s
    limit = timedelta(seconds=most)
    old = sorted(h.market.instrument for h in others if h.mark is None or abs(c.inputs.now - h.mark.time) > limit)
    shown = {f"age_ms {h.market.instrument}": _mark_age(c, h) for h in others}
    return CheckResult(not old, f"no price within {most} s for {', '.join(old)}" if old else "", shown, f"{most} s")


def price_near(c: CheckContext) -> CheckResult | None:
    """The signal's price is near the quote. The order's own price may be far from it where it rests."""
    limit, signal = c.inputs.rules.limits.max_price_deviation_bps, c.inputs.order.signal_price
    price = c.metrics.quote_price
    if limit is None or signal is None or not price:
        return None
    apart = abs(signal - price) * BPS
    shown, passed = show(divide_down(apart, price)), apart <= limit * price
    inputs = {"signal_price": show(signal), "reference_price": show(price), "deviation_bps": shown}
    detail = "" if passed else f"prices are {shown} bps apart, the most is {limit}"
    return CheckResult(passed, detail, inputs, f"{limit} bps")


def _mad(quote: Mark) -> str:
    return f"expected 0 < bid <= ask, was bid {show(quote.bid)}, ask {show(quote.ask)}"


def _quote_inputs(c: CheckContext, quote: Mark) -> dict[str, str]:
    return {"bid": show(quote.bid), "ask": show(quote.ask), "age_ms": str(age_ms(c.inputs.now, quote.time))}


def _mark_age(c: CheckContext, holding: Holding) -> str:
    return "unknown" if holding.mark is None else str(age_ms(c.inputs.now, holding.mark.time))


def _needs_worth(c: CheckContext) -> bool:
    """Whether a limit, the sizing or margin depends on what other positions are worth."""
    limits, sizing = c.inputs.rules.limits, c.inputs.order.sizing or c.inputs.rules.sizing
    methods = {sizing.method if sizing else "", c.inputs.order.signal_quantity_type}
    return (
        limits.max_gross_exposure is not None
        or limits.max_leverage is not None
        or limits.max_daily_loss is not None
        or limits.max_drawdown_percent is not None
        or bool(methods & {"EQUITY_PERCENT", "RISK_PERCENT", "KELLY"})
        or any(holding.margin(c.inputs.rules.leverage) for holding in c.inputs.books.holdings.values())
    )
