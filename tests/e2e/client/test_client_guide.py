"""The programs of docs/guides/client.md, run as they are against a running system; and the guide shows them as they are."""

import json
import re
import subprocess
import sys
import uuid
from pathlib import Path

from vantixs.testing.stack import RunningStack, wait_for

from tests.support.paths import ROOT

EXAMPLES = ROOT / "docs" / "examples"
GUIDE = (ROOT / "docs" / "guides" / "client.md").read_text()


def execute(name: str, stack: RunningStack) -> list[str]:
    command = [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py"), str(stack.home)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=90)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_guide_shows_every_program_as_it_is() -> None:
    shown = re.findall(r"^```python\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
    programs = sorted(path.read_text() for path in EXAMPLES.glob("*.py"))
    assert len(programs) == 5
    assert [text for text in programs if text not in shown] == []


def test_send_and_wait(stack: RunningStack) -> None:
    [line] = execute("send_and_wait", stack)
    signal_id, quantity, price = re.fullmatch(r"(\S+) (\S+) at (\S+).*", line).groups()  # type: ignore[union-attr]
    found = stack.signals()[signal_id]
    assert (found["status"], found["filled_quantity"]) == ("SIGNAL_STATUS_EXECUTED", quantity)
    assert float(price) > 0


def test_why_was_it_refused(stack: RunningStack) -> None:
    by_ingress, by_risk, *checks = execute("why_refused", stack)
    assert re.match(r"[A-Z_]+ symbol: ", by_ingress)
    assert by_risk.startswith("TRADING_HALTED: ")
    assert [line for line in checks if line.startswith("FAILED TRADING_HALTED")]
    assert [line for line in checks if line.startswith("passed ")]
    assert stack.json("status")["restrictions"] == []


def test_halt_on_a_condition(stack: RunningStack, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", str(EXAMPLES / "halt_on_condition.py"), str(stack.home)]
    output = tmp_path / "output"
    with output.open("w") as sink:
        running = subprocess.Popen(command, stdout=sink, stderr=subprocess.STDOUT, text=True)
    try:
        wait_for(lambda: "watching" in output.read_text(), "the program to watch")
        wait_for(lambda: _send_refused(stack) or running.poll() is not None, "the program to halt the account")
    finally:
        running.kill()
        running.wait()
    assert output.read_text().splitlines()[-1] == "halted; open orders: 0"
    assert running.returncode == 0
    [restriction] = stack.json("status")["restrictions"]
    assert (restriction["scope"], restriction["state"]) == ("account:paper", "HALTED")
    assert restriction["actor"].endswith("failure-guard")
    assert stack.run("resume", "--scope", "account:paper", "--yes").returncode == 0


def _send_refused(stack: RunningStack) -> None:
    """An entry that may only reduce a position: it is accepted, and then rejected."""
    entry = {"action": "buy", "symbol": "BTCUSDT", "reduce_only": True, "idempotency_key": str(uuid.uuid4())}
    assert stack.send(entry).status_code == 202


def test_export(stack: RunningStack) -> None:
    signal_id = stack.send({"action": "buy", "symbol": "BTCUSDT", "comment": "exported"}).json()["signal_id"]
    stack.ended([signal_id])
    rows = [json.loads(line) for line in execute("export", stack)]
    newest = rows[0]
    assert newest["signal"]["signal_id"] == signal_id
    assert newest["timeline"] == stack.timelines_of([signal_id])[signal_id]
    assert len(rows) == len({row["signal"]["signal_id"] for row in rows}) == len(stack.signals())


def test_replay_and_compare(stack: RunningStack) -> None:
    signal_id = stack.send({"action": "buy", "symbol": "BTCUSDT"}).json()["signal_id"]
    stack.ended([signal_id])
    summary, *results = execute("replay_and_compare", stack)
    total = int(re.match(r"(\d+) of \1 decided again", summary)[1])  # type: ignore[index]
    assert len(results) == total >= 1
    assert [line for line in results if line.startswith(signal_id)]
