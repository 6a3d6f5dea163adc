"""What came of a replayed signal, beside what came of it the first time: pure."""

from typing import Any

from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.common.v1 import common_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.api.router.v1 import router_pb2


def verified(signal_id: str, response: router_pb2.VerifySignalResponse) -> audit_pb2.ReplayResult:
    """What a VERIFY found."""
    return audit_pb2.ReplayResult(
        signal_id=signal_id,
        status=response.status,
        reason=response.reason,
        differences=[sentence(d) for d in response.differences],
        found=response.differences,
        missing=response.missing,
    )


def ran(first: Any, status: "common_pb2.SignalStatus", reason: str) -> audit_pb2.ReplayResult:
    """What came of a run; `first` is the signal's row in history."""
    differences = []
    after = common_pb2.SignalStatus.Name(status).removeprefix("SIGNAL_STATUS_")
    if first.outcome != after:
        differences.append(f"status was {first.outcome}, is {after}")
    if first.reason != reason:
        differences.append(f"reason was {first.reason or 'none'}, is {reason or 'none'}")
    return audit_pb2.ReplayResult(signal_id=first.signal_id, status=status, reason=reason, differences=differences)


def unverifiable(signal_id: str, *missing: str) -> audit_pb2.ReplayResult:
    """A signal of which nothing can be said."""
    return audit_pb2.ReplayResult(signal_id=signal_id, missing=missing)


def sentence(found: journal_pb2.Difference) -> str:
    """A difference in one sentence: "risk on order 1: quantity was 0.5, is 0.25"."""
    return f"{found.decision}: {found.input} was {found.before or 'none'}, is {found.after or 'none'}"
