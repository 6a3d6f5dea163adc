"""Any interleaving of decisions, fills, ends, adjustments, prices, crashes and retries, through two processes on one database.

Entries rest at prices of their own, and legs of brackets beside exits. Nothing is reserved beyond what there is, no money is
made or lost, no order that has ended holds anything, and what a process remembers of an account is what is stored.
"""

from datetime import timedelta
from decimal import ROUND_DOWN, Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs_risk import store
from vantixs_risk.account_state import load
from vantixs_risk.domain.equity import Mark
from vantixs_risk.domain.exact import BOOKS, total

from tests.support.risk_fixture import KINDS, Process, RiskFixture, account_of, ask, check_books, fill, later

ZERO = Decimal(0)
PRICE = st.integers(5_000, 20_000).map(lambda cents: f"{Decimal(cents) / 100}")
INSTRUMENT = st.sampled_from(sorted(KINDS))
CRASH = st.one_of(st.none(), st.integers(0, 20))
KIND = st.sampled_from(["MARKET", "MARKET", "LIMIT", "STOP", "STOP_LIMIT", "TRAILING_STOP"])
LEG = st.sampled_from(["STOP_LOSS", "TAKE_PROFIT", "TAKE_PROFIT", "CLOSE"])
SHARE = st.integers(1, 12)
FEE = st.sampled_from([("0", "USDT"), ("0.1234567", "USDT"), ("0.0003", "BTC"), ("0.01", "BNB"), ("-0.05", "USDT")])


