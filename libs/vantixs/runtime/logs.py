"""Logs: events with fields, one JSON object a line, on standard error or in a file."""

import logging
from collections.abc import MutableMapping
from typing import Any, TextIO, cast

import structlog

from vantixs.runtime import trace
from vantixs.runtime.log_output import output

_SECRET_KEYS = ("token", "secret", "password", "authorization", "passphrase", "payload", "api_key")

# Of a longer value the middle is left out: of a traceback the end tells most, of a sender's text the beginning.
_HEAD, _TAIL = 3_000, 5_000

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def configure(service: str, instance: str, level: str, form: str) -> None:
    """Sets the process up to log: level is a name of `logging`, form is "json" or "text"."""
    render = structlog.processors.JSONRenderer() if form == "json" else structlog.dev.ConsoleRenderer(colors=False)

    def identify(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["service"], event["instance"] = service, instance
        if trace_id := trace.trace_id():
            event["trace_id"] = trace_id
        return event

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            identify,
            redact,
            structlog.processors.format_exc_info,
            shorten,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, output)),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, handlers=[_OfLibraries()])


class _OfLibraries(logging.Handler):
    """Logs what libraries report as events of ours, so that each is one line in the same form."""

    def emit(self, record: logging.LogRecord) -> None:
        """Logs one message; its traceback is a field of it. A message that cannot be formatted harms no caller."""
        try:
            detail = record.getMessage()
            log.log(record.levelno, "library.message", logger=record.name, detail=detail, exc_info=record.exc_info)
        except Exception:
            self.handleError(record)


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replaces the value of every field whose name tells of a secret or a payload."""
    for key in event:
        if any(word in key.lower() for word in _SECRET_KEYS) and not key.endswith("_fingerprint"):
            event[key] = "[redacted]"
    return event


def shorten(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Leaves the middle of very long values out."""
    for key, value in event.items():
        text = value if isinstance(value, str) else "" if isinstance(value, int | float) else repr(value)
        if len(text) > _HEAD + _TAIL:
            event[key] = f"{text[:_HEAD]} [{len(text) - _HEAD - _TAIL} characters left out] {text[-_TAIL:]}"
    return event
