"""What a request for a replay must say, and which signals it means: fixed when it is stored."""

import math
import secrets
from datetime import UTC, datetime

import grpc
import sqlalchemy as sa
from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.runtime.errors import ServiceError, invalid

from vantixs_audit.replays import rows
from vantixs_audit.replays.refusal import refusal

MODES = (journal_pb2.REPLAY_MODE_VERIFY, journal_pb2.REPLAY_MODE_PAPER, journal_pb2.REPLAY_MODE_LIVE)
CONFIRMATION = "replay live"
FASTEST = 100_000


def check(request: audit_pb2.ReplaySignalsRequest) -> None:
    """Raises INVALID_ARGUMENT where the request does not say what it must."""
    if request.mode and request.mode not in MODES:
        raise invalid("mode", f"expected VERIFY, PAPER or LIVE, was {request.mode}")
    meant = [bool(request.signal_ids), request.HasField("filter"), bool(request.of_replay_id)]
    if meant.count(True) != 1:
        raise invalid(
            "signal_ids",
            f"expected either signal_ids, a filter or of_replay_id, were {meant.count(True)}",
            "FIELD_MISSING",
        )
    if request.different_only and not request.of_replay_id:
        raise invalid("different_only", "expected with of_replay_id only")
    if request.current and request.mode not in (0, journal_pb2.REPLAY_MODE_VERIFY):
        raise invalid("current", "expected with mode VERIFY only: the others always take what is now")
    if not math.isfinite(request.speed) or not 0 <= request.speed <= FASTEST:
        raise invalid("speed", f"expected 0 to {FASTEST}, was {request.speed}")
    if request.count_only:
        return
    for field, text, most in (("comment", request.comment, 500), ("name", request.name, 100)):
        if not 0 < len(text.strip()) <= most or "\x00" in text:
            raise invalid(field, f"expected 1 to {most} characters, was {len(text)}", "FIELD_MISSING")
    if request.mode == journal_pb2.REPLAY_MODE_LIVE and request.confirmation != CONFIRMATION:
        raise invalid("confirmation", f"expected {CONFIRMATION!r}, was {request.confirmation[:40]!r}")


def count(connection: sa.Connection, request: audit_pb2.ReplaySignalsRequest) -> int:
    """How many signals are meant."""
    if request.HasField("filter"):
        return rows.count_filter(connection, request.filter)
    return len(_signals(connection, request, 0))


def signals_of(connection: sa.Connection, request: audit_pb2.ReplaySignalsRequest, most: int) -> list[str]:
    """The signals that are meant, in the order they came.

    Raises:
        ServiceError: NOT_FOUND for an id or a replay that is not there; FAILED_PRECONDITION ENTRIES_NOT_KEPT
            for one that lost entries; INVALID_ARGUMENT for none, or more than `most`;
            FAILED_PRECONDITION REPLAY_REFUSED where one was named by its id that the mode may not run.
    """
    found = _signals(connection, request, most)
    if not found:
        raise invalid("filter", "expected a filter that means signals, was one that means none")
    if len(found) > most:
        field = "signal_ids" if request.signal_ids else "filter"
        was = len(found) if request.signal_ids else rows.count_filter(connection, request.filter)
        raise invalid(field, f"expected at most {most} signals, was {was}")
    if request.signal_ids:
        for signal_id in found:
            if why := refusal(connection, signal_id, request.mode):
                detail = f"signal {signal_id}: {why}"
                raise ServiceError(grpc.StatusCode.FAILED_PRECONDITION, "REPLAY_REFUSED", detail)
    return found


def new_replay(
    connection: sa.Connection, request: audit_pb2.ReplaySignalsRequest, operator: str, total: int
) -> audit_pb2.Replay:
    """The replay that a request asks for."""
    replay_id = f"r{secrets.token_hex(8)}"
    replay = audit_pb2.Replay(
        replay_id=replay_id,
        root_replay_id=replay_id,
        mode=request.mode or journal_pb2.REPLAY_MODE_VERIFY,
        operator=operator,
        name=request.name,
        comment=request.comment,
        state=audit_pb2.REPLAY_STATE_RUNNING,
        current=request.current,
        speed=request.speed,
        total=total,
    )
    if request.of_replay_id:
        source = rows.read(connection, request.of_replay_id)
        replay.of_replay_id = source.replay_id
        replay.root_replay_id = source.root_replay_id or source.replay_id
    replay.create_time.FromDatetime(datetime.now(UTC))
    return replay


def _signals(connection: sa.Connection, request: audit_pb2.ReplaySignalsRequest, most: int) -> list[str]:
    if request.signal_ids:
        return rows.by_ids(connection, request.signal_ids)
    if request.of_replay_id:
        rows.read(connection, request.of_replay_id)
        found = rows.by_replay(connection, request.of_replay_id, different_only=request.different_only)
        rows.by_ids(connection, found)
        return found
    return rows.by_filter(connection, request.filter, most)
