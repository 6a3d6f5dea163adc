"""Logs: events with fields, one JSON object a line on standard error."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from vantixs.runtime import trace

_SECRET_KEYS = ("token", "secret", "password", "authorization", "passphrase", "payload", "api_key")

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
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s %(levelname)s %(message)s")


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replaces the value of every field whose name tells of a secret or a payload."""
    for key in event:
        if any(word in key.lower() for word in _SECRET_KEYS) and not key.endswith("_fingerprint"):
            event[key] = "[redacted]"
    return event
