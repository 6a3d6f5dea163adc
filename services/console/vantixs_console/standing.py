"""What stops trading now: trading states other than ACTIVE, and pushed quotes that are too old."""

from dataclasses import dataclass, field

from vantixs.api.common.v1 import common_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.api.router.v1 import router_pb2

from vantixs_console.clients import Clients, read_pages

TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class Restriction:
    """A scope in which trading is not ACTIVE."""

    scope: str
    state: str
    since: str
    actor: str
    comment: str

    @property
    def line(self) -> str:
        """For people, for example "HALTED in global since 2026-11-24T10:00:00Z by operator:ann: news"."""
        return f"{self.state} in {self.scope} since {self.since} by {self.actor}: {self.comment}"


@dataclass(frozen=True, slots=True)
class Pushed:
    """An instrument with a pushed quote in place of simulated ones."""

    instrument: str
    age_s: float
    stale: bool

    @property
    def line(self) -> str:
        """A line for people; for a stale quote it says what to do."""
        if self.stale:
            what = (
                f"stale: orders are refused as PRICE_STALE until `vantixs quote clear {self.instrument}`, or a new one"
            )
        else:
            what = "no simulated quotes until it is cleared"
        return f"{self.instrument} is pushed, {self.age_s:.0f} s old, {what}"


@dataclass(frozen=True, slots=True)
class Standing:
    """Restrictions and pushed quotes, as risk and the router report them."""

    restrictions: list[Restriction]
    pushed: list[Pushed]
    stores: list[str] = field(default_factory=list)  # Problems of stores, if these were asked for.

    @property
    def lines(self) -> list[str]:
        """All of it, as lines for people."""
        return [*self.stores] + [found.line for found in self.restrictions] + [found.line for found in self.pushed]


async def read_restrictions(clients: Clients) -> list[Restriction]:
    """Every trading state that is not ACTIVE, by scope."""
    return [_restriction(state) for state in (await _trading(clients)).restricted]


async def read_standing(clients: Clients) -> Standing:
    """What stops trading now. A quote is stale by risk's default age."""
    trading = await _trading(clients)
    request = router_pb2.ListPushedQuotesRequest()
    pushed = [
        Pushed(found.quote.instrument, found.age_ms / 1000, found.age_ms > trading.max_price_age_ms)
        for found in await read_pages(clients.router.ListPushedQuotes, request, "quotes", TIMEOUT_S)
    ]
    return Standing([_restriction(state) for state in trading.restricted], pushed)


@dataclass(frozen=True, slots=True)
class Quoted:
    """An instrument's current quote and its source.

    Without prices and age if a quote file has not reached the instrument yet.
    """

    instrument: str
    source: str
    bid: str
    ask: str
    bid_size: str
    ask_size: str
    age_ms: int | None
    stale: bool


async def read_quotes(clients: Clients) -> list[Quoted]:
    """The quotes of all instruments of the catalogue, by name. A quote is stale by risk's default age."""
    trading = await _trading(clients)
    listed = await read_pages(clients.router.ListQuotes, router_pb2.ListQuotesRequest(), "quotes", TIMEOUT_S)
    return [_quoted(found, trading.max_price_age_ms) for found in listed]


async def read_quote(clients: Clients, instrument: str) -> Quoted:
    """The quote of one instrument.

    Raises:
        AioRpcError: NOT_FOUND.
    """
    request = router_pb2.GetQuoteRequest(instrument=instrument)
    response = await clients.router.GetQuote(request, timeout=TIMEOUT_S)
    return _quoted(response.current, (await _trading(clients)).max_price_age_ms)


def _quoted(found: router_pb2.CurrentQuote, max_price_age_ms: int) -> Quoted:
    quote = found.quote
    age_ms = found.age_ms if found.HasField("age_ms") else None
    return Quoted(
        quote.instrument,
        quote.source,
        quote.bid,
        quote.ask,
        quote.bid_size,
        quote.ask_size,
        age_ms,
        age_ms is not None and age_ms > max_price_age_ms,
    )


async def _trading(clients: Clients) -> risk_pb2.GetTradingStateResponse:
    return await clients.risk.GetTradingState(risk_pb2.GetTradingStateRequest(), timeout=TIMEOUT_S)


def _restriction(state: risk_pb2.ScopeState) -> Restriction:
    name = common_pb2.TradingState.Name(state.state).removeprefix("TRADING_STATE_")
    since = state.update_time.ToJsonString()
    return Restriction(state.scope, name, since[:19] + "Z", state.actor, state.comment)
