"""Converts a value as sent to a canonical value, or raises a `ConversionError` that says what was expected."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, Context, Decimal
from typing import Any

from vantixs.model.decimals import PATTERN

from vantixs_ingress.domain.payload.decode import Number
from vantixs_ingress.domain.payload.reading import ConversionError
from vantixs_ingress.domain.payload.value_aliases import (
    INSTRUMENT_KINDS,
    LEVEL_KINDS,
    ORDER_TYPES,
    POSITIONS,
    QUANTITY_TYPES,
    TIMES_IN_FORCE,
    folded_word,
)
from vantixs_ingress.domain.payload.vocabulary import fold

LONGEST_TEXT, LONGEST_KEY, LONGEST_SYMBOL = 1024, 255, 64
_PLACEHOLDER = re.compile(r"\{\{|%[A-Za-z_][A-Za-z0-9_.]{1,60}+%|^\{[A-Za-z_][A-Za-z0-9_. ]{0,60}+\}$")
# RFC 3339, and ISO 8601's basic offset without a colon, which Pine's format_time and strftime write.
_RFC3339 = re.compile(r"^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:?\d\d)$", re.ASCII)
# A number as JSON writes it; an exponent is exact.
_JSON_NUMBER = re.compile(r"^-?[0-9]{1,20}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,2})?\Z", re.ASCII)
_DIGITS_MOST, _DECIMALS_MOST, _DECIMALS_READ = 20, 18, 40
_LAST_DECIMAL, _CUT = Decimal("1E-18"), Context(prec=80, rounding=ROUND_DOWN)
_EPOCH = re.compile(r"^\d{9,16}(?:\.\d{1,9})?$", re.ASCII)
_EPOCH_DIGITS = {9: 0, 10: 0, 12: 3, 13: 3, 15: 6, 16: 6}
_EPOCH_START = datetime(1970, 1, 1, tzinfo=UTC)
_ZERO = re.compile(r"[-+]?0{1,20}(?:\.0{0,40})?%?", re.ASCII)
_SWITCHES = ("enabled", "active", "isenabled", "isactive", "use")
_YEARS = range(2000, 2101)
_LONGEST_S = Decimal(10**9)
_NUMBER = "expected a number above 0 such as 0.5"


def is_placeholder(value: str) -> bool:
    """Whether a value contains a placeholder that was not filled in: `{{x}}` or `%x%` anywhere, or `{x}` as the whole value."""
    return ("{" in value or "%" in value) and _PLACEHOLDER.search(value) is not None


def as_text(value: Any) -> str:
    """A text, or a number as written."""
    if not isinstance(value, str):
        raise ConversionError("expected text")
    if len(value) > LONGEST_TEXT:
        raise ConversionError(f"expected at most {LONGEST_TEXT} characters, was {len(value)}", complete=True)
    return str(value)


def as_key(value: Any) -> str:
    """An idempotency key."""
    if not isinstance(value, str) or len(value) > LONGEST_KEY:
        raise ConversionError(f"expected a text of at most {LONGEST_KEY} characters")
    return str(value)


def as_reference(value: Any) -> str:
    """The sender's own reference, stored but not used: a text or a number, cut to the longest that is stored."""
    if not isinstance(value, str):
        raise ConversionError("expected text")
    return value[:LONGEST_KEY]


def as_symbol(value: Any) -> str:
    """A symbol as sent. The resolver finds its instrument later."""
    if not isinstance(value, str):
        raise ConversionError("expected one symbol")
    if "," in value:
        raise ConversionError("expected one symbol, was a list: send one signal for each")
    if len(value) > LONGEST_SYMBOL:
        raise ConversionError(f"expected a symbol of at most {LONGEST_SYMBOL} characters")
    return value.strip()


def as_exchange(value: Any) -> str:
    """The name of an exchange."""
    if not isinstance(value, str) or len(value) > LONGEST_SYMBOL:
        raise ConversionError(f"expected an exchange's name of at most {LONGEST_SYMBOL} characters")
    return str(value)


def _read_number(value: Any) -> Decimal | None:
    """The exact number of a text or a JSON number, without exponent; None for other values, and if it is out of range."""
    if not isinstance(value, str):
        return None
    if PATTERN.match(value):
        return Decimal(value)
    if not _JSON_NUMBER.match(value):
        return None
    number = Decimal(value)
    if number.adjusted() >= _DIGITS_MOST or number.adjusted() < -_DECIMALS_READ:
        return Decimal(0) if number == 0 else None
    return Decimal(format(number, "f"))


