"""Which keys are shown a quote, and when."""

from typing import Any

from vantixs.api.common.v1 import common_pb2
from vantixs_router.market import Market
from vantixs_router.working.key import Key

BTC, ETH = "BTC/USDT", "ETH/USDT"


class Working:
    """Keys by instrument, and what each was shown; an empty bid is that time has passed."""

    def __init__(self) -> None:
        self.by_instrument: dict[str, dict[str, Key]] = {}
        self.seen: dict[str, list[str]] = {}

    def sees(self, name: str, quote: common_pb2.Quote, *, busy: bool) -> None:
        self.seen.setdefault(name.partition("|")[0], []).append(quote.bid)


class Quotes:
    """The current quotes."""

    def __init__(self) -> None:
        self.bids: dict[str, str] = {}

    def current(self, instrument: Any) -> common_pb2.Quote:
        return quote(self.bids.get(instrument.name, ""), instrument.name)


def quote(bid: str, instrument: str = BTC) -> common_pb2.Quote:
    return common_pb2.Quote(instrument=instrument, bid=bid, ask=bid)


def keys(*accounts: str, instrument: str = BTC) -> dict[str, Key]:
    """New keys of these accounts."""
    return {f"{name}|{instrument}": Key(0, name, instrument) for name in accounts}


def made() -> tuple[Market, Working, Quotes]:
    working, quotes = Working(), Quotes()
    market: Any = Market(quotes, working, lambda _: False)  # type: ignore[arg-type]  # Parts of them.
    return market, working, quotes


def test_key_that_comes_after_a_pushed_quote_is_shown_it() -> None:
    """A lane moves here just after the quote that its orders wait for came: nothing rested here then."""
    market, working, quotes = made()
    quotes.bids[BTC] = "131"
    market.pushed(quote("131"))
    working.by_instrument[BTC] = keys("a")
    market.look()
    assert working.seen == {"a": ["131"]}


def test_key_that_joins_others_of_its_instrument_is_shown_the_quote_that_they_know() -> None:
    market, working, quotes = made()
    quotes.bids[BTC] = "131"
    working.by_instrument[BTC] = keys("a")
    market.look()
    working.by_instrument[BTC] |= keys("b")
    market.look()
    assert working.seen == {"a": ["131", ""], "b": ["131"]}


def test_quote_is_shown_once_and_then_time_passes() -> None:
    market, working, quotes = made()
    working.by_instrument = {BTC: keys("a"), ETH: keys("b", instrument=ETH)}
    quotes.bids = {BTC: "1"}
    market.pushed(quote("1"))
    market.look()
    quotes.bids[BTC] = "2"
    market.look()
    assert working.seen == {"a": ["1", "", "2"], "b": ["", ""]}


def test_key_that_ended_and_comes_again_is_new() -> None:
    market, working, quotes = made()
    quotes.bids[BTC] = "1"
    working.by_instrument[BTC] = keys("a")
    market.look()
    working.by_instrument.clear()
    market.look()
    working.by_instrument[BTC] = keys("a")
    market.look()
    assert working.seen == {"a": ["1", "1"]}


def test_key_whose_lane_was_lost_and_taken_again_between_two_looks_is_shown_what_the_lost_one_had_kept() -> None:
    """A busy key keeps a quote for later. If its lane is lost and taken again, the quote that it kept is gone."""
    market, working, quotes = made()
    quotes.bids[BTC] = "1"
    working.by_instrument[BTC] = keys("a")
    market.look()
    working.by_instrument[BTC] = keys("a")
    market.look()
    assert working.seen == {"a": ["1", "1"]}
