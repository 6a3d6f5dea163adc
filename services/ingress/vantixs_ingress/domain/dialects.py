"""From bytes to named fields: strict JSON, else KEY=VALUE pairs. Never raises but `Unreadable`."""

import json
import re
from typing import Any

from vantixs_ingress.domain.vocabulary import SECRETS, fold

_PAIR = re.compile(r"^\s*([A-Za-z][A-Za-z0-9_ -]{0,63}?)\s*=(.*)$", re.DOTALL)
_JSON_PAIR = re.compile(r'"((?:[^"\\]|\\.){0,64})"(\s*:\s*)("(?:[^"\\]|\\.)*"|[^\s",}\]{\[]+)')
_TEXT_PAIR = re.compile(r"([A-Za-z][A-Za-z0-9_-]{0,63})(\s*=\s*)([^\n;,]*)")
MOST_FIELDS = 500


class Unreadable(Exception):
    """The body is not in a dialect we read; the text says why."""


class Number(str):
    """A JSON number, kept as it was written."""

    __slots__ = ()


def decode(body: bytes) -> str:
    """The text of a body: UTF-8 with or without BOM, UTF-16 with BOM."""
    try:
        if body[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return body.decode("utf-16")
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unreadable("expected UTF-8 text, or UTF-16 with a byte order mark") from None


def read_fields(text: str) -> dict[str, Any]:
    """The fields of a body, in the order sent."""
    stripped = text.strip()
    if not stripped:
        raise Unreadable("expected a JSON object, was empty")
    if stripped[0] in '{["' or stripped[0].isdigit() or stripped in ("null", "true", "false"):
        return _read_json(stripped)
    return _read_pairs(stripped)


def redact(text: str, *known: str) -> str:
    """The text with the values of secret fields, and the known secrets, replaced."""

    def hide_json(match: re.Match[str]) -> str:
        return f'"{match[1]}"{match[2]}"[redacted]"' if fold(match[1]) in SECRETS else match[0]

    def hide_text(match: re.Match[str]) -> str:
        return f"{match[1]}{match[2]}[redacted]" if fold(match[1]) in SECRETS else match[0]

    for secret in known:
        if len(secret) >= 16:
            text = text.replace(secret, "[redacted]")
    return _TEXT_PAIR.sub(hide_text, _JSON_PAIR.sub(hide_json, text))


def _read_json(text: str) -> dict[str, Any]:
    try:
        value = _DECODER.decode(text)
        # Lone surrogates pass the decoder and fail wherever the text is stored.
        text.encode()
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except Unreadable:
        raise
    except RecursionError:
        raise Unreadable("expected an object of little depth, was nested too deep") from None
    except UnicodeEncodeError:
        raise Unreadable("expected text, was half of a surrogate pair") from None
    except ValueError as error:
        raise Unreadable(f"expected strict JSON: {error}") from None
    if not isinstance(value, dict):
        kinds: dict[type, str] = {list: "a list", str: "a text", Number: "a number"}
        raise Unreadable(f"expected an object, was {kinds.get(type(value), 'a bare value')}")
    return value


def _read_pairs(text: str) -> dict[str, Any]:
    separator = next((s for s in ("\n", ";", ",") if s in text), "\n")
    fields: dict[str, Any] = {}
    for part in filter(str.strip, text.split(separator)):
        match = _PAIR.match(part)
        if match is None:
            raise Unreadable("expected a JSON object or KEY=VALUE pairs, was other text")
        name, value = match[1], match[2].strip()
        if name in fields and fields[name] != value:
            raise Unreadable(f"expected each key once, was {name!r} twice")
        fields[name] = value
        if len(fields) > MOST_FIELDS:
            raise Unreadable(f"expected at most {MOST_FIELDS} fields")
    return fields


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Unreadable(f"expected each key once, was {twice[:60]!r} twice")
    if len(fields) > MOST_FIELDS:
        raise Unreadable(f"expected at most {MOST_FIELDS} fields")
    return fields


def _refuse_constant(name: str) -> Any:
    raise Unreadable(f"expected strict JSON, was {name}")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=Number, parse_int=Number
)
