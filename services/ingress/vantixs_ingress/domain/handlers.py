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
    HIDDEN,
    LEVEL,
    METRICS,
    ORDER_TYPE_FLAGS,
    PRICE_LIKE,
    PROTECTS,
    STEER_FLAG,
    TARGET_SHARE,
    hidden_members,
    is_hidden,
    level_of,
    protects,
    slot_of,
)
from vantixs_ingress.domain.words import (
    NEUTRAL,
    ORDER_TYPES,
    POSITIONS,
    WAITING_ORDERS,
    action_of,
    folded_word,
    is_refused,
)

Handler = Callable[[Draft, str, Any], None]
_STEERED = "a signal may not steer what it would be safe from: leave the field out"
_UNHELD = "expected none: nothing here can hold it"
_UNREAD = "expected none: it looks like a stop, target, size, limit or trigger, and this field is not understood"
_METRICS_MOST = 50


def place(name: str, slot: str, value: Any, draft: Draft) -> None:
    """Puts one value into its slot, or keeps it."""
    if slot in ("secret", HIDDEN) or value is None or value == "":
        return
    handler = _HANDLERS.get(slot)
    if handler is None:
        keep(name, value, draft)
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


def keep(name: str, value: Any, draft: Draft) -> None:
    """Keeps what is not acted on; an entry is refused for a stop, target, size, limit or trigger inside it."""
    draft.keep(name, value if isinstance(value, str) else as_json(value))
    refuse_inside(name, value, draft)


def refuse_inside(name: str, value: Any, draft: Draft, known: frozenset[str] = frozenset()) -> None:
    """Refuses an entry for what protects inside an object, a list, or a text that is one of them in JSON.

    `known` are names that something else reads.
    """
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return  # A text, after all.
    if isinstance(value, dict | list):
        path = _protecting(name, value, known)
        if path:
            draft.refuse(path.lstrip("."), "FIELD_INVALID", _UNREAD, slot=PROTECTS)


def _protecting(path: str, value: Any, known: frozenset[str]) -> str:
    """The path of the first field inside that is about a stop, target, size, limit or trigger and says something; "" for none."""
    inner = value.items() if isinstance(value, dict) else ((str(n), item) for n, item in enumerate(value))
    for name, item in inner:
        if isinstance(value, dict) and name not in known and protects(name) and not to.says_no(item):
            return f"{path}.{name}"
        found = _protecting(f"{path}.{name}", item, known) if isinstance(item, dict | list) else ""
        if found:
            return found
    return ""


def as_json(value: Any) -> str:
    """A value as JSON text, its numbers as they were written, without what secret fields in it hold."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        named = hidden_members(value)
        parts = (
            f"{json.dumps(name, ensure_ascii=False)}: "
            f"{json.dumps(REDACTED) if name in named or is_hidden(name) else as_json(inner)}"
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


def _position_or_exit(draft: Draft, name: str, value: Any) -> None:
    """A position, or Skyrexio's `position: close`."""
    if (
        isinstance(value, str)
        and action_of(value) in ("CLOSE", "CLOSE_LONG", "CLOSE_SHORT")
        and not _is_position(value)
    ):
        draft.actions.append((name, "verb", action_of(value)))
    else:
        draft.put("position", name, _position(value))


def _is_position(value: str) -> bool:
    return folded_word(value) in POSITIONS


def _position(value: Any) -> Any:
    """A side, or a signed size."""
    return POSITIONS.get(folded_word(value)) or to.as_signed(value) if isinstance(value, str) else to.as_position(value)


def _is_none(draft: Draft, name: str, value: Any) -> bool:
    """Whether a price or level is left unsaid: nothing, false, or 0, which is told."""
    if not to.says_no(value):
        return False
    if to.is_number(value):
        draft.note(name, "FIELD_INVALID", "0 stands for none")
    return True


def _price(slot: str) -> Handler:
    """A price that the order goes by; 0 and false leave it unsaid."""

    def handle(draft: Draft, name: str, value: Any) -> None:
        if not _is_none(draft, name, value):
            draft.put(slot, name, to.as_price(value))

    return handle


def _seen_price(slot: str) -> Handler:
    """A price that informs. Several may differ: the close of the bar, that of the fill, that of the entry."""

    def handle(draft: Draft, name: str, value: Any) -> None:
        if not _is_none(draft, name, value):
            price = to.as_price(value)
            assert price is not None  # noqa: S101 - only of what stands for none
            draft.prices.append((name, slot, price))

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


def _label(draft: Draft, name: str, value: Any) -> None:
    """An action where it is the word for one; else a label, which counts for nothing beside an action."""
    if isinstance(value, str) and (action_of(value) or is_refused(value)):
        _HANDLERS["verb"](draft, name, value)
    else:
        draft.labels.append((name, value if isinstance(value, str) else as_json(value)))


