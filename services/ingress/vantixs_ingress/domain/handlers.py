"""What becomes of one value: each name's slot has a handler, which converts the value once and puts it where it belongs."""

import json
from collections.abc import Callable
from typing import Any

from vantixs_ingress.domain import converters as to
from vantixs_ingress.domain.dialects import Number
from vantixs_ingress.domain.reading import MOST_HELD, Draft, Refused
from vantixs_ingress.domain.redaction import REDACTED
from vantixs_ingress.domain.vocabulary import (
    FLAGS,
    METRICS,
    ORDER_TYPE_FLAGS,
    PRICE_LIKE,
    SIZE_LIKE,
    STEER_FLAG,
    TARGET,
    is_secret,
    slot_of,
    target_kind,
)
from vantixs_ingress.domain.words import NEUTRAL, ORDER_TYPES, POSITIONS, action_of, folded_word, is_refused

Handler = Callable[[Draft, str, Any], None]
_STEERED = "a signal may not steer what it would be safe from: leave the field out"
_UNHELD = "expected none: nothing here can hold it"


def place(name: str, slot: str, value: Any, draft: Draft) -> None:
    """Puts one value into its slot, or keeps it."""
    if slot == "secret":
        return
    if value is None or value == "":
        return
    handler = _HANDLERS.get(slot)
    if handler is None:
        draft.keep(name, value if isinstance(value, str) else as_json(value))
        return
    if isinstance(value, str) and slot not in _UNTESTED and to.is_placeholder(value):
        draft.refuse(name, "PLACEHOLDER_NOT_RENDERED", "expected a value", value, slot)
        return
    try:
        handler(draft, name, value)
    except Refused as error:
        if error.complete:
            draft.refuse(name, error.reason, error.expected, slot=slot)
        else:
            draft.refuse(name, error.reason, error.expected, value, slot)


def as_json(value: Any) -> str:
    """A value as JSON text, its numbers as they were written, without what secret fields in it hold."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        parts = (
            f"{json.dumps(name, ensure_ascii=False)}: {json.dumps(REDACTED) if is_secret(name) else as_json(inner)}"
            for name, inner in value.items()
        )
        return "{" + ", ".join(parts) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_json, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _plain(slot: str, convert: Callable[[Any], Any]) -> Handler:
    def handle(draft: Draft, name: str, value: Any) -> None:
        draft.put(slot, name, convert(value))

    return handle


def _position(value: Any) -> Any:
    """A side, or a signed size."""
    return POSITIONS.get(folded_word(value)) or to.as_signed(value) if isinstance(value, str) else to.as_position(value)


def _price(slot: str) -> Handler:
    """A price that 0 leaves unsaid."""

    def handle(draft: Draft, name: str, value: Any) -> None:
        price = to.as_price(value)
        if price is None:
            draft.note(name, "FIELD_INVALID", "0 stands for none")
        else:
            draft.put(slot, name, price)

    return handle


def _action(kind: str) -> Handler:
    """A word that says what to do. `kind` is the class of its name: verb, side, ..."""

    def handle(draft: Draft, name: str, value: Any) -> None:
        found = action_of(value) if isinstance(value, str) and len(value) <= 64 else ""
        if found:
            draft.actions.append((name, kind, found))
            draft.values.setdefault("word", value)
        elif isinstance(value, str) and is_refused(value):
            expected = "expected buy, sell, close, long, short, ...: a signal may not start, stop or change what trades"
            raise Refused(expected, "ACTION_UNSUPPORTED")
        else:
            raise Refused("expected buy, sell, close, long, short, ...", "ACTION_UNSUPPORTED")

    return handle


def _verb_or_order_type(draft: Draft, name: str, value: Any) -> None:
    if isinstance(value, str) and not action_of(value) and slot_of(value)[0] in ORDER_TYPES:
        draft.put("order_type", name, to.as_order_type(value))
    else:
        _HANDLERS["verb"](draft, name, value)


def _order_type(draft: Draft, name: str, value: Any) -> None:
    """An order type; or an action, as in lth-elm's `"order_type": "exit_long"`."""
    if isinstance(value, str) and slot_of(value)[0] not in ORDER_TYPES and action_of(value) not in ("", NEUTRAL):
        _HANDLERS["verb"](draft, name, value)
    else:
        draft.put("order_type", name, to.as_order_type(value))


def _order_mode(draft: Draft, name: str, value: Any) -> None:
    """Market or limit in some dialects, which levels to place in CryptoGnome's."""
    if value in ("market", "limit", "MARKET", "LIMIT", "Market", "Limit"):
        draft.put("order_type", name, to.as_order_type(value))
    else:
        _unused(draft, name, value)


