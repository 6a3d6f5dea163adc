"""Reads targets in all forms: single fields, numbered fields, lists, objects and texts, with the share of each."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from vantixs_ingress.domain.payload import converters as to
from vantixs_ingress.domain.payload.decode import Number
from vantixs_ingress.domain.payload.protection_names import SHARES_NAME, TARGET_WORD, share_name
from vantixs_ingress.domain.payload.reading import ConversionError, Draft
from vantixs_ingress.domain.payload.vocabulary import fold, slot_of

MOST_TARGETS = 10
_MOST_ENTRIES = 50  # Highest length of a list, including zeros and nulls.
_MOST_PERCENT = Decimal(100)
_PERCENT_KEYS = frozenset(
    f"{what}{percent}"
    for what in ("quantity", "qty", "size", "amount", "position", "close", "exit", "share")
    for percent in ("percent", "percentage", "pct")
) | {"share", "percentofposition", "percentofquantity", "closeshare"}
_RATIO_KEY = "portfolio"  # WunderTrading's name of the share, as a ratio.
_UNIT_KEYS = frozenset(("quantity", "qty", "size", "units", "contracts", "lots"))
# Names of an object's member that holds the list of targets.
_HOLDERS = frozenset(("targets", "levels", "steps", "takeprofits", "takeprofittargets", "takeprofitlevels"))
_NUMBERED = re.compile(r"(?:takeprofit|target|tp|level|t)?(\d{1,2})")
_SEPARATORS = re.compile(r"[\s,|/;]+")
# Texts that could be one number with separators, or two numbers: 66,000 and 63,5 and 64.025,25.
_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+,\d{1,3}%?|\d{1,3}(?:\.\d{3})+,\d+", re.ASCII)


@dataclass(slots=True)
class SentTarget:
    """A target as sent. `number` is 0 if there was none, `side` is "long", "short" or "", `kind` is "" if it was not given."""

    name: str
    number: int
    side: str
    kind: str
    value: Decimal


@dataclass(slots=True)
class SentShare:
    """The share that a target closes, in "percent" of the entered quantity, in "units" of the base asset, or as a "weight"."""

    name: str
    number: int
    unit: str
    value: Decimal
    side: str = ""


def read_target(draft: Draft, name: str, value: Any, kind: str = "", side: str = "", number: int = 0) -> None:
    """Reads one target, or several if the value is a list or an object of targets."""
    if isinstance(value, dict) and not kind and (_holder_of(value) or _numbers_of(value)):
        if number or side:
            raise ConversionError(f"expected one level for target {number or side}, was several", complete=True)
        read_targets(draft, name, value)
    elif not kind and not number and not side and (isinstance(value, list) or _is_list(value)):
        read_targets(draft, name, value)
    elif isinstance(value, dict) and not kind:
        _read_object(draft, name, value, side, number, in_list=False)
    elif kind:
        found = (to.as_percent if kind == "percent" else to.as_price)(value)
        if found:
            draft.targets.append(SentTarget(name, number, side, kind, found))
    else:
        level = to.as_level(value)
        if level:
            draft.targets.append(SentTarget(name, number, side, *level))


def read_targets(draft: Draft, name: str, value: Any) -> None:
    """Reads all targets: a list, an object with a list or with numbered members, or a text such as "66000, 67000"."""
    if isinstance(value, str):
        value = _from_json(value) if value[:1] in ("[", "{") else _listed(value)
    if isinstance(value, list):
        if len(value) > _MOST_ENTRIES:
            raise ConversionError(f"expected at most {MOST_TARGETS} targets, was {len(value)}", complete=True)
        for number, entry in enumerate(value, 1):
            _read_entry(draft, f"{name}.{number}", entry, number)
    elif isinstance(value, dict):
        holder, numbers = _holder_of(value), _numbers_of(value)
        if holder:
            read_targets(draft, f"{name}.{holder}", value[holder])
        elif numbers:
            for key, number in numbers.items():
                _read_entry(draft, f"{name}.{key}", value[key], number)
        else:
            _read_object(draft, name, value, "", 1, in_list=True)
    else:
        raise ConversionError("expected a list of targets such as [66000, 67000]")


def read_share(draft: Draft, name: str, value: Any) -> None:
    """Reads the share of one target, or a list of the shares of all targets."""
    if to.says_no(value):
        return
    folded = slot_of(name.rpartition(".")[2])[0]
    if SHARES_NAME.match(folded):
        values = _listed(value) if isinstance(value, str) else value
        if not isinstance(values, list) or len(values) > _MOST_ENTRIES:
            raise ConversionError(f"expected a list of at most {MOST_TARGETS} parts such as [50, 50]")
        for number, item in enumerate(values, 1):
            if not to.says_no(item):
                _add_share(draft, f"{name}.{number}", number, "percent", item)
        return
    found = share_name(folded)
    assert found  # noqa: S101 - asked for names of the slot TARGET_SHARE only
    _add_share(draft, name, found[0], found[1], value)


def _unit_of(folded: str) -> str:
    """The unit of a target's member that is a share; "" if it is none."""
    if folded in _PERCENT_KEYS:
        return "percent"
    return "units" if folded in _UNIT_KEYS else "ratio" if folded == _RATIO_KEY else ""


