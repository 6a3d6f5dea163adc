"""The journal is compared with history while both go on: a real broker, a real database."""

import asyncio
from pathlib import Path
from typing import Any

from vantixs.runtime.journal import STREAM
from vantixs.testing.nats import NatsServer
from vantixs_audit import store
from vantixs_audit.journal_gap import compare_with_history

from tests.support.audited_journal import auditing, publish, recorded


async def test_message_that_is_purged_while_it_is_compared_with_history_is_not_missing(
    nats: NatsServer, tmp_path: Path
) -> None:
    async with auditing(nats, tmp_path) as audited:
        journal, database = audited.journal, audited.database
        await publish(journal, 20)
        await recorded(database, 20)
        facts = await journal.look()

        def record_and_purge(_: store.Head) -> None:
            """What the process that records does between the reading of the head and the question for its last message."""
            nonlocal going_on
            if not going_on:
                going_on = asyncio.create_task(go_on())

        async def go_on() -> None:
            await publish(journal, 5, name="later")
            await recorded(database, 25)
            await journal.js.purge_stream(STREAM, seq=25)

        class Slow:
            """JetStream, asked once the other process is done."""

            async def get_msg(self, *args: Any, **given: Any) -> Any:
                assert going_on
                await going_on
                return await journal.js.get_msg(*args, **given)

        going_on: asyncio.Task[None] | None = None
        mark, missing = await compare_with_history(database, record_and_purge, Slow(), facts)  # type: ignore[arg-type]  # All that is asked of JetStream.
        assert (mark.sequence, missing) == (25, "")
