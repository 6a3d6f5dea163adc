"""Commits the outcome of a signal together with the journal entries about it, then publishes them."""

from collections.abc import Callable
from datetime import datetime

import sqlalchemy as sa
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.decimals import parse_decimal
from vantixs.model.ids import event_subject, keyed_signal_id
from vantixs.runtime.database import Database
from vantixs.runtime.journal import Message
from vantixs.runtime.journal_reader import Delivery
from vantixs.runtime.logs import log
from vantixs.runtime.outbox import Outbox

from vantixs_router import parked_signals, store
from vantixs_router.fence import Fence, write_fenced
from vantixs_router.messages import make_entry, order_entries
from vantixs_router.owner_shares import count_fills, shared
from vantixs_router.signals.outcome import DUST, NOTHING_TO_CLOSE, REJECTED, SignalOutcome
from vantixs_router.signals.run import SignalRun, lane_number
from vantixs_router.store import OrderRow


def completed_id(signal_id: str) -> str:
    """The id of the message that records the end of a signal."""
    return f"{signal_id}:completed"


def leaves_nothing_to_open(run: SignalRun, outcome: SignalOutcome) -> bool:
    """Whether the signal was an exit: then earlier entries that still wait are not wanted any more."""
    closed = any(row.fills and row.order.effect == order_pb2.ORDER_EFFECT_EXIT for row in run.orders)
    return closed or outcome.reason in (NOTHING_TO_CLOSE, DUST)


def sender_after(run: SignalRun, now: datetime) -> store.SenderState:
    """What the webhook's signals for the account and instrument have done, including this one."""
    state = run.sender._replace(emit_ms=max(run.sender.emit_ms, run.emit_ms))
    limited = run.webhook.max_adds or run.webhook.add_spacing_s
    entered = any(row.enters for row in run.orders)
    if not (limited and entered):
        return state
    adds = state.adds + 1 if run.adds else 0
    return state._replace(adds=adds, entry_ms=int(now.timestamp() * 1000))


def repeat_entries(run: SignalRun, first: str) -> list[journal_pb2.JournalEntry]:
    """The journal entries about a repeat that was accepted as a signal of its own, and the entry that marks the first signal."""
    own, event_id, time = run.signal_id, f"{run.signal_id}:duplicate", run.delivery.time
    event = journal_pb2.DuplicateSuppressed(first_signal_id=first, rule="same_bytes", duplicate_signal_id=own)
    return [
        make_entry(f"{event_id}-of", first, time, run.cause, duplicate_suppressed=event),
        make_entry(event_id, own, time, run.cause, duplicate_suppressed=event),
    ]


