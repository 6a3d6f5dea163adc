"""What an account did lately: rates, repeats, losses, failures. Memory is bounded. Pure.

All times are the account's own time, which never goes back, so a clock that is set back does not open any limit.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

RATE_WINDOW_S = 60
MOST_REQUESTED, MOST_APPROVED = 100, 500


class EntryRecord(NamedTuple):
    """An entry that was requested, and when. `key` is side, quantity and instrument, for example "buy 0.01 BTC/USDT".

    Of an approved one that rests it has type and prices too.
    """

    key: str
    time: datetime


@dataclass(frozen=True, slots=True)
class Activity:
    """Bounded memory of what an account did.

    Attributes:
        seconds: (second since 1970, orders approved in it), of the last minute.
        requested: entries requested within the breaker's window, the last 100.
        approved: the latest approved entry of each instrument, side, quantity and prices within the window of duplicates,
            at most 500.
        failures: orders in a row that the venue rejected.
        last_loss: when closing last realised a loss.
    """

    seconds: tuple[tuple[int, int], ...] = ()
    requested: tuple[EntryRecord, ...] = ()
    approved: tuple[EntryRecord, ...] = ()
    failures: int = 0
    last_loss: datetime | None = None

    def orders_last_minute(self, now: datetime) -> int:
        """Orders approved in the last 60 seconds, counted by whole seconds: so of 60 to 61 seconds, never of less."""
        first = int(now.timestamp()) - RATE_WINDOW_S
        return sum(count for second, count in self.seconds if second >= first)

    def approved_since(self, key: str, now: datetime, window_s: int) -> EntryRecord | None:
        """The approved entry of the same key that is younger than the window."""
        window = timedelta(seconds=window_s)
        return next((e for e in self.approved if e.key == key and now - e.time < window), None)

    def full(self, now: datetime, window_s: int) -> bool:
        """Whether more was approved within the window than is remembered, so that a repeat may not be seen."""
        window = timedelta(seconds=window_s)
        return len(self.approved) >= MOST_APPROVED and all(now - e.time < window for e in self.approved)

    def requested_since(self, key: str, now: datetime, window_s: int) -> int:
        """How many entries of the same instrument, side and quantity were requested within the window."""
        window = timedelta(seconds=window_s)
        return sum(e.key == key and now - e.time < window for e in self.requested)

    def with_order(self, now: datetime) -> "Activity":
        """After an order was approved."""
        this = int(now.timestamp())
        first = this - RATE_WINDOW_S
        kept = tuple((second, count) for second, count in self.seconds if first <= second != this)
        count = next((count for second, count in self.seconds if second == this), 0)
        return replace(self, seconds=(*kept, (this, count + 1)))

    def with_requested(self, entry: EntryRecord, window_s: int) -> "Activity":
        """After an entry was requested; what is as old as the window is forgotten."""
        return replace(self, requested=(*_within_window(self.requested, entry.time, window_s), entry)[-MOST_REQUESTED:])

    def with_approved(self, entry: EntryRecord, window_s: int) -> "Activity":
        """After an entry was approved; what is as old as the window is forgotten."""
        kept = [e for e in _within_window(self.approved, entry.time, window_s) if e.key != entry.key]
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
            requested=tuple(EntryRecord(e.key, min(e.time, now)) for e in self.requested),
            approved=tuple(EntryRecord(e.key, min(e.time, now)) for e in self.approved),
            last_loss=min(self.last_loss, now) if self.last_loss else None,
        )


def _within_window(entries: tuple[EntryRecord, ...], now: datetime, window_s: int) -> list[EntryRecord]:
    return [e for e in entries if now - e.time < timedelta(seconds=window_s)]
