"""VerifySignal: a signal's decisions derived again from what its entries recorded. No order, no books, no venue."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC
from decimal import Decimal

from google.protobuf.message import DecodeError
from vantixs.api.common.v1 import common_pb2, order_pb2, signal_pb2
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.api.router.v1 import router_pb2
from vantixs.model.decimals import ZERO, parse_decimal
from vantixs.model.instruments import INSTRUMENTS
from vantixs.runtime.enum_check import check_enums
from vantixs.runtime.errors import invalid
from vantixs.runtime.logs import log

from vantixs_router.domain.differences import decision_differences, difference, request_differences
from vantixs_router.domain.dust import without_dust
from vantixs_router.domain.intent import Leg
from vantixs_router.messages import NothingLeft, evaluation_request, instrument_message, intent_of, make_order
from vantixs_router.owner_shares import OWNED, against_others
from vantixs_router.risk_client import RiskClient
from vantixs_router.signals.derive import (
    ANY_QUANTITY,
    NotSent,
    Sender,
    check_order,
    ended_before,
    may_not_open,
    settled_plan,
)
from vantixs_router.signals.given_signal import check_given
from vantixs_router.signals.outcome import EXECUTED, REJECTED, SignalOutcome, first_failure, nothing_to_do
from vantixs_router.store import SenderState
from vantixs_router.venues.port import Capabilities
from vantixs_router.working.plans import wants_bracket
from vantixs_router.working.rules import expected_price

ROUTING = "routing"


class _Missing(Exception):
    """An input is not recorded. The text says which."""


@dataclass(slots=True)
class _Recorded:
    """What a signal's entries tell: its end, and by leg the decision and what became of the order."""

    completed: journal_pb2.SignalCompleted
    evaluated: list[journal_pb2.OrderEvaluated] = field(default_factory=list)
    orders: dict[str, order_pb2.Order] = field(default_factory=dict)

    @classmethod
    def of(cls, entries: Sequence[journal_pb2.JournalEntry]) -> "_Recorded":
        """Reads entries in order; of an order only what came before the signal's end counts."""
        found: list[journal_pb2.OrderEvaluated] = []
        orders: dict[str, order_pb2.Order] = {}
        for entry in entries:
            match entry.WhichOneof("event"):
                case "order_evaluated" if not entry.order_evaluated.order.entry_order_id:
                    found.append(entry.order_evaluated)
                case "order_updated":
                    orders[entry.order_updated.order.order_id] = entry.order_updated.order
                case "signal_completed":
                    return cls(entry.signal_completed, found, orders)
        raise _Missing("the signal's end: it is still running")

    def decision(self, number: int) -> tuple[order_pb2.RiskDecision, risk_pb2.DecisionInputs]:
        """Risk's decision on the order of a leg, and what it was made from; _Missing where they are not recorded."""
        if number > len(self.evaluated):
            raise _Missing(f"risk's decision on order {number}")
        decision = self.evaluated[number - 1].decision
        try:
            inputs = risk_pb2.DecisionInputs.FromString(decision.inputs)
        except DecodeError:
            raise _Missing(f"risk's inputs on order {number}: they cannot be read") from None
        if not decision.inputs:
            raise _Missing(f"risk's inputs on order {number}")
        if inputs.left_out:
            raise _Missing(f"risk's inputs on order {number}: {', '.join(inputs.left_out)}")
        return decision, inputs


