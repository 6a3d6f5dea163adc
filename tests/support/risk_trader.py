"""One risk process on a SQLite database, and a short way to trade through it."""

from typing import Any

from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs_risk import store

from tests.support.risk_fixture import Process, RiskFixture, account_of, ask, fill

APPROVED, DENIED = order_pb2.RISK_VERDICT_APPROVED, order_pb2.RISK_VERDICT_DENIED
CHANGED = order_pb2.RISK_VERDICT_POSITION_CHANGED
REDUCING, HALTED, ACTIVE = (
    common_pb2.TradingState.Value(f"TRADING_STATE_{n}") for n in ("REDUCING", "HALTED", "ACTIVE")
)


class Trader:
    """One process, and a short way to trade through it."""

    def __init__(self, risk: RiskFixture) -> None:
        self.risk, self.process = risk, Process(risk)
        self.number = 0

    def decide(self, price: str = "100", **changes: Any) -> order_pb2.RiskDecision:
        self.number += 1
        values = {"buy": True, "entry": True, "position": "0", "instrument": "BTC/USDT", "order_id": f"o{self.number}"}
        values |= changes
        order_id, instrument = values.pop("order_id"), values.pop("instrument")
        request = ask(order_id, instrument, price=price, now=self.risk.now, **values)
        self.last = request
        return self.process.evaluate(request)

    def failed(self, price: str = "100", **changes: Any) -> list[str]:
        return [check.reason for check in self.decide(price, **changes).checks if not check.passed]

    def settle(self, order_id: str, *fills: Any, final: bool = True, state: Any = 0) -> risk_pb2.SettleOrderResponse:
        request = risk_pb2.SettleOrderRequest(order_id=order_id, fills=fills, final=final, order_state=state)
        return self.process.settle(request)

    def trade(self, price: str, *, buy: bool = True, entry: bool = True, position: str = "0", **changes: Any) -> str:
        """Decides, fills at the price, and returns the position after."""
        decision = self.decide(price, buy=buy, entry=entry, position=position, **changes)
        assert decision.verdict == APPROVED, [c for c in decision.checks if not c.passed]
        one = fill(f"x{self.number}", buy=buy, quantity=decision.quantity, price=price)
        return self.settle(decision.order_id, one).position.quantity

    def states(self) -> dict[str, tuple[str, str]]:
        return {r.scope: (r.state, r.actor) for r in self.risk.rows(store.TRADING_STATES)}

    def journal(self) -> list[journal_pb2.JournalEntry]:
        rows = self.risk.rows(store.OUTBOX)
        return [entry for row in rows for entry in journal_pb2.JournalBatch.FromString(row.payload).entries]


def open_trader(risk: RiskFixture, **limits: Any) -> Trader:
    trader = Trader(risk)
    trader.process.create(account_of("a", **limits))
    return trader


def update(trader: Trader, **changes: Any) -> None:
    """Creates account "a" with fields of Account changed."""
    account = account_of("a", **changes.pop("limits", {}))
    account.MergeFrom(risk_pb2.Account(**changes))
    trader.process.create(account)
