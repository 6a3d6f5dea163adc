"""RiskService: decode, run one unit of work, encode."""

import json
import re
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from google.protobuf import json_format
from vantixs.api.common.v1 import common_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.api.risk.v1 import risk_pb2, risk_pb2_grpc
from vantixs.model.decimals import ZERO, exact_sum, format_decimal
from vantixs.model.ids import event_subject
from vantixs.runtime import trace
from vantixs.runtime.database import Database
from vantixs.runtime.errors import already_exists, invalid, revision_conflict
from vantixs.runtime.grpc_server import Role, caller
from vantixs.runtime.journal import Message
from vantixs.runtime.outbox import Outbox
from vantixs.runtime.paging import page_of

from vantixs_risk import store
from vantixs_risk.domain.ledger import CASH, HOLDING, Position, open_books
from vantixs_risk.evaluation import (
    evaluate_order,
    limits_of,
    position_message,
    read_account,
    required,
    settle_order,
    sizing_of,
)
from vantixs_risk.settings import RiskSettings

NAME = "vantixs.api.risk.v1.RiskService"
ROLES = {
    f"/{NAME}/{method}": role
    for role, methods in {
        Role.SERVICE: ("EvaluateOrder", "SettleOrder"),
        Role.OPERATOR: ("CreateAccount", "UpdateAccount", "SetTradingState"),
        Role.VIEWER: ("GetAccount", "ListAccounts", "ListPositions", "GetTradingState"),
    }.items()
    for method in methods
}
_STATES = {
    "ACTIVE": common_pb2.TRADING_STATE_ACTIVE,
    "REDUCING": common_pb2.TRADING_STATE_REDUCING,
    "HALTED": common_pb2.TRADING_STATE_HALTED,
}
_ID = re.compile(r"^[a-z][a-z0-9-]{0,39}$")
_SCOPE = re.compile(r"^(global|(account|webhook|strategy):[a-z][a-z0-9-]{0,39}|instrument:[A-Z0-9/:]{3,40})$")


