"""Commands that halt, reduce and resume trading."""

from typing import Annotated, Any

import typer
from vantixs.api.common.v1 import common_pb2, order_pb2
from vantixs.api.ingress.v1 import ingress_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.api.router.v1 import router_pb2

from vantixs_console.clients import Clients
from vantixs_console.plain_text import complain
from vantixs_console.terminal import TIMEOUT_S, HomeOption, JsonOption, ask, check_exists, make_table, out, show
from vantixs_console.timeline import short_name

app = typer.Typer(no_args_is_help=True)


@app.command()
def halt(
    scope: Annotated[str, typer.Option(help="global, account:ID, webhook:ID, strategy:ID, instrument:NAME")] = "global",
    comment: Annotated[str, typer.Option(help="why")] = "halted by hand",
    home: HomeOption = "",
    as_json: JsonOption = False,
) -> int:
    """Stops all trading in a scope, at once and until it is resumed. Does not ask for confirmation."""
    return _set_state(home, scope, common_pb2.TRADING_STATE_HALTED, comment, as_json=as_json)


@app.command()
def reduce(
    scope: Annotated[str, typer.Option(help="scope, as for halt")] = "global",
    comment: Annotated[str, typer.Option(help="why")] = "reducing by hand",
    home: HomeOption = "",
    as_json: JsonOption = False,
) -> int:
    """Allows only exits in a scope, until it is resumed."""
    return _set_state(home, scope, common_pb2.TRADING_STATE_REDUCING, comment, as_json=as_json)


@app.command()
def resume(
    scope: Annotated[str, typer.Option(help="scope, as for halt")] = "global",
    comment: Annotated[str, typer.Option(help="why")] = "resumed by hand",
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
    home: HomeOption = "",
    as_json: JsonOption = False,
) -> int:
    """Resumes trading in a scope; asks first. The counts of an account's breakers restart."""
    if not yes and not _confirmed(scope):
        complain("not resumed")
        return 1
    return _set_state(home, scope, common_pb2.TRADING_STATE_ACTIVE, comment, as_json=as_json)


def _confirmed(scope: str) -> bool:
    try:
        return bool(typer.prompt(f"Type {scope} to resume trading there") == scope)
    except typer.Abort:
        return False


def _set_state(home: str, scope: str, state: Any, comment: str, *, as_json: bool) -> int:
    request = risk_pb2.SetTradingStateRequest(scope=scope, state=state, comment=comment)

    async def change(clients: Clients) -> Any:
        await _check_scope(clients, scope, state)
        return await clients.risk.SetTradingState(request, timeout=TIMEOUT_S)

    response = ask(home, change)

    def text() -> None:
        before, after = (state_name(s) for s in (response.before, response.state.state))
        out.print(f"{scope}: {before} -> {after}")
        if state == common_pb2.TRADING_STATE_ACTIVE:
            return
        if not response.open_orders:
            out.print("no orders were open")
            return
        out.print(f"{response.open_orders} orders were open; those that are at a venue may still fill:")
        print_open_orders(response.orders)
        out.print("resting entries are cancelled within seconds; stops and targets stay")

    show(response, as_json=as_json, text=text)
    return 0


async def _check_scope(clients: Clients, scope: str, state: Any) -> None:
    """Refuses a webhook or strategy that does not exist; risk itself only knows accounts and instruments.

    A restricted scope can be resumed even if it does not exist any more.
    """
    kind, _, name = scope.partition(":")
    if kind not in ("webhook", "strategy"):
        return
    if state == common_pb2.TRADING_STATE_ACTIVE:
        held = await clients.risk.GetTradingState(risk_pb2.GetTradingStateRequest(scope=scope), timeout=TIMEOUT_S)
        if held.state.state != common_pb2.TRADING_STATE_ACTIVE:
            return
    if kind == "webhook":
        webhook = ingress_pb2.GetWebhookRequest(webhook_id=name)
        await check_exists(scope, "ingress", lambda t: clients.ingress.GetWebhook(webhook, timeout=t))
    else:
        strategy = router_pb2.GetStrategyRequest(strategy_id=name)
        await check_exists(scope, "the router", lambda t: clients.router.GetStrategy(strategy, timeout=t))


def state_name(state: Any) -> str:
    """A trading state in short, for example "HALTED"."""
    return common_pb2.TradingState.Name(state).removeprefix("TRADING_STATE_")


def print_open_orders(orders: Any) -> None:
    """Orders that hold a reservation, by account."""
    table = make_table("account", "order", "instrument", "side", "effect", "quantity", "filled", "holds", "since")
    for item in orders:
        effect = order_pb2.OrderEffect.Name(item.effect).removeprefix("ORDER_EFFECT_")
        table.add_row(
            item.account_id,
            item.order_id,
            item.instrument,
            short_name(common_pb2.Side.Name(item.side)),
            effect,
            item.quantity,
            item.filled_quantity,
            item.hold,
            item.decide_time.ToJsonString(),
        )
    out.print(table)
