"""Signals exported, watched and counted as an operator would, while processes are killed."""

import csv
import io
import itertools
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet
import pytest
from vantixs.api.journal.v1 import journal_pb2
from vantixs.client import Client, NotPermitted
from vantixs.testing.stack import COMMANDS, RunningStack, wait_for

COUNT = 30


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return COMMANDS.run(arguments, os.environ)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    home = tmp_path_factory.mktemp("export") / "home"
    running = RunningStack(home, VANTIXS_AUDIT_CHECKPOINT_S="0.5").start()
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def ids(system: RunningStack) -> list[str]:
    bodies = [{"action": "buy", "symbol": ("BTCUSDT", "ETHUSDT")[n % 2], "comment": "=1+1"} for n in range(COUNT)]
    bodies[7] = {"action": "sell", "symbol": "SOLUSDT"}  # There is nothing to close.
    found = [system.send(body | {"idempotency_key": f"n{n}"}).json()["signal_id"] for n, body in enumerate(bodies)]
    system.ended(found)
    return found


def reads(system: RunningStack) -> list[journal_pb2.JournalEntry]:
    """The entries that say who read."""
    with closing(sqlite3.connect(system.home / "data" / "audit.db")) as database:
        rows = database.execute("SELECT data FROM entries WHERE kind = 'history_read' ORDER BY sequence").fetchall()
    return [journal_pb2.JournalEntry.FromString(data) for (data,) in rows]


def test_exports_have_every_signal_and_are_entries(system: RunningStack, ids: list[str], tmp_path: Path) -> None:
    before, home = len(reads(system)), f"--home={system.home}"
    lines, rows, table, fixture = (tmp_path / name for name in ("s.jsonl", "s.csv", "s.parquet", "s.fixture"))
    for path, *options in (
        (lines, "--proof", "--payloads", "--since", "1h"),
        (rows, "--format", "csv"),
        (table, "--format", "parquet"),
        (fixture, "--fixture"),
    ):
        done = command("signals", "export", "--output", str(path), *options, home)
        assert done.returncode == 0, done.stderr
        assert f"{COUNT} signals" in done.stdout
        assert path.stat().st_mode & 0o777 == 0o600
    found = [json.loads(line) for line in lines.read_text().splitlines()]
    assert sorted(one["signal"]["signal_id"] for one in found) == sorted(ids)
    assert "payload" in found[0]["timeline"][0]["entry"]["signal_accepted"]["request"]
    proof = tmp_path / "proof.json"
    for shown in (found[3], found[3]["proof"]):
        proof.write_text(json.dumps(shown))
        checked = command("audit", "check", str(proof), home)
        assert checked.returncode == 0, checked.stderr
    order = [one["signal"]["signal_id"] for one in found]
    read = list(csv.DictReader(io.StringIO(rows.read_text())))
    assert [row["signal_id"] for row in read] == order
    assert not any(cell.startswith("=") for row in read for cell in row.values())
    assert pyarrow.parquet.read_table(table).column("signal_id").to_pylist() == order
    kept = [json.loads(line) for line in fixture.read_text().splitlines()]
    assert [one["signal_id"] for one in kept] == order
    assert [one["signal_id"] for one in kept if one["reason"] == "NOTHING_TO_CLOSE"] == [ids[7]]
    wait_for(lambda: len(reads(system)) == before + 4, "the entries of four exports")
    noted = reads(system)[before:]
    assert [entry.history_read.count for entry in noted] == [COUNT] * 4
    assert [entry.history_read.proofs for entry in noted] == [True, False, False, False]
    assert all(entry.actor.startswith("operator:") for entry in noted)


def test_viewer_exports_without_payloads_and_auditor_changes_nothing(system: RunningStack, ids: list[str]) -> None:
    tokens = {name: (system.home / "secrets" / f"{name}-token").read_text().strip() for name in ("viewer", "auditor")}
    with Client.from_home(system.home, token=tokens["viewer"]) as client:
        found = list(client.signals.export(timeline=True))
        assert sorted(one.signal.signal_id for one in found) == sorted(ids)
        assert not found[0].timeline[0].entry.signal_accepted.request.payload
        with pytest.raises(NotPermitted):
            list(client.signals.export(payloads=True))
    with Client.from_home(system.home, token=tokens["auditor"]) as client:
        assert next(iter(client.signals.export(payloads=True))).timeline[0].entry.signal_accepted.request.payload
        with pytest.raises(NotPermitted):
            client.replays.start([ids[0]], comment="no")


def test_export_that_is_killed_leaves_no_file_of_its_name(system: RunningStack, ids: list[str], tmp_path: Path) -> None:
    output = tmp_path / "killed.jsonl"
    arguments = [sys.executable, "-m", "vantixs_console", "signals", "export", "--output", str(output), "--proof"]
    with subprocess.Popen([*arguments, f"--home={system.home}"], stdout=subprocess.DEVNULL) as process:
        wait_for(lambda: list(tmp_path.iterdir()), "the file that is being written")
        assert not output.exists()
        os.kill(process.pid, signal.SIGKILL)
    assert not output.exists()
    done = command("signals", "export", "--output", str(output), f"--home={system.home}")
    assert done.returncode == 0, done.stderr
    assert len(output.read_text().splitlines()) == COUNT


