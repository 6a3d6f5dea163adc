"""Times, cancels and quantities of paper orders, and orders and inputs that cannot be."""

from decimal import Decimal as D
from typing import Any

import pytest
from vantixs_router.domain.matching.events import (
    Canceled,
    CancelReason,
    Expired,
    Filled,
    RejectReason,
)
from vantixs_router.domain.matching.market import Bar, Mark
from vantixs_router.domain.matching.orders import OrderTerms, OrderType, Stage, TimeInForce
from vantixs_router.domain.matching.taking import Assumptions

from tests.support.matching import START, apply, at, bar, book, depth, fills, place, quote, terms, trade


def test_good_till_date_works_before_its_time_and_not_at_it() -> None:
    paper = book()
    place(paper, "a", limit_price="90", time_in_force=TimeInForce.GTD, expire_time=at(10))
    assert apply(paper, quote(0, "99", "100"), quote(9.9, "90", "91")) == []
    assert paper.next_time() == at(10)
    assert apply(paper, quote(10, "79", "80")) == [Expired("a", D(1), at(10))]
    place(paper, "b", limit_price="90", time_in_force=TimeInForce.GTD, expire_time=at(20), placed=11)
    assert list(paper.advance(at(25))) == [Expired("b", D(1), at(20))]
    assert paper.next_time() is None


def test_cancel_ends_what_is_left() -> None:
    paper = book()
    place(paper, "a", quantity="3", limit_price="100")
    apply(paper, quote(0, "99", "100", "1", "1"))
    assert paper.cancel("a", at(1)) == Canceled("a", D(2), at(1), CancelReason.CANCEL_REQUESTED)
    assert paper.cancel("a", at(2)) is None
    assert fills(paper, quote(3, "79", "80")) == []


def test_shrink_caps_what_may_still_be_filled_and_never_raises_it() -> None:
    paper = book()
    place(paper, "a", quantity="3", limit_price="100")
    apply(paper, quote(0, "99", "100", "1", "1"))
    # 1 is filled; of the 2 left 1.255 may be, in lots of 0.01.
    assert paper.shrink("a", D("1.255"), at(1)) is None
    assert (paper.orders["a"].quantity, paper.orders["a"].leaves) == (D("2.25"), D("1.25"))
    assert paper.shrink("a", D(9), at(1)) is None
    assert fills(paper, quote(2, "89", "90")) == [("a", "1.25", "100.0")]
    place(paper, "b", limit_price="100", placed=3)
    assert paper.shrink("b", D("0.001"), at(3)) == Canceled("b", D(1), at(3), CancelReason.QUANTITY_REDUCED)
    assert paper.shrink("b", D(1), at(3)) is None


def test_partial_fill_of_one_leg_may_shrink_the_other_between_two_events() -> None:
    paper = book()
    place(paper, "x", "sell", quantity="2", limit_price="100")
    place(paper, "y", "sell", quantity="2", limit_price="101")
    apply(paper, quote(0, "98", "99", "9", "9"))
    got = []
    # 3 are bid beyond both: 2 for x, and y, which would have had 1, is ended by the caller before that.
    for event in paper.apply(quote(1, "105", "106", "3", "9")):
        assert isinstance(event, Filled)
        got.append((event.order_id, event.quantity))
        paper.shrink("y", D(2) - event.quantity, event.time)
    assert got == [("x", D(2))]
    assert not paper.orders


def test_order_that_is_placed_between_two_events_meets_the_next_market() -> None:
    paper = book()
    place(paper, "entry")
    events = []
    for event in paper.apply(quote(0, "99", "100")):
        events.append(event.order_id)
        place(paper, "stop", "sell", stop_price="99")
    assert events == ["entry"]
    assert fills(paper, quote(1, "98", "99")) == [("stop", "1", "98.0")]


def test_order_that_is_canceled_and_placed_again_between_two_fills_gets_none_of_the_old_one() -> None:
    paper = book()
    place(paper, "a", quantity="3")
    got = []
    for event in paper.apply(depth(0, [], [("100", "1"), ("101", "2")])):
        assert isinstance(event, Filled)
        got.append(event.quantity)
        paper.cancel("a", event.time)
        place(paper, "a", quantity="2", limit_price="90")
    # 1 of the old order; the new one has met no market yet.
    assert got == [D(1)]
    assert (paper.orders["a"].leaves, paper.orders["a"].stage) == (D(2), Stage.ENTERING)


