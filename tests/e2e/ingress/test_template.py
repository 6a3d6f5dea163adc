"""`vantixs webhook template` for webhooks that ask for more than a token in the URL: what it prints is taken when it is sent."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from vantixs.testing.stack import RunningStack

SECRETS = ("whsec_SECRET", "TOKEN")


def create(stack: RunningStack, name: str, *flags: str) -> dict[str, Any]:
    return stack.json("webhook", "create", "--account", "paper", "--webhook-id", name, *flags)


def template(stack: RunningStack, name: str, kind: str) -> subprocess.CompletedProcess[str]:
    return stack.run("webhook", "template", "--for", kind, "--webhook", name)


def filled_in(stack: RunningStack, name: str, message: str, path: Path) -> str:
    """The message as TradingView would send it, with the examples of lint."""
    path.write_text(message)
    linted = stack.json("lint", str(path), "--webhook", name)["template"]
    for found in linted["placeholders"]:
        message = message.replace(found["placeholder"], found["example"])
    return message


def with_mapping(stack: RunningStack, tmp_path: Path, name: str, fields: dict[str, str]) -> dict[str, Any]:
    path = tmp_path / "mapping.json"
    path.write_text(json.dumps({"fields": fields}))
    return create(stack, name, "--mapping", str(path))


def run_script(text: str, tmp_path: Path, replaced: dict[str, str]) -> list[dict[str, Any]]:
    """Answers to the shell part and to the Python part of a printed script."""
    for name, value in replaced.items():
        text = text.replace(name, value)
    shell, _, python = text.partition("\n\n#")
    script = tmp_path / "send.py"
    script.write_text(f"#{python}".replace("print(send(", "print(json.dumps(send(").rstrip() + ")\n")
    commands = (["bash", "-c", shell], [sys.executable, str(script)])
    return [
        json.loads(subprocess.run(c, capture_output=True, text=True, check=True, timeout=30).stdout) for c in commands
    ]


def test_script_for_a_webhook_that_asks_for_signatures_signs(stack: RunningStack, tmp_path: Path) -> None:
    made = create(stack, "signed", "--minimum-proof", "signature")
    printed = template(stack, "signed", "script")
    assert printed.returncode == 0, printed.stderr
    assert "TOKEN" not in printed.stdout
    assert "signing secret" in printed.stderr
    answers = run_script(printed.stdout, tmp_path, {"whsec_SECRET": made["signing_secret"]})
    assert [(a["status"], a["duplicate"]) for a in answers] == [("accepted", False)] * 2
    refused = template(stack, "signed", "tradingview-strategy")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "TradingView does not sign" in refused.stderr


@pytest.mark.parametrize("kind", ["tradingview-strategy", "tradingview-indicator"])
def test_message_for_a_mapping_is_laid_out_as_it_reads(stack: RunningStack, tmp_path: Path, kind: str) -> None:
    fields = {
        "action": "order.side",
        "symbol": "order.pair || pair",
        "target_position": "not_null(order.after, after)",
        "price": "quotes[0].last",
        "emit_time": "meta.times[1]",
        "token": "auth.key",
    }
    made = with_mapping(stack, tmp_path, f"mapped-{kind}", fields)
    printed = template(stack, f"mapped-{kind}", kind)
    assert printed.returncode == 0, printed.stderr
    message = json.loads(printed.stdout)
    assert message["order"]["pair"] == "{{ticker}}"
    assert message["auth"] == {"key": "TOKEN"}
    url = printed.stderr.rpartition("URL: ")[2].strip()
    assert url.endswith(f"/hooks/mapped-{kind}"), "the token is in the message"
    assert "TOKEN in the message" in printed.stderr
    body = filled_in(stack, f"mapped-{kind}", printed.stdout, tmp_path / "m").replace("TOKEN", made["token"])
    answer = httpx.post(url, content=body, timeout=10)
    assert (answer.status_code, answer.json()["status"]) == (202, "accepted")
    assert httpx.post(url, content=body.replace(made["token"], "wrong"), timeout=10).status_code == 401


def test_script_for_a_mapping_puts_the_token_into_the_body(stack: RunningStack, tmp_path: Path) -> None:
    made = with_mapping(stack, tmp_path, "scripted", {"action": "a", "symbol": "s", "token": "t"})
    printed = template(stack, "scripted", "script")
    answers = run_script(printed.stdout.replace("$(uuidgen)", "one key"), tmp_path, {"TOKEN": made["token"]})
    assert [a["status"] for a in answers] == ["accepted"] * 2


def test_mapping_that_says_no_single_place_is_named(stack: RunningStack, tmp_path: Path) -> None:
    fields = {"action": "orders[?kind=='x'] | [0].side", "symbol": "pair"}
    with_mapping(stack, tmp_path, "filtered", fields)
    printed = template(stack, "filtered", "tradingview-indicator")
    assert printed.returncode == 1
    assert "action goes where the mapping finds it" in printed.stderr
    assert "filtered would reject it" in printed.stderr


def test_text_beside_it_says_what_else_is_asked_for(stack: RunningStack) -> None:
    create(stack, "office", "--minimum-proof", "address", "--source-networks", "10.0.0.0/8", "--actions", "close")
    indicator = template(stack, "office", "tradingview-indicator")
    assert json.loads(indicator.stdout)["action"] == "close"
    assert "10.0.0.0/8 only" in indicator.stderr
    assert "at an address in 10.0.0.0/8" in template(stack, "office", "script").stderr
    create(stack, "chart", "--source-networks", "tradingview", "--instruments", "ETH/USDT")
    refused = template(stack, "chart", "script")
    assert (refused.returncode, "TradingView's addresses only" in refused.stderr) == (1, True)
    assert template(stack, "chart", "tradingview-strategy").returncode == 0
    stack.json("webhook", "disable", "chart")
    assert "vantixs webhook enable chart" in template(stack, "chart", "tradingview-strategy").stderr