def is_number(value: Any) -> bool:
    """Whether a value is a number, with or without a percent sign."""
    return _read_number(value.removesuffix("%") if isinstance(value, str) else value) is not None


def as_number(value: Any) -> Decimal:
    """A number above 0, with or without an exponent, as a JSON number or a string; decimals after the 18th are cut."""
    number = as_signed(value)
    if number > 0:
        return number
    raise ConversionError(_NUMBER)


# Words for a part of a position, in percent of it.
SIZE_WORDS = {"half": Decimal(50), "quarter": Decimal(25)}


def as_size(value: Any) -> Decimal:
    """A size of any sign, exactly as sent; it is rounded down when it is used."""
    number = _read_number(value)
    if number is None:
        raise ConversionError(_NUMBER)
    return number


def as_signed(value: Any) -> Decimal:
    """A number of any sign, 0 included; decimals after the 18th are cut."""
    number = _read_number(value)
    if number is None:
        raise ConversionError("expected a number such as -0.5, 0 or 0.5")
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -_DECIMALS_MOST:
        return _CUT.quantize(number, _LAST_DECIMAL)
    return number


def as_price(value: Any) -> Decimal | None:
    """A price above 0; None for 0, by which senders mean that there is no price."""
    if isinstance(value, str) and "," in value:
        raise ConversionError("expected one price with a decimal point, was several or with separators", complete=True)
    number = as_signed(value)
    if number < 0:
        raise ConversionError(_NUMBER)
    return number or None


def as_percent(value: Any) -> Decimal | None:
    """A percentage above 0, with or without a percent sign; None for 0."""
    return as_price(value[:-1] if isinstance(value, str) and value.endswith("%") else value)


def as_leverage(value: Any) -> Decimal:
    """`3`, `3x` or `x3`."""
    if isinstance(value, str) and len(value) < LONGEST_TEXT:
        lowered = value.lower()
        return as_number(lowered.removeprefix("x") if lowered[:1] == "x" else lowered.removesuffix("x"))
    raise ConversionError(_NUMBER)


