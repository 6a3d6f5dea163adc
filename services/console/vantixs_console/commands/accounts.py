"""Commands for accounts: their rules, limits and books."""

import uuid
from decimal import Decimal
from typing import Annotated, Any

import typer
from vantixs.api.common.v1 import common_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.runtime.settings import SettingsError

from vantixs_console.clients import Clients
from vantixs_console.commands.account_flags import Flag, apply, with_account_flags
from vantixs_console.commands.trading import print_open_orders, state_name
from vantixs_console.listing import account_rows
from vantixs_console.terminal import (
    TIMEOUT_S,
    HomeOption,
    JsonOption,
    ask,
    enum_value,
    make_table,
    out,
    print_rows,
    show,
)
from vantixs_console.timeline import short_name

app = typer.Typer(no_args_is_help=True)
account = typer.Typer(no_args_is_help=True, help="Accounts: their rules, limits and books")
app.add_typer(account, name="account")
BAR, SPARKS, SAMPLES = 24, "▁▂▃▄▅▆▇█", 60


@account.command(name="create")
@with_account_flags
def account_create(
    account_id: str,
    given: dict[Flag, Any],
    mode: Annotated[str, typer.Option(help="paper or live")] = "paper",
    currency: Annotated[str, typer.Option(help="base currency")] = "USDT",
    balance: Annotated[str, typer.Option(help="opening balance")] = "100000",
    home: HomeOption = "",
    as_json: JsonOption = False,
) -> int:
    """Creates an account. Defaults: 100 a trade, at most 10000 an order and 50000 a position."""
    request = risk_pb2.CreateAccountRequest(request_id=str(uuid.uuid4()))
    new = request.account
    new.account_id, new.currency, new.balance, new.enabled = account_id, currency, balance, True
    new.mode = enum_value(common_pb2.Mode, "MODE_", "mode", mode)
    new.sizing.method, new.sizing.value = common_pb2.SIZING_METHOD_FIXED_NOTIONAL, "100"
    new.limits.max_order_notional, new.limits.max_position_notional = "10000", "50000"
    apply(new, given)
    response = ask(home, lambda c: c.risk.CreateAccount(request, timeout=TIMEOUT_S))
    show(response, as_json=as_json, text=lambda: out.print(f"{response.account.account_id} created"))
    return 0


@account.command(name="update")
@with_account_flags
def account_update(
    account_id: str,
    given: dict[Flag, Any],
    revision: Annotated[int, typer.Option(help="change it only if it has this revision; 0 for any")] = 0,
    home: HomeOption = "",
    as_json: JsonOption = False,
) -> int:
    """Changes the fields whose flags are given; an empty text or 0 removes a limit."""
    if not given:
        raise SettingsError("account update: expected at least one flag of a field, was none")

    async def change(clients: Clients) -> Any:
        read = risk_pb2.GetAccountRequest(account_id=account_id)
        changed = (await clients.risk.GetAccount(read, timeout=TIMEOUT_S)).account
        changed.revision = revision or changed.revision
        apply(changed, given)
        return await clients.risk.UpdateAccount(risk_pb2.UpdateAccountRequest(account=changed), timeout=TIMEOUT_S)

    response = ask(home, change)
    text = f"{account_id} is at revision {response.account.revision}"
    show(response, as_json=as_json, text=lambda: out.print(text))
    return 0


@account.command(name="show")
def account_show(account_id: str, home: HomeOption = "", as_json: JsonOption = False) -> int:
    """Shows an account: balances, profit, the part of each limit that is used, positions, open orders, and all rules."""

    async def read(clients: Clients) -> Any:
        shown = await clients.risk.GetAccount(risk_pb2.GetAccountRequest(account_id=account_id), timeout=TIMEOUT_S)
        listing = risk_pb2.ListEquityRequest(account_id=account_id, page_size=SAMPLES)
        return shown, await clients.risk.ListEquity(listing, timeout=TIMEOUT_S)

    response, equity = ask(home, read)
    show(response, as_json=as_json, text=lambda: _print_account(response, equity.samples))
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
            table.add_row(item.account_id, mode, item.currency, str(item.enabled).lower(), str(item.revision))
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


@account.command(name="equity")
def account_equity(
    account_id: str,
    resolution_s: Annotated[int, typer.Option(help="60, 3600 or 86400")] = 60,
    page_size: int = 50,
    page_token: str = "",
    home: HomeOption = "",
    as_json: JsonOption = False,
) -> int:
    """Lists samples of an account's equity, newest first."""
    request = risk_pb2.ListEquityRequest(
        account_id=account_id, resolution_s=resolution_s, page_size=page_size, page_token=page_token
    )
    response = ask(home, lambda c: c.risk.ListEquity(request, timeout=TIMEOUT_S))

    def text() -> None:
        table = make_table("time", "equity")
        for item in response.samples:
            table.add_row(item.sample_time.ToJsonString(), item.equity)
        out.print(table)

    show(response, as_json=as_json, text=text)
    return 0


