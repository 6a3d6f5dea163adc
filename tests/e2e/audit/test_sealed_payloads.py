"""Payloads of a webhook that seals them: nowhere open on disk, shown to who may see them, and lost with their key."""

import base64
import json
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from vantixs.api.journal.v1 import journal_pb2
from vantixs.client import Client, NotPermitted, NotPossibleNow
from vantixs.testing.stack import RunningStack, wait_for

CANARY = "Cnry7711Sealed"
BODY = {
    "action": "buy",
    "symbol": "BTCUSDT",
    "comment": f"because {CANARY}",
    "plan": {"why": CANARY},
    "pin": "S3cretPin",
}
LONG = {"action": "buy", "symbol": "NOSUCHPAIR", "plan": CANARY * 1000}


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    running = RunningStack(tmp_path_factory.mktemp("sealed") / "home").start()
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def sent(system: RunningStack) -> dict[str, str]:
    """Ids of a signal that was executed, of its repeat, and of one that was rejected."""
    made = system.json("webhook", "create", "--account", "paper", "--webhook-id", "private", "--seal-payload")
    assert made["webhook"]["seal_payload"]
    url = made["url"]
    ids = {"executed": system.send(BODY, url).json()["signal_id"]}
    assert system.send(BODY, url).status_code == 200
    ids["rejected"] = system.send(LONG, url).json()["signal_id"]
    system.ended(list(ids.values()))
    ids["repeat"] = next(s["signal_id"] for s in system.signals().values() if s.get("first_signal_id"))
    return ids


def run(system: RunningStack, *arguments: str) -> subprocess.CompletedProcess[str]:
    return system.run(*arguments)


def looks(system: RunningStack) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(system.home / "data" / "audit.db")) as database:
        rows = database.execute("SELECT data FROM entries WHERE kind = 'history_read' ORDER BY sequence").fetchall()
    entries = [journal_pb2.JournalEntry.FromString(data) for (data,) in rows]
    return [(e.actor, e.history_read.filter) for e in entries if e.history_read.kind == "payload"]


def test_payload_is_nowhere_open_in_the_home(system: RunningStack, sent: dict[str, str]) -> None:
    found = [p for p in system.home.rglob("*") if p.is_file() and CANARY.encode() in p.read_bytes()]
    assert not found
    shown = system.run("signals", "show", sent["executed"]).stdout
    assert "payload: sealed: `vantixs signals payload` shows it" in shown
    assert CANARY not in shown
    assert (system.home / "secrets" / "payload-key").stat().st_mode & 0o777 == 0o600


def test_auditor_sees_it_redacted_and_each_look_is_an_entry(system: RunningStack, sent: dict[str, str]) -> None:
    before = len(looks(system))
    for name in ("executed", "repeat"):
        shown = run(system, "signals", "payload", sent[name])
        assert shown.returncode == 0, shown.stderr
        assert json.loads(shown.stdout) == BODY | {"pin": "[redacted]"}
    rejected = run(system, "signals", "payload", sent["rejected"])
    assert rejected.stdout.rstrip().endswith("... [cut: 14053 bytes]"), rejected.stdout[-80:]
    token = {name: (system.home / "secrets" / f"{name}-token").read_text().strip() for name in ("viewer", "auditor")}
    with Client.from_home(system.home, token=token["auditor"]) as client:
        assert CANARY.encode() in client.signals.payload(sent["executed"]).payload
    with Client.from_home(system.home, token=token["viewer"]) as client, pytest.raises(NotPermitted):
        client.signals.payload(sent["executed"])
    wait_for(lambda: len(looks(system)) == before + 4, "the entries of four looks")
    assert [signal_id for _, signal_id in looks(system)[before:]] == [
        sent["executed"], sent["repeat"], sent["rejected"], sent["executed"],
    ]  # fmt: skip


def test_exports_have_it_only_where_payloads_are_asked_for(
    system: RunningStack, sent: dict[str, str], tmp_path: Path
) -> None:
    for name, flags, there in (
        ("open", ("--payloads",), True),
        ("fixture", ("--fixture",), True),
        ("t", ("--timeline",), False),
    ):
        file = tmp_path / name
        done = run(system, "signals", "export", "--output", str(file), *flags)
        assert done.returncode == 0, done.stderr
        opened = "\n".join(file.read_text().splitlines()) if name == "fixture" else _payloads(file)
        assert (CANARY in opened) is there, name


def _payloads(file: Path) -> str:
    """What the entries of a file have of payloads."""
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    entries = [recorded["entry"] for line in lines for recorded in line.get("timeline", [])]
    parts = [json_part for entry in entries for json_part in entry.values() if isinstance(json_part, dict)]
    payloads = [part["request"]["payload"] for part in parts if "payload" in part.get("request", {})]
    return "".join(base64.b64decode(text).decode() for text in payloads)


def test_replays_run_what_was_sealed(system: RunningStack, sent: dict[str, str]) -> None:
    for mode in ("verify", "paper"):
        done = run(
            system, "replay", "start", sent["executed"], "--mode", mode, "--comment", "a test", "--yes", "--json"
        )
        assert done.returncode == 0, done.stderr
        (result,) = json.loads(done.stdout)["replay"]["results"]
        assert (result["status"], result.get("refused", "")) == ("SIGNAL_STATUS_EXECUTED", ""), result
        assert not result.get("differences"), result


def test_lost_key_is_told_and_everything_else_works(system: RunningStack, sent: dict[str, str], tmp_path: Path) -> None:
    assert system.stop() == 0
    (system.home / "secrets" / "payload-key").unlink()
    refused = run(system, "up")
    assert refused.returncode != 0
    assert "secrets/payload-key: expected the key that stored data is encrypted with, found none" in refused.stderr
    assert run(system, "init", "--new-payload-key").returncode == 0
    system.start()
    with Client.from_home(system.home) as client, pytest.raises(NotPossibleNow) as caught:
        client.signals.payload(sent["executed"])
    assert caught.value.reason == "PAYLOAD_KEY_MISSING"
    done = run(system, "signals", "export", "--output", str(tmp_path / "lost"), "--payloads")
    assert done.returncode == 0, done.stderr
    assert "3 without their encrypted payload: PAYLOAD_KEY_MISSING: expected the payload key" in done.stdout
    assert system.run("signals", "show", sent["executed"]).returncode == 0
