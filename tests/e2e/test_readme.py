"""What the README says works as it says: its commands are run, in its order, against a running system."""

import re
import shlex
from pathlib import Path

import pytest
from vantixs.testing.stack import RunningStack

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
COMMANDS = [
    line.partition(" #")[0].strip()
    for block in re.findall(r"^```sh\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    for line in block.splitlines()
    if line.startswith("vantixs ")
]
ANSWERS = {"vantixs resume": ("--yes",)}  # What a person would type when asked.


def test_readme_commands_work_as_written(stack: RunningStack) -> None:
    signal_id = stack.send({"action": "buy", "symbol": "BTCUSDT"}).json()["signal_id"]
    stack.ended([signal_id])
    assert len(COMMANDS) > 5
    for command in COMMANDS:
        words = [signal_id if word == "ID" else word for word in shlex.split(command)[1:]]
        done = stack.run(*words, *ANSWERS.get(command, ()))
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


def test_curl_example_and_timeline_are_what_one_sees(stack: RunningStack) -> None:
    body = re.search(r"curl -d '(\{.*?\})'", README)
    assert body, "the README shows a request"
    # The README's own quote, from the commands above, may be too old by now for an entry.
    assert stack.run("quote", "publish", "BTC/USDT", "63990", "64010").returncode == 0
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
