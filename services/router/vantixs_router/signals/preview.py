"""PreviewSignal: what a signal would do now, without effects or on a scratch copy of its account."""

import hashlib
from collections.abc import Awaitable, Callable
from datetime import datetime
from decimal import Decimal

from google.protobuf.message import DecodeError
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.api.router.v1 import router_pb2
from vantixs.model.decimals import ZERO, format_decimal, parse_decimal
from vantixs.model.ids import order_id
from vantixs.model.instruments import INSTRUMENTS
from vantixs.runtime.errors import invalid

from vantixs_router.domain.dust import without_dust
from vantixs_router.domain.intent import Leg
from vantixs_router.domain.owner_shares import Sender, Shares, acts_on
from vantixs_router.messages import (
    NothingLeft,
    evaluation_request,
    instrument_message,
    intent_of,
    make_entry,
    make_order,
    order_entries,
)
from vantixs_router.orders.answers import apply_answer
from vantixs_router.owner_shares import OWNED, against_others, of_own, sender_of
from vantixs_router.quotes import Quotes
from vantixs_router.risk_client import RiskClient
from vantixs_router.signals.given_signal import check_given
from vantixs_router.signals.outcome import describe_fills, first_failure, nothing_to_do
from vantixs_router.store import OrderRow
from vantixs_router.venues.paper.venue import PaperVenue
from vantixs_router.venues.port import Submission


