"""What of a position belongs to which webhook: each rule by hand."""

from decimal import Decimal as D

import pytest
from vantixs_router.domain.owner_shares import Filled, Sender, Share, Shares, acts_on, after_fill, fit

A, B, C = Sender("a", owns=True), Sender("b", owns=True), Sender("c")
OPERATOR = Sender()


def shares(**quantities: str) -> Shares:
    """Shares by webhook, in the order in which they were opened."""
    return tuple(Share(name, D(quantity), number) for number, (name, quantity) in enumerate(quantities.items()))


def shown(found: Shares) -> dict[str, str]:
    return {share.webhook_id: f"{share.quantity.normalize():f}" for share in found}


@pytest.mark.parametrize(
    ("position", "left"),
    [
        ("5", {"a": "1", "b": "2"}),
        ("3", {"a": "1", "b": "2"}),
        ("2.5", {"a": "0.5", "b": "2"}),
        ("1.5", {"b": "1.5"}),
        ("0", {}),
        ("-3", {}),
    ],
)
def test_reduction_takes_the_oldest_share_first(position: str, left: dict[str, str]) -> None:
    assert shown(fit(shares(a="1", b="2"), D(position))) == left
    mirrored = {name: f"-{quantity}" for name, quantity in left.items()}
    assert shown(fit(shares(a="-1", b="-2"), -D(position))) == mirrored


@pytest.mark.parametrize(
    ("before", "sender", "moved", "entry", "position", "left"),
    [
        # An entry of an owner adds to its share, another's does not.
        (shares(), A, "1", True, "1", {"a": "1"}),
        (shares(a="1"), A, "1", True, "2", {"a": "2"}),
        (shares(a="1"), C, "1", True, "2", {"a": "1"}),
        # An exit takes its own share.
        (shares(a="1", b="2"), B, "-2", False, "1", {"a": "1"}),
        (shares(a="1", b="2"), A, "-0.4", False, "2.6", {"a": "0.6", "b": "2"}),
        # One that fills more than the webhook owns takes what nobody owns, and then the oldest share.
        (shares(a="1", b="2"), B, "-2.5", False, "1.5", {"a": "1"}),
        (shares(a="1", b="2"), B, "-2.5", False, "0.5", {"a": "0.5"}),
        # A webhook that does not own any more what it opens still closes what it owns.
        (shares(b="2", c="1"), C, "-1", False, "2", {"b": "2"}),
        # An operator takes what nobody owns first.
        (shares(a="1", b="2"), OPERATOR, "-1", False, "3", {"a": "1", "b": "2"}),
        (shares(a="1", b="2"), OPERATOR, "-3", False, "0", {}),
        # What was closed outside is not owned again when somebody else opens.
        (shares(a="1"), C, "1", True, "1", {}),
        (shares(a="1"), B, "1", True, "1.2", {"a": "0.2", "b": "1"}),
        # An entry against what others hold leaves what is left of it.
        (shares(), A, "1", True, "-1", {}),
        (shares(), A, "1", True, "0.4", {"a": "0.4"}),
        (shares(a="-0.3"), A, "1", True, "0.7", {"a": "0.7"}),
    ],
)
def test_fill_moves_shares(
    before: Shares, sender: Sender, moved: str, entry: bool, position: str, left: dict[str, str]
) -> None:
    filled = Filled(sender, D(moved), entry, now_ms=100)
    assert shown(after_fill(before, filled, D(position))) == left


@pytest.mark.parametrize(
    ("sender", "position", "acts"),
    [
        (A, "4", "1"),
        (B, "4", "2"),
        (C, "4", "1"),
        (OPERATOR, "4", "4"),
        (Sender("d", owns=True), "4", "0"),
        (Sender("a"), "4", "2"),  # It owned what it opened, once.
        (A, "2.5", "0.5"),
        (C, "2.5", "0"),
        (C, "-1", "-1"),
        (A, "-1", "0"),
    ],
)
def test_sender_acts_on_its_part_of_the_position(sender: Sender, position: str, acts: str) -> None:
    assert acts_on(shares(a="1", b="2"), sender, D(position)) == D(acts)


def test_share_is_as_old_as_its_first_entry() -> None:
    first = after_fill((), Filled(A, D(1), entry=True, now_ms=5), D(1))
    second = after_fill(first, Filled(A, D(1), entry=True, now_ms=9), D(2))
    assert second == (Share("a", D(2), 5),)
