"""Webhooks, and trying them out."""

import json
import sys
import uuid
from pathlib import Path
from typing import Annotated

import httpx
import typer
from vantixs.api.common.v1 import common_pb2
from vantixs.api.ingress.v1 import ingress_pb2
from vantixs.runtime.settings import SettingsError

from vantixs_console.bootstrap import TOKEN, WEBHOOK
from vantixs_console.clients import read_endpoints
from vantixs_console.terminal import (
    TIMEOUT_S,
    HomeOption,
    JsonOption,
    ask,
    enum_value,
    make_table,
    out,
    service_settings,
    show,
)
from vantixs_console.timeline import short_name

app = typer.Typer(no_args_is_help=True)
webhook = typer.Typer(no_args_is_help=True, help="Webhooks: where signals come in")
app.add_typer(webhook, name="webhook")


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
        path = service_settings(home).home
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
    new.mode = enum_value(common_pb2.Mode, "MODE_", "mode", mode)
    new.routing_mode = common_pb2.ROUTING_MODE_STRATEGY if strategy else common_pb2.ROUTING_MODE_DIRECT
    new.strategy_id = strategy
    if sizing_method:
        new.sizing.method = enum_value(common_pb2.SizingMethod, "SIZING_METHOD_", "sizing-method", sizing_method)
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
        table = make_table("webhook", "account", "mode", "enabled", "tokens", "revision")
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
