"""Commands that list, show and watch signals."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from google.protobuf import json_format
from rich.table import Table
from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.common.v1 import common_pb2
from vantixs.runtime.settings import SettingsError

from vantixs_console.clients import Clients
from vantixs_console.order_words import ORDER_COLUMNS, latest_orders, order_cells
from vantixs_console.plain_text import printable
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
from vantixs_console.timeline import describe_timeline, short_name

app = typer.Typer(no_args_is_help=True)
LONGEST_SYMBOL = 40
signals = typer.Typer(no_args_is_help=True, help="Signals: what happened, and why")
app.add_typer(signals, name="signals")


@signals.command(name="list")
def signals_list(
    home: HomeOption = "",
    status_: Annotated[str, typer.Option("--status", help="accepted, executed, rejected, failed, replayed")] = "",
    webhook_id: Annotated[str, typer.Option("--webhook", help="webhook")] = "",
    account_id: Annotated[str, typer.Option("--account", help="account")] = "",
    filter_: Annotated[
        str,
        typer.Option(
            "--filter", help="condition, for example 'reason:* AND latency > 1.5s'; fields are in docs/operations.md"
        ),
    ] = "",
    order_by: Annotated[
        str, typer.Option(help="receive_time, emit_time, latency or slippage_bps, followed by ' desc' for descending")
    ] = "",
    since: Annotated[str, typer.Option(help="received at or after: a time, or today, yesterday (UTC)")] = "",
    until: Annotated[str, typer.Option(help="received before: a time, or today, yesterday (UTC)")] = "",
    page_size: int = 50,
    page_token: str = "",
    as_json: JsonOption = False,
) -> int:
    """Lists signals, by default newest first."""
    request = audit_pb2.ListSignalsRequest(page_size=page_size, page_token=page_token, order_by=order_by)
    request.filter.webhook_id, request.filter.account_id = webhook_id, account_id
    request.filter.expression = filter_
    for name, value in (("since", since), ("until", until)):
        if value:
            getattr(request.filter, name).FromDatetime(read_time(name, value, datetime.now(UTC)))
    if status_:
        request.filter.status = enum_value(common_pb2.SignalStatus, "SIGNAL_STATUS_", "status", status_)
    response = ask(home, lambda c: c.audit.ListSignals(request, timeout=TIMEOUT_S))

    def text() -> None:
        out.print(signal_table(response.signals))
        if response.next_page_token:
            out.print(f"more: --page-token {response.next_page_token}")

    show(response, as_json=as_json, text=text)
    return 0


def read_time(flag: str, text: str, now: datetime) -> datetime:
    """A time from a flag: RFC 3339 or a date (UTC if it has no zone), "today" or "yesterday".

    Raises:
        SettingsError: the text is none of these.
    """
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    days = {"today": midnight, "yesterday": midnight - timedelta(days=1)}
    try:
        found = days.get(text) or datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise SettingsError(f"--{flag}: expected a time, today or yesterday, was {text!r}") from None


def signal_table(listed: Any) -> Table:
    """Signals as a table."""
    table = make_table("signal", "received", "action", "instrument", "status", "filled", "at", "why")
    for item in listed:
        table.add_row(
            item.signal_id,
            item.receive_time.ToJsonString()[:19],
            _action(item),
            item.instrument or _shortened(item.symbol),
            status_text(item),
            item.filled_quantity,
            item.average_price,
            f"{item.reason} {item.detail}".strip(),
        )
    return table


def _shortened(symbol: str) -> str:
    """What a sender wrote as a symbol, cut where it would push other columns out of the terminal; `signals show` has it all."""
    shown = printable(symbol)
    return shown if len(shown) <= LONGEST_SYMBOL else f"{shown[: LONGEST_SYMBOL - 1]}…"


def status_text(signal: audit_pb2.SignalSummary) -> str:
    """The status; for a replayed signal the earlier status with a note: "EXECUTED (replayed)"."""
    if signal.status == common_pb2.SIGNAL_STATUS_REPLAYED:
        return f"{short_name(common_pb2.SignalStatus.Name(signal.original_status))} (replayed)"
    return short_name(common_pb2.SignalStatus.Name(signal.status))


@signals.command(name="show")
def signals_show(signal_id: str, home: HomeOption = "", as_json: JsonOption = False) -> int:
    """Shows a signal: its orders, including stop and targets, and its timeline with the reasons."""
    request = audit_pb2.GetSignalRequest(signal_id=signal_id)
    response = ask(home, lambda c: c.audit.GetSignal(request, timeout=TIMEOUT_S))

    def text() -> None:
        found = response.signal
        out.print(f"{found.signal_id}  status {status_text(found)} {found.reason} {found.detail}".rstrip())
        out.print(response.sentence)
        print_rows(signal_rows(response))
        entries = [recorded.entry for recorded in response.timeline]
        if orders := latest_orders(entries):
            table = make_table(*ORDER_COLUMNS)
            for order in orders:
                table.add_row(*order_cells(order))
            out.print(table)
        for step in describe_timeline(entries):
            out.print(f"{step.time}  {step.title:<10} {step.text}")
            for name, value in step.details:
                lines = f"{name}: {value}".splitlines()
                for line in (lines[0], *(f"  {more}" for more in lines[1:])):
                    out.print(f"{'':>29}{line}")

    show(response, as_json=as_json, text=text)
    return 0


@signals.command(name="payload")
def signals_payload(signal_id: str, home: HomeOption = "", as_json: JsonOption = False) -> int:
    """Shows the payload of a signal, decrypted if it is encrypted; role AUDITOR. History records each call."""
    request = audit_pb2.GetPayloadRequest(signal_id=signal_id)
    response = ask(home, lambda c: c.audit.GetPayload(request, timeout=TIMEOUT_S))

    def text() -> None:
        out.print_lines(response.payload.decode("utf-8", "replace"))

    show(response, as_json=as_json, text=text)
    return 0


def _action(signal: audit_pb2.SignalSummary) -> str:
    return short_name(common_pb2.Action.Name(signal.action)) if signal.action else ""


def signal_rows(response: audit_pb2.GetSignalResponse) -> list[tuple[str, str]]:
    """The fields of a signal; empty ones are left out."""
    found, links = response.signal, response.links
    last = response.since_last_step.ToTimedelta()
    latency = f"{found.latency.ToMilliseconds()} ms" if found.HasField("latency") else ""
    return [
        (name, value)
        for name, value in (
            ("sent", " ".join(filter(None, (_action(found), found.symbol)))),
            ("by webhook", found.webhook_id),
            ("from", found.source_address),
            ("strategy", found.strategy_id),
            ("tag", found.tag),
            ("comment", found.comment),
            ("slippage", f"{found.slippage_bps} bps" if found.slippage_bps else ""),
            ("receipt to end", latency),
            ("last step", f"{timedelta(seconds=int(last.total_seconds()))} ago"),
            ("repeats", found.first_signal_id),
            ("repeated by", ", ".join(links.duplicate_signal_ids)),
            ("replays", ", ".join(links.replay_ids)),
            ("last replay", _replay(found)),
            ("fills", ", ".join(links.execution_ids)),
        )
        if value
    ]


def _replay(found: audit_pb2.SignalSummary) -> str:
    """The replay that ran the signal last, the replay that this one repeats, and the first of these."""
    told = [found.replay_id, f"repeats {found.replay_of}" if found.replay_of else ""]
    told += [f"goes back to {found.replay_root}" if found.replay_root != found.replay_id else ""]
    return ", ".join(filter(None, told))


@signals.command(name="tail")
def signals_tail(
    home: HomeOption = "",
    count: Annotated[int, typer.Option(help="end after this many changes, 0 for never")] = 0,
    as_json: JsonOption = False,
) -> int:
    """Prints each change of a signal, until Ctrl-C."""

    async def watch(clients: Clients) -> None:
        seen = 0
        async for item in clients.client.signals.watch():
            if as_json:
                change = audit_pb2.WatchSignalsResponse(signal=item)
                print(json_format.MessageToJson(change, preserving_proto_field_name=True, indent=None), flush=True)
            else:
                out.print(f"{item.signal_id} {status_text(item)} {item.instrument} {item.reason} {item.detail}")
            seen += 1
            if seen == count:
                return

    try:
        ask(home, watch)
    except KeyboardInterrupt:
        return 0
    return 0
