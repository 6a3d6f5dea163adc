"""Calls to risk, with their deadlines; positions remembered as guesses.

Decisions and settlements that are asked for while a call is out go together in the next one. An account's go to the same
replica of risk as long as it answers, for that one has the account in memory; any other gives the same answers.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

import grpc
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.risk.v1 import risk_pb2, risk_pb2_grpc
from vantixs.model.decimals import ZERO, format_decimal, parse_decimal
from vantixs.runtime.batching import Batcher, BatcherFull, Bounds
from vantixs.runtime.errors import ServiceError, from_rpc_error, from_status, unavailable
from vantixs.runtime.grpc_replicas import PAUSES_S, Replica, Replicas

from vantixs_router.known_positions import MOST, KnownPositions

SERVICE = "vantixs.api.risk.v1.RiskService"
METHODS = (
    *("EvaluateOrder", "BatchEvaluateOrders", "BatchSettleOrders", "ListPositions", "RefreshMarks"),
    *("ListFundingDue", "BookFunding", "GetTradingState", "VerifyDecision"),
)
IDEMPOTENT = tuple(f"/{SERVICE}/{m}" for m in METHODS)
# A server takes requests of 256 KiB and 256 orders a batch; a decision is answered with about 5 KiB.
BOUNDS = Bounds(items=128, size=200_000, waiting=10_000)
# What one order of a batch may be the reason of.
_OF_ONE = (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)
FINAL_REASONS = ("STORE_NOT_ACCEPTED",)
FINAL_CODES = ("NOT_FOUND", "INVALID_ARGUMENT", "PERMISSION_DENIED", "UNAUTHENTICATED", "UNIMPLEMENTED")
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


def is_final(error: ServiceError) -> bool:
    """Whether risk would say the same again: its books are not those it had, or the call itself is refused."""
    return error.code.name in FINAL_CODES or error.reason in FINAL_REASONS


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


class _Batches:
    """The calls to one replica that are shared."""

    def __init__(self, replica: Replica, timeout_s: float) -> None:
        self._replica = replica
        self._stub = risk_pb2_grpc.RiskServiceStub(replica.channel)
        self._timeout_s = timeout_s
        self._evaluations = Batcher(self._evaluate, BOUNDS, size_of=_size_of, singly_after=_of_one)
        self._settlements = Batcher(self._settle, BOUNDS, size_of=_size_of, singly_after=_of_one)

    async def evaluate(self, request: risk_pb2.EvaluateOrderRequest) -> order_pb2.RiskDecision:
        """The decision on one order."""
        decision: order_pb2.RiskDecision = await self._evaluations.submit(request)
        return decision

    async def settle(self, request: risk_pb2.SettleOrderRequest) -> risk_pb2.SettleOrderResponse:
        """The answer to one settlement."""
        response: risk_pb2.SettleOrderResponse = await self._settlements.submit(request)
        return response

    async def _evaluate(
        self, requests: Sequence[risk_pb2.EvaluateOrderRequest]
    ) -> list[order_pb2.RiskDecision | Exception]:
        batch = risk_pb2.BatchEvaluateOrdersRequest(requests=requests)
        try:
            response = await self._stub.BatchEvaluateOrders(batch, timeout=self._timeout_s)
        except grpc.aio.AioRpcError as error:
            self._replica.note(error)
            raise from_rpc_error(error) from None
        return [from_status(r.error) if r.HasField("error") else r.decision for r in response.results]

    async def _settle(
        self, requests: Sequence[risk_pb2.SettleOrderRequest]
    ) -> list[risk_pb2.SettleOrderResponse | Exception]:
        batch = risk_pb2.BatchSettleOrdersRequest(requests=requests)
        try:
            response = await self._stub.BatchSettleOrders(batch, timeout=self._timeout_s)
        except grpc.aio.AioRpcError as error:
            self._replica.note(error)
            raise from_rpc_error(error) from None
        return [from_status(r.error) if r.HasField("error") else r.response for r in response.results]


class RiskClient:
    """Risk as the router sees it. Failures are ServiceErrors.

    The position last heard of is a guess that saves a call: risk refuses an order derived from another position.
    """

    def __init__(self, replicas: Replicas, timeout_s: float) -> None:
        self._replicas = replicas
        self._stub = risk_pb2_grpc.RiskServiceStub(replicas.channel)
        self._timeout_s = timeout_s
        self._positions = KnownPositions()
        self._batches: dict[Replica, _Batches] = {}

    def guess(self, account_id: str, instrument: str) -> Decimal:
        """The position last heard of; flat where none was."""
        return self._positions.get(account_id, instrument) or ZERO

    def known(self, account_id: str, instrument: str) -> Decimal | None:
        """The position last heard of; None where none was, or it was forgotten."""
        return self._positions.get(account_id, instrument)

    def forget(self, account_id: str, instrument: str) -> None:
        """Forgets the position: another replica may have traded the instrument."""
        self._positions.forget(account_id, instrument)

    async def held(self, account_id: str) -> list[str]:
        """Instruments the account holds, as far as is known: risk wants to know their prices with every decision."""
        if time.monotonic() - self._positions.listed.get(account_id, -LIST_EVERY_S) >= LIST_EVERY_S:
            request = risk_pb2.ListPositionsRequest(account_id=account_id, page_size=1000)
            asked = self._positions.bookings
            try:
                response = await self._stub.ListPositions(request, timeout=self._timeout_s)
            except grpc.aio.AioRpcError as error:
                raise from_rpc_error(error) from None
            for position in response.positions:
                self._positions.answered(account_id, position.instrument, parse_decimal(position.quantity), asked)
            if len(self._positions.listed) >= MOST:
                self._positions.listed.clear()
            self._positions.listed[account_id] = time.monotonic()
        return self._positions.held(account_id)

    async def position(self, account_id: str, instrument: str) -> Decimal:
        """The position now, in signed base units."""
        request = risk_pb2.ListPositionsRequest(account_id=account_id, instrument=instrument)
        asked = self._positions.bookings
        try:
            response = await self._stub.ListPositions(request, timeout=self._timeout_s)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None
        quantity = parse_decimal(response.positions[0].quantity) if response.positions else ZERO
        self._positions.answered(account_id, instrument, quantity, asked)
        return quantity

    async def mode_of(self, account_id: str) -> "common_pb2.Mode":
        """The account's mode.

        Raises:
            ServiceError: NOT_FOUND, or risk did not answer.
        """
        request = risk_pb2.GetAccountRequest(account_id=account_id)
        try:
            found = await self._stub.GetAccount(request, timeout=self._timeout_s)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None
        mode: common_pb2.Mode = found.account.mode
        return mode

    async def evaluate(self, request: risk_pb2.EvaluateOrderRequest) -> order_pb2.RiskDecision:
        """Risk's decision on an order. Those asked for while a call is out wait for it, and share the next one."""
        asked = self._positions.bookings
        if request.preview:
            decision = await self._preview(request)
        else:
            account = request.order.account_id
            decision = await self._share(account, _Batches.evaluate, request)
        if decision.verdict == order_pb2.RISK_VERDICT_POSITION_CHANGED:
            quantity = parse_decimal(decision.position_quantity)
            self._positions.answered(request.order.account_id, request.order.instrument, quantity, asked)
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
        response = await self._share(order.account_id, _Batches.settle, request)
        if response.position.quantity:
            self._positions.booked(order.account_id, order.instrument, parse_decimal(response.position.quantity))
        return response.position

    async def refresh_marks(self, quotes: Sequence[common_pb2.Quote]) -> list[str]:
        """Has every account valued at these quotes, at most 100; returns the instruments in which any has a position."""
        request = risk_pb2.RefreshMarksRequest(marks=quotes)
        try:
            response = await self._stub.RefreshMarks(request, timeout=REFRESH_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None
        return list(response.instruments)

    async def restricted(self) -> dict[str, str]:
        """HALTED or REDUCING, by each scope that is not ACTIVE.

        Raises:
            ServiceError: risk did not answer.
        """
        try:
            response = await self._stub.GetTradingState(risk_pb2.GetTradingStateRequest(), timeout=self._timeout_s)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None
        name = common_pb2.TradingState.Name
        return {held.scope: name(held.state).removeprefix("TRADING_STATE_") for held in response.restricted}

    async def funding_due(self, interval_s: int, until: datetime) -> list[tuple[str, str]]:
        """Accounts and perpetuals of which a funding time up to `until` is not booked."""
        request = risk_pb2.ListFundingDueRequest(interval_s=interval_s)
        request.until_time.FromDatetime(until)
        try:
            found = await self._stub.ListFundingDue(request, timeout=REFRESH_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None
        return [(key.account_id, key.instrument) for key in found.keys]

    async def book_funding(
        self,
        account_id: str,
        instrument: str,
        interval_s: int,
        until: datetime,
        rate_ratio: Decimal,
        quote: common_pb2.Quote,
    ) -> risk_pb2.BookFundingResponse:
        """Books every funding time up to `until` that is not booked, at the quote."""
        request = risk_pb2.BookFundingRequest(
            account_id=account_id,
            instrument=instrument,
            interval_s=interval_s,
            rate_ratio=format_decimal(rate_ratio),
            quote=quote,
        )
        request.until_time.FromDatetime(until)
        try:
            booked: risk_pb2.BookFundingResponse = await self._stub.BookFunding(request, timeout=self._timeout_s)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None
        return booked

    async def decide_again(self, inputs: risk_pb2.DecisionInputs, *, current: bool) -> order_pb2.RiskDecision:
        """The decision from recorded inputs, with the account's rules as recorded or as they are now."""
        request = risk_pb2.VerifyDecisionRequest(inputs=inputs, current=current)
        try:
            response: risk_pb2.VerifyDecisionResponse = await self._stub.VerifyDecision(
                request, timeout=self._timeout_s
            )
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None
        return response.decision

    async def copy_account(self, source: str, target: str, seed: bytes = b"") -> None:
        """Makes a scratch copy of an account, unless it is there: as it is, or as the `seed` (DecisionInputs) has it."""
        request = risk_pb2.CreateAccountRequest(request_id=target, copy_from_account_id=source)
        request.account.account_id = target
        if seed:
            request.seed.MergeFromString(seed)
        try:
            await self._stub.CreateAccount(request, timeout=self._timeout_s)
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.ALREADY_EXISTS:
                raise from_rpc_error(error) from None

    async def _preview(self, request: risk_pb2.EvaluateOrderRequest) -> order_pb2.RiskDecision:
        try:
            response: risk_pb2.EvaluateOrderResponse = await self._stub.EvaluateOrder(request, timeout=self._timeout_s)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None
        return response.decision

    async def _share(
        self, account_id: str, call: Callable[[_Batches, Item], Awaitable[Result]], request: Item
    ) -> Result:
        """The result from the account's replica of risk, or from another one where that does not answer.

        Raises:
            ServiceError: what risk answered; UNAVAILABLE RISK_UNAVAILABLE where too many wait, or no replica is known.
        """
        for attempt in range(len(PAUSES_S) + 1):
            replica = next(iter(self._replicas.ranked(account_id)), None)
            if replica is None:
                failure = unavailable("RISK_UNAVAILABLE", "no process of risk is known to run")
            else:
                try:
                    return await call(self._batches_of(replica), request)
                except BatcherFull as error:
                    raise unavailable("RISK_UNAVAILABLE", str(error)) from None
                except ServiceError as error:
                    # What it says of one order, such as that its account is held, is no reason to ask another replica.
                    if replica.usable or error.code is not grpc.StatusCode.UNAVAILABLE:
                        raise
                    failure = error
            self._replicas.look_soon()
            if attempt < len(PAUSES_S):
                await asyncio.sleep(PAUSES_S[attempt])
        raise failure

    def _batches_of(self, replica: Replica) -> _Batches:
        if (found := self._batches.get(replica)) is None:
            known = self._replicas.ranked("")
            self._batches = {r: b for r, b in self._batches.items() if r in known}
            found = self._batches[replica] = _Batches(replica, self._timeout_s)
        return found


def _size_of(request: Any) -> int:
    # With the field's tag and length in the batch around it.
    return int(request.ByteSize()) + 4


def _of_one(error: Exception) -> bool:
    return isinstance(error, ServiceError) and error.code in _OF_ONE
