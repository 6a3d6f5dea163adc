"""One accepted signal to its end. Every step is idempotent and re-entered from what the database holds.

signal row -> intent -> risk decides and reserves -> order persisted as SUBMITTED -> venue -> answer recorded
           -> risk books the fills -> outcome and its entries committed together -> journal -> acknowledged
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import sqlalchemy as sa
from google.protobuf.message import DecodeError
from vantixs.api.common.v1 import common_pb2, order_pb2, signal_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.decimals import ZERO, format_decimal, parse_decimal
from vantixs.model.ids import event_subject, keyed_signal_id
from vantixs.model.instruments import CATALOGUE, Instrument
from vantixs.runtime import trace
from vantixs.runtime.consumers import Delivery, Outcome
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.journal import Message
from vantixs.runtime.logs import log
from vantixs.runtime.outbox import Outbox

from vantixs_router import store
from vantixs_router.domain.intent import Leg
from vantixs_router.messages import (
    NothingLeft,
    evaluation_request,
    intent_of,
    make_entry,
    make_order,
    order_entries,
)
from vantixs_router.quotes import Quotes
from vantixs_router.risk_client import RiskClient
from vantixs_router.settings import RouterSettings
from vantixs_router.store import OrderRow
from vantixs_router.venue import Venue, VenueReport

BACKOFF_S = (0.05, 0.1, 0.2, 0.5, 1.0)
# What another try cannot change: risk's books are not those it had, or the call itself is refused.
FINAL_REASONS = ("STORE_NOT_ACCEPTED",)
FINAL_CODES = ("NOT_FOUND", "INVALID_ARGUMENT", "PERMISSION_DENIED", "UNAUTHENTICATED", "UNIMPLEMENTED")


@dataclass(frozen=True, slots=True)
class Ending:
    """How a signal ended. `gave_up` names an order that risk may hold a reservation for."""

    status: "common_pb2.SignalStatus"
    stage: str
    reason: str = ""
    detail: str = ""
    gave_up: str = ""


class Workflow:
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
        lost_until_ms: Callable[[], int] = lambda: 0,
    ) -> None:
        """`lost_until_ms` says until when (ms since 1970) the database may lack what was sent; 0: it lacks nothing."""
        self._database = database
        self._outbox = outbox
        self._risk = risk
        self._venue = venue
        self._quotes = quotes
        self._settings = settings
        self._clock = clock
        self._stopping = stopping
        self._lost_until_ms = lost_until_ms

    async def handle(self, delivery: Delivery) -> Outcome:
        """Carries the delivered signal to its end, or says that it has to come again."""
        try:
            entry = journal_pb2.JournalBatch.FromString(delivery.data).entries[0]
            accepted = entry.signal_accepted
            known = accepted.signal.signal_id and accepted.signal.instrument in CATALOGUE
        except (DecodeError, IndexError):
            known = False
        if not known:
            await self._dead_letter(delivery)
            return Outcome.DEAD
        trace.enter(entry.trace_parent)
        signal_id = accepted.signal.signal_id
        row = await self._database.read(lambda c: store.read_signal(c, signal_id))
        if row and row.stream_sequence != delivery.stream_sequence:
            await self._suppress(accepted, delivery)
            return Outcome.DONE
        if row and row.done:
            await self._outbox.send_left(completed_id(signal_id))
            return Outcome.DONE
        run = _Run(self, accepted, entry.event_id, delivery.stream_sequence)
        ending = await run.carry(row)
        if ending is None:
            return Outcome.RETRY
        await self._finish(run, ending)
        return Outcome.DONE

    async def _finish(self, run: "_Run", ending: Ending) -> None:
        signal_id = run.accepted.signal.signal_id
        completed = journal_pb2.SignalCompleted(
            status=ending.status,
            reason=ending.reason,
            stage=ending.stage,
            detail=ending.detail,
            webhook_id=run.accepted.webhook.webhook_id,
        )
        entries = [e for row in run.orders for e in order_entries(row, run.cause)]
        cause = entries[-1].event_id if entries else run.cause
        done = completed_id(signal_id)
        entries.append(make_entry(done, signal_id, self._clock(), cause, signal_completed=completed))
        message = Message(event_subject("signal"), journal_pb2.JournalBatch(entries=entries).SerializeToString(), done)

        def commit(connection: sa.Connection) -> None:
            store.claim_signal(connection, signal_id, run.stream_sequence, run.plan)
            store.finish_signal(connection, signal_id)
            for row in run.orders:
                if row.position.account_id:
                    store.update_order(connection, row)
            if ending.gave_up:
                store.add_release(connection, ending.gave_up)
            self._outbox.put(connection, message)

        await self._database.write(commit)
        status = common_pb2.SignalStatus.Name(ending.status).removeprefix("SIGNAL_STATUS_").lower()
        log.info(f"signal.{status}", signal_id=signal_id, reason=ending.reason, stage=ending.stage)
        await self._outbox.send(message)

    async def _suppress(self, accepted: journal_pb2.SignalAccepted, delivery: Delivery) -> None:
        """Records a repeat as a signal of its own, with an id that a redelivery derives again, and marks the first one."""
        first = accepted.signal.signal_id
        own = keyed_signal_id(first, f"repeat {delivery.stream_sequence}")
        mark = journal_pb2.DuplicateSuppressed(first_signal_id=first, rule="router", duplicate_signal_id=own)
        event = journal_pb2.DuplicateSuppressed(
            signal=accepted.signal, request=accepted.request, webhook=accepted.webhook
        )
        event.MergeFrom(mark)
        event.signal.signal_id = own
        event_id = f"{own}:duplicate"
        await self._commit_and_send(
            make_entry(event_id, own, delivery.time, "", duplicate_suppressed=event),
            make_entry(f"{event_id}-of", first, delivery.time, event_id, duplicate_suppressed=mark),
        )

    async def _dead_letter(self, delivery: Delivery) -> None:
        event = journal_pb2.DeadLettered(
            subject=delivery.subject,
            stream_sequence=delivery.stream_sequence,
            detail="expected a batch with an accepted signal of a catalogued instrument",
            data=delivery.data[:4096],
        )
        log.error("signal.dead_lettered", sequence=delivery.stream_sequence)
        event_id = f"dead-letter:{delivery.stream_sequence}"
        await self._commit_and_send(make_entry(event_id, "", delivery.time, "", dead_lettered=event))

    async def _commit_and_send(self, *entries: journal_pb2.JournalEntry) -> None:
        payload = journal_pb2.JournalBatch(entries=entries).SerializeToString()
        message = Message(event_subject("signal"), payload, entries[0].event_id)
        await self._database.write(lambda c: self._outbox.put(c, message))
        await self._outbox.send(message)

    async def release(self, stopping: asyncio.Event) -> None:
        """Has risk release orders that were given up, until it has."""
        while not stopping.is_set():
            try:
                for order_id in await self._database.read(store.read_releases):
                    await self._risk.settle(order_pb2.Order(order_id=order_id), [], final=True)
                    await self._forget_release(order_id)
            except ServiceError as error:
                log.warning("release.waiting", reason=error.reason)
            await _pause(stopping, 1.0)

    async def _forget_release(self, order_id: str) -> None:
        await self._database.write(lambda c: store.drop_release(c, order_id))


class _Run:
    """One signal on its way through the workflow."""

    def __init__(
        self, workflow: Workflow, accepted: journal_pb2.SignalAccepted, cause: str, stream_sequence: int
    ) -> None:
        self._w = workflow
        self.accepted = accepted
        self.cause = cause
        self.stream_sequence = stream_sequence
        self.plan = ""
        self.orders: list[OrderRow] = []
        self._signal = accepted.signal
        self._webhook = accepted.webhook
        self._instrument: Instrument = CATALOGUE[accepted.signal.instrument]

    async def carry(self, row: store.SignalRow | None) -> Ending | None:
        """Runs every leg that has not run; None where the service stops before the end."""
        attempt = 0
        while True:
            try:
                if row or attempt:
                    await self._recall()
                return await self._legs()
            except ServiceError as error:
                ending = self._give_up(error)
                if ending:
                    return ending
                log.warning(
                    "signal.waiting", signal_id=self._signal.signal_id, reason=error.reason, detail=error.detail
                )
                if await _pause(self._w._stopping, BACKOFF_S[min(attempt, len(BACKOFF_S) - 1)]):
                    return None
                attempt += 1

    async def _recall(self) -> None:
        """Takes up what is stored: after a crash, or where it is not known what the last try stored."""
        signal_id = self._signal.signal_id
        row = await self._w._database.read(lambda c: store.read_signal(c, signal_id))
        self.plan = row.plan if row else ""
        self.orders = await self._w._database.read(lambda c: store.read_orders(c, signal_id))

    def _give_up(self, error: ServiceError) -> Ending | None:
        """An order that was persisted is never given up; before that, what is final or expired is."""
        if self.orders and not self.orders[-1].position.account_id:
            return None
        waiting_for = f"{self._signal.signal_id}.{len(self.orders) + 1}"
        if error.code.name in FINAL_CODES or error.reason in FINAL_REASONS:
            return Ending(common_pb2.SIGNAL_STATUS_FAILED, "risk", error.reason, error.detail, waiting_for)
        if self._expired():
            detail = f"risk did not answer before the signal expired: {error.detail}"
            return Ending(common_pb2.SIGNAL_STATUS_FAILED, "risk", "RISK_UNAVAILABLE", detail, waiting_for)
        return None

    def _expired(self) -> bool:
        limit = self._signal.expire_time
        return self._signal.HasField("expire_time") and self._w._clock() > limit.ToDatetime(tzinfo=UTC)

    async def _legs(self) -> Ending:
        if not self.plan:
            if self._expired():
                detail = f"expired at {self._signal.expire_time.ToJsonString()}"
                first = f"{self._signal.signal_id}.1"
                return Ending(common_pb2.SIGNAL_STATUS_REJECTED, "freshness", "SIGNAL_EXPIRED", detail, first)
            if self._webhook.routing_mode == common_pb2.ROUTING_MODE_STRATEGY:
                detail = "STRATEGY mode is not built yet"
                return Ending(common_pb2.SIGNAL_STATUS_FAILED, "strategy", "STRATEGY_UNAVAILABLE", detail)
            ending = await self._first_leg()
            if ending:
                return ending
        await self._send_last()
        legs = decode_plan(self.plan)
        while len(self.orders) < len(legs):
            number = len(self.orders) + 1
            position = await self._w._risk.position(self._webhook.account_id, self._signal.instrument)
            try:
                decision = await self._decide(
                    legs[number - 1], number, format_decimal(position), "second leg of a reversal"
                )
            except NothingLeft as nothing:
                return self._executed("NOTHING_TO_OPEN", f"closed; not opened: {nothing.text}")
            if decision.verdict == order_pb2.RISK_VERDICT_DENIED:
                reason, detail = first_failure(decision)
                return Ending(common_pb2.SIGNAL_STATUS_EXECUTED, "risk", reason, f"closed; not opened: {detail}")
            await self._send_last()
        return self._executed("", describe_fills(self.orders))

    def _executed(self, reason: str, detail: str) -> Ending:
        """The end of a signal whose orders are filled. Says in plain words where its protection was not placed."""
        entered = any(row.order.effect == order_pb2.ORDER_EFFECT_ENTRY for row in self.orders)
        if entered and (missing := unplaced_levels(self._signal)):
            detail = f"{detail}; {missing}"
            reason = reason or "PROTECTION_NOT_PLACED"
        return Ending(common_pb2.SIGNAL_STATUS_EXECUTED, "venue", reason, detail)

    async def _first_leg(self) -> Ending | None:
        """Derives the intent and has its first leg decided; an ending where there is nothing to send."""
        account, name = self._webhook.account_id, self._signal.instrument
        position = self._w._risk.guess(account, name)
        certain = False
        while True:
            intent = intent_of(self._signal, self._webhook, position)
            if not intent.legs:
                if certain:
                    return Ending(common_pb2.SIGNAL_STATUS_REJECTED, "intent", intent.reason, intent.text)
                position, certain = await self._w._risk.position(account, name), True
                continue
            self.plan = encode_plan(intent.legs)
            try:
                decision = await self._decide(intent.legs[0], 1, format_decimal(position), intent.text)
            except NothingLeft as nothing:
                self.plan = ""
                return Ending(common_pb2.SIGNAL_STATUS_REJECTED, "intent", "NOTHING_TO_OPEN", nothing.text)
            if decision.verdict == order_pb2.RISK_VERDICT_POSITION_CHANGED:
                self.plan = ""
                position, certain = parse_decimal(decision.position_quantity), True
                continue
            if decision.verdict == order_pb2.RISK_VERDICT_DENIED:
                reason, detail = first_failure(decision)
                return Ending(common_pb2.SIGNAL_STATUS_REJECTED, "risk", reason, detail)
            return None

    async def _decide(self, leg: Leg, number: int, assumed: str, intent: str) -> order_pb2.RiskDecision:
        """Asks risk; an approved order is persisted as SUBMITTED before anything is sent."""
        order = make_order(self._signal, self._webhook, leg, number, self._w._clock())
        held = await self._w._risk.held(self._webhook.account_id)
        request = evaluation_request(
            order,
            self._signal,
            self._webhook,
            self._instrument,
            leg,
            assumed=assumed,
            quote=self._w._quotes.current(self._instrument),
            marks=self._w._quotes.marks(held, self._instrument.name),
            fee_bps=format_decimal(self._w._settings.paper_fee_bps),
            closed=closed_by(self.orders),
        )
        decision = await self._w._risk.evaluate(request)
        if decision.verdict == order_pb2.RISK_VERDICT_POSITION_CHANGED:
            return decision
        order.quantity = decision.quantity
        if decision.verdict == order_pb2.RISK_VERDICT_APPROVED:
            order.state = common_pb2.ORDER_STATE_SUBMITTED
            signal_id, sequence, plan = self._signal.signal_id, self.stream_sequence, self.plan

            def persist(connection: sa.Connection) -> None:
                if not store.claim_signal(connection, signal_id, sequence, plan):
                    raise LookupError(f"signal {signal_id} is another delivery's")
                store.insert_order(connection, order, intent, decision)

            await self._w._database.write(persist)
        self.orders.append(OrderRow(order, intent, decision, [], order_pb2.Position()))
        return decision

    async def _send_last(self) -> None:
        """Has the newest order's outcome: from what is stored, else from the venue; then books it."""
        row = self.orders[-1]
        if row.order.state == common_pb2.ORDER_STATE_SUBMITTED:
            report = await self._found() or await self._w._venue.submit(
                row.order, self._instrument, self._w._quotes.current(self._instrument), row.decision.quote
            )
            order = row.order
            order.state, order.venue_order_id = report.state, report.venue_order_id
            order.filled_quantity = order.quantity
            order.average_price = report.fills[0].price
            order.update_time.CopyFrom(report.fills[0].execute_time)
            # The answer needs no commit of its own: a crash before the end asks the venue again, which keeps it.
            self.orders[-1] = row = row._replace(fills=list(report.fills))
        if not row.position.account_id:
            position = await self._w._risk.settle(row.order, row.fills, final=True)
            self.orders[-1] = row._replace(position=position)

    async def _found(self) -> VenueReport | None:
        """What the venue has of the newest order, where it may have been sent by what a lost database knew of."""
        if self.accepted.request.receive_time.ToMilliseconds() > self._w._lost_until_ms():
            return None
        order = self.orders[-1].order
        report = await self._w._venue.find(order)
        log.info("order.looked_up", order_id=order.order_id, found=report is not None)
        return report


