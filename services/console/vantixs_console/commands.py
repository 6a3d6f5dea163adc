"""Every subcommand but `serve`. With --json a command prints the response message and nothing else."""

import asyncio
import getpass
import json
import os
import signal
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import grpc
import httpx
import typer
from click.exceptions import ClickException
from google.protobuf import json_format
from google.protobuf.message import Message
from rich.console import Console
from rich.table import Table
from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.common.v1 import common_pb2
from vantixs.api.ingress.v1 import ingress_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.api.risk.v1 import risk_pb2
from vantixs.api.router.v1 import router_pb2
from vantixs.runtime.errors import from_rpc_error
from vantixs.runtime.home import SECRETS, Home, write_atomically
from vantixs.runtime.settings import ServiceSettings, SettingsError, load

from vantixs_console.bootstrap import TOKEN, WEBHOOK, bootstrap
from vantixs_console.clients import Clients, open_clients, read_endpoints
from vantixs_console.stack import START_S, Stack
from vantixs_console.timeline import describe_entry, short_name

TIMEOUT_S = 10.0
out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 200)
app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, help="Vantixs Signals")
webhook = typer.Typer(no_args_is_help=True, help="Webhooks: where signals come in")
account = typer.Typer(no_args_is_help=True, help="Accounts: what they may do, and their books")
signals = typer.Typer(no_args_is_help=True, help="Signals: what happened, and why")
order = typer.Typer(no_args_is_help=True, help="Orders")
quote = typer.Typer(no_args_is_help=True, help="Quotes")
for _name, _group in (
    ("webhook", webhook),
    ("account", account),
    ("signals", signals),
    ("order", order),
    ("quote", quote),
):
    app.add_typer(_group, name=_name)

HomeOption = Annotated[str, typer.Option("--home", help="home directory", envvar="VANTIXS_HOME")]
JsonOption = Annotated[bool, typer.Option("--json", help="print the response message as JSON")]


def run_commands(arguments: list[str]) -> int:
    """Runs a subcommand; errors are one line on standard error."""
    try:
        code = typer.main.get_command(app).main(arguments, prog_name="vantixs", standalone_mode=False)
    except ClickException as error:
        error.show()
        return error.exit_code
    except grpc.aio.AioRpcError as error:
        failure = from_rpc_error(error)
        print(f"vantixs: {failure.reason}: {failure.detail}", file=sys.stderr)  # noqa: T201
        return 1
    except httpx.HTTPError as error:
        print(f"vantixs: {type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return int(code or 0)


def ask(home: str, work: Callable[[Clients], Awaitable[Any]]) -> Any:
    """Runs calls against the services of a home directory."""

    async def run() -> Any:
        clients = open_clients(_settings(home), operator=getpass.getuser())
        try:
            return await work(clients)
        finally:
            await clients.close()

    return asyncio.run(run())


def show(message: Message, *, as_json: bool, text: Callable[[], None]) -> None:
    """Prints a response, as JSON or as people read it."""
    if as_json:
        print(json_format.MessageToJson(message, preserving_proto_field_name=True))  # noqa: T201
    else:
        text()


def _settings(home: str) -> ServiceSettings:
    return load("console", ServiceSettings, overrides={"home": home} if home else None)


def _home(home: str) -> Path:
    return Path(home or "var")


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column not in ("why", "differences"))
    return table


@app.command()
def up(
    home: HomeOption = "",
    http_port: Annotated[int, typer.Option(help="port of the webhook URL; 0 takes a free one")] = 8080,
    scale: Annotated[list[str] | None, typer.Option(help="replicas, for example router=2")] = None,
    demo: Annotated[bool, typer.Option("--demo", help="send the demo alerts, show their outcomes, and stop")] = False,
) -> int:
    """Starts everything on this machine; Ctrl-C stops it."""
    replicas = {}
    for item in scale or []:
        name, _, number = item.partition("=")
        if name != "router" or not number.isdecimal() or not 1 <= int(number) <= 16:
            raise SettingsError(f"--scale: expected router=1 to router=16, was {item!r}")
        replicas[name] = int(number)
    opened = Home.open(_home(home), create=True)
    return asyncio.run(_up(Stack(opened, print, http_port, replicas), demo=demo))


