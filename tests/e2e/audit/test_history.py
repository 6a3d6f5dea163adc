"""History that is verified, proven and attacked as an operator would: by commands, and by an editor of the database."""

import contextlib
import json
import os
import sqlite3
import subprocess
import tarfile
from pathlib import Path

import pytest
from vantixs.proof.tiles import tiles
from vantixs.testing.stack import COMMANDS, RunningStack


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return COMMANDS.run(arguments, os.environ)


@pytest.fixture(scope="module")
def signals(stack: RunningStack) -> list[str]:
    bodies = [{"action": "buy", "symbol": symbol} for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT")]
    ids = [stack.send(body).json()["signal_id"] for body in bodies]
    stack.ended(ids)
    return ids


def test_proof_of_a_signal_is_checked_offline(stack: RunningStack, signals: list[str], tmp_path: Path) -> None:
    home, file, key = f"--home={stack.home}", tmp_path / "proof.json", tmp_path / "key"
    made = command("signals", "proof", signals[1], "--output", str(file), home)
    assert made.returncode == 0, made.stderr
    key.write_text(command("audit", "key", home).stdout)
    for trusted in ([home], ["--key", str(key), f"--home={tmp_path / 'nothing'}"]):
        checked = command("audit", "check", str(file), *trusted)
        assert checked.returncode == 0, checked.stderr
        assert f"{signals[1]}: " in checked.stdout
        assert "ETH/USDT" in checked.stdout
    content = json.loads(file.read_text())
    content["signal_id"] = signals[0]
    file.write_text(json.dumps(content))
    refused = command("audit", "check", str(file), home)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert f"expected entries of signal {signals[0]}" in refused.stderr


def test_proof_is_for_auditors_and_says_so(stack: RunningStack, signals: list[str], tmp_path: Path) -> None:
    for role, expected in (("auditor", 0), ("viewer", 1)):
        token = (stack.home / "secrets" / f"{role}-token").read_text().strip()
        file = tmp_path / f"{role}.json"
        arguments = ["signals", "proof", signals[0], "--output", str(file), f"--home={stack.home}"]
        done = COMMANDS.run(arguments, os.environ | {"VANTIXS_OPERATOR_TOKEN": token})
        assert (done.returncode, file.exists()) == (expected, not expected), done.stderr
    assert "ProveSignal: expected role AUDITOR, was VIEWER" in done.stderr


def test_verify_is_silent_and_exports_a_tree_that_others_read(
    stack: RunningStack, signals: list[str], tmp_path: Path
) -> None:
    home = f"--home={stack.home}"
    command("signals", "proof", signals[0], "--output", str(tmp_path / "p"), home)  # Waits for a checkpoint.
    kept, tree = tmp_path / "checkpoint", tmp_path / "tree.tar"
    kept.write_text(command("audit", "checkpoint", home).stdout)
    done = command("audit", "verify", "--against", str(kept), "--export", str(tree), home)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "entries are as they were recorded" in done.stdout
    with tarfile.open(tree) as tar:
        files = {name: tar.extractfile(name).read() for name in tar.getnames()}  # type: ignore[union-attr]
    size = int(files["checkpoint"].decode().splitlines()[1])
    leaves = files[f"tile/0/000.p/{size}"]
    assert len(leaves) == 32 * size
    assert dict(tiles([leaves[n : n + 32] for n in range(0, len(leaves), 32)])).keys() == files.keys() - {"checkpoint"}


def test_database_that_was_edited_is_found(tmp_path: Path) -> None:
    stack = RunningStack(tmp_path / "home", VANTIXS_AUDIT_CHECKPOINT_S="0.5").start()
    try:
        first = stack.send({"action": "buy", "symbol": "BTCUSDT"}).json()["signal_id"]
        stack.ended([first])
        assert (tmp_path / "home" / "secrets" / "history-key").stat().st_mode & 0o077 == 0
        assert command("audit", "verify", f"--home={stack.home}").returncode == 0
        with contextlib.closing(sqlite3.connect(stack.home / "data" / "audit.db")) as database:
            query = "SELECT sequence, data FROM entries WHERE signal_id = ? ORDER BY sequence LIMIT 1"
            sequence, data = database.execute(query, (first,)).fetchone()
            forged = data.replace(b"BTC", b"ETH")
            assert forged != data
            database.execute("UPDATE entries SET data = ? WHERE sequence = ?", (forged, sequence))
            database.commit()
        found = command("audit", "verify", "--json", f"--home={stack.home}")
        assert found.returncode == 1, found.stdout
        fault = json.loads(found.stdout)["fault"]
        assert (fault["kind"], fault["first_sequence"]) == ("HISTORY_FAULT_KIND_ALTERED", str(sequence))
        shown = command("audit", "verify", f"--home={stack.home}")
        assert (shown.returncode, shown.stdout.startswith(f"altered: entry {sequence} ")) == (1, True)
    finally:
        assert stack.stop() == 0
