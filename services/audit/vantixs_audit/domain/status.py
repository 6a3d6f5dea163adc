"""A signal's row as a pure function of its entries, whatever their order of arrival; and the hash chain over all entries.

Each entry says something (`EntryFacts`), and `apply_entry` joins it to what is known (`View`). Joining is commutative: of
two entries that say the same thing differently the earlier one counts, by its own time and content, and never the one that
came first.
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
    """A replay that ran the signal again: the one it repeats, and the one it goes back to. Of several the latest counts."""

    time: datetime
    replay_id: str
    replay_of: str = ""
    replay_root: str = ""


class EntryFacts(NamedTuple):
    """What one entry says about a signal. Only what the kind has is given."""

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
    """The entry that made the signal: the one with the lowest rank, and of those the earliest. `facts` are sorted."""

    rank: int
    time: datetime
    stage: str = ""
    reason: str = ""
    detail: str = ""
    facts: Facts = ()
    receive_time: datetime | None = None
    emit_time: datetime | None = None


class End(NamedTuple):
    """How it ended; the earliest where several entries say so."""

    time: datetime
    status: str
    stage: str = ""
    reason: str = ""
    detail: str = ""


class Filled(NamedTuple):
    """What is filled of the signal's last order; of one order the larger is the later. `quantity` is below 0 for a sale."""

    order_id: str
    size: Decimal
    quantity: str
    average_price: str


@dataclass(slots=True)
class View:
    """All that is known of a signal; `apply_entry` changes it."""

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
        """How it stands, replays aside: ACCEPTED, EXECUTED, REJECTED or FAILED."""
        if self.end:
            return self.end.status
        return "REJECTED" if self.origin and self.origin.rank > ACCEPTED else "ACCEPTED"

    @property
    def stage(self) -> str:
        """The stage that it ended at, or is in."""
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
        """When it was received, as far as known: at the latest when its first entry was made."""
        return (self.origin.receive_time or self.origin.time) if self.origin else self.first_time

    @property
    def end_time(self) -> datetime | None:
        """When it ended; unset while it goes on."""
        if self.end:
            return self.end.time
        return self.origin.time if self.origin and self.origin.rank > ACCEPTED else None

    @property
    def duplicates(self) -> int:
        """How many repeats were suppressed. Not every repeat of a stuck sender is recorded, but each that is tells its number."""
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
    """Joins one more entry to the view.

    Orders that rest and brackets are told under their signal after its end: what is filled follows, the end stays as it was.
    """
    view.update_time = _later(view.update_time, seen.time)
    view.first_time = _earlier(view.first_time, seen.time)
    match seen.kind:
        case "signal_accepted":
            _begin(view, seen, ACCEPTED, "ingress")
        case "signal_rejected":
            _begin(view, seen, REJECTED, "ingress")
        case "duplicate_suppressed" if seen.repeat_of:
            # One that was accepted by another ingress than the first one goes on; its end tells the rest.
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
            # What a stop or target fills comes after what its entry filled.
            view.fill_time = _earlier(view.fill_time, seen.time)
        case "order_updated" if seen.average_price:
            size = abs(decimal_of(seen.filled_quantity) or Decimal(0))
            filled = Filled(seen.order_id, size, seen.filled_quantity, seen.average_price)
            view.filled = max(view.filled, filled) if view.filled else filled


def decimal_of(text: str) -> Decimal | None:
    """The number of a text; None where it is none."""
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
    """The hash of an entry: SHA-256 over the hash of the one before and the bytes as stored."""
    return hashlib.sha256(previous + stored).digest()
