"""What a webhook lets a signal do, beside what it says: a sender's position that differs, order of sending, adding to a position.

Pure. The position counts as the account's; the sender's is known by its side alone, as sizes are the account's own.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from vantixs_router.domain.intent import CLOSE_LONG, CLOSE_SHORT, ENTER_LONG, ENTER_SHORT, Intent

_SIDES = {"LONG": 1, "SHORT": -1, "FLAT": 0}
_NAMES = {1: "long", -1: "short", 0: "flat"}


class PositionPolicy(Enum):
    """What a signal may do where the sender's position before it is not the account's."""

    IGNORE = "IGNORE"
    REFUSE = "REFUSE"
    REDUCE_ONLY = "REDUCE_ONLY"
    RECONCILE = "RECONCILE"


@dataclass(frozen=True, slots=True)
class Pace:
    """Limits of a webhook on entries. 0 is none.

    Attributes:
        max_adds: entries that may add to one position.
        add_spacing_ms: least time between two entries of one position.
    """

    max_adds: int = 0
    add_spacing_ms: int = 0


def sync_text(previous: str, position: Decimal) -> str:
    """Whether the sender's position before the signal is the account's, for people; "" where the sender does not say.

    >>> sync_text("LONG", Decimal(0))
    'out of sync: the sender was long, the account is flat'
    """
    if previous not in _SIDES:
        return ""
    ours = _sign(position)
    if _SIDES[previous] == ours:
        return "in sync with the sender"
    return f"out of sync: the sender was {_NAMES[_SIDES[previous]]}, the account is {_NAMES[ours]}"


def under_policy(intent: Intent, policy: PositionPolicy, previous: str, target: str, position: Decimal) -> Intent:
    """What is to be done of an intent where the sender's position before it differs from the account's.

    RECONCILE goes to the sender's side after the signal, where it is said; the size is the account's own.
    """
    text = sync_text(previous, position)
    if not text:
        return intent
    if _SIDES[previous] == _sign(position) or policy is PositionPolicy.IGNORE:
        return Intent(f"{intent.text}; {text}", intent.legs, intent.reason)
    if policy is PositionPolicy.RECONCILE and target in _SIDES:
        return _towards(_SIDES[target], _sign(position), text)
    opens = any(leg.entry for leg in intent.legs)
    if policy is PositionPolicy.REFUSE or opens:
        return Intent(text, reason="POSITION_OUT_OF_SYNC")
    return Intent(f"{intent.text}; {text}", intent.legs, intent.reason)


def is_older(emit_ms: int, newest_ms: int) -> bool:
    """Whether a signal was sent before one that was handled; one that does not say when is never older."""
    return 0 < emit_ms < newest_ms


def pace_problem(pace: Pace, *, position: Decimal, buy: bool, adds: int, entry_ms: int, now_ms: int) -> tuple[str, str]:
    """Reason and sentence why an entry may not add to the position there is; nothing where it may, or opens one."""
    if not position or (position > 0) is not buy:
        return "", ""
    if pace.max_adds and adds >= pace.max_adds:
        return "MAX_ADDS_REACHED", f"the position was added to {adds} times, the webhook allows {pace.max_adds}"
    waited_ms = now_ms - entry_ms
    if pace.add_spacing_ms and entry_ms and waited_ms < pace.add_spacing_ms:
        text = f"the last entry was {waited_ms / 1000:.1f} s ago, the webhook asks for {pace.add_spacing_ms / 1000:g} s"
        return "ADD_SPACING_ACTIVE", text
    return "", ""


def _towards(target: int, ours: int, text: str) -> Intent:
    close = {1: CLOSE_LONG, -1: CLOSE_SHORT}.get(ours)
    enter = {1: ENTER_LONG, -1: ENTER_SHORT}.get(target)
    if target == ours:
        return Intent(f"nothing to do; {text}", reason="NOTHING_TO_OPEN" if target else "NOTHING_TO_CLOSE")
    legs = tuple(leg for leg in (close, enter) if leg)
    said = {(True, True): "close, then open", (True, False): "close", (False, True): "open"}[bool(close), bool(enter)]
    return Intent(f"{said} to be where the sender is; {text}", legs)


def _sign(position: Decimal) -> int:
    return (position > 0) - (position < 0)
