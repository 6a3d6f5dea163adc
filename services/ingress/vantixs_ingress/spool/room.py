"""How much the spool may hold, and whether there is room on its disk."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

SPACE_EVERY_S = 0.25


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much the spool may hold, what has to stay free on its disk, and how long an explicit key is remembered."""

    max_bytes: int
    reserve_bytes: int = 0
    keep_keys_s: int = 90 * 86_400


class Room:
    """Bytes that the spool uses, and whether more may be stored."""

    def __init__(self, directory: Path, bounds: Bounds, used: int) -> None:
        self.used = used
        self._directory = directory
        self._bounds = bounds
        self._enough_free = True
        self._measured = time.monotonic()

    @property
    def lack(self) -> str:
        """Why nothing may be stored now; empty where there is room."""
        if self.used > self._bounds.max_bytes:
            return f"the spool is at its limit of {self._bounds.max_bytes} bytes"
        if not self._enough_free:
            return f"less than {self._bounds.reserve_bytes} bytes are free on the spool's disk"
        return ""

    def measure(self) -> None:
        """Measures the free space of the file system, at most every `SPACE_EVERY_S`."""
        now = time.monotonic()
        if self._bounds.reserve_bytes and now - self._measured >= SPACE_EVERY_S:
            self._measured = now
            found = os.statvfs(self._directory)
            self._enough_free = found.f_bavail * found.f_frsize >= self._bounds.reserve_bytes
