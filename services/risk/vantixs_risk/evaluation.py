"""EvaluateOrder and BatchEvaluateOrders as a unit of work: read, size, check, reserve, record."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import grpc
import sqlalchemy as sa
from vantixs.api.common.v1 import order_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.model.decimals import format_decimal
from vantixs.runtime.errors import ServiceError, invalid

from vantixs_risk import store
from vantixs_risk.account_cache import AccountCache
from vantixs_risk.account_state import Account
from vantixs_risk.conversion import MOST_MARKS, encode_decision, mark_of, order_request_of
from vantixs_risk.decision_inputs import encode_inputs
from vantixs_risk.domain.activity import EntryRecord
from vantixs_risk.domain.activity_checks import approved_key, entry_key
from vantixs_risk.domain.equity import Mark
from vantixs_risk.domain.evaluation import Decision, evaluate
from vantixs_risk.domain.exact import ZERO
from vantixs_risk.domain.inputs import Inputs, OrderRequest
from vantixs_risk.domain.metrics import fresh
from vantixs_risk.domain.reservations import Reservation
from vantixs_risk.fields import amount, identity
from vantixs_risk.locks import lock_accounts, lock_books_shared
from vantixs_risk.order_lookup import look_up_orders
from vantixs_risk.settings import RiskSettings
from vantixs_risk.unit_context import AccountBusy, UnitContext, scopes_of
from vantixs_risk.wire import encode_response


class ValidatedRequest(NamedTuple):
    """A request whose fields were checked, with its fields as values.

    Attributes:
        request: the message.
        order: the order, to be sized and decided.
        assumed: the position that the caller derived the order from, signed base units.
        marks: prices of other instruments that came with the request.
        now: when the request was received.
    """

    request: risk_pb2.EvaluateOrderRequest
    order: OrderRequest
    assumed: Decimal
    marks: list[tuple[str, Mark]]
    now: datetime


def check_request(request: risk_pb2.EvaluateOrderRequest, now: datetime) -> ValidatedRequest:
    """The request as values; INVALID_ARGUMENT where a field does not fit."""
    identity("order.order_id", request.order.order_id)
    identity("order.account_id", request.order.account_id)
    for name in ("webhook_id", "strategy_id"):
        if given := getattr(request, name):
            identity(name, given)
    if len(request.marks) > MOST_MARKS:
        raise invalid("marks", f"expected at most {MOST_MARKS}, was {len(request.marks)}")
    marks = [(quote.instrument, mark_of(quote, f"marks[{n}]")) for n, quote in enumerate(request.marks)]
    order = order_request_of(request)
    # The quantity of a leg comes from its bracket, so a leg assumes no position.
    assumed = ZERO if order.leg else amount("assumed_position_quantity", request.assumed_position_quantity)
    return ValidatedRequest(request, order, assumed, marks, now)


def evaluate_orders(
    connection: sa.Connection, context: UnitContext, requests: Sequence[tuple[risk_pb2.EvaluateOrderRequest, datetime]]
) -> list[bytes | ServiceError]:
    """Decides, reserves and records each request as of its time. Returns each EvaluateOrderResponse in bytes.

    The same order_id always gets the same answer. In place of a response there is the error to answer where a field is
    invalid, the account does not exist, or another process has locked it.
    """
    answers: list[bytes | ServiceError] = []
    validated = []
    for request, now in requests:
        try:
            if request.preview:
                raise invalid("preview", "expected false in a batch, was true")
            validated.append(check_request(request, now))
            answers.append(b"")
        except ServiceError as error:
            answers.append(error)
    decisions = iter(_decide(connection, context, validated))
    for place, answer in enumerate(answers):
        if isinstance(answer, bytes):
            decision = next(decisions)
            answers[place] = encode_response(decision) if isinstance(decision, bytes) else decision
    return answers


def _decide(
    connection: sa.Connection, context: UnitContext, validated: Sequence[ValidatedRequest]
) -> list[bytes | ServiceError]:
    """Each RiskDecision in bytes, or the error to answer.

    Each order is decided on what the orders before it left. The tables are read once before all of them, and written once
    after them.
    """
    orders = [checked.request.order for checked in validated]
    lock_books_shared(connection)
    locking = lock_accounts(connection, [o.account_id for o in orders])
    lookup = look_up_orders(connection, [o.account_id for o in orders], [o.order_id for o in orders])
    locked = locking()
    restricted = context.cache.trading_states(connection, lookup.trading_version)
    known, about = lookup.recorded, lookup.about
    new = [o.account_id for o in orders if o.order_id not in known and o.account_id in locked]
    context.cache.fetch(connection, new, lookup)
    decisions: list[bytes | ServiceError] = []
    accounts: dict[str, Account] = {}
    changed: dict[str, Account] = {}
    rows = []
    for checked, order in zip(validated, orders, strict=True):
        content = known.get(order.order_id)
        if content is not None:
            # The order id comes from the sender's key, which may have been used for another account or instrument.
            other = about.get(order.order_id) not in (None, f"{order.account_id} {order.instrument}")
            decisions.append(_decided_for(order.order_id, about[order.order_id]) if other else content)
            continue
        account = accounts.get(order.account_id)
        if account is None and order.account_id in lookup.versions and order.account_id not in locked:
            decisions.append(AccountBusy(order.account_id))
            continue
        if account is None:
            try:
                account = accounts[order.account_id] = context.cache.take(connection, order.account_id, lookup)
            except ServiceError as error:
                decisions.append(error)
                continue
        position = account.position_now(order.instrument)
        if position != checked.assumed and not checked.order.leg:
            decisions.append(_position_changed(order.order_id, position))
            continue
        inputs = _inputs(account, checked, restricted, context.settings)
        decision = evaluate(inputs)
        content = encode_decision(
            checked.request,
            decision,
            position,
            account.message.revision,
            inputs.now,
            _recorded(account, checked, inputs),
        )
        known[order.order_id], about[order.order_id] = content, f"{order.account_id} {order.instrument}"
        decisions.append(content)
        rows.append(_row(checked, content, inputs, decision))
        repeats = _remember(account, inputs, decision)
        if decision.approved:
            account.orders[order.order_id] = _reservation(inputs, decision)
        if context.trip_breakers(connection, account, inputs.now, repeats):
            restricted = context.cache.changed_trading_states(connection)
        context.sample(connection, account, inputs.now, booked=False)
        changed[order.account_id] = account
    store.INSERT_ORDER.run_all(connection, rows)
    context.cache.save(connection, *changed.values())
    for account_id, account in accounts.items():
        if account_id not in changed:
            context.cache.put(account)
    return decisions


def _recorded(account: Account, checked: ValidatedRequest, inputs: Inputs) -> bytes:
    """What the decision can be made again from. A leg of a bracket is recorded as it is, not decided."""
    return b"" if checked.order.leg else encode_inputs(checked.request, account, inputs)


def preview_order(connection: sa.Connection, checked: ValidatedRequest, settings: RiskSettings) -> bytes:
    """The RiskDecision in bytes. Nothing is reserved or recorded, and no lock is waited for."""
    cache, order = AccountCache(), checked.request.order
    lookup = look_up_orders(connection, [order.account_id])
    account = cache.take(connection, order.account_id, lookup)
    position = account.position_now(order.instrument)
    if position != checked.assumed and not checked.order.leg:
        return _position_changed(order.order_id, position)
    inputs = _inputs(account, checked, cache.trading_states(connection, lookup.trading_version), settings)
    return encode_decision(checked.request, evaluate(inputs), position, account.message.revision, inputs.now)


def _inputs(
    account: Account, checked: ValidatedRequest, restricted: Mapping[str, str], settings: RiskSettings
) -> Inputs:
    """Moves the account to now, takes the prices of the request, and gathers what the decision depends on."""
    request, order, _, marks, now = checked
    account.begin(now)
    age_ms = account.rules.limits.max_price_age_ms or settings.max_price_age_ms
    for instrument, mark in (*marks, (order.market.instrument, order.quote)):
        if mark is not None and fresh(mark, account.clock, age_ms):
            account.mark(instrument, mark)
    account.lots[order.market.instrument] = order.lot_size
    account.equity_history = account.equity_history.with_equity(account.valuation().equity)
    states: dict[str, str] = {}
    if restricted:
        scopes = scopes_of(account.account_id, order.market.instrument, request.webhook_id, request.strategy_id)
        states = {scope: restricted[scope] for scope in scopes if scope in restricted}
    return Inputs(
        order=order,
        rules=account.rules,
        books=account.books(),
        now=account.clock,
        trading_states=states,
        max_price_age_ms=settings.max_price_age_ms,
        max_mark_age_s=settings.max_mark_age_s,
        price_buffer_bps=Decimal(settings.price_buffer_bps),
    )


def _remember(account: Account, inputs: Inputs, decision: Decision) -> int:
    """Counts the request, and its approval. Returns how often this entry was requested within the breaker's window."""
    if decision.approved and account.rules.limits.max_orders_per_minute is not None and not inputs.order.leg:
        account.activity = account.activity.with_order(inputs.now)
    repeats_s = account.rules.breakers.repeated_orders_window_s
    duplicates_s = account.rules.limits.duplicate_order_window_s
    if not inputs.order.entry or (repeats_s is None and duplicates_s is None):
        return 0
    entry = EntryRecord(entry_key(inputs, decision.quantity), inputs.now)
    if decision.approved and duplicates_s is not None:
        approved = EntryRecord(approved_key(inputs, decision.quantity), inputs.now)
        account.activity = account.activity.with_approved(approved, duplicates_s)
    if repeats_s is None:
        return 0
    account.activity = account.activity.with_requested(entry, repeats_s)
    return account.activity.requested_since(entry.key, inputs.now, repeats_s)


