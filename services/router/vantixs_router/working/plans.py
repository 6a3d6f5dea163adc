"""From what a signal and its webhook say of protection to the plan of a bracket, and from its legs to orders and back: pure."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from vantixs.api.common.v1 import common_pb2, order_pb2, signal_pb2
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.model.decimals import ZERO, format_decimal, parse_decimal
from vantixs.model.ids import client_order_id
from vantixs.model.instruments import INSTRUMENTS, Instrument
from vantixs.runtime.timestamps import set_time

from vantixs_router.domain.brackets import events
from vantixs_router.domain.brackets.commands import LegKind
from vantixs_router.domain.brackets.levels import Level, LevelKind
from vantixs_router.domain.brackets.plan import (
    Base,
    Plan,
    Rules,
    SettledPlan,
    Stepped,
    SteppedKind,
    TakeProfit,
    Trailing,
    settle_plan,
)
from vantixs_router.domain.brackets.state import Bracket, Leg, LegState
from vantixs_router.orders.answers import has_ended
from vantixs_router.store import OrderRow

UNPROTECTED_LIMIT_S = 10
_STEPPED = {
    webhook_pb2.STOP_MOVE_BREAKEVEN: SteppedKind.BREAKEVEN,
    webhook_pb2.STOP_MOVE_MOVING_TARGET: SteppedKind.MOVING_TARGET,
    webhook_pb2.STOP_MOVE_MOVING_2_TARGET: SteppedKind.MOVING_2_TARGET,
    webhook_pb2.STOP_MOVE_PERCENT_BELOW_TRIGGER: SteppedKind.PERCENT_BELOW_TRIGGER,
    webhook_pb2.STOP_MOVE_PERCENT_BELOW_HIGHEST: SteppedKind.PERCENT_BELOW_HIGHEST,
}
_LEVEL_KINDS = {"price": LevelKind.PRICE, "percent": LevelKind.PERCENT, "amount": LevelKind.AMOUNT}
_LEGS = {
    LegKind.STOP: order_pb2.BRACKET_LEG_STOP_LOSS,
    LegKind.TARGET: order_pb2.BRACKET_LEG_TAKE_PROFIT,
    LegKind.CLOSE: order_pb2.BRACKET_LEG_CLOSE,
}
_LEG_TYPES = {
    LegKind.STOP: (common_pb2.ORDER_TYPE_STOP, common_pb2.TIME_IN_FORCE_GTC),
    LegKind.TARGET: (common_pb2.ORDER_TYPE_LIMIT, common_pb2.TIME_IN_FORCE_GTC),
    LegKind.CLOSE: (common_pb2.ORDER_TYPE_MARKET, common_pb2.TIME_IN_FORCE_IOC),
}


def wants_bracket(signal: signal_pb2.Signal) -> bool:
    """Whether the signal names a stop or a target."""
    protected = signal.HasField("stop_loss") or signal.HasField("trailing_stop") or signal.HasField("take_profit")
    return protected or bool(signal.take_profits)


def plan_of(
    signal: signal_pb2.Signal,
    webhook: webhook_pb2.Webhook,
    order: order_pb2.Order,
    quantity: Decimal,
    entry_price: Decimal,
    fee_bps: Decimal,
) -> SettledPlan:
    """The plan of an entry of a quantity that is expected to fill at a price.

    A trailing stop without a stop loss begins at its distance from the entry.

    Raises:
        PlanError: a level on the wrong side, targets out of order, shares above 100, or a number that cannot be.
    """
    instrument = INSTRUMENTS.current[signal.instrument]
    targets = list(signal.take_profits)
    if signal.HasField("take_profit") and not targets:
        targets = [common_pb2.TakeProfit(level=signal.take_profit)]
    stop, trailing = _level(signal.stop_loss), None
    if distance := _level(signal.trailing_stop):
        trailing = Trailing(distance, _level(signal.trailing_activation))
        stop = stop or distance
    stepped = None
    if signal.break_even_after_target:
        stepped = Stepped(SteppedKind.BREAKEVEN, signal.break_even_after_target)
    elif webhook.stop_move and targets and stop:
        percent = parse_decimal(webhook.stop_move_percent) if webhook.stop_move_percent else None
        after = min(max(webhook.stop_move_after_target, 1), len(targets))
        stepped = Stepped(_STEPPED[webhook.stop_move], after, percent)
    first = webhook.protection_base == webhook_pb2.PROTECTION_BASE_FIRST_ENTRY
    plan = Plan(
        long=order.side == common_pb2.SIDE_BUY,
        entry_price=entry_price,
        rules=rules_of(instrument),
        stop_loss=stop,
        take_profits=tuple(_target(target) for target in targets),
        base=Base.FIRST_ENTRY if first else Base.AVERAGE_ENTRY,
        trailing=trailing,
        stepped=stepped,
        break_even_at=_level(signal.break_even_at),
        exit_fee_ratio=fee_bps / 10_000,
        entry_triggers=bool(order.stop_price),
        unprotected_limit_s=webhook.unprotected_limit_s or UNPROTECTED_LIMIT_S,
    )
    return settle_plan(plan, quantity)


def rules_of(instrument: Instrument) -> Rules:
    """What the instrument takes. Exits may be below the minimum notional, as all that only reduces."""
    return Rules(instrument.tick_size, instrument.lot_size)


def leg_order(entry: order_pb2.Order, leg: Leg, now: datetime) -> order_pb2.Order:
    """The order of a leg. Its id follows from the entry's and the leg's number, so that a second one is recognised."""
    order_type, time_in_force = _LEG_TYPES[leg.kind]
    identity = f"{entry.order_id}-{leg.number}"
    price = format_decimal(leg.price) if leg.price is not None else ""
    order = order_pb2.Order(
        order_id=identity,
        signal_id=entry.signal_id,
        account_id=entry.account_id,
        instrument=entry.instrument,
        client_order_id=client_order_id(identity),
        mode=entry.mode,
        side=common_pb2.SIDE_SELL if entry.side == common_pb2.SIDE_BUY else common_pb2.SIDE_BUY,
        effect=order_pb2.ORDER_EFFECT_EXIT,
        order_type=order_type,
        time_in_force=time_in_force,
        quantity=format_decimal(leg.quantity),
        limit_price=price if leg.kind is LegKind.TARGET else "",
        stop_price=price if leg.kind is LegKind.STOP else "",
        state=common_pb2.ORDER_STATE_INITIALIZED,
        reduce_only=True,
        entry_order_id=entry.order_id,
        leg=_LEGS[leg.kind],
        target=leg.target,
        webhook_id=entry.webhook_id,
        tag=entry.tag,
        owned=entry.owned,
    )
    set_time(order.create_time, now)
    set_time(order.update_time, now)
    return order


def leg_number(order: order_pb2.Order) -> int:
    """The number of the leg that the order is."""
    return int(order.order_id.rpartition("-")[2])


def events_of(bracket: Bracket, rows: list[OrderRow], now: datetime) -> Iterator[events.Event]:
    """All that is known of a bracket's orders, as it would be told: what the bracket knows changes nothing."""
    for row in rows:
        if not row.order.entry_order_id:
            for fill in row.fills:
                quantity, fee = _net(fill, row.order.instrument)
                yield events.EntryFilled(now, fill.execution_id, quantity, parse_decimal(fill.price), fee)
            if has_ended(row.order):
                yield events.EntryEnded(now)
    legs = [row for row in rows if row.order.entry_order_id]
    # What was filled comes first: what the venue cancels of the other side then is no surprise.
    for row in legs:
        for fill in row.fills:
            quantity, price = parse_decimal(fill.quantity), parse_decimal(fill.price)
            fee = _net(fill, row.order.instrument)[1]
            yield events.LegFilled(now, leg_number(row.order), fill.execution_id, quantity, price, fee)
    for row in legs:
        yield from _leg_events(bracket.leg(leg_number(row.order)), row.order, now)


