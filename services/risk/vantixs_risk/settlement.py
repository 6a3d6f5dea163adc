"""SettleOrder and BatchSettleOrders as a unit of work: book each fill once, release what an ended order reserved."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal, localcontext
from typing import Any, NamedTuple

import sqlalchemy as sa
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.runtime.errors import ServiceError, not_found
from vantixs.runtime.logs import log
from vantixs.runtime.timestamps import set_time

from vantixs_risk import store
from vantixs_risk.account_state import Account, reservation_of
from vantixs_risk.conversion import instant, position_message, trade_of
from vantixs_risk.domain.equity import Mark
from vantixs_risk.domain.exact import BOOKS, ZERO, show
from vantixs_risk.domain.ledger import Market, Trade, book_trade
from vantixs_risk.domain.reservations import Reservation
from vantixs_risk.fields import identity
from vantixs_risk.locks import lock_accounts, lock_books_shared
from vantixs_risk.order_lookup import look_up_orders
from vantixs_risk.postings import Postings
from vantixs_risk.unit_context import AccountBusy, UnitContext

EXCEEDS, AFTER_END = "FILL_EXCEEDS_ORDER", "FILL_AFTER_END"
NOT_APPROVED, CONTRADICTORY = "FILL_NOT_APPROVED", "FILL_CONTRADICTORY"
BEYOND_POSITION = "EXITS_EXCEED_POSITION"


class Settlement(NamedTuple):
    """A request as values: each fill as a trade, and when it was executed. `now` is when the request was received."""

    request: risk_pb2.SettleOrderRequest
    trades: list[Trade]
    times: list[datetime]
    now: datetime


class _Booked(NamedTuple):
    """A fill that was booked, and the order it was booked for."""

    trade: Trade
    order_id: str


def check_fills(request: risk_pb2.SettleOrderRequest) -> list[Trade]:
    """The fills of a request as values."""
    identity("order_id", request.order_id)
    for name in ("account_id", "instrument"):
        if given := getattr(request, name):
            identity(name, given)
    return [trade_of(fill) for fill in request.fills]


def check_request(request: risk_pb2.SettleOrderRequest, now: datetime) -> Settlement:
    """The request as values; INVALID_ARGUMENT where a field does not fit. A fill without a time is of now."""
    times = [
        instant(fill.execute_time, "fill.execute_time") if fill.HasField("execute_time") else now
        for fill in request.fills
    ]
    return Settlement(request, check_fills(request), times, now)


def settle_orders(
    connection: sa.Connection, context: UnitContext, requests: Sequence[tuple[risk_pb2.SettleOrderRequest, datetime]]
) -> list[risk_pb2.SettleOrderResponse | ServiceError]:
    """Books new fills and releases what is left of orders that have ended, one request after the other.

    Repeating a request changes nothing. In place of a response there is the error to answer where a field is invalid, the
    order or its account does not exist, or another process has locked the account.
    """
    checked: list[Settlement | ServiceError] = []
    for request, now in requests:
        try:
            checked.append(check_request(request, now))
        except ServiceError as error:
            checked.append(error)
    batch = _Batch(connection, context, [settlement for settlement in checked if isinstance(settlement, Settlement)])
    answers: list[risk_pb2.SettleOrderResponse | ServiceError] = []
    for settlement in checked:
        if isinstance(settlement, ServiceError):
            answers.append(settlement)
            continue
        try:
            answers.append(batch.settle(settlement))
        except ServiceError as error:  # Raised before anything of it is booked.
            answers.append(error)
    batch.write()
    return answers


class _Batch:
    """A batch of settlements: what it reads once before all of them, and writes once after them."""

    def __init__(self, connection: sa.Connection, context: UnitContext, settlements: Sequence[Settlement]) -> None:
        self._connection = connection
        self._context = context
        lock_books_shared(connection)
        owners = {r.order_id: (r.account_id, r.instrument) for r in (settlement.request for settlement in settlements)}
        self._read(settlements, owners)
        found = {row.order_id: (row.account_id, row.instrument) for row in self._orders.values()}
        if any(owners[order_id] != owner for order_id, owner in found.items()):
            # The request named no account, or a wrong one. The account of an order never changes. What is stored of the order
            # may change until its account is locked, so all is read again.
            self._read(settlements, owners | found)
        accounts = {row.account_id for row in self._orders.values()}
        context.cache.fetch(connection, [a for a in sorted(accounts) if a in self._locked], self._lookup)
        self._accounts: dict[str, Account] = {}
        self._changed: dict[str, Account] = {}
        self._postings = Postings()
        self._new_fills: list[dict[str, Any]] = []
        self._given_up: dict[str, dict[str, Any]] = {}
        self._updates: dict[str, dict[str, Any]] = {}
        self._samples: dict[str, dict[str, Any]] = {}

    def _read(self, settlements: Sequence[Settlement], owners: Mapping[str, tuple[str, str]]) -> None:
        """Locks the orders' accounts and reads their state. Orders given up before they were decided have none."""
        connection = self._connection
        accounts = sorted({account_id for account_id, _ in owners.values() if account_id})
        keys = [(*owners[s.request.order_id], fill.execution_id) for s in settlements for fill in s.request.fills]
        locking = lock_accounts(connection, accounts)
        reading = store.READ_ORDERS.ask(connection, order_ids=list(owners))
        reading_fills = store.READ_FILLS.ask(connection, keys=keys) if keys else list
        self._lookup = look_up_orders(connection, accounts)
        self._locked = locking()
        self._orders = {row.order_id: row for row in reading()}
        # The fills of this batch that were booked before.
        self._fills = {
            (row.account_id, row.instrument, row.execution_id): _Booked(
                Trade(row.buy, row.quantity, row.price, row.fee, row.fee_asset), row.order_id
            )
            for row in reading_fills()
        }

    def settle(self, settlement: Settlement) -> risk_pb2.SettleOrderResponse:
        """Settles one order.

        Raises:
            ServiceError: NOT_FOUND, or another process has locked the account. Nothing was changed.
        """
        request, trades, times, now = settlement
        row = self._orders.get(request.order_id)
        if row is None or not row.account_id:
            if request.fills:
                raise not_found("order", request.order_id)
            if row is None and request.final and request.order_id not in self._given_up:
                self._given_up[request.order_id] = _given_up_row(request.order_id, now)
            return risk_pb2.SettleOrderResponse()
        if row.account_id in self._lookup.versions and row.account_id not in self._locked:
            raise AccountBusy(row.account_id)
        account = self._take(row.account_id)
        response = risk_pb2.SettleOrderResponse()
        market = Market(row.instrument, row.base_asset, row.quote_asset, row.perpetual)
        reservation, still_open, booked = reservation_of(row), row.open, False
        # A new day begins before the fills are booked, as it does for a decision.
        account.begin(now)
        for fill, trade, time in zip(request.fills, trades, times, strict=True):
            held = account.position_now(row.instrument)
            flag = _flag(row, reservation, fill, trade, held, still_open=still_open)
            key = (row.account_id, row.instrument, fill.execution_id)
            known = self._fills.get(key)
            if known is not None:
                # A fill that was booked before has to be the same as now. The first one stays booked.
                flag = "" if known == _Booked(trade, row.order_id) else CONTRADICTORY
            else:
                booked = True
                self._fills[key] = _Booked(trade, row.order_id)
                self._new_fills.append(_fill_row(row, fill, trade, time, flag))
                self._book(account, market, fill.execution_id, trade, time)
                if trade.buy == row.buy:
                    reservation = reservation.fill(trade.quantity)
                still_open = still_open and bool(reservation.leaves)
            if flag:
                _report(self._connection, self._context, row, fill, flag, account.clock, response)
        ended = request.final and still_open
        still_open = still_open and not request.final
        if booked or still_open != row.open:
            if ended and not reservation.filled and request.order_state == common_pb2.ORDER_STATE_REJECTED:
                account.activity = account.activity.with_failure()
            self._change(account, row, reservation, still_open=still_open, booked=booked)
        response.position.CopyFrom(position_message(row.account_id, account.holding(market)))
        return response

    def write(self) -> None:
        """Writes what has changed, and puts the changed accounts back into the cache."""
        connection = self._connection
        store.INSERT_ORDER.run_all(connection, list(self._given_up.values()))
        store.INSERT_FILL.run_all(connection, self._new_fills)
        self._postings.write(connection)
        store.UPDATE_ORDER.run_all(connection, list(self._updates.values()))
        store.WRITE_SAMPLE.run_all(connection, list(self._samples.values()))
        # The time of unchanged accounts was moved as well and is not stored, so they are left out of the cache and read again.
        self._context.cache.save(connection, *self._changed.values())

    def _take(self, account_id: str) -> Account:
        account = self._accounts.get(account_id)
        if account is None:
            account = self._accounts[account_id] = self._context.cache.take(self._connection, account_id, self._lookup)
        return account

    def _book(self, account: Account, market: Market, cause: str, trade: Trade, time: datetime) -> None:
        """Books one new fill."""
        booking = book_trade(account.holding(market).position, market, trade)
        self._postings.book(account, market, cause, booking)
        # The price of a fill is the latest price, unless a quote is newer: a fill may be settled long after it happened.
        account.mark(market.instrument, Mark(trade.price, trade.price, min(time, account.clock)))
        account.activity = account.activity.with_fill(booking.closed_profit, account.clock)

    def _change(self, account: Account, row: Any, reservation: Reservation, *, still_open: bool, booked: bool) -> None:
        """Records what an order's fills or its end changed of the order and of its account."""
        order_id, account_id = row.order_id, row.account_id
        self._updates[order_id] = {"key": order_id, "filled": reservation.filled, "open": still_open}
        self._orders[order_id] = row._replace(filled=reservation.filled, open=still_open)
        if still_open:
            account.orders[order_id] = reservation
        else:
            account.orders.pop(order_id, None)
            account.forget_lots()  # Here and not once for the batch: a fill that comes after the end finds the same alone.
        equity = account.valuation().equity
        account.equity_history = account.equity_history.with_equity(equity)
        self._context.trip_breakers(self._connection, account, account.clock)
        # The sample of a minute is replaced by the last booking in it. Those of an hour and of a day are the first ones, so they
        # are written now.
        self._context.sample(self._connection, account, account.clock, booked=False)
        if booked:
            self._samples[account_id] = store.minute_sample(account_id, equity, account.clock)
        self._changed[account_id] = account