def _reservation(inputs: Inputs, decision: Decision) -> Reservation:
    order = inputs.order
    return Reservation(
        order.market.instrument,
        order.entry,
        order.buy,
        decision.quantity,
        decision.notional,
        decision.reserved_funds,
        leg=bool(order.leg),
    )


def _row(checked: ValidatedRequest, content: bytes, inputs: Inputs, decision: Decision) -> dict[str, Any]:
    """The row that records a decided order."""
    request, order, message = checked.request, checked.order, checked.request.order
    return {
        "order_id": message.order_id,
        "signal_id": message.signal_id,
        "account_id": message.account_id,
        "webhook_id": request.webhook_id,
        "strategy_id": request.strategy_id,
        "instrument": order.market.instrument,
        "base_asset": order.market.base,
        "quote_asset": order.market.quote,
        "perpetual": order.market.perpetual,
        "entry": order.entry,
        "buy": order.buy,
        "approved": decision.approved,
        "open": decision.approved,
        "quantity": decision.quantity,
        "notional": decision.notional,
        "hold": decision.reserved_funds,
        "filled": ZERO,
        "decide_time": inputs.now,
        "data": content,
        "leg": order.leg,
    }


def _decided_for(order_id: str, about: str) -> ServiceError:
    detail = f"order {order_id} was decided for {about}"
    return ServiceError(grpc.StatusCode.FAILED_PRECONDITION, "IDEMPOTENCY_CONFLICT", detail)


def _position_changed(order_id: str, position: Decimal) -> bytes:
    return order_pb2.RiskDecision(
        order_id=order_id,
        verdict=order_pb2.RISK_VERDICT_POSITION_CHANGED,
        position_quantity=format_decimal(position),
    ).SerializeToString()
