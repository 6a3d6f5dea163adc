"""Fields that are stored without effect, and fields that are not understood and therefore reject an entry."""

import json
from collections.abc import Callable
from typing import Any

from vantixs_ingress.domain.payload import converters as to
from vantixs_ingress.domain.payload.decode import Number
from vantixs_ingress.domain.payload.reading import MOST_HELD, ConversionError, Draft
from vantixs_ingress.domain.payload.redaction import REDACTED
from vantixs_ingress.domain.payload.vocabulary import PROTECTS, hidden_members, is_hidden, protects

_UNREAD = "expected none: it looks like a stop, target, size, limit or trigger, and this field is not understood"


def keep(name: str, value: Any, draft: Draft) -> None:
    """Stores a field without effect; a stop, target, size, limit or trigger inside it rejects an entry."""
    draft.keep(name, value if isinstance(value, str) else as_json(value))
    refuse_inside(name, value, draft)


def refuse_inside(name: str, value: Any, draft: Draft, known: frozenset[str] = frozenset()) -> None:
    """Rejects an entry for a protective field inside an object, a list, or a text that is one of these in JSON.

    `known` are names that are read elsewhere.
    """
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return  # It is not JSON.
    if isinstance(value, dict | list):
        path = _protecting(name, value, known)
        if path:
            draft.refuse(path.lstrip("."), "FIELD_INVALID", _UNREAD, slot=PROTECTS)


def _protecting(path: str, value: Any, known: frozenset[str]) -> str:
    """The path of the first inner field about a stop, target, size, limit or trigger that has a value; "" for none."""
    inner = value.items() if isinstance(value, dict) else ((str(n), item) for n, item in enumerate(value))
    for name, item in inner:
        if isinstance(value, dict) and name not in known and protects(name) and not to.says_no(item):
            return f"{path}.{name}"
        found = _protecting(f"{path}.{name}", item, known) if isinstance(item, dict | list) else ""
        if found:
            return found
    return ""


def as_json(value: Any) -> str:
    """A value as JSON text, with numbers as written, and with the values of secret fields redacted."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        named = hidden_members(value)
        parts = (
            f"{json.dumps(name, ensure_ascii=False)}: "
            f"{json.dumps(REDACTED) if name in named or is_hidden(name) else as_json(inner)}"
            for name, inner in value.items()
        )
        return "{" + ", ".join(parts) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_json, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def refuse_unread(draft: Draft, name: str, value: Any) -> None:
    """Rejects an entry for a field whose name is about a stop, target, size, limit or trigger and is not understood."""
    if is_hidden(name.rpartition(".")[2]):
        # `token_amount` is a size and `stop_token` a secret: only the value tells them apart, and it is not shown.
        if not to.says_no(value) and to.is_number(value):
            raise ConversionError(_UNREAD, complete=True)
        return
    draft.keep(name, value if isinstance(value, str) else as_json(value))
    if not to.says_no(value):
        raise ConversionError(_UNREAD)


def unused(draft: Draft, name: str, value: Any) -> None:
    """Warns of a known field without effect if it asks for something."""
    draft.keep(name, value if isinstance(value, str) else as_json(value))
    if not to.says_no(value):
        draft.note(name, "FIELD_INVALID", "is not used: this is not supported")


def free_text(slot: str) -> Callable[[Draft, str, Any], None]:
    """A handler for text without effect: the first one is the value of the slot, further ones are extras."""

    def handle(draft: Draft, name: str, value: Any) -> None:
        text = value if isinstance(value, str) else as_json(value)
        refuse_inside(name, value, draft)
        if slot in draft.values:
            draft.keep(name, text)
        else:
            draft.values[slot], draft.names[slot] = text[:MOST_HELD], name

    return handle


def says_none(draft: Draft, name: str, value: Any) -> bool:
    """Whether a price or level means none: empty, false, or 0, for which a warning is added."""
    if not to.says_no(value):
        return False
    if to.is_number(value):
        draft.note(name, "FIELD_INVALID", "0 means none")
    return True