class VerifySignals:
    """Derives decisions again."""

    def __init__(self, risk: RiskClient, capabilities: Capabilities) -> None:
        self._risk = risk
        self._capabilities = capabilities

    async def run(self, request: router_pb2.VerifySignalRequest) -> router_pb2.VerifySignalResponse:
        """How the signal would end, and what differs; or which inputs are missing, and then nothing else.

        Raises:
            ServiceError: INVALID_ARGUMENT for values that no signal, webhook or entry has; risk did not answer, or
                refuses the inputs.
        """
        check_given(request.accepted)
        check_enums(request.webhook, "webhook")
        try:
            recorded = _Recorded.of(request.entries)
            return await self._verify(request, recorded)
        except _Missing as missing:
            return router_pb2.VerifySignalResponse(missing=[str(missing)])
        except (ArithmeticError, ValueError) as error:
            # Of a number, or a time, that the router records nowhere. It may be a mistake of the program as well.
            log.warning("verify.entries_refused", signal_id=request.accepted.signal.signal_id[:64], exc_info=error)
            raise invalid("entries", str(error)) from None

    async def _verify(
        self, request: router_pb2.VerifySignalRequest, recorded: _Recorded
    ) -> router_pb2.VerifySignalResponse:
        signal, completed = request.accepted.signal, recorded.completed
        if not completed.HasField("inputs"):
            at = "it ended without a decision of the router" if completed.stage == "duplicate" else "none were told"
            raise _Missing(f"the router's inputs: {at}")
        inputs, webhook = completed.inputs, request.accepted.webhook
        if request.HasField("webhook"):
            webhook = request.webhook
            if webhook.account_id != request.accepted.webhook.account_id:
                raise _Missing(f"the books of account {webhook.account_id}, which the webhook names now")
        found = _instrument_differences(signal, inputs.instrument)
        step = _Step(signal, webhook, inputs, self._capabilities_of(request, inputs))
        ended = step.first()
        if ended is None:
            ended = await self._legs(request, recorded, step, found)
        before, after = _told(completed.status, completed.reason), _told(ended.status, ended.reason)
        if before != after:
            found.insert(0, difference(ROUTING if not step.asked else "outcome", "outcome", before, after))
        return router_pb2.VerifySignalResponse(status=ended.status, reason=ended.reason, differences=found)

    def _capabilities_of(
        self, request: router_pb2.VerifySignalRequest, inputs: journal_pb2.RoutingInputs
    ) -> Capabilities:
        if request.current or not inputs.fee_bps:
            return self._capabilities
        return replace(self._capabilities, fee_bps=parse_decimal(inputs.fee_bps))

    async def _legs(
        self,
        request: router_pb2.VerifySignalRequest,
        recorded: _Recorded,
        step: "_Step",
        found: list[journal_pb2.Difference],
    ) -> SignalOutcome:
        """Has each leg decided again, up to the first decision that differs: what follows from that one was never recorded."""
        closed = ZERO
        for number, leg in enumerate(step.legs, 1):
            if number > 1 and len(recorded.evaluated) < number and recorded.completed.stage == "venue":
                break  # The order before ended the signal at the venue, whose answers are inputs.
            try:
                quote = recorded.decision(number)[1].request.quote if number > 1 else step.inputs.quote
                order = step.order(leg, number, quote, recorded)
                decision, inputs = recorded.decision(number)
                assumed = inputs.request.assumed_position_quantity
                asked = evaluation_request(
                    order, step.signal, step.webhook, INSTRUMENTS.current[step.signal.instrument], leg,
                    assumed=assumed, quote=inputs.request.quote, marks=[], capabilities=step.capabilities,
                    closed=closed, own=step.own,
                )  # fmt: skip
            except NotSent as refused:
                return _ended(number, refused.reason, refused.detail)
            except NothingLeft as nothing:
                return _ended(number, "NOTHING_TO_OPEN", nothing.text)
            step.asked = True
            found += request_differences(f"order {number}", inputs.request, asked)
            inputs.request.CopyFrom(asked)
            again = await self._risk.decide_again(inputs, current=request.current)
            strict = not (request.current or request.HasField("webhook"))
            found += decision_differences(f"risk on order {number}", decision, again, strict=strict)
            if again.verdict != order_pb2.RISK_VERDICT_APPROVED:
                reason, detail = first_failure(again)
                return SignalOutcome(EXECUTED if number > 1 else REJECTED, "risk", reason, detail)
            if decision.verdict != order_pb2.RISK_VERDICT_APPROVED or decision.quantity != again.quantity:
                return SignalOutcome(EXECUTED, "venue", "", "would be sent")
            sent = recorded.orders.get(order.order_id)
            if sent and sent.effect == order_pb2.ORDER_EFFECT_EXIT and sent.filled_quantity:
                closed = parse_decimal(sent.filled_quantity)
        completed = recorded.completed
        if completed.stage != "venue" and not found:
            raise _Missing(f"what ended the signal at {completed.stage}: {completed.reason}")
        return SignalOutcome(completed.status, completed.stage, completed.reason)


