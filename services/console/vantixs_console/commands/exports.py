"""Commands that export signals from history into a file, and show statistics."""

import contextlib
import re
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from vantixs.api.audit.v1 import audit_pb2
from vantixs.runtime.settings import SettingsError

from vantixs_console.clients import Clients
from vantixs_console.commands.signals import signal_table, signals
from vantixs_console.plain_text import complain
from vantixs_console.signal_files import FORMATS, Fixture, Writer, whole_file
from vantixs_console.statistics_words import describe_statistics
from vantixs_console.terminal import HomeOption, JsonOption, ask, enum_value, make_table, out, show

app = typer.Typer(no_args_is_help=True)
EXPORT_S = 86_400.0
STATISTICS_S = 60.0
PROGRESS_EVERY = 1000
_AGO = re.compile(r"(\d{1,6})([mhdw])\Z")
_REMARKS = {
    "not kept": "without entries: no longer kept",
    "not verifiable": "left out of the fixture: a replay cannot verify them, see docs/replay.md",
}
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
SinceOption = Annotated[
    str, typer.Option("--since", help="received at or after: 90m, 24h, 7d, 2w, or 2026-11-27T08:00Z")
]
UntilOption = Annotated[str, typer.Option("--until", help="received before; same format as --since")]
FilterOption = Annotated[str, typer.Option("--filter", help="which signals, as in `signals list`")]


@signals.command(name="export")
def signals_export(
    output: Annotated[str, typer.Option("--output", help="file to write")],
    format_: Annotated[str, typer.Option("--format", help="jsonl, csv, or parquet (needs pyarrow)")] = "jsonl",
    expression: FilterOption = "",
    since: SinceOption = "",
    until: UntilOption = "",
    timeline: Annotated[bool, typer.Option(help="include each signal's entries (jsonl)")] = False,
    payloads: Annotated[
        bool, typer.Option(help="include each signal's entries with payloads (jsonl); role AUDITOR")
    ] = False,
    proof: Annotated[
        bool, typer.Option(help="include each signal's proof (jsonl), for `audit check`; role AUDITOR")
    ] = False,
    fixture: Annotated[bool, typer.Option(help="write a fixture for replays in CI instead; role AUDITOR")] = False,
    home: HomeOption = "",
) -> int:
    """Writes signals to a file, oldest first. The file appears when it is complete. History records the export."""
    if format_ not in FORMATS:
        raise SettingsError(f"--format: expected one of {', '.join(FORMATS)}, was {format_!r}")
    if format_ != "jsonl" and (timeline or payloads or proof or fixture):
        raise SettingsError(f"--format: expected jsonl for timelines, payloads, proofs and fixtures, was {format_!r}")
    request = audit_pb2.ExportSignalsRequest(
        filter=signal_filter(expression, since, until),
        timeline=timeline or payloads or fixture,
        payloads=payloads or fixture,
        proofs=proof,
    )
    shown = sys.stderr.isatty()
    path = Path(output)
    unreadable: dict[str, int] = {}

    entries_asked = timeline or payloads or proof or fixture

    async def export(clients: Clients, writer: Writer) -> Counter[str]:
        counts: Counter[str] = Counter()
        async for response in clients.audit.ExportSignals(request, timeout=EXPORT_S):
            written, done = writer.put(response), response.exported
            counts["written"] += written
            if response.entries_not_kept and entries_asked:
                counts["not kept"] += 1
            elif not written:
                counts["not verifiable"] += 1
            if response.payload_unreadable:
                unreadable[response.payload_unreadable] = unreadable.get(response.payload_unreadable, 0) + 1
            if shown and (done % PROGRESS_EVERY == 0 or done == response.total):
                print(f"\r{done:,} of {response.total:,} signals", end="", file=sys.stderr, flush=True)
        return counts

    with whole_file(path) as file:
        writer = Fixture(file) if fixture else FORMATS[format_](file)
        counts: Counter[str] = ask(home, lambda clients: export(clients, writer))
        writer.close()
    if shown:
        print(file=sys.stderr)
    out.print(f"{path}: {counts['written']:,} signals")
    for what, text in _REMARKS.items():
        if counts[what]:
            complain(f"{counts[what]:,} signals {text}")
    for why, signals_of_it in unreadable.items():
        out.print(f"{signals_of_it:,} without their encrypted payload: {why}")
    return 0


@app.command()
def statistics(
    expression: FilterOption = "",
    since: SinceOption = "24h",
    until: UntilOption = "",
    by: Annotated[str, typer.Option(help="webhook, account or strategy")] = "",
    per: Annotated[str, typer.Option(help="hour or day")] = "",
    home: HomeOption = "",
    as_json: JsonOption = False,
) -> int:
    """Counts signals, and shows the latency of each phase, slippage, and accepted signals that have not ended."""
    request = audit_pb2.GetStatisticsRequest(filter=signal_filter(expression, since, until))
    if by:
        request.group = enum_value(audit_pb2.StatisticsGroup, "STATISTICS_GROUP_", "by", by)
    if per:
        request.bucket = enum_value(audit_pb2.StatisticsBucket, "STATISTICS_BUCKET_", "per", per)
    response = ask(home, lambda c: c.audit.GetStatistics(request, timeout=STATISTICS_S))

    def text() -> None:
        for one in response.statistics:
            _print_statistics(one)
        if not response.statistics:
            out.print("no signals")
        if response.straggler_count:
            limit = f"{response.straggler_limit_s:g} s"
            out.print()
            out.print(f"{response.straggler_count} accepted signals have not ended after {limit}, the oldest:")
            out.print(signal_table(response.stragglers))

    show(response, as_json=as_json, text=text)
    return 0


def _print_statistics(one: audit_pb2.SignalStatistics) -> None:
    found = describe_statistics(one)
    out.print()
    out.print(found.title)
    columns = ("phase", "signals", "p50 ms", "p90 ms", "p99 ms")
    for names, rows in ((("status", "reason", "signals"), found.counts), (columns, found.phases)):
        if rows:
            table = make_table(*names)
            for row in rows:
                table.add_row(*row)
            out.print(table)
    if found.slippage:
        out.print(found.slippage)


def signal_filter(expression: str, since: str, until: str) -> audit_pb2.SignalFilter:
    """The filter of these options.

    Raises:
        SettingsError: a time cannot be read.
    """
    given = audit_pb2.SignalFilter(expression=expression)
    for name, value in (("since", since), ("until", until)):
        if value:
            getattr(given, name).FromDatetime(time_of(name, value, datetime.now(UTC)))
    return given


def time_of(option: str, text: str, now: datetime) -> datetime:
    """A time from a text: a time (UTC if it has no zone), or how long ago, such as 24h.

    Raises:
        SettingsError: the text is neither.
    """
    if ago := _AGO.match(text):
        with contextlib.suppress(OverflowError):
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        detail = f"--{option}: expected a time like 2026-11-27T08:00Z, or how long ago like 24h, was {text[:40]!r}"
        raise SettingsError(detail) from None
