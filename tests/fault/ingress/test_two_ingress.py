"""The same signal sent to two ingress at once is one order, whatever dies meanwhile."""

import itertools
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from vantixs.testing.postgres import PostgresServer
from vantixs.testing.promises import check_promises
from vantixs.testing.stack import RunningStack, wait_for

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT")
PAIRS = 10  # Of each symbol.


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
def two(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    settings = {}
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        settings["VANTIXS_DATABASE_URL"] = server.new_database()
    running = RunningStack(tmp_path_factory.mktemp("two") / "home", router=2, ingress=2, **settings).start()
    yield running
    assert running.stop() == 0


class Pairs:
    """Sends to both ingress at the same moment."""

    def __init__(self, stack: RunningStack) -> None:
        path = stack.url.removeprefix(str(stack.endpoints["http"]))
        self._urls = [stack.ingress_url(number) + path for number in range(2)]
        self._clients = [httpx.Client(timeout=10, verify=False) for _ in self._urls]
        self._pool = ThreadPoolExecutor(2)
        self._barrier = threading.Barrier(2)

    def send(self, *bodies: dict[str, Any], key: str = "") -> list[str]:
        """The ids that they answer; one body is sent to both."""

        def post(number: int) -> str:
            self._barrier.wait(20)
            content, headers = json.dumps(bodies[number % len(bodies)]), {"Idempotency-Key": key} if key else {}
            answer = self._clients[number].post(self._urls[number], content=content, headers=headers)
            assert answer.status_code == 202, answer.text
            return str(answer.json()["signal_id"])

        return list(self._pool.map(post, range(2)))

    def close(self) -> None:
        self._pool.shutdown()
        for client in self._clients:
            client.close()


def send_pairs(stack: RunningStack, symbol: str, run: str) -> list[list[str]]:
    pairs, actions = Pairs(stack), itertools.cycle(("buy", "close"))
    try:
        return [
            pairs.send({"action": next(actions), "symbol": symbol, "comment": f"{run} {number}"})
            for number in range(PAIRS)
        ]
    finally:
        pairs.close()


def check_pairs(stack: RunningStack, pairs: list[list[str]]) -> None:
    """Of each pair one is carried out; the other one is its repeat, and says so."""
    found = stack.ended([signal_id for pair in pairs for signal_id in pair])
    for pair in pairs:
        assert len(set(pair)) == 2
        done, repeat = sorted((found[signal_id] for signal_id in pair), key=lambda s: s["status"])
        assert (done["status"], repeat["status"]) == ("SIGNAL_STATUS_EXECUTED", "SIGNAL_STATUS_REJECTED"), pair
        assert (repeat["stage"], repeat["reason"]) == ("duplicate", "DUPLICATE_SUPPRESSED")
        assert repeat["first_signal_id"] == done["signal_id"]
        assert done["duplicate_count"] == 1
    check_promises(stack, [signal_id for pair in pairs for signal_id in pair])


def test_same_bytes_to_both_are_one_order_while_routers_are_killed(two: RunningStack) -> None:
    with ThreadPoolExecutor(len(SYMBOLS)) as pool:
        sending = [pool.submit(send_pairs, two, symbol, "killed") for symbol in SYMBOLS]
        for number in itertools.cycle(range(2)):
            two.kill(f"router-{number}")
            if all(future.done() for future in sending):
                break
        pairs = [pair for future in sending for pair in future.result()]
    check_pairs(two, pairs)


def conflicts(stack: RunningStack, first: str) -> list[dict[str, Any]]:
    """The signals that used the key of this one with other content."""
    listed = stack.signals().values()
    return [s for s in listed if s.get("reason") == "IDEMPOTENCY_CONFLICT" and first in s["detail"]]


def test_same_key_to_both_is_one_order_and_other_content_is_a_conflict(two: RunningStack) -> None:
    pairs, same, others = Pairs(two), [], []
    try:
        for number in range(PAIRS):
            symbol = SYMBOLS[number % 4]
            buy, close = ({"action": action, "symbol": symbol} for action in ("buy", "close"))
            same += [pairs.send(buy, key=f"buy {number}"), pairs.send(close, key=f"close {number}")]
            others.append(pairs.send(buy, buy | {"comment": "other"}, key=f"other {number}"))
    finally:
        pairs.close()
    assert all(len(set(pair)) == 1 for pair in same + others)
    keyed = [pair[0] for pair in same + others]
    found = two.ended(keyed)
    assert {found[signal_id]["status"] for signal_id in keyed} == {"SIGNAL_STATUS_EXECUTED"}
    for first, _ in others:
        (conflict,) = wait_for(lambda first=first: conflicts(two, first), "the conflict to be recorded")
        assert (conflict["status"], conflict["stage"]) == ("SIGNAL_STATUS_REJECTED", "duplicate")
    assert [two.signals()[first]["duplicate_count"] for first, _ in same] == [1] * len(same)
    check_promises(two, keyed)


# The last one: which of the two is the first is not told by the journal's order, as each is in a lane of its own.
def test_same_key_with_another_instrument_to_the_other_one_is_one_order(two: RunningStack) -> None:
    pairs = Pairs(two)
    try:
        sent = [
            pairs.send(
                *({"action": "buy", "symbol": SYMBOLS[(number + n) % 4]} for n in range(2)), key=f"lane {number}"
            )
            for number in range(PAIRS)
        ]
    finally:
        pairs.close()
    two.ended([first for first, _ in sent])
    for first, second in sent:
        assert first == second
        assert len(wait_for(lambda first=first: conflicts(two, first), "the conflict to be recorded")) == 1
        entries = [step["entry"] for step in two.timelines_of([first])[first]]
        assert sum("signal_completed" in entry for entry in entries) == 1
        (order,) = [entry["order_submitted"]["order"] for entry in entries if "order_submitted" in entry]
        (fill,) = [entry["fill_recorded"]["fill"] for entry in entries if "fill_recorded" in entry]
        assert (fill["quote"]["instrument"], fill["quantity"]) == (order["instrument"], order["quantity"])
    books = two.accounts_of(["paper"])["paper"]
    assert [balance for balance in books["balances"] if float(balance.get("reserved", 0))] == []
    assert not books.get("open_orders")
