"""Random inputs of a decision, from a seed, in the product's own values; nothing is calculated here.

`question` draws from few values, so that amounts meet their limits exactly, again and again; `wide_question` gives every
amount every digit that a message carries.
"""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from random import Random
from typing import Any

from vantixs_risk.domain.activity import MOST_APPROVED, Activity, EntryRecord
from vantixs_risk.domain.equity import EquityHistory, Holding, Mark
from vantixs_risk.domain.inputs import Books, Inputs, OrderRequest, Stop
from vantixs_risk.domain.ledger import Market, Position
from vantixs_risk.domain.reservations import Reservation
from vantixs_risk.domain.rules import Limits, Rules, Sizing

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)  # a Tuesday
NAMES = ("BTC/USDT", "ETH/USDT", "BTC/USDT:USDT", "ETH/USDT:USDT")
MARKETS = {name: Market.of(name) for name in (*NAMES, "ETH/BTC")}
FEW = [Decimal(text) for text in ("0.001", "0.5", "1", "1.999", "2", "3", "10", "20", "50", "100", "100.001", "1000")]
LARGE = [Decimal(text) for text in ("100", "200", "500", "1000", "2000", "5000", "10000")]
PRICES = [Decimal(text) for text in ("0.5", "1", "2", "10", "99.999", "100", "101")]
SIZES = ("UNITS", "NOTIONAL", "EQUITY_PERCENT", "RISK_PERCENT", "POSITION_PERCENT")
METHODS = ("FIXED_QUANTITY", "FIXED_NOTIONAL", "EQUITY_PERCENT", "RISK_PERCENT", "SIGNAL_QUANTITY", "KELLY")
TERMS = ("limit_price", "stop_price", "trail_percent", "trail_amount", "activation_price")
OTHERS = [f"buy {10**6 + n} BTC/USDT" for n in range(MOST_APPROVED)]
UNIT = Decimal("0.000000000000000001")


@cache
def ago(age_s: float) -> datetime:
    """A time before NOW."""
    return NOW - timedelta(seconds=age_s)


class Draw:
    """A source of values.

    A test draws a million of them: what is drawn most often takes one call of `random`, a third of the time of `choice`.
    """

    def __init__(self, seed: object) -> None:
        self.random = Random(str(seed))

    def of(self, values: Any) -> Any:
        """One of the values."""
        return values[int(self.random.random() * len(values))]

    def many(self, values: Any, count: int) -> list[Any]:
        """So many of the values, each as often as it comes."""
        return self.random.choices(values, k=count)

    def once_in(self, times: int) -> bool:
        """True, so often."""
        return self.random.random() * times < 1

    def some(self, values: Any, times: int = 4) -> Any:
        """One of the values once in so often, otherwise None."""
        return self.of(values) if self.once_in(times) else None

    def ago(self, *ages_s: float) -> datetime:
        """A time before NOW; after it for an age below 0."""
        return ago(self.of(ages_s))

    def wide(self) -> Decimal:
        """Above 0, of at most 20 digits before the point and 18 behind it."""
        exponent = self.random.choice([0, 1, 18, 30, 37, 38, self.random.randint(0, 38), self.random.randint(0, 38)])
        return Decimal(max(10**exponent - self.random.choice([0, 1, self.random.randrange(10**exponent)]), 1)).scaleb(
            -18
        )


def quote(draw: Draw, *ages_s: float) -> Mark:
    """A quote, once in a while with its bid above its ask."""
    low, high = sorted((draw.of(PRICES), draw.of(PRICES)))
    bid, ask = (high, low) if draw.once_in(15) else (low, high)
    return Mark(bid, ask, draw.ago(*ages_s))


