"""Random orders and markets in a narrow range of prices, and the engine that they are carried out on."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from random import Random
from typing import Any

from hypothesis import strategies as st
from vantixs.model.instruments import Instrument
from vantixs_router.domain.matching.book import Book
from vantixs_router.domain.matching.events import Event, Filled
from vantixs_router.domain.matching.fees import Fees
from vantixs_router.domain.matching.market import Bar, Depth, Mark, Quote, Trade
from vantixs_router.domain.matching.orders import (
    LIMITS,
    STOPS,
    OrderTerms,
    OrderType,
    Reference,
    TimeInForce,
    problem_of,
)
from vantixs_router.domain.matching.taking import Assumptions

START = datetime(2026, 11, 27, tzinfo=UTC)
TICK, LOT = D("0.5"), D("0.1")
INSTRUMENT = Instrument("AAA/USDT", "AAA", "USDT", False, TICK, LOT, D(1), D(100))


@dataclass(frozen=True)
class Step:
    """What happens after a pause: an order is placed, something is seen, or an order (by its number) is cut down."""

    pause_s: float
    what: Any
    number: int


class Draw:
    """Orders and markets of a seed, in a narrow range of prices, so that they meet."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def one(self, *choices: Any) -> Any:
        return self.random.choice(choices)

    def price(self) -> D:
        return self.random.randint(195, 207) * TICK

    def quantity(self) -> D:
        return self.random.randint(1, 40) * LOT

    def size(self) -> D | None:
        return self.one(None, D("0.35"), D(1), D("2.5"), D(10))

    def step(self) -> Step:
        make = self.one(
            *[self.order] * 5, self.quote, self.quote, self.quote, self.depth, self.depth, self.trade, self.trade
        )
        make = self.one(*[make] * 7, self.mark, self.bar, self.other)
        return Step(self.one(0.0, 0.0, 0.0, 1.0, 2.5), make(), self.random.randint(0, 30))

    def order(self) -> OrderTerms:
        kind = self.one(OrderType.LIMIT, OrderType.LIMIT, *OrderType)
        force = self.one(*[TimeInForce.GTC] * 4, *TimeInForce)
        waits = force in (TimeInForce.GTC, TimeInForce.GTD)
        trails = kind is OrderType.TRAILING_STOP
        by_amount = trails and self.one(True, False)
        terms = OrderTerms(
            order_id="",
            buy=self.one(True, False),
            type=kind,
            quantity=self.quantity(),
            placed_time=START,
            limit_price=self.price() if kind in LIMITS else None,
            stop_price=self.price() if kind in STOPS and not trails else None,
            trail_amount=self.one(TICK, D(2)) if by_amount else None,
            trail_bps=self.one(D(30), D(250)) if trails and not by_amount else None,
            activation_price=self.one(None, self.price()) if trails else None,
            time_in_force=force,
            expire_time=START + timedelta(seconds=self.random.randint(1, 30)) if force is TimeInForce.GTD else None,
            post_only=kind is OrderType.LIMIT and waits and self.one(True, False, False),
            reference=self.one(Reference.QUOTE, *Reference),
            triggered_timeout_s=self.one(None, 3) if kind is OrderType.STOP_LIMIT and waits else None,
            max_slippage_bps=self.one(None, None, D(60)),
        )
        assert not problem_of(terms, INSTRUMENT)
        return terms

    def quote(self) -> Quote:
        bid, ask = sorted((self.price(), self.price()))
        return Quote("test", START, bid, ask, self.size(), self.size())

    def depth(self) -> Depth:
        middle = self.price()
        bids = [(middle - n * TICK, self.size() or D(1)) for n in range(1, 7) if self.one(True, False)]
        asks = [(middle + n * TICK, self.size() or D(1)) for n in range(1, 7) if self.one(True, False)]
        return Depth("test", START, tuple(bids), tuple(asks))

    def trade(self) -> Trade:
        return Trade("test", START, self.price(), self.size())

    def mark(self) -> Mark:
        return Mark("test", START, self.price())

    def bar(self) -> Bar:
        low, one, two, high = sorted(self.price() for _ in range(4))
        if self.one(True, False):
            one, two = two, one
        start = START - timedelta(seconds=self.random.randint(0, 2))
        return Bar("test", start, START + timedelta(seconds=2), one, high, low, two)

    def other(self) -> Any:
        return self.one("cancel", "advance", "again", "again", self.quantity())


def drawn(seed: int, length: int) -> list[Step]:
    draw = Draw(seed)
    return [draw.step() for _ in range(length)]


# A failure is made shorter by its length.
steps = st.builds(drawn, st.integers(0, 2**32), st.integers(1, 80))
assumed = st.builds(
    Assumptions,
    latency_ms=st.sampled_from([0, 1500]),
    participation_ratio=st.sampled_from([D(1), D("0.5"), D("0.3")]),
    slippage_bps=st.sampled_from([D(0), D(5), D(120)]),
    fees=st.just(Fees(D(1), D(2))),
)


def laid_out(program: list[Step]) -> list[Step]:
    """The program with its times and ids. "again" is the snapshot before, once more."""
    now, placed, done = START, 0, list[Step]()
    snapshot: Quote | Depth | None = None
    for step in program:
        now += timedelta(seconds=step.pause_s)
        what: Any = step.what
        match what:
            case OrderTerms():
                expire = what.expire_time and now + (what.expire_time - START)
                what = replace(what, order_id=f"o{placed}", placed_time=now, expire_time=expire)
                placed += 1
            case Bar():
                what = replace(what, start_time=now + (what.start_time - START), end_time=now + timedelta(seconds=2))
                now = what.end_time
            case Quote() | Depth():
                what = snapshot = replace(what, time=now)
            case Trade() | Mark():
                what = replace(what, time=now)
            case "again":
                what = snapshot or "advance"
        done.append(replace(step, what=(now, what)))
    return done


class Run:
    """A program carried out on the engine; `cut` says whether fills cut down another order while the input is applied."""

    def __init__(self, assumptions: Assumptions, *, restarts: bool = False, cut: bool = False) -> None:
        self.assumptions = assumptions
        self.book = Book(INSTRUMENT, assumptions)
        self.restarts = restarts
        self.cut = cut
        self.terms: dict[str, OrderTerms] = {}
        self.events: list[Event] = []

    def do(self, step: Step) -> list[Event]:
        now, what = step.what
        before = len(self.events)
        name = f"o{step.number}"
        match what:
            case OrderTerms():
                self.terms[what.order_id] = what
                assert self.book.place(what) is None
            case "cancel":
                self.events += [e for e in [self.book.cancel(name, now)] if e]
            case D():
                self.events += [e for e in [self.book.shrink(name, what, now)] if e]
            case "advance":
                self.events += self.book.advance(now)
            case _:
                for event in self.book.apply(what):
                    self.events.append(event)
                    if self.cut and isinstance(event, Filled):
                        self.events += [e for e in [self.book.shrink(cut_by(event.order_id), D("0.7"), now)] if e]
        if self.restarts:
            stored = json.loads(json.dumps(self.book.to_dict()))
            self.book = Book.from_dict(INSTRUMENT, self.assumptions, stored)
        return self.events[before:]


def cut_by(order_id: str) -> str:
    return f"o{(int(order_id[1:]) + 1) % 30}"
