"""Decides the terms of trailing orders, trailing stops and break-even."""

from decimal import Decimal
from typing import Any

from vantixs_ingress.domain.payload.reading import Draft
from vantixs_ingress.domain.payload.vocabulary import LEVEL, TARGET_SHARE, TRAIL
from vantixs_ingress.domain.signal.ladders import target_numbered

TRAILING = "TRAILING_STOP"
_NO_DISTANCE = "expected trail_percent or trail_amount, or a percent such as 1.5%: the unit of this number is not given"
# Slots of targets: if one of them has a problem, a missing target of break-even is not reported too.
_OF_TARGETS = frozenset(
    (
        "take_profits",
        "targets",
        LEVEL,
        TARGET_SHARE,
        *(f"take_profit{kind}" for kind in ("", "_price", "_percent", "_amount")),
    )
)
_EVEN = ("even_target", "even_level", "even_wanted")


def settle_protection(draft: Draft, values: dict[str, Any], *, reduces: bool) -> None:
    """Adds the distance of a trailing order or trailing stop, and break-even; called after the targets are settled."""
    of_order = values.get("order_type") == TRAILING
    if draft.values.get("trail_enabled") is False and not of_order:
        for name, _, number, _ in draft.trails:
            draft.keep(name, str(number))
    else:
        of_stop = [row for row in draft.trails if row[3] or not of_order]
        if of_order:
            own = [row for row in draft.trails if not row[3]]
            _settle_trail(draft, values, own, ("trail_start",), of_order=True)
        starts = ("stop_trail_start",) if of_order else ("stop_trail_start", "trail_start")
        asked = any(slot in draft.values for slot in (*starts, *(() if of_order else ("trail_enabled",))))
        if (of_stop or asked) and not _is_unused(draft, [row[0] for row in of_stop], starts, reduces=reduces):
            _settle_trail(draft, values, of_stop, starts, of_order=False)
    if any(slot in draft.values for slot in _EVEN) and not _is_unused(draft, [], _EVEN, reduces=reduces):
        _settle_even(draft, values)


def _is_unused(draft: Draft, names: list[str], slots: tuple[str, ...], *, reduces: bool) -> bool:
    """Whether trailing and break-even have no effect because the signal is an exit; then adds a warning."""
    if reduces:
        names += [draft.names[slot] for slot in (*slots, "trail_enabled") if slot in draft.names]
        draft.note(names[0], "FIELD_INVALID", "is not used: an exit opens no position that a stop could protect")
    return reduces


def _settle_trail(
    draft: Draft,
    values: dict[str, Any],
    rows: list[tuple[str, str, Decimal, bool]],
    starts: tuple[str, ...],
    *,
    of_order: bool,
) -> None:
    slot = "waiting" if of_order else "trail"
    taken: tuple[str, Decimal] | None = None
    for name, kind, number, _ in rows:
        made = kind or draft.values.get("trail_kind", "")
        if made not in ("percent", "amount"):
            draft.refuse(name, "FIELD_INVALID", _NO_DISTANCE, str(number), slot)
            return
        if taken and taken != (made, number):
            both = (f"{taken[1]} {taken[0]}", f"{number} {made}")
            draft.refuse(name, "FIELD_CONFLICT", "expected one of trail_percent and trail_amount", both, slot)
            return
        if made == "percent" and number >= 100:
            draft.refuse(name, "FIELD_INVALID", "expected a percent below 100", str(number), slot)
            return
        taken = (made, number)
        draft.names.setdefault("trail" if of_order else "trailing_stop", name)
    if taken is not None:
        values[f"{'trail' if of_order else 'trailing_stop'}_{taken[0]}"] = taken[1]
        _settle_start(draft, values, starts, of_order=of_order)
    elif not any(p.slot in (TRAIL, "trail_percent") for p in draft.problems):
        what = "a trailing stop order" if of_order else "a trailing stop"
        expected = f"expected trail_percent or trail_amount for {what}, was none"
        draft.refuse("trail_percent", "FIELD_MISSING", expected, slot=slot)


def _settle_start(draft: Draft, values: dict[str, Any], starts: tuple[str, ...], *, of_order: bool) -> None:
    """Adds the level at which the stop or order begins to follow."""
    said = [(draft.names[slot], draft.values[slot]) for slot in starts if slot in draft.values]
    if not said:
        return
    name, (kind, number) = said[0]
    if said[-1][1] != (kind, number):
        both = (f"{kind} {number}", f"{said[-1][1][0]} {said[-1][1][1]}")
        draft.refuse(said[-1][0], "FIELD_CONFLICT", "expected one level from which the stop follows", both, TRAIL)
    elif not of_order:
        values[f"trailing_activation_{kind}"], draft.names["trailing_activation"] = number, name
    elif kind == "price":
        values["activation_price"], draft.names["activation_price"] = number, name
    else:
        expected = "expected a price from which the order follows"
        draft.refuse(name, "FIELD_INVALID", expected, f"{number} {kind}", "waiting")


def _settle_even(draft: Draft, values: dict[str, Any]) -> None:
    """Adds break-even after a target or at a level; "true" alone means the first target."""
    slots, numbers = draft.values, draft.values.get("target_numbers", [])
    if "even_level" in slots:
        kind, number = slots["even_level"]
        values[f"break_even_at_{kind}"] = number
        draft.names["break_even_at"] = draft.names["even_level"]
    if "even_target" not in slots and ("even_level" in slots or "even_wanted" not in slots):
        return
    name = draft.names.get("even_target") or draft.names["even_wanted"]
    wanted = slots.get("even_target", numbers[0] if numbers else 0)
    place = target_numbered(wanted, numbers) if numbers else 0
    if place:
        values["break_even_after_target"], draft.names["break_even_after_target"] = place, name
    elif wanted and numbers:
        draft.refuse(
            name, "FIELD_CONFLICT", f"expected the number of one of {len(numbers)} targets", wanted, "break_even"
        )
    elif not any(p.slot in _OF_TARGETS for p in draft.problems):
        expected = "expected targets together with it, or break_even_at with a level, was none"
        draft.refuse(name, "FIELD_MISSING", expected, slot="break_even")
