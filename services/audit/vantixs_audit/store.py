"""Reading and writing audit's tables inside a unit of work."""

import hashlib
from typing import Any, NamedTuple

import grpc
import sqlalchemy as sa
from google.protobuf.message import DecodeError
from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.proof.tree import Tree, leaf_hash
from vantixs.runtime.continuity import NOTHING_SEEN, Mark
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.journal_reader import Delivery
from vantixs.runtime.logs import log
from vantixs.runtime.sql_elements import Among
from vantixs.runtime.statements import Statement, insert_row

from vantixs_audit.domain.status import GENESIS, EntryFacts, chain_hash
from vantixs_audit.entry_facts import facts_of
from vantixs_audit.signal_rows import SIGNALS_OF, Running, update_rows
from vantixs_audit.tables import (
    CHECKPOINTS,
    ENTRIES,
    HEAD,
    METADATA,
    OUTBOX,
    REPLAYS,
    SIGNALS,
    TREE_NODES,
    TREE_START,
    WRITER,
)
from vantixs_audit.views import summary

__all__ = [
    "CHECKPOINTS",
    "ENTRIES",
    "HEAD",
    "METADATA",
    "OUTBOX",
    "REPLAYS",
    "SIGNALS",
    "TREE_NODES",
    "TREE_START",
    "WRITER",
    "Head",
    "Running",
    "changed_since",
    "hold_entries",
    "lost_entries",
    "not_kept",
    "read_head",
    "record",
    "recorded",
    "write_head",
]

_KNOWN_EVENTS = Statement(lambda _: sa.select(ENTRIES.c.event_id).where(Among(ENTRIES.c.event_id, "ids")))
_PUT_ENTRY = insert_row(ENTRIES)
_PUT_NODE = insert_row(TREE_NODES)
_HEAD = Statement(lambda _: sa.select(HEAD))


def _put_head(insert: Any) -> sa.sql.expression.ClauseElement:
    statement = insert(HEAD).values({c.name: sa.bindparam(c.name, type_=c.type) for c in HEAD.columns})
    changed = {c.name: statement.excluded[c.name] for c in HEAD.columns}
    return statement.on_conflict_do_update(index_elements=["id"], set_=changed)  # type: ignore[no-any-return]


_PUT_HEAD = Statement(_put_head)


class Head(NamedTuple):
    """How far history is: `mark` in the journal, `sequence` and `hash` in the chain, and the table's other columns."""

    mark: Mark = NOTHING_SEEN
    sequence: int = 0
    signals: int = 0
    hash: bytes = GENESIS
    message_hash: bytes = b""
    missing_until: int = 0
    tree_edge: bytes = b""
    segment: int = 0
    dropped_sequence: int = 0
    dropped_signals: int = 0
    dropped_hash: bytes = GENESIS

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
    row = _HEAD.first(connection)
    if row is None:
        return Head()
    mark = Mark(row.epoch, row.stream_id, row.stream_sequence)
    return Head(
        mark,
        row.sequence,
        row.signals,
        row.hash,
        row.message_hash or b"",
        row.missing_until,
        row.tree_edge or b"",
        row.segment,
        row.dropped_sequence,
        row.dropped_signals,
        row.dropped_hash or GENESIS,
    )


def lost_entries(head: Head, number: int) -> bool:
    """Whether the signal of that number had entries that are no longer kept."""
    return number <= head.dropped_signals


def hold_entries(connection: sa.Connection) -> None:
    """Keeps a read's entries from being removed until it ends. Has to come before anything else is read.

    On PostgreSQL a partition that is dropped is gone for readers of earlier snapshots too, while the head that they see says
    that its entries are kept. A lock that is taken before the snapshot closes that.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("LOCK TABLE entries IN ACCESS SHARE MODE")


def not_kept(signal_id: str) -> ServiceError:
    """What is asked for needs entries of a signal that are no longer kept."""
    return ServiceError(
        grpc.StatusCode.FAILED_PRECONDITION, "ENTRIES_NOT_KEPT", f"signal {signal_id}: its entries are no longer kept"
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
        "segment": head.segment,
        "dropped_sequence": head.dropped_sequence,
        "dropped_signals": head.dropped_signals,
        "dropped_hash": head.dropped_hash,
    }
    _PUT_HEAD.send(connection, **values)


def record(
    connection: sa.Connection, deliveries: list[Delivery], mark: Mark = NOTHING_SEEN, running: Running | None = None
) -> tuple[Head, list[str]]:
    """Stores every entry of the deliveries that is not stored yet; returns where it is and which signals changed.

    `mark` tells which stream they are of. What was read before a gap was accepted is left to be read again. Who records one
    batch after the other gives the same `running`.
    """
    head = read_head(connection)
    if head.mark.stream and mark.epoch != head.mark.epoch:
        return head, []
    sequence, chained, tree = head.sequence, head.hash, head.tree
    fresh = [d for d in deliveries if d.stream_sequence > head.mark.sequence]
    unpacked = [(d.stream_sequence, *found) for d in fresh for found in _entries(d)]
    ids = [entry.event_id for _, entry, _ in unpacked]
    known = {row.event_id for row in _KNOWN_EVENTS.rows(connection, ids=ids)} if ids else set()
    rows: list[dict[str, Any]] = []
    changed: dict[str, list[tuple[int, EntryFacts]]] = {}
    for event_id, (stream_sequence, entry, seen) in zip(ids, unpacked, strict=True):
        if event_id in known:
            continue
        known.add(event_id)
        sequence += 1
        signal_id = entry.signal_id
        data = entry.SerializeToString()
        chained = chain_hash(chained, data)
        rows.append(
            {
                "sequence": sequence,
                "stream_sequence": stream_sequence,
                "event_id": event_id,
                "signal_id": signal_id,
                "kind": seen.kind,
                "event_time": seen.time,
                "data": data,
                "hash": chained,
                "leaf_hash": leaf_hash(data),
                "segment": head.segment,
            }
        )
        if signal_id:
            changed.setdefault(signal_id, []).append((sequence, seen))
    tree.extend([row["leaf_hash"] for row in rows])
    _PUT_ENTRY.run_all(connection, rows)
    _PUT_NODE.run_all(connection, [node._asdict() for node in tree.made])
    running = running or Running()
    views = running.take(head.hash)
    signals = update_rows(connection, changed, head.signals, views)
    running.keep(chained, views)
    if fresh:
        head = head._replace(
            mark=mark._replace(sequence=fresh[-1].stream_sequence),
            sequence=sequence,
            signals=signals,
            hash=chained,
            message_hash=hashlib.sha256(fresh[-1].data).digest(),
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
    rows = SIGNALS_OF.rows(connection, ids=list(ids)) if ids else []
    end = entries[-1].sequence if entries else sequence
    return end, [summary(row) for row in sorted(rows, key=lambda r: r.sequence) if row.sequence <= end]


def _entries(delivery: Delivery) -> list[tuple[journal_pb2.JournalEntry, EntryFacts]]:
    """The entries of a message and what they say; in place of those that cannot be read one that says so."""
    try:
        return [(entry, facts_of(entry)) for entry in journal_pb2.JournalBatch.FromString(delivery.data).entries]
    except (DecodeError, ValueError, OverflowError):  # No entry stops history, also none whose time is none.
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
        return [(entry, facts_of(entry))]


def recorded(row: Any) -> audit_pb2.RecordedEntry:
    """An entry's row as a message."""
    return audit_pb2.RecordedEntry(
        sequence=row.sequence,
        stream_sequence=row.stream_sequence,
        entry=journal_pb2.JournalEntry.FromString(row.data),
        hash=row.hash,
    )
