"""Durable consumers, by which lanes were read before they had leases: where they were is taken over, then they go."""

import asyncio
import contextlib

from nats.js.api import ConsumerInfo
from nats.js.errors import NotFoundError
from vantixs.model.ids import LANES
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.journal import STREAM, TRANSIENT, Journal
from vantixs.runtime.journal_stream import EARLIER_STREAM
from vantixs.runtime.logs import log
from vantixs.runtime.retry import retry

from vantixs_router.lanes import table

PREFIX = "router-lane-"
_PASSING = (*TRANSIENT, ServiceError)
# What is left of the earlier stream is read first: its floor is the lower one, and counts.
STREAMS = (STREAM, EARLIER_STREAM)


async def make_lanes(journal: Journal, database: Database, stopping: asyncio.Event) -> None:
    """Makes the lanes' rows at the first start, with the cursors that consumers had, and removes the consumers."""

    def passes(error: Exception) -> bool:
        log.warning("lanes.not_made", error=repr(error))
        return isinstance(error, _PASSING)

    with contextlib.suppress(*_PASSING):  # It is raised only when the service stops.
        await retry(lambda: _make_lanes(journal, database), passes, stopping=stopping)


async def _make_lanes(journal: Journal, database: Database) -> None:
    found = [(stream, info) for stream in STREAMS for info in await _consumers(journal, stream)]
    if len(await database.read(table.read_lanes)) < LANES:
        cursors = {_lane(info): info.ack_floor.stream_seq if info.ack_floor else 0 for _, info in found}
        await database.write(lambda c: table.add_lanes(c, cursors, journal.mark.epoch))
        log.info("lanes.made", taken_over=len(cursors))
    for stream, info in found:
        await journal.js.delete_consumer(stream, info.name)


async def _consumers(journal: Journal, stream: str) -> list[ConsumerInfo]:
    found: list[ConsumerInfo] = []
    offset = 0
    try:
        while page := await journal.js.consumers_info(stream, offset=offset):
            found += [info for info in page if info.name.startswith(PREFIX)]
            offset += len(page)
    except NotFoundError:
        return []
    return found


def _lane(info: ConsumerInfo) -> int:
    return int(info.name.removeprefix(PREFIX))
