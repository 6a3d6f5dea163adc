"""Patterns for names of stops, targets and their shares, trailing stops and break-even, which senders make of parts.

All names are folded: lower case without `_`, `-` and spaces.
"""

import re
from typing import NamedTuple

# A protective level, such as `stop_loss_exact_price`, `takeProfitPercentage1` or `sl_1`.
_KIND = r"(?:price|percentage|percent|pct|target|level)"
LEVEL_NAME = re.compile(
    r"^(?P<side>long|short)?(?:(?P<stop>stoploss|stop|sl)|takeprofit|profittarget|target|tp)"
    rf"(?P<kind>(?:exact|fixed)?{_KIND})?(?P<number>\d{{1,2}})?(?P<late>{_KIND})?$"
)
# The part of the position that a target closes: `tp1_share`, `takeProfitAmountPercentage1`, `tp2_percent_of_position`,
# `tp1_qty`. An `amount` is not one of these names, because some senders mean a distance by it.
_PERCENT = r"(?:percentage|percent|pct)"
_SHARE_NAME = re.compile(
    r"^(?P<stem>takeprofit|profittarget|target|tp)(?P<number>\d{1,2})?(?:"
    rf"(?P<percent>(?:amount|quantity|qty|size|volume|position|close|exit|reduce){_PERCENT}"
    rf"|{_PERCENT}of(?:position|quantity|qty|size)|(?:close|exit)?share{_PERCENT}?)"
    r"|(?P<units>(?:close|exit)?(?:quantity|qty|size|units|contracts|lots?)))(?P<late>\d{1,2})?$"
)
# OctoBot's parts, in proportion to one another.
_WEIGHT_NAME = re.compile(r"^takeprofitvolumeratio(\d{1,2})?$")
SHARES_NAME = re.compile(r"^(?:takeprofit|target|tp)s?shares$")
_TRAIL_NAME = re.compile(
    r"^(?:stoploss|sl)?trail(?:ing)?(?:stoploss|stop|loss)?(?P<start>activation|activate|activateat|start|startat|trigger)?"
    r"(?:distance|offset|value)?(?P<kind>percentage|percent|pct|amount|price)?(?P<said>type|kind|mode|enabled)?$"
)
_EVEN_NAME = re.compile(
    r"^(?:(?:move|set)?(?:stoploss|stop|sl)to(?:breakeven|be|entry)|(?:auto|use)?breakeven(?:stoploss|stop|sl)?"
    r"|be(?=after|trigger|at(?:tp|target|price|perc|pct)|on(?:tp|target)))(?P<when>after|at|on|trigger)?"
    r"(?:(?P<target>takeprofit|target|tp)(?P<number>\d{1,2})?|(?P<kind>price|percentage|percent|pct|amount)|enabled)?$"
)
TARGET_WORD = re.compile(r"(?:takeprofit|target|tp)(\d{1,2})")


class LevelName(NamedTuple):
    """The meaning of a level's name.

    Attributes:
        level: "stop_loss" or "take_profit".
        side: "long", "short", or "" for both.
        kind: "price" or "percent", or "" if the value tells the kind.
        number: the number of the target; 0 if there is none.
    """

    level: str
    side: str
    kind: str
    number: int


def level_name(folded: str) -> LevelName | None:
    """The meaning of a level's name; None for another name."""
    match = LEVEL_NAME.match(folded)
    if match is None:
        return None
    said = match["kind"] or match["late"] or ""
    kind = "percent" if "percent" in said or "pct" in said else "price" if said else ""
    level = "stop_loss" if match["stop"] else "take_profit"
    return LevelName(level, match["side"] or "", kind, int(match["number"] or 0))


def share_name(folded: str) -> tuple[int, str] | None:
    """The meaning of a share's name: the target's number (0 for none), and "percent", "units" or "weight"; None for others."""
    weight = _WEIGHT_NAME.match(folded)
    if weight:
        return int(weight[1] or 0), "weight"
    match = _SHARE_NAME.match(folded)
    if match is None or (match["number"] and match["late"]):
        return None
    number = match["number"] or match["late"]
    if match["stem"] == "target" and number is None:
        return None  # By `target_size` some senders mean the position after the order.
    return int(number or 0), "percent" if match["percent"] else "units"


def trail_name(folded: str) -> tuple[str, str] | None:
    """The meaning of a name about trailing; None for another name, and for one that is not supported.

    The first part is "distance", or "start" for the level at which the stop begins to follow; the second part is "price",
    "percent", "amount" or "". Or the first part is "kind", for the kind of a number in another field, or "enabled".
    """
    match = _TRAIL_NAME.match(folded)
    if match is None:
        return None
    kind = {"percentage": "percent", "pct": "percent"}.get(match["kind"], match["kind"] or "")
    if match["said"]:
        if kind or match["start"]:
            return None
        return ("enabled", "") if match["said"] == "enabled" else ("kind", "")
    if match["start"]:
        return "start", kind
    # Not supported: `trail_price` is a distance at Alpaca, but in Pine the price at which a stop begins to follow.
    return None if kind == "price" else ("distance", kind)


def even_name(folded: str) -> tuple[str, str, int] | None:
    """The meaning of a name about break-even; None for another name.

    ("target", "", n) means after target n (0: the value is the number); ("level", kind, 0) means at a level; ("", "", 0)
    means that only the value tells.
    """
    match = _EVEN_NAME.match(folded)
    if match is None:
        return None
    if match["target"]:
        return "target", "", int(match["number"] or 0)
    kind = {"percentage": "percent", "pct": "percent"}.get(match["kind"], match["kind"] or "")
    if match["when"] == "at" or (match["when"] == "trigger" and kind):
        return "level", kind, 0
    if kind:
        # Some senders report the break-even price of a position in `breakEvenPrice`.
        return ("level", kind, 0) if kind == "percent" else None
    return "", "", 0
