"""What a signal's orders are derived from, and whether it may open: pure, so that it can be derived again from the record."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from vantixs.api.common.v1 import common_pb2, order_pb2, signal_pb2
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.model.decimals import ZERO

from vantixs_router.domain.brackets.levels import PlanError
from vantixs_router.domain.brackets.plan import SettledPlan
from vantixs_router.domain.intent import Leg
from vantixs_router.domain.policies import Pace, is_older, pace_problem
from vantixs_router.signals.outcome import FAILED, REJECTED, SignalOutcome
from vantixs_router.store import SenderState
from vantixs_router.venues.port import Capabilities
from vantixs_router.working.plans import plan_of
from vantixs_router.working.rules import problem_of

SUPERSEDED = "SIGNAL_SUPERSEDED"
SUPERSEDED_TEXT = "it waited, and a later exit of the account in the instrument was carried out meanwhile"
# Whether a plan can be carried out does not depend on its size, which is not known before risk has said it.
ANY_QUANTITY = 10**9


class NotSent(Exception):
    """The order cannot be sent: nothing was asked of risk. `reason` is one of ours, `detail` a sentence for people."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Sender:
    """What the webhook's signals for the account and instrument have done, and whether this one waited for too long."""

    state: SenderState
    superseded: bool


def ended_before(signal: signal_pb2.Signal, webhook: webhook_pb2.Webhook, now: datetime) -> SignalOutcome | None:
    """The end of a signal for which no position is looked at."""
    limit = signal.expire_time
    if signal.HasField("expire_time") and now > limit.ToDatetime(tzinfo=UTC):
        return SignalOutcome(REJECTED, "freshness", "SIGNAL_EXPIRED", f"expired at {limit.ToJsonString()}")
    if webhook.routing_mode == common_pb2.ROUTING_MODE_STRATEGY:
        return SignalOutcome(FAILED, "strategy", "STRATEGY_UNAVAILABLE", "STRATEGY mode is not built yet")
    return None


def may_not_open(
    signal: signal_pb2.Signal,
    webhook: webhook_pb2.Webhook,
    sender: Sender,
    legs: tuple[Leg, ...],
    position: Decimal,
    now: datetime,
) -> SignalOutcome | None:
    """The end of a signal with an entry that comes too late, or that the webhook's pace does not allow."""
    entry = next((leg for leg in legs if leg.entry), None)
    if entry is None:
        return None
    if sender.superseded:
        return SignalOutcome(REJECTED, "freshness", SUPERSEDED, SUPERSEDED_TEXT)
    emit_ms = signal.emit_time.ToMilliseconds() if signal.HasField("emit_time") else 0
    if is_older(emit_ms, sender.state.emit_ms):
        age_s = (sender.state.emit_ms - emit_ms) / 1000
        text = f"it was sent {age_s:g} s before a signal of the webhook that was handled already"
        return SignalOutcome(REJECTED, "freshness", SUPERSEDED, text)
    reason, text = pace_problem(
        Pace(webhook.max_adds, webhook.add_spacing_s * 1000),
        position=position,
        buy=entry.buy,
        adds=sender.state.adds,
        entry_ms=sender.state.entry_ms,
        now_ms=int(now.timestamp() * 1000),
    )
    return SignalOutcome(REJECTED, "intent", reason, text) if reason else None


def check_order(order: order_pb2.Order, leg: Leg, capabilities: Capabilities, *, wanted: bool) -> None:
    """Raises NotSent where the venue does not take such an order; `wanted` says whether a bracket is to belong to it."""
    reason, detail = problem_of(order, capabilities)
    if not reason and leg.entry and order.reduce_only:
        reason, detail = "REDUCE_ONLY_ENTRY", "the signal says reduce-only, and would open or add to a position"
    if not reason and leg.entry and wanted and not capabilities.brackets:
        reason, detail = "PROTECTION_UNSUPPORTED", "the venue cannot hold a stop and targets for one position"
    if reason:
        raise NotSent(reason, detail)


def settled_plan(
    signal: signal_pb2.Signal,
    webhook: webhook_pb2.Webhook,
    order: order_pb2.Order,
    quantity: Decimal,
    price: Decimal | None,
    fee_bps: Decimal,
) -> SettledPlan:
    """The plan of an entry's bracket; raises NotSent where its levels do not fit."""
    try:
        return plan_of(signal, webhook, order, quantity, price or ZERO, fee_bps)
    except PlanError as error:
        raise NotSent("PROTECTION_INVALID", str(error)) from None
