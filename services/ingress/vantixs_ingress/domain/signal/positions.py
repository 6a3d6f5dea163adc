"""The position before and after a signal, and the action that follows from them."""

from decimal import Decimal
from typing import Any

from vantixs_ingress.domain.payload.reading import Draft
from vantixs_ingress.domain.payload.value_aliases import EXITS

HELD = {"OPEN_LONG": "LONG", "OPEN_SHORT": "SHORT"}
# The resulting action of an action and the position after it; "" if they contradict each other.
_AFTER: dict[tuple[str, str], str] = {
    ("OPEN_LONG", "SHORT"): "", ("OPEN_LONG", "FLAT"): "", ("OPEN_SHORT", "LONG"): "", ("OPEN_SHORT", "FLAT"): "",
    # An exit after which a position remains closes only a part of it.
    ("CLOSE", "LONG"): "REDUCE", ("CLOSE", "SHORT"): "REDUCE",
    ("CLOSE_LONG", "LONG"): "REDUCE", ("CLOSE_SHORT", "SHORT"): "REDUCE",
    ("REDUCE", "FLAT"): "CLOSE", ("ADD", "FLAT"): "",
    ("REVERSE", "LONG"): "OPEN_LONG", ("REVERSE", "SHORT"): "OPEN_SHORT", ("REVERSE", "FLAT"): "",
}  # fmt: skip
# Positions in rising order: a buy never moves a position down, and a sell never up.
_RANK = {"SHORT": -1, "FLAT": 0, "LONG": 1}
_ONLY_REDUCES = {"BUY": "SHORT", "SELL": "LONG"}


def settle_positions(draft: Draft, values: dict[str, Any]) -> None:
    """Adds the positions and their sizes. The position after the signal may change its action, for example CLOSE to REDUCE."""
    slots = draft.values
    action = values.get("action")
    position = slots.get("position")
    if isinstance(position, str):
        if (action in EXITS or action == "ADD") and position != "FLAT":
            # With an action that needs a position, `position` is the position before the signal.
            if action == "CLOSE":
                values["action"] = action = f"CLOSE_{position}"
            values.setdefault("previous_position", position)
        else:
            draft.put("target_position", draft.names["position"], position)
    elif position is not None:
        draft.put("signed_size", draft.names["position"], position)
    after = _side_of(draft, "target_position", ("signed_size", "size_after"))
    before = _side_of(draft, "previous_position", ("size_before",))
    if before and values.setdefault("previous_position", before) != before:
        both = (values["previous_position"], before)
        name = draft.names.get("previous_position", "size_before")
        draft.refuse(name, "FIELD_CONFLICT", "expected one position", both, "previous_position")
    side = slots.get("position_side")
    if side and action in ("BUY", "SELL") and after is None:
        after = side
    elif side and side != "FLAT" and action == "CLOSE":
        values["action"] = action = f"CLOSE_{side}"
    elif side and action in ("OPEN_LONG", "OPEN_SHORT") and HELD[action] != side:
        name = draft.names["position_side"]
        draft.refuse(name, "FIELD_CONFLICT", f"expected the side of {action}", side, "position_side")
    if slots.get("reduce_only") and action not in EXITS and after != "FLAT":
        after = _reduce_only(draft, action, after)
    if after:
        values["target_position"] = after
    if action and after:
        _apply_target(draft, values, action, after)
    _settle_sizes(draft, values)


def _settle_sizes(draft: Draft, values: dict[str, Any]) -> None:
    """Adds the size of the sender's position after and before the signal, without its sign."""
    after = draft.values.get("signed_size", draft.values.get("size_after"))
    if after is not None:
        values["target_quantity"] = abs(after)
    elif values.get("target_position") == "FLAT":
        values["target_quantity"] = Decimal(0)
    before = draft.values.get("size_before")
    if before is not None:
        values["previous_quantity"] = abs(before)
    elif values.get("previous_position") == "FLAT":
        values["previous_quantity"] = Decimal(0)


def _side_of(draft: Draft, word: str, sizes: tuple[str, ...]) -> str | None:
    """The side from a word, or from the sizes if no word is sent: 0 is FLAT, and only a signed size tells the side."""
    side: str | None = draft.values.get(word)
    for slot in sizes:
        size = draft.values.get(slot)
        if size is None:
            continue
        signed = slot == "signed_size" or size < 0
        by_size = "FLAT" if size == 0 else ("LONG" if size > 0 else "SHORT") if signed else None
        if side is None:
            side = by_size
        elif by_size not in (None, side) or (by_size is None and side == "FLAT"):
            expected = f"expected the size of a position that is {side}"
            draft.refuse(draft.names[slot], "FIELD_CONFLICT", expected, str(size), word)
    return side


def _reduce_only(draft: Draft, action: str | None, after: str | None) -> str | None:
    """The position after a reduce-only signal: a buy can only reduce a short, a sell only a long."""
    target = _ONLY_REDUCES.get(action or "")
    if action and (target is None or after not in (None, target)):
        both = (action, after or "no target")
        draft.refuse(
            draft.names["reduce_only"], "FIELD_CONFLICT", "expected an action that reduces", both, "reduce_only"
        )
    return after or target


def _apply_target(draft: Draft, values: dict[str, Any], action: str, after: str) -> None:
    made = _AFTER.get((action, after), action)
    name = draft.names.get("target_position", "target_position")
    if not made:
        draft.refuse(
            name, "FIELD_CONFLICT", f"expected a position that {action} can result in", after, "target_position"
        )
        return
    if made == "REDUCE" and action != "REDUCE":
        values.setdefault("previous_position", after)
    values["action"] = made
    before = values.get("previous_position")
    if made in ("BUY", "SELL") and before:
        step = _RANK[after] - _RANK[before]
        wrong = step < 0 if made == "BUY" else step > 0
        # If the sender is flat before and after, it had no order; the signal still closes a position that exists here.
        if wrong:
            expected = f"expected positions before and after that a {made} can connect"
            draft.refuse(name, "FIELD_CONFLICT", expected, (before, after), "target_position")
        elif step == 0:
            _check_growth(draft, name, made, after)


def _check_growth(draft: Draft, name: str, action: str, side: str) -> None:
    """Checks sizes on the same side before and after: a buy makes a long larger and a short smaller."""
    before, after = draft.values.get("size_before"), draft.values.get("signed_size", draft.values.get("size_after"))
    if before is None or after is None:
        return
    grown = abs(after) - abs(before)
    if grown and (grown > 0) != ((action == "BUY") == (side == "LONG")):
        expected = f"expected sizes before and after that a {action} can connect"
        draft.refuse(name, "FIELD_CONFLICT", expected, (before, after), "target_position")
