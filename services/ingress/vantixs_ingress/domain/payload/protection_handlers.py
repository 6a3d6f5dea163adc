"""Handlers of fields about stops and targets."""

from collections.abc import Callable
from typing import Any

from vantixs_ingress.domain.payload import converters as to
from vantixs_ingress.domain.payload.kept_fields import says_none
from vantixs_ingress.domain.payload.reading import Draft
from vantixs_ingress.domain.payload.targets import read_target, read_targets
from vantixs_ingress.domain.payload.trailing import read_distance, read_trail_object
from vantixs_ingress.domain.payload.vocabulary import fold, level_of, slot_of

Handler = Callable[[Draft, str, Any], None]


def stop_loss(kind: str = "", side: str = "") -> Handler:
    """A handler for a stop loss. `kind` is set if the name contains it, `side` if it is for longs or shorts only."""

    def handle(draft: Draft, name: str, value: Any) -> None:
        if says_none(draft, name, value):
            return
        if kind:
            number = (to.as_percent if kind == "percent" else to.as_price)(value)
            found = (kind, number) if number else None
        else:
            found = to.as_level(_without_trail(draft, name, value), "stopprice")
        if found:
            draft.levels.append((name, f"{side}stop_loss", *found))

    return handle


def _without_trail(draft: Draft, name: str, value: Any) -> Any:
    """Reads the trailing members of a stop loss that is an object (TradersPost, `trailPercent`), and returns the others."""
    if not isinstance(value, dict):
        return value
    trails = {key: inner for key, inner in value.items() if fold(key[: to.LONGEST_SYMBOL]).startswith("trail")}
    if trails:
        read_trail_object(draft, name, trails, of_stop=True)
    return {key: inner for key, inner in value.items() if key not in trails}


def stop(draft: Draft, name: str, value: Any) -> None:
    """`stop`: a trigger or a stop loss, depending on the order's type, which may be read later."""
    found = None if says_none(draft, name, value) else to.as_level(value, "stopprice")
    if found:
        draft.values["stop"], draft.names["stop"] = found, name


def take_profit(kind: str = "", side: str = "") -> Handler:
    """A handler for a target. `kind` is set if the name contains it, `side` if it is for longs or shorts only."""

    def handle(draft: Draft, name: str, value: Any) -> None:
        if not says_none(draft, name, value):
            read_target(draft, name, value, kind, side)

    return handle


def targets(draft: Draft, name: str, value: Any) -> None:
    """A list or object of targets."""
    if not says_none(draft, name, value):
        read_targets(draft, name, value)


def named_level(draft: Draft, name: str, value: Any) -> None:
    """A level whose name is made of parts, such as `stop_loss_exact_price` or `tp1`."""
    level, side, kind, number = level_of(slot_of(name.rpartition(".")[2])[0])
    if level == "stop_loss":
        stop_loss(kind, f"{side}_" if side else "")(draft, name, value)
    elif not says_none(draft, name, value):
        read_target(draft, name, value, kind, side, number)


def callback_rate(draft: Draft, name: str, value: Any) -> None:
    """`callbackRate`, Binance's name for the distance of a trailing order in percent."""
    if not to.says_no(value):
        read_distance(draft, name, value, "percent")
