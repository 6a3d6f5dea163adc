"""One signal: its row, its entries in the order in which they happened, what belongs to it, and one sentence."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from vantixs.api.audit.v1 import audit_pb2
from vantixs.runtime.errors import not_found

from vantixs_audit.domain.sentence import Told, sentence_of
from vantixs_audit.store import hold_entries, lost_entries, read_head, recorded
from vantixs_audit.tables import ENTRIES, SIGNALS
from vantixs_audit.views import summary

MOST_ENTRIES, MOST_LINKS = 1_000, 100


def get_signal(connection: sa.Connection, signal_id: str, now: datetime) -> audit_pb2.GetSignalResponse:
    """All about a signal; of its entries the first 1,000.

    Raises:
        ServiceError: NOT_FOUND.
    """
    hold_entries(connection)
    row = connection.execute(sa.select(SIGNALS).where(SIGNALS.c.signal_id == signal_id)).first()
    if row is None:
        raise not_found("signal", signal_id)
    query = sa.select(ENTRIES).where(ENTRIES.c.signal_id == signal_id).order_by(ENTRIES.c.sequence)
    timeline = in_order([recorded(entry) for entry in connection.execute(query.limit(MOST_ENTRIES))])
    signal, head = summary(row), read_head(connection)
    not_kept = lost_entries(head, row.number)
    response = audit_pb2.GetSignalResponse(
        signal=signal,
        timeline=timeline,
        links=_links(connection, signal_id, timeline),
        sentence=sentence_of(
            Told(
                row.outcome,
                row.action,
                row.instrument or row.symbol,
                row.stage,
                row.reason,
                row.detail,
                row.filled_quantity,
                row.average_price,
                signal.slippage_bps,
                row.replay_count,
                head.dropped_sequence if not_kept else 0,
            )
        ),
        entries_not_kept=not_kept,
    )
    response.since_last_step.FromTimedelta(max(now - row.update_time, timedelta()))
    return response


def in_order(entries: Sequence[audit_pb2.RecordedEntry]) -> list[audit_pb2.RecordedEntry]:
    """Entries by their times, none before its cause, whatever the clocks that wrote them said; equal ones as recorded."""
    known = {found.entry.event_id: found.entry for found in entries}
    at: dict[str, int] = {}
    for found in entries:
        chain = []
        event_id = found.entry.event_id
        while event_id in known and event_id not in at and event_id not in chain:  # A circle ends as well.
            chain.append(event_id)
            event_id = known[event_id].cause_event_id
        for event_id in reversed(chain):
            own = known[event_id]
            at[event_id] = max(own.event_time.ToNanoseconds(), at.get(own.cause_event_id, 0))
    return sorted(entries, key=lambda found: at[found.entry.event_id])


def _links(
    connection: sa.Connection, signal_id: str, timeline: Sequence[audit_pb2.RecordedEntry]
) -> audit_pb2.SignalLinks:
    replays: dict[str, None] = {}
    orders: dict[str, None] = {}
    fills: dict[str, None] = {}
    for found in timeline:
        match found.entry.WhichOneof("event"):
            case "replay_requested":
                replays[found.entry.replay_requested.replay_id] = None
            case "replay_finished":
                replays[found.entry.replay_finished.replay_id] = None
            case "order_submitted":
                orders[found.entry.order_submitted.order.order_id] = None
            case "order_updated":
                orders[found.entry.order_updated.order.order_id] = None
            case "fill_recorded":
                fills[found.entry.fill_recorded.fill.execution_id] = None
    return audit_pb2.SignalLinks(
        duplicate_signal_ids=_repeats_of(connection, signal_id),
        replay_ids=list(replays)[:MOST_LINKS],
        order_ids=list(orders)[:MOST_LINKS],
        execution_ids=list(fills)[:MOST_LINKS],
    )


def _repeats_of(connection: sa.Connection, signal_id: str) -> list[Any]:
    if not signal_id:
        return []
    # The second condition lets the index be used, which has only the rows that have one.
    first = SIGNALS.c.first_signal_id
    of_it = sa.and_(first == signal_id, first != "", SIGNALS.c.signal_id != signal_id)
    query = sa.select(SIGNALS.c.signal_id).where(of_it).order_by(SIGNALS.c.receive_time, SIGNALS.c.number)
    return list(connection.execute(query.limit(MOST_LINKS)).scalars())
