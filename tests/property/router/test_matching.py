"""Random orders and markets: what the matching of the paper venue may never do, and a slow reference that must agree."""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from fractions import Fraction
from random import Random
from typing import Any

from hypothesis import event as note
from hypothesis import given, settings
from hypothesis import strategies as st
from vantixs.model.instruments import Instrument
from vantixs_router.domain.matching.book import Book
from vantixs_router.domain.matching.events import Canceled, Event, Expired, Filled, FillKind, Rejected, Triggered
from vantixs_router.domain.matching.fees import Fees
from vantixs_router.domain.matching.market import Bar, Depth, Mark, Quote, Seen, Trade
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

from tests.reference.matching import SlowBook, levels_of

START = datetime(2026, 11, 27, tzinfo=UTC)
TICK, LOT = D("0.5"), D("0.1")
INSTRUMENT = Instrument("AAA/USDT", "AAA", "USDT", False, TICK, LOT, D(1), D(100))
MORE = settings(max_examples=150)


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
prices = st.integers(190, 210).map(lambda ticks: ticks * TICK)
sizes = st.sampled_from([None, D("0.35"), D(1), D("2.5"), D(10)])


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


def told(event: Event) -> tuple[Any, ...] | None:
    """An event as the reference tells it; None for what the owner of the order did himself."""
    match event:
        case Filled():
            return (
                "filled",
                event.order_id,
                Fraction(event.quantity),
                Fraction(event.price),
                event.kind.value,
                Fraction(event.leaves),
            )
        case Triggered():
            return "triggered", event.order_id, Fraction(event.stop_price)
        case Expired():
            return "expired", event.order_id, Fraction(event.leaves)
        case Rejected():
            return "rejected", event.order_id, event.reason.value
        case Canceled() if event.reason.value in ("CANCEL_REQUESTED", "QUANTITY_REDUCED"):
            return None
        case Canceled():
            return "canceled", event.order_id, Fraction(event.leaves), event.reason.value


def reference_events(slow: SlowBook, step: Step, cut: bool) -> Iterator[tuple[Any, ...]]:
    now, what = step.what
    match what:
        case OrderTerms():
            slow.place(what)
        case "cancel":
            slow.cancel(f"o{step.number}")
        case D():
            slow.shrink(f"o{step.number}", what)
        case "advance":
            yield from slow.time(now)
        case _:
            for happened in slow.see(what):
                yield happened
                if cut and happened[0] == "filled":
                    slow.shrink(cut_by(happened[1]), D("0.7"))


@settings(max_examples=400)
@given(steps, assumed, st.booleans(), st.booleans())
def test_engine_does_what_the_slow_reference_does(
    program: list[Step], assumptions: Assumptions, restarts: bool, cut: bool
) -> None:
    run = Run(assumptions, restarts=restarts, cut=cut)
    slow = SlowBook(TICK, LOT, assumptions.latency_ms, assumptions.participation_ratio, assumptions.slippage_bps)
    for step in laid_out(program):
        expected = list(reference_events(slow, step, cut))
        got = [said for said in map(told, run.do(step)) if said is not None]
        assert got == expected, step
        for happened in expected:
            note(f"{happened[0]} {happened[4] if happened[0] == 'filled' else ''}")
    assert {o.terms.order_id: o.leaves for o in slow.orders} == {
        order_id: Fraction(order.leaves) for order_id, order in run.book.orders.items()
    }


@MORE
@given(steps, assumed)
def test_restart_between_any_two_steps_changes_nothing(program: list[Step], assumptions: Assumptions) -> None:
    one, other = Run(assumptions), Run(assumptions, restarts=True)
    for step in laid_out(program):
        assert one.do(step) == other.do(step)


