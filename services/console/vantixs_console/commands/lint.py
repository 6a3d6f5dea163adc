"""Commands that try a message at a webhook without effects, and print messages that work."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from vantixs.api.common.v1 import common_pb2
from vantixs.api.ingress.v1 import ingress_pb2, webhook_pb2
from vantixs.runtime.settings import SettingsError

from vantixs_console.bootstrap import WEBHOOK
from vantixs_console.clients import read_endpoints
from vantixs_console.commands.webhooks import webhook
from vantixs_console.plain_text import complain, printable
from vantixs_console.sender_message import Kind, sender_message
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
    webhook_id: Annotated[str, typer.Option("--webhook", help="webhook at which to try it")] = WEBHOOK,
    home: HomeOption = "",
    as_json: JsonOption = False,
) -> int:
    """Tries a payload at a webhook without effects; exit code 0 if it would be accepted.

    If the message has placeholders such as {{ticker}}, the result is the one after they are filled in.
    """
    if str(file) != "-" and not file.is_file():
        raise SettingsError(f"lint: expected a file, was {file}")
    payload = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    response = _lint(home, webhook_id, payload)
    show(response, as_json=as_json, text=lambda: _print_response(response, payload.decode(errors="replace")))
    final = response.template if response.HasField("template") else response
    return 0 if final.outcome == ingress_pb2.LINT_OUTCOME_ACCEPTED else 1


def _lint(home: str, webhook_id: str, payload: bytes) -> ingress_pb2.LintPayloadResponse:
    request = ingress_pb2.LintPayloadRequest(webhook_id=webhook_id, payload=payload)
    response: ingress_pb2.LintPayloadResponse = ask(home, lambda c: c.ingress.LintPayload(request, timeout=TIMEOUT_S))
    return response


def _print_response(response: ingress_pb2.LintPayloadResponse, payload: str) -> None:
    final: Any = response
    if response.HasField("template"):
        # Senders send the values, not the placeholders, so the result with values is the answer, and comes first.
        final = response.template
        _print_outcome(final, "once filled in")
        for found in final.placeholders:
            filled = f"becomes, for example, {found.example!r}" if found.understood else "is not filled in"
            out.print(f"  {found.placeholder} {filled} ({found.available})")
        out.print()
        out.print(f"{_verdict(response)} as it stands, with its placeholders not filled in")
    else:
        _print_outcome(final, "as it stands")
    if (
        response.suggested_message
        and (final.errors or final.warnings)
        and response.suggested_message != payload.strip()
    ):
        out.print()
        out.print("Message to paste into TradingView instead:")
        out.print_lines(response.suggested_message)


def _verdict(linted: Any) -> str:
    outcome = ingress_pb2.LintOutcome.Name(linted.outcome).removeprefix("LINT_OUTCOME_")
    return f"{outcome} {linted.reason}".rstrip()


def _print_outcome(linted: Any, when: str) -> None:
    out.print(f"{_verdict(linted)} {when}")
    _print_rows("error", linted.errors)
    _print_rows("warning", linted.warnings)
    if linted.HasField("signal"):
        out.print("  signal", _described(linted.signal))


def _print_rows(what: str, rows: Iterable[webhook_pb2.FieldError]) -> None:
    for row in rows:
        out.print(f"  {what:<8} {row.field}: {row.reason}: {row.detail}")


def _described(signal: Any) -> str:
    return " ".join(
        f"{field.name}={_value(field, value)}" for field, value in signal.ListFields() if field.name != "extras"
    )


def _value(field: Any, value: Any) -> str:
    """One field's value as text."""
    if field.name in _NAMES:
        return short_name(_NAMES[field.name].Name(value))
    return str(value.ToJsonString() if hasattr(value, "ToJsonString") else value).strip()


@webhook.command(name="template")
def webhook_template(
    kind: Annotated[Kind, typer.Option("--for", help="kind of sender")],
    webhook_id: Annotated[
        str, typer.Option("--webhook", help="webhook for which it is: it is tried there, and the URL is shown")
    ] = "",
    home: HomeOption = "",
) -> int:
    """Prints a message to paste into a TradingView alert, or a script that sends one, suitable for the webhook."""
    base, target = "https://YOUR-HOST", webhook_pb2.Webhook()
    if webhook_id:
        request = ingress_pb2.GetWebhookRequest(webhook_id=webhook_id)
        target = ask(home, lambda c: c.ingress.GetWebhook(request, timeout=TIMEOUT_S)).webhook
        if target.minimum_proof != webhook_pb2.PROOF_LEVEL_CERTIFICATE:
            base = str(read_endpoints(service_settings(home).home).get("http") or base)
    made = sender_message(kind, target, base)
    for obstacle in made.obstacles:
        complain(obstacle)
    if made.obstacles:
        return 1
    print(made.text)
    print("\n".join(("", *made.notes, f"URL: {made.url}")), file=sys.stderr)
    if not webhook_id:
        return 0
    response = _lint(home, webhook_id, made.payload.encode())
    final = response.template if response.HasField("template") else response
    if final.outcome == ingress_pb2.LINT_OUTCOME_ACCEPTED:
        return 0
    print(f"\n{webhook_id} would reject it:", file=sys.stderr)
    for error in final.errors:
        print(printable(f"  {error.field}: {error.reason}: {error.detail}"), file=sys.stderr)
    return 1
