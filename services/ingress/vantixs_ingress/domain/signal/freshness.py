"""The age limit of a signal, and whether it has expired. Time is an argument."""

import math
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from vantixs_ingress.domain.payload.converters import as_time
from vantixs_ingress.domain.payload.field_handlers import place
from vantixs_ingress.domain.payload.reading import ConversionError, Draft
from vantixs_ingress.domain.signal.exits import is_exit
from vantixs_ingress.domain.signal.rules import Rules

# How far a sender's clock may be ahead of ours; more means a wrong time zone or unit.
AHEAD = timedelta(minutes=5)


BAR_TIME_HINT = ": it is the start of a bar of the chart, send {{timenow}} for the time of the alert"
_UNITS_S = {"": 60, "S": 1, "M": 60, "H": 3600, "D": 86_400, "W": 604_800}
_INTERVAL = re.compile(r"(\d{1,4})?\s?([SMHDWsmhdw]?)", re.ASCII)
_INTERVAL_NAMES = ("interval", "timeframe", "tf")


def is_bar_time(emitted: datetime, now: datetime, extras: Mapping[str, str]) -> bool:
    """Whether a time is the start of a bar of the sender's interval (`5`, `60`, `1H`, `D`), at least one bar ago."""
    for name, text in extras.items():
        if name.rpartition(".")[2].lower() in _INTERVAL_NAMES:
            match = _INTERVAL.fullmatch(text.strip())
            if match and text.strip():
                length = int(match[1] or 1) * _UNITS_S[match[2].upper()]
                age = (now - emitted).total_seconds()
                return length >= 60 and age >= length and emitted.timestamp() % length == 0
    return False


def check_freshness(draft: Draft, values: dict[str, Any], rules: Rules, now: datetime) -> datetime | None:
    """When the signal expires, None for never; an expired one gets a problem.

    The webhook has separate limits for entries and exits. The payload can shorten them, by a number of seconds or a time,
    but never extend them. An emit time in the future counts as now: a fast clock does not make a signal valid for longer.
    """
    _read_bar_time(draft, values, rules)
    emitted = values.get("emit_time", now)
    name = draft.names.get("emit_time", "timestamp")
    if emitted > now + AHEAD:
        ahead = math.ceil((emitted - now).total_seconds())
        expected = f"expected a time at most {int(AHEAD.total_seconds())} s ahead, was {ahead} s ahead"
        draft.refuse(name, "FIELD_INVALID", expected, slot="emit_time")
    is_out = is_exit(values, sell_opens_short=rules.sell_opens_short)
    limit = rules.exit_expires_after_s if is_out else rules.entry_expires_after_s
    ends = [_ends(emitted, now, float(limit), f"at most {limit} s old")] if limit else []
    if "expires_after_s" in values:
        seconds = values["expires_after_s"]
        ends.append(_ends(emitted, now, float(seconds), f"at most {seconds} s old"))
    end = min(ends, default=None)
    said: datetime | None = values.get("expire_time")
    if said is not None and (end is None or said <= end[0]):
        if now > said:
            ago = int((now - said).total_seconds())
            expected = f"expected a time to come, was {said.isoformat()}, {ago} s ago"
            draft.refuse(draft.names["expire_time"], "SIGNAL_EXPIRED", expected, slot="expiry")
        return said
    if end is None:
        return None
    if now > end[0]:
        age = int((now - emitted).total_seconds())
        hint = BAR_TIME_HINT if is_bar_time(emitted, now, draft.extras) else ""
        draft.refuse(name, "SIGNAL_EXPIRED", f"expected {end[1]}, was {age} s old{hint}", slot="expiry")
    return end[0]


def _ends(emitted: datetime, now: datetime, seconds: float, expected: str) -> tuple[datetime, str]:
    return min(emitted, now) + timedelta(seconds=seconds), expected


def _read_bar_time(draft: Draft, values: dict[str, Any], rules: Rules) -> None:
    """`time` is the chart's bar time, unless the webhook is configured to use it as the emit time."""
    sent: Any = draft.values.get("bar_time_sent")
    if sent is None:
        return
    name = draft.names["bar_time_sent"]
    if rules.time_is_emit_time and "emit_time" not in values and not name.endswith("bar.time"):
        place(name, "emit_time", sent, draft)
        if "emit_time" in draft.values:
            values["emit_time"] = draft.values["emit_time"]
        return
    try:
        values["bar_time"] = as_time(sent)
    except ConversionError:
        draft.keep(name, str(sent))