def completed_id(signal_id: str) -> str:
    """Id of the message that tells how a signal ended."""
    return f"{signal_id}:completed"


def encode_plan(legs: tuple[Leg, ...]) -> str:
    """Legs as text, for example "sell exit whole,buy entry part"."""
    return ",".join(
        f"{'buy' if leg.buy else 'sell'} {'entry' if leg.entry else 'exit'} {'whole' if leg.whole else 'part'}"
        for leg in legs
    )


def decode_plan(plan: str) -> tuple[Leg, ...]:
    """The legs of `encode_plan`."""
    return tuple(
        Leg(buy="buy" in leg.split(), entry="entry" in leg.split(), whole="whole" in leg.split())
        for leg in plan.split(",")
    )


def first_failure(decision: order_pb2.RiskDecision) -> tuple[str, str]:
    """Reason and sentence of the first failed check."""
    failed = next(check for check in decision.checks if not check.passed)
    return failed.reason, failed.detail


def closed_by(orders: list[OrderRow]) -> Decimal:
    """What the exits among the orders filled, base units."""
    exits = (row.order for row in orders if row.order.effect == order_pb2.ORDER_EFFECT_EXIT)
    return sum((parse_decimal(order.filled_quantity) for order in exits if order.filled_quantity), ZERO)


def unplaced_levels(signal: signal_pb2.Signal) -> str:
    """One sentence about the protective levels of an entry, none of which is placed as an order yet; "" where it has none."""
    levels = [
        text for text, level in (("stop loss", "stop_loss"), ("take profit", "take_profit")) if signal.HasField(level)
    ]
    return f"no {' and no '.join(levels)} was placed: nothing watches the position" if levels else ""


def describe_fills(orders: list[OrderRow]) -> str:
    """One sentence about what was done."""
    verbs = {common_pb2.SIDE_BUY: "bought", common_pb2.SIDE_SELL: "sold"}
    parts = [f"{verbs[row.order.side]} {row.order.filled_quantity} at {row.order.average_price}" for row in orders]
    return ", then ".join(parts)


async def _pause(stopping: asyncio.Event, seconds: float) -> bool:
    """Waits; True where the service is to stop."""
    try:
        await asyncio.wait_for(stopping.wait(), seconds)
    except TimeoutError:
        return False
    return True
