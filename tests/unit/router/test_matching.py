"""The paper venue's matching, each rule with numbers worked out by hand: orders that take, orders that rest, fees."""

import json
from decimal import Decimal as D

from vantixs.model.instruments import Instrument
from vantixs_router.domain.matching.book import Book
from vantixs_router.domain.matching.events import (
    Canceled,
    CancelReason,
    Filled,
    FillKind,
    Rejected,
    RejectReason,
)
from vantixs_router.domain.matching.fees import Fees
from vantixs_router.domain.matching.orders import Stage, TimeInForce
from vantixs_router.domain.matching.taking import Assumptions

from tests.support.matching import (
    INSTRUMENT,
    PERPETUAL,
    apply,
    at,
    book,
    depth,
    ends,
    fills,
    place,
    quote,
    trade,
)

# Takers.


def test_market_order_without_sizes_fills_whole_beyond_the_far_side() -> None:
    paper = book(slippage_bps=D(5), fees=Fees(maker_bps=D(2), taker_bps=D(10)))
    place(paper, quantity="3")
    (event,) = apply(paper, quote(0, "99.9", "100"))
    # 100 and 5 basis points are 100.05, rounded up to the tick 100.1; the fee is 10 basis points of 300.3.
    assert isinstance(event, Filled)
    assert (event.price, event.quantity, event.kind) == (D("100.1"), D(3), FillKind.TAKER)
    assert (event.fee, event.fee_asset, event.leaves) == (D("0.3003"), "USDT", 0)
    assert event.assumptions == ("no sizes known: whole quantity", "slippage 5 bps")
    assert event.seen == quote(0, "99.9", "100")
    assert event.execution_id == "a-1"
    assert not paper.orders


def test_sell_slips_down_to_the_tick_and_never_to_nothing() -> None:
    paper = book(slippage_bps=D(5))
    place(paper, "a", "sell")
    # 100 less 0.05 is 99.95, rounded down.
    assert fills(paper, quote(0, "100", "100.1")) == [("a", "1", "99.9")]
    place(paper, "b", "sell")
    # 0.1 less anything rounds down to 0, and one tick is the least.
    assert fills(paper, quote(1, "0.1", "0.2")) == [("b", "1", "0.1")]


def test_order_meets_the_first_market_seen_at_or_after_its_arrival() -> None:
    paper = book(latency_ms=250)
    place(paper, placed=1)
    assert fills(paper, quote(1.2, "99", "100")) == []
    # It arrives at 1.25 s: what is seen then counts, and the better price of before does not.
    assert fills(paper, quote(1.25, "109", "110")) == [("a", "1", "110.0")]


def test_quote_that_is_given_late_does_nothing_to_an_order_that_came_after_it() -> None:
    paper = book()
    place(paper, placed=2)
    assert fills(paper, quote(1, "99", "100")) == []


def test_taker_walks_the_levels_with_one_fill_each() -> None:
    paper = book()
    place(paper, quantity="3")
    seen = depth(0, [("99", "5")], [("100", "1"), ("101", "1.5"), ("102", "9")])
    # 1 at 100, 1.5 at 101, and 0.5 that are left at 102.
    assert fills(paper, seen) == [("a", "1", "100.0"), ("a", "1.5", "101.0"), ("a", "0.5", "102.0")]


def test_taker_gets_its_share_of_a_level_and_depth_stays_eaten_until_the_next_snapshot() -> None:
    paper = book(participation_ratio=D("0.25"))
    first = depth(0, [("99", "5")], [("100", "2"), ("101", "4")])
    place(paper, "a", quantity="0.8")
    # A quarter of 2 is 0.5 at 100, then 0.3 of the quarter of 4.
    events = apply(paper, first)
    assert [(e.quantity, e.price) for e in events if isinstance(e, Filled)] == [(D("0.5"), D(100)), (D("0.3"), D(101))]
    assert isinstance(events[0], Filled)
    assert events[0].assumptions == ("took 0.5 of 2 shown", "participation 0.25")
    place(paper, "b", quantity="1")
    # The same snapshot again, also after a restart: at 100 nothing is left, at 101 what is left of 1 is 0.7.
    paper = Book.from_dict(
        INSTRUMENT, Assumptions(participation_ratio=D("0.25")), json.loads(json.dumps(paper.to_dict()))
    )
    assert fills(paper, first) == [("b", "0.7", "101.0")]
    # The next one shows the levels anew, and the 0.3 that waited are had at 100.
    assert fills(paper, depth(1, [("99", "5")], [("100", "2")])) == [("b", "0.3", "100.0")]


