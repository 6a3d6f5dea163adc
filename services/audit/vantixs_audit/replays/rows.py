"""Replays and their signals in the database."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.runtime.errors import invalid, not_found
from vantixs.runtime.paging import decode_number, encode_token
from vantixs.runtime.statements import insert_ignore

from vantixs_audit.signal_filter import condition_of
from vantixs_audit.store import lost_entries, not_kept, read_head
from vantixs_audit.tables import ENTRIES, REPLAY_SIGNALS, REPLAYS, SIGNALS

MOST_RESULTS = 1000
# A page of results is as large as a response may well be, however many differences each of them has.
MOST_RESULT_BYTES = 1 << 20
# What the signal was accepted as, and what VERIFY reads of what became of it.
ACCEPTED_KINDS = ("signal_accepted", "duplicate_suppressed")
DECIDED_KINDS = ("order_evaluated", "order_updated", "signal_completed")
MOST_ENTRIES = 1000


def insert(connection: sa.Connection, replay: audit_pb2.Replay, request_id: str, signal_ids: Sequence[str]) -> None:
    """A new replay, unless the request made one before."""
    values: dict[str, Any] = {
        "replay_id": replay.replay_id,
        "request_id": request_id,
        "state": audit_pb2.ReplayState.Name(replay.state),
        "signal_ids": "[]",
        "data": replay.SerializeToString(),
    }
    if insert_ignore(REPLAYS, connection, values):
        rows = [
            {"replay_id": replay.replay_id, "place": place, "signal_id": signal_id, "data": None}
            for place, signal_id in enumerate(signal_ids)
        ]
        if rows:
            connection.execute(sa.insert(REPLAY_SIGNALS), rows)


def of_request(connection: sa.Connection, request_id: str) -> audit_pb2.Replay | None:
    """The replay that a request made."""
    data = connection.execute(sa.select(REPLAYS.c.data).where(REPLAYS.c.request_id == request_id)).scalar()
    return None if data is None else audit_pb2.Replay.FromString(data)


def read(connection: sa.Connection, replay_id: str, *, lock: bool = False) -> audit_pb2.Replay:
    """A replay as far as it is, without results of signals that have rows; NOT_FOUND where there is none."""
    query = sa.select(REPLAYS.c.data).where(REPLAYS.c.replay_id == replay_id)
    data = connection.execute(query.with_for_update() if lock else query).scalar()
    if data is None:
        raise not_found("replay", replay_id)
    return audit_pb2.Replay.FromString(data)


def update(connection: sa.Connection, replay: audit_pb2.Replay) -> None:
    """How far a replay is."""
    state, data = audit_pb2.ReplayState.Name(replay.state), replay.SerializeToString()
    connection.execute(sa.update(REPLAYS).where(REPLAYS.c.replay_id == replay.replay_id).values(state=state, data=data))


def set_result(connection: sa.Connection, replay_id: str, place: int, result: audit_pb2.ReplayResult) -> None:
    """What came of a replay's signal."""
    key = (REPLAY_SIGNALS.c.replay_id == replay_id, REPLAY_SIGNALS.c.place == place)
    connection.execute(sa.update(REPLAY_SIGNALS).where(*key).values(data=result.SerializeToString()))


def page_of_results(
    connection: sa.Connection, request: audit_pb2.GetReplayRequest
) -> tuple[list[audit_pb2.ReplayResult], str]:
    """Results in the order of the signals, and the token of the next page; empty at the end of those there are."""
    if request.page_size < 0:
        raise invalid("page_size", f"expected 0 to {MOST_RESULTS}, was {request.page_size}")
    most, after = min(request.page_size or MOST_RESULTS, MOST_RESULTS), -1
    if request.page_token:
        after = decode_number(request.page_token)
    query = (
        sa.select(REPLAY_SIGNALS.c.place, REPLAY_SIGNALS.c.data)
        .where(REPLAY_SIGNALS.c.replay_id == request.replay_id, REPLAY_SIGNALS.c.place > after)
        .where(REPLAY_SIGNALS.c.data.is_not(None))
        .order_by(REPLAY_SIGNALS.c.place)
        .limit(most + 1)
    )
    rows = connection.execute(query).all()
    results: list[audit_pb2.ReplayResult] = []
    size = 0
    for row in rows[:most]:
        size += len(row.data)
        if results and size > MOST_RESULT_BYTES:
            break
        results.append(audit_pb2.ReplayResult.FromString(row.data))
    more = len(results) < len(rows)
    return results, encode_token(rows[len(results) - 1].place) if more else ""