def test_events_of_one_input_are_used_up_before_the_next() -> None:
    paper = book()
    place(paper, "a")
    place(paper, "b")
    events = paper.apply(quote(0, "99", "100"))
    next(events)
    with pytest.raises(RuntimeError, match="used up"):
        apply(paper, quote(1, "99", "100"))
    assert [e.order_id for e in events] == ["b"]


def test_changed_orders_are_named_once() -> None:
    paper = book()
    place(paper, "trail", "sell", trail_amount="5")
    place(paper, "deep", limit_price="50")
    assert paper.take_changed() == ["trail", "deep"]
    apply(paper, quote(0, "100", "101"))
    # The one has a water mark, the other rests.
    assert sorted(paper.take_changed()) == ["deep", "trail"]
    apply(paper, quote(1, "99", "100"))
    assert paper.take_changed() == []
    apply(paper, quote(2, "95", "96"))
    assert paper.take_changed() == ["trail"]
    assert set(paper.orders) == {"deep"}


INVALID: dict[str, dict[str, Any]] = {
    "a quantity above 0 in steps of 0.01": {"quantity": "0.001"},
    "a quantity above 0 in steps of 0.01, was NaN": {"quantity": "NaN"},
    "a limit_price above 0 in steps of 0.1, was Infinity": {"limit_price": "Infinity"},
    "no stop_price of a LIMIT": {"limit_price": "100", "stop_price": "95"},
    "a limit_price of a STOP_LIMIT": {"stop_price": "95"},
    "a limit_price above 0 in steps of 0.1": {"limit_price": "100.01"},
    "a stop_price above 0": {"stop_price": "0"},
    "either trail_amount or trail_bps": {"trail_amount": "1", "trail_bps": "1"},
    "a trail_bps below 10000": {"trail_bps": "10000"},
    "no trail": {"activation_price": "100"},
    "an expire_time with GTD": {"time_in_force": TimeInForce.GTD},
    "an expire_time after": {"time_in_force": TimeInForce.GTD, "expire_time": START},
    "post_only of limit orders": {"post_only": True},
    "a triggered_timeout_s above 0, and of stop-limit": {"triggered_timeout_s": 5},
}


@pytest.mark.parametrize(("detail", "more"), INVALID.items())
def test_order_that_no_venue_takes_is_rejected(detail: str, more: dict[str, Any]) -> None:
    order = terms(**more)
    if detail == "no stop_price of a LIMIT":
        order = OrderTerms("a", True, OrderType.LIMIT, D(1), START, limit_price=D(100), stop_price=D(95))
    if detail == "a limit_price of a STOP_LIMIT":
        order = OrderTerms("a", True, OrderType.STOP_LIMIT, D(1), START, stop_price=D(95))
    paper = book()
    rejected = paper.place(order)
    assert rejected is not None
    assert rejected.reason is RejectReason.ORDER_INVALID
    assert f"expected {detail}" in rejected.detail
    assert not paper.orders


def test_id_of_an_open_order_is_not_taken_again() -> None:
    paper = book()
    place(paper)
    with pytest.raises(ValueError, match="no open order"):
        paper.place(terms())


BAD_INPUTS: list[Any] = [
    lambda: quote(0, "101", "100"),
    lambda: quote(0, "0", "100"),
    lambda: quote(0, "99", "100", "0", "1"),
    lambda: depth(0, [("99", "1"), ("99.5", "1")], []),
    lambda: depth(0, [("99", "1"), ("99", "1")], []),
    lambda: depth(0, [("101", "1")], [("100", "1")]),
    lambda: trade(0, "-1"),
    lambda: trade(0, "NaN"),
    lambda: bar(0, "100", "99", "90", "95"),
    lambda: Bar("test", START, START, D(1), D(1), D(1), D(1)),
    lambda: Mark("test", START, D(0)),
    lambda: Assumptions(participation_ratio=D(2)),
]


@pytest.mark.parametrize("make", BAD_INPUTS)
def test_input_that_cannot_be_is_not_made(make: Any) -> None:
    with pytest.raises(ValueError, match="expected"):
        make()
