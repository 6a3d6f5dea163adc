"""Ladders: the targets of an entry in the order in which they are reached, with the share of each in percent."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import ROUND_DOWN, Context, Decimal
from itertools import pairwise
from typing import Any, NamedTuple

from vantixs_ingress.domain.payload.reading import Draft
from vantixs_ingress.domain.payload.targets import MOST_TARGETS, SentShare, SentTarget

_HUNDRED = Decimal(100)
_SHARE_STEP, _SHARE_CONTEXT = Decimal("1E-18"), Context(prec=80, rounding=ROUND_DOWN)
_HELD_BY = {"OPEN_LONG": "LONG", "OPEN_SHORT": "SHORT", "BUY": "LONG", "SELL": "SHORT"}
# Numbers of a share and of a target that belong together although they differ: a single target may have no number.
_ALONE = ((0, 1), (1, 0))


class Target(NamedTuple):
    """A target of a signal. `kind` is "price", "percent" or "amount"; `share` is in percent of the entry, None if not sent."""

    kind: str
    value: Decimal
    share: Decimal | None = None


def settle_ladder(draft: Draft, values: dict[str, Any]) -> None:
    """Adds `take_profits` in the order of the sender's numbers, which are put into `target_numbers` of the draft.

    Numbers may have gaps: targets 1 and 3 are the first and the second.
    """
    side = values.get("target_position") or _HELD_BY.get(values.get("action", ""), "")
    sent = _by_number(draft, side)
    if sent is None:
        return
    draft.shares = [share for share in draft.shares if share.side in ("", side.lower())]
    if not sent:
        for share in draft.shares[:1]:
            draft.refuse(
                share.name, "FIELD_CONFLICT", "expected a target together with it, was none", slot="take_profits"
            )
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
    """One target for each number, with its kind; None after a problem."""
    said = draft.values.get("take_profit_kind", "")
    found: dict[int, SentTarget] = {}
    for target in draft.targets:
        if target.side and target.side != side.lower():
            draft.keep(target.name, str(target.value))
            draft.note(target.name, "FIELD_INVALID", "is for the other side, and is not used")
            continue
        bare = not target.kind and not said
        if bare and "platform" in draft.values:
            expected = (
                "expected take_profit_price or a percent: a number is a distance on that platform and a price here"
            )
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
        del found[0]  # The target without a number repeats one of the others.
    return [found[number] for number in sorted(found)]


def _shares_of(
    draft: Draft, values: Mapping[str, Any], sent: list[SentTarget]
) -> list[tuple[str, Decimal] | None] | None:
    """The field and percent of each target's share, None if it was not sent; None instead of a list after a problem."""
    if any(share.unit == "weight" for share in draft.shares):
        return _weighed(draft, sent)
    places = {target.number: place for place, target in enumerate(sent)}
    shares: list[SentShare | None] = [None] * len(sent)
    for share in draft.shares:
        place = places.get(share.number, 0 if len(sent) == 1 and (share.number, sent[0].number) in _ALONE else -1)
        if place < 0:
            what = f"a target {share.number}" if share.number else "the number of a target in its name"
            draft.refuse(
                share.name, "FIELD_CONFLICT", f"expected {what} together with it, was none", slot="take_profits"
            )
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


def _weighed(draft: Draft, sent: list[SentTarget]) -> list[tuple[str, Decimal] | None] | None:
    """OctoBot's ratios, one for each target in order. Its first target has no number, but its first ratio has one."""
    weights = sorted(draft.shares, key=lambda share: share.number)
    other = next((share for share in weights if share.unit != "weight"), None)
    if other or len(weights) != len(sent):
        expected = f"expected a ratio for each of {len(sent)} targets and no other part"
        name = other.name if other else weights[-1].name
        draft.refuse(name, "FIELD_CONFLICT", expected, len(weights), "take_profits")
        return None
    total, left = sum((share.value for share in weights), Decimal(0)), _HUNDRED
    percents: list[tuple[str, Decimal] | None] = []
    for share in weights[:-1]:
        percent = _SHARE_CONTEXT.quantize(_SHARE_CONTEXT.divide(share.value * 100, total), _SHARE_STEP)
        percents.append((share.name, percent.normalize(_SHARE_CONTEXT)))
        left -= percent
    return [*percents, (weights[-1].name, left.normalize(_SHARE_CONTEXT))]


def _in_percent(
    draft: Draft, values: Mapping[str, Any], shares: list[SentShare | None]
) -> list[tuple[str, Decimal] | None] | None:
    """Converts units to percent of the sender's entry, whose size has to be known."""
    entered = _entered(values)
    units = sum((s.value for s in shares if s and s.unit == "units"), Decimal(0))
    all_units = all(s is not None and s.unit == "units" for s in shares)
    percents: list[tuple[str, Decimal] | None] = []
    for number, share in enumerate(shares, 1):
        if share is None or share.unit == "percent":
            percents.append((share.name, share.value) if share else None)
            continue
        if entered is None:
            expected = "expected a percent, or a quantity in units together with it, of which these units are a part"
            draft.refuse(share.name, "FIELD_INVALID", expected, str(share.value), "take_profits")
            return None
        percent = _SHARE_CONTEXT.quantize(_SHARE_CONTEXT.divide(share.value * 100, entered), _SHARE_STEP)
        if number == len(shares) and all_units and units == entered:
            # The units sum to the whole entry, so the rounded percents have to sum to 100, for example three thirds.
            percent = _HUNDRED - sum((said[1] for said in percents if said), Decimal(0))
        if percent <= 0:
            draft.refuse(share.name, "FIELD_INVALID", "expected more of the entry", str(share.value), "take_profits")
            return None
        percents.append((share.name, percent.normalize(_SHARE_CONTEXT)))
    return percents


def _entered(values: Mapping[str, Any]) -> Decimal | None:
    """Base units of the sender's entry; for a reversal, of the new position."""
    if values.get("quantity_type") != "UNITS":
        return None
    quantity: Decimal = values["quantity"]
    after = values.get("target_quantity")
    return min(quantity, after) if after else quantity


def _is_in_order(draft: Draft, values: Mapping[str, Any], sent: list[SentTarget], side: str) -> bool:
    """Whether each target is farther than the one before, and all prices are on one side. Different kinds are not compared."""
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
    """The expected price of the entry, if the signal contains it."""
    for name in ("limit_price", "stop_price", "price"):
        if name in values and (name == "price" or name.split("_")[0].upper() in values.get("order_type", "")):
            price: Decimal = values[name]
            return price
    return None


def target_numbered(number: int, numbers: list[int]) -> int:
    """The place, from 1, of the target with the sender's number; 0 for none."""
    if numbers == [0] and number == 1:
        return 1
    return numbers.index(number) + 1 if number in numbers else 0


def levels_of(values: Mapping[str, Any]) -> Iterator[tuple[str, Target]]:
    """The targets with the name of each in `sources`."""
    targets: Iterable[Target] = values.get("take_profits", ())
    for place, target in enumerate(targets):
        yield f"take_profits.{place}", target


def _plain(number: Decimal) -> str:
    return format(number.normalize(_SHARE_CONTEXT), "f")
