"""Moments as protobuf has them, to the microsecond.

`Timestamp.FromDatetime` gives the same in 1.96 us instead of 0.47 us, and a signal has some thirty of them (2026-11-27,
plain Python).
"""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from vantixs.runtime.errors import invalid

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def set_time(field: Timestamp, moment: datetime) -> None:
    """Sets a field of a message.

    Raises:
        TypeError: the moment has no time zone.
    """
    since = moment - _EPOCH
    field.seconds, field.nanos = since.days * 86_400 + since.seconds, since.microseconds * 1000


def timestamp(moment: datetime) -> Timestamp:
    """A message of its own; TypeError where the moment has no time zone."""
    message = Timestamp()
    set_time(message, moment)
    return message


def moment_of(message: Timestamp, field: str) -> datetime:
    """The time in a field of a request, in UTC; INVALID_ARGUMENT where it is none from year 1 to 9999."""
    try:
        return message.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise invalid(field, "expected a time from year 1 to 9999, was another number of seconds") from None