def _flag(
    row: Any, reservation: Reservation, fill: order_pb2.Fill, trade: Trade, held: Decimal, *, still_open: bool
) -> str:
    """What is wrong with a fill, where the position before it was `held`; empty where nothing is."""
    if not row.approved:
        return NOT_APPROVED
    if trade.buy != row.buy or fill.order_id not in ("", row.order_id):
        return CONTRADICTORY
    with localcontext(BOOKS):
        if reservation.filled + trade.quantity > reservation.quantity:
            return EXCEEDS
    if not still_open:
        return AFTER_END
    # Stop and target of a bracket may both fill where a cancel came too late. Each of the fills fits its own order.
    closable = max(-held if trade.buy else held, ZERO)
    return BEYOND_POSITION if not row.entry and trade.quantity > closable else ""


def _fill_row(row: Any, fill: order_pb2.Fill, trade: Trade, time: datetime, flag: str) -> dict[str, Any]:
    return {
        "account_id": row.account_id,
        "instrument": row.instrument,
        "execution_id": fill.execution_id,
        "order_id": row.order_id,
        "buy": trade.buy,
        "quantity": trade.quantity,
        "price": trade.price,
        "fee": trade.fee,
        "fee_asset": trade.fee_asset,
        "flag": flag,
        "execute_time": time,
    }


