"""Handlers of fields about trailing stops and break-even."""

from decimal import Decimal
from typing import Any

from vantixs_ingress.domain.payload import converters as to
from vantixs_ingress.domain.payload.protection_names import even_name, trail_name
from vantixs_ingress.domain.payload.reading import ConversionError, Draft
from vantixs_ingress.domain.payload.targets import target_in
from vantixs_ingress.domain.payload.vocabulary import fold, slot_of

_MOST_TARGET = Decimal(99)
_START_KEYS = {
    "activation": "", "activationprice": "price", "activateprice": "price", "activationpercent": "percent", "start": "",
    "startprice": "price", "startpercent": "percent", "triggerprice": "price", "triggerpercent": "percent",
}  # fmt: skip
_AFTER_KEYS = ("after", "aftertarget", "aftertp", "target", "tp")


def read_trail(draft: Draft, name: str, value: Any) -> None:
    """Reads a field about trailing, by the parts of its name."""
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
    """Reads a trailing distance. A number without a kind gets it from `trail_kind`; true enables another field's distance."""
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
    """Reads an object such as `{"percent": 1.5, "activation_price": 66000}`: a distance, and the level at which it begins."""
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
    """Reads the price at which a trailing order begins to follow."""
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
    """Reads a field about break-even: after a target, at a level, or only a flag."""
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
        raise ConversionError(
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
        raise ConversionError("expected the number of a target such as 1")
    return int(number)
