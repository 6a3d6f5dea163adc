"""Orders of an account through two processes on one SQLite file, against a model of a few lines that has no reservations.

The model knows orders, what of them may still fill, and positions. Every price is 10, without fees, so that each amount is
a number times 10 and each verdict can be foretold exactly. Orders rest at that price too, and legs of brackets are asked for beside
other exits.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from random import Random

import pytest
import sqlalchemy as sa
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.runtime.database import Database
from vantixs.runtime.health import Health
from vantixs.runtime.journal import Journal
from vantixs.runtime.outbox import Outbox
from vantixs_risk import store
from vantixs_risk.accounts import create_account, get_account
from vantixs_risk.main import MIGRATIONS
from vantixs_risk.settings import RiskSettings
from vantixs_risk.unit_context import UnitContext

from tests.reference.books import assets, is_perpetual, sum_by_asset
from tests.reference.sequences import text
from tests.support.risk_fixture import decide, settle

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
NAMES = ("BTC/USDT", "ETH/USDT", "BTC/USDT:USDT")
LOT = Fraction(1, 1000)
PRICE, CASH, POSITION_MOST, EXPOSURE_MOST, POSITIONS_MOST = 10, 600, 200, 450, 2
ENDS = (
    common_pb2.ORDER_STATE_FILLED,
    common_pb2.ORDER_STATE_CANCELED,
    common_pb2.ORDER_STATE_REJECTED,
    common_pb2.ORDER_STATE_EXPIRED,
)
ZERO = Fraction(0)
TYPES = [number for number in common_pb2.OrderType.values() if number]
LEGS = [number for number in order_pb2.BracketLeg.values() if number]


@dataclass
class Order:
    """An order that was approved."""

    instrument: str
    entry: bool
    buy: bool
    quantity: Fraction
    leg: bool = False
    filled: Fraction = ZERO
    ended: bool = False

    @property
    def leaves(self) -> Fraction:
        return ZERO if self.ended else max(self.quantity - self.filled, ZERO)


class Model:
    """What an account has, and what may still come."""

    def __init__(self) -> None:
        self.cash = Fraction(CASH)
        self.positions: dict[str, Fraction] = defaultdict(Fraction)
        self.orders: dict[str, Order] = {}

    def entering(self, *names: str) -> Fraction:
        """What open entries of the instruments may still bring in, in quote units."""
        orders = [o for o in self.orders.values() if o.entry and o.instrument in names]
        return sum((order.leaves for order in orders), ZERO) * PRICE

    def closable(self, name: str) -> Fraction:
        exits = [o for o in self.orders.values() if not o.entry and not o.leg and o.instrument == name]
        return max(abs(self.positions[name]) - sum((o.leaves for o in exits), ZERO), ZERO)

    def free(self) -> Fraction:
        """Cash less what positions and open entries hold."""
        held = self.entering(*NAMES)
        for name, quantity in self.positions.items():
            if is_perpetual(name):
                held += abs(quantity) * PRICE
            elif quantity < 0:
                # Its worth is owed, and as much is collateral.
                held += 2 * abs(quantity) * PRICE
        return self.cash - held

    def takes(self, name: str, notional: Fraction) -> bool:
        """Whether an entry of the notional fits."""
        held = {n: abs(q) * PRICE for n, q in self.positions.items()}
        # Less than a lot is no open position.
        open_ = {n for n in NAMES if held.get(n, ZERO) >= LOT * PRICE or self.entering(n)}
        return (
            held.get(name, ZERO) + self.entering(name) + notional <= POSITION_MOST
            and sum(held.values(), ZERO) + self.entering(*NAMES) + notional <= EXPOSURE_MOST
            and (name in open_ or len(open_ | {name}) <= POSITIONS_MOST)
            and notional <= self.free()
        )

    def fill(self, order: Order, quantity: Fraction) -> None:
        signed = quantity if order.buy else -quantity
        order.filled += quantity
        self.positions[order.instrument] += signed
        if not is_perpetual(order.instrument):
            self.cash -= signed * PRICE
        # What is filled has ended, whether anybody says so or not.
        order.ended = order.ended or order.filled >= order.quantity


class Run:
    """Random requests of one account."""

    def __init__(self, connection: sa.Connection, contexts: list[UnitContext], seed: int) -> None:
        self.connection, self.contexts, self.random = connection, contexts, Random(seed)
        self.account_id, self.model, self.count = f"account-{seed}", Model(), 0
        account = risk_pb2.Account(
            account_id=self.account_id,
            mode=common_pb2.MODE_PAPER,
            currency="USDT",
            balance=str(CASH),
            enabled=True,
            may_short=True,
            limits=risk_pb2.Limits(
                max_position_notional=str(POSITION_MOST),
                max_gross_exposure=str(EXPOSURE_MOST),
                max_open_positions=POSITIONS_MOST,
            ),
        )
        create_account(connection, contexts[0], risk_pb2.CreateAccountRequest(account=account), "test", NOW)
        # An account's time never goes back, and a quote has to be of that time.
        self.now = NOW

    def context(self) -> UnitContext:
        """One of the processes."""
        return self.random.choice(self.contexts)

    def step(self) -> None:
        self.count += 1
        self.now += timedelta(milliseconds=self.random.choice([0, 1, 900]))
        if self.model.orders and self.random.random() < 0.6:
            self.settle()
        else:
            self.evaluate()
        self.check()

    def evaluate(self) -> None:
        name, entry, model = self.random.choice(NAMES), self.random.random() < 0.6, self.model
        held, buy = model.positions[name], self.random.random() < 0.5
        if not entry and held and self.random.random() < 0.8:
            buy = held < 0
        leg = bool(held) and self.random.random() < 0.3
        if leg:
            entry, buy = False, held < 0
        wanted = Fraction(self.random.choice([1, 3, 5, 7, 10, 15, 20, 25, 45]), self.random.choice([1, 1, 2, 3, 7]))
        wanted = Fraction(int(wanted * 1000), 1000)
        base, quote = assets(name)
        order_id = f"{self.account_id}-{self.count}"
        request = risk_pb2.EvaluateOrderRequest(
            order=order_pb2.Order(
                order_id=order_id,
                account_id=self.account_id,
                instrument=name,
                side=common_pb2.SIDE_BUY if buy else common_pb2.SIDE_SELL,
                effect=order_pb2.ORDER_EFFECT_ENTRY if entry else order_pb2.ORDER_EFFECT_EXIT,
                order_type=self.random.choice(TYPES),
                limit_price=str(PRICE),
                stop_price=str(PRICE),
                mode=common_pb2.MODE_PAPER,
                quantity=text(wanted),
                leg=self.random.choice(LEGS) if leg else order_pb2.BRACKET_LEG_UNSPECIFIED,
            ),
            assumed_position_quantity=text(held),
            sizing=common_pb2.Sizing(method=common_pb2.SIZING_METHOD_FIXED_QUANTITY, value="1000"),
            quote=common_pb2.Quote(instrument=name, bid=str(PRICE), ask=str(PRICE)),
            instrument=common_pb2.Instrument(
                instrument=name,
                kind=common_pb2.INSTRUMENT_KIND_LINEAR_PERPETUAL
                if is_perpetual(name)
                else common_pb2.INSTRUMENT_KIND_SPOT,
                base_asset=base,
                quote_asset=quote,
                lot_size=str(float(LOT)),
            ),
        )
        request.quote.quote_time.FromDatetime(self.now)
        if entry:
            quantity, approved = wanted, model.takes(name, wanted * PRICE)
        elif leg:
            # All that is held, whatever other exits take.
            quantity = wanted if wanted <= abs(held) else Fraction(int(abs(held) * 1000), 1000)
            approved = quantity >= LOT
        else:
            # Down to the lot.
            quantity = Fraction(int(min(wanted, model.closable(name)) * 1000), 1000)
            approved = quantity > 0 and (held < 0) == buy
        (decision,) = decide(self.connection, self.context(), [request], self.now)
        assert (decision.verdict == order_pb2.RISK_VERDICT_APPROVED) == approved, (self.count, decision.checks)
        if approved:
            assert Fraction(decision.quantity) == quantity
            model.orders[order_id] = Order(name, entry, buy, quantity, leg)
        # Asked again, by whatever process, at whatever time: the same answer, and nothing more is held.
        other_time = self.now + timedelta(hours=self.random.choice([-1, 0, 1]))
        assert decide(self.connection, self.context(), [request], other_time) == [decision]

    def settle(self) -> None:
        order_id = self.random.choice(list(self.model.orders))
        order = self.model.orders[order_id]
        request = risk_pb2.SettleOrderRequest(order_id=order_id)
        part = self.random.choice([0, 1, 1, 2, 3, 4])
        # All of it, a part, more than there is; also of orders that have ended.
        quantity = {0: ZERO, 4: Fraction(1, 2)}.get(part, (order.quantity - order.filled) / (part or 1))
        quantity = Fraction(int(quantity * 10**6), 10**6)
        if quantity > 0 and (order.leaves or self.random.random() < 0.1):
            request.fills.add(
                execution_id=f"{self.account_id}-{self.count}",
                order_id=order_id,
                side=common_pb2.SIDE_BUY if order.buy else common_pb2.SIDE_SELL,
                quantity=text(quantity),
                price=str(PRICE),
            )
            self.model.fill(order, quantity)
        if self.random.random() < 0.4:
            request.final, request.order_state = True, self.random.choice(ENDS)
            order.ended = True
        for _ in range(self.random.choice([1, 2])):
            settle(self.connection, self.context(), [request], self.now)

    def check(self) -> None:
        """What GetAccount shows is what the model has, and every asset adds up to 0."""
        shown, model = get_account(self.connection, self.account_id, self.now), self.model
        positions = {p.instrument: Fraction(p.quantity) for p in shown.positions}
        assert positions == {name: quantity for name, quantity in model.positions.items() if quantity}
        leaves = {o.order_id: Fraction(o.quantity) - Fraction(o.filled_quantity) for o in shown.open_orders}
        assert leaves == {order_id: order.leaves for order_id, order in model.orders.items() if order.leaves}
        holds = {o.order_id: Fraction(o.hold) for o in shown.open_orders}
        entries = {i: o.leaves * PRICE if o.entry else ZERO for i, o in model.orders.items() if o.leaves}
        assert holds == entries
        assert Fraction(shown.free_funds) == model.free()
        assert Fraction(shown.equity) == CASH
        used = {h.name: Fraction(h.used) for h in shown.headroom}
        exposure = sum((abs(quantity) for quantity in model.positions.values()), ZERO) * PRICE
        assert used["max_gross_exposure"] == exposure + model.entering(*NAMES)
        rows = store.READ_BALANCES.rows(self.connection, account_id=self.account_id)
        assert not any(sum_by_asset(((row.book, row.asset), Fraction(row.amount)) for row in rows).values())


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    settings = replace(RiskSettings(), database_url=f"sqlite:///{tmp_path / 'risk.db'}")
    opened = await Database.open(settings, "risk", MIGRATIONS)
    yield opened
    await opened.close()


async def test_verdicts_and_reservations_are_those_of_a_model_without_any(database: Database) -> None:
    settings = replace(RiskSettings(), price_buffer_bps=0)
    contexts = [UnitContext(settings, Outbox(store.OUTBOX, database, Journal(settings, Health()))) for _ in range(2)]

    def run(seed: int) -> int:
        def unit(connection: sa.Connection) -> int:
            account = Run(connection, contexts, seed)
            for _ in range(40):
                account.step()
            return len(account.model.orders)

        return unit

    counts = await asyncio.gather(*(database.write(run(seed)) for seed in range(30)))
    assert sum(counts) > 150


LIMITS = {
    "LOSS_COOLDOWN_ACTIVE": {"loss_cooldown_s": 600},
    "DUPLICATE_ORDER": {"duplicate_order_window_s": 600},
    "ORDER_RATE_EXCEEDED": {"max_orders_per_minute": 1},
    "DAILY_LOSS_LIMIT_REACHED": {"max_daily_loss": "10"},
    "DRAWDOWN_LIMIT_REACHED": {"max_drawdown_percent": "1"},
}


@pytest.mark.parametrize("reason", LIMITS)
@pytest.mark.parametrize("back", [timedelta(seconds=1), timedelta(hours=1), timedelta(days=2)])
async def test_a_limit_that_holds_still_holds_when_the_clock_goes_back(
    database: Database, reason: str, back: timedelta
) -> None:
    settings = RiskSettings()

    def context() -> UnitContext:
        return UnitContext(settings, Outbox(store.OUTBOX, database, Journal(settings, Health())))

    def unit(connection: sa.Connection) -> list[set[str]]:
        account = risk_pb2.Account(
            account_id="paper",
            mode=common_pb2.MODE_PAPER,
            currency="USDT",
            balance="1000",
            enabled=True,
            limits=risk_pb2.Limits(**LIMITS[reason]),  # type: ignore[arg-type]
        )
        first = context()
        create_account(
            connection, first, risk_pb2.CreateAccountRequest(account=account), "test", NOW - timedelta(days=3)
        )

        def buy(order_id: str, now: datetime, by: UnitContext) -> order_pb2.RiskDecision:
            request = risk_pb2.EvaluateOrderRequest(
                order=order_pb2.Order(
                    order_id=order_id,
                    account_id="paper",
                    instrument="BTC/USDT",
                    side=common_pb2.SIDE_BUY,
                    effect=order_pb2.ORDER_EFFECT_ENTRY,
                    order_type=common_pb2.ORDER_TYPE_MARKET,
                    mode=common_pb2.MODE_PAPER,
                ),
                assumed_position_quantity="0",
                sizing=common_pb2.Sizing(method=common_pb2.SIZING_METHOD_FIXED_QUANTITY, value="2"),
                quote=common_pb2.Quote(instrument="BTC/USDT", bid="10", ask="10"),
                instrument=common_pb2.Instrument(
                    instrument="BTC/USDT",
                    kind=common_pb2.INSTRUMENT_KIND_SPOT,
                    base_asset="BTC",
                    quote_asset="USDT",
                    lot_size=str(float(LOT)),
                ),
            )
            # The router's clock is another one; it is right.
            request.quote.quote_time.FromDatetime(NOW)
            return decide(connection, by, [request], now)[0]

        def failed(decision: order_pb2.RiskDecision) -> set[str]:
            return {check.reason for check in decision.checks if not check.passed}

        assert not failed(buy("o1", NOW, first))
        for number, (side, price) in enumerate(((common_pb2.SIDE_BUY, "17"), (common_pb2.SIDE_SELL, "7"))):
            # The second one is not of the order's side; what it does to the books is all that matters here.
            request = risk_pb2.SettleOrderRequest(order_id="o1")
            request.fills.add(execution_id=f"e{number}", side=side, quantity="2", price=price)
            settle(connection, first, [request], NOW)
        # By the same process, and by one that has just started.
        times = ((NOW, first), (NOW - back, first), (NOW - back, context()))
        return [failed(buy(f"again{n}", now, by)) for n, (now, by) in enumerate(times)]

    for found in await database.write(unit):
        assert reason in found
        assert "PRICE_STALE" not in found
