"""One accepted signal to its end. Every step is idempotent and re-entered from what the database holds.

signal row -> intent -> risk decides and reserves -> order stored as SUBMITTED -> venue -> answer recorded
           -> risk books the fills -> outcome and its entries committed together -> journal
"""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, localcontext

import sqlalchemy as sa
from google.protobuf.message import DecodeError
from vantixs.api.common.v1 import common_pb2, order_pb2, signal_pb2
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.decimals import EXACT, format_decimal, parse_decimal
from vantixs.model.instruments import INSTRUMENTS
from vantixs.runtime import trace
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.journal_reader import Delivery
from vantixs.runtime.logs import log
from vantixs.runtime.outbox import Outbox

from vantixs_router import store
from vantixs_router.claims import Claim, Held, claim_of, is_conflict, is_repeat, set_key_aside
from vantixs_router.domain.dust import without_dust
from vantixs_router.domain.intent import Leg
from vantixs_router.domain.plan import decode_plan, encode_plan
from vantixs_router.domain.policies import Pace, is_older, pace_problem
from vantixs_router.fence import Fence, LeaseLost
from vantixs_router.lanes.outcome import Outcome
from vantixs_router.messages import NothingLeft, intent_of
from vantixs_router.orders.answers import has_ended
from vantixs_router.orders.record_answer import RecordAnswer
from vantixs_router.orders.settle_order import settle_order
from vantixs_router.orders.submit_order import SubmitOrder
from vantixs_router.quotes import Quotes
from vantixs_router.risk_client import RiskClient, RiskFailed, asking_risk, is_final
from vantixs_router.settings import RouterSettings
from vantixs_router.signals.decide_leg import DecideLeg, NotSent
from vantixs_router.signals.outcome import (
    EXECUTED,
    FAILED,
    REJECTED,
    SignalOutcome,
    cancelled,
    executed,
    filled,
    first_failure,
    nothing_to_do,
    repeat_of,
    stopped_at_venue,
    working,
)
from vantixs_router.signals.record_outcome import RecordOutcome, completed_id
from vantixs_router.signals.run import OutcomeUnknown, SignalRun, WaitsForEarlier
from vantixs_router.venues.port import Rejected, Unknown, Venue
from vantixs_router.working.rules import (
    exitable_of,
    is_kept,
    is_resting_entry,
    is_resting_exit,
    is_resting_order,
    is_working,
)
from vantixs_router.working.working_orders import WorkingOrders

BACKOFF_S = (0.05, 0.1, 0.2, 0.5, 1.0)
# A venue counts how often it is asked.
VENUE_BACKOFF_S = (0.1, 0.3, 1.0, 2.0, 3.0)
DAY_MS = 86_400_000
SUPERSEDED = "SIGNAL_SUPERSEDED"
SUPERSEDED_TEXT = "it waited, and a later exit of the account in the instrument was carried out meanwhile"


