"""Commands that list, show, cancel and amend orders, and list the router's lanes."""

import uuid
from collections.abc import Sequence
from typing import Annotated, Any

import grpc
import typer
from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.ingress.v1 import ingress_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.api.router.v1 import router_pb2
from vantixs.runtime.settings import SettingsError

from vantixs_console.clients import Clients
from vantixs_console.ended_signal import NOT_KNOWN, show_end, wait_for_end
from vantixs_console.order_words import (
    describe_order,
    filled_of,
    link_of,
    prices_of,
    role_of,
    side_of,
    state_of,
    time_in_force_of,
    type_of,
)
from vantixs_console.plain_text import complain
from vantixs_console.terminal import (
    TIMEOUT_S,
    HomeOption,
    JsonOption,
    ask,
    check_exists,
    make_table,
    out,
    print_rows,
    show,
)
from vantixs_console.timeline import short_name

app = typer.Typer(no_args_is_help=True)
order = typer.Typer(no_args_is_help=True, help="Orders: list, show, cancel and amend them")
app.add_typer(order, name="order")


@order.command(name="list")
def order_list(
    account_id: Annotated[str, typer.Option("--account", help="only this account")] = "",
    instrument: Annotated[str, typer.Option(help="only this instrument")] = "",
    open_only: Annotated[bool, typer.Option("--open", help="only orders that have not ended")] = False,
    signal_id: Annotated[str, typer.Option("--signal", help="only this signal")] = "",
    home: HomeOption = "",
    page_size: int = 50,
    page_token: str = "",
    as_json: JsonOption = False,
) -> int:
    """Lists orders, newest first."""
    request = router_pb2.ListOrdersRequest(
        signal_id=signal_id,
        account_id=account_id,
        instrument=instrument,
        open_only=open_only,
        page_size=page_size,
        page_token=page_token,
    )
    response = ask(home, lambda c: c.router.ListOrders(request, timeout=TIMEOUT_S))

    def text() -> None:
        table = make_table(
            "order", "account", "instrument", "for", "side", "type", "quantity", "price", "state", "filled"
        )
        for item in response.orders:
            table.add_row(
                item.order_id,
                item.account_id,
                item.instrument,
                role_of(item),
                side_of(item),
                type_of(item),
                item.quantity,
                prices_of(item),
                state_of(item),
                filled_of(item),
            )
        out.print(table)
        if response.next_page_token:
            out.print(f"more: --page-token {response.next_page_token}")

    show(response, as_json=as_json, text=text)
    return 0


@order.command(name="show")
def order_show(order_id: str, home: HomeOption = "", as_json: JsonOption = False) -> int:
    """Shows an order: its terms, its role in a bracket, and each fill with its fee and the assumptions."""
    request = router_pb2.GetOrderRequest(order_id=order_id)
    response = ask(home, lambda c: c.router.GetOrder(request, timeout=TIMEOUT_S))

    def text() -> None:
        shown = response.order
        title = " ".join(filter(None, (shown.order_id, state_of(shown), shown.reason)))
        out.print(f"{title}  {describe_order(shown, linked=False)}")
        print_rows(_order_rows(shown))
        for fill in response.fills:
            out.print()
            out.print(f"fill of {fill.quantity} at {fill.price}")
            print_rows(_fill_rows(fill))

    show(response, as_json=as_json, text=text)
    return 0


def _order_rows(shown: order_pb2.Order) -> list[tuple[str, str]]:
    """The other fields of an order; empty ones are left out."""
    rows = [
        ("for", link_of(shown)),
        ("replaces", shown.replaces_order_id),
        ("replaced by", shown.replaced_by_order_id),
        ("signal", shown.signal_id),
        ("account", f"{shown.account_id} ({short_name(common_pb2.Mode.Name(shown.mode))})"),
        ("webhook", shown.webhook_id),
        ("tag", shown.tag),
        ("type", type_of(shown)),
        ("limit price", shown.limit_price),
        ("stop price", shown.stop_price),
        ("trails by", f"{shown.trail_percent}%" if shown.trail_percent else shown.trail_amount),
        ("trails from", shown.activation_price),
        ("time in force", time_in_force_of(shown)),
        (
            "becomes a market order",
            f"{shown.triggered_timeout_s} s after its trigger" * bool(shown.triggered_timeout_s),
        ),
        ("post only", "yes" * shown.post_only),
        ("reduce only", "yes" * shown.reduce_only),
        ("quantity", shown.quantity),
        ("filled", filled_of(shown)),
        ("client order id", shown.client_order_id),
        ("venue order id", shown.venue_order_id),
        ("made", shown.create_time.ToJsonString()),
        ("changed", shown.update_time.ToJsonString()),
    ]
    return [(name, value) for name, value in rows if value]


def _fill_rows(fill: order_pb2.Fill) -> list[tuple[str, str]]:
    quote = fill.quote
    rows = [
        ("time", fill.execute_time.ToJsonString()),
        ("fee", f"{fill.fee} {fill.fee_asset}" if fill.fee else ""),
        ("liquidity", fill.liquidity),
        ("assumed", "; ".join(fill.assumptions)),
        ("quote", f"{quote.source} bid {quote.bid} ask {quote.ask}" if quote.bid else ""),
        ("execution id", fill.execution_id),
    ]
    return [(name, value) for name, value in rows if value]


