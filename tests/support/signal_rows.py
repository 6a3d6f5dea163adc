"""Signals of all kinds, stored as audit stores them, without a journal."""

from datetime import UTC, datetime, timedelta
from random import Random

import sqlalchemy as sa
from vantixs.api.common.v1 import common_pb2, order_pb2, signal_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.runtime.continuity import Mark
from vantixs.runtime.journal_reader import Delivery
from vantixs_audit import store

BEGIN = datetime(2026, 11, 27, tzinfo=UTC)
_TEXTS = ("", "a", "b", "x y", "X", "é", 'q"\\')


def store_signals(connection: sa.Connection, count: int, *, begin: int = 0, newer: bool = False) -> None:
    """Records signals numbered from `begin`; with `newer` all later than any of before."""
    random = Random(begin)
    entries = [entry for n in range(begin, begin + count) for entry in entries_of(random, f"s{n}", 100 if newer else 0)]
    data = journal_pb2.JournalBatch(entries=entries).SerializeToString()
    sequence = store.read_head(connection).mark.sequence + 1
    store.record(connection, [Delivery("s", data, sequence, BEGIN)], Mark(0, "stream", sequence))


def entries_of(random: Random, signal_id: str, later_s: int = 0) -> list[journal_pb2.JournalEntry]:
    """What a random signal's entries are, in the order in which they happen."""
    at = BEGIN + timedelta(seconds=later_s + random.randrange(10))
    request = signal_pb2.ReceivedRequest(source_address=random.choice(_TEXTS))
    if random.random() < 0.8:
        request.receive_time.FromDatetime(at - timedelta(milliseconds=random.randrange(5)))
    webhook = {
        "webhook_id": random.choice("ab"),
        "account_id": random.choice("ab"),
        "strategy_id": random.choice(_TEXTS),
        "mode": random.choice((1, 2)),
    }
    signal = signal_pb2.Signal(
        symbol=random.choice("ab"),
        instrument=random.choice("ab"),
        action=random.choice((1, 2, 3)),
        comment=random.choice(_TEXTS),
        tag=random.choice(_TEXTS),
        price=random.choice(("", "100")),
    )
    if random.random() < 0.5:
        signal.emit_time.FromDatetime(at - timedelta(seconds=random.randrange(-1, 5)))
    kind = random.choice(("accepted", "accepted", "accepted", "rejected", "repeat"))
    made: list[journal_pb2.JournalEntry] = []

    def add(step_s: float = 0.0, **event: object) -> None:
        nonlocal at
        at += timedelta(seconds=step_s)
        entry = journal_pb2.JournalEntry(event_id=f"{signal_id}-{len(made)}", signal_id=signal_id, **event)  # type: ignore[arg-type]
        entry.event_time.FromDatetime(at)
        made.append(entry)

    if kind == "rejected":
        rejected = journal_pb2.SignalRejected(
            request=request, webhook=webhook, reason=random.choice("ab"), detail="x", symbol="b"
        )
        add(signal_rejected=rejected)
        return made
    if kind == "repeat":
        add(
            duplicate_suppressed=journal_pb2.DuplicateSuppressed(
                first_signal_id=random.choice("ab"), rule="router", request=request, signal=signal, webhook=webhook
            )
        )
        return made
    add(signal_accepted=journal_pb2.SignalAccepted(signal=signal, request=request, webhook=webhook))
    order = order_pb2.Order(order_id=f"{signal_id}.1", side=random.choice((1, 2)), quantity="2")
    if random.random() < 0.8:
        add(random.choice((0, 1.5)), order_evaluated=journal_pb2.OrderEvaluated(order=order))
        add(order_submitted=journal_pb2.OrderSubmitted(order=order))
        for filled, price in (("1", "100.0125"), ("2", "101"))[: random.randrange(3)]:
            order.filled_quantity, order.average_price = filled, price
            add(0.5, fill_recorded=journal_pb2.FillRecorded(fill=order_pb2.Fill(order_id=order.order_id)))
            add(order_updated=journal_pb2.OrderUpdated(order=order))
    if random.random() < 0.8:
        status = random.choice((common_pb2.SIGNAL_STATUS_EXECUTED, common_pb2.SIGNAL_STATUS_FAILED))
        reason = random.choice(_TEXTS)
        add(0.5, signal_completed=journal_pb2.SignalCompleted(status=status, stage="venue", reason=reason))
    for n in range(random.choice((0, 0, 1, 2))):
        add(1, duplicate_suppressed=journal_pb2.DuplicateSuppressed(first_signal_id=signal_id, repeat=n + 1))
    for n in range(random.choice((0, 0, 1, 2))):
        mode = random.choice((journal_pb2.REPLAY_MODE_VERIFY, journal_pb2.REPLAY_MODE_PAPER))
        done = journal_pb2.ReplayFinished(replay_id=f"r{n}", mode=mode, status=common_pb2.SIGNAL_STATUS_FAILED)
        done.of_replay_id, done.root_replay_id = random.choice((("", f"r{n}"), ("r0", "r0")))
        add(1, replay_finished=done)
    return made
