"""Where quotes come from: pushed ones where an instrument has them, simulated ones otherwise."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext

from vantixs.api.common.v1 import common_pb2
from vantixs.api.router.v1 import router_pb2
from vantixs.model.decimals import EXACT, format_decimal, parse_decimal
from vantixs.model.instruments import CATALOGUE, Instrument
from vantixs.runtime.errors import invalid, not_found
from vantixs.runtime.kv import KvTable

from vantixs_router.domain.simulation import simulated_mid
from vantixs_router.settings import RouterSettings

TICK_US = 100_000  # Simulated prices change this often, microseconds.


class Quotes:
    """The current quote of every instrument.

    An instrument that was pushed is quoted by pushing until it is cleared: a pushed quote that grows old makes
    PRICE_STALE, never a silent change to simulated prices.
    """

    def __init__(
        self, pushed: KvTable[common_pb2.Quote], settings: RouterSettings, clock: Callable[[], datetime]
    ) -> None:
        self._pushed = pushed
        self._settings = settings
        self._clock = clock
        self._kept: dict[str, tuple[datetime, common_pb2.Quote]] = {}
        self._listeners: list[Callable[[common_pb2.Quote], None]] = []

    def listen(self, listener: Callable[[common_pb2.Quote], None]) -> None:
        """Has every quote told that comes from outside, here or at another replica."""
        self._listeners.append(listener)

    def changed(self, quote: common_pb2.Quote) -> None:
        """A quote came from outside."""
        for listener in self._listeners:
            listener(quote)

    def current(self, instrument: Instrument) -> common_pb2.Quote:
        """The quote to use now."""
        pushed = self._pushed.get(quote_key(instrument.name))
        return pushed.value if pushed else self._simulated(instrument)

    def marks(self, held: list[str], traded: str) -> list[common_pb2.Quote]:
        """Quotes of what an account holds besides what it trades now, at most 100."""
        return [self.current(CATALOGUE[name]) for name in held if name != traded and name in CATALOGUE][:100]

    async def push(self, quote: common_pb2.Quote) -> common_pb2.Quote:
        """Takes a quote from outside; every replica sees it within milliseconds."""
        if quote.instrument not in CATALOGUE:
            raise not_found("instrument", quote.instrument)
        try:
            bid, ask = parse_decimal(quote.bid), parse_decimal(quote.ask)
        except ValueError as error:
            raise invalid("quote", str(error)) from None
        if not 0 < bid <= ask:
            raise invalid("quote", f"expected 0 < bid <= ask, was bid {bid}, ask {ask}")
        taken = common_pb2.Quote()
        taken.CopyFrom(quote)
        taken.source = "pushed"
        if not taken.HasField("quote_time"):
            taken.quote_time.FromDatetime(self._clock())
        await self._pushed.put(quote_key(taken.instrument), taken)
        return taken

    async def clear(self, instrument: str) -> common_pb2.Quote | None:
        """Takes the pushed quote away, and returns it; None where there is none, as after the same call before."""
        if instrument not in CATALOGUE:
            raise not_found("instrument", instrument)
        removed = await self._pushed.remove(quote_key(instrument))
        return removed.value if removed else None

    def pushed(self) -> list[router_pb2.PushedQuote]:
        """Every pushed quote with its age, by instrument."""
        now = self._clock()
        found = []
        for _, held in sorted(self._pushed.items().items(), key=lambda item: item[1].value.instrument):
            age = now - held.value.quote_time.ToDatetime(UTC)
            found.append(router_pb2.PushedQuote(quote=held.value, age_ms=age // timedelta(milliseconds=1)))
        return found

    def _simulated(self, instrument: Instrument) -> common_pb2.Quote:
        """The quote of this tenth of a second, made once: every order wants its own and that of each held position."""
        now = self._clock()
        now -= timedelta(microseconds=now.microsecond % TICK_US)
        kept = self._kept.get(instrument.name)
        if kept is None or kept[0] != now:
            kept = self._kept[instrument.name] = (now, self._simulate(instrument, now))
        return kept[1]

    def _simulate(self, instrument: Instrument, now: datetime) -> common_pb2.Quote:
        tick = instrument.tick_size
        seed = self._settings.simulated_seed
        with localcontext(EXACT):
            mid = simulated_mid(instrument.reference_price, tick, instrument.name, seed, now.timestamp())
            half = (mid * self._settings.simulated_spread_bps / 20_000 / tick).to_integral_value() * tick
            half = max(half, tick if self._settings.simulated_spread_bps else Decimal(0))
        quote = common_pb2.Quote(
            instrument=instrument.name,
            source="simulated",
            bid=format_decimal(mid - half),
            ask=format_decimal(mid + half),
        )
        quote.quote_time.FromDatetime(now)
        return quote


def quote_key(instrument: str) -> str:
    """The KV key of an instrument, for example "btc-usdt" and "btc-usdt-usdt"."""
    return instrument.replace("/", "-").replace(":", "-").lower()
