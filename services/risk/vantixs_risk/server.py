"""RiskService: decode, run one unit of work, encode."""

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any, TypeVar

import grpc
import sqlalchemy as sa
from vantixs.api.common.v1 import common_pb2
from vantixs.api.risk.v1 import risk_pb2, risk_pb2_grpc
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError, invalid
from vantixs.runtime.grpc_server import Role, caller
from vantixs.runtime.logs import log
from vantixs.runtime.outbox import Outbox
from vantixs.runtime.paging import page_of
from vantixs.runtime.units import runs_in_pipeline

from vantixs_risk import store
from vantixs_risk.account_state import holding_of, read_marks, read_rules
from vantixs_risk.accounts import create_account, get_account, update_account
from vantixs_risk.adjustment import record_adjustment
from vantixs_risk.clock import SteadyClock
from vantixs_risk.conversion import position_message
from vantixs_risk.decision_inputs import decide_again
from vantixs_risk.domain.equity import Mark
from vantixs_risk.evaluation import check_request, evaluate_orders, preview_order
from vantixs_risk.fields import identity, show
from vantixs_risk.funding import book_fundings, list_due
from vantixs_risk.marks import ACCOUNTS_AT_ONCE, check_marks, read_held, refresh_marks
from vantixs_risk.settings import RiskSettings
from vantixs_risk.settlement import settle_orders
from vantixs_risk.trading import checked_scope, get_trading_state, set_trading_state
from vantixs_risk.unit_context import AccountBusy, UnitContext
from vantixs_risk.wire import encode_response, encode_results

NAME = "vantixs.api.risk.v1.RiskService"
ROLES = {
    f"/{NAME}/{method}": role
    for role, methods in {
        Role.SERVICE: (
            *("EvaluateOrder", "BatchEvaluateOrders", "SettleOrder", "BatchSettleOrders", "RefreshMarks"),
            *("ListFundingDue", "BookFunding", "VerifyDecision"),
        ),
        Role.OPERATOR: ("CreateAccount", "UpdateAccount", "SetTradingState", "RecordAdjustment"),
        Role.VIEWER: ("GetAccount", "ListAccounts", "ListPositions", "GetTradingState", "ListEquity"),
    }.items()
    for method in methods
}


MOST_ORDERS = 256
# How long requests are tried again whose account another process has locked, and the pause between two attempts.
BUSY_RETRY_S, BUSY_PAUSE_S = 0.5, 0.005
Request = TypeVar("Request")
Answer = TypeVar("Answer")


