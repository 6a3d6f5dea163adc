"""EvaluateOrder and SettleOrder as units of work: translate, decide, write."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from typing import Any

import sqlalchemy as sa
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.model.decimals import EXACT, ZERO, format_decimal, parse_decimal
from vantixs.runtime.errors import invalid, not_found

from vantixs_risk import store
from vantixs_risk.domain.evaluation import Decision, Inputs, QuoteSeen, Sizing, evaluate
from vantixs_risk.domain.ledger import Position, book_fill
from vantixs_risk.settings import RiskSettings


def evaluate_order(
    connection: sa.Connection, request: risk_pb2.EvaluateOrderRequest, settings: RiskSettings, now: datetime
) -> order_pb2.RiskDecision:
    """Decides, reserves and records one order. The same order_id gives the recorded decision again."""
    order = request.order
    recorded = None if request.preview else _recorded(connection, order.order_id)
    if recorded is not None:
        return recorded
    account = read_account(connection, order.account_id)
    position = store.read_position(connection, account.account_id, order.instrument)
    if position.quantity != required("assumed_position_quantity", request.assumed_position_quantity):
        return order_pb2.RiskDecision(
            order_id=order.order_id,
            verdict=order_pb2.RISK_VERDICT_POSITION_CHANGED,
            position_quantity=format_decimal(position.quantity),
        )
    with localcontext(EXACT):
        inputs = _gather(connection, request, account, position.quantity, settings, now)
    decision = evaluate(inputs)
    message = _to_message(request, account, inputs, decision)
    if not request.preview:
        _record(connection, request, message, decision, now)
    return message


def settle_order(connection: sa.Connection, request: risk_pb2.SettleOrderRequest) -> order_pb2.Position:
    """Books new fills and releases what is left once the order has ended. Repeating it changes nothing."""
    decided = store.READ_DECISION.first(connection, order_id=request.order_id)
    if decided is None:
        if request.final and not request.fills:
            _forbid(connection, request.order_id)
            return order_pb2.Position()
        raise not_found("order", request.order_id)
    position = store.read_position(connection, decided.account_id, decided.instrument)
    with localcontext(EXACT):
        for fill in request.fills:
            position = _book(connection, decided, position, fill)
    store.write_position(connection, decided.account_id, decided.instrument, position)
    if request.final:
        store.drop_reservation(connection, request.order_id)
    return position_message(decided.account_id, decided.instrument, position)


def read_account(connection: sa.Connection, account_id: str) -> risk_pb2.Account:
    """The account's rules; NOT_FOUND where there is none."""
    found = store.READ_ACCOUNT.first(connection, account_id=account_id)
    if found is None:
        raise not_found("account", account_id)
    return risk_pb2.Account.FromString(found.data)


def position_message(account_id: str, instrument: str, position: Position) -> order_pb2.Position:
    """The position as a message."""
    return order_pb2.Position(
        account_id=account_id,
        instrument=instrument,
        quantity=format_decimal(position.quantity),
        average_price=format_decimal(position.average_price),
        realized_profit=format_decimal(position.realized_profit),
        fees=format_decimal(position.fees),
    )


def required(field: str, text: str) -> Decimal:
    """A decimal field that must be there; INVALID_ARGUMENT otherwise."""
    try:
        return parse_decimal(text)
    except ValueError as error:
        raise invalid(field, str(error)) from None


def optional(field: str, text: str) -> Decimal | None:
    """A decimal field that may be empty."""
    return required(field, text) if text else None


LIMITS = (
    "min_order_notional",
    "max_order_notional",
    "max_position_notional",
    "max_leverage",
    "min_order_quantity",
    "max_order_quantity",
)


def limits_of(account: risk_pb2.Account) -> dict[str, Decimal]:
    """The account's limits that are set, by name."""
    values = {name: optional(f"limits.{name}", getattr(account.limits, name)) for name in LIMITS}
    return {name: value for name, value in values.items() if value is not None}


def sizing_of(sizing: common_pb2.Sizing) -> Sizing | None:
    """The sizing as a value, or None where none is named."""
    if sizing.method == common_pb2.SIZING_METHOD_UNSPECIFIED:
        return None
    method = common_pb2.SizingMethod.Name(sizing.method).removeprefix("SIZING_METHOD_")
    return Sizing(method, optional("sizing.value", sizing.value) or ZERO)


def _recorded(connection: sa.Connection, order_id: str) -> order_pb2.RiskDecision | None:
    row = store.READ_DECISION.first(connection, order_id=order_id)
    return None if row is None else order_pb2.RiskDecision.FromString(row.data)


