"""How much is taken from whom. Every state here is bounded, whoever knocks."""

from collections import OrderedDict

MOST_ADDRESSES = 10_000
_ONE = 1 - 1e-9  # What is refilled in steps adds up to a little less.


class Allowance:
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
        """Whether nothing is taken."""
        return self._left >= self._most

    def _refill(self, now_s: float) -> None:
        if now_s > self._updated:
            self._left = min(self._most, self._left + (now_s - self._updated) * self._rate)
            self._updated = now_s


class Strangers:
    """Failed attempts per address. Who has too many is answered 429, unless what it brings is right.

    So a stranger who shares an address with a sender, as all TradingView users do, cannot shut the sender out.
    """

    def __init__(self, most_per_minute: int) -> None:
        self._most = most_per_minute
        self._allowances: OrderedDict[str, Allowance] = OrderedDict()

    def wait(self, block: str, now_s: float) -> float:
        """Seconds for which the address has no attempt left, 0 where it has one."""
        known = self._allowances.get(block)
        return known.wait(now_s) if known else 0.0

    def failed(self, block: str, now_s: float) -> None:
        """Counts a failed attempt. The address not seen for longest is forgotten where there are too many."""
        if not self._most:
            return
        known = self._allowances.pop(block, None)
        if known is None:
            known = Allowance(self._most, 60, now_s)
            if len(self._allowances) >= MOST_ADDRESSES:
                self._allowances.popitem(last=False)
        known.take(now_s)
        self._allowances[block] = known

    def __len__(self) -> int:
        return len(self._allowances)
