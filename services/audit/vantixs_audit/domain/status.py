"""A signal's status as a pure function of its entries, and the hash chain over all entries."""

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime

GENESIS = bytes(32)


@dataclass(frozen=True, slots=True)
class Seen:
    """What one entry says about a signal. Only what the kind has is given."""

    kind: str
    time: datetime
    status: str = ""
    stage: str = ""
    reason: str = ""
    detail: str = ""
    facts: tuple[tuple[str, str], ...] = field(default_factory=tuple)
    repeat: int = 0
    repeat_of: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """One line about a signal. `facts` are what it was accepted or rejected with: webhook, account, symbol, ..."""

    status: str = ""
    original_status: str = ""
    stage: str = ""
    reason: str = ""
    detail: str = ""
    receive_time: datetime | None = None
    update_time: datetime | None = None
    duplicates: int = 0
    facts: tuple[tuple[str, str], ...] = ()


_STAGES = {
    "strategy_evaluated": "strategy",
    "order_evaluated": "risk",
    "order_submitted": "venue",
    "order_updated": "venue",
    "fill_recorded": "venue",
    "bracket_changed": "venue",
}


def fold(view: View, seen: Seen) -> View:
    """The view after one more entry. A status that is an end changes only by a replay.

    Orders that rest and brackets are told under their signal after its end: what is filled follows, the end stays as it was.
    """
    view = replace(view, update_time=max(view.update_time or seen.time, seen.time))
    match seen.kind:
        case "signal_accepted" | "signal_rejected":
            if view.receive_time is not None:
                return view
            status = "ACCEPTED" if seen.kind == "signal_accepted" else "REJECTED"
            view = replace(view, receive_time=seen.time, facts=view.facts + seen.facts)
            # A row without a status is stored as ACCEPTED: what follows must not depend on how entries were batched.
            if view.status not in ("", "ACCEPTED"):
                return view
            return replace(view, status=status, stage=view.stage or "ingress", reason=seen.reason, detail=seen.detail)
        case "duplicate_suppressed" if seen.repeat_of:
            if view.receive_time is not None:
                # It was accepted, by another ingress than the first one; its end tells the rest.
                return replace(view, facts=(*view.facts, ("first_signal_id", seen.repeat_of)))
            view = replace(view, receive_time=seen.time, facts=view.facts + seen.facts)
            return replace(view, status="REJECTED", stage="duplicate", reason=seen.reason, detail=seen.detail)
        case "duplicate_suppressed":
            # Not every repeat of a stuck sender is recorded, but each that is tells which one it is.
            return replace(view, duplicates=max(view.duplicates + 1, seen.repeat))
        case "signal_completed":
            if view.status not in ("", "ACCEPTED"):
                return view
            return replace(view, status=seen.status, stage=seen.stage, reason=seen.reason, detail=seen.detail)
        case "replay_finished":
            original = view.original_status or view.status
            return replace(view, status="REPLAYED", original_status=original)
    if seen.kind in _STAGES:
        facts = dict(view.facts) | dict(seen.facts)
        stage = _STAGES[seen.kind] if view.status in ("", "ACCEPTED") else view.stage
        return replace(view, stage=stage, facts=tuple(facts.items()))
    return view


def chain(previous: bytes, stored: bytes) -> bytes:
    """The hash of an entry: SHA-256 over the hash of the one before and the bytes as stored."""
    return hashlib.sha256(previous + stored).digest()
