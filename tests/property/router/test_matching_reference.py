"""Random orders and markets: the matching of the paper venue does what a slow reference does."""

from collections.abc import Iterator
from decimal import Decimal as D
from fractions import Fraction
from typing import Any

from hypothesis import event as note
from hypothesis import given, settings
from hypothesis import strategies as st
from vantixs_router.domain.matching.events import Canceled, Event, Expired, Filled, Rejected, Triggered
from vantixs_router.domain.matching.orders import OrderTerms
from vantixs_router.domain.matching.taking import Assumptions

from tests.reference.matching import SlowBook
from tests.support.matching_programs import LOT, TICK, Run, Step, assumed, cut_by, laid_out, steps


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