def holding(draw: Draw, name: str) -> Holding:
    """A position, once in a while without a mark."""
    quantity = draw.of(FEW) * draw.of([1, 1, -1])
    low, high = sorted((draw.of(PRICES), draw.of(PRICES)))
    mark = (
        None if draw.once_in(10) else Mark(low, high, draw.ago(0, 1, 1, 299, 300, 300.000001, 301, -300, -300.000001))
    )
    return Holding(MARKETS[name], Position(quantity, quantity * draw.of(PRICES)), mark)


def open_order(draw: Draw) -> Reservation:
    """An entry or an exit, part filled, or filled beyond what was approved."""
    quantity, entry = draw.of(FEW), draw.once_in(2)
    notional = quantity * draw.of(PRICES)
    filled = quantity * draw.of([Decimal(0), Decimal(0), Decimal("0.5"), Decimal("0.3"), Decimal(2)])
    name, hold = draw.of(NAMES), notional / 2 if entry else Decimal(0)
    leg = not entry and draw.once_in(2)
    return Reservation(name, entry, draw.once_in(2), quantity, notional, hold, filled, leg)


def limits(draw: Draw, times: int = 5) -> Limits:
    """Each limit set once in so often."""
    return Limits(
        min_order_notional=draw.some(FEW, times),
        max_order_notional=draw.some(LARGE, times),
        max_position_notional=draw.some(LARGE, times),
        max_gross_exposure=draw.some(LARGE, times),
        max_open_positions=draw.some([1, 2, 3, 4], times),
        max_leverage=draw.some(FEW, times),
        max_daily_loss=draw.some(LARGE, times),
        max_drawdown_percent=draw.some([Decimal(1), Decimal(10), Decimal(50), Decimal(100)], times),
        loss_cooldown_s=draw.some([1, 60, 3600], times),
        max_orders_per_minute=draw.some([1, 2, 3, 4], times),
        max_price_deviation_bps=draw.some([1, 100, 5000, 10_000], times),
        max_price_age_ms=draw.some([1000, 2000], times),
        min_order_quantity=draw.some(FEW[:6], times),
        max_order_quantity=draw.some(FEW[4:], times),
        duplicate_order_window_s=draw.some([1, 60], times),
        max_mark_age_s=draw.some([1, 300], times),
    )


def sizing(draw: Draw) -> Sizing:
    """One of the six."""
    method = draw.of(METHODS)
    if method == "SIGNAL_QUANTITY":
        return Sizing(method, draw.some(FEW, 2))
    if method != "KELLY":
        return Sizing(method, draw.of(FEW))
    return Sizing(
        method,
        draw.of([Decimal("0.5"), Decimal(1), Decimal("0.001"), 1 + UNIT]),
        draw.of([Decimal("0.4"), Decimal("0.5"), Decimal("0.6"), 1 - UNIT, Decimal(1), None]),
        draw.of([UNIT, Decimal(1), Decimal("1.5"), Decimal(3), Decimal(10**19)]),
        draw.of(FEW),
    )


def rules(draw: Draw) -> Rules:
    """An account, mostly one that may trade."""
    return Rules(
        "paper",
        "LIVE" if draw.once_in(8) else "PAPER",
        "USDT",
        enabled=not draw.once_in(15),
        live_enabled=not draw.once_in(3),
        credential_id="" if draw.once_in(3) else "c1",
        may_short=not draw.once_in(4),
        instruments=frozenset(NAMES[:2]) if draw.once_in(10) else frozenset(),
        strategies=frozenset({"s1"}) if draw.once_in(10) else frozenset(),
        sizing=sizing(draw) if draw.once_in(2) else None,
        limits=limits(draw),
        margin_leverage=draw.some([Decimal(1), Decimal(2), Decimal(10)], 3),
    )