def _gather(
    connection: sa.Connection,
    request: risk_pb2.EvaluateOrderRequest,
    account: risk_pb2.Account,
    position: Decimal,
    settings: RiskSettings,
    now: datetime,
) -> Inputs:
    order, instrument, quote = request.order, request.instrument, request.quote
    scopes = ["global", f"account:{order.account_id}", f"instrument:{order.instrument}"]
    scopes += [
        f"{kind}:{name}" for kind, name in (("webhook", request.webhook_id), ("strategy", request.strategy_id)) if name
    ]
    reservations = store.read_reservations(connection, account.account_id)
    same = [r for r in reservations if r.instrument == order.instrument]
    held = sum((r.hold for r in reservations), ZERO)
    return Inputs(
        now=now,
        account_mode=common_pb2.Mode.Name(account.mode).removeprefix("MODE_"),
        account_enabled=account.enabled,
        may_short=account.may_short,
        instruments=tuple(account.instruments),
        limits=limits_of(account),
        trading_states=store.trading_states(connection, scopes),
        order_mode=common_pb2.Mode.Name(order.mode).removeprefix("MODE_"),
        instrument=order.instrument,
        perpetual=instrument.kind == common_pb2.INSTRUMENT_KIND_LINEAR_PERPETUAL,
        lot_size=required("instrument.lot_size", instrument.lot_size),
        minimum_notional=optional("instrument.minimum_notional", instrument.minimum_notional) or ZERO,
        buy=order.side == common_pb2.SIDE_BUY,
        entry=order.effect == order_pb2.ORDER_EFFECT_ENTRY,
        order_type=common_pb2.OrderType.Name(order.order_type).removeprefix("ORDER_TYPE_"),
        order_quantity=optional("order.quantity", order.quantity),
        sizing=sizing_of(request.sizing) or sizing_of(account.sizing),
        signal_quantity=optional("signal_quantity", request.signal_quantity),
        signal_quantity_type=common_pb2.QuantityType.Name(request.signal_quantity_type).removeprefix("QUANTITY_TYPE_"),
        position=position,
        reserved_entry_notional=sum((r.notional for r in same if r.entry), ZERO),
        reserved_exit_quantity=sum((r.quantity for r in same if not r.entry), ZERO),
        free_funds=store.free_funds(connection, account.account_id, instrument.quote_asset, held),
        quote=_quote(quote) if quote.bid else None,
        max_price_age_ms=account.limits.max_price_age_ms or settings.max_price_age_ms,
        fee_bps=optional("fee_bps", request.fee_bps) or ZERO,
        price_buffer_bps=Decimal(settings.price_buffer_bps),
    )


def _quote(quote: common_pb2.Quote) -> QuoteSeen:
    time = quote.quote_time.ToDatetime(tzinfo=UTC)
    return QuoteSeen(required("quote.bid", quote.bid), required("quote.ask", quote.ask), time)


def _to_message(
    request: risk_pb2.EvaluateOrderRequest, account: risk_pb2.Account, inputs: Inputs, decision: Decision
) -> order_pb2.RiskDecision:
    message = order_pb2.RiskDecision(
        order_id=request.order.order_id,
        verdict=order_pb2.RISK_VERDICT_APPROVED if decision.approved else order_pb2.RISK_VERDICT_DENIED,
        quantity=format_decimal(decision.quantity),
        quote=request.quote,
        position_quantity=format_decimal(inputs.position),
        account_revision=account.revision,
    )
    message.decide_time.FromDatetime(inputs.now)
    for check in decision.checks:
        entry = message.checks.add(reason=check.reason, passed=check.passed, limit=check.limit, detail=check.detail)
        for name, value in check.inputs.items():
            entry.inputs.add(name=name, value=value)
    for name, value in decision.steps.items():
        message.sizing_steps.add(name=name, value=value)
    return message


def _record(
    connection: sa.Connection,
    request: risk_pb2.EvaluateOrderRequest,
    message: order_pb2.RiskDecision,
    decision: Decision,
    now: datetime,
) -> None:
    order, instrument = request.order, request.instrument
    store.INSERT_DECISION.run(
        connection,
        order_id=order.order_id,
        account_id=order.account_id,
        instrument=order.instrument,
        base_asset=instrument.base_asset,
        quote_asset=instrument.quote_asset,
        perpetual=instrument.kind == common_pb2.INSTRUMENT_KIND_LINEAR_PERPETUAL,
        decide_time=now,
        data=message.SerializeToString(),
    )
    if decision.approved:
        store.INSERT_RESERVATION.run(
            connection,
            order_id=order.order_id,
            account_id=order.account_id,
            instrument=order.instrument,
            entry=order.effect == order_pb2.ORDER_EFFECT_ENTRY,
            quantity=decision.quantity,
            notional=decision.notional,
            hold=decision.hold,
        )


def _forbid(connection: sa.Connection, order_id: str) -> None:
    """Denies an order that was given up before it was evaluated: the evaluation may still be on its way."""
    message = order_pb2.RiskDecision(order_id=order_id, verdict=order_pb2.RISK_VERDICT_DENIED)
    message.checks.add(reason="SIGNAL_EXPIRED", detail="the caller gave the order up before it was evaluated")
    store.INSERT_DECISION.run(
        connection,
        order_id=order_id,
        account_id="",
        instrument="",
        base_asset="",
        quote_asset="",
        perpetual=False,
        decide_time=datetime.now(UTC),
        data=message.SerializeToString(),
    )


def _book(connection: sa.Connection, decided: Any, position: Position, fill: order_pb2.Fill) -> Position:
    quantity, price = required("fill.quantity", fill.quantity), required("fill.price", fill.price)
    fee = optional("fill.fee", fill.fee) or ZERO
    if quantity <= 0 or price <= 0:
        raise invalid("fill", f"expected quantity and price above 0, was {quantity} at {price}")
    buy = fill.side == common_pb2.SIDE_BUY
    new = store.insert_fill(
        connection,
        {
            "execution_id": fill.execution_id,
            "order_id": decided.order_id,
            "account_id": decided.account_id,
            "buy": buy,
            "quantity": quantity,
            "price": price,
            "fee": fee,
            "execute_time": fill.execute_time.ToDatetime(tzinfo=UTC),
        },
    )
    if not new:
        return position
    booking = book_fill(
        position,
        base=decided.base_asset,
        quote=decided.quote_asset,
        perpetual=decided.perpetual,
        buy=buy,
        quantity=quantity,
        price=price,
        fee=fee,
    )
    store.post(connection, decided.account_id, fill.execution_id, booking.postings)
    store.lower_reservation(connection, decided.order_id, quantity)
    return replace(booking.position)