class RecordOutcome:
    """Ends signals, parks them, or records that they wait.

    Every method raises LeaseLost if another replica owns the lane.
    """

    def __init__(self, database: Database, outbox: Outbox, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._outbox = outbox
        self._clock = clock

    async def complete(self, run: SignalRun, outcome: SignalOutcome) -> None:
        """Ends the signal: its orders, its outcome and the journal entries about both are one commit."""
        signal_id = run.signal_id
        completed = journal_pb2.SignalCompleted(
            status=outcome.status,
            reason=outcome.reason,
            stage=outcome.stage,
            detail=outcome.detail,
            webhook_id=run.webhook.webhook_id,
            inputs=run.inputs,
        )
        entries = [e for row in run.orders for e in order_entries(row, run.cause)]
        if run.apart:
            accepted_id, received = f"{signal_id}:accepted", run.accepted.request.receive_time
            entries.insert(0, make_entry(accepted_id, signal_id, received, run.cause, signal_accepted=run.accepted))
        if outcome.repeats:
            entries += repeat_entries(run, outcome.repeats)
        cause = entries[-1].event_id if entries else run.cause
        done = completed_id(signal_id)
        entries.append(make_entry(done, signal_id, self._clock(), cause, signal_completed=completed))
        message = Message(event_subject("signal"), journal_pb2.JournalBatch(entries=entries).SerializeToString(), done)

        sender = sender_after(run, self._clock())

        def commit(connection: sa.Connection) -> None:
            sequence = run.delivery.stream_sequence
            finished = store.finish_signal(connection, signal_id, sequence, run.plan, run.journal_epoch)
            if run.parked:
                parked_signals.unpark(connection, signal_id)
            for row in self._count(connection, run):
                if row.decision.verdict == order_pb2.RISK_VERDICT_APPROVED:
                    counted = row.order.filled_quantity if row.enters else row.counted
                    store.update_order(connection, row._replace(counted=counted))
            # Signals of a key are handled, and parked, one after another. So those that wait now were read by the recall.
            if run.waits_behind and leaves_nothing_to_open(run, outcome):
                parked_signals.supersede(connection, run.lane, run.key, run.delivery)
            if sender != run.sender:
                store.save_sender(connection, run.sender_name, sender)
            self._outbox.put(connection, message, lane=run.lane)
            finished()
            if outcome.gave_up:
                if store.read_order(connection, outcome.gave_up):
                    raise LookupError(f"order {outcome.gave_up} was stored after all")
                store.add_release(connection, outcome.gave_up)

        await write_fenced(self._database, run.fence, commit, None if outcome.repeats else run.unclaimed)
        status = common_pb2.SignalStatus.Name(outcome.status).removeprefix("SIGNAL_STATUS_").lower()
        log.info(f"signal.{status}", signal_id=signal_id, reason=outcome.reason, stage=outcome.stage)
        await self._outbox.send(message)

    async def park(self, run: SignalRun, why: str) -> None:
        """Parks the signal: stores its delivery, so that its lane can continue."""
        parked = parked_signals.Parked(
            signal_id=run.signal_id,
            lane=run.lane,
            key=run.key,
            stream_sequence=run.delivery.stream_sequence,
            subject=run.delivery.subject,
            data=run.delivery.data,
            deliver_time=run.delivery.time,
            why=why,
            since=self._clock(),
        )

        def commit(connection: sa.Connection) -> bool:
            if run.shared:
                for row in self._count(connection, run):
                    if row.settled:
                        store.update_order(connection, row._replace(position=order_pb2.Position()))
            return parked_signals.park(connection, parked)

        if await write_fenced(self._database, run.fence, commit, run.unclaimed):
            log.warning("signal.parked", signal_id=run.signal_id, detail=why)

    def _count(self, connection: sa.Connection, run: SignalRun) -> list[OrderRow]:
        """Updates the shares of webhooks by the signal's fills, and the signal's orders after them.

        Fills of resting orders are counted in `working/`.
        """
        filled = [row for row in run.orders if row.fills and row.settled]
        if not (run.shared and filled):
            return run.orders
        position, now_ms = parse_decimal(filled[-1].position.quantity), int(self._clock().timestamp() * 1000)
        count_fills(connection, run.key, filled, position, now_ms)
        return [shared(row) if row.settled else row for row in run.orders]

    async def move(self, run: SignalRun, before: int) -> None:
        """Stores the signal, known under the sequence `before`, as it is delivered now."""

        def commit(connection: sa.Connection) -> None:
            store.move_signal(connection, run.signal_id, before, run.delivery, run.journal_epoch)

        await write_fenced(self._database, run.fence, commit)
        log.warning("signal.moved", signal_id=run.signal_id, sequence=run.delivery.stream_sequence, before=before)

    async def unpark(self, run: SignalRun) -> None:
        """Removes a signal that has already ended from the waiting ones."""
        await write_fenced(
            self._database, run.fence, lambda connection: parked_signals.unpark(connection, run.signal_id)
        )

    async def suppress(self, accepted: journal_pb2.SignalAccepted, delivery: Delivery, fence: Fence) -> None:
        """Records a repeat as a signal of its own, with an id that a redelivery derives again, and marks the first signal."""
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
            delivery,
            fence,
            make_entry(event_id, own, delivery.time, "", duplicate_suppressed=event),
            make_entry(f"{event_id}-of", first, delivery.time, event_id, duplicate_suppressed=mark),
        )

    async def refuse(self, run: SignalRun) -> None:
        """Records a signal whose key was used with other content, under a new id.

        Its sender was given the id of the first signal with that key.
        """
        first = run.signal_id
        own = keyed_signal_id(first, f"repeat {run.delivery.stream_sequence}")
        accepted = journal_pb2.SignalAccepted()
        accepted.CopyFrom(run.accepted)
        accepted.signal.signal_id = own
        completed = journal_pb2.SignalCompleted(
            status=REJECTED,
            reason="IDEMPOTENCY_CONFLICT",
            stage="duplicate",
            detail=f"{first} used the key with other content; another ingress received that",
            webhook_id=run.webhook.webhook_id,
        )
        log.info("signal.rejected", signal_id=own, reason=completed.reason, stage=completed.stage)
        event_id, time = f"{own}:accepted", run.delivery.time
        await self._commit_and_send(
            run.delivery,
            run.fence,
            make_entry(event_id, own, time, run.cause, signal_accepted=accepted),
            make_entry(completed_id(own), own, time, event_id, signal_completed=completed),
        )

    async def dead_letter(self, delivery: Delivery, fence: Fence) -> None:
        """Records a message that cannot be read."""
        event = journal_pb2.DeadLettered(
            subject=delivery.subject,
            stream_sequence=delivery.stream_sequence,
            detail="expected a batch with an accepted signal of a catalogued instrument",
            data=delivery.data[:4096],
        )
        log.error("signal.dead_lettered", sequence=delivery.stream_sequence)
        event_id = f"dead-letter:{delivery.stream_sequence}"
        await self._commit_and_send(delivery, fence, make_entry(event_id, "", delivery.time, "", dead_lettered=event))

    async def _commit_and_send(self, delivery: Delivery, fence: Fence, *entries: journal_pb2.JournalEntry) -> None:
        payload = journal_pb2.JournalBatch(entries=entries).SerializeToString()
        message = Message(event_subject("signal"), payload, entries[0].event_id)

        def commit(connection: sa.Connection) -> None:
            parked_signals.unpark_delivery(connection, lane_number(delivery), delivery)
            self._outbox.put(connection, message, lane=lane_number(delivery))

        await write_fenced(self._database, fence, commit)
        await self._outbox.send(message)