def running(connection: sa.Connection) -> list[audit_pb2.Replay]:
    """Replays that run, oldest first."""
    state = audit_pb2.ReplayState.Name(audit_pb2.REPLAY_STATE_RUNNING)
    query = sa.select(REPLAYS.c.data).where(REPLAYS.c.state == state).order_by(REPLAYS.c.number)
    return [audit_pb2.Replay.FromString(data) for data in connection.execute(query).scalars()]


def signal_at(connection: sa.Connection, replay_id: str, place: int) -> Any:
    """The signal at a place of a replay with its row of `SIGNALS`; None beyond the last."""
    query = (
        sa.select(REPLAY_SIGNALS.c.signal_id, SIGNALS)
        .join_from(REPLAY_SIGNALS, SIGNALS, SIGNALS.c.signal_id == REPLAY_SIGNALS.c.signal_id)
        .where(REPLAY_SIGNALS.c.replay_id == replay_id, REPLAY_SIGNALS.c.place == place)
    )
    return connection.execute(query).first()


def by_ids(connection: sa.Connection, signal_ids: Iterable[str]) -> list[str]:
    """The ids, each once, in the order the signals came.

    Raises:
        ServiceError: NOT_FOUND for one that is not in history; FAILED_PRECONDITION ENTRIES_NOT_KEPT for one that lost entries.
    """
    head = read_head(connection)
    wanted = list(dict.fromkeys(signal_ids))
    numbers: dict[str, int] = {}
    for first in range(0, len(wanted), 500):
        some = wanted[first : first + 500]
        query = sa.select(SIGNALS.c.signal_id, SIGNALS.c.number).where(SIGNALS.c.signal_id.in_(some))
        numbers |= {row.signal_id: row.number for row in connection.execute(query)}
    for signal_id in wanted:
        if signal_id not in numbers:
            raise not_found("signal", signal_id)
        if lost_entries(head, numbers[signal_id]):
            raise not_kept(signal_id)
    return sorted(wanted, key=lambda signal_id: numbers[signal_id])


def by_filter(connection: sa.Connection, filter_: audit_pb2.SignalFilter, most: int) -> list[str]:
    """The signals that a filter means in the order they came, at most one more than `most`; none that lost entries."""
    query = sa.select(SIGNALS.c.signal_id).where(_meant(connection, filter_)).order_by(SIGNALS.c.number).limit(most + 1)
    return list(connection.execute(query).scalars())


def count_filter(connection: sa.Connection, filter_: audit_pb2.SignalFilter) -> int:
    """How many signals a filter means; none that lost entries."""
    query = sa.select(sa.func.count()).select_from(SIGNALS).where(_meant(connection, filter_))
    return connection.execute(query).scalar() or 0


def _meant(connection: sa.Connection, filter_: audit_pb2.SignalFilter) -> Any:
    return sa.and_(condition_of(filter_), SIGNALS.c.number > read_head(connection).dropped_signals)


def by_replay(connection: sa.Connection, replay_id: str, *, different_only: bool) -> list[str]:
    """The signals of a replay in their order."""
    query = sa.select(REPLAY_SIGNALS.c.signal_id, REPLAY_SIGNALS.c.data).where(REPLAY_SIGNALS.c.replay_id == replay_id)
    rows = connection.execute(query.order_by(REPLAY_SIGNALS.c.place)).all()
    return [row.signal_id for row in rows if not different_only or _differs(row.data)]


def _differs(data: bytes | None) -> bool:
    return data is not None and bool(audit_pb2.ReplayResult.FromString(data).differences)


def entries_of(connection: sa.Connection, signal_id: str, kinds: Sequence[str]) -> list[journal_pb2.JournalEntry]:
    """The signal's first entries of these kinds, in order."""
    query = sa.select(ENTRIES.c.data).where(ENTRIES.c.signal_id == signal_id, ENTRIES.c.kind.in_(kinds))
    found = connection.execute(query.order_by(ENTRIES.c.sequence).limit(MOST_ENTRIES)).scalars()
    return [journal_pb2.JournalEntry.FromString(data) for data in found]


def accepted(connection: sa.Connection, signal_id: str) -> journal_pb2.SignalAccepted | None:
    """What a replay runs: the signal as accepted, or the repeat as it would have been; None where there is neither."""
    for entry in entries_of(connection, signal_id, ACCEPTED_KINDS):
        if entry.HasField("signal_accepted"):
            return entry.signal_accepted
        repeat = entry.duplicate_suppressed
        if repeat.first_signal_id != signal_id and repeat.HasField("signal"):
            return journal_pb2.SignalAccepted(signal=repeat.signal, request=repeat.request, webhook=repeat.webhook)
    return None