class RiskMachine(RuleBasedStateMachine):
    """Two risk processes, one account, and what the test knows must be true of it."""

    def __init__(self) -> None:
        super().__init__()
        self.risk = RiskFixture()
        self.processes = [Process(self.risk), Process(self.risk)]
        self.positions: dict[str, Decimal] = dict.fromkeys(KINDS, ZERO)
        self.open: dict[str, dict[str, Any]] = {}
        self.ended: set[str] = set()
        self.calls: list[tuple[str, Any, Any]] = []
        self.counter = 0

    @initialize(leverage=st.sampled_from(["", "1", "3"]), exposure=st.sampled_from(["", "2500"]))
    def begin(self, leverage: str, exposure: str) -> None:
        limits = {"max_leverage": leverage, "max_gross_exposure": exposure, "max_position_notional": "2000"}
        self.processes[0].create(account_of(**limits))

    def teardown(self) -> None:
        """What is open is cancelled: then nothing is reserved."""
        if self.risk.rows(store.ACCOUNTS):
            for order_id in list(self.open):
                self.processes[0].settle(risk_pb2.SettleOrderRequest(order_id=order_id, final=True))
            shown = check_books(self.risk)
            assert not shown.open_orders
            assert {b.reserved for b in shown.balances} <= {"0"}
        self.risk.close()

    def number(self) -> int:
        self.counter += 1
        return self.counter

    def call(self, process: int, method: str, request: Any, crash: int | None) -> Any:
        """Makes a call; where it is killed, the caller tries again at the other process."""
        self.risk.now = max(self.risk.now, self.risk.now)
        later(self.risk, 0.25)
        if crash is not None:
            getattr(self.processes[process], method)(request, crash)
            process = 1 - process
        response = getattr(self.processes[process], method)(request)
        self.calls.append((method, request, response))
        return response

    @rule(
        process=st.integers(0, 1), instrument=INSTRUMENT, buy=st.booleans(), entry=st.booleans(), price=PRICE,
        notional=st.sampled_from(["100", "700", "1500", "9000"]), kind=KIND, own_price=PRICE, crash=CRASH,
    )  # fmt: skip
    def evaluate(
        self, process: int, instrument: str, buy: bool, entry: bool, price: str, notional: str, kind: str, own_price: str,
        crash: int | None,
    ) -> None:  # fmt: skip
        order_id, position = f"o{self.number()}", self.positions[instrument]
        terms = {} if kind == "MARKET" else {"limit_price": own_price, "stop_price": own_price}
        request = ask(
            order_id, instrument, buy=buy, entry=entry, position=position, price=price, now=self.risk.now, notional=notional,
            kind=kind, **terms,
        )  # fmt: skip
        exits = [o for o in self.open.values() if o["instrument"] == instrument and not o["entry"] and not o["leg"]]
        out = total(o["leaves"] for o in exits)
        decision = self.call(process, "evaluate", request, crash)
        assert decision.verdict != order_pb2.RISK_VERDICT_POSITION_CHANGED
        if decision.verdict != order_pb2.RISK_VERDICT_APPROVED:
            return
        quantity = Decimal(decision.quantity)
        assert quantity > 0
        self.open[order_id] = {
            "instrument": instrument, "buy": buy, "entry": entry, "leg": False, "leaves": quantity,
        }  # fmt: skip
        shown = self.risk.account("a")
        if entry:
            assert Decimal(shown.free_funds) >= 0
            # A price may have carried another position beyond its limit; what this order adds to may not be beyond.
            limits = ("max_gross_exposure", "max_leverage", f"max_position_notional {instrument}")
            assert all(Decimal(h.used) <= Decimal(h.limit) for h in shown.headroom if h.name in limits), shown.headroom
        else:
            assert (position > 0) != buy
            assert total((quantity, out)) <= abs(position), "more is on its way out than is held"

    @precondition(lambda self: any(self.positions.values()))
    @rule(data=st.data(), process=st.integers(0, 1), leg=LEG, kind=KIND, share=SHARE, price=PRICE, crash=CRASH)
    def protect(
        self, data: Any, process: int, leg: str, kind: str, share: int, price: str, crash: int | None
    ) -> None:  # fmt: skip
        """A leg for a part of what is held, all of it, or more: whatever else is open, and without a quote."""
        instrument = data.draw(st.sampled_from([name for name, held in sorted(self.positions.items()) if held]))
        order_id, held = f"o{self.number()}", self.positions[instrument]
        lot = Decimal("0.001")
        wanted = max((abs(held) * share / 10).quantize(lot, ROUND_DOWN), lot)
        terms = {} if kind == "MARKET" else {"limit_price": price, "stop_price": price}
        request = ask(
            order_id, instrument, buy=held < 0, entry=False, position="", price=price, now=self.risk.now, kind=kind,
            leg=leg, order_quantity=f"{wanted}", **terms,
        )  # fmt: skip
        request.ClearField("quote")
        decision = self.call(process, "evaluate", request, crash)
        quantity = wanted if wanted <= abs(held) else abs(held).quantize(lot, ROUND_DOWN)
        assert (decision.verdict == order_pb2.RISK_VERDICT_APPROVED) == (quantity >= lot)
        assert Decimal(decision.quantity) == quantity
        if quantity:
            self.open[order_id] = {
                "instrument": instrument, "buy": held < 0, "entry": False, "leg": True, "leaves": quantity,
            }  # fmt: skip

    @precondition(lambda self: self.open)
    @rule(
        data=st.data(), process=st.integers(0, 1), share=SHARE, price=PRICE, fee=FEE, final=st.booleans(), crash=CRASH
    )
    def fill(
        self, data: Any, process: int, share: int, price: str, fee: tuple[str, str], final: bool, crash: int | None
    ) -> None:
        """A part of what is open, all of it, or (shares above 10) more than that."""
        order_id = data.draw(st.sampled_from(sorted(self.open)))
        order = self.open[order_id]
        quantity = BOOKS.multiply(order["leaves"], Decimal(share) / 10)
        request = risk_pb2.SettleOrderRequest(order_id=order_id, final=final)
        one = fill(
            f"x{self.number()}", buy=order["buy"], quantity=f"{quantity:f}", price=price, fee=fee[0], asset=fee[1]
        )
        request.fills.append(one)
        held = self.positions[order["instrument"]]
        response = self.call(process, "settle", request, crash)
        self.moved(order, quantity, fee)
        expected = ["FILL_EXCEEDS_ORDER"] if share > 10 else []
        if not expected and not order["entry"] and quantity > (-held if order["buy"] else held):
            expected = ["EXITS_EXCEED_POSITION"]
        assert [f.value for f in response.flags] == expected
        order["leaves"] = max(BOOKS.subtract(order["leaves"], quantity), ZERO)
        if final or not order["leaves"]:
            self.end(order_id)

    @precondition(lambda self: self.open)
    @rule(
        data=st.data(),
        process=st.integers(0, 1),
        state=st.sampled_from([common_pb2.ORDER_STATE_CANCELED, common_pb2.ORDER_STATE_REJECTED]),
        crash=CRASH,
    )
    def release(self, data: Any, process: int, state: Any, crash: int | None) -> None:
        order_id = data.draw(st.sampled_from(sorted(self.open)))
        self.call(
            process, "settle", risk_pb2.SettleOrderRequest(order_id=order_id, final=True, order_state=state), crash
        )
        self.end(order_id)

    @precondition(lambda self: self.ended)
    @rule(data=st.data(), process=st.integers(0, 1), price=PRICE, crash=CRASH)
    def fill_late(self, data: Any, process: int, price: str, crash: int | None) -> None:
        """A fill of an order that has ended is booked and flagged."""
        order_id = data.draw(st.sampled_from(sorted(self.ended)))
        row = next(r for r in self.risk.rows(store.ORDERS) if r.order_id == order_id)
        request = risk_pb2.SettleOrderRequest(order_id=order_id)
        request.fills.append(fill(f"x{self.number()}", buy=row.buy, quantity="0.001", price=price))
        response = self.call(process, "settle", request, crash)
        assert response.flags[0].value in ("FILL_AFTER_END", "FILL_EXCEEDS_ORDER")
        self.moved({"instrument": row.instrument, "buy": row.buy}, Decimal("0.001"), ("0", "USDT"))

    @rule(process=st.integers(0, 1), amount=st.integers(-500, 500).filter(bool), crash=CRASH)
    def adjust_cash(self, process: int, amount: int, crash: int | None) -> None:
        request = risk_pb2.RecordAdjustmentRequest(request_id=f"r{self.number()}", account_id="a", comment="test")
        request.cash.asset, request.cash.amount = "USDT", f"{Decimal(amount) / 7:.10f}"
        self.call(process, "adjust", request, crash)

    @rule(
        process=st.integers(0, 1),
        instrument=INSTRUMENT,
        quantity=st.integers(-9, 9).filter(bool),
        price=PRICE,
        crash=CRASH,
    )
    def adjust_position(self, process: int, instrument: str, quantity: int, price: str, crash: int | None) -> None:
        request = risk_pb2.RecordAdjustmentRequest(request_id=f"r{self.number()}", account_id="a", comment="test")
        change = Decimal(quantity) / 1000
        request.position.instrument, request.position.quantity = instrument, f"{change}"
        request.position.price = price
        self.call(process, "adjust", request, crash)
        self.positions[instrument] = total((self.positions[instrument], change))

    @rule(process=st.integers(0, 1), instrument=INSTRUMENT, price=PRICE, age_s=st.sampled_from([0, 4, 6]), crash=CRASH)
    def refresh(self, process: int, instrument: str, price: str, age_s: int, crash: int | None) -> None:
        """Prices without an order: equity is what it is at the newest price of each position, nothing else moves."""
        later(self.risk, 0.25)
        mark = Mark(Decimal(price), Decimal(price), self.risk.now - timedelta(seconds=age_s))
        before = [self.risk.rows(t) for t in (store.BALANCES, store.POSITIONS, store.ORDERS, store.FILLS)]
        if crash is not None:
            self.processes[process].refresh({instrument: mark}, crash)
            process = 1 - process
        taken = self.processes[process].refresh({instrument: mark})
        assert before == [self.risk.rows(t) for t in (store.BALANCES, store.POSITIONS, store.ORDERS, store.FILLS)]
        assert not (age_s > 5 and taken), "an old price was taken"
        if taken:
            (held,) = [p for p in self.risk.account("a").positions if p.instrument == instrument]
            assert Decimal(held.mark_price) == Decimal(price)

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), process=st.integers(0, 1))
    def repeat(self, data: Any, process: int) -> None:
        """A call made again, at any time later, changes nothing and, for a decision, answers the same."""
        method, request, response = data.draw(st.sampled_from(self.calls))
        before = [self.risk.rows(t) for t in (store.BALANCES, store.POSITIONS, store.ORDERS, store.FILLS)]
        again = getattr(self.processes[process], method)(request)
        assert method == "settle" or again == response
        assert before == [self.risk.rows(t) for t in (store.BALANCES, store.POSITIONS, store.ORDERS, store.FILLS)]

    @rule(process=st.integers(0, 1), hours=st.sampled_from([-1, 0, 1, 30]))
    def restart(self, process: int, hours: int) -> None:
        """A process starts again, perhaps on a clock that was set."""
        self.processes[process].restart()
        later(self.risk, hours * 3600)

    def moved(self, order: dict[str, Any], quantity: Decimal, fee: tuple[str, str]) -> None:
        change = quantity if order["buy"] else -quantity
        if fee[1] == "BTC" and order["instrument"] == "BTC/USDT":
            change = BOOKS.subtract(change, Decimal(fee[0]))
        self.positions[order["instrument"]] = total((self.positions[order["instrument"]], change))

    def end(self, order_id: str) -> None:
        del self.open[order_id]
        self.ended.add(order_id)

    @invariant()
    def books_hold(self) -> None:
        if not self.risk.rows(store.ACCOUNTS):
            return
        shown = check_books(self.risk)
        held = {p.instrument: Decimal(p.quantity) for p in shown.positions}
        assert held == {name: quantity for name, quantity in self.positions.items() if quantity}
        assert {o.order_id for o in shown.open_orders} == set(self.open)
        for order in shown.open_orders:
            left = self.open[order.order_id]["leaves"]
            assert BOOKS.subtract(Decimal(order.quantity), Decimal(order.filled_quantity)) == left

    @invariant()
    def memory_is_what_is_stored(self) -> None:
        for process in self.processes:
            for account_id, remembered in process.context.cache._accounts.items():
                stored = self.risk.read(lambda c, i=account_id: load(c, i))
                if remembered.version == stored.version:
                    assert remembered == stored


FEW = settings(max_examples=12, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck))

TestRisk = RiskMachine.TestCase
TestRisk.settings = FEW


@pytest.mark.long
class TestRiskForLong(RiskMachine.TestCase):  # type: ignore[misc,name-defined]
    settings = settings(FEW, max_examples=200)