def activity(draw: Draw, order: OrderRequest) -> Activity:
    """What an account did lately, at and around the ends of the windows."""
    ages = draw.random.sample([0, 1, 59, 60, 61, -1], draw.random.randrange(3))
    seconds = tuple((int(NOW.timestamp()) - age, draw.random.randint(1, 2)) for age in sorted(ages, reverse=True))
    side = "buy" if order.buy else "sell"

    def entries(count: int) -> list[EntryRecord]:
        terms = "".join(f" {name} {getattr(order, name):f}" for name in TERMS if getattr(order, name) is not None)
        terms = "" if order.order_type == "MARKET" else f" {order.order_type}{terms}"
        other = f" LIMIT limit_price {draw.of([99, 100])}"
        sides, quantities = draw.many([side, "buy", "sell"], count), draw.many([1, 2, 3, 10, 100], count)
        names = draw.many([order.market.instrument, *NAMES], count)
        ends, times = draw.many(["", terms, other], count), draw.many([0, 0.999999, 1, 59.999999, 60, -1], count)
        found = [
            EntryRecord(f"{side} {quantity} {name}{end}", ago(age_s))
            for side, quantity, name, end, age_s in zip(sides, quantities, names, ends, times, strict=True)
        ]
        return sorted(found, key=lambda entry: entry.time)

    # Of each kind the latest one is remembered.
    approved = list({entry.key: entry for entry in entries(draw.random.randrange(20))}.values())
    if draw.once_in(20):
        # As many as are remembered, all of the last minute but for one.
        times = draw.many([ago(0), ago(59.999999)], MOST_APPROVED - len(approved))
        approved = [EntryRecord(key, time) for key, time in zip(OTHERS, times, strict=False)] + approved
        if draw.once_in(2):
            approved[0] = approved[0]._replace(time=draw.ago(60))
    last_loss = None if draw.once_in(2) else draw.ago(0, 0.999999, 1, 59.999999, 60, 3600, -3600)
    # What was only asked for, and failures, are for the breakers and no check's.
    asked = tuple(entries(draw.random.randrange(20)))
    return Activity(seconds, asked, tuple(approved), draw.of([0, 3]), last_loss=last_loss)


def terms(draw: Draw, *, of_leg: bool) -> dict[str, Any]:
    """Type and prices of an order, once in a while one that is not known, or that lacks what it needs."""
    if draw.once_in(2) and not of_leg:
        return {}
    kind = "ICEBERG" if draw.once_in(20) else draw.of(["MARKET", "LIMIT", "STOP", "STOP_LIMIT", "TRAILING_STOP"])
    few = 30
    found = {
        "limit_price": None if draw.once_in(few) else draw.of(PRICES),
        "stop_price": None if draw.once_in(2 if kind == "TRAILING_STOP" else few) else draw.of(PRICES),
        "trail_percent": draw.some([Decimal("0.5"), Decimal(3), Decimal(100)], 2),
        "trail_amount": draw.some([Decimal("0.001"), Decimal(1), Decimal(2)], 2),
        "activation_price": draw.some(PRICES, 2),
    }
    return {"order_type": kind, **found, "leg": draw.of(["STOP_LOSS", "TAKE_PROFIT", "CLOSE"]) if of_leg else ""}