def _unused(draft: Draft, name: str, value: Any) -> None:
    draft.keep(name, value if isinstance(value, str) else as_json(value))
    if not to.says_no(value):
        draft.note(name, "FIELD_INVALID", "is not used: nothing here does that")


def _word(draft: Draft, name: str, value: Any) -> None:
    """A message: an action where it is just that word and nothing else says one, else a comment."""
    found = action_of(value) if isinstance(value, str) and len(value) <= 64 else ""
    if found and found != NEUTRAL:
        draft.actions.append((name, "word", found))
    else:
        _free("comment")(draft, name, value)


def _code(draft: Draft, name: str, value: Any) -> None:
    """WunderTrading's code: a bare action word, or one with a token behind it that must not be shown or kept."""
    found = action_of(value) if isinstance(value, str) and len(value) <= 64 else ""
    if not found:
        raise Refused("expected an action such as ENTER-LONG, was another text", "ACTION_UNSUPPORTED", complete=True)
    draft.actions.append((name, "verb", found))


def _flag(draft: Draft, name: str, value: Any) -> None:
    folded = slot_of(name.rpartition(".")[2])[0]
    if not to.as_bool(value):
        return
    if folded in FLAGS:
        draft.actions.append((name, "flag", FLAGS[folded]))
    else:
        draft.put("order_type", name, ORDER_TYPE_FLAGS[folded])


def _close(draft: Draft, name: str, value: Any) -> None:
    """The bar's last price, or whether to close."""
    if isinstance(value, bool) or (isinstance(value, str) and value.lower() in ("true", "false")):
        if to.as_bool(value):
            draft.actions.append((name, "flag", "CLOSE"))
    else:
        draft.values["close"], draft.names["close"] = to.as_price(value), name


def _switch(slot: str) -> Handler:
    def handle(draft: Draft, name: str, value: Any) -> None:
        if to.as_bool(value):
            draft.put(slot, name, value=True)

    return handle


def _close_position(draft: Draft, name: str, value: Any) -> None:
    if to.as_bool(value):
        draft.actions.append((name, "close_position", "CLOSE"))


def _symbol(draft: Draft, name: str, value: Any) -> None:
    if isinstance(value, dict | bool):
        raise Refused("expected a symbol such as BTCUSDT")
    draft.symbols.append((name, to.as_symbol(value)))


def _quantity(kind: str) -> Handler:
    def handle(draft: Draft, name: str, value: Any) -> None:
        if isinstance(value, str) and value.endswith("%") and kind != "NOTIONAL":
            draft.quantities.append((name, kind or "%", to.as_number(value[:-1])))
        else:
            draft.quantities.append((name, kind, to.as_number(value)))

    return handle


def _volume(draft: Draft, name: str, value: Any) -> None:
    draft.values["volume"], draft.names["volume"] = value, name


def _level(level: str, kind: str = "", side: str = "") -> Handler:
    """A protective level. `kind` where the name says it, `side` where it is for longs or shorts only."""
    own_price = "stopprice" if level == "stop_loss" else "limitprice"

    def handle(draft: Draft, name: str, value: Any) -> None:
        if kind:
            number = (to.as_percent if kind == "percent" else to.as_price)(value)
            found = (kind, number) if number else None
        else:
            found = to.as_level(value, own_price)
        if found:
            draft.levels.append((name, side + level, *found))
        elif not isinstance(value, dict):
            draft.note(name, "FIELD_INVALID", "0 stands for none")

    return handle


def _targets(draft: Draft, name: str, value: Any) -> None:
    found = to.as_level_list(value)
    if found:
        draft.levels.append((name, "take_profit", *found))


def _numbered_target(draft: Draft, name: str, value: Any) -> None:
    kind = target_kind(slot_of(name.rpartition(".")[2])[0])
    _level("take_profit", kind)(draft, name, value)


def _metrics(draft: Draft, name: str, value: Any) -> None:
    """tbot's list of name and value."""
    if not isinstance(value, list):
        raise Refused("expected a list of name and value")
    for item in value[:50]:
        metric = item.get("name") if isinstance(item, dict) else None
        slot = METRICS.get(metric) if isinstance(metric, str) else None
        if slot is None:
            draft.refuse(name, "FIELD_INVALID", f"expected names of {', '.join(METRICS)}", metric)
        elif not to.says_no(item.get("value")):
            place(f"{name}.{metric}", slot, item["value"], draft)


def _free(slot: str) -> Handler:
    """Text that is kept and never acted on: the first counts, others are kept beside it."""

    def handle(draft: Draft, name: str, value: Any) -> None:
        text = value if isinstance(value, str) else as_json(value)
        if slot in draft.values:
            draft.keep(name, text)
        else:
            draft.values[slot], draft.names[slot] = text[:MOST_HELD], name

    return handle


