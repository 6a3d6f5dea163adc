"""Lint: warnings about values that are allowed but probably not intended, and a suggested message."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from vantixs.model.decimals import format_decimal
from vantixs.model.instruments import Instrument

from vantixs_ingress.domain.payload.converters import is_placeholder
from vantixs_ingress.domain.payload.reading import FieldError, Reading
from vantixs_ingress.domain.payload.vocabulary import is_informative
from vantixs_ingress.domain.signal.exits import is_exit
from vantixs_ingress.domain.signal.freshness import is_bar_time
from vantixs_ingress.domain.signal.ladders import levels_of
from vantixs_ingress.domain.signal.protection import TRAILING
from vantixs_ingress.domain.signal.rules import Rules

_SECOND = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d)?(\.0+)?[Zz]?|\b1[0-9]{9}(000)?\b")
_HIGH_PERCENT = Decimal(10)
# Levels by the name of each in `values`, with the side of the entry price on which it has to be.
_LEVELS = {"stop_loss": -1, "trailing_activation": 1, "break_even_at": 1}
_KINDS = ("price", "percent", "amount")

Rule = Callable[[Reading, Rules, Mapping[str, Instrument]], Iterator[FieldError]]


def advice(reading: Reading, rules: Rules, catalogue: Mapping[str, Instrument]) -> list[FieldError]:
    """All warnings about a reading."""
    found = list(reading.warnings)
    for rule in _RULES:
        found.extend(rule(reading, rules, catalogue))
    return found


def _key_of_a_second(reading: Reading, rules: Rules, catalogue: Mapping[str, Instrument]) -> Iterator[FieldError]:
    key = reading.values.get("idempotency_key", "")
    if _SECOND.search(key):
        yield FieldError(
            reading.sources.get("idempotency_key", "idempotency_key"),
            "IDEMPOTENCY_CONFLICT",
            "a time in seconds is not a key: two fills of one second share it, and the second one is lost. Leave the key out "
            "(resent bytes are recognised), or use one that is new for each signal",
        )


def _bare_level(reading: Reading, rules: Rules, catalogue: Mapping[str, Instrument]) -> Iterator[FieldError]:
    for level in ("stop_loss", "take_profit"):
        name = reading.sources.get(f"bare_{level}")
        held = [reading.values[f"{level}_price"]] if f"{level}_price" in reading.values else []
        if level == "take_profit":
            held = [t.value for at, t in levels_of(reading.values) if reading.sources.get(at) == name]
        if name and held:
            what = f"send {level}_percent, {level}_amount or {level}_price to say it"
            detail = f"{format_decimal(held[0])} is taken as a price: {what}"
            yield FieldError(name, "FIELD_INVALID", detail)


def _either_kind(reading: Reading, rules: Rules, catalogue: Mapping[str, Instrument]) -> Iterator[FieldError]:
    instrument = catalogue.get(reading.values.get("instrument", ""))
    if instrument is None or instrument.perpetual or rules.default_instrument_kind:
        return
    twin = f"{instrument.name}:{instrument.quote_asset}"
    if twin in catalogue and reading.values["symbol"] != instrument.name:
        detail = f"is taken as spot {instrument.name}: add .P, or send {twin}, for the perpetual"
        yield FieldError(reading.sources.get("symbol", "symbol"), "SYMBOL_AMBIGUOUS", detail)


def _high_percent(reading: Reading, rules: Rules, catalogue: Mapping[str, Instrument]) -> Iterator[FieldError]:
    values = reading.values
    if values.get("quantity_type", "") in ("EQUITY_PERCENT", "RISK_PERCENT") and values["quantity"] > _HIGH_PERCENT:
        detail = f"asks for {values['quantity']} percent of equity in one order"
        yield FieldError(reading.sources.get("quantity", "quantity"), "FIELD_INVALID", detail)
    if values.get("stop_loss_percent", Decimal(0)) > _HIGH_PERCENT:
        detail = f"is {values['stop_loss_percent']} percent away from the entry"
        yield FieldError(reading.sources.get("stop_loss", "stop_loss"), "FIELD_INVALID", detail)


def _sell_without_target(reading: Reading, rules: Rules, catalogue: Mapping[str, Instrument]) -> Iterator[FieldError]:
    if reading.values.get("action") == "SELL" and "target_position" not in reading.values:
        may = "opens a short where there is no long" if rules.sell_opens_short else "only reduces or closes a long"
        detail = (
            f"a sell without the position after it {may}: send sentiment, {{{{strategy.market_position}}}}, to say it"
        )
        yield FieldError("target_position", "FIELD_MISSING", detail)


def _wrong_side(reading: Reading, rules: Rules, catalogue: Mapping[str, Instrument]) -> Iterator[FieldError]:
    values = reading.values
    price, action = values.get("price"), values.get("action")
    side = {"BUY": 1, "OPEN_LONG": 1, "SELL": -1, "OPEN_SHORT": -1}.get(action or "")
    if price is None or side is None or is_exit(values, sell_opens_short=rules.sell_opens_short):
        return
    prices = [(level, values[f"{level}_price"], sign) for level, sign in _LEVELS.items() if f"{level}_price" in values]
    prices += [(name, target.value, 1) for name, target in levels_of(values) if target.kind == "price"]
    for level, at, sign in prices:
        if (at - price) * side * sign <= 0:
            where = "below" if side * sign < 0 else "above"
            detail = f"expected {where} the price {format_decimal(price)}, was {format_decimal(at)}"
            yield FieldError(reading.sources.get(level, level), "FIELD_CONFLICT", detail)


def _unused(reading: Reading, rules: Rules, catalogue: Mapping[str, Instrument]) -> Iterator[FieldError]:
    told = {w.field for w in reading.warnings}
    for name in reading.extras:
        if name not in told and not is_informative(name):
            yield FieldError(name, "FIELD_INVALID", "is stored and not used: the field is not known")


def _secret(reading: Reading, rules: Rules, catalogue: Mapping[str, Instrument]) -> Iterator[FieldError]:
    if reading.secret:
        detail = "a secret is in the message: with the token in the URL it is not needed there"
        yield FieldError("body", "FIELD_INVALID", detail)


def _no_age(reading: Reading, rules: Rules, catalogue: Mapping[str, Instrument]) -> Iterator[FieldError]:
    if "action" in reading.values and "emit_time" not in reading.values:
        also = " (time is the bar's time)" if "bar_time" in reading.values else ""
        detail = f'without it a late alert looks like a fresh one{also}: send "timestamp": "{{{{timenow}}}}"'
        yield FieldError("timestamp", "FIELD_MISSING", detail)


def _bar_as_emit_time(reading: Reading, rules: Rules, catalogue: Mapping[str, Instrument]) -> Iterator[FieldError]:
    values = reading.values
    if "emit_time" in values and is_bar_time(values["emit_time"], reading.now, reading.extras):
        name = reading.sources.get("emit_time", "timestamp")
        yield FieldError(
            name, "FIELD_INVALID", "is the start of a bar of the chart: send {{timenow}} for the time of the alert"
        )


def _part_or_whole(reading: Reading, rules: Rules, catalogue: Mapping[str, Instrument]) -> Iterator[FieldError]:
    values = reading.values
    if "quantity" not in values:
        return
    if values.get("target_position") == "FLAT":
        detail = "is not used: the position after the signal is flat, so the whole position is closed"
        yield FieldError(reading.sources.get("quantity", "quantity"), "FIELD_INVALID", detail)
    elif values.get("action") in ("CLOSE", "CLOSE_LONG", "CLOSE_SHORT"):
        detail = "closes only that much of the position. Leave it out, or send the position after as flat, to close all"
        yield FieldError(reading.sources.get("quantity", "quantity"), "FIELD_INVALID", detail)


def _counted(reading: Reading, rules: Rules, catalogue: Mapping[str, Instrument]) -> Iterator[FieldError]:
    name = reading.sources.get("quantity", "")
    folded = name.rpartition(".")[2].lower()
    if folded in ("lot", "lots", "contracts", "size", "risk") and "quantity_type" not in reading.sources:
        kind = reading.values.get("quantity_type", "").lower()
        yield FieldError(name, "FIELD_INVALID", f"is counted in {kind}: send quantity_type to say what it counts")


def _unfilled(reading: Reading, rules: Rules, catalogue: Mapping[str, Instrument]) -> Iterator[FieldError]:
    for name in ("comment", "tag"):
        if is_placeholder(reading.values.get(name, "")):
            detail = "is stored unchanged: this placeholder was not filled in"
            yield FieldError(reading.sources.get(name, name), "PLACEHOLDER_NOT_RENDERED", detail)


_RULES: tuple[Rule, ...] = (
    _key_of_a_second, _bare_level, _either_kind, _high_percent, _sell_without_target, _wrong_side, _part_or_whole, _counted,
    _no_age, _bar_as_emit_time, _secret, _unused, _unfilled,
)  # fmt: skip


def suggested_message(reading: Reading, text: str) -> str:
    """A message with the same meaning and canonical names, to paste into TradingView.

    For a strategy's alert all values come from placeholders of the strategy. Otherwise action and symbol stay as they are,
    if they can be read, and time and price come from placeholders of the alert. Fields that are refused or not used are
    left out. So is a key: no placeholder of TradingView is new for each signal, and repeated bytes are recognised without a
    key. Empty if the payload has no action, because an action must not be invented.
    """
    values = reading.values
    strategy = "{{strategy." in text or "target_position" in values
    if not strategy and "action" not in values:
        return ""
    symbol = "{{ticker}}" if "{{ticker}}" in text or strategy else values.get("symbol", "{{ticker}}")
    message: dict[str, Any] = {
        "action": "{{strategy.order.action}}" if strategy else values["action"].lower(),
        "symbol": symbol if "instrument" in values else "{{ticker}}",
    }
    if strategy:
        message["sentiment"] = "{{strategy.market_position}}"
        message["prev_market_position"] = "{{strategy.prev_market_position}}"
    if "quantity" in values:
        of_order = strategy and values["quantity_type"] == "UNITS"
        message["quantity"] = "{{strategy.order.contracts}}" if of_order else format_decimal(values["quantity"])
        message["quantity_type"] = values["quantity_type"].lower()
    message |= _order_terms(values, strategy=strategy)
    message |= _protection(values, strategy=strategy)
    message["price"] = "{{close}}"
    message["timestamp"] = "{{timenow}}"
    if strategy:
        message["comment"] = "{{strategy.order.id}}"
    elif values.get("comment") and not is_placeholder(values["comment"]):
        message["comment"] = values["comment"]
    return json.dumps(message, indent=2, ensure_ascii=False)


def _protection(values: Mapping[str, Any], *, strategy: bool) -> dict[str, Any]:
    """Stop, targets, trailing and break-even, in canonical names. Prices of a strategy's ladder fit only one of its sides."""
    terms: dict[str, Any] = {}
    trails = ("trailing_stop", "trailing_activation")
    if values.get("order_type") == TRAILING:
        trails = ("sl_trail", "sl_trail_activation")  # For such an order the usual names mean the order's own distance.
    names = {"trailing_stop": trails[0], "trailing_activation": trails[1]}
    for level in ("stop_loss", "trailing_stop", "trailing_activation", "break_even_at"):
        name = names.get(level, level)
        for kind in _KINDS:
            if f"{level}_{kind}" in values:
                terms[f"{name}_{kind}"] = format_decimal(values[f"{level}_{kind}"])
    targets = [target for _, target in levels_of(values)]
    if len(targets) == 1 and targets[0].share is None:
        terms[f"take_profit_{targets[0].kind}"] = format_decimal(targets[0].value)
    else:
        priced = [target.value for target in targets if target.kind == "price"]
        side = ("short_" if priced[0] > priced[-1] else "long_") if strategy and len(priced) > 1 else ""
        for number, target in enumerate(targets, 1):
            level_of_target = {target.kind: format_decimal(target.value)}
            if target.share is not None:
                level_of_target["share"] = f"{format_decimal(target.share)}%"
            terms[f"{side}take_profit_{number}"] = level_of_target
    if "break_even_after_target" in values:
        terms["break_even_after_target"] = str(values["break_even_after_target"])
    return terms


def _order_terms(values: Mapping[str, Any], *, strategy: bool) -> dict[str, str]:
    terms = {}
    for name in ("order_type", "time_in_force"):
        if (
            name in values and values[name] != "GTD"
        ):  # An alert's message is sent many times, so a fixed date would be wrong.
            terms[name] = values[name].lower()
    for name in ("trail_percent", "trail_amount"):
        if name in values:
            terms[name] = format_decimal(values[name])
    if "post_only" in values:
        terms["post_only"] = "true"
    for name in ("limit_price", "stop_price", "activation_price"):
        if name in values:
            terms[name] = "{{strategy.order.price}}" if strategy else format_decimal(values[name])
    return terms