async def _up(stack: Stack, *, demo: bool) -> int:
    started = time.monotonic()
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    stack.prepare()
    out.print(f"Vantixs Signals starts in {stack.home.path}")
    watches: list[asyncio.Task[Any]] = []
    try:
        await asyncio.gather(*(stack.start(child) for child in stack.children))
        watches = [asyncio.create_task(stack.watch(child)) for child in stack.children]
        ready = asyncio.create_task(_make_ready(stack))
        stop = asyncio.create_task(stopping.wait())
        await asyncio.wait((ready, stop, *watches), timeout=START_S, return_when=asyncio.FIRST_COMPLETED)
        _raise_first(watches)
        if not ready.done():
            ready.cancel()
            return 0 if stopping.is_set() else _too_slow(stack)
        _welcome(stack, ready.result(), time.monotonic() - started)
        if demo:
            from vantixs_console.demo import run_demo  # noqa: PLC0415

            return await run_demo(str(stack.endpoints["http"]), ready.result(), stack.home.path)
        await asyncio.wait((stop, *watches), return_when=asyncio.FIRST_COMPLETED)
        _raise_first(watches)
        return 0
    finally:
        out.print("stopping")
        for task in watches:
            task.cancel()
        await stack.stop()


async def _make_ready(stack: Stack) -> str:
    await stack.ready()
    settings = _settings(str(stack.home.path))
    stack.publish()
    clients = open_clients(settings)
    try:
        token = await bootstrap(clients, stack.home)
    finally:
        await clients.close()
    async with httpx.AsyncClient() as http:
        url = f"{stack.endpoints['http']}/readyz"
        while (await http.get(url)).status_code != 200:  # noqa: ASYNC110 - the state is in another process
            await asyncio.sleep(0.02)
    return token


def _raise_first(tasks: list["asyncio.Task[Any]"]) -> None:
    for task in tasks:
        if task.done():
            task.result()


def _too_slow(stack: Stack) -> int:
    print(f"vantixs: not ready after {START_S:.0f} s, see {stack.home.logs}", file=sys.stderr)  # noqa: T201
    return 1


def _welcome(stack: Stack, token: str, seconds: float) -> None:
    url = f"{stack.endpoints['http']}/hooks/{WEBHOOK}/{token}"
    console = (stack.home.secrets / "console-token").read_text().strip()
    body = '{"action": "buy", "symbol": "BTCUSDT"}'
    out.print(f"""
Ready in {seconds:.1f} s. Quotes are simulated and the account is paper: no real money moves.

Webhook   {url}
Try       curl -d '{body}' {url}
Then      vantixs signals list --home {stack.home.path}
Console   {stack.endpoints["console"]}/?token={console}
Data      {stack.home.data}
Logs      {stack.home.logs}

Ctrl-C stops it; what happened is kept.""")


@app.command()
def init(home: HomeOption = "") -> int:
    """Makes a home directory with its secrets, for containers."""
    opened = Home.open(_home(home), create=True)
    for name in SECRETS:
        opened.secret(name)
    password = opened.secret("postgres-password")
    # The forms in which the database's and the broker's own programs want them.
    write_atomically(opened.secrets / "pgpass", f"*:*:*:*:{password}\n", mode=0o600)
    token = opened.secret("nats-token")
    write_atomically(opened.secrets / "nats.conf", f'authorization {{ token: "{token}" }}\n', mode=0o600)
    out.print(f"{opened.path} is ready")
    return 0


@app.command()
def health(address: Annotated[str, typer.Argument(help="host:port of a gRPC server, or an HTTP URL")]) -> int:
    """Exit code 0 where a server says that it is healthy, for container health checks."""
    if address.startswith("http"):
        return 0 if httpx.get(address, timeout=3).is_success else 1
    from grpc_health.v1 import health_pb2, health_pb2_grpc  # noqa: PLC0415

    with grpc.insecure_channel(address) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=3)
        except grpc.RpcError:
            return 1
    return 0 if answer.status == health_pb2.HealthCheckResponse.SERVING else 1


@app.command(name="bootstrap")
def bootstrap_command(
    home: HomeOption = "", wait_s: Annotated[float, typer.Option(help="seconds to wait")] = 60
) -> int:
    """Creates the account `paper` and the webhook `demo` where they are missing, for containers."""
    opened = Home.open(_home(home))
    token = ask(home, lambda clients: bootstrap(clients, opened, wait_s=wait_s))
    out.print(f"webhook: /hooks/{WEBHOOK}/{token}", markup=False)
    out.print(f"console: /?token={(opened.secrets / 'console-token').read_text().strip()}", markup=False)
    return 0