def _report(
    connection: sa.Connection,
    context: UnitContext,
    row: Any,
    fill: order_pb2.Fill,
    flag: str,
    now: datetime,
    response: risk_pb2.SettleOrderResponse,
) -> None:
    """Reports what is wrong with a fill in the answer, the log and the journal."""
    response.flags.add(name=fill.execution_id, value=flag)
    detail = (
        f"order {row.order_id} was approved for {show(row.quantity)}, filled were {show(row.filled)} before this call"
    )
    log.error("fill.flagged", reason=flag, order_id=row.order_id, execution_id=fill.execution_id, detail=detail)
    event = journal_pb2.FillFlagged(account_id=row.account_id, fill=fill, reason=flag, detail=detail)
    # There is one entry for each fill and reason, however often the request is repeated.
    event_id = f"{row.order_id}:{fill.execution_id}:flagged:{flag.lower()}"
    context.publish(connection, event_id, "service:risk", now, signal_id=row.signal_id, fill_flagged=event)


def _given_up_row(order_id: str, now: datetime) -> dict[str, Any]:
    """The row that denies an order that was given up before it was evaluated: its evaluation may still arrive."""
    message = order_pb2.RiskDecision(order_id=order_id, verdict=order_pb2.RISK_VERDICT_DENIED)
    message.checks.add(reason="SIGNAL_EXPIRED", detail="the caller gave the order up before it was evaluated")
    set_time(message.decide_time, now)
    texts = dict.fromkeys(
        ("signal_id", "account_id", "webhook_id", "strategy_id", "instrument", "base_asset", "quote_asset", "leg"), ""
    )
    flags = dict.fromkeys(("perpetual", "entry", "buy", "approved", "open"), False)
    amounts: dict[str, Decimal] = dict.fromkeys(("quantity", "notional", "hold", "filled"), ZERO)
    content = message.SerializeToString()
    return {"order_id": order_id, "decide_time": now, "data": content, **texts, **flags, **amounts}
