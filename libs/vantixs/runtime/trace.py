"""W3C trace context, carried HTTP -> journal -> gRPC.

Source: https://www.w3.org/TR/trace-context/ (traceparent, version 00).
"""

import random
import re
from contextvars import ContextVar

_PARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_current: ContextVar[str] = ContextVar("traceparent", default="")
_random = random.Random()  # noqa: S311 - seeded by the system; ids have to differ, not to be secret


def current() -> str:
    """The traceparent of the running task; empty outside a trace."""
    return _current.get()


def trace_id() -> str:
    """The trace id of the running task, 32 hexadecimal digits; empty outside a trace."""
    return _current.get()[3:35]


def enter(parent: str | None) -> str:
    """Starts a span below the parent, or a new trace where the parent is missing or malformed, and returns it."""
    match = _PARENT.fullmatch(parent) if parent else None
    fresh = f"{_random.getrandbits(192):048x}"
    trace = match[1] if match and int(match[1], 16) else fresh[16:]
    span = f"00-{trace}-{fresh[:16]}-01"
    _current.set(span)
    return span
