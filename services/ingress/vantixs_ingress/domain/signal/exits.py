"""Which signals can only make a position smaller, and which of their fields have to be valid."""

from collections.abc import Mapping
from typing import Any

from vantixs_ingress.domain.payload.value_aliases import EXITS

# Slots whose problems reject an exit: account, instrument, action, position and time. Any other problem of an exit is a
# warning, because closing a position matters more.
EXIT_NEEDS = frozenset(
    [
        "action", "verb", "verb_or_order_type", "side", "flag", "code", "word", "close_position", "waiting", "symbol", "kind",
        "option", "target_position", "position", "position_side", "reduce_only", "part", "mode", "test", "account", "rules",
        "expiry",
    ]
)  # fmt: skip
_WHOLE_EXITS = ("CLOSE", "CLOSE_LONG", "CLOSE_SHORT", "CANCEL")


def is_exit(values: Mapping[str, Any], *, sell_opens_short: bool = True) -> bool:
    """Whether a signal can only make a position smaller, whatever the position is.

    A SELL without a target position is an exit if the webhook does not let it open a short.
    """
    action, target = values.get("action"), values.get("target_position")
    if action in EXITS or target == "FLAT":
        return True
    if action == "SELL":
        return target == "LONG" or (target is None and not sell_opens_short)
    return action == "BUY" and target == "SHORT"


def is_needed(slot: str, values: Mapping[str, Any]) -> bool:
    """Whether a problem in this slot rejects an exit. A close does not need the position after it, so a wrong one is ignored."""
    if slot in ("target_position", "position", "position_side") and values.get("action") in _WHOLE_EXITS:
        return False
    return slot in EXIT_NEEDS