class RiskServicer(risk_pb2_grpc.RiskServiceServicer):
    """Implements RiskService. Every method runs one unit of work, in one transaction."""

    def __init__(self, database: Database, outbox: Outbox, settings: RiskSettings, clock: SteadyClock) -> None:
        self._database = database
        self._outbox = outbox
        self._settings = settings
        self._clock = clock
        self._context = UnitContext(settings, outbox)

    async def EvaluateOrder(self, request: risk_pb2.EvaluateOrderRequest, context: Any) -> Any:
        """One transaction: read, size, check, reserve, record."""
        now = self._clock.now()
        if request.preview:
            checked = check_request(request, now)
            return encode_response(await self._database.read(lambda c: preview_order(c, checked, self._settings)))
        (answer,) = await self._ask(self._evaluate_orders, [(request, now)])
        if isinstance(answer, ServiceError):
            raise answer
        return answer

    async def BatchEvaluateOrders(self, request: risk_pb2.BatchEvaluateOrdersRequest, context: Any) -> Any:
        """One transaction for all of them."""
        _check_size(len(request.requests))
        now = self._clock.now()
        return encode_results(await self._ask(self._evaluate_orders, [(order, now) for order in request.requests]))

    async def SettleOrder(self, request: risk_pb2.SettleOrderRequest, context: Any) -> Any:
        """Books fills once, releases the rest."""
        (answer,) = await self._ask(self._settle_orders, [(request, self._clock.now())])
        if isinstance(answer, ServiceError):
            raise answer
        return answer

    async def BatchSettleOrders(self, request: risk_pb2.BatchSettleOrdersRequest, context: Any) -> Any:
        """One transaction for all of them."""
        _check_size(len(request.requests))
        now = self._clock.now()
        answers = await self._ask(self._settle_orders, [(order, now) for order in request.requests])
        return encode_results(
            a if isinstance(a, ServiceError) else encode_response(a.SerializeToString()) for a in answers
        )

    async def VerifyDecision(self, request: risk_pb2.VerifyDecisionRequest, context: Any) -> Any:
        """Decides again from what was recorded."""
        account = None
        if request.current:
            account_id = identity("inputs.account.account_id", request.inputs.account.account_id)
            account = await self._database.read(lambda c: read_rules(c, account_id))
        return risk_pb2.VerifyDecisionResponse(decision=decide_again(request.inputs, account, self._settings))

    async def RefreshMarks(self, request: risk_pb2.RefreshMarksRequest, context: Any) -> Any:
        """Runs one transaction for each group of accounts, so that orders do not wait for all accounts."""
        marks = check_marks(request.marks)
        held = await self._database.read(read_held)
        touched = [account_id for account_id, names in held.items() if not marks.keys().isdisjoint(names)]
        count = 0
        for some in (touched[n : n + ACCOUNTS_AT_ONCE] for n in range(0, len(touched), ACCOUNTS_AT_ONCE)):
            now = self._clock.now()
            count += await self._database.write_batched(self._refresh_marks, (some, marks, now))
        if count:
            self._outbox.wake()
        instruments = sorted({name for names in held.values() for name in names})
        return risk_pb2.RefreshMarksResponse(instruments=instruments, accounts=count)

    async def ListFundingDue(self, request: risk_pb2.ListFundingDueRequest, context: Any) -> Any:
        """Positions in perpetuals for which a funding time has not been booked."""
        now = self._clock.now()
        return await self._database.read(lambda c: list_due(c, request, now))

    async def BookFunding(self, request: risk_pb2.BookFundingRequest, context: Any) -> Any:
        """Books every funding time that has passed, each once."""
        identity("account_id", request.account_id)
        (answer,) = await self._ask(self._book_fundings, [(request, self._clock.now())])
        if isinstance(answer, ServiceError):
            raise answer
        self._outbox.wake()
        return answer

    @runs_in_pipeline
    def _book_fundings(
        self, connection: sa.Connection, calls: Sequence[Sequence[tuple[risk_pb2.BookFundingRequest, datetime]]]
    ) -> list[list[risk_pb2.BookFundingResponse | ServiceError]]:
        return _shared(book_fundings, connection, self._context, calls)

    @runs_in_pipeline
    def _refresh_marks(
        self, connection: sa.Connection, calls: Sequence[tuple[list[str], dict[str, Mark], datetime]]
    ) -> list[int]:
        # This may not be a unit that runs alone: such a unit takes the books' lock exclusively, and two processes that hold
        # it shared would wait for one another.
        return [refresh_marks(connection, self._context, *call) for call in calls]

    @runs_in_pipeline
    def _evaluate_orders(
        self, connection: sa.Connection, calls: Sequence[Sequence[tuple[risk_pb2.EvaluateOrderRequest, datetime]]]
    ) -> list[list[bytes | ServiceError]]:
        return _shared(evaluate_orders, connection, self._context, calls)

    @runs_in_pipeline
    def _settle_orders(
        self, connection: sa.Connection, calls: Sequence[Sequence[tuple[risk_pb2.SettleOrderRequest, datetime]]]
    ) -> list[list[risk_pb2.SettleOrderResponse | ServiceError]]:
        return _shared(settle_orders, connection, self._context, calls)

    async def _ask(
        self,
        run: Callable[[sa.Connection, Sequence[Sequence[Request]]], list[list[Answer | ServiceError]]],
        requests: Sequence[Request],
    ) -> list[Answer | ServiceError]:
        """The answers of a batch. Requests whose account another process has locked are tried again, for BUSY_RETRY_S."""
        answers = await self._each(run, requests)
        give_up = time.monotonic() + BUSY_RETRY_S
        while busy := [n for n, answer in enumerate(answers) if isinstance(answer, AccountBusy)]:
            if time.monotonic() > give_up:
                break
            await asyncio.sleep(BUSY_PAUSE_S)
            for number, answer in zip(busy, await self._each(run, [requests[n] for n in busy]), strict=True):
                answers[number] = answer
        return answers

    async def _each(
        self,
        run: Callable[[sa.Connection, Sequence[Sequence[Request]]], list[list[Answer | ServiceError]]],
        requests: Sequence[Request],
    ) -> list[Answer | ServiceError]:
        """The answers of a batch. Where the batch fails with an unexpected error, each request is run alone and fails alone."""
        try:
            return await self._database.write_batched(run, requests)
        except ServiceError:
            raise
        except Exception as error:
            log.error("risk.batch_failed", size=len(requests), exc_info=error)
        answers: list[Answer | ServiceError] = []
        for one in requests:
            try:
                answers += await self._database.write_batched(run, [one])
            except ServiceError as error:
                answers.append(error)
            except Exception:
                answers.append(
                    ServiceError(grpc.StatusCode.INTERNAL, "INTERNAL", "internal error, see the service's log")
                )
        return answers

    async def CreateAccount(self, request: risk_pb2.CreateAccountRequest, context: Any) -> Any:
        """Creates an account, or a scratch copy of an account."""
        now, actor = self._clock.now(), caller().actor
        account = await self._database.write(lambda c: create_account(c, self._context, request, actor, now))
        self._outbox.wake()
        return risk_pb2.CreateAccountResponse(account=account)

    async def UpdateAccount(self, request: risk_pb2.UpdateAccountRequest, context: Any) -> Any:
        """Replaces an account's rules, if they still have the revision that the caller read."""
        now, who = self._clock.now(), caller()
        account = await self._database.write(
            lambda c: update_account(c, self._context, request.account, who.role, who.actor, now)
        )
        self._outbox.wake()
        return risk_pb2.UpdateAccountResponse(account=account)

    async def GetAccount(self, request: risk_pb2.GetAccountRequest, context: Any) -> Any:
        """The account with its balances, positions, equity and headroom."""
        account_id, now = identity("account_id", request.account_id), self._clock.now()
        return await self._database.read(lambda c: get_account(c, account_id, now))

    async def ListAccounts(self, request: risk_pb2.ListAccountsRequest, context: Any) -> Any:
        """Accounts by id."""

        def read(connection: sa.Connection) -> risk_pb2.ListAccountsResponse:
            query = sa.select(store.ACCOUNTS).where(store.ACCOUNTS.c.scratch_of == "")
            rows, following = page_of(connection, query, store.ACCOUNTS.c.account_id, request)
            accounts = [risk_pb2.Account.FromString(row.data) for row in rows]
            return risk_pb2.ListAccountsResponse(accounts=accounts, next_page_token=following)

        return await self._database.read(read)

    async def ListPositions(self, request: risk_pb2.ListPositionsRequest, context: Any) -> Any:
        """Positions by instrument."""
        identity("account_id", request.account_id)
        if request.instrument:
            identity("instrument", request.instrument)
            return await self._database.read_together(partial(_position, request))

        def read(connection: sa.Connection) -> risk_pb2.ListPositionsResponse:
            marks = read_marks(connection, request.account_id)
            query = sa.select(store.POSITIONS).where(store.POSITIONS.c.account_id == request.account_id)
            rows, following = page_of(connection, query, store.POSITIONS.c.instrument, request)
            return risk_pb2.ListPositionsResponse(
                positions=[position_message(request.account_id, holding_of(row, marks)) for row in rows],
                next_page_token=following,
            )

        return await self._database.read(read)

    async def ListEquity(self, request: risk_pb2.ListEquityRequest, context: Any) -> Any:
        """Samples of equity, newest first."""
        identity("account_id", request.account_id)
        resolution = request.resolution_s or 60
        if resolution not in store.RESOLUTIONS:
            known = ", ".join(str(r) for r in store.RESOLUTIONS)
            raise invalid("resolution_s", f"expected one of {known}, was {resolution}")

        def read(connection: sa.Connection) -> risk_pb2.ListEquityResponse:
            read_marks(connection, request.account_id)
            samples = store.SAMPLES.c
            query = sa.select(store.SAMPLES).where(
                samples.account_id == request.account_id, samples.resolution_s == resolution
            )
            rows, following = page_of(connection, query, samples.bucket, request, descending=True)
            response = risk_pb2.ListEquityResponse(next_page_token=following)
            for row in rows:
                response.samples.add(equity=show(row.equity)).sample_time.FromDatetime(row.sample_time)
            return response

        return await self._database.read(read)

    async def RecordAdjustment(self, request: risk_pb2.RecordAdjustmentRequest, context: Any) -> Any:
        """Books a difference between the account and the venue."""
        now, actor = self._clock.now(), caller().actor
        response = await self._database.write(lambda c: record_adjustment(c, self._context, request, actor, now))
        self._outbox.wake()
        return response

    async def GetTradingState(self, request: risk_pb2.GetTradingStateRequest, context: Any) -> Any:
        """The scope's state, and every scope that is restricted."""
        scope = checked_scope(request.scope)
        return await self._database.read(lambda c: get_trading_state(c, scope, self._settings))

    async def SetTradingState(self, request: risk_pb2.SetTradingStateRequest, context: Any) -> Any:
        """Sets a scope's state. It is in force for the next decision."""
        now, actor = self._clock.now(), caller().actor
        # A halt has to be possible while the disk is full. Trading again can wait until there is space.
        lifts = request.state == common_pb2.TRADING_STATE_ACTIVE
        write = self._database.write if lifts else self._database.write_at_any_cost
        response = await write(lambda c: set_trading_state(c, self._context, request, actor, now))
        self._outbox.wake()
        return response


def _position(request: risk_pb2.ListPositionsRequest, connection: sa.Connection) -> risk_pb2.ListPositionsResponse:
    """The account's position in the instrument. The router reads it with every exit."""
    rows = store.READ_POSITION.ask(connection, account_id=request.account_id, instrument=request.instrument)
    marks = read_marks(connection, request.account_id)
    return risk_pb2.ListPositionsResponse(
        positions=[position_message(request.account_id, holding_of(row, marks)) for row in rows()]
    )


def _check_size(count: int) -> None:
    if count > MOST_ORDERS:
        raise invalid("requests", f"expected at most {MOST_ORDERS}, was {count}")


def _shared(
    run: Callable[[sa.Connection, UnitContext, Sequence[Request]], Sequence[Answer]],
    connection: sa.Connection,
    context: UnitContext,
    calls: Sequence[Sequence[Request]],
) -> list[list[Answer]]:
    """Runs the requests of several calls as one batch, and gives each call the answers to its own requests."""
    answers = iter(run(connection, context, [one for call in calls for one in call]))
    return [list(islice(answers, len(call))) for call in calls]
