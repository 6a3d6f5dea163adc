"""A bracket as values that JSON has, and back: what is stored is what a restart goes on with."""

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from vantixs_router.domain.brackets.state import Bracket


def to_dict(bracket: Bracket) -> dict[str, Any]:
    """The bracket as text, whole numbers, lists and dictionaries; decimals are text, times are ISO 8601."""
    encoded: dict[str, Any] = _encode(bracket)
    return encoded


def from_dict(stored: Mapping[str, Any]) -> Bracket:
    """The bracket of `to_dict`.

    Raises:
        KeyError: a field without a default is not there.
        ValueError: a value is not of its field.
    """
    bracket: Bracket = _decode(Bracket, stored)
    return bracket


def _encode(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: _encode(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple):
        return [_encode(one) for one in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def _decode(kind: Any, value: Any) -> Any:
    if isinstance(kind, UnionType):  # Every union of a bracket is of one type and None.
        return None if value is None else _decode(next(one for one in get_args(kind) if one is not NoneType), value)
    if get_origin(kind) is tuple:
        return tuple(_decode(get_args(kind)[0], one) for one in value)
    if is_dataclass(kind):
        return _decode_fields(kind, value)
    if kind is datetime:
        return datetime.fromisoformat(value)
    return kind(value) if issubclass(kind, Enum | Decimal) else value


def _decode_fields(kind: Any, value: Mapping[str, Any]) -> Any:
    """What an earlier version did not store yet has its default."""
    known = {name: _decode(hint, value[name]) for name, hint in get_type_hints(kind).items() if name in value}
    for one in fields(kind):
        if one.name not in known and one.default is MISSING:
            raise KeyError(f"{kind.__name__}.{one.name}")
    return kind(**known)
