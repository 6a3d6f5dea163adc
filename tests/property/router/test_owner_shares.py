"""Shares of a position, whatever fills come in whatever order."""

from decimal import Decimal as D
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from vantixs_router.domain.owner_shares import Filled, Sender, Shares, acts_on, after_fill

SENDERS = [Sender("a", owns=True), Sender("b", owns=True), Sender("c", owns=True), Sender("d"), Sender()]
QUANTITIES = st.integers(1, 40).map(lambda lots: D(lots) / 10)
# Who, whether an entry, long or short, how much; None is somebody outside.
STEPS = st.lists(
    st.tuples(st.sampled_from([*SENDERS, None]), st.booleans(), st.booleans(), QUANTITIES), min_size=1, max_size=25
)


def check(shares: Shares, position: D) -> None:
    """Shares are of the position's side, one for each webhook, and no more than the position together."""
    assert all(share.quantity * position > 0 for share in shares)
    assert sum(abs(share.quantity) for share in shares) <= abs(position)
    assert len({share.webhook_id for share in shares}) == len(shares)
    parts = [acts_on(shares, sender, position) for sender in SENDERS[:4]]
    assert sum(parts) == position
    assert all(part * position >= 0 for part in parts)


@given(STEPS)
def test_shares_never_exceed_the_position(steps: list[Any]) -> None:
    """Also where fills are more than anybody should have sent, and of either side."""
    shares: Shares = ()
    position = D(0)
    for number, (sender, entry, buy, quantity) in enumerate(steps):
        moved = quantity if buy else -quantity
        position += moved
        if sender is not None:
            shares = after_fill(shares, Filled(sender, moved, entry, number), position)
            check(shares, position)


@given(STEPS)
def test_exit_that_keeps_to_its_part_takes_nobody_elses(steps: list[Any]) -> None:
    """Entries that are against others are not sent, and exits are no more than what the sender acts on."""
    shares: Shares = ()
    position = D(0)
    for number, (sender, entry, buy, quantity) in enumerate(steps):
        who = sender or Sender("d")
        acts = acts_on(shares, who, position)
        if entry:
            moved = quantity if buy else -quantity
            if position * moved < 0:
                continue
        else:
            moved = -min(quantity, abs(acts)) if acts > 0 else min(quantity, abs(acts))
        before = {s: acts_on(shares, s, position) for s in SENDERS[:4] if s != who}
        position += moved
        shares = after_fill(shares, Filled(who, moved, entry, number), position)
        check(shares, position)
        if not who.webhook_id:
            continue  # An operator may close all.
        assert {s: acts_on(shares, s, position) for s in before} == before
        assert acts_on(shares, who, position) == acts + moved