def test_statistics_count_what_happened(system: RunningStack, ids: list[str]) -> None:
    done = command("statistics", "--json", "--by", "webhook", f"--home={system.home}")
    assert done.returncode == 0, done.stderr
    response = json.loads(done.stdout)
    (one,) = response["statistics"]
    assert (one["key"], one["count"]) == ("demo", str(COUNT))
    assert {phase["phase"] for phase in one["latencies"]} >= {"receive_to_decide", "decide_to_fill", "receive_to_end"}
    assert all(int(phase.get("p50_us", 0)) > 0 for phase in one["latencies"]), (
        "a phase that takes no time is not measured"
    )
    assert "stragglers" not in response
    shown = command("statistics", "--per", "hour", f"--home={system.home}")
    assert shown.returncode == 0, shown.stderr
    assert "receive to decide" in shown.stdout
    with httpx.Client(base_url=system.endpoints["console"], timeout=10) as page:
        assert page.get("/statistics").status_code == 401
        page.get("/", params={"token": (system.home / "secrets" / "console-token").read_text().strip()})
        answer = page.get("/statistics")
        assert (answer.status_code, f"demo {COUNT} signals" in answer.text) == (200, True)
        assert "receive to decide" in answer.text
    wrong = command("statistics", "--by", "moon", f"--home={system.home}")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)


def test_watch_goes_on_while_audit_is_killed_and_a_program_resumes(system: RunningStack, ids: list[str]) -> None:
    ended: dict[str, Any] = {}
    wanted: set[str] = set()
    done = threading.Event()
    with Client.from_home(system.home) as client:
        start = max(item.sequence for item in itertools.islice(client.signals.list(), COUNT))

        def watch(resume: int) -> None:
            for item in client.signals.watch(resume=resume):
                assert item.sequence > ended.get(item.signal_id, start)
                ended[item.signal_id] = item.sequence
                if done.is_set() and wanted <= ended.keys():
                    return

        watching = threading.Thread(target=watch, args=(start,), daemon=True)
        watching.start()
        for number in range(3):
            for turn in range(4):
                body = {"action": "buy", "symbol": "ETHUSDT", "idempotency_key": f"w{number}.{turn}"}
                wanted.add(system.send(body).json()["signal_id"])
            if number < 2:
                system.kill("audit")
        done.set()
        wanted.add(system.send({"action": "buy", "symbol": "BTCUSDT"}).json()["signal_id"])
        watching.join(100)
        assert not watching.is_alive()
        assert wanted <= ended.keys()
        # A program that was started again hears of the same signals.
        again = {item.signal_id for item in itertools.islice(client.signals.watch(resume=start), len(wanted))}
        assert again <= set(ended)


def test_export_from_an_audit_that_is_killed_is_whole_or_not_there(
    system: RunningStack, ids: list[str], tmp_path: Path
) -> None:
    output = tmp_path / "s.jsonl"
    arguments = [sys.executable, "-m", "vantixs_console", "signals", "export", "--output", str(output)]
    system.signal("audit", signal.SIGSTOP)
    with subprocess.Popen([*arguments, f"--home={system.home}"], stderr=subprocess.PIPE) as process:
        wait_for(lambda: list(tmp_path.iterdir()), "the file that is being written")
        system.kill("audit")
        _, told = process.communicate(timeout=120)
    if process.returncode:
        assert told.count(b"\n") == 1, told
        assert not list(tmp_path.iterdir())
    else:  # It was answered by the successor.
        assert len(output.read_text().splitlines()) >= COUNT


def test_fixture_is_what_a_replay_verifies(system: RunningStack, ids: list[str], tmp_path: Path) -> None:
    # The tests before kill audit.
    wait_for(lambda: system.run("signals", "list").returncode == 0, "audit to answer")
    assert system.send({"action": "buy", "symbol": "NOSUCHUSDT"}).status_code == 422
    first = {"action": "buy", "symbol": "BTCUSDT", "comment": "=1+1", "idempotency_key": "n0"}
    assert system.send(first).json()["duplicate"]
    wait_for(lambda: any(s.get("reason") == "SYMBOL_UNSUPPORTED" for s in system.signals().values()), "the rejection")
    fixture, home = tmp_path / "fixture", f"--home={system.home}"
    done = command("signals", "export", "--output", str(fixture), "--fixture", home)
    assert done.returncode == 0, done.stderr
    lines = fixture.read_text().splitlines()
    left_out = len(system.signals()) - len(lines)
    assert left_out >= 2
    assert f"{len(lines)} signals" in done.stdout
    assert f"{left_out} signals left out of the fixture" in done.stderr
    replayed = command("replay", "start", "--expect", str(fixture), "--comment", "ci", home)
    assert replayed.returncode == 0, replayed.stdout
