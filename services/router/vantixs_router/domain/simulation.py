"""Simulated quotes: a seeded walk that is a pure function of time, so that all replicas and restarts agree."""

import hashlib
import math
from decimal import ROUND_HALF_EVEN, Decimal

_OCTAVES = (3, 17, 71, 331, 1201, 7001, 40009)  # seconds between the points of each layer
_SWING = 0.03  # most that the slowest layers together move the price, as a ratio


def simulated_mid(reference: Decimal, tick: Decimal, instrument: str, seed: int, time_s: float) -> Decimal:
    """The middle price at a time (seconds since 1970): layered noise around the reference price, on the tick."""
    total = sum(math.sqrt(period) for period in _OCTAVES)
    move = sum(
        math.sqrt(period) / total * _noise(f"{seed}|{instrument}|{period}", time_s / period) for period in _OCTAVES
    )
    price = reference * Decimal(1 + _SWING * move)
    return (price / tick).to_integral_value(ROUND_HALF_EVEN) * tick


def _noise(name: str, at: float) -> float:
    """Smooth noise in -1 to 1 between seeded points at the whole numbers."""
    left = math.floor(at)
    part = at - left
    smooth = part * part * (3 - 2 * part)
    return _point(name, left) * (1 - smooth) + _point(name, left + 1) * smooth


def _point(name: str, index: int) -> float:
    digest = hashlib.blake2b(f"{name}|{index}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**63 - 1
