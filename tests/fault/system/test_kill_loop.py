"""Kills and freezes every process while signals flow, then holds what is left against the promises.

Promises (docs/developer/architecture.md): every 2xx has exactly one end; no signal has two orders; the ledger equals the fills; the
signals of one account and instrument ran in the order in which they were accepted.
"""

import contextlib
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from vantixs.testing.postgres import PostgresServer
from vantixs.testing.promises import check_promises
from vantixs.testing.stack import RunningStack, wait_for

from tests.support.sender import Sender

PROCESSES = ("ingress", "risk", "router", "audit", "nats")


def kill_rounds(
    stack: RunningStack, rounds: int, seed: int, say: Callable[[str], None], longest_freeze_s: float = 1.5
) -> Sender:
    chance = random.Random(seed)
    processes = list(PROCESSES)
    if stack.scale["router"] > 1:
        processes = [p for p in processes if p != "router"] + [f"router-{n}" for n in range(stack.scale["router"])]
    sender = Sender(stack, seed)
    for number in range(rounds):
        victim = chance.choice(processes)
        how = chance.choice(("kill", "kill", "freeze"))
        time.sleep(chance.uniform(0.05, 0.6))  # The moment of the fault is what the seed chooses.
        if how == "kill":
            stack.kill(victim)
        else:
            pid = stack.pid(victim)
            os.kill(pid, signal.SIGSTOP)
            time.sleep(chance.uniform(0.2, longest_freeze_s if victim.startswith("router") else 1.5))
            with contextlib.suppress(ProcessLookupError):  # On SQLite one that is silent for a lease is ended.
                os.kill(pid, signal.SIGCONT)
        say(f"round {number + 1}/{rounds}: {how} {victim}, accepted {len(sender.accepted)}, {dict(sender.answers)}")
    wanted = max(len(sender.accepted) + 5, 20)  # Of a busy machine few are accepted between the faults.
    wait_for(lambda: len(sender.accepted) > wanted, "signals to be accepted after the last fault", 60)
    sender.stop()
    return sender


@pytest.fixture(params=["sqlite-1", pytest.param("sqlite-3", marks=pytest.mark.long), "postgresql-3"])
def faulted(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningStack]:
    if request.param == "sqlite-1":
        yield request.getfixturevalue("stack")
        return
    settings = {}
    if request.param == "postgresql-3":
        server: PostgresServer = request.getfixturevalue("postgres")
        settings["VANTIXS_DATABASE_URL"] = server.new_database()
    running = RunningStack(tmp_path / "home", router=3, **settings).start()
    yield running
    assert running.stop() == 0


def test_promises_hold_through_kills_and_freezes(faulted: RunningStack) -> None:
    seed = int(os.environ.get("FAULT_SEED", "7"))
    sender = kill_rounds(faulted, 8, seed, lambda line: None)
    assert len(sender.accepted) > 20
    check_promises(faulted, sender.accepted)


@pytest.mark.long
@pytest.mark.parametrize("seed", [1])
def test_promises_hold_through_many_kills_and_freezes(faulted: RunningStack, seed: int) -> None:
    seed = int(os.environ.get("FAULT_SEED", str(seed)))
    rounds = int(os.environ.get("FAULT_ROUNDS", "60"))
    print(f"seed {seed}, {rounds} rounds")
    # A router that stands still for longer than its lease (4 s) loses its lanes, where another one is there.
    sender = kill_rounds(faulted, rounds, seed, print, longest_freeze_s=7.0 if faulted.scale["router"] > 1 else 1.5)
    check_promises(faulted, sender.accepted)


def test_broker_down_100_webhooks_are_accepted_and_run_when_it_is_back(stack: RunningStack) -> None:
    os.kill(stack.pid("nats"), signal.SIGSTOP)
    ids, slowest = [], 0.0
    try:
        for number in range(100):
            started = time.monotonic()
            response = stack.send({"action": "buy", "symbol": "LTCUSDT", "idempotency_key": f"down-{number}"})
            slowest = max(slowest, time.monotonic() - started)
            assert response.status_code == 202
            ids.append(response.json()["signal_id"])
    finally:
        os.kill(stack.pid("nats"), signal.SIGCONT)
    assert slowest < 1, "the answer may not wait for the broker"
    ended = stack.ended(ids)
    assert Counter(e["status"] for e in ended.values()) == {"SIGNAL_STATUS_EXECUTED": 100}
    assert sorted(ids, key=lambda i: int(ended[i]["sequence"])) == ids
    check_promises(stack, dict.fromkeys(ids, ""))


@pytest.mark.parametrize("name", ["ingress", "risk", "router", "audit", "console", "nats"])
def test_service_can_be_stopped_alone_and_comes_back(stack: RunningStack, name: str) -> None:
    before = stack.pid(name)
    stack.signal(name, signal.SIGTERM)
    wait_for(lambda: stack.pid(name) != before, f"{name} to be started again")

    def executed() -> bool:
        try:
            response = stack.send({"action": "buy", "symbol": "ATOMUSDT", "idempotency_key": f"alone-{name}-{before}"})
        except httpx.TransportError:
            return False
        if not response.is_success:
            return False
        signal_id = response.json()["signal_id"]
        wait_for(lambda: stack.run("status").returncode == 0, "every service to be healthy")
        return stack.ended([signal_id])[signal_id]["status"] == "SIGNAL_STATUS_EXECUTED"

    wait_for(executed, "a signal to be executed")
