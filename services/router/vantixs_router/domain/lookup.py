"""How long a venue has to answer that it does not know an order before the order is called absent.

A venue may take an order in that it does not show yet. Only answers count: while the venue cannot be reached nothing is learnt,
and that time does not bring the order nearer to absent.
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Lookup:
    """Times in seconds of one monotonic clock.

    Attributes:
        horizon_s: how long the venue has to answer "not found".
        missed_s: how long it has done so.
        last_miss_s: when it last did, where it answered nothing else since; None otherwise.
        misses: how many times it did.
    """

    horizon_s: float
    missed_s: float = 0.0
    last_miss_s: float | None = None
    misses: int = 0

    def missed(self, now_s: float) -> "Lookup":
        """The venue answered that it does not know the order."""
        since = 0.0 if self.last_miss_s is None else max(now_s - self.last_miss_s, 0.0)
        return replace(self, missed_s=self.missed_s + since, last_miss_s=now_s, misses=self.misses + 1)

    def unanswered(self) -> "Lookup":
        """The venue gave no answer: the time around it does not count."""
        return replace(self, last_miss_s=None)

    @property
    def absent(self) -> bool:
        """Whether the order is not there. One answer alone is never enough, however short the horizon."""
        return self.misses > 1 and self.missed_s >= self.horizon_s