class RiskServicer(risk_pb2_grpc.RiskServiceServicer):
    """What an account may do, and its books."""

    def __init__(self, database: Database, outbox: Outbox, settings: RiskSettings) -> None:
        self._database = database
        self._outbox = outbox
        self._settings = settings

    async def EvaluateOrder(self, request: risk_pb2.EvaluateOrderRequest, context: Any) -> Any:
        """One transaction: read, size, check, reserve, record."""
        if not request.order.order_id:
            raise invalid("order.order_id", "expected an id, was empty", "FIELD_MISSING")
        now = datetime.now(UTC)
        decision = await self._database.write(lambda c: evaluate_order(c, request, self._settings, now))
        return risk_pb2.EvaluateOrderResponse(decision=decision)

    async def SettleOrder(self, request: risk_pb2.SettleOrderRequest, context: Any) -> Any:
        """Books fills once, releases the rest."""
        position = await self._database.write(lambda c: settle_order(c, request))
        return risk_pb2.SettleOrderResponse(position=position)

    async def CreateAccount(self, request: risk_pb2.CreateAccountRequest, context: Any) -> Any:
        """Creates an account, or a scratch copy of one."""
        now, actor = datetime.now(UTC), caller().actor
        account = await self._database.write(lambda c: self._create(c, request, actor, now))
        self._outbox.wake()
        return risk_pb2.CreateAccountResponse(account=account)

    async def UpdateAccount(self, request: risk_pb2.UpdateAccountRequest, context: Any) -> Any:
        """Replaces an account's rules at the revision they were read."""
        now, actor = datetime.now(UTC), caller().actor

        def update(connection: sa.Connection) -> risk_pb2.Account:
            before = read_account(connection, request.account.account_id)
            if request.account.revision != before.revision:
                raise revision_conflict("account", before.account_id, before.revision, request.account.revision)
            after = risk_pb2.Account()
            after.CopyFrom(request.account)
            for name in ("mode", "currency", "balance", "scratch_of"):
                setattr(after, name, getattr(before, name))
            after.create_time.CopyFrom(before.create_time)
            self._store(connection, before, after, actor, now)
            return after

        account = await self._database.write(update)
        self._outbox.wake()
        return risk_pb2.UpdateAccountResponse(account=account)

    async def GetAccount(self, request: risk_pb2.GetAccountRequest, context: Any) -> Any:
        """The account, its balances and positions."""

        def read(connection: sa.Connection) -> risk_pb2.GetAccountResponse:
            account = read_account(connection, request.account_id)
            held = exact_sum(r.hold for r in store.read_reservations(connection, account.account_id))
            response = risk_pb2.GetAccountResponse(account=account)
            balances = sa.select(store.BALANCES).where(
                store.BALANCES.c.account_id == account.account_id, store.BALANCES.c.book.in_([CASH, HOLDING])
            )
            for row in connection.execute(balances.order_by(store.BALANCES.c.asset)):
                reserved = held if row.asset == account.currency else ZERO
                response.balances.add(
                    asset=row.asset, total=format_decimal(row.amount), reserved=format_decimal(reserved)
                )
            positions = _positions(connection, account.account_id)
            profit = exact_sum(position.realized_profit for position in positions)
            fees = exact_sum(position.fees for position in positions)
            for position in positions:
                if position.quantity:
                    values = Position(
                        position.quantity, position.average_price, position.realized_profit, position.fees
                    )
                    response.positions.append(position_message(account.account_id, position.instrument, values))
            response.realized_profit, response.fees = format_decimal(profit), format_decimal(fees)
            return response

        return await self._database.read(read)

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

        def read(connection: sa.Connection) -> risk_pb2.ListPositionsResponse:
            read_account(connection, request.account_id)
            query = sa.select(store.POSITIONS).where(store.POSITIONS.c.account_id == request.account_id)
            if request.instrument:
                query = query.where(store.POSITIONS.c.instrument == request.instrument)
            rows, following = page_of(connection, query, store.POSITIONS.c.instrument, request)
            response = risk_pb2.ListPositionsResponse(next_page_token=following)
            for row in rows:
                values = Position(row.quantity, row.average_price, row.realized_profit, row.fees)
                response.positions.append(position_message(request.account_id, row.instrument, values))
            return response

        return await self._database.read(read)

    async def GetTradingState(self, request: risk_pb2.GetTradingStateRequest, context: Any) -> Any:
        """The scope's state, and every scope that is restricted."""
        scope = _checked_scope(request.scope)

        def read(connection: sa.Connection) -> risk_pb2.GetTradingStateResponse:
            states = {row.scope: _state_message(row) for row in connection.execute(sa.select(store.TRADING_STATES))}
            active = risk_pb2.ScopeState(scope=scope, state=common_pb2.TRADING_STATE_ACTIVE)
            restricted = [s for _, s in sorted(states.items()) if s.state != common_pb2.TRADING_STATE_ACTIVE]
            return risk_pb2.GetTradingStateResponse(state=states.get(scope, active), restricted=restricted)

        return await self._database.read(read)

    async def SetTradingState(self, request: risk_pb2.SetTradingStateRequest, context: Any) -> Any:
        """Latches a scope's state; in force for the next decision."""
        scope, now, actor = _checked_scope(request.scope), datetime.now(UTC), caller().actor
        if request.state == common_pb2.TRADING_STATE_UNSPECIFIED:
            raise invalid("state", "expected ACTIVE, REDUCING or HALTED, was unspecified", "FIELD_MISSING")
        if not 0 < len(request.comment) <= 500:
            raise invalid("comment", f"expected 1 to 500 characters, was {len(request.comment)}")
        state = common_pb2.TradingState.Name(request.state).removeprefix("TRADING_STATE_")

        def write(connection: sa.Connection) -> risk_pb2.SetTradingStateResponse:
            before = store.set_state(connection, scope, state, request.comment, actor, now)
            before_value = _STATES[before]
            event = journal_pb2.TradingStateChanged(
                scope=scope, before=before_value, after=request.state, comment=request.comment
            )
            stamp = int(now.timestamp() * 1e6)
            self._put(connection, f"trading-state:{scope}:{stamp}", actor, now, trading_state_changed=event)
            row = connection.execute(sa.select(store.TRADING_STATES).where(store.TRADING_STATES.c.scope == scope)).one()
            open_orders = connection.execute(sa.select(sa.func.count()).select_from(store.RESERVATIONS)).scalar()
            return risk_pb2.SetTradingStateResponse(
                state=_state_message(row), before=before_value, open_orders=open_orders or 0
            )

        response = await self._database.write(write)
        self._outbox.wake()
        return response

    def _create(
        self, connection: sa.Connection, request: risk_pb2.CreateAccountRequest, actor: str, now: datetime
    ) -> risk_pb2.Account:
        account = risk_pb2.Account()
        source = request.copy_from_account_id
        if source:
            account.CopyFrom(read_account(connection, source))
            account.account_id, account.scratch_of = request.account.account_id, source
        else:
            account.CopyFrom(request.account)
            account.scratch_of = ""
        there = connection.execute(
            sa.select(store.ACCOUNTS).where(store.ACCOUNTS.c.account_id == account.account_id)
        ).first()
        if there:
            if there.request_id and there.request_id == request.request_id:
                return risk_pb2.Account.FromString(there.data)
            raise already_exists("account", account.account_id)
        account.create_time.FromDatetime(now)
        account.revision = 0
        _check_account(account)
        connection.execute(
            sa.insert(store.ACCOUNTS).values(
                account_id=account.account_id,
                revision=0,
                scratch_of=account.scratch_of,
                request_id=request.request_id,
                data=b"",
            )
        )
        self._store(connection, None, account, actor, now)
        if source:
            _copy_books(connection, source, account.account_id)
        else:
            opening = open_books(account.currency, required("balance", account.balance))
            store.post(connection, account.account_id, "opening", opening)
        return account

    def _store(
        self,
        connection: sa.Connection,
        before: risk_pb2.Account | None,
        after: risk_pb2.Account,
        actor: str,
        now: datetime,
    ) -> None:
        _check_account(after)
        after.update_time.FromDatetime(now)
        after.revision += 1
        connection.execute(
            sa.update(store.ACCOUNTS)
            .where(store.ACCOUNTS.c.account_id == after.account_id)
            .values(revision=after.revision, data=after.SerializeToString())
        )
        event = journal_pb2.ConfigurationChanged(
            kind="account",
            id=after.account_id,
            revision=after.revision,
            before_json=_json(before) if before else "",
            after_json=_json(after),
        )
        self._put(connection, f"account:{after.account_id}:{after.revision}", actor, now, configuration_changed=event)

    def _put(self, connection: sa.Connection, event_id: str, actor: str, now: datetime, **event: Any) -> None:
        entry = journal_pb2.JournalEntry(event_id=event_id, actor=actor, trace_parent=trace.current(), **event)
        entry.event_time.FromDatetime(now)
        payload = journal_pb2.JournalBatch(entries=[entry]).SerializeToString()
        self._outbox.put(connection, Message(event_subject("risk"), payload, event_id))