def test_immediate_or_cancel_ends_with_what_was_not_there() -> None:
    paper = book()
    place(paper, quantity="3", time_in_force=TimeInForce.IOC)
    events = apply(paper, quote(0, "99", "100", "1", "1.2"))
    assert [type(e) for e in events] == [Filled, Canceled]
    # 3 less 1.2.
    assert events[1] == Canceled("a", D("1.8"), at(0), CancelReason.IOC_REST_NOT_FILLED)


def test_fill_or_kill_fills_whole_or_not_at_all() -> None:
    paper = book()
    place(paper, "a", quantity="3", time_in_force=TimeInForce.FOK)
    # 1 and 1.9 are 2.9.
    events = apply(paper, depth(0, [], [("100", "1"), ("101", "1.9")]))
    assert events == [Canceled("a", D(3), at(0), CancelReason.FOK_NOT_FILLABLE)]
    place(paper, "b", quantity="3", time_in_force=TimeInForce.FOK, placed=1)
    assert fills(paper, depth(1, [], [("100", "1"), ("101", "2")])) == [("b", "1", "100.0"), ("b", "2", "101.0")]


def test_market_order_beyond_its_maximum_slippage_is_canceled() -> None:
    paper = book()
    place(paper, quantity="3", max_slippage_bps="100")
    # One percent of the first price, 100, reaches 101 and not 101.1.
    events = apply(paper, depth(0, [], [("100", "1"), ("101", "1"), ("101.1", "5")]))
    assert [type(e) for e in events] == [Filled, Filled, Canceled]
    assert ends(events) == [("a", "SLIPPAGE_ABOVE_MAXIMUM")]


def test_maximum_slippage_counts_from_the_first_price_over_several_snapshots() -> None:
    paper = book()
    place(paper, quantity="3", max_slippage_bps="100")
    assert fills(paper, quote(0, "99", "100", "1", "1")) == [("a", "1", "100.0")]
    assert ends(apply(paper, quote(1, "101", "101.1", "1", "1"))) == [("a", "SLIPPAGE_ABOVE_MAXIMUM")]


def test_limit_order_takes_no_further_than_its_limit_and_rests_with_what_is_left() -> None:
    paper = book()
    place(paper, quantity="3", limit_price="101")
    assert fills(paper, depth(0, [("99", "1")], [("100", "1"), ("101", "1"), ("102", "9")])) == [
        ("a", "1", "100.0"),
        ("a", "1", "101.0"),
    ]
    assert (paper.orders["a"].stage, paper.orders["a"].leaves) == (Stage.RESTING, D(1))


def test_limit_order_never_slips_beyond_its_limit() -> None:
    paper = book(slippage_bps=D(500))
    place(paper, limit_price="101")
    # 100 and 5 percent would be 105.
    assert fills(paper, quote(0, "99", "100")) == [("a", "1", "101.0")]


def test_post_only_is_rejected_where_it_would_take_and_rests_otherwise() -> None:
    paper = book()
    place(paper, "a", limit_price="100", post_only=True)
    assert apply(paper, quote(0, "99", "100")) == [Rejected("a", at(0), RejectReason.POST_ONLY_WOULD_TAKE)]
    place(paper, "b", limit_price="99.9", post_only=True, placed=1)
    assert apply(paper, quote(1, "99", "100")) == []
    assert paper.orders["b"].stage is Stage.RESTING


# Orders that rest.


def test_resting_limit_is_not_filled_by_a_touch() -> None:
    paper = book()
    place(paper, limit_price="100")
    assert fills(paper, quote(0, "100.5", "101"), quote(1, "99.9", "100"), trade(2, "100", "50"), trade(3, "100")) == []


def test_resting_limit_is_filled_at_its_price_once_quotes_go_through() -> None:
    paper = book(fees=Fees(maker_bps=D(2), taker_bps=D(10)))
    place(paper, limit_price="100", quantity="2")
    # The market gaps to 90; it trades at 100 nevertheless: an order that rests is filled at its own price.
    (event,) = apply(paper, quote(0, "100.5", "101"), quote(1, "89", "90"))
    assert isinstance(event, Filled)
    assert (event.price, event.quantity, event.kind) == (D(100), D(2), FillKind.MAKER)
    # 2 basis points of 200.
    assert event.fee == D("0.04")
    assert event.assumptions == ("no queue known: traded through",)


def test_quotes_through_fill_no_more_than_they_show() -> None:
    paper = book(participation_ratio=D("0.5"))
    for order_id in ("a", "b"):
        place(paper, order_id, "sell", quantity="2", limit_price="100")
    apply(paper, quote(0, "98", "99", "1", "1"))
    # Bids of 3 beyond 100, half of which is ours: 1.5 for the order that was first. The bid at 100 only touches.
    seen = depth(1, [("102", "2"), ("101", "1"), ("100", "50")], [("103", "1")])
    assert fills(paper, seen) == [("a", "1.5", "100.0")]
    assert fills(paper, quote(2, "101", "103", "2", "1")) == [("a", "0.5", "100.0"), ("b", "0.5", "100.0")]


