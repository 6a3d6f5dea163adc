"""The intent table: what each action does to a flat, a long and a short position."""

from decimal import Decimal
from itertools import product

import pytest
from vantixs_router.domain.intent import derive_intent
from vantixs_router.domain.plan import decode_plan, encode_plan

POSITIONS = {"flat": Decimal(0), "long": Decimal(1), "short": Decimal(-1)}
ACTIONS = [
    "BUY",
    "SELL",
    "CLOSE",
    "CANCEL",
    "OPEN_LONG",
    "OPEN_SHORT",
    "CLOSE_LONG",
    "CLOSE_SHORT",
    "REVERSE",
    "ADD",
    "REDUCE",
]


@pytest.mark.parametrize(
    ("action", "target", "held", "plan"),
    [
        ("BUY", "", "flat", "buy entry part"),
        ("BUY", "", "short", "buy exit part"),
        ("BUY", "SHORT", "short", "buy exit part"),
        ("BUY", "SHORT", "flat", ""),
        ("SELL", "LONG", "long", "sell exit part"),
        ("SELL", "LONG", "flat", ""),
        ("SELL", "FLAT", "long", "sell exit whole"),
        ("SELL", "", "long", "sell exit part"),
        ("SELL", "", "flat", ""),
        ("SELL", "SHORT", "long", "sell exit whole,sell entry part"),
        ("OPEN_LONG", "", "short", "buy exit whole,buy entry part"),
        ("REVERSE", "", "long", "sell exit whole,sell entry part"),
        ("REVERSE", "", "flat", ""),
        ("CLOSE", "", "short", "buy exit whole"),
        ("CLOSE_LONG", "", "short", ""),
        ("ADD", "", "short", "sell entry part"),
        ("ADD", "", "flat", ""),
        ("CANCEL", "", "long", ""),
    ],
)
def test_intent(action: str, target: str, held: str, plan: str) -> None:
    intent = derive_intent(action, target, POSITIONS[held], sell_opens_short=False)
    assert encode_plan(intent.legs) == plan
    assert bool(intent.reason) == (plan == "")


def test_sell_opens_a_short_only_where_the_webhook_says_so() -> None:
    assert not derive_intent("SELL", "", Decimal(0), sell_opens_short=False).legs
    assert derive_intent("SELL", "", Decimal(0), sell_opens_short=True).legs[0].entry


@pytest.mark.parametrize(
    ("action", "target", "held", "plan"),
    [
        ("CLOSE", "", "long", "sell exit part"),
        ("CLOSE", "", "short", "buy exit part"),
        ("CLOSE_LONG", "", "long", "sell exit part"),
        ("CLOSE", "FLAT", "long", "sell exit whole"),
        ("SELL", "FLAT", "long", "sell exit whole"),
        ("OPEN_LONG", "", "short", "buy exit whole,buy entry part"),
        ("CLOSE", "", "flat", ""),
    ],
)
def test_close_with_a_quantity_takes_that_much_unless_it_ends_flat(
    action: str, target: str, held: str, plan: str
) -> None:
    intent = derive_intent(action, target, POSITIONS[held], sell_opens_short=False, sized=True)
    assert encode_plan(intent.legs) == plan


@pytest.mark.parametrize("action", ["ADD", "REDUCE"])
def test_add_and_reduce_act_on_the_side_the_sender_names(action: str) -> None:
    def act(previous: str, held: str) -> bool:
        return bool(derive_intent(action, "", POSITIONS[held], sell_opens_short=False, previous=previous).legs)

    assert (act("LONG", "long"), act("LONG", "short"), act("SHORT", "long"), act("SHORT", "short")) == (
        True,
        False,
        False,
        True,
    )


@pytest.mark.parametrize(("action", "target", "held"), list(product(ACTIONS, ["", "LONG", "SHORT", "FLAT"], POSITIONS)))
def test_every_case_has_an_answer_and_exits_are_against_the_position(action: str, target: str, held: str) -> None:
    intent = derive_intent(action, target, POSITIONS[held], sell_opens_short=False)
    assert bool(intent.legs) != bool(intent.reason)
    assert decode_plan(encode_plan(intent.legs)) == intent.legs if intent.legs else True
    if intent.legs and not intent.legs[0].entry:
        assert intent.legs[0].buy == (held == "short")