def _add_share(draft: Draft, name: str, number: int, unit: str, value: Any, side: str = "") -> None:
    if unit == "units" and not (isinstance(value, str) and value.endswith("%")):
        draft.shares.append(SentShare(name, number, "units", to.as_number(value), side))
        return
    if unit == "weight":
        draft.shares.append(SentShare(name, number, "weight", to.as_number(value), side))
        return
    percent = to.as_part(value) * 100 if unit == "ratio" else to.as_percent(value)
    if percent is None or percent > _MOST_PERCENT:
        raise ConversionError("expected a percent above 0 and at most 100 of what was entered")
    if percent <= 1 and unit == "percent" and not str(value).endswith("%"):
        # If a half is meant by 0.5, taking it as 0.5 % would leave nearly all of the position without a target.
        raise ConversionError("expected a percent such as 50, or 0.5% with its sign: a number up to 1 could be a ratio")
    draft.shares.append(SentShare(name, number, "percent", percent, side))


def _from_json(text: str) -> Any:
    """The list or object in a JSON text, as KEY=VALUE pairs contain them."""
    try:
        return json.loads(text, parse_float=Number, parse_int=Number)
    except (ValueError, RecursionError):
        raise ConversionError("expected a list of targets such as [66000, 67000]") from None


def _is_list(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= to.LONGEST_TEXT and _SEPARATORS.search(value.strip()) is not None


def _listed(text: str) -> list[Any]:
    """The values in a text. 66,000 could be one number or two, and is rejected."""
    if _GROUPED.fullmatch(text.strip()):
        raise ConversionError(
            "expected numbers with a decimal point and a space behind each comma: this could be one or several"
        )
    return [part for part in _SEPARATORS.split(text.strip()[: to.LONGEST_TEXT]) if part]


def _holder_of(value: Mapping[str, Any]) -> str:
    """The member that holds the list if all other members are switches; "" for none."""
    found = [name for name in value if fold(name[: to.LONGEST_SYMBOL]) in _HOLDERS]
    others = [name for name in value if name not in found and not to.is_switch(name)]
    return found[0] if len(found) == 1 and not others else ""


def _numbers_of(value: Mapping[str, Any]) -> dict[str, int]:
    """The members with the numbers in their names, in order of the numbers; empty if a member has no number."""
    numbers: dict[str, int] = {}
    for name in value:
        match = _NUMBERED.fullmatch(fold(name[: to.LONGEST_SYMBOL]))
        if match:
            numbers[name] = int(match[1])
        elif not to.is_switch(name):
            return {}
    return dict(sorted(numbers.items(), key=lambda row: row[1]))


def _read_entry(draft: Draft, name: str, entry: Any, number: int) -> None:
    """Reads an entry of a list; a problem is reported under the entry's own name."""
    try:
        if to.says_no(entry):
            return
        if isinstance(entry, str) and to.is_placeholder(entry):
            raise ConversionError("expected a value", "PLACEHOLDER_NOT_RENDERED")
        if isinstance(entry, dict):
            _read_object(draft, name, entry, "", number, in_list=True)
        else:
            level = to.as_level(entry)
            if level:
                draft.targets.append(SentTarget(name, number, "", *level))
    except ConversionError as error:
        if error.complete:
            draft.refuse(name, error.reason, error.expected, slot="take_profits")
        else:
            draft.refuse(name, error.reason, error.expected, entry, "take_profits")


def _read_object(draft: Draft, name: str, value: Mapping[str, Any], side: str, number: int, *, in_list: bool) -> None:
    """Reads a level and its share, if any. In a list `amount` is rejected: senders mean a share or a distance by it."""
    level: dict[str, Any] = {}
    shares: list[tuple[str, str]] = []
    for key, inner in value.items():
        folded = fold(key[: to.LONGEST_SYMBOL])
        unit = _unit_of(folded)
        if unit:
            if not to.says_no(inner):
                shares.append((key, unit))
        elif folded == "level" and str(inner) == str(number) and len(value) > 1:
            continue  # This is the number of the target, which its place in the list gives already.
        else:
            level[key] = inner
    found = to.target_of(level, in_list=in_list)
    if found is None:
        if shares:
            raise ConversionError("expected price, percent or amount together with the share", complete=True)
        return
    if len(shares) > 1:
        raise ConversionError(f"expected one part, was {shares[0][0]} and {shares[1][0]}", complete=True)
    draft.targets.append(SentTarget(name, number, side, *found))
    for key, unit in shares:
        try:
            _add_share(draft, f"{name}.{key}", number, unit, value[key], side)
        except ConversionError as error:
            draft.refuse(f"{name}.{key}", error.reason, error.expected, value[key], "take_profits")


def target_in(word: str) -> int:
    """The number of the target in a word such as "tp1"; 0 for none."""
    match = TARGET_WORD.fullmatch(fold(word.strip()[: to.LONGEST_SYMBOL]))
    return int(match[1]) if match else 0
