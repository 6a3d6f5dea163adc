"""A limit on how many of something are taken in a period."""

_ONE = 1 - 1e-9  # Refilling in steps loses a little by rounding.


class TokenBucket:
    """A token bucket: `most` at once, refilled evenly over `period_s`. Time is monotonic, in seconds."""

    __slots__ = ("_left", "_most", "_rate", "_updated")

    def __init__(self, most: int, period_s: float, now_s: float) -> None:
        self._most = float(most)
        self._rate = most / period_s
        self._left = float(most)
        self._updated = now_s

    def wait(self, now_s: float) -> float:
        """Seconds until there is one to take, 0 where there is."""
        self._refill(now_s)
        return 0.0 if self._left >= _ONE else (1 - self._left) / self._rate

    def take(self, now_s: float) -> float:
        """Takes one and returns 0, or returns the seconds until there is one."""
        wait = self.wait(now_s)
        if not wait:
            self._left -= 1
        return wait

    @property
    def full(self) -> bool:
        """Whether nothing is taken at the moment."""
        return self._left >= self._most

    def _refill(self, now_s: float) -> None:
        if now_s > self._updated:
            self._left = min(self._most, self._left + (now_s - self._updated) * self._rate)
            self._updated = now_s
