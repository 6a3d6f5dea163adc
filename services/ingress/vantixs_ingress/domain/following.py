"""Stops that follow the price: trailing stops, those of an order and those that protect, and break-even."""

from decimal import Decimal
from typing import Any

from vantixs_ingress.domain import converters as to
from vantixs_ingress.domain.ladders import target_numbered
from vantixs_ingress.domain.protection_names import even_name, trail_name
from vantixs_ingress.domain.reading import Draft, Refused
from vantixs_ingress.domain.targets import target_in
from vantixs_ingress.domain.vocabulary import LEVEL, TARGET_SHARE, TRAIL, fold, slot_of

TRAILING = "TRAILING_STOP"
_MOST_TARGET = Decimal(99)
_NO_DISTANCE = (
    "expected trail_percent or trail_amount, or a percent such as 1.5%: what a bare number counts is not said"
)
_START_KEYS = {
    "activation": "", "activationprice": "price", "activateprice": "price", "activationpercent": "percent", "start": "",
    "startprice": "price", "startpercent": "percent", "triggerprice": "price", "triggerpercent": "percent",
}  # fmt: skip
# Slots of targets: what break-even lacks because one of them was refused is not told besides.
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
_AFTER_KEYS = ("after", "aftertarget", "aftertp", "target", "tp")


def read_trail(draft: Draft, name: str, value: Any) -> None:
    """A field about trailing, by the parts of its name."""
    found = trail_name(slot_of(name.rpartition(".")[2])[0])
    assert found  # noqa: S101 - asked for names of the slot TRAIL only
    what, kind = found
    of_stop = slot_of(name.rpartition(".")[2])[0].startswith("s")  # `sl_trail_percent`, `stop_loss_trail`.
    if what == "enabled":
        draft.put("trail_enabled", name, to.as_bool(value) if not to.says_no(value) else False)
    elif to.says_no(value):
        return
    elif what == "kind":
        draft.put("trail_kind", name, to.as_level_kind(value))
    elif what == "start":
        _put_start(draft, name, value, kind, of_stop=of_stop)
    elif isinstance(value, dict) and not kind:
        read_trail_object(draft, name, value, of_stop=of_stop)
    else:
        read_distance(draft, name, value, kind, of_stop=of_stop)


def read_distance(draft: Draft, name: str, value: Any, kind: str, *, of_stop: bool = False) -> None:
    """The distance; of a bare number `trail_kind` may say what it counts. True switches on what another field says."""
    if not kind and (value is True or (isinstance(value, str) and value.lower() == "true")):
        draft.put("trail_enabled", name, value=True)
        return
    if kind:
        number = (to.as_percent if kind == "percent" else to.as_price)(value)
        found = (kind, number) if number else None
    else:
        found = to.as_level(value)
    if found:
        draft.trails.append((name, *found, of_stop))


def read_trail_object(draft: Draft, name: str, value: dict[str, Any], *, of_stop: bool = False) -> None:
    """`{"percent": 1.5, "activation_price": 66000}`: a distance, and perhaps from where on."""
    distance: dict[str, Any] = {}
    for key, inner in value.items():
        folded = fold(key[: to.LONGEST_SYMBOL])
        if folded not in _START_KEYS:
            distance[key] = inner
        elif not to.says_no(inner):
            _put_start(draft, f"{name}.{key}", inner, _START_KEYS[folded], of_stop=of_stop)
    found = to.distance_of(distance)
    if found:
        draft.trails.append((name, *found, of_stop))
    else:
        draft.put("trail_enabled", name, value=True)


def read_start(draft: Draft, name: str, value: Any) -> None:
    """The price from which on an order follows."""
    if not to.says_no(value):
        _put_start(draft, name, value, "price")


def _put_start(draft: Draft, name: str, value: Any, kind: str, *, of_stop: bool = False) -> None:
    if kind:
        number = (to.as_percent if kind == "percent" else to.as_price)(value)
        found = (kind, number) if number else None
    else:
        found = to.as_level(value)
    if found:
        draft.put("stop_trail_start" if of_stop else "trail_start", name, (found[0] or "price", found[1]))


def read_even(draft: Draft, name: str, value: Any) -> None:
    """A field about break-even: after which target, at which level, or only that it is wanted."""
    if to.says_no(value):
        return
    found = even_name(slot_of(name.rpartition(".")[2])[0])
    assert found  # noqa: S101 - asked for names of the slot EVEN only
    what, kind, number = found
    if what == "target" and number:
        if to.as_bool(value):
            draft.put("even_target", name, number)
    elif what == "target":
        draft.put("even_target", name, _target(value))
    elif kind:
        draft.put("even_level", name, (kind, (to.as_percent if kind == "percent" else to.as_price)(value)))
    elif isinstance(value, dict):
        _read_even_object(draft, name, value)
    elif isinstance(value, bool) or (isinstance(value, str) and value.lower() == "true"):
        draft.put("even_wanted", name, value=True)
    elif isinstance(value, str) and target_in(value):
        draft.put("even_target", name, target_in(value))
    elif what == "level" or (isinstance(value, str) and value.endswith("%")):
        level = to.as_level(value)
        if level:
            draft.put("even_level", name, (level[0] or "price", level[1]))
    else:
        raise Refused(
            "expected true, a target such as tp1, a percent such as 1%, break_even_after_target or break_even_at"
        )


def _read_even_object(draft: Draft, name: str, value: dict[str, Any]) -> None:
    level: dict[str, Any] = {}
    wanted = True
    for key, inner in value.items():
        if fold(key[: to.LONGEST_SYMBOL]) not in _AFTER_KEYS:
            level[key] = inner
        elif not to.says_no(inner):
            draft.put("even_target", f"{name}.{key}", _target(inner))
            wanted = False
    found = to.target_of(level, in_list=False)
    if found:
        draft.put("even_level", name, found)
    elif wanted:
        draft.put("even_wanted", name, value=True)


def _target(value: Any) -> int:
    """The number of a target: 1, "1" or "tp1"."""
    if isinstance(value, str) and target_in(value):
        return target_in(value)
    number = to.as_number(value)
    if number != number.to_integral_value() or number > _MOST_TARGET:
        raise Refused("expected the number of a target such as 1")
    return int(number)


def settle_following(draft: Draft, values: dict[str, Any], *, reduces: bool) -> None:
    """Adds the distance of a trailing order, or the stop that follows; and break-even. After the targets."""
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
    """Whether what would follow has nothing to protect: an exit says so and goes on."""
    if reduces:
        names += [draft.names[slot] for slot in (*slots, "trail_enabled") if slot in draft.names]
        draft.note(names[0], "FIELD_INVALID", "is not used: an exit opens nothing that a stop could follow")
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
    """From where on it follows."""
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
    """Once a target is reached, or once a level is: a bare "true" is the first target."""
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
        expected = "expected targets beside it, or break_even_at with a level, was none"
        draft.refuse(name, "FIELD_MISSING", expected, slot="break_even")