@MORE
@given(steps, assumed, st.booleans())
def test_quantities_are_conserved_and_nothing_is_filled_twice(
    program: list[Step], assumptions: Assumptions, cut: bool
) -> None:
    run = Run(assumptions, cut=cut)
    filled: dict[str, D] = defaultdict(D)
    ended: set[str] = set()
    for step in laid_out(program):
        for event in run.do(step):
            assert event.order_id not in ended, "something happened after the end"
            if isinstance(event, Filled):
                assert event.quantity > 0
                assert not event.quantity % LOT
                assert not event.price % TICK
                filled[event.order_id] += event.quantity
            if isinstance(event, Canceled | Expired | Rejected) or (isinstance(event, Filled) and not event.leaves):
                ended.add(event.order_id)
            if isinstance(event, Canceled | Expired):
                assert filled[event.order_id] + event.leaves <= run.terms[event.order_id].quantity
        for order_id, order in run.book.orders.items():
            assert order.filled == filled[order_id]
            assert order.filled + order.leaves == order.quantity <= run.terms[order_id].quantity
            assert order.leaves > 0
    assert set(run.terms) == ended | set(run.book.orders)
    identities = [event.execution_id for event in run.events if isinstance(event, Filled)]
    assert len(identities) == len(set(identities))
    for order_id, terms in run.terms.items():
        assert filled[order_id] <= terms.quantity
        if terms.time_in_force is TimeInForce.FOK and filled[order_id]:
            assert filled[order_id] == terms.quantity or any(isinstance(s.what[1], D) for s in laid_out(program)) or cut


def beyond(price: D, bound: D, *, buy: bool) -> bool:
    """Whether a price is strictly better for the other side than the bound, seen from an order of this side: it trades through."""
    return price < bound if buy else price > bound


@MORE
@given(steps, assumed)
def test_every_fill_has_a_market_that_justifies_it(program: list[Step], assumptions: Assumptions) -> None:
    run = Run(assumptions)
    triggered: dict[str, Triggered] = {}
    for step in laid_out(program):
        queues = {order_id: order.queue_ahead for order_id, order in run.book.orders.items()}
        for event in run.do(step):
            if isinstance(event, Triggered):
                triggered[event.order_id] = event
            if not isinstance(event, Filled):
                continue
            terms, buy, seen = run.terms[event.order_id], event.buy, event.seen
            assert seen is step.what[1]
            assert event.time >= terms.placed_time + timedelta(milliseconds=assumptions.latency_ms)
            timed_out = "limit not filled in time: to market" in event.assumptions
            if terms.limit_price is not None and not timed_out:
                assert event.price <= terms.limit_price if buy else event.price >= terms.limit_price
            if event.kind is FillKind.MAKER:
                assert event.price == terms.limit_price
                assert traded_through(seen, event.price, queues.get(event.order_id), buy=buy), event
            else:
                assert not beyond(event.price, best_far(seen, event, triggered), buy=buy), event


def traded_through(seen: Seen, price: D, queue: D | None, *, buy: bool) -> bool:
    match seen:
        case Quote() | Depth():
            far = levels_of(seen)[1 if buy else 0]
            return bool(far) and beyond(D(float(far[0][0])), price, buy=buy)
        case Trade():
            at_price = seen.price == price and queue is not None and seen.size is not None and seen.size > queue
            return at_price or beyond(seen.price, price, buy=buy)
        case Bar():
            return beyond(seen.low if buy else seen.high, price, buy=buy)
        case Mark():
            return False


def best_far(seen: Seen, event: Filled, triggered: dict[str, Triggered]) -> D:
    """The best price that a taker could have had; of a stop, after it triggered."""
    match seen:
        case Quote() | Depth():
            return D(float(levels_of(seen)[1 if event.buy else 0][0][0]))
        case Bar():
            trigger = triggered.get(event.order_id)
            # One that triggered at the open and was not filled in time meets the close, as every market order.
            if trigger is not None and trigger.seen is seen and trigger.time == event.time:
                return trigger.reference_price
            assert event.time in (seen.start_time, seen.end_time)
            return seen.open if event.time == seen.start_time else seen.close
    raise AssertionError("nobody takes from a trade or a mark")