@app.command()
def status(home: HomeOption = "", as_json: JsonOption = False) -> int:
    """What runs, where, and whether it is healthy."""
    from grpc_health.v1 import health_pb2, health_pb2_grpc  # noqa: PLC0415

    async def check(clients: Clients) -> dict[str, str]:
        states = {}
        for name, channel in clients.channels.items():
            try:
                call = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=2)
                states[name] = health_pb2.HealthCheckResponse.ServingStatus.Name((await call).status)
            except grpc.aio.AioRpcError as error:
                states[name] = error.code().name
        return states

    states = ask(home, check)
    endpoints = read_endpoints(_settings(home).home)
    if as_json:
        print(json.dumps({"services": states, "endpoints": endpoints}))  # noqa: T201
    else:
        table = _table("service", "state", "address")
        addresses = endpoints.get("grpc")
        for name, state in states.items():
            table.add_row(name, state, addresses.get(name, "") if isinstance(addresses, dict) else "")
        out.print(table)
        kept = _settings(home).home / "secrets" / "console-token"
        if "console" in endpoints and kept.is_file():
            out.print(f"console   {endpoints['console']}/?token={kept.read_text().strip()}")
    return 0 if all(state == "SERVING" for state in states.values()) else 1


@app.command()
def send(
    file: Annotated[Path, typer.Argument(help="file with the payload, or - for standard input")],
    home: HomeOption = "",
    url: Annotated[str, typer.Option(help="webhook URL; the demo webhook where none is given")] = "",
    as_json: JsonOption = False,
) -> int:
    """Sends a payload through the real door, as a sender would."""
    if str(file) != "-" and not file.is_file():
        raise SettingsError(f"send: expected a file, was {file}")
    body = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    if not url:
        path = _settings(home).home
        token = path / "secrets" / TOKEN
        base = read_endpoints(path).get("http")
        if not base or not token.is_file():
            raise SettingsError(f"send: nothing runs in {path}: start it with `vantixs up`, or give --url")
        url = f"{base}/hooks/{WEBHOOK}/{token.read_text().strip()}"
    response = httpx.post(url, content=body, timeout=TIMEOUT_S)
    answer = response.json()
    if as_json:
        print(json.dumps(answer))  # noqa: T201
    else:
        what = answer.get("status") if response.is_success else f"{answer.get('reason')}: {answer.get('detail')}"
        out.print(f"{response.status_code} {what} {answer.get('signal_id', '')}", markup=False)
    return 0 if response.is_success else 1


@app.command()
def lint(
    file: Annotated[Path, typer.Argument(help="file with the payload")],
    webhook_id: Annotated[str, typer.Option("--webhook", help="webhook it is tried on")] = WEBHOOK,
    home: HomeOption = "",
    as_json: JsonOption = False,
) -> int:
    """Says what a webhook would make of a payload, with no effect."""
    request = ingress_pb2.LintPayloadRequest(webhook_id=webhook_id, payload=file.read_bytes())
    response = ask(home, lambda c: c.ingress.LintPayload(request, timeout=TIMEOUT_S))

    def text() -> None:
        out.print(ingress_pb2.LintOutcome.Name(response.outcome).removeprefix("LINT_OUTCOME_") + f" {response.reason}")
        for error in response.errors:
            out.print(f"  {error.field}: {error.reason}: {error.detail}", markup=False)

    show(response, as_json=as_json, text=text)
    return 0 if response.outcome == ingress_pb2.LINT_OUTCOME_ACCEPTED else 1


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


