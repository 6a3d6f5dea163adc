"""A venue that misbehaves on demand: it answers as scripted, and what it truly holds can be looked at."""

import asyncio
import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import Any

from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.model.decimals import format_decimal, parse_decimal


class Fault(Enum):
    """What happens to one call.

    `LOST`: the order arrives, its answer does not. `DROPPED`: nothing arrives, and nothing is answered. `HANGS`: as LOST, and the
    call never ends. `NONSENSE`: the order arrives, and the answer is none. `RAISES`: as LOST, the adapter raises.
    `REJECTED`: the venue refuses the order. `UNSEEN`: a query does not find what is there, as of a venue that lags behind;
    it does so once an order.
    """

    LOST = "lost"
    DROPPED = "dropped"
    HANGS = "hangs"
    NONSENSE = "nonsense"
    RAISES = "raises"
    REJECTED = "rejected"
    UNSEEN = "unseen"


@dataclass(slots=True)
class HeldOrder:
    """An order as the venue holds it."""

    order: order_pb2.Order
    fills: list[order_pb2.Fill] = field(default_factory=list)
    ended: int | None = None


class ScriptedVenue:
    """Implements the router's venue port for tests, whose types are given: this package knows no service.

    Each call takes the next fault of its script; without one it works. Orders are filled at `price` as soon as they arrive,
    up to the next of `fill_ratios` (1 where there is none), and the rest is cancelled, as of immediate-or-cancel orders. With
    `rests` the rest works instead until `finish` is called.

    Args:
        port: the module of the router with the types of answers.
        capabilities: what it can do; with `idempotent_submits` an order that it holds is not placed again.

    `on_call` is called before each call, and with "arrived" once an order is there; it may raise.
    """

    def __init__(self, port: Any, capabilities: Any, *, price: str = "100") -> None:
        self._port = port
        self.capabilities = capabilities
        self.price = price
        self.held: dict[str, HeldOrder] = {}
        self.arrivals: list[str] = []
        self.calls: list[tuple[str, str]] = []
        self.submit_faults: list[Fault | None] = []
        self.query_faults: list[Fault | None] = []
        self.fill_ratios: list[Decimal] = []
        self.rests = False
        self._unseen: set[str] = set()
        self.delay_s: dict[str, float] = defaultdict(float)
        self.on_call: Callable[[str], None] = lambda call: None

    async def submit(self, submission: Any, fence: Any) -> Any:
        """Places the order, or not, as scripted."""
        order = submission.order
        fault = await self._begin("submit", order, self.submit_faults)
        if fault is Fault.DROPPED:
            return self._port.Unknown("time-out")
        if fault is Fault.REJECTED:
            return self._port.Rejected("VENUE_REJECTED", "insufficient balance")
        self._arrive(order)
        return await self._end(order, fault)

    async def query(self, order: order_pb2.Order, fence: Any) -> Any:
        """What it holds, or not, as scripted."""
        fault = await self._begin("query", order, self.query_faults)
        if fault in (Fault.DROPPED, Fault.REJECTED):
            return self._port.Unknown("time-out")
        if fault is Fault.UNSEEN and order.client_order_id not in self._unseen:
            self._unseen.add(order.client_order_id)
            return self._port.NotFound()
        return await self._end(order, fault)

    async def cancel(self, order: order_pb2.Order, fence: Any) -> Any:
        """Cancels what works."""
        await self._begin("cancel", order, [])
        held = self.held.get(order.client_order_id)
        if held and held.ended is None:
            held.ended = common_pb2.ORDER_STATE_CANCELED
        return self._answer(order)

    async def open_orders(self, account_id: str, instrument: str) -> list[str]:
        """Ids of what works."""
        return [
            identity
            for identity, held in self.held.items()
            if held.ended is None and (held.order.account_id, held.order.instrument) == (account_id, instrument)
        ]

    async def follow(self, account_id: str, instrument: str) -> None:
        """It keeps all orders anyway."""

    def leave(self, account_id: str, instrument: str) -> None:
        """It keeps all orders anyway."""

    def see(self, account_id: str, instrument: str, quote: common_pb2.Quote, position: Decimal | None) -> bool:
        """It needs no quotes."""
        return False

    def finish(self, client_order_id: str, ratio: Decimal, ended: int) -> None:
        """Fills a working order up to a ratio of its quantity, and ends it."""
        held = self.held[client_order_id]
        self._fill(held, ratio)
        held.ended = ended

    def filled(self, instruments: Iterable[str] = ()) -> Decimal:
        """Signed quantity that was truly filled, of these instruments or of all."""
        total = Decimal(0)
        for held in self.held.values():
            if not instruments or held.order.instrument in instruments:
                sign = 1 if held.order.side == common_pb2.SIDE_BUY else -1
                total += sign * sum((parse_decimal(fill.quantity) for fill in held.fills), Decimal(0))
        return total

    async def _begin(self, call: str, order: order_pb2.Order, script: list[Fault | None]) -> Fault | None:
        self.calls.append((call, order.client_order_id))
        self.on_call(call)
        if delay := self.delay_s[order.instrument]:
            await asyncio.sleep(delay)
        return script.pop(0) if script else None

    async def _end(self, order: order_pb2.Order, fault: Fault | None) -> Any:
        match fault:
            case Fault.LOST:
                return self._port.Unknown("time-out")
            case Fault.HANGS:
                await asyncio.Event().wait()
            case Fault.NONSENSE:
                return {"id": None}
            case Fault.RAISES:
                raise KeyError("orderId")
        return self._answer(order)

    def _arrive(self, order: order_pb2.Order) -> None:
        identity = order.client_order_id
        if self.capabilities.idempotent_submits and identity in self.held:
            return
        self.arrivals.append(identity)
        held = self.held[identity] = HeldOrder(order_pb2.Order())
        held.order.CopyFrom(order)
        ratio = self.fill_ratios.pop(0) if self.fill_ratios else Decimal(1)
        self._fill(held, ratio)
        if ratio == 1:
            held.ended = common_pb2.ORDER_STATE_FILLED
        elif not self.rests:
            held.ended = common_pb2.ORDER_STATE_CANCELED
        self.on_call("arrived")

    def _fill(self, held: HeldOrder, ratio: Decimal) -> None:
        order = held.order
        before = sum((parse_decimal(fill.quantity) for fill in held.fills), Decimal(0))
        more = parse_decimal(order.quantity) * ratio - before
        if more <= 0:
            return
        fill = order_pb2.Fill(
            execution_id=f"{order.client_order_id}-{len(held.fills) + 1}",
            order_id=order.order_id,
            side=order.side,
            quantity=format_decimal(more),
            price=self.price,
            fee="0.01",
            fee_asset="USDT",
        )
        fill.execute_time.GetCurrentTime()
        held.fills.append(fill)

    def _answer(self, order: order_pb2.Order) -> Any:
        held = self.held.get(order.client_order_id)
        if held is None:
            return self._port.NotFound()
        venue_order_id = f"x-{order.client_order_id}"
        if not held.fills and held.ended is None:
            return self._port.Accepted(venue_order_id)
        return self._port.Executed(venue_order_id, tuple(held.fills), held.ended)


class NoFence:
    """A lane that is ours for ever, for what is tested without leases."""

    lane = 0

    def hold(self, connection: Any) -> Callable[[], None]:
        """Passes."""
        return lambda: None

    def remaining_s(self) -> float:
        """Without end."""
        return math.inf