def test_trades_through_fill_by_price_then_time_and_share_their_size() -> None:
    paper = book()
    place(paper, "low", limit_price="99.9", quantity="1")
    place(paper, "first", limit_price="100", quantity="1")
    place(paper, "second", limit_price="100", quantity="1")
    apply(paper, quote(0, "100.5", "101"))
    # 2.5 traded: 1 for each at 100, 0.5 left for 99.9.
    assert fills(paper, trade(1, "99", "2.5")) == [
        ("first", "1", "100.0"),
        ("second", "1", "100.0"),
        ("low", "0.5", "99.9"),
    ]
    # A trade of unknown size fills all.
    assert fills(paper, trade(2, "99")) == [("low", "0.5", "99.9")]


def test_queue_ahead_trades_first() -> None:
    paper = book()
    place(paper, "a", limit_price="100", quantity="2")
    place(paper, "b", limit_price="100", quantity="2")
    apply(paper, quote(0, "100", "101", "10", "10"))
    assert paper.orders["a"].queue_ahead == D(10)
    assert fills(paper, trade(1, "100", "8")) == []
    # 2 of the queue are left: of 3.5 traded 1.5 are beyond it, and the order that was first has them.
    (event,) = apply(paper, trade(2, "100", "3.5"))
    assert isinstance(event, Filled)
    assert (event.order_id, event.quantity, event.price) == ("a", D("1.5"), D(100))
    assert event.assumptions == ("queue of 2 ahead traded",)
    # Nothing is ahead any more: 0.5 for the first, 0.5 for the second.
    assert fills(paper, trade(3, "100", "1")) == [("a", "0.5", "100.0"), ("b", "0.5", "100.0")]


def test_queue_is_what_is_shown_at_the_price_and_unknown_below_what_is_shown() -> None:
    paper = book()
    levels = {"99": D(4), "98.5": D(0), "98": D(7), "97": None, "99.5": D(0)}
    for price in levels:
        place(paper, price, limit_price=price)
    apply(paper, depth(0, [("99", "4"), ("98", "7")], [("100", "1")]))
    assert {price: paper.orders[price].queue_ahead for price in levels} == levels


def test_rest_of_an_order_that_took_is_not_filled_by_trades_at_its_price() -> None:
    paper = book(participation_ratio=D("0.5"))
    place(paper, limit_price="100", quantity="2")
    # Half of 2 at 100 is ours; what else trades at 100 are others who take the other half.
    assert fills(paper, quote(0, "99", "100", "1", "2"), trade(1, "100", "5")) == [("a", "1", "100.0")]


# Fees.


def test_spot_buy_may_pay_its_fee_in_what_it_receives() -> None:
    fees = Fees(taker_bps=D(10), buy_fee_in_base=True)
    paper = book(fees=fees)
    place(paper, "buy", quantity="2")
    place(paper, "sell", "sell", quantity="2")
    bought, sold = apply(paper, quote(0, "99", "100"))
    assert isinstance(bought, Filled)
    assert isinstance(sold, Filled)
    # 10 basis points of 2, and of 198.
    assert (bought.fee, bought.fee_asset) == (D("0.002"), "AAA")
    assert (sold.fee, sold.fee_asset) == (D("0.198"), "USDT")
    perpetual = book(PERPETUAL, fees=fees)
    place(perpetual)
    (event,) = apply(perpetual, quote(0, "99", "100"))
    assert isinstance(event, Filled)
    assert event.fee_asset == "USDT"


def test_fee_is_exact_up_to_18_decimals_and_a_rebate_is_below_0() -> None:
    tiny = Instrument("BBB/USDT", "BBB", "USDT", False, D("1E-12"), D("1E-8"), D(0), D(1))
    paper = book(tiny, fees=Fees(maker_bps=D("-0.3"), taker_bps=D("0.7")))
    place(paper, quantity="0.00000003", limit_price="0.000000000005")
    (event,) = apply(paper, quote(0, "0.000000000004", "0.000000000005"))
    assert isinstance(event, Filled)
    # 3E-8 at 5E-12 are 1.5E-19; 0.7 basis points of it is far below the last decimal, and rounds up to it.
    assert event.fee == D("1E-18")
    paper = book(fees=Fees(maker_bps=D(-1)))
    place(paper, limit_price="90")
    (event,) = apply(paper, quote(0, "99", "100"), quote(1, "80", "81"))
    assert isinstance(event, Filled)
    assert event.fee == D("-0.009")
