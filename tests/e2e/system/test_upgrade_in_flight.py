"""A home of the version before lanes had leases, killed with signals in flight: it starts, finishes them and keeps its history."""

import asyncio
import base64
import hashlib
import json
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any

import nats
import pytest
from vantixs.testing.promises import check_promises
from vantixs.testing.stack import RunningStack

from tests.support.paths import DATA

HOMES = sorted((DATA / "homes").glob("*.tar.gz"))
# As in tests/data/homes/make.py.
SIGNING_KEY = base64.urlsafe_b64encode(hashlib.sha256(b"a home for tests").digest()).decode().rstrip("=") + "\n"


def unpacked(archive: Path, home: Path) -> dict[str, list[str]]:
    """Makes the home; returns its signals."""
    with tarfile.open(archive) as content:
        # Python 3.11 has the argument `filter` from 3.11.4 on, Debian 12 an older one.
        content.extraction_filter = getattr(tarfile, "data_filter", None)
        content.extractall(home)
    home.chmod(0o700)
    (home / "secrets").mkdir(mode=0o700)
    (home / "secrets" / "signing-key").write_text(SIGNING_KEY)
    (home / "secrets" / "signing-key").chmod(0o600)
    return dict(json.loads((home / "signals.json").read_text()))


def rows(home: Path, database: str, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(home / "data" / f"{database}.db")) as connection:
        return connection.execute(query).fetchall()


async def consumers(stack: RunningStack) -> list[str]:
    """The durable consumers of all streams at the broker."""
    token = (stack.home / "secrets" / "nats-token").read_text().strip()
    client = await nats.connect(stack.endpoints["nats"], token=token)
    try:
        found = []
        for stream in await client.jetstream().streams_info():
            found += [info.name for info in await client.jetstream().consumers_info(str(stream.config.name))]
        return found
    finally:
        await client.close()


@pytest.mark.parametrize("archive", HOMES, ids=lambda path: str(path.name.partition(".")[0]))
def test_signals_in_flight_end_once_with_one_order_a_leg_and_the_history_is_there(
    archive: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    known = unpacked(archive, home)
    before, flying = known["before"], known["flying"]
    outcomes = "SELECT signal_id, status, reason, detail FROM signals WHERE status <> 'ACCEPTED' ORDER BY number"
    earlier = rows(home, "audit", outcomes)
    assert {signal_id for signal_id, *_ in earlier} >= set(before)
    entries = rows(home, "audit", "SELECT sequence, data FROM entries ORDER BY sequence")
    # Nothing of this is left to chance: what the home was left with is what it says.
    states = [state for (state,) in rows(home, "router", "SELECT state FROM orders WHERE length(position) = 0")]
    assert states == ["ORDER_STATE_SUBMITTED"] * 4
    assert len(rows(home, "router", "SELECT * FROM outbox")) == 1
    with closing(sqlite3.connect(home / "data" / "ingress-0.spool")) as spool:
        assert spool.execute("SELECT count(*) FROM spool").fetchone() == (2,)
    stack = RunningStack(home).start()
    try:
        ended = stack.ended([*before, *flying], 120)
        assert {i: ended[i]["status"] for i in flying} == dict.fromkeys(flying, "SIGNAL_STATUS_EXECUTED")
        assert [name for name in asyncio.run(consumers(stack)) if name.startswith("router-lane-")] == []
        reversals = [i for i in flying if ended[i]["account_id"] == "second"]
        check_promises(stack, [*before, *flying], reversals)
        fresh = stack.send({"action": "buy", "symbol": "LTCUSDT"}).json()["signal_id"]
        assert stack.ended([fresh])[fresh]["status"] == "SIGNAL_STATUS_EXECUTED"
    finally:
        assert stack.stop() == 0
    assert rows(home, "audit", outcomes)[: len(earlier)] == earlier
    assert rows(home, "audit", "SELECT sequence, data FROM entries ORDER BY sequence")[: len(entries)] == entries
    # Each order was placed once and each fill booked once.
    placed = rows(home, "router", "SELECT client_order_id FROM paper_orders")
    orders = rows(home, "router", "SELECT client_order_id FROM orders WHERE state = 'ORDER_STATE_FILLED'")
    booked = rows(home, "risk", "SELECT execution_id FROM fills")
    assert sorted(placed) == sorted(orders)
    assert sorted(f"{order}-1" for (order,) in orders) == sorted(fill for (fill,) in booked)
