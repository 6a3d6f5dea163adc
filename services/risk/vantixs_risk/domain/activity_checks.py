"""Checks of what the account did: losses, rates, repeats. Pure."""

from datetime import timedelta
from decimal import Decimal

from vantixs_risk.domain.check import CheckContext, CheckResult
from vantixs_risk.domain.exact import show
from vantixs_risk.domain.inputs import Inputs
from vantixs_risk.domain.metrics import age_ms
from vantixs_risk.domain.terms import given_prices


def daily_loss_below(c: CheckContext) -> CheckResult | None:
    """The day's loss has not reached its limit."""
    limit, history = c.inputs.rules.limits.max_daily_loss, c.inputs.books.equity_history
    if limit is None:
        return None
    equity = c.metrics.valuation.equity
    loss = history.daily_loss(equity)
    lost, most = show(loss), show(limit)
    inputs = {"day_equity": show(history.day_equity), "equity": show(equity), "daily_loss": lost}
    below = loss < limit
    detail = "" if below else f"the day's loss is {lost}, the limit {most}"
    return CheckResult(below, detail, inputs, most)


def drawdown_below(c: CheckContext) -> CheckResult | None:
    """The drawdown from the peak of equity has not reached its limit."""
    limit, history = c.inputs.rules.limits.max_drawdown_percent, c.inputs.books.equity_history
    if limit is None:
        return None
    equity = c.metrics.valuation.equity
    percent, most = show(history.drawdown_percent(equity)), show(limit)
    inputs = {"peak_equity": show(history.peak), "equity": show(equity), "drawdown_percent": percent}
    # Without a peak above 0 there is no drawdown. The check of funds decides then.
    below = not history.has_fallen(equity, limit)
    detail = "" if below else f"equity is {percent} % below its peak, the limit {most} %"
    return CheckResult(below, detail, inputs, most)


def cooled_down(c: CheckContext) -> CheckResult | None:
    """The last loss is long enough ago."""
    limit, last, now = c.inputs.rules.limits.loss_cooldown_s, c.inputs.books.activity.last_loss, c.inputs.now
    if limit is None:
        return None
    if last is None:
        return CheckResult(True, limit=f"{limit} s")
    over = now - last >= timedelta(seconds=limit)
    detail = "" if over else f"the last loss was {age_ms(now, last)} ms ago, the least is {limit} s"
    return CheckResult(over, detail, {"last_loss_time": last.isoformat()}, f"{limit} s")


def rate_below(c: CheckContext) -> CheckResult | None:
    """With this order the rate of orders is within its limit."""
    limit = c.inputs.rules.limits.max_orders_per_minute
    if limit is None:
        return None
    count = c.inputs.books.activity.orders_last_minute(c.inputs.now) + 1
    passed = count <= limit
    detail = "" if passed else f"with this one {count} orders in a minute, the most is {limit}"
    return CheckResult(passed, detail, {"orders_last_minute": str(count)}, str(limit))


def not_repeated(c: CheckContext) -> CheckResult | None:
    """No entry of the same instrument, side, quantity and prices was approved within the window.

    One that takes another order's place is no repeat, whatever it says: that one was canceled for it.
    """
    window = c.inputs.rules.limits.duplicate_order_window_s
    if window is None:
        return None
    key = approved_key(c.inputs, c.quantity)
    if c.inputs.order.replaces:
        return CheckResult(True, inputs={"order": key, "replaces": c.inputs.order.replaces}, limit=f"{window} s")
    activity = c.inputs.books.activity
    if same := activity.approved_since(key, c.inputs.now, window):
        detail = f"{key} was approved at {same.time.isoformat()}, within {window} s"
    elif activity.full(c.inputs.now, window):
        detail = f"more entries were approved within {window} s than are remembered, so a repeat cannot be told"
    else:
        return CheckResult(True, inputs={"order": key}, limit=f"{window} s")
    return CheckResult(False, detail, {"order": key}, f"{window} s")


def entry_key(inputs: Inputs, quantity: Decimal) -> str:
    """The key by which entries that were asked for count as the same, whatever their prices, for example "buy 0.01 BTC/USDT"."""
    return f"{'buy' if inputs.order.buy else 'sell'} {show(quantity)} {inputs.order.market.instrument}"


def approved_key(inputs: Inputs, quantity: Decimal) -> str:
    """The key by which approved entries count as the same: "buy 0.01 BTC/USDT", of one that rests "... LIMIT limit_price 95".

    A ladder of entries at different prices is no repeat; the same rung twice is.
    """
    order = inputs.order
    if order.order_type == "MARKET":
        return entry_key(inputs, quantity)
    prices = (f"{name} {show(price)}" for name, price in given_prices(order).items())
    return " ".join((entry_key(inputs, quantity), order.order_type, *prices))
