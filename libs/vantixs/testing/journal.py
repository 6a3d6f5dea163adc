"""A journal for tests, connected to a real broker, and what is in it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from vantixs.runtime.continuity import NOTHING_SEEN, Mark
from vantixs.runtime.journal import STREAM, Inspect, Journal
from vantixs.runtime.lifecycle import Lifecycle
from vantixs.runtime.settings import ServiceSettings
from vantixs.testing.nats import NatsServer


@asynccontextmanager
async def connected(
    nats: NatsServer, *, mark: Mark = NOTHING_SEEN, inspect: Inspect | None = None, **settings: Any
) -> AsyncIterator[tuple[Journal, Lifecycle]]:
    """A journal that is connected, and the lifecycle it runs in; both end with the context."""
    chosen = replace(ServiceSettings(), nats_url=nats.url, nats_token=nats.token, **settings)
    async with asyncio.TaskGroup() as tasks:
        life = Lifecycle("test", chosen, tasks)
        journal = Journal(chosen, life.health, mark=mark, inspect=inspect)
        journal.start(life)
        try:
            await asyncio.wait_for(journal.connected(), 20)
            yield journal, life
        finally:
            life.stopping.set()
            await journal.close()
            life.cancel_rest()


async def messages(journal: Journal) -> list[bytes]:
    """The payloads of everything stored, in order."""
    state = (await journal.js.stream_info(STREAM)).state
    stored = [await journal.js.get_msg(STREAM, seq=n) for n in range(state.first_seq, state.last_seq + 1)]
    return [message.data or b"" for message in stored]
