"""Messages before they are sent: what a webhook would make of one, and ones that work."""

import enum
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from vantixs.api.common.v1 import common_pb2
from vantixs.api.ingress.v1 import ingress_pb2, webhook_pb2
from vantixs.runtime.settings import SettingsError

from vantixs_console.bootstrap import WEBHOOK
from vantixs_console.clients import ingress_url
from vantixs_console.commands.webhooks import webhook
from vantixs_console.terminal import TIMEOUT_S, HomeOption, JsonOption, ask, out, service_settings, show
from vantixs_console.timeline import short_name

app = typer.Typer(no_args_is_help=True)
_NAMES = {
    "action": common_pb2.Action,
    "target_position": common_pb2.PositionSide,
    "previous_position": common_pb2.PositionSide,
    "quantity_type": common_pb2.QuantityType,
    "order_type": common_pb2.OrderType,
    "time_in_force": common_pb2.TimeInForce,
}


@app.command()
def lint(
    file: Annotated[Path, typer.Argument(help="file with the payload, or - for standard input")],
    webhook_id: Annotated[str, typer.Option("--webhook", help="webhook it is tried on")] = WEBHOOK,
    home: HomeOption = "",
    as_json: JsonOption = False,
) -> int:
    """Says what a webhook would make of a payload, with no effect; exit code 0 where it would be accepted as it stands.

    A message with placeholders such as {{ticker}} would be refused as it stands: what it would be once they are filled in is
    shown below, and is what the exit code is about.
    """
    if str(file) != "-" and not file.is_file():
        raise SettingsError(f"lint: expected a file, was {file}")
    payload = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    response = _lint(home, webhook_id, payload)
    show(response, as_json=as_json, text=lambda: _print_response(response))
    final = response.template if response.HasField("template") else response
    return 0 if final.outcome == ingress_pb2.LINT_OUTCOME_ACCEPTED else 1


def _lint(home: str, webhook_id: str, payload: bytes) -> ingress_pb2.LintPayloadResponse:
    request = ingress_pb2.LintPayloadRequest(webhook_id=webhook_id, payload=payload)
    response: ingress_pb2.LintPayloadResponse = ask(home, lambda c: c.ingress.LintPayload(request, timeout=TIMEOUT_S))
    return response


def _print_response(response: ingress_pb2.LintPayloadResponse) -> None:
    _print_outcome(response, "as it stands")
    if response.HasField("template"):
        out.print()
        _print_outcome(response.template, "once filled in")
        for found in response.template.placeholders:
            filled = f"becomes, for example, {found.example!r}" if found.understood else "is not filled in"
            out.print(f"  {found.placeholder} {filled} ({found.available})", markup=False)
    final = response.template if response.HasField("template") else response
    if response.suggested_message and (final.errors or final.warnings):
        out.print("\nMessage to paste into TradingView instead:")
        out.print(response.suggested_message, markup=False)


def _print_outcome(linted: Any, when: str) -> None:
    outcome = ingress_pb2.LintOutcome.Name(linted.outcome).removeprefix("LINT_OUTCOME_")
    out.print(f"{outcome} {linted.reason}".rstrip() + f" {when}", markup=False)
    _print_rows("error", linted.errors)
    _print_rows("warning", linted.warnings)
    if linted.HasField("signal"):
        out.print("  signal", _described(linted.signal), markup=False)


def _print_rows(what: str, rows: Iterable[webhook_pb2.FieldError]) -> None:
    for row in rows:
        out.print(f"  {what:<8} {row.field}: {row.reason}: {row.detail}", markup=False)


def _described(signal: Any) -> str:
    return " ".join(
        f"{field.name}={_value(field, value)}" for field, value in signal.ListFields() if field.name != "extras"
    )


def _value(field: Any, value: Any) -> str:
    """One field's value as a person reads it."""
    if field.name in _NAMES:
        return short_name(_NAMES[field.name].Name(value))
    return str(value.ToJsonString() if hasattr(value, "ToJsonString") else value).strip()


class Kind(enum.StrEnum):
    """Who sends."""

    TRADINGVIEW_STRATEGY = "tradingview-strategy"
    TRADINGVIEW_INDICATOR = "tradingview-indicator"
    SCRIPT = "script"


_STRATEGY = {
    "action": "{{strategy.order.action}}",
    "symbol": "{{ticker}}",
    "sentiment": "{{strategy.market_position}}",
    "prev_market_position": "{{strategy.prev_market_position}}",
    "quantity": "{{strategy.order.contracts}}",
    "quantity_type": "units",
    "price": "{{close}}",
    "timestamp": "{{timenow}}",
    "comment": "{{strategy.order.id}}",
}
_INDICATOR = {"action": "buy", "symbol": "{{ticker}}", "price": "{{close}}", "timestamp": "{{timenow}}"}
_MESSAGES = {Kind.TRADINGVIEW_STRATEGY: _STRATEGY, Kind.TRADINGVIEW_INDICATOR: _INDICATOR}
_HINTS = {
    Kind.TRADINGVIEW_STRATEGY: "Paste it into the alert's message, and the URL into Notifications, Webhook URL.",
    Kind.TRADINGVIEW_INDICATOR: "One alert an action: put long, short, close, ... in place of buy. Once per bar close.",
}
_SCRIPT = """curl -H "Content-Type: application/json" -H "Idempotency-Key: $(uuidgen)" \\
  -d '{body}' "{url}"

# The same in Python, with its standard library. A resend with the same key is the same signal.
import json, time, urllib.error, urllib.request, uuid

def send(signal, url="{url}"):
    headers = {{"Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4())}}
    request = urllib.request.Request(url, json.dumps(signal).encode(), headers)
    for wait in (1, 2, 4, 8, 0):
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code != 429 and error.code < 500:
                raise RuntimeError(error.read().decode()) from None
        except OSError:
            pass
        time.sleep(wait)
    raise RuntimeError("not accepted after five tries")

print(send({body}))
"""


@webhook.command(name="template")
def webhook_template(
    kind: Annotated[Kind, typer.Option("--for", help="who sends")],
    webhook_id: Annotated[str, typer.Option("--webhook", help="webhook it is for: tried on it, and in its URL")] = "",
    home: HomeOption = "",
) -> int:
    """Prints the message to paste into a TradingView alert, or a script that sends one."""
    base = "https://YOUR-HOST"
    if webhook_id:
        base = ingress_url(service_settings(home)) or base
    url = f"{base}/hooks/{webhook_id or 'WEBHOOK'}/TOKEN"
    message = json.dumps(_MESSAGES[kind], indent=2) if kind in _MESSAGES else ""
    sent = message or json.dumps({"action": "buy", "symbol": "BTCUSDT"})
    print(message or _SCRIPT.format(body=sent, url=url))
    if kind in _HINTS:
        print(f"\n{_HINTS[kind]}\nURL: {url}", file=sys.stderr)
    if not webhook_id:
        return 0
    response = _lint(home, webhook_id, sent.encode())
    final = response.template if response.HasField("template") else response
    if final.outcome == ingress_pb2.LINT_OUTCOME_ACCEPTED:
        return 0
    print(f"\n{webhook_id} would not take it:", file=sys.stderr)
    for error in final.errors:
        print(f"  {error.field}: {error.reason}: {error.detail}", file=sys.stderr)
    return 1
