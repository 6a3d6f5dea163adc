"""Runs the legs of a signal, one after another: intent, decision of risk, order, answer of the venue, books."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.decimals import format_decimal, parse_decimal
from vantixs.runtime.database import Database
from vantixs.runtime.timestamps import set_time

from vantixs_router.domain.dust import without_dust
from vantixs_router.domain.intent import Leg
from vantixs_router.domain.plan import decode_plan, encode_plan
from vantixs_router.messages import NothingLeft, instrument_message, intent_of
from vantixs_router.orders.answers import has_ended
from vantixs_router.orders.record_answer import RecordAnswer
from vantixs_router.orders.settle_order import settle_and_count, settle_order
from vantixs_router.orders.submit_order import SubmitOrder
from vantixs_router.owner_shares import OWNED, against_others, of_own
from vantixs_router.risk_client import RiskClient, asking_risk
from vantixs_router.signals.amend_order import AmendOrder
from vantixs_router.signals.decide_leg import DecideLeg
from vantixs_router.signals.derive import (
    SUPERSEDED,
    SUPERSEDED_TEXT,
    NotSent,
    Sender,
    ended_before,
    may_not_open,
)
from vantixs_router.signals.other_orders import OtherOrders, fits_cancel, wait_for_earlier
from vantixs_router.signals.outcome import (
    EXECUTED,
    REJECTED,
    SignalOutcome,
    cancelled,
    executed,
    filled,
    first_failure,
    nothing_to_do,
    stopped_at_venue,
    working,
)
from vantixs_router.signals.run import OutcomeUnknown, SignalRun, WaitsForEarlier
from vantixs_router.store import OrderRow
from vantixs_router.venues.port import Rejected, Unknown
from vantixs_router.working.rules import (
    exitable_of,
    is_resting_entry,
    is_resting_order,
    is_working,
)
from vantixs_router.working.working_orders import WorkingOrders

# How many order ids a CANCEL names in its outcome.
MOST_CANCELED = 100


class RunLegs:
    """Runs all legs of a signal. After a restart each step continues from what is stored."""

    def __init__(
        self,
        risk: RiskClient,
        working: WorkingOrders,
        decide: DecideLeg,
        others: OtherOrders,
        amend: AmendOrder,
        submit: SubmitOrder,
        record: RecordAnswer,
        clock: Callable[[], datetime],
        lost_until_ms: Callable[[], int],
        database: Database,
    ) -> None:
        """`lost_until_ms` as of `ProcessSignal`."""
        self._risk = risk
        self._working = working
        self._decide = decide
        self._others = others
        self._amend = amend
        self._submit = submit
        self._record = record
        self._clock = clock
        self._lost_until_ms = lost_until_ms
        self._database = database

    async def run(self, run: SignalRun) -> SignalOutcome:
        """Runs every leg that has not run yet."""
        if not run.plan:
            outcome = await self._start(run)
            if outcome:
                return outcome
        legs = decode_plan(run.plan)
        while True:
            await self._submit_and_settle(run)
            if is_working(run.orders[-1]):
                return working(run.orders)
            stopped = stopped_at_venue(run.orders, len(legs), run.venue_says)
            if stopped:
                return stopped
            if len(run.orders) == len(legs):
                return filled(run.orders, run.instrument)
            outcome = await self._second_leg(run, legs[len(run.orders)])
            if outcome:
                return outcome

    async def _start(self, run: SignalRun) -> SignalOutcome | None:
        """Asks risk about the first leg; returns an outcome if there is nothing to send."""
        now = self._clock()
        inputs = self._note_inputs(run, now)
        if ended := ended_before(run.signal, run.webhook, now):
            return replace(ended, gave_up=run.next_order_id if ended.stage == "freshness" else "")
        await self._others.ask_for_others(run)
        if run.signal.action == common_pb2.ACTION_CANCEL:
            # A CANCEL that names an order may cancel an exit. A CANCEL that names none leaves exits open.
            rests = is_resting_order if run.signal.order_id or run.signal.tag else is_resting_entry
            canceled = await self._others.cancel(run, "CANCEL_REQUESTED", fits_cancel(run), rests)
            inputs.cancel_order_ids.extend(row.order.order_id for row in canceled[:MOST_CANCELED])
            return cancelled(canceled)
        if run.signal.action == common_pb2.ACTION_AMEND:
            return await self._amend.run(run)
        await self._others.replace_entries(run)
        if text := self._working.refused(run.key):
            raise WaitsForEarlier(text)
        return await self._first_leg(run, now, inputs)

    async def _first_leg(
        self, run: SignalRun, now: datetime, inputs: journal_pb2.RoutingInputs
    ) -> SignalOutcome | None:
        account, name = run.webhook.account_id, run.signal.instrument
        position = self._risk.guess(account, name)
        certain = closing = False
        while True:
            acts = run.act_on(position)
            held = without_dust(acts, run.instrument)
            note_position(run, inputs, position)
            intent = of_own(intent_of(run.signal, run.webhook, held), run.own, position)
            others = against_others(intent.legs[0], run.own, position, run.instrument) if intent.legs else ""
            if others or not intent.legs:
                if certain and others:
                    return SignalOutcome(REJECTED, "intent", OWNED, others, run.next_order_id)
                if certain:
                    return nothing_to_do(intent, acts, run.instrument)
                position, certain = await self._position(run), True
                continue
            sender = Sender(run.sender, run.superseded)
            if ended := may_not_open(run.signal, run.webhook, sender, intent.legs, held, now):
                return replace(ended, gave_up=run.next_order_id)
            run.adds = len(intent.legs) == 1 and intent.legs[0].entry and bool(held)
            wait_for_earlier(run, intent.legs)
            if not closing and self._working.has(run.key) and await self._others.lacks_room(run, intent.legs[0], acts):
                # Risk reserves the position for these exits, so nothing would be left for this one.
                await self._others.cancel_exits(run)
                closing, certain = True, False
                position = await self._position(run)
                continue
            run.plan = encode_plan(intent.legs)
            try:
                decision = await self._decide.decide(run, intent.legs[0], format_decimal(position), intent.text)
            except NothingLeft as nothing:
                run.plan = ""
                return SignalOutcome(REJECTED, "intent", "NOTHING_TO_OPEN", nothing.text)
            except NotSent as refused:
                run.plan = ""
                return SignalOutcome(REJECTED, "intent", refused.reason, refused.detail)
            if decision.verdict == order_pb2.RISK_VERDICT_POSITION_CHANGED:
                run.plan = ""
                position, certain = parse_decimal(decision.position_quantity), True
                continue
            if decision.verdict == order_pb2.RISK_VERDICT_DENIED:
                reason, detail = first_failure(decision)
                return SignalOutcome(REJECTED, "risk", reason, detail)
            return None

    async def _second_leg(self, run: SignalRun, leg: Leg) -> SignalOutcome | None:
        """Asks risk about the new leg of a reversal, from the position after the close; returns an outcome if it is not sent."""
        if run.superseded:
            return executed(SUPERSEDED, f"closed; not opened: {SUPERSEDED_TEXT}")
        intent = "second leg of a reversal"
        while True:
            position = await self._position(run)
            run.act_on(position)
            if others := against_others(leg, run.own, position, run.instrument):
                return executed(OWNED, f"closed; not opened: {others}")
            try:
                decision = await self._decide.decide(run, leg, format_decimal(position), intent)
            except NothingLeft as nothing:
                return executed("NOTHING_TO_OPEN", f"closed; not opened: {nothing.text}")
            except NotSent as refused:
                return executed(refused.reason, f"closed; not opened: {refused.detail}")
            if decision.verdict == order_pb2.RISK_VERDICT_APPROVED:
                return None
            if decision.verdict == order_pb2.RISK_VERDICT_DENIED:
                reason, detail = first_failure(decision)
                return SignalOutcome(EXECUTED, "risk", reason, f"closed; not opened: {detail}")

    def _note_inputs(self, run: SignalRun, now: datetime) -> journal_pb2.RoutingInputs:
        """Remembers what the signal is decided from. It is recorded at the end, and VERIFY decides again from it."""
        run.inputs = journal_pb2.RoutingInputs(
            instrument=instrument_message(run.instrument),
            fee_bps=format_decimal(self._decide.fee_bps),
            superseded=run.superseded,
        )
        set_time(run.inputs.decide_time, now)
        note_sender(run, run.inputs)
        return run.inputs

    async def _position(self, run: SignalRun) -> Decimal:
        """The current position in the signal's instrument by risk's books, in signed base units."""
        with asking_risk():
            return await self._risk.position(run.webhook.account_id, run.signal.instrument)

    async def _submit_and_settle(self, run: SignalRun) -> None:
        """Gets the outcome of the newest order, from the database or from the venue, and books it.

        Raises:
            OutcomeUnknown: the order is open, or its outcome is not known.
        """
        row = run.orders[-1]
        if not has_ended(row.order):
            # The database may be an older copy that has lost this order, so the venue is asked, as for a stored order.
            received_ms, lost_until_ms = run.accepted.request.receive_time.ToMilliseconds(), self._lost_until_ms()
            fresh = run.fresh and (not lost_until_ms or received_ms > lost_until_ms)
            run.fresh = False
            exitable: Decimal | None = None
            if not fresh and row.order.effect == order_pb2.ORDER_EFFECT_EXIT:
                # The bracket may have closed the position since the exit was approved.
                exitable = exitable_of(run.act_on(await self._position(run)), row.order)
            answer = await self._submit.submit(row, run.instrument, run.fence, fresh=fresh, exitable=exitable)
            told_before = run.orders[:-1]
            after = await self._record.record(
                row, answer, run.fence, run.lane, told_before=told_before, cause=run.cause
            )
            run.orders[-1] = after
            run.venue_says = answer.detail if isinstance(answer, Rejected) else ""
            if not has_ended(after.order):
                if after.fills:
                    run.orders[-1] = after = await self._settle(run, after)
                if is_working(after):
                    return
                said = answer.detail if isinstance(answer, Unknown) else "it works at the venue"
                raise OutcomeUnknown(f"order {after.order.order_id}: {said}")
        if not run.orders[-1].settled:
            run.orders[-1] = await settle_order(self._risk, run.orders[-1])

    async def _settle(self, run: SignalRun, row: OrderRow) -> OrderRow:
        """Books the fills of an order that has not ended, also for its webhook."""
        if not run.shared:
            return await settle_order(self._risk, row)
        row, run.shares = await settle_and_count(
            self._risk, self._database, row, run.fence, int(self._clock().timestamp() * 1000)
        )
        return row


def note_sender(run: SignalRun, inputs: journal_pb2.RoutingInputs) -> None:
    """What the webhook's signals have done so far."""
    inputs.sender_emit_ms, inputs.sender_entry_ms = run.sender.emit_ms, run.sender.entry_ms
    inputs.sender_adds = run.sender.adds


def note_position(run: SignalRun, inputs: journal_pb2.RoutingInputs, position: Decimal) -> None:
    """The position that the intent is derived from. What was cancelled before may have changed what its webhook has done."""
    note_sender(run, inputs)
    inputs.position_quantity = format_decimal(position)
    inputs.own_position_quantity = "" if run.own is None else format_decimal(run.own)


def is_expired(run: SignalRun, now: datetime) -> bool:
    """Whether the signal's turn came too late."""
    limit = run.signal.expire_time
    return run.signal.HasField("expire_time") and now > limit.ToDatetime(tzinfo=UTC)
