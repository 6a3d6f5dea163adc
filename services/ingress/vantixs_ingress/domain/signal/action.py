"""Decides the symbol and the action of a signal from all fields that contribute to them."""

from functools import lru_cache
from typing import Any

from vantixs.model.instruments import Instrument

from vantixs_ingress.domain.payload.reading import Draft
from vantixs_ingress.domain.payload.value_aliases import ABOUT, EXITS, NEUTRAL, OPEN, WAITING_ORDERS, action_of
from vantixs_ingress.domain.payload.vocabulary import fold
from vantixs_ingress.domain.signal.positions import HELD, settle_positions
from vantixs_ingress.domain.signal.symbols import LONGEST, PERPETUAL, Resolver, Unresolved

_SIDES = ("side", "flag")
# The action of a verb together with a side in another field. Only a field for sides may complete a verb; side words in
# fields for actions must agree.
_TOGETHER: dict[tuple[str, str], str] = {
    (OPEN, "BUY"): "OPEN_LONG", (OPEN, "OPEN_LONG"): "OPEN_LONG",
    (OPEN, "SELL"): "OPEN_SHORT", (OPEN, "OPEN_SHORT"): "OPEN_SHORT",
    ("CLOSE", "OPEN_LONG"): "CLOSE_LONG", ("CLOSE", "OPEN_SHORT"): "CLOSE_SHORT",
    # "Sell to close" and "close what was sold" both close, so an exit with either side is accepted.
    ("CLOSE", "BUY"): "CLOSE", ("CLOSE", "SELL"): "CLOSE",
    ("CLOSE_LONG", "SELL"): "CLOSE_LONG", ("CLOSE_LONG", "OPEN_LONG"): "CLOSE_LONG",
    ("CLOSE_SHORT", "BUY"): "CLOSE_SHORT", ("CLOSE_SHORT", "OPEN_SHORT"): "CLOSE_SHORT",
    ("ADD", "BUY"): "ADD", ("ADD", "OPEN_LONG"): "ADD", ("ADD", "SELL"): "ADD", ("ADD", "OPEN_SHORT"): "ADD",
    ("REDUCE", "BUY"): "REDUCE", ("REDUCE", "SELL"): "REDUCE",
    ("REDUCE", "OPEN_LONG"): "REDUCE", ("REDUCE", "OPEN_SHORT"): "REDUCE",
    **{("CANCEL", side): "CANCEL" for side in ("BUY", "SELL", "OPEN_LONG", "OPEN_SHORT")},
}  # fmt: skip
# Pairs of actions that mean the same, whatever the names of their fields.
_SAME: dict[frozenset[str], str] = {
    frozenset(("BUY", "OPEN_LONG")): "OPEN_LONG",
    frozenset(("SELL", "OPEN_SHORT")): "OPEN_SHORT",
    frozenset(("CLOSE", "CLOSE_LONG")): "CLOSE_LONG",
    frozenset(("CLOSE", "CLOSE_SHORT")): "CLOSE_SHORT",
}
_AS_THEY_ARE = (
    "time_in_force", "post_only", "reduce_only", "leverage", "idempotency_key", "emit_time", "expires_after_s", "expire_time",
    "comment", "tag", "mode", "test", "account", "exchange",
)  # fmt: skip


def settle(draft: Draft, resolver: Resolver, kind: str, exchange: str = "") -> dict[str, Any]:
    """The canonical values; problems are added to the draft.

    `kind` is the preferred kind of instrument, `exchange` the exchange that is assumed if the sender names none.
    """
    values: dict[str, Any] = {}
    _settle_symbol(draft, values, resolver, kind, exchange)
    _settle_action(draft, values)
    settle_positions(draft, values)
    if "emit_time" not in draft.values and "other_time" in draft.values:
        draft.values["emit_time"], draft.names["emit_time"] = draft.values["other_time"], draft.names["other_time"]
    for slot in _AS_THEY_ARE:
        if slot in draft.values:
            values[slot] = draft.values[slot]
    if "reference" in draft.values:
        values["sender_reference"] = draft.values["reference"]
    return values


def _settle_symbol(draft: Draft, values: dict[str, Any], resolver: Resolver, kind: str, exchange: str) -> None:
    if not draft.symbols:
        if "base" in draft.values and "quote" in draft.values:
            draft.symbols.append((draft.names["base"], f"{draft.values['base']}/{draft.values['quote']}"))
        elif "code_symbol" in draft.values:
            draft.symbols.append((draft.names["code_symbol"], draft.values["code_symbol"]))
        else:
            return
    name, symbol = draft.symbols[0]
    values["symbol"], draft.names["symbol"] = symbol, name
    said = draft.values.get("kind", "")
    exchange = draft.values.get("exchange", exchange)
    found = _resolved(resolver, symbol, said or kind, exchange)
    for other, text in draft.symbols[1:]:
        if text != symbol:
            instrument = _resolved(resolver, text, said or kind, exchange)
            if isinstance(instrument, Unresolved) or instrument is not found:
                draft.refuse(other, "FIELD_CONFLICT", "expected one symbol", (symbol, text), "symbol")
                return
    if isinstance(found, Unresolved):
        if found.show:
            draft.refuse(name, found.reason, found.expected, symbol, "symbol")
        else:
            draft.refuse(name, found.reason, found.expected, slot="symbol")
    elif said and found.perpetual != (said == PERPETUAL):
        draft.refuse(draft.names["kind"], "FIELD_CONFLICT", f"expected the kind of {found.name}", said, "kind")
    else:
        values["instrument"] = found.name


