"""When two signals are the same: entries by their bytes, exits by their content without its times."""

import hashlib

from vantixs_ingress.domain.payload.converters import as_time
from vantixs_ingress.domain.payload.reading import ConversionError, FieldError, Reading

_TIMES = ("emit_time", "bar_time", "expire_time", "expires_after_s", "idempotency_key")


def takes_part(reading: Reading) -> bool:
    """Whether an exit closes a part of the position, so that executing it twice would close more than intended."""
    values = reading.values
    stays = values.get("action") == "REDUCE" or values.get("target_position") in ("LONG", "SHORT")
    part = stays or ("quantity" in values and values.get("target_position") != "FLAT")
    return reading.reduces and values.get("action") != "CANCEL" and part


def content_fingerprint(reading: Reading) -> bytes:
    """SHA-256 of a signal without its times, because a sender that repeats it after a time-out gives it a new time."""
    said = [(name, str(value)) for name, value in reading.values.items() if name not in _TIMES]
    said += [(f"extras.{name}", text) for name, text in reading.extras.items() if not _is_time(text)]
    return hashlib.sha256(repr(sorted(said)).encode("utf-8", "replace")).digest()


def set_key_aside(reading: Reading) -> None:
    """Removes the key of an exit whose key was used before, and adds a warning."""
    key = reading.values.pop("idempotency_key")
    reading.values.setdefault("sender_reference", key)
    detail = "was used before with other content: as this is an exit, it is taken as a signal of its own"
    name = reading.sources.get("idempotency_key", "idempotency_key")
    reading.warnings.append(FieldError(name, "IDEMPOTENCY_CONFLICT", detail))


def _is_time(text: str) -> bool:
    try:
        as_time(text)
    except ConversionError:
        return False
    return True
