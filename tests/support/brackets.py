"""Brackets of a long at 100 and a short, and a run of one through what happens to it, for the tests of its rules."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

from vantixs_router.domain.brackets import events
from vantixs_router.domain.brackets.commands import (
    Command,
    LegKind,
    PlaceLeg,
    Report,
    Why,
)
from vantixs_router.domain.brackets.encode import from_dict, to_dict
from vantixs_router.domain.brackets.levels import Level, LevelKind
from vantixs_router.domain.brackets.plan import (
    Plan,
    Rules,
    TakeProfit,
    settle_plan,
)
from vantixs_router.domain.brackets.step import open_bracket, step

START = datetime(2026, 11, 27, tzinfo=UTC)
RULES = Rules(D("0.01"), D("0.1"))


def price(value: str) -> Level:
    return Level(LevelKind.PRICE, D(value))


def percent(value: str) -> Level:
    return Level(LevelKind.PERCENT, D(value))


def amount(value: str) -> Level:
    return Level(LevelKind.AMOUNT, D(value))


def target(level: str, share: str = "") -> TakeProfit:
    return TakeProfit(price(level), D(share) if share else None)


LONG = Plan(True, D(100), RULES, price("90"), exit_fee_ratio=D("0.001"))
SHORT = replace(LONG, long=False, stop_loss=price("110"))


class BracketRun:
    """Tells events to a bracket, each second one, and remembers what was commanded."""

    def __init__(self, plan: Plan, quantity: str = "1") -> None:
        self.bracket = open_bracket(settle_plan(plan, D(quantity)).plan, START)
        self.now = START
        self.count = 0

    def tell(self, event: events.Event) -> tuple[Command, ...]:
        self.bracket, commands = step(self.bracket, event)
        assert step(self.bracket, event) == (self.bracket, ()), "told twice is as once"
        assert from_dict(json.loads(json.dumps(to_dict(self.bracket)))) == self.bracket
        return commands

    def id(self) -> str:
        self.count += 1
        return f"x{self.count}"

    def enter(self, quantity: str, at: str = "100", fee: str = "0") -> tuple[Command, ...]:
        return self.tell(events.EntryFilled(self.now, self.id(), D(quantity), D(at), D(fee)))

    def end_entry(self) -> tuple[Command, ...]:
        return self.tell(events.EntryEnded(self.now))

    def accept(self, *legs: int) -> tuple[Command, ...]:
        return sum((self.tell(events.LegAccepted(self.now, leg)) for leg in legs), ())

    def fill(self, leg: int, quantity: str, at: str = "100") -> tuple[Command, ...]:
        return self.tell(events.LegFilled(self.now, leg, self.id(), D(quantity), D(at), D(0)))

    def cancelled(self, leg: int, filled: str = "0") -> tuple[Command, ...]:
        return self.tell(events.LegCancelled(self.now, leg, D(filled)))

    def reject(self, leg: int) -> tuple[Command, ...]:
        return self.tell(events.LegRejected(self.now, leg, "no"))

    def doubt(self, leg: int) -> tuple[Command, ...]:
        return self.tell(events.LegInDoubt(self.now, leg))

    def resolve(self, leg: int, working: bool, filled: str = "0") -> tuple[Command, ...]:
        return self.tell(events.LegResolved(self.now, leg, working, D(filled)))

    def see(self, at: str) -> tuple[Command, ...]:
        return self.tell(events.PriceSeen(self.now, D(at)))

    def wait(self, seconds: float) -> tuple[Command, ...]:
        self.now += timedelta(seconds=seconds)
        return self.tell(events.Tick(self.now))

    def opened(self, quantity: str = "1") -> "BracketRun":
        """Entered at 100, the entry ended, every leg accepted."""
        self.enter(quantity)
        self.end_entry()
        self.accept(*range(1, len(self.bracket.legs) + 1))
        return self


def orders(commands: tuple[Command, ...]) -> list[Command]:
    return [command for command in commands if not isinstance(command, Report)]


def reasons(commands: tuple[Command, ...]) -> list[Why]:
    return [command.reason for command in commands if isinstance(command, Report)]


def stop(leg: int, quantity: str, at: str, *, buy: bool = False) -> PlaceLeg:
    return PlaceLeg(leg, LegKind.STOP, buy, D(quantity), D(at))


def take(leg: int, number: int, quantity: str, at: str, *, buy: bool = False) -> PlaceLeg:
    return PlaceLeg(leg, LegKind.TARGET, buy, D(quantity), D(at), number)