@MORE
@given(steps, assumed)
def test_no_more_is_filled_than_is_shown_or_traded(program: list[Step], assumptions: Assumptions) -> None:
    run = Run(assumptions)
    got: dict[tuple[Any, ...], D] = defaultdict(D)
    seen_by: dict[tuple[Any, ...], list[Seen]] = defaultdict(list)
    for index, step in enumerate(laid_out(program)):
        for event in run.do(step):
            if not isinstance(event, Filled):
                continue
            seen = event.seen
            snapshot = isinstance(seen, Quote | Depth)
            # Two snapshots of one time are one, so their sizes do not add up; other inputs are each their own.
            key = (event.buy, "snapshot", seen.time) if isinstance(seen, Quote | Depth) else (event.buy, index)
            got[key] += event.quantity
            seen_by[key].append(seen)
            if isinstance(seen, Trade) and seen.size is not None:
                assert got[True, index] + got[False, index] <= seen.size * assumptions.participation_ratio
            if snapshot and len(set(map(repr, seen_by[key]))) == 1:
                far = levels_of(seen)[1 if event.buy else 0]  # type: ignore[arg-type]
                if all(size is not None for _, size in far):
                    shown = sum((size or 0 for _, size in far), Fraction(0))
                    assert Fraction(got[key]) <= shown * Fraction(assumptions.participation_ratio)


@MORE
@given(steps, assumed)
def test_trailing_stop_never_steps_back(program: list[Step], assumptions: Assumptions) -> None:
    run = Run(assumptions)
    stops: dict[str, D] = {}
    for step in laid_out(program):
        run.do(step)
        for order_id, order in run.book.orders.items():
            if order.terms.type is not OrderType.TRAILING_STOP or order.stop_price is None:
                continue
            before = stops.get(order_id, order.stop_price)
            assert order.stop_price <= before if order.terms.buy else order.stop_price >= before
            stops[order_id] = order.stop_price


@MORE
@given(st.booleans(), prices, st.lists(st.tuples(prices, sizes), max_size=20), assumed)
def test_limit_that_is_touched_and_not_traded_through_stays_open(
    buy: bool, price: D, touches: list[tuple[D, D | None]], assumptions: Assumptions
) -> None:
    book = Book(INSTRUMENT, assumptions)
    away = price + TICK if buy else price - TICK
    assert book.place(OrderTerms("a", buy, OrderType.LIMIT, D(1), START, limit_price=price)) is None
    now = START + timedelta(seconds=2)
    assert list(book.apply(Quote("test", now, min(away, price), max(away, price)))) == []
    for somewhere, size in touches:
        now += timedelta(seconds=1)
        # Never better than the limit, and often at it.
        far = max(somewhere, price) if buy else min(somewhere, price)
        near = far - TICK if buy else far + TICK
        bid, ask = (near, far) if buy else (far, near)
        assert list(book.apply(Quote("test", now, bid, ask, size, size))) == []
        # No sizes were known when it came to rest, so no trade at its price says that its turn had come.
        assert list(book.apply(Trade("test", now, far, size))) == []
    assert book.orders["a"].leaves == 1


@MORE
@given(steps, steps, assumed, st.data())
def test_orders_of_another_instrument_do_not_matter(
    one: list[Step], other: list[Step], assumptions: Assumptions, data: st.DataObject
) -> None:
    alone = [Run(assumptions), Run(assumptions)]
    mixed = [Run(assumptions), Run(assumptions)]
    programs = [laid_out(one), laid_out(other)]
    for run, program in zip(alone, programs, strict=True):
        for step in program:
            run.do(step)
    turns = data.draw(st.permutations([0] * len(one) + [1] * len(other)))
    left = [iter(program) for program in programs]
    for turn in turns:
        mixed[turn].do(next(left[turn]))
    assert [run.events for run in mixed] == [run.events for run in alone]
    assert [run.book.to_dict() for run in mixed] == [run.book.to_dict() for run in alone]
