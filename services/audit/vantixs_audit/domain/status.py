"""Computes a signal's row from its entries, in whatever order they arrive; and the hash chain over all entries. Pure.

`EntryFacts` is what one entry says, and `apply_entry` adds it to what is known (`View`). The result does not depend on the
order: if two entries state the same fact differently, the entry with the earlier time (then by content) counts, and not the
one that arrived first.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation, localcontext
from typing import NamedTuple

GENESIS = bytes(32)
Facts = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, order=True)
class Replayed:
    """A replay that ran the signal again, the replay that it repeats, and the first one of that chain.

    The latest replay counts.
    """

    time: datetime
    replay_id: str
    replay_of: str = ""
    replay_root: str = ""


class EntryFacts(NamedTuple):
    """The facts that one entry states about a signal. Only the facts of the entry's kind are set."""

    kind: str
    time: datetime
    status: str = ""
    stage: str = ""
    reason: str = ""
    detail: str = ""
    facts: Facts = ()
    repeat: int = 0
    repeat_of: str = ""
    receive_time: datetime | None = None
    emit_time: datetime | None = None
    decide_time: datetime | None = None
    order_id: str = ""
    side: str = ""
    filled_quantity: str = ""
    average_price: str = ""
    strategy_id: str = ""
    replay: Replayed | None = None


class Origin(NamedTuple):
    """The entry that made the signal: the one with the lowest rank, and among those the earliest. `facts` are sorted."""

    rank: int
    time: datetime
    stage: str = ""
    reason: str = ""
    detail: str = ""
    facts: Facts = ()
    receive_time: datetime | None = None
    emit_time: datetime | None = None


class End(NamedTuple):
    """How the signal ended; the earliest, if several entries say so."""

    time: datetime
    status: str
    stage: str = ""
    reason: str = ""
    detail: str = ""


class Filled(NamedTuple):
    """The filled quantity of the signal's last order, below 0 for a sale.

    For one order the larger quantity is the later one.
    """

    order_id: str
    size: Decimal
    quantity: str
    average_price: str


@dataclass(slots=True)
class View:
    """Everything known of a signal. `apply_entry` changes it."""

    origin: Origin | None = None
    end: End | None = None
    progress: int = 0
    update_time: datetime | None = None
    first_time: datetime | None = None
    duplicates_told: int = 0
    last_repeat: int = 0
    first_signal_id: str = ""
    strategy_id: str = ""
    side: str = ""
    filled: Filled | None = None
    decide_time: datetime | None = None
    send_time: datetime | None = None
    fill_time: datetime | None = None
    replay_count: int = 0
    replay: Replayed | None = None

    @property
    def outcome(self) -> str:
        """The status without replays: ACCEPTED, EXECUTED, REJECTED or FAILED."""
        if self.end:
            return self.end.status
        return "REJECTED" if self.origin and self.origin.rank > ACCEPTED else "ACCEPTED"

    @property
    def stage(self) -> str:
        """The stage in which it ended, or in which it is."""
        if self.end:
            return self.end.stage
        if self.origin and self.origin.rank > ACCEPTED:
            return self.origin.stage
        return STAGES[self.progress] if self.progress else self.origin.stage if self.origin else ""

    @property
    def why(self) -> tuple[str, str]:
        """The reason, and one sentence."""
        told = self.end or self.origin
        return (told.reason, told.detail) if told else ("", "")

    @property
    def receive_time(self) -> datetime | None:
        """When it was received, as far as known. If its first entry is missing, the time of the earliest entry."""
        return (self.origin.receive_time or self.origin.time) if self.origin else self.first_time

    @property
    def end_time(self) -> datetime | None:
        """When it ended; unset if it has not ended."""
        if self.end:
            return self.end.time
        return self.origin.time if self.origin and self.origin.rank > ACCEPTED else None

    @property
    def duplicates(self) -> int:
        """How many repeats were suppressed.

        Not every repeat of a sender in a loop is recorded, but each recorded one has its number.
        """
        return max(self.duplicates_told, self.last_repeat)


