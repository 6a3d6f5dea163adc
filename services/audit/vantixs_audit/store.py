"""Audit's tables, and reading and writing them inside a unit of work."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from google.protobuf.message import DecodeError
from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.runtime.columns import Instant
from vantixs.runtime.continuity import NOTHING_SEEN, Mark
from vantixs.runtime.journal_reader import Delivery
from vantixs.runtime.logs import log
from vantixs.runtime.outbox import outbox_table
from vantixs.runtime.sql_elements import Among
from vantixs.runtime.statements import Statement, insert_ignore, insert_or_replace, insert_row, upsert

from vantixs_audit.domain.status import GENESIS, Seen, View, chain, fold

METADATA = sa.MetaData()
ENTRIES = sa.Table(
    "entries",
    METADATA,
    sa.Column("sequence", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
    sa.Column("stream_sequence", sa.BigInteger, nullable=False),
    sa.Column("event_id", sa.Text, nullable=False, unique=True),
    sa.Column("signal_id", sa.Text, nullable=False, index=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("event_time", Instant, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
)
SIGNALS = sa.Table(
    "signals",
    METADATA,
    sa.Column("signal_id", sa.Text, primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False, unique=True),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("original_status", sa.Text, nullable=False),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("webhook_id", sa.Text, nullable=False),
    sa.Column("account_id", sa.Text, nullable=False),
    sa.Column("instrument", sa.Text, nullable=False),
    sa.Column("receive_time", Instant, nullable=True),
    sa.Column("update_time", Instant, nullable=False),
    sa.Column("duplicates", sa.Integer, nullable=False),
    sa.Column("facts", sa.Text, nullable=False),
)
for _column in ("status", "webhook_id", "account_id", "instrument", "reason"):
    sa.Index(f"signals_{_column}", SIGNALS.c[_column], SIGNALS.c.number)
sa.Index("signals_receive_time", SIGNALS.c.receive_time)
# One row: how far the journal is recorded, and the head of the chain. `message_hash` is the SHA-256 of the last message
# recorded, empty where none is known; up to `missing_until` an operator accepted what the journal does not have.
HEAD = sa.Table(
    "head",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("stream_sequence", sa.BigInteger, nullable=False),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("signals", sa.BigInteger, nullable=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
    sa.Column("epoch", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("stream_id", sa.Text, nullable=False, server_default=""),
    sa.Column("message_hash", sa.LargeBinary, nullable=True),
    sa.Column("missing_until", sa.BigInteger, nullable=False, server_default="0"),
)
REPLAYS = sa.Table(
    "replays",
    METADATA,
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("replay_id", sa.Text, nullable=False, unique=True),
    sa.Column("request_id", sa.Text, nullable=False, index=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("signal_ids", sa.Text, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
)
# One row: which of several processes records, and until when it surely does.
WRITER = sa.Table(
    "writer",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("expires_ms", sa.BigInteger, nullable=False),
    sa.Column("boot_id", sa.Text, nullable=False),
)
OUTBOX = outbox_table(METADATA)

_KNOWN_EVENTS = Statement(lambda _: sa.select(ENTRIES.c.event_id).where(Among(ENTRIES.c.event_id, "ids")))
_SIGNALS_OF = Statement(lambda _: sa.select(SIGNALS).where(Among(SIGNALS.c.signal_id, "ids")))
_PUT_ENTRY = insert_row(ENTRIES)
_PUT_SIGNAL = insert_or_replace(SIGNALS)


class Head(NamedTuple):
    """How far history is: `mark` in the journal, `sequence` and `hash` in the chain, and the table's other columns."""

    mark: Mark = NOTHING_SEEN
    sequence: int = 0
    signals: int = 0
    hash: bytes = GENESIS
    message_hash: bytes = b""
    missing_until: int = 0


def read_head(connection: sa.Connection) -> Head:
    """Where history is."""
    row = connection.execute(sa.select(HEAD)).first()
    if row is None:
        return Head()
    mark = Mark(row.epoch, row.stream_id, row.stream_sequence)
    return Head(mark, row.sequence, row.signals, row.hash, row.message_hash or b"", row.missing_until)


