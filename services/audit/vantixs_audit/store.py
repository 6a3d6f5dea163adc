"""Audit's tables, and reading and writing them inside a unit of work."""

import hashlib
import json
from datetime import UTC
from typing import Any, NamedTuple

import grpc
import sqlalchemy as sa
from google.protobuf.message import DecodeError
from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.common.v1 import common_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.proof.tree import Tree, leaf_hash
from vantixs.runtime.columns import Instant
from vantixs.runtime.continuity import NOTHING_SEEN, Mark
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.journal_reader import Delivery
from vantixs.runtime.logs import log
from vantixs.runtime.outbox import outbox_table
from vantixs.runtime.sql_elements import Among
from vantixs.runtime.statements import Statement, insert_ignore, insert_or_replace, insert_row, upsert

from vantixs_audit.domain.status import GENESIS, View, chain, fold
from vantixs_audit.views import row_of, seen_of, summary, view_of

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
    sa.Column("leaf_hash", sa.LargeBinary, nullable=True),
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
# recorded, empty where none is known; up to `missing_until` an operator accepted what the journal does not have. `tree_edge`
# is the right edge of the tree over the entries (ADR 40).
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
    sa.Column("tree_edge", sa.LargeBinary, nullable=True),
)
# Nodes of the tree at every eighth level, once they are complete; the leaves are in the entries.
TREE_NODES = sa.Table(
    "tree_nodes",
    METADATA,
    sa.Column("level", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
)
# One row: what the chain was when the tree was begun over it. Entries up to `sequence` have no leaf hash of their own.
TREE_START = sa.Table(
    "tree_start",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
    sa.Column("first_bad_sequence", sa.BigInteger, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
)
CHECKPOINTS = sa.Table(
    "checkpoints",
    METADATA,
    sa.Column("size", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("create_time", Instant, nullable=False),
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
_PUT_NODE = insert_row(TREE_NODES)
_PUT_SIGNAL = insert_or_replace(SIGNALS)


class Head(NamedTuple):
    """How far history is: `mark` in the journal, `sequence` and `hash` in the chain, and the table's other columns."""

    mark: Mark = NOTHING_SEEN
    sequence: int = 0
    signals: int = 0
    hash: bytes = GENESIS
    message_hash: bytes = b""
    missing_until: int = 0
    tree_edge: bytes = b""

    @property
    def tree(self) -> Tree:
        """The tree over all entries.

        Raises:
            ServiceError: FAILED_PRECONDITION HISTORY_ALTERED where what is kept of it is not what was written.
        """
        try:
            return Tree(self.sequence, self.tree_edge)
        except ValueError as error:
            raise ServiceError(grpc.StatusCode.FAILED_PRECONDITION, "HISTORY_ALTERED", f"tree: {error}") from None


def read_head(connection: sa.Connection) -> Head:
    """Where history is."""
    row = connection.execute(sa.select(HEAD)).first()
    if row is None:
        return Head()
    mark = Mark(row.epoch, row.stream_id, row.stream_sequence)
    return Head(
        mark, row.sequence, row.signals, row.hash, row.message_hash or b"", row.missing_until, row.tree_edge or b""
    )


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
        "tree_edge": head.tree_edge,
    }
    upsert(HEAD, connection, values)


def record(connection: sa.Connection, deliveries: list[Delivery], mark: Mark = NOTHING_SEEN) -> tuple[Head, list[str]]:
    """Stores every entry of the deliveries that is not stored yet; returns where it is and which signals changed.

    `mark` tells which stream they are of. What was read before a gap was accepted is left to be read again.
    """
    head = read_head(connection)
    if head.mark.stream and mark.epoch != head.mark.epoch:
        return head, []
    sequence, chained, tree = head.sequence, head.hash, head.tree
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
        chained, leaf = chain(chained, data), leaf_hash(data)
        tree.append(leaf)
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
                "leaf_hash": leaf,
            }
        )
        if entry.signal_id:
            changed.setdefault(entry.signal_id, []).append((sequence, entry))
    _PUT_ENTRY.run_all(connection, rows)
    _PUT_NODE.run_all(connection, [node._asdict() for node in tree.made])
    signals = _update_views(connection, changed, head.signals)
    if fresh:
        head = Head(
            mark=mark._replace(sequence=fresh[-1].stream_sequence),
            sequence=sequence,
            signals=signals,
            hash=chained,
            message_hash=hashlib.sha256(fresh[-1].data).digest(),
            missing_until=head.missing_until,
            tree_edge=tree.edge_bytes,
        )
        write_head(connection, head)
    return head, list(changed)


def changed_since(connection: sa.Connection, sequence: int, most: int) -> tuple[int, list[audit_pb2.SignalSummary]]:
    """Signals whose last entry is after a sequence, in its order, and the sequence up to which that is; `most` entries at once.

    A signal that changed again after that is left to the entries that come next, so each is told by its own sequence.
    """
    query = sa.select(ENTRIES.c.sequence, ENTRIES.c.signal_id).where(ENTRIES.c.sequence > sequence)
    entries = connection.execute(query.order_by(ENTRIES.c.sequence).limit(most)).all()
    ids = {entry.signal_id for entry in entries if entry.signal_id}
    rows = _SIGNALS_OF.rows(connection, ids=list(ids)) if ids else []
    end = entries[-1].sequence if entries else sequence
    return end, [summary(row) for row in sorted(rows, key=lambda r: r.sequence) if row.sequence <= end]


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
    views: dict[str, tuple[int, View]] = {row.signal_id: (row.number, view_of(row)) for row in found}
    rows = []
    for signal_id, entries in changed.items():
        number, view = views.get(signal_id, (0, View()))
        if not number:
            signals += 1
            number = signals
        for _, entry in entries:
            view = fold(view, seen_of(entry))
        rows.append(row_of(signal_id, number, entries[-1][0], view))
    _PUT_SIGNAL.run_all(connection, rows)
    return signals


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
