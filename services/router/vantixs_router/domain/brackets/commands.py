"""What is to be done for a bracket. Legs are numbered from 1, and a number never means another order."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class LegKind(StrEnum):
    """STOP: a market order once its price is touched. TARGET: a limit order. CLOSE: a market order now."""

    STOP = "STOP"
    TARGET = "TARGET"
    CLOSE = "CLOSE"


class Why(StrEnum):
    """Reasons that a bracket gives."""

    STOP_FILLED = "STOP_FILLED"
    STOP_REJECTED = "STOP_REJECTED"
    STOP_LOST_REPEATEDLY = "STOP_LOST_REPEATEDLY"
    STOP_NOT_FILLED = "STOP_NOT_FILLED"
    STOP_REPLACED = "STOP_REPLACED"
    STOP_MOVED = "STOP_MOVED"
    UNPROTECTED_TOO_LONG = "UNPROTECTED_TOO_LONG"
    PROTECTION_IN_DOUBT = "PROTECTION_IN_DOUBT"
    TARGET_REJECTED = "TARGET_REJECTED"
    TARGET_CANCELLED_OUTSIDE = "TARGET_CANCELLED_OUTSIDE"
    STOP_REACHED_BEFORE_ENTRY = "STOP_REACHED_BEFORE_ENTRY"
    TARGET_REACHED_BEFORE_ENTRY = "TARGET_REACHED_BEFORE_ENTRY"
    POSITION_CLOSED_OUTSIDE = "POSITION_CLOSED_OUTSIDE"
    POSITION_REDUCED_OUTSIDE = "POSITION_REDUCED_OUTSIDE"
    POSITION_LARGER_THAN_KNOWN = "POSITION_LARGER_THAN_KNOWN"
    EXITS_EXCEED_POSITION = "EXITS_EXCEED_POSITION"
    FILL_AFTER_END = "FILL_AFTER_END"
    BELOW_MINIMUM = "BELOW_MINIMUM"
    CLOSE_FAILED = "CLOSE_FAILED"
    CLOSE_REQUESTED = "CLOSE_REQUESTED"
    UNKNOWN_LEG = "UNKNOWN_LEG"


@dataclass(frozen=True, slots=True)
class PlaceLeg:
    """Place a stop or a target, reduce-only. `target` is its number from 1, and 0 for the stop."""

    leg: int
    kind: LegKind
    buy: bool
    quantity: Decimal
    price: Decimal
    target: int = 0


@dataclass(frozen=True, slots=True)
class CloseNow:
    """Place a market order, reduce-only."""

    leg: int
    buy: bool
    quantity: Decimal
    reason: Why


@dataclass(frozen=True, slots=True)
class CancelLeg:
    """Cancel what works of a leg."""

    leg: int


@dataclass(frozen=True, slots=True)
class CancelEntry:
    """Cancel what works of the entry."""

    reason: Why


@dataclass(frozen=True, slots=True)
class Report:
    """Tell people."""

    reason: Why
    text: str


Command = PlaceLeg | CloseNow | CancelLeg | CancelEntry | Report
