"""Risk's units of work on one SQLite database, without servers: for tests that run thousands of them.

A `Process` remembers accounts as a risk process does; several of them may share the database. `crash_after` makes the
n-th statement of a unit fail as a kill would: what was written is rolled back, and what the process remembered is lost.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest import mock

import sqlalchemy as sa
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.runtime.compiled_statement import CompiledStatement
from vantixs.runtime.outbox import Outbox
from vantixs_risk import store
from vantixs_risk.accounts import create_account, get_account
from vantixs_risk.adjustment import record_adjustment
from vantixs_risk.decision_inputs import decide_again
from vantixs_risk.domain.equity import Mark
from vantixs_risk.domain.exact import total
from vantixs_risk.evaluation import evaluate_orders
from vantixs_risk.funding import book_fundings, list_due
from vantixs_risk.marks import read_held, refresh_marks
from vantixs_risk.settings import RiskSettings
from vantixs_risk.settlement import settle_orders
from vantixs_risk.trading import set_trading_state
from vantixs_risk.unit_context import UnitContext

START = datetime(2026, 11, 24, 12, tzinfo=UTC)
KINDS = {"BTC/USDT": common_pb2.INSTRUMENT_KIND_SPOT, "BTC/USDT:USDT": common_pb2.INSTRUMENT_KIND_LINEAR_PERPETUAL}


class Crash(Exception):
    """The process was killed."""


class RiskFixture:
    """A database with risk's tables, and a clock that the test moves."""

    def __init__(self) -> None:
        self.engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
        store.METADATA.create_all(self.engine)
        self.now = START

    def close(self) -> None:
        self.engine.dispose()

    def read(self, query: Callable[[sa.Connection], Any]) -> Any:
        with self.engine.connect() as connection:
            return query(connection)

    def account(self, account_id: str) -> risk_pb2.GetAccountResponse:
        return self.read(lambda c: get_account(c, account_id, self.now))

    def rows(self, table: sa.Table) -> list[Any]:
        return self.read(lambda c: list(c.execute(sa.select(table))))


def decide(
    connection: sa.Connection, context: UnitContext, requests: list[risk_pb2.EvaluateOrderRequest], now: datetime
) -> list[order_pb2.RiskDecision]:
    """The decisions; raises the first error there is in place of one."""
    answers = evaluate_orders(connection, context, [(request, now) for request in requests])
    decisions = [risk_pb2.EvaluateOrderResponse.FromString(answer).decision for answer in _raised(answers)]
    for decision in decisions:
        _check_decided_again(decision)
    return decisions


def _check_decided_again(decision: order_pb2.RiskDecision) -> None:
    """What a decision records is enough to make it again, to the last digit."""
    inputs = risk_pb2.DecisionInputs.FromString(decision.inputs)
    if not decision.inputs or inputs.left_out:
        return
    again = decide_again(inputs, None, RiskSettings())
    before = order_pb2.RiskDecision()
    before.CopyFrom(decision)
    before.ClearField("inputs")
    assert again == before


def settle(
    connection: sa.Connection, context: UnitContext, requests: list[risk_pb2.SettleOrderRequest], now: datetime
) -> list[risk_pb2.SettleOrderResponse]:
    """The responses; raises the first error there is in place of one."""
    return _raised(settle_orders(connection, context, [(request, now) for request in requests]))


def _raised(answers: list[Any]) -> list[Any]:
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers


