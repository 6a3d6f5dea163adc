"""Signals: listing, showing, watching."""

from typing import Annotated, Any

import typer
from google.protobuf import json_format
from rich.markup import escape
from rich.table import Table
from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.common.v1 import common_pb2

from vantixs_console.clients import Clients
from vantixs_console.order_words import ORDER_COLUMNS, latest_orders, order_cells
from vantixs_console.terminal import (
    TIMEOUT_S,
    HomeOption,
    JsonOption,
    ask,
    enum_value,
    make_table,
    out,
    show,
)
from vantixs_console.timeline import describe_timeline, short_name

app = typer.Typer(no_args_is_help=True)
signals = typer.Typer(no_args_is_help=True, help="Signals: what happened, and why")
app.add_typer(signals, name="signals")


@signals.command(name="list")
def signals_list(
    home: HomeOption = "",
    status_: Annotated[str, typer.Option("--status", help="accepted, executed, rejected, failed, replayed")] = "",
    webhook_id: Annotated[str, typer.Option("--webhook", help="webhook")] = "",
    account_id: Annotated[str, typer.Option("--account", help="account")] = "",
    page_size: int = 50,
    page_token: str = "",
    as_json: JsonOption = False,
) -> int:
    """Lists signals, newest first."""
    request = audit_pb2.ListSignalsRequest(page_size=page_size, page_token=page_token)
    request.filter.webhook_id, request.filter.account_id = webhook_id, account_id
    if status_:
        request.filter.status = enum_value(common_pb2.SignalStatus, "SIGNAL_STATUS_", "status", status_)
    response = ask(home, lambda c: c.audit.ListSignals(request, timeout=TIMEOUT_S))

    def text() -> None:
        out.print(signal_table(response.signals))
        if response.next_page_token:
            out.print(f"more: --page-token {response.next_page_token}")

    show(response, as_json=as_json, text=text)
    return 0


def signal_table(listed: Any) -> Table:
    """Signals as a table."""
    table = make_table("signal", "received", "action", "instrument", "status", "filled", "at", "why")
    for item in listed:
        action = short_name(common_pb2.Action.Name(item.action)) if item.action else ""
        table.add_row(
            item.signal_id,
            item.receive_time.ToJsonString()[:19],
            action,
            item.instrument or item.symbol,
            short_name(common_pb2.SignalStatus.Name(item.status)),
            item.filled_quantity,
            item.average_price,
            f"{item.reason} {item.detail}".strip(),
        )
    return table


@signals.command(name="show")
def signals_show(signal_id: str, home: HomeOption = "", as_json: JsonOption = False) -> int:
    """Shows a signal's orders, stop and targets among them, and its timeline: what happened, and why."""
    request = audit_pb2.GetSignalRequest(signal_id=signal_id)
    response = ask(home, lambda c: c.audit.GetSignal(request, timeout=TIMEOUT_S))

    def text() -> None:
        found = response.signal
        status = short_name(common_pb2.SignalStatus.Name(found.status))
        out.print(f"{found.signal_id}  status {status} {found.reason} {found.detail}".rstrip(), markup=False)
        entries = [recorded.entry for recorded in response.timeline]
        if orders := latest_orders(entries):
            table = make_table(*ORDER_COLUMNS)
            for order in orders:
                table.add_row(*(escape(cell) for cell in order_cells(order)))
            out.print(table)
        for step in describe_timeline(entries):
            out.print(f"{step.time}  {step.title:<10} {step.text}", markup=False)
            for name, value in step.details:
                lines = f"{name}: {value}".splitlines()
                for line in (lines[0], *(f"  {more}" for more in lines[1:])):
                    out.print(f"{'':>29}{line}", markup=False)

    show(response, as_json=as_json, text=text)
    return 0


@signals.command(name="tail")
def signals_tail(
    home: HomeOption = "",
    count: Annotated[int, typer.Option(help="end after this many changes, 0 for never")] = 0,
    as_json: JsonOption = False,
) -> int:
    """Prints signals as they change, until Ctrl-C."""

    async def watch(clients: Clients) -> None:
        seen = 0
        async for item in clients.client.signals.watch():
            if as_json:
                change = audit_pb2.WatchSignalsResponse(signal=item)
                print(json_format.MessageToJson(change, preserving_proto_field_name=True, indent=None), flush=True)
            else:
                status_text = short_name(common_pb2.SignalStatus.Name(item.status))
                out.print(f"{item.signal_id} {status_text} {item.instrument} {item.reason} {item.detail}", markup=False)
            seen += 1
            if seen == count:
                return

    try:
        ask(home, watch)
    except KeyboardInterrupt:
        return 0
    return 0
