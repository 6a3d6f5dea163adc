"""Derives what to do from what a signal says and what the account holds: a pure table."""

from dataclasses import dataclass
from decimal import Decimal
from typing import NoReturn


@dataclass(frozen=True, slots=True)
class Leg:
    """An order to make: buy or sell, entry or exit, and whether an exit closes the whole position."""

    buy: bool
    entry: bool
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Intent:
    """The orders to make, in their sequence, or none and the reason. `text` is for people."""

    text: str
    legs: tuple[Leg, ...] = ()
    reason: str = ""


ENTER_LONG, ENTER_SHORT = Leg(buy=True, entry=True), Leg(buy=False, entry=True)
REDUCE_LONG, REDUCE_SHORT = Leg(buy=False, entry=False), Leg(buy=True, entry=False)
CLOSE_LONG, CLOSE_SHORT = Leg(buy=False, entry=False, whole=True), Leg(buy=True, entry=False, whole=True)

_FLAT_ALREADY = Intent("there is nothing to close", reason="NOTHING_TO_CLOSE")
_NONE_TO_ADD = Intent("there is no position to add to", reason="NOTHING_TO_ADD_TO")
_NONE_RESTS = Intent("no order rests", reason="NOTHING_TO_CANCEL")

_OPEN_LONG = Intent("open a long", (ENTER_LONG,))
_OPEN_SHORT = Intent("open a short", (ENTER_SHORT,))
_ADD_LONG = Intent("add to the long", (ENTER_LONG,))
_ADD_SHORT = Intent("add to the short", (ENTER_SHORT,))
_REDUCE_LONG = Intent("reduce the long", (REDUCE_LONG,))
_REDUCE_SHORT = Intent("reduce the short", (REDUCE_SHORT,))
_CLOSE_LONG = Intent("close the long", (CLOSE_LONG,))
_CLOSE_SHORT = Intent("close the short", (CLOSE_SHORT,))
_TO_LONG = Intent("close the short, then open a long", (CLOSE_SHORT, ENTER_LONG))
_TO_SHORT = Intent("close the long, then open a short", (CLOSE_LONG, ENTER_SHORT))

# (action, target) -> what to do when flat, long, short. Target "" stands for every target not named.
_TABLE: dict[tuple[str, str], tuple[Intent, Intent, Intent]] = {
    ("BUY", ""): (_OPEN_LONG, _ADD_LONG, _REDUCE_SHORT),
    ("BUY", "LONG"): (_OPEN_LONG, _ADD_LONG, _TO_LONG),
    ("BUY", "FLAT"): (_FLAT_ALREADY, _FLAT_ALREADY, _CLOSE_SHORT),
    ("BUY", "SHORT"): (_FLAT_ALREADY, _FLAT_ALREADY, _REDUCE_SHORT),
    ("SELL", ""): (_FLAT_ALREADY, _REDUCE_LONG, _FLAT_ALREADY),
    ("SELL", "FLAT"): (_FLAT_ALREADY, _CLOSE_LONG, _FLAT_ALREADY),
    ("SELL", "LONG"): (_FLAT_ALREADY, _REDUCE_LONG, _FLAT_ALREADY),
    ("SELL", "SHORT"): (_OPEN_SHORT, _TO_SHORT, _ADD_SHORT),
    ("CLOSE", ""): (_FLAT_ALREADY, _CLOSE_LONG, _CLOSE_SHORT),
    ("CLOSE_LONG", ""): (_FLAT_ALREADY, _CLOSE_LONG, _FLAT_ALREADY),
    ("CLOSE_SHORT", ""): (_FLAT_ALREADY, _FLAT_ALREADY, _CLOSE_SHORT),
    ("OPEN_LONG", ""): (_OPEN_LONG, _ADD_LONG, _TO_LONG),
    ("OPEN_SHORT", ""): (_OPEN_SHORT, _TO_SHORT, _ADD_SHORT),
    ("REVERSE", ""): (_FLAT_ALREADY, _TO_SHORT, _TO_LONG),
    ("ADD", ""): (_NONE_TO_ADD, _ADD_LONG, _ADD_SHORT),
    ("REDUCE", ""): (_FLAT_ALREADY, _REDUCE_LONG, _REDUCE_SHORT),
    ("CANCEL", ""): (_NONE_RESTS, _NONE_RESTS, _NONE_RESTS),
    ("AMEND", ""): (_NONE_RESTS, _NONE_RESTS, _NONE_RESTS),
}
_SELL_MAY_OPEN = (_OPEN_SHORT, _REDUCE_LONG, _ADD_SHORT)


# A close with a quantity, and without a flat position after it, closes that quantity: the first of several take-profits.
_PARTIAL = {"close the long": _REDUCE_LONG, "close the short": _REDUCE_SHORT}
_HELD = {"LONG": 1, "SHORT": -1}


def _unknown(action: str) -> NoReturn:
    raise ValueError(f"expected an action of a signal, was {action}")


def derive_intent(
    action: str,
    target: str,
    position: Decimal,
    *,
    sell_opens_short: bool,
    previous: str = "",
    sized: bool = False,
) -> Intent:
    """Derives what to do about a signal, given the current position.

    Args:
        action: BUY, SELL, CLOSE, ...
        target: position after the signal: LONG, SHORT, FLAT, or "" if the sender does not say.
        position: signed quantity in base units.
        sell_opens_short: whether a SELL without target may open a short; the account may still deny it.
        previous: position before the signal by the sender, or "". ADD and REDUCE act on that side only:
            "increase the long" does not add to a short.
        sized: whether the signal has a quantity.

    Raises:
        ValueError: there is no such action.
    """
    if action == "SELL" and sell_opens_short and not target:
        row = _SELL_MAY_OPEN
    else:
        row = _TABLE.get((action, target)) or _TABLE.get((action, "")) or _unknown(action)
    if action in ("ADD", "REDUCE") and position * _HELD.get(previous, 0) < 0:
        return row[0]
    intent = row[0] if position == 0 else row[1] if position > 0 else row[2]
    if sized and action.startswith("CLOSE") and target != "FLAT":
        return _PARTIAL.get(intent.text, intent)
    return intent
