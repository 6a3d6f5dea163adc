"""Random walks of an account through signals, prices and crashes, and what has to hold after every step of one."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal as D
from typing import Any

import sqlalchemy as sa
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.model.instruments import CATALOGUE
from vantixs.runtime.journal_reader import Delivery
from vantixs.testing.venue import NoFence
from vantixs_risk import store as risk_store
from vantixs_router import store, tables
from vantixs_router.domain.brackets.commands import LegKind
from vantixs_router.domain.brackets.state import LegState, Mode, is_dust
from vantixs_router.fence import LeaseLost
from vantixs_router.lanes.outcome import Outcome
from vantixs_router.working.store import BRACKETS, _of_row

from tests.support.router_rig import Stopped
from tests.support.working_rig import Rig

OPENS = (
    common_pb2.ORDER_STATE_SUBMITTED,
    common_pb2.ORDER_STATE_ACCEPTED,
    common_pb2.ORDER_STATE_PARTIALLY_FILLED,
)
POLICIES = (webhook_pb2.ON_NEW_SIGNAL_KEEP, webhook_pb2.ON_NEW_SIGNAL_CANCEL_ALL_ENTRIES, 0)
STOP_MOVES = (
    0,
    webhook_pb2.STOP_MOVE_BREAKEVEN,
    webhook_pb2.STOP_MOVE_MOVING_TARGET,
    webhook_pb2.STOP_MOVE_PERCENT_BELOW_HIGHEST,
)


class LostFence(NoFence):
    """A lease that is lost after some transactions."""

    def __init__(self, holds: int) -> None:
        self.left = holds

    def hold(self, connection: sa.Connection) -> Callable[[], None]:
        """Lost once the number is used up."""
        self.left -= 1
        return self._answer if self.left >= 0 else self._lose

    def _answer(self) -> None:
        pass

    def _lose(self) -> None:
        raise LeaseLost("another replica owns the lane")


@dataclass
class Step:
    """What a walk does: a signal or a price, killed after so many steps, or with a lease that is lost, or a restart after it."""

    action: str
    fields: dict[str, Any] = field(default_factory=dict)
    kill_after: int = 0
    lose_after: int = 0
    restart: bool = False


class Script:
    """The steps of a seed. They depend on the seed and the prices so far, not on what becomes of them."""

    def __init__(self, seed: int, *, spot: bool = False, sizes: bool = True) -> None:
        self.chance = random.Random(seed)
        self.spot, self.sizes = spot, sizes
        self.price = D(100)

    def steps(self, count: int, *, faults: bool = True) -> list[Step]:
        made = []
        for _ in range(count):
            one = self._price() if self.chance.random() < 0.55 else self._signal()
            fault = self.chance.random()
            if faults and fault < 0.12:
                one.kill_after = self.chance.randint(1, 20)
            elif faults and fault < 0.17:
                one.lose_after = self.chance.randint(1, 6)
            elif fault < 0.3:
                one.restart = True
            made.append(one)
        return made

    def _price(self) -> Step:
        gap = self.chance.choice(("0.5", "1", "3", "3", "8", "15"))
        move = D(gap) * D(self.chance.randint(-100, 100)) / 100
        self.price = min(max(self.price + move, D(40)), D(250)).quantize(D("0.1"))
        spread = D(self.chance.choice(("0", "0", "0.1", "1")))
        sizes = {}
        if self.sizes and self.chance.random() < 0.5:
            sizes = {"bid_size": self._size(), "ask_size": self._size()}
        return Step("PRICE", {"bid": f"{self.price}", "ask": f"{self.price + spread}", **sizes})

    def _size(self) -> str:
        return self.chance.choice(("0.001", "0.1", "0.25", "1", "5"))

    def _signal(self) -> Step:
        chance = self.chance
        actions = ["BUY", "BUY", "BUY", "ADD", "SELL", "CLOSE", "REDUCE", "REDUCE", "CANCEL"]
        if not self.spot:
            actions += ["OPEN_SHORT", "OPEN_SHORT", "REVERSE"]
        action = chance.choice(actions)
        fields: dict[str, Any] = {"webhook_on_new_signal": chance.choice(POLICIES)}
        if action == "CANCEL":
            return Step(action, {})
        if action == "REDUCE":
            fields["quantity"] = chance.choice(("0.05", "0.1", "0.333"))
        long = action not in ("OPEN_SHORT", "SELL")
        away = 1 if long else -1
        if action != "REVERSE":
            self._terms(fields, action, away)
        if action in ("BUY", "ADD", "OPEN_SHORT") and chance.random() < 0.85:
            fields["size"] = chance.choice(("0.01", "0.1", "0.25", "0.5", "0.777"))
            self._protection(fields, away)
        return Step(action, fields)

    def _terms(self, fields: dict[str, Any], action: str, away: int) -> None:
        chance, exits = self.chance, action in ("CLOSE", "REDUCE", "SELL")
        off = D(chance.randint(0, 40)) / 10
        kind = chance.choice(("MARKET", "MARKET", "MARKET", "LIMIT", "LIMIT", "STOP", "TRAILING_STOP", "STOP_LIMIT"))
        fields["order_type"] = common_pb2.OrderType.Value(f"ORDER_TYPE_{kind}")
        beyond = -away if exits else away
        if kind == "LIMIT":
            fields["limit_price"] = f"{self.price - beyond * off}"
            way = chance.choice(("GTC", "GTC", "GTC", "IOC", "FOK"))
            fields["time_in_force"] = common_pb2.TimeInForce.Value(f"TIME_IN_FORCE_{way}")
            fields["post_only"] = way == "GTC" and chance.random() < 0.3
        elif kind in ("STOP", "STOP_LIMIT"):
            fields["stop_price"] = f"{self.price + beyond * off}"
            if kind == "STOP_LIMIT":
                fields["limit_price"] = f"{self.price + beyond * (off + 1)}"
        elif kind == "TRAILING_STOP":
            fields["trail_amount"] = chance.choice(("1", "3.3"))

    def _protection(self, fields: dict[str, Any], away: int) -> None:
        chance = self.chance
        stop, step = D(chance.randint(40, 120)) / 10, D(chance.randint(5, 40)) / 10
        if chance.random() < 0.3:
            fields["trail"] = chance.choice(("5", "7.7"))
        if chance.random() < 0.85:
            fields["stop"] = f"{self.price - away * stop}"
        count = chance.choice((0, 1, 2, 3, 4, 5, 6))
        shares = chance.choice(("", "", f" {90 // count if count else 0}"))
        fields["targets"] = [f"{self.price + away * (5 + step * n)}{shares}" for n in range(count)]
        if count and ("stop" in fields or "trail" in fields):
            if chance.random() < 0.3:
                fields["break_even_after_target"] = chance.randint(1, count)
            else:
                move = chance.choice(STOP_MOVES)
                fields |= {"webhook_stop_move": move, "webhook_stop_move_after_target": 1}
                if move == webhook_pb2.STOP_MOVE_PERCENT_BELOW_HIGHEST:
                    fields["webhook_stop_move_percent"] = "4"


class Walk:
    """Carries out steps on a rig, and checks what has to hold."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.done: list[str] = []
        self.first = rig.router.sequence + 1

    async def step(self, step: Step) -> None:
        """One step, and the look after it; a killed or fenced one is begun again by the next process, as it would be."""
        self.done.append(f"{step.action} {step.fields} kill={step.kill_after} lose={step.lose_after} {step.restart}")
        rig, steps = self.rig, self.rig.router.steps
        delivery = None if step.action == "PRICE" else rig.signal(step.action, **dict(step.fields))
        fence = LostFence(step.lose_after) if step.lose_after else NoFence()
        steps.count, steps.last = 0, step.kill_after or 10**9
        try:
            await self._do(step, delivery, fence)
        except (Stopped, LeaseLost):
            rig.restart()
            await rig.load()
            await self._do(step, delivery, NoFence())
        steps.last = 10**9
        if step.restart:
            rig.restart()
            await rig.load()
        await rig.working.look(rig.key, NoFence())

    async def _do(self, step: Step, delivery: Delivery | None, fence: NoFence) -> None:
        rig = self.rig
        if delivery:
            assert await rig.signals.handle(delivery, fence) is Outcome.DONE
            return
        for name in ("bid", "ask", "bid_size", "ask_size"):
            setattr(rig.quotes, name, step.fields.get(name, ""))
        named = type("Named", (), {"name": rig.instrument})
        rig.working.sees(rig.key, rig.quotes.current(named), busy=False)
        await rig.working.look(rig.key, fence)

    async def fills(self) -> list[tuple[str, order_pb2.Fill]]:
        """Executions that history tells of this account, in the order in which they were told, each with its order's id."""
        table = tables.OUTBOX
        rows = await self.rig.router.database.read(
            lambda c: c.execute(sa.select(table).order_by(table.c.position)).all()
        )
        first: dict[str, journal_pb2.JournalEntry] = {}
        for row in rows:
            for entry in journal_pb2.JournalBatch.FromString(row.payload).entries:
                if entry.HasField("fill_recorded"):
                    first.setdefault(entry.event_id, entry)
        told = [entry.fill_recorded for entry in first.values()]
        numbers = range(self.first, self.rig.router.sequence + 1)
        mine = {f"s{number}" for number in numbers}
        return [(one.fill.order_id, one.fill) for one in told if one.fill.order_id.partition(".")[0] in mine]

    async def orders(self) -> list[store.OrderRow]:
        """All orders of the walk."""
        found = []
        for number in range(self.first, self.rig.router.sequence + 1):
            found += await self.rig.router.orders(f"s{number}")
        return found

    async def check(self) -> None:
        """What has to hold after every step."""
        rig = self.rig
        position, orders, fills = await rig.position(), await self.orders(), await self.fills()
        by_id = {row.order.order_id: row for row in orders}
        base = CATALOGUE[rig.instrument].base_asset
        told = D(0)
        executions = [fill.execution_id for _, fill in fills]
        assert len(executions) == len(set(executions)), "an execution was told twice"
        for order_id, fill in fills:
            signed = D(fill.quantity) if fill.side == common_pb2.SIDE_BUY else -D(fill.quantity)
            if by_id[order_id].order.effect == order_pb2.ORDER_EFFECT_EXIT:
                assert told * signed < 0, f"{order_id} exits {signed} of {told}"
                assert abs(signed) <= abs(told), f"{order_id} exits {signed} of {told}"
            told += signed - (D(fill.fee) if fill.fee_asset == base and fill.fee else 0)
        assert told == position, f"history has {told}, risk {position}"
        booked = await rig.router.risk_database.read(
            lambda c: c.execute(
                sa.select(risk_store.FILLS.c.execution_id).where(risk_store.FILLS.c.account_id == rig.account)
            ).scalars().all()
        )  # fmt: skip
        assert sorted(booked) == sorted(executions), "risk booked what was not told, or the other way round"
        self._check_legs(orders, position)
        await self._check_reservations(by_id)
        await self._check_brackets(position)

    def _check_legs(self, orders: list[store.OrderRow], position: D) -> None:
        sums = {order_pb2.BRACKET_LEG_STOP_LOSS: D(0), order_pb2.BRACKET_LEG_TAKE_PROFIT: D(0)}
        for row in orders:
            assert row.order.state != common_pb2.ORDER_STATE_IN_DOUBT, row.order.order_id
            if not row.order.entry_order_id or row.order.state not in OPENS:
                continue
            assert position, f"leg {row.order.order_id} works and nothing is held"
            assert (row.order.side == common_pb2.SIDE_SELL) == (position > 0), row.order.order_id
            leaves = D(row.order.quantity) - D(row.order.filled_quantity or "0")
            if row.order.leg in sums:
                sums[row.order.leg] += leaves
        for leg, quantity in sums.items():
            assert quantity <= abs(position), f"legs {leg} are for {quantity} of {position}"

    async def _check_reservations(self, by_id: dict[str, store.OrderRow]) -> None:
        books = await self.rig.router.books(self.rig.account)
        reserved = {order.order_id for order in books.open_orders}
        working = {identity for identity, row in by_id.items() if row.order.state in OPENS}
        assert reserved == working, f"reserved {reserved}, working {working}"

    async def _check_brackets(self, position: D) -> None:
        query = sa.select(BRACKETS).where(BRACKETS.c.key == self.rig.key, sa.not_(BRACKETS.c.done))
        rows = await self.rig.router.database.read(lambda c: [_of_row(row) for row in c.execute(query)])
        held = D(0)
        for row in rows:
            bracket = row.bracket
            held += bracket.held
            if bracket.mode is Mode.OPEN and bracket.held and not is_dust(bracket, bracket.lots_held):
                assert bracket.unprotected_since is None, f"{row.entry_order_id} is unprotected"
            for leg in bracket.legs:
                assert leg.state is not LegState.IN_DOUBT
                assert leg.kind is not LegKind.CLOSE or leg.ended or bracket.held
        assert held <= abs(position), f"brackets hold {held} of {position}"

    async def end(self) -> None:
        """Cancels and closes all, and looks that nothing is left."""
        rig = self.rig
        await self.step(Step("PRICE", {"bid": rig.quotes.bid, "ask": rig.quotes.ask}))
        await self.step(Step("CANCEL"))
        rig.quotes.bid_size = rig.quotes.ask_size = ""
        await self.step(Step("CLOSE", {"webhook_on_new_signal": webhook_pb2.ON_NEW_SIGNAL_CANCEL_ALL_ENTRIES}))
        await self.step(Step("PRICE", {"bid": rig.quotes.bid, "ask": rig.quotes.ask}))
        await self.check()
        lot = CATALOGUE[rig.instrument].lot_size
        assert abs(await rig.position()) < lot, await rig.position()
        assert not (await rig.router.books(rig.account)).open_orders
        assert not rig.working.has(rig.key), "something is looked after still"