ACCEPTED, REJECTED, REPEAT = range(3)
STAGES = ("", "strategy", "risk", "venue")
_PROGRESS = {
    "strategy_evaluated": 1,
    "order_evaluated": 2,
    "order_submitted": 3,
    "order_updated": 3,
    "fill_recorded": 3,
    "bracket_changed": 3,
}


def apply_entry(view: View, seen: EntryFacts) -> None:
    """Adds one more entry to the view.

    Resting orders and brackets are recorded under their signal after its end. Then the fills change, and the end stays.
    """
    view.update_time = _later(view.update_time, seen.time)
    view.first_time = _earlier(view.first_time, seen.time)
    match seen.kind:
        case "signal_accepted":
            _begin(view, seen, ACCEPTED, "ingress")
        case "signal_rejected":
            _begin(view, seen, REJECTED, "ingress")
        case "duplicate_suppressed" if seen.repeat_of:
            # A repeat that another ingress accepted runs until the router ends it; its end has the rest.
            view.first_signal_id = min(filter(None, (view.first_signal_id, seen.repeat_of)))
            _begin(view, seen, REPEAT, "duplicate")
        case "duplicate_suppressed":
            view.duplicates_told += 1
            view.last_repeat = max(view.last_repeat, seen.repeat)
        case "signal_completed":
            end = End(seen.time, seen.status, seen.stage, seen.reason, seen.detail)
            view.end = min(view.end, end) if view.end else end
        case "replay_finished" if seen.replay:
            view.replay_count += 1
            view.replay = max(view.replay, seen.replay) if view.replay else seen.replay
        case kind if kind in _PROGRESS:
            _progress(view, seen)


def _begin(view: View, seen: EntryFacts, rank: int, stage: str) -> None:
    facts = tuple(sorted(seen.facts))
    view.strategy_id = max(view.strategy_id, seen.strategy_id)
    if view.origin and (view.origin.rank, view.origin.time, view.origin.facts) <= (rank, seen.time, facts):
        return
    view.origin = Origin(rank, seen.time, stage, seen.reason, seen.detail, facts, seen.receive_time, seen.emit_time)


def _progress(view: View, seen: EntryFacts) -> None:
    view.progress = max(view.progress, _PROGRESS[seen.kind])
    view.side = max(view.side, seen.side)
    view.strategy_id = max(view.strategy_id, seen.strategy_id)
    match seen.kind:
        case "order_evaluated" if seen.order_id:
            view.decide_time = _earlier(view.decide_time, seen.decide_time or seen.time)
        case "order_submitted" if seen.order_id:
            view.send_time = _earlier(view.send_time, seen.time)
        case "fill_recorded":
            # Fills of a stop or a target come after the fills of their entry.
            view.fill_time = _earlier(view.fill_time, seen.time)
        case "order_updated" if seen.average_price:
            size = abs(decimal_of(seen.filled_quantity) or Decimal(0))
            filled = Filled(seen.order_id, size, seen.filled_quantity, seen.average_price)
            view.filled = max(view.filled, filled) if view.filled else filled


def decimal_of(text: str) -> Decimal | None:
    """The number that a text holds; None if it holds none."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


def slippage_bps(signal_price: str, filled_quantity: str, average_price: str) -> Decimal | None:
    """How much worse than the signal's price it was filled, in basis points with two decimals; below 0 for better.

    Bought at 101 for a signal at 100 is 100; sold at 101 is -100. None where a price is missing, and beyond +-1,000,000.
    """
    if not signal_price or not filled_quantity:
        return None
    expected, quantity, filled = (decimal_of(text) for text in (signal_price, filled_quantity, average_price))
    if not expected or not quantity or filled is None or expected < 0:
        return None
    with localcontext(prec=60):
        found = (filled / expected - 1) * (10_000 if quantity > 0 else -10_000)
        return found.quantize(Decimal("0.01")) if abs(found) <= 1_000_000 else None


def _earlier(one: datetime | None, other: datetime) -> datetime:
    return min(one, other) if one else other


def _later(one: datetime | None, other: datetime) -> datetime:
    return max(one, other) if one else other


def chain_hash(previous: bytes, stored: bytes) -> bytes:
    """The hash of an entry: SHA-256 over the hash of the previous entry and the entry's stored bytes."""
    return hashlib.sha256(previous + stored).digest()