def _verb_or_order_type(draft: Draft, name: str, value: Any) -> None:
    folded = folded_word(value) if isinstance(value, str) and len(value) <= to.LONGEST_SYMBOL else ""
    if folded in WAITING_ORDERS:
        _waiting(draft, name, folded)
    elif folded in ORDER_TYPES and not action_of(value):
        draft.put("order_type", name, to.as_order_type(value))
    else:
        _label(draft, name, value)


def _waiting(draft: Draft, name: str, folded: str) -> None:
    """A type that waits for a price, such as `stop-loss`: an order's where a side stands beside it, else what has happened."""
    draft.values["waiting"], draft.names["waiting"] = folded, name
    if action_of(folded):
        draft.actions.append((name, "waiting", action_of(folded)))


def _order_type(draft: Draft, name: str, value: Any) -> None:
    """An order type; or an action, as in lth-elm's `"order_type": "exit_long"`."""
    folded = folded_word(value) if isinstance(value, str) and len(value) <= to.LONGEST_SYMBOL else ""
    if folded in WAITING_ORDERS:
        _waiting(draft, name, folded)
    elif folded and folded not in ORDER_TYPES and action_of(value) not in ("", NEUTRAL):
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
    if not found and isinstance(value, str):
        found = _read_code(draft, name, value)
    if not found:
        raise Refused("expected an action such as ENTER-LONG, was another text", "ACTION_UNSUPPORTED", complete=True)
    draft.actions.append((name, "verb", found))


def _read_code(draft: Draft, name: str, value: str) -> str:
    """The action of a whole code, ACTION_EXCHANGE_PAIR_BOT_..., whose pair is the symbol where nothing else says it."""
    parts = value.strip().split("_")
    found = action_of(parts[0]) if len(parts) > 1 and len(value) <= to.LONGEST_KEY else ""
    if found and len(parts) > 2 and len(parts[2]) <= to.LONGEST_SYMBOL:
        draft.values["code_symbol"], draft.names["code_symbol"] = parts[2], name
        draft.values.setdefault("exchange", parts[1])
        draft.names.setdefault("exchange", name)
    return found


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
    """A size of any sign: whether 0 or less is one depends on what the order does."""

    def handle(draft: Draft, name: str, value: Any) -> None:
        word = (
            to.SIZE_WORDS.get(folded_word(value))
            if isinstance(value, str) and len(value) <= to.LONGEST_SYMBOL
            else None
        )
        if word is not None:
            draft.quantities.append((name, "POSITION_PERCENT", word))
        elif isinstance(value, str) and value.endswith("%") and kind != "NOTIONAL":
            draft.quantities.append((name, "%" if kind in ("", "PERCENT") else kind, to.as_size(value[:-1])))
        else:
            draft.quantities.append((name, kind, to.as_size(value)))

    return handle


def _volume(draft: Draft, name: str, value: Any) -> None:
    draft.values["volume"], draft.names["volume"] = value, name


def _level(level: str, kind: str = "", side: str = "") -> Handler:
    """A protective level. `kind` where the name says it, `side` where it is for longs or shorts only."""
    own_price = "stopprice" if level == "stop_loss" else "limitprice"

    def handle(draft: Draft, name: str, value: Any) -> None:
        if _is_none(draft, name, value):
            return
        if kind:
            number = (to.as_percent if kind == "percent" else to.as_price)(value)
            found = (kind, number) if number else None
        else:
            found = to.as_level(value, own_price)
        if found:
            draft.levels.append((name, side + level, *found))

    return handle


def _stop(draft: Draft, name: str, value: Any) -> None:
    """A bare `stop`: which one it is depends on the order's type, which may come later."""
    found = None if _is_none(draft, name, value) else to.as_level(value, "stopprice")
    if found:
        draft.values["stop"], draft.names["stop"] = found, name


def _targets(draft: Draft, name: str, value: Any) -> None:
    found = to.as_level_list(value)
    if found:
        draft.levels.append((name, "take_profit", *found))


def _named_level(draft: Draft, name: str, value: Any) -> None:
    """A level by the parts of its name, such as `stop_loss_exact_price` or `tp1`."""
    level, kind = level_of(slot_of(name.rpartition(".")[2])[0])
    side, _, rest = level.partition("_")
    if side in ("long", "short"):
        _level(rest, kind, f"{side}_")(draft, name, value)
    else:
        _level(level, kind)(draft, name, value)


def _target_share(draft: Draft, name: str, value: Any) -> None:
    """What part of the position a take profit is for: the whole is what one level is for anyway."""
    if to.says_no(value):
        return
    share = to.as_percent(value)
    if share != 100:
        raise Refused("expected 100 or none: a take profit here is for the whole position")