def write_head(connection: sa.Connection, head: Head) -> None:
    """Where history is from now on."""
    values = {
        "id": 1,
        "stream_sequence": head.mark.sequence,
        "sequence": head.sequence,
        "signals": head.signals,
        "hash": head.hash,
        "epoch": head.mark.epoch,
        "stream_id": head.mark.stream,
        "message_hash": head.message_hash,
        "missing_until": head.missing_until,
    }
    upsert(HEAD, connection, values)


def record(connection: sa.Connection, deliveries: list[Delivery], mark: Mark = NOTHING_SEEN) -> tuple[Head, list[str]]:
    """Stores every entry of the deliveries that is not stored yet; returns where it is and which signals changed.

    `mark` tells which stream they are of. What was read before a gap was accepted is left to be read again.
    """
    head = read_head(connection)
    if head.mark.stream and mark.epoch != head.mark.epoch:
        return head, []
    sequence, chained = head.sequence, head.hash
    fresh = [d for d in deliveries if d.stream_sequence > head.mark.sequence]
    unpacked = [(d.stream_sequence, entry) for d in fresh for entry in _entries(d)]
    ids = [entry.event_id for _, entry in unpacked]
    known = {row.event_id for row in _KNOWN_EVENTS.rows(connection, ids=ids)} if ids else set()
    rows: list[dict[str, Any]] = []
    changed: dict[str, list[tuple[int, journal_pb2.JournalEntry]]] = {}
    for stream_sequence, entry in unpacked:
        if entry.event_id in known:
            continue
        known.add(entry.event_id)
        sequence += 1
        data = entry.SerializeToString()
        chained = chain(chained, data)
        rows.append(
            {
                "sequence": sequence,
                "stream_sequence": stream_sequence,
                "event_id": entry.event_id,
                "signal_id": entry.signal_id,
                "kind": entry.WhichOneof("event") or "",
                "event_time": entry.event_time.ToDatetime(tzinfo=UTC),
                "data": data,
                "hash": chained,
            }
        )
        if entry.signal_id:
            changed.setdefault(entry.signal_id, []).append((sequence, entry))
    _PUT_ENTRY.run_all(connection, rows)
    signals = _update_views(connection, changed, head.signals)
    if fresh:
        head = Head(
            mark=mark._replace(sequence=fresh[-1].stream_sequence),
            sequence=sequence,
            signals=signals,
            hash=chained,
            message_hash=hashlib.sha256(fresh[-1].data).digest(),
            missing_until=head.missing_until,
        )
        write_head(connection, head)
    return head, list(changed)


def changed_since(connection: sa.Connection, sequence: int, most: int) -> tuple[int, list[audit_pb2.SignalSummary]]:
    """Signals with entries after a sequence of the chain, and the sequence up to which that is; `most` entries at once."""
    query = sa.select(ENTRIES.c.sequence, ENTRIES.c.signal_id).where(ENTRIES.c.sequence > sequence)
    entries = connection.execute(query.order_by(ENTRIES.c.sequence).limit(most)).all()
    ids = {entry.signal_id for entry in entries if entry.signal_id}
    rows = _SIGNALS_OF.rows(connection, ids=list(ids)) if ids else []
    return (entries[-1].sequence if entries else sequence), [
        summary(row) for row in sorted(rows, key=lambda r: r.sequence)
    ]


def _entries(delivery: Delivery) -> list[journal_pb2.JournalEntry]:
    try:
        return list(journal_pb2.JournalBatch.FromString(delivery.data).entries)
    except DecodeError:
        log.error("entry.unreadable", stream_sequence=delivery.stream_sequence)
        event = journal_pb2.DeadLettered(
            subject=delivery.subject,
            stream_sequence=delivery.stream_sequence,
            detail="audit expected a JournalBatch",
            data=delivery.data[:4096],
        )
        entry = journal_pb2.JournalEntry(
            event_id=f"unreadable:{delivery.stream_sequence}", actor="service:audit", dead_lettered=event
        )
        entry.event_time.FromDatetime(delivery.time)
        return [entry]


