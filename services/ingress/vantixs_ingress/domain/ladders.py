"""Targets of an entry: read in every spelling, then put in order with the part that is taken at each."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, Context, Decimal
from itertools import pairwise
from typing import Any, NamedTuple

from vantixs_ingress.domain import converters as to
from vantixs_ingress.domain.dialects import Number
from vantixs_ingress.domain.protection_names import SHARES_NAME, TARGET_WORD, share_name
from vantixs_ingress.domain.reading import Draft, Refused
from vantixs_ingress.domain.vocabulary import fold, slot_of

MOST_TARGETS = 10
_MOST_ENTRIES = 50  # Of a list, zeros and nulls counted.
_HUNDRED = Decimal(100)
_SHARE_STEP, _SHARE_CONTEXT = Decimal("1E-18"), Context(prec=80, rounding=ROUND_DOWN)
_HELD_BY = {"OPEN_LONG": "LONG", "OPEN_SHORT": "SHORT", "BUY": "LONG", "SELL": "SHORT"}
_PERCENT_KEYS = frozenset(
    f"{what}{percent}"
    for what in ("quantity", "qty", "size", "amount", "position", "close", "exit", "share")
    for percent in ("percent", "percentage", "pct")
) | {"share", "percentofposition", "percentofquantity", "closeshare"}
_UNIT_KEYS = frozenset(("quantity", "qty", "size", "units", "contracts", "lots"))
# What stands around a list of targets in an object.
_HOLDERS = frozenset(("targets", "levels", "steps", "takeprofits", "takeprofittargets", "takeprofitlevels"))
_NUMBERED = re.compile(r"(?:takeprofit|target|tp|level|t)?(\d{1,2})")
_SEPARATORS = re.compile(r"[\s,|/;]+")
# One number with separators, or two: 66,000 and 63,5 and 64.025,25.
_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+,\d{1,3}%?|\d{1,3}(?:\.\d{3})+,\d+", re.ASCII)


class Target(NamedTuple):
    """A target as it is held. `kind` is "price", "percent" or "amount"; `share` is in percent of the entry, None where unsaid."""

    kind: str
    value: Decimal
    share: Decimal | None = None


# The number of a part and of the only target that is meant by it, besides the same ones.
_ALONE = ((0, 1), (1, 0))


@dataclass(slots=True)
class SentTarget:
    """A target as sent. `number` is 0 where there was none, `side` is "long", "short" or "", `kind` is "" for a bare number."""

    name: str
    number: int
    side: str
    kind: str
    value: Decimal


@dataclass(slots=True)
class SentShare:
    """The part that is taken at a target, in "percent" of what was entered or in "units" of the base asset."""

    name: str
    number: int
    unit: str
    value: Decimal


def read_target(draft: Draft, name: str, value: Any, kind: str = "", side: str = "", number: int = 0) -> None:
    """One target, or the several of a list or an object that stands under its name."""
    if isinstance(value, dict) and not kind and (_holder_of(value) or _numbers_of(value)):
        if number or side:
            raise Refused(f"expected one level for target {number or side}, was several", complete=True)
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
    """All targets: a list, an object that holds one or numbers them, or a text such as "66000, 67000"."""
    if isinstance(value, str):
        value = _from_json(value) if value[:1] in ("[", "{") else _listed(value)
    if isinstance(value, list):
        if len(value) > _MOST_ENTRIES:
            raise Refused(f"expected at most {MOST_TARGETS} targets, was {len(value)}", complete=True)
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
        raise Refused("expected a list of targets such as [66000, 67000]")


def read_share(draft: Draft, name: str, value: Any) -> None:
    """The part for one target, or a list of the parts for all of them."""
    if to.says_no(value):
        return
    folded = slot_of(name.rpartition(".")[2])[0]
    if SHARES_NAME.match(folded):
        values = _listed(value) if isinstance(value, str) else value
        if not isinstance(values, list) or len(values) > _MOST_ENTRIES:
            raise Refused(f"expected a list of at most {MOST_TARGETS} parts such as [50, 50]")
        for number, item in enumerate(values, 1):
            if not to.says_no(item):
                _add_share(draft, f"{name}.{number}", number, "percent", item)
        return
    found = share_name(folded)
    assert found  # noqa: S101 - asked for names of the slot TARGET_SHARE only
    _add_share(draft, name, found[0], found[1], value)


def _add_share(draft: Draft, name: str, number: int, unit: str, value: Any) -> None:
    if unit == "units" and not (isinstance(value, str) and value.endswith("%")):
        draft.shares.append(SentShare(name, number, "units", to.as_number(value)))
        return
    percent = to.as_percent(value)
    if percent is None or percent > _HUNDRED:
        raise Refused("expected a percent above 0 and at most 100 of what was entered")
    draft.shares.append(SentShare(name, number, "percent", percent))


def _from_json(text: str) -> Any:
    """A list or an object in a text, as KEY=VALUE pairs have them."""
    try:
        return json.loads(text, parse_float=Number, parse_int=Number)
    except (ValueError, RecursionError):
        raise Refused("expected a list of targets such as [66000, 67000]") from None


def _is_list(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= to.LONGEST_TEXT and _SEPARATORS.search(value.strip()) is not None


def _listed(text: str) -> list[Any]:
    """The values of a text; 66,000 could be one number or two, and is neither here."""
    if _GROUPED.fullmatch(text.strip()):
        raise Refused(
            "expected numbers with a decimal point and a space behind each comma: this could be one or several"
        )
    return [part for part in _SEPARATORS.split(text.strip()[: to.LONGEST_TEXT]) if part]


def _holder_of(value: Mapping[str, Any]) -> str:
    """The member that holds the list, where the rest only switches it on; "" for none."""
    found = [name for name in value if fold(name[: to.LONGEST_SYMBOL]) in _HOLDERS]
    others = [name for name in value if name not in found and not to.is_switch(name)]
    return found[0] if len(found) == 1 and not others else ""


def _numbers_of(value: Mapping[str, Any]) -> dict[str, int]:
    """The members by the number in their names, in the order of the numbers; empty where one has none."""
    numbers: dict[str, int] = {}
    for name in value:
        match = _NUMBERED.fullmatch(fold(name[: to.LONGEST_SYMBOL]))
        if match:
            numbers[name] = int(match[1])
        elif not to.is_switch(name):
            return {}
    return dict(sorted(numbers.items(), key=lambda row: row[1]))


def _read_entry(draft: Draft, name: str, entry: Any, number: int) -> None:
    """An entry of a list. Each is refused by its own name."""
    try:
        if to.says_no(entry):
            return
        if isinstance(entry, str) and to.is_placeholder(entry):
            raise Refused("expected a value", "PLACEHOLDER_NOT_RENDERED")
        if isinstance(entry, dict):
            _read_object(draft, name, entry, "", number, in_list=True)
        else:
            level = to.as_level(entry)
            if level:
                draft.targets.append(SentTarget(name, number, "", *level))
    except Refused as error:
        if error.complete:
            draft.refuse(name, error.reason, error.expected, slot="take_profits")
        else:
            draft.refuse(name, error.reason, error.expected, entry, "take_profits")


def _read_object(draft: Draft, name: str, value: Mapping[str, Any], side: str, number: int, *, in_list: bool) -> None:
    """A level and perhaps its share. In a list `amount` is a share for some senders and a distance for others: neither here."""
    level: dict[str, Any] = {}
    shares: list[tuple[str, str]] = []
    for key, inner in value.items():
        folded = fold(key[: to.LONGEST_SYMBOL])
        if folded in _PERCENT_KEYS or folded in _UNIT_KEYS:
            if not to.says_no(inner):
                shares.append((key, "percent" if folded in _PERCENT_KEYS else "units"))
        else:
            level[key] = inner
    found = to.target_of(level, in_list=in_list)
    if found is None:
        if shares:
            raise Refused("expected price, percent or amount beside the part that is taken", complete=True)
        return
    if len(shares) > 1:
        raise Refused(f"expected one part, was {shares[0][0]} and {shares[1][0]}", complete=True)
    draft.targets.append(SentTarget(name, number, side, *found))
    for key, unit in shares:
        try:
            _add_share(draft, f"{name}.{key}", number, unit, value[key])
        except Refused as error:
            draft.refuse(f"{name}.{key}", error.reason, error.expected, value[key], "take_profits")


def settle_ladder(draft: Draft, values: dict[str, Any]) -> None:
    """Adds `take_profits`, nearest first as the sender numbered them; the sender's numbers go to `target_numbers` of the draft.

    A number that is left out closes up: target 1 and 3 are the first and the second.
    """
    side = values.get("target_position") or _HELD_BY.get(values.get("action", ""), "")
    sent = _by_number(draft, side)
    if sent is None:
        return
    if not sent:
        for share in draft.shares[:1]:
            draft.refuse(share.name, "FIELD_CONFLICT", "expected a target beside it, was none", slot="take_profits")
        return
    if len(sent) > MOST_TARGETS:
        expected = f"expected at most {MOST_TARGETS} targets"
        draft.refuse(sent[MOST_TARGETS].name, "FIELD_INVALID", expected, len(sent), "take_profits")
        return
    shares = _shares_of(draft, values, sent)
    if shares is None or not _is_in_order(draft, values, sent, side):
        return
    values["take_profits"] = tuple(
        Target(target.kind, target.value, share and share[1]) for target, share in zip(sent, shares, strict=True)
    )
    draft.values["target_numbers"] = [target.number for target in sent]
    draft.names["take_profits"] = sent[0].name
    for place, (target, share) in enumerate(zip(sent, shares, strict=True)):
        draft.names[f"take_profits.{place}"] = target.name
        if share:
            draft.names[f"take_profits.{place}.share"] = share[0]


def _by_number(draft: Draft, side: str) -> list[SentTarget] | None:
    """One for each number, their kinds said; None where something is refused."""
    said = draft.values.get("take_profit_kind", "")
    found: dict[int, SentTarget] = {}
    for target in draft.targets:
        if target.side and target.side != side.lower():
            draft.keep(target.name, str(target.value))
            draft.note(target.name, "FIELD_INVALID", "is for the other side, and is not used")
            continue
        bare = not target.kind and not said
        if bare and "platform" in draft.values:
            expected = "expected take_profit_price or a percent: a bare number is a distance there and a price here"
            draft.refuse(target.name, "FIELD_INVALID", expected, str(target.value), "take_profits")
            return None
        target.kind = target.kind or said or "price"
        before = found.setdefault(target.number, target)
        if (before.kind, before.value) != (target.kind, target.value):
            which = (
                f"one level for target {target.number}" if target.number else "one take_profit, or numbers for several"
            )
            both = (f"{before.kind} {before.value}", f"{target.kind} {target.value}")
            expected = f"expected {which}: for the part that is taken there send tp{target.number or 1}_share"
            draft.refuse(target.name, "FIELD_CONFLICT", expected, both, "take_profits")
            return None
        if bare:
            draft.names.setdefault("bare_take_profit", target.name)
    plain = found.get(0)
    if plain and any(t.number and (t.kind, t.value) == (plain.kind, plain.value) for t in found.values()):
        del found[0]  # The one without a number says one of the others again.
    return [found[number] for number in sorted(found)]


def _shares_of(
    draft: Draft, values: Mapping[str, Any], sent: list[SentTarget]
) -> list[tuple[str, Decimal] | None] | None:
    """The field and percent of each target's part, None where it is not said; None where something is refused."""
    places = {target.number: place for place, target in enumerate(sent)}
    shares: list[SentShare | None] = [None] * len(sent)
    for share in draft.shares:
        place = places.get(share.number, 0 if len(sent) == 1 and (share.number, sent[0].number) in _ALONE else -1)
        if place < 0:
            what = f"a target {share.number}" if share.number else "the number of a target in its name"
            draft.refuse(share.name, "FIELD_CONFLICT", f"expected {what} beside it, was none", slot="take_profits")
            return None
        before = shares[place]
        if before and (before.unit, before.value) != (share.unit, share.value):
            both = (f"{before.value} {before.unit}", f"{share.value} {share.unit}")
            draft.refuse(share.name, "FIELD_CONFLICT", "expected one part for a target", both, "take_profits")
            return None
        shares[place] = share
    percents = _in_percent(draft, values, shares)
    if percents is None:
        return None
    total = Decimal(0)
    for said in percents:
        total += said[1] if said else 0
        if said and total > _HUNDRED:
            expected = "expected parts of at most 100 percent together"
            draft.refuse(said[0], "FIELD_INVALID", expected, f"{_plain(total)}", "take_profits")
            return None
    unsaid = [target.name for target, said in zip(sent, percents, strict=True) if not said]
    if total == _HUNDRED and unsaid:
        expected = "expected a part of the position for each target, and the other targets take 100 percent of it"
        draft.refuse(unsaid[0], "FIELD_CONFLICT", expected, slot="take_profits")
        return None
    return percents