def _leg_events(leg: Leg | None, order: order_pb2.Order, now: datetime) -> Iterator[events.Event]:
    number, state, ended = leg_number(order), order.state, has_ended(order)
    filled = parse_decimal(order.filled_quantity) if order.filled_quantity else ZERO
    in_doubt = leg is not None and leg.state is LegState.IN_DOUBT
    if state == common_pb2.ORDER_STATE_IN_DOUBT:
        yield events.LegInDoubt(now, number)
    elif in_doubt and state != common_pb2.ORDER_STATE_SUBMITTED:
        yield events.LegResolved(now, number, not ended, filled)
    elif state in (common_pb2.ORDER_STATE_ACCEPTED, common_pb2.ORDER_STATE_PARTIALLY_FILLED):
        yield events.LegAccepted(now, number)
    elif state == common_pb2.ORDER_STATE_REJECTED:
        yield events.LegRejected(now, number, order.reason)
    elif ended and state != common_pb2.ORDER_STATE_FILLED:
        yield events.LegCancelled(now, number, filled)


def _net(fill: order_pb2.Fill, instrument: str) -> tuple[Decimal, Decimal]:
    """What is held of a fill, and its fee in the quote asset."""
    quantity, fee = parse_decimal(fill.quantity), parse_decimal(fill.fee) if fill.fee else ZERO
    if fill.fee_asset == INSTRUMENTS.current[instrument].base_asset:
        return quantity - fee, fee * parse_decimal(fill.price)
    return quantity, fee


def _target(target: common_pb2.TakeProfit) -> TakeProfit:
    level = _level(target.level)
    share = parse_decimal(target.share) if target.share else None
    return TakeProfit(level or Level(LevelKind.PRICE, ZERO), share)


def _level(level: common_pb2.ProtectiveLevel) -> Level | None:
    kind = level.WhichOneof("level")
    return Level(_LEVEL_KINDS[kind], parse_decimal(getattr(level, kind))) if kind else None