class Process:
    """One risk process."""

    def __init__(self, risk: RiskFixture) -> None:
        self.risk = risk
        self.restart()

    def restart(self) -> None:
        self.context = UnitContext(RiskSettings(), Outbox(store.OUTBOX, None, None))  # type: ignore[arg-type]

    def run(self, unit: Callable[[sa.Connection, UnitContext, datetime], Any], crash_after: int | None = None) -> Any:
        """Runs a unit in a transaction; with `crash_after` it is killed before that statement, or before the commit."""
        with self.risk.engine.connect() as connection, connection.begin() as transaction:
            if crash_after is None:
                return unit(connection, self.context, self.risk.now)
            try:
                with _killed_after(crash_after):
                    unit(connection, self.context, self.risk.now)
            except Crash:
                pass
            transaction.rollback()
            self.restart()
            return None

    def create(self, account: risk_pb2.Account) -> risk_pb2.Account:
        request = risk_pb2.CreateAccountRequest(request_id=account.account_id, account=account)
        return self.run(lambda c, d, now: create_account(c, d, request, "operator:test", now))

    def evaluate(
        self, request: risk_pb2.EvaluateOrderRequest, crash_after: int | None = None
    ) -> order_pb2.RiskDecision:
        return self.run(lambda c, d, now: decide(c, d, [request], now)[0], crash_after)

    def evaluate_together(
        self, requests: list[risk_pb2.EvaluateOrderRequest], crash_after: int | None = None
    ) -> list[order_pb2.RiskDecision]:
        """As the database's writer calls it when several wait."""
        return self.run(lambda c, d, now: decide(c, d, requests, now), crash_after)

    def settle(
        self, request: risk_pb2.SettleOrderRequest, crash_after: int | None = None
    ) -> risk_pb2.SettleOrderResponse:
        return self.run(lambda c, d, now: settle(c, d, [request], now)[0], crash_after)

    def settle_together(
        self, requests: list[risk_pb2.SettleOrderRequest], crash_after: int | None = None
    ) -> list[risk_pb2.SettleOrderResponse]:
        """As one batch."""
        return self.run(lambda c, d, now: settle(c, d, requests, now), crash_after)

    def adjust(self, request: risk_pb2.RecordAdjustmentRequest, crash_after: int | None = None) -> Any:
        return self.run(lambda c, d, now: record_adjustment(c, d, request, "operator:test", now), crash_after)

    def refresh(self, marks: dict[str, Mark], crash_after: int | None = None) -> int | None:
        """Values every account that holds something, as the service does."""
        ids = list(self.risk.read(read_held))
        return self.run(lambda c, d, now: refresh_marks(c, d, ids, marks, now), crash_after)

    def fund(
        self,
        instrument: str,
        price: str,
        *,
        rate: str = "0.0001",
        account_id: str = "a",
        crash_after: int | None = None,
    ) -> Any:
        """Books funding up to now, of 8 hours each, at the price."""
        request = risk_pb2.BookFundingRequest(account_id=account_id, instrument=instrument, rate_ratio=rate)
        request.interval_s, request.quote.bid, request.quote.ask = 28_800, price, price
        request.until_time.FromDatetime(self.risk.now)
        request.quote.quote_time.FromDatetime(self.risk.now)
        return self.run(lambda c, d, now: _raised(book_fundings(c, d, [(request, now)]))[0], crash_after)

    def funding_due(self) -> list[tuple[str, str]]:
        """What waits for funding now."""
        request = risk_pb2.ListFundingDueRequest(interval_s=28_800)
        request.until_time.FromDatetime(self.risk.now)
        due = self.risk.read(lambda c: list_due(c, request, self.risk.now))
        return [(key.account_id, key.instrument) for key in due.keys]

    def set_state(self, scope: str, state: Any) -> risk_pb2.SetTradingStateResponse:
        request = risk_pb2.SetTradingStateRequest(scope=scope, state=state, comment="test")
        return self.run(lambda c, d, now: set_trading_state(c, d, request, "operator:test", now))


@contextmanager
def _killed_after(statements: int) -> Iterator[None]:
    left = statements

    def counted(run: Callable[..., Any]) -> Callable[..., Any]:
        def count(*arguments: Any) -> Any:
            nonlocal left
            if left == 0:
                raise Crash
            left -= 1
            return run(*arguments)

        return count

    with (
        mock.patch.object(CompiledStatement, "execute", counted(CompiledStatement.execute)),
        mock.patch.object(CompiledStatement, "execute_all", counted(CompiledStatement.execute_all)),
    ):
        yield


def account_of(account_id: str = "a", **limits: Any) -> risk_pb2.Account:
    """An account of 10,000 USDT that may be short."""
    account = risk_pb2.Account(
        account_id=account_id,
        mode=common_pb2.MODE_PAPER,
        currency="USDT",
        balance="10000",
        enabled=True,
        may_short=True,
        limits=risk_pb2.Limits(**limits),
    )
    account.sizing.method, account.sizing.value = common_pb2.SIZING_METHOD_FIXED_NOTIONAL, "1000"
    return account


