"""Commands that list positions with their stops and targets, and close them."""

import json
import uuid
from typing import Annotated, Any, NamedTuple

import grpc
import typer
from google.protobuf import json_format
from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.router.v1 import router_pb2

from vantixs_console.clients import Clients
from vantixs_console.ended_signal import NOT_KNOWN, show_end, wait_for_end
from vantixs_console.order_words import prices_of, state_of
from vantixs_console.plain_text import complain
from vantixs_console.terminal import TIMEOUT_S, HomeOption, JsonOption, ask, make_table, out

app = typer.Typer(no_args_is_help=True)
position = typer.Typer(no_args_is_help=True, help="Positions: list them with their stops and targets, and close them")
app.add_typer(position, name="position")


class Held(NamedTuple):
    """An open position, and the open legs of its brackets."""

    position: order_pb2.Position
    legs: list[order_pb2.Order]


@position.command(name="list")
def position_list(
    account_id: Annotated[str, typer.Option("--account", help="only this account")] = "",
    home: HomeOption = "",
    as_json: JsonOption = False,
) -> int:
    """Lists open positions, with their unrealised profit, stops and targets."""

    async def read(clients: Clients) -> list[Held]:
        accounts = [account_id] if account_id else await _account_ids(clients)
        return [held for account in accounts for held in await _read_held(clients, account)]

    found = ask(home, read)
    if as_json:
        print(json.dumps({"positions": [_content(held) for held in found]}))
        return 0
    table = make_table(
        "account", "instrument", "quantity", "average price", "mark", "unrealised", "stop", "targets"
    )  # fmt: skip
    for held, legs in found:
        table.add_row(
            held.account_id,
            held.instrument,
            held.quantity,
            held.average_price,
            held.mark_price or "unknown",
            held.unrealized_profit,
            _protection(legs, order_pb2.BRACKET_LEG_STOP_LOSS, order_pb2.BRACKET_LEG_CLOSE),
            _protection(legs, order_pb2.BRACKET_LEG_TAKE_PROFIT),
        )
    out.print(table)
    return 0


@position.command(name="close")
def position_close(
    account_id: Annotated[str, typer.Option("--account", help="account")],
    instrument: Annotated[str, typer.Option(help="for example BTC/USDT")],
    reason: Annotated[str, typer.Option(help="why, for the record")],
    request_id: Annotated[
        str, typer.Option(help="a repeated call with the same id closes nothing again; empty for a new id")
    ] = "",
    home: HomeOption = "",
    as_json: JsonOption = False,
) -> int:
    """Closes a position at market, cancels the instrument's resting orders first, and waits for the result. Does not ask."""
    request = router_pb2.ClosePositionRequest(
        request_id=request_id or str(uuid.uuid4()), account_id=account_id, instrument=instrument, reason=reason
    )

    async def close(clients: Clients) -> tuple[str, audit_pb2.GetSignalResponse | None]:
        try:
            response = await clients.router.ClosePosition(request, timeout=TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            if error.code() in NOT_KNOWN:
                complain(f"the position may be closing: repeat the command with --request-id {request.request_id}")
            raise
        if not as_json:
            out.print(f"{response.signal_id} closes {instrument} of {account_id}")
        return response.signal_id, await wait_for_end(clients, response.signal_id)

    signal_id, found = ask(home, close)
    return show_end(signal_id, found, as_json=as_json)


async def _account_ids(clients: Clients) -> list[str]:
    return [account.account_id async for account in clients.client.accounts.list()]


async def _read_held(clients: Clients, account_id: str) -> list[Held]:
    held = [item async for item in clients.client.positions.list(account_id)]
    if not held:
        return []
    orders = [item async for item in clients.client.orders.list(account_id=account_id, open_only=True)]
    legs = sorted((order for order in orders if order.leg), key=lambda order: (order.entry_order_id, order.target))
    return [Held(item, [leg for leg in legs if leg.instrument == item.instrument]) for item in held]


def _protection(legs: list[order_pb2.Order], *kinds: "order_pb2.BracketLeg") -> str:
    """Orders of these kinds as text: "58000 for 0.5", followed by the state if it is not a usual open state."""
    return ", ".join(_leg_text(leg) for leg in legs if leg.leg in kinds) or "none"


def _leg_text(leg: order_pb2.Order) -> str:
    price = leg.stop_price or leg.limit_price or prices_of(leg)
    filled = f"{leg.filled_quantity} filled" if leg.filled_quantity else ""
    plain = (common_pb2.ORDER_STATE_ACCEPTED, common_pb2.ORDER_STATE_PARTIALLY_FILLED)
    notes = ", ".join(filter(None, (filled, "" if leg.state in plain else state_of(leg))))
    return f"{price} for {leg.quantity}" + (f" ({notes})" if notes else "")


def _content(held: Held) -> dict[str, Any]:
    content = json_format.MessageToDict(held.position, preserving_proto_field_name=True)
    orders = [json_format.MessageToDict(leg, preserving_proto_field_name=True) for leg in held.legs]
    return content | {"orders": orders}