@webhook.command(name="create")
def webhook_create(
    account_id: Annotated[str, typer.Option("--account", help="account its signals act on")],
    webhook_id: Annotated[str, typer.Option(help="id; made up where none is given")] = "",
    display_name: Annotated[str, typer.Option(help="name for people")] = "",
    mode: Annotated[str, typer.Option(help="paper or live")] = "paper",
    strategy: Annotated[str, typer.Option(help="strategy; DIRECT where none is given")] = "",
    sizing_method: Annotated[
        str, typer.Option(help="fixed_notional or fixed_quantity; the account's where none is given")
    ] = "",
    sizing_value: Annotated[str, typer.Option(help="quote units or base units")] = "",
    instruments: Annotated[list[str] | None, typer.Option(help="instrument it takes; all where none is given")] = None,
    dedupe_window_s: Annotated[int, typer.Option(help="seconds in which the same bytes are a repeat")] = 20,
    entry_expires_after_s: Annotated[int, typer.Option(help="seconds after which an entry is too old")] = 300,
    exit_expires_after_s: Annotated[int, typer.Option(help="seconds after which an exit is too old")] = 86_400,
    rate_limit_per_minute: Annotated[int, typer.Option(help="requests a minute, 0 for no limit")] = 0,
    sell_opens_short: Annotated[bool, typer.Option(help="whether SELL may open a short")] = False,
    home: HomeOption = "",
    as_json: JsonOption = False,
) -> int:
    """Creates a webhook; its token is shown this once."""
    request = ingress_pb2.CreateWebhookRequest(request_id=str(uuid.uuid4()))
    new = request.webhook
    new.webhook_id, new.account_id, new.display_name = webhook_id, account_id, display_name
    new.mode = _enum(common_pb2.Mode, "MODE_", "mode", mode)
    new.routing_mode = common_pb2.ROUTING_MODE_STRATEGY if strategy else common_pb2.ROUTING_MODE_DIRECT
    new.strategy_id = strategy
    if sizing_method:
        new.sizing.method = _enum(common_pb2.SizingMethod, "SIZING_METHOD_", "sizing-method", sizing_method)
        new.sizing.value = sizing_value
    new.instruments.extend(instruments or [])
    new.dedupe_window_s, new.rate_limit_per_minute = dedupe_window_s, rate_limit_per_minute
    new.entry_expires_after_s, new.exit_expires_after_s = entry_expires_after_s, exit_expires_after_s
    new.sell_opens_short = sell_opens_short
    response = ask(home, lambda c: c.ingress.CreateWebhook(request, timeout=TIMEOUT_S))
    show(
        response, as_json=as_json, text=lambda: out.print(f"{response.webhook.webhook_id} {response.url}", markup=False)
    )
    return 0


@webhook.command(name="get")
def webhook_get(webhook_id: str, home: HomeOption = "", as_json: JsonOption = False) -> int:
    """Shows a webhook."""
    request = ingress_pb2.GetWebhookRequest(webhook_id=webhook_id)
    response = ask(home, lambda c: c.ingress.GetWebhook(request, timeout=TIMEOUT_S))
    show(response, as_json=as_json, text=lambda: out.print(str(response.webhook), markup=False))
    return 0


@webhook.command(name="list")
def webhook_list(home: HomeOption = "", page_size: int = 50, page_token: str = "", as_json: JsonOption = False) -> int:
    """Lists webhooks."""
    request = ingress_pb2.ListWebhooksRequest(page_size=page_size, page_token=page_token)
    response = ask(home, lambda c: c.ingress.ListWebhooks(request, timeout=TIMEOUT_S))

    def text() -> None:
        table = _table("webhook", "account", "mode", "enabled", "tokens", "revision")
        for item in response.webhooks:
            mode = short_name(common_pb2.Mode.Name(item.mode))
            table.add_row(
                item.webhook_id, item.account_id, mode, str(item.enabled), str(len(item.tokens)), str(item.revision)
            )
        out.print(table)

    show(response, as_json=as_json, text=text)
    return 0


@webhook.command(name="rotate")
def webhook_rotate(
    webhook_id: str,
    grace_s: Annotated[int, typer.Option(help="seconds the old tokens stay valid")] = 600,
    home: HomeOption = "",
    as_json: JsonOption = False,
) -> int:
    """Makes a new token; it is shown this once."""
    request = ingress_pb2.RotateTokenRequest(request_id=str(uuid.uuid4()), webhook_id=webhook_id)
    request.grace.FromSeconds(grace_s)
    response = ask(home, lambda c: c.ingress.RotateToken(request, timeout=TIMEOUT_S))
    show(response, as_json=as_json, text=lambda: out.print(response.url, markup=False))
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
    new.mode = _enum(common_pb2.Mode, "MODE_", "mode", mode)
    new.sizing.method = _enum(common_pb2.SizingMethod, "SIZING_METHOD_", "sizing-method", sizing_method)
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
        table = _table("asset", "total", "reserved")
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
        table = _table("account", "mode", "currency", "enabled", "revision")
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
    table = _table("instrument", "quantity", "average price", "realised", "fees")
    for item in positions:
        table.add_row(item.instrument, item.quantity, item.average_price, item.realized_profit, item.fees)
    out.print(table)


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
        request.filter.status = _enum(common_pb2.SignalStatus, "SIGNAL_STATUS_", "status", status_)
    response = ask(home, lambda c: c.audit.ListSignals(request, timeout=TIMEOUT_S))

    def text() -> None:
        out.print(signal_table(response.signals))
        if response.next_page_token:
            out.print(f"more: --page-token {response.next_page_token}")

    show(response, as_json=as_json, text=text)
    return 0


