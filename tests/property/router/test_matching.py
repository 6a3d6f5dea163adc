"""Random orders and markets: what the matching of the paper venue may never do."""

from collections import defaultdict
from datetime import timedelta
from decimal import Decimal as D
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from vantixs_router.domain.matching.book import Book
from vantixs_router.domain.matching.events import Canceled, Expired, Filled, FillKind, Rejected, Triggered
from vantixs_router.domain.matching.market import Bar, Depth, Mark, Quote, Seen, Trade
from vantixs_router.domain.matching.orders import OrderTerms, OrderType, TimeInForce
from vantixs_router.domain.matching.taking import Assumptions

from tests.reference.matching import levels_of
from tests.support.matching_programs import INSTRUMENT, LOT, START, TICK, Run, Step, assumed, laid_out, steps

MORE = settings(max_examples=150)
prices = st.integers(190, 210).map(lambda ticks: ticks * TICK)
sizes = st.sampled_from([None, D("0.35"), D(1), D("2.5"), D(10)])


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
