"""Commands that start, show, pause, resume and cancel replays, and compare their results with expected ones."""

import json
import math
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.runtime.settings import SettingsError

from vantixs_console.clients import Clients
from vantixs_console.plain_text import complain
from vantixs_console.replay_words import (
    REPLAY_COLUMNS,
    RESULT_COLUMNS,
    replay_cells,
    replay_lines,
    result_cells,
    result_status,
)
from vantixs_console.terminal import (
    TIMEOUT_S,
    HomeOption,
    JsonOption,
    ask,
    enum_value,
    make_table,
    out,
    show,
    user_name,
)
from vantixs_console.timeline import short_name

app = typer.Typer(no_args_is_help=True)
replay = typer.Typer(no_args_is_help=True, help="Replays: signals decided again, or run again on paper")
app.add_typer(replay, name="replay")
CONFIRMATION = "replay live"


@replay.command(name="start")
def start(
    signal_ids: Annotated[list[str] | None, typer.Argument(help="signal ids; or use a filter")] = None,
    mode: Annotated[str, typer.Option(help="verify, paper or live")] = "verify",
    comment: Annotated[str, typer.Option(help="why, for the record")] = "",
    name: Annotated[str, typer.Option(help="your name; by default the user of this terminal")] = "",
    filter_: Annotated[
        str,
        typer.Option("--filter", help="which signals, as in `signals list`: status = FAILED AND latency > 1.5s"),
    ] = "",
    since: Annotated[str, typer.Option(help="received at or after, for example 2026-11-27T09:00Z")] = "",
    until: Annotated[str, typer.Option(help="received before")] = "",
    of_replay: Annotated[str, typer.Option("--of", help="repeat this replay: replay its signals again")] = "",
    different_only: Annotated[
        bool, typer.Option("--different-only", help="with --of: only signals with differences")
    ] = False,
    current: Annotated[bool, typer.Option("--current", help="verify with the current configuration")] = False,
    speed: Annotated[
        float, typer.Option(help="0 for as fast as possible, 1 for the original intervals, n for n times as fast")
    ] = 0,
    expect: Annotated[
        Path | None, typer.Option(help="JSON lines of signal_id, status, reason; exit code 1 if a result differs")
    ] = None,
    request_id: Annotated[
        str, typer.Option(help="UUID of the call: repeating it with the same UUID starts no second replay")
    ] = "",
    confirm: Annotated[str, typer.Option(help=f"for live: {CONFIRMATION!r}")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="do not ask for confirmation of the number of signals")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="wait until the replay has ended")] = True,
    home: HomeOption = "",
    as_json: JsonOption = False,
) -> int:
    """Replays signals: VERIFY decides them again from the record and changes nothing, PAPER runs them on a scratch account."""
    expected = _read_expected(expect) if expect else {}
    request = audit_pb2.ReplaySignalsRequest(
        request_id=request_id,
        signal_ids=signal_ids or ([] if filter_ or since or until or of_replay else list(expected)),
        mode=enum_value(journal_pb2.ReplayMode, "REPLAY_MODE_", "mode", mode),
        comment=comment,
        name=name or user_name(),
        current=current,
        speed=speed,
        confirmation=confirm,
        of_replay_id=of_replay,
        different_only=different_only,
    )
    if filter_ or since or until:
        request.filter.CopyFrom(_filter_of(filter_, since, until))
    if request_id:
        _check_request_id(request_id)
    if not comment.strip():
        raise SettingsError("--comment: expected why you replay, was empty")
    if not request.signal_ids and (different_only or not yes) and not _agreed(home, request, ask_first=not yes):
        return 1

    async def run(clients: Clients) -> audit_pb2.GetReplayResponse:
        started = await clients.client.replays.begin(request)
        if not wait and not expected:
            return audit_pb2.GetReplayResponse(replay=started)
        found = await clients.client.replays.wait(started.replay_id, timeout_s=math.inf)
        return audit_pb2.GetReplayResponse(replay=found)

    response = ask(home, run)
    show(response, as_json=as_json, text=lambda: _print(response.replay))
    if wrong := _unexpected(response.replay, expected):
        for line in wrong:
            out.print(line)
        return 1
    return 0


@replay.command(name="list")
def list_(home: HomeOption = "", page_size: int = 50, page_token: str = "", as_json: JsonOption = False) -> int:
    """Lists replays, newest first."""
    request = audit_pb2.ListReplaysRequest(page_size=page_size, page_token=page_token)
    response = ask(home, lambda c: c.audit.ListReplays(request, timeout=TIMEOUT_S))

    def text() -> None:
        table = make_table(*REPLAY_COLUMNS)
        for found in response.replays:
            table.add_row(*replay_cells(found))
        out.print(table)
        if response.next_page_token:
            out.print(f"more: --page-token {response.next_page_token}")

    show(response, as_json=as_json, text=text)
    return 0


