"""Handlers by slot: each converts a field's value once, and puts it into the draft."""

from collections.abc import Callable
from typing import Any

from vantixs_ingress.domain.payload import action_handlers, protection_handlers
from vantixs_ingress.domain.payload import converters as to
from vantixs_ingress.domain.payload.field_aliases import METRICS
from vantixs_ingress.domain.payload.kept_fields import free_text, keep, refuse_unread, says_none, unused
from vantixs_ingress.domain.payload.reading import ConversionError, Draft
from vantixs_ingress.domain.payload.targets import read_share
from vantixs_ingress.domain.payload.trailing import read_even, read_start, read_trail
from vantixs_ingress.domain.payload.value_aliases import folded_word
from vantixs_ingress.domain.payload.vocabulary import (
    EVEN,
    HIDDEN,
    LEVEL,
    PRICE_LIKE,
    PROTECTS,
    STEER_FLAG,
    TARGET_SHARE,
    TRAIL,
)

Handler = Callable[[Draft, str, Any], None]
_STEERED = "a signal may not change its own safety checks: leave the field out"
_UNHELD = "expected none: this is not supported"
_METRICS_MOST = 50


def place(name: str, slot: str, value: Any, draft: Draft) -> None:
    """Converts one value and puts it into its slot, or stores it without effect."""
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
    except ConversionError as error:
        if error.complete:
            draft.refuse(name, error.reason, error.expected, slot=slot)
        else:
            draft.refuse(name, error.reason, error.expected, value, slot)


def _plain(slot: str, convert: Callable[[Any], Any]) -> Handler:
    def handle(draft: Draft, name: str, value: Any) -> None:
        draft.put(slot, name, convert(value))

    return handle


def _price(slot: str) -> Handler:
    """A price of the order; 0 and false mean none."""

    def handle(draft: Draft, name: str, value: Any) -> None:
        if not says_none(draft, name, value):
            draft.put(slot, name, to.as_price(value))

    return handle


def _seen_price(slot: str) -> Handler:
    """A price that is not a term of the order, such as the bar's close, a fill or the entry; several may differ."""

    def handle(draft: Draft, name: str, value: Any) -> None:
        if not says_none(draft, name, value):
            price = to.as_price(value)
            assert price is not None  # noqa: S101 - it is None only for 0, which `says_none` handles
            draft.prices.append((name, slot, price))

    return handle


def _switch(slot: str) -> Handler:
    def handle(draft: Draft, name: str, value: Any) -> None:
        if to.as_bool(value):
            draft.put(slot, name, value=True)

    return handle


def _symbol(draft: Draft, name: str, value: Any) -> None:
    if isinstance(value, dict | bool):
        raise ConversionError("expected a symbol such as BTCUSDT")
    draft.symbols.append((name, to.as_symbol(value)))


def _quantity(kind: str) -> Handler:
    """A size of any sign: whether 0 or less is valid depends on what the order does."""

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


def _expire(draft: Draft, name: str, value: Any) -> None:
    """The expiry of an order, used if the time in force is GTD."""
    draft.values["expire"], draft.names["expire"] = value, name


def _order_expire_time(draft: Draft, name: str, value: Any) -> None:
    if not to.says_no(value):
        draft.put("order_expire_time", name, to.as_time(value))


def _metrics(draft: Draft, name: str, value: Any) -> None:
    """The list of names and values that tbot sends."""
    if not isinstance(value, list) or len(value) > _METRICS_MOST:
        raise ConversionError(f"expected a list of at most {_METRICS_MOST} objects with name and value")
    for item in value:
        metric = item.get("name") if isinstance(item, dict) else None
        slot = METRICS.get(metric) if isinstance(metric, str) else None
        if slot is None:
            draft.refuse(name, "FIELD_INVALID", f"expected names of {', '.join(METRICS)}", metric)
        elif not to.says_no(item.get("value")):
            place(f"{name}.{metric}", slot, item["value"], draft)


def _bar_time(draft: Draft, name: str, value: Any) -> None:
    draft.values.setdefault("bar_time_sent", value)
    draft.names.setdefault("bar_time_sent", name)


def _milliseconds(draft: Draft, name: str, value: Any) -> None:
    draft.put("expires_after_s", name, to.as_seconds(value) / 1000)


def _unheld(draft: Draft, name: str, value: Any) -> None:
    if not to.says_no(value):
        raise ConversionError(_UNHELD)


