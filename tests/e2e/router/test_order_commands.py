"""Orders that rest and positions with a stop, as an operator sees, cancels and closes them on a running system."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from vantixs.testing.stack import RunningStack, wait_for

PROTECTED = {"stop_loss": "58000", "tp1": "66000", "tp1_share": "60", "tp2": "67000", "tp2_share": "40"}


@pytest.fixture
def quoted(stack: RunningStack) -> Iterator[RunningStack]:
    """The price of BTC/USDT is given, and simulated again afterwards."""
    done = stack.run("quote", "set", "BTC/USDT", "63990", "64010")
    assert done.returncode == 0, done.stderr
    assert stack.json("quote", "get", "BTC/USDT")["source"] == "pushed"
    yield stack
    assert stack.run("quote", "clear", "BTC/USDT").returncode == 0
    assert stack.json("quote", "get", "BTC/USDT")["source"] == "simulated"


def send(stack: RunningStack, **alert: Any) -> dict[str, Any]:
    """A buy alert of BTC/USDT, and the signal once it has ended."""
    answer = stack.send({"action": "buy", "symbol": "BTCUSDT", **alert})
    assert answer.status_code == 202, answer.text
    signal_id = str(answer.json()["signal_id"])
    return dict(stack.ended([signal_id])[signal_id])


def open_orders(stack: RunningStack) -> list[dict[str, Any]]:
    listed = stack.json("order", "list", "--account", "paper", "--instrument", "BTC/USDT", "--open")
    return list(listed.get("orders", []))


def test_limit_order_is_seen_and_canceled(quoted: RunningStack) -> None:
    ended = send(quoted, order_type="limit", limit_price="60000", **PROTECTED)
    assert (ended["status"], ended["reason"]) == ("SIGNAL_STATUS_EXECUTED", "ORDER_WORKING"), ended
    (resting,) = open_orders(quoted)
    assert (resting["signal_id"], resting["limit_price"]) == (ended["signal_id"], "60000")
    order_id = resting["order_id"]
    shown = quoted.run("order", "show", order_id).stdout
    assert shown.startswith(f"{order_id} ACCEPTED  BUY ")
    assert "at 60000 (limit, GTC)" in shown
    planned = quoted.run("signals", "show", ended["signal_id"]).stdout
    assert all(words in planned for words in ("stop at 58000", "target 1 at 66000", "target 2 at 67000")), planned
    done = quoted.run("order", "cancel", order_id)
    assert (done.returncode, "CANCELED" in done.stdout) == (0, True), done.stdout + done.stderr
    assert open_orders(quoted) == []
    assert quoted.run("order", "cancel", order_id).returncode == 1, "it has ended"

    def told() -> bool:
        lines = quoted.run("signals", "show", ended["signal_id"]).stdout.splitlines()
        return any(line.startswith(f"{order_id} ") and " entry " in line and " CANCELED " in line for line in lines)

    wait_for(told, "history to have the cancel")
    after = quoted.json("signals", "show", ended["signal_id"])["signal"]
    assert (after["status"], after["reason"]) == ("SIGNAL_STATUS_EXECUTED", "ORDER_WORKING")


def test_limit_order_is_amended_and_its_protection_goes_with_it(quoted: RunningStack) -> None:
    ended = send(quoted, order_type="limit", limit_price="60000", comment="amended", **PROTECTED)
    (resting,) = open_orders(quoted)
    asked = ("order", "amend", resting["order_id"], "--limit-price", "61000", "--reason", "nearer")
    asked = (*asked, "--request-id", "0b6b7f0e-6f0c-4a3e-9a55-0f6f7f0c1d11")
    done = quoted.run(*asked)
    assert done.returncode == 0, done.stdout + done.stderr
    again = quoted.run(*asked)
    assert (again.returncode, again.stdout) == (0, done.stdout), "the same call again is the same change"
    assert f" replaces {resting['order_id']}: BUY " in done.stdout
    (new,) = open_orders(quoted)
    assert (new["limit_price"], new["replaces_order_id"]) == ("61000", resting["order_id"]), ended
    old = quoted.json("order", "show", resting["order_id"])["order"]
    assert (old["state"], old["reason"]) == ("ORDER_STATE_CANCELED", "ORDER_AMENDED")
    assert old["replaced_by_order_id"] == new["order_id"]
    planned = quoted.run("signals", "show", new["signal_id"]).stdout
    assert all(words in planned for words in ("replaces ", "stop at 58000", "target 1 at 66000")), planned
    again = quoted.run("order", "amend", resting["order_id"], "--limit-price", "62000")
    assert (again.returncode, "ORDER_HAS_ENDED" in again.stderr) == (1, True), again.stderr
    refused = quoted.run("order", "amend", new["order_id"], "--limit-price", "57000")
    assert (refused.returncode, "PROTECTION_INVALID" in refused.stdout) == (1, True), refused.stdout
    assert [order["order_id"] for order in open_orders(quoted)] == [new["order_id"]]
    assert quoted.run("order", "cancel", new["order_id"]).returncode == 0


def test_halt_cancels_an_entry_that_rests(quoted: RunningStack) -> None:
    ended = send(quoted, order_type="limit", limit_price="60000")
    (resting,) = open_orders(quoted)
    halted = quoted.run("halt", "--scope", "account:paper", "--comment", "test")
    try:
        assert (halted.returncode, "resting entries are cancelled" in halted.stdout) == (0, True), halted.stderr
        wait_for(lambda: not open_orders(quoted), "the entry to be cancelled")
    finally:
        assert quoted.run("resume", "--scope", "account:paper", "--yes").returncode == 0
    after = quoted.json("order", "show", resting["order_id"])["order"]
    assert (after["state"], after["reason"]) == ("ORDER_STATE_CANCELED", "TRADING_HALTED"), ended


def test_position_stands_beside_its_stop_and_is_closed(quoted: RunningStack) -> None:
    ended = send(quoted, **PROTECTED)
    assert ended["status"] == "SIGNAL_STATUS_EXECUTED", ended

    def held() -> list[dict[str, Any]]:
        positions = quoted.json("position", "list", "--account", "paper")["positions"]
        return [item for item in positions if item["instrument"] == "BTC/USDT"]

    def protected() -> bool:
        return [order["state"] for order in held()[0]["orders"]] == ["ORDER_STATE_ACCEPTED"] * 3

    wait_for(protected, "stop and targets to work")
    listed = " ".join(quoted.run("position", "list").stdout.split())
    assert "58000 for 0.00156 66000 for 0.00093, 67000 for 0.00063" in listed
    wait_for(lambda: "stop of " in page_of(quoted, ended["signal_id"]), "the page to show the stop")
    # A quote is refused after some seconds.
    assert quoted.run("quote", "set", "BTC/USDT", "63990", "64010").returncode == 0
    done = quoted.run(
        "position", "close", "--account", "paper", "--instrument", "BTC/USDT", "--reason", "the test is over"
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert " closes BTC/USDT of paper\nEXECUTED " in done.stdout
    assert held() == []
    wait_for(lambda: not open_orders(quoted), "stop and targets to be gone")
    unknown = quoted.run("position", "close", "--account", "paper", "--instrument", "BTC/FOO", "--reason", "x")
    assert unknown.returncode == 1
    assert "BTC/FOO" in unknown.stderr


def page_of(stack: RunningStack, signal_id: str) -> str:
    """The page of a signal."""
    token = (stack.home / "secrets" / "console-token").read_text().strip()
    with httpx.Client(base_url=stack.endpoints["console"], timeout=10) as client:
        client.get("/", params={"token": token})
        return client.get(f"/signals/{signal_id}").text
