"""A journal that is lost, replaced or goes back in time: nothing is taken on in silence, and an operator's word lets it go on."""

import asyncio
import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import nats
import pytest
from vantixs.runtime.journal import STREAM
from vantixs.testing.stack import RunningStack, wait_for

pytestmark = pytest.mark.timeout(400)  # Each starts the whole system two or three times.
STREAM_FILES = Path("data", "nats", "jetstream", "$G", "streams", STREAM)


def trade(stack: RunningStack, name: str, count: int = 6) -> list[str]:
    """Signals that were accepted and came to their end."""
    ids = accept(stack, name, count)
    stack.ended(ids)
    return ids


def accept(stack: RunningStack, name: str, count: int) -> list[str]:
    answers = [
        stack.send({"action": "buy", "symbol": "LTCUSDT", "idempotency_key": f"{name}-{n}"}) for n in range(count)
    ]
    assert {answer.status_code for answer in answers} == {202}
    return [answer.json()["signal_id"] for answer in answers]


def recorded(stack: RunningStack) -> None:
    """Waits until history has all that is in the journal, so that what is copied or lost next is known."""

    def caught_up() -> bool:
        journal = stack.json("journal", "show")["journal"]
        return journal["recorded_sequence"] == journal["last_sequence"]

    wait_for(caught_up, "history to catch up")


def journal_of(stack: RunningStack) -> dict[str, Any]:
    done = stack.run("journal", "show", "--json")
    assert done.returncode in (0, 1), done.stderr
    return dict(json.loads(done.stdout)["journal"])


def lose(home: Path) -> None:
    shutil.rmtree(home / "data" / "nats")