def _metrics(draft: Draft, name: str, value: Any) -> None:
    """tbot's list of name and value."""
    if not isinstance(value, list) or len(value) > _METRICS_MOST:
        raise Refused(f"expected a list of at most {_METRICS_MOST} objects with name and value")
    for item in value:
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
        refuse_inside(name, value, draft)
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


def _unread(draft: Draft, name: str, value: Any) -> None:
    """What nobody here understands and an entry must not lose: a stop, target, size, limit or trigger by its name."""
    if is_hidden(name.rpartition(".")[2]):
        # `token_amount` is a size and `stop_token` a secret: the value tells, and is not shown for it.
        if not to.says_no(value) and to.is_number(value):
            raise Refused(_UNREAD, complete=True)
        return
    draft.keep(name, value if isinstance(value, str) else as_json(value))
    if not to.says_no(value):
        raise Refused(_UNREAD)


def _price_like(draft: Draft, name: str, value: Any) -> None:
    keep(name, value, draft)
    if not to.says_no(value) and not isinstance(value, bool):
        draft.note(name, "FIELD_INVALID", "looks like a price or level and is not used: we do not know this field")


def _other_time(draft: Draft, name: str, value: Any) -> None:
    """An emit time where it is one: under these names some senders put a day, or a number of their own."""
    try:
        draft.values.setdefault("other_time", to.as_time(value))
        draft.names.setdefault("other_time", name)
    except Refused:
        keep(name, value, draft)


def _stake(draft: Draft, name: str, value: Any) -> None:
    if not to.says_no(value):
        draft.values["stake"], draft.names["stake"] = to.as_number(value), name


def _native_contracts(draft: Draft, name: str, value: Any) -> None:
    draft.values["native_contracts"], draft.names["native_contracts"] = to.as_number(value), name


def _half_symbol(slot: str) -> Handler:
    def handle(draft: Draft, name: str, value: Any) -> None:
        if isinstance(value, str) and len(value) <= to.LONGEST_SYMBOL:
            draft.values.setdefault(slot, value)
            draft.names.setdefault(slot, name)
        else:
            keep(name, value, draft)

    return handle


_HANDLERS: dict[str, Handler] = {
    "symbol": _symbol,
    "exchange": _plain("exchange", to.as_exchange),
    "platform": _free("platform"),
    "kind": _plain("kind", to.as_instrument_kind),
    "base": _half_symbol("base"),
    "quote": _half_symbol("quote"),
    "verb": _action("verb"),
    "label": _label,
    "verb_or_order_type": _verb_or_order_type,
    "side": _action("side"),
    "position_side": _plain("position_side", to.choice(
        {"long": "LONG", "short": "SHORT", "flat": "FLAT", "both": "", "net": ""}, "expected long, short or flat"
    )),
    "word": _word,
    "code": _code,
    "flag": _flag,
    "close": _close,
    "target_position": _plain("target_position", to.as_position),
    "previous_position": _plain("previous_position", to.as_position),
    "position": _position_or_exit,
    "signed_size": _plain("signed_size", to.as_signed),
    "size_after": _plain("size_after", to.as_signed),
    "size_before": _plain("size_before", to.as_signed),
    "quantity": _quantity(""),
    "volume": _volume,
    "quantity_notional": _quantity("NOTIONAL"),
    "quantity_equity_percent": _quantity("EQUITY_PERCENT"),
    "quantity_percent": _quantity("PERCENT"),
    "native_contracts": _native_contracts,
    "stake": _stake,
    "quantity_risk_percent": _quantity("RISK_PERCENT"),
    "quantity_position_percent": _quantity("POSITION_PERCENT"),
    "quantity_type": _plain("quantity_type", to.as_quantity_type),
    "price": _seen_price("price"),
    "entry_price": _seen_price("entry_price"),
    "trigger_price": _price("trigger_price"),
    "order_type": _order_type,
    "order_mode": _order_mode,
    "unused": _unused,
    "limit_price": _price("limit_price"),
    "stop_price": _price("stop_price"),
    "stop": _stop,
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
    LEVEL: _named_level,
    TARGET_SHARE: _target_share,
    "reduce_only": _switch("reduce_only"),
    "close_position": _close_position,
    "metrics": _metrics,
    "idempotency_key": _plain("idempotency_key", to.as_key),
    "reference": _plain("reference", to.as_reference),
    "emit_time": _plain("emit_time", to.as_time),
    "other_time": _other_time,
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
    PROTECTS: _unread,
    PRICE_LIKE: _price_like,
}  # fmt: skip
# Kept and never acted on, or not ours: a placeholder in there does no harm.
_UNTESTED = frozenset(("comment", "tag", "bar_time", "word", "steer", "label", PRICE_LIKE, "platform", "reference"))
