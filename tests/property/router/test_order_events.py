"""Whatever comes of an order, in whatever order and however often: no fill is lost or counted twice, nothing filled is undone."""

import random
from datetime import UTC, datetime
from decimal import Decimal as D

from hypothesis import given
from hypothesis import strategies as st
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.model.decimals import format_decimal
from vantixs_router.domain.fills import Fill
from vantixs_router.domain.order import ENDED, Event, OrderStatus, State
from vantixs_router.orders.answers import apply_answer, find_fault, has_ended
from vantixs_router.store import OrderRow
from vantixs_router.venues import port

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


def message_of(fill: Fill) -> order_pb2.Fill:
    quantity, price = format_decimal(fill.quantity), format_decimal(fill.price)
    side = common_pb2.SIDE_BUY
    return order_pb2.Fill(
        execution_id=fill.execution_id, order_id="s1.1", side=side, quantity=quantity, price=price, fee="0"
    )


ENDINGS = st.sampled_from([None, common_pb2.ORDER_STATE_CANCELED, common_pb2.ORDER_STATE_EXPIRED])
OTHER_ANSWERS = st.sampled_from(
    [port.Accepted("v"), port.Rejected("VENUE_REJECTED", ""), port.NotFound(), port.Unknown("time-out")]
)


@st.composite
def answers(draw: st.DrawFn) -> tuple[list[Fill], list[port.Answer]]:
    """Fills, and a venue's answers in any order, each with some or all of them; one has them all."""
    fills = draw(FILLS)
    snapshots = [*draw(st.lists(st.lists(st.sampled_from(fills), unique_by=lambda f: f.execution_id))), fills]
    told = [port.Executed("v", tuple(map(message_of, chosen)), draw(ENDINGS)) for chosen in snapshots]
    return fills, draw(st.permutations([*told, *draw(st.lists(OTHER_ANSWERS, max_size=8))]))


@given(answers())
def test_stored_order_is_what_its_fills_say_in_whatever_order_the_answers_came(
    said: tuple[list[Fill], list[port.Answer]],
) -> None:
    fills, heard = said
    order = order_pb2.Order(order_id="s1.1", side=common_pb2.SIDE_BUY, quantity=format_decimal(QUANTITY))
    order.state = common_pb2.ORDER_STATE_SUBMITTED
    row = OrderRow(order, "", order_pb2.RiskDecision(), [], order_pb2.Position())
    for answer in heard:
        assert find_fault(row.order, answer) == ""
        before, row = row, apply_answer(row, answer, datetime.now(UTC))
        assert apply_answer(row, answer, datetime.now(UTC)) is row
        assert has_ended(row.order) or not has_ended(before.order)
        assert D(row.order.filled_quantity or "0") == sum((D(f.quantity) for f in row.fills), D(0))
        assert (row.order.state == common_pb2.ORDER_STATE_FILLED) == (D(row.order.filled_quantity or "0") >= QUANTITY)
        assert bool(row.order.average_price) == bool(row.fills)
    by_id = {fill.execution_id: message_of(fill) for fill in fills}
    assert {fill.execution_id: fill for fill in row.fills} == by_id
    assert len(row.fills) == len(by_id)