@replay.command(name="show")
def show_(replay_id: str, home: HomeOption = "", as_json: JsonOption = False) -> int:
    """Shows the progress of a replay, and its results."""

    async def read(clients: Clients) -> audit_pb2.GetReplayResponse:
        return audit_pb2.GetReplayResponse(replay=await clients.client.replays.get(replay_id))

    response = ask(home, read)
    show(response, as_json=as_json, text=lambda: _print(response.replay))
    return 0


@replay.command(name="pause")
def pause(replay_id: str, home: HomeOption = "", as_json: JsonOption = False) -> int:
    """Pauses a replay after its current signal."""
    return _change(home, as_json, lambda c: c.client.replays.pause(replay_id))


@replay.command(name="resume")
def resume(replay_id: str, home: HomeOption = "", as_json: JsonOption = False) -> int:
    """Continues a paused replay."""
    return _change(home, as_json, lambda c: c.client.replays.resume(replay_id))


@replay.command(name="cancel")
def cancel(replay_id: str, home: HomeOption = "", as_json: JsonOption = False) -> int:
    """Ends a replay after its current signal; it cannot be resumed."""
    return _change(home, as_json, lambda c: c.client.replays.cancel(replay_id))


def _change(home: str, as_json: bool, call: Callable[[Clients], Awaitable[Any]]) -> int:
    found = ask(home, call)
    show(audit_pb2.GetReplayResponse(replay=found), as_json=as_json, text=lambda: _print(found))
    return 0


def _agreed(home: str, request: audit_pb2.ReplaySignalsRequest, *, ask_first: bool) -> bool:
    """Counts the selected signals, and asks whether to replay them; nothing is to be replayed where there is none."""
    counting = audit_pb2.ReplaySignalsRequest()
    counting.CopyFrom(request)
    counting.count_only = True
    counted = ask(home, lambda c: c.audit.ReplaySignals(counting, timeout=TIMEOUT_S))
    if not counted.count:
        differ = f"no signal of replay {request.of_replay_id} has differences" if request.different_only else ""
        complain(differ or "no signals are selected")
        return False
    if not ask_first:
        return True
    mode = short_name(journal_pb2.ReplayMode.Name(request.mode))
    return typer.confirm(f"{counted.count} signals are selected; replay them in mode {mode}?", err=True)


def _check_request_id(text: str) -> None:
    try:
        uuid.UUID(text)
    except ValueError:
        raise SettingsError(f"--request-id: expected a UUID, was {text[:60]!r}") from None


def _filter_of(expression: str, since: str, until: str) -> audit_pb2.SignalFilter:
    found = audit_pb2.SignalFilter(expression=expression)
    for flag, text, field in (("since", since, found.since), ("until", until, found.until)):
        if text:
            field.FromDatetime(_time_of(flag, text))
    return found


def _time_of(flag: str, text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise SettingsError(f"--{flag}: expected a time with its zone like 2026-11-27T09:00Z, was {text!r}")
    return time.astimezone(UTC)


def _read_expected(path: Path) -> dict[str, tuple[str, str]]:
    """Status and reason by signal id, from JSON lines as `signals export --fixture` writes them."""
    found: dict[str, tuple[str, str]] = {}
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise SettingsError(f"--expect: {error}") from None
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            found[str(row["signal_id"])] = str(row["status"]).lower(), str(row.get("reason", ""))
        except (ValueError, KeyError, TypeError, AttributeError):
            was = f"was {line[:60]!r} in line {number}"
            raise SettingsError(f"--expect: expected JSON with signal_id and status, {was}") from None
    return found


def _unexpected(found: audit_pb2.Replay, expected: dict[str, tuple[str, str]]) -> list[str]:
    """A line for each signal whose result differs from the expected one or is missing."""
    came = {r.signal_id: (result_status(r), r.reason) for r in found.results}
    return [
        f"{signal_id}: expected {_words(*wanted)}, was {_words(*came.get(signal_id, ('not replayed', '')))}"
        for signal_id, wanted in expected.items()
        if came.get(signal_id) != wanted
    ]


def _words(status: str, reason: str) -> str:
    return f"{status} {reason}".strip()


def _print(found: audit_pb2.Replay) -> None:
    for line in replay_lines(found):
        out.print(line)
    if found.results:
        table = make_table(*RESULT_COLUMNS)
        for result in found.results:
            table.add_row(*result_cells(result))
        out.print(table)
