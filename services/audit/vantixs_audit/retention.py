"""What of the journal may go, and how much it may hold. Audit's writer, and nobody else, purges it and changes its limit.

A message may go once history has it and every lane of the router is past it, and it is older than `journal_keep_hours` or
the journal is larger than `journal_keep_bytes`. The last message recorded always stays: the next start is held against it.
"""

import asyncio
import contextlib
import time

from nats.js import JetStreamContext
from nats.js.api import ConsumerInfo
from nats.js.errors import NotFoundError
from prometheus_client import Gauge
from vantixs.model.ids import LANES
from vantixs.runtime.continuity import StreamFacts, facts_of
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.journal import TRANSIENT, Journal
from vantixs.runtime.journal_stream import EARLIER_STREAM, STREAM, earlier_stream, set_limit
from vantixs.runtime.logs import log

from vantixs_audit import store
from vantixs_audit.settings import AuditSettings

EVERY_S = 5.0
LANE = "router-lane-"
PAGE = 256
SIZE = Gauge("vantixs_journal_bytes", "bytes the journal holds")
LIMIT = Gauge("vantixs_journal_limit_bytes", "most bytes the journal may hold")
USED = Gauge("vantixs_journal_used_ratio", "how full the journal is, from 0 to 1; at 0.9 entries are refused")
OLDEST = Gauge("vantixs_journal_oldest_age_seconds", "age of the oldest message in the journal")


class Retention:
    """Keeps the journal within its bounds."""

    def __init__(self, database: Database, journal: Journal, settings: AuditSettings) -> None:
        self._database = database
        self._journal = journal
        self._settings = settings

    async def run(self, stopping: asyncio.Event) -> None:
        """Looks every few seconds until stopped."""
        await self._journal.connected()
        while not stopping.is_set():
            try:
                await self.apply(time.time())
            except (*TRANSIENT, ServiceError) as error:
                log.debug("journal.not_kept", error=repr(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), EVERY_S)

    async def apply(self, now_s: float) -> None:
        """Sets the limit and removes what may go; `now_s` is seconds since 1970.

        Raises:
            nats.errors.Error: the broker does not answer.
            ServiceError: history cannot be read.
        """
        js = self._journal.js
        facts = await self._set_limit(js)
        SIZE.set(facts.size_bytes)
        LIMIT.set(facts.limit_bytes)
        USED.set(facts.used_ratio)
        if facts.messages:
            OLDEST.set(max(0.0, now_s - await _time_of(js, facts.first)))
        if self._journal.gap:
            return
        recorded = (await self._database.read(store.read_head)).mark.sequence
        if self._journal.earlier and await _remove_earlier(js, recorded):
            self._journal.earlier = False
        most = min(recorded, await passed_by_lanes(js, STREAM, facts.last))
        first = await self._first_to_keep(js, facts, most, now_s)
        if first > facts.first:
            await js.purge_stream(STREAM, seq=first)
            log.info("journal.purged", first=facts.first, last=first - 1)

    async def _set_limit(self, js: JetStreamContext) -> StreamFacts:
        info = await js.stream_info(STREAM)
        wanted = self._settings.journal_max_bytes
        if wanted and info.config.max_bytes != wanted:
            log.info("journal.limit_set", before=info.config.max_bytes, after=wanted)
            await set_limit(js, info, wanted)
            info = await js.stream_info(STREAM)
        return facts_of(info)

    async def _first_to_keep(self, js: JetStreamContext, facts: StreamFacts, most: int, now_s: float) -> int:
        """First sequence that stays; at most `most`, which stays itself."""
        if most <= facts.first:
            return facts.first
        first = await first_since(js, facts.first, most, now_s - self._settings.journal_keep_hours * 3600)
        keep = self._settings.journal_keep_bytes or facts.limit_bytes // 2
        if facts.size_bytes > keep:
            average = facts.size_bytes / facts.messages
            first = max(first, facts.first + int((facts.size_bytes - keep) / average) + 1)
        return min(first, most)


async def passed_by_lanes(js: JetStreamContext, stream: str, last: int) -> int:
    """The sequence up to which every lane's work is done; `last` is the stream's last one, read before.

    A lane that has nothing to do is past everything. One that nobody ever read holds everything.
    """
    lanes: list[ConsumerInfo] = []
    offset = 0
    while page := await js.consumers_info(stream, offset=offset):
        lanes += [info for info in page if info.name.startswith(LANE)]
        offset += PAGE
        if len(page) < PAGE:
            break
    if len(lanes) < LANES:
        return 0
    return min(_passed(lane, last) for lane in lanes)


def _passed(lane: ConsumerInfo, last: int) -> int:
    if not lane.num_pending and not lane.num_ack_pending:
        return last
    return lane.ack_floor.stream_seq if lane.ack_floor else 0


async def first_since(js: JetStreamContext, first: int, last: int, since_s: float) -> int:
    """The first sequence from `first` to `last` that was stored at or after a time, `last` where none was."""
    while first < last:
        middle = (first + last) // 2
        if await _time_of(js, middle) < since_s:
            first = middle + 1
        else:
            last = middle
    return first


async def _time_of(js: JetStreamContext, sequence: int) -> float:
    """When a message was stored, 0 where it is missing."""
    try:
        stored = (await js.get_msg(STREAM, seq=sequence)).time
    except NotFoundError:
        return 0.0
    return stored.timestamp() if stored else 0.0


async def _remove_earlier(js: JetStreamContext, recorded: int) -> bool:
    """Removes the stream of an earlier version once history and every lane have all of it; whether it is gone."""
    earlier = await earlier_stream(js)
    if earlier is None:
        return True
    last = earlier.state.last_seq
    if min(recorded, await passed_by_lanes(js, EARLIER_STREAM, last)) < last:
        return False
    await js.delete_stream(EARLIER_STREAM)
    log.info("journal.earlier_removed", last=last)
    return True