def _in_percent(
    draft: Draft, values: Mapping[str, Any], shares: list[SentShare | None]
) -> list[tuple[str, Decimal] | None] | None:
    """Units become the percent that they are of the sender's entry, whose size has to be known."""
    entered = _entered(values)
    units = sum((s.value for s in shares if s and s.unit == "units"), Decimal(0))
    all_units = all(s is not None and s.unit == "units" for s in shares)
    percents: list[tuple[str, Decimal] | None] = []
    for number, share in enumerate(shares, 1):
        if share is None or share.unit == "percent":
            percents.append((share.name, share.value) if share else None)
            continue
        if entered is None:
            expected = "expected a percent, or a quantity in units beside it: how much these units are of the entry is not known"
            draft.refuse(share.name, "FIELD_INVALID", expected, str(share.value), "take_profits")
            return None
        percent = _SHARE_CONTEXT.quantize(_SHARE_CONTEXT.divide(share.value * 100, entered), _SHARE_STEP)
        if number == len(shares) and all_units and units == entered:
            # Three thirds are the whole, whatever was cut of each.
            percent = _HUNDRED - sum((said[1] for said in percents if said), Decimal(0))
        if percent <= 0:
            draft.refuse(share.name, "FIELD_INVALID", "expected more of the entry", str(share.value), "take_profits")
            return None
        percents.append((share.name, percent.normalize(_SHARE_CONTEXT)))
    return percents