class ProcessSignal:
    """Handles the deliveries of all lanes of this process."""

    def __init__(
        self,
        *,
        database: Database,
        outbox: Outbox,
        risk: RiskClient,
        venue: Venue,
        quotes: Quotes,
        settings: RouterSettings,
        clock: Callable[[], datetime],
        stopping: asyncio.Event,
        monotonic: Callable[[], float] = time.monotonic,
        working: WorkingOrders,
        submit: SubmitOrder,
        record: RecordAnswer,
        lost_until_ms: Callable[[], int] = lambda: 0,
        journal_epoch: Callable[[], int] = lambda: 0,
    ) -> None:
        """What else it asks for as it goes.

        Args:
            lost_until_ms: until when (ms since 1970) the database may lack what was sent; 0: it lacks nothing.
            journal_epoch: how many gaps of the journal were accepted: each begins a stream that counts anew.
        """
        capabilities = venue.capabilities
        self._database = database
        self._outbox = outbox
        self._risk = risk
        self._settings = settings
        self._clock = clock
        self._stopping = stopping
        self._monotonic = monotonic
        self._lost_until_ms = lost_until_ms
        self._journal_epoch = journal_epoch
        self._decide = DecideLeg(database, risk, quotes, capabilities, clock)
        self._working = working
        self._submit = submit
        self._record = record
        self._outcomes = RecordOutcome(database, outbox, clock)

    async def handle(self, delivery: Delivery, fence: Fence) -> Outcome:
        """Carries the delivered signal to its end, or says what else has to become of it.

        RETRY: the service stops, nothing else is wrong. PARKED: it waits for a venue or for risk, and is stored in `parked`; the
        lane goes on, and `Parked.delivery` is handled again later, by whoever owns the lane. No two calls for signals of one
        account and instrument may run at the same time.

        Raises:
            LeaseLost: another replica owns the lane. Nothing of the signal was committed after it lost the lease.
            ServiceError: the database did not answer. The delivery has to be handled again, as after a crash.
        """
        accepted, cause = _read(delivery)
        if accepted is None or accepted.signal.instrument not in INSTRUMENTS.current:
            await self._outcomes.dead_letter(delivery, fence)
            return Outcome.DONE
        run = SignalRun(delivery, accepted, cause, fence, self._journal_epoch(), claim=self._claim_of(accepted))
        row = await self._recall(run)
        if is_conflict(run.claim, run.held):
            if not accepted.reduces:
                await self._outcomes.refuse(run)
                return Outcome.DONE
            run = self._set_apart(run)
            accepted, row = run.accepted, await self._recall(run)
        if row and row.stream_sequence != delivery.stream_sequence:
            if row.done or row.journal_epoch >= run.journal_epoch or not run.owns_orders:
                await self._outcomes.suppress(accepted, delivery, fence)
                return Outcome.DONE
            # The stream it was in is gone, and it is not done: nobody else goes on with it.
            await self._outcomes.move(run, row.stream_sequence)
        if row and row.done:
            if run.parked:
                await self._outcomes.unpark(run)
            await self._outbox.send_left(completed_id(run.signal_id))
            return Outcome.DONE
        if row is None and run.held and is_repeat(run.claim, run.held):
            await self._outcomes.complete(run, repeat_of(run.held.signal_id))
            return Outcome.DONE
        return await self._carry(run)

    def _claim_of(self, accepted: journal_pb2.SignalAccepted) -> Claim | None:
        return claim_of(accepted, self._settings.key_retention_days * DAY_MS)

    def _set_apart(self, run: SignalRun) -> SignalRun:
        """An exit whose key is another signal's, as one of its own: a key that is used again keeps nobody in a position."""
        accepted = set_key_aside(run.accepted)
        return SignalRun(
            run.delivery, accepted, run.cause, run.fence, run.journal_epoch, claim=self._claim_of(accepted), apart=True
        )

    async def _carry(self, run: SignalRun) -> Outcome:
        """Tries until the signal has ended, the service stops, or the signal has waited too long."""
        attempt, waits_since = 0, self._monotonic()
        while True:
            try:
                if attempt:
                    if run.fence.remaining_s() <= 0:
                        raise LeaseLost(f"signal {run.signal_id} is tried again by the next owner of lane {run.lane}")
                    row = await self._recall(run)
                    if row and row.stream_sequence != run.delivery.stream_sequence:
                        raise LookupError(f"signal {run.signal_id} is another delivery's")
                outcome: SignalOutcome | None = await self._run_legs(run)
            except (RiskFailed, ServiceError) as failure:
                error = failure.error if isinstance(failure, RiskFailed) else failure
                # What the router's own database says is no reason to end a signal: it may have stored an order.
                outcome = self._give_up(run, error) if isinstance(failure, RiskFailed) else None
                ends_by_itself = not run.orders and run.signal.HasField("expire_time")
                waits, backoff = {"reason": error.reason, "detail": error.detail}, BACKOFF_S
            except WaitsForEarlier as earlier:
                await self._outcomes.park(run, str(earlier))
                return Outcome.PARKED
            except OutcomeUnknown as unknown:
                outcome, ends_by_itself = None, False
                waits, backoff = {"reason": "VENUE_OUTCOME_UNKNOWN", "detail": str(unknown)}, VENUE_BACKOFF_S
            if outcome:
                await self._outcomes.complete(run, outcome)
                await self._look_after(run)
                return Outcome.DONE
            # One that is parked is tried once each time it comes: an exit may wait behind it.
            waited_long = run.parked or self._monotonic() - waits_since >= self._settings.park_after_s
            if waited_long and not ends_by_itself:
                await self._outcomes.park(run, waits["detail"])
                return Outcome.PARKED
            log.warning("signal.waiting", signal_id=run.signal_id, **waits)
            if await pause(self._stopping, backoff[min(attempt, len(backoff) - 1)]):
                return Outcome.RETRY
            attempt += 1

    async def _recall(self, run: SignalRun) -> store.SignalRow | None:
        """Takes up what is stored: by an earlier try, or by another process."""
        signal_id, account_id, instrument = run.signal_id, run.webhook.account_id, run.signal.instrument
        claim = run.claim.claim if run.claim else b""

        def read(connection: sa.Connection) -> tuple[store.Progress, list[store.OrderRow], list[store.OrderRow]]:
            progress = store.read_progress(
                connection, signal_id, run.lane, account_id, run.key, run.delivery, claim, run.sender_name
            )
            orders = store.read_orders(connection, signal_id) if progress.signal else []
            others = store.read_unsettled(connection, run.lane, account_id, instrument) if progress.unsettled else []
            return progress, orders, others

        progress, run.orders, others = await self._database.read_together(read)
        run.plan = progress.signal.plan if progress.signal else ""
        run.orders = [row for row in run.orders if not row.order.entry_order_id]
        run.unsettled = [
            other for other in others if other.order.signal_id != signal_id and not _is_looked_after(other)
        ]
        run.parked, run.sender = progress.parked, progress.sender
        run.held = Held(*progress.held) if progress.held else None
        run.waits_behind, run.superseded = progress.parked_before, progress.superseded
        run.fresh = False
        return progress.signal

    def _give_up(self, run: SignalRun, error: ServiceError) -> SignalOutcome | None:
        """An order that was stored is never given up; before that, what is final or expired is."""
        if run.orders and not run.orders[-1].settled:
            return None
        if is_final(error):
            reason, detail = error.reason, error.detail
        elif self._expired(run):
            reason = "RISK_UNAVAILABLE"
            detail = f"risk did not answer before the signal expired: {error.detail}"
        else:
            return None
        if any(row.fills for row in run.orders):
            return SignalOutcome(EXECUTED, "risk", reason, f"closed; not opened: {detail}", run.next_order_id)
        return SignalOutcome(FAILED, "risk", reason, detail, run.next_order_id)

    def _expired(self, run: SignalRun) -> bool:
        limit = run.signal.expire_time
        return run.signal.HasField("expire_time") and self._clock() > limit.ToDatetime(tzinfo=UTC)

    async def _run_legs(self, run: SignalRun) -> SignalOutcome:
        """Runs every leg that has not run."""
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
        """Has the first leg decided; an outcome where there is nothing to send."""
        if self._expired(run):
            detail = f"expired at {run.signal.expire_time.ToJsonString()}"
            return SignalOutcome(REJECTED, "freshness", "SIGNAL_EXPIRED", detail, run.next_order_id)
        if run.webhook.routing_mode == common_pb2.ROUTING_MODE_STRATEGY:
            return SignalOutcome(FAILED, "strategy", "STRATEGY_UNAVAILABLE", "STRATEGY mode is not built yet")
        await self._ask_for_others(run)
        if run.signal.action == common_pb2.ACTION_CANCEL:
            # One that is named may be an exit as well; a CANCEL that names none leaves the exits.
            rests = is_resting_order if run.signal.order_id or run.signal.tag else is_resting_entry
            return cancelled(await self._cancel(run, "CANCEL_REQUESTED", _fits_cancel(run), rests))
        await self._replace_entries(run)
        if text := self._working.refused(run.key):
            raise WaitsForEarlier(text)
        return await self._first_leg(run)

    async def _first_leg(self, run: SignalRun) -> SignalOutcome | None:
        account, name = run.webhook.account_id, run.signal.instrument
        position = self._risk.guess(account, name)
        certain = closing = False
        while True:
            held = without_dust(position, run.instrument)
            intent = intent_of(run.signal, run.webhook, held)
            if not intent.legs:
                if certain:
                    return nothing_to_do(intent, position, run.instrument)
                position, certain = await self._position(run), True
                continue
            if ended := self._may_not_open(run, intent.legs, held):
                return ended
            wait_for_earlier(run, intent.legs)
            if not closing and self._working.has(run.key) and await self._lacks_room(run, intent.legs[0], position):
                # Risk keeps for them what they would exit: nothing would be left for this one.
                await self._cancel_exits(run)
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
        """Has the new leg of a reversal decided, from the position after the close; an outcome where it is not sent."""
        if run.superseded:
            return executed(SUPERSEDED, f"closed; not opened: {SUPERSEDED_TEXT}")
        intent = "second leg of a reversal"
        while True:
            position = await self._position(run)
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

    def _may_not_open(self, run: SignalRun, legs: tuple[Leg, ...], position: Decimal) -> SignalOutcome | None:
        """The end of a signal with an entry that comes too late, or that the webhook's pace does not allow."""
        entry = next((leg for leg in legs if leg.entry), None)
        if entry is None:
            return None
        if run.superseded:
            return SignalOutcome(REJECTED, "freshness", SUPERSEDED, SUPERSEDED_TEXT, run.next_order_id)
        if is_older(run.emit_ms, run.sender.emit_ms):
            age_s = (run.sender.emit_ms - run.emit_ms) / 1000
            text = f"it was sent {age_s:g} s before a signal of the webhook that was handled already"
            return SignalOutcome(REJECTED, "freshness", SUPERSEDED, text, run.next_order_id)
        webhook, sender = run.webhook, run.sender
        reason, text = pace_problem(
            Pace(webhook.max_adds, webhook.add_spacing_s * 1000),
            position=position,
            buy=entry.buy,
            adds=sender.adds,
            entry_ms=sender.entry_ms,
            now_ms=int(self._clock().timestamp() * 1000),
        )
        run.adds = len(legs) == 1 and bool(position)
        return SignalOutcome(REJECTED, "intent", reason, text, run.next_order_id) if reason else None

    async def _cancel(
        self,
        run: SignalRun,
        reason: str,
        of: Callable[[store.OrderRow], bool],
        rests: Callable[[store.OrderRow], bool] = is_resting_entry,
    ) -> list[store.OrderRow]:
        account_id, instrument = run.webhook.account_id, run.signal.instrument
        rows = await self._working.cancel_resting(
            run.lane, account_id, instrument, run.fence, reason=reason, of=of, rests=rests
        )
        if rows:  # What was filled of them meanwhile is an entry of its webhook.
            run.sender = await self._database.read(lambda c: store.read_sender(c, run.sender_name))
        return rows

    async def _replace_entries(self, run: SignalRun) -> None:
        """Cancels the entries that rest and that a new signal of the webhook replaces."""
        policy, mine = run.webhook.on_new_signal, run.webhook.webhook_id
        if policy != webhook_pb2.ON_NEW_SIGNAL_KEEP:
            everyone = policy == webhook_pb2.ON_NEW_SIGNAL_CANCEL_ALL_ENTRIES
            await self._cancel(run, "REPLACED_BY_NEW_SIGNAL", lambda row: everyone or row.order.webhook_id == mine)

    async def _lacks_room(self, run: SignalRun, leg: Leg, position: Decimal) -> bool:
        """Whether exits that rest leave less of the position than an exit at the market asks for."""
        if leg.entry or not is_at_market(run.signal):
            return False
        resting = await self._working.resting_exits(run.webhook.account_id, run.signal.instrument)
        return resting > 0 and asked_of(run.signal, leg, abs(position)) > abs(position) - resting

    async def _cancel_exits(self, run: SignalRun) -> None:
        """Cancels the exits of signals that rest, of all webhooks."""
        await self._cancel(run, "REPLACED_BY_NEW_SIGNAL", lambda _: True, is_resting_exit)

    async def _look_after(self, run: SignalRun) -> None:
        """What rests of the signal, what protects its position, and what protects one that it reduced, is looked at at once.

        Raises:
            LeaseLost: the next owner of the lane does it.
        """
        rests = any(is_working(row) for row in run.orders)
        moved = any(row.fills for row in run.orders) and self._working.has(run.key)
        if not (rests or run.protected or moved):
            return
        account_id, instrument = run.webhook.account_id, run.signal.instrument
        untold = any(is_working(row) and row.fills for row in run.orders)
        try:
            await self._working.adopt(run.lane, account_id, instrument, run.fence, untold=untold)
        except (RiskFailed, ServiceError) as failure:
            log.warning("working.waiting", key=run.key, detail=str(failure))
            self._working.look_later(run.key)

    async def _position(self, run: SignalRun) -> Decimal:
        """The position in the signal's instrument, as risk has it now, in signed base units."""
        with asking_risk():
            return await self._risk.position(run.webhook.account_id, run.signal.instrument)

    async def _submit_and_settle(self, run: SignalRun) -> None:
        """Has the newest order's outcome: from what is stored, else from the venue; then books it.

        Raises:
            OutcomeUnknown: it works, or it is not known what became of it.
        """
        row = run.orders[-1]
        if not has_ended(row.order):
            # A database that was lost may have known of this very order: then it is asked for like one found stored.
            received_ms, lost_until_ms = run.accepted.request.receive_time.ToMilliseconds(), self._lost_until_ms()
            fresh = run.fresh and (not lost_until_ms or received_ms > lost_until_ms)
            run.fresh = False
            exitable: Decimal | None = None
            if not fresh and row.order.effect == order_pb2.ORDER_EFFECT_EXIT:
                # What protects the position may have closed it since the exit was approved.
                exitable = exitable_of(await self._position(run), row.order)
            answer = await self._submit.submit(row, run.instrument, run.fence, fresh=fresh, exitable=exitable)
            told_before = run.orders[:-1]
            after = await self._record.record(
                row, answer, run.fence, run.lane, told_before=told_before, cause=run.cause
            )
            run.orders[-1] = after
            run.venue_says = answer.detail if isinstance(answer, Rejected) else ""
            if not has_ended(after.order):
                if after.fills:
                    await settle_order(self._risk, after)
                if is_working(after):
                    return
                said = answer.detail if isinstance(answer, Unknown) else "it works at the venue"
                raise OutcomeUnknown(f"order {after.order.order_id}: {said}")
        if not run.orders[-1].settled:
            run.orders[-1] = await settle_order(self._risk, run.orders[-1])

    async def _ask_for_others(self, run: SignalRun) -> None:
        """Books orders of other signals of this key that are not booked; asks the venue first for those that have not ended."""
        unknown = []
        for row in run.unsettled:
            after = row
            if not has_ended(row.order):
                answer = await self._submit.query(row, run.fence)
                after = await self._record.record(row, answer, run.fence, run.lane)
            booked = False
            if after.fills or has_ended(after.order):
                try:
                    await settle_order(self._risk, after)
                    booked = has_ended(after.order)
                except RiskFailed as failure:
                    # Risk will never book it: that is no reason to keep an exit from closing what is held for certain.
                    if not is_final(failure.error):
                        raise
            if not booked:
                unknown.append(after)
        run.unsettled = unknown