@lru_cache(maxsize=4096)
def _known(resolver: Resolver, symbol: str, kind: str, exchange: str) -> Instrument:
    """The instrument of a symbol, cached, because senders use few symbols. Failures are not cached."""
    return resolver.resolve(symbol, kind, exchange=exchange)


def _resolved(resolver: Resolver, symbol: str, kind: str, exchange: str) -> Instrument | Unresolved:
    try:
        if len(symbol) > LONGEST or len(exchange) > LONGEST:
            return resolver.resolve(symbol, kind, exchange=exchange)
        return _known(resolver, symbol, kind, exchange)
    except Unresolved as error:
        return error


def _settle_action(draft: Draft, values: dict[str, Any]) -> None:
    said = [row for row in draft.actions if row[2] != NEUTRAL]
    if any(kind not in ("word", "close_position", "waiting") for _, kind, _ in said):
        said = [row for row in said if row[1] != "word"]
    closes = [row for row in said if row[1] == "close_position"]
    said = [row for row in said if row[1] != "close_position"] or closes
    if "waiting" in draft.values:
        said = _settle_waiting(draft, said)
    _settle_labels(draft, said)
    if not said:
        return
    name, kind, action = said[0]
    for other, other_kind, word in said[1:]:
        both = _combined((action, kind), (word, other_kind))
        if both is None:
            draft.refuse(other, "FIELD_CONFLICT", "expected one action", (action, word), "verb")
            return
        if action in ("ADD", "REDUCE") or word in ("ADD", "REDUCE"):
            _say_held(values, both, word if action == both else action)
        if both == word and both != action:
            name, kind = other, other_kind
        action = both
    if action == OPEN:
        if not any(p.slot == "side" for p in draft.problems):
            draft.refuse("side", "FIELD_MISSING", "expected a side together with open, was none", slot="side")
        return
    about = ABOUT.get(fold(str(draft.values.get("word", ""))))
    if about:
        values["previous_position"] = about
    values["action"], draft.names["action"] = action, name
    if closes and closes[0] not in said:
        _apply_close_position(draft, values, closes[0][0])


def _settle_labels(draft: Draft, said: list[tuple[str, str, str]]) -> None:
    """Texts in fields that may hold an action: labels if there is an action, else unknown actions, which are rejected."""
    for name, text in draft.labels:
        if said:
            draft.keep(name, text)
        else:
            draft.refuse(name, "ACTION_UNSUPPORTED", "expected buy, sell, close, long, short, ...", text, "verb")


def _settle_waiting(draft: Draft, said: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """`type: stop-loss` with buy or sell and a price is an order that waits for this price, never an order to fill at once."""
    name, word = draft.names["waiting"], draft.values["waiting"]
    others = [row for row in said if row[1] != "waiting"]
    sided = any(action in ("BUY", "SELL") for _, _, action in others)
    priced = bool(draft.prices) or any(
        slot in draft.values for slot in ("stop_price", "trigger_price", "limit_price", "stop")
    )
    if not (sided and priced) and action_of(word):
        return said
    if WAITING_ORDERS[word]:
        draft.put("order_type", name, WAITING_ORDERS[word])
    else:
        draft.refuse(
            name, "FIELD_INVALID", "expected market, limit, stop, stop_limit or trailing_stop", word, "waiting"
        )
    return others


def _say_held(values: dict[str, Any], action: str, side: str) -> None:
    """Sets the position before the signal from ADD or REDUCE with a side. "sell" with REDUCE does not tell it."""
    held = HELD.get(side) or ({"BUY": "LONG", "SELL": "SHORT"}.get(side) if action == "ADD" else None)
    if held:
        values["previous_position"] = held


def _combined(first: tuple[str, str], second: tuple[str, str]) -> str | None:
    if first[0] == second[0]:
        return first[0]
    same = _SAME.get(frozenset((first[0], second[0])))
    if same:
        return same
    for verb, side in ((first, second), (second, first)):
        if side[1] in _SIDES and verb[1] != side[1] and (verb[0], side[0]) in _TOGETHER:
            return _TOGETHER[verb[0], side[0]]
    return None


def _apply_close_position(draft: Draft, values: dict[str, Any], name: str) -> None:
    """`close_position: true` with BUY or SELL closes the whole position; with an exit it changes nothing."""
    if values["action"] in ("BUY", "SELL"):
        draft.put("target_position", name, "FLAT")
    elif values["action"] not in EXITS:
        draft.refuse(name, "FIELD_CONFLICT", "expected an exit together with it", values["action"], "close_position")
