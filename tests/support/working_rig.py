"""The router on the paper venue with a real database and a real risk, for tests; prices are given, time is now."""

from dataclasses import replace
from decimal import Decimal as D
from typing import Any

from google.protobuf.message import Message
from vantixs.api.common.v1 import common_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.api.risk.v1 import risk_pb2, risk_pb2_grpc
from vantixs.model.ids import lane_of
from vantixs.runtime.journal_reader import Delivery
from vantixs.testing.venue import NoFence
from vantixs_router.lanes.outcome import Outcome
from vantixs_router.venues.paper.venue import PaperVenue
from vantixs_router.working.restrictions import WatchRestrictions

from tests.support.router_rig import SETTINGS, Router, SteppedDatabase, now

PERPETUAL = "BTC/USDT:USDT"
KEY = f"a|{PERPETUAL}"
# Fields of a signal whose order rests below the market, which is at 100.
LIMIT: dict[str, Any] = {"order_type": common_pb2.ORDER_TYPE_LIMIT, "limit_price": "95"}


class GivenQuotes:
    """The quote that was set last, now."""

    def __init__(self) -> None:
        self.bid, self.ask = "100", "100"
        self.bid_size, self.ask_size = "", ""

    def current(self, instrument: Any) -> common_pb2.Quote:
        quote = common_pb2.Quote(instrument=instrument.name, source="pushed", bid=self.bid, ask=self.ask)
        quote.bid_size, quote.ask_size = self.bid_size, self.ask_size
        quote.quote_time.GetCurrentTime()
        return quote

    def marks(self, held: Any, traded: str) -> list[common_pb2.Quote]:
        return []


class Rig:
    """A router on the paper venue, of which prices move on demand."""

    def __init__(self, router: Router, *, account: str = "a", instrument: str = PERPETUAL, **settings: Any) -> None:
        """`settings` are fields of the router's settings in place of those without fees and slippage."""
        self.router = router
        self.account, self.instrument, self.key = account, instrument, f"{account}|{instrument}"
        self.quotes = GivenQuotes()
        self.settings = replace(SETTINGS, paper_slippage_bps=D(0), paper_fee_bps=D(0), paper_maker_fee_bps=D(0))
        self.settings = replace(self.settings, **settings)
        self.restart()

    def restart(self) -> None:
        """Another process: it knows what is stored, and nothing else."""
        quotes: Any = self.quotes
        stepped: Any = SteppedDatabase(self.router.database, self.router.steps)
        self.router.quotes = quotes
        self.router.settings = self.settings
        self.router.steps.last = 10**9
        self.venue = PaperVenue(stepped, quotes, self.settings, now)
        self.signals = self.router.process(self.venue)
        self.working = self.router.working

    async def load(self) -> None:
        """What a replica does that takes the lane."""
        await self.working.load(lane_of(self.account, self.instrument))
        await self.working.look(self.key, NoFence())

    def signal(self, action: str, **fields: Any) -> Delivery:
        """A signal; `webhook_*` are fields of its webhook, stop, targets and shares are prices and percents."""
        delivery = self.router.signal(action, self.account, self.instrument)
        batch = journal_pb2.JournalBatch.FromString(delivery.data)
        accepted = batch.entries[0].signal_accepted
        if stop := fields.pop("stop", ""):
            accepted.signal.stop_loss.price = stop
        if trail := fields.pop("trail", ""):
            accepted.signal.trailing_stop.amount = trail
        for target in fields.pop("targets", ()):
            price, _, share = target.partition(" ")
            accepted.signal.take_profits.add(share=share).level.price = price
        if size := fields.pop("size", ""):
            accepted.webhook.sizing.value = size
        for name, value in fields.items():
            message, field = (accepted.webhook, name[8:]) if name.startswith("webhook_") else (accepted.signal, name)
            if isinstance(value, Message):
                getattr(message, field).CopyFrom(value)
            else:
                setattr(message, field, value)
        return replace(delivery, data=batch.SerializeToString())

    async def send(self, action: str, **fields: Any) -> journal_pb2.SignalCompleted:
        """Carries a signal to its end."""
        delivery = self.signal(action, **fields)
        assert await self.signals.handle(delivery, NoFence()) is Outcome.DONE
        return await self.router.end(f"s{self.router.sequence}")

    async def price(self, bid: str, ask: str = "") -> None:
        """The market moves there, and what rests sees it."""
        self.quotes.bid, self.quotes.ask = bid, ask or bid
        instrument = type("Named", (), {"name": self.instrument})
        self.working.sees(self.key, self.quotes.current(instrument), busy=False)
        await self.working.look(self.key, NoFence())

    async def restrict(self, scope: str, state: Any) -> None:
        """An operator sets a trading state, and the router hears of it."""
        stub = risk_pb2_grpc.RiskServiceStub(self.router.channel)
        request = risk_pb2.SetTradingStateRequest(scope=scope, state=state, comment="test")
        await stub.SetTradingState(request, timeout=10)
        await WatchRestrictions(self.router.risk_client, self.working.restrict).look()
        await self.working.look(self.key, NoFence())

    async def orders(self, signal_id: str = "s1") -> list[str]:
        """Every order of a signal: "sell stop 0.5 @ 90 ACCEPTED"."""
        found = []
        for row in await self.router.orders(signal_id):
            order = row.order
            kind = common_pb2.OrderType.Name(order.order_type).removeprefix("ORDER_TYPE_").lower()
            side = common_pb2.Side.Name(order.side).removeprefix("SIDE_").lower()
            state = common_pb2.OrderState.Name(order.state).removeprefix("ORDER_STATE_")
            price = order.limit_price or order.stop_price or "market"
            found.append(f"{side} {kind} {order.quantity} @ {price} {state}")
        return found

    async def working_ones(self, signal_id: str = "s1") -> list[str]:
        return sorted(o.removesuffix(" ACCEPTED") for o in await self.orders(signal_id) if o.endswith("ACCEPTED"))

    async def position(self) -> D:
        return await self.router.position(self.account, self.instrument)

    async def check(self) -> None:
        """Nothing rests, nothing is reserved, and history's fills are the position."""
        books = await self.router.books(self.account)
        assert not books.open_orders
        assert not self.working.has(self.key)
        sent = {f"s{number}" for number in range(1, self.router.sequence + 1)}
        fills = [
            e.fill_recorded.fill
            for e in await self.router.entries()
            if e.signal_id in sent and e.HasField("fill_recorded")
        ]
        filled = sum((D(f.quantity) * (1 if f.side == common_pb2.SIDE_BUY else -1) for f in fills), D(0))
        assert filled == await self.position()
