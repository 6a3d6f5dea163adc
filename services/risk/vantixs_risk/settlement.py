"""SettleOrder as a unit of work: book fills once, convert or release what the order holds."""

from datetime import datetime
from decimal import Decimal, localcontext
from typing import Any

import sqlalchemy as sa
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.runtime.errors import not_found
from vantixs.runtime.logs import log

from vantixs_risk import store
from vantixs_risk.books import Account, reservation_of, write_booking
from vantixs_risk.conversion import instant, position_message, trade_of
from vantixs_risk.desk import Desk
from vantixs_risk.domain.equity import Mark
from vantixs_risk.domain.exact import BOOKS, ZERO
from vantixs_risk.domain.ledger import Market, Trade, book_trade
from vantixs_risk.domain.reservations import Reservation
from vantixs_risk.fields import identity

EXCEEDS, AFTER_END = "FILL_EXCEEDS_ORDER", "FILL_AFTER_END"
NOT_APPROVED, CONTRADICTORY = "FILL_NOT_APPROVED", "FILL_CONTRADICTORY"


def check_fills(request: risk_pb2.SettleOrderRequest) -> list[Trade]:
    """The fills of a request as values."""
    identity("order_id", request.order_id)
    return [trade_of(fill) for fill in request.fills]


def settle_order(
    connection: sa.Connection,
    desk: Desk,
    request: risk_pb2.SettleOrderRequest,
    trades: list[Trade],
    now: datetime,
) -> risk_pb2.SettleOrderResponse:
    """Books new fills and releases what is left once the order has ended. Repeating it changes nothing."""
    row = store.READ_ORDER.first(connection, order_id=request.order_id)
    if row is None or not row.account_id:
        if request.fills:
            raise not_found("order", request.order_id)
        if row is None and request.final:
            _forbid(connection, request.order_id, now)
        return risk_pb2.SettleOrderResponse()
    market = Market(row.instrument, row.base_asset, row.quote_asset, row.perpetual)
    heads = store.read_heads(connection, [row.account_id])
    account = desk.shelf.take(connection, row.account_id, heads)
    response = risk_pb2.SettleOrderResponse()
    reservation, still_open, booked = reservation_of(row), row.open, False
    # The day turns before anything new is known, as it does for a decision.
    account.begin(now)
    for fill, trade in zip(request.fills, trades, strict=True):
        flag = _flag(row, reservation, fill, trade, still_open=still_open)
        if not _insert_fill(connection, row, fill, trade, flag):
            flag = _compare(connection, row, trade, fill.execution_id)
        else:
            booked = True
            _book(connection, account, market, fill.execution_id, trade)
            if trade.buy == row.buy:
                reservation = reservation.fill(trade.quantity)
            still_open = still_open and bool(reservation.leaves)
        if flag:
            _report(connection, desk, row, fill, flag, account.clock, response)
    ended = request.final and still_open
    still_open = still_open and not request.final
    if booked or still_open != row.open:
        store.UPDATE_ORDER.run(connection, key=row.order_id, filled=reservation.filled, open=still_open)
        _keep(account, row.order_id, reservation, still_open=still_open)
        if ended and not reservation.filled and request.order_state == common_pb2.ORDER_STATE_REJECTED:
            account.activity = account.activity.with_failure()
        account.standing = account.standing.seen(account.valuation().equity)
        desk.trip_breakers(connection, account, account.clock)
        desk.sample(connection, account, account.clock, booked=booked)
        desk.shelf.save(connection, account)
    response.position.CopyFrom(position_message(row.account_id, account.holding(market)))
    return response


def _keep(account: Account, order_id: str, reservation: Reservation, *, still_open: bool) -> None:
    if still_open:
        account.orders[order_id] = reservation
    else:
        account.orders.pop(order_id, None)


