"""Terms of a resting order: its expiry, time in force and post-only."""

from datetime import datetime
from typing import Any

from vantixs_ingress.domain.payload import converters as to
from vantixs_ingress.domain.payload.reading import ConversionError, Draft

_RESTING = ("LIMIT", "STOP", "STOP_LIMIT", "TRAILING_STOP")


def settle_resting(draft: Draft, values: dict[str, Any], now: datetime) -> None:
    """Adds `order_expire_time`, and checks it, `time_in_force` and `post_only` against the order's type."""
    kind = values.get("order_type", "")
    _take_expire(draft, values)
    if "order_expire_time" in draft.values:
        _settle_end(draft, values, kind, now)
    elif values.get("time_in_force") == "GTD" and not any(
        p.slot in ("expire", "order_expire_time") for p in draft.problems
    ):
        expected = "expected the time at which a good-till-date order expires, was none"
        draft.refuse("order_expire_time", "FIELD_MISSING", expected, slot="order_expire_time")
    if values.get("post_only"):
        _check_post_only(draft, values, kind)


def _take_expire(draft: Draft, values: dict[str, Any]) -> None:
    """`expire` is the order's expiry if the time in force is GTD, and has no effect otherwise."""
    if "expire" not in draft.values:
        return
    name, value = draft.names["expire"], draft.values["expire"]
    if values.get("time_in_force") != "GTD":
        draft.keep(name, str(value)[: to.LONGEST_TEXT])
        if not to.says_no(value):
            draft.note(name, "FIELD_INVALID", "is not used: it only has an effect together with time_in_force gtd")
    elif not to.says_no(value):
        try:
            draft.put("order_expire_time", name, to.as_time(value))
        except ConversionError as error:
            draft.refuse(name, error.reason, error.expected, value, "order_expire_time")


def _settle_end(draft: Draft, values: dict[str, Any], kind: str, now: datetime) -> None:
    name, end = draft.names["order_expire_time"], draft.values["order_expire_time"]
    said = values.setdefault("time_in_force", "GTD")
    if said != "GTD":
        draft.refuse(name, "FIELD_CONFLICT", "expected time_in_force gtd together with it", said, "order_expire_time")
    elif kind not in _RESTING:
        expected = "expected a resting order: limit, stop, stop_limit or trailing_stop"
        draft.refuse(name, "FIELD_CONFLICT", expected, kind or "no order type", "order_expire_time")
    elif end <= now:
        draft.refuse(name, "FIELD_INVALID", "expected a time after now", end.isoformat(), "order_expire_time")
    else:
        values["order_expire_time"] = end


def _check_post_only(draft: Draft, values: dict[str, Any], kind: str) -> None:
    name = draft.names["post_only"]
    if kind != "LIMIT":
        expected = "expected order_type limit together with it: only a limit order can be post-only"
        draft.refuse(name, "FIELD_CONFLICT", expected, kind or "no order type", "post_only")
    elif values.get("time_in_force") in ("IOC", "FOK"):
        expected = "expected a time in force of a resting order"
        draft.refuse(name, "FIELD_CONFLICT", expected, values["time_in_force"], "post_only")
