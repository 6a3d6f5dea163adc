"""Watching signals: what changed since a sequence, then changes as they are recorded, with none missed in between."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import grpc
from vantixs.api.audit.v1 import audit_pb2
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError, invalid

from vantixs_audit import store
from vantixs_audit.domain.filter_expression import Expression
from vantixs_audit.recorder import AT_ONCE, Begin, Watchers
from vantixs_audit.signal_filter import expression_of, holds, row_of_message

MOST_HEARTBEAT_S = 300


async def watch_signals(
    database: Database,
    watchers: Watchers,
    request: audit_pb2.WatchSignalsRequest,
    begun: Callable[[], Awaitable[None]],
) -> AsyncIterator[audit_pb2.WatchSignalsResponse]:
    """Changes of the signals that the filter means; `begun` is called once none is missed any more.

    Raises:
        ServiceError: INVALID_ARGUMENT where the filter is none, or history is not as far as `after_sequence`;
            FAILED_PRECONDITION ENTRIES_NOT_KEPT where entries after it are no longer kept; or as `Watchers.watch`.
    """
    if not 0 <= request.heartbeat_s <= MOST_HEARTBEAT_S:
        raise invalid("heartbeat_s", f"expected 0 to {MOST_HEARTBEAT_S}, was {request.heartbeat_s}")
    head = await database.read(store.read_head)
    position = request.after_sequence
    if not 0 <= position <= head.sequence:
        raise invalid("after_sequence", f"expected 0 to {head.sequence}, where history ends, was {position}")
    if 0 < position < head.dropped_sequence:
        detail = f"expected after_sequence {head.dropped_sequence} or more, was {position}: entries before are no longer kept"
        raise ServiceError(grpc.StatusCode.FAILED_PRECONDITION, "ENTRIES_NOT_KEPT", detail)
    expression, time = expression_of(request.filter), asyncio.get_running_loop().time
    watchers.check_room()
    resumed = position > 0
    if resumed:
        await begun()

    # Who was away for long reads most of it before changes are kept for them: those would be too many by then.
    sent_at = time()
    while resumed and head.sequence - position > AT_ONCE:
        position, missed = await _page(database, expression, position)
        for signal in missed:
            yield audit_pb2.WatchSignalsResponse(signal=signal, sequence=signal.sequence)
            sent_at = time()
        if request.heartbeat_s and time() - sent_at >= request.heartbeat_s:
            yield audit_pb2.WatchSignalsResponse(sequence=position)
            sent_at = time()
        head = await database.read(store.read_head)

    async def begin() -> Begin:
        if not resumed:
            now: store.Head = await database.read(store.read_head)
            await begun()
            return Begin([], now.sequence)
        missed: list[audit_pb2.SignalSummary] = []
        end = position
        while True:
            before = end
            end, page = await _page(database, expression, end)
            missed += page
            if end == before:
                return Begin(missed, end)

    changes = watchers.watch(begin, request.filter, request.heartbeat_s)
    async with contextlib.aclosing(changes):  # type: ignore[type-var]
        async for change in changes:
            yield audit_pb2.WatchSignalsResponse(signal=change.signal, sequence=change.sequence)


async def _page(database: Database, expression: Expression, after: int) -> tuple[int, list[audit_pb2.SignalSummary]]:
    """What changed after a sequence of the signals that are meant, and up to where that is."""
    end, changed = await database.read(lambda c: store.changed_since(c, after, AT_ONCE))
    return end, [signal for signal in changed if holds(expression, row_of_message(signal))]
