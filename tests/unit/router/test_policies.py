"""What a webhook lets a signal do beside what it says: every row by hand."""

from decimal import Decimal as D

import pytest
from vantixs_router.domain.intent import CLOSE_LONG, CLOSE_SHORT, ENTER_LONG, ENTER_SHORT, Leg, derive_intent
from vantixs_router.domain.policies import Pace, PositionPolicy, is_older, pace_problem, sync_text, under_policy

IGNORE, REFUSE, REDUCE_ONLY, RECONCILE = PositionPolicy


@pytest.mark.parametrize(
    ("previous", "position", "text"),
    [
        ("", "1", ""),
        ("LONG", "0.1", "in sync with the sender"),
        ("FLAT", "0", "in sync with the sender"),
        ("SHORT", "-2", "in sync with the sender"),
        ("LONG", "0", "out of sync: the sender was long, the account is flat"),
        ("FLAT", "-1", "out of sync: the sender was flat, the account is short"),
    ],
)
def test_sync_is_told_by_the_sides(previous: str, position: str, text: str) -> None:
    assert sync_text(previous, D(position)) == text


# policy, action, target, previous, position -> legs, or the reason
ROWS: list[tuple[PositionPolicy, str, str, str, str, tuple[Leg, ...] | str]] = [
    (IGNORE, "BUY", "LONG", "SHORT", "0", (ENTER_LONG,)),
    (REFUSE, "BUY", "LONG", "SHORT", "0", "POSITION_OUT_OF_SYNC"),
    (REFUSE, "BUY", "LONG", "FLAT", "0", (ENTER_LONG,)),
    (REFUSE, "BUY", "LONG", "", "0", (ENTER_LONG,)),
    (REFUSE, "SELL", "FLAT", "SHORT", "1", "POSITION_OUT_OF_SYNC"),
    (REDUCE_ONLY, "SELL", "FLAT", "SHORT", "1", (CLOSE_LONG,)),
    (REDUCE_ONLY, "BUY", "LONG", "SHORT", "0", "POSITION_OUT_OF_SYNC"),
    (REDUCE_ONLY, "BUY", "LONG", "FLAT", "0", (ENTER_LONG,)),
    (RECONCILE, "BUY", "LONG", "SHORT", "0", (ENTER_LONG,)),
    (RECONCILE, "BUY", "LONG", "FLAT", "1", "NOTHING_TO_OPEN"),
    (RECONCILE, "BUY", "LONG", "FLAT", "-1", (CLOSE_SHORT, ENTER_LONG)),
    (RECONCILE, "SELL", "SHORT", "LONG", "0", (ENTER_SHORT,)),
    (RECONCILE, "SELL", "FLAT", "LONG", "0", "NOTHING_TO_CLOSE"),
    (RECONCILE, "SELL", "FLAT", "LONG", "-1", (CLOSE_SHORT,)),
    (RECONCILE, "BUY", "", "SHORT", "0", "POSITION_OUT_OF_SYNC"),
]


@pytest.mark.parametrize(("policy", "action", "target", "previous", "position", "expected"), ROWS)
def test_policy_of_a_position_that_differs(
    policy: PositionPolicy, action: str, target: str, previous: str, position: str, expected: tuple[Leg, ...] | str
) -> None:
    intent = derive_intent(action, target, D(position), sell_opens_short=False, previous=previous)
    found = under_policy(intent, policy, previous, target, D(position))
    assert (found.legs or found.reason) == expected
    assert not previous or "sync" in found.text


@pytest.mark.parametrize(
    ("emit_ms", "newest_ms", "older"), [(0, 5, False), (5, 0, False), (5, 5, False), (4, 5, True), (6, 5, False)]
)
def test_order_of_sending(emit_ms: int, newest_ms: int, older: bool) -> None:
    assert is_older(emit_ms, newest_ms) is older


@pytest.mark.parametrize(
    ("position", "buy", "adds", "entry_ms", "reason"),
    [
        ("1", True, 1, 0, ""),
        ("1", True, 2, 0, "MAX_ADDS_REACHED"),
        ("0", True, 2, 0, ""),  # It opens: what was added before was to another position.
        ("-1", True, 2, 0, ""),  # It reverses.
        ("-1", False, 2, 0, "MAX_ADDS_REACHED"),
        ("1", True, 0, 95_001, "ADD_SPACING_ACTIVE"),
        ("1", True, 0, 95_000, ""),
        ("0", True, 0, 99_999, ""),
    ],
)
def test_pace_of_adding(position: str, buy: bool, adds: int, entry_ms: int, reason: str) -> None:
    pace = Pace(max_adds=2, add_spacing_ms=5_000)
    found = pace_problem(pace, position=D(position), buy=buy, adds=adds, entry_ms=entry_ms, now_ms=100_000)
    assert found[0] == reason
    assert pace_problem(Pace(), position=D(position), buy=buy, adds=99, entry_ms=99_999, now_ms=100_000) == ("", "")
