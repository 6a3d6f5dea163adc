"""Publishes the spool to the journal, in order. Messages that a crash left behind have the lowest numbers and go first."""

import asyncio
import contextlib

from prometheus_client import Gauge
from vantixs.runtime.continuity import StreamFacts
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.health import Health
from vantixs.runtime.journal import TRANSIENT, Journal, Message

from vantixs_ingress.spool.spool import Spool

BATCH = 500
# A batch costs the broker four fsyncs and 2 ms, whatever its size. Under load a short wait turns five batches into one: a
# message costs 44 us in a batch of 64, 18 us in one of 200, and 13 us in one of 500.
BUSY, GATHER_S = 32, 0.025
# Shares of the journal's limit at which readiness warns, and at which entries are refused so that exits have room. Messages
# that wait in the spool count as well.
WARN_RATIO, REFUSE_RATIO = 0.8, 0.9
# Share of the journal's limit at which signals stay in the spool: the rest is kept for the entries of other services about
# earlier signals. Without it no lane could finish a signal, and nothing could be purged any more.
HOLD_RATIO = 0.95
HOLD_S = 0.2
MESSAGE_OVERHEAD = (
    250  # Bytes that the broker needs for a message in addition to its payload: subject, id and its own record.
)
BEHIND = 10_000  # Backlog at which readiness reports it; signals are still accepted.
REPORT_EVERY_S = 0.5
BACKLOG = Gauge("vantixs_ingress_backlog", "messages in the spool that are not in the journal")


class Relay:
    """Publishes the spool. A message is sent again with the same id until it is acknowledged."""

    def __init__(self, spool: Spool, journal: Journal, health: Health) -> None:
        self._spool = spool
        self._journal = journal
        self._health = health
        self._published = 0
        self._facts: StreamFacts | None = None
        self._added_bytes = 0  # Bytes published since `_facts` were read.
        self._waiting: dict[int, asyncio.Future[None]] = {}
        health.tolerate("backlog")
        health.tolerate("journal-space")
        BACKLOG.set_function(lambda: spool.backlog)

    @property
    def gap(self) -> str:
        """What the journal has lost, as far as known; empty for nothing."""
        return self._journal.gap

    @property
    def used_ratio(self) -> float:
        """The share of the journal's limit that will be used once the spool is published, by the last known facts."""
        facts = self._known_facts()
        if facts is None or facts.limit_bytes <= 0:
            return 0.0
        return (facts.size_bytes + self._added_bytes + self._spool.pending_bytes) / facts.limit_bytes

    async def published(self, sequence: int, timeout_s: float) -> bool:
        """Whether the message is in the journal; waits for it up to `timeout_s`."""
        if self._published >= sequence:
            return True
        done = self._waiting[sequence] = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait_for(done, timeout_s)
        except TimeoutError:
            return False
        finally:
            self._waiting.pop(sequence, None)
        return True

    async def run(self, stopping: asyncio.Event) -> None:
        """Runs until stopped. Messages that are not published by then are published after the next start."""
        last = (
            self._spool.last_sequence
        )  # Signals are stored meanwhile: what is stored after this read is not published.
        rows = await self._spool.read_after(0, 1)
        self._published = rows[0][0] - 1 if rows else last
        busy = False
        while not stopping.is_set():
            if busy and not self._waiting:
                await asyncio.sleep(GATHER_S)
            self._spool.added.clear()
            found = self._spool.pending_after(self._published, BATCH)
            if found is None:
                found = await self._spool.read_after(self._published, BATCH)
            if not found:
                busy = False
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._spool.added.wait(), 0.5)
                continue
            found = await self._that_fit(found)
            if not found:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), HOLD_S)
                continue
            busy = BUSY <= len(found) < BATCH  # After a full batch more messages are waiting, so there is no pause.
            if not await self._publish(found, stopping):
                return

    def _known_facts(self) -> StreamFacts | None:
        """The last known facts of the journal; they include what was published before they were read."""
        if self._facts is not self._journal.facts:
            self._facts, self._added_bytes = self._journal.facts, 0
        return self._facts

    async def _that_fit(self, rows: list[tuple[int, Message]]) -> list[tuple[int, Message]]:
        """The oldest of the rows that fit into the part of the journal which signals may fill."""
        if self.used_ratio >= WARN_RATIO:
            with contextlib.suppress(*TRANSIENT, ServiceError):
                await self._journal.look()
        facts = self._known_facts()
        if facts is None or facts.limit_bytes <= 0:
            return rows
        free = HOLD_RATIO * facts.limit_bytes - facts.size_bytes - self._added_bytes
        for number, (_, message) in enumerate(rows):
            free -= len(message.payload) + MESSAGE_OVERHEAD
            if free < 0:
                return rows[:number]
        return rows

    async def _publish(self, rows: list[tuple[int, Message]], stopping: asyncio.Event) -> bool:
        """Publishes the rows; False if the service stops while the broker does not answer."""
        work = asyncio.create_task(self._journal.publish_batch([message for _, message in rows]))  # noqa: RUF006 - it is awaited below
        stop = asyncio.create_task(stopping.wait())
        await asyncio.wait((work, stop), return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()  # It is needed for the wait only.
        if not work.done():
            # Without the broker this could wait for ever, and the spool keeps the messages.
            await asyncio.wait((work,), timeout=1)
            if not work.done():
                work.cancel()
                return False
        work.result()
        self._published = rows[-1][0]
        size = sum(len(message.payload) for _, message in rows)
        self._added_bytes += size + len(rows) * MESSAGE_OVERHEAD
        self._spool.forget(rows[0][0], rows[-1][0], size, self._journal.mark)
        for sequence, _ in rows if self._waiting else ():
            done = self._waiting.get(sequence)
            if done and not done.done():
                done.set_result(None)
        return True

    async def report(self, stopping: asyncio.Event) -> None:
        """Reports the backlog, and a spool that cannot store, to health until stopped."""
        while not stopping.is_set():
            self._report_once()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), REPORT_EVERY_S)

    def _report_once(self) -> None:
        backlog, problem = self._spool.backlog, self._spool.problem
        self._health.set("backlog", backlog < BEHIND, "" if backlog < BEHIND else f"more than {BEHIND} messages wait")
        self._health.set("spool", not problem, problem)
        used = int(100 * self.used_ratio)
        fuller = (
            f"the journal is at {used} % of VANTIXS_JOURNAL_MAX_BYTES; from {REFUSE_RATIO:.0%} on only exits are taken"
        )
        self._health.set("journal-space", used < 100 * WARN_RATIO, "" if used < 100 * WARN_RATIO else fuller)
