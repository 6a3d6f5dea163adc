"""Audit is killed at random while signals run and replays go on: history is the journal, and each replay has each signal once."""

import asyncio
import os
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import nats
import psycopg
import pytest
from vantixs.api.journal.v1 import journal_pb2
from vantixs.runtime.journal_stream import STREAM
from vantixs.testing.postgres import PostgresServer
from vantixs.testing.promises import check_promises
from vantixs.testing.stack import RunningStack, wait_for

from tests.support.sender import Sender

REPLAYED = 30


@pytest.fixture(params=["sqlite", "postgresql"])
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[RunningStack, str]]:
    """A system on either database, whose replays take half of the time, so that they end while signals come; and its database's URL."""
    settings = {"VANTIXS_AUDIT_REPLAY_SHARE": "0.5"}
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        settings["VANTIXS_DATABASE_URL"] = server.new_database()
    running = RunningStack(tmp_path / "home", **settings).start()
    yield running, settings.get("VANTIXS_DATABASE_URL", "")
    assert running.stop() == 0


def begin_replay(stack: RunningStack, ids: list[str], mode: str) -> str:
    done = stack.json("replay", "start", *ids, "--mode", mode, "--comment", "kills", "--yes", "--no-wait")
    return str(done["replay"]["replay_id"])


async def in_journal(stack: RunningStack) -> list[bytes]:
    """The entries of the journal in their order, each id once: what is sent again after a lost answer is there twice."""
    client = await nats.connect(
        str(stack.endpoints["nats"]), token=(stack.home / "secrets" / "nats-token").read_text().strip()
    )
    try:
        js = client.jetstream()
        state = (await js.stream_info(STREAM)).state
        assert state.first_seq == 1, "nothing was purged meanwhile"
        stored = [await js.get_msg(STREAM, seq=number) for number in range(1, state.last_seq + 1)]
    finally:
        await client.close()
    found: dict[str, bytes] = {}
    for message in stored:
        for entry in journal_pb2.JournalBatch.FromString(message.data or b"").entries:
            found.setdefault(entry.event_id, entry.SerializeToString())
    return list(found.values())


def in_history(stack: RunningStack, url: str) -> list[bytes]:
    """The entries of history in their order, as they are stored."""
    if url.startswith("postgresql"):
        with psycopg.connect(url.replace("+psycopg", "")) as connection:
            return [bytes(row[0]) for row in connection.execute("SELECT data FROM audit.entries ORDER BY sequence")]
    with closing(sqlite3.connect(stack.home / "data" / "audit.db")) as connection:
        return [bytes(row[0]) for row in connection.execute("SELECT data FROM entries ORDER BY sequence")]


def kill_while_signals_run(stack: RunningStack, signals: int, seed: int) -> tuple[dict[str, str], list[str]]:
    """Kills audit until so many signals were accepted; what was accepted, and the replays that began meanwhile."""
    chance, sender = random.Random(seed), Sender(stack, seed, pause_s=40 / signals)
    replays: list[str] = []
    try:
        wait_for(lambda: len(sender.accepted) > REPLAYED, "signals to be replayed", 60)
        first = list(sender.accepted)[:REPLAYED]
        stack.ended(first)
        replays += [begin_replay(stack, first, "verify"), begin_replay(stack, first[:5], "paper")]
        kills = 0
        while len(sender.accepted) < signals or kills < 3:
            time.sleep(chance.uniform(0.1, 2.0))  # The moment of the fault is what the seed chooses.
            stack.kill("audit")
            kills += 1
        print(f"seed {seed}: {kills} kills, {len(sender.accepted)} accepted")
    finally:
        sender.stop()
    return dict(sender.accepted), replays


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("signals", [100, pytest.param(2000, marks=pytest.mark.long)])
def test_killed_audit_loses_and_doubles_nothing(system: tuple[RunningStack, str], signals: int) -> None:
    stack, url = system
    seed = int(os.environ.get("FAULT_SEED", "5"))
    accepted, replays = kill_while_signals_run(stack, signals, seed)
    wait_for(lambda: stack.run("signals", "list", "--page-size", "1").returncode == 0, "audit to be back", 60)
    check_promises(stack, accepted)

    def ended() -> dict[str, Any] | None:
        found = {r: stack.json("replay", "show", r)["replay"] for r in replays}
        return found if all(r["state"] == "REPLAY_STATE_FINISHED" for r in found.values()) else None

    for replay_id, replay in wait_for(ended, "replays to end", 300).items():
        ids = [result["signal_id"] for result in replay["results"]]
        assert len(ids) == len(set(ids)) == replay["finished"], replay_id
        assert set(ids) <= set(accepted)
    verified = stack.json("replay", "show", replays[0])["replay"]
    assert verified["finished"] == REPLAYED
    assert not verified.get("different", 0)

    def both() -> list[bytes] | None:
        journal, history = asyncio.run(in_journal(stack)), in_history(stack, url)
        return history if history == journal else None

    history = wait_for(both, "history to be the journal, entry for entry")
    entries = [journal_pb2.JournalEntry.FromString(data) for data in history]
    ends = Counter((e.signal_id, e.replay_finished.replay_id) for e in entries if e.HasField("replay_finished"))
    assert len(ends) >= REPLAYED
    assert set(ends.values()) == {1}, "each signal of a replay is told once"
    assert stack.run("audit", "verify").returncode == 0
