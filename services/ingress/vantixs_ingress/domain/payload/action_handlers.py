"""Handlers of fields that contain an action: actions, sides, flags, positions, and order types in such fields."""

from collections.abc import Callable
from typing import Any

from vantixs_ingress.domain.payload import converters as to
from vantixs_ingress.domain.payload.field_aliases import FLAGS, ORDER_TYPE_FLAGS
from vantixs_ingress.domain.payload.kept_fields import as_json, free_text, unused
from vantixs_ingress.domain.payload.reading import ConversionError, Draft
from vantixs_ingress.domain.payload.value_aliases import (
    NEUTRAL,
    ORDER_TYPES,
    POSITIONS,
    POST_ONLY_WORDS,
    WAITING_ORDERS,
    action_of,
    folded_word,
    is_refused,
)
from vantixs_ingress.domain.payload.vocabulary import slot_of

Handler = Callable[[Draft, str, Any], None]


def action(kind: str) -> Handler:
    """A handler for a word that names an action. `kind` is the class of the field's name: verb, side, ..."""

    def handle(draft: Draft, name: str, value: Any) -> None:
        found = action_of(value) if isinstance(value, str) and len(value) <= 64 else ""
        if found:
            draft.actions.append((name, kind, found))
            draft.values.setdefault("word", value)
        elif isinstance(value, str) and is_refused(value):
            expected = "expected buy, sell, close, long, short, ...: a signal may not start, stop or change what trades"
            raise ConversionError(expected, "ACTION_UNSUPPORTED")
        else:
            raise ConversionError("expected buy, sell, close, long, short, ...", "ACTION_UNSUPPORTED")

    return handle


_VERB = action("verb")
_COMMENT = free_text("comment")


def label(draft: Draft, name: str, value: Any) -> None:
    """An action if the value is a word for one; else a label, which has no effect if another field has an action."""
    if isinstance(value, str) and (action_of(value) or is_refused(value)):
        _VERB(draft, name, value)
    else:
        draft.labels.append((name, value if isinstance(value, str) else as_json(value)))


def verb_or_order_type(draft: Draft, name: str, value: Any) -> None:
    """`type` and `order`: an order type, an order type that waits for a price, an action, or a label."""
    folded = folded_word(value) if isinstance(value, str) and len(value) <= to.LONGEST_SYMBOL else ""
    if folded in WAITING_ORDERS:
        _waiting(draft, name, folded)
    elif folded in POST_ONLY_WORDS:
        order_type(draft, name, value)
    elif folded in ORDER_TYPES and not action_of(value):
        draft.put("order_type", name, to.as_order_type(value))
    else:
        label(draft, name, value)


def _waiting(draft: Draft, name: str, folded: str) -> None:
    """An order type that waits for a price, such as `stop-loss`.

    With a side in another field it is the type of an order; without one it is an exit that has already happened at the
    sender.
    """
    draft.values["waiting"], draft.names["waiting"] = folded, name
    if action_of(folded):
        draft.actions.append((name, "waiting", action_of(folded)))


def order_type(draft: Draft, name: str, value: Any) -> None:
    """An order type; or an action, as in lth-elm's `"order_type": "exit_long"`."""
    folded = folded_word(value) if isinstance(value, str) and len(value) <= to.LONGEST_SYMBOL else ""
    if folded in WAITING_ORDERS:
        _waiting(draft, name, folded)
    elif folded in POST_ONLY_WORDS:
        draft.put("order_type", name, "LIMIT")
        draft.put("post_only", name, value=True)
    elif folded and folded not in ORDER_TYPES and action_of(value) not in ("", NEUTRAL):
        _VERB(draft, name, value)
    else:
        draft.put("order_type", name, to.as_order_type(value))


def time_in_force(draft: Draft, name: str, value: Any) -> None:
    """The time in force; or post-only under its name (Binance's GTX)."""
    if isinstance(value, str) and len(value) <= to.LONGEST_SYMBOL and folded_word(value) in POST_ONLY_WORDS:
        draft.put("post_only", name, value=True)
    else:
        draft.put("time_in_force", name, to.as_time_in_force(value))


def order_mode(draft: Draft, name: str, value: Any) -> None:
    """`orderMode`: an order type for some senders; CryptoGnome means the levels to place by it."""
    if value in ("market", "limit", "MARKET", "LIMIT", "Market", "Limit"):
        draft.put("order_type", name, to.as_order_type(value))
    else:
        unused(draft, name, value)


def word(draft: Draft, name: str, value: Any) -> None:
    """A message: an action if it is a word for one and no other field has an action, else a comment."""
    found = action_of(value) if isinstance(value, str) and len(value) <= 64 else ""
    if found and found != NEUTRAL:
        draft.actions.append((name, "word", found))
    else:
        _COMMENT(draft, name, value)


def code(draft: Draft, name: str, value: Any) -> None:
    """WunderTrading's code: an action word alone, or one followed by a token, which is neither shown nor stored."""
    found = action_of(value) if isinstance(value, str) and len(value) <= 64 else ""
    if not found and isinstance(value, str):
        found = _read_code(draft, name, value)
    if not found:
        raise ConversionError(
            "expected an action such as ENTER-LONG, was another text", "ACTION_UNSUPPORTED", complete=True
        )
    draft.actions.append((name, "verb", found))


def _read_code(draft: Draft, name: str, value: str) -> str:
    """The action of a complete code, ACTION_EXCHANGE_PAIR_BOT_...; its pair is the symbol if no other field has one."""
    parts = value.strip().split("_")
    found = action_of(parts[0]) if len(parts) > 1 and len(value) <= to.LONGEST_KEY else ""
    if found and len(parts) > 2 and len(parts[2]) <= to.LONGEST_SYMBOL:
        draft.values["code_symbol"], draft.names["code_symbol"] = parts[2], name
        draft.values.setdefault("exchange", parts[1])
        draft.names.setdefault("exchange", name)
    return found


def flag(draft: Draft, name: str, value: Any) -> None:
    """A switch whose name is an action or an order type, such as `isBuy`."""
    folded = slot_of(name.rpartition(".")[2])[0]
    if not to.as_bool(value):
        return
    if folded in FLAGS:
        draft.actions.append((name, "flag", FLAGS[folded]))
    else:
        draft.put("order_type", name, ORDER_TYPE_FLAGS[folded])


def close(draft: Draft, name: str, value: Any) -> None:
    """`close`: the bar's last price, or a flag that closes the position."""
    if isinstance(value, bool) or (isinstance(value, str) and value.lower() in ("true", "false")):
        if to.as_bool(value):
            draft.actions.append((name, "flag", "CLOSE"))
    else:
        draft.values["close"], draft.names["close"] = to.as_price(value), name


def close_position(draft: Draft, name: str, value: Any) -> None:
    """Whether to close the whole position."""
    if to.as_bool(value):
        draft.actions.append((name, "close_position", "CLOSE"))


def position_or_exit(draft: Draft, name: str, value: Any) -> None:
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