@account.command(name="adjust")
def account_adjust(
    account_id: str,
    comment: Annotated[str, typer.Option(help="why the books differ; required")],
    asset: Annotated[str, typer.Option(help="cash: asset, for example USDT")] = "",
    amount: Annotated[str, typer.Option(help="cash: change, signed")] = "",
    instrument: Annotated[str, typer.Option(help="position: for example BTC/USDT")] = "",
    quantity: Annotated[str, typer.Option(help="position: change in base units, signed")] = "",
    price: Annotated[str, typer.Option(help="position: price at which it is booked; empty for the average price")] = "",
    request_id: Annotated[
        str, typer.Option(help="a repeated call with the same id books nothing again; empty for a new id")
    ] = "",
    home: HomeOption = "",
    as_json: JsonOption = False,
) -> int:
    """Books a difference between the account and its venue, in a separate book, and records it in the journal."""
    if bool(asset or amount) == bool(instrument or quantity):
        raise SettingsError("account adjust: expected --asset and --amount, or --instrument and --quantity")
    request = risk_pb2.RecordAdjustmentRequest(
        request_id=request_id or str(uuid.uuid4()), account_id=account_id, comment=comment
    )
    if asset or amount:
        request.cash.asset, request.cash.amount = asset, amount
    else:
        request.position.instrument, request.position.quantity, request.position.price = instrument, quantity, price
    response = ask(home, lambda c: c.risk.RecordAdjustment(request, timeout=TIMEOUT_S))

    def text() -> None:
        out.print(f"adjusted as {request.request_id}")
        if response.HasField("balance"):
            out.print(f"{response.balance.asset} is {response.balance.total}")
        else:
            _print_positions([response.position])

    show(response, as_json=as_json, text=text)
    return 0


def bar(used: Decimal, limit: Decimal, width: int = BAR) -> str:
    """How much of a limit is used, for example "██████░░░░ 60 %". It is empty only at 0, and full only from 100 % on."""
    share = min(max(used / limit, Decimal(0)), Decimal(1)) if limit > 0 else Decimal(used > 0)
    filled = int(share * width)
    filled += filled == 0 and share > 0
    return "█" * filled + "░" * (width - filled) + f" {int(share * 100):>3} %"


def sparkline(values: list[Decimal]) -> str:
    """Values over time, for example "▁▂▅█"."""
    low, high = min(values), max(values)
    step = (high - low) / (len(SPARKS) - 1)
    return "".join(SPARKS[int((value - low) / step)] if step else SPARKS[len(SPARKS) // 2] for value in values)


def _print_account(response: Any, samples: Any) -> None:
    shown, currency = response.account, response.account.currency
    mode, enabled = short_name(common_pb2.Mode.Name(shown.mode)), "enabled" if shown.enabled else "disabled"
    out.print(f"{shown.account_id}: {mode}, {enabled}, kept in {currency}, revision {shown.revision}")
    for state in response.restricted:
        out.print(f"{state_name(state.state)} in {state.scope} by {state.actor}: {state.comment}")
    out.print(f"equity {response.equity}, today {response.daily_profit} ({response.day}), free {response.free_funds}")
    out.print(
        f"opened with {shown.balance}, adjusted {response.adjusted}, realised {response.realized_profit}, "
        f"unrealised {response.unrealized_profit}, fees {response.fees}, funding {response.funding}"
    )
    out.print(f"peak {response.peak_equity}, drawdown {response.drawdown_percent} %")
    history = [Decimal(sample.equity) for sample in reversed(samples)] + [Decimal(response.equity)]
    out.print(f"equity over time {sparkline(history)} from {min(history)} to {max(history)}")
    out.print()
    table = make_table("limit", "used", "of", "", "")
    for row in response.headroom:
        table.add_row(row.name, row.used, row.limit, row.unit, bar(Decimal(row.used), Decimal(row.limit)))
    out.print(table)
    out.print()
    table = make_table("asset", "total", "reserved")
    for balance in response.balances:
        table.add_row(balance.asset, balance.total, balance.reserved)
    out.print(table)
    if response.positions:
        out.print()
        _print_positions(response.positions)
    if response.open_orders:
        out.print()
        print_open_orders(response.open_orders)
    for heading, rows in account_rows(shown):
        out.print()
        out.print(heading)
        print_rows(rows)


def _print_positions(positions: Any) -> None:
    table = make_table("instrument", "quantity", "average price", "mark", "unrealised", "realised", "fees")
    for item in positions:
        table.add_row(
            item.instrument,
            item.quantity,
            item.average_price,
            item.mark_price or "unknown",
            item.unrealized_profit,
            item.realized_profit,
            item.fees,
        )
    out.print(table)