def _positions(connection: sa.Connection, account_id: str) -> "list[sa.Row[Any]]":
    query = sa.select(store.POSITIONS).where(store.POSITIONS.c.account_id == account_id)
    return list(connection.execute(query.order_by(store.POSITIONS.c.instrument)))


def _copy_books(connection: sa.Connection, source: str, target: str) -> None:
    for table in (store.BALANCES, store.POSITIONS):
        for row in connection.execute(sa.select(table).where(table.c.account_id == source)).mappings().all():
            connection.execute(sa.insert(table).values(**{**row, "account_id": target}))


def _check_account(account: risk_pb2.Account) -> None:
    if not _ID.match(account.account_id):
        raise invalid(
            "account_id", f"expected 1 to 40 of a-z, 0-9 and '-', a letter first, was {account.account_id[:60]!r}"
        )
    if account.mode == common_pb2.MODE_UNSPECIFIED:
        raise invalid("mode", "expected PAPER or LIVE, was unspecified", "FIELD_MISSING")
    if not re.fullmatch(r"[A-Z0-9]{2,10}", account.currency):
        raise invalid("currency", f"expected 2 to 10 of A-Z and 0-9, was {account.currency[:20]!r}")
    if required("balance", account.balance) < 0:
        raise invalid("balance", f"expected at least 0, was {account.balance}")
    for name, value in limits_of(account).items():
        if value < 0:
            raise invalid(f"limits.{name}", f"expected at least 0, was {value}")
    sizing = sizing_of(account.sizing)
    if sizing and sizing.value <= 0:
        raise invalid("sizing.value", f"expected above 0, was {sizing.value}")


def _checked_scope(scope: str) -> str:
    scope = scope or "global"
    if not _SCOPE.match(scope):
        raise invalid(
            "scope", f"expected global, account:ID, webhook:ID, strategy:ID or instrument:NAME, was {scope[:60]!r}"
        )
    return scope


def _state_message(row: Any) -> risk_pb2.ScopeState:
    message = risk_pb2.ScopeState(scope=row.scope, state=_STATES[row.state], comment=row.comment, actor=row.actor)
    message.update_time.FromDatetime(row.update_time)
    return message


def _json(message: Any) -> str:
    return json.dumps(json_format.MessageToDict(message, preserving_proto_field_name=True), sort_keys=True)
