"""Decodes bytes to named fields: strict JSON, a form, or KEY=VALUE pairs. Only `Unreadable` is raised; every cost is bounded."""

import json
import re
from typing import Any
from urllib.parse import parse_qsl

from mypy_extensions import mypyc_attr

from vantixs_ingress.domain.payload.field_aliases import NESTS
from vantixs_ingress.domain.payload.vocabulary import is_secret, slot_of

MOST_FIELDS = 500
MOST_DEPTH = 32
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_. -]{0,63}")
_LINES = re.compile(r"[\r\n;]")
_FORM = re.compile(r"[A-Za-z%][^\s=&;,{}]{0,200}=[^\s=&;{}]*+(?:&[A-Za-z%][^\s=&;,{}]{0,200}=[^\s=&;{}]*+)+")
# Source: WunderTrading's codes, ACTION_EXCHANGE_PAIR_BOT_TIMEFRAME_TOKEN, sent as the whole message.
_CODE = re.compile(r"(?:ENTER|EXIT)-(?:LONG|SHORT|ALL)(?:_[A-Za-z0-9./:-]{1,64}){2,8}")
# The end of the text also ends a string: a pattern that could fail there would be tried again from every quote.
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[{]|[\]}]', re.DOTALL)
_HALF_PAIR = re.compile(r"\\u[dD][89a-fA-F]")


class Unreadable(Exception):
    """The body is in no supported format; the text says why."""


@mypyc_attr(native_class=False)
class Number(str):
    """A JSON number, kept as it was written."""

    __slots__ = ()


class Body:
    """A decoded body. `problem` says why there are no fields; it is empty if there are."""

    __slots__ = ("fields", "problem", "text")

    def __init__(self) -> None:
        self.text = ""
        self.fields: dict[str, Any] = {}
        self.problem = ""

    @property
    def is_json(self) -> bool:
        """Whether the whole text is one strict JSON object."""
        return not self.problem and self.text[:1] == "{" and self.text[-1:] == "}"

    @property
    def items(self) -> int:
        """An upper bound of the number of values, at all depths."""
        return self.text.count(",") + self.text.count("{") + self.text.count("[") + 1

    @property
    def secret(self) -> str:
        """The first secret in the body, at the top level or in a known nested object; "" if there is none."""
        for name, value in self.fields.items():
            if is_secret(name):
                if isinstance(value, str) and value:
                    return value
            elif isinstance(value, dict) and slot_of(name)[0] in NESTS:
                for inner, inner_value in value.items():
                    if is_secret(inner) and isinstance(inner_value, str) and inner_value:
                        return inner_value
        return ""


def read_body(body: bytes) -> Body:
    """Decodes a body. Never raises."""
    read = Body()
    try:
        read.text = decode(body)
        read.fields = read_fields(read.text)
    except Unreadable as error:
        read.problem = str(error)
    return read


def decode(body: bytes) -> str:
    """The text of a body: UTF-8 with or without BOM, UTF-16 with BOM."""
    try:
        if body[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return body.decode("utf-16")
        # The codec "utf-8-sig" is written in Python, and costs as much as reading the JSON.
        return (body[3:] if body[:3] == b"\xef\xbb\xbf" else body).decode()
    except UnicodeDecodeError:
        raise Unreadable("expected UTF-8 text, or UTF-16 with a byte order mark") from None


def read_fields(text: str) -> dict[str, Any]:
    """The fields of a body, in the order sent."""
    # MetaTrader's StringToCharArray sends the NUL that ends its strings.
    stripped = text.strip().removesuffix("\0").rstrip()
    if not stripped:
        raise Unreadable("expected a JSON object, was empty")
    if "\0" in stripped or "\\u0000" in stripped:
        raise Unreadable("expected text without the character NUL")
    if stripped[0] in '{["-' or stripped[0].isdigit() or stripped in ("null", "true", "false"):
        return _read_json(stripped)
    if _CODE.fullmatch(stripped):
        return {"code": stripped}
    if _FORM.fullmatch(stripped):
        return _read_form(stripped)
    return _read_pairs(stripped)


def _read_json(text: str) -> dict[str, Any]:
    _check_depth(text)
    try:
        value = _DECODER.decode(text)
        if _HALF_PAIR.search(text):
            # The decoder accepts half of a surrogate pair, but storing the text would fail.
            json.dumps(value, ensure_ascii=False).encode()
    except Unreadable:
        raise
    except UnicodeEncodeError:
        raise Unreadable("expected text, was half of a surrogate pair") from None
    except json.JSONDecodeError as error:
        raise Unreadable(
            f"expected strict JSON, was {error.msg!r} at line {error.lineno}, column {error.colno}"
        ) from None
    if not isinstance(value, dict):
        kinds: dict[type, str] = {list: "a list: send one signal a request", str: "a text", Number: "a number"}
        raise Unreadable(f"expected an object, was {kinds.get(type(value), 'a bare value')}")
    return value


def _check_depth(text: str) -> None:
    if text.count("{") + text.count("[") <= MOST_DEPTH:
        return
    depth = 0
    for match in _BRACKETS.finditer(text):
        first = match[0][0]
        if first in "[{":
            depth += 1
            if depth > MOST_DEPTH:
                raise Unreadable(f"expected at most {MOST_DEPTH} levels, was nested deeper")
        elif first in "]}":
            depth -= 1


def _read_pairs(text: str) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for part in _LINES.split(text) if _LINES.search(text) else text.split(","):
        name, equals, value = part.partition("=")
        name, value = name.strip(), value.strip()
        if not name and not equals:
            continue
        if not equals or not _NAME.fullmatch(name):
            raise Unreadable("expected a JSON object or KEY=VALUE pairs, was other text")
        if fields.setdefault(name, value) != value:
            raise Unreadable(f"expected each key once, was {name!r} twice")
        if len(fields) > MOST_FIELDS:
            raise Unreadable(f"expected at most {MOST_FIELDS} fields")
    if not fields:
        raise Unreadable("expected a JSON object or KEY=VALUE pairs, was other text")
    return fields


def _read_form(text: str) -> dict[str, Any]:
    """Form encoding (application/x-www-form-urlencoded), recognised by the text: content types of senders are unreliable."""
    fields: dict[str, Any] = {}
    try:
        pairs = parse_qsl(
            text, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=MOST_FIELDS
        )
    except UnicodeDecodeError:
        raise Unreadable("expected UTF-8 text in a form") from None
    except ValueError:
        raise Unreadable(f"expected name=value pairs with & between them, at most {MOST_FIELDS}") from None
    for name, value in pairs:
        if not _NAME.fullmatch(name) or "\0" in value:
            raise Unreadable("expected a JSON object or KEY=VALUE pairs, was other text")
        if fields.setdefault(name, value) != value:
            raise Unreadable(f"expected each key once, was {name[:60]!r} twice")
    return fields


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise Unreadable(f"expected each key once, was {twice[:60]!r} twice")
    if len(fields) > MOST_FIELDS:
        raise Unreadable(f"expected at most {MOST_FIELDS} fields")
    return fields


def _refuse_constant(name: str) -> Any:
    raise Unreadable(f"expected strict JSON, was {name}")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=Number, parse_int=Number
)
