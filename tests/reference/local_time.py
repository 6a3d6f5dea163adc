"""Local time from an instant and its zone's offset, in whole seconds: no calendar of the product or of Python is used.

Source: RFC 9557 and the IANA time zone database: local time = UTC + the offset in force at that instant.
"""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

DAY_S = 86_400
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def local_seconds(now: datetime, zone: str) -> int:
    """Seconds since 1970-01-01 00:00 as a clock on the wall there counts them."""
    offset = now.astimezone(ZoneInfo(zone)).utcoffset()
    assert offset is not None
    since = now - _EPOCH
    return since.days * DAY_S + since.seconds + offset.days * DAY_S + offset.seconds


def day_number(now: datetime, zone: str, start_s: int) -> int:
    """Days since 1970-01-01, where a day begins so many seconds after local midnight."""
    return (local_seconds(now, zone) - start_s) // DAY_S


def in_window(now: datetime, zone: str, days: frozenset[int], start_s: int, end_s: int) -> bool:
    """Whether the wall's clock shows a time of the window. Day 0 is Monday; 1970-01-01 was a Thursday (3)."""
    day, second = divmod(local_seconds(now, zone), DAY_S)
    length = end_s - start_s if end_s > start_s else end_s - start_s + DAY_S
    return any(
        (began + 3) % 7 in days and 0 <= (day - began) * DAY_S + second - start_s < length for began in (day, day - 1)
    )