def _entered(values: Mapping[str, Any]) -> Decimal | None:
    """Base units that the sender enters; of a reversal, what the new position has."""
    if values.get("quantity_type") != "UNITS":
        return None
    quantity: Decimal = values["quantity"]
    after = values.get("target_quantity")
    return min(quantity, after) if after else quantity


def _is_in_order(draft: Draft, values: Mapping[str, Any], sent: list[SentTarget], side: str) -> bool:
    """Whether each target is farther than the one before, and all prices lie on one side. Different kinds are not compared."""
    for target in sent:
        if target.kind == "percent" and side == "SHORT" and target.value >= _HUNDRED:
            draft.refuse(
                target.name,
                "FIELD_INVALID",
                "expected a percent below 100 for a short",
                str(target.value),
                "take_profits",
            )
            return False
    prices = [target for target in sent if target.kind == "price"]
    up = side == "LONG" if side in ("LONG", "SHORT") else len(prices) < 2 or prices[1].value > prices[0].value
    for kind in ("price", "percent", "amount"):
        for near, far in pairwise(target for target in sent if target.kind == kind):
            if (far.value - near.value) * (1 if up or kind != "price" else -1) <= 0:
                expected = f"expected each target farther than the one before at {_plain(near.value)}"
                draft.refuse(far.name, "FIELD_CONFLICT", expected, _plain(far.value), "take_profits")
                return False
    price = _reference(values)
    if price is not None and prices and any(t.value > price for t in prices):
        wrong = next((t for t in prices if t.value <= price), None)
        if wrong:
            expected = f"expected all targets on one side of the price {_plain(price)}"
            both = (_plain(wrong.value), _plain(next(t.value for t in prices if t.value > price)))
            draft.refuse(wrong.name, "FIELD_CONFLICT", expected, both, "take_profits")
            return False
    return True


def _reference(values: Mapping[str, Any]) -> Decimal | None:
    """The price at which the entry is expected, where it is said."""
    for name in ("limit_price", "stop_price", "price"):
        if name in values and (name == "price" or name.split("_")[0].upper() in values.get("order_type", "")):
            price: Decimal = values[name]
            return price
    return None


def target_numbered(number: int, numbers: list[int]) -> int:
    """The place from 1 of the target that the sender gave a number; 0 for none."""
    if numbers == [0] and number == 1:
        return 1
    return numbers.index(number) + 1 if number in numbers else 0


def target_in(word: str) -> int:
    """The number of the target that a word names, such as "tp1"; 0 for none."""
    match = TARGET_WORD.fullmatch(fold(word.strip()[: to.LONGEST_SYMBOL]))
    return int(match[1]) if match else 0


def levels_of(values: Mapping[str, Any]) -> Iterator[tuple[str, Target]]:
    """The targets with the name of each in `sources`."""
    targets: Iterable[Target] = values.get("take_profits", ())
    for place, target in enumerate(targets):
        yield f"take_profits.{place}", target


def _plain(number: Decimal) -> str:
    return format(number.normalize(_SHARE_CONTEXT), "f")
