"""The table of order states, and what fills add up to."""

from decimal import Decimal as D

import pytest
from vantixs.api.common.v1 import common_pb2
from vantixs_router.domain.fills import Fill, average_price
from vantixs_router.domain.lookup import Lookup
from vantixs_router.domain.order import ENDED, TRANSITIONS, Event, OrderStatus, State

NEVER_SENT = State.INITIALIZED


def order(*events: Event, quantity: str = "2") -> OrderStatus:
    status = OrderStatus(D(quantity))
    for event in events:
        status = status.after(event)
    return status


def fill(identity: str, quantity: str, price: str = "100") -> Fill:
    return Fill(identity, D(quantity), D(price))


def test_table_says_what_every_event_does_in_every_state() -> None:
    assert set(TRANSITIONS) == {(state, event) for state in State for event in Event}


@pytest.mark.parametrize(("state", "event"), TRANSITIONS)
def test_state_that_ended_never_works_again_and_is_never_unsent(state: State, event: Event) -> None:
    after = TRANSITIONS[state, event]
    assert state not in ENDED or after in ENDED
    assert state is not State.FILLED or after is State.FILLED
    assert after is not NEVER_SENT or state is NEVER_SENT
    assert after is not State.SUBMITTED or state in (NEVER_SENT, State.SUBMITTED)
    assert event is not Event.FILL_ALL or after is State.FILLED


def test_every_state_is_reached_and_every_state_but_the_ended_is_left() -> None:
    reached = {after for (state, _), after in TRANSITIONS.items() if after is not state}
    assert reached == set(State) - {NEVER_SENT}
    assert {state for (state, _), after in TRANSITIONS.items() if after is not state} == set(State) - {State.FILLED}


def test_every_state_but_the_cancel_in_flight_has_its_name_in_the_contract() -> None:
    names = {name.removeprefix("ORDER_STATE_") for name in common_pb2.OrderState.DESCRIPTOR.values_by_name} - {
        "UNSPECIFIED"
    }
    assert names == set(State) - {State.PENDING_CANCEL}


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([Event.SUBMIT, Event.LOSE, Event.ACCEPT], State.ACCEPTED),
        ([Event.SUBMIT, Event.LOSE, Event.MISS], State.REJECTED),
        ([Event.SUBMIT, Event.REQUEST_CANCEL], State.SUBMITTED),
        ([Event.SUBMIT, Event.ACCEPT, Event.REQUEST_CANCEL], State.PENDING_CANCEL),
        ([Event.SUBMIT, Event.ACCEPT, Event.REQUEST_CANCEL, Event.ACCEPT], State.PENDING_CANCEL),
        ([Event.SUBMIT, Event.ACCEPT, Event.REQUEST_CANCEL, Event.REFUSE_CANCEL], State.ACCEPTED),
        ([Event.SUBMIT, Event.ACCEPT, Event.REQUEST_CANCEL, Event.CANCEL], State.CANCELED),
        ([Event.SUBMIT, Event.ACCEPT, Event.REQUEST_CANCEL, Event.LOSE], State.IN_DOUBT),
        ([Event.SUBMIT, Event.CANCEL, Event.ACCEPT, Event.LOSE], State.CANCELED),
    ],
)
def test_order_without_fills(events: list[Event], state: State) -> None:
    assert order(*events).state is state


def test_cancel_that_is_refused_leaves_an_order_with_fills_partially_filled() -> None:
    working = order(Event.SUBMIT, Event.ACCEPT).with_fills((fill("1", "0.5"),))
    pending = working.after(Event.REQUEST_CANCEL)
    assert (working.state, pending.state) == (State.PARTIALLY_FILLED, State.PENDING_CANCEL)
    assert pending.with_fills((fill("2", "0.5"),)).state is State.PENDING_CANCEL
    assert pending.after(Event.REFUSE_CANCEL).state is State.PARTIALLY_FILLED
    assert pending.with_fills((fill("2", "1.5"),)).state is State.FILLED


def test_rest_of_a_partly_filled_order_is_canceled_and_its_fill_stays() -> None:
    ended = order(Event.SUBMIT).with_fills((fill("1", "0.5"),)).after(Event.CANCEL, "ORDER_PARTIALLY_FILLED")
    assert (ended.state, ended.filled, ended.leaves, ended.reason) == (
        State.CANCELED, D("0.5"), D("1.5"), "ORDER_PARTIALLY_FILLED",
    )  # fmt: skip
    late = ended.with_fills((fill("2", "1.5"),))
    assert (late.state, late.leaves, late.reason) == (State.FILLED, 0, "")


def test_fill_of_an_order_that_the_venue_rejected_counts() -> None:
    rejected = order(Event.SUBMIT, Event.REJECT)
    assert rejected.with_fills((fill("1", "1"),)).state is State.CANCELED
    assert order(Event.SUBMIT).with_fills((fill("1", "1"),)).after(Event.REJECT).state is State.CANCELED


def test_more_than_was_ordered_is_filled_and_nothing_is_left() -> None:
    over = order(Event.SUBMIT).with_fills((fill("1", "1.5"), fill("2", "1")))
    assert (over.state, over.filled, over.leaves) == (State.FILLED, D("2.5"), 0)


def test_execution_that_comes_again_with_other_content_changes_nothing() -> None:
    once = order(Event.SUBMIT).with_fills((fill("1", "1"),))
    assert once.with_fills((fill("1", "2", "90"),)) == once


@pytest.mark.parametrize(
    ("fills", "price"),
    [
        ((), None),
        ((fill("1", "0.3", "100.10"),), "100.1"),
        ((fill("1", "1", "100"), fill("2", "2", "101")), "100.666666666666666667"),
        ((fill("1", "1", "0.000000000000000001"), fill("2", "1", "0.000000000000000002")), "0.000000000000000002"),
        ((fill("1", "99999999999999999999", "99999999999999999999"),), "99999999999999999999"),
    ],
)
def test_average_price_is_exact_and_rounded_half_to_even_at_18_decimals(
    fills: tuple[Fill, ...], price: str | None
) -> None:
    average = average_price(fills)
    assert average == (None if price is None else D(price))


def test_order_is_absent_once_the_venue_answered_so_for_the_horizon() -> None:
    lookup = Lookup(30).missed(100).missed(129)
    assert not lookup.absent
    assert lookup.missed(130).absent


def test_time_in_which_the_venue_did_not_answer_brings_an_order_no_nearer_to_absent() -> None:
    lookup = Lookup(30).missed(0).missed(20).unanswered().missed(3600)
    assert not lookup.absent
    assert not lookup.missed(3609).absent
    assert lookup.missed(3610).absent


def test_one_answer_is_not_enough_for_absent() -> None:
    assert not Lookup(0).missed(0).absent
    assert Lookup(0).missed(0).missed(0).absent
