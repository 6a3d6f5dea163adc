"""What the README says works as it says: its commands are run, in its order, against a running system."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from vantixs.testing.stack import RunningStack

from tests.support.paths import ROOT

README = (ROOT / "README.md").read_text()
[BLOCK] = [
    block for block in re.findall(r"^```sh\n(.*?)^```", README, re.DOTALL | re.MULTILINE) if "vantixs status" in block
]
COMMANDS = [line for line in BLOCK.splitlines() if line.startswith("vantixs ")]


def test_readme_commands_pasted_into_a_shell_work_and_leave_trading_as_it_was(
    stack: RunningStack, commands: Path
) -> None:
    signal_id = stack.send({"action": "buy", "symbol": "BTCUSDT"}).json()["signal_id"]
    stack.ended([signal_id])
    assert len(COMMANDS) > 5
    assert len(COMMANDS) == len(BLOCK.splitlines())
    # What is pasted is read line by line, also by a command that asks something.
    script = "set -e\n" + re.sub(r"\bID\b", signal_id, BLOCK)
    path = f"{commands}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["/bin/bash"],
        input=script,
        cwd=stack.home.parent,
        env={"PATH": path, "HOME": str(stack.home.parent), "VANTIXS_HOME": str(stack.home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    status = stack.json("status")
    assert (status["restrictions"], status["pushed"]) == ([], [])
    after = stack.send({"action": "buy", "symbol": "BTCUSDT", "idempotency_key": "after"}).json()["signal_id"]
    assert stack.ended([after])[after]["status"] == "SIGNAL_STATUS_EXECUTED"
    fills = [
        e["entry"]["fill_recorded"]["fill"] for e in stack.timelines_of([after])[after] if "fill_recorded" in e["entry"]
    ]
    assert [fill["quote"]["source"] for fill in fills] == ["simulated"]


def test_curl_example_and_timeline_are_what_one_sees(stack: RunningStack) -> None:
    body = re.search(r"curl -d '(\{.*?\})'", README)
    assert body, "the README shows a request"
    # The README's own quote, from the commands above, may be too old by now for an entry.
    assert stack.run("quote", "set", "BTC/USDT", "63990", "64010").returncode == 0
    signal_id = stack.send(body[1], idempotency_key="readme").json()["signal_id"]
    stack.ended([signal_id])
    shown = stack.run("signals", "show", signal_id).stdout
    seen = re.findall(r"^\.\.\.  (\w+)", README, re.MULTILINE)
    assert seen == ["accepted", "risk", "order", "fill", "completed"]
    positions = [shown.index(f"  {word} ") for word in seen]
    assert positions == sorted(positions)


@pytest.mark.parametrize("target", re.findall(r"`?make ([a-z-]+)", README))
def test_make_target_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!http)([^)#]+)", README))))
def test_link_leads_somewhere(link: str) -> None:
    assert (ROOT / link).exists()
