"""Commands for quotes and instruments."""

import asyncio
import json
import sys
import threading
import uuid
from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated

import typer
from vantixs.api.common.v1 import common_pb2
from vantixs.api.router.v1 import router_pb2
from vantixs.runtime.errors import ServiceError

from vantixs_console.clients import Clients
from vantixs_console.feed import PAUSE_S, Fed, QuoteFeed, read_lines
from vantixs_console.plain_text import complain
from vantixs_console.standing import Quoted, read_quote, read_quotes
from vantixs_console.terminal import TIMEOUT_S, HomeOption, JsonOption, ask, make_table, out, show

READ_AHEAD = 1000  # Highest number of lines that are read but not sent yet.

app = typer.Typer(no_args_is_help=True)
quote = typer.Typer(no_args_is_help=True, help="Quotes: show them, and publish your own instead of simulated ones")
app.add_typer(quote, name="quote")
instruments = typer.Typer(no_args_is_help=True, help="Instruments: list them, and add one")
app.add_typer(instruments, name="instrument")


@quote.command(name="list")
def quote_list(home: HomeOption = "", as_json: JsonOption = False) -> int:
    """Lists the current quote of every instrument with its source and age."""
    quotes = ask(home, read_quotes)
    if as_json:
        print(json.dumps({"quotes": [asdict(item) for item in quotes]}))
    else:
        _print_quotes(quotes)
    return 0


@quote.command(name="get")
def quote_get(instrument: str, home: HomeOption = "", as_json: JsonOption = False) -> int:
    """Shows the quote with which an order would be decided now: source, prices, sizes, age."""
    found = ask(home, lambda c: read_quote(c, instrument))
    if as_json:
        print(json.dumps(asdict(found)))
    else:
        _print_quotes([found])
    return 0


def _print_quotes(quotes: Iterable[Quoted]) -> None:
    table = make_table("instrument", "source", "bid", "ask", "bid size", "ask size", "age", "")
    for item in quotes:
        age = "" if item.age_ms is None else f"{item.age_ms / 1000:.1f} s"
        stale = "stale: orders are refused as PRICE_STALE" if item.stale else ""
        if not item.bid:
            stale = "no price yet: orders are refused"
        table.add_row(item.instrument, item.source, item.bid, item.ask, item.bid_size, item.ask_size, age, stale)
    out.print(table)


@quote.command(name="bars")
def quote_bars(
    instrument: str,
    timeframe: Annotated[str, typer.Option(help="length of a bar: one of the router's bar_timeframes")] = "1h",
    home: HomeOption = "",
    page_size: int = 50,
    page_token: str = "",
    as_json: JsonOption = False,
) -> int:
    """Lists an instrument's last closed bars, newest first; prices are the middle of bid and ask, times are UTC."""
    request = router_pb2.ListBarsRequest(
        instrument=instrument, timeframe=timeframe, page_size=page_size, page_token=page_token
    )
    response = ask(home, lambda c: c.router.ListBars(request, timeout=TIMEOUT_S))

    def text() -> None:
        table = make_table("start", "open", "high", "low", "close", "quotes", "source", "")
        for bar in response.bars:
            start = bar.start_time.ToDatetime().strftime("%Y-%m-%d %H:%M:%S")
            partial = "" if bar.complete else "partial: quotes may have been missed"
            table.add_row(start, bar.open, bar.high, bar.low, bar.close, str(bar.quote_count), bar.source, partial)
        out.print(table)
        if response.next_page_token:
            out.print(f"more: --page-token {response.next_page_token}")

    show(response, as_json=as_json, text=text)
    return 0


# The command's earlier name, for scripts that use it.
@quote.command(name="publish", hidden=True)
@quote.command(name="set")
def quote_set(
    instrument: str,
    bid: str,
    ask_: Annotated[str, typer.Argument(metavar="ASK")],
    bid_size: Annotated[str, typer.Option(help="base units offered at the bid; empty if not known")] = "",
    ask_size: Annotated[str, typer.Option(help="base units offered at the ask; empty if not known")] = "",
    home: HomeOption = "",
    as_json: JsonOption = False,
) -> int:
    """Publishes an instrument's quote. Until it is cleared, no quotes are simulated, and an old quote is PRICE_STALE."""
    given = common_pb2.Quote(instrument=instrument, bid=bid, ask=ask_, bid_size=bid_size, ask_size=ask_size)
    request = router_pb2.PublishQuoteRequest(quote=given)
    response = ask(home, lambda c: c.router.PublishQuote(request, timeout=TIMEOUT_S))
    show(response, as_json=as_json, text=lambda: out.print(f"{instrument} bid {bid} ask {ask_}"))
    return 0


