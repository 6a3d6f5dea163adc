"""Every store of a stopped and of a running home is removed, emptied, cut, damaged, rolled back or made read-only.

Nothing may be silent: what is accepted is in history or there is an alarm, no service is SERVING with other books than it had,
and an alarm names the store and what to do. Homes are made once: `older` is one at its first signals, `newer` the same home
after some more.
"""

import json
import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from vantixs.testing.damage import CALLED, DAMAGES
from vantixs.testing.stack import RunningStack, wait_for

pytestmark = pytest.mark.timeout(300)
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")


@dataclass(frozen=True)
class Homes:
    """A home at two times, stopped; the signals and the books of the later one."""

    older: Path
    newer: Path
    signals: frozenset[str]
    balances: dict[str, str]


def trade(stack: RunningStack, word: str) -> list[str]:
    ids = [
        stack.send({"action": "buy", "symbol": symbol, "comment": word}).raise_for_status().json()["signal_id"]
        for symbol in SYMBOLS
    ]
    stack.ended(ids)
    return ids


def balances(stack: RunningStack) -> dict[str, str]:
    return {b["asset"]: b["total"] for b in stack.json("account", "show", "paper")["balances"]}


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Homes:
    root = tmp_path_factory.mktemp("homes")
    stack = RunningStack(root / "home").start()
    first = trade(stack, "first")
    assert stack.stop() == 0
    shutil.copytree(stack.home, root / "older")
    stack.start()
    more = trade(stack, "second") + trade(stack, "third")
    held = balances(stack)
    assert stack.stop() == 0
    return Homes(root / "older", stack.home, frozenset(first + more), held)


def case_id(case: tuple[Any, ...]) -> str:
    state, *damages = case
    return "-".join([state, *(f"{store}-{how}" for store, how in damages)])


DATABASES = ("risk", "router", "audit", "spool")
ALONE = [(store, how) for store in (*DATABASES, "records") for how in DAMAGES if (store, how) != ("records", "cut")]
SECRETS = [(store, how) for store in ("signing-key", "operator-token") for how in ("removed", "empty", "noise", "cut")]
BROKER = [
    *((store, how) for store in ("journal", "broker") for how in ("removed", "noise", "older", "read-only")),
    *(("webhooks", how) for how in ("removed", "older")),
    ("data", "read-only"),
]
PAIRS = [
    (("risk", "removed"), ("records", "removed")),
    (("risk", "older"), ("records", "older")),
    (("router", "removed"), ("records", "removed")),
    (("audit", "removed"), ("records", "empty")),
    (("spool", "removed"), ("records", "noise")),
    (("risk", "removed"), ("router", "removed")),
    (("risk", "older"), ("router", "older")),
    (("risk", "removed"), ("audit", "removed")),
    (("risk", "removed"), ("broker", "removed")),
    (("router", "older"), ("broker", "removed")),
    (("records", "removed"), ("broker", "removed")),
]
RUNNING = [(store, how) for store in DATABASES for how in ("removed", "empty", "cut", "noise", "older")]
RUNNING += [(store, "read-only") for store in (*DATABASES, "records", "data")]
RUNNING += [("records", "removed"), ("records", "noise"), ("signing-key", "removed"), ("operator-token", "removed")]
CASES = [
    *(("stopped", case) for case in ALONE + SECRETS + BROKER),
    *(("stopped", *pair) for pair in PAIRS),
    *(("running", case) for case in RUNNING),
]


def test_table_has_every_store_and_damage() -> None:
    assert len(CASES) >= 60
    assert len({case_id(case) for case in CASES}) == len(CASES)
    assert {how for _, *damages in CASES for _, how in damages} == set(DAMAGES)


def test_lost_database_is_not_served_as_a_new_one(tmp_path: Path) -> None:
    stack = RunningStack(tmp_path / "home").start()
    signals = trade(stack, "first")
    books = balances(stack)
    assert stack.stop() == 0
    with ExitStack() as ends:
        DAMAGES["removed"](stack.home, "risk", stack.home, ends)
        assert start(stack, ends) == ""
        watch(stack, Homes(stack.home, stack.home, frozenset(signals), books), [("risk", "removed")])


@pytest.mark.long
@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_nothing_goes_wrong_in_silence(case: tuple[Any, ...], homes: Homes, tmp_path: Path) -> None:
    state, *damages = case
    stack = RunningStack(tmp_path / "home")
    shutil.copytree(homes.newer, stack.home)
    with ExitStack() as ends:
        if state == "running":
            ends.callback(stack.stop)
            stack.start()
        for store, how in damages:
            DAMAGES[how](stack.home, store, homes.older, ends)
        if state == "stopped" and (line := start(stack, ends)):
            assert_names(line, damages)
            return
        watch(stack, homes, damages)
        if state == "running":
            # What is open may work on without its file; the next start may not.
            stack.stop()
            if line := start(stack, ends):
                assert_names(line, damages)
                return
            watch(stack, homes, damages)
        for store, how in damages:
            if (store, how) == ("operator-token", "removed"):
                assert "secrets/operator-token was missing and is made anew" in stack.output


def start(stack: RunningStack, ends: ExitStack) -> str:
    """Starts it; returns the one line with which it refused to, or nothing."""
    ends.callback(stack.stop)
    try:
        stack.start()
    except AssertionError as error:
        assert "ended with 2" in str(error), error
        stack.stop()
        lines = [line for line in stack.output.splitlines() if line.startswith("vantixs")]
        assert len(lines) == 1, stack.output
        return lines[0]
    return ""


def watch(stack: RunningStack, homes: Homes, damages: list[tuple[str, str]]) -> None:
    """Sends a signal, and demands that all is as it was, or that there is an alarm."""
    try:
        answer = stack.send({"action": "buy", "symbol": "LTCUSDT"})
        accepted = {answer.json()["signal_id"]} if answer.status_code == 202 else set()
    except httpx.HTTPError:
        accepted = set()
    wait_for(
        lambda: names(alarm_of(stack), damages) or whole(stack, homes, accepted),
        f"{damages}: an alarm that names the store and what to do, or all as before",
        30,
    )


def alarm_of(stack: RunningStack) -> str:
    done = stack.run("status")
    if done.returncode == 0:
        return ""
    listed = stack.run("store", "list")
    return done.stdout + done.stderr + listed.stdout + listed.stderr


def whole(stack: RunningStack, homes: Homes, accepted: set[str]) -> bool:
    """Whether history has every signal, each ended, and the books are those there were, but for what came now."""
    done = stack.run("signals", "list", "--page-size", "1000", "--json")
    if done.returncode:
        return False
    found = {s["signal_id"]: s["status"] for s in json.loads(done.stdout).get("signals", [])}
    if not (homes.signals | accepted) <= set(found) or "SIGNAL_STATUS_ACCEPTED" in found.values():
        return False
    try:
        now = balances(stack)
    except AssertionError:  # Refused since the look before: the next one finds the alarm.
        return False
    return all(now.get(asset) == total for asset, total in homes.balances.items() if asset not in ("USDT", "LTC"))


def names(text: str, damages: list[tuple[str, str]]) -> bool:
    """Whether an alarm says which store, and what to do. A service that is started again just now says neither."""
    known = any(store in text or CALLED.get(store, store) in text for store, _ in damages)
    return known and any(word in text for word in ("vantixs store accept", "put ", "make it writable", "accept-gap"))


def assert_names(line: str, damages: list[tuple[str, str]]) -> None:
    """Whether the line that ended a start does."""
    assert names(line, damages), line
