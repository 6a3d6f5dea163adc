"""The terms of an order: type and prices, quantity, protective levels."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from vantixs_ingress.domain.payload.field_handlers import place
from vantixs_ingress.domain.payload.reading import Draft
from vantixs_ingress.domain.payload.value_aliases import PERCENT
from vantixs_ingress.domain.payload.vocabulary import fold, slot_of
from vantixs_ingress.domain.signal.ladders import settle_ladder
from vantixs_ingress.domain.signal.protection import TRAILING, settle_protection
from vantixs_ingress.domain.signal.resting import settle_resting

_PERCENT_MOST = Decimal(100)
_HELD_BY = {"OPEN_LONG": "LONG", "OPEN_SHORT": "SHORT", "BUY": "LONG", "SELL": "SHORT"}
_WAITING = ("STOP", "STOP_LIMIT")
# The size of one contract at OKX, in the base asset. Source: OKX, GET /api/v5/public/instruments, ctVal.
_NATIVE_CONTRACTS = {
    "BTC/USDT:USDT": Decimal("0.01"), "ETH/USDT:USDT": Decimal("0.1"), "SOL/USDT:USDT": Decimal(1),
}  # fmt: skip


def settle_terms(draft: Draft, values: dict[str, Any], now: datetime, *, reduces: bool) -> None:
    """Adds the order's terms to the values, which have `action` and `target_position`.

    `reduces`: the signal can only reduce.
    """
    _settle_order(draft, values, reduces=reduces)
    settle_resting(draft, values, now)
    _settle_quantity(draft, values, reduces=reduces)
    if draft.levels:
        _settle_stop_loss(draft, values)
    if draft.targets or draft.shares:
        settle_ladder(draft, values)
    settle_protection(draft, values, reduces=reduces)


def _settle_order(draft: Draft, values: dict[str, Any], *, reduces: bool) -> None:
    slots = draft.values
    kind = slots.get("order_type")
    _settle_stop(draft, kind)
    prices = _settle_prices(draft, values, kind, reduces=reduces)
    for slot in ("limit_price", "stop_price"):
        if slot in slots:
            values[slot] = slots[slot]
    if kind is None and "limit_price" in slots and "stop_price" not in slots:
        # The sender gives a limit, so the order must not become a market order.
        kind = "LIMIT"
    if kind:
        values["order_type"] = kind
    if kind in _WAITING and "stop_price" not in slots and "waiting" in slots and prices:
        # An exchange's own order type, whose one price is the trigger.
        values["stop_price"], draft.names["stop_price"] = values.pop("price"), prices[0][0]
    if kind in ("LIMIT", "STOP_LIMIT") and "limit_price" not in slots:
        _default_limit(draft, values, prices)
    if kind in _WAITING and "stop_price" not in values and not _is_wrong(draft, "stop_price", "stop", "price"):
        expected = "expected a stop price for a stop order, was none"
        draft.refuse("stop_price", "FIELD_MISSING", expected, slot="waiting")
    if "stop_price" in slots and kind not in _WAITING:
        expected = "expected order_type stop or stop_limit together with it: for a stop loss send stop_loss"
        draft.refuse(draft.names["stop_price"], "FIELD_CONFLICT", expected, kind or "no order type", "stop_price")
    if kind == TRAILING and "limit_price" in slots:
        expected = "expected none: a trailing stop order becomes a market order when it is reached"
        draft.refuse(draft.names["limit_price"], "FIELD_CONFLICT", expected, str(slots["limit_price"]), "limit_price")
    if kind == "MARKET" and "limit_price" in slots:
        draft.note(draft.names["limit_price"], "FIELD_CONFLICT", "is not used: the order is a market order")


def _settle_stop(draft: Draft, kind: str | None) -> None:
    """`stop` is the trigger if the order is a stop order; otherwise it is the stop loss."""
    slots = draft.values
    if "stop" not in slots:
        return
    name, (said, number) = draft.names["stop"], slots["stop"]
    if kind in _WAITING and "stop_price" not in slots and said in ("", "price"):
        draft.put("stop_price", name, number)
    else:
        draft.levels.append((name, "stop_loss", said, number))


def _settle_prices(
    draft: Draft, values: dict[str, Any], kind: str | None, *, reduces: bool
) -> list[tuple[str, Decimal]]:
    """Makes the first price `price`, keeps the others as extras; returns all prices that differ."""
    slots, found = draft.values, list(draft.prices)
    if "trigger_price" in slots and kind in _WAITING:
        draft.put("stop_price", draft.names["trigger_price"], slots["trigger_price"])
    elif "trigger_price" in slots:
        # A trigger together with another price is a condition, which a market order cannot have.
        name, trigger = draft.names["trigger_price"], slots["trigger_price"]
        if any(price != trigger for _, _, price in found):
            both = (next(price for _, _, price in found if price != trigger), trigger)
            draft.refuse(name, "FIELD_CONFLICT", "expected one price", both, "trigger_price")
        found.append((name, "price", trigger))
    if not found and slots.get("close") is not None:
        found.append((draft.names["close"], "price", slots["close"]))
    prices: list[tuple[str, Decimal]] = []
    for name, slot, price in found:
        if slot == "entry_price" and reduces:
            draft.keep(name, str(price))  # The price at which the position was opened.
        elif all(price != other for _, other in prices):
            prices.append((name, price))
            if len(prices) > 1:
                draft.keep(name, str(price))
    if prices:
        draft.names["price"], values["price"] = prices[0]
    return prices


def _default_limit(draft: Draft, values: dict[str, Any], prices: list[tuple[str, Decimal]]) -> None:
    """The limit of a limit order without one: the price, if there is exactly one."""
    if len(prices) > 1:
        (_, first), (name, second) = prices[:2]
        draft.refuse(name, "FIELD_CONFLICT", "expected one price for a limit order", (first, second), "limit_price")
    elif "price" in values:
        values["limit_price"] = values["price"]
    elif not _is_wrong(draft, "price", "entry_price", "limit_price", "trigger_price"):
        expected = "expected a limit price for a limit order, was none"
        draft.refuse("limit_price", "FIELD_MISSING", expected, slot="limit_price")


def _is_wrong(draft: Draft, *slots: str) -> bool:
    """Whether one of these slots has a problem. Such a slot is not also reported as missing."""
    return any(p.slot in slots for p in draft.problems)


def _settle_quantity(draft: Draft, values: dict[str, Any], *, reduces: bool) -> None:
    if "volume" in draft.values:
        _settle_volume(draft)
    if "native_contracts" in draft.values:
        _settle_native_contracts(draft, values, reduces=reduces)
    if "stake" in draft.values and (draft.quantities or reduces):
        draft.keep(draft.names["stake"], str(draft.values["stake"]))
    elif "stake" in draft.values:
        draft.quantities.append((draft.names["stake"], "NOTIONAL", draft.values["stake"]))
    said = draft.values.get("quantity_type", "")
    percent = "POSITION_PERCENT" if reduces else "EQUITY_PERCENT"
    said = percent if said == PERCENT else said
    taken: tuple[Decimal, str] | None = None
    for name, kind, number in draft.quantities:
        made = said if kind in ("", "%") and said else {"": "UNITS", "%": percent, PERCENT: percent}.get(kind, kind)
        quantity = abs(number) if reduces else number
        if quantity <= 0:
            draft.refuse(name, "FIELD_INVALID", "expected a number above 0 such as 0.5", str(number), "quantity")
        elif kind == "%" and not made.endswith("PERCENT"):
            draft.refuse(name, "FIELD_CONFLICT", f"expected {made}", f"{number}%", "quantity")
        elif kind not in ("", "%") and said and said != made:
            draft.refuse(name, "FIELD_CONFLICT", f"expected {said} as quantity_type says", made, "quantity")
        elif taken and taken != (quantity, made):
            both = (f"{taken[0]} {taken[1]}", f"{quantity} {made}")
            draft.refuse(name, "FIELD_CONFLICT", "expected one quantity", both, "quantity")
        elif made.endswith("PERCENT") and quantity > _PERCENT_MOST:
            draft.refuse(name, "FIELD_INVALID", "expected at most 100 percent", str(quantity), "quantity")
        elif not taken:
            taken = values["quantity"], values["quantity_type"] = quantity, made
            draft.names["quantity"] = name
    if reduces:
        _settle_part(draft, values)


def _settle_part(draft: Draft, values: dict[str, Any]) -> None:
    """Sets the part that an exit closes if its quantity is missing or cannot be read, from the sizes before and after.

    If the sender says that a part stays and nothing says how much, closing the whole would be another order. Then an
    unreadable quantity refuses the exit. If two quantities differ, the first counts.
    """
    if "quantity" in values:
        return
    wrong = next((p for p in draft.problems if p.slot.startswith("quantity") or p.slot == "native_contracts"), None)
    said = any(slot in draft.values for slot in ("target_position", "signed_size", "size_after", "position"))
    stays = values.get("action") == "REDUCE" or (said and values.get("target_position") in ("LONG", "SHORT"))
    before, after = values.get("previous_quantity"), values.get("target_quantity")
    if stays and before and after is not None and before > after:
        values["quantity"], values["quantity_type"] = before - after, "UNITS"
    elif stays and wrong is not None:
        wrong.slot = "part"


def _settle_native_contracts(draft: Draft, values: dict[str, Any], *, reduces: bool) -> None:
    """Reads `sz` of OKX, which counts contracts. An exit takes that part; an entry is sized by the webhook."""
    name, count = draft.names["native_contracts"], draft.values["native_contracts"]
    size = _NATIVE_CONTRACTS.get(values.get("instrument", ""))
    if not reduces:
        draft.keep(name, str(count))
        draft.note(
            name, "FIELD_INVALID", "is not used: it counts the exchange's contracts, and the webhook's sizing decides"
        )
    elif size is not None:
        draft.quantities.append((name, "", count * size))
    else:
        expected = "expected a quantity in units of the base asset: this counts the exchange's contracts"
        draft.refuse(name, "FIELD_INVALID", expected, str(count), "native_contracts")


def _settle_volume(draft: Draft) -> None:
    """Reads `volume`: the order's size if nothing else says it, the bar's volume if fields of a chart are there too."""
    name, value = draft.names["volume"], draft.values["volume"]
    chart = ("open", "high", "low", "interval", "timeframe")
    bar = (
        any(slot_of(key.rpartition(".")[2])[0] in chart for key in draft.extras)
        or "close" in draft.values
        or "bar_time_sent" in draft.values
    )
    if fold(str(draft.values.get("word", ""))).startswith("positiontype"):
        bar = False  # This is a message of MetaTrader, whose volume is the size.
    if bar or draft.quantities or any(p.slot.startswith("quantity") for p in draft.problems):
        draft.keep(name, str(value))
        return
    place(name, "quantity", value, draft)


def _settle_stop_loss(draft: Draft, values: dict[str, Any]) -> None:
    side = values.get("target_position") or _HELD_BY.get(values.get("action", ""), "")
    found: tuple[str, Decimal] | None = None
    said = draft.values.get("stop_loss_kind", "")
    for name, slot, kind, number in draft.levels:
        if slot not in ("stop_loss", f"{side.lower()}_stop_loss"):
            draft.keep(name, str(number))
            draft.note(name, "FIELD_INVALID", "is for the other side, and is not used")
            continue
        if not kind and not said and "platform" in draft.values:
            expected = "expected stop_loss_price or a percent: a number is a distance on that platform and a price here"
            draft.refuse(name, "FIELD_INVALID", expected, str(number), "stop_loss")
            return
        made = (kind or said or "price", number)
        if found is not None and found != made:
            both = (f"{found[0]} {found[1]}", f"{made[0]} {made[1]}")
            draft.refuse(
                name, "FIELD_CONFLICT", "expected one stop_loss: a signal can have only one", both, "stop_loss"
            )
            return
        if not kind and not said:
            draft.names["bare_stop_loss"] = name
        found = made
        draft.names["stop_loss"] = name
    if found is None:
        return
    if found[0] == "percent" and found[1] >= _PERCENT_MOST:
        draft.refuse(
            draft.names["stop_loss"], "FIELD_INVALID", "expected a percent below 100", str(found[1]), "stop_loss"
        )
    values[f"stop_loss_{found[0]}"] = found[1]
