"""Removes old entries of history in processes that are killed before their n-th statement, and again in one that is not.

    python -m tests.support.kill_history_child DATABASE_URL DIRECTORY STEP

For n = 0, STEP, 2 * STEP, ... until nothing was killed: records two days of signals, has a process remove what is too old and
kill itself before its n-th statement, and another one go on. Prints, as JSON, for each n what history is then.
"""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import sqlalchemy as sa
from vantixs.api.audit.v1 import audit_pb2
from vantixs.runtime.database import Database
from vantixs_audit.history_retention.segments import has_rest
from vantixs_audit.main import MIGRATIONS
from vantixs_audit.proof.service import HistoryProof
from vantixs_audit.replays.run_signal import _current_webhooks
from vantixs_audit.settings import AuditSettings
from vantixs_audit.tables import ENTRIES

from tests.support.history_retention_rig import KeptHistory, changed_webhook, waiting
from tests.support.history_rig import SIGNER
from tests.support.kill_child import COUNTDOWN, count_statements

APART = 20  # Days from one round to the next.


async def opened(url: str, directory: Path, name: str) -> KeptHistory:
    database = await Database.open(replace(AuditSettings(), database_url=url), "audit", MIGRATIONS)
    history = KeptHistory(database, directory)
    history.random = Random(name)
    return history


async def record(history: KeptHistory, number: int) -> dict[str, Any]:
    """Two days; entries of the first, and all before it, are those that go. One webhook changes each time, one of two others every second time."""
    changes = [
        changed_webhook(f"c{number}", "w1", f"a{number}"),
        changed_webhook(f"o{number}", f"other{number % 2}", f"a{number}"),
    ]
    await history.day(APART * number, messages=changes)
    await history.day(APART * number, 6)
    sequence = (await history.head()).sequence
    await history.day(APART * number + 1, 6)
    return {"last": sequence}


async def drop(history: KeptHistory, number: int, kill_before: int | None) -> dict[str, Any]:
    """Removes what is too old."""
    COUNTDOWN.left = kill_before
    dropped = await history.drop(APART * number + 9.5)
    COUNTDOWN.left = None
    checked = await HistoryProof(history.database, SIGNER.key, history.witness).verify(audit_pb2.VerifyHistoryRequest())
    webhooks = await history.database.read(_current_webhooks)
    told = sa.select(sa.func.count()).select_from(ENTRIES).where(ENTRIES.c.kind == "history_dropped")
    first = sa.select(sa.func.min(ENTRIES.c.sequence))
    ids = sa.select(sa.func.count(), sa.func.count(ENTRIES.c.event_id.distinct()))
    return {
        "dropped": dropped,
        "first": await history.database.read(lambda c: c.execute(first).scalar()),
        "told": await history.database.read(lambda c: c.execute(told).scalar()),
        "twice": await history.database.read(lambda c: len(set(c.execute(ids).one())) != 1),
        "fault": checked.detail,
        "unlisted": checked.kept_configuration_unlisted,
        "webhooks": {name: webhook.account_id for name, webhook in webhooks.items()},
        "left": await history.database.read(has_rest) or bool(await history.database.read(waiting)),
    }


def forked(
    url: str, directory: Path, name: str, work: Callable[[KeptHistory], Awaitable[dict[str, Any]]]
) -> dict[str, Any] | None:
    """Does the work in a process of its own; None where that was killed."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)

        async def run() -> dict[str, Any]:
            history = await opened(url, directory, name)
            done = await work(history)
            await history.database.close()
            return done

        with os.fdopen(write, "w") as out:
            out.write(json.dumps(asyncio.run(run())))
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as result:
        content = result.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return None
    assert os.WEXITSTATUS(status) == 0, status
    found: dict[str, Any] = json.loads(content)
    return found


def main() -> None:
    url, directory, step = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    count_statements()
    results: list[dict[str, Any]] = []
    killed = True
    while killed:
        number = len(results)
        kill_before = number * step
        recorded = forked(url, directory, f"r{number}", lambda h, n=number: record(h, n))
        killed = forked(url, directory, "k", lambda h, n=number, k=kill_before: drop(h, n, k)) is None
        after = forked(url, directory, "a", lambda h, n=number: drop(h, n, None))
        assert recorded is not None
        assert after is not None
        results.append({"killed": killed, **recorded, **after})
    print(json.dumps(results))


if __name__ == "__main__":
    main()
