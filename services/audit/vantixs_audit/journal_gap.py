"""A journal that does not hold what history or another service has seen of it: found, described, accepted by an operator."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import grpc
import sqlalchemy as sa
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError
from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.ids import event_subject
from vantixs.runtime import trace
from vantixs.runtime.continuity import Mark, StreamFacts, gap_id
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError, invalid, unavailable
from vantixs.runtime.journal import TRANSIENT, Journal, Message
from vantixs.runtime.journal_stream import STREAM, earlier_stream
from vantixs.runtime.logs import log
from vantixs.runtime.outbox import Outbox

from vantixs_audit import store
from vantixs_audit.recorder import Recorder

MOST_SHOWN = 20
LONGEST_COMMENT = 500


async def compare_with_history(
    database: Database, adopt: Callable[[store.Head], None], js: JetStreamContext, facts: StreamFacts
) -> tuple[Mark, str]:
    """What history has seen, and what the stream lacks of what comes next or has other than the last that was recorded.

    `adopt` is given the head that was found: another process may have accepted a gap.

    Raises:
        ServiceError: history cannot be read.
    """
    while True:
        head = await database.read(store.read_head)
        adopt(head)
        missing = await _missing(js, head, facts)
        # The last recorded message stays only until the next one is recorded: it may have been purged since the head was read.
        if not missing or (await database.read(store.read_head)).mark == head.mark:
            return head.mark, missing


async def _missing(js: JetStreamContext, head: store.Head, facts: StreamFacts) -> str:
    recorded = head.mark.sequence
    if facts.first > recorded + 1 and not await _earlier_holds(js, recorded + 1, facts.first):
        return f"the journal begins at message {facts.first}, and history ends at {recorded}"
    if head.message_hash and facts.first <= recorded <= facts.last:
        try:
            message = await js.get_msg(STREAM, seq=recorded)
        except NotFoundError:
            return f"message {recorded}, the last in history, is missing in the journal"
        if hashlib.sha256(message.data or b"").digest() != head.message_hash:
            return f"message {recorded} is not the one in history"
    return ""


async def _earlier_holds(js: JetStreamContext, sequence: int, end: int) -> bool:
    """Whether the stream of an earlier version has the messages from a sequence up to where the new one begins."""
    earlier = await earlier_stream(js)
    return earlier is not None and earlier.state.first_seq <= sequence and earlier.state.last_seq + 1 == end


class JournalGaps:
    """What operators see of the journal, and the one thing they can do about what it lacks."""

    def __init__(self, database: Database, journal: Journal, outbox: Outbox, recorder: Recorder) -> None:
        self._database = database
        self._journal = journal
        self._outbox = outbox
        self._recorder = recorder

    async def show(self) -> audit_pb2.GetJournalResponse:
        """The journal, its gap, and the gaps accepted so far.

        Raises:
            ServiceError: UNAVAILABLE where the broker does not answer.
        """
        facts = await self._look()
        head = await self._database.read(store.read_head)
        journal = audit_pb2.Journal(
            stream_id=facts.stream,
            epoch=facts.epoch,
            first_sequence=facts.first,
            last_sequence=facts.last,
            recorded_sequence=head.mark.sequence,
            size_bytes=facts.size_bytes,
            limit_bytes=facts.limit_bytes,
            gap=await self._describe(facts) if self._journal.gap else None,
        )
        query = sa.select(store.ENTRIES).where(store.ENTRIES.c.kind == "journal_gap_accepted")
        query = query.order_by(store.ENTRIES.c.sequence.desc()).limit(MOST_SHOWN)
        rows = await self._database.read(lambda c: c.execute(query).all())
        return audit_pb2.GetJournalResponse(journal=journal, accepted_gaps=[store.recorded(row) for row in rows])

    async def accept(
        self, request: audit_pb2.AcceptJournalGapRequest, operator: str
    ) -> audit_pb2.AcceptJournalGapResponse:
        """Has everybody take the journal as it is. History reads all of it again: what it knows is passed over.

        Raises:
            ServiceError: FAILED_PRECONDITION where nothing is missing, ABORTED where it is another gap than the one named.
        """
        if len(request.comment) > LONGEST_COMMENT:
            raise invalid("comment", f"expected at most {LONGEST_COMMENT} characters, was {len(request.comment)}")
        facts = await self._look()
        if not self._journal.gap:
            raise ServiceError(grpc.StatusCode.FAILED_PRECONDITION, "JOURNAL_WHOLE", "the journal lacks nothing")
        gap = await self._describe(facts)
        if request.gap_id != gap.gap_id:
            detail = f"expected gap {gap.gap_id}, was {request.gap_id[:20]!r}: look at it again"
            raise ServiceError(grpc.StatusCode.ABORTED, "JOURNAL_GAP_CHANGED", detail)

        async def recorded(found: StreamFacts, epoch: int) -> None:
            earlier = await earlier_stream(self._journal.js)
            first = earlier.state.first_seq if earlier else found.first
            message = _message(gap, found, epoch, request.comment, operator)

            def write(connection: sa.Connection) -> store.Head:
                head = store.read_head(connection)._replace(
                    mark=Mark(epoch, found.stream, first - 1), message_hash=b"", missing_until=found.last
                )
                store.write_head(connection, head)
                self._outbox.put(connection, message)
                return head

            self._recorder.follow(await self._database.write(write))

        try:
            found = await self._journal.accept_gap(recorded)
        except TRANSIENT as error:
            raise unavailable("JOURNAL_UNAVAILABLE", "the broker does not answer") from error
        log.warning("journal.gap_accepted", gap_id=gap.gap_id, detail=gap.detail, operator=operator)
        self._outbox.wake()
        return audit_pb2.AcceptJournalGapResponse(gap=gap, epoch=found.epoch)

    async def _look(self) -> StreamFacts:
        try:
            return await self._journal.look()
        except TRANSIENT as error:
            raise unavailable("JOURNAL_UNAVAILABLE", "the broker does not answer") from error

    async def _describe(self, facts: StreamFacts) -> audit_pb2.JournalGap:
        detail = self._journal.gap
        seen = max([self._journal.mark.sequence, *(report.sequence for report in facts.reports)])

        def read(connection: sa.Connection) -> audit_pb2.JournalGap:
            recorded = store.read_head(connection).mark.sequence
            gap = audit_pb2.JournalGap(gap_id=gap_id(detail), detail=detail)
            if seen > recorded:
                gap.first_missing_sequence, gap.last_missing_sequence = recorded + 1, seen
            newest = sa.select(store.ENTRIES.c.event_time).order_by(store.ENTRIES.c.sequence.desc()).limit(1)
            if time := connection.execute(newest).scalar():
                gap.recorded_until_time.FromDatetime(time)
            open_signals = sa.select(sa.func.count()).where(store.SIGNALS.c.outcome == "ACCEPTED")
            gap.open_signals = connection.execute(open_signals).scalar() or 0
            return gap

        return await self._database.read(read)


def _message(gap: audit_pb2.JournalGap, facts: StreamFacts, epoch: int, comment: str, operator: str) -> Message:
    values: dict[str, Any] = {name.name: value for name, value in gap.ListFields()}
    event = journal_pb2.JournalGapAccepted(
        **values, comment=comment, epoch=epoch, journal_first_sequence=facts.first, journal_last_sequence=facts.last
    )
    event_id = f"journal-gap:{epoch}:{facts.stream}"
    entry = journal_pb2.JournalEntry(
        event_id=event_id, actor=operator, trace_parent=trace.current(), journal_gap_accepted=event
    )
    entry.event_time.FromDatetime(datetime.now(UTC))
    payload = journal_pb2.JournalBatch(entries=[entry]).SerializeToString()
    return Message(event_subject("configuration"), payload, event_id)
