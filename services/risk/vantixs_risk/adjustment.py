"""RecordAdjustment as a unit of work: books a difference between account and venue in a book of its own."""

from datetime import datetime

import grpc
import sqlalchemy as sa
from vantixs.api.journal.v1 import journal_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.runtime.errors import ServiceError, invalid

from vantixs_risk import store
from vantixs_risk.account_state import Account
from vantixs_risk.conversion import position_message
from vantixs_risk.domain.equity import Mark
from vantixs_risk.domain.exact import BOOKS, ZERO
from vantixs_risk.domain.ledger import CASH, Market, adjust_cash, adjust_position
from vantixs_risk.existence import check_asset, check_instruments
from vantixs_risk.fields import ASSET, IDENTITY, INSTRUMENT, amount, comment, identity, optional, show, text
from vantixs_risk.locks import lock_books
from vantixs_risk.order_lookup import look_up_orders
from vantixs_risk.postings import write_booking, write_transfers
from vantixs_risk.unit_context import UnitContext


def record_adjustment(
    connection: sa.Connection,
    context: UnitContext,
    request: risk_pb2.RecordAdjustmentRequest,
    actor: str,
    now: datetime,
) -> risk_pb2.RecordAdjustmentResponse:
    """Books the change once for each request_id, and publishes it."""
    text("request_id", request.request_id, IDENTITY, "an id of the adjustment")
    identity("account_id", request.account_id)
    comment("comment", request.comment)
    lock_books(connection)
    known = store.READ_ADJUSTMENT.first(connection, request_id=request.request_id)
    content = request.SerializeToString(deterministic=True)
    if known is not None:
        if known.request != content:
            detail = f"request_id {request.request_id!r} was used for another adjustment"
            raise ServiceError(grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED", detail)
        return risk_pb2.RecordAdjustmentResponse.FromString(known.response)
    lookup = look_up_orders(connection, [request.account_id])
    account = context.cache.take(connection, request.account_id, lookup)
    account.begin(now)
    event = journal_pb2.AdjustmentRecorded(
        adjustment_id=request.request_id, account_id=request.account_id, comment=request.comment
    )
    match request.WhichOneof("change"):
        case "cash":
            response = _cash(connection, account, request, event)
        case "position":
            response = _position(connection, account, request, event)
        case _:
            raise invalid("change", "expected cash or position, was neither", "FIELD_MISSING")
    store.INSERT_ADJUSTMENT.run(
        connection,
        request_id=request.request_id,
        account_id=request.account_id,
        request=content,
        response=response.SerializeToString(),
        actor=actor,
        record_time=account.clock,
    )
    account.equity_history = account.equity_history.with_equity(account.valuation().equity)
    context.publish(connection, f"adjustment:{request.request_id}", actor, account.clock, adjustment_recorded=event)
    context.trip_breakers(connection, account, account.clock)
    context.sample(connection, account, account.clock, booked=True)
    context.cache.save(connection, account)
    return response


def _cash(
    connection: sa.Connection,
    account: Account,
    request: risk_pb2.RecordAdjustmentRequest,
    event: journal_pb2.AdjustmentRecorded,
) -> risk_pb2.RecordAdjustmentResponse:
    asset = text("cash.asset", request.cash.asset, ASSET, "1 to 20 of A-Z and 0-9")
    check_asset("cash.asset", asset, {name for _, name in account.balances})
    change = amount("cash.amount", request.cash.amount)
    if not change:
        raise invalid("cash.amount", "expected a change, was 0")
    write_transfers(connection, account, f"adjustment:{request.request_id}", adjust_cash(asset, change))
    if asset == account.rules.currency:
        account.adjusted = BOOKS.add(account.adjusted, change)
        account.equity_history = account.equity_history.with_adjustment(change)
    event.asset, event.amount = asset, show(change)
    total = show(account.balances.get((CASH, asset), ZERO))
    return risk_pb2.RecordAdjustmentResponse(balance=risk_pb2.Balance(asset=asset, total=total))


def _position(
    connection: sa.Connection,
    account: Account,
    request: risk_pb2.RecordAdjustmentRequest,
    event: journal_pb2.AdjustmentRecorded,
) -> risk_pb2.RecordAdjustmentResponse:
    given = request.position
    name = text("position.instrument", given.instrument, INSTRUMENT, "a name like BTC/USDT")
    check_instruments("position.instrument", [name], account.holdings)
    known = account.holdings.get(name)
    market = known.market if known else Market.of(name)
    if market.quote != account.rules.currency:
        expected = f"expected one paid in {account.rules.currency}, was {name}"
        raise invalid("position.instrument", expected, "CURRENCY_MISMATCH")
    change = amount("position.quantity", given.quantity)
    if not change:
        raise invalid("position.quantity", "expected a change, was 0")
    held = account.holding(market)
    price = optional("position.price", given.price) or held.position.average_price
    if not price:
        raise invalid("position.price", "expected a price, for there is no position with one", "FIELD_MISSING")
    before = account.valuation().equity
    booking = adjust_position(held.position, market, change, price)
    write_booking(connection, account, market, f"adjustment:{request.request_id}", booking)
    if held.mark is None:
        account.mark(name, Mark(price, price, account.clock))
    account.adjusted = BOOKS.add(account.adjusted, booking.adjusted)
    # What an adjustment does to equity is neither profit nor loss of the day.
    account.equity_history = account.equity_history.with_adjustment(BOOKS.subtract(account.valuation().equity, before))
    position = position_message(account.account_id, account.holding(market))
    event.position.CopyFrom(position)
    event.quantity, event.price = show(change), show(price)
    return risk_pb2.RecordAdjustmentResponse(position=position)
