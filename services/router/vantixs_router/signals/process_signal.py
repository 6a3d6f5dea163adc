"""Runs one accepted signal to its end. Every step is idempotent, and after a restart continues from what the database has.

signal row -> intent -> risk decides and reserves -> order stored as SUBMITTED -> venue -> answer recorded
           -> risk books the fills -> outcome and its entries committed together -> journal
"""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime

import sqlalchemy as sa
from google.protobuf.message import DecodeError
from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.instruments import INSTRUMENTS
from vantixs.runtime import trace
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.journal_reader import Delivery
from vantixs.runtime.logs import log
from vantixs.runtime.outbox import Outbox

from vantixs_router import store
from vantixs_router.claims import Claim, Held, claim_of, is_conflict, is_repeat, set_key_aside
from vantixs_router.domain.owner_shares import Shares
from vantixs_router.fence import Fence, LeaseLost
from vantixs_router.lanes.outcome import Outcome
from vantixs_router.orders.record_answer import RecordAnswer
from vantixs_router.orders.submit_order import SubmitOrder
from vantixs_router.owner_shares import read_shares
from vantixs_router.quotes import Quotes
from vantixs_router.risk_client import RiskClient, RiskFailed, is_final
from vantixs_router.settings import RouterSettings
from vantixs_router.signals.amend_order import AmendOrder
from vantixs_router.signals.decide_leg import DecideLeg
from vantixs_router.signals.other_orders import OtherOrders, is_looked_after
from vantixs_router.signals.outcome import (
    EXECUTED,
    FAILED,
    SignalOutcome,
    repeat_of,
)
from vantixs_router.signals.record_outcome import RecordOutcome, completed_id
from vantixs_router.signals.run import OutcomeUnknown, SignalRun, WaitsForEarlier
from vantixs_router.signals.run_legs import RunLegs, is_expired
from vantixs_router.venues.port import Venue
from vantixs_router.working.store import is_protected
from vantixs_router.working.working_orders import WorkingOrders

