"""The paper venue's matching, each rule with numbers worked out by hand."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from typing import Any

import pytest
from vantixs.model.instruments import Instrument
from vantixs_router.domain.matching.book import Book
from vantixs_router.domain.matching.events import (
    Canceled,
    CancelReason,
    Event,
    Expired,
    Filled,
    FillKind,
    Rejected,
    RejectReason,
    Triggered,
)
from vantixs_router.domain.matching.fees import Fees
from vantixs_router.domain.matching.market import Bar, Depth, Mark, Quote, Seen, Trade
from vantixs_router.domain.matching.orders import OrderTerms, OrderType, Reference, Stage, TimeInForce
from vantixs_router.domain.matching.taking import Assumptions

START = datetime(2026, 11, 27, 12, tzinfo=UTC)
INSTRUMENT = Instrument("AAA/USDT", "AAA", "USDT", False, D("0.1"), D("0.01"), D(5), D(100))
PERPETUAL = Instrument("AAA/USDT:USDT", "AAA", "USDT", True, D("0.1"), D("0.01"), D(5), D(100))


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def quote(time: float, bid: str, ask: str, bid_size: str | None = None, ask_size: str | None = None) -> Quote:
    return Quote("test", at(time), D(bid), D(ask), bid_size and D(bid_size), ask_size and D(ask_size))  # type: ignore[arg-type]


def depth(time: float, bids: Sequence[tuple[str, str]], asks: Sequence[tuple[str, str]]) -> Depth:
    return Depth("test", at(time), tuple((D(p), D(s)) for p, s in bids), tuple((D(p), D(s)) for p, s in asks))


def trade(time: float, price: str, size: str | None = None) -> Trade:
    return Trade("test", at(time), D(price), D(size) if size else None)


def bar(time: float, open_: str, high: str, low: str, close: str) -> Bar:
    return Bar("test", at(time), at(time + 60), D(open_), D(high), D(low), D(close))


def book(instrument: Instrument = INSTRUMENT, **assumed: Any) -> Book:
    return Book(instrument, Assumptions(**assumed))


def terms(order_id: str = "a", side: str = "buy", quantity: str = "1", placed: float = 0, **more: Any) -> OrderTerms:
    """A market order, or what the prices among `more` make of it."""
    prices = {
        name: D(more.pop(name))
        for name in (
            "limit_price", "stop_price", "trail_amount", "trail_bps", "activation_price", "max_slippage_bps"
        )
        if name in more
    }  # fmt: skip
    kind = OrderType.MARKET
    if "trail_amount" in prices or "trail_bps" in prices:
        kind = OrderType.TRAILING_STOP
    elif "stop_price" in prices:
        kind = OrderType.STOP_LIMIT if "limit_price" in prices else OrderType.STOP
    elif "limit_price" in prices:
        kind = OrderType.LIMIT
    return OrderTerms(order_id, side == "buy", kind, D(quantity), at(placed), **prices, **more)


def place(in_book: Book, *args: Any, **more: Any) -> None:
    assert in_book.place(terms(*args, **more)) is None


def apply(in_book: Book, *seen: Seen) -> list[Event]:
    return [event for one in seen for event in in_book.apply(one)]


def fills(in_book: Book, *seen: Seen) -> list[tuple[str, str, str]]:
    """Order, quantity and price of each fill."""
    events = apply(in_book, *seen)
    return [(e.order_id, f"{e.quantity.normalize():f}", f"{e.price:.1f}") for e in events if isinstance(e, Filled)]


def ends(events: Sequence[Event]) -> list[tuple[str, str]]:
    return [(e.order_id, e.reason.value) for e in events if isinstance(e, Canceled | Rejected)]


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


# Stops.


def test_sell_stop_triggers_by_the_bid_and_a_gap_fills_at_the_worse_price() -> None:
    paper = book(slippage_bps=D(0), fees=Fees(maker_bps=D(2), taker_bps=D(10)))
    place(paper, "a", "sell", stop_price="95")
    assert apply(paper, quote(0, "95.1", "95.2")) == []
    events = apply(paper, quote(1, "90", "95"))
    assert events[0] == Triggered("a", D(95), D(90), at(1), quote(1, "90", "95"))
    assert isinstance(events[1], Filled)
    assert (events[1].price, events[1].kind) == (D(90), FillKind.TRIGGERED)
    # A taker's fee: 10 basis points of 90.
    assert events[1].fee == D("0.09")


def test_buy_stop_triggers_by_the_ask() -> None:
    paper = book()
    place(paper, stop_price="105")
    assert fills(paper, quote(0, "104.8", "104.9"), quote(1, "104", "105")) == [("a", "1", "105.0")]


def test_last_and_mark_trigger_and_the_next_market_fills() -> None:
    paper = book()
    place(paper, "last", "sell", stop_price="95", reference=Reference.LAST)
    place(paper, "mark", "sell", stop_price="95", reference=Reference.MARK)
    assert fills(paper, quote(0, "90", "91")) == []
    assert [e.order_id for e in apply(paper, trade(1, "95"))] == ["last"]
    assert [e.order_id for e in apply(paper, Mark("test", at(2), D(94)))] == ["mark"]
    assert fills(paper, quote(3, "93", "94")) == [("last", "1", "93.0"), ("mark", "1", "93.0")]


def test_stop_goes_on_over_snapshots_until_it_is_out() -> None:
    paper = book()
    place(paper, "a", "sell", stop_price="95", quantity="3")
    assert fills(paper, quote(0, "94", "95", "1", "1"), quote(1, "92", "93", "5", "1")) == [
        ("a", "1", "94.0"),
        ("a", "2", "92.0"),
    ]


def test_stop_limit_that_gaps_rests_and_becomes_a_market_order_in_time() -> None:
    paper = book()
    place(paper, "a", "sell", stop_price="95", limit_price="94", triggered_timeout_s=30)
    (event,) = apply(paper, quote(0, "90", "91"))
    assert isinstance(event, Triggered)
    assert paper.next_time() == at(30)
    assert list(paper.advance(at(29))) == []
    assert fills(paper, quote(29.9, "80", "81")) == []
    (filled,) = apply(paper, quote(30, "70", "71"))
    assert isinstance(filled, Filled)
    assert (filled.price, filled.kind) == (D(70), FillKind.TRIGGERED)
    assert filled.assumptions[-1] == "limit not filled in time: to market"


def test_stop_limit_that_comes_back_is_filled_as_a_maker() -> None:
    paper = book()
    place(paper, "a", "sell", stop_price="95", limit_price="94")
    events = apply(paper, quote(0, "90", "91"), quote(1, "94", "95"), quote(2, "94.1", "95"))
    # At 94 it is only touched.
    assert [type(e) for e in events] == [Triggered, Filled]
    assert isinstance(events[1], Filled)
    assert (events[1].price, events[1].kind, events[1].time) == (D(94), FillKind.MAKER, at(2))


# Trailing stops.


def test_trailing_stop_steps_only_in_favour() -> None:
    paper = book()
    place(paper, "a", "sell", trail_amount="5")
    stops = []
    for time, bid in enumerate(("100", "103", "101", "104.2", "99.3")):
        assert apply(paper, quote(time, bid, "110")) == []
        stops.append(paper.orders["a"].stop_price)
    # Water marks 100, 103, 103, 104.2, 104.2, less 5.
    assert stops == [D(95), D(98), D(98), D("99.2"), D("99.2")]
    assert fills(paper, quote(9, "99.2", "110")) == [("a", "1", "99.2")]


def test_trailing_stop_in_basis_points_is_rounded_outwards() -> None:
    paper = book()
    place(paper, "a", "sell", trail_bps="250")
    place(paper, "b", "buy", trail_bps="250")
    apply(paper, quote(0, "100.3", "100.3"))
    # 2.5 percent of 100.3 are 2.5075: 97.7925 down to 97.7, and 102.8075 up to 102.9.
    assert paper.orders["a"].stop_price == D("97.7")
    assert paper.orders["b"].stop_price == D("102.9")


def test_trailing_stop_follows_from_its_activation_price_on() -> None:
    paper = book()
    place(paper, "a", "sell", trail_amount="5", activation_price="110")
    # A fall before the activation does nothing.
    assert apply(paper, quote(0, "109.9", "111"), quote(1, "50", "111")) == []
    assert paper.orders["a"].water_mark is None
    assert apply(paper, quote(2, "110", "111")) == []
    # 110 less 5.
    assert fills(paper, quote(3, "105", "111")) == [("a", "1", "105.0")]


def test_trailing_stop_survives_a_restart() -> None:
    paper = book()
    place(paper, "a", "sell", trail_amount="5")
    apply(paper, quote(0, "103", "104"), quote(1, "100", "101"))
    paper = Book.from_dict(INSTRUMENT, Assumptions(), json.loads(json.dumps(paper.to_dict())))
    assert fills(paper, quote(2, "98", "99")) == [("a", "1", "98.0")]


# Bars.


def test_bar_that_spans_stop_and_target_fills_the_stop() -> None:
    paper = book(slippage_bps=D(10))
    place(paper, "stop", "sell", stop_price="95")
    place(paper, "target", "sell", limit_price="105")
    apply(paper, bar(0, "100", "101", "99", "100"))
    seen: list[str] = []
    for event in paper.apply(bar(60, "100", "110", "90", "104")):
        if isinstance(event, Filled):
            seen.append(f"{event.order_id} {event.price:.1f}")
            paper.cancel("target", event.time)
    # At its stop price, less 10 basis points: 94.905 down to 94.9.
    assert seen == ["stop 94.9"]
    assert not paper.orders


def test_bar_that_opens_beyond_a_stop_fills_at_the_open() -> None:
    paper = book()
    place(paper, "a", "sell", stop_price="95")
    assert fills(paper, bar(0, "90", "99", "80", "98")) == [("a", "1", "90.0")]


def test_bar_fills_a_target_only_beyond_it_and_at_its_price() -> None:
    paper = book()
    place(paper, "a", "sell", limit_price="105")
    assert fills(paper, bar(0, "100", "105", "99", "100")) == []
    assert fills(paper, bar(60, "106", "108", "99", "100")) == [("a", "1", "105.0")]


def test_order_that_arrives_within_a_bar_meets_its_close() -> None:
    paper = book()
    place(paper, "market", placed=30)
    place(paper, "stop", "sell", stop_price="95", placed=30)
    place(paper, "limit", limit_price="91", placed=30)
    # The low of 90 may have been before they came.
    assert fills(paper, bar(0, "100", "101", "90", "96")) == [("market", "1", "96.0")]
    assert set(paper.orders) == {"stop", "limit"}


def test_market_order_fills_at_the_open_of_the_next_bar() -> None:
    paper = book()
    place(paper, placed=60)
    assert fills(paper, bar(60, "100", "110", "90", "96")) == [("a", "1", "100.0")]


def test_trailing_stop_within_a_bar_sees_the_worse_extreme_first_and_the_close_after_the_better_one() -> None:
    paper = book()
    place(paper, "a", "sell", trail_amount="5")
    # Open 100: stop 95, low 96 does not reach it. High 110: stop 105. Close 108.
    assert fills(paper, bar(0, "100", "110", "96", "108")) == []
    assert paper.orders["a"].stop_price == D(105)
    # Open 108, low 106, then high 120: stop 115, and on the way to the close of 112 it comes by there.
    assert fills(paper, bar(60, "108", "120", "106", "112")) == [("a", "1", "115.0")]


def test_order_that_expires_within_a_bar_meets_its_open_only() -> None:
    paper = book()
    for order_id, price in (("open", "101"), ("low", "95")):
        place(paper, order_id, limit_price=price, time_in_force=TimeInForce.GTD, expire_time=at(90), post_only=True)
    apply(paper, bar(-1, "102", "103", "102", "102"))
    # The bar of 60 to 120 opens beyond the one; its low of 90 may have come after 90.
    events = apply(paper, bar(60, "100", "101", "90", "100"))
    assert [(type(e), e.order_id, e.time) for e in events] == [(Filled, "open", at(60)), (Expired, "low", at(90))]


def test_stop_limit_that_triggers_within_a_bar_meets_no_extreme_of_that_bar() -> None:
    paper = book()
    place(paper, "a", "sell", stop_price="95", limit_price="97")
    # The high of 100 may have been before the low of 94; the close of 96 is not beyond 97.
    events = apply(paper, bar(0, "99", "100", "94", "96"))
    assert [type(e) for e in events] == [Triggered]
    assert fills(paper, bar(60, "96", "97.1", "95", "96")) == [("a", "1", "97.0")]


# Time, cancels, quantities.


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