def _is_looked_after(row: store.OrderRow) -> bool:
    """Whether the order rests, or protects a position: it holds up no signal, unless it is an exit that may have happened."""
    return is_kept(row.order) and row.order.state != common_pb2.ORDER_STATE_IN_DOUBT


def is_at_market(signal: signal_pb2.Signal) -> bool:
    """Whether the signal's exits are sent to be filled at once; those of a reversal always are."""
    at_market = signal.order_type in (common_pb2.ORDER_TYPE_UNSPECIFIED, common_pb2.ORDER_TYPE_MARKET)
    return at_market or signal.action == common_pb2.ACTION_REVERSE


def asked_of(signal: signal_pb2.Signal, leg: Leg, held: Decimal) -> Decimal:
    """How much of `held` base units an exit asks for: all of it where its size does not say so in units or percent."""
    if leg.whole or not signal.quantity:
        return held
    quantity = parse_decimal(signal.quantity)
    if signal.quantity_type in (common_pb2.QUANTITY_TYPE_UNSPECIFIED, common_pb2.QUANTITY_TYPE_UNITS):
        return min(quantity, held)
    if signal.quantity_type == common_pb2.QUANTITY_TYPE_POSITION_PERCENT:
        with localcontext(EXACT):
            return min(held * quantity / 100, held)
    return held


