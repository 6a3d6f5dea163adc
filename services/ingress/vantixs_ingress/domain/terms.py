"""At what terms: order type and prices, quantity, protective levels."""

from decimal import Decimal
from typing import Any

from vantixs_ingress.domain.handlers import place
from vantixs_ingress.domain.reading import Draft
from vantixs_ingress.domain.words import EXITS

_PERCENT_MOST = Decimal(100)
_HELD_BY = {"OPEN_LONG": "LONG", "OPEN_SHORT": "SHORT", "BUY": "LONG", "SELL": "SHORT"}


def settle_terms(draft: Draft, values: dict[str, Any]) -> None:
    """Adds the terms to the values; `action` and `target_position` are there already."""
    _settle_order(draft, values)
    if draft.quantities or "volume" in draft.values:
        _settle_quantity(draft, values)
    if draft.levels:
        for level in ("stop_loss", "take_profit"):
            _settle_level(draft, values, level)


def _settle_order(draft: Draft, values: dict[str, Any]) -> None:
    slots = draft.values
    kind = slots.get("order_type")
    if "price" not in slots and slots.get("close") is not None:
        slots["price"], draft.names["price"] = slots["close"], draft.names["close"]
    if "trigger_price" in slots:
        draft.put(
            "stop_price" if kind in ("STOP", "STOP_LIMIT") else "price",
            draft.names["trigger_price"],
            slots["trigger_price"],
        )
    for slot in ("price", "limit_price", "stop_price"):
        if slot in slots:
            values[slot] = slots[slot]
    if kind is None and "limit_price" in slots and "stop_price" not in slots:
        # A market order instead of the limit asked for would be another order.
        kind = "LIMIT"
    if kind:
        values["order_type"] = kind
    if kind in ("LIMIT", "STOP_LIMIT") and "limit_price" not in slots:
        _default_price(draft, values, "limit_price")
    if kind in ("STOP", "STOP_LIMIT") and "stop_price" not in slots:
        draft.refuse("stop_price", "FIELD_MISSING", "expected a stop price for a stop order, was none")
    if "stop_price" in slots and kind not in ("STOP", "STOP_LIMIT"):
        expected = "expected order_type stop or stop_limit beside it: for a stop loss send stop_loss"
        draft.refuse(draft.names["stop_price"], "FIELD_CONFLICT", expected, kind or "no order type")
    if kind == "MARKET" and "limit_price" in slots:
        draft.note(draft.names["limit_price"], "FIELD_CONFLICT", "is not used: the order is a market order")


def _default_price(draft: Draft, values: dict[str, Any], slot: str) -> None:
    if "price" in values:
        values[slot] = values["price"]
    elif not any(p.slot in ("price", "limit_price", "trigger_price") for p in draft.problems):
        draft.refuse(slot, "FIELD_MISSING", "expected a limit price for a limit order, was none")


def _settle_quantity(draft: Draft, values: dict[str, Any]) -> None:
    if "volume" in draft.values:
        _settle_volume(draft)
    said = draft.values.get("quantity_type", "")
    if not draft.quantities:
        return
    percent = "POSITION_PERCENT" if values.get("action") in EXITS else "EQUITY_PERCENT"
    for number, (name, kind, quantity) in enumerate(draft.quantities):
        made = said if kind in ("", "%") and said else {"": "UNITS", "%": percent}.get(kind, kind)
        if kind == "%" and not made.endswith("PERCENT"):
            draft.refuse(name, "FIELD_CONFLICT", f"expected {made}", f"{quantity}%", "quantity")
        elif kind not in ("", "%") and said and said != kind:
            draft.refuse(name, "FIELD_CONFLICT", f"expected {said} as quantity_type says", kind, "quantity")
        elif number and (quantity, made) != (values.get("quantity"), values.get("quantity_type")):
            both = (f"{values.get('quantity')} {values.get('quantity_type')}", f"{quantity} {made}")
            draft.refuse(name, "FIELD_CONFLICT", "expected one quantity", both, "quantity")
        elif not number:
            values["quantity"], values["quantity_type"] = quantity, made
            draft.names["quantity"] = name
            if made.endswith("PERCENT") and quantity > _PERCENT_MOST:
                draft.refuse(name, "FIELD_INVALID", "expected at most 100 percent", str(quantity), "quantity")


def _settle_volume(draft: Draft) -> None:
    """`volume` is an order's size where nothing else says it, and the bar's where bar values stand beside it."""
    name, value = draft.names["volume"], draft.values["volume"]
    bar = (
        any(key.rpartition(".")[2].lower() in ("open", "high", "low") for key in draft.extras)
        or "close" in draft.values
    )
    if bar or draft.quantities or any(p.slot.startswith("quantity") for p in draft.problems):
        draft.keep(name, str(value))
        return
    place(name, "quantity", value, draft)


def _settle_level(draft: Draft, values: dict[str, Any], level: str) -> None:
    side = values.get("target_position") or _HELD_BY.get(values.get("action", ""), "")
    found: tuple[str, Decimal] | None = None
    said = draft.values.get(f"{level}_kind", "")
    for name, slot, kind, number in draft.levels:
        if not slot.endswith(level):
            continue
        if slot != level and slot != f"{side.lower()}_{level}":
            draft.keep(name, str(number))
            draft.note(name, "FIELD_INVALID", "is for the other side, and is not used")
            continue
        if not kind and not said and "platform" in draft.values:
            expected = f"expected {level}_price or a percent: a bare number is a distance there and a price here"
            draft.refuse(name, "FIELD_INVALID", expected, str(number), level)
            return
        made = (kind or said or "price", number)
        if found is not None and found != made:
            both = (f"{found[0]} {found[1]}", f"{made[0]} {made[1]}")
            draft.refuse(name, "FIELD_CONFLICT", f"expected one {level}: a signal holds one", both, level)
            return
        if not kind and not said:
            draft.names[f"bare_{level}"] = name
        found = made
        draft.names[level] = name
    if found is None:
        return
    if found[0] == "percent" and level == "stop_loss" and found[1] >= _PERCENT_MOST:
        draft.refuse(draft.names[level], "FIELD_INVALID", "expected a percent below 100", str(found[1]), level)
    values[f"{level}_{found[0]}"] = found[1]
