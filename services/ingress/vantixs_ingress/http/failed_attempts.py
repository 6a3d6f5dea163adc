"""Failed attempts to authenticate, limited per address. The number of addresses that are remembered is bounded."""

from collections import OrderedDict

from prometheus_client import Gauge

from vantixs_ingress.webhooks.token_bucket import TokenBucket

MOST_ADDRESSES = 10_000
ADDRESSES = Gauge("vantixs_ingress_limited_addresses", "addresses whose failed attempts are counted")


class FailedAttemptLimiter:
    """Failed attempts per address. An address with too many is answered 429, unless a request authenticates.

    All users of TradingView share its addresses, so failed attempts of one must not keep out another with a valid token.
    """

    def __init__(self, most_per_minute: int) -> None:
        self._most = most_per_minute
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()
        ADDRESSES.set_function(lambda: len(self._buckets))

    def wait(self, block: str, now_s: float) -> float:
        """Seconds for which the address has no attempt left, 0 where it has one."""
        known = self._buckets.get(block)
        return known.wait(now_s) if known else 0.0

    def failed(self, block: str, now_s: float) -> None:
        """Counts a failed attempt. If too many addresses are remembered, the one not seen for longest is forgotten."""
        if not self._most:
            return
        known = self._buckets.pop(block, None)
        if known is None:
            known = TokenBucket(self._most, 60, now_s)
            if len(self._buckets) >= MOST_ADDRESSES:
                self._buckets.popitem(last=False)
        known.take(now_s)
        self._buckets[block] = known

    def __len__(self) -> int:
        return len(self._buckets)
