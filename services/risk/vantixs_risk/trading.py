"""GetTradingState and SetTradingState as units of work, and what is reset when an operator lifts a state."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.model.decimals import ZERO

from vantixs_risk import store
from vantixs_risk.account_state import Account, reservation_of
from vantixs_risk.conversion import STATES, state_message
from vantixs_risk.domain import breakers
from vantixs_risk.existence import check_scope_exists
from vantixs_risk.fields import SCOPE, comment, named, show, text
from vantixs_risk.locks import lock_books
from vantixs_risk.order_lookup import look_up_orders
from vantixs_risk.settings import RiskSettings
from vantixs_risk.unit_context import UnitContext

MOST_SHOWN = 1000
_SCOPE_FORM = "global, account:ID, webhook:ID, strategy:ID or instrument:NAME"


def checked_scope(scope: str) -> str:
    """The scope, checked. An empty one is "global"."""
    return text("scope", scope or "global", SCOPE, _SCOPE_FORM)


def set_trading_state(
    connection: sa.Connection, context: UnitContext, request: risk_pb2.SetTradingStateRequest, actor: str, now: datetime
) -> risk_pb2.SetTradingStateResponse:
    """Sets a scope's state. It is in force for the next decision of every process on this database."""
    scope = checked_scope(request.scope)
    state = named("state", common_pb2.TradingState, "TRADING_STATE_", request.state)
    lock_books(connection)
    held = store.READ_TRADING_STATE.first(connection, scope=scope)
    if state != "ACTIVE" or held is None:
        # A state that is set can be lifted also where its account or instrument does not exist any more.
        check_scope_exists(connection, scope)
    before = context.set_trading_state(connection, scope, state, comment("comment", request.comment), actor, now)
    if state == "ACTIVE":
        _start_anew(connection, context, scope, held.actor if held else "", now)
    row = store.READ_TRADING_STATE.first(connection, scope=scope)
    orders, count = store.open_orders(connection, _in_scope(scope), MOST_SHOWN)
    return risk_pb2.SetTradingStateResponse(
        state=state_message(row),
        before=STATES[before],
        open_orders=count,
        orders=[open_order_message(order) for order in orders],
    )


def get_trading_state(
    connection: sa.Connection, scope: str, settings: RiskSettings
) -> risk_pb2.GetTradingStateResponse:
    """The scope's state, and every scope that is restricted."""
    row = store.READ_TRADING_STATE.first(connection, scope=scope)
    state = state_message(row) if row else risk_pb2.ScopeState(scope=scope, state=common_pb2.TRADING_STATE_ACTIVE)
    restricted = sorted(store.READ_RESTRICTED.rows(connection), key=lambda r: str(r.scope))
    return risk_pb2.GetTradingStateResponse(
        state=state,
        restricted=[state_message(r) for r in restricted],
        max_price_age_ms=settings.max_price_age_ms,
    )


def open_order_message(row: Any) -> risk_pb2.OpenOrder:
    """An open order."""
    message = risk_pb2.OpenOrder(
        order_id=row.order_id,
        account_id=row.account_id,
        instrument=row.instrument,
        side=common_pb2.SIDE_BUY if row.buy else common_pb2.SIDE_SELL,
        effect=order_pb2.ORDER_EFFECT_ENTRY if row.entry else order_pb2.ORDER_EFFECT_EXIT,
        quantity=show(row.quantity),
        filled_quantity=show(row.filled),
        hold=show(reservation_of(row).reserved_funds_left),
        webhook_id=row.webhook_id,
        strategy_id=row.strategy_id,
    )
    message.decide_time.FromDatetime(row.decide_time)
    return message


def _in_scope(scope: str) -> "sa.ColumnElement[bool]":
    kind, _, name = scope.partition(":")
    if kind == "global":
        return sa.true()
    column = store.ORDERS.c["instrument" if kind == "instrument" else f"{kind}_id"]
    return column == name


def _start_anew(connection: sa.Connection, context: UnitContext, scope: str, set_by: str, now: datetime) -> None:
    """Resets what had stopped trading, and times in the future, when an operator lets trading go on.

    Without this an account whose drawdown breaker tripped would trip again at once, as its peak never falls by itself. An
    account that had used a clock which was far ahead would wait until that time has come.
    """
    kind, _, name = scope.partition(":")
    if kind == "account":
        ids = [name]
    elif kind == "global":
        query = sa.select(store.ACCOUNTS.c.account_id).where(store.ACCOUNTS.c.scratch_of == "")
        ids = list(connection.execute(query).scalars())
    else:
        return
    lookup = look_up_orders(connection, ids)
    for account_id in ids:
        if account_id not in lookup.versions:
            continue
        account = context.cache.take(connection, account_id, lookup)
        if _changed(account, set_by if kind == "account" else "", now):
            context.cache.save(connection, account)
        else:
            context.cache.put(account)


def _changed(account: Account, set_by: str, now: datetime) -> bool:
    """Resets the account, and returns whether anything had to be reset."""
    before = (account.clock, account.equity_history, account.activity)
    # Only a time in the future is given up. Otherwise an account's time never goes back, so that no limit opens.
    if account.clock > now:
        account.clock = now
        today = account.day_of(now)
        if account.equity_history.day > today:
            account.equity_history = replace(account.equity_history, day=today)
        account.activity = account.activity.not_after(now)
        for name, held in account.holdings.items():
            # A price with a time in the future is not a price.
            if held.mark and held.mark.time > now:
                account.holdings[name] = replace(held, mark=None)
    match set_by.removeprefix("breaker:"):
        case breakers.FAILURES:
            account.activity = replace(account.activity, failures=0)
        case breakers.REPEATED:
            account.activity = replace(account.activity, requested=())
        case breakers.DRAWDOWN:
            account.equity_history = replace(account.equity_history, peak=max(account.valuation().equity, ZERO))
        case _:
            pass
    return before != (account.clock, account.equity_history, account.activity)