def _fits_cancel(run: SignalRun) -> Callable[[store.OrderRow], bool]:
    """Which orders a CANCEL is about: the one it names, those of its tag, or all of its webhook in the account and instrument."""
    signal = run.signal

    def fits(row: store.OrderRow) -> bool:
        if signal.order_id:
            return row.order.order_id == signal.order_id
        of_webhook = not run.webhook.webhook_id or row.order.webhook_id == run.webhook.webhook_id
        return of_webhook and (not signal.tag or row.order.tag == signal.tag)

    return fits


def wait_for_earlier(run: SignalRun, legs: tuple[Leg, ...]) -> None:
    """An entry's turn comes after every earlier signal of its key. An exit waits only for an exit that has not ended.

    An exit beside an entry that has not ended, as far as is known, closes what is held for certain. Beside an exit that has
    not ended it might close it twice.

    Raises:
        WaitsForEarlier: it is not its turn.
    """
    enters = any(leg.entry for leg in legs)
    for row in run.unsettled:
        if enters or row.order.effect == order_pb2.ORDER_EFFECT_EXIT:
            raise WaitsForEarlier(
                f"order {row.order.order_id} of an earlier signal: its end is not known, or not booked"
            )
    if enters and run.waits_behind:
        raise WaitsForEarlier(f"{run.waits_behind} earlier signals of {run.key} wait")


def key_of(delivery: Delivery) -> str:
    """What the delivered signal waits in line for: its account and instrument."""
    accepted, _ = _read(delivery)
    if accepted is None:
        return f"unreadable {delivery.stream_sequence}"
    return f"{accepted.webhook.account_id}|{accepted.signal.instrument}"


def _read(delivery: Delivery) -> tuple[journal_pb2.SignalAccepted | None, str]:
    """The accepted signal and its entry's id; None where the message is not one."""
    try:
        entry = journal_pb2.JournalBatch.FromString(delivery.data).entries[0]
    except (DecodeError, IndexError):
        return None, ""
    accepted = entry.signal_accepted
    if not (accepted.signal.signal_id and accepted.signal.instrument):
        return None, ""
    trace.enter(entry.trace_parent)
    return accepted, entry.event_id


async def pause(stopping: asyncio.Event, seconds: float) -> bool:
    """Waits; True where the service is to stop."""
    try:
        await asyncio.wait_for(stopping.wait(), seconds)
    except TimeoutError:
        return False
    return True
