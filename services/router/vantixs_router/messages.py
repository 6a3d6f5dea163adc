"""Messages the router makes: requests to risk, orders, journal entries."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from vantixs.api.common.v1 import common_pb2, order_pb2, signal_pb2
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.model.decimals import ZERO, format_decimal, parse_decimal
from vantixs.model.ids import client_order_id, order_id
from vantixs.model.instruments import INSTRUMENTS, Instrument
from vantixs.runtime import trace
from vantixs.runtime.timestamps import set_time

from vantixs_router.domain.intent import Intent, Leg, derive_intent
from vantixs_router.domain.leg_quantity import Sent, leg_quantity, percent_of, position_before
from vantixs_router.domain.policies import PositionPolicy, under_policy
from vantixs_router.orders.answers import has_ended
from vantixs_router.store import OrderRow
from vantixs_router.venues.port import Capabilities
from vantixs_router.working.rules import end_of_trading_day, round_prices

ACTOR = "service:router"
_POLICIES = {
    webhook_pb2.POSITION_POLICY_UNSPECIFIED: PositionPolicy.IGNORE,
    webhook_pb2.POSITION_POLICY_IGNORE: PositionPolicy.IGNORE,
    webhook_pb2.POSITION_POLICY_REFUSE: PositionPolicy.REFUSE,
    webhook_pb2.POSITION_POLICY_REDUCE_ONLY: PositionPolicy.REDUCE_ONLY,
    webhook_pb2.POSITION_POLICY_RECONCILE: PositionPolicy.RECONCILE,
}
_TRAIL = ("trail_percent", "trail_amount", "activation_price")
_FIELDS_OF = {
    common_pb2.ORDER_TYPE_LIMIT: ("limit_price", "post_only"),
    common_pb2.ORDER_TYPE_STOP: ("stop_price",),
    common_pb2.ORDER_TYPE_STOP_LIMIT: ("limit_price", "stop_price"),
    common_pb2.ORDER_TYPE_TRAILING_STOP: _TRAIL,
}


def make_order(
    signal: signal_pb2.Signal,
    webhook: webhook_pb2.Webhook,
    leg: Leg,
    number: int,
    now: datetime,
    capabilities: Capabilities,
    *,
    prefix: str = "",
    alone: bool = True,
) -> order_pb2.Order:
    """The order of a leg as the venue takes it, not yet sized. `prefix` keeps the orders of a replay apart.

    The close before the new leg of a reversal (not `alone`) goes to the market: what is asked for is about the new leg.
    """
    identity = order_id(prefix + signal.signal_id, number)
    order_type = signal.order_type or common_pb2.ORDER_TYPE_MARKET
    if not (leg.entry or alone):
        order_type = common_pb2.ORDER_TYPE_MARKET
    market = order_type == common_pb2.ORDER_TYPE_MARKET
    asked = signal.time_in_force
    of_day = asked == common_pb2.TIME_IN_FORCE_DAY
    if market and (of_day or asked == common_pb2.TIME_IN_FORCE_GTC):
        asked = common_pb2.TIME_IN_FORCE_UNSPECIFIED  # Senders write it of every order; a market order does not rest.
    elif of_day:
        asked = common_pb2.TIME_IN_FORCE_GTD
    order = order_pb2.Order(
        order_id=identity,
        signal_id=signal.signal_id,
        account_id=webhook.account_id,
        instrument=signal.instrument,
        client_order_id=client_order_id(identity),
        mode=webhook.mode,
        side=common_pb2.SIDE_BUY if leg.buy else common_pb2.SIDE_SELL,
        effect=order_pb2.ORDER_EFFECT_ENTRY if leg.entry else order_pb2.ORDER_EFFECT_EXIT,
        order_type=order_type,
        time_in_force=asked or capabilities.time_in_force(order_type),
        state=common_pb2.ORDER_STATE_INITIALIZED,
        webhook_id=webhook.webhook_id,
        tag=signal.tag,
        reduce_only=signal.reduce_only,
        owned=webhook.position_owner == webhook_pb2.POSITION_OWNER_WEBHOOK,
    )
    if not market:
        for name in ("limit_price", "stop_price", "trail_percent", "trail_amount", "activation_price", "post_only"):
            if name in _FIELDS_OF[order_type]:
                setattr(order, name, getattr(signal, name))
        if order.time_in_force == common_pb2.TIME_IN_FORCE_GTD:
            order.expire_time.CopyFrom(signal.order_expire_time)
        if of_day:
            set_time(order.expire_time, end_of_trading_day(now))
        if order_type == common_pb2.ORDER_TYPE_STOP_LIMIT:
            order.triggered_timeout_s = webhook.triggered_timeout_s
        round_prices(order, INSTRUMENTS.current[signal.instrument])
    set_time(order.create_time, now)
    set_time(order.update_time, now)
    return order


def intent_of(signal: signal_pb2.Signal, webhook: webhook_pb2.Webhook, position: Decimal) -> Intent:
    """What a signal asks for, given the signed position there is."""
    previous, target = _side_name(signal.previous_position), _side_name(signal.target_position)
    intent = derive_intent(
        common_pb2.Action.Name(signal.action).removeprefix("ACTION_"),
        target,
        position,
        sell_opens_short=webhook.sell_opens_short,
        previous=previous,
        sized=bool(signal.quantity),
    )
    return under_policy(intent, _POLICIES[webhook.position_policy], previous, target, position)


def _side_name(side: "common_pb2.PositionSide") -> str:
    return common_pb2.PositionSide.Name(side).removeprefix("POSITION_SIDE_") if side else ""


def evaluation_request(
    order: order_pb2.Order,
    signal: signal_pb2.Signal,
    webhook: webhook_pb2.Webhook,
    instrument: Instrument,
    leg: Leg,
    *,
    assumed: str,
    quote: common_pb2.Quote,
    marks: list[common_pb2.Quote],
    capabilities: Capabilities,
    closed: Decimal = ZERO,
    own: Decimal | None = None,
) -> risk_pb2.EvaluateOrderRequest:
    """Asks risk about an order; `marks` are quotes of what else the account holds, `closed` what an earlier leg closed.

    A whole exit does not take the signal's quantity, the new leg of a reversal only what is left of it. `own` is what the
    sender acts on where that is not the whole position: an exit is at most that, and percents of the position are of it.

    Raises:
        NothingLeft: the quantity sent is used up by the close before this leg, or is a percentage of nothing.
    """
    request = risk_pb2.EvaluateOrderRequest(
        order=order,
        assumed_position_quantity=assumed,
        sizing=webhook.sizing,
        signal_price=signal.price,
        stop_loss=signal.stop_loss if signal.HasField("stop_loss") else signal.trailing_stop,
        quote=quote,
        marks=marks,
        instrument=instrument_message(instrument),
        fee_bps=format_decimal(capabilities.fee_bps),
        webhook_id=webhook.webhook_id,
        strategy_id=webhook.strategy_id,
    )
    sent = sent_sizes(signal)
    quantity, before = leg_quantity(sent, leg, closed), position_before(sent, leg)
    if quantity is not None and quantity <= 0:
        raise NothingLeft
    units = common_pb2.QUANTITY_TYPE_UNSPECIFIED
    percent = signal.quantity_type == common_pb2.QUANTITY_TYPE_POSITION_PERCENT
    if own is not None and leg.entry and percent and quantity is not None:
        quantity, units = percent_of(own, quantity), common_pb2.QUANTITY_TYPE_UNITS
        if not quantity:
            raise NothingLeft("a percentage of what the webhook owns is asked for, and it owns nothing")
    if own is not None and not leg.entry:
        request.order.quantity = format_decimal(abs(own))
    if quantity is not None:
        request.signal_quantity = format_decimal(quantity)
        request.signal_quantity_type = units or signal.quantity_type or common_pb2.QUANTITY_TYPE_UNITS
    if before is not None:
        request.signal_previous_quantity = format_decimal(before)
    return request


class NothingLeft(Exception):
    """What the signal sent comes to nothing: there is nothing to open. `text` says why."""

    def __init__(
        self, text: str = "the quantity sent is used up by the close of the sender's position: nothing is left to open"
    ) -> None:
        super().__init__(text)
        self.text = text


def sent_sizes(signal: signal_pb2.Signal) -> Sent:
    """What a signal says of sizes."""
    return Sent(
        quantity=Decimal(signal.quantity) if signal.quantity else None,
        units=signal.quantity_type in (common_pb2.QUANTITY_TYPE_UNSPECIFIED, common_pb2.QUANTITY_TYPE_UNITS),
        after=parse_decimal(signal.target_quantity) if signal.target_quantity else None,
        before=parse_decimal(signal.previous_quantity) if signal.previous_quantity else None,
        previous=_side_name(signal.previous_position),
    )


def instrument_message(instrument: Instrument) -> common_pb2.Instrument:
    """The instrument as a message."""
    linear, spot = common_pb2.INSTRUMENT_KIND_LINEAR_PERPETUAL, common_pb2.INSTRUMENT_KIND_SPOT
    return common_pb2.Instrument(
        instrument=instrument.name,
        kind=linear if instrument.perpetual else spot,
        base_asset=instrument.base_asset,
        quote_asset=instrument.quote_asset,
        tick_size=format_decimal(instrument.tick_size),
        lot_size=format_decimal(instrument.lot_size),
        minimum_notional=format_decimal(instrument.minimum_notional),
    )


def make_entry(event_id: str, signal_id: str, time: Any, cause: str, **event: Any) -> journal_pb2.JournalEntry:
    """An entry of the router; `time` is a datetime or a Timestamp."""
    entry = journal_pb2.JournalEntry(
        event_id=event_id,
        signal_id=signal_id,
        cause_event_id=cause,
        actor=ACTOR,
        trace_parent=trace.current(),
        **event,
    )
    if isinstance(time, datetime):
        set_time(entry.event_time, time)
    else:
        entry.event_time.CopyFrom(time)
    return entry


def order_entries(row: OrderRow, cause: str) -> list[journal_pb2.JournalEntry]:
    """What the journal says of an order, from its stored state: the same each time it is asked."""
    order, signal_id = row.order, row.order.signal_id
    decided = f"{order.order_id}:evaluated"
    evaluated = journal_pb2.OrderEvaluated(order=order, decision=row.decision, intent=row.intent)
    entries = [make_entry(decided, signal_id, row.decision.decide_time, cause, order_evaluated=evaluated)]
    if row.decision.verdict != order_pb2.RISK_VERDICT_APPROVED:
        return entries
    sent = f"{order.order_id}:submitted"
    submitted = journal_pb2.OrderSubmitted(order=order)
    submitted.order.state = common_pb2.ORDER_STATE_SUBMITTED
    for field in ("filled_quantity", "average_price", "venue_order_id", "reason"):
        submitted.order.ClearField(field)
    # An order is submitted as soon as it is approved. It was created before: risk was asked about it.
    entries.append(make_entry(sent, signal_id, row.decision.decide_time, decided, order_submitted=submitted))
    if not has_ended(order):
        # What rests is told as it changes, with the position after each fill.
        return [*entries, *([_updated(row, sent)] if not row.fills else [])]
    for fill in row.fills:
        recorded = journal_pb2.FillRecorded(fill=fill, position=row.position)
        entries.append(
            make_entry(f"{fill.execution_id}:filled", signal_id, fill.execute_time, sent, fill_recorded=recorded)
        )
    return [*entries, _updated(row, sent)]


def update_entries(
    row: OrderRow, fills: Sequence[order_pb2.Fill], position: order_pb2.Position, now: datetime
) -> list[journal_pb2.JournalEntry]:
    """What the journal says of an order that changed after its signal had ended: these fills, and how it stands now."""
    sent = f"{row.order.order_id}:submitted"
    entries = [
        make_entry(
            f"{fill.execution_id}:filled",
            row.order.signal_id,
            fill.execute_time,
            sent,
            fill_recorded=journal_pb2.FillRecorded(fill=fill, position=position),
        )
        for fill in fills
    ]
    return [*entries, _updated(row, sent)]


def _updated(row: OrderRow, sent: str) -> journal_pb2.JournalEntry:
    order = row.order
    state = common_pb2.OrderState.Name(order.state).removeprefix("ORDER_STATE_").lower()
    # An order is told once for each state, and once for each quantity while it is filled in parts.
    event = "ended" if has_ended(order) else f"{state}-{order.filled_quantity or 0}"
    updated = journal_pb2.OrderUpdated(order=order)
    return make_entry(f"{order.order_id}:{event}", order.signal_id, order.update_time, sent, order_updated=updated)


def leg_request(
    order: order_pb2.Order, quote: common_pb2.Quote, capabilities: Capabilities
) -> risk_pb2.EvaluateOrderRequest:
    """Has risk record the leg of a bracket."""
    return risk_pb2.EvaluateOrderRequest(
        order=order,
        quote=quote,
        instrument=instrument_message(INSTRUMENTS.current[order.instrument]),
        fee_bps=format_decimal(capabilities.fee_bps),
        webhook_id=order.webhook_id,
    )


def doubt_entries(rows: Sequence[OrderRow], cause: str, now: datetime) -> list[journal_pb2.JournalEntry]:
    """What the journal says once the outcome of the last of these orders is not known; the ones before it have ended.

    Entries that are told again at the end of the signal have the same ids then: the first ones count.
    """
    *before, last = rows
    entries = [entry for row in before for entry in order_entries(row, cause)]
    sent = order_entries(last._replace(fills=[]), cause)[:2]
    updated = journal_pb2.OrderUpdated(order=last.order)
    event_id = f"{last.order.order_id}:in-doubt"
    return [*entries, *sent, make_entry(event_id, last.order.signal_id, now, sent[-1].event_id, order_updated=updated)]