class Preview:
    """Derives a signal again with today's configuration and quote."""

    def __init__(
        self,
        risk: RiskClient,
        quotes: Quotes,
        venue: PaperVenue,
        clock: Callable[[], datetime],
        shares: Callable[[str], Awaitable[Shares]],
    ) -> None:
        """`shares` gives what webhooks own in an account and instrument ("paper|BTC/USDT")."""
        self._risk = risk
        self._quotes = quotes
        self._venue = venue
        self._clock = clock
        self._shares = shares

    async def run(self, request: router_pb2.PreviewSignalRequest) -> list[journal_pb2.JournalEntry]:
        """The entries that the journal would hold. Only a scratch account, where one is asked for, is changed.

        Raises:
            ServiceError: INVALID_ARGUMENT if the request has values that no signal, webhook or seed has; or as `RiskClient`.
        """
        _check(request)
        signal = request.accepted.signal
        webhook = webhook_pb2.Webhook()
        webhook.CopyFrom(request.accepted.webhook)
        webhook.mode = common_pb2.MODE_PAPER
        if request.replay_id:
            scratch = scratch_account(request.replay_id, webhook.account_id)
            await self._risk.copy_account(webhook.account_id, scratch, request.seed)
            webhook.account_id = scratch
        position = await self._risk.position(webhook.account_id, signal.instrument)
        instrument = INSTRUMENTS.current[signal.instrument]
        if request.replay_id:
            position = await self._position_before(request, webhook.account_id, position)
        # What the scratch copy of an account would leave to whom is not kept: there every signal acts on all of it.
        shares = () if request.replay_id else await self._shares(f"{webhook.account_id}|{signal.instrument}")
        sender = Sender() if request.replay_id else sender_of(webhook)
        acts = acts_on(shares, sender, position)
        own = None if acts == position else acts
        intent = of_own(intent_of(signal, webhook, without_dust(acts, instrument)), own, position)
        ended = nothing_to_do(intent, acts, instrument)
        completed = journal_pb2.SignalCompleted(
            status=ended.status, stage=ended.stage, reason=ended.reason, detail=ended.detail
        )
        orders: list[OrderRow] = []
        closed = ZERO
        for number, leg in enumerate(intent.legs, 1):
            if others := against_others(leg, own, position, instrument):
                status = common_pb2.SIGNAL_STATUS_EXECUTED if number > 1 else common_pb2.SIGNAL_STATUS_REJECTED
                completed = journal_pb2.SignalCompleted(status=status, stage="intent", reason=OWNED, detail=others)
                break
            try:
                row = await self._leg(request, webhook, leg, number, position, intent.text, closed, own)
            except NothingLeft as nothing:
                status = common_pb2.SIGNAL_STATUS_EXECUTED if number > 1 else common_pb2.SIGNAL_STATUS_REJECTED
                completed = journal_pb2.SignalCompleted(
                    status=status, stage="intent", reason="NOTHING_TO_OPEN", detail=nothing.text
                )
                break
            orders.append(row)
            closed = parse_decimal(row.order.quantity or "0")
            if row.decision.verdict != order_pb2.RISK_VERDICT_APPROVED:
                reason, detail = first_failure(row.decision) if row.decision.checks else ("POSITION_CHANGED", "")
                status = common_pb2.SIGNAL_STATUS_EXECUTED if number > 1 else common_pb2.SIGNAL_STATUS_REJECTED
                completed = journal_pb2.SignalCompleted(status=status, stage="risk", reason=reason, detail=detail)
                break
            status = common_pb2.SIGNAL_STATUS_EXECUTED
            detail = describe_fills(orders) if request.replay_id else "would be sent"
            completed = journal_pb2.SignalCompleted(status=status, stage="venue", detail=detail)
            position = await self._risk.position(webhook.account_id, signal.instrument)
        entries = [e for row in orders for e in order_entries(row, "")]
        entries.append(
            make_entry(f"{signal.signal_id}:preview", signal.signal_id, self._clock(), "", signal_completed=completed)
        )
        return entries

    async def _position_before(
        self, request: router_pb2.PreviewSignalRequest, account_id: str, position: Decimal
    ) -> Decimal:
        """The position of the scratch account before the signal's first order.

        A replay runs a signal again if audit ended, or the call was not answered, before its result was stored. Then the
        orders of the signal may be in the position already, and its intent would be another one.
        """
        signal, instrument = request.accepted.signal, INSTRUMENTS.current[request.accepted.signal.instrument]
        order = order_pb2.Order(
            order_id=order_id(f"{request.replay_id}:{signal.signal_id}", 1),
            signal_id=signal.signal_id,
            account_id=account_id,
            instrument=signal.instrument,
            side=common_pb2.SIDE_BUY,
            effect=order_pb2.ORDER_EFFECT_EXIT,
        )
        # Risk answers an order that it decided as it did then. Of any other one it says that its position is not this one.
        question = risk_pb2.EvaluateOrderRequest(
            order=order,
            instrument=instrument_message(instrument),
            assumed_position_quantity=format_decimal(position + 1),
        )
        before = (await self._risk.evaluate(question)).position_quantity
        return parse_decimal(before) if before else position

    async def _leg(
        self,
        request: router_pb2.PreviewSignalRequest,
        webhook: webhook_pb2.Webhook,
        leg: Leg,
        number: int,
        position: Decimal,
        intent: str,
        closed: Decimal,
        own: Decimal | None,
    ) -> OrderRow:
        signal = request.accepted.signal
        instrument = INSTRUMENTS.current[signal.instrument]
        quote = self._quotes.current(instrument)
        prefix = f"{request.replay_id}:" if request.replay_id else "preview:"
        marks = self._quotes.marks(await self._risk.held(webhook.account_id), signal.instrument)
        try:
            order = make_order(signal, webhook, leg, number, self._clock(), self._venue.capabilities, prefix=prefix)
            question = evaluation_request(
                order,
                signal,
                webhook,
                instrument,
                leg,
                assumed=format_decimal(position),
                quote=quote,
                marks=marks,
                capabilities=self._venue.capabilities,
                closed=closed,
                own=own,
            )
        except ValueError as error:  # Of a number that ingress lets no signal have.
            raise invalid("accepted.signal", str(error)) from None
        question.preview = not request.replay_id
        decision = await self._risk.evaluate(question)
        order.quantity = decision.quantity
        row = OrderRow(order, intent, decision, [], order_pb2.Position())
        if decision.verdict == order_pb2.RISK_VERDICT_APPROVED and request.replay_id:
            order.state = common_pb2.ORDER_STATE_SUBMITTED
            now = self._clock()
            row = apply_answer(row, self._venue.simulate(Submission(order, instrument), quote, now), now)
            # What rests is not waited for: the scratch account lasts as long as its replay.
            row = row._replace(position=await self._risk.settle(row.order, row.fills, final=True))
        return row


def _check(request: router_pb2.PreviewSignalRequest) -> None:
    signal = request.accepted.signal
    if signal.instrument not in INSTRUMENTS.current:
        was = signal.instrument[:40]
        raise invalid("accepted.signal.instrument", f"expected a catalogued instrument, was {was!r}")
    check_given(request.accepted)
    if not signal.action:
        raise invalid("accepted.signal.action", "expected an action, was none", "FIELD_MISSING")
    try:
        risk_pb2.DecisionInputs.FromString(request.seed)
    except DecodeError:
        raise invalid("seed", "expected DecisionInputs, was what cannot be read") from None


def scratch_account(replay_id: str, account_id: str) -> str:
    """The id of the copy of an account that one replay uses."""
    return "replay-" + hashlib.sha256(f"{replay_id}|{account_id}".encode()).hexdigest()[:24]
