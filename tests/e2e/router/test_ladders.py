"""Ladders of one to six targets, with and without shares, from the alert to the last target on the running system."""

import asyncio
from collections.abc import Iterator
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest
from vantixs.api.common.v1 import common_pb2
from vantixs.api.router.v1 import router_pb2, router_pb2_grpc
from vantixs.testing.stack import RunningStack, _opened, wait_for

INSTRUMENTS = ("BTC/USDT", "ETH/USDT", "SOL/USDT", "BNB/USDT", "LTC/USDT", "AVAX/USDT")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    running = RunningStack(Path(tmp_path_factory.mktemp("ladders")) / "home", router=2).start()
    yield running
    assert running.stop() == 0


async def _publish(stack: RunningStack, price: int) -> None:
    quotes = [common_pb2.Quote(instrument=name, bid=str(price), ask=str(price)) for name in INSTRUMENTS]

    async def requests() -> Any:
        yield router_pb2.PublishQuotesRequest(quotes=quotes)

    async with _opened(stack.home, "router", "operator") as channel:
        stub = router_pb2_grpc.RouterServiceStub(channel)
        answer = await stub.PublishQuotes(requests(), timeout=10, wait_for_ready=True)
    assert (answer.taken, answer.refused, answer.detail) == (len(quotes), 0, "")


def orders_of(stack: RunningStack, account: str) -> list[dict[str, Any]]:
    return list(stack.json("order", "list", "--account", account).get("orders", []))


def in_state(orders: list[dict[str, Any]], leg: str, state: str) -> dict[str, int]:
    """How many legs of a kind are in a state, by instrument."""
    found = [o["instrument"] for o in orders if o.get("leg") == leg and o["state"] == state]
    return {name: found.count(name) for name in INSTRUMENTS if name in found}


@pytest.mark.parametrize("account", ["equal", "shares"])
def test_ladders_run_to_their_end(stack: RunningStack, account: str) -> None:
    stack.json("account", "create", account)
    made = stack.json("webhook", "create", "--account", account)
    counts = {name: number for number, name in enumerate(INSTRUMENTS, 1)}
    asyncio.run(_publish(stack, 100))
    for name, count in counts.items():
        body: dict[str, Any] = {"action": "buy", "symbol": name.replace("/", ""), "sl": 90}
        for number in range(1, count + 1):
            body[f"tp{number}"] = 100 + 10 * number
            if account == "shares":
                body[f"tp{number}_percent_of_position"] = 10 if number < count else 100 - 10 * (count - 1)
        response = stack.send(body, made["url"])
        assert response.status_code == 202, response.text
        assert "warnings" not in response.json(), response.text

    def rest() -> bool:
        orders = orders_of(stack, account)
        stops = in_state(orders, "BRACKET_LEG_STOP_LOSS", "ORDER_STATE_ACCEPTED")
        targets = in_state(orders, "BRACKET_LEG_TAKE_PROFIT", "ORDER_STATE_ACCEPTED")
        return targets == counts and stops == dict.fromkeys(INSTRUMENTS, 1)

    wait_for(rest, "every stop and target to rest")
    for number in range(1, len(INSTRUMENTS) + 1):
        asyncio.run(_publish(stack, 101 + 10 * number))
        reached = {name: min(number, count) for name, count in counts.items()}
        wait_for(
            lambda reached=reached: (
                in_state(orders_of(stack, account), "BRACKET_LEG_TAKE_PROFIT", "ORDER_STATE_FILLED") == reached
            ),
            f"target {number} to fill",
        )
    wait_for(lambda: not stack.json("order", "list", "--account", account, "--open").get("orders"), "no order to rest")
    for name in INSTRUMENTS:
        orders = [o for o in orders_of(stack, account) if o["instrument"] == name]
        bought = sum(D(o["filled_quantity"]) for o in orders if o["side"] == "SIDE_BUY")
        sold = sum(D(o.get("filled_quantity", "0")) for o in orders if o["side"] == "SIDE_SELL")
        assert bought == sold, (name, orders)
    shown = stack.run("position", "list", "--account", account).stdout
    assert all(name not in shown for name in INSTRUMENTS), shown