def _book(connection: sa.Connection, account: Account, market: Market, cause: str, trade: Trade) -> None:
    """Books one new fill."""
    booking = book_trade(account.holding(market).position, market, trade)
    write_booking(connection, account, market, cause, booking)
    # A fill is a price: the latest there is, unless a quote came since.
    account.mark(market.instrument, Mark(trade.price, trade.price, account.clock))
    account.activity = account.activity.with_fill(booking.closed_profit, account.clock)


def _flag(row: Any, reservation: Reservation, fill: order_pb2.Fill, trade: Trade, *, still_open: bool) -> str:
    """What is wrong with a fill; empty for nothing."""
    if not row.approved:
        return NOT_APPROVED
    if trade.buy != row.buy or fill.order_id not in ("", row.order_id):
        return CONTRADICTORY
    with localcontext(BOOKS):
        if reservation.filled + trade.quantity > reservation.quantity:
            return EXCEEDS
    return "" if still_open else AFTER_END


def _insert_fill(connection: sa.Connection, row: Any, fill: order_pb2.Fill, trade: Trade, flag: str) -> bool:
    """Whether the fill is new."""
    new = store.INSERT_FILL.run(
        connection,
        account_id=row.account_id,
        instrument=row.instrument,
        execution_id=fill.execution_id,
        order_id=row.order_id,
        buy=trade.buy,
        quantity=trade.quantity,
        price=trade.price,
        fee=trade.fee,
        fee_asset=trade.fee_asset,
        flag=flag,
        execute_time=instant(fill.execute_time, "fill.execute_time"),
    )
    return new == 1


def _compare(connection: sa.Connection, row: Any, trade: Trade, execution_id: str) -> str:
    """A fill that was booked before has to be the same one; the first stands."""
    known = store.READ_FILL.first(
        connection, account_id=row.account_id, instrument=row.instrument, execution_id=execution_id
    )
    before = Trade(known.buy, known.quantity, known.price, known.fee, known.fee_asset)
    same = before == trade and known.order_id == row.order_id
    return "" if same else CONTRADICTORY


def _report(
    connection: sa.Connection,
    desk: Desk,
    row: Any,
    fill: order_pb2.Fill,
    flag: str,
    now: datetime,
    response: risk_pb2.SettleOrderResponse,
) -> None:
    """Says what is wrong with a fill: in the answer, in the log, in the journal."""
    response.flags.add(name=fill.execution_id, value=flag)
    detail = f"order {row.order_id} was approved for {row.quantity:f}, filled were {row.filled:f} before this call"
    log.error("fill.flagged", reason=flag, order_id=row.order_id, execution_id=fill.execution_id, detail=detail)
    event = journal_pb2.FillFlagged(account_id=row.account_id, fill=fill, reason=flag, detail=detail)
    # One entry a fill and reason, however often it is repeated.
    event_id = f"{row.order_id}:{fill.execution_id}:flagged:{flag.lower()}"
    desk.publish(connection, event_id, "service:risk", now, signal_id=row.signal_id, fill_flagged=event)


def _forbid(connection: sa.Connection, order_id: str, now: datetime) -> None:
    """Denies an order that was given up before it was evaluated: the evaluation may still be on its way."""
    message = order_pb2.RiskDecision(order_id=order_id, verdict=order_pb2.RISK_VERDICT_DENIED)
    message.checks.add(reason="SIGNAL_EXPIRED", detail="the caller gave the order up before it was evaluated")
    message.decide_time.FromDatetime(now)
    texts = dict.fromkeys(
        ("signal_id", "account_id", "webhook_id", "strategy_id", "instrument", "base_asset", "quote_asset"), ""
    )
    flags = dict.fromkeys(("perpetual", "entry", "buy", "approved", "open"), False)
    amounts: dict[str, Decimal] = dict.fromkeys(("quantity", "notional", "hold", "filled"), ZERO)
    store.INSERT_ORDER.run(
        connection,
        order_id=order_id,
        decide_time=now,
        data=message.SerializeToString(),
        **texts,
        **flags,
        **amounts,
    )
