"""The position that the router remembers is not older than what it has booked itself."""

import asyncio
from decimal import Decimal as D
from typing import Any

from vantixs.api.common.v1 import order_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs_router.risk_client import RiskClient

BTC, ETH = "BTC/USDT", "ETH/USDT"


class SlowLists:
    """Risk's stub: a list of positions is read at the call, and is answered when the test says so."""

    def __init__(self) -> None:
        self.positions = {BTC: "1", ETH: "2"}
        self.asked, self.answers = asyncio.Event(), asyncio.Event()

    async def ListPositions(self, request: Any, timeout: float) -> Any:
        names = [request.instrument] if request.instrument else list(self.positions)
        read = [order_pb2.Position(instrument=name, quantity=self.positions[name]) for name in names]
        self.asked.set()
        await self.answers.wait()
        return risk_pb2.ListPositionsResponse(positions=read)


async def client_on(stub: SlowLists) -> RiskClient:
    replicas: Any = type("NoReplicas", (), {"channel": type("Channel", (), {"unary_unary": lambda *_, **__: None})()})
    risk = RiskClient(replicas, 1.0)
    risk._stub = stub

    async def settled(account_id: str, call: Any, request: Any) -> Any:
        stub.positions[request.instrument] = "0"
        return risk_pb2.SettleOrderResponse(position=order_pb2.Position(quantity="0"))

    risk._share = settled  # type: ignore[method-assign, assignment]  # Risk's answer, without risk.
    return risk


async def test_list_that_was_asked_for_before_an_exit_was_booked_does_not_bring_its_position_back() -> None:
    """A signal of BTC asks what the account holds while the exit of ETH is booked: the two keys run at the same time."""
    stub = SlowLists()
    risk = await client_on(stub)
    listing = asyncio.create_task(risk.held("a"))
    await stub.asked.wait()
    await risk.settle(order_pb2.Order(order_id="s.1", account_id="a", instrument=ETH), [], final=True)
    stub.answers.set()
    assert await listing == [BTC]
    assert risk.known("a", ETH) == D(0)
    assert risk.known("a", BTC) == D(1)


async def test_position_that_was_asked_for_before_an_exit_was_booked_is_not_remembered() -> None:
    """A preview asks while the exit is booked."""
    stub = SlowLists()
    risk = await client_on(stub)
    asking = asyncio.create_task(risk.position("a", ETH))
    await stub.asked.wait()
    await risk.settle(order_pb2.Order(order_id="s.1", account_id="a", instrument=ETH), [], final=True)
    stub.answers.set()
    assert await asking == D(2)
    assert risk.known("a", ETH) == D(0)
    # What an operator adjusts later is heard of.
    stub.positions[ETH] = "3"
    assert await risk.position("a", ETH) == risk.known("a", ETH) == D(3)


async def test_position_is_unknown_after_another_replica_may_have_traded() -> None:
    stub = SlowLists()
    stub.answers.set()
    risk = await client_on(stub)
    await risk.held("a")
    risk.forget("a", ETH)
    assert risk.known("a", ETH) is None
    assert risk.known("a", BTC) == D(1)
