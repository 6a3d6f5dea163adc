"""From the spool to the journal, in order. What was left by a crash goes first: it has the lowest sequences."""

import asyncio
import contextlib

from prometheus_client import Gauge
from vantixs.runtime.health import Health
from vantixs.runtime.journal import Journal, Message

from vantixs_ingress.spool import Spool

BATCH = 256
BATCH_BYTES = 800_000
BACKLOG = Gauge("vantixs_ingress_backlog", "messages in the spool that are not in the journal")


class Relay:
    """Publishes the spool; a message goes again with the same id until it is acknowledged."""

    def __init__(self, spool: Spool, journal: Journal, health: Health) -> None:
        self._spool = spool
        self._journal = journal
        self._health = health

    async def run(self, stopping: asyncio.Event) -> None:
        """Runs until stopped; what is not published by then is published after the next start."""
        published = 0
        BACKLOG.set_function(self._spool.backlog)
        while not stopping.is_set():
            self._spool.added.clear()
            rows = await self._spool.after(published, BATCH)
            if not rows:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._spool.added.wait(), 0.5)
                continue
            rows = _within_size(rows)
            work = asyncio.create_task(self._journal.publish_batch([message for _, message in rows]))  # noqa: RUF006 - it is awaited below
            stop = asyncio.create_task(stopping.wait())
            await asyncio.wait((work, stop), return_when=asyncio.FIRST_COMPLETED)
            stop.cancel()  # It only ended the wait.
            if not work.done():
                # Without the broker this could wait for ever; the spool keeps it.
                await asyncio.wait((work,), timeout=1)
                if not work.done():
                    work.cancel()
                    return
            work.result()
            published = rows[-1][0]
            self._spool.forget(published)


def _within_size(rows: list[tuple[int, Message]]) -> list[tuple[int, Message]]:
    total = 0
    for number, (_, message) in enumerate(rows):
        total += len(message.payload)
        if total > BATCH_BYTES and number:
            return rows[:number]
    return rows
