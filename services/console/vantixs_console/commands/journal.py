"""Commands that show how full the journal is and what it has lost, and accept a gap."""

from typing import Annotated, Any

import typer
from vantixs.api.audit.v1 import audit_pb2

from vantixs_console.clients import Clients
from vantixs_console.plain_text import complain
from vantixs_console.terminal import TIMEOUT_S, HomeOption, JsonOption, ask, out, show

app = typer.Typer(no_args_is_help=True)
journal = typer.Typer(no_args_is_help=True, help="The journal: how full it is, and whether it lost messages.")
app.add_typer(journal, name="journal")


@journal.command(name="show")
def show_journal(home: HomeOption = "", as_json: JsonOption = False) -> int:
    """Shows how full the journal is, and whether it lost messages that a service has seen; then the exit code is 1."""
    response = ask(home, _read)
    found = response.journal

    def text() -> None:
        used = found.size_bytes / found.limit_bytes if found.limit_bytes else 0
        out.print(
            f"messages  {found.first_sequence} to {found.last_sequence}, recorded up to {found.recorded_sequence}"
        )
        out.print(f"size      {found.size_bytes:,} of {found.limit_bytes:,} bytes ({used:.0%})")
        for recorded in response.accepted_gaps:
            accepted = recorded.entry.journal_gap_accepted
            time, actor = recorded.entry.event_time.ToJsonString(), recorded.entry.actor
            out.print(f"accepted  {accepted.gap_id} at {time} by {actor}: {accepted.detail}")
        for line in gap_lines(found):
            out.print(line)

    show(response, as_json=as_json, text=text)
    return 1 if found.HasField("gap") else 0


@journal.command()
def accept_gap(
    gap: Annotated[str, typer.Option(help="id of the gap, from `journal show`; empty to be asked")] = "",
    comment: Annotated[str, typer.Option(help="why")] = "accepted by hand",
    home: HomeOption = "",
    as_json: JsonOption = False,
) -> int:
    """Accepts the journal without the lost messages, so that trading continues; shows what is lost, and asks first."""
    found = ask(home, _read).journal
    if found.HasField("gap") and not gap:
        for line in gap_lines(found):
            out.print(line)
        gap = _confirmed(found.gap.gap_id)
        if not gap:
            complain("not accepted")
            return 1
    request = audit_pb2.AcceptJournalGapRequest(gap_id=gap, comment=comment)
    response = ask(home, lambda clients: clients.audit.AcceptJournalGap(request, timeout=TIMEOUT_S))
    show(response, as_json=as_json, text=lambda: out.print(f"gap {gap} is accepted; trading continues"))
    return 0


async def _read(clients: Clients) -> Any:
    return await clients.audit.GetJournal(audit_pb2.GetJournalRequest(), timeout=TIMEOUT_S)


def _confirmed(gap_id: str) -> str:
    try:
        return gap_id if typer.prompt(f"Type {gap_id} to continue without the lost messages") == gap_id else ""
    except typer.Abort:
        return ""


def gap_lines(found: audit_pb2.Journal) -> list[str]:
    """What is missing and what to do, in words; empty if nothing is missing."""
    if not found.HasField("gap"):
        return []
    gap = found.gap
    until = gap.recorded_until_time.ToJsonString() if gap.HasField("recorded_until_time") else "never"
    lines = [f"gap       {gap.gap_id}: {gap.detail}"]
    if gap.last_missing_sequence:
        lost = f"messages {gap.first_missing_sequence} to {gap.last_missing_sequence} may be missing in history"
    else:
        lost = "history has everything that any service has seen"
    lines.append(f"          {lost}; its last entry is of {until}")
    lines.append(f"          {gap.open_signals} signals have not ended; those whose message is lost will never end")
    lines.append(
        "          no signal is accepted until you run `vantixs journal accept-gap` or put the right journal back"
    )
    return lines