BACKOFF_S = (0.05, 0.1, 0.2, 0.5, 1.0)
# A venue counts how often it is asked.
VENUE_BACKOFF_S = (0.1, 0.3, 1.0, 2.0, 3.0)
DAY_MS = 86_400_000


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
        self._database = database
        self._outbox = outbox
        self._settings = settings
        self._clock = clock
        self._stopping = stopping
        self._monotonic = monotonic
        self._journal_epoch = journal_epoch
        self._others = OtherOrders(database, risk, working, submit, record, clock)
        decide = DecideLeg(database, risk, quotes, venue.capabilities, clock)
        amend = AmendOrder(database, risk, working, decide, clock)
        self._legs = RunLegs(risk, working, decide, self._others, amend, submit, record, clock, lost_until_ms, database)
        self._outcomes = RecordOutcome(database, outbox, clock)

    async def handle(self, delivery: Delivery, fence: Fence) -> Outcome:
        """Runs the delivered signal to its end, or returns why it has not ended.

        RETRY: the service stops. PARKED: the signal waits for a venue or for risk and is stored in `parked`. The lane
        continues, and the owner of the lane handles `Parked.delivery` again later. No two calls for signals of one
        account and instrument may run at the same time.

        Raises:
            LeaseLost: another replica owns the lane. Nothing of the signal was committed after the lease was lost.
            ServiceError: the database did not answer. The delivery has to be handled again, as after a crash.
        """
        accepted, cause = _read(delivery)
        if accepted is None or accepted.signal.instrument not in INSTRUMENTS.current:
            await self._outcomes.dead_letter(delivery, fence)
            return Outcome.DONE
        run = SignalRun(delivery, accepted, cause, fence, self._journal_epoch(), claim=self._claim_of(accepted))
        row = await self._restore(run)
        if is_conflict(run.claim, run.held):
            if not accepted.reduces:
                await self._outcomes.refuse(run)
                return Outcome.DONE
            run = self._under_own_id(run)
            accepted, row = run.accepted, await self._restore(run)
        if row and row.stream_sequence != delivery.stream_sequence:
            if row.done or row.journal_epoch >= run.journal_epoch or not run.owns_orders:
                await self._outcomes.suppress(accepted, delivery, fence)
                return Outcome.DONE
            # The stream that had this signal is gone, and the signal has not ended: only this row can continue it.
            await self._outcomes.move(run, row.stream_sequence)
        if row and row.done:
            if run.parked:
                await self._outcomes.unpark(run)
            await self._outbox.send_left(completed_id(run.signal_id))
            return Outcome.DONE
        if row is None and run.held and is_repeat(run.claim, run.held):
            await self._outcomes.complete(run, repeat_of(run.held.signal_id))
            return Outcome.DONE
        return await self._run_until_ended(run)

    def _claim_of(self, accepted: journal_pb2.SignalAccepted) -> Claim | None:
        return claim_of(accepted, self._settings.key_retention_days * DAY_MS)

    def _under_own_id(self, run: SignalRun) -> SignalRun:
        """Gives an exit with the key of another signal an id of its own: a repeated key never blocks an exit."""
        accepted = set_key_aside(run.accepted)
        return SignalRun(
            run.delivery, accepted, run.cause, run.fence, run.journal_epoch, claim=self._claim_of(accepted), apart=True
        )

    async def _run_until_ended(self, run: SignalRun) -> Outcome:
        """Tries until the signal has ended, the service stops, or the signal has waited too long."""
        attempt, waits_since = 0, self._monotonic()
        while True:
            try:
                if attempt:
                    if run.fence.remaining_s() <= 0:
                        raise LeaseLost(f"signal {run.signal_id} is tried again by the next owner of lane {run.lane}")
                    row = await self._restore(run)
                    if row and row.stream_sequence != run.delivery.stream_sequence:
                        raise LookupError(f"signal {run.signal_id} is another delivery's")
                outcome: SignalOutcome | None = await self._legs.run(run)
            except (RiskFailed, ServiceError) as failure:
                error = failure.error if isinstance(failure, RiskFailed) else failure
                # An error of the router's own database never ends a signal, because an order may be stored already.
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
                try:
                    await self._outcomes.complete(run, outcome)
                except ServiceError:
                    # The commit may have been made and its answer lost. The next try then finds that the signal has ended.
                    await self._others.look_after(run)
                    raise
                await self._others.look_after(run)
                return Outcome.DONE
            # A parked signal is tried once each time, because an exit may wait behind it.
            waited_long = run.parked or self._monotonic() - waits_since >= self._settings.park_after_s
            if waited_long and not ends_by_itself:
                await self._outcomes.park(run, waits["detail"])
                return Outcome.PARKED
            log.warning("signal.waiting", signal_id=run.signal_id, **waits)
            if await pause(self._stopping, backoff[min(attempt, len(backoff) - 1)]):
                return Outcome.RETRY
            attempt += 1

    async def _restore(self, run: SignalRun) -> store.SignalRow | None:
        """Restores what is stored of the signal, by an earlier try or by another process."""
        signal_id, account_id, instrument = run.signal_id, run.webhook.account_id, run.signal.instrument
        claim = run.claim.claim if run.claim else b""

        def read(
            connection: sa.Connection,
        ) -> tuple[store.Progress, list[store.OrderRow], list[store.OrderRow], Shares, bool]:
            progress = store.read_progress(
                connection, signal_id, run.lane, account_id, run.key, run.delivery, claim, run.sender_name
            )
            orders = store.read_orders(connection, signal_id) if progress.signal else []
            others = store.read_unsettled(connection, run.lane, account_id, instrument) if progress.unsettled else []
            shares = read_shares(connection, run.key) if progress.owners else ()
            protected = any(is_protected(connection, row.order.order_id) for row in orders)
            return progress, orders, others, shares, protected

        progress, run.orders, others, run.shares, run.protected = await self._database.read_together(read)
        run.plan = progress.signal.plan if progress.signal else ""
        run.orders = [row for row in run.orders if not row.order.entry_order_id]
        run.unsettled = [other for other in others if other.order.signal_id != signal_id and not is_looked_after(other)]
        run.parked, run.sender = progress.parked, progress.sender
        run.held = Held(*progress.held) if progress.held else None
        run.waits_behind, run.superseded = progress.parked_before, progress.superseded
        run.fresh = False
        return progress.signal

    def _give_up(self, run: SignalRun, error: ServiceError) -> SignalOutcome | None:
        """Whether and how the signal ends after an error.

        Before an order is stored, a final error or an expired signal ends it.
        """
        if run.orders and not run.orders[-1].settled:
            return None
        if is_final(error):
            reason, detail = error.reason, error.detail
        elif is_expired(run, self._clock()):
            reason = "RISK_UNAVAILABLE"
            detail = f"risk did not answer before the signal expired: {error.detail}"
        else:
            return None
        if any(row.fills for row in run.orders):
            return SignalOutcome(EXECUTED, "risk", reason, f"closed; not opened: {detail}", run.next_order_id)
        return SignalOutcome(FAILED, "risk", reason, detail, run.next_order_id)


def key_of(delivery: Delivery) -> str:
    """The queue that the delivered signal waits in: its account and instrument."""
    accepted, _ = _read(delivery)
    if accepted is None:
        return f"unreadable {delivery.stream_sequence}"
    return f"{accepted.webhook.account_id}|{accepted.signal.instrument}"


def _read(delivery: Delivery) -> tuple[journal_pb2.SignalAccepted | None, str]:
    """The accepted signal and the id of its entry; None if the message is not an accepted signal."""
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
    """Waits; returns True if the service is to stop."""
    try:
        await asyncio.wait_for(stopping.wait(), seconds)
    except TimeoutError:
        return False
    return True
