"""Orders, quotes, and the lanes that signals run in."""

from typing import Annotated

import typer
from vantixs.api.common.v1 import common_pb2
from vantixs.api.router.v1 import router_pb2

from vantixs_console.terminal import TIMEOUT_S, HomeOption, JsonOption, ask, make_table, out, show
from vantixs_console.timeline import short_name

app = typer.Typer(no_args_is_help=True)
order = typer.Typer(no_args_is_help=True, help="Orders")
app.add_typer(order, name="order")
quote = typer.Typer(no_args_is_help=True, help="Quotes")
app.add_typer(quote, name="quote")


@order.command(name="list")
def order_list(
    signal_id: Annotated[str, typer.Option("--signal", help="only of this signal")] = "",
    home: HomeOption = "",
    page_size: int = 50,
    page_token: str = "",
    as_json: JsonOption = False,
) -> int:
    """Lists orders, newest first."""
    request = router_pb2.ListOrdersRequest(signal_id=signal_id, page_size=page_size, page_token=page_token)
    response = ask(home, lambda c: c.router.ListOrders(request, timeout=TIMEOUT_S))

    def text() -> None:
        table = make_table("order", "account", "instrument", "side", "quantity", "state", "at")
        for item in response.orders:
            side, state = common_pb2.Side.Name(item.side), common_pb2.OrderState.Name(item.state)
            table.add_row(
                item.order_id,
                item.account_id,
                item.instrument,
                short_name(side),
                item.quantity,
                short_name(state),
                item.average_price,
            )
        out.print(table)

    show(response, as_json=as_json, text=text)
    return 0


@quote.command(name="publish")
def quote_publish(
    instrument: str,
    bid: str,
    ask_: Annotated[str, typer.Argument(metavar="ASK")],
    home: HomeOption = "",
    as_json: JsonOption = False,
) -> int:
    """Gives an instrument's quote; it has no simulated ones from then on, and old ones are refused, until it is cleared."""
    request = router_pb2.PublishQuoteRequest(quote=common_pb2.Quote(instrument=instrument, bid=bid, ask=ask_))
    response = ask(home, lambda c: c.router.PublishQuote(request, timeout=TIMEOUT_S))
    show(response, as_json=as_json, text=lambda: out.print(f"{instrument} bid {bid} ask {ask_}"))
    return 0


@quote.command(name="clear")
def quote_clear(instrument: str, home: HomeOption = "", as_json: JsonOption = False) -> int:
    """Takes an instrument's given quote away, so that it has simulated ones again; does nothing where there is none."""
    request = router_pb2.ClearQuoteRequest(instrument=instrument)
    response = ask(home, lambda c: c.router.ClearQuote(request, timeout=TIMEOUT_S))
    found = response.HasField("cleared")
    text = f"{instrument} is simulated again" if found else f"{instrument} had no given quote"
    show(response, as_json=as_json, text=lambda: out.print(text, markup=False))
    return 0


@app.command()
def lanes(home: HomeOption = "", as_json: JsonOption = False) -> int:
    """Lists the lanes: which router runs each, how far it is, and how many of its signals wait."""
    response = ask(home, lambda c: c.router.ListLanes(router_pb2.ListLanesRequest(), timeout=TIMEOUT_S))

    def text() -> None:
        table = make_table("lane", "router", "epoch", "cursor", "waiting")
        for item in response.lanes:
            waiting = str(item.parked) if item.parked else ""
            table.add_row(str(item.lane), item.owner or "nobody", str(item.epoch), str(item.cursor), waiting)
        out.print(table)

    show(response, as_json=as_json, text=text)
    return 0
