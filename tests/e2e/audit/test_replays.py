"""Replays as an operator asks for them: counted first, verified against the record, killed in the middle, compared with a file."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from vantixs.testing.stack import COMMANDS, RunningStack, wait_for

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")


@pytest.fixture(scope="module")
def signals(stack: RunningStack) -> list[str]:
    """Twelve signals: entries, exits, and exits of nothing."""
    ids = []
    for number in range(12):
        action = ("buy", "sell", "sell", "buy")[number // 3]
        body = {"action": action, "symbol": SYMBOLS[number % 3], "idempotency_key": f"r{number}"}
        ids.append(stack.send(body).json()["signal_id"])
    stack.ended(ids)
    return ids


def replay(stack: RunningStack, *arguments: str, answer: str = "") -> subprocess.CompletedProcess[str]:
    return COMMANDS.run(["replay", *arguments, f"--home={stack.home}"], os.environ, answer=answer)


def started(stack: RunningStack, *arguments: str) -> dict[str, Any]:
    done = replay(stack, "start", *arguments, "--comment", "a test", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)["replay"]
    return found


def books(stack: RunningStack) -> Any:
    """What no quote changes of the account."""
    shown = stack.json("account", "show", "paper")
    positions = {p["instrument"]: (p["quantity"], p["cost"]) for p in shown.get("positions", [])}
    return (
        shown["account"],
        shown["balances"],
        positions,
        shown.get("open_orders"),
        len(stack.json("order", "list")["orders"]),
    )


def test_count_comes_first_and_no_is_no(stack: RunningStack, signals: list[str]) -> None:
    asked = replay(stack, "start", "--filter", "account = paper", "--comment", "why", answer="n\n")
    assert asked.returncode != 0
    assert "12 signals are selected; replay them in mode" in asked.stderr
    assert not stack.json("replay", "list").get("replays")


def test_verify_finds_nothing_and_leaves_the_account_alone(stack: RunningStack, signals: list[str]) -> None:
    before = books(stack)
    found = started(stack, "--filter", "account = paper")
    assert (found["finished"], found.get("different", 0), found.get("not_verifiable", 0)) == (12, 0, 0)
    assert [r["signal_id"] for r in found["results"]] == signals
    assert books(stack) == before
    shown = replay(stack, "show", found["replay_id"])
    assert "0 with differences, 0 not verifiable, 0 refused" in shown.stdout

    def told() -> dict[str, Any] | None:
        shown: dict[str, Any] = stack.json("signals", "show", signals[0])
        return shown if any("replay_finished" in step["entry"] for step in shown["timeline"]) else None

    shown = wait_for(told, "the replay to be recorded")
    assert shown["links"]["replay_ids"] == [found["replay_id"]]
    assert shown["signal"]["status"] == "SIGNAL_STATUS_EXECUTED", "verified is not replayed"
    assert "replay_id" not in shown["signal"]


def test_outcomes_are_compared_with_a_file(stack: RunningStack, signals: list[str], tmp_path: Path) -> None:
    file = tmp_path / "expected.jsonl"
    results = started(stack, *signals)["results"]
    rows = [
        {
            "signal_id": r["signal_id"],
            "status": r["status"].removeprefix("SIGNAL_STATUS_").lower(),
            "reason": r.get("reason", ""),
        }
        for r in results
    ]
    file.write_text("\n".join(map(json.dumps, rows)))
    assert replay(stack, "start", "--expect", str(file), "--comment", "CI").returncode == 0
    rows[3]["status"] = "failed"
    file.write_text("\n".join(map(json.dumps, rows)))
    wrong = replay(stack, "start", "--expect", str(file), "--comment", "CI")
    assert wrong.returncode == 1
    assert f"{signals[3]}: expected failed" in wrong.stdout


def test_audit_killed_in_the_middle_goes_on_with_each_signal_once(stack: RunningStack, signals: list[str]) -> None:
    begun = started(stack, *signals, "--speed", "0.3", "--no-wait")
    identity = begun["replay_id"]

    def progress() -> int:
        return int(stack.json("replay", "show", identity)["replay"].get("finished", 0))

    wait_for(lambda: progress() >= 1, "the replay to begin")
    stack.kill("audit")
    wait_for(lambda: replay(stack, "show", identity).returncode == 0, "audit to be back", 60)
    first = started(stack, *signals)  # Another one takes its turns beside it.
    assert first["finished"] == 12

    def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = stack.json("replay", "show", identity)["replay"]
        return found if found["state"] == "REPLAY_STATE_FINISHED" else None

    found = wait_for(ended, "the replay to end", 90)
    assert [r["signal_id"] for r in found["results"]] == signals
    assert not found.get("different", 0)

    def told() -> bool:
        timelines = stack.timelines_of(signals)
        ids = [e["entry"]["event_id"] for entries in timelines.values() for e in entries if identity in str(e)]
        return len(ids) == len(set(ids)) == 24

    wait_for(told, "each signal to be told once")


def test_paper_begins_from_the_account_as_it_stood_then(stack: RunningStack, signals: list[str]) -> None:
    before = books(stack)
    found = started(stack, *signals, "--mode", "paper")
    assert found["seed"] == f"paper: as it was when {signals[0]} was decided"
    # From the account of now, which holds the last three, the first three would add and the exits close more.
    assert {r["signal_id"]: (r["status"], r.get("reason", "")) for r in found["results"]} == {
        signal_id: ended for signal_id, ended in outcomes(stack, signals).items()
    }
    assert books(stack) == before


def outcomes(stack: RunningStack, signals: list[str]) -> dict[str, tuple[str, str]]:
    listed = stack.signals()
    return {i: (listed[i].get("outcome", listed[i]["status"]), listed[i].get("reason", "")) for i in signals}


def test_a_lowered_limit_is_reported_for_the_signals_it_affects(stack: RunningStack, signals: list[str]) -> None:
    assert stack.run("account", "update", "paper", "--max-order-notional", "1").returncode == 0
    found = started(stack, *signals, "--current")
    entries = {
        signal_id
        for signal_id, timeline in stack.timelines_of(signals).items()
        for e in timeline
        if e["entry"].get("order_evaluated", {}).get("order", {}).get("effect") == "ORDER_EFFECT_ENTRY"
    }
    differing = {r["signal_id"] for r in found["results"] if r.get("differences")}
    assert differing == entries
    assert entries
    told = next(r for r in found["results"] if r["signal_id"] in differing)["differences"]
    assert any("ORDER_NOTIONAL_ABOVE_MAXIMUM was pass" in line for line in told), told


def test_a_replay_is_held_and_stopped_by_command(stack: RunningStack, signals: list[str]) -> None:
    identity = started(stack, *signals, "--speed", "0.001", "--no-wait")["replay_id"]
    assert "paused" in replay(stack, "pause", identity).stdout
    assert "running" in replay(stack, "resume", identity).stdout
    assert "canceled" in replay(stack, "cancel", identity).stdout
    again = replay(stack, "resume", identity)
    assert (again.returncode, "REPLAY_ENDED" in again.stderr) == (1, True)


def test_live_ends_at_its_checks(stack: RunningStack, signals: list[str]) -> None:
    refused = replay(stack, "start", signals[0], "--mode", "live", "--comment", "why", "--confirm", "replay live")
    assert refused.returncode == 1
    assert "it was not live" in refused.stderr
