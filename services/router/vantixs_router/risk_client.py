"""Calls to risk, with their deadlines; positions remembered as guesses.

Decisions and settlements that are asked for while a call is out go together in the next one.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, TypeVar

import grpc
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.risk.v1 import risk_pb2, risk_pb2_grpc
from vantixs.model.decimals import ZERO, parse_decimal
from vantixs.runtime.batching import Batcher, BatcherFull, Bounds
from vantixs.runtime.errors import ServiceError, from_rpc_error, from_status, unavailable

SERVICE = "vantixs.api.risk.v1.RiskService"
METHODS = ("EvaluateOrder", "BatchEvaluateOrders", "BatchSettleOrders", "ListPositions", "RefreshMarks")
IDEMPOTENT = tuple(f"/{SERVICE}/{m}" for m in METHODS)
# A server takes requests of 256 KiB and 256 orders a batch; a decision is answered with about 5 KiB.
BOUNDS = Bounds(items=128, size=200_000, waiting=10_000)
# What one order of a batch may be the reason of.
_OF_ONE = (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)
MOST_GUESSES = 10_000
# Other replicas trade the account's other instruments, so what is held is asked for again now and then.
LIST_EVERY_S = 30.0
# All accounts with positions are valued in one call, a few at a time.
REFRESH_TIMEOUT_S = 10.0


Item = TypeVar("Item")
Result = TypeVar("Result")


class RiskFailed(Exception):
    """A call to risk for a signal ended with `error`. A ServiceError itself is then always the router's own database's."""

    def __init__(self, error: ServiceError) -> None:
        super().__init__(str(error))
        self.error = error


@contextlib.contextmanager
def asking_risk() -> Iterator[None]:
    """Around calls to risk of a signal's work.

    Raises:
        RiskFailed: for a ServiceError of the calls.
    """
    try:
        yield
    except ServiceError as error:
        raise RiskFailed(error) from error


class RiskClient:
    """Risk as the router sees it. Failures are ServiceErrors.

    The position last heard of is a guess that saves a call: risk refuses an order derived from another position.
    """

    def __init__(self, channel: grpc.aio.Channel, timeout_s: float) -> None:
        self._stub = risk_pb2_grpc.RiskServiceStub(channel)
        self._timeout_s = timeout_s
        self._positions: dict[str, dict[str, Decimal]] = {}
        self._listed: dict[str, float] = {}
        self._count = 0
        self._evaluations = Batcher(self._evaluate, BOUNDS, size_of=_size_of, singly_after=_of_one)
        self._settlements = Batcher(self._settle, BOUNDS, size_of=_size_of, singly_after=_of_one)

    def guess(self, account_id: str, instrument: str) -> Decimal:
        """The position last heard of; flat where none was."""
        return self._positions.get(account_id, {}).get(instrument, ZERO)

    async def held(self, account_id: str) -> list[str]:
        """Instruments the account holds, as far as is known: risk wants to know their prices with every decision."""
        if time.monotonic() - self._listed.get(account_id, -LIST_EVERY_S) >= LIST_EVERY_S:
            request = risk_pb2.ListPositionsRequest(account_id=account_id, page_size=1000)
            try:
                response = await self._stub.ListPositions(request, timeout=self._timeout_s)
            except grpc.aio.AioRpcError as error:
                raise from_rpc_error(error) from None
            for position in response.positions:
                self._remember(account_id, position.instrument, parse_decimal(position.quantity))
            if len(self._listed) >= MOST_GUESSES:
                self._listed.clear()
            self._listed[account_id] = time.monotonic()
        return [name for name, quantity in self._positions.get(account_id, {}).items() if quantity]

    async def position(self, account_id: str, instrument: str) -> Decimal:
        """The position now, in signed base units."""
        request = risk_pb2.ListPositionsRequest(account_id=account_id, instrument=instrument)
        try:
            response = await self._stub.ListPositions(request, timeout=self._timeout_s)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None
        quantity = parse_decimal(response.positions[0].quantity) if response.positions else ZERO
        return self._remember(account_id, instrument, quantity)

    async def evaluate(self, request: risk_pb2.EvaluateOrderRequest) -> order_pb2.RiskDecision:
        """Risk's decision on an order. Those asked for while a call is out wait for it, and share the next one."""
        decision = await (self._preview(request) if request.preview else _submitted(self._evaluations, request))
        if decision.verdict == order_pb2.RISK_VERDICT_POSITION_CHANGED:
            self._remember(
                request.order.account_id, request.order.instrument, parse_decimal(decision.position_quantity)
            )
        return decision

    async def settle(self, order: order_pb2.Order, fills: list[order_pb2.Fill], *, final: bool) -> order_pb2.Position:
        """Books fills; returns the position after them. Shares calls as `evaluate` does."""
        request = risk_pb2.SettleOrderRequest(
            order_id=order.order_id,
            account_id=order.account_id,
            instrument=order.instrument,
            fills=fills,
            final=final,
            order_state=order.state,
        )
        response = await _submitted(self._settlements, request)
        if response.position.quantity:
            self._remember(order.account_id, order.instrument, parse_decimal(response.position.quantity))
        return response.position

    async def refresh_marks(self, quotes: Sequence[common_pb2.Quote]) -> list[str]:
        """Has every account valued at these quotes, at most 100; returns the instruments in which any has a position."""
        request = risk_pb2.RefreshMarksRequest(marks=quotes)
        try:
            response = await self._stub.RefreshMarks(request, timeout=REFRESH_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None
        return list(response.instruments)

    async def copy_account(self, source: str, target: str) -> None:
        """Makes a scratch copy of an account, unless it is there."""
        request = risk_pb2.CreateAccountRequest(request_id=target, copy_from_account_id=source)
        request.account.account_id = target
        try:
            await self._stub.CreateAccount(request, timeout=self._timeout_s)
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.ALREADY_EXISTS:
                raise from_rpc_error(error) from None

    async def _preview(self, request: risk_pb2.EvaluateOrderRequest) -> order_pb2.RiskDecision:
        try:
            return (await self._stub.EvaluateOrder(request, timeout=self._timeout_s)).decision
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None

    async def _evaluate(
        self, requests: Sequence[risk_pb2.EvaluateOrderRequest]
    ) -> list[order_pb2.RiskDecision | Exception]:
        batch = risk_pb2.BatchEvaluateOrdersRequest(requests=requests)
        try:
            response = await self._stub.BatchEvaluateOrders(batch, timeout=self._timeout_s)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None
        return [from_status(r.error) if r.HasField("error") else r.decision for r in response.results]

    async def _settle(
        self, requests: Sequence[risk_pb2.SettleOrderRequest]
    ) -> list[risk_pb2.SettleOrderResponse | Exception]:
        batch = risk_pb2.BatchSettleOrdersRequest(requests=requests)
        try:
            response = await self._stub.BatchSettleOrders(batch, timeout=self._timeout_s)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None
        return [from_status(r.error) if r.HasField("error") else r.response for r in response.results]

    def _remember(self, account_id: str, instrument: str, quantity: Decimal) -> Decimal:
        if self._count >= MOST_GUESSES:
            self._positions.clear()
            self._listed.clear()
            self._count = 0
        of_account = self._positions.setdefault(account_id, {})
        self._count += instrument not in of_account
        of_account[instrument] = quantity
        return quantity


async def _submitted(batcher: Batcher[Item, Result], request: Item) -> Result:
    """The batcher's result for a request.

    Raises:
        ServiceError: UNAVAILABLE RISK_UNAVAILABLE where too many wait; what risk answered.
    """
    try:
        return await batcher.submit(request)
    except BatcherFull as error:
        raise unavailable("RISK_UNAVAILABLE", str(error)) from None


def _size_of(request: Any) -> int:
    # With the field's tag and length in the batch around it.
    return int(request.ByteSize()) + 4


def _of_one(error: Exception) -> bool:
    return isinstance(error, ServiceError) and error.code in _OF_ONE
