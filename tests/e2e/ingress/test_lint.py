"""Lint through the real service and command, and the templates: what they print works when it is sent."""

import asyncio
import json
import subprocess
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from vantixs.api.ingress.v1 import ingress_pb2, ingress_pb2_grpc
from vantixs.runtime.grpc_client import open_channel
from vantixs.testing.stack import RunningStack

from tests.support.alerts import body_of, fields_of, load_alerts

ACCEPTED = ingress_pb2.LINT_OUTCOME_ACCEPTED


def test_every_alert_of_the_tables_is_linted_as_they_say(stack: RunningStack) -> None:
    token = stack.url.rpartition("/")[2]

    async def lint_all() -> list[tuple[dict[str, Any], ingress_pb2.LintPayloadResponse]]:
        viewer = (stack.home / "secrets" / "viewer-token").read_text().strip()
        channel = open_channel(stack.endpoints["grpc"]["ingress"], token=viewer)
        stub = ingress_pb2_grpc.WebhookServiceStub(channel)
        answers = []
        for row in load_alerts():
            payload = body_of(row, datetime.now(UTC), token)
            request = ingress_pb2.LintPayloadRequest(webhook_id="demo", payload=payload)
            answers.append((row, await stub.LintPayload(request, timeout=10)))
        await channel.close()
        return answers

    for row, response in asyncio.run(lint_all()):
        expect = dict(row["expect"])
        assert (response.outcome == ACCEPTED) == (expect.pop("outcome") == "ACCEPTED"), (row, response)
        assert response.reason == expect.pop("reason", ""), row
        found = fields_of(response.signal)
        assert response.reason or {name: found.get(name, "None") for name in expect} == expect, row


def lint(stack: RunningStack, path: Path, text: str, *more: str) -> subprocess.CompletedProcess[str]:
    path.write_text(text)
    return stack.run("lint", str(path), "--webhook", "demo", *more)


def test_lint_prints_verdict_warnings_and_the_message_to_paste(stack: RunningStack, tmp_path: Path) -> None:
    done = lint(stack, tmp_path / "m", '{"ticker": "{{ticker}}", "action": "{{strategy.order.action}}", "sl": 200}')
    assert done.returncode == 0, done.stderr
    for part in (
        "REJECTED PLACEHOLDER_NOT_RENDERED as it stands",
        "ACCEPTED once filled in",
        "warning  sl:",
        "{{ticker}} becomes",
    ):
        assert part in done.stdout
    assert done.stdout.startswith("ACCEPTED once filled in"), "what counts comes first"
    suggested = done.stdout.partition("instead:\n")[2]
    assert json.loads(suggested)["sentiment"] == "{{strategy.market_position}}"
    refused = lint(stack, tmp_path / "m", '{"action": "start_bot", "symbol": "BTCUSDT"}')
    assert (refused.returncode, "ACTION_UNSUPPORTED" in refused.stdout) == (1, True)
    message = json.loads(lint(stack, tmp_path / "m", '{"action": "buy", "symbol": "BTCUSDT"}', "--json").stdout)
    assert message["outcome"] == "LINT_OUTCOME_ACCEPTED"


@pytest.mark.parametrize("kind", ["tradingview-strategy", "tradingview-indicator"])
def test_template_lints_as_accepted_once_filled_in(stack: RunningStack, tmp_path: Path, kind: str) -> None:
    printed = stack.run("webhook", "template", "--for", kind, "--webhook", "demo")
    assert printed.returncode == 0, printed.stderr
    done = json.loads(lint(stack, tmp_path / "m", printed.stdout, "--json").stdout)
    assert done["template"]["outcome"] == "LINT_OUTCOME_ACCEPTED"
    shown = lint(stack, tmp_path / "m", printed.stdout)
    assert shown.stdout.startswith("ACCEPTED once filled in")
    assert "error" not in shown.stdout
    assert "instead" not in shown.stdout, "it is the message to paste"
    warned = {w["field"] for w in done["template"].get("warnings", [])}
    assert warned <= {"symbol"}  # BTCUSDT could be the perpetual.


def test_script_that_is_printed_sends_a_signal_twice_as_one(stack: RunningStack, tmp_path: Path) -> None:
    text = stack.run("webhook", "template", "--for", "script", "--webhook", "demo").stdout
    text = text.replace(f"{stack.url.rpartition('/')[0]}/TOKEN", stack.url)
    assert stack.url in text
    shell, _, python = text.partition("\n\n")
    key = str(uuid.uuid4())
    for duplicate in (False, True):
        done = subprocess.run(
            ["bash", "-c", shell.replace("$(uuidgen)", key)], capture_output=True, text=True, check=True, timeout=30
        )
        assert json.loads(done.stdout)["duplicate"] is duplicate
    script = tmp_path / "send.py"
    script.write_text(python)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True, timeout=30)
    assert "'status': 'accepted'" in done.stdout
