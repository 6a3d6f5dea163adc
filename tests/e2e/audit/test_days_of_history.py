"""A running system removes entries that are older than it keeps them: seen from outside, by commands, metrics and a restored copy."""

import asyncio
import json
import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg
import pytest
from vantixs.proof.note import history_signer
from vantixs.runtime.continuity import NOTHING_SEEN
from vantixs.runtime.database import Database
from vantixs.runtime.home import Home
from vantixs.testing.postgres import PostgresServer
from vantixs.testing.stack import COMMANDS, RunningStack, wait_for
from vantixs_audit import store
from vantixs_audit.main import MIGRATIONS
from vantixs_audit.settings import AuditSettings

from tests.support.history_retention_rig import BEGIN, DAY, KeptHistory, changed_webhook

KEEP_DAYS = "8"


async def record(url: str, home: Path) -> int:
    """Records two days of a month ago into the home, a segment each; returns the last entry of the first day."""
    database = await Database.open(replace(AuditSettings(), database_url=url), "audit", MIGRATIONS)
    history = KeptHistory(database, home / "witness", history_signer(Home.open(home).secret("history-key")))
    first = (datetime.now(UTC) - BEGIN) / DAY - 30
    await history.day(first, messages=[changed_webhook("c1", "w1")])
    await history.day(first, 20, name="first-")
    last = (await history.head()).sequence
    await history.day(first + 1, 20, name="second-")
    # Of the journal that the system makes nothing is seen yet.
    head = (await history.head())._replace(mark=NOTHING_SEEN, message_hash=b"")
    await database.write(lambda c: store.write_head(c, head))
    await database.close()
    return last


def metric(stack: RunningStack, name: str) -> float:
    address = json.loads((stack.home / "run" / "audit-0.json").read_text())["metrics"]
    lines = httpx.get(address, verify=False).text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


def listed(stack: RunningStack) -> list[str]:
    """All signals, a few on each page."""
    found: list[str] = []
    token: list[str] = []
    while True:
        page = stack.json("signals", "list", "--page-size", "9", *token)
        found += [signal["signal_id"] for signal in page["signals"]]
        if not page.get("next_page_token"):
            return found
        token = ["--page-token", page["next_page_token"]]


def trade(stack: RunningStack) -> list[str]:
    """Two signals, each executed; none is a repeat of another one."""
    bodies = [{"action": "buy", "symbol": symbol, "idempotency_key": uuid4().hex} for symbol in ("BTCUSDT", "ETHUSDT")]
    ids = [stack.send(body).json()["signal_id"] for body in bodies]
    assert {signal["status"] for signal in stack.ended(ids).values()} == {"SIGNAL_STATUS_EXECUTED"}
    return ids


def verified(stack: RunningStack, not_kept: int) -> None:
    done = stack.run("audit", "verify")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"of entries 1 to {not_kept}, which are no longer kept" in " ".join(done.stdout.split())
    assert "no entry lists" not in done.stdout


def execute(home: Path, url: str, statement: str) -> None:
    if url:
        with psycopg.connect(url.replace("+psycopg", "", 1), options="-csearch_path=audit") as server:
            server.execute(statement.encode())
        return
    with closing(sqlite3.connect(home / "data" / "audit.db")) as file:
        file.execute(statement)
        file.commit()


@pytest.mark.parametrize("dialect", ["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
def test_old_entries_go_in_a_running_system_that_trades_on_and_is_restored(
    dialect: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    home = tmp_path / "home"
    urls = ["", ""]
    if dialect == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        urls = [server.new_database(), server.new_database()]
    settings = [{"VANTIXS_DATABASE_URL": url} if url else {} for url in urls]
    COMMANDS.run(["init", "--home", str(home)], os.environ).check_returncode()
    (home / "data").mkdir(exist_ok=True)
    last = asyncio.run(record(urls[0] or f"sqlite:///{home / 'data' / 'audit.db'}", home))

    settings[0] |= {"VANTIXS_AUDIT_HISTORY_KEEP_DAYS": KEEP_DAYS, "VANTIXS_AUDIT_CHECKPOINT_S": "0.5"}
    stack = RunningStack(home, **settings[0]).start()
    try:
        ids = trade(stack)
        wait_for(lambda: metric(stack, "vantixs_audit_first_sequence") == last + 1, "the first day to go", 60)
        assert metric(stack, "vantixs_audit_history_overdue_seconds") == 0
        verified(stack, last)
        # Its signals are shown by their rows; of the second day there are entries.
        assert stack.json("signals", "show", "first-3")["entries_not_kept"]
        assert stack.json("signals", "show", "second-3")["timeline"]
        ids += trade(stack)
        shown = listed(stack)
        assert len(shown) == len(set(shown)) == 20 + 20 + len(ids)
        assert {*ids, "first-3", "second-3"} <= set(shown)
        assert stack.run("backup", str(tmp_path / "copy")).returncode == 0
    finally:
        assert stack.stop() == 0

    again = RunningStack(tmp_path / "again", **settings[1])
    made = again.run("restore", str(tmp_path / "copy"))
    assert made.returncode == 0, made.stderr
    again.start()
    try:
        assert again.run("status").returncode == 0
        verified(again, last)
        shown += trade(again)
        assert sorted(listed(again)) == sorted(shown)
        verified(again, last)
        # What stays of the first day is covered by what was signed, in the copy too.
        execute(again.home, urls[1], "DELETE FROM kept_configuration WHERE name = 'webhook:w1'")
        found = again.run("audit", "verify")
        assert (found.returncode, found.stdout.startswith("missing: entry 1, ")) == (1, True), found.stdout
    finally:
        assert again.stop() == 0
