"""What RouterService says of the market: instruments, quotes and bars. Every replica answers the same."""

from typing import Any, NamedTuple

from vantixs.api.router.v1 import router_pb2, router_pb2_grpc
from vantixs.model.instruments import INSTRUMENTS
from vantixs.runtime.errors import not_found
from vantixs.runtime.grpc_server import caller
from vantixs.runtime.instruments import to_message
from vantixs.runtime.paging import decode_token, encode_token, page_size

from vantixs_router.add_instrument import AddInstrument
from vantixs_router.bars.kept import KeptBars
from vantixs_router.quotes import Quotes


class MarketData(NamedTuple):
    """What is known of the market, and how an instrument is added."""

    quotes: Quotes
    bars: KeptBars
    instruments: AddInstrument


class MarketServicer(router_pb2_grpc.RouterServiceServicer):
    """The calls about the market; the others answer UNIMPLEMENTED by the generated base class."""

    def __init__(self, market: MarketData) -> None:
        self._quotes, self._bars, self._instruments = market

    async def ListInstruments(self, request: router_pb2.ListInstrumentsRequest, context: Any) -> Any:
        """The catalogue."""
        after = decode_token(request.page_token) if request.page_token else ""
        catalogue = INSTRUMENTS.current
        names = sorted(name for name in catalogue if name > after)
        size = page_size(request)
        following = encode_token(names[size - 1]) if len(names) > size else ""
        instruments = [self._instruments.describe(name, to_message(catalogue[name])) for name in names[:size]]
        return router_pb2.ListInstrumentsResponse(instruments=instruments, next_page_token=following)

    async def CreateInstrument(self, request: router_pb2.CreateInstrumentRequest, context: Any) -> Any:
        """Adds an instrument. What it is makes a repeated call the same call; the request_id is not needed for it."""
        added = await self._instruments.add(request.instrument, caller().actor)
        return router_pb2.CreateInstrumentResponse(instrument=added)

    async def PublishQuote(self, request: router_pb2.PublishQuoteRequest, context: Any) -> Any:
        """Takes a quote from outside."""
        return router_pb2.PublishQuoteResponse(quote=await self._quotes.push(request.quote))

    async def PublishQuotes(self, request_iterator: Any, context: Any) -> Any:
        """Takes quotes from outside as they come."""
        return await self._quotes.publish(request_iterator)

    async def ClearQuote(self, request: router_pb2.ClearQuoteRequest, context: Any) -> Any:
        """Takes a quote away that came from outside."""
        return router_pb2.ClearQuoteResponse(cleared=await self._quotes.clear(request.instrument))

    async def ListPushedQuotes(self, request: router_pb2.ListPushedQuotesRequest, context: Any) -> Any:
        """Quotes from outside, and their age."""
        after = decode_token(request.page_token) if request.page_token else ""
        quotes = [pushed for pushed in self._quotes.pushed() if pushed.quote.instrument > after]
        size = page_size(request)
        following = encode_token(quotes[size - 1].quote.instrument) if len(quotes) > size else ""
        return router_pb2.ListPushedQuotesResponse(quotes=quotes[:size], next_page_token=following)

    async def GetQuote(self, request: router_pb2.GetQuoteRequest, context: Any) -> Any:
        """The quote that orders would be decided with now."""
        if request.instrument not in INSTRUMENTS.current:
            raise not_found("instrument", request.instrument[:40])
        return router_pb2.GetQuoteResponse(current=self._quotes.dated(INSTRUMENTS.current[request.instrument]))

    async def ListQuotes(self, request: router_pb2.ListQuotesRequest, context: Any) -> Any:
        """The same of every instrument."""
        after = decode_token(request.page_token) if request.page_token else ""
        names = sorted(name for name in INSTRUMENTS.current if name > after)
        size = page_size(request)
        following = encode_token(names[size - 1]) if len(names) > size else ""
        quotes = [self._quotes.dated(INSTRUMENTS.current[name]) for name in names[:size]]
        return router_pb2.ListQuotesResponse(quotes=quotes, next_page_token=following)

    async def ListBars(self, request: router_pb2.ListBarsRequest, context: Any) -> Any:
        """Closed bars of an instrument, newest first."""
        return self._bars.page(request)
