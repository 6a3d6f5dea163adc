"""Trading windows and trading days, in local time with daylight saving. Pure.

Rules are kept in local time and zone. An instant is converted to local time and compared, never the other way round, so no
local time that does not exist or exists twice is ever converted. On the day the clocks go forward a window over the missing
hour is an hour shorter, on the day they go back an hour longer.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class TradingWindow:
    """A time of day, on some days, in a zone.

    Attributes:
        days: days on which it starts, 0 for Monday to 6.
        start_s: first second, 0 to 86,399.
        end_s: second after the last, 1 to 86,400; at or before `start_s` it ends on the next day.
        zone: IANA name, for example "America/New_York".
    """

    days: frozenset[int]
    start_s: int
    end_s: int
    zone: str

    def contains(self, now: datetime) -> bool:
        """Whether the instant is in the window."""
        local = now.astimezone(ZoneInfo(self.zone))
        second = local.hour * 3600 + local.minute * 60 + local.second
        today = local.weekday() in self.days
        if self.start_s < self.end_s:
            return today and self.start_s <= second < self.end_s
        yesterday = (local.weekday() - 1) % 7 in self.days
        return (today and second >= self.start_s) or (yesterday and second < self.end_s)


def trading_day(now: datetime, zone: str, start_s: int) -> date:
    """The day an instant belongs to, where days begin `start_s` seconds after local midnight."""
    local = now.astimezone(ZoneInfo(zone))
    second = local.hour * 3600 + local.minute * 60 + local.second
    return local.date() if second >= start_s else local.date() - timedelta(days=1)
