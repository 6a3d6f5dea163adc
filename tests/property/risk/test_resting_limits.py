"""Orders that rest are filled while the market falls, at their limit or better: no limit of the account is ever exceeded.

The market only falls: a rise makes what is held worth more than any limit, and no order has a part in that. Stop and targets
of what is held rest beside the entries; where one fills the other is cancelled, and in the end nothing is reserved.
"""

from decimal import ROUND_DOWN, Decimal
from random import Random

import pytest
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs_risk.domain.exact import BOOKS, total

from tests.support.risk_fixture import Process, RiskFixture, account_of, ask, check_books, fill, later

ZERO, LOT, CENT = Decimal(0), Decimal("0.001"), Decimal("0.01")
LIMITS = {"max_position_notional": "3000", "max_gross_exposure": "4000", "max_leverage": "1"}
FEES_BPS = (Decimal(10), Decimal(10), Decimal(2), Decimal(0), Decimal(-1), Decimal("-2.5"))
NAMES = ("BTC/USDT", "ETH/USDT")


class Order:
    """An order that rests."""

    def __init__(self, name: str, price: Decimal, quantity: Decimal, group: str = "") -> None:
        self.name, self.price, self.leaves, self.group = name, price, quantity, group


class Trader:
    """One account in a market that falls."""

    def __init__(self, seed: int, balance: str) -> None:
        self.random, self.risk, self.number = Random(seed), RiskFixture(), 0
        self.process = Process(self.risk)
        account = account_of(**LIMITS)
        account.balance = balance
        self.process.create(account)
        self.market = dict.fromkeys(NAMES, Decimal(100))
        self.held = dict.fromkeys(NAMES, ZERO)
        self.entries: dict[str, Order] = {}
        self.legs: dict[str, Order] = {}
        self.fills = 0

    def next_id(self) -> str:
        self.number += 1
        return f"o{self.number}"

    def order(self, name: str, *, buy: bool, kind: str, price: Decimal, **more: str) -> order_pb2.RiskDecision:
        later(self.risk, 0.1)
        request = ask(
            self.next_id(), name, buy=buy, entry=buy, position=self.held[name], price=self.market[name],
            now=self.risk.now, kind=kind, limit_price=f"{price}", stop_price=f"{price}", **more,
        )  # fmt: skip
        # Every position has the price that the market is at.
        for other, at in self.market.items():
            mark = request.marks.add(instrument=other, bid=f"{at}", ask=f"{at}")
            mark.quote_time.FromDatetime(self.risk.now)
        return self.process.evaluate(request)

    def enter(self) -> None:
        """A buy at a limit, at the market or below it."""
        name = self.random.choice(NAMES)
        price = (self.market[name] * self.random.randint(70, 100) / 100).quantize(CENT, ROUND_DOWN)
        notional = self.random.choice(["50", "333.3", "999", "1500", "3000"])
        kind = self.random.choice(["LIMIT", "LIMIT", "STOP_LIMIT"])
        decision = self.order(name, buy=True, kind=kind, price=price, notional=notional)
        if decision.verdict == order_pb2.RISK_VERDICT_APPROVED:
            self.entries[decision.order_id] = Order(name, price, Decimal(decision.quantity))

    def protect(self) -> None:
        """A stop and a target for all that is held: one of them fills."""
        name = self.random.choice([name for name, held in self.held.items() if held >= LOT] or [""])
        if not name or any(leg.name == name for leg in self.legs.values()):
            return
        quantity = self.held[name].quantize(LOT, ROUND_DOWN)
        group = self.next_id()
        for leg, kind in (("STOP_LOSS", "STOP"), ("TAKE_PROFIT", "LIMIT")):
            price = (self.market[name] * (Decimal("0.9") if kind == "STOP" else 1)).quantize(CENT, ROUND_DOWN)
            decision = self.order(name, buy=False, kind=kind, price=price, leg=leg, order_quantity=f"{quantity}")
            assert (decision.verdict, Decimal(decision.quantity)) == (order_pb2.RISK_VERDICT_APPROVED, quantity)
            self.legs[decision.order_id] = Order(name, price, quantity, group)

    def fill(self) -> None:
        """A part of an order, or all of it, at a market that is where it was or below."""
        order_id = self.random.choice([*self.entries, *self.legs] or [""])
        order = self.entries.get(order_id) or self.legs.get(order_id)
        if order is None:
            return
        buy = order_id in self.entries
        reached = self.market[order.name]
        if buy:
            reached = min(reached, order.price)
        price = max((reached * self.random.randint(97, 100) / 100).quantize(CENT, ROUND_DOWN), CENT)
        self.market[order.name] = price
        part = order.leaves if self.random.random() < 0.4 else order.leaves * self.random.randint(1, 9) / 10
        quantity = part.quantize(Decimal("0.000001"), ROUND_DOWN)
        if not quantity:
            return
        fee = BOOKS.multiply(BOOKS.multiply(quantity, price), self.random.choice(FEES_BPS) / 10_000)
        self.fills += 1
        one = fill(
            f"x{self.fills}",
            buy=buy,
            quantity=f"{quantity}",
            price=f"{price}",
            fee=f"{fee.quantize(LOT**6, ROUND_DOWN):f}",
        )
        final = self.random.random() < 0.2
        request = risk_pb2.SettleOrderRequest(order_id=order_id, fills=[one], final=final)
        later(self.risk, 0.1)
        assert not self.process.settle(request).flags
        self.held[order.name] = total((self.held[order.name], quantity if buy else -quantity))
        order.leaves = BOOKS.subtract(order.leaves, quantity)
        # One leg cancels the other, and the rest of itself.
        for other in [i for i, leg in self.legs.items() if not buy and leg.group == order.group]:
            self.end(other)
        if final or not order.leaves:
            self.entries.pop(order_id, None)

    def cancel(self) -> None:
        if self.entries:
            self.end(self.random.choice(list(self.entries)))

    def end(self, order_id: str) -> None:
        state = common_pb2.ORDER_STATE_CANCELED
        self.process.settle(risk_pb2.SettleOrderRequest(order_id=order_id, final=True, order_state=state))
        self.entries.pop(order_id, None)
        self.legs.pop(order_id, None)

    def check(self) -> risk_pb2.GetAccountResponse:
        shown = check_books(self.risk)
        assert {p.instrument: Decimal(p.quantity) for p in shown.positions} == {n: h for n, h in self.held.items() if h}
        assert {o.order_id for o in shown.open_orders} == self.entries.keys() | self.legs.keys()
        assert Decimal(shown.free_funds) >= 0
        for used in shown.headroom:
            assert Decimal(used.used) <= Decimal(used.limit), (used.name, used.used)
        return shown


@pytest.mark.parametrize("balance", ["10000", "2500"])
def test_no_limit_is_exceeded_by_fills_of_orders_that_rest(balance: str) -> None:
    """With 10,000 the limits hold entries back, with 2,500 the funds."""
    fills = approved = 0
    for seed in range(12):
        trader = Trader(seed, balance)
        actions = [trader.enter, trader.enter, trader.fill, trader.fill, trader.fill, trader.protect, trader.cancel]
        for _ in range(60):
            trader.random.choice(actions)()
            trader.check()
        fills += trader.fills
        approved += len(trader.entries)
        for order_id in [*trader.entries, *trader.legs]:
            trader.end(order_id)
        shown = trader.check()
        assert {b.reserved for b in shown.balances} == {"0"}
        assert next(h.used for h in shown.headroom if h.name == "cash") == "0"
        trader.risk.close()
    assert fills > 100
    assert approved > 10