@order.command(name="cancel")
def order_cancel(
    order_id: Annotated[
        str, typer.Argument(help="one order; not a leg of a bracket, which ends with its position")
    ] = "",
    account_id: Annotated[str, typer.Option("--account", help="entries of this account")] = "",
    instrument: Annotated[str, typer.Option(help="entries of this instrument")] = "",
    webhook_id: Annotated[str, typer.Option("--webhook", help="entries of this webhook")] = "",
    tag: Annotated[str, typer.Option(help="entries whose signal had this tag")] = "",
    every: Annotated[bool, typer.Option("--all", help="every resting entry")] = False,
    home: HomeOption = "",
    as_json: JsonOption = False,
) -> int:
    """Cancels a resting order, or every resting entry that matches all given options. Does not ask for confirmation.

    Prints the result for each order; the exit code is 0 if all of them are cancelled.
    """
    filters = {"account_id": account_id, "instrument": instrument, "webhook_id": webhook_id, "tag": tag}
    if bool(order_id) + any(filters.values()) + every != 1:
        raise SettingsError(
            "order cancel: expected an order, or any of --account, --instrument, --webhook and --tag, or --all"
        )
    if order_id:
        one = router_pb2.CancelOrderRequest(order_id=order_id)
        response = ask(home, lambda c: c.router.CancelOrder(one, timeout=TIMEOUT_S))
        orders = [response.order]
    else:
        many = router_pb2.CancelOrdersRequest(**filters, all=every)

        async def cancel(clients: Clients) -> Any:
            await _check_names(clients, account_id, webhook_id)
            return await clients.router.CancelOrders(many, timeout=TIMEOUT_S)

        response = ask(home, cancel)
        orders = list(response.orders)
    show(response, as_json=as_json, text=lambda: _print_canceled(orders))
    return 0 if all(item.state == common_pb2.ORDER_STATE_CANCELED for item in orders) else 1


@order.command(name="amend")
def order_amend(
    order_id: Annotated[str, typer.Argument(help="a resting order, not a leg of a bracket")],
    limit_price: Annotated[str, typer.Option(help="new limit price")] = "",
    stop_price: Annotated[str, typer.Option(help="new trigger price")] = "",
    quantity: Annotated[
        str, typer.Option(help="new quantity of the whole order, including what is already filled")
    ] = "",
    until: Annotated[str, typer.Option(help="time at which it expires, for example 2026-11-28T10:00:00Z")] = "",
    trail_percent: Annotated[str, typer.Option(help="new distance of a trailing stop, percent")] = "",
    trail_amount: Annotated[str, typer.Option(help="new distance of a trailing stop in the quote asset")] = "",
    reason: Annotated[str, typer.Option(help="why, for the record")] = "",
    request_id: Annotated[
        str, typer.Option(help="a repeated call with the same id changes nothing again; empty for a new id")
    ] = "",
    home: HomeOption = "",
    as_json: JsonOption = False,
) -> int:
    """Changes a resting order: cancels it, places the rest as a new order, and waits for the result. Does not ask.

    Risk decides on the new order. If risk denies it, the old order stays cancelled. The exit code is 0 if it was placed.
    """
    request = router_pb2.AmendOrderRequest(
        request_id=request_id or str(uuid.uuid4()),
        order_id=order_id,
        limit_price=limit_price,
        stop_price=stop_price,
        quantity=quantity,
        trail_percent=trail_percent,
        trail_amount=trail_amount,
        reason=reason,
    )
    if until:
        try:
            request.expire_time.FromJsonString(until)
        except ValueError:
            raise SettingsError(
                f"order amend: --until: expected a time such as 2026-11-28T10:00:00Z, was {until!r}"
            ) from None

    async def amend(clients: Clients) -> tuple[str, audit_pb2.GetSignalResponse | None]:
        try:
            response = await clients.router.AmendOrder(request, timeout=TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            if error.code() in NOT_KNOWN:
                complain(f"the order may be changing: repeat the command with --request-id {request.request_id}")
            raise
        after = response.order
        if not as_json and after.order_id != order_id:
            out.print(f"{after.order_id} replaces {order_id}: {describe_order(after)}")
        return response.signal_id, await wait_for_end(clients, response.signal_id)

    signal_id, found = ask(home, amend)
    return show_end(signal_id, found, as_json=as_json)


async def _check_names(clients: Clients, account_id: str, webhook_id: str) -> None:
    """Refuses an account or webhook that does not exist: otherwise it would look as if all its orders were cancelled."""
    if account_id:
        account = risk_pb2.GetAccountRequest(account_id=account_id)
        await check_exists(f"account {account_id}", "risk", lambda t: clients.risk.GetAccount(account, timeout=t))
    if webhook_id:
        webhook = ingress_pb2.GetWebhookRequest(webhook_id=webhook_id)
        await check_exists(f"webhook {webhook_id}", "ingress", lambda t: clients.ingress.GetWebhook(webhook, timeout=t))


def _print_canceled(orders: Sequence[order_pb2.Order]) -> None:
    if not orders:
        out.print("no resting entry matches")
        return
    table = make_table("order", "account", "what", "state", "filled", "why")
    for item in orders:
        cells = (item.order_id, item.account_id, describe_order(item), state_of(item), filled_of(item), item.reason)
        table.add_row(*cells)
    out.print(table)


@app.command()
def lanes(home: HomeOption = "", as_json: JsonOption = False) -> int:
    """Lists the lanes: the router that owns each, its position in the journal, and the number of signals that wait."""
    response = ask(home, lambda c: c.router.ListLanes(router_pb2.ListLanesRequest(), timeout=TIMEOUT_S))

    def text() -> None:
        table = make_table("lane", "router", "epoch", "cursor", "waiting")
        for item in response.lanes:
            waiting = str(item.parked) if item.parked else ""
            table.add_row(str(item.lane), item.owner or "nobody", str(item.epoch), str(item.cursor), waiting)
        out.print(table)

    show(response, as_json=as_json, text=text)
    return 0
