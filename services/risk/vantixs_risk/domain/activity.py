"""What an account did lately, bounded: rates, repeats, losses, failures; pure.

Time is the account's own, which never goes back: so a clock set back opens nothing.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

RATE_WINDOW_S = 60
MOST_ASKED, MOST_APPROVED = 100, 500


class Asked(NamedTuple):
    """An entry that was asked for: what (instrument, side, quantity), and when."""

    what: str
    time: datetime


@dataclass(frozen=True, slots=True)
class Activity:
    """Bounded memory of what an account did.

    Attributes:
        seconds: (second since 1970, orders approved in it), of the last minute.
        asked: entries asked for within the breaker's window, the last 100.
        approved: the latest approved entry of each instrument, side and quantity within the window of duplicates, at
            most 500.
        failures: orders in a row that the venue rejected.
        last_loss: when closing last realised a loss.
    """

    seconds: tuple[tuple[int, int], ...] = ()
    asked: tuple[Asked, ...] = ()
    approved: tuple[Asked, ...] = ()
    failures: int = 0
    last_loss: datetime | None = None

    def orders_last_minute(self, now: datetime) -> int:
        """Orders approved in the last 60 seconds, counted by whole seconds: so of 60 to 61 seconds, never of less."""
        first = int(now.timestamp()) - RATE_WINDOW_S
        return sum(count for second, count in self.seconds if second >= first)

    def approved_since(self, what: str, now: datetime, window_s: int) -> Asked | None:
        """The approved entry of the same instrument, side and quantity that is younger than the window."""
        window = timedelta(seconds=window_s)
        return next((e for e in self.approved if e.what == what and now - e.time < window), None)

    def full(self, now: datetime, window_s: int) -> bool:
        """Whether more was approved within the window than is remembered: then a repeat cannot be told."""
        window = timedelta(seconds=window_s)
        return len(self.approved) >= MOST_APPROVED and all(now - e.time < window for e in self.approved)

    def asked_since(self, what: str, now: datetime, window_s: int) -> int:
        """How many entries of the same instrument, side and quantity were asked for within the window."""
        window = timedelta(seconds=window_s)
        return sum(e.what == what and now - e.time < window for e in self.asked)

    def with_order(self, now: datetime) -> "Activity":
        """After an order was approved."""
        this = int(now.timestamp())
        first = this - RATE_WINDOW_S
        kept = tuple((second, count) for second, count in self.seconds if first <= second != this)
        count = next((count for second, count in self.seconds if second == this), 0)
        return replace(self, seconds=(*kept, (this, count + 1)))

    def with_asked(self, entry: Asked, window_s: int) -> "Activity":
        """After an entry was asked for; what is as old as the window is forgotten."""
        return replace(self, asked=(*_younger(self.asked, entry.time, window_s), entry)[-MOST_ASKED:])

    def with_approved(self, entry: Asked, window_s: int) -> "Activity":
        """After an entry was approved; what is as old as the window is forgotten."""
        kept = [e for e in _younger(self.approved, entry.time, window_s) if e.what != entry.what]
        return replace(self, approved=(*kept, entry)[-MOST_APPROVED:])

    def with_fill(self, closed_profit: Decimal, now: datetime) -> "Activity":
        """After a fill: failures are over, and a loss is remembered."""
        return replace(self, failures=0, last_loss=now if closed_profit < 0 else self.last_loss)

    def with_failure(self) -> "Activity":
        """After the venue rejected an order."""
        return replace(self, failures=self.failures + 1)

    def not_after(self, now: datetime) -> "Activity":
        """With nothing in the future: what was dated there is dated now, so that its window begins now."""
        this = int(now.timestamp())
        ahead = sum(count for second, count in self.seconds if second > this)
        seconds = tuple((second, count) for second, count in self.seconds if second <= this)
        return replace(
            self,
            seconds=(*seconds, (this, ahead)) if ahead else seconds,
            asked=tuple(Asked(e.what, min(e.time, now)) for e in self.asked),
            approved=tuple(Asked(e.what, min(e.time, now)) for e in self.approved),
            last_loss=min(self.last_loss, now) if self.last_loss else None,
        )


def _younger(entries: tuple[Asked, ...], now: datetime, window_s: int) -> list[Asked]:
    return [e for e in entries if now - e.time < timedelta(seconds=window_s)]