class _Step:
    """What the router decides by itself, from recorded inputs."""

    def __init__(
        self,
        signal: signal_pb2.Signal,
        webhook: webhook_pb2.Webhook,
        inputs: journal_pb2.RoutingInputs,
        capabilities: Capabilities,
    ) -> None:
        self.signal, self.webhook, self.inputs, self.capabilities = signal, webhook, inputs, capabilities
        self.legs: tuple[Leg, ...] = ()
        self.own: Decimal | None = None
        self.asked = False

    def first(self) -> SignalOutcome | None:
        """The end of a signal that asks risk nothing; else `legs` are its orders."""
        signal, webhook, inputs = self.signal, self.webhook, self.inputs
        now = inputs.decide_time.ToDatetime(tzinfo=UTC)
        if ended := ended_before(signal, webhook, now):
            return ended
        if signal.action == common_pb2.ACTION_CANCEL:
            if inputs.cancel_order_ids:
                return SignalOutcome(EXECUTED, "venue")
            return SignalOutcome(REJECTED, "intent", "NOTHING_TO_CANCEL")
        if signal.action == common_pb2.ACTION_AMEND:
            raise _Missing("the order that was amended: amendments are not derived again")
        if not inputs.position_quantity:
            raise _Missing("the position that the router looked at")
        instrument, position = INSTRUMENTS.current[signal.instrument], parse_decimal(inputs.position_quantity)
        self.own = parse_decimal(inputs.own_position_quantity) if inputs.own_position_quantity else None
        acts = position if self.own is None else self.own
        held = without_dust(acts, instrument)
        intent = intent_of(signal, webhook, held)
        if not intent.legs:
            return nothing_to_do(intent, acts, instrument)
        if others := against_others(intent.legs[0], self.own, position, instrument):
            return SignalOutcome(REJECTED, "intent", OWNED, others)
        self.legs = intent.legs
        state = SenderState(emit_ms=inputs.sender_emit_ms, entry_ms=inputs.sender_entry_ms, adds=inputs.sender_adds)
        return may_not_open(signal, webhook, Sender(state, inputs.superseded), intent.legs, held, now)

    def order(self, leg: Leg, number: int, quote: common_pb2.Quote, recorded: _Recorded) -> order_pb2.Order:
        """The order of a leg, which the venue takes; NotSent where it does not."""
        now = self.inputs.decide_time.ToDatetime(tzinfo=UTC)
        alone = len(self.legs) == 1
        order = make_order(self.signal, self.webhook, leg, number, now, self.capabilities, alone=alone)
        check_order(order, leg, self.capabilities, wanted=wants_bracket(self.signal))
        price = expected_price(order, quote)
        if leg.entry and price is not None and wants_bracket(self.signal):
            instrument = INSTRUMENTS.current[self.signal.instrument]
            quantity = instrument.lot_size * ANY_QUANTITY
            settled_plan(self.signal, self.webhook, order, quantity, price, self.capabilities.fee_bps)
            if number <= len(recorded.evaluated):
                approved = Decimal(recorded.evaluated[number - 1].decision.quantity or 0)
                if approved and recorded.evaluated[number - 1].decision.verdict == order_pb2.RISK_VERDICT_APPROVED:
                    settled_plan(self.signal, self.webhook, order, approved, price, self.capabilities.fee_bps)
        return order


def _ended(number: int, reason: str, detail: str) -> SignalOutcome:
    """The end of a signal whose order of that number is not sent: it was executed where the one before was."""
    return (
        SignalOutcome(EXECUTED, "venue", reason, detail)
        if number > 1
        else SignalOutcome(REJECTED, "intent", reason, detail)
    )


def _told(status: "common_pb2.SignalStatus", reason: str) -> str:
    return f"{common_pb2.SignalStatus.Name(status).removeprefix('SIGNAL_STATUS_')} {reason}".strip()


def _instrument_differences(signal: signal_pb2.Signal, recorded: common_pb2.Instrument) -> list[journal_pb2.Difference]:
    """How the catalogue's terms differ from the recorded ones, which they never should: terms do not change."""
    if signal.instrument not in INSTRUMENTS.current:
        raise _Missing(f"the terms of {signal.instrument}: it is not in the catalogue")
    now = instrument_message(INSTRUMENTS.current[signal.instrument])
    names = [f.name for f in now.DESCRIPTOR.fields if getattr(now, f.name) != getattr(recorded, f.name)]
    return [difference("instrument", name, getattr(recorded, name), getattr(now, name)) for name in names]