def _update_views(
    connection: sa.Connection, changed: dict[str, list[tuple[int, journal_pb2.JournalEntry]]], signals: int
) -> int:
    found = _SIGNALS_OF.rows(connection, ids=list(changed)) if changed else []
    views: dict[str, tuple[int, View]] = {row.signal_id: (row.number, _view_of(row)) for row in found}
    rows = []
    for signal_id, entries in changed.items():
        number, view = views.get(signal_id, (0, View()))
        if not number:
            signals += 1
            number = signals
        for _, entry in entries:
            view = fold(view, seen_of(entry))
        rows.append(_row_of(signal_id, number, entries[-1][0], view))
    _PUT_SIGNAL.run_all(connection, rows)
    return signals


def _view_of(row: Any) -> View:
    return View(
        row.status,
        row.original_status,
        row.stage,
        row.reason,
        row.detail,
        row.receive_time,
        row.update_time,
        row.duplicates,
        tuple(json.loads(row.facts).items()),
    )


def _row_of(signal_id: str, number: int, sequence: int, view: View) -> dict[str, Any]:
    facts = dict(view.facts)
    return {
        "signal_id": signal_id,
        "number": number,
        "sequence": sequence,
        "status": view.status or "ACCEPTED",
        "original_status": view.original_status,
        "stage": view.stage,
        "reason": view.reason,
        "detail": view.detail.replace("\x00", ""),
        "webhook_id": facts.get("webhook_id", ""),
        "account_id": facts.get("account_id", ""),
        "instrument": facts.get("instrument", ""),
        "receive_time": view.receive_time,
        "update_time": view.update_time,
        "duplicates": view.duplicates,
        "facts": json.dumps(facts),
    }


def seen_of(entry: journal_pb2.JournalEntry) -> Seen:
    """What an entry says about its signal."""
    kind = entry.WhichOneof("event") or ""
    time = entry.event_time.ToDatetime(tzinfo=UTC)
    match kind:
        case "signal_accepted":
            event = entry.signal_accepted
            facts = {
                "webhook_id": event.webhook.webhook_id,
                "account_id": event.webhook.account_id,
                "mode": common_pb2.Mode.Name(event.webhook.mode),
                "symbol": event.signal.symbol,
                "instrument": event.signal.instrument,
                "action": common_pb2.Action.Name(event.signal.action),
            }
            return Seen(kind, time, facts=tuple(facts.items()))
        case "signal_rejected":
            rejected = entry.signal_rejected
            facts = {
                "webhook_id": rejected.webhook.webhook_id,
                "account_id": rejected.webhook.account_id,
                "mode": common_pb2.Mode.Name(rejected.webhook.mode),
            }
            return Seen(kind, time, reason=rejected.reason, detail=rejected.detail, facts=tuple(facts.items()))
        case "duplicate_suppressed":
            return _seen_duplicate(entry, time)
        case "signal_completed":
            done = entry.signal_completed
            status = common_pb2.SignalStatus.Name(done.status).removeprefix("SIGNAL_STATUS_")
            return Seen(kind, time, status, done.stage, done.reason, done.detail)
        case "order_updated":
            return Seen(kind, time, facts=_filled_facts(entry.order_updated.order))
    return Seen(kind, time)


def _seen_duplicate(entry: journal_pb2.JournalEntry, time: datetime) -> Seen:
    """A repeat's own entry makes it a signal; the other is a mark on the first signal."""
    event = entry.duplicate_suppressed
    if entry.signal_id == event.first_signal_id:
        return Seen("duplicate_suppressed", time, repeat=int(event.repeat))
    facts = {
        "webhook_id": event.webhook.webhook_id,
        "account_id": event.webhook.account_id,
        "mode": common_pb2.Mode.Name(event.webhook.mode),
        "symbol": event.signal.symbol,
        "instrument": event.signal.instrument,
        "action": common_pb2.Action.Name(event.signal.action),
        "first_signal_id": event.first_signal_id,
    }
    reason = "DUPLICATE_SUPPRESSED" if event.rule == "same_bytes" else "DUPLICATE_SIGNAL"
    detail = f"repeats {event.first_signal_id} ({event.rule})"
    first = event.first_signal_id
    return Seen("duplicate_suppressed", time, "REJECTED", "duplicate", reason, detail, tuple(facts.items()), 0, first)


def _filled_facts(order: order_pb2.Order) -> tuple[tuple[str, str], ...]:
    """What is filled of an order so far, all of its fills together; it is told after each.

    What stop and targets fill later is not what the signal asked for, and an order without fills says nothing.
    """
    if order.entry_order_id or not order.average_price:
        return ()
    sign = "" if order.side == common_pb2.SIDE_BUY else "-"
    return (("filled_quantity", sign + order.filled_quantity), ("average_price", order.average_price))


