"""Segments of history: what is recorded in a stretch of time, and goes as a whole. On PostgreSQL each is a partition.

The key of the partitions is the number of the segment and not a time: a segment is all that was recorded between two moments, so
what goes is always the beginning of history, however the clocks of those who wrote the entries were set. A segment begins in
the transaction that makes its partition, and whatever is recorded from then on is of it: no entry ever lacks one.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from vantixs_audit import store
from vantixs_audit.history_retention.configuration import keep
from vantixs_audit.tables import ENTRIES, SEGMENTS

# Who reads entries lets go of them within a page; recording waits as long as this does.
LOCK_WAIT_MS = 300
AT_ONCE = 2000


class Cut(NamedTuple):
    """Where history may be cut: entries up to `sequence`, all recorded by `time`, are of segments before `segment`.

    The first `signals` signals are those that had entries among them.
    """

    segment: int
    sequence: int
    signals: int
    time: datetime


def is_segment_due(connection: sa.Connection, now: datetime, length: timedelta) -> bool:
    """Whether the last segment began that long ago and has entries."""
    last = connection.execute(sa.select(SEGMENTS).order_by(SEGMENTS.c.number.desc()).limit(1)).first()
    if store.read_head(connection).sequence <= (last.after_sequence if last else 0):
        return False
    return last is None or now - last.begin_time >= length


def begin_segment(connection: sa.Connection, now: datetime, length: timedelta) -> bool:
    """Begins a segment where one is due; whether it did."""
    if not is_segment_due(connection, now, length):
        return False
    head = store.read_head(connection)
    number = head.segment + 1
    if connection.dialect.name == "postgresql":
        # A partition made by itself and attached leaves those alone who read and write the others.
        name = f"entries_{number}"
        keys = "PRIMARY KEY (sequence), UNIQUE (event_id)"
        connection.exec_driver_sql(f"CREATE TABLE {name} (LIKE entries INCLUDING DEFAULTS, {keys})")
        connection.exec_driver_sql(f"CREATE INDEX {name}_signal_id_idx ON {name} (signal_id)")
        connection.exec_driver_sql(f"ALTER TABLE entries ATTACH PARTITION {name} FOR VALUES IN ({number})")
    begun = {
        "number": number,
        "after_sequence": head.sequence,
        "after_signals": head.signals,
        "begin_time": now,
    }
    connection.execute(sa.insert(SEGMENTS).values(begun))
    store.write_head(connection, head._replace(segment=number))
    return True


def next_cut(connection: sa.Connection, head: store.Head) -> Cut | None:
    """The oldest place to cut at that has kept entries before it; None where there is none."""
    query = sa.select(SEGMENTS).where(SEGMENTS.c.after_sequence > head.dropped_sequence)
    row = connection.execute(query.order_by(SEGMENTS.c.number).limit(1)).first()
    return None if row is None else Cut(row.number, row.after_sequence, row.after_signals, row.begin_time)


def cut_history(connection: sa.Connection, cut: Cut, configuration: Mapping[str, int]) -> bool:
    """Has history begin after the cut; its partitions go with that. False where somebody reads them for too long, or the last
    entry is not there.

    `configuration` has the sequence of the last change of each configuration up to the cut, by its name: those stay.

    On SQLite the entries are no part of history any more, and are removed by `remove_rest`.
    """
    head = store.read_head(connection)
    last = sa.select(ENTRIES.c.hash).where(ENTRIES.c.sequence == cut.sequence)
    chained = connection.execute(last).scalar()
    if chained is None:
        return False
    partitioned = connection.dialect.name == "postgresql"
    try:
        with connection.begin_nested():
            keep(connection, configuration, head.dropped_sequence)
            if partitioned:
                _drop_partitions(connection, cut)
    except OperationalError:
        if partitioned:
            return False
        raise
    connection.execute(sa.delete(SEGMENTS).where(SEGMENTS.c.number < cut.segment))
    dropped = {"dropped_sequence": cut.sequence, "dropped_signals": cut.signals, "dropped_hash": chained}
    store.write_head(connection, head._replace(**dropped))
    return True


def remove_rest(connection: sa.Connection) -> int:
    """Removes entries that are no part of history any more, at most 2,000; how many those were."""
    beyond = ENTRIES.c.sequence <= store.read_head(connection).dropped_sequence
    some = sa.select(ENTRIES.c.sequence).where(beyond).order_by(ENTRIES.c.sequence).limit(AT_ONCE)
    sequences = list(connection.execute(some).scalars())
    if sequences:
        connection.execute(sa.delete(ENTRIES).where(ENTRIES.c.sequence <= sequences[-1]))
    return len(sequences)


def has_rest(connection: sa.Connection) -> bool:
    """Whether there are entries that are no part of history any more."""
    beyond = ENTRIES.c.sequence <= store.read_head(connection).dropped_sequence
    return connection.execute(sa.select(ENTRIES.c.sequence).where(beyond).limit(1)).first() is not None


def _drop_partitions(connection: sa.Connection, cut: Cut) -> None:
    # An audit of a version before segments may record for a while during a rolling upgrade, all of it into the first one.
    later = sa.and_(ENTRIES.c.segment < cut.segment, ENTRIES.c.sequence > cut.sequence)
    connection.execute(sa.update(ENTRIES).where(later).values(segment=cut.segment))
    with _waiting_briefly(connection):
        for name in _partitions_before(connection, cut.segment):
            connection.exec_driver_sql(f"DROP TABLE {name}")


def _partitions_before(connection: sa.Connection, segment: int) -> list[str]:
    query = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'entries'::regclass"
    names = connection.exec_driver_sql(query).scalars().all()
    return [name for name in names if int(name.rpartition("_")[2]) < segment]


@contextmanager
def _waiting_briefly(connection: sa.Connection) -> Iterator[None]:
    """Waits for a lock for a moment only; other units of the transaction wait as long as before."""
    before = connection.exec_driver_sql("SELECT current_setting('lock_timeout')").scalar_one()
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = {LOCK_WAIT_MS}")
    yield
    connection.execute(sa.text("SELECT set_config('lock_timeout', :before, true)"), {"before": before})
