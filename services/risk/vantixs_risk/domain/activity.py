"""What an account did lately, bounded: rates, repeats, losses, failures; pure.

Time is the account's own, which never goes back: so a clock set back opens nothing.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

RATE_WINDOW_S = 60
MOST_ENTRIES = 100


@dataclass(frozen=True, slots=True)
class Asked:
    """An entry that was asked for: what (instrument, side, quantity), when, and whether it was approved."""

    what: str
    time: datetime
    approved: bool


@dataclass(frozen=True, slots=True)
class Activity:
    """Bounded memory of what an account did.

    Attributes:
        seconds: (second since 1970, orders approved in it), of the last 60 seconds.
        entries: entries asked for within the longest window that is watched, at most 100.
        failures: orders in a row that the venue rejected.
        last_loss: when a fill last realised a loss.
    """

    seconds: tuple[tuple[int, int], ...] = ()
    entries: tuple[Asked, ...] = ()
    failures: int = 0
    last_loss: datetime | None = None

    def orders_last_minute(self, now: datetime) -> int:
        """Orders approved in this second and the 59 before it."""
        first = int(now.timestamp()) - RATE_WINDOW_S
        return sum(count for second, count in self.seconds if second > first)

    def approved_since(self, what: str, now: datetime, window_s: int) -> Asked | None:
        """The latest approved entry of the same instrument, side and quantity that is younger than the window."""
        return next((e for e in reversed(self._alike(what, now, window_s)) if e.approved), None)

    def asked_since(self, what: str, now: datetime, window_s: int) -> int:
        """How many entries of the same instrument, side and quantity were asked for within the window."""
        return len(self._alike(what, now, window_s))

    def with_order(self, now: datetime) -> "Activity":
        """After an order was approved."""
        this = int(now.timestamp())
        first = this - RATE_WINDOW_S
        kept = tuple((second, count) for second, count in self.seconds if first < second != this)
        count = next((count for second, count in self.seconds if second == this), 0)
        return replace(self, seconds=(*kept, (this, count + 1)))

    def with_entry(self, entry: Asked, keep_s: int) -> "Activity":
        """After an entry was asked for; only what is younger than `keep_s` is remembered."""
        kept = [e for e in self.entries if entry.time - e.time < timedelta(seconds=keep_s)]
        return replace(self, entries=(*kept, entry)[-MOST_ENTRIES:])

    def with_fill(self, realized_profit: Decimal, now: datetime) -> "Activity":
        """After a fill: failures are over, and a loss is remembered."""
        return replace(self, failures=0, last_loss=now if realized_profit < 0 else self.last_loss)

    def with_failure(self) -> "Activity":
        """After the venue rejected an order."""
        return replace(self, failures=self.failures + 1)

    def _alike(self, what: str, now: datetime, window_s: int) -> list[Asked]:
        window = timedelta(seconds=window_s)
        return [e for e in self.entries if e.what == what and now - e.time < window]
