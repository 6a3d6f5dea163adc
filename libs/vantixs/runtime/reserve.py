"""Disk space kept for what has to be stored although the disk is full."""

import contextlib
import os
from pathlib import Path

STEP_BYTES = 1 << 20


class Reserve:
    """A file that takes up space until it is needed, on the disk of the database it is for.

    It is given back in steps of 1 MiB: others who wait for space take what is free, and some has to be left for the next
    time.
    """

    def __init__(self, path: Path, size_bytes: int) -> None:
        self._path = path
        self._size_bytes = size_bytes

    def fill(self) -> bool:
        """Takes up space again; returns whether all of it is there."""
        with contextlib.suppress(OSError):
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                # Allocated, not only as long: a file with holes keeps no space for anybody.
                os.posix_fallocate(descriptor, 0, self._size_bytes)
            finally:
                os.close(descriptor)
            return True
        return False

    def release(self) -> bool:
        """Gives one step back; returns whether there was one."""
        try:
            size = self._path.stat().st_size
            if size:
                os.truncate(self._path, max(size - STEP_BYTES, 0))
        except OSError:
            return False
        return bool(size)
