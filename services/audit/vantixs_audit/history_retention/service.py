"""Keeps so many days of history's entries, a segment at a time. The writer's work.

A segment goes once it is old enough, its signals have ended, no replay needs them, the journal does not have its entries any
more (who accepts a gap has all of the journal read again, and what history knows is passed over) and a signed checkpoint covers
it, which the witness has. Then, each step stored before the next: its leaf hashes; an entry that says what goes; that entry
signed; the cut. Whatever is broken off goes on from what is stored.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial

import grpc
import sqlalchemy as sa
from prometheus_client import Gauge
from vantixs.api.journal.v1 import journal_pb2
from vantixs.proof.note import Key
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.journal import TRANSIENT
from vantixs.runtime.logs import log
from vantixs.runtime.outbox import Outbox

from vantixs_audit import store
from vantixs_audit.history_retention import announcement
from vantixs_audit.history_retention.configuration import is_listed, listed
from vantixs_audit.history_retention.leaving import Leaving, NotAsSigned, keep_leaves, needed_by
from vantixs_audit.history_retention.segments import (
    Cut,
    begin_segment,
    cut_history,
    has_rest,
    is_segment_due,
    next_cut,
    remove_rest,
)
from vantixs_audit.proof.witness import NotContinued, Witness

EVERY_S, SOON_S = 5.0, 0.05
# A segment covers this part of the time kept: fewer would keep entries for longer than asked, more make each look-up dearer.
PARTS = 8
SHORTEST = timedelta(hours=1)
# What the clocks of the broker and of audit may differ.
CLOCKS = timedelta(minutes=5)
FIRST = Gauge("vantixs_audit_first_sequence", "first entry of history that is kept")
OVERDUE = Gauge(
    "vantixs_audit_history_overdue_seconds", "for how long entries were to go and did not; 0 where none are"
)
# When the oldest message in the journal was stored; None where that is not known.
OldestInJournal = Callable[[], Awaitable[datetime | None]]


class HistoryRetention:
    """Removes entries that are older than `keep`; zero keeps all."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        witness: Witness,
        key: Key,
        oldest_in_journal: OldestInJournal,
        keep: timedelta,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._witness = witness
        self._key = key
        self._oldest_in_journal = oldest_in_journal
        self._keep = keep
        self._ready: tuple[Cut, Leaving] | None = None
        self._told = ""

    async def run(self, stopping: asyncio.Event) -> None:
        """Looks every few seconds until stopped."""
        self._ready = None
        while not stopping.is_set():
            more = False
            try:
                more = await self.apply(datetime.now(UTC))
            except (*TRANSIENT, ServiceError, grpc.aio.AioRpcError, OSError) as error:
                log.debug("history.not_dropped", error=repr(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), SOON_S if more else EVERY_S)

    async def apply(self, now: datetime) -> bool:
        """Does the next step; whether there is another one at once.

        Raises:
            ServiceError: the database does not answer.
            nats.errors.Error: the broker does not answer.
            OSError: the witness cannot be read.
        """
        if self._keep:
            length = max(self._keep / PARTS, SHORTEST)
            if await self._database.read(lambda c: is_segment_due(c, now, length)):
                await self._database.write(lambda c: begin_segment(c, now, length))
        if await self._database.read(has_rest):
            return await self._database.write(remove_rest) > 0
        head, cut, told = await self._database.read(_next)
        FIRST.set(head.dropped_sequence + 1)
        due = cut.time + self._keep if cut and self._keep else now
        if cut is None or (told is None and (not self._keep or due > now)):
            OVERDUE.set(0)
            return False
        OVERDUE.set(max((now - due).total_seconds(), 0))
        held = await self._held(cut, announced=told is not None)
        if not held:
            try:
                leaving = await self._leaves(cut)
            except NotAsSigned as error:
                held = f"{error}; see `vantixs audit verify`"
        if held:
            self._tell(held, cut)
            return False
        if told is None:
            await self._announce(head, cut, leaving, now)
            return False
        sequence, said = told
        if not _says(said, leaving) or not self._is_witnessed(sequence):
            self._tell("the entry that says so is not signed yet, or says something else", cut)
            return False
        return await self._cut(cut, leaving)

    async def _held(self, cut: Cut, *, announced: bool) -> str:
        """Why the entries stay, empty where nothing holds them."""
        if needed := await self._database.read(lambda c: needed_by(c, cut)):
            return needed
        if announced:
            return ""
        oldest = await self._oldest_in_journal()
        if oldest is None or oldest <= cut.time + CLOCKS:
            return "the journal may still have some of them"
        return "" if self._is_witnessed(cut.sequence) else "no checkpoint that the witness has covers them"

    def _is_witnessed(self, sequence: int) -> bool:
        try:
            seen = self._witness.last()
        except NotContinued:
            return False
        return seen is not None and seen.size >= sequence

    async def _leaves(self, cut: Cut) -> Leaving:
        """What is known of the entries up to the cut; raises as `keep_leaves`."""
        if self._ready is None or self._ready[0] != cut:
            self._ready = cut, await keep_leaves(self._database, cut, self._key)
        return self._ready[1]

    async def _announce(self, head: store.Head, cut: Cut, leaving: Leaving, now: datetime) -> None:
        event = journal_pb2.HistoryDropped(
            first_sequence=head.dropped_sequence + 1,
            last_sequence=cut.sequence,
            root=leaving.root,
            signals=cut.signals,
            keep_days=self._keep / timedelta(days=1),
            kept_configuration=listed(leaving.configuration),
        )
        event.until_time.FromDatetime(cut.time)
        message = announcement.message_of(event, now)
        await self._database.write(lambda c: self._outbox.put(c, message))
        self._outbox.wake()

    async def _cut(self, cut: Cut, leaving: Leaving) -> bool:
        unit = partial(_cut_unless_needed, cut=cut, configuration=leaving.configuration)
        if not await self._database.write(unit):
            self._tell("somebody needs or reads them at the moment", cut)
            return False
        self._ready, self._told = None, ""
        log.info("history.dropped", last_sequence=cut.sequence, signals=cut.signals)
        return True

    def _tell(self, held: str, cut: Cut) -> None:
        if held != self._told:
            log.info("history.kept_longer", last_sequence=cut.sequence, detail=held)
        self._told = held


def _next(connection: sa.Connection) -> tuple[store.Head, Cut | None, tuple[int, journal_pb2.HistoryDropped] | None]:
    """Where history is, the next place to cut at, and the entry that says so."""
    head = store.read_head(connection)
    cut = next_cut(connection, head)
    return head, cut, announcement.find(connection, cut.sequence) if cut else None


def _says(said: journal_pb2.HistoryDropped, leaving: Leaving) -> bool:
    """Whether the entry says what goes and what stays; a version before listed nothing of what stays."""
    if is_listed(said) and said.kept_configuration != listed(leaving.configuration):
        return False
    return said.root == leaving.root


def _cut_unless_needed(connection: sa.Connection, cut: Cut, configuration: Mapping[str, int]) -> bool:
    """Whether the cut was made; another process may have made it."""
    if store.read_head(connection).dropped_sequence >= cut.sequence:
        return True
    return not needed_by(connection, cut) and cut_history(connection, cut, configuration)
