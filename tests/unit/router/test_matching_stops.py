"""The paper venue's stops, trailing stops and bars, each rule with numbers worked out by hand."""

import json
from decimal import Decimal as D

from vantixs_router.domain.matching.book import Book
from vantixs_router.domain.matching.events import (
    Expired,
    Filled,
    FillKind,
    Triggered,
)
from vantixs_router.domain.matching.fees import Fees
from vantixs_router.domain.matching.market import Mark
from vantixs_router.domain.matching.orders import Reference, TimeInForce
from vantixs_router.domain.matching.taking import Assumptions

from tests.support.matching import (
    INSTRUMENT,
    apply,
    at,
    bar,
    book,
    fills,
    place,
    quote,
    trade,
)


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
