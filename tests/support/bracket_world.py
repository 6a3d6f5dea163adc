"""A bracket and a small venue that answers late, twice, out of order or not at all, and fills what is being cancelled."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal as D
from typing import Any

from vantixs_router.domain.brackets import commands as do
from vantixs_router.domain.brackets import events
from vantixs_router.domain.brackets.encode import from_dict, to_dict
from vantixs_router.domain.brackets.plan import Plan
from vantixs_router.domain.brackets.reconcile import protected_quantity
from vantixs_router.domain.brackets.state import Bracket, LegState, Mode, is_dust
from vantixs_router.domain.brackets.step import open_bracket, step, wake_time

from tests.support.brackets import START

ENTRY_QUANTITY = D(6)
FATES = ("ACCEPT", "ACCEPT", "ACCEPT", "REJECT", "DOUBT", "LOST")
CANCEL_FATES = ("OBEY", "OBEY", "DOUBT", "LOST")
OPS = (
    *("ENTRY_FILL", "ENTRY_FILL", "FILL", "FILL", "FILL", "ARRIVE", "ARRIVE", "ARRIVE", "TELL", "TELL", "TELL", "TELL"),
    *("REPEAT", "RESOLVE", "OUTSIDE", "OUTSIDE_UNTOLD", "READ", "PRICE", "PRICE", "WAIT", "RESTART", "VENUE_CANCELS"),
    *("ENTRY_ENDS", "CLOSE", "TELL_ALL", "ARRIVE_ALL", "TELL_ALL", "ARRIVE_ALL"),
)


@dataclass
class Order:
    command: do.PlaceLeg | do.CloseNow
    live: bool = False
    filled: D = D(0)


@dataclass
class Venue:
    """The truth. `reduce_only`: it cuts exits at the position; else it fills whatever is asked, and the position may flip."""

    reduce_only: bool
    position: D = D(0)
    entry_leaves: D = ENTRY_QUANTITY
    orders: dict[int, Order] = field(default_factory=dict)
    flipped: bool = False
    bought: D = D(0)
    sold: D = D(0)


class World:
    """A bracket, its venue, what is on the way to the venue, and what is on the way back."""

    def __init__(self, plan: Plan, reduce_only: bool) -> None:
        self.now = START
        self.start = self.bracket = open_bracket(plan, START)
        self.venue = Venue(reduce_only)
        self.sent: list[do.PlaceLeg | do.CloseNow | do.CancelLeg | do.CancelEntry] = []
        self.news: list[events.Event] = []
        self.told: list[events.Event] = []
        self.done: list[do.Command] = []
        self.numbers: set[int] = set()
        self.executions = 0

    # What the caller of the domain does.

    def tell(self, event: events.Event) -> None:
        event = replace(event, time=self.now)
        self.told.append(event)
        before = self.bracket
        self.bracket, commands = step(self.bracket, event)
        self.carry_out(commands)
        check_step(before, self.bracket, commands)
        self.check_exits(commands)
        # The same again changes nothing, and commands nothing.
        assert step(self.bracket, event) == (self.bracket, ())

    def carry_out(self, commands: tuple[do.Command, ...]) -> None:
        self.done += commands
        for command in commands:
            if isinstance(command, do.PlaceLeg | do.CloseNow):
                assert command.leg not in self.numbers, "a number is used once"
                assert command.quantity > 0
                self.numbers.add(command.leg)
            if not isinstance(command, do.Report):
                self.sent.append(command)

    def check_exits(self, commands: tuple[do.Command, ...]) -> None:
        """What is placed may sell no more than is held, with all that the venue can still fill, and filled untold."""
        sides = {
            isinstance(one, do.PlaceLeg) and one.target > 0
            for one in commands
            if isinstance(one, do.PlaceLeg | do.CloseNow)
        }
        for target in sides:
            exits = D(0)
            for leg in self.bracket.legs:
                order = self.venue.orders.get(leg.number)
                works = order is None or order.live
                if (leg.target > 0) == target:
                    exits += (leg.quantity if works or order is None else order.filled) - leg.filled
            assert exits <= self.bracket.held

    def repeat(self, number: int) -> None:
        """An event is told again, late."""
        event = self.told[number % len(self.told)]
        before = self.bracket
        self.told.append(event)
        self.bracket, commands = step(self.bracket, event)
        self.carry_out(commands)
        assert self.bracket.held == before.held or isinstance(event, events.PositionRead)
        assert self.bracket.executions == before.executions

    def restart(self) -> None:
        self.bracket = from_dict(json.loads(json.dumps(to_dict(self.bracket))))

    def read_position(self) -> None:
        """As the contract wants it: the revision, the position, the trades, and then the position is told."""
        revision, position = self.bracket.revision, max(self.venue.position, D(0))
        fills = (events.EntryFilled, events.LegFilled, events.OutsideFill)
        for event in [one for one in self.news if isinstance(one, fills)]:
            self.news.remove(event)
            self.tell(event)
        self.tell(events.PositionRead(self.now, position, revision))

    def resolve(self) -> None:
        """Legs in doubt are read; what is on its way to the venue may still arrive."""
        asked = {event.leg for event in self.news if isinstance(event, events.LegResolved)}
        for leg in self.bracket.legs:
            if leg.state is LegState.IN_DOUBT and leg.number not in asked and not self.is_on_its_way(leg.number):
                order = self.venue.orders[leg.number]
                self.news.append(events.LegResolved(self.now, leg.number, order.live, order.filled))

    def is_on_its_way(self, leg: int) -> bool:
        return any(isinstance(one, do.PlaceLeg | do.CloseNow) and one.leg == leg for one in self.sent)

    # What the venue does.

    def execution(self) -> str:
        self.executions += 1
        return f"x{self.executions}"

    def fill_entry(self, quantity: D, price: D) -> None:
        quantity = min(quantity, self.venue.entry_leaves)
        if quantity <= 0:
            return
        self.venue.entry_leaves -= quantity
        self.venue.position += quantity
        self.venue.bought += quantity
        self.news.append(events.EntryFilled(self.now, self.execution(), quantity, price, D("0.01")))
        if not self.venue.entry_leaves:
            self.news.append(events.EntryEnded(self.now))

    def end_entry(self) -> None:
        self.venue.entry_leaves = D(0)
        self.news.append(events.EntryEnded(self.now))

    def fill(self, leg: int, quantity: D) -> None:
        order = self.venue.orders[leg]
        quantity = min(quantity, order.command.quantity - order.filled)
        if self.venue.reduce_only:
            quantity = min(quantity, self.venue.position)
        if quantity > 0:
            self.venue.position -= quantity
            self.venue.sold += quantity
            order.filled += quantity
            price = order.command.price if isinstance(order.command, do.PlaceLeg) else D(95)
            self.news.append(events.LegFilled(self.now, leg, self.execution(), quantity, price, D("0.01")))
        self.venue.flipped |= self.venue.position < 0
        if order.filled == order.command.quantity:
            order.live = False
        elif self.venue.reduce_only and not self.venue.position:
            self.cancel(leg)

    def cancel(self, leg: int) -> None:
        order = self.venue.orders[leg]
        if order.live:
            order.live = False
            self.news.append(events.LegCancelled(self.now, leg, order.filled))

    def reduce_outside(self, quantity: D, *, told: bool) -> None:
        quantity = min(quantity, self.venue.position)
        if quantity <= 0:
            return
        self.venue.position -= quantity
        self.venue.sold += quantity
        if told:
            self.news.append(events.OutsideFill(self.now, self.execution(), quantity))

    def arrive(self, number: int, fate: str, cancel_fate: str, part: int) -> None:
        command = self.sent.pop(number % len(self.sent))
        if isinstance(command, do.CancelEntry):
            self.end_entry()
        elif isinstance(command, do.CancelLeg):
            order = self.venue.orders[command.leg]
            if cancel_fate in ("DOUBT", "LOST"):
                order.live = order.live and cancel_fate == "LOST"
                self.news.append(events.LegInDoubt(self.now, command.leg))
            elif order.live:
                self.cancel(command.leg)
            else:
                # Nothing to cancel: the order is read instead.
                self.news.append(events.LegInDoubt(self.now, command.leg))
        else:
            self.place(command, fate, part)

    def place(self, command: do.PlaceLeg | do.CloseNow, fate: str, part: int) -> None:
        order = self.venue.orders[command.leg] = Order(command, live=fate in ("ACCEPT", "DOUBT"))
        if fate == "REJECT":
            self.news.append(events.LegRejected(self.now, command.leg, "the venue says no"))
            return
        self.news.append(
            events.LegAccepted(self.now, command.leg) if fate == "ACCEPT" else events.LegInDoubt(self.now, command.leg)
        )
        if order.live and isinstance(command, do.CloseNow):
            self.fill(command.leg, min(D(part) / 10, command.quantity))
            if fate == "ACCEPT":
                self.cancel(command.leg)
            else:
                order.live = False

    # What happens.

    def act(self, op: str, number: int, fate: str, cancel_fate: str) -> None:
        live = [leg for leg, order in self.venue.orders.items() if order.live]
        quantity = D(number % 20 + 1) / 10
        acts: dict[str, Callable[[], Any]] = {
            "ENTRY_FILL": lambda: self.fill_entry(quantity, D(98 + number % 5)),
            "FILL": lambda: live and self.fill(live[number % len(live)], quantity),
            "ARRIVE": lambda: self.sent and self.arrive(number, fate, cancel_fate, number),
            "TELL": lambda: self.news and self.tell(self.news.pop(number % len(self.news))),
            "REPEAT": lambda: self.told and self.repeat(number),
            "RESOLVE": self.resolve,
            "OUTSIDE": lambda: self.reduce_outside(quantity, told=True),
            "OUTSIDE_UNTOLD": lambda: self.reduce_outside(quantity, told=False),
            "READ": self.read_position,
            "PRICE": lambda: self.tell(events.PriceSeen(self.now, self.mirror(D(85 + number % 60)))),
            "WAIT": lambda: self.wait(number % 8),
            "RESTART": self.restart,
            "VENUE_CANCELS": lambda: live and self.cancel(live[number % len(live)]),
            "ENTRY_ENDS": self.end_entry,
            "CLOSE": lambda: number % 4 == 0 and self.tell(events.CloseRequested(self.now, "wanted")),
            "TELL_ALL": lambda: [self.tell(self.news.pop(0)) for _ in list(self.news)],
            "ARRIVE_ALL": lambda: [self.arrive(0, "ACCEPT", "OBEY", 1000) for _ in list(self.sent)],
        }
        if self.venue.reduce_only or not op.startswith("OUTSIDE"):
            acts[op]()

    def mirror(self, price: D) -> D:
        return price if self.bracket.plan.long else 200 - price

    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)
        self.tell(events.Tick(self.now))

    def settle(self) -> None:
        """From here on the venue behaves, all is told, and time passes."""
        for _ in range(300):
            while self.sent:
                self.arrive(0, "ACCEPT", "OBEY", 1000)
            while self.news:
                self.tell(self.news.pop(0))
            self.resolve()
            if self.sent or self.news:
                continue
            self.read_position()
            due = wake_time(self.bracket)
            if not self.sent and not self.news and due is None:
                return
            if due is not None and not self.sent:
                assert due > self.now, "a tick that is due is waited for once"
                self.now = due
                self.tell(events.Tick(self.now))
        raise AssertionError("expected an end, was 300 rounds")


def check_step(before: Bracket, after: Bracket, commands: tuple[do.Command, ...]) -> None:
    """No order is placed that could sell, with those of its side, more than is held."""
    for command in commands:
        if isinstance(command, do.PlaceLeg) and command.target:
            assert after.live_quantity(do.LegKind.TARGET) <= after.held
        elif isinstance(command, do.PlaceLeg | do.CloseNow):
            assert after.live_quantity(do.LegKind.STOP, do.LegKind.CLOSE) <= after.held
    # What is more than held on a side is being cancelled, or cannot be until it is answered.
    for kinds in ((do.LegKind.TARGET,), (do.LegKind.STOP,)):
        working = [leg.leaves for leg in after.legs if leg.kind in kinds and leg.state is LegState.WORKING]
        assert sum(working, D(0)) <= after.held
    if after.unprotected_since is None and after.mode is Mode.OPEN and not is_dust(after, after.lots_held):
        assert after.plan.stop_loss is None or protected_quantity(after) >= after.lots_held
    if not before.entry_cancel and after.entry_cancel:
        assert any(isinstance(command, do.CancelEntry) for command in commands)
