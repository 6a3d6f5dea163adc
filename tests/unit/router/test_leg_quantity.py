"""How much of what a sender sends is for a leg."""

from decimal import Decimal as D

import pytest
from vantixs_router.domain.intent import CLOSE_LONG, ENTER_LONG, ENTER_SHORT, REDUCE_LONG, Leg
from vantixs_router.domain.leg_quantity import Sent, leg_quantity, position_before


def sent(quantity: str = "", *, after: str = "", before: str = "", previous: str = "", units: bool = True) -> Sent:
    numbers = [D(text) if text else None for text in (quantity, after, before)]
    return Sent(numbers[0], units, numbers[1], numbers[2], previous)


@pytest.mark.parametrize(
    ("said", "leg", "closed", "most"),
    [
        (sent(), ENTER_LONG, "0", None),
        (sent("2"), CLOSE_LONG, "0", None),
        (sent("2"), REDUCE_LONG, "0", "2"),
        (sent("2"), ENTER_SHORT, "1", "2"),
        # A reversal: the position after decides, whatever was closed here.
        (sent("2", after="1", before="1", previous="LONG"), ENTER_SHORT, "1", "1"),
        (sent("30", after="20"), ENTER_SHORT, "10", "20"),
        (sent("30", after="20"), ENTER_SHORT, "0", "20"),
        (sent("1", after="3", before="2", previous="SHORT"), ENTER_SHORT, "0", "1"),
        # Only the side before is known: what is left after the close of theirs, else of ours.
        (sent("2", before="1", previous="LONG"), ENTER_SHORT, "0.4", "1"),
        (sent("2", previous="LONG"), ENTER_SHORT, "0.4", "1.6"),
        (sent("2", previous="LONG"), ENTER_SHORT, "0", None),
        (sent("2", previous="LONG"), ENTER_SHORT, "2", "0"),
        (sent("1", before="3", previous="SHORT"), ENTER_LONG, "3", "0"),
        (sent("2", before="0", previous="FLAT"), ENTER_SHORT, "0", "2"),
        # A share of something is not counted in the sender's units.
        (sent("50", after="1", units=False), ENTER_LONG, "0", "50"),
        (sent("0.0015841973152611208"), ENTER_LONG, "0", "0.001584197315261120"),
    ],
)
def test_leg_takes_its_part_of_what_was_sent(said: Sent, leg: Leg, closed: str, most: str | None) -> None:
    found = leg_quantity(said, leg, D(closed))
    assert found == (None if most is None else D(most))


@pytest.mark.parametrize(
    ("said", "leg", "before"),
    [
        (sent("1", before="3"), REDUCE_LONG, "3"),
        (sent("1", after="2"), REDUCE_LONG, "3"),
        (sent("1", after="2", before="3"), REDUCE_LONG, "3"),
        # Risk takes no more than 18 decimals.
        (sent("0.0015841973152611208", after="2"), REDUCE_LONG, "2.001584197315261120"),
        (sent("1"), REDUCE_LONG, None),
        (sent("50", after="1", units=False), REDUCE_LONG, None),
        (sent("1", before="3"), ENTER_LONG, None),
        (sent("1", before="3"), CLOSE_LONG, None),
    ],
)
def test_position_before_a_part_is_known_from_either_size(said: Sent, leg: Leg, before: str | None) -> None:
    assert position_before(said, leg) == (None if before is None else D(before))