def _option(draft: Draft, name: str, value: Any) -> None:
    if not to.says_no(value):
        raise ConversionError("expected spot or perpetual: options are not traded here", "SYMBOL_UNSUPPORTED")


def _steer(draft: Draft, name: str, value: Any) -> None:
    raise ConversionError(_STEERED, "OVERRIDE_NOT_ALLOWED", complete=True)


def _steer_flag(draft: Draft, name: str, value: Any) -> None:
    if not to.says_no(value):
        raise ConversionError(_STEERED, "OVERRIDE_NOT_ALLOWED", complete=True)


def _price_like(draft: Draft, name: str, value: Any) -> None:
    keep(name, value, draft)
    if not to.says_no(value) and not isinstance(value, bool):
        draft.note(name, "FIELD_INVALID", "looks like a price or level, but is not used: the field is not known")


def _other_time(draft: Draft, name: str, value: Any) -> None:
    """An emit time if the value is a full time: some senders put a day or another number under these names."""
    try:
        draft.values.setdefault("other_time", to.as_time(value))
        draft.names.setdefault("other_time", name)
    except ConversionError:
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
    "platform": free_text("platform"),
    "kind": _plain("kind", to.as_instrument_kind),
    "base": _half_symbol("base"),
    "quote": _half_symbol("quote"),
    "verb": action_handlers.action("verb"),
    "label": action_handlers.label,
    "verb_or_order_type": action_handlers.verb_or_order_type,
    "side": action_handlers.action("side"),
    "position_side": _plain("position_side", to.choice(
        {"long": "LONG", "short": "SHORT", "flat": "FLAT", "both": "", "net": ""}, "expected long, short or flat"
    )),
    "word": action_handlers.word,
    "code": action_handlers.code,
    "flag": action_handlers.flag,
    "close": action_handlers.close,
    "target_position": _plain("target_position", to.as_position),
    "previous_position": _plain("previous_position", to.as_position),
    "position": action_handlers.position_or_exit,
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
    "order_type": action_handlers.order_type,
    "order_mode": action_handlers.order_mode,
    "unused": unused,
    "limit_price": _price("limit_price"),
    "stop_price": _price("stop_price"),
    "stop": protection_handlers.stop,
    "time_in_force": action_handlers.time_in_force,
    "order_expire_time": _order_expire_time,
    "expire": _expire,
    "post_only": _switch("post_only"),
    "trail_percent": protection_handlers.callback_rate,
    "trail_start": read_start,
    TRAIL: read_trail,
    EVEN: read_even,
    "leverage": _plain("leverage", to.as_leverage),
    "stop_loss_kind": _plain("stop_loss_kind", to.as_level_kind),
    "take_profit_kind": _plain("take_profit_kind", to.as_level_kind),
    **{
        f"{level}{f'_{kind}' if kind else ''}": made(kind)
        for level, made in (("stop_loss", protection_handlers.stop_loss), ("take_profit", protection_handlers.take_profit))
        for kind in ("", "price", "percent", "amount")
    },
    **{f"{side}_stop_loss": protection_handlers.stop_loss(side=f"{side}_") for side in ("long", "short")},
    **{f"{side}_take_profit": protection_handlers.take_profit(side=side) for side in ("long", "short")},
    "targets": protection_handlers.targets,
    LEVEL: protection_handlers.named_level,
    TARGET_SHARE: read_share,
    "reduce_only": _switch("reduce_only"),
    "close_position": action_handlers.close_position,
    "metrics": _metrics,
    "idempotency_key": _plain("idempotency_key", to.as_key),
    "reference": _plain("reference", to.as_reference),
    "emit_time": _plain("emit_time", to.as_time),
    "other_time": _other_time,
    "bar_time": _bar_time,
    "expires_after_s": _plain("expires_after_s", to.as_seconds),
    "expires_after_ms": _milliseconds,
    "expire_time": _plain("expire_time", to.as_time),
    "comment": free_text("comment"),
    "tag": free_text("tag"),
    "mode": _plain("mode", to.as_text),
    "test": _switch("test"),
    "account": _plain("account", to.as_text),
    "unheld": _unheld,
    "option": _option,
    "steer": _steer,
    STEER_FLAG: _steer_flag,
    PROTECTS: refuse_unread,
    PRICE_LIKE: _price_like,
}  # fmt: skip
# Slots without effect, in which a placeholder does no harm.
_UNTESTED = frozenset(("comment", "tag", "bar_time", "word", "steer", "label", PRICE_LIKE, "platform", "reference"))