@quote.command(name="feed")
def quote_feed(home: HomeOption = "", as_json: JsonOption = False) -> int:
    """Publishes quotes from standard input, one JSON object a line, until the input ends; reconnects if necessary.

    A line: {"instrument": "BTC/USDT", "bid": "63990", "ask": "64010"}, optionally with "bid_size", "ask_size", "quote_time".
    """

    async def feed(clients: Clients) -> Fed:
        loop = asyncio.get_running_loop()
        waiting: asyncio.Queue[list[common_pb2.Quote] | None] = asyncio.Queue(READ_AHEAD)

        async def recover(error: ServiceError) -> None:
            complain(f"{error.reason}: {error.detail}; trying again")
            await asyncio.sleep(PAUSE_S)
            await clients.transport.look("router")

        def put(quotes: list[common_pb2.Quote] | None) -> None:
            asyncio.run_coroutine_threadsafe(waiting.put(quotes), loop).result()

        # Reading cannot be interrupted, so it is done in a daemon thread, which ends with the process.
        threading.Thread(target=read_lines, args=(sys.stdin, put, complain), daemon=True).start()
        return await QuoteFeed(clients.router.PublishQuotes, waiting, recover).run()

    fed = ask(home, feed)
    if as_json:
        print(json.dumps(asdict(fed)))
    else:
        refused = f", {fed.refused} refused: {fed.detail or 'see above'}" if fed.refused else ""
        out.print(f"{fed.taken} taken{refused}")
    return 1 if fed.refused else 0


@quote.command(name="clear")
def quote_clear(instrument: str, home: HomeOption = "", as_json: JsonOption = False) -> int:
    """Removes an instrument's published quote, so that quotes are simulated again; does nothing if there is none."""
    request = router_pb2.ClearQuoteRequest(instrument=instrument)
    response = ask(home, lambda c: c.router.ClearQuote(request, timeout=TIMEOUT_S))
    found = response.HasField("cleared")
    text = f"{instrument} is simulated again" if found else f"{instrument} had no published quote"
    show(response, as_json=as_json, text=lambda: out.print(text))
    return 0


@instruments.command(name="list")
def instrument_list(
    home: HomeOption = "", page_size: int = 50, page_token: str = "", as_json: JsonOption = False
) -> int:
    """Lists the instruments of the catalogue, with price step, quantity step and lowest notional of an order."""
    request = router_pb2.ListInstrumentsRequest(page_size=page_size, page_token=page_token)
    response = ask(home, lambda c: c.router.ListInstruments(request, timeout=TIMEOUT_S))

    def text() -> None:
        table = make_table("instrument", "kind", "base", "quote", "price step", "quantity step", "lowest notional", "")
        for item in response.instruments:
            kind = common_pb2.InstrumentKind.Name(item.kind).removeprefix("INSTRUMENT_KIND_").lower()
            table.add_row(
                item.instrument,
                kind.replace("_", " "),
                item.base_asset,
                item.quote_asset,
                item.tick_size,
                item.lot_size,
                item.minimum_notional,
                "added" if item.revision else "",
            )
        out.print(table)
        if response.next_page_token:
            out.print(f"more: --page-token {response.next_page_token}")

    show(response, as_json=as_json, text=text)
    return 0


@instruments.command(name="add")
def instrument_add(
    instrument: Annotated[str, typer.Argument(help="BASE/QUOTE, or BASE/QUOTE:QUOTE for a linear perpetual")],
    tick_size: Annotated[str, typer.Option(help="price step in the quote asset")],
    lot_size: Annotated[str, typer.Option(help="quantity step in the base asset")],
    minimum_notional: Annotated[str, typer.Option(help="lowest notional of an order in the quote asset; 0 for none")],
    reference_price: Annotated[str, typer.Option(help="price at which its simulated quotes start, in the quote asset")],
    home: HomeOption = "",
    as_json: JsonOption = False,
) -> int:
    """Adds an instrument to the running system. It can never be changed or removed."""
    given = common_pb2.Instrument(
        instrument=instrument,
        tick_size=tick_size,
        lot_size=lot_size,
        minimum_notional=minimum_notional,
        reference_price=reference_price,
    )
    request = router_pb2.CreateInstrumentRequest(request_id=str(uuid.uuid4()), instrument=given)
    response = ask(home, lambda c: c.router.CreateInstrument(request, timeout=TIMEOUT_S))
    added = response.instrument
    text = f"{added.instrument} is added: price step {added.tick_size}, quantity step {added.lot_size}"
    show(response, as_json=as_json, text=lambda: out.print(text))
    return 0
