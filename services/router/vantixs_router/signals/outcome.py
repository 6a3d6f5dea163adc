"""How a signal ends, in its status, its reason and a sentence for people."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.model.decimals import ZERO, parse_decimal
from vantixs.model.instruments import Instrument
from vantixs.model.reasons import REASONS

from vantixs_router.domain.dust import dust_text, is_dust
from vantixs_router.domain.intent import Intent
from vantixs_router.orders.answers import PARTIALLY_FILLED
from vantixs_router.store import OrderRow
from vantixs_router.working.rules import describe_order

REJECTED, FAILED = common_pb2.SIGNAL_STATUS_REJECTED, common_pb2.SIGNAL_STATUS_FAILED
EXECUTED = common_pb2.SIGNAL_STATUS_EXECUTED
DUST, NOTHING_TO_CLOSE = "POSITION_DUST", "NOTHING_TO_CLOSE"


@dataclass(frozen=True, slots=True)
class SignalOutcome:
    """How a signal ended.

    `gave_up` names an order that risk may hold a reservation for, `repeats` the signal of which it is a repeat.
    """

    status: "common_pb2.SignalStatus"
    stage: str
    reason: str = ""
    detail: str = ""
    gave_up: str = ""
    repeats: str = ""


def repeat_of(first_signal_id: str) -> SignalOutcome:
    """The end of a signal that says what another one said within the window."""
    detail = f"repeats {first_signal_id}, which another ingress received"
    return SignalOutcome(REJECTED, "duplicate", "DUPLICATE_SUPPRESSED", detail, repeats=first_signal_id)


def executed(reason: str, detail: str) -> SignalOutcome:
    """The end of a signal that was filled."""
    return SignalOutcome(EXECUTED, "venue", reason, detail)


def filled(orders: Sequence[OrderRow], instrument: Instrument) -> SignalOutcome:
    """The end of a signal of which all was filled. An exit that leaves less than a lot has ended the position."""
    text, last = describe_fills(orders), orders[-1]
    left = parse_decimal(last.position.quantity) if last.position.quantity else ZERO
    if last.order.effect == order_pb2.ORDER_EFFECT_EXIT and is_dust(left, instrument):
        return executed(DUST, f"{text}; {dust_text(left, instrument)}")
    return executed("", text)


def nothing_to_do(intent: Intent, position: Decimal, instrument: Instrument) -> SignalOutcome:
    """The end of a signal that asks for no order; one that would close dust says so."""
    if intent.reason == NOTHING_TO_CLOSE and is_dust(position, instrument):
        return SignalOutcome(REJECTED, "intent", DUST, f"{intent.text}: {dust_text(position, instrument)}")
    return SignalOutcome(REJECTED, "intent", intent.reason, intent.text)


def working(orders: Sequence[OrderRow]) -> SignalOutcome:
    """The end of a signal whose order rests: what becomes of it is recorded under the signal."""
    done = describe_fills(orders[:-1])
    rests = f"{describe_order(orders[-1].order)} rests"
    return SignalOutcome(EXECUTED, "venue", "ORDER_WORKING", f"{done}, then {rests}" if done else rests)


def cancelled(orders: Sequence[OrderRow]) -> SignalOutcome:
    """The end of a signal that asked for cancels."""
    if not orders:
        return SignalOutcome(REJECTED, "intent", "NOTHING_TO_CANCEL", "no order rests that fits")
    said = "; ".join(f"{describe_order(row.order)}: {name_ending(row.order)}" for row in orders)
    return SignalOutcome(EXECUTED, "venue", "", said)


def name_ending(order: order_pb2.Order) -> str:
    """How an order stands, for people: "partially filled"."""
    return common_pb2.OrderState.Name(order.state).removeprefix("ORDER_STATE_").lower().replace("_", " ")


def stopped_at_venue(orders: Sequence[OrderRow], legs: int, venue_says: str) -> SignalOutcome | None:
    """The end of a signal whose last order was not filled as a whole; None where it was filled.

    The new leg of a reversal is not opened beside a position that was closed in part.
    """
    order = orders[-1].order
    if order.state == common_pb2.ORDER_STATE_FILLED:
        return None
    meaning = REASONS[order.reason].meaning if order.reason in REASONS else order.reason
    said = f"{meaning}: {venue_says}" if venue_says else meaning
    if not any(row.fills for row in orders):
        return SignalOutcome(FAILED, "venue", order.reason, said)
    if not orders[-1].fills:
        return SignalOutcome(EXECUTED, "venue", order.reason, f"closed; not opened: {said}")
    open_left = "; not opened: the close was filled in part" if len(orders) < legs else ""
    return executed(PARTIALLY_FILLED, f"{describe_fills(orders)}{open_left}")


def first_failure(decision: order_pb2.RiskDecision) -> tuple[str, str]:
    """Reason and sentence of the first failed check."""
    failed = next(check for check in decision.checks if not check.passed)
    return failed.reason, failed.detail


def closed_by(orders: Sequence[OrderRow]) -> Decimal:
    """What the exits among the orders filled, base units."""
    exits = (row.order for row in orders if row.order.effect == order_pb2.ORDER_EFFECT_EXIT)
    return sum((parse_decimal(order.filled_quantity) for order in exits if order.filled_quantity), ZERO)


def describe_fills(orders: Sequence[OrderRow]) -> str:
    """One sentence about what was done."""
    verbs = {common_pb2.SIDE_BUY: "bought", common_pb2.SIDE_SELL: "sold"}
    parts = []
    for order in (row.order for row in orders if row.order.filled_quantity):
        whole = order.state == common_pb2.ORDER_STATE_FILLED
        amount = order.filled_quantity if whole else f"{order.filled_quantity} of {order.quantity}"
        parts.append(f"{verbs[order.side]} {amount} at {order.average_price}")
    return ", then ".join(parts)