def signal_table(listed: Any) -> Table:
    """Signals as a table."""
    table = _table("signal", "received", "action", "instrument", "status", "filled", "at", "why")
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
    """Shows a signal's timeline: what happened, and why."""
    request = audit_pb2.GetSignalRequest(signal_id=signal_id)
    response = ask(home, lambda c: c.audit.GetSignal(request, timeout=TIMEOUT_S))

    def text() -> None:
        found = response.signal
        status = short_name(common_pb2.SignalStatus.Name(found.status))
        out.print(f"{found.signal_id}  status {status} {found.reason} {found.detail}".rstrip(), markup=False)
        for recorded in response.timeline:
            step = describe_entry(recorded.entry)
            out.print(f"{step.time}  {step.title:<10} {step.text}", markup=False)
            for name, value in step.details:
                out.print(f"{'':>29}{name}: {value}", markup=False)

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
        async for change in clients.audit.WatchSignals(audit_pb2.WatchSignalsRequest(), timeout=86_400):
            if as_json:
                print(json_format.MessageToJson(change, preserving_proto_field_name=True, indent=None), flush=True)  # noqa: T201
            else:
                item = change.signal
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


@app.command()
def replay(
    signal_ids: Annotated[list[str], typer.Argument(help="signals to replay")],
    mode: Annotated[str, typer.Option(help="paper; verify and live are not built yet")] = "paper",
    comment: Annotated[str, typer.Option(help="why")] = "",
    home: HomeOption = "",
    as_json: JsonOption = False,
) -> int:
    """Runs signals again on a scratch copy of their account, and waits for the result."""
    request = audit_pb2.ReplaySignalsRequest(request_id=str(uuid.uuid4()), signal_ids=signal_ids, comment=comment)
    request.mode = _enum(journal_pb2.ReplayMode, "REPLAY_MODE_", "mode", mode)

    async def run(clients: Clients) -> audit_pb2.GetReplayResponse:
        started = await clients.audit.ReplaySignals(request, timeout=TIMEOUT_S)
        look = audit_pb2.GetReplayRequest(replay_id=started.replay.replay_id)
        while True:
            found = await clients.audit.GetReplay(look, timeout=TIMEOUT_S)
            if found.replay.state != audit_pb2.REPLAY_STATE_RUNNING:
                return found
            await asyncio.sleep(0.1)

    response = ask(home, run)

    def text() -> None:
        table = _table("signal", "outcome", "reason", "differences")
        for result in response.replay.results:
            outcome = short_name(common_pb2.SignalStatus.Name(result.status))
            table.add_row(result.signal_id, outcome, result.reason, "; ".join(result.differences) or "none")
        out.print(f"replay {response.replay.replay_id}")
        out.print(table)

    show(response, as_json=as_json, text=text)
    return 0


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
        table = _table("order", "account", "instrument", "side", "quantity", "state", "at")
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
    """Gives an instrument's quote; from then on it has no simulated ones."""
    request = router_pb2.PublishQuoteRequest(quote=common_pb2.Quote(instrument=instrument, bid=bid, ask=ask_))
    response = ask(home, lambda c: c.router.PublishQuote(request, timeout=TIMEOUT_S))
    show(response, as_json=as_json, text=lambda: out.print(f"{instrument} bid {bid} ask {ask_}"))
    return 0


def _enum(enum: Any, prefix: str, flag: str, value: str) -> Any:
    try:
        return enum.Value(prefix + value.upper().replace("-", "_"))
    except ValueError:
        known = ", ".join(name.removeprefix(prefix).lower() for name in enum.keys()[1:])
        raise SettingsError(f"--{flag}: expected one of {known}, was {value!r}") from None


if os.environ.get("NO_COLOR"):
    out.no_color = True
