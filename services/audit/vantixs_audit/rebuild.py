"""Makes rows of signals again that an earlier version made, before audit serves: filters and statistics go by all of them."""

import asyncio

from vantixs.runtime.database import Database
from vantixs.runtime.logs import log

from vantixs_audit.signal_rows import count_stale, keep_rows_without_entries, rebuild

BATCH = 200


async def rebuild_signals(database: Database, stopping: asyncio.Event) -> None:
    """Works in transactions of 200 signals, until all are made again or it is stopped; a later start goes on.

    Raises:
        ServiceError: the database does not answer.
    """
    if await database.read(count_stale):
        await database.write(keep_rows_without_entries)
    total = await database.read(count_stale)
    done, told = 0, 0
    if total:
        log.info("signals.rebuild_begun", signals=total)
    while total and not stopping.is_set():
        count = await database.write(lambda c: rebuild(c, BATCH))
        done += count
        if done >= told + 10_000 or not count:
            told = done
            log.info("signals.rebuilt", signals=done, of=total)
        if not count:
            return
