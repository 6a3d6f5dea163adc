"""What reads entries while others are removed has all of them, or says that they are no longer kept."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa
from vantixs.api.audit.v1 import audit_pb2
from vantixs.runtime.database import Database
from vantixs_audit.export_signals import Exports
from vantixs_audit.get_signal import get_signal
from vantixs_audit.main import MIGRATIONS
from vantixs_audit.replays.run_signal import _current_webhooks
from vantixs_audit.settings import AuditSettings
from vantixs_audit.tables import SIGNALS

from tests.support.history_retention_rig import BEGIN, DAY, KeptHistory, changed_webhook
from tests.support.history_rig import SIGNER, deliveries

TOO_OLD = BEGIN + 9 * DAY


class Interrupted:
    """A connection after whose first query something else happens."""

    def __init__(self, connection: sa.Connection, happens: Callable[[], None]) -> None:
        self._connection = connection
        self._happens: Callable[[], None] | None = happens

    def execute(self, *args: Any, **given: Any) -> Any:
        result = self._connection.execute(*args, **given)
        happens, self._happens = self._happens, None
        if happens:
            happens()
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


@pytest.fixture
async def history(database_url: str, tmp_path: Path) -> AsyncIterator[KeptHistory]:
    """A history whose first day goes with the next step."""
    database = await Database.open(replace(AuditSettings(), database_url=database_url), "audit", MIGRATIONS)
    made = KeptHistory(database, tmp_path)
    await made.day(0, messages=[changed_webhook("c1", "w1"), *deliveries(Random(1), 6, "early-")])
    await made.day(1)
    cut, due = made.retention._cut, list[Any]()

    async def note(*args: Any) -> bool:
        due.append(args)
        return False

    made.retention._cut = note  # type: ignore[method-assign]  # Notes in place of cutting.
    while not due:
        await made.retention.apply(TOO_OLD)
        await made.pass_on()
    made.retention._cut = cut  # type: ignore[method-assign]  # Cuts again.
    yield made
    await database.close()


async def read_beside_a_cut(history: KeptHistory, query: Callable[[Any], Any]) -> Any:
    """What the query gives where the cut is made, or tried, after the first thing that it reads."""
    loop = asyncio.get_running_loop()

    def cut() -> None:
        asyncio.run_coroutine_threadsafe(history.retention.apply(TOO_OLD), loop).result(60)

    found = await history.database.read(lambda c: query(Interrupted(c, cut)))
    assert await history.drop(9), "it goes once nobody reads"
    return found


async def first_signal(history: KeptHistory) -> str:
    query = sa.select(SIGNALS.c.signal_id).order_by(SIGNALS.c.number).limit(1)
    return str(await history.database.read(lambda c: c.execute(query).scalar_one()))


async def test_signal_is_shown_with_its_entries_or_says_that_they_are_not_kept(history: KeptHistory) -> None:
    signal_id = await first_signal(history)
    shown = await read_beside_a_cut(history, lambda c: get_signal(c, signal_id, BEGIN))
    assert bool(shown.timeline) != shown.entries_not_kept


async def test_signals_are_exported_with_their_entries_or_say_that_they_are_not_kept(history: KeptHistory) -> None:
    none: Any = None
    exports = Exports(history.database, none, SIGNER.key, none)
    request = audit_pb2.ExportSignalsRequest(timeline=True)
    _, page = await read_beside_a_cut(history, lambda c: exports._read_page(c, request, 0, 5))
    assert page
    assert all(bool(response.timeline) != response.entries_not_kept for response in page)


async def test_replay_with_what_is_configured_now_knows_every_webhook(history: KeptHistory) -> None:
    assert list(await read_beside_a_cut(history, _current_webhooks)) == ["w1"]
