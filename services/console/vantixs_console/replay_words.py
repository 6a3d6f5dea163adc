"""Replays as people read them: what the page and `vantixs replay` show."""

from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.common.v1 import common_pb2
from vantixs.api.journal.v1 import journal_pb2

from vantixs_console.timeline import short_name

REPLAY_COLUMNS = (
    "replay", "asked (UTC)", "mode", "state", "done", "different", "not verifiable", "refused", "by", "comment",
)  # fmt: skip
RESULT_COLUMNS = ("signal", "outcome", "reason", "differences")


def replay_cells(found: audit_pb2.Replay) -> tuple[str, ...]:
    """A replay in the order of `REPLAY_COLUMNS`."""
    return (
        found.replay_id,
        found.create_time.ToJsonString()[:19].replace("T", " "),
        short_name(journal_pb2.ReplayMode.Name(found.mode)),
        audit_pb2.ReplayState.Name(found.state).removeprefix("REPLAY_STATE_").lower(),
        f"{found.finished} of {found.total}",
        str(found.different),
        str(found.not_verifiable),
        str(found.refused),
        found.name or found.operator,
        found.comment,
    )


def replay_lines(found: audit_pb2.Replay) -> list[str]:
    """What is said above a replay's results."""
    _, asked, mode, state, done, *_ = replay_cells(found)
    who = found.name or found.operator
    lines = [
        f"replay {found.replay_id}  {mode} {state}, {done}, asked {asked} by {who}: {found.comment}",
        f"{found.different} with differences, {found.not_verifiable} not verifiable, {found.refused} refused",
    ]
    if found.seed:
        lines.append(f"scratch account: {found.seed}")
    if found.of_replay_id:
        lines.append(f"repeats replay {found.of_replay_id}")
    if found.root_replay_id not in ("", found.replay_id):
        lines.append(f"goes back to replay {found.root_replay_id}")
    return lines


def result_cells(result: audit_pb2.ReplayResult) -> tuple[str, ...]:
    """What came of a signal in the order of `RESULT_COLUMNS`; the last one says everything that differs, or "none"."""
    told = [*result.differences, *(f"not recorded: {what}" for what in result.missing), result.refused]
    return result.signal_id, result_status(result), result.reason, "; ".join(filter(None, told)) or "none"


def result_status(result: audit_pb2.ReplayResult) -> str:
    """How the run ended, in small letters, or that there was none."""
    if result.missing:
        return "not verifiable"
    if result.refused:
        return "refused"
    return short_name(common_pb2.SignalStatus.Name(result.status)).lower()
