"""Purges the journal and sets its size limit. Only audit's writer does either.

A message may be purged if history has it, every lane has passed it (the router is asked), and it is older than
`journal_keep_hours` or the journal is larger than `journal_keep_bytes`. The last recorded message always stays, because the
next start compares history with it. If the journal is nearly full, entries that no service acts on are purged as soon as
history has them. Otherwise a signal whose entries find no room could not end, and everything behind it would stay.
"""

import asyncio
import contextlib
import time
from datetime import UTC, datetime

import grpc
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError
from prometheus_client import Gauge
from vantixs.api.router.v1 import router_pb2, router_pb2_grpc
from vantixs.model.ids import LANES, event_subject
from vantixs.runtime.continuity import StreamFacts, difference, facts_of
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.journal import TRANSIENT, Journal
from vantixs.runtime.journal_stream import EARLIER_STREAM, STREAM, earlier_stream, set_limit
from vantixs.runtime.logs import log

from vantixs_audit import store
from vantixs_audit.settings import AuditSettings

EVERY_S, EVERY_WHEN_FULL_S = 5.0, 0.2
PRESSED_RATIO = 0.9
TIMEOUT_S = 5.0
SIZE = Gauge("vantixs_journal_bytes", "bytes the journal holds")
LIMIT = Gauge("vantixs_journal_limit_bytes", "most bytes the journal may hold")
USED = Gauge("vantixs_journal_used_ratio", "how full the journal is, from 0 to 1; at 0.9 entries are refused")
OLDEST = Gauge("vantixs_journal_oldest_age_seconds", "age of the oldest message in the journal")


class Retention:
    """Keeps the journal within its limits."""

    def __init__(
        self,
        database: Database,
        journal: Journal,
        settings: AuditSettings,
        router: "router_pb2_grpc.RouterServiceAsyncStub",
    ) -> None:
        self._router = router
        self._database = database
        self._journal = journal
        self._settings = settings

    async def run(self, stopping: asyncio.Event) -> None:
        """Looks every few seconds until stopped."""
        await self._journal.connected()
        while not stopping.is_set():
            pressed = False
            try:
                pressed = await self.apply(time.time())
            except (*TRANSIENT, ServiceError, grpc.aio.AioRpcError) as error:
                log.debug("journal.not_kept", error=repr(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), EVERY_WHEN_FULL_S if pressed else EVERY_S)

    async def apply(self, now_s: float) -> bool:
        """Sets the limit and purges; `now_s` is in seconds since 1970. Returns whether the journal is nearly full.

        Raises:
            nats.errors.Error: the broker does not answer.
            ServiceError: history cannot be read.
            grpc.aio.AioRpcError: the router does not answer.
        """
        js = self._journal.js
        mark = (await self._database.read(store.read_head)).mark
        facts = await self._set_limit(js)
        SIZE.set(facts.size_bytes)
        LIMIT.set(facts.limit_bytes)
        USED.set(facts.used_ratio)
        if facts.messages:
            OLDEST.set(max(0.0, now_s - await _time_of(js, facts.first)))
        pressed = facts.used_ratio >= PRESSED_RATIO
        # A stream that was replaced has other messages at the recorded sequences. The journal itself finds that out only
        # once a second.
        if not self._journal.is_whole.is_set() or facts.epoch != mark.epoch or difference(mark, facts):
            return pressed
        recorded = mark.sequence
        if pressed and recorded > facts.first:
            await js.purge_stream(STREAM, seq=recorded, subject=event_subject(">"))
        passed = await self._passed(facts.epoch)
        if self._journal.earlier and await _remove_earlier(js, min(recorded, passed)):
            self._journal.earlier = False
        most = min(recorded, passed)
        first = await self._first_to_keep(js, facts, most, now_s)
        if first > facts.first:
            await js.purge_stream(STREAM, seq=first)
            log.info("journal.purged", first=facts.first, last=first - 1)
        return pressed

    async def _passed(self, epoch: int) -> int:
        """The sequence that every lane has passed; 0 if a lane never ran, or counts in another stream."""
        answer = await self._router.ListLanes(router_pb2.ListLanesRequest(), timeout=TIMEOUT_S)
        if len(answer.lanes) < LANES or answer.journal_epoch != epoch:
            return 0
        return min(lane.cursor for lane in answer.lanes)

    async def _set_limit(self, js: JetStreamContext) -> StreamFacts:
        info = await js.stream_info(STREAM)
        wanted = self._settings.journal_max_bytes
        if wanted and info.config.max_bytes != wanted:
            log.info("journal.limit_set", before=info.config.max_bytes, after=wanted)
            await set_limit(js, info, wanted)
            info = await js.stream_info(STREAM)
        return facts_of(info)

    async def _first_to_keep(self, js: JetStreamContext, facts: StreamFacts, most: int, now_s: float) -> int:
        """The first sequence that stays, at most `most`."""
        if most <= facts.first:
            return facts.first
        first = await first_since(js, facts.first, most, now_s - self._settings.journal_keep_hours * 3600)
        keep = self._settings.journal_keep_bytes or facts.limit_bytes // 2
        if facts.size_bytes > keep:
            average = facts.size_bytes / facts.messages
            first = max(first, facts.first + int((facts.size_bytes - keep) / average) + 1)
        return min(first, most)


async def first_since(js: JetStreamContext, first: int, last: int, since_s: float) -> int:
    """The first sequence from `first` to `last` that was stored at or after a time; `last` if there is none."""
    while first < last:
        middle = (first + last) // 2
        if await _time_of(js, middle) < since_s:
            first = middle + 1
        else:
            last = middle
    return first


async def oldest_time(journal: Journal) -> datetime | None:
    """When the oldest message in the journal was stored, now where it is empty; None where that is not known.

    Raises:
        nats.errors.Error: the broker does not answer.
    """
    facts = facts_of(await journal.js.stream_info(STREAM))
    if not facts.messages:
        return datetime.now(UTC)
    stored_s = await _time_of(journal.js, facts.first)
    return datetime.fromtimestamp(stored_s, UTC) if stored_s and not journal.earlier else None


async def _time_of(js: JetStreamContext, sequence: int) -> float:
    """When a message was stored; 0 if it is missing."""
    try:
        stored = (await js.get_msg(STREAM, seq=sequence)).time
    except NotFoundError:
        return 0.0
    return stored.timestamp() if stored else 0.0


async def _remove_earlier(js: JetStreamContext, most: int) -> bool:
    """Removes the stream of an earlier version once history and every lane have passed it; returns whether it is gone."""
    earlier = await earlier_stream(js)
    if earlier is None:
        return True
    last = earlier.state.last_seq
    if most < last:
        return False
    await js.delete_stream(EARLIER_STREAM)
    log.info("journal.earlier_removed", last=last)
    return True