def summary(row: Any) -> audit_pb2.SignalSummary:
    """A signal's row as a message."""
    facts = json.loads(row.facts)
    message = audit_pb2.SignalSummary(
        signal_id=row.signal_id,
        webhook_id=row.webhook_id,
        account_id=row.account_id,
        symbol=facts.get("symbol", ""),
        instrument=row.instrument,
        action=facts.get("action", "ACTION_UNSPECIFIED"),
        mode=facts.get("mode", "MODE_UNSPECIFIED"),
        status=f"SIGNAL_STATUS_{row.status}",
        original_status=f"SIGNAL_STATUS_{row.original_status or 'UNSPECIFIED'}",
        stage=row.stage,
        reason=row.reason,
        detail=row.detail,
        duplicate_count=row.duplicates,
        filled_quantity=facts.get("filled_quantity", ""),
        average_price=facts.get("average_price", ""),
        sequence=row.sequence,
        first_signal_id=facts.get("first_signal_id", ""),
    )
    if row.receive_time:
        message.receive_time.FromDatetime(row.receive_time)
    message.update_time.FromDatetime(row.update_time)
    return message


def select_signals(filter_: audit_pb2.SignalFilter) -> "sa.Select[Any]":
    """The signals that a filter means."""
    query = sa.select(SIGNALS)
    if filter_.status:
        status = common_pb2.SignalStatus.Name(filter_.status).removeprefix("SIGNAL_STATUS_")
        query = query.where(SIGNALS.c.status == status)
    for name in ("webhook_id", "account_id", "instrument", "reason"):
        if value := getattr(filter_, name):
            query = query.where(SIGNALS.c[name] == value)
    if filter_.HasField("since"):
        query = query.where(SIGNALS.c.receive_time >= filter_.since.ToDatetime(tzinfo=UTC))
    if filter_.HasField("until"):
        query = query.where(SIGNALS.c.receive_time < filter_.until.ToDatetime(tzinfo=UTC))
    return query


def matches(filter_: audit_pb2.SignalFilter, signal: audit_pb2.SignalSummary) -> bool:
    """Whether a filter means a signal; the same rule as `select_signals`."""
    if filter_.status and filter_.status != signal.status:
        return False
    names = ("webhook_id", "account_id", "instrument", "reason")
    if any(getattr(filter_, n) and getattr(filter_, n) != getattr(signal, n) for n in names):
        return False
    received = signal.receive_time.ToNanoseconds()
    since, until = filter_.since.ToNanoseconds(), filter_.until.ToNanoseconds()
    return (not filter_.HasField("since") or received >= since) and (not filter_.HasField("until") or received < until)


def recorded(row: Any) -> audit_pb2.RecordedEntry:
    """An entry's row as a message."""
    return audit_pb2.RecordedEntry(
        sequence=row.sequence,
        stream_sequence=row.stream_sequence,
        entry=journal_pb2.JournalEntry.FromString(row.data),
        hash=row.hash,
    )


def insert_replay(connection: sa.Connection, replay: audit_pb2.Replay, request_id: str, signal_ids: list[str]) -> None:
    """A new replay."""
    values: dict[str, Any] = {
        "replay_id": replay.replay_id,
        "request_id": request_id,
        "state": audit_pb2.ReplayState.Name(replay.state),
        "signal_ids": json.dumps(signal_ids),
        "data": replay.SerializeToString(),
    }
    insert_ignore(REPLAYS, connection, values)


def read_replay(connection: sa.Connection, replay_id: str) -> audit_pb2.Replay | None:
    """A replay as far as it is."""
    data = connection.execute(sa.select(REPLAYS.c.data).where(REPLAYS.c.replay_id == replay_id)).scalar()
    return None if data is None else audit_pb2.Replay.FromString(data)


def update_replay(connection: sa.Connection, replay: audit_pb2.Replay) -> None:
    """How far a replay is."""
    connection.execute(
        sa.update(REPLAYS)
        .where(REPLAYS.c.replay_id == replay.replay_id)
        .values(state=audit_pb2.ReplayState.Name(replay.state), data=replay.SerializeToString())
    )