def as_bool(value: Any) -> bool:
    """True or false, as a JSON value or as text."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and not isinstance(value, Number) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise ConversionError("expected true or false")


def says_no(value: Any) -> bool:
    """Whether a value means that a feature is not used: empty, false, none, no, off, 0, or an object or list of such.

    An object with `enabled: false` means no, whatever else it holds.
    """
    if isinstance(value, str):
        text = value.strip().lower()
        return text in ("", "false", "none", "no", "off", "null") or _ZERO.fullmatch(text) is not None
    if isinstance(value, dict):
        switches = [inner for name, inner in value.items() if fold(name[:LONGEST_SYMBOL]) in _SWITCHES]
        return any(map(says_no, switches)) or all(map(says_no, value.values()))
    if isinstance(value, list):
        return all(map(says_no, value))
    return value is None or value is False


def as_time(value: Any) -> datetime:
    """RFC 3339 with a zone, or epoch seconds, milliseconds or microseconds, of the years 2000 to 2100."""
    if isinstance(value, str):
        try:
            if _RFC3339.match(value):
                time = datetime.fromisoformat(value.upper().replace("Z", "+00:00")).astimezone(UTC)
            elif _EPOCH.match(value):
                whole, _, part = value.partition(".")
                digits = _EPOCH_DIGITS[len(whole)]
                microseconds = int((whole + part.ljust(9, "0"))[: len(whole) + 6 - digits])
                time = _EPOCH_START + timedelta(microseconds=microseconds)
            else:
                time = None
            if time is not None and time.year in _YEARS:
                return time
        except (ValueError, OverflowError, KeyError):
            pass
    raise ConversionError(
        "expected RFC 3339 with a zone such as 2026-11-24T12:00:00Z, or epoch seconds, of 2000 to 2100"
    )


def as_seconds(value: Any) -> Decimal:
    """Seconds above 0."""
    seconds = as_number(value)
    if seconds > _LONGEST_S:
        raise ConversionError(f"expected at most {_LONGEST_S} seconds")
    return seconds


Convert = Callable[[Any], str]


def choice(table: Mapping[str, str], expected: str) -> Convert:
    """A converter for the words of a table."""

    def convert(value: Any) -> str:
        found = table.get(folded_word(value)) if isinstance(value, str) and len(value) <= LONGEST_SYMBOL else None
        if found is None:
            raise ConversionError(expected)
        return found

    return convert


as_position: Convert = choice(POSITIONS, "expected long, short or flat")
as_quantity_type: Convert = choice(
    QUANTITY_TYPES, "expected units, notional, equity_percent, risk_percent or position_percent, or a synonym we know"
)
as_order_type: Convert = choice(ORDER_TYPES, "expected market, limit, stop, stop_limit or trailing_stop")
as_time_in_force: Convert = choice(TIMES_IN_FORCE, "expected gtc, ioc, fok, day or gtd")
as_level_kind: Convert = choice(LEVEL_KINDS, "expected price, percent or amount")
as_instrument_kind: Convert = choice(INSTRUMENT_KINDS, "expected spot, or linear or swap for a perpetual")
_LEVEL_KEYS = {
    **dict.fromkeys(("price", "level"), "price"),
    **dict.fromkeys(("percent", "percentage", "pct", "pricepercentage"), "percent"),
    **dict.fromkeys(("amount", "distance"), "amount"),
    # WunderTrading's name, as a ratio.
    "pricedeviation": "ratio",
}
# Members of a target's object that do not affect its level.
_LABELS = ("idx", "id", "label", "name", "source", "reason", "note", "comment")
# In a list, some senders mean a share of the position by `amount`, and others a distance.
_LEVEL_LIST_KEYS = {key: kind for key, kind in _LEVEL_KEYS.items() if kind != "amount"} | {"limitprice": "price"}
_TRAIL_KEYS = {
    **dict.fromkeys(("percent", "percentage", "pct", "trailpercent", "trailpct", "trailingpercent"), "percent"),
    **dict.fromkeys(("amount", "distance", "trailamount", "trailingamount"), "amount"),
}


def as_part(value: Any) -> Decimal:
    """A ratio above 0 and at most 1."""
    part = as_number(value)
    if part > 1:
        raise ConversionError("expected a ratio such as 0.02, at most 1")
    return part


_PLAIN_TYPES = ("", "stop", "market", "stopmarket", "limit", "trailingstop", "trailing")


def as_level(value: Any, own_price: str = "") -> tuple[str, Decimal] | None:
    """A protective level: kind and number. The kind of a number alone is "", of `5%` "percent"; an object names it.

    None for 0 and for an object without a value. `own_price` is the key of the price in this level's objects:
    `stopprice` for a stop loss, `limitprice` for a take profit.
    """
    if isinstance(value, dict):
        return _level_of(value, _LEVEL_KEYS | {own_price: "price"})
    if isinstance(value, str) and value.endswith("%"):
        percent = as_percent(value)
        return ("percent", percent) if percent else None
    number = as_price(value)
    return ("", number) if number else None


def target_of(value: Mapping[str, Any], *, in_list: bool) -> tuple[str, Decimal] | None:
    """The level in an object for a target, as in `as_level`."""
    return _level_of(value, _LEVEL_LIST_KEYS if in_list else _LEVEL_KEYS | {"limitprice": "price"})


def distance_of(value: Mapping[str, Any]) -> tuple[str, Decimal] | None:
    """The distance in an object for a trailing stop, of kind "percent" or "amount"; None if it has none."""
    return _level_of(value, _TRAIL_KEYS, "percent or amount")


def is_switch(name: str) -> bool:
    """Whether a member of an object only switches the object on or off."""
    return fold(name[:LONGEST_SYMBOL]) in _SWITCHES


def _level_of(
    value: Mapping[str, Any], keys: Mapping[str, str], kinds: str = "price, percent or amount"
) -> tuple[str, Decimal] | None:
    given: list[tuple[str, Decimal | None]] = []
    for name, inner in value.items():
        folded = fold(name[:LONGEST_SYMBOL])
        if folded == "type" and fold(str(inner)[:LONGEST_SYMBOL]) in _PLAIN_TYPES:
            continue
        if folded == "type" and "value" in value and fold(str(inner)[:LONGEST_SYMBOL]) in LEVEL_KINDS:
            keys = {**keys, "value": LEVEL_KINDS[fold(str(inner)[:LONGEST_SYMBOL])]}
            continue
        if folded in _LABELS or folded in _SWITCHES or says_no(inner):
            continue
        if folded not in keys:
            expected = f"expected {kinds}, was {name[:40]}: this is not supported"
            raise ConversionError(expected, complete=True)
        if keys[folded] == "ratio":
            given.append(("percent", as_part(inner) * 100))
        else:
            given.append((keys[folded], (as_percent if keys[folded] == "percent" else as_price)(inner)))
    if len(given) > 1:
        both = " and ".join(kind for kind, _ in given)
        raise ConversionError(
            f"expected one of {kinds}, was {both}: for the part that is taken at a target send share", complete=True
        )
    if not given or given[0][1] is None:
        return None
    return given[0][0], given[0][1]