def cut_last_block(home: Path) -> None:
    """The last block ends in the middle of a message."""
    block = max((home / STREAM_FILES / "msgs").glob("*.blk"), key=lambda path: int(path.stem))
    os.truncate(block, block.stat().st_size * 2 // 3)
    (home / STREAM_FILES / "msgs" / "index.db").unlink(missing_ok=True)


def assert_held(stack: RunningStack) -> str:
    """Nothing new is taken, exits too, and everybody who asks is told why; returns the gap's name."""
    done = stack.run("status", "--json")
    shown = json.loads(done.stdout)
    assert done.returncode == 1
    assert "vantixs journal accept-gap" in shown["journal_gap"][-1]
    states = shown["services"]
    assert {states[name] for name in ("ingress", "router", "audit")} == {"NOT_SERVING"}
    assert states["risk"] == "SERVING"
    ready = httpx.get(f"{stack.endpoints['http']}/readyz")
    assert ready.status_code == 503
    assert "accept-gap" in ready.json()["dependencies"]["journal-gap"]["detail"]
    for action in ("buy", "close"):
        answer = stack.send({"action": action, "symbol": "LTCUSDT", "comment": "while a gap is known"})
        assert (answer.status_code, answer.json()["reason"]) == (503, "STORAGE_UNAVAILABLE")
        assert "operator" in answer.json()["detail"]
    return str(journal_of(stack)["gap"]["gap_id"])


def stack_states(stack: RunningStack) -> dict[str, str]:
    return dict(json.loads(stack.run("status", "--json").stdout)["services"])


def assert_goes_on(stack: RunningStack, gap: str, before: list[str]) -> None:
    """After the operator's word signals flow and are in history, with the gap; no process was started again."""
    earlier = len(json.loads(stack.run("journal", "show", "--json").stdout).get("accepted_gaps", []))
    pids = {name: stack.pid(name) for name in ("ingress", "router", "audit", "risk")}
    refused = stack.run("journal", "accept-gap", "--gap", "00000000")
    assert (refused.returncode, "JOURNAL_GAP_CHANGED" in refused.stderr) == (1, True)
    done = stack.run("journal", "accept-gap", "--gap", gap, "--comment", "tested")
    while "JOURNAL_GAP_CHANGED" in done.stderr:  # A service told what it misses meanwhile: looked at again.
        earlier_gap, gap = gap, str(journal_of(stack)["gap"]["gap_id"])
        assert gap != earlier_gap
        done = stack.run("journal", "accept-gap", "--gap", gap, "--comment", "tested")
    assert done.returncode == 0, done.stderr
    wait_for(
        lambda: httpx.get(f"{stack.endpoints['http']}/readyz", verify=False).status_code == 200, "ingress to be ready"
    )
    after = trade(stack, f"after-{gap}")
    history = stack.signals()
    assert set(before + after) <= set(history)
    accepted = [each["entry"] for each in stack.json("journal", "show")["accepted_gaps"]]
    assert len(accepted) == earlier + 1
    (entry,) = [each for each in accepted if each["journal_gap_accepted"]["gap_id"] == gap]
    assert entry["actor"].startswith("operator:")
    assert entry["journal_gap_accepted"]["comment"] == "tested"
    assert pids == {name: stack.pid(name) for name in pids}
    wait_for(lambda: stack.run("status").returncode == 0, "everything to serve again")
    again = stack.run("journal", "accept-gap", "--gap", gap)
    assert (again.returncode, "JOURNAL_WHOLE" in again.stderr) == (1, True)


@pytest.mark.parametrize("damage", [lose, pytest.param(cut_last_block, marks=pytest.mark.long)], ids=["lost", "cut"])
def test_journal_that_lost_messages_while_stopped_is_noticed_and_accepted(
    damage: Callable[[Path], None], stack: RunningStack
) -> None:
    before = trade(stack, f"before-{damage.__name__}")
    recorded(stack)
    url = stack.url.rpartition("/")[2]
    assert stack.stop() == 0
    damage(stack.home)
    stack.start()
    assert stack.url.rpartition("/")[2] == url, "the webhook is the one that was there"
    assert "Attention no signal is accepted" in stack.output
    assert_goes_on(stack, assert_held(stack), before)
    # A start later nothing is missing any more.
    assert stack.stop() == 0
    stack.start()
    assert stack.run("status").returncode == 0
    assert "Attention" not in stack.output


@pytest.mark.long
def test_journal_restored_from_an_older_copy_is_noticed_and_accepted(tmp_path: Path) -> None:
    stack = RunningStack(tmp_path / "home").start()
    early = trade(stack, "early")
    recorded(stack)
    assert stack.stop() == 0
    shutil.copytree(stack.home / "data" / "nats", tmp_path / "older")
    stack.start()
    late = trade(stack, "late")
    recorded(stack)
    assert stack.stop() == 0
    shutil.rmtree(stack.home / "data" / "nats")
    shutil.copytree(tmp_path / "older", stack.home / "data" / "nats")
    stack.start()
    gap = assert_held(stack)
    assert_goes_on(stack, gap, early + late)
    executed = [s for s in stack.signals().values() if s["signal_id"] in early + late]
    assert {s["status"] for s in executed} == {"SIGNAL_STATUS_EXECUTED"}
    assert stack.stop() == 0


def test_stream_deleted_under_a_running_system_is_noticed_and_accepted(stack: RunningStack) -> None:
    before = trade(stack, "before-deleted")
    recorded(stack)
    asyncio.run(delete_stream(stack))
    wait_for(
        lambda: httpx.get(f"{stack.endpoints['http']}/readyz", verify=False).status_code == 503, "the gap to be known"
    )
    wait_for(lambda: stack_states(stack)["router"] == "NOT_SERVING", "the router to know")
    assert_goes_on(stack, assert_held(stack), before)


@pytest.mark.long
def test_broker_that_comes_back_without_its_store_is_noticed_and_accepted(tmp_path: Path) -> None:
    stack = RunningStack(tmp_path / "home").start()
    before = trade(stack, "before")
    recorded(stack)
    shutil.rmtree(stack.home / "data" / "nats")
    os.kill(stack.pid("nats"), signal.SIGKILL)
    wait_for(
        lambda: httpx.get(f"{stack.endpoints['http']}/readyz", verify=False).status_code == 503, "the gap to be known"
    )
    wait_for(lambda: stack_states(stack).get("router") == "NOT_SERVING", "the router to know")
    assert_goes_on(stack, assert_held(stack), before)
    assert stack.json("webhook", "get", "demo")["webhook"]["webhook_id"] == "demo"
    assert stack.stop() == 0


async def delete_stream(stack: RunningStack) -> None:
    token = (stack.home / "secrets" / "nats-token").read_text().strip()
    client = await nats.connect(str(stack.endpoints["nats"]), token=token)
    await client.jetstream().delete_stream(STREAM)
    await client.close()


@pytest.mark.long
def test_home_copied_while_it_runs_is_not_served_before_its_gap_is_accepted(tmp_path: Path) -> None:
    """The journal's directory is copied first, the others later: what came in between is only in the databases."""
    stack = RunningStack(tmp_path / "home").start()
    early = trade(stack, "early")
    copied = tmp_path / "copied"
    copied.mkdir()
    for name in ("vantixs-home", "secrets"):
        source = stack.home / name
        shutil.copytree(source, copied / name) if source.is_dir() else shutil.copy(source, copied / name)
    (copied / "data").mkdir()
    shutil.copytree(stack.home / "data" / "nats", copied / "data" / "nats")
    late = trade(stack, "late")
    recorded(stack)
    # Databases of services that are idle: what is copied of them is whole.
    for path in (stack.home / "data").glob("*"):
        if path.is_file():
            shutil.copy(path, copied / "data" / path.name)
    assert stack.stop() == 0
    restored = RunningStack(copied).start()
    gap = assert_held(restored)
    assert_goes_on(restored, gap, early + late)
    assert restored.stop() == 0


@pytest.mark.long
def test_messages_that_history_never_had_are_named_by_sequence_and_not_run_again(tmp_path: Path) -> None:
    """Audit alone could not tell: it was behind. Ingress and the router have seen what is gone."""
    stack = RunningStack(tmp_path / "home").start()
    early = trade(stack, "early")
    recorded(stack)
    end = int(journal_of(stack)["last_sequence"])
    assert stack.stop() == 0
    shutil.copytree(stack.home / "data" / "nats", tmp_path / "older")
    stack.start()
    recorded(stack)
    os.kill(stack.pid("audit"), signal.SIGSTOP)
    late = accept(stack, "late", 4)
    wait_for(lambda: len(orders_of(stack, late)) == 4, "the router to trade")
    os.kill(stack.pid("audit"), signal.SIGKILL)
    for name in ("nats", "ingress", "router"):
        os.kill(stack.pid(name), signal.SIGSTOP)  # What audit's successor would read is gone before it reads.
    stack.stop()
    shutil.rmtree(stack.home / "data" / "nats")
    shutil.copytree(tmp_path / "older", stack.home / "data" / "nats")
    stack.start()
    gap = assert_held(stack)
    told = journal_of(stack)["gap"]
    assert "ingress-0" in told["detail"]
    missing = [s for s in late if s not in stack.signals()]
    if missing:
        assert int(told["first_missing_sequence"]) > end - 1
        assert int(told["last_missing_sequence"]) >= int(told["first_missing_sequence"]) + len(missing) - 1
    assert_goes_on(stack, gap, early)
    assert len(orders_of(stack, late)) == 4, "nothing runs twice"
    assert stack.stop() == 0


def orders_of(stack: RunningStack, ids: list[str]) -> list[dict[str, Any]]:
    orders = stack.json("order", "list", "--page-size", "1000").get("orders", [])
    return [order for order in orders if order["signal_id"] in ids]
