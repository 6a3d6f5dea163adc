"""Whatever comes of an order, in whatever order and however often: no fill is lost or counted twice, nothing filled is undone."""

import random
from decimal import Decimal as D

from hypothesis import given
from hypothesis import strategies as st
from vantixs_router.domain.fills import Fill
from vantixs_router.domain.order import ENDED, Event, OrderStatus, State

QUANTITY = D(10)
HEARD = [event for event in Event if event not in (Event.FILL, Event.FILL_ALL)]
AMOUNTS = st.integers(1, 10_000).map(lambda n: D(n) / 1000)
FILLS = st.lists(st.tuples(AMOUNTS, AMOUNTS), min_size=1, max_size=6).map(
    lambda rows: [Fill(f"e{number}", *row) for number, row in enumerate(rows)]
)
News = Event | tuple[Fill, ...]


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Fill], list[News]]:
    """Fills, and news that tell each of them at least once, with other events, all shuffled."""
    fills = draw(FILLS)
    single: list[News] = [(fill,) for fill in fills]
    snapshots: list[News] = draw(st.lists(st.lists(st.sampled_from(fills), min_size=1).map(tuple), max_size=4))
    events: list[News] = list(draw(st.lists(st.sampled_from(HEARD), max_size=12)))
    return fills, draw(st.permutations(single + snapshots + events))


def hear(status: OrderStatus, news: News) -> OrderStatus:
    return status.with_fills(news) if isinstance(news, tuple) else status.after(news, news)


@given(histories())
def test_no_order_of_events_loses_a_fill_or_undoes_one(history: tuple[list[Fill], list[News]]) -> None:
    fills, news = history
    status = OrderStatus(QUANTITY)
    for one in news:
        before, status = status, hear(status, one)
        assert hear(status, one) == status or status.state not in ENDED
        assert before.filled <= status.filled
        assert before.state is not State.FILLED or status.state is State.FILLED
        assert before.state not in ENDED or status.state in ENDED
        assert (status.state is State.FILLED) == (status.filled >= QUANTITY)
        assert status.filled + status.leaves == max(QUANTITY, status.filled)
        assert not (status.fills and status.state in (State.ACCEPTED, State.REJECTED, State.INITIALIZED))
        assert not (status.reason and (status.state not in ENDED or status.state is State.FILLED))
    assert status.filled == sum(fill.quantity for fill in fills)
    assert {fill.execution_id for fill in status.fills} == {fill.execution_id for fill in fills}
    assert len(status.fills) == len(fills)


@given(histories(), st.randoms(use_true_random=False))
def test_books_are_the_same_in_whatever_order_the_news_came(
    history: tuple[list[Fill], list[News]], chance: random.Random
) -> None:
    _, news = history
    one = other = OrderStatus(QUANTITY).after(Event.SUBMIT)
    for event in news:
        one = hear(one, event)
    chance.shuffle(news)
    for event in news:
        other = hear(other, event)
    assert (one.filled, one.leaves, one.average_price) == (other.filled, other.leaves, other.average_price)
    assert (one.state is State.FILLED) == (other.state is State.FILLED)
    assert (one.state in ENDED) == (other.state in ENDED)


@given(FILLS)
def test_average_price_lies_between_the_prices(fills: list[Fill]) -> None:
    average = OrderStatus(QUANTITY).with_fills(tuple(fills)).average_price
    assert average is not None
    assert min(f.price for f in fills) <= average <= max(f.price for f in fills)


@given(histories())
def test_event_twice_in_a_row_is_as_once(history: tuple[list[Fill], list[News]]) -> None:
    status = OrderStatus(QUANTITY)
    for one in history[1]:
        status = hear(status, one)
        assert hear(status, one) == status