def ask(
    order_id: str,
    instrument: str,
    *,
    buy: bool,
    entry: bool,
    position: Decimal | str,
    price: Decimal | str,
    now: datetime,
    account_id: str = "a",
    notional: str = "",
    quantity: str = "",
    lot: str = "0.001",
    kind: str = "MARKET",
    leg: str = "",
    order_quantity: str = "",
    **terms: str,
) -> risk_pb2.EvaluateOrderRequest:
    """A request of the router; `terms` are prices of the order, by their fields."""
    request = risk_pb2.EvaluateOrderRequest(assumed_position_quantity=f"{position}", fee_bps="10")
    order = request.order
    order.order_id, order.signal_id, order.account_id, order.instrument = order_id, order_id, account_id, instrument
    order.side = common_pb2.SIDE_BUY if buy else common_pb2.SIDE_SELL
    order.effect = order_pb2.ORDER_EFFECT_ENTRY if entry else order_pb2.ORDER_EFFECT_EXIT
    order.mode, order.order_type = common_pb2.MODE_PAPER, common_pb2.OrderType.Value(f"ORDER_TYPE_{kind}")
    order.leg = order_pb2.BracketLeg.Value(f"BRACKET_LEG_{leg or 'UNSPECIFIED'}")
    order.MergeFrom(order_pb2.Order(quantity=order_quantity, **terms))  # type: ignore[arg-type]
    if notional:
        request.sizing.method, request.sizing.value = common_pb2.SIZING_METHOD_FIXED_NOTIONAL, notional
    if quantity:
        request.signal_quantity, request.signal_quantity_type = quantity, common_pb2.QUANTITY_TYPE_UNITS
    request.quote.CopyFrom(common_pb2.Quote(instrument=instrument, source="test", bid=f"{price}", ask=f"{price}"))
    request.quote.quote_time.FromDatetime(now)
    base, _, rest = instrument.partition("/")
    request.instrument.CopyFrom(
        common_pb2.Instrument(
            instrument=instrument,
            kind=KINDS.get(instrument, common_pb2.INSTRUMENT_KIND_SPOT),
            base_asset=base,
            quote_asset=rest.partition(":")[0],
            tick_size="0.01",
            lot_size=lot,
        )
    )
    return request


def fill(execution_id: str, *, buy: bool, quantity: str, price: str, fee: str = "0", asset: str = "USDT") -> Any:
    """A fill of the venue."""
    side = common_pb2.SIDE_BUY if buy else common_pb2.SIDE_SELL
    return order_pb2.Fill(
        execution_id=execution_id, side=side, quantity=quantity, price=price, fee=fee, fee_asset=asset
    )


def check_books(risk: RiskFixture, account_id: str = "a") -> risk_pb2.GetAccountResponse:
    """What always holds: every asset sums to zero, transfers are the balances, equity is what it came from."""
    balances: dict[tuple[str, str], Decimal] = {}
    for row in risk.rows(store.TRANSFERS):
        assert row.amount > 0
        if row.account_id == account_id:
            for book, amount in ((row.source, -row.amount), (row.target, row.amount)):
                balances[book, row.asset] = total((balances.get((book, row.asset), Decimal(0)), amount))
    stored = {(r.book, r.asset): r.amount for r in risk.rows(store.BALANCES) if r.account_id == account_id}
    assert stored == balances
    for asset in {asset for _, asset in stored}:
        assert total(amount for (_, of), amount in stored.items() if of == asset) == 0, asset
    shown = risk.account(account_id)
    parts = (shown.account.balance, shown.adjusted, shown.realized_profit, shown.unrealized_profit, shown.funding)
    assert Decimal(shown.equity) == total((*map(Decimal, parts), -Decimal(shown.fees)))
    return shown


def later(risk: RiskFixture, seconds: float) -> None:
    """Time passes."""
    risk.now += timedelta(seconds=seconds)
