"""Accounts, and what stops and resumes trading."""

import sys
import uuid
from typing import Annotated, Any

import typer
from vantixs.api.common.v1 import common_pb2
from vantixs.api.risk.v1 import risk_pb2

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
from vantixs_console.timeline import short_name

app = typer.Typer(no_args_is_help=True)
account = typer.Typer(no_args_is_help=True, help="Accounts: what they may do, and their books")
app.add_typer(account, name="account")


@app.command()
def halt(
    scope: Annotated[str, typer.Option(help="global, account:ID, webhook:ID, strategy:ID, instrument:NAME")] = "global",
    comment: Annotated[str, typer.Option(help="why")] = "halted by hand",
    home: HomeOption = "",
    as_json: JsonOption = False,
) -> int:
    """Stops all trading in a scope, at once and until resumed."""
    return _set_state(home, scope, common_pb2.TRADING_STATE_HALTED, comment, as_json=as_json)


@app.command()
def reduce(
    scope: Annotated[str, typer.Option(help="scope, as for halt")] = "global",
    comment: Annotated[str, typer.Option(help="why")] = "reducing by hand",
    home: HomeOption = "",
    as_json: JsonOption = False,
) -> int:
    """Lets only exits pass in a scope, until resumed."""
    return _set_state(home, scope, common_pb2.TRADING_STATE_REDUCING, comment, as_json=as_json)


@app.command()
def resume(
    scope: Annotated[str, typer.Option(help="scope, as for halt")] = "global",
    comment: Annotated[str, typer.Option(help="why")] = "resumed by hand",
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
    home: HomeOption = "",
    as_json: JsonOption = False,
) -> int:
    """Lets trading go on in a scope; asks first."""
    if not yes and typer.prompt(f"Type {scope} to let trading go on there") != scope:
        print("vantixs: not resumed", file=sys.stderr)  # noqa: T201
        return 1
    return _set_state(home, scope, common_pb2.TRADING_STATE_ACTIVE, comment, as_json=as_json)


def _set_state(home: str, scope: str, state: Any, comment: str, *, as_json: bool) -> int:
    request = risk_pb2.SetTradingStateRequest(scope=scope, state=state, comment=comment)
    response = ask(home, lambda c: c.risk.SetTradingState(request, timeout=TIMEOUT_S))

    def text() -> None:
        names = [
            common_pb2.TradingState.Name(s).removeprefix("TRADING_STATE_")
            for s in (response.before, response.state.state)
        ]
        out.print(f"{scope}: {names[0]} -> {names[1]}, {response.open_orders} orders were on their way")

    show(response, as_json=as_json, text=text)
    return 0


@account.command(name="create")
def account_create(
    account_id: str,
    mode: Annotated[str, typer.Option(help="paper or live")] = "paper",
    currency: Annotated[str, typer.Option(help="base currency")] = "USDT",
    balance: Annotated[str, typer.Option(help="opening balance")] = "100000",
    may_short: Annotated[bool, typer.Option(help="whether it may be short")] = False,
    sizing_method: Annotated[str, typer.Option(help="fixed_notional or fixed_quantity")] = "fixed_notional",
    sizing_value: Annotated[str, typer.Option(help="quote units or base units")] = "100",
    max_order_notional: Annotated[str, typer.Option(help="quote units")] = "10000",
    max_position_notional: Annotated[str, typer.Option(help="quote units")] = "50000",
    max_open_positions: Annotated[int, typer.Option(help="0 for no limit")] = 0,
    home: HomeOption = "",
    as_json: JsonOption = False,
) -> int:
    """Creates an account."""
    request = risk_pb2.CreateAccountRequest(request_id=str(uuid.uuid4()))
    new = request.account
    new.account_id, new.currency, new.balance, new.enabled, new.may_short = (
        account_id,
        currency,
        balance,
        True,
        may_short,
    )
    new.mode = enum_value(common_pb2.Mode, "MODE_", "mode", mode)
    new.sizing.method = enum_value(common_pb2.SizingMethod, "SIZING_METHOD_", "sizing-method", sizing_method)
    new.sizing.value = sizing_value
    new.limits.max_order_notional, new.limits.max_position_notional = max_order_notional, max_position_notional
    new.limits.max_open_positions = max_open_positions
    response = ask(home, lambda c: c.risk.CreateAccount(request, timeout=TIMEOUT_S))
    show(response, as_json=as_json, text=lambda: out.print(f"{response.account.account_id} created"))
    return 0


@account.command(name="show")
def account_show(account_id: str, home: HomeOption = "", as_json: JsonOption = False) -> int:
    """Shows an account's rules and books."""
    request = risk_pb2.GetAccountRequest(account_id=account_id)
    response = ask(home, lambda c: c.risk.GetAccount(request, timeout=TIMEOUT_S))

    def text() -> None:
        out.print(
            f"{account_id}: realised {response.realized_profit}, fees {response.fees} {response.account.currency}"
        )
        table = make_table("asset", "total", "reserved")
        for balance in response.balances:
            table.add_row(balance.asset, balance.total, balance.reserved)
        out.print(table)
        _print_positions(response.positions)

    show(response, as_json=as_json, text=text)
    return 0


@account.command(name="list")
def account_list(home: HomeOption = "", page_size: int = 50, page_token: str = "", as_json: JsonOption = False) -> int:
    """Lists accounts."""
    request = risk_pb2.ListAccountsRequest(page_size=page_size, page_token=page_token)
    response = ask(home, lambda c: c.risk.ListAccounts(request, timeout=TIMEOUT_S))

    def text() -> None:
        table = make_table("account", "mode", "currency", "enabled", "revision")
        for item in response.accounts:
            mode = short_name(common_pb2.Mode.Name(item.mode))
            table.add_row(item.account_id, mode, item.currency, str(item.enabled), str(item.revision))
        out.print(table)

    show(response, as_json=as_json, text=text)
    return 0


@account.command(name="positions")
def account_positions(account_id: str, home: HomeOption = "", page_size: int = 50, as_json: JsonOption = False) -> int:
    """Lists an account's positions."""
    request = risk_pb2.ListPositionsRequest(account_id=account_id, page_size=page_size)
    response = ask(home, lambda c: c.risk.ListPositions(request, timeout=TIMEOUT_S))
    show(response, as_json=as_json, text=lambda: _print_positions(response.positions))
    return 0


def _print_positions(positions: Any) -> None:
    table = make_table("instrument", "quantity", "average price", "realised", "fees")
    for item in positions:
        table.add_row(item.instrument, item.quantity, item.average_price, item.realized_profit, item.fees)
    out.print(table)