def question(seed: object, *, entry: bool | None = None, leg: bool = False) -> Inputs:
    """Anything that can be asked; legs are asked for where `leg` says so."""
    draw = Draw(seed)
    account = rules(draw)
    signal = draw.some(FEW, 3)
    order = OrderRequest(
        market=MARKETS["ETH/BTC" if draw.once_in(30) else draw.of(NAMES)],
        lot_size=draw.of([Decimal("0.001"), Decimal("0.3"), Decimal(1), UNIT]),
        buy=not draw.once_in(3),
        entry=not leg and (draw.once_in(2) if entry is None else entry),
        mode="LIVE" if draw.once_in(15) else account.mode,
        minimum_notional=draw.of([Decimal(0), Decimal(0), Decimal(1), Decimal(10)]),
        order_quantity=draw.of(FEW) if leg else draw.some(FEW),
        sizing=sizing(draw) if account.sizing is None and not draw.once_in(20) else None,
        signal_quantity=signal,
        signal_quantity_type="UNITS" if signal is None else draw.of(SIZES),
        signal_previous_quantity=draw.some(FEW, 3),
        signal_price=draw.some(PRICES, 2),
        stop=Stop(draw.of(["PRICE", "PERCENT", "AMOUNT"]), draw.of(FEW + PRICES)) if draw.once_in(2) else None,
        quote=None if draw.once_in(20) else quote(draw, 0, 0, 0, 0, 1, 1.000001, 5, 5.000001, -5, -5.000001),
        fee_bps=draw.of([Decimal(0), Decimal(10)]),
        strategy_id=draw.of(["", "s1"]),
        **terms(draw, of_leg=leg),
    )
    names = draw.random.sample(NAMES, draw.random.randrange(4))
    books = Books(
        draw.of([*LARGE, Decimal(0), Decimal(-50)]),
        EquityHistory(date(2026, 11, 24), draw.of([*LARGE, Decimal(0), Decimal(-50)]), draw.of([*LARGE, Decimal(0)])),
        {name: holding(draw, name) for name in names},
        tuple(open_order(draw) for _ in range(draw.random.randrange(4))),
        activity(draw, order),
    )
    states = draw.of([{}] * 8 + [{"global": "REDUCING"}, {"account:paper": "HALTED", "strategy:s1": "REDUCING"}])
    return Inputs(order, account, books, NOW, states, 5000, 300, draw.of([Decimal(0), Decimal(50)]))


def wide_question(seed: object) -> Inputs:
    """A question whose amounts may have every digit that a message carries."""
    draw = Draw(seed)
    method = draw.of(METHODS)
    part = [Decimal(draw.random.randint(1, 10**18 - 1)).scaleb(-18) for _ in range(2)]
    size = Sizing(method, draw.wide())
    if method == "KELLY":
        size = Sizing(method, part[0], part[1], draw.wide(), draw.wide())
    names = ("max_order_notional", "max_position_notional", "max_gross_exposure", "max_leverage", "max_daily_loss")
    set_limits: dict[str, Any] = {name: draw.wide() for name in names if draw.once_in(3)}
    market = MARKETS[draw.of(NAMES)]
    bid, ask = sorted((draw.wide(), draw.wide()))
    order = OrderRequest(
        market,
        draw.wide(),
        draw.once_in(2),
        draw.once_in(2),
        minimum_notional=draw.wide(),
        order_quantity=draw.wide() if draw.once_in(3) else None,
        signal_quantity=draw.wide() if draw.once_in(2) else None,
        signal_quantity_type=draw.of(SIZES),
        signal_previous_quantity=draw.wide() if draw.once_in(3) else None,
        signal_price=draw.wide(),
        stop=Stop(draw.of(["PRICE", "PERCENT", "AMOUNT"]), draw.wide()),
        quote=Mark(bid, ask, NOW),
        fee_bps=draw.wide(),
    )
    held = {}
    for name in draw.random.sample(NAMES, draw.random.randrange(3)):
        low, high = sorted((draw.wide(), draw.wide()))
        quantity = draw.wide() * draw.of([1, -1])
        cost = draw.wide().copy_sign(quantity)
        held[name] = Holding(MARKETS[name], Position(quantity, cost), Mark(low, high, NOW))
    account = Rules(
        "paper", "PAPER", "USDT", may_short=True, sizing=size, limits=Limits(max_price_deviation_bps=5, **set_limits)
    )
    quantity = draw.wide()
    filled = draw.of([Decimal(0), min(quantity, draw.wide())])
    reservation = Reservation(market.instrument, draw.once_in(2), True, quantity, draw.wide(), draw.wide(), filled)
    books = Books(draw.wide(), EquityHistory(NOW.date(), draw.wide(), draw.wide()), held, (reservation,))
    return Inputs(order, account, books, NOW, {}, 5000, 300, Decimal(50))