def _bar_time(draft: Draft, name: str, value: Any) -> None:
    draft.values.setdefault("bar_time_sent", value)
    draft.names.setdefault("bar_time_sent", name)


def _milliseconds(draft: Draft, name: str, value: Any) -> None:
    draft.put("expires_after_s", name, to.as_seconds(value) / 1000)


def _unheld(draft: Draft, name: str, value: Any) -> None:
    if not to.says_no(value):
        raise Refused(_UNHELD)


def _option(draft: Draft, name: str, value: Any) -> None:
    if not to.says_no(value):
        raise Refused("expected spot or perpetual: options are not traded here", "SYMBOL_UNSUPPORTED")


def _steer(draft: Draft, name: str, value: Any) -> None:
    raise Refused(_STEERED, "OVERRIDE_NOT_ALLOWED", complete=True)


def _steer_flag(draft: Draft, name: str, value: Any) -> None:
    if not to.says_no(value):
        raise Refused(_STEERED, "OVERRIDE_NOT_ALLOWED", complete=True)


def _unknown(what: str) -> Handler:
    def handle(draft: Draft, name: str, value: Any) -> None:
        draft.keep(name, value if isinstance(value, str) else as_json(value))
        if not to.says_no(value) and not isinstance(value, bool):
            draft.note(name, "FIELD_INVALID", f"looks like a {what} and is not used: we do not know this field")

    return handle


_HANDLERS: dict[str, Handler] = {
    "symbol": _symbol,
    "exchange": _plain("exchange", to.as_exchange),
    "platform": _free("platform"),
    "kind": _plain("kind", to.as_instrument_kind),
    "verb": _action("verb"),
    "verb_or_order_type": _verb_or_order_type,
    "side": _action("side"),
    "position_side": _plain("position_side", to.choice({"long": "LONG", "short": "SHORT", "both": ""}, "expected long or short")),
    "word": _word,
    "code": _code,
    "flag": _flag,
    "close": _close,
    "target_position": _plain("target_position", to.as_position),
    "previous_position": _plain("previous_position", to.as_position),
    "position": _plain("position", _position),
    "signed_size": _plain("signed_size", to.as_signed),
    "size_after": _plain("size_after", to.as_signed),
    "size_before": _plain("size_before", to.as_signed),
    "quantity": _quantity(""),
    "volume": _volume,
    "quantity_notional": _quantity("NOTIONAL"),
    "quantity_equity_percent": _quantity("EQUITY_PERCENT"),
    "quantity_risk_percent": _quantity("RISK_PERCENT"),
    "quantity_position_percent": _quantity("POSITION_PERCENT"),
    "quantity_type": _plain("quantity_type", to.as_quantity_type),
    "price": _price("price"),
    "trigger_price": _price("trigger_price"),
    "order_type": _order_type,
    "order_mode": _order_mode,
    "unused": _unused,
    "limit_price": _price("limit_price"),
    "stop_price": _price("stop_price"),
    "time_in_force": _plain("time_in_force", to.as_time_in_force),
    "leverage": _plain("leverage", to.as_leverage),
    "stop_loss_kind": _plain("stop_loss_kind", to.as_level_kind),
    "take_profit_kind": _plain("take_profit_kind", to.as_level_kind),
    **{
        (f"{level}_{kind}" if kind else level): _level(level, kind)
        for level in ("stop_loss", "take_profit")
        for kind in ("", "price", "percent", "amount")
    },
    **{
        f"{side}{level}": _level(level, side=side)
        for level in ("stop_loss", "take_profit")
        for side in ("long_", "short_")
    },
    "targets": _targets,
    TARGET: _numbered_target,
    "reduce_only": _switch("reduce_only"),
    "close_position": _close_position,
    "metrics": _metrics,
    "idempotency_key": _plain("idempotency_key", to.as_key),
    "emit_time": _plain("emit_time", to.as_time),
    "bar_time": _bar_time,
    "expires_after_s": _plain("expires_after_s", to.as_seconds),
    "expires_after_ms": _milliseconds,
    "expire_time": _plain("expire_time", to.as_time),
    "comment": _free("comment"),
    "tag": _free("tag"),
    "mode": _plain("mode", to.as_text),
    "test": _switch("test"),
    "account": _plain("account", to.as_text),
    "unheld": _unheld,
    "option": _option,
    "steer": _steer,
    STEER_FLAG: _steer_flag,
    SIZE_LIKE: _unknown("size"),
    PRICE_LIKE: _unknown("price or level"),
}  # fmt: skip
# Kept and never acted on, or not ours: a placeholder in there does no harm.
_UNTESTED = frozenset(("comment", "tag", "bar_time", "word", "steer", SIZE_LIKE, PRICE_LIKE, "platform"))
